"""Card payments over the API: one charge per order, five answers, nothing kept of what was told "failed"."""

from __future__ import annotations

import asyncio

import pytest

from naru.domain.payment import Purpose, State, Status, Void, show
from naru.domain.refusal import Refused, Why
from naru.domain.values import HOUR, MINUTE, SECOND
from naru.service import keyin
from naru.service.keyin import CardOrder
from tests.shop import Shop, card


async def test_an_approved_payment_is_paid_and_owes_its_webhook(shop: Shop) -> None:
    charged = await shop.pay(1004)
    p = charged.settled.payment
    assert show(p).status is Status.PAID
    assert (p.received, p.left) == (1004, 1004)
    assert await shop.webhooks(p.imp_uid) == [f"{p.imp_uid}:approve#0"]
    row = await shop.shown(p.imp_uid)
    assert (row.status, row.pg_tid, row.apply_num, row.card_code) == ("paid", f"T{p.imp_uid}", "30001234", "366")
    await shop.runner.drain()
    [(url, body, headers)] = shop.sender.sent
    assert url == "http://shop.test/webhook"
    assert body == f'{{"imp_uid":"{p.imp_uid}","merchant_uid":"order-1","status":"paid"}}'.encode()
    assert headers["Content-Type"] == "application/json"


async def test_a_declined_payment_is_failed_without_a_webhook(shop: Shop) -> None:
    shop.gateway.faults = ["decline"]
    p = (await shop.pay()).settled.payment
    row = await shop.shown(p.imp_uid)
    assert (row.status, row.fail_reason, row.failed_at) == ("failed", "한도초과", shop.clock.at)
    assert await shop.webhooks(p.imp_uid) == []
    assert p.entries == ()


@pytest.mark.parametrize("fault", ["decline", "unsent"])
async def test_an_order_that_failed_can_be_tried_again(shop: Shop, fault: str) -> None:
    shop.gateway.faults = [fault]
    await shop.pay(merchant_uid="again")
    second = await shop.pay(merchant_uid="again")
    assert show(second.settled.payment).status is Status.PAID


async def test_a_paid_order_is_never_charged_again(shop: Shop) -> None:
    await shop.pay(merchant_uid="once")
    calls = list(shop.gateway.calls)
    with pytest.raises(Refused) as refused:
        await shop.pay(merchant_uid="once")
    assert refused.value.why is Why.ALREADY_PAID
    assert shop.gateway.calls == calls


async def test_an_order_stays_paid_for_ever_even_after_a_full_cancel(shop: Shop) -> None:
    p = (await shop.pay(merchant_uid="once")).settled.payment
    await shop.cancel(p.imp_uid)
    with pytest.raises(Refused) as refused:
        await shop.pay(merchant_uid="once")
    assert refused.value.why is Why.ALREADY_PAID


async def test_fifty_requests_race_and_one_is_charged(shop: Shop) -> None:
    shop.cx.budget_s = 20  # nobody gives up waiting for the first
    results = await asyncio.gather(*(shop.pay(merchant_uid="race") for _ in range(50)), return_exceptions=True)
    charged = [r for r in results if not isinstance(r, BaseException)]
    refused = [r for r in results if isinstance(r, Refused)]
    assert (len(charged), len(refused)) == (1, 49)
    assert {r.why for r in refused} == {Why.ALREADY_PAID}
    assert len(shop.gateway.trades) == 1


async def test_a_twin_waits_for_the_first_ones_failure_and_then_has_its_own_try(shop: Shop) -> None:
    shop.gateway.faults = ["decline"]
    first, second = await asyncio.gather(shop.pay(merchant_uid="twin"), shop.pay(merchant_uid="twin"))
    assert {show(first.settled.payment).status, show(second.settled.payment).status} == {Status.FAILED, Status.PAID}


async def test_a_twin_hears_that_it_is_being_checked_when_its_budget_ends(shop: Shop) -> None:
    shop.gateway.gate = asyncio.Event()
    first = asyncio.create_task(shop.pay(merchant_uid="slow"))
    await shop.gateway.called.wait()
    with pytest.raises(Refused) as refused:
        await shop.pay(merchant_uid="slow")
    assert refused.value.why is Why.BEING_CHECKED
    shop.gateway.gate.set()
    assert show((await first).settled.payment).status is Status.PAID
    assert len(shop.gateway.trades) == 1


async def test_a_lost_answer_is_asked_about_at_once_and_found_paid(shop: Shop) -> None:
    shop.gateway.faults = ["lost_after"]
    shop.cx.budget_s = 5
    p = (await shop.pay()).settled.payment
    assert show(p).status is Status.PAID
    assert shop.gateway.calls == [f"pay {p.imp_uid}", f"inquire {p.imp_uid}"]


async def test_what_was_told_failed_and_turns_out_approved_is_taken_back_in_silence(shop: Shop) -> None:
    shop.gateway.faults, shop.gateway.blind = ["lost_after"], True
    p = (await shop.pay(5000, merchant_uid="lost")).settled.payment
    assert show(p).status is Status.FAILED
    told_at = (await shop.shown(p.imp_uid)).failed_at
    shop.gateway.blind = False
    await shop.pass_time(2 * MINUTE)
    after = await shop.payment(p.imp_uid)
    assert after.void is Void.TOLD_FAILED
    assert (after.received, after.returned) == (5000, 5000)
    row = await shop.shown(p.imp_uid)
    assert (row.status, row.cancel_amount, row.paid_at, row.failed_at) == ("failed", 0, None, told_at)
    assert await shop.webhooks(p.imp_uid) == []
    assert shop.gateway.trades[p.imp_uid].cancelled == 5000
    assert [a.purpose for a in after.attempts] == [Purpose.SHOP, Purpose.NET]


async def test_the_order_is_blocked_until_the_unknown_is_settled_and_taken_back(shop: Shop) -> None:
    shop.gateway.faults, shop.gateway.blind = ["lost_after"], True
    await shop.pay(merchant_uid="lost")
    with pytest.raises(Refused) as refused:
        await shop.pay(merchant_uid="lost")
    assert refused.value.why is Why.BEING_CHECKED
    shop.gateway.blind = False
    await shop.pass_time(2 * MINUTE)
    assert show((await shop.pay(merchant_uid="lost")).settled.payment).status is Status.PAID
    assert sum(t.amount - t.cancelled for t in shop.gateway.trades.values()) == 1000


async def test_no_such_trade_is_believed_late_and_twice(shop: Shop) -> None:
    shop.gateway.faults = ["lost_before"]
    p = (await shop.pay()).settled.payment
    await shop.pass_time(59 * SECOND)
    assert (await shop.payment(p.imp_uid)).attempts[0].state is State.UNKNOWN
    await shop.pass_time(2 * SECOND)
    assert (await shop.payment(p.imp_uid)).attempts[0].state is State.UNKNOWN
    await shop.pass_time(20 * SECOND)
    assert (await shop.payment(p.imp_uid)).attempts[0].state is State.NOT_SENT


async def test_a_later_done_overrules_not_sent_and_is_taken_back(shop: Shop) -> None:
    shop.gateway.faults = ["lost_before"]
    p = (await shop.pay()).settled.payment
    await shop.pass_time(5 * MINUTE)
    # The request was still travelling: Hecto processes it after all and tells so by noti.
    shop.gateway.faults = [""]
    from naru.service import notices
    from tests.fakes import Trade

    shop.gateway.trades[p.imp_uid] = Trade(f"T{p.imp_uid}", p.imp_uid, 1000)
    notice = shop.gateway.approve_notice(p.attempts[0].id, "nxca_jt_bi")
    verdict = await notices.apply(shop.cx, notice, {p.channel_id})
    assert verdict.word == "applied"
    await shop.pass_time(MINUTE)
    after = await shop.payment(p.imp_uid)
    assert (after.received, after.returned) == (1000, 1000)
    assert (await shop.shown(p.imp_uid)).status == "failed"


async def test_a_net_cancel_that_is_refused_for_good_makes_the_payment_paid_and_calls_a_person(shop: Shop) -> None:
    shop.gateway.faults, shop.gateway.blind = ["lost_after", "decline", "decline", "decline"], True
    p = (await shop.pay()).settled.payment
    shop.gateway.blind = False
    await shop.pass_time(HOUR)
    row = await shop.shown(p.imp_uid)
    assert (row.status, row.void) == ("paid", "kept")
    assert await shop.webhooks(p.imp_uid) == [f"{p.imp_uid}:kept#0"]
    assert "net_cancel_refused" in await shop.alarms()
    with pytest.raises(Refused) as refused:
        await shop.pay(merchant_uid=p.merchant_uid)
    assert refused.value.why is Why.ALREADY_PAID


async def test_a_caller_that_died_unheard_finds_its_payment_paid(shop: Shop) -> None:
    class Died(BaseException):
        pass

    def die(point: str) -> None:
        if point == "answered":
            raise Died

    shop.cx.crash = die
    with pytest.raises(Died):
        await shop.pay(merchant_uid="died")
    shop.cx.crash = lambda _p: None
    await shop.pass_time(2 * MINUTE)
    [trade] = shop.gateway.trades.values()
    row = await shop.shown(trade.attempt_id)
    assert row.status == "paid"
    assert await shop.webhooks(trade.attempt_id) == [f"{trade.attempt_id}:approve#0"]


async def test_a_wrong_amount_pays_nothing_and_calls_a_person(shop: Shop) -> None:
    shop.gateway.faults = ["wrong_amount"]
    p = (await shop.pay()).settled.payment
    assert (await shop.shown(p.imp_uid)).status == "failed"
    assert p.entries == ()
    assert await shop.alarms() == ["mismatch"]


async def test_an_unknown_older_than_ten_minutes_calls_a_person(shop: Shop) -> None:
    shop.gateway.faults, shop.gateway.blind = ["lost_after"], True
    await shop.pay()
    await shop.pass_time(9 * MINUTE)
    assert await shop.alarms() == []
    await shop.pass_time(10 * MINUTE)
    assert await shop.alarms() == ["unknown"]
    shop.gateway.blind = False
    await shop.pass_time(2 * HOUR)


async def test_missing_credentials_are_named_and_nothing_is_asked(shop: Shop) -> None:
    order = CardOrder(store_id=1, merchant_uid="m", amount=1000, name="n")
    with pytest.raises(Refused) as refused:
        await keyin.pay_once(shop.cx, order, card(), channel_key="channel-key-dev-keyin-auth", pg=None)
    assert refused.value.why is Why.CREDENTIALS
    assert refused.value.facts["names"] == ["birth", "pwd_2digit"]
    assert shop.gateway.calls == []


async def test_instalments_need_fifty_thousand_won(shop: Shop) -> None:
    with pytest.raises(Refused) as refused:
        await shop.pay(49_999, quota=3)
    assert refused.value.facts["name"] == "card_quota"
    assert show((await shop.pay(50_000, quota=3)).settled.payment).status is Status.PAID
