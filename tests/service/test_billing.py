"""Billing keys: stored with a payment or alone, charged, replaced, deleted; what an unknown answer leaves behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from naru.domain.billing import KeyState
from naru.domain.payment import Status, Void, show
from naru.domain.refusal import Refused, Why
from naru.domain.values import DAY, HOUR, MINUTE, ImpUid
from naru.service import billing, notices
from naru.service.billing import Customer
from naru.service.keyin import CardOrder, Charged
from naru.store import billing as store
from naru.store import mail, stores
from tests.shop import Shop, card

AUTH = "channel-key-dev-keyin-auth"


def order(shop: Shop, merchant_uid: str, amount: int = 3000, uid: str = "kim", **more: Any) -> CardOrder:
    return CardOrder(
        store_id=shop.store_id, merchant_uid=merchant_uid, amount=amount, name="구독", customer_uid=uid, **more
    )


async def register(shop: Shop, merchant_uid: str = "first", uid: str = "kim", **more: Any) -> tuple[Charged, bool]:
    return await billing.pay_and_register(
        shop.cx, order(shop, merchant_uid, uid=uid, **more), card(), channel_key=None, pg=None
    )


async def again(shop: Shop, merchant_uid: str, uid: str = "kim", **more: Any) -> Charged:
    channel_key, pg = more.pop("channel_key", None), more.pop("pg", None)
    return await billing.again(shop.cx, order(shop, merchant_uid, uid=uid, **more), channel_key=channel_key, pg=pg)


async def issue(shop: Shop, uid: str = "kim", channel_key: str | None = None, **more: Any) -> Any:
    customer = Customer(store_id=shop.store_id, customer_uid=uid, name="김나루", email="kim@example.com", tel="010")
    given = card(birth="820213", pwd="00") if not more else card(**more)
    return await billing.issue(shop.cx, customer, given, channel_key=channel_key, pg=None)


async def keys(shop: Shop, uid: str = "kim") -> list[Any]:
    return await shop.cx.db.read(store.keys_of, shop.store_id, uid)


async def refused(work: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value


async def noti(shop: Shop, imp_uid: Any) -> notices.Verdict:
    mid = "nxca_jt_bi"
    channels = await shop.cx.db.read(stores.channels_by_mid, mid, shop.cx.vault)
    return await notices.apply(shop.cx, shop.gateway.approve_notice(imp_uid, mid), {c.id for c in channels})


# --- with a payment


async def test_the_first_payment_stores_the_key_sealed_under_its_customer(shop: Shop) -> None:
    charged, registered = await register(shop, buyer_name="김나루", buyer_email="kim@example.com")
    p = charged.settled.payment
    assert registered
    row = await shop.shown(p.imp_uid)
    assert (row.status, row.customer_uid, row.customer_uid_usage) == ("paid", "kim", "issue")
    [key] = await keys(shop)
    assert (key.state, key.card_number, key.card_code) == ("live", "411111******1111", "366")
    assert (key.customer_name, key.customer_email) == ("김나루", "kim@example.com")
    secret = f"SBILL_{p.imp_uid}"
    assert secret.encode() not in bytes(key.sealed)
    assert store.unseal(key, shop.cx.vault).reveal() == secret


async def test_a_payment_without_customer_uid_drops_the_key_that_nobody_asked_for(shop: Shop) -> None:
    p = (await shop.pay()).settled.payment
    assert f"SBILL_{p.imp_uid}" in shop.gateway.billing_keys
    row = await shop.shown(p.imp_uid)
    assert (row.customer_uid, row.customer_uid_usage) == (None, None)
    assert await keys(shop) == []


async def test_an_answer_without_a_key_is_a_paid_payment_that_registered_nothing(shop: Shop) -> None:
    shop.gateway.keyless.add("nxca_jt_bi")
    charged, registered = await register(shop)
    assert show(charged.settled.payment).status is Status.PAID
    assert not registered
    row = await shop.shown(charged.settled.payment.imp_uid)
    assert (row.customer_uid, row.customer_uid_usage) == ("kim", None)
    assert (await refused(again(shop, "second"))).why is Why.BUYER_UNKNOWN


async def test_a_declined_first_payment_registers_nothing(shop: Shop) -> None:
    shop.gateway.faults = ["decline"]
    charged, registered = await register(shop)
    assert show(charged.settled.payment).status is Status.FAILED
    assert not registered
    assert await keys(shop) == []


async def test_after_a_lost_answer_the_noti_brings_the_key_while_the_shop_still_waits(shop: Shop) -> None:
    shop.gateway.faults, shop.cx.budget_s = ["lost_after"], 5
    asked = asyncio.create_task(register(shop))
    await shop.gateway.inquired.wait()
    [imp_uid] = shop.gateway.trades
    assert (await noti(shop, imp_uid)).ok
    charged, registered = await asked
    assert show(charged.settled.payment).status is Status.PAID
    assert registered
    [key] = await keys(shop)
    assert key.source == imp_uid


async def test_a_key_that_comes_later_by_noti_is_registered_once(shop: Shop) -> None:
    shop.gateway.faults = ["no_key"]
    charged, registered = await register(shop)
    imp_uid = charged.settled.payment.imp_uid
    assert not registered
    assert (await noti(shop, imp_uid)).word == "again"
    assert (await noti(shop, imp_uid)).word == "again"
    [key] = await keys(shop)
    assert key.state == KeyState.LIVE
    assert (await shop.shown(imp_uid)).customer_uid_usage == "issue"
    assert show((await again(shop, "second")).settled.payment).status is Status.PAID


async def test_a_late_key_does_not_take_the_place_of_a_newer_one(shop: Shop) -> None:
    shop.gateway.faults = ["no_key"]
    first, _ = await register(shop, "first")
    shop.clock.advance(MINUTE)
    second, _ = await register(shop, "second")
    await noti(shop, first.settled.payment.imp_uid)
    newer, late = await keys(shop)
    assert (newer.source, newer.replaced_at) == (second.settled.payment.imp_uid, None)
    assert (late.source, late.replaced_at) == (first.settled.payment.imp_uid, shop.clock.at)
    current = await billing.current(shop.cx, shop.store_id, "kim")
    assert current is not None
    assert current.id == newer.id


async def test_a_late_key_does_not_bring_a_deleted_customer_back(shop: Shop) -> None:
    shop.gateway.faults = ["no_key"]
    first, _ = await register(shop, "first")
    shop.clock.advance(MINUTE)
    await register(shop, "second")
    shop.clock.advance(MINUTE)
    await billing.delete(shop.cx, shop.store_id, "kim")
    await noti(shop, first.settled.payment.imp_uid)
    assert await billing.current(shop.cx, shop.store_id, "kim") is None


async def test_the_key_of_an_approval_that_is_taken_back_is_deleted_too(shop: Shop) -> None:
    shop.gateway.faults, shop.gateway.blind = ["lost_after"], True
    charged, registered = await register(shop)
    imp_uid = charged.settled.payment.imp_uid
    assert (show(charged.settled.payment).status, registered) == (Status.FAILED, False)
    await noti(shop, imp_uid)
    shop.gateway.blind = False
    await shop.pass_time(2 * MINUTE)
    p = await shop.payment(imp_uid)
    assert (p.void, p.left) == (Void.TOLD_FAILED, 0)
    [key] = await keys(shop)
    assert key.state == KeyState.DELETED
    assert shop.gateway.billing_keys == {}
    assert await billing.current(shop.cx, shop.store_id, "kim") is None


# --- charging again


async def test_again_charges_the_key_on_its_own_channel_with_the_customers_name(shop: Shop) -> None:
    await issue(shop)
    charged = await again(shop, "month-1", amount=9900)
    row = await shop.shown(charged.settled.payment.imp_uid)
    assert (row.status, row.amount, row.customer_uid_usage, row.pg_id) == ("paid", 9900, "payment", "nxca_ks_gu")
    assert (row.buyer_name, row.buyer_email) == ("김나루", "kim@example.com")
    [paid] = shop.gateway.pays
    assert paid.card is None
    assert paid.billing_key is not None


async def test_that_the_order_is_paid_is_said_before_anything_about_the_customer(shop: Shop) -> None:
    await shop.pay(merchant_uid="once")
    assert (await refused(again(shop, "once", uid="nobody"))).why is Why.ALREADY_PAID
    assert (await refused(again(shop, "other", uid="nobody"))).why is Why.BUYER_UNKNOWN


async def test_a_key_is_charged_on_no_other_channel(shop: Shop) -> None:
    await register(shop)
    calls = len(shop.gateway.calls)
    assert (await refused(again(shop, "a", channel_key=AUTH))).why is Why.CHANNEL_OTHER
    assert (await refused(again(shop, "a", pg="settle.nxca_ks_gu"))).why is Why.CHANNEL_OTHER
    assert len(shop.gateway.calls) == calls
    assert show((await again(shop, "a", pg="settle.nxca_jt_bi")).settled.payment).status is Status.PAID
    assert show((await again(shop, "b", pg="settle")).settled.payment).status is Status.PAID


async def test_a_key_that_hecto_dropped_is_a_decline_with_its_code(shop: Shop) -> None:
    await register(shop)
    shop.gateway.billing_keys.clear()
    charged = await again(shop, "second")
    row = await shop.shown(charged.settled.payment.imp_uid)
    assert (row.status, row.fail_reason) == ("failed", "등록되지 않은 빌링키")
    assert await shop.webhooks(row.imp_uid) == []


async def test_an_unknown_charge_of_a_key_is_told_failed_and_taken_back(shop: Shop) -> None:
    await register(shop)
    shop.gateway.faults, shop.gateway.blind = ["lost_after"], True
    p = (await again(shop, "second", amount=7000)).settled.payment
    assert show(p).status is Status.FAILED
    shop.gateway.blind = False
    await shop.pass_time(2 * MINUTE)
    p = await shop.payment(p.imp_uid)
    assert (show(p).status, p.received, p.returned) == (Status.FAILED, 7000, 7000)
    assert shop.gateway.trades[p.imp_uid].cancelled == 7000


async def test_fifty_charges_of_one_order_race_and_one_is_made(shop: Shop) -> None:
    await register(shop)
    results = await asyncio.gather(*(again(shop, "race") for _ in range(50)), return_exceptions=True)
    assert sum(not isinstance(r, BaseException) for r in results) == 1
    assert {r.why for r in results if isinstance(r, Refused)} == {Why.ALREADY_PAID}
    assert sum(c.startswith("pay") for c in shop.gateway.calls) == 2


# --- without a payment


async def test_a_key_alone_moves_no_money(shop: Shop) -> None:
    row = await issue(shop)
    assert (row.customer_uid, row.card_number, row.inserted_at) == ("kim", "411111******1111", shop.clock.at)
    assert shop.gateway.calls == [f"issue {row.source}"]
    assert shop.gateway.trades == {}


async def test_a_key_alone_needs_a_channel_whose_contract_has_it(shop: Shop) -> None:
    why = await refused(issue(shop, channel_key="channel-key-dev-keyin"))
    assert why.why is Why.NO_CHANNEL
    assert await keys(shop) == []


async def test_the_card_number_is_looked_at_before_contract_and_password(shop: Shop) -> None:
    bad = {"number": "1111-1111-1111-1111"}
    for work in (issue(shop, channel_key="channel-key-dev-keyin", **bad), issue(shop, birth="770604", **bad)):
        why = await refused(work)
        assert (why.why, why.facts["reason"]) == (Why.KEY_ISSUE, billing.NUMBER_REFUSED)
    assert (await refused(issue(shop, birth="770604"))).why is Why.CREDENTIALS
    assert shop.gateway.calls == []


@pytest.mark.parametrize("fault", ["decline", "unsent", "no_key"])
async def test_a_refused_key_leaves_the_earlier_one(shop: Shop, fault: str) -> None:
    first = await issue(shop)
    shop.gateway.faults = [fault]
    assert (await refused(issue(shop))).why is Why.KEY_ISSUE
    assert [k.state for k in await keys(shop)] == ["live", "refused"]
    current = await billing.current(shop.cx, shop.store_id, "kim")
    assert current is not None
    assert current.id == first.id
    assert await shop.alarms() == []


async def test_an_unknown_key_is_forgotten_and_a_person_is_called(shop: Shop) -> None:
    shop.gateway.faults = ["lost_after"]
    assert (await refused(issue(shop))).why is Why.KEY_ISSUE
    [key] = await keys(shop)
    assert (key.state, key.sealed) == ("lost", None)
    assert await shop.alarms() == ["key_lost"]
    await shop.pass_time(HOUR)
    assert await shop.alarms() == ["key_lost"]


async def test_a_key_whose_request_died_is_forgotten_too(shop: Shop) -> None:
    def crash(point: str) -> None:
        if point == "asked":
            raise RuntimeError("the process died")

    shop.cx.crash = crash
    with pytest.raises(RuntimeError):
        await issue(shop)
    shop.cx.crash = lambda _point: None
    assert [k.state for k in await keys(shop)] == ["asked"]
    await shop.pass_time(HOUR)
    assert [k.state for k in await keys(shop)] == ["lost"]
    assert await shop.alarms() == ["key_lost"]


# --- replacing and deleting


async def test_another_card_under_the_same_customer_replaces_the_key_and_revokes_nothing(shop: Shop) -> None:
    first = await issue(shop)
    shop.clock.advance(DAY)
    charged, _ = await register(shop)
    old, new = await keys(shop)
    assert (old.state, old.replaced_at) == ("live", shop.clock.at)
    assert (new.state, new.replaced_at) == ("live", None)
    assert len(shop.gateway.billing_keys) == 2
    current = await billing.current(shop.cx, shop.store_id, "kim")
    assert current is not None
    assert (current.id, current.inserted_at, current.updated_at) == (new.id, first.inserted_at, shop.clock.at)
    assert show((await again(shop, "next")).settled.payment).status is Status.PAID
    key = shop.gateway.pays[-1].billing_key
    assert key is not None
    assert key.reveal() == f"SBILL_{charged.settled.payment.imp_uid}"


async def test_a_replaced_key_can_be_deleted_by_itself(shop: Shop) -> None:
    old = await issue(shop)
    new = await issue(shop)
    await billing.delete_key(shop.cx, shop.store_id, old.id)
    assert [k.state for k in await keys(shop)] == ["deleted", "live"]
    assert list(shop.gateway.billing_keys) == [f"SBILL_{new.source}"]
    assert show((await again(shop, "next")).settled.payment).status is Status.PAID


async def test_a_deleted_key_is_gone_here_and_at_hecto(shop: Shop) -> None:
    row = await issue(shop)
    deleted = await billing.delete(shop.cx, shop.store_id, "kim", "탈퇴")
    assert deleted.id == row.id
    [key] = await keys(shop)
    assert (key.state, key.reason, key.deleted_at) == ("deleted", "탈퇴", shop.clock.at)
    assert shop.gateway.billing_keys == {}
    assert (await refused(again(shop, "next"))).why is Why.BUYER_UNKNOWN
    assert (await refused(billing.delete(shop.cx, shop.store_id, "kim"))).why is Why.CUSTOMER_NOT_FOUND


@pytest.mark.parametrize("fault", ["lost_before", "lost_after", "unsent"])
async def test_an_unclear_deletion_is_repeated_until_hecto_says_that_the_key_is_gone(shop: Shop, fault: str) -> None:
    row = await issue(shop)
    shop.gateway.faults = [fault, fault]
    await billing.delete(shop.cx, shop.store_id, "kim")
    [key] = await keys(shop)
    assert key.state == "deleting"
    assert (await refused(again(shop, "next"))).why is Why.BUYER_UNKNOWN
    await shop.pass_time(HOUR)
    [key] = await keys(shop)
    assert key.state == "deleted"
    assert shop.gateway.billing_keys == {}
    numbers = [c for c in shop.gateway.calls if c.startswith("delete")]
    assert numbers == [f"delete {row.source}K{n:03d}" for n in (1, 2, 3)]


async def test_a_refused_deletion_leaves_the_key_as_it_was(shop: Shop) -> None:
    row = await issue(shop)
    shop.gateway.faults = ["decline"]
    why = await refused(billing.delete(shop.cx, shop.store_id, "kim"))
    assert (why.why, why.facts["reason"]) == (Why.KEY_DELETE, "[ST68] 서비스 중지")
    current = await billing.current(shop.cx, shop.store_id, "kim")
    assert current is not None
    assert (current.id, current.state, current.inserted_at) == (row.id, "live", row.inserted_at)
    assert show((await again(shop, "next")).settled.payment).status is Status.PAID


async def test_a_deletion_refused_after_the_shop_was_told_calls_a_person(shop: Shop) -> None:
    await issue(shop)
    shop.gateway.faults = ["lost_before", "decline"]
    await billing.delete(shop.cx, shop.store_id, "kim")
    await shop.pass_time(HOUR)
    [key] = await keys(shop)
    assert (key.state, key.pg_code) == ("deleting", "ST68")
    assert await shop.alarms() == ["key_not_deleted"]
    assert (await refused(again(shop, "next"))).why is Why.BUYER_UNKNOWN


async def test_a_deletion_that_died_after_asking_is_finished(shop: Shop) -> None:
    await issue(shop)

    def crash(point: str) -> None:
        if point == "asked":
            raise RuntimeError("the process died")

    shop.cx.crash = crash
    with pytest.raises(RuntimeError):
        await billing.delete(shop.cx, shop.store_id, "kim")
    shop.cx.crash = lambda _point: None
    await shop.pass_time(HOUR)
    assert [k.state for k in await keys(shop)] == ["deleted"]
    jobs = await shop.cx.db.read(mail.next_job, ("key_delete", "key_issue"))
    assert jobs is None


async def test_a_key_deleted_between_looking_and_asking_is_not_charged(shop: Shop) -> None:
    await register(shop)
    key = await billing.current(shop.cx, shop.store_id, "kim")
    held = billing.still_held(key)
    await shop.cx.db.write(held, ImpUid("imps_000000000000"))
    await billing.delete(shop.cx, shop.store_id, "kim")
    why = await refused(shop.cx.db.write(held, ImpUid("imps_000000000000")))
    assert why.why is Why.BUYER_UNKNOWN


async def test_customers_of_another_store_are_nobody(shop: Shop) -> None:
    await register(shop)
    other = CardOrder(store_id=2, merchant_uid="x", amount=1000, name="x", customer_uid="kim")
    assert (await refused(billing.again(shop.cx, other, channel_key=None, pg=None))).why is Why.BUYER_UNKNOWN
    assert (await refused(billing.delete(shop.cx, 2, "kim"))).why is Why.CUSTOMER_NOT_FOUND
