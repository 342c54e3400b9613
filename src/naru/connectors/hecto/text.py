"""Text and tax as Hecto's fields take them."""

from __future__ import annotations

import hashlib
import re

from naru.domain.tax import split

_FORBIDDEN = re.compile(r"[:&?'\"<>\r\n\t\x00-\x1f|]")
_WORDS = re.compile(r"href|alert|javascript|console\.log", re.IGNORECASE)
_EMOJI = re.compile("[\U00010000-\U0010ffff\u200d\u2600-\u27bf\ufe0f]")


def clean(text: str | None, most: int, default: str = "") -> str:
    """*text* without what Hecto forbids or strips (Hecto's specification), cut to *most* bytes of UTF-8."""
    out = _WORDS.sub(" ", _EMOJI.sub("", _FORBIDDEN.sub(" ", text or "")))
    out = re.sub(r" {2,}", " ", out).strip() or default
    return out.encode()[:most].decode(errors="ignore").strip() or default


def identifier(text: str, most: int = 50) -> str:
    """An id in ASCII without Hangul, at most *most* bytes: itself where it fits, else a digest of it."""
    if text.isascii() and len(text) <= most and not _FORBIDDEN.search(text) and not _WORDS.search(text):
        return text
    return hashlib.sha256(text.encode()).hexdigest()[: min(most, 40)]


def tax(amount: int, tax_free: int, vat: int | None = None, *, mixed: bool | None = None) -> dict[str, str]:
    """Hecto's tax fields of an amount (KRW) with a tax-free part (Hecto's specification).

    Wholly taxable: no fields, the merchant's setting holds. VAT is an eleventh of the taxable part,
    rounded on the supply value (1,000 → 909 + 91), unless the shop says how much it is. *mixed* keeps
    the split on a cancel of a mixed payment even when this part of it is all of one kind.
    """
    if tax_free == 0 and vat is None and not mixed:
        return {}
    if tax_free == amount and not mixed:
        return {"taxTypeCd": "Y", "taxAmt": "0", "vatAmt": "0", "taxFreeAmt": str(amount)}
    parts = split(amount, tax_free, vat)
    kind = "G" if tax_free or mixed else "N"
    fields = {"taxTypeCd": kind, "taxAmt": str(parts.supply), "vatAmt": str(parts.vat)}
    if kind == "G":
        fields["taxFreeAmt"] = str(tax_free)
    return fields


def masked(number: str | None) -> str | None:
    """A card number as Hecto masked it; anything unmasked is masked here, whatever Hecto says."""
    if not number:
        return None
    digits = re.sub(r"[\s-]", "", number)
    if digits.isdigit() and len(digits) >= 13:
        return f"{digits[:6]}{'*' * (len(digits) - 10)}{digits[-4:]}"
    return digits.replace("x", "*").replace("X", "*")[:24]
