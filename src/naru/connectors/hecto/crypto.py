"""Hecto's two primitives: AES-256/ECB for single fields, SHA-256 seals over joined fields.

ECB has no IV and no authentication: it is Hecto's choice, not ours. What protects a message is the
seal, and what protects an answer is comparing it with the question.
"""

import base64
import binascii
import hashlib
import hmac
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

_BLOCK = 16
_MAX_CIPHERTEXT = 32_768  # longest field is mchtParam, 4,000 bytes; anything near this is not a field


class NotEncrypted(ValueError):
    """The text is not Base64 of AES blocks under this key. Carries nothing of the text."""


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """One merchant's pair (per MID): the seal key (라이센스키) and the 32-byte AES key (암호화 키)."""

    hash_key: str
    aes_key: str

    def __post_init__(self) -> None:
        if not self.hash_key:
            raise ValueError("the hash key is empty")
        if len(self.aes_key) != 32 or not self.aes_key.isascii():
            raise ValueError("the AES key must be 32 ASCII characters")

    def __repr__(self) -> str:
        return "Keys(…)"


class _Contexts(threading.local):
    """Per thread and key, one encryptor and one decryptor.

    Whole blocks in ECB leave no state behind, so a context serves for ever; making one costs more
    than the encryption of a field.
    """

    def __init__(self) -> None:
        self.by_key: dict[str, tuple[CipherContext, CipherContext]] = {}

    def of(self, aes_key: str) -> tuple[CipherContext, CipherContext]:
        pair = self.by_key.get(aes_key)
        if pair is None:
            if len(self.by_key) >= 256:
                self.by_key.clear()
            cipher = Cipher(algorithms.AES(aes_key.encode("ascii")), modes.ECB())  # noqa: S305
            pair = self.by_key[aes_key] = (cipher.encryptor(), cipher.decryptor())
        return pair


_contexts = _Contexts()


def encrypt(text: str, aes_key: str) -> str:
    """AES-256/ECB/PKCS7 of the UTF-8 bytes, as Base64 without line breaks."""
    raw = text.encode()
    pad = _BLOCK - len(raw) % _BLOCK
    return base64.b64encode(_contexts.of(aes_key)[0].update(raw + bytes([pad]) * pad)).decode("ascii")


def decrypt(text: str, aes_key: str) -> str:
    """The plain text of one field. Raises NotEncrypted.

    A space is read as "+": Base64 in a form whose "+" was not percent-encoded arrives that way.
    """
    if len(text) > _MAX_CIPHERTEXT:
        raise NotEncrypted
    text = text.replace(" ", "+")
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NotEncrypted from None
    # One text per value: Python would let the unused bits of the last character vary.
    if not raw or len(raw) % _BLOCK or base64.b64encode(raw).decode("ascii") != text:
        raise NotEncrypted
    padded = _contexts.of(aes_key)[1].update(raw)
    pad = padded[-1]
    if not 1 <= pad <= _BLOCK or padded[-pad:] != bytes([pad]) * pad:
        raise NotEncrypted
    try:
        return padded[:-pad].decode()
    except UnicodeDecodeError:
        raise NotEncrypted from None


def seal(parts: Iterable[str], hash_key: str) -> str:
    """SHA-256 of the parts joined without separators, the key last, as lower-case hex."""
    return hashlib.sha256(("".join(parts) + hash_key).encode()).hexdigest()


def same_seal(one: str, other: str) -> bool:
    """Constant-time comparison; hex may come in upper case (Hecto's own inquiry example does)."""
    return hmac.compare_digest(one.lower().encode(), other.lower().encode())
