"""What a payment gateway may answer: five things, not two.

A timeout, a broken connection, an unreadable, wrongly signed or unlisted answer is *unknown*, never
*declined*: nobody knows whether the money moved, and only asking again can tell.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from naru.domain.values import Instant, Won


class Sealed:
    """Text that must not be shown: a billing key on its way to the store."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself; every use can be found by this name."""
        return self._text

    def __repr__(self) -> str:
        return "Sealed(***)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a sealed text is not pickled")


@dataclass(frozen=True, slots=True)
class Details:
    """What the PG told about a trade beside its amount. ``None`` means "not told"."""

    apply_num: str | None = None
    card_code: str | None = None
    """PortOne's three-digit code."""
    card_name: str | None = None
    card_number: str | None = None
    """Masked by the PG."""
    card_quota: int | None = None
    bank_code: str | None = None
    bank_name: str | None = None
    emb_pg_provider: str | None = None
    depositor: str | None = None
    account_bank: str | None = None
    account_bank_name: str | None = None
    account_number: str | None = None
    account_holder: str | None = None
    account_due: Instant | None = None
    receipt_id: str | None = None
    """Approval number of a cash receipt that the PG issued by itself."""


@dataclass(frozen=True, slots=True)
class Done:
    """The PG did it. *amount* and *pg_tid* are what the PG says, to be compared with the question."""

    pg_tid: str
    """The PG's number of this trade; empty when an inquiry proved a cancel without telling its number."""
    amount: Won
    at: Instant
    details: Details = field(default_factory=Details)
    balance: Won | None = None
    """What the PG says is left to cancel, when it says so."""
    billing_key: Sealed | None = None
    also_cancelled: Won = Won(0)  # noqa: RUF009
    """An inquiry about a payment found this much of it cancelled already."""
    deposit: bool = False
    """About a virtual account: its money came in. (Without this, *done* says that the account was issued.)"""


@dataclass(frozen=True, slots=True)
class Pending:
    """The PG has it and is still working on it (ST38)."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The PG was asked and refused, in a listed code of its own."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """We are sure that the PG never had it: no byte left, or it says so, late enough and twice."""

    message: str


@dataclass(frozen=True, slots=True)
class NoSuchTrade:
    """An inquiry found nothing. Not yet proof: the request may still be travelling."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows. *mismatch* marks an answer that belongs to another question: a person must look."""

    message: str
    code: str = ""
    mismatch: bool = False


Outcome: TypeAlias = Done | Pending | Declined | NotSent | Unknown
Finding: TypeAlias = Done | Pending | Declined | NoSuchTrade | Unknown
"""What an inquiry may find."""
