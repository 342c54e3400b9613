"""Billing keys: issued with a payment or alone, charged, replaced, deleted.

A key that is asked for without a payment moves no money, so an unknown answer is not settled by
asking again: it is forgotten, and a person is told that Hecto may hold a key that nobody knows.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from naru import logs
from naru.domain.billing import KeyState, Usage
from naru.domain.channel import PROVIDER, Channel, choose
from naru.domain.outcome import Declined, Done, NotSent, Outcome
from naru.domain.payment import Status, Void, show, sub_id
from naru.domain.refusal import Refused, Why
from naru.domain.values import DAY, AttemptId, ImpUid, Instant
from naru.pan import Card
from naru.service import billed
from naru.service.billed import ISSUE
from naru.service.context import LEASE_MS, Context
from naru.service.keyin import CardOrder, Charged, charge, check_order, fit_card
from naru.service.ports import KeyRequest
from naru.service.reconcile import pause_after
from naru.store import billing, mail, payments
from naru.store.billing import Holder, NewKey
from naru.store.db import Tx

log = logs.logger("billing")

FORGET_KEY = "key_issue"
"""The job that gives up a key whose request never came to an end."""
NOTI_WAIT_S = 3.0
"""How long a payment whose answer was lost waits for the noti that may bring its billing key."""
GIVE_UP_MS = 7 * DAY
"""How long Hecto is asked to delete a key before a person must look."""
NUMBER_REFUSED = "유효하지않은 카드번호를 입력하셨습니다."


# --- paying and registering


async def pay_and_register(
    cx: Context, order: CardOrder, card: Card, *, channel_key: str | None, pg: str | None
) -> tuple[Charged, bool]:
    """PortOne's ``onetime`` with ``customer_uid``: a payment that also stores the billing key.

    Returns the charge and whether the key is registered: a payment may be approved without one.
    """
    assert order.customer_uid is not None
    check_order(order)
    channel = choose(await cx.channels(order.store_id), key=channel_key, pg=pg, can="card_api")
    order = replace(order, usage=None, extra={**(order.extra or {}), ISSUE: True})
    charged = await charge(cx, order, channel, card=fit_card(channel, card))
    return charged, await _registered(cx, charged)


async def _registered(cx: Context, charged: Charged) -> bool:
    p = charged.settled.payment
    if not p.received or p.void in (Void.TOLD_FAILED, Void.DUPLICATE):
        return False
    loop = asyncio.get_running_loop()
    until = loop.time() + (min(NOTI_WAIT_S, cx.budget_s) if charged.asked_again else 0)
    while await cx.db.glance(billing.key_by_source, p.imp_uid) is None:
        left = until - loop.time()
        if left <= 0:
            return False
        await cx.turn(p.imp_uid, min(left, 0.2))
    return True


# --- charging


async def current(cx: Context, store_id: int, customer_uid: str) -> Any | None:
    """The key that is charged for a customer, with ``inserted_at`` and ``updated_at``."""
    rows = await cx.db.glance(billing.current_keys, store_id, [customer_uid])
    return rows[0] if rows else None


async def key_channel(cx: Context, key: Any, channel_key: str | None = None, pg: str | None = None) -> Channel:
    """The channel that a key is charged on: its own. Raises Refused when another is named or it is switched off."""
    channel = await cx.channel(key.store_id, key.channel_id)
    provider, _, mid = (pg or "").partition(".")
    other = (channel_key and channel_key != channel.key) or (provider == PROVIDER and mid and mid != channel.mid)
    if other:
        raise Refused(Why.CHANNEL_OTHER, channel=channel.name)
    if channel.disabled:
        raise Refused(Why.NO_CHANNEL, can="card_api", channel=channel.name)
    return channel


def still_held(key: Any) -> Callable[[ImpUid], Tx[None]]:
    """For the transaction that asks: refuses (BUYER_UNKNOWN) when the key was replaced or deleted meanwhile."""

    def also(_imp_uid: ImpUid) -> Tx[None]:
        if not (yield from billing.holds(key.store_id, key.customer_uid, key.id)):
            raise Refused(Why.BUYER_UNKNOWN)

    return also


async def again(cx: Context, order: CardOrder, *, channel_key: str | None, pg: str | None) -> Charged:
    """PortOne's ``again``: charge the customer's billing key. Buyer fields fall back to the customer's.

    Raises Refused; that the order is paid already is said before anything about the customer.
    """
    assert order.customer_uid is not None
    check_order(order)
    if (await cx.db.glance(payments.order, order.store_id, order.merchant_uid)).paid_by is not None:
        raise Refused(Why.ALREADY_PAID, merchant_uid=order.merchant_uid)
    while True:
        key = await current(cx, order.store_id, order.customer_uid)
        if key is None:
            raise Refused(Why.BUYER_UNKNOWN)
        channel = await key_channel(cx, key, channel_key, pg)
        try:
            return await charge(
                cx, for_customer(order, key, Usage.PAYMENT), channel, billing_key=billing.unseal(key, cx.vault),
                also=still_held(key),
            )  # fmt: skip
        except Refused as refusal:
            if refusal.why is not Why.BUYER_UNKNOWN:
                raise
            # The key was replaced or deleted between looking and asking: look again.


def for_customer(order: CardOrder, key: Any, usage: Usage) -> CardOrder:
    """An order charged on a billing key: what it does not say about the buyer is the customer's."""
    return replace(
        order,
        usage=usage.value,
        buyer_name=order.buyer_name or key.customer_name,
        buyer_email=order.buyer_email or key.customer_email,
        buyer_tel=order.buyer_tel or key.customer_tel,
        buyer_addr=order.buyer_addr or key.customer_addr,
        buyer_postcode=order.buyer_postcode or key.customer_postcode,
    )


# --- issuing without a payment


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """What a shop says about a customer when a key is issued."""

    store_id: int
    customer_uid: str
    customer_id: str | None = None
    name: str | None = None
    tel: str | None = None
    email: str | None = None
    addr: str | None = None
    postcode: str | None = None


async def issue(cx: Context, customer: Customer, card: Card, *, channel_key: str | None, pg: str | None) -> Any:
    """A billing key without a payment (M06), only where the channel's contract allows it. Returns its row.

    The card number is looked at before contract and password. Raises Refused; an earlier key of the
    customer stays as it is then.
    """
    try:
        channel = choose(await cx.channels(customer.store_id), key=channel_key, pg=pg, can="standalone_key")
        card = fit_card(channel, card)
    except Refused:
        if not card.number.plausible:
            raise Refused(Why.KEY_ISSUE, reason=NUMBER_REFUSED) from None
        raise
    source = f"key_{cx.digits(12)}"
    now = cx.clock()
    key_id = await cx.db.write(_ask_issue, customer, channel, source, now)
    cx.crash("asked")
    return await cx.to_the_end(_call_and_keep(cx, customer, channel, card, key_id, source))


def _ask_issue(customer: Customer, channel: Channel, source: str, now: Instant) -> Tx[int]:
    key_id = yield from billing.add_key(
        {
            "store_id": customer.store_id,
            "customer_uid": customer.customer_uid,
            "channel_id": channel.id,
            "source": source,
            "state": KeyState.ASKED.value,
            "customer_name": customer.name,
            "customer_tel": customer.tel,
            "customer_email": customer.email,
            "customer_addr": customer.addr,
            "customer_postcode": customer.postcode,
            "customer_id": customer.customer_id,
            "asked_at": now,
        }
    )
    assert key_id is not None
    yield from mail.owe(
        FORGET_KEY, f"{FORGET_KEY}:{key_id}", json.dumps({"key": key_id}), store_id=customer.store_id, imp_uid=None,
        run_at=now + LEASE_MS, now=now,
    )  # fmt: skip
    return key_id


async def _call_and_keep(
    cx: Context, customer: Customer, channel: Channel, card: Card, key_id: int, source: str
) -> Any:
    outcome = await cx.gateway.issue_key(
        channel, KeyRequest(AttemptId(source), card, customer.customer_uid, customer.name)
    )
    cx.crash("answered")
    new = None
    if isinstance(outcome, Done) and outcome.billing_key is not None:
        new = billing.seal(outcome.billing_key, source, cx.vault)
    await cx.db.write(_settle_issue, customer, key_id, new, outcome, cx.clock())
    log.info("key.settled", source=source, result=type(outcome).__name__)
    if new is None:
        raise Refused(Why.KEY_ISSUE, reason=_why_no_key(outcome), pg_code=getattr(outcome, "code", None))
    found = await current(cx, customer.store_id, customer.customer_uid)
    if found is None or found.id != key_id:
        raise Refused(Why.KEY_ISSUE, reason="같은 customer_uid의 다른 요청이 먼저 처리되었습니다.")
    return found


def _why_no_key(outcome: Outcome) -> str:
    match outcome:
        case Done():
            return "헥토파이낸셜의 응답에 빌링키가 없습니다. (빌링키 계약을 확인해 주세요)"
        case Declined():
            return f"[{outcome.code}] {outcome.message}"
        case NotSent():
            return outcome.message
        case _:
            return "결과를 확인하지 못했습니다. 카드는 등록되지 않았습니다. 다시 시도해 주세요."


def _settle_issue(customer: Customer, key_id: int, new: NewKey | None, outcome: Outcome, now: Instant) -> Tx[None]:
    row = yield from billing.key(key_id)
    assert row is not None
    if new is None:
        state = KeyState.REFUSED if isinstance(outcome, Done | Declined | NotSent) else KeyState.LOST
        code = outcome.code if isinstance(outcome, Declined) else None
        moved = yield from billing.change_state(row, state, code=code, message=_why_no_key(outcome))
        if moved and state is KeyState.LOST:
            yield from _call_a_person(row, now)
        return
    assert isinstance(outcome, Done)
    holder = yield from billing.lock_customer(customer.store_id, customer.customer_uid)
    late = yield from billing.overtaken(customer.store_id, customer.customer_uid, row.asked_at)
    told = outcome.details
    card = {"card_name": told.card_name, "card_code": told.card_code, "card_number": told.card_number}
    kept = yield from billing.settle_key(
        key_id, KeyState.LIVE, new=new, card=card, issued_at=now, replaced_at=now if late else None, code="0000",
        message=None,
    )  # fmt: skip
    if kept and not late:
        yield from billing.point(holder, key_id, now)


def _call_a_person(row: Any, now: Instant) -> Tx[None]:
    yield from mail.raise_alarm(
        f"key_lost:{row.source}", "key_lost",
        f"빌링키 발급({row.customer_uid})의 결과를 받지 못했습니다. 헥토파이낸셜에 쓰이지 않는 빌링키가 있을 수"
        f" 있습니다. (주문번호 {row.source})",
        store_id=row.store_id, imp_uid=None, now=now,
    )  # fmt: skip


async def forget_issue(cx: Context, job: Any) -> None:
    """The job of a key that was asked for: if its request died, nobody will ever know the key."""
    await cx.db.write(_forget, json.loads(job.payload)["key"], job, cx.clock())


def _forget(key_id: int, job: Any, now: Instant) -> Tx[None]:
    row = yield from billing.key(key_id)
    if row is not None and row.state == KeyState.ASKED:
        moved = yield from billing.change_state(row, KeyState.LOST, message="요청이 끝나지 않았습니다.")
        if moved:
            yield from _call_a_person(row, now)
    yield from mail.finish(job.id, job.tries, now=now)


# --- deleting


async def delete(cx: Context, store_id: int, customer_uid: str, reason: str | None = None) -> Any:
    """Delete a customer's key, here and at Hecto. Returns its row as it was.

    Once this has begun the key is never charged again. Without a clear answer Hecto is asked again
    until it says that the key is gone. Raises Refused (CUSTOMER_NOT_FOUND, KEY_DELETE: Hecto said no
    and the key is as it was). Schedules of the customer are not revoked (PortOne).
    """
    row = await current(cx, store_id, customer_uid)
    if row is None:
        raise Refused(Why.CUSTOMER_NOT_FOUND, customer_uid=customer_uid)
    await delete_key(cx, store_id, row.id, reason)
    return row


async def delete_key(cx: Context, store_id: int, key_id: int, reason: str | None = None) -> None:
    """Delete one key, the current one or one that was replaced. Raises Refused as `delete`."""
    number = await cx.db.write(_ask_delete, store_id, key_id, reason, cx.clock())
    if number is None:
        return
    cx.crash("asked")
    outcome = await cx.to_the_end(_call_delete(cx, key_id, number))
    if isinstance(outcome, Declined):
        raise Refused(Why.KEY_DELETE, reason=f"[{outcome.code}] {outcome.message}")


def _ask_delete(store_id: int, key_id: int, reason: str | None, now: Instant) -> Tx[AttemptId | None]:
    row = yield from billing.key(key_id)
    if row is None or row.store_id != store_id:
        raise Refused(Why.CUSTOMER_NOT_FOUND, customer_uid="")
    holder = yield from billing.lock_customer(store_id, row.customer_uid)
    moved = yield from billing.change_state(row, KeyState.DELETING, deleted_at=now, reason=reason)
    if row.state != KeyState.LIVE or not moved:
        raise Refused(Why.CUSTOMER_NOT_FOUND, customer_uid=row.customer_uid)
    if holder.key_id == key_id:
        yield from billing.point(holder, None, now)
    if (yield from billing.same_elsewhere(row)):
        # Hecto holds it once: deleting it there would take it from the other customer_uid too.
        row = yield from billing.key(key_id)
        yield from billing.change_state(row, KeyState.DELETED, deleted_at=now)
        return None
    number = yield from billing.count_deletion(key_id)
    yield from billed.owe_deletion(key_id, store_id, now + LEASE_MS, now)
    return sub_id(row.source, "K", number)


async def _call_delete(cx: Context, key_id: int, number: AttemptId) -> Outcome:
    row = await cx.db.glance(billing.key, key_id)
    assert row is not None
    channel = await cx.channel(row.store_id, row.channel_id)
    outcome = await cx.gateway.delete_key(channel, number, billing.unseal(row, cx.vault))
    cx.crash("answered")
    await cx.db.write(_settle_delete, key_id, outcome, cx.clock(), told=False)
    log.info("key.deletion_settled", source=row.source, result=type(outcome).__name__)
    return outcome


def _settle_delete(key_id: int, outcome: Outcome, now: Instant, *, told: bool) -> Tx[None]:
    """*told*: the shop was told that the key is deleted, so it is never charged again whatever Hecto says."""
    row = yield from billing.key(key_id)
    assert row is not None
    if row.state != KeyState.DELETING:
        return
    match outcome:
        case Done():
            yield from billing.change_state(row, KeyState.DELETED, deleted_at=row.deleted_at, code="0000")
        case Declined() if not told:
            holder = yield from billing.lock_customer(row.store_id, row.customer_uid)
            yield from billing.change_state(row, KeyState.LIVE, code=outcome.code, message=outcome.message)
            if holder.key_id is None and row.replaced_at is None:
                yield from billing.point(Holder(*_keep_dates(holder, row)), key_id, now)
        case _:
            code = outcome.code if isinstance(outcome, Declined) else None
            yield from billing.change_state(
                row, KeyState.DELETING, deleted_at=row.deleted_at, code=code, message=getattr(outcome, "message", None)
            )


def _keep_dates(holder: Holder, row: Any) -> tuple[int, str, int | None, int | None, int | None]:
    return (holder.store_id, holder.customer_uid, row.id, row.issued_at, holder.updated_at)


async def repeat_delete(cx: Context, job: Any) -> None:
    """The job of a deletion: ask Hecto again, under a new number, until it says that the key is gone."""
    key_id = json.loads(job.payload)["key"]
    number = await cx.db.write(_ask_again, key_id, job, cx.clock())
    if number is None:
        return
    row = await cx.db.glance(billing.key, key_id)
    assert row is not None
    channel = await cx.channel(row.store_id, row.channel_id)
    outcome = await cx.gateway.delete_key(channel, number, billing.unseal(row, cx.vault))
    cx.crash("answered")
    await cx.db.write(_conclude, key_id, outcome, job, cx.clock())


def _ask_again(key_id: int, job: Any, now: Instant) -> Tx[AttemptId | None]:
    row = yield from billing.key(key_id)
    if row is None or row.state != KeyState.DELETING:
        yield from mail.finish(job.id, job.tries, now=now)
        return None
    number = yield from billing.count_deletion(key_id)
    return sub_id(row.source, "K", number)


def _conclude(key_id: int, outcome: Outcome, job: Any, now: Instant) -> Tx[None]:
    yield from _settle_delete(key_id, outcome, now, told=True)
    if isinstance(outcome, Done):
        yield from mail.finish(job.id, job.tries, now=now)
        return
    row = yield from billing.key(key_id)
    assert row is not None
    refused = isinstance(outcome, Declined)
    again = now + pause_after(job.tries)
    over = refused or again > job.created_at + GIVE_UP_MS
    yield from mail.postpone(
        job.id, job.tries, run_at=None if over else again, error=getattr(outcome, "message", ""), now=now
    )
    if over:
        yield from mail.raise_alarm(
            f"key_not_deleted:{row.source}", "key_not_deleted",
            f"빌링키({row.customer_uid})를 헥토파이낸셜에서 삭제하지 못했습니다. 나루에서는 더 결제되지 않습니다."
            f" ({getattr(outcome, 'message', '')})",
            store_id=row.store_id, imp_uid=None, now=now,
        )  # fmt: skip


# --- trying a card


async def try_card(
    cx: Context, customer: Customer, amount: int, *, card: Card | None, key: Any | None, channel_key: str | None,
    pg: str | None,
) -> Charged:  # fmt: skip
    """Charge *amount* KRW to see whether a card or a key works; the approval is taken back at once.

    With a card its billing key is kept, if Hecto gives one. Nobody is told by webhook.
    """
    order = CardOrder(
        store_id=customer.store_id, merchant_uid=f"check_{cx.digits(12)}", amount=amount, name="카드 확인",
        buyer_name=customer.name, buyer_email=customer.email, buyer_tel=customer.tel, buyer_addr=customer.addr,
        buyer_postcode=customer.postcode, customer_uid=customer.customer_uid, void=Void.TRIAL,
    )  # fmt: skip
    check_order(order)
    if card is not None:
        channel = choose(await cx.channels(customer.store_id), key=channel_key, pg=pg, can="card_api")
        order = replace(order, extra={ISSUE: True})
        charged = await charge(cx, order, channel, card=fit_card(channel, card))
        await _registered(cx, charged)
        return charged
    channel = await key_channel(cx, key, channel_key, pg)
    return await charge(
        cx, for_customer(order, key, Usage.PAYMENT), channel, billing_key=billing.unseal(key, cx.vault),
        also=still_held(key),
    )  # fmt: skip


def failed(charged: Charged) -> bool:
    """Whether a charge did not come off."""
    return show(charged.settled.payment).status is Status.FAILED
