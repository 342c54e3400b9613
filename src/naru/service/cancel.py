"""Taking money back: full and partial cancels, one open per payment, each in its turn."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace

from naru import logs
from naru.domain import standard
from naru.domain.channel import Channel
from naru.domain.deadlines import RefundTo, demand_cancellable, needs_account
from naru.domain.outcome import Declined, Done, Finding, NoSuchTrade, NotSent, Outcome, Pending, Unknown
from naru.domain.payment import (
    MONEY_IN,
    Attempt,
    Entry,
    Op,
    Payment,
    Purpose,
    State,
    Told,
    ask_cancel,
    check_cancel,
    sub_id,
)
from naru.domain.refusal import Refused, Why
from naru.domain.values import DAY, AttemptId, Instant, Won, won
from naru.domain.vbank import check_open
from naru.service.context import LEASE_MS, SEND_WITHIN_MS, Context
from naru.service.ports import Cancel, Question
from naru.service.settle import Settled, settle_now
from naru.store import payments, views
from naru.store.db import Tx

log = logs.logger("cancel")


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """A cancel as the shop (or the operator) asks for it. Amounts in KRW; 0 or absent: all that is left."""

    store_id: int
    imp_uid: str | None = None
    merchant_uid: str | None = None
    amount: int | None = None
    tax_free: int | None = None
    checksum: int | None = None
    reason: str | None = None
    webhook: bool = False
    idempotency_key: str | None = None
    purpose: Purpose = Purpose.SHOP
    pg_tid: str | None = None
    """Which deposit of an unlimited account to refund (Naru's extension)."""
    refund_holder: str | None = None
    refund_bank: str | None = None
    refund_account: str | None = None

    @property
    def refund(self) -> RefundTo | None:
        """The account to refund to, when all of it is given. Raises Refused (PARAMETER)."""
        given = {
            "refund_holder": self.refund_holder,
            "refund_bank": self.refund_bank,
            "refund_account": self.refund_account,
        }
        missing = [name for name, value in given.items() if not value]
        if len(missing) == len(given):
            return None
        if missing:
            raise Refused(Why.PARAMETER, name=", ".join(missing))
        assert self.refund_holder is not None
        assert self.refund_bank is not None
        assert self.refund_account is not None
        bank = standard.bank_code(self.refund_bank)
        if bank is None:
            raise Refused(Why.PARAMETER, name="refund_bank", problem="은행 표준코드여야 합니다")
        account = self.refund_account.replace("-", "").replace(" ", "")
        if not (account.isascii() and account.isdigit() and 6 <= len(account) <= 16):
            raise Refused(Why.PARAMETER, name="refund_account", problem="6~16자리 숫자여야 합니다")
        return RefundTo(bank, account, self.refund_holder)

    @property
    def fingerprint(self) -> str:
        """What makes two requests the same one."""
        return json.dumps(
            [
                self.idempotency_key, self.amount or 0, self.tax_free, self.pg_tid, self.refund_bank,
                (self.refund_account or "")[-4:],
            ],
            ensure_ascii=False,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What became of a cancel request."""

    imp_uid: str
    settled: Settled | None
    """None: an earlier, identical request had done it and its caller has not heard so."""
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    attempt: Attempt
    payment: Payment
    channel_id: int
    vat_amount: int | None
    refund: RefundTo | None


def _find(order: CancelOrder) -> Tx[str]:
    """The payment meant: ``imp_uid`` wins and never falls back; by order, the newest that can be cancelled."""
    if not order.imp_uid and not order.merchant_uid:
        raise Refused(Why.CANCEL_UID_MISSING)
    imp_uid = yield from views.cancellable(order.store_id, order.imp_uid or None, order.merchant_uid or None)
    if imp_uid is None:
        raise Refused(Why.CANCEL_NOTHING)
    return imp_uid


def _same(p: Payment, order: CancelOrder) -> Attempt | None:
    """The earlier cancel that this request repeats.

    With an ``Idempotency-Key``: any of that key. Without: one whose caller heard "being checked" or
    nothing at all, that has since turned out done and that the shop has not learnt of.
    """
    mine = [a for a in p.attempts if a.op is Op.CANCEL and a.purpose is order.purpose and a.request]
    if order.idempotency_key is not None:
        for a in mine:
            if json.loads(a.request)[0] == order.idempotency_key and a.state not in (State.NOT_SENT, State.DECLINED):
                if a.request != order.fingerprint:
                    raise Refused(Why.CONFLICT, idempotency_key=order.idempotency_key)
                return a
        return None
    for a in mine:
        # Told nothing: the process died before it could answer, and somebody else settled it.
        unheard = a.told in (Told.CHECKING, Told.NOTHING) and a.state is State.DONE and not a.seen
        if unheard and a.request == order.fingerprint:
            return a
    return None


def choose_trade(p: Payment, order: CancelOrder) -> str:
    """The PG's number of the trade to take back from: the approval, or the deposit named or meant."""
    came = [e for e in p.entries if e.kind in MONEY_IN and p.left_of(e.pg_tid) > 0]
    if order.pg_tid:
        if not any(e.pg_tid == order.pg_tid for e in came):
            raise Refused(Why.PARAMETER, name="pg_tid", problem="남은 금액이 있는 입금이 아닙니다")
        return order.pg_tid
    if len(came) <= 1:
        return came[0].pg_tid if came else ""
    enough = [e for e in came if p.left_of(e.pg_tid) >= (order.amount or p.left)]
    if len(enough) == 1:
        return enough[0].pg_tid
    listed = ", ".join(f"{e.pg_tid} {p.left_of(e.pg_tid)}원" for e in came)
    raise Refused(Why.PARAMETER, name="pg_tid", problem=f"취소할 입금을 지정해 주세요: {listed}")


def _ask(order: CancelOrder, imp_uid: str, now: Instant) -> Tx[_Asked | Attempt | None]:
    """Commit that we are about to ask. An Attempt: an earlier one answers this; None: another has its turn."""
    stored = yield from payments.load(imp_uid, lock=True)
    assert stored is not None
    p = stored.payment
    earlier = _same(p, order)
    if earlier is not None:
        if earlier.is_open:
            return None
        yield from payments.mark_seen(imp_uid)
        return earlier
    if p.open_work is not None and not p.voided:
        return None
    check_cancel(p, amount=order.amount, checksum=order.checksum)
    number = 1 + sum(a.op is Op.CANCEL for a in p.attempts)
    attempt = ask_cancel(
        p,
        sub_id(imp_uid, "C", number),
        amount=order.amount,
        checksum=order.checksum,
        tax_free=order.tax_free,
        org_tid=choose_trade(p, order),
        purpose=order.purpose,
        reason=order.reason,
        request=order.fingerprint,
        webhook=order.webhook,
        now=now,
    )
    demand_cancellable(p, attempt.org_tid, attempt.amount, now)
    refund = order.refund if needs_account(p, attempt.org_tid, now) else None
    if refund is None and needs_account(p, attempt.org_tid, now):
        raise Refused(Why.CANCEL_NEEDS_ACCOUNT, pay_method=p.pay_method)
    if p.is_account:
        check_open(now)
    extra = json.dumps({"refund": _masked(refund)}, ensure_ascii=False) if refund else "{}"
    yield from payments.add_attempt(p, attempt, check_at=now + LEASE_MS, extra=extra)
    return _Asked(attempt, p.with_attempt(attempt), p.channel_id, stored.row.vat_amount, refund)


def _masked(refund: RefundTo) -> dict[str, str]:
    """What is kept of an account: enough to answer where a refund went."""
    hidden = "*" * (len(refund.account) - 4) + refund.account[-4:]
    return {"bank": refund.bank, "account": hidden, "holder": refund.holder}


async def cancel(cx: Context, order: CancelOrder) -> Cancelled:
    """Cancel (part of) a payment. Raises Refused; nothing has happened then.

    Waits for another cancel's result within the request's budget, then checks balance and checksum
    again. An unknown result is told as "being checked" and settled by asking Hecto.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + cx.budget_s
    pause = cx.patience_s
    imp_uid = await cx.db.glance(_find, order)
    while True:
        asked = await cx.db.write(_ask, order, imp_uid, cx.clock())
        if isinstance(asked, Attempt):
            return Cancelled(imp_uid, None)
        if asked is not None:
            break
        left = deadline - loop.time()
        if left <= 0:
            raise Refused(Why.CANCEL_BUSY)
        await cx.turn(imp_uid, min(pause, left))
        pause = min(pause * 2, 0.5)
    cx.crash("asked")
    return await cx.to_the_end(_call_and_settle(cx, order.store_id, asked, deadline))


async def _call_and_settle(cx: Context, store_id: int, asked: _Asked, deadline: float) -> Cancelled:
    channel = await cx.channel(store_id, asked.channel_id)
    p, attempt = asked.payment, asked.attempt
    if cx.clock() - attempt.asked_at > SEND_WITHIN_MS:
        outcome: Outcome = NotSent("요청이 제때 전송되지 않았습니다")
    else:
        outcome = await cx.gateway.cancel(channel, to_cancel(p, attempt, asked.refund))
    cx.crash("answered")
    if isinstance(outcome, Unknown) and not outcome.mismatch:
        left = deadline - asyncio.get_running_loop().time()
        if left > 1:
            try:
                found = await asyncio.wait_for(ask_about_cancel(cx, channel, p, attempt), left)
            except TimeoutError:
                found = None
            if isinstance(found, Done):
                outcome = found
    settled = await settle_now(cx, attempt.id, outcome, telling=True)
    assert settled is not None
    return Cancelled(p.imp_uid, settled, outcome)


def to_cancel(p: Payment, attempt: Attempt, refund: RefundTo | None = None) -> Cancel:
    """The message of a cancel attempt. *p* holds the attempt as open."""
    return Cancel(
        attempt_id=attempt.id,
        pay_method=p.pay_method,
        org_tid=attempt.org_tid,
        amount=attempt.amount,
        tax_free=attempt.tax_free,
        mixed_tax=p.tax_free > 0,
        round=attempt.round,
        reason=attempt.reason,
        balance_after=won(p.left_of(attempt.org_tid) - attempt.amount),
        refund=refund,
    )


async def ask_about_cancel(cx: Context, channel: Channel, p: Payment, attempt: Attempt) -> Outcome | None:
    """Whether an open cancel happened, from the total that Hecto tells (M21 tells only the total).

    Done when the total grew by exactly this cancel; None when it did not grow (which proves nothing
    yet); Unknown, calling a person, when it grew by anything else. An earlier cancel that was believed not to have
    happened, and whose amount explains the growth, is settled on the way.
    """
    pay = p.pay_attempt
    came = next((e for e in p.entries if e.kind in MONEY_IN and e.pg_tid == attempt.org_tid), None)
    if pay is None or came is None:
        return Unknown("취소할 승인을 찾을 수 없습니다")
    if p.unlimited:
        # No inquiry names one of its deposits: the refund's noti or the transaction list will tell.
        return Unknown("환불 통보 또는 거래대사에서 결과를 확인합니다")
    found, cancelled = await ask_about(cx, channel, p, came, pay)
    match found:
        case Done():
            ours = sum(e.amount for e in p.entries if e.kind not in MONEY_IN and e.org_tid == attempt.org_tid)
            match cancelled - ours:
                case 0:
                    return None
                case attempt.amount:
                    return Done(pg_tid="", amount=attempt.amount, at=cx.clock())
                case other:
                    late = p.late_cancel(attempt, other)
                    if late is not None:
                        done = Done(pg_tid="", amount=late.amount, at=cx.clock())
                        if await settle_now(cx, late.id, done, only_if=p) is None:
                            return Unknown("다른 취소가 그 사이 확인되어 다시 조회합니다")
                        log.warning("attempt.late", attempt=late.id, imp_uid=p.imp_uid)
                        return None if other == late.amount else replace(done, amount=attempt.amount)
                    words = f"취소 누계가 {other}원 늘었습니다 (요청 {attempt.amount}원)"
                    return Unknown(words, mismatch=True)
        case NoSuchTrade() if p.is_account:
            return Unknown("입금된 원거래가 조회되지 않습니다")
        case Unknown() | Declined():
            return found
        case NoSuchTrade() | Pending():
            return None


async def ask_about(cx: Context, channel: Channel, p: Payment, came: Entry, pay: Attempt) -> tuple[Finding, Won]:
    """The trade that money came in by, looked for on the day it was asked for; a deposit also on its own day."""
    days = [pay.asked_at]
    if p.is_account and abs(came.at - pay.asked_at) >= DAY:
        days.append(came.at)
    finding: Finding = NoSuchTrade()
    for day in days:
        question = Question(cx.inquiry_id(p.imp_uid), AttemptId(pay.id), p.pay_method, came.amount, day, came.pg_tid)
        found = await cx.gateway.inquire(channel, question)
        finding = found.finding
        if not isinstance(finding, NoSuchTrade):
            return finding, found.cancelled
    return finding, Won(0)
