"""Card credentials: values that live in memory for one call and cannot be shown, encoded or kept.

Only the north wire that receives them, the use case that hands them on and the connector that sends
them may know this module (an import contract holds that).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

_DIGITS = re.compile(r"\d{13,19}\Z")


class _Hidden:
    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself. Call it in the connector only, as late as possible."""
        return self._value

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} is not pickled")

    __reduce_ex__ = __reduce__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        return bool(self._value)


class CardNumber(_Hidden):
    """A card number. Shown, it is masked: ``411111******1111``."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> CardNumber | None:
        """Digits with optional hyphens or spaces between; ``None`` for anything that is no number."""
        digits = re.sub(r"[\s-]", "", text)
        return cls(digits) if _DIGITS.match(digits) else None

    @property
    def masked(self) -> str:
        """The first six and the last four digits."""
        v = self._value
        return f"{v[:6]}{'*' * (len(v) - 10)}{v[-4:]}"

    @property
    def plausible(self) -> bool:
        """Whether its check digit fits. The card company decides; this only chooses what to say first."""
        total = 0
        for place, digit in enumerate(reversed(self._value)):
            n = int(digit) * (2 if place % 2 else 1)
            total += n - 9 if n > 9 else n
        return total % 10 == 0

    def __repr__(self) -> str:
        return f"CardNumber({self.masked})"

    __str__ = __repr__


class CardSecret(_Hidden):
    """Expiry, birth date, password digits, CVC, escrow password."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Card:
    """The credentials of one call."""

    number: CardNumber
    expiry: CardSecret
    """``yyyyMM``."""
    birth: CardSecret | None
    """``yyMMdd`` or a ten-digit business number."""
    password2: CardSecret | None
    """The first two digits of the card's password."""
