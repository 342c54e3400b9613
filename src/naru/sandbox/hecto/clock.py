"""The sandbox's clock: real time plus an offset that lives in its book, spoken in KST on the wire."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import lru_cache

KST = timezone(timedelta(hours=9))
SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def real_ms() -> int:
    """UTC epoch milliseconds of the machine: the one place of the sandbox that asks it."""
    return time.time_ns() // 1_000_000  # noqa: TID251


class Clock:
    """`now()` in UTC epoch milliseconds. Everything that depends on time asks it."""

    def __init__(self, offset_ms: int = 0, real: Callable[[], int] = real_ms) -> None:
        self.offset_ms = offset_ms
        self._real = real

    def now(self) -> int:
        return self._real() + self.offset_ms


def kst(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, KST)


@lru_cache(maxsize=256)
def _stamp(second: int) -> str:
    return datetime.fromtimestamp(second, KST).strftime("%Y%m%d%H%M%S")


def stamp(ms: int) -> str:
    """KST yyyyMMddHHmmss."""
    return _stamp(ms // 1000)


def day_of(ms: int) -> str:
    """KST yyyyMMdd."""
    return _stamp(ms // 1000)[:8]


def shown(ms: int) -> str:
    """For people: KST yyyy-MM-dd HH:mm:ss."""
    return kst(ms).strftime("%Y-%m-%d %H:%M:%S")


def parse_stamp(text: str) -> int | None:
    """UTC epoch milliseconds of a KST yyyyMMddHHmmss; None if it is not a time."""
    if len(text) != 14 or not (text.isascii() and text.isdigit()):
        return None
    year, *rest = int(text[:4]), *(int(text[at : at + 2]) for at in range(4, 14, 2))
    try:
        return int(datetime(year, *rest, tzinfo=KST).timestamp()) * 1000
    except ValueError:
        return None


def day_start(ms: int) -> int:
    """The KST midnight that began this day."""
    return int(kst(ms).replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000)


def days_later(day: str, days: int) -> str:
    """The KST day that many days after a yyyyMMdd."""
    return (datetime.strptime(day, "%Y%m%d").replace(tzinfo=KST) + timedelta(days=days)).strftime("%Y%m%d")
