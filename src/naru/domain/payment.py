"""A payment: what was asked of the PG (attempts), the money that moved (entries), and what follows.

Asked is not happened. Requests may be refused; facts may not: an approval after "failed", a deposit
into a cancelled account, a cancel made at the PG's own desk are recorded, and a person is told.
Status and balances are functions of the *set* of attempts and entries, never of the order in which
news arrived, so late, doubled and swapped news need no special code.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Final, assert_never

from naru.domain.outcome import Declined, Done, NotSent, Outcome, Pending, Unknown
from naru.domain.refusal import Refused, Why
from naru.domain.values import AttemptId, ImpUid, Instant, MerchantUid, Won, won


class Op(enum.StrEnum):
    """What an attempt asks of the PG."""

    PAY = "pay"
    CANCEL = "cancel"
    ISSUE = "issue"  # a virtual account
    CHANGE = "change"  # its amount or due date
    REVOKE = "revoke"  # the account, before (or, unlimited, after) deposits


class State(enum.StrEnum):
    """Where an attempt stands."""

    ASKED = "asked"  # committed; the call may or may not have left
    PENDING = "pending"  # the PG has it and works on it
    UNKNOWN = "unknown"  # nobody knows
    DONE = "done"  # final
    DECLINED = "declined"  # final, unless the PG turns out to have done it
    NOT_SENT = "not_sent"  # final, unless the PG turns out to have done it
    CLOSED = "closed"  # a window nobody came back from; the payment stays ready


OPEN: Final = frozenset({State.ASKED, State.PENDING, State.UNKNOWN})


class Purpose(enum.StrEnum):
    """For whom an attempt was made."""

    SHOP = "shop"
    CONSOLE = "console"
    NET = "net"  # takes back an approval that nobody may keep
    NIGHT = "night"  # the PG's own cancel of test payments, found by asking


class Told(enum.StrEnum):
    """What the caller heard when the attempt's call ended."""

    NOTHING = ""
    RESULT = "result"
    FAILED = "failed"
    CHECKING = "checking"


class Void(enum.StrEnum):
    """Why an approval of this payment may not be kept."""

    NO = ""
    TOLD_FAILED = "told_failed"
    DUPLICATE = "duplicate"
    TRIAL = "trial"  # charged only to see whether the card works; shown as paid, then cancelled
    KEPT = "kept"  # was to be taken back, but the PG finally refused: the money is here, so it is paid


class EntryKind(enum.StrEnum):
    """Money that moved. Approvals and deposits came in; cancels and reversals went back."""

    APPROVE = "approve"
    DEPOSIT = "deposit"
    CANCEL = "cancel"
    REVERSAL = "reversal"  # the bank took a deposit back (0121/B2)


MONEY_IN: Final = frozenset({EntryKind.APPROVE, EntryKind.DEPOSIT})


class Account(enum.StrEnum):
    """What kind of virtual account a payment is."""

    NO = ""
    ROTATING = "1"
    FIXED = "2"
    UNLIMITED = "3"


class Status(enum.StrEnum):
    """PortOne V1's four words."""

    READY = "ready"
    PAID = "paid"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One question to the PG, under an order number that is unique for ever."""

    id: AttemptId
    op: Op
    amount: Won
    state: State
    asked_at: Instant
    purpose: Purpose = Purpose.SHOP
    round: int = 0
    """``cnclOrd`` of a cancel: 1, 2, … per original transaction."""
    org_tid: str = ""
    """The PG's number of the trade that a cancel takes back."""
    settled_at: Instant | None = None
    told: Told = Told.NOTHING
    reason: str | None = None
    tax_free: Won = Won(0)  # noqa: RUF009
    pg_code: str | None = None
    pg_message: str | None = None
    request: str = ""
    """What the caller asked, to know the same request again."""
    seen: bool = False
    """The shop has learnt this attempt's result: by an answer, a delivered webhook or a look-up."""
    webhook: bool = False
    """The caller asked for a webhook about a cancel."""

    @property
    def is_open(self) -> bool:
        """Whether the result is still to come."""
        return self.state in OPEN


@dataclass(frozen=True, slots=True)
class Entry:
    """Money that moved. Append-only; the id says which event it is, so that news twice counts once."""

    id: str
    kind: EntryKind
    amount: Won
    pg_tid: str
    at: Instant
    attempt_id: AttemptId | None = None
    org_tid: str = ""
    reason: str | None = None
    depositor: str | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """The facts of one payment that rules decide on."""

    imp_uid: ImpUid
    store_id: int
    channel_id: int
    merchant_uid: MerchantUid
    pay_method: str
    amount: Won
    tax_free: Won
    started_at: Instant
    by_api: bool
    account: Account = Account.NO
    number: str = ""
    """The virtual account's number, once it is known."""
    due: Instant | None = None
    """Until when a deposit is expected; None: for ever, or not yet known."""
    void: Void = Void.NO
    attempts: tuple[Attempt, ...] = ()
    entries: tuple[Entry, ...] = ()

    @property
    def received(self) -> Won:
        """All that came in."""
        return won(sum(e.amount for e in self.entries if e.kind in MONEY_IN))

    @property
    def returned(self) -> Won:
        """All that went back."""
        return won(sum(e.amount for e in self.entries if e.kind not in MONEY_IN))

    @property
    def left(self) -> Won:
        """What is still here. A negative balance cannot be: it would be a bug, and stops."""
        return won(self.received - self.returned)

    @property
    def voided(self) -> bool:
        """Whether an approval of this payment is taken back and never shown."""
        return self.void in (Void.TOLD_FAILED, Void.DUPLICATE, Void.TRIAL)

    def attempt(self, attempt_id: str) -> Attempt | None:
        """The attempt of this number."""
        return next((a for a in self.attempts if a.id == attempt_id), None)

    @property
    def is_account(self) -> bool:
        """Whether the money comes by deposit into a virtual account."""
        return self.pay_method == "vbank"

    @property
    def unlimited(self) -> bool:
        """Whether deposits of any amount come in for ever."""
        return self.account is Account.UNLIMITED

    @property
    def paying(self) -> tuple[Entry, ...]:
        """The money that pays, oldest first: approvals, and deposits of exactly what was asked for.

        Any deposit pays into an unlimited account. A deposit of another amount is recorded and can be
        refunded, and pays nothing.
        """
        counts = (e for e in self.entries if e.kind in MONEY_IN)
        if self.is_account and not self.unlimited:
            counts = (e for e in counts if e.amount == self.amount)
        return tuple(sorted(counts, key=lambda e: (e.at, e.id)))

    @property
    def revoked(self) -> Attempt | None:
        """The revocation that ended the account, unless it only took back an issue that had been told as failed."""
        done = (a for a in self.attempts if a.op is Op.REVOKE and a.state is State.DONE)
        return next((a for a in done if a.purpose is not Purpose.NET), None)

    @property
    def open_work(self) -> Attempt | None:
        """A cancel, change or revocation whose result is still to come; at most one."""
        return next((a for a in self.attempts if a.op in (Op.CANCEL, Op.CHANGE, Op.REVOKE) and a.is_open), None)

    @property
    def pay_attempt(self) -> Attempt | None:
        """The attempt that asks for the money (or for the account it is to come to)."""
        return next((a for a in self.attempts if a.op in (Op.PAY, Op.ISSUE)), None)

    def late_cancel(self, attempt: Attempt, grown: int) -> Attempt | None:
        """The cancel that was believed not to have happened and explains why the PG's total of a trade grew by
        *grown* KRW, by itself or with *attempt*, the one that is asked about."""
        doubted = (
            a
            for a in self.attempts
            if a.op is Op.CANCEL and a.state is State.NOT_SENT and a.org_tid == attempt.org_tid and a.id != attempt.id
        )
        return next((a for a in doubted if grown in (a.amount, a.amount + attempt.amount)), None)

    @property
    def open_cancel(self) -> Attempt | None:
        """The cancel whose result is still to come; at most one."""
        return next((a for a in self.attempts if a.op is Op.CANCEL and a.is_open), None)

    def left_of(self, tid: str) -> Won:
        """What is left of one deposit or approval."""
        came = sum(e.amount for e in self.entries if e.kind in MONEY_IN and e.pg_tid == tid)
        back = sum(e.amount for e in self.entries if e.kind not in MONEY_IN and e.org_tid == tid)
        return won(came - back)

    def next_round(self, tid: str) -> int:
        """``cnclOrd`` of the next cancel of one original transaction (Hecto M09: 001, 002, …)."""
        return 1 + sum(1 for a in self.attempts if a.op is Op.CANCEL and a.org_tid == tid and a.state is State.DONE)

    def with_attempt(self, attempt: Attempt) -> Payment:
        """This payment with one attempt added or replaced."""
        others = tuple(a for a in self.attempts if a.id != attempt.id)
        return replace(self, attempts=(*others, attempt))

    def with_entry(self, entry: Entry) -> Payment:
        """This payment with one entry more; the same entry twice is the same payment."""
        if any(e.id == entry.id for e in self.entries):
            return self
        return replace(self, entries=(*self.entries, entry))


@dataclass(frozen=True, slots=True)
class Shown:
    """What the north wire shows of a payment's story."""

    status: Status
    cancel_amount: Won
    paid_at: Instant | None
    failed_at: Instant | None
    cancelled_at: Instant | None
    fail_reason: str | None
    cancel_reason: str | None

    @property
    def status_at(self) -> int:
        """When the payment came to this status, for lists that compare by status time; 0: at its start."""
        match self.status:
            case Status.PAID:
                return self.paid_at or 0
            case Status.CANCELLED:
                return self.cancelled_at or self.paid_at or 0
            case Status.FAILED:
                return self.failed_at or 0
            case Status.READY:
                return 0


def show(p: Payment) -> Shown:
    """Compute what is shown. Depends on the set of attempts and entries only."""
    came = p.paying
    back = sorted((e for e in p.entries if e.kind not in MONEY_IN), key=lambda e: (e.at, e.id))
    revoked = p.revoked
    if (came or back) and (not p.voided or p.void is Void.TRIAL):
        paid_at = came[0].at if came else None
        closing = revoked if p.unlimited else None
        if back or closing:
            last = back[-1] if back else None
            at = max((e.at for e in back), default=Instant(0))
            if closing and closing.settled_at:
                at = max(at, closing.settled_at)
            reason = last.reason if last else (closing.reason if closing else None)
            return Shown(Status.CANCELLED, won(sum(e.amount for e in back)), paid_at, None, Instant(at), None, reason)
        return Shown(Status.PAID, Won(0), paid_at, None, None, None, None)
    if revoked and p.unlimited:
        return Shown(Status.CANCELLED, Won(0), None, None, revoked.settled_at, None, revoked.reason)
    if revoked:
        return Shown(Status.FAILED, Won(0), None, revoked.settled_at, None, "가상계좌가 말소되었습니다.", None)
    pay = p.pay_attempt
    failed = pay is not None and (pay.state in (State.DECLINED, State.NOT_SENT) or pay.told is Told.FAILED)
    if failed or (p.voided and p.void is not Void.TRIAL):
        assert pay is not None
        return Shown(Status.FAILED, Won(0), None, pay.settled_at or pay.asked_at, None, pay.pg_message, None)
    return Shown(Status.READY, Won(0), None, None, None, None, None)


def check_cancel(p: Payment, *, amount: int | None, checksum: int | None) -> None:
    """What can be refused without knowing which trade is to go back, in PortOne's order. Raises Refused."""
    if not p.received or p.voided:
        raise Refused(Why.CANCEL_NOTHING, unpaid_account=p.is_account and not p.received)
    if p.left == 0:
        raise Refused(Why.CANCEL_ALL_BACK)
    if checksum and checksum != p.left:
        raise Refused(Why.CANCEL_CHECKSUM, checksum=checksum, left=p.left)
    if amount and amount > p.left:
        raise Refused(Why.CANCEL_TOO_MUCH, amount=amount, left=p.left)


def ask_cancel(
    p: Payment,
    attempt_id: AttemptId,
    *,
    amount: int | None,
    checksum: int | None,
    tax_free: int | None,
    org_tid: str,
    purpose: Purpose,
    reason: str | None,
    request: str,
    webhook: bool,
    now: Instant,
) -> Attempt:
    """What we may ask the PG to give back of the trade *org_tid*. Raises Refused; nothing has happened then.

    ``amount`` absent or 0 means all that is left (PortOne V1). ``checksum`` must be what is left;
    absent or 0 skips it (a balance of 0 is refused before). The order of checks is PortOne's.
    """
    check_cancel(p, amount=amount, checksum=checksum)
    if p.open_work:
        raise Refused(Why.CANCEL_BUSY)
    of_trade = p.left_of(org_tid)
    want = amount or of_trade
    if not 0 < want <= of_trade:
        raise Refused(Why.CANCEL_TOO_MUCH, amount=want, left=of_trade)
    free = tax_free if tax_free is not None else (p.tax_free if want == p.amount else 0)
    if not 0 <= free <= min(want, p.tax_free):
        raise Refused(Why.CANCEL_TAX_FREE, tax_free=free, most=min(want, p.tax_free))
    return Attempt(
        id=attempt_id,
        op=Op.CANCEL,
        amount=won(want),
        state=State.ASKED,
        asked_at=now,
        purpose=purpose,
        round=p.next_round(org_tid),
        org_tid=org_tid,
        reason=reason,
        tax_free=won(free),
        request=request,
        webhook=webhook,
    )


_TAKEN_BACK: Final = {
    Void.TOLD_FAILED: "결과를 실패로 안내한 승인의 자동 취소",
    Void.DUPLICATE: "중복 승인의 자동 취소",
    Void.TRIAL: "카드 확인 결제의 자동 취소",
}


def ask_net_cancel(p: Payment, attempt_id: AttemptId, now: Instant) -> Attempt | None:
    """The cancel that takes back an approval which nobody may keep; None when nothing is left or one is open."""
    if not p.voided or p.left == 0 or p.open_cancel:
        return None
    tid = next(e.pg_tid for e in p.entries if e.kind in MONEY_IN and p.left_of(e.pg_tid))
    return Attempt(
        id=attempt_id,
        op=Op.CANCEL,
        amount=p.left_of(tid),
        state=State.ASKED,
        asked_at=now,
        purpose=Purpose.NET,
        round=p.next_round(tid),
        org_tid=tid,
        reason=_TAKEN_BACK[p.void],
        tax_free=p.tax_free if p.left == p.amount else Won(0),
    )


def sub_id(imp_uid: str, letter: str, number: int) -> AttemptId:
    """A number derived from the payment's own for anything that is not its pay attempt: ``imp_…C001``."""
    return AttemptId(f"{imp_uid}{letter}{number:03d}")


@dataclass(frozen=True, slots=True)
class Applied:
    """A payment after news, and what the news calls for."""

    payment: Payment
    alarm: str | None = None
    """What a person must look at, in Korean."""
    kind: str = "mismatch"
    """What kind of alarm it is."""


def apply_pay(p: Payment, attempt_id: str, outcome: Outcome, now: Instant, *, paid_by_other: bool) -> Applied:
    """News about the attempt that asks for the money. *paid_by_other*: its order was already paid by another."""
    attempt = p.attempt(attempt_id)
    assert attempt is not None
    match outcome:
        case Done():
            if outcome.amount != attempt.amount:
                return Applied(
                    unless_final(p, attempt, State.UNKNOWN, None, "승인 금액 불일치", now),
                    f"승인 금액이 요청과 다릅니다: 요청 {attempt.amount}원, 승인 {outcome.amount}원",
                )
            alarm = None
            was_done = attempt.state is State.DONE
            if not was_done:
                p = p.with_attempt(
                    replace(attempt, state=State.DONE, settled_at=attempt.settled_at or now, pg_code="0000")
                )
                if p.void is Void.NO and paid_by_other:
                    p = replace(p, void=Void.DUPLICATE)
                    alarm = f"이미 결제된 주문({p.merchant_uid})이 다시 승인되어 자동으로 취소합니다"
                elif p.void in (Void.NO, Void.TRIAL) and attempt.told is Told.FAILED:
                    p = replace(p, void=Void.TOLD_FAILED)
            p = p.with_entry(
                Entry(attempt.id, EntryKind.APPROVE, outcome.amount, outcome.pg_tid, outcome.at, attempt.id)
            )
            if outcome.also_cancelled and p.open_cancel is None:
                # With a cancel open the total may already hold it: the settle job tells them apart.
                p = absorb_cancelled(p, outcome.pg_tid, outcome.also_cancelled, now, Purpose.NIGHT).payment
            return Applied(p, alarm)
        case Declined():
            return Applied(unless_final(p, attempt, State.DECLINED, outcome.code, outcome.message, now))
        case NotSent():
            return Applied(unless_final(p, attempt, State.NOT_SENT, None, outcome.message, now))
        case Pending():
            return Applied(unless_final(p, attempt, State.PENDING, outcome.code, outcome.message, now))
        case Unknown():
            alarm = f"결제 응답이 요청과 일치하지 않습니다: {outcome.message}" if outcome.mismatch else None
            return Applied(unless_final(p, attempt, State.UNKNOWN, outcome.code or None, outcome.message, now), alarm)
        case _:
            assert_never(outcome)


def apply_cancel(p: Payment, attempt_id: str, outcome: Outcome, now: Instant) -> Applied:
    """News about a cancel or refund that we asked for."""
    attempt = p.attempt(attempt_id)
    assert attempt is not None
    match outcome:
        case Done():
            if outcome.amount != attempt.amount:
                return Applied(
                    unless_final(p, attempt, State.UNKNOWN, None, "취소 금액 불일치", now),
                    f"취소 금액이 요청과 다릅니다: 요청 {attempt.amount}원, 취소 {outcome.amount}원",
                )
            if attempt.state is State.DONE:
                return Applied(p)
            if p.left_of(attempt.org_tid) < attempt.amount:
                # It was believed not to have happened and has been counted as found since: never twice.
                return Applied(p, f"취소({attempt.id})가 뒤늦게 확인되었으나 이미 반영된 금액입니다")
            p = p.with_attempt(replace(attempt, state=State.DONE, settled_at=now, pg_code="0000"))
            p = p.with_entry(
                Entry(
                    attempt.id, EntryKind.CANCEL, outcome.amount, outcome.pg_tid, outcome.at, attempt.id,
                    org_tid=attempt.org_tid, reason=attempt.reason,
                )
            )  # fmt: skip
            left = p.left_of(attempt.org_tid)
            if outcome.balance is not None and outcome.balance != left:
                return Applied(p, f"취소 후 잔액이 다릅니다: 나루 {left}원, 헥토파이낸셜 {outcome.balance}원")
            if attempt.state is State.NOT_SENT and (twice := _asked_again(p, attempt)):
                return Applied(
                    p,
                    f"처리되지 않은 것으로 확인했던 취소({attempt.id}, {attempt.amount}원)가 뒤늦게 처리되었습니다. "
                    f"그 사이의 취소({', '.join(twice)})와 겹치지 않는지 확인하세요",
                    "late_cancel",
                )
            return Applied(p)
        case Declined():
            after = unless_final(p, attempt, State.DECLINED, outcome.code, outcome.message, now)
            return Applied(after)
        case NotSent():
            return Applied(unless_final(p, attempt, State.NOT_SENT, None, outcome.message, now))
        case Pending():
            return Applied(unless_final(p, attempt, State.PENDING, outcome.code, outcome.message, now))
        case Unknown():
            alarm = f"취소 응답이 요청과 일치하지 않습니다: {outcome.message}" if outcome.mismatch else None
            return Applied(unless_final(p, attempt, State.UNKNOWN, outcome.code or None, outcome.message, now), alarm)
        case _:
            assert_never(outcome)


def _asked_again(p: Payment, late: Attempt) -> list[str]:
    """Cancels that were asked for, and may be done, because *late* was believed not to have happened."""
    since = (a for a in p.attempts if a.op is Op.CANCEL and a.org_tid == late.org_tid and a.asked_at > late.asked_at)
    return [a.id for a in since if a.is_open or a.state is State.DONE]


def absorb_cancelled(p: Payment, tid: str, total: int, now: Instant, purpose: Purpose) -> Applied:
    """The PG says that *total* KRW of trade *tid* went back. What we did not know of is recorded.

    The entry is named by the total, which only grows: the same finding twice is one entry.
    """
    ours = sum(e.amount for e in p.entries if e.kind not in MONEY_IN and e.org_tid == tid)
    if total == ours:
        return Applied(p)
    if total < ours:
        return Applied(p, f"취소 누계가 다릅니다: 나루 {ours}원, 헥토파이낸셜 {total}원")
    if total - ours > p.left_of(tid):
        return Applied(p, f"취소 누계({total}원)가 받은 금액보다 큽니다")
    reason = "헥토파이낸셜 테스트 결제 자동취소" if purpose is Purpose.NIGHT else "결제대행사에서 직접 취소"
    entry = Entry(f"found:{tid}:{total}", EntryKind.CANCEL, won(total - ours), "", now, org_tid=tid, reason=reason)
    return Applied(p.with_entry(entry))


def unless_final(p: Payment, attempt: Attempt, state: State, code: str | None, message: str, now: Instant) -> Payment:
    """A final attempt keeps its result: only *done* overrules, and that is not handled here."""
    if not attempt.is_open and attempt.state is not State.CLOSED:
        return p
    settled = None if state in OPEN else now
    if attempt.told is Told.FAILED and state not in OPEN:
        settled = attempt.settled_at or now
    elif attempt.told is Told.FAILED:
        settled = attempt.settled_at
    if attempt.told is Told.FAILED and attempt.pg_code:
        code, message = attempt.pg_code, attempt.pg_message or message  # the reason stays the one that was told
    return p.with_attempt(replace(attempt, state=state, settled_at=settled, pg_code=code, pg_message=message))


def tell(p: Payment, attempt_id: str, message: str, now: Instant) -> Payment:
    """The caller is about to be answered; *message* is what it hears of a payment whose result is open.

    About such a payment it hears "failed" (V1 has no other word), and about one that was declined too:
    from now on nothing of it is kept. About an open cancel it hears that it is being checked.
    """
    attempt = p.attempt(attempt_id)
    assert attempt is not None
    if attempt.told is Told.FAILED:
        return p
    asks = attempt.op in (Op.PAY, Op.ISSUE)
    if asks and attempt.is_open:
        return p.with_attempt(replace(attempt, told=Told.FAILED, settled_at=now, pg_message=message))
    if asks and attempt.state is not State.DONE:
        return p.with_attempt(replace(attempt, told=Told.FAILED))
    return p.with_attempt(replace(attempt, told=Told.CHECKING if attempt.is_open else Told.RESULT))
