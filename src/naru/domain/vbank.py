"""Virtual accounts: issue, change and revoke them, what a deposit means, and when banks are closed.

A deposit is a fact like an approval: one that comes into a revoked or expired account, or with another
amount than asked for, is recorded, and a person is told. Only the account's own rules say what it pays.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Final, assert_never

from naru.domain.outcome import Declined, Done, NotSent, Outcome, Pending, Unknown
from naru.domain.payment import (
    MONEY_IN,
    Account,
    Applied,
    Attempt,
    Entry,
    EntryKind,
    Op,
    Payment,
    Purpose,
    State,
    Status,
    Told,
    show,
    unless_final,
)
from naru.domain.refusal import Refused, Why
from naru.domain.values import DAY, HOUR, MINUTE, SECOND, AttemptId, Instant, Won, kst_midnight

MAX_DUE_DAYS: Final = 365
CLOSED_FROM_MS: Final = 23 * HOUR + 30 * MINUTE
CLOSED_UNTIL_MS: Final = 35 * MINUTE
"""Banks are closed from 23:30 to 00:35 KST (Hecto): nothing is issued, changed, revoked or refunded then."""
ISSUING_BANKS: Final = frozenset(
    {"003", "004", "011", "020", "023", "031", "032", "034", "039", "071", "081", "088", "089"}
)
"""Banks that issue virtual accounts (Hecto's specification)."""


def closed(now: int) -> bool:
    """Whether banks are closed for maintenance."""
    time_of_day = now - kst_midnight(now)
    return time_of_day >= CLOSED_FROM_MS or time_of_day < CLOSED_UNTIL_MS


def opens_at(now: int) -> Instant:
    """When banks that are closed now open again."""
    midnight = kst_midnight(now)
    return Instant(midnight + CLOSED_UNTIL_MS + (DAY if now - midnight >= CLOSED_FROM_MS else 0))


def check_open(now: int, **facts: object) -> None:
    """Raises Refused (BANK_CLOSED), with these facts."""
    if closed(now):
        raise Refused(Why.BANK_CLOSED, **facts)


def check_due(due: Instant | None, kind: Account, now: int) -> None:
    """The due date's bounds: in the future, and at most 365 days ahead at 23:59:59 KST (type 3: no end).

    Raises Refused (PARAMETER).
    """
    if due is None:
        return
    if due <= now:
        raise Refused(Why.PARAMETER, name="vbank_due", problem="현재보다 이후의 시각이어야 합니다")
    last = kst_midnight(now) + (MAX_DUE_DAYS + 1) * DAY - SECOND
    if kind is not Account.UNLIMITED and due > last:
        raise Refused(Why.PARAMETER, name="vbank_due", problem=f"{MAX_DUE_DAYS}일 이내여야 합니다")


def is_issue(p: Payment, attempt: Attempt) -> bool:
    """Whether this attempt asks for the account itself (over the API, or in the PG's window)."""
    return attempt.op is Op.ISSUE or (attempt.op is Op.PAY and p.is_account)


def issued(p: Payment) -> bool:
    """Whether there is an account that a deposit may go to."""
    asked = p.pay_attempt
    gone = any(a.op is Op.REVOKE and a.state is State.DONE for a in p.attempts)
    return asked is not None and asked.state is State.DONE and not gone


def waiting(p: Payment, now: int) -> bool:
    """Whether this account is taken: issued and neither paid into, revoked nor expired, or perhaps so.

    An unlimited account is taken until it is revoked. One whose issue has no final result may be.
    """
    asked = p.pay_attempt
    if asked is None or not p.is_account:
        return False
    if asked.is_open:
        return True
    if not issued(p):
        return False
    if p.unlimited:
        return True
    return not any(e.kind is EntryKind.DEPOSIT for e in p.entries) and (p.due is None or now <= p.due)


# ---------------------------------------------------------------- asking


def _check_alive(p: Payment) -> None:
    """The account can be changed or revoked: issued, and nothing came in unless it is unlimited.

    Raises Refused (ACCOUNT; CANCEL_BUSY while something else that was asked has no result).
    """
    asked = p.pay_attempt
    if not p.is_account or asked is None:
        raise Refused(Why.ACCOUNT, problem="가상계좌 결제건이 아닙니다.")
    if asked.is_open and asked.told is not Told.FAILED:
        raise Refused(Why.ACCOUNT, problem="가상계좌 발급 결과를 확인하고 있습니다. 잠시 후 다시 시도해 주세요.")
    status = show(p).status
    if status is not Status.READY and not (p.unlimited and issued(p)):
        words = {
            Status.PAID: "이미 입금된 가상계좌입니다.",
            Status.CANCELLED: "이미 말소되었거나 취소된 가상계좌입니다.",
            Status.FAILED: "이미 말소되었거나 발급에 실패한 가상계좌입니다.",
        }
        raise Refused(Why.ACCOUNT, problem=words.get(status, "발급된 가상계좌가 아닙니다."))
    if not issued(p):
        raise Refused(Why.ACCOUNT, problem="발급된 가상계좌가 아닙니다.")
    if not p.unlimited and any(e.kind in MONEY_IN for e in p.entries):
        raise Refused(Why.ACCOUNT, problem="이미 입금된 가상계좌입니다.")
    if p.open_work is not None:
        raise Refused(Why.CANCEL_BUSY)


def ask_change(
    p: Payment, attempt_id: AttemptId, *, amount: int | None, due: Instant | None, request: str, now: Instant
) -> tuple[Attempt, Instant | None]:
    """What we may ask the PG to change, and the due date that it shall have then. Raises Refused.

    What does not change keeps its value, because the PG wants both (Hecto M15). An unlimited account
    has no amount, so one that is given is not applied.
    """
    _check_alive(p)
    if show(p).status is Status.CANCELLED:
        raise Refused(Why.ACCOUNT, problem="이미 말소되었거나 취소된 가상계좌입니다.")
    if p.tax_free:
        raise Refused(Why.ACCOUNT, problem="면세, 복합과세로 발급된 가상계좌는 발급 정보를 변경할 수 없습니다.")
    if p.due is not None and now > p.due:
        raise Refused(Why.ACCOUNT, problem="입금기한이 지난 가상계좌입니다. 다시 발급해 주세요.")
    if amount is not None and amount <= 0 and not p.unlimited:
        raise Refused(Why.PARAMETER, name="amount", problem="0보다 커야 합니다", status=400, code=-1)
    try:
        check_due(due, p.account, now)
    except Refused as refused:
        raise Refused(refused.why, **refused.facts, status=400, code=-1) from None
    new_amount = p.amount if p.unlimited or amount is None else Won(amount)
    new_due = p.due if due is None else due
    attempt = Attempt(
        id=attempt_id, op=Op.CHANGE, amount=Won(new_amount), state=State.ASKED, asked_at=now, request=request
    )
    return attempt, new_due


def ask_revoke(p: Payment, attempt_id: AttemptId, *, reason: str | None, org_tid: str, now: Instant) -> Attempt:
    """The revocation that ends the account: before a deposit, or at any time for an unlimited one. Raises Refused."""
    _check_alive(p)
    if not org_tid:
        raise Refused(
            Why.ACCOUNT, problem="헥토파이낸셜의 발급 거래번호를 몰라 말소할 수 없습니다. 고객센터에 문의해 주세요."
        )
    return Attempt(
        id=attempt_id, op=Op.REVOKE, amount=Won(0), state=State.ASKED, asked_at=now, org_tid=org_tid, reason=reason
    )


def ask_net_revoke(p: Payment, attempt_id: AttemptId, *, org_tid: str, now: Instant) -> Attempt | None:
    """The revocation of an account whose issue the caller heard had failed; None when none is owed.

    None, too, once money has come in: it cannot be given back without the payer's account, so a person decides.
    """
    asked = p.pay_attempt
    if asked is None or not is_issue(p, asked) or asked.told is not Told.FAILED or not issued(p) or p.open_work:
        return None
    tried = any(a.op is Op.REVOKE and a.state is State.DECLINED for a in p.attempts)
    if tried or not org_tid or any(e.kind in MONEY_IN for e in p.entries):
        return None
    return Attempt(
        id=attempt_id, op=Op.REVOKE, amount=Won(0), state=State.ASKED, asked_at=now, purpose=Purpose.NET,
        org_tid=org_tid, reason="실패로 안내한 가상계좌 발급의 자동 말소",
    )  # fmt: skip


# ---------------------------------------------------------------- news


def apply_issue(p: Payment, attempt_id: str, outcome: Outcome, now: Instant) -> Applied:
    """News about an attempt that asks for an account."""
    attempt = p.attempt(attempt_id)
    assert attempt is not None
    match outcome:
        case Done():
            if outcome.amount != attempt.amount:
                return Applied(
                    unless_final(p, attempt, State.UNKNOWN, None, "발급 금액 불일치", now),
                    f"가상계좌 발급 금액이 요청과 다릅니다: 요청 {attempt.amount}원, 발급 {outcome.amount}원",
                )
            if attempt.state is not State.DONE:
                p = _issued(p, attempt, now)
            number, due = outcome.details.account_number, outcome.details.account_due
            return Applied(replace(p, number=p.number or number or "", due=due if p.due is None else p.due))
        case Declined():
            return Applied(unless_final(p, attempt, State.DECLINED, outcome.code, outcome.message, now))
        case NotSent():
            return Applied(unless_final(p, attempt, State.NOT_SENT, None, outcome.message, now))
        case Pending():
            return Applied(unless_final(p, attempt, State.PENDING, outcome.code, outcome.message, now))
        case Unknown():
            alarm = f"가상계좌 발급 응답이 요청과 일치하지 않습니다: {outcome.message}" if outcome.mismatch else None
            return Applied(unless_final(p, attempt, State.UNKNOWN, outcome.code or None, outcome.message, now), alarm)
        case _:
            assert_never(outcome)


def _issued(p: Payment, attempt: Attempt, now: Instant) -> Payment:
    settled = attempt.settled_at or now
    if attempt.told is Told.FAILED:
        return p.with_attempt(replace(attempt, state=State.DONE, settled_at=settled))  # its words stay as told
    return p.with_attempt(replace(attempt, state=State.DONE, settled_at=settled, pg_code="0000", pg_message=None))


def apply_change(p: Payment, attempt_id: str, outcome: Outcome, due: Instant | None, now: Instant) -> Applied:
    """News about a change of amount and due date; *due* is the due date that was asked for."""
    attempt = p.attempt(attempt_id)
    assert attempt is not None
    match outcome:
        case Done():
            if attempt.state is State.DONE:
                return Applied(p)
            p = p.with_attempt(replace(attempt, state=State.DONE, settled_at=now, pg_code="0000", pg_message=None))
            if any(e.kind in MONEY_IN for e in p.entries) and not p.unlimited:
                return Applied(p)  # what came in was measured by the amount of that time
            return Applied(replace(p, amount=attempt.amount, due=due))
        case _:
            return _open_or_refused(p, attempt, outcome, "변경", now)


def apply_revoke(p: Payment, attempt_id: str, outcome: Outcome, now: Instant) -> Applied:
    """News about a revocation."""
    attempt = p.attempt(attempt_id)
    assert attempt is not None
    match outcome:
        case Done():
            if attempt.state is State.DONE:
                return Applied(p)
            p = p.with_attempt(replace(attempt, state=State.DONE, settled_at=now, pg_code="0000", pg_message=None))
            return Applied(p)
        case Declined() if attempt.purpose is Purpose.NET and attempt.is_open:
            return Applied(
                unless_final(p, attempt, State.DECLINED, outcome.code, outcome.message, now),
                f"실패로 안내한 가상계좌를 말소하지 못했습니다: {outcome.message}",
                "net_revoke_refused",
            )
        case _:
            return _open_or_refused(p, attempt, outcome, "말소", now)


def _open_or_refused(
    p: Payment, attempt: Attempt, outcome: Declined | NotSent | Pending | Unknown, what: str, now: Instant
) -> Applied:
    match outcome:
        case Declined():
            return Applied(unless_final(p, attempt, State.DECLINED, outcome.code, outcome.message, now))
        case NotSent():
            return Applied(unless_final(p, attempt, State.NOT_SENT, None, outcome.message, now))
        case Pending():
            return Applied(unless_final(p, attempt, State.PENDING, outcome.code, outcome.message, now))
        case Unknown():
            words = f"가상계좌 {what} 응답이 요청과 일치하지 않습니다: {outcome.message}"
            alarm = words if outcome.mismatch else None
            return Applied(unless_final(p, attempt, State.UNKNOWN, outcome.code or None, outcome.message, now), alarm)
        case _:
            assert_never(outcome)


def absorb_revoked(p: Payment, attempt_id: AttemptId, now: Instant, reason: str) -> Payment:
    """The PG says that the account was revoked, and nobody here asked for it."""
    if not issued(p):
        return p
    return p.with_attempt(
        Attempt(
            id=attempt_id,
            op=Op.REVOKE,
            amount=Won(0),
            state=State.DONE,
            asked_at=now,
            settled_at=now,
            purpose=Purpose.CONSOLE,
            reason=reason,
            pg_code="0000",
        )
    )


@dataclass(frozen=True, slots=True)
class Deposit:
    """Money that came into an account. *id* names the event for ever (MID and the PG's number of it)."""

    id: str
    pg_tid: str
    amount: Won
    at: Instant
    depositor: str | None = None


def apply_deposit(p: Payment, deposit: Deposit, now: Instant, *, paid_by_other: bool) -> Applied:
    """A deposit, however it became known, and in whatever order with other news.

    It proves that the account had been issued. Where a change of the amount has no result yet, the
    amount that the bank let in tells which of the two held.
    """
    known = next((e for e in p.entries if e.id == deposit.id), None)
    if known is not None:
        if known.amount == deposit.amount:
            return Applied(p)
        return Applied(
            p,
            f"같은 입금({deposit.pg_tid})의 금액이 다릅니다: 기록 {known.amount}원, 통보 {deposit.amount}원",
        )
    asked = p.pay_attempt
    if asked is not None and is_issue(p, asked) and asked.state is not State.DONE and not p.unlimited:
        p = _issued(p, asked, now)
    if not p.unlimited:
        p = _settle_change(p, deposit.amount, now)
    was_revoked = p.revoked is not None
    told_failed = asked is not None and asked.told is Told.FAILED
    had_paid = bool(p.paying)
    p = p.with_entry(
        Entry(deposit.id, EntryKind.DEPOSIT, deposit.amount, deposit.pg_tid, deposit.at, depositor=deposit.depositor)
    )
    won_text = f"{deposit.amount:,}원"
    if not p.unlimited and deposit.amount != p.amount:
        text = f"입금액이 다릅니다: 결제금액 {p.amount:,}원, 입금 {won_text}. 결제 완료로 처리하지 않았습니다"
        return Applied(p, text, "deposit_mismatch")
    if paid_by_other:
        return Applied(p, f"이미 결제된 주문({p.merchant_uid})에 {won_text}이 또 입금되었습니다", "second_deposit")
    if not p.unlimited and had_paid:
        return Applied(p, f"이미 입금된 가상계좌에 {won_text}이 또 입금되었습니다", "second_deposit")
    if was_revoked:
        return Applied(p, f"말소된 가상계좌에 {won_text}이 입금되었습니다", "late_deposit")
    if told_failed:
        return Applied(p, f"발급 실패로 안내한 가상계좌에 {won_text}이 입금되었습니다", "late_deposit")
    if p.due is not None and deposit.at > p.due:
        return Applied(p, f"입금기한이 지난 가상계좌에 {won_text}이 입금되었습니다", "late_deposit")
    return Applied(p)


def _settle_change(p: Payment, amount: Won, now: Instant) -> Payment:
    change = next((a for a in p.attempts if a.op is Op.CHANGE and a.is_open), None)
    if change is None:
        return p
    if amount == change.amount != p.amount:
        return replace(
            p.with_attempt(replace(change, state=State.DONE, settled_at=now, pg_code="0000", pg_message=None)),
            amount=change.amount,
        )
    return unless_final(p, change, State.DECLINED, None, "변경되기 전에 입금되었습니다", now)


def apply_reversal(
    p: Payment, deposit: Deposit, pg_tid: str, at: Instant, now: Instant, *, paid_by_other: bool
) -> Applied:
    """The bank took a deposit back by itself. *deposit* is the one, as told with the reversal."""
    entry_id = f"reversal:{deposit.id}"
    if any(e.id == entry_id for e in p.entries):
        return Applied(p)
    p = apply_deposit(p, deposit, now, paid_by_other=paid_by_other).payment
    back = [e for e in p.entries if e.kind is EntryKind.CANCEL and e.org_tid == deposit.pg_tid]
    if any(e.attempt_id is None and e.amount == deposit.amount for e in back):
        return Applied(p)  # the day's list came before the noti and told of it as a refund
    if p.left_of(deposit.pg_tid) < deposit.amount:
        return Applied(p, f"이미 환불한 입금({deposit.pg_tid})이 은행에서 자동 취소되었다고 통보되었습니다")
    reason = "은행의 입금 자동취소"
    entry = Entry(entry_id, EntryKind.REVERSAL, deposit.amount, pg_tid, at, org_tid=deposit.pg_tid, reason=reason)
    return Applied(p.with_entry(entry), f"은행이 입금 {deposit.amount:,}원을 자동 취소했습니다", "reversal")


def apply_refund(p: Payment, org_tid: str, pg_tid: str, amount: Won, at: Instant, now: Instant) -> Applied:
    """The PG says that it refunded *amount* of the deposit *org_tid* under its number *pg_tid*."""
    if any(e.pg_tid == pg_tid for e in p.entries if e.kind is EntryKind.CANCEL):
        return Applied(p)
    mine = p.open_cancel
    if mine is not None and mine.org_tid == org_tid and mine.amount == amount:
        p = p.with_attempt(replace(mine, state=State.DONE, settled_at=now, pg_code="0000", pg_message=None))
        entry = Entry(mine.id, EntryKind.CANCEL, amount, pg_tid, at, mine.id, org_tid=org_tid, reason=mine.reason)
        return Applied(p.with_entry(entry))
    if p.left_of(org_tid) < amount:
        return Applied(p, f"환불 통보({pg_tid}) {amount:,}원이 남은 입금액보다 큽니다")
    entry = Entry(
        f"refund:{pg_tid}", EntryKind.CANCEL, amount, pg_tid, at, org_tid=org_tid, reason="결제대행사에서 직접 환불"
    )
    return Applied(p.with_entry(entry))


# ---------------------------------------------------------------- the PG asks before a deposit


class Precheck(enum.Enum):
    """What the bank may hear before it lets a deposit in (Hecto M19)."""

    GOOD = "0000"
    NO_ACCOUNT = "0001"
    EXPIRED = "0002"
    AMOUNT = "0003"
    OTHER = "0009"


def precheck(p: Payment, amount: int, now: int, *, paid_by_other: bool) -> Precheck:
    """Whether a deposit of *amount* KRW may come in now."""
    asked = p.pay_attempt
    if asked is None or asked.told is Told.FAILED or not (asked.is_open or issued(p)):
        return Precheck.NO_ACCOUNT
    if p.due is not None and now > p.due:
        return Precheck.EXPIRED
    if p.unlimited:
        return Precheck.GOOD
    if any(e.kind is EntryKind.DEPOSIT for e in p.entries) or paid_by_other:
        return Precheck.OTHER
    pending = next((a for a in p.attempts if a.op is Op.CHANGE and a.is_open), None)
    if amount != p.amount and not (pending is not None and pending.amount == amount):
        return Precheck.AMOUNT
    return Precheck.GOOD
