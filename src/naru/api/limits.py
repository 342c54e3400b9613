"""How often somebody may get it wrong. Only failures count, so nobody who gets it right is ever held up;
but for payment windows, which anybody may open and each of which is a row: those are counted all.

Counted in each process by itself: several of them allow so many times more, which is still far too few
to guess a secret or to fill a disk.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from naru.domain.refusal import Refused, Why
from naru.domain.values import MINUTE

MOST_KEYS = 10_000


@dataclass(slots=True)
class Limit:
    """At most *most* failures per key and minute of the clock."""

    most: int
    _seen: OrderedDict[str, tuple[int, int]] = field(default_factory=OrderedDict)

    def failed(self, key: str, now: int) -> None:
        """One more failure."""
        minute, count = self._seen.pop(key, (0, 0))
        this = now // MINUTE
        self._seen[key] = (this, count + 1 if minute == this else 1)
        while len(self._seen) > MOST_KEYS:
            self._seen.popitem(last=False)

    def spent(self, key: str, now: int) -> bool:
        """Whether the key has used up this minute."""
        minute, count = self._seen.get(key, (0, 0))
        return minute == now // MINUTE and count >= self.most

    def demand(self, key: str, now: int) -> None:
        """Raises Refused (TOO_MANY) when the key has used up this minute."""
        if self.spent(key, now):
            raise Refused(Why.TOO_MANY)


@dataclass(slots=True)
class Limits:
    """The limits of one process."""

    keys: Limit = field(default_factory=lambda: Limit(20))
    """Wrong secrets per caller and key."""
    callers: Limit = field(default_factory=lambda: Limit(300))
    """Wrong secrets per caller: behind a proxy that is not named as trusted, all callers are one."""
    notices: Limit = field(default_factory=lambda: Limit(120))
    """Notis per sender that are not sealed with a key of ours; more of those are refused without being kept."""
    windows: Limit = field(default_factory=lambda: Limit(600))
    """Windows per address. A telephone company's address is that of many buyers, so there may be many."""
