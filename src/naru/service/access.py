"""API keys and access tokens.

A token is 40 hex digits: key id (4 bytes), issue time in seconds (4 bytes) and a keyed hash of both
(12 bytes). Nothing about it is stored but the key's current times, so the same token can be given
again and any process can check it (PortOne V1: asking again returns the identical token).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from dataclasses import dataclass

from naru.domain.refusal import Refused, Why
from naru.domain.values import MINUTE, SECOND, Instant
from naru.service.context import Context
from naru.store import stores
from naru.store.db import Tx
from naru.store.vault import Vault

LIFETIME_MS = 30 * MINUTE
EXTENSION_MS = 5 * MINUTE
LAST_MINUTE_MS = MINUTE
GRACE_MS = MINUTE
"""A token is still good for a minute after its end: clients fetch one, then think."""
MOST_READ = 1_000
"""Genuine tokens whose signature need not be checked again. Whether they are still good is asked each time."""


_SPELLINGS = {"imp_apiKey": "imp_apikey"}
"""The published demo key as npm's `iamport` writes it when it is given none; PortOne knows it by both."""


@dataclass(frozen=True, slots=True)
class Token:
    """An access token with its times (UTC ms)."""

    text: str
    expires_at: Instant
    now: Instant


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls the API."""

    store_id: int
    key_id: int


def sha256_hex(text: str) -> str:
    """The stored form of an API secret: long and random, so a plain hash is enough."""
    return hashlib.sha256(text.encode()).hexdigest()


def _write(vault: Vault, key_id: int, issued_s: int) -> str:
    head = key_id.to_bytes(4, "big") + issued_s.to_bytes(4, "big")
    return (head + vault.mac(b"token" + head)[:12]).hex()


def _read(vault: Vault, text: str) -> tuple[int, int] | None:
    if len(text) != 40:
        return None
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        return None
    if not hmac.compare_digest(raw[8:], vault.mac(b"token" + raw[:8])[:12]):
        return None
    return int.from_bytes(raw[:4], "big"), int.from_bytes(raw[4:8], "big")


def _secret_fits(key: stores.ApiKey, secret: str, now: Instant) -> bool:
    given = sha256_hex(secret)
    if hmac.compare_digest(given, key.secret_sha256):
        return True
    old_is_good = key.old_secret_sha256 is not None and now < (key.old_secret_until or 0)
    return old_is_good and hmac.compare_digest(given, key.old_secret_sha256 or "")


def _issue(vault: Vault, imp_key: str, secret: str, now: Instant) -> Tx[Token]:
    key = yield from stores.api_key(imp_key, lock=True)
    if key is None or key.revoked or not _secret_fits(key, secret, now):
        raise Refused(Why.KEY_WRONG)
    issued, expires = key.token_issued_at, key.token_expires_at
    if issued is None or expires is None or now >= expires or now < issued:
        # Whole seconds, because the token carries seconds and V1 speaks seconds.
        issued = Instant(max(now // SECOND * SECOND, key.tokens_from or 0))
        expires = Instant(issued + LIFETIME_MS)
        yield from stores.set_token(key.id, issued, expires)
    elif expires - now < LAST_MINUTE_MS:
        expires = Instant(expires + EXTENSION_MS)
        yield from stores.set_token(key.id, issued, expires)
    return Token(_write(vault, key.id, issued // SECOND), expires, now)


async def get_token(cx: Context, imp_key: str | None, imp_secret: str | None) -> Token:
    """The key's access token. The same until it expires; in its last minute it lives 5 minutes longer.

    Raises Refused (KEY_MISSING, KEY_WRONG).
    """
    if not imp_key or not imp_secret:
        raise Refused(Why.KEY_MISSING)
    imp_key = _SPELLINGS.get(imp_key, imp_key)
    return await cx.db.write(_issue, cx.vault, imp_key, imp_secret, cx.clock())


def key_id_of(vault: Vault, token: str) -> int | None:
    """Whose key a token of ours was made for, still good or not; None for what is no token of ours."""
    parts = _read(vault, token)
    return parts[0] if parts else None


async def authenticate(cx: Context, token: str | None, remote: str) -> Caller:
    """Who presents this token. Raises Refused (UNAUTHORIZED, IP_BLOCKED) before anything else happens.

    What was found is believed for a second, like everything that it was found in (`Context`).
    """
    now = cx.clock()
    good = cx.good_tokens.get(token or "")
    if good is not None and 0 <= now - good[0] < SECOND and now < good[1]:
        return good[2]
    parts = cx.read_tokens.get(token) if token else None
    if parts is None or token is None:
        parts = _read(cx.vault, token) if token else None
        if parts is None or token is None:
            raise Refused(Why.UNAUTHORIZED)
        if len(cx.read_tokens) >= MOST_READ:
            cx.read_tokens.clear()
            cx.good_tokens.clear()
        cx.read_tokens[token] = parts
    key_id, issued_s = parts
    key = await cx.api_key(key_id)
    if key is not None and now >= _expiry(key, issued_s) + GRACE_MS:
        key = await cx.db.glance(stores.api_key_by_id, key_id)  # it may have been prolonged this second
    if key is None or key.revoked or now >= _expiry(key, issued_s) + GRACE_MS:
        raise Refused(Why.UNAUTHORIZED)
    if key.tokens_from is not None and issued_s * SECOND < key.tokens_from:  # its secret was replaced at once
        raise Refused(Why.UNAUTHORIZED)
    store = await cx.store(key.store_id)
    who = Caller(key.store_id, key.id)
    if not store.allowed_ips:
        cx.good_tokens[token] = (now, Instant(_expiry(key, issued_s) + GRACE_MS), who)
    elif not _inside(remote, store.allowed_ips):
        raise Refused(Why.IP_BLOCKED, remote=remote)
    return who


def _expiry(key: stores.ApiKey, issued_s: int) -> int:
    """When a token ends (UTC ms): the key's current one may have been prolonged, older ones were not."""
    if key.token_issued_at == issued_s * SECOND and key.token_expires_at:
        return key.token_expires_at
    return issued_s * SECOND + LIFETIME_MS


def _inside(remote: str, networks: tuple[str, ...]) -> bool:
    try:
        address = ipaddress.ip_address(remote)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(n, strict=False) for n in networks)
