"""What the use cases need from a payment gateway, and nothing about how one is spoken to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from naru.domain.channel import Channel
from naru.domain.deadlines import RefundTo
from naru.domain.outcome import Details, Finding, Outcome, Sealed
from naru.domain.payment import Account
from naru.domain.tax import Split
from naru.domain.values import AttemptId, ImpUid, Instant, Won
from naru.pan import Card, CardSecret


@dataclass(frozen=True, slots=True)
class CardPayment:
    """A payment with card credentials, or with a billing key."""

    attempt_id: AttemptId
    amount: Won
    tax_free: Won
    vat_amount: Won | None
    name: str
    buyer_name: str | None
    buyer_email: str | None
    customer_id: str
    quota: int
    """Instalment months, 0 for a lump sum."""
    card: Card | None = None
    billing_key: Sealed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPayment:
    """A payment that the buyer makes in the PG's own window."""

    attempt_id: AttemptId
    pay_method: str
    amount: Won
    tax_free: Won
    vat_amount: Won | None
    name: str
    buyer_name: str | None
    buyer_email: str | None
    buyer_tel: str | None
    customer_id: str
    opened_at: Instant
    return_url: str
    """Where the buyer's browser comes back to, whatever the result."""
    cancel_url: str
    """Where it comes back to when the buyer closes the window by its X."""
    company: str | None = None
    """Shown as the merchant; absent: the channel's own name."""
    company_en: str | None = None
    quota: int | None = None
    """Instalment months to begin with, 0 for a lump sum; absent: the buyer chooses."""
    card: str | None = None
    """PortOne's code of the only card company to offer."""
    direct: bool = False
    """Skip the choice of card company."""
    app_scheme: str | None = None
    account_due: Instant | None = None
    """Until when a virtual account may be paid into; absent: the PG's default."""
    remote: str | None = None
    """The buyer's address."""


REHEARSAL = ImpUid("imp_" + "0" * 12)
"""The number of a window payment that is only tried out: whether the PG would take its form."""


@dataclass(frozen=True, slots=True)
class WindowForm:
    """What the buyer's browser posts to open the PG's window."""

    url: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class Approval:
    """Asking for the money after the buyer was authenticated in the window of a split contract."""

    attempt_id: AttemptId
    pay_method: str
    amount: Won
    name: str
    auth_tid: str
    """The PG's number of the authentication, as the buyer's browser brought it; the PG compares it."""


@dataclass(frozen=True, slots=True)
class Landing:
    """What the buyer's browser brought back from the window. It is not signed: a reason to look, never a fact."""

    claim: str
    """paid | failed | authenticated | issued | unreadable"""
    code: str = ""
    message: str = ""
    pg_tid: str = ""
    number: str = ""
    """The order number it names."""


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """A billing key asked for without a payment."""

    attempt_id: AttemptId
    card: Card
    customer_id: str
    customer_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueAccount:
    """A virtual account to be issued. The same values under the same number are the same message."""

    attempt_id: AttemptId
    asked_at: Instant
    kind: Account
    bank: str
    number: str
    """The assigned number; empty: the PG picks one."""
    amount: Won
    """0 for an unlimited account."""
    name: str
    holder: str | None
    """Whose name the account carries on the payer's screen."""
    customer_id: str
    buyer_name: str | None = None
    buyer_email: str | None = None
    tax_free: Won = Won(0)  # noqa: RUF009
    vat_amount: Won | None = None
    due: Instant | None = None
    """None: the PG's own default, for an unlimited account no end."""
    escrow_password: CardSecret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeAccount:
    """New amount and due date of an account; what does not change is said again."""

    attempt_id: AttemptId
    asked_at: Instant
    kind: Account
    bank: str
    number: str
    amount: Won
    due: Instant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeAccount:
    """The end of an account."""

    attempt_id: AttemptId
    asked_at: Instant
    number: str
    org_tid: str
    """The PG's number of the issue."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Taking back (part of) a trade."""

    attempt_id: AttemptId
    pay_method: str
    org_tid: str
    amount: Won
    tax_free: Won
    mixed_tax: bool
    """The payment has a tax-free part, so the cancel must say how it splits."""
    round: int
    reason: str | None
    balance_after: Won
    """What should be left of the trade afterwards; an answer that says otherwise is a mismatch."""
    refund: RefundTo | None = None
    """Back to a bank account, because the way it came is closed."""


@dataclass(frozen=True, slots=True)
class Question:
    """Asking about a trade. *attempt_id* is the pay attempt's number, *amount* its amount."""

    inquiry_id: AttemptId
    attempt_id: AttemptId
    pay_method: str
    amount: Won
    asked_at: Instant
    pg_tid: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """What an inquiry found, with the total that was ever cancelled of the trade (KRW)."""

    finding: Finding
    cancelled: Won = Won(0)  # noqa: RUF009


@dataclass(frozen=True, slots=True)
class Notice:
    """A noti, read and verified: an event at the PG, in our words."""

    kind: str
    """approve | cancel | issued | deposit | revoked | reversal | refund"""
    mid: str
    pay_method: str
    pg_tid: str
    attempt_id: str
    """The order number in the noti: ours, or ``0000000`` for a fixed-unlimited deposit."""
    amount: Won
    at: Instant
    org_tid: str = ""
    details: Details = field(default_factory=Details)
    billing_key: Sealed | None = None
    sealed_for: tuple[int, ...] = ()
    """The channels whose key sealed it. Channels under one MID may have different keys: published ones prove
    nothing about a live channel."""


@dataclass(frozen=True, slots=True)
class DepositQuestion:
    """The bank asks, through the PG, whether a deposit may come in. Verified."""

    mid: str
    kind: Account
    bank: str | None
    number: str
    amount: Won
    pg_tid: str
    attempt_id: str
    sealed_for: tuple[int, ...] = ()
    """As in a noti."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A noti that cannot be read, is forged, or belongs to no MID of ours."""

    verdict: str
    """unreadable | forged | unmatched"""
    note: str
    mid: str | None = None
    trd_no: str | None = None
    mcht_trd_no: str | None = None


@dataclass(frozen=True, slots=True)
class SlipQuestion:
    """A trade whose slip the PG is to show."""

    pay_method: str
    pg_tid: str
    at: Instant


@dataclass(frozen=True, slots=True)
class CashReceipt:
    """A cash receipt to be issued, or (part of) one to be cancelled. KRW."""

    id: str
    """Our number, unique for ever."""
    at: Instant
    """When the sale was (of a cancel: when it was asked)."""
    parts: Split
    company: bool
    """Proof of expense for a company; else a person's income deduction."""
    buyer_name: str | None
    identifier_type: str = ""
    identifier: Sealed | None = None
    org_auth_no: str = ""
    org_at: Instant | None = None
    """Of a cancel: approval number and time of the issue."""


@dataclass(frozen=True, slots=True)
class ReceiptQuestion:
    """Asking what became of a cash receipt, by the number and time it was sent with."""

    id: str
    at: Instant
    cancel: bool
    amount: Won


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the PG's list of a day's trades or payouts. Amounts in KRW, positive on cancels too."""

    trd_no: str
    attempt_id: str
    """The order number on the line: ours of the original trade."""
    cancelled: bool
    at: Instant
    amount: Won
    org_tid: str = ""
    fee: int | None = None
    fee_vat: int | None = None
    payout: int | None = None
    """amount - fee - fee_vat; negative where a cancel is taken off."""
    payout_day: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """A message to the PG with its answer, redacted: fit to be kept and shown."""

    at: Instant
    took_ms: int
    store_id: int
    channel_id: int
    message: str
    name: str
    address: str
    number: str
    """The order number it was sent under."""
    result: str
    """answered | unreadable | lost | unsent | opened (a form that the buyer's browser carries)"""
    reason: str = ""
    code: str = ""
    sent: Mapping[str, str]
    got: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Letter:
    """A noti that was taken apart and not verified."""

    fields: Mapping[str, str] | None = field(repr=False)
    """None where it has no readable form."""
    mid: str | None
    """The merchant that it claims to be about."""


class Gateway(Protocol):
    """A payment gateway. Calls end within the connector's own time limits and never raise."""

    async def pay(self, channel: Channel, payment: CardPayment) -> Outcome:
        """Charge a card."""
        ...

    async def issue_key(self, channel: Channel, request: KeyRequest) -> Outcome:
        """Ask for a billing key without a payment. Done has amount 0 and, unless the PG gave none, the key."""
        ...

    async def delete_key(self, channel: Channel, attempt_id: AttemptId, key: Sealed) -> Outcome:
        """Delete a billing key. A key that the PG does not know (any more) is Done."""
        ...

    async def cancel(self, channel: Channel, cancel: Cancel) -> Outcome:
        """Take back (part of) a trade."""
        ...

    async def issue_account(self, channel: Channel, issue: IssueAccount, *, again: bool = False) -> Outcome:
        """Issue a virtual account. Done carries its number and due date.

        *again*, here and below: the identical message was sent before and its answer is not known. What
        would be a refusal the first time ("already …") is then a sign that it was done.
        """
        ...

    async def change_account(self, channel: Channel, change: ChangeAccount, *, again: bool = False) -> Outcome:
        """Change an account's amount and due date."""
        ...

    async def revoke_account(self, channel: Channel, revoke: RevokeAccount, *, again: bool = False) -> Outcome:
        """End an account."""
        ...

    async def inquire(self, channel: Channel, question: Question) -> Found:
        """Ask what became of a trade. About a virtual account, done means that its deposit came in."""
        ...

    def window(self, channel: Channel, payment: WindowPayment) -> WindowForm:
        """The form that opens the PG's window. Raises Refused (PARAMETER) for what the PG would not take."""
        ...

    def read_landing(self, body: bytes, content_type: str) -> Landing:
        """Read what the browser posts when it comes back from the window."""
        ...

    async def approve(self, channel: Channel, approval: Approval) -> Outcome:
        """Approve what was authenticated in the window."""
        ...

    def slip_form(self, channel: Channel, question: SlipQuestion) -> WindowForm:
        """The form that shows the PG's own sales slip of a trade."""
        ...

    async def issue_receipt(self, channel: Channel, receipt: CashReceipt) -> Outcome:
        """Register a cash receipt; *pg_tid* of a success is its approval number."""
        ...

    async def cancel_receipt(self, channel: Channel, receipt: CashReceipt) -> Outcome:
        """Take a cash receipt back."""
        ...

    async def ask_receipt(self, channel: Channel, question: ReceiptQuestion) -> Finding:
        """What became of a cash receipt."""
        ...

    async def statement(self, channel: Channel, day: str, *, payouts: bool) -> list[Line] | str:
        """A day's trades, or what is paid out that day (yyyyMMdd, KST). A text says why there is no list."""
        ...

    def open_letter(self, body: bytes, content_type: str) -> Letter:
        """Take a noti apart. Nothing is verified."""
        ...

    def read_notice(self, letter: Letter, channels: list[Channel]) -> Notice | Unreadable:
        """Read a noti and verify it with the keys of its MID's channels."""
        ...

    def read_precheck(self, letter: Letter, channels: list[Channel]) -> DepositQuestion | Unreadable:
        """Read the question before a deposit and verify it with the keys of its MID's channels."""
        ...

    def answer_precheck(self, content_type: str, code: str, words: str) -> tuple[bytes, str]:
        """The answer's body and content type, in the charset of the question."""
        ...

    def redact(self, body: bytes) -> bytes:
        """A noti's body fit to be stored: no billing key, no card-like digits."""
        ...
