"""Scheduled payments: booked all or none, charged at their second and once, every try told by webhook."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from naru.domain.payment import Status, Void, show
from naru.domain.refusal import Refused, Why
from naru.domain.values import DAY, HOUR, MINUTE, SECOND, Instant, from_kst, kst_stamp
from naru.jobs.worker import Runner
from naru.service import billing, schedules
from naru.service.billing import Customer
from naru.service.keyin import CardOrder
from naru.service.schedules import CardRefused, Item, Overtaken
from naru.store import schedules as store
from tests.shop import RecordingSender, Shop, card


def item(shop: Shop, merchant_uid: str, in_ms: int, amount: int = 9900, **more: Any) -> Item:
    order = CardOrder(
        store_id=shop.store_id, merchant_uid=merchant_uid, amount=amount, name="구독", customer_uid="kim", **more
    )
    return Item(order, Instant(shop.clock.at + in_ms))


async def book(shop: Shop, *items: Item, **more: Any) -> list[Any]:
    given: dict[str, Any] = {"card": None, "checking_amount": 0, "channel_key": None, "pg": None}
    customer = Customer(store_id=shop.store_id, customer_uid="kim", name="김나루")
    return await schedules.book(shop.cx, customer, list(items), **(given | more))


async def customer(shop: Shop, uid: str = "kim") -> None:
    await billing.issue(
        shop.cx, Customer(store_id=shop.store_id, customer_uid=uid, name="김나루"), card(birth="820213", pwd="00"),
        channel_key=None, pg=None,
    )  # fmt: skip


async def row(shop: Shop, merchant_uid: str) -> Any:
    return await schedules.find(shop.cx, shop.store_id, merchant_uid)


async def refused(work: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value


def told(shop: Shop) -> list[str]:
    return [body.decode().rpartition('"status":"')[2].rstrip('"}') for _, body, _ in shop.sender.sent]


# --- booking


async def test_schedules_wait_and_are_charged_at_their_second(shop: Shop) -> None:
    await customer(shop)
    booked = await book(shop, item(shop, "b", 2 * DAY), item(shop, "a", DAY, amount=5000))
    assert [(r.merchant_uid, r.status, r.imp_uid) for r in booked] == [
        ("b", "scheduled", None),
        ("a", "scheduled", None),
    ]
    await shop.pass_time(DAY - SECOND)
    assert shop.gateway.trades == {}
    await shop.pass_time(SECOND)
    done = await row(shop, "a")
    assert (done.status, done.payment_status, done.executed_at) == ("executed", "paid", shop.clock.at)
    payment = await shop.shown(done.imp_uid)
    assert (payment.amount, payment.status, payment.customer_uid_usage) == (5000, "paid", "payment.scheduled")
    assert (payment.buyer_name, payment.started_at) == ("김나루", shop.clock.at)
    assert told(shop) == ["paid"]
    assert (await row(shop, "b")).status == "scheduled"


async def test_nothing_is_booked_when_one_of_them_cannot_be(shop: Shop) -> None:
    await customer(shop)
    await book(shop, item(shop, "taken", DAY))
    await shop.pay(merchant_uid="paid")
    for bad, why in (
        (item(shop, "taken", DAY), Why.SCHEDULE_EXISTS),
        (item(shop, "new", DAY), Why.SCHEDULE_EXISTS),  # the same one twice in one request
        (item(shop, "paid", DAY), Why.ALREADY_PAID),
        (item(shop, "past", -SECOND), Why.SCHEDULE_TIME),
        (item(shop, "zero", DAY, amount=0), Why.PARAMETER),
        (item(shop, "quota", DAY, amount=49_999, quota=3), Why.PARAMETER),
    ):
        assert (await refused(book(shop, item(shop, "new", DAY), bad))).why is why
        assert (await refused(row(shop, "new"))).why is Why.SCHEDULE_NOT_FOUND


async def test_who_has_no_key_and_gives_no_card_cannot_be_scheduled(shop: Shop) -> None:
    assert (await refused(book(shop, item(shop, "a", -DAY)))).why is Why.CUSTOMER_NO_KEY


async def test_a_key_is_scheduled_on_no_other_channel(shop: Shop) -> None:
    await customer(shop)
    why = await refused(book(shop, item(shop, "a", DAY), channel_key="channel-key-dev-keyin"))
    assert why.why is Why.CHANNEL_OTHER


async def test_a_card_that_comes_along_is_registered_first(shop: Shop) -> None:
    await book(shop, item(shop, "a", DAY), card=card(birth="820213", pwd="00"))
    assert [c.split()[0] for c in shop.gateway.calls] == ["issue"]
    await shop.pass_time(DAY)
    assert (await row(shop, "a")).payment_status == "paid"


async def test_the_checking_amount_is_charged_taken_back_and_told_to_nobody(shop: Shop) -> None:
    await book(shop, item(shop, "a", DAY), card=card(), checking_amount=1000)
    await shop.runner.drain()
    [trade] = shop.gateway.trades.values()
    assert (trade.amount, trade.cancelled) == (1000, 1000)
    p = await shop.payment(trade.attempt_id)
    assert (p.void, show(p).status, show(p).cancel_amount) == (Void.TRIAL, Status.CANCELLED, 1000)
    assert shop.sender.sent == []
    await shop.pass_time(DAY)
    assert (await row(shop, "a")).payment_status == "paid"


async def test_a_card_that_fails_the_check_schedules_nothing(shop: Shop) -> None:
    shop.gateway.faults = ["decline"]
    with pytest.raises(CardRefused):
        await book(shop, item(shop, "a", DAY), card=card(), checking_amount=1000)
    assert (await refused(row(shop, "a"))).why is Why.SCHEDULE_NOT_FOUND
    assert await billing.current(shop.cx, shop.store_id, "kim") is None


# --- charging


async def test_a_failure_is_told_by_webhook_and_ends_the_schedule(shop: Shop) -> None:
    await customer(shop)
    await book(shop, item(shop, "a", DAY))
    shop.gateway.faults = ["decline"]
    await shop.pass_time(DAY)
    done = await row(shop, "a")
    assert (done.status, done.payment_status, done.fail_reason, done.run_at) == ("executed", "failed", "한도초과", None)
    assert told(shop) == ["failed"]
    await shop.pass_time(3 * DAY)
    assert told(shop) == ["failed"]


async def test_an_unknown_result_is_settled_by_asking_and_never_taken_back(shop: Shop) -> None:
    await customer(shop)
    await book(shop, item(shop, "a", DAY))
    shop.gateway.faults, shop.gateway.blind = ["lost_after"], True
    await shop.pass_time(DAY)
    waiting = await row(shop, "a")
    assert (waiting.status, waiting.payment_status) == ("scheduled", "ready")
    assert (await refused(schedules.unschedule(shop.cx, shop.store_id, "kim", []))).why is Why.UNSCHEDULE_NOTHING
    shop.gateway.blind = False
    await shop.pass_time(5 * MINUTE)
    done = await row(shop, "a")
    assert (done.status, done.payment_status) == ("executed", "paid")
    assert told(shop) == ["paid"]
    assert [t.cancelled for t in shop.gateway.trades.values()] == [0]


async def test_many_workers_charge_each_schedule_once(shop: Shop) -> None:
    await customer(shop)
    await book(shop, *(item(shop, f"m-{n}", DAY) for n in range(60)))
    shop.clock.advance(DAY)
    workers = [Runner(shop.cx, RecordingSender()) for _ in range(5)]
    await asyncio.gather(*(w.drain() for w in workers))
    assert len(shop.gateway.trades) == 60
    assert shop.gateway.complaints == []
    for n in range(60):
        assert (await row(shop, f"m-{n}")).payment_status == "paid"


async def test_a_worker_that_stalled_beyond_its_lease_charges_nothing(shop: Shop) -> None:
    await customer(shop)
    await book(shop, item(shop, "a", DAY))
    shop.clock.advance(DAY)
    now = shop.clock.at
    [claimed] = await shop.cx.db.write(store.claim, now, now + schedules.LEASE_MS, 1)
    shop.clock.advance(schedules.LEASE_MS)
    await shop.runner.drain()
    assert len(shop.gateway.trades) == 1
    await schedules.execute(shop.cx, claimed.id, claimed.tries)
    assert len(shop.gateway.trades) == 1


@pytest.mark.parametrize("point", ["asked", "answered"])
async def test_a_worker_that_dies_charges_at_most_once_and_the_result_is_told(shop: Shop, point: str) -> None:
    await customer(shop)
    await book(shop, item(shop, "a", DAY))
    shop.clock.advance(DAY)

    def crash(at: str) -> None:
        if at == point:
            shop.cx.crash = lambda _point: None
            raise RuntimeError("the worker died")

    shop.cx.crash = crash
    await shop.runner.drain()
    await shop.pass_time(10 * MINUTE)
    done = await row(shop, "a")
    assert done.status == "executed"
    assert done.payment_status == ("paid" if point == "answered" else "failed")
    assert len(shop.gateway.trades) == (1 if point == "answered" else 0)
    assert told(shop) == [done.payment_status]


async def test_an_order_that_was_paid_meanwhile_is_not_charged_again(shop: Shop) -> None:
    await customer(shop)
    await book(shop, item(shop, "a", DAY))
    await shop.pay(merchant_uid="a")
    await shop.pass_time(DAY)
    done = await row(shop, "a")
    assert (done.payment_status, done.fail_reason) == ("failed", "이미 결제가 이루어진 거래건입니다.")
    assert len(shop.gateway.trades) == 1


async def test_a_deleted_customer_fails_at_the_time_and_a_new_card_is_charged_instead_of_the_old(shop: Shop) -> None:
    await customer(shop)
    await book(shop, item(shop, "a", DAY), item(shop, "b", 2 * DAY))
    await billing.delete(shop.cx, shop.store_id, "kim")
    await shop.pass_time(DAY)
    done = await row(shop, "a")
    assert (done.status, done.payment_status, done.fail_reason) == ("executed", "failed", "등록되지 않은 구매자입니다.")
    assert told(shop) == ["failed"]
    assert shop.gateway.trades == {}
    await customer(shop)
    await shop.pass_time(DAY)
    assert (await row(shop, "b")).payment_status == "paid"


# --- changing


async def test_a_schedule_moves_until_it_has_begun(shop: Shop) -> None:
    await customer(shop)
    await book(shop, item(shop, "a", DAY))
    later = Instant(shop.clock.at + 2 * DAY)
    assert (await refused(schedules.move(shop.cx, 1, "a", Instant(shop.clock.at)))).why is Why.SCHEDULE_TIME
    assert (await schedules.move(shop.cx, 1, "a", later)).schedule_at == later
    await shop.pass_time(DAY)
    assert shop.gateway.trades == {}
    await shop.pass_time(DAY)
    assert (await row(shop, "a")).payment_status == "paid"
    why = await refused(schedules.move(shop.cx, 1, "a", Instant(later + DAY)))
    assert (why.why, why.facts["state"]) == (Why.SCHEDULE_STATE, "결제 완료")


async def test_revoked_schedules_are_not_charged_and_may_be_booked_anew(shop: Shop) -> None:
    await customer(shop)
    await book(shop, item(shop, "a", DAY), item(shop, "b", DAY), item(shop, "c", DAY))
    one = await schedules.unschedule(shop.cx, 1, "kim", ["b"])
    assert [(r.merchant_uid, r.status, r.revoked_at) for r in one] == [("b", "revoked", shop.clock.at)]
    rest = await schedules.unschedule(shop.cx, 1, "kim", [])
    assert [r.merchant_uid for r in rest] == ["a", "c"]
    await shop.pass_time(2 * DAY)
    assert shop.gateway.trades == {}
    assert (await refused(schedules.unschedule(shop.cx, 1, None, ["a"]))).why is Why.UNSCHEDULE_NOTHING
    await schedules.rebook(shop.cx, 1, "a", Instant(shop.clock.at + HOUR))
    await book(shop, item(shop, "b", HOUR))
    await shop.pass_time(HOUR)
    assert [(await row(shop, m)).payment_status for m in ("a", "b", "c")] == ["paid", "paid", None]


async def test_a_schedule_revoked_after_it_was_claimed_is_not_charged(shop: Shop) -> None:
    await customer(shop)
    await book(shop, item(shop, "a", DAY))
    shop.clock.advance(DAY)
    now = shop.clock.at
    [claimed] = await shop.cx.db.write(store.claim, now, now + schedules.LEASE_MS, 1)
    await schedules.unschedule(shop.cx, 1, None, ["a"])
    await schedules.execute(shop.cx, claimed.id, claimed.tries)
    assert shop.gateway.trades == {}
    assert (await row(shop, "a")).status == "revoked"
    assert Overtaken  # what the guard raises inside


async def test_a_failed_schedule_is_retried_at_once_and_only_then(shop: Shop) -> None:
    await customer(shop)
    await book(shop, item(shop, "a", DAY))
    assert (await refused(schedules.retry(shop.cx, 1, "a"))).why is Why.SCHEDULE_STATE
    shop.gateway.faults = ["decline", "decline"]
    await shop.pass_time(DAY)
    first = (await row(shop, "a")).imp_uid
    failed = await schedules.retry(shop.cx, 1, "a")
    assert (await shop.shown(failed)).status == "failed"
    paid = await schedules.retry(shop.cx, 1, "a")
    done = await row(shop, "a")
    assert (done.imp_uid, done.payment_status, done.status) == (paid, "paid", "executed")
    assert len({first, failed, paid}) == 3
    assert (await refused(schedules.retry(shop.cx, 1, "a"))).why is Why.SCHEDULE_STATE
    await shop.runner.drain()
    assert sorted(told(shop)) == ["failed", "failed", "paid"]  # webhooks promise no order


async def test_two_retries_at_once_charge_once(shop: Shop) -> None:
    await customer(shop)
    await book(shop, item(shop, "a", DAY))
    shop.gateway.faults = ["decline"]
    await shop.pass_time(DAY)
    results = await asyncio.gather(*(schedules.retry(shop.cx, 1, "a") for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(r, str) for r in results) >= 1
    assert len(shop.gateway.trades) == 1


# --- dunning


async def test_with_dunning_a_failure_is_charged_again_every_day_at_the_hour_until_it_succeeds(shop: Shop) -> None:
    await customer(shop)
    await schedules.set_dunning(shop.cx, 1, 9)
    shop.clock.at = from_kst("20270105140000")
    await book(shop, item(shop, "a", HOUR))
    shop.gateway.faults = ["decline", "decline"]
    await shop.pass_time(HOUR)
    assert kst_stamp((await row(shop, "a")).run_at) == "20270106090000"
    await shop.pass_time(DAY)
    assert kst_stamp((await row(shop, "a")).run_at) == "20270107090000"
    await shop.pass_time(DAY)
    done = await row(shop, "a")
    assert (done.payment_status, done.run_at, kst_stamp(done.executed_at)) == ("paid", None, "20270107090000")
    assert told(shop) == ["failed", "failed", "paid"]


async def test_dunning_ends_when_the_schedule_is_revoked_or_the_switch_is_off(shop: Shop) -> None:
    await customer(shop)
    await schedules.set_dunning(shop.cx, 1, 9)
    await book(shop, item(shop, "a", HOUR), item(shop, "b", HOUR))
    shop.gateway.faults = ["decline", "decline"]
    await shop.pass_time(HOUR)
    await schedules.unschedule(shop.cx, 1, None, ["a"])
    await schedules.set_dunning(shop.cx, 1, None)
    await shop.pass_time(3 * DAY)
    assert shop.gateway.trades == {}
    assert [(await row(shop, m)).status for m in ("a", "b")] == ["revoked", "executed"]
    assert (await refused(schedules.set_dunning(shop.cx, 1, 24))).why is Why.PARAMETER


async def test_dunning_gives_up_in_the_end_and_calls_a_person(shop: Shop) -> None:
    await customer(shop)
    await schedules.set_dunning(shop.cx, 1, 9)
    await book(shop, item(shop, "a", HOUR))
    shop.gateway.judge = lambda _p: "decline"
    await shop.pass_time(40 * DAY)
    assert told(shop) == ["failed"] * 31
    assert (await row(shop, "a")).run_at is None
    assert await shop.alarms() == ["dunning_over"]
