"""Scheduled payments: booked, moved, revoked, charged at their second, charged again after a failure.

Exactly once: a worker claims a schedule for a while (the lease is the next run time), and the
transaction that asks Hecto writes the payment into the schedule if nobody else has taken, moved or
revoked it since. From then on the payment's own attempt is watched by the settle job, and whoever
learns the result ends the schedule in the same transaction (`service.billed`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from naru import logs
from naru.domain.billing import DUNNING_HOURS, ScheduleStatus, Usage, check_again, check_move, check_time
from naru.domain.channel import Channel
from naru.domain.outcome import NotSent
from naru.domain.refusal import Refused, Why
from naru.domain.values import MINUTE, SECOND, ImpUid, Instant
from naru.pan import Card
from naru.service import billing as keys
from naru.service.billed import NO_RETRY, SCHEDULE
from naru.service.billing import Customer, current, for_customer, key_channel, try_card
from naru.service.context import Context
from naru.service.keyin import CardOrder, Charged, charge, check_order
from naru.store import billing, payments, schedules, stores
from naru.store.db import Tx
from naru.store.schedules import to_schedule

log = logs.logger("schedules")

LEASE_MS = MINUTE
"""How long a claim holds before another worker may take the schedule over."""
BUSY_MS = 10 * SECOND
"""When to look again at a schedule whose order another payment is at."""
BATCH = 16
"""How many schedules one loop of a worker claims at once."""
MOST_ITEMS = 1000


@dataclass(frozen=True, slots=True)
class Item:
    """One payment to be scheduled."""

    order: CardOrder
    at: Instant


class Overtaken(Exception):
    """A claimed schedule was taken over, moved or revoked before Hecto was asked."""


# --- booking


async def book(
    cx: Context, customer: Customer, items: list[Item], *, card: Card | None, checking_amount: int,
    channel_key: str | None, pg: str | None,
) -> list[Any]:  # fmt: skip
    """Schedule payments, all or none, in the order given. Returns their rows.

    A card is used only when the customer has no key yet: the key is issued first. ``checking_amount``
    is charged and taken back. Raises Refused; a key that was issued on the way stays.
    """
    if not items:
        raise Refused(Why.PARAMETER, name="schedules")
    if len(items) > MOST_ITEMS:
        raise Refused(Why.PARAMETER, name="schedules", problem=f"한 번에 {MOST_ITEMS}개까지 예약할 수 있습니다")
    key = await current(cx, customer.store_id, customer.customer_uid)
    if key is None and card is None:
        raise Refused(Why.CUSTOMER_NO_KEY)
    for item in items:
        check_order(item.order)
        check_time(item.at, cx.clock())
    _check_twice(items)
    if key is not None:
        await key_channel(cx, key, channel_key, pg)
    await cx.db.read(_check_free, customer.store_id, items)
    if key is None:
        assert card is not None
        key = await _register(cx, customer, card, checking_amount, channel_key, pg)
    elif checking_amount:
        _refuse_failed(await try_card(cx, customer, checking_amount, card=None, key=key, channel_key=None, pg=None))
    rows = await cx.db.write(_book, customer, key.channel_id, items, cx.clock())
    cx.wake()
    return rows


async def _register(
    cx: Context, customer: Customer, card: Card, checking_amount: int, channel_key: str | None, pg: str | None
) -> Any:
    if not checking_amount:
        return await keys.issue(cx, customer, card, channel_key=channel_key, pg=pg)
    charged = await try_card(cx, customer, checking_amount, card=card, key=None, channel_key=channel_key, pg=pg)
    _refuse_failed(charged)
    key = await current(cx, customer.store_id, customer.customer_uid)
    if key is None:
        raise Refused(Why.KEY_ISSUE, reason="카드는 확인되었으나 빌링키가 등록되지 않았습니다.")
    return key


class CardRefused(Exception):
    """A card that was to be tried did not work."""

    def __init__(self, charged: Charged) -> None:
        super().__init__("card refused")
        self.charged = charged


def _refuse_failed(charged: Charged) -> None:
    if keys.failed(charged):
        raise CardRefused(charged)


def _check_twice(items: list[Item]) -> None:
    seen: set[str] = set()
    for item in items:
        if item.order.merchant_uid in seen:
            raise Refused(Why.SCHEDULE_EXISTS, merchant_uid=item.order.merchant_uid)
        seen.add(item.order.merchant_uid)


def _check_free(store_id: int, items: list[Item]) -> Tx[None]:
    for item in items:
        yield from _refuse_taken(store_id, item.order.merchant_uid)


def _refuse_taken(store_id: int, merchant_uid: str) -> Tx[None]:
    order = yield from payments.order(store_id, merchant_uid)
    if order.paid_by is not None:
        raise Refused(Why.ALREADY_PAID, merchant_uid=merchant_uid, code=1)
    known = yield from schedules.by_order(store_id, merchant_uid)
    if known is not None and known.status != ScheduleStatus.REVOKED:
        raise Refused(Why.SCHEDULE_EXISTS, merchant_uid=merchant_uid)


def _book(customer: Customer, channel_id: int, items: list[Item], now: Instant) -> Tx[list[Any]]:
    for item in sorted(items, key=lambda i: i.order.merchant_uid):  # one lock order for everybody
        yield from payments.lock_order(customer.store_id, item.order.merchant_uid)
        yield from _refuse_taken(customer.store_id, item.order.merchant_uid)
    ids: list[int] = []
    for item in items:
        o = item.order
        schedule_id = yield from schedules.add(
            {
                "store_id": customer.store_id,
                "merchant_uid": o.merchant_uid,
                "customer_uid": customer.customer_uid,
                "channel_id": channel_id,
                "status": ScheduleStatus.SCHEDULED.value,
                "schedule_at": item.at,
                "amount": o.amount,
                "tax_free": o.tax_free,
                "vat_amount": o.vat_amount,
                "name": o.name,
                "card_quota": o.quota,
                "buyer_name": o.buyer_name,
                "buyer_email": o.buyer_email,
                "buyer_tel": o.buyer_tel,
                "buyer_addr": o.buyer_addr,
                "buyer_postcode": o.buyer_postcode,
                "custom_data": o.custom_data,
                "notice_urls": json.dumps(o.notice_urls) if o.notice_urls else None,
                "user_agent": o.user_agent,
                "run_at": item.at,
                "created_at": now,
                "updated_at": now,
            }
        )
        ids.append(schedule_id)
    return (yield from _rows(ids))


def _rows(ids: list[int]) -> Tx[list[Any]]:
    rows: list[Any] = []
    for schedule_id in ids:
        row = yield from schedules.by_id(schedule_id)
        rows.append(row)
    return rows


# --- changing


async def find(cx: Context, store_id: int, merchant_uid: str) -> Any:
    """The schedule of a merchant_uid. Raises Refused (SCHEDULE_NOT_FOUND)."""
    row = await cx.db.glance(schedules.by_order, store_id, merchant_uid)
    if row is None:
        raise Refused(Why.SCHEDULE_NOT_FOUND)
    return row


async def move(cx: Context, store_id: int, merchant_uid: str, at: Instant) -> Any:
    """Move a schedule that waits to another time. Raises Refused (SCHEDULE_NOT_FOUND, _STATE, _TIME)."""
    row = await cx.db.write(_move, store_id, merchant_uid, at, cx.clock())
    cx.wake()
    return row


def _locked(store_id: int, merchant_uid: str) -> Tx[Any]:
    """The newest schedule of an order, locked under its order: nothing is charged or booked meanwhile."""
    found = yield from schedules.by_order(store_id, merchant_uid)
    if found is None:
        raise Refused(Why.SCHEDULE_NOT_FOUND)
    yield from payments.lock_order(store_id, merchant_uid)
    newest = yield from schedules.by_order(store_id, merchant_uid)
    assert newest is not None
    return (yield from schedules.by_id(newest.id, lock=True))


def _move(store_id: int, merchant_uid: str, at: Instant, now: Instant) -> Tx[Any]:
    row = yield from _locked(store_id, merchant_uid)
    check_move(to_schedule(row), at, now)
    yield from schedules.book(row.id, at, now)
    return (yield from schedules.by_id(row.id))


async def rebook(cx: Context, store_id: int, merchant_uid: str, at: Instant) -> Any:
    """PortOne's ``reschedule``: book a failed or revoked schedule anew. Raises Refused."""
    row = await cx.db.write(_rebook, store_id, merchant_uid, at, cx.clock())
    cx.wake()
    return row


def _rebook(store_id: int, merchant_uid: str, at: Instant, now: Instant) -> Tx[Any]:
    row = yield from _locked(store_id, merchant_uid)
    check_again(to_schedule(row), "재예약")
    check_time(at, now, status=400)
    order = yield from payments.order(store_id, merchant_uid)
    if order.paid_by is not None:
        raise Refused(Why.ALREADY_PAID, merchant_uid=merchant_uid, status=400)
    yield from schedules.book(row.id, at, now)
    return (yield from schedules.by_id(row.id))


async def unschedule(cx: Context, store_id: int, customer_uid: str | None, merchant_uids: list[str]) -> list[Any]:
    """Revoke schedules: those named, or all of a customer. Returns their rows. Raises Refused (UNSCHEDULE_NOTHING)."""
    return await cx.db.write(_unschedule, store_id, customer_uid, merchant_uids, cx.clock())


def _unschedule(store_id: int, customer_uid: str | None, merchant_uids: list[str], now: Instant) -> Tx[list[Any]]:
    if merchant_uids:
        ids = yield from schedules.open_of_orders(store_id, merchant_uids)
    else:
        assert customer_uid is not None
        ids = yield from schedules.open_of_customer(store_id, customer_uid)
    revoked: list[int] = []
    for schedule_id in ids:
        row = yield from schedules.by_id(schedule_id, lock=True)
        if row is None or (customer_uid is not None and row.customer_uid != customer_uid):
            continue
        if to_schedule(row).revocable:
            yield from schedules.revoke(schedule_id, now)
            revoked.append(schedule_id)
    if not revoked:
        raise Refused(Why.UNSCHEDULE_NOTHING)
    return (yield from _rows(revoked))


# --- charging


async def run_due(cx: Context, most: int = BATCH) -> int:
    """Charge schedules whose time has come. Returns how many there were."""
    now = cx.clock()
    due = await cx.db.glance(schedules.next_run)
    if due is None or due > now:
        return 0
    rows = await cx.db.write(schedules.claim, now, now + LEASE_MS, most)
    results = await asyncio.gather(*(execute(cx, row.id, row.tries) for row in rows), return_exceptions=True)
    for row, result in zip(rows, results, strict=True):
        if isinstance(result, Exception):
            # Its lease runs out and it comes due again, or its payment is watched: nothing is lost.
            log.error("schedule.failed", schedule=row.id, exc_info=result)
        elif isinstance(result, BaseException):
            raise result
    return len(rows)


async def execute(cx: Context, schedule_id: int, taken: int) -> None:
    """Charge one claimed schedule; *taken* is the try number of the claim."""
    row = await cx.db.glance(schedules.by_id, schedule_id)
    assert row is not None

    def also(imp_uid: ImpUid, channel_id: int) -> Tx[None]:
        if not (yield from schedules.asked(schedule_id, taken, imp_uid, channel_id, cx.clock())):
            raise Overtaken

    try:
        await _charge(cx, row, also, wait=False)
    except Overtaken:
        log.info("schedule.overtaken", schedule=schedule_id)
    except Refused as refusal:
        if refusal.why is not Why.BEING_CHECKED:
            raise
        await cx.db.write(schedules.postpone, schedule_id, taken, cx.clock() + BUSY_MS)


async def retry(cx: Context, store_id: int, merchant_uid: str) -> str:
    """PortOne's ``retry``: charge a failed or revoked schedule now. Returns the payment's imp_uid, however it ended.

    Raises Refused (SCHEDULE_NOT_FOUND, SCHEDULE_STATE).
    """
    row = await find(cx, store_id, merchant_uid)
    check_again(to_schedule(row), "재시도")

    def also(imp_uid: ImpUid, channel_id: int) -> Tx[None]:
        newest = yield from schedules.by_id(row.id, lock=True)
        assert newest is not None
        check_again(to_schedule(newest), "재시도")
        yield from schedules.asked(newest.id, newest.tries, imp_uid, channel_id, cx.clock())

    return (await _charge(cx, row, also, wait=True)).settled.payment.imp_uid


_Also = Callable[[ImpUid, int], Tx[None]]


async def _charge(cx: Context, row: Any, also: _Also, *, wait: bool) -> Charged:
    """Charge a schedule on the customer's key of this moment; what stands against it makes a failed payment."""
    order = CardOrder(
        store_id=row.store_id, merchant_uid=row.merchant_uid, amount=row.amount, name=row.name, tax_free=row.tax_free,
        vat_amount=row.vat_amount, quota=row.card_quota, buyer_name=row.buyer_name, buyer_email=row.buyer_email,
        buyer_tel=row.buyer_tel, buyer_addr=row.buyer_addr, buyer_postcode=row.buyer_postcode,
        custom_data=row.custom_data, notice_urls=json.loads(row.notice_urls) if row.notice_urls else None,
        user_agent=row.user_agent, customer_uid=row.customer_uid, usage=Usage.SCHEDULED.value,
        extra={SCHEDULE: row.id},
    )  # fmt: skip
    while True:
        key = await current(cx, row.store_id, row.customer_uid)
        channel = await cx.channel(row.store_id, row.channel_id if key is None else key.channel_id)
        if key is None:
            return await _refuse(cx, order, channel, also, "등록되지 않은 구매자입니다.")
        if channel.disabled:
            return await _refuse(cx, order, channel, also, f"'{channel.name}' 채널의 사용이 중지되었습니다.")
        held = keys.still_held(key)

        def both(imp_uid: ImpUid, held: Callable[[ImpUid], Tx[None]] = held, channel_id: int = channel.id) -> Tx[None]:
            yield from also(imp_uid, channel_id)
            yield from held(imp_uid)

        try:
            return await charge(
                cx, for_customer(order, key, Usage.SCHEDULED), channel, billing_key=billing.unseal(key, cx.vault),
                also=both, telling=False, wait=wait,
            )  # fmt: skip
        except Refused as refusal:
            if refusal.why is Why.ALREADY_PAID:
                paid = replace(order, extra={SCHEDULE: row.id, NO_RETRY: True})
                return await _refuse(cx, paid, channel, also, "이미 결제가 이루어진 거래건입니다.")
            if refusal.why is not Why.BUYER_UNKNOWN:
                raise
            # The key was replaced or deleted between looking and asking: look again.


async def _refuse(cx: Context, order: CardOrder, channel: Channel, also: _Also, why: str) -> Charged:
    def both(imp_uid: ImpUid) -> Tx[None]:
        return also(imp_uid, channel.id)

    return await charge(cx, order, channel, also=both, known=NotSent(why), telling=False)


# --- dunning


async def set_dunning(cx: Context, store_id: int, hour: int | None) -> None:
    """Let a store's failed schedules be charged again every day at this KST hour, until one succeeds.

    *hour* 1-23 as in PortOne; None switches it off: what waits for its next try is not charged again.
    Raises Refused (PARAMETER).
    """
    if hour is not None and hour not in DUNNING_HOURS:
        raise Refused(Why.PARAMETER, name="dunning_hour", problem="1~23이어야 합니다")

    def work() -> Tx[None]:
        yield from stores.set_dunning(store_id, hour)
        if hour is None:
            yield from schedules.stop_retries(store_id)

    await cx.db.write(work)
    cx.forget()
