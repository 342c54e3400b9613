"""Secrets at rest: AES-256-GCM under a master key that is not in the database.

A sealed value is bound to its place (table, column, row), so that moving it elsewhere breaks it.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = b"\x01"


class WrongMasterKey(Exception):
    """A sealed value does not open: the master key is another one, or the value was moved or altered."""


class Vault:
    """Seals and opens secrets with the master key (32 bytes)."""

    def __init__(self, master_key: bytes) -> None:
        self._aead = AESGCM(hashlib.sha256(b"naru at rest" + master_key).digest())
        self._token_key = hashlib.sha256(b"naru tokens" + master_key).digest()

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
        """A keyed hash, for access tokens and signed addresses."""
        return hmac.digest(self._token_key, message, "sha256")
