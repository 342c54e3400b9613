"""Secrets at rest: AES-256-GCM under a master key that is not in the database.

A sealed value is bound to its place (table, column, row), so that moving it elsewhere breaks it.
"""

from __future__ import annotations

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = b"\x01"
_IPAD = bytes(b ^ 0x36 for b in range(256))
_OPAD = bytes(b ^ 0x5C for b in range(256))


class WrongMasterKey(Exception):
    """A sealed value does not open: the master key is another one, or the value was moved or altered."""


class Vault:
    """Seals and opens secrets with the master key (32 bytes)."""

    def __init__(self, master_key: bytes) -> None:
        self._aead = AESGCM(hashlib.sha256(b"naru at rest" + master_key).digest())
        token_key = hashlib.sha256(b"naru tokens" + master_key).digest()
        # HMAC with the key's part done once: setting the library's own up takes longer than the hash.
        self._inner = hashlib.sha256(token_key.ljust(64, b"\0").translate(_IPAD))
        self._outer = hashlib.sha256(token_key.ljust(64, b"\0").translate(_OPAD))

    def seal(self, text: str, place: str) -> bytes:
        """Encrypt *text* for *place*."""
        nonce = os.urandom(12)
        return _VERSION + nonce + self._aead.encrypt(nonce, text.encode(), place.encode())

    def open(self, sealed: bytes, place: str) -> str:
        """Decrypt what was sealed for *place*. Raises WrongMasterKey."""
        try:
            return self._aead.decrypt(bytes(sealed[1:13]), bytes(sealed[13:]), place.encode()).decode()
        except InvalidTag:
            raise WrongMasterKey(place) from None

    def mac(self, message: bytes) -> bytes:
        """A keyed hash (HMAC with SHA-256), for access tokens and signed addresses."""
        inner = self._inner.copy()
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()
