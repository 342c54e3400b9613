"""The one clock. Everything that depends on time is handed one; nothing else reads the time."""

from __future__ import annotations

import time
from typing import Protocol

from naru.domain.values import Instant


class Clock(Protocol):
    """Says what time it is."""

    def __call__(self) -> Instant:
        """Now, in UTC epoch milliseconds."""
        ...


class SystemClock:
    """The machine's clock, with an offset that development may move."""

    def __init__(self, offset_ms: int = 0) -> None:
        self.offset_ms = offset_ms

    def __call__(self) -> Instant:
        return Instant(time.time_ns() // 1_000_000 + self.offset_ms)  # noqa: TID251 - here is the clock


class ManualClock:
    """A clock for tests: stands still until it is moved."""

    def __init__(self, at: int = 1_790_000_000_000) -> None:
        self.at = at

    def __call__(self) -> Instant:
        return Instant(self.at)

    def advance(self, ms: int) -> None:
        """Move forward by *ms* milliseconds."""
        self.at += ms
