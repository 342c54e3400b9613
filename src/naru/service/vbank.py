"""Virtual accounts over the API: issue, change, revoke. Ask, call, settle, like everything that reaches Hecto.

How an unknown is settled: an issue by its noti, else by the identical message once more under
the same number, which cannot make a second account; a change or a revocation by the identical message. What
the caller heard had failed and turns out to have been issued is revoked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from naru import logs
from naru.domain import standard
from naru.domain.channel import Channel, choose
from naru.domain.outcome import Declined, NotSent, Outcome, Unknown
from naru.domain.payment import Account, Attempt, Op, Payment, Purpose, State, Told, sub_id
from naru.domain.refusal import Refused, Why
from naru.domain.values import AttemptId, ImpUid, Instant, MerchantUid, Won, kst_date, won
from naru.domain.vbank import (
    ISSUING_BANKS,
    ask_change,
    ask_revoke,
    check_due,
    check_open,
    closed,
    opens_at,
    waiting,
)
from naru.pan import CardSecret
from naru.service import deposits
from naru.service.context import LEASE_MS, Context
from naru.service.ports import ChangeAccount, IssueAccount, RevokeAccount
from naru.service.settle import Settled, settle_now
from naru.store import accounts, payments
from naru.store.db import Tx
from naru.store.payments import Stored

log = logs.logger("vbank")

ROTATING, FIXED, UNLIMITED = "rotating_account", "fixed_account", "unlimited_account"
"""Contract flags of a channel, beside ``vbank_api``."""
LOOSE_CHANGE = "vbank_due_optional"
"""Store switch: ``PUT /vbanks`` takes ``vbank_due`` or ``amount`` or both (the schema's reading)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOrder:
    """An account as the shop asks for it. Amounts in KRW."""

    store_id: int
    merchant_uid: str
    holder: str
    name: str
    amount: int = 0
    number: str | None = None
    """The assigned number, digits; None: a rotating account."""
    bank: str | None = None
    """Three digits; of an assigned number it follows from the assignment."""
    unlimited: bool = False
    due: Instant | None = None
    tax_free: int = 0
    vat_amount: int | None = None
    escrow_password: CardSecret | None = None
    buyer_name: str | None = None
    buyer_email: str | None = None
    buyer_tel: str | None = None
    buyer_addr: str | None = None
    buyer_postcode: str | None = None
    custom_data: str | None = None
    notice_urls: list[str] | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a request about an account."""

    settled: Settled
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class _Plan:
    kind: Account
    bank: str
    number: str


async def named_channel(cx: Context, store_id: int, *, key: str | None, pg: str | None) -> Channel:
    """The channel that a request names, by ``channel_key`` or ``pg=settle.MID``; never one by default.

    Raises Refused (PARAMETER, CHANNEL_UNKNOWN, NO_CHANNEL).
    """
    if not key and not (pg or "").partition(".")[2]:
        raise Refused(Why.PARAMETER, name="pg", problem="channel_key 또는 pg=settle.{MID}로 채널을 지정해야 합니다")
    return _contracted(await cx.channels(store_id), key, pg)


def _contracted(channels: list[Channel], key: str | None, pg: str | None) -> Channel:
    try:
        return choose(channels, key=key, pg=pg, can="vbank_api")
    except Refused as refused:
        if refused.why is Why.NO_CHANNEL:
            raise Refused(refused.why, **refused.facts, code=-1) from None
        raise


def _need(channel: Channel, flag: str) -> None:
    if not channel.allows(flag):
        raise Refused(Why.NO_CHANNEL, can=flag, channel=channel.name, code=-1)


def kind_of(order: AccountOrder) -> Account:
    """What kind of account is asked for."""
    return Account.UNLIMITED if order.unlimited else Account.FIXED if order.number else Account.ROTATING


def plan(channel: Channel, order: AccountOrder) -> _Plan:
    """Which kind of account at which bank, by the channel's contract and its assigned numbers. Raises Refused."""
    kind = kind_of(order)
    _need(channel, {Account.UNLIMITED: UNLIMITED, Account.FIXED: FIXED}.get(kind, ROTATING))
    if order.escrow_password is not None:
        _need(channel, "escrow")
    if kind is Account.ROTATING:
        if order.bank is None:
            raise Refused(Why.PARAMETER, name="vbank_code")
        if order.bank not in ISSUING_BANKS:
            raise Refused(Why.PARAMETER, name="vbank_code", problem="가상계좌를 발급하는 은행이 아닙니다")
        return _Plan(kind, order.bank, "")
    if order.number is None:
        raise Refused(Why.PARAMETER, name="vbank_num")
    assigned = {number: bank for bank, _, number in (item.partition(":") for item in channel.accounts)}
    bank = assigned.get(order.number)
    if bank is None:
        problem = f"'{channel.name}' 채널에 배정된 계좌번호가 아닙니다"
        raise Refused(Why.PARAMETER, name="vbank_num", problem=problem)
    if order.bank is not None and order.bank != bank:
        problem = f"배정된 계좌의 은행({standard.BANKS.get(bank, bank)})과 다릅니다"
        raise Refused(Why.PARAMETER, name="vbank_code", problem=problem)
    return _Plan(kind, bank, order.number)


def check_order(order: AccountOrder, kind: Account, now: Instant) -> None:
    """The rules that need no database. Raises Refused (PARAMETER)."""
    if kind is Account.UNLIMITED:
        for name, given in (("tax_free", order.tax_free), ("vat_amount", order.vat_amount)):
            if given:
                raise Refused(Why.PARAMETER, name=name, problem="고정식 무제한 가상계좌에는 쓸 수 없습니다")
        if order.escrow_password is not None:
            problem = "고정식 무제한 가상계좌는 에스크로 결제를 지원하지 않습니다"
            raise Refused(Why.PARAMETER, name="escrow_password", problem=problem)
    elif order.amount <= 0:
        raise Refused(Why.PARAMETER, name="amount", problem="0보다 커야 합니다")
    if not 0 <= order.tax_free <= order.amount and kind is not Account.UNLIMITED:
        raise Refused(Why.PARAMETER, name="tax_free", problem="0 이상 결제금액 이하여야 합니다")
    if order.vat_amount and not 0 <= order.vat_amount <= order.amount - order.tax_free:
        raise Refused(Why.PARAMETER, name="vat_amount", problem="0 이상 과세금액 이하여야 합니다")
    if order.escrow_password is not None and not order.buyer_email:
        raise Refused(Why.PARAMETER, name="buyer_email")
    check_due(order.due, kind, now)


# ---------------------------------------------------------------- issue


class _HeldByUnknown(Exception):
    """The number may belong to a payment whose issue has no final result yet."""

    def __init__(self, imp_uid: str) -> None:
        super().__init__(imp_uid)
        self.imp_uid = imp_uid


def _ask_issue(order: AccountOrder, channel: Channel, plan: _Plan, imp_uid: ImpUid, now: Instant) -> Tx[bool]:
    """Commit that we are about to ask. False: a card is being charged for this order.

    Raises Refused, _HeldByUnknown.
    """
    state = yield from payments.lock_order(order.store_id, order.merchant_uid)
    if state.paid_by is not None:
        raise Refused(Why.ALREADY_PAID, merchant_uid=order.merchant_uid)
    if state.busy_by is not None:
        return False
    if plan.number:
        yield from _take_number(channel, plan.number, imp_uid, now)
    amount = won(0 if plan.kind is Account.UNLIMITED else order.amount)
    attempt = Attempt(id=AttemptId(imp_uid), op=Op.ISSUE, amount=amount, state=State.ASKED, asked_at=now)
    p = Payment(
        imp_uid=imp_uid, store_id=order.store_id, channel_id=channel.id, merchant_uid=MerchantUid(order.merchant_uid),
        pay_method="vbank", amount=amount, tax_free=won(order.tax_free), started_at=now, by_api=True,
        account=plan.kind, number=plan.number, due=order.due, attempts=(attempt,),
    )  # fmt: skip
    yield from payments.add_payment(
        {
            "imp_uid": imp_uid,
            "store_id": order.store_id,
            "channel_id": channel.id,
            "merchant_uid": order.merchant_uid,
            "pay_method": "vbank",
            "route": "api",
            "pg_id": channel.mid,
            "sandbox": int(channel.is_test),
            "name": order.name,
            "amount": amount,
            "tax_free": order.tax_free,
            "vat_amount": order.vat_amount,
            **payments.said_by_shop(order),
            "escrow": int(order.escrow_password is not None),
            "account": plan.kind.value,
            "vbank_code": plan.bank,
            "vbank_name": standard.BANKS.get(plan.bank),
            "vbank_num": plan.number or None,
            "vbank_holder": order.holder,
            "vbank_due": order.due,
            "started_at": now,
        }
    )
    extra = json.dumps({"due": order.due, "bank": plan.bank, "number": plan.number})
    yield from payments.add_attempt(p, attempt, check_at=now + LEASE_MS, extra=extra)
    return True


def _take_number(channel: Channel, number: str, imp_uid: str, now: Instant) -> Tx[None]:
    """An assigned number has one taker at a time. Raises Refused (PARAMETER), _HeldByUnknown."""
    holder = yield from accounts.lock(channel.mid, number)
    if holder is not None:
        stored = yield from payments.load(holder)
        if stored is not None and waiting(stored.payment, now):
            asked = stored.payment.pay_attempt
            assert asked is not None
            if asked.is_open or asked.told is Told.FAILED:
                raise _HeldByUnknown(holder)
            problem = f"이미 발급되어 사용 중인 계좌입니다 ({holder})"
            raise Refused(Why.PARAMETER, name="vbank_num", problem=problem)
    yield from accounts.take(channel.mid, number, imp_uid)


async def issue(cx: Context, order: AccountOrder, channel: Channel) -> Done:
    """Issue an account. Raises Refused; nothing has happened then.

    A number whose earlier issue has no result yet is found out about first: if it was issued and its caller
    heard that it had failed, it is revoked and issued again.
    """
    check_order(order, kind_of(order), cx.clock())
    planned = plan(channel, order)
    check_open(cx.clock())
    loop = asyncio.get_running_loop()
    deadline = loop.time() + cx.budget_s
    pause = cx.patience_s
    looked = False
    while True:
        imp_uid = cx.new_imp_uid(by_api=True)
        try:
            if await cx.db.write(_ask_issue, order, channel, planned, imp_uid, cx.clock()):
                break
        except _HeldByUnknown as held:
            if looked:
                problem = f"앞선 발급({held.imp_uid})의 결과를 확인하고 있습니다. 잠시 후 다시 시도해 주세요"
                raise Refused(Why.PARAMETER, name="vbank_num", problem=problem) from None
            looked = True
            await find_out(cx, held.imp_uid)
            continue
        left = deadline - loop.time()
        if left <= 0:
            raise Refused(Why.BEING_CHECKED, merchant_uid=order.merchant_uid)
        await cx.turn(f"{order.store_id}:{order.merchant_uid}", min(pause, left))
        pause = min(pause * 2, 0.5)
    cx.crash("asked")
    return await cx.to_the_end(_issue_and_settle(cx, channel, imp_uid, order.escrow_password, deadline))


async def _issue_and_settle(
    cx: Context, channel: Channel, imp_uid: ImpUid, password: CardSecret | None, deadline: float
) -> Done:
    stored = await _load(cx, imp_uid)
    message = to_issue(stored, password)
    outcome = await cx.gateway.issue_account(channel, message)
    cx.crash("answered")
    if isinstance(outcome, Unknown) and not outcome.mismatch:
        outcome = await _persist(
            cx, imp_uid, outcome, deadline, lambda: cx.gateway.issue_account(channel, message, again=True),
            noti_may_come=not stored.payment.unlimited,
        )  # fmt: skip
    settled = await settle_now(cx, imp_uid, outcome, telling=True)
    assert settled is not None
    return Done(settled, outcome)


async def _persist(
    cx: Context, imp_uid: str, outcome: Outcome, deadline: float, again: Callable[[], Awaitable[Outcome]], *,
    noti_may_come: bool = False,
) -> Outcome:  # fmt: skip
    """The answer did not come: wait a little for the noti, then say the same once more, within the budget."""
    loop = asyncio.get_running_loop()
    for wait in (False, True) if noti_may_come else ():
        if wait:
            await cx.turn(imp_uid, min(cx.patience_s * 20, max(deadline - loop.time(), 0.001)))
        asked = (await _load(cx, imp_uid)).payment.pay_attempt
        if asked is not None and asked.state is State.DONE:
            return outcome  # the noti has settled it
    left = deadline - loop.time()
    if left <= 1:
        return outcome
    try:
        second = await asyncio.wait_for(again(), left)
    except TimeoutError:
        return outcome
    return second


async def _load(cx: Context, imp_uid: str) -> Stored:
    stored = await cx.db.read(payments.load, imp_uid)
    assert stored is not None
    return stored


def to_issue(stored: Stored, password: CardSecret | None) -> IssueAccount:
    """The message of a payment's issue, the same whenever it is made."""
    row, asked = stored.row, stored.payment.pay_attempt
    assert asked is not None
    kept = json.loads(stored.attempt_rows[asked.id].extra)
    return IssueAccount(
        attempt_id=asked.id,
        asked_at=asked.asked_at,
        kind=stored.payment.account,
        bank=kept["bank"],
        number=kept["number"],
        amount=asked.amount,
        name=row.name,
        holder=row.vbank_holder,
        customer_id=row.merchant_uid,
        buyer_name=row.buyer_name,
        buyer_email=row.buyer_email,
        tax_free=stored.payment.tax_free,
        vat_amount=None if row.vat_amount is None else Won(row.vat_amount),
        due=kept["due"],
        escrow_password=password,
    )


# ---------------------------------------------------------------- change and revoke


def _of_store(store_id: int, imp_uid: str) -> Tx[Stored]:
    stored = yield from payments.load(imp_uid, lock=True)
    if stored is None or stored.payment.store_id != store_id:
        raise Refused(Why.PAYMENT_NOT_FOUND)
    return stored


def _number_of(p: Payment, op: Op, letter: str) -> AttemptId:
    return sub_id(p.imp_uid, letter, 1 + sum(a.op is op for a in p.attempts))


def _ask_change(store_id: int, imp_uid: str, amount: int | None, due: Instant | None, now: Instant) -> Tx[Attempt]:
    stored = yield from _of_store(store_id, imp_uid)
    p = stored.payment
    check_open(now, status=400, code=-1)
    request = json.dumps([amount, due])
    attempt, new_due = ask_change(p, _number_of(p, Op.CHANGE, "M"), amount=amount, due=due, request=request, now=now)
    if new_due is None:
        raise Refused(Why.PARAMETER, name="vbank_due", status=400, code=-1)
    yield from payments.add_attempt(p, attempt, check_at=now + LEASE_MS, extra=json.dumps({"due": new_due}))
    return attempt


def _ask_revoke(store_id: int, imp_uid: str, reason: str | None, now: Instant) -> Tx[Attempt | None]:
    """None: an earlier revocation, told as being checked, has turned out done, and this asks for the same."""
    stored = yield from _of_store(store_id, imp_uid)
    p = stored.payment
    done = p.revoked
    if done is not None and done.told is Told.CHECKING and not done.seen:
        yield from payments.mark_seen(imp_uid)
        return None
    check_open(now, status=400, code=-1)
    attempt = ask_revoke(p, _number_of(p, Op.REVOKE, "D"), reason=reason, org_tid=stored.row.pg_tid or "", now=now)
    yield from payments.add_attempt(p, attempt, check_at=now + LEASE_MS)
    return attempt


async def _in_turn(
    cx: Context, imp_uid: str, ask: Callable[[], Awaitable[Attempt | None]]
) -> tuple[Attempt | None, float]:
    """Ask when nothing else that was asked about this payment is open. Raises Refused after the budget."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + cx.budget_s
    pause = cx.patience_s
    while True:
        try:
            return await ask(), deadline
        except Refused as refused:
            left = deadline - loop.time()
            if refused.why is not Why.CANCEL_BUSY:
                raise
            if left <= 0:
                raise Refused(
                    Why.ACCOUNT, problem="진행 중인 다른 요청의 결과를 확인하고 있습니다. 잠시 후 다시 시도해 주세요."
                ) from None
        await cx.turn(imp_uid, min(pause, left))
        pause = min(pause * 2, 0.5)


async def change(cx: Context, store_id: int, imp_uid: str, *, amount: int | None, due: Instant | None) -> Done:
    """Change an account's amount and due date before its deposit (``PUT /vbanks``). Raises Refused."""
    if due is None:
        loose = (await cx.store(store_id)).on(LOOSE_CHANGE)
        if not loose or amount is None:
            raise Refused(Why.PARAMETER, name="vbank_due", status=400, code=-1)
    attempt, deadline = await _in_turn(
        cx, imp_uid, lambda: cx.db.write(_ask_change, store_id, imp_uid, amount, due, cx.clock())
    )
    assert attempt is not None
    cx.crash("asked")
    return await cx.to_the_end(_send_and_settle(cx, imp_uid, attempt, deadline))


async def revoke(cx: Context, store_id: int, imp_uid: str, *, reason: str | None = None) -> Done | None:
    """End an account (``DELETE /vbanks``). Raises Refused. None: an earlier, identical request has done it."""
    attempt, deadline = await _in_turn(
        cx, imp_uid, lambda: cx.db.write(_ask_revoke, store_id, imp_uid, reason, cx.clock())
    )
    if attempt is None:
        return None
    cx.crash("asked")
    return await cx.to_the_end(_send_and_settle(cx, imp_uid, attempt, deadline))


async def _send_and_settle(cx: Context, imp_uid: str, attempt: Attempt, deadline: float) -> Done:
    stored = await _load(cx, imp_uid)
    outcome = await send(cx, stored, attempt, again=False)
    cx.crash("answered")
    if isinstance(outcome, Unknown) and not outcome.mismatch:
        outcome = await _persist(cx, imp_uid, outcome, deadline, lambda: send(cx, stored, attempt, again=True))
    settled = await settle_now(cx, attempt.id, outcome, telling=True)
    assert settled is not None
    if isinstance(outcome, Declined) and attempt.op is Op.REVOKE:
        # The PG may know of a deposit whose noti is still on its way.
        await deposits.look(cx, imp_uid)
    return Done(settled, outcome)


async def send(cx: Context, stored: Stored, attempt: Attempt, *, again: bool) -> Outcome:
    """Send a change or revocation, or the identical message again.

    Order numbers are only good for their KST day, so on a later day it carries a number and a time of that
    day: both messages say what shall be, and saying it twice does nothing.
    """
    p, row = stored.payment, stored.row
    channel = await cx.channel(p.store_id, p.channel_id)
    number, asked_at = attempt.id, attempt.asked_at
    today = kst_date(cx.clock())
    if again and today != kst_date(asked_at):
        number, asked_at = AttemptId(f"{attempt.id}R{today}"), cx.clock()
    if attempt.op is Op.CHANGE:
        change = ChangeAccount(
            attempt_id=number, asked_at=asked_at, kind=_kind(p), bank=row.vbank_code, number=p.number,
            amount=attempt.amount, due=json.loads(stored.attempt_rows[attempt.id].extra)["due"],
        )  # fmt: skip
        return await cx.gateway.change_account(channel, change, again=again)
    revoke = RevokeAccount(attempt_id=number, asked_at=asked_at, number=p.number, org_tid=attempt.org_tid)
    return await cx.gateway.revoke_account(channel, revoke, again=again)


def _kind(p: Payment) -> Account:
    return p.account if p.account is not Account.NO else Account.ROTATING


# ---------------------------------------------------------------- finding out


async def look_again(cx: Context, stored: Stored, attempt: Attempt, checks: int) -> tuple[Outcome, Instant | None]:
    """What the settle job does about an open issue, change or revocation; and when banks open, if they are closed."""
    now = cx.clock()
    if closed(now):
        return Unknown("은행 점검 시간이 끝나면 다시 확인합니다"), opens_at(now)
    p = stored.payment
    if attempt.op is Op.ISSUE:
        if stored.row.escrow:
            return Unknown("발급 통보를 기다립니다"), None  # its password is not kept, so it cannot be said again
        if kst_date(now) != kst_date(attempt.asked_at):
            return Unknown("발급 결과를 확인하지 못했습니다. 헥토파이낸셜에 문의해 주세요"), None
        channel = await cx.channel(p.store_id, p.channel_id)
        return await cx.gateway.issue_account(channel, to_issue(stored, None), again=True), None
    first = attempt.purpose is Purpose.NET and attempt.state is State.ASKED and checks == 1
    outcome = await send(cx, stored, attempt, again=not first)
    cx.crash("answered")
    if first and isinstance(outcome, NotSent):
        outcome = Unknown(outcome.message)  # it is owed, so it is sent again
    return outcome, None


async def find_out(cx: Context, imp_uid: str) -> None:
    """Ask now about everything that is open at an account, and about the revocation that follows from it."""
    for _ in range(2):
        stored = await _load(cx, imp_uid)
        mine = (Op.ISSUE, Op.CHANGE, Op.REVOKE)
        attempt = next((a for a in stored.payment.attempts if a.op in mine and a.is_open), None)
        if attempt is None or not stored.payment.by_api:
            return
        if (
            cx.clock() < attempt.asked_at + LEASE_MS
            and attempt.told is Told.NOTHING
            and attempt.purpose is not Purpose.NET
        ):
            return  # its own request is still at work on it
        checks = await cx.db.write(payments.claim_check, attempt.id, cx.clock() + LEASE_MS)
        if checks is None:
            return  # it was settled meanwhile, or a person must see to it
        outcome, _ = await look_again(cx, stored, attempt, checks)
        await settle_now(cx, attempt.id, outcome)
