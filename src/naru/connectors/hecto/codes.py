"""Hecto's codes: what a refusal proves, and how issuers and banks are named north.

A code that is not listed here is *unknown*, never *declined*.
Source: the code table of Hecto's specification (Hecto's specification), issuers §4.3, banks §4.4.
"""

from __future__ import annotations

from typing import Final

from naru.domain import standard


def _span(prefix: str, first: int, last: int) -> set[str]:
    return {f"{prefix}{n:02d}" for n in range(first, last + 1)}


PENDING: Final = frozenset({"ST38"})

_PARAMETERS = {f"10{n:02d}" for n in range(1, 14)} | {f"11{n:02d}" for n in range(1, 28)} | {"1901", "1902", "6001"}
_COMMON = {
    "0009", "2001", "2002", "2003", "3007", "5001", "5002", "5003", "5004", "5005", "5006", "ST01", "ST06", "ST07",
    "ST08", "ST09", "ST11", "ST13", "ST19", "ST24", "ST26", "ST30", "ST32", "ST41", "ST45", "ST46", "ST47", "ST48",
    "ST54", "ST55", "ST56", "ST57", "ST58", "ST68", "ST69", "ST70", "0004", "0005",
}  # fmt: skip
_CARD = (
    _span("CA", 1, 4) | {"CA10", "CA11"} | _span("CA", 13, 38) | _span("CA", 40, 42) | _span("CA", 50, 65)
    | {"CA70", "CA75", "CA80", "CA81", "CA82", "CA83", "CA84", "CA85", "CA87", "CA88", "J999", "8373", "8375", "0905"}
)  # fmt: skip
_MOBILE = (
    _span("MP", 1, 33) | _span("MP", 37, 45) | {"MP50", "MP51"} | _span("MP", 60, 78) | {"MP80", "MP81", "MP94"}
    | {"MP95", "MP96", "MP98", "MP99"}
)  # fmt: skip
_BANK = (
    {"RA01", "RA02", "RA03", "RA04", "RA05", "RA17", "RA20", "RA21", "RA85", "RA88"} | _span("RA", 10, 15)
    | _span("RA", 30, 32) | {"RA34", "RA35", "RA40", "RA41"} | _span("RA", 80, 84) | {"RA86", "RA87"}
)  # fmt: skip
DECLINED: Final = frozenset(_PARAMETERS | _COMMON | _CARD | _MOBILE | _BANK)
"""Codes that prove that the money did not move.

Not among them, because only asking can tell: ST03 already paid, ST25/ST39/ST50/CA12/CA86/RA16/RA33/
MP34-36/MP82 duplicates and "already cancelled" (our number is unique, so an earlier copy of this very
message may have been processed), ST10/ST60/ST79/ST99/VTIM/99xx and other failures inside Hecto.
"""

RECEIPT_DECLINED: Final = frozenset(
    {"1000", "1010", "1112", "1114", "1116", "1117", "1118", "1119", "1120", "1121", "2000"}
)
"""Codes that prove that a cash receipt was not registered.

Not among them: 1111 (a failure inside), and 1113 and 1115 ("already cancelled", "already registered"):
our number is unique, so an earlier copy of this very message may have been processed.
"""
IDENTITY: Final = {"taxcard": "1", "person": "2", "business": "3", "phone": "4"}
"""PortOne's identifier_type → identityGb."""

NO_SUCH_TRADE: Final = frozenset({"ST06", "CA10", "RA35", "MP03", "RA34"})
NO_SUCH_KEY: Final = frozenset({"ST06"})
"""A billing key that Hecto does not know (any more): no code is documented for it."""

METHOD: Final = {"card": "CA", "trans": "RA", "vbank": "VA", "phone": "MP"}
PAY_METHOD: Final = {v: k for k, v in METHOD.items()}

ISSUERS: Final = {
    "BCC": ("361", "BC카드"), "KBC": ("381", "KB국민카드"), "HNC": ("374", "하나카드"), "SSC": ("365", "삼성카드"),
    "SHN": ("366", "신한카드"), "WRI": ("041", "우리카드"), "HDC": ("367", "현대카드"), "LTC": ("368", "롯데카드"),
    "NHC": ("371", "NH카드"),
    "007": ("369", "수협카드"), "035": ("373", "제주은행카드"), "034": ("364", "광주카드"),
    "037": ("372", "전북은행카드"), "027": ("370", "씨티카드"),
    "050": ("050", "저축은행카드"), "071": ("071", "우체국카드"),
    "048": ("048", "신협카드"), "002": ("002", "KDB산업은행카드"), "090": ("090", "카카오뱅크카드"),
    "089": ("089", "케이뱅크카드"), "247": ("045", "새마을금고카드"), "092": ("092", "토스뱅크카드"),
}  # fmt: skip
"""Hecto's issuer code → (PortOne's card_code, name)."""

BANKS: Final = standard.BANKS
VBANK_BANKS: Final = ("003", "004", "011", "020", "023", "031", "032", "034", "039", "071", "081", "088", "089")
"""Banks that issue virtual accounts (S1)."""


def issuer(code: str | None, name: str | None) -> tuple[str | None, str | None]:
    """PortOne's card_code and card_name for what Hecto calls an issuer."""
    if code and (known := ISSUERS.get(code)):
        return known
    return None, name or None


def bank(code: str | None, name: str | None) -> tuple[str | None, str | None]:
    """A three-digit bank code (Hecto may drop the leading zero) and the bank's name."""
    if not code:
        return None, name or None
    full = code.zfill(3)
    return full, BANKS.get(full, name or None)
