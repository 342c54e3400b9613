"""Cash receipts (현금영수증): what may be asked of the tax office, and what became of it.

A receipt is no money, but it is asked like money: the number is committed before anything is sent,
a result that nobody knows is found out by asking, and nothing is issued twice.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Final, assert_never

from naru.domain.outcome import Declined, Done, NotSent, Outcome, Pending, Unknown
from naru.domain.payment import MONEY_IN, OPEN, Account, Op, Payment, State, Status, show
from naru.domain.refusal import Refused, Why
from naru.domain.tax import Split
from naru.domain.values import Instant, Won, kst_date, won

METHODS: Final = ("trans", "vbank")
"""Card and phone payments are receipts by themselves."""


class Ask(enum.StrEnum):
    """What is asked of the tax office."""

    ISSUE = "issue"
    CANCEL = "cancel"


class Kind(enum.StrEnum):
    """Who the receipt is for: a person's income deduction, or a company's proof of expense."""

    PERSON = "person"
    COMPANY = "company"


class Identifier(enum.StrEnum):
    """What the buyer is identified by (PortOne's words)."""

    PERSON = "person"  # resident registration number
    BUSINESS = "business"
    PHONE = "phone"
    CARD = "taxcard"


_DIGITS: Final = {
    Identifier.PERSON: (13, 13), Identifier.BUSINESS: (10, 10), Identifier.PHONE: (10, 11), Identifier.CARD: (13, 18),
}  # fmt: skip


def check_identifier(kind: Identifier, digits: str) -> None:
    """Whether *digits* can be an identifier of this kind. Raises Refused (PARAMETER), never showing it."""
    least, most = _DIGITS[kind]
    good = digits.isascii() and digits.isdigit() and least <= len(digits) <= most
    if kind is Identifier.PHONE:
        good = good and digits.startswith("01")
    if not good:
        length = f"{least}자리" if least == most else f"{least}~{most}자리"
        raise Refused(Why.PARAMETER, name="identifier", problem=f"{kind}은(는) {length} 숫자여야 합니다")


def masked(digits: str) -> str:
    """What is kept of an identifier."""
    return digits[:3] + "*" * (len(digits) - 5) + digits[-2:]


@dataclass(frozen=True, slots=True)
class Receipt:
    """One question about a cash receipt. A cancel names the issue it takes back."""

    id: str
    """``transNo``: unique for ever at Hecto."""
    ask: Ask
    state: State
    parts: Split
    kind: Kind
    asked_at: Instant
    tid: str = ""
    """The deposit it is for, on a fixed-unlimited account; empty: the payment."""
    org_id: str = ""
    settled_at: Instant | None = None
    auth_no: str | None = None
    sale_at: Instant | None = None
    """When the money came, where Naru knows."""

    @property
    def dated(self) -> Instant:
        """``trDt``, the time that the receipt is dated with: the sale's, which decides in which year the buyer may
        deduct it, not the time of our request (which Hecto tells apart: M29 gives a cancel's as "API request time").
        A sale outside Naru and a cancel are dated when they are asked."""
        return self.asked_at if self.sale_at is None else self.sale_at

    @property
    def is_open(self) -> bool:
        """Whether the result is still to come."""
        return self.state in OPEN


def live(receipts: list[Receipt]) -> list[Receipt]:
    """Receipts that stand, oldest first: issued and not taken back."""
    gone = {r.org_id for r in receipts if r.ask is Ask.CANCEL and r.state is State.DONE}
    return [r for r in receipts if r.ask is Ask.ISSUE and r.state is State.DONE and r.id not in gone]


def demand_quiet(receipts: list[Receipt]) -> None:
    """One question at a time. Raises Refused (RECEIPT_BUSY)."""
    if any(r.is_open for r in receipts):
        raise Refused(Why.RECEIPT_BUSY)


def amount_to_issue(p: Payment, receipts: list[Receipt], tid: str | None, by_pg: bool) -> Won:
    """How much a receipt of this payment is for: what is left of it, or of one deposit, and has none yet (KRW).

    *by_pg*: the PG issued one by itself in its window. Raises Refused.
    """
    if p.pay_method not in METHODS:
        raise Refused(Why.RECEIPT_METHOD)
    paid = show(p).status in (Status.PAID, Status.CANCELLED) and p.received and not p.voided
    if not paid or p.left == 0:
        raise Refused(Why.RECEIPT_NOT_PAID)
    demand_quiet(receipts)
    standing = live(receipts)
    if by_pg or (standing and p.account is not Account.UNLIMITED):
        raise Refused(Why.RECEIPT_ALREADY)
    covered = sum(r.parts.total for r in standing)
    if tid:
        if not any(e.kind in MONEY_IN and e.pg_tid == tid for e in p.entries):
            raise Refused(Why.PARAMETER, name="pg_tid", problem="이 결제의 입금이 아닙니다")
        if any(r.tid == tid for r in standing):
            raise Refused(Why.RECEIPT_ALREADY)
        wanted = p.left_of(tid)
    else:
        wanted = p.left - covered
    if wanted <= 0 or covered + wanted > p.left:
        raise Refused(Why.RECEIPT_ALREADY)
    return won(wanted)


def tax_free_left(p: Payment) -> Won:
    """The tax-free part of what is left of a payment (KRW)."""
    back = sum(a.tax_free for a in p.attempts if a.op is Op.CANCEL and a.state is State.DONE)
    return won(min(p.left, max(p.tax_free - back, 0)))


def to_cancel(receipts: list[Receipt], tid: str | None, now: Instant) -> Receipt:
    """The receipt that a cancel means: the newest that stands, or that of one deposit.

    Raises Refused (RECEIPT_NONE, RECEIPT_BUSY, RECEIPT_TOO_LATE).
    """
    demand_quiet(receipts)
    found = [r for r in live(receipts) if not tid or r.tid == tid]
    if not found:
        raise Refused(Why.RECEIPT_NONE)
    receipt = found[-1]
    if kst_date(receipt.asked_at)[:4] != kst_date(now)[:4]:  # Hecto: within the calendar year only
        raise Refused(Why.RECEIPT_TOO_LATE, year=kst_date(receipt.asked_at)[:4])
    return receipt


@dataclass(frozen=True, slots=True)
class News:
    """What changes on a receipt's row."""

    receipt: Receipt
    code: str | None = None
    message: str | None = None


def apply(receipt: Receipt, outcome: Outcome, now: Instant) -> News | None:
    """News about a question; None when it changes nothing. A final result stays: only *done* overrules."""
    if receipt.state is State.DONE:
        return None
    match outcome:
        case Done():
            return News(replace(receipt, state=State.DONE, settled_at=now, auth_no=outcome.pg_tid), "0000")
        case Declined() if receipt.is_open:
            return News(replace(receipt, state=State.DECLINED, settled_at=now), outcome.code, outcome.message)
        case NotSent() if receipt.is_open:
            return News(replace(receipt, state=State.NOT_SENT, settled_at=now), None, outcome.message)
        case Pending() if receipt.is_open:
            return News(replace(receipt, state=State.PENDING), outcome.code, outcome.message)
        case Unknown() if receipt.is_open:
            return News(replace(receipt, state=State.UNKNOWN), outcome.code or None, outcome.message)
        case Declined() | NotSent() | Pending() | Unknown():
            return None
        case _:
            assert_never(outcome)
