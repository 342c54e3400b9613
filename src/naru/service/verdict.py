"""What becomes of a noti."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """A word, a note for the operator, the payment it belongs to."""

    word: str
    note: str | None = None
    imp_uid: str | None = None

    @property
    def ok(self) -> bool:
        """Whether Hecto may stop sending it."""
        return self.word in ("applied", "again", "noted")
