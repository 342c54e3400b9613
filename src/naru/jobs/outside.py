"""Addresses that shops choose (webhooks, confirm processes) lead to the public internet only.

Looked at when the connection is made, on the very address that is connected to, so that a name cannot
answer one thing to the check and another to the connection.
"""

from __future__ import annotations

import ipaddress
import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class ForbiddenTarget(OSError):
    """An address leads into a private network."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, in whatever clothes an IPv4 address comes."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        ip = inner or ip
    return ip.is_global and not ip.is_multicast


def is_literal(host: str) -> bool:
    """Whether a host is an address and no name: no resolver is asked about it."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses only. *inner* asks the network."""

    def __init__(self, inner: AbstractResolver | None = None) -> None:
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve, refusing a name any of whose addresses is private. Raises ForbiddenTarget."""
        found = await self._inner.resolve(host, port, family)
        if any(not is_public(r["host"]) for r in found):
            raise ForbiddenTarget(f"{host} leads into a private network")
        return found

    async def close(self) -> None:
        """Close what asks."""
        await self._inner.close()
