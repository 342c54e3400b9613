"""Money, ids and time as the domain speaks of them.

Money is whole KRW. Instants are UTC epoch milliseconds. PortOne V1 speaks unix seconds with 0 for
"never"; Hecto speaks KST ``yyyyMMdd`` and ``HHmmss``. Every conversion between the three is here.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final, NewType

Instant = NewType("Instant", int)
"""UTC epoch milliseconds."""
Won = NewType("Won", int)
"""Whole KRW, 0 … MAX_WON. Direction is the entry's kind, never a sign."""
ImpUid = NewType("ImpUid", str)
MerchantUid = NewType("MerchantUid", str)
AttemptId = NewType("AttemptId", str)
"""Our order number at Hecto (``mchtTrdNo``): unique for ever, committed before it is sent."""

MAX_WON: Final = 10**12
SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
KST_AHEAD: Final = 9 * HOUR
"""Korea keeps UTC+9 all year, so KST is plain arithmetic."""

_EPOCH: Final = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - arithmetic on a naive KST wall clock
_KST14: Final = re.compile(r"\d{14}\Z")


def won(amount: int) -> Won:
    """Check that *amount* is money we handle. Raises ValueError for anything else."""
    if type(amount) is not int or not 0 <= amount <= MAX_WON:
        raise ValueError(f"not an amount of KRW: {amount!r}")
    return Won(amount)


def _wall(at: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(milliseconds=at + KST_AHEAD)


def kst_date(at: int) -> str:
    """The KST day of an instant, ``yyyyMMdd``."""
    wall = _wall(at)
    return f"{wall.year:04d}{wall.month:02d}{wall.day:02d}"


def kst_time(at: int) -> str:
    """The KST time of day of an instant, ``HHmmss``."""
    wall = _wall(at)
    return f"{wall.hour:02d}{wall.minute:02d}{wall.second:02d}"


def kst_stamp(at: int) -> str:
    """``yyyyMMddHHmmss`` in KST."""
    return _wall(at).strftime("%Y%m%d%H%M%S")


def from_kst(stamp: str) -> Instant:
    """``yyyyMMddHHmmss`` in KST to an instant. Raises ValueError when it is no such time."""
    if not _KST14.match(stamp):
        raise ValueError(f"not yyyyMMddHHmmss: {stamp!r}")
    # By hand: `strptime` takes thirty times as long, and every noti has a time.
    wall = dt.datetime(  # noqa: DTZ001 - as above
        int(stamp[:4]), int(stamp[4:6]), int(stamp[6:8]), int(stamp[8:10]), int(stamp[10:12]), int(stamp[12:])
    )
    return Instant(int((wall - _EPOCH).total_seconds()) * SECOND - KST_AHEAD)


def kst_midnight(at: int) -> Instant:
    """The instant at which the KST day of *at* began."""
    return Instant((at + KST_AHEAD) // DAY * DAY - KST_AHEAD)


def kst_month(at: int) -> str:
    """The KST calendar month of an instant, ``yyyyMM``."""
    return _wall(at).strftime("%Y%m")


def unix(at: int | None) -> int:
    """V1's way to write a time: unix seconds, 0 for never."""
    return 0 if at is None else at // SECOND


def from_unix(seconds: int) -> Instant:
    """V1's unix seconds to an instant."""
    return Instant(seconds * SECOND)
