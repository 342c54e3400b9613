"""Payments with card data over the API: ask, call, settle."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from naru import logs
from naru.domain.channel import Channel, choose
from naru.domain.outcome import Done, NotSent, Outcome, Sealed, Unknown
from naru.domain.payment import Attempt, Op, Payment, Purpose, State, Void
from naru.domain.refusal import Refused, Why
from naru.domain.values import AttemptId, ImpUid, Instant, MerchantUid, won
from naru.pan import Card
from naru.service.context import LEASE_MS, SEND_WITHIN_MS, Context
from naru.service.ports import CardPayment, Question
from naru.service.settle import Settled, settle_now
from naru.store import payments
from naru.store.db import Conflict, Tx
from naru.store.payments import Stored

log = logs.logger("keyin")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardOrder:
    """An API payment as the shop asks for it. Amounts in KRW."""

    store_id: int
    merchant_uid: str
    amount: int
    name: str
    tax_free: int = 0
    vat_amount: int | None = None
    quota: int = 0
    buyer_name: str | None = None
    buyer_email: str | None = None
    buyer_tel: str | None = None
    buyer_addr: str | None = None
    buyer_postcode: str | None = None
    custom_data: str | None = None
    notice_urls: list[str] | None = None
    user_agent: str | None = None
    customer_uid: str | None = None
    usage: str | None = None
    extra: dict[str, Any] | None = None
    void: Void = Void.NO
    """Set before the charge: it is taken back at once."""


def check_order(order: CardOrder) -> None:
    """The rules that need no database. Raises Refused (PARAMETER)."""
    if order.amount <= 0:
        raise Refused(Why.PARAMETER, name="amount", problem="0보다 커야 합니다")
    if not 0 <= order.tax_free <= order.amount:
        raise Refused(Why.PARAMETER, name="tax_free", problem="0 이상 결제금액 이하여야 합니다")
    if order.quota and not 2 <= order.quota <= 36:
        raise Refused(Why.PARAMETER, name="card_quota", problem="0 또는 2~36이어야 합니다")
    if order.vat_amount is not None and not 0 <= order.vat_amount <= order.amount - order.tax_free:
        raise Refused(Why.PARAMETER, name="vat_amount", problem="0 이상 과세금액 이하여야 합니다")
    if order.quota and order.amount < 50_000:
        raise Refused(Why.PARAMETER, name="card_quota", problem="할부는 50,000원 이상부터 가능합니다")


def fit_card(channel: Channel, card: Card) -> Card:
    """The credentials that the channel's contract asks for; the rest is dropped, what is missing is named.

    Raises Refused (CREDENTIALS). Where birth is no part of the contract shops send a dummy (guide).
    """
    missing = [
        name
        for name, wanted, value in (
            ("birth", channel.credentials.wants_birth, card.birth),
            ("pwd_2digit", channel.credentials.wants_password, card.password2),
        )
        if wanted and not value
    ]
    if missing:
        raise Refused(Why.CREDENTIALS, names=missing, channel=channel.name)
    return Card(
        card.number,
        card.expiry,
        card.birth if channel.credentials.wants_birth else None,
        card.password2 if channel.credentials.wants_password else None,
    )


Also = Callable[[ImpUid], Tx[None]]
"""What belongs to the transaction that asks; raising undoes it, and nothing has happened."""


def _ask(
    order: CardOrder, channel: Channel, imp_uid: ImpUid, now: Any, also: Also | None, known: Outcome | None
) -> Tx[Stored | None]:
    """Commit that we are about to ask. None: another request with this merchant_uid has no result yet."""
    if known is None:
        state = yield from payments.take_order(order.store_id, order.merchant_uid, imp_uid)
        if state.paid_by is not None:
            raise Refused(Why.ALREADY_PAID, merchant_uid=order.merchant_uid)
        if state.busy_by != imp_uid:
            return None
    else:
        yield from payments.lock_order(order.store_id, order.merchant_uid)
    if also is not None:
        yield from also(imp_uid)
    attempt = Attempt(
        id=AttemptId(imp_uid),
        op=Op.PAY,
        amount=won(order.amount),
        state=State.ASKED,
        asked_at=now,
        purpose=Purpose.SHOP,
    )
    p = Payment(
        imp_uid=imp_uid,
        store_id=order.store_id,
        channel_id=channel.id,
        merchant_uid=MerchantUid(order.merchant_uid),
        pay_method="card",
        amount=won(order.amount),
        tax_free=won(order.tax_free),
        started_at=now,
        by_api=True,
        void=order.void,
        attempts=(attempt,),
    )
    row = yield from payments.add_payment(
        {
            "imp_uid": imp_uid,
            "store_id": order.store_id,
            "channel_id": channel.id,
            "merchant_uid": order.merchant_uid,
            "pay_method": "card",
            "route": "api",
            "pg_id": channel.mid,
            "sandbox": int(channel.is_test),
            "name": order.name,
            "amount": order.amount,
            "tax_free": order.tax_free,
            "vat_amount": order.vat_amount,
            **payments.said_by_shop(order),
            "customer_uid": order.customer_uid,
            "customer_uid_usage": order.usage,
            "card_quota": order.quota,
            "extra": json.dumps(order.extra or {}, ensure_ascii=False),
            "void": order.void.value,
            "started_at": now,
        }
    )
    attempt_row = yield from payments.add_attempt(p, attempt, check_at=now + LEASE_MS)
    return Stored(p, row, {imp_uid: attempt_row})


@dataclass(frozen=True, slots=True)
class Charged:
    """A settled charge, with the answer it came from."""

    settled: Settled
    outcome: Outcome
    asked_again: bool = False
    """The answer was lost and an inquiry found the payment: a billing key may still come by noti."""


async def charge(
    cx: Context, order: CardOrder, channel: Channel, *, card: Card | None = None, billing_key: Sealed | None = None,
    also: Also | None = None, known: Outcome | None = None, telling: bool = True, wait: bool = True,
) -> Charged:  # fmt: skip
    """Charge a card or a billing key once for this merchant_uid, however many requests race.

    Twins wait for the first one's result within the request's budget, or not at all without *wait*.
    Raises Refused (ALREADY_PAID, BEING_CHECKED, and what *also* raises). Once asked, the work goes on
    to its end even if the caller goes away.

    *telling*: the caller is answered with the result, so an open one is told "failed" and taken back
    later; else it stays open until somebody knows. *known*: the rules have decided, nothing is sent
    and the payment is written down with that result.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + cx.budget_s
    pause = cx.patience_s
    while True:
        imp_uid = cx.new_imp_uid(by_api=True)
        now = cx.clock()
        try:
            asked = await cx.db.write(_ask, order, channel, imp_uid, now, also, known)
            if asked is not None:
                break
        except Conflict as taken:
            if taken.table != "payments":
                raise
            continue  # the number is another payment's: draw again
        left = deadline - loop.time()
        if left <= 0 or not wait:
            raise Refused(Why.BEING_CHECKED, merchant_uid=order.merchant_uid)
        await cx.turn(f"{order.store_id}:{order.merchant_uid}", min(pause, left))
        pause = min(pause * 2, 0.5)
    cx.crash("asked")
    if known is not None:
        settled = await settle_now(cx, imp_uid, known, telling=telling)
        assert settled is not None
        return Charged(settled, known)
    work = _call_and_settle(cx, order, channel, asked, card, billing_key, deadline, telling)
    return await cx.to_the_end(_known_to_be_under_way(cx, imp_uid, work))


async def _known_to_be_under_way(cx: Context, imp_uid: ImpUid, work: Coroutine[Any, Any, Charged]) -> Charged:
    cx.calling.add(imp_uid)
    try:
        return await work
    finally:
        cx.calling.discard(imp_uid)


async def _call(
    cx: Context, order: CardOrder, channel: Channel, imp_uid: ImpUid, asked_at: Instant, card: Card | None,
    billing_key: Sealed | None,
) -> Outcome:  # fmt: skip
    if cx.clock() - asked_at > SEND_WITHIN_MS:
        return NotSent("요청이 제때 전송되지 않았습니다")
    return await cx.gateway.pay(
        channel,
        CardPayment(
            attempt_id=AttemptId(imp_uid),
            amount=won(order.amount),
            tax_free=won(order.tax_free),
            vat_amount=None if order.vat_amount is None else won(order.vat_amount),
            name=order.name,
            buyer_name=order.buyer_name,
            buyer_email=order.buyer_email,
            customer_id=order.customer_uid or order.merchant_uid,
            quota=order.quota,
            card=card,
            billing_key=billing_key,
        ),
    )


async def _call_and_settle(
    cx: Context, order: CardOrder, channel: Channel, asked: Stored, card: Card | None, billing_key: Sealed | None,
    deadline: float, telling: bool,
) -> Charged:  # fmt: skip
    imp_uid, asked_at = asked.payment.imp_uid, asked.payment.started_at
    outcome = await _call(cx, order, channel, imp_uid, asked_at, card, billing_key)
    cx.crash("answered")
    asked_again = False
    if isinstance(outcome, Unknown) and not outcome.mismatch:
        left = deadline - asyncio.get_running_loop().time()
        if left > 1:
            question = Question(cx.inquiry_id(imp_uid), AttemptId(imp_uid), "card", won(order.amount), asked_at, None)
            try:
                found = (await asyncio.wait_for(cx.gateway.inquire(channel, question), left)).finding
            except TimeoutError:
                found = None
            # Only good news is believed this early: "no such trade" may mean "still travelling".
            if isinstance(found, Done):
                outcome = found
                asked_again = True
    settled = await settle_now(cx, imp_uid, outcome, telling=telling, asked=asked)
    assert settled is not None
    return Charged(settled, outcome, asked_again)


async def pay_once(cx: Context, order: CardOrder, card: Card, *, channel_key: str | None, pg: str | None) -> Charged:
    """A one-time payment with card data (PortOne ``onetime`` without ``customer_uid``)."""
    check_order(order)
    channel = choose(await cx.channels(order.store_id), key=channel_key, pg=pg, can="card_api")
    return await charge(cx, order, channel, card=fit_card(channel, card))
