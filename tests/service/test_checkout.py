"""The payment window: nothing opens that would be refused, everything is settled before anybody is answered."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import replace
from typing import Any

import pytest

from naru.domain.channel import Environment, Use
from naru.domain.payment import Op, State, Status, Told, Void, show
from naru.domain.refusal import Refused, Why
from naru.domain.values import HOUR, MINUTE, SECOND, AttemptId
from naru.service import checkout, notices, prepare, setup
from naru.service.checkout import GAVE_UP, Verdict, WindowOrder
from naru.service.ports import Landing
from naru.store import payments, stores
from tests.shop import Shop

PAID = Landing("paid", "0000", "정상")
LEFT = Landing("failed", "0009", "사용자 취소")
DECLINED = Landing("failed", "CA31", "한도초과")


def wish(**more: Any) -> WindowOrder:
    """A page's request with everything that is needed."""
    values: dict[str, Any] = {
        "imp_code": "imp00000000", "request_id": secrets.token_hex(16), "device": "pc", "origin": "https://shop.example",
        "merchant_uid": "order-1", "amount": 1004, "name": "주문명:결제테스트", "buyer_tel": "010-1234-5678",
    }  # fmt: skip
    return WindowOrder(**{**values, **more})


async def opened(shop: Shop, **more: Any) -> tuple[WindowOrder, str, str]:
    """An open window: the request, the payment's number, the landing secret."""
    order = wish(**more)
    found = await checkout.open_window(shop.cx, order)
    assert found.form is not None
    return order, found.verdict.stored.payment.imp_uid, found.verdict.window["landing"]


async def noti(shop: Shop, imp_uid: str, mid: str = "portone1") -> notices.Verdict:
    """Hecto's noti of an approval arrives."""
    notice = shop.gateway.approve_notice(AttemptId(imp_uid), mid)
    return await notices.apply(shop.cx, notice, {c.id for c in await shop.cx.channels(shop.store_id)})


async def land(shop: Shop, imp_uid: str, secret: str, said: Landing | None, *, closed: bool = False) -> Verdict:
    """The browser comes back."""
    verdict = await checkout.landed(shop.cx, imp_uid, secret, said, closed=closed)
    assert verdict is not None
    return verdict


async def nothing_written(shop: Shop, merchant_uid: str = "order-1") -> bool:
    """Whether the shop has no payment of this order."""
    with pytest.raises(Refused):
        await shop.cancel("imp_000000000000", merchant_uid=merchant_uid)
    rows = await shop.cx.db.read(payments.order, shop.store_id, merchant_uid)
    return rows == payments.Order(None, None) and not shop.gateway.calls


# ---------------------------------------------------------------- opening


async def test_a_window_is_written_down_before_it_opens(shop: Shop) -> None:
    order, imp_uid, secret = await opened(shop, device="mobile", custom_data='{"cart":1}', tax_free=4)
    row = await shop.shown(imp_uid)
    assert (row.status, row.route, row.amount, row.tax_free, row.pg_id) == ("ready", "mobile", 1004, 4, "portone1")
    assert (row.custom_data, row.buyer_tel, row.name) == ('{"cart":1}', "010-1234-5678", "주문명:결제테스트")
    attempt = (await shop.payment(imp_uid)).pay_attempt
    assert attempt is not None
    assert (attempt.id, attempt.state, attempt.op, attempt.amount) == (imp_uid, State.ASKED, Op.PAY, 1004)
    sent = shop.gateway.windows[imp_uid]
    assert sent.return_url == f"http://naru.test/settle_payments/next/{imp_uid}/{secret}"
    assert sent.cancel_url == f"http://naru.test/settle_payments/cancel/{imp_uid}/{secret}"
    assert json.loads(row.extra)["window"]["request"] == order.request_id


async def test_the_same_request_is_one_payment_and_one_window(shop: Shop) -> None:
    order = wish()
    found = await asyncio.gather(*(checkout.open_window(shop.cx, order) for _ in range(5)))
    assert len({f.verdict.stored.payment.imp_uid for f in found}) == 1
    assert len({f.verdict.window["landing"] for f in found}) == 1
    assert all(f.form is not None for f in found)


async def test_an_old_request_does_not_open_its_window_again(shop: Shop) -> None:
    order, _, _ = await opened(shop)
    shop.clock.advance(11 * MINUTE)
    assert (await checkout.open_window(shop.cx, order)).form is None


async def test_a_number_that_is_taken_is_stepped_over(shop: Shop) -> None:
    order, imp_uid, _ = await opened(shop)
    stored = await shop.cx.db.read(payments.load, imp_uid)
    assert stored is not None
    extra = json.loads(stored.row.extra)
    extra["window"]["request"] = "0" * 32  # as if another request had this number
    await shop.cx.db.write(payments.set_extra, imp_uid, extra)
    second = await checkout.open_window(shop.cx, replace(order, merchant_uid="order-2"))
    assert second.verdict.stored.payment.imp_uid == checkout.numbers_of(order.request_id)[1]
    assert second.verdict.stored.payment.merchant_uid == "order-2"


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"buyer_tel": None}, "buyer_tel"),
        ({"amount": 0}, "amount"),
        ({"amount": 999}, "amount"),
        ({"pay_method": "samsung"}, "pay_method"),
        ({"currency": "USD"}, "currency"),
        ({"tax_free": 1005}, "tax_free"),
        ({"vat_amount": 1005}, "vat_amount"),
        ({"redirect_url": "javascript:alert(1)"}, "m_redirect_url"),
        ({"redirect_url": "/done"}, "m_redirect_url"),
        ({"redirect_url": "https://shop.example/\r\nX: 1"}, "m_redirect_url"),
        ({"quota": 40}, "card_quota"),
        ({"pay_method": "phone", "name": None}, "name"),
        ({"pay_method": "phone"}, "company_en"),
        ({"pay_method": "phone", "company_en": "Shop"}, "company"),
        ({"pay_method": "vbank"}, "company"),
        ({"confirm_url": "https://shop.example/confirm"}, "confirm_url"),
    ],
)
async def test_a_wrong_parameter_is_named_before_anything_opens(shop: Shop, wrong: dict[str, Any], name: str) -> None:
    for use in (checkout.open_window, checkout.check):
        with pytest.raises(Refused) as refused:
            await use(shop.cx, wish(**wrong))
        assert (refused.value.why, refused.value.facts["name"]) == (Why.PARAMETER, name)
    assert await nothing_written(shop)


async def test_a_billing_key_cannot_be_had_in_the_window(shop: Shop) -> None:
    with pytest.raises(Refused) as refused:
        await checkout.open_window(shop.cx, wish(customer_uid="c1"))
    assert refused.value.why is Why.NOT_SUPPORTED
    assert "POST /subscribe/payments/onetime" in str(refused.value.facts["what"])
    assert await nothing_written(shop)


async def test_an_order_that_was_paid_is_refused(shop: Shop) -> None:
    await shop.pay(merchant_uid="order-1")
    calls = list(shop.gateway.calls)
    for use in (checkout.open_window, checkout.check):
        with pytest.raises(Refused) as refused:
            await use(shop.cx, wish())
        assert refused.value.why is Why.ALREADY_PAID
    assert shop.gateway.calls == calls


async def test_an_amount_that_differs_from_the_registered_one_is_refused(shop: Shop) -> None:
    await prepare.register(shop.cx, shop.store_id, prepare.Prepared("order-1", 50_000, None))
    for use in (checkout.open_window, checkout.check):
        with pytest.raises(Refused) as refused:
            await use(shop.cx, wish())
        assert refused.value.why is Why.PREPARED_DIFFERS
        assert (refused.value.facts["registered"], refused.value.facts["asked"]) == (50_000, 1004)
    assert await nothing_written(shop)
    await prepare.change(shop.cx, shop.store_id, prepare.Prepared("order-1", 1004, "KRW"))
    await opened(shop)


async def test_an_order_that_failed_or_is_open_elsewhere_can_be_opened(shop: Shop) -> None:
    _, first, secret = await opened(shop)
    _, second, _ = await opened(shop)
    await land(shop, first, secret, LEFT)
    _, third, _ = await opened(shop)
    assert len({first, second, third}) == 3


@pytest.mark.parametrize("code", ["imp99999999", ""])
async def test_an_unknown_store_is_told_that_it_has_no_channel(shop: Shop, code: str) -> None:
    with pytest.raises(Refused) as refused:
        await checkout.open_window(shop.cx, wish(imp_code=code))
    assert refused.value.why is Why.STORE_UNKNOWN
    assert await checkout.channel_list(shop.cx, code) == []


@pytest.mark.parametrize(
    ("named", "mid"),
    [
        ({}, "portone1"),
        ({"pg": "settle"}, "portone1"),
        ({"pg": "kcp"}, "portone1"),
        ({"channel_key": "channel-key-dev-window"}, "portone1"),
        ({"pg": "settle.portone1"}, "portone1"),
    ],
)
async def test_the_channel_that_a_page_names(shop: Shop, named: dict[str, str], mid: str) -> None:
    _, imp_uid, _ = await opened(shop, **named)
    assert (await shop.shown(imp_uid)).pg_id == mid


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ({"channel_key": "channel-key-nothing"}, Why.CHANNEL_UNKNOWN),
        ({"pg": "settle.nothing"}, Why.CHANNEL_UNKNOWN),
        ({"channel_key": "channel-key-dev-keyin"}, Why.NO_CHANNEL),
    ],
)
async def test_a_channel_that_cannot_be_used_is_never_passed_over(shop: Shop, named: dict[str, str], why: Why) -> None:
    with pytest.raises(Refused) as refused:
        await checkout.open_window(shop.cx, wish(**named))
    assert refused.value.why is why
    assert await nothing_written(shop)


# ---------------------------------------------------------------- test money


async def add_channel(shop: Shop, environment: Environment, name: str, **flags: bool) -> str:
    return await setup.add_channel(
        shop.cx, store_id=shop.store_id, name=name, environment=environment, mid="imp_real", use=Use.WINDOW,
        hash_key="a real hash key", aes_key="k" * 32, flags=flags,
    )  # fmt: skip


async def test_in_a_live_store_pages_cannot_pay_with_test_money(shop: Shop) -> None:
    live = await add_channel(shop, Environment.LIVE, "real")
    for named in ({"channel_key": "channel-key-dev-window"}, {"pg": "settle.portone1"}):
        with pytest.raises(Refused) as refused:
            await checkout.open_window(shop.cx, wish(**named))
        assert refused.value.why is Why.TEST_MONEY
    assert await nothing_written(shop)
    _, imp_uid, _ = await opened(shop)
    assert (await shop.shown(imp_uid)).pg_id == "imp_real"
    assert [c["channel_key"] for c in await checkout.channel_list(shop.cx, "imp00000000")] == [live]


async def test_a_test_channel_that_is_allowed_in_pages_stays_usable(shop: Shop) -> None:
    await add_channel(shop, Environment.LIVE, "real")
    allowed = await add_channel(shop, Environment.TEST, "for testers", browser=True)
    _, imp_uid, _ = await opened(shop, channel_key=allowed)
    assert (await shop.shown(imp_uid)).sandbox == 1


async def test_the_public_list_begins_with_the_default_channel(shop: Shop) -> None:
    found = await checkout.channel_list(shop.cx, "imp00000000")
    assert found[0] == {
        "store_id": "imp00000000", "pg_provider": "settle", "pg_id": "portone1", "type": "payment", "sandbox": True,
        "channel_key": "channel-key-dev-window",
    }  # fmt: skip
    assert " ".join(c["pg_id"] for c in found) == "portone1 nxca_jt_bi nxca_ks_gu nxca_jt_hd nxva_fix nxva_fix2"
    assert {c["type"] for c in found} == {"payment", "api_payment"}


# ---------------------------------------------------------------- coming back


async def test_the_noti_is_first(shop: Shop) -> None:
    _, imp_uid, secret = await opened(shop)
    shop.gateway.buyer_pays(imp_uid)
    await noti(shop, imp_uid)
    verdict = await land(shop, imp_uid, secret, PAID)
    assert (verdict.success, verdict.stored.row.status) == (True, "paid")
    assert await shop.webhooks(imp_uid) == [f"{imp_uid}:approve#0"]
    assert shop.gateway.calls == []


async def test_the_noti_comes_while_the_browser_waits(shop: Shop) -> None:
    _, imp_uid, secret = await opened(shop)
    shop.gateway.buyer_pays(imp_uid)
    shop.gateway.blind = True
    waiting = asyncio.create_task(land(shop, imp_uid, secret, PAID))
    await asyncio.sleep(0.05)
    await noti(shop, imp_uid)
    assert (await waiting).success


async def test_the_noti_never_comes(shop: Shop) -> None:
    _, imp_uid, secret = await opened(shop)
    shop.gateway.buyer_pays(imp_uid)
    verdict = await land(shop, imp_uid, secret, PAID)
    assert (verdict.success, verdict.stored.row.pg_tid) == (True, f"T{imp_uid}")
    assert shop.gateway.calls == [f"inquire {imp_uid}"]
    assert await shop.webhooks(imp_uid) == [f"{imp_uid}:approve#0"]
    # … or late: it adds what an inquiry does not tell, and nothing else.
    assert (await noti(shop, imp_uid)).word == "again"
    assert (await shop.payment(imp_uid)).received == 1004
    assert await shop.webhooks(imp_uid) == [f"{imp_uid}:approve#0"]


async def test_a_claimed_success_that_nobody_confirms_is_being_checked_not_failed(shop: Shop) -> None:
    _, imp_uid, secret = await opened(shop)
    shop.gateway.blind = True
    verdict = await land(shop, imp_uid, secret, PAID)
    assert (verdict.success, verdict.final, verdict.code) == (False, False, "F1010")
    assert (await shop.shown(imp_uid)).status == "ready"
    # Hecto had approved it: the shop hears by webhook, nothing is taken back.
    shop.gateway.buyer_pays(imp_uid)
    await noti(shop, imp_uid)
    p = await shop.payment(imp_uid)
    assert (show(p).status, p.void, p.left) == (Status.PAID, Void.NO, 1004)
    assert await shop.webhooks(imp_uid) == [f"{imp_uid}:approve#0"]


async def test_a_forged_success_buys_nothing(shop: Shop) -> None:
    _, imp_uid, secret = await opened(shop)
    verdict = await land(shop, imp_uid, secret, PAID)
    assert (verdict.success, (await shop.shown(imp_uid)).status) == (False, "ready")
    await shop.pass_time(HOUR)
    p = await shop.payment(imp_uid)
    attempt = p.pay_attempt
    assert attempt is not None
    assert (show(p).status, attempt.state, p.entries) == (Status.READY, State.CLOSED, ())
    assert await shop.webhooks(imp_uid) == []


async def test_a_success_of_which_hecto_says_that_it_failed(shop: Shop) -> None:
    _, imp_uid, secret = await opened(shop)
    shop.gateway.refused.add(imp_uid)
    verdict = await land(shop, imp_uid, secret, PAID)
    assert (verdict.success, verdict.final, verdict.code) == (False, True, "0009")
    assert (await shop.shown(imp_uid)).status == "failed"


@pytest.mark.parametrize(
    ("said", "closed", "code", "message"),
    [
        (DECLINED, False, "CA31", "한도초과"),
        (LEFT, False, "0009", GAVE_UP),
        (LEFT, True, "0009", GAVE_UP),
        (Landing("unreadable"), True, "0009", GAVE_UP),
        (Landing("failed", "5002", "결제 가능 시간 초과"), False, "5002", "결제 가능 시간 초과"),
        (Landing("failed"), False, "F500", "결제하지 못했습니다."),
    ],
    ids=["declined", "left", "closed by X", "closed without words", "window expired", "no reason"],
)
@pytest.mark.parametrize("proven", [True, False])
async def test_a_failure_reaches_the_shop_with_its_reason(
    shop: Shop, said: Landing, closed: bool, code: str, message: str, proven: bool
) -> None:
    _, imp_uid, secret = await opened(shop)
    if proven:
        shop.gateway.refused.add(imp_uid)
    verdict = await land(shop, imp_uid, secret, said, closed=closed)
    assert (verdict.success, verdict.final, verdict.code, verdict.message) == (False, True, code, message)
    await shop.pass_time(HOUR)
    row = await shop.shown(imp_uid)
    assert (row.status, row.fail_reason) == ("failed", message)
    assert await shop.webhooks(imp_uid) == []
    attempt = (await shop.payment(imp_uid)).pay_attempt
    assert attempt is not None
    assert not attempt.is_open


async def test_an_approval_that_turns_up_after_the_shop_heard_failed_is_taken_back(shop: Shop) -> None:
    _, imp_uid, secret = await opened(shop)
    assert not (await land(shop, imp_uid, secret, LEFT)).success
    shop.gateway.buyer_pays(imp_uid)
    await noti(shop, imp_uid)
    await shop.pass_time(5 * MINUTE)
    p = await shop.payment(imp_uid)
    assert (show(p).status, show(p).fail_reason, p.void) == (Status.FAILED, GAVE_UP, Void.TOLD_FAILED)
    assert (p.received, p.left) == (1004, 0)
    assert shop.gateway.trades[imp_uid].cancelled == 1004
    assert await shop.webhooks(imp_uid) == []


async def test_a_failure_that_hecto_contradicts_is_a_payment(shop: Shop) -> None:
    _, imp_uid, secret = await opened(shop)
    shop.gateway.buyer_pays(imp_uid)
    assert (await land(shop, imp_uid, secret, LEFT, closed=True)).success
    assert (await shop.shown(imp_uid)).status == "paid"


async def test_a_reload_tells_the_same_and_changes_nothing(shop: Shop) -> None:
    _, imp_uid, secret = await opened(shop)
    shop.gateway.buyer_pays(imp_uid)
    first = await land(shop, imp_uid, secret, PAID)
    again = await land(shop, imp_uid, secret, None)
    posted = await land(shop, imp_uid, secret, LEFT)
    assert first.success
    assert again.success
    assert posted.success
    assert len((await shop.payment(imp_uid)).entries) == 1
    assert await shop.webhooks(imp_uid) == [f"{imp_uid}:approve#0"]


async def test_a_reload_of_an_open_window_fails_nothing(shop: Shop) -> None:
    _, imp_uid, secret = await opened(shop)
    assert not (await land(shop, imp_uid, secret, None)).final
    assert not (await land(shop, imp_uid, secret, Landing("unreadable"))).final
    assert (await shop.shown(imp_uid)).status == "ready"


async def test_without_the_secret_nothing_is_told_or_changed(shop: Shop) -> None:
    _, imp_uid, _ = await opened(shop)
    assert await checkout.landed(shop.cx, imp_uid, "0" * 32, LEFT, closed=True) is None
    assert await checkout.landed(shop.cx, "imp_999999999999", "0" * 32, LEFT, closed=True) is None
    charged = (await shop.pay(merchant_uid="by-api")).settled.payment
    assert await checkout.landed(shop.cx, charged.imp_uid, "0" * 32, LEFT, closed=True) is None
    assert (await shop.shown(imp_uid)).status == "ready"
    # It makes us look, at most.
    shop.gateway.buyer_pays(imp_uid)
    await checkout.look_soon(shop.cx, imp_uid)
    await shop.runner.drain()
    assert (await shop.shown(imp_uid)).status == "paid"


async def test_a_second_window_of_a_paid_order_is_taken_back_and_told_so(shop: Shop) -> None:
    _, first, one = await opened(shop)
    _, second, two = await opened(shop)
    shop.gateway.buyer_pays(first)
    shop.gateway.buyer_pays(second)
    assert (await land(shop, first, one, PAID)).success
    verdict = await land(shop, second, two, PAID)
    assert (verdict.success, verdict.code) == (False, "F1002")
    assert verdict.message == "이미 결제가 이루어진 거래건입니다."
    await shop.pass_time(5 * MINUTE)
    assert (await shop.shown(second)).status == "failed"
    assert shop.gateway.trades[second].cancelled == 1004
    assert (await shop.payment(first)).left == 1004
    assert "second_approval" in await shop.alarms()


# ---------------------------------------------------------------- nobody comes back


async def test_the_browser_and_the_noti_are_lost_and_the_settle_job_finds_the_payment(shop: Shop) -> None:
    _, imp_uid, _ = await opened(shop)
    shop.gateway.buyer_pays(imp_uid)
    await shop.pass_time(2 * MINUTE)
    assert (await shop.shown(imp_uid)).status == "paid"
    assert await shop.webhooks(imp_uid) == [f"{imp_uid}:approve#0"]


async def test_an_abandoned_window_closes_after_fifteen_minutes_and_its_payment_stays_ready(shop: Shop) -> None:
    order, imp_uid, _ = await opened(shop)
    await shop.pass_time(15 * MINUTE - SECOND)
    attempt = (await shop.payment(imp_uid)).pay_attempt
    assert attempt is not None
    assert attempt.is_open
    await shop.pass_time(SECOND)
    attempt = (await shop.payment(imp_uid)).pay_attempt
    assert attempt is not None
    assert (attempt.state, attempt.told) == (State.CLOSED, Told.NOTHING)
    assert (await shop.shown(imp_uid)).status == "ready"
    told = await checkout.outcome(shop.cx, order.request_id, closing=False)
    assert told is not None
    assert (told.success, told.final, told.code) == (False, True, "F1011")
    asked = len(shop.gateway.calls)
    await shop.pass_time(HOUR)
    assert len(shop.gateway.calls) == asked


async def test_a_payment_found_after_its_window_closed_is_paid(shop: Shop) -> None:
    _, imp_uid, _ = await opened(shop)
    await shop.pass_time(20 * MINUTE)
    shop.gateway.buyer_pays(imp_uid)
    await noti(shop, imp_uid)
    assert (await shop.shown(imp_uid)).status == "paid"


async def test_a_card_refused_in_an_open_window_is_not_the_end(shop: Shop) -> None:
    _, imp_uid, secret = await opened(shop)
    shop.gateway.refused.add(imp_uid)
    await shop.pass_time(5 * MINUTE)
    assert (await shop.shown(imp_uid)).status == "ready"
    shop.gateway.buyer_pays(imp_uid)
    assert (await land(shop, imp_uid, secret, PAID)).success


async def test_a_card_refused_in_a_window_that_nobody_leaves_fails_in_the_end(shop: Shop) -> None:
    _, imp_uid, _ = await opened(shop)
    shop.gateway.refused.add(imp_uid)
    await shop.pass_time(16 * MINUTE)
    assert (await shop.shown(imp_uid)).status == "failed"


# ---------------------------------------------------------------- split contracts: an approval nobody answered

AUTHENTICATED = Landing("authenticated", "0000", "정상", "AUTH1")
SPLIT = "channel-key-dev-split"


@pytest.mark.parametrize("fault", ["lost_before", "lost_after"])
async def test_an_approval_that_was_lost_is_found_out_within_minutes(shop: Shop, fault: str) -> None:
    """Not left *ready*: an approval that came off is paid, one that never arrived has failed."""
    order, imp_uid, secret = await opened(shop, channel_key=SPLIT)
    await shop.pass_time(14 * MINUTE)  # the window is nearly over, the approval has only begun
    shop.gateway.faults = [fault]
    shop.gateway.blind = True
    told = await land(shop, imp_uid, secret, AUTHENTICATED)
    assert (told.success, told.code) == (False, "F1010")
    await shop.pass_time(50 * SECOND)
    assert (await shop.shown(imp_uid)).status == "ready"
    shop.gateway.blind = False
    await shop.pass_time(2 * MINUTE)
    row, attempt = await shop.shown(imp_uid), (await shop.payment(imp_uid)).pay_attempt
    assert attempt is not None
    if fault == "lost_after":
        assert (row.status, attempt.state) == ("paid", State.DONE)
        assert await shop.webhooks(imp_uid) == [f"{imp_uid}:approve#0"]
    else:
        assert (row.status, attempt.state) == ("failed", State.NOT_SENT)
        last = await checkout.outcome(shop.cx, order.request_id, closing=False)
        assert last is not None
        assert (last.success, last.final) == (False, True)
        assert await shop.webhooks(imp_uid) == []
    assert [c for c in shop.gateway.calls if c.startswith("approve")] == [f"approve {imp_uid}"]


async def test_a_denial_from_before_the_approval_is_no_denial_of_it(shop: Shop) -> None:
    _, imp_uid, secret = await opened(shop, channel_key=SPLIT)
    await shop.pass_time(13 * MINUTE)  # looked at again and again, and nothing was there
    shop.gateway.faults = ["lost_before"]
    await land(shop, imp_uid, secret, AUTHENTICATED)
    await shop.pass_time(61 * SECOND)
    attempt = (await shop.payment(imp_uid)).pay_attempt
    assert attempt is not None
    assert attempt.is_open, "it was denied once since it was sent"
    shop.gateway.buyer_pays(imp_uid)  # it had been travelling
    await shop.pass_time(MINUTE)
    assert (await shop.shown(imp_uid)).status == "paid"


async def test_a_popup_closed_while_its_approval_is_under_way_is_no_giving_up(shop: Shop) -> None:
    order, imp_uid, secret = await opened(shop, channel_key=SPLIT)
    shop.gateway.faults = ["lost_after"]
    shop.gateway.blind = True
    await land(shop, imp_uid, secret, AUTHENTICATED)
    told = await checkout.outcome(shop.cx, order.request_id, closing=True)
    assert told is not None
    assert (told.success, told.final, told.code) == (False, True, "F1010")
    assert (await land(shop, imp_uid, secret, LEFT, closed=True)).code == "F1010", "nor is the window's own X"
    shop.gateway.blind = False
    await shop.pass_time(10 * MINUTE)
    p = await shop.payment(imp_uid)
    assert (show(p).status, p.received, p.left) == (Status.PAID, 1004, 1004)
    assert await shop.webhooks(imp_uid) == [f"{imp_uid}:approve#0"]


async def test_an_approval_the_shop_refused_to_confirm_stays_refused(shop: Shop) -> None:
    """The shop was told "failed" by its own word, so nothing may be approved, whatever the browser does next."""

    async def refuses(_url: str, _body: bytes, _seconds: float) -> tuple[int | None, str | None]:
        return 400, '{"reason": "재고 없음"}'

    shop.cx.ask_shop = refuses
    order, imp_uid, secret = await opened(shop, channel_key=SPLIT, confirm_url="https://shop.example/confirm")
    for _ in range(2):
        assert str((await land(shop, imp_uid, secret, AUTHENTICATED)).message).endswith("(상세사유 : 재고 없음)")
    told = await checkout.outcome(shop.cx, order.request_id, closing=True)
    assert told is not None
    assert (told.success, told.final) == (False, True)
    await shop.pass_time(20 * MINUTE)
    assert (await shop.shown(imp_uid)).status == "failed"
    assert not [c for c in shop.gateway.calls if c.startswith("approve")]


# ---------------------------------------------------------------- what the page learns


async def test_an_open_window_is_open(shop: Shop) -> None:
    order, imp_uid, _ = await opened(shop)
    told = await checkout.outcome(shop.cx, order.request_id, closing=False)
    assert told is not None
    assert (told.final, told.stored.row.imp_uid) == (False, imp_uid)
    assert shop.gateway.calls == []


@pytest.mark.parametrize("request_id", ["", "0" * 32, "x" * 32, "' OR 1=1 --"])
async def test_an_unknown_request_is_nothing(shop: Shop, request_id: str) -> None:
    assert await checkout.outcome(shop.cx, request_id, closing=True) is None


async def test_a_closed_popup_is_given_up(shop: Shop) -> None:
    order, imp_uid, _ = await opened(shop)
    told = await checkout.outcome(shop.cx, order.request_id, closing=True)
    assert told is not None
    assert (told.success, told.final, told.code, told.message) == (False, True, "0009", GAVE_UP)
    assert (await shop.shown(imp_uid)).status == "failed"


async def test_a_popup_closed_after_paying_is_paid(shop: Shop) -> None:
    order, imp_uid, _ = await opened(shop)
    shop.gateway.buyer_pays(imp_uid)
    told = await checkout.outcome(shop.cx, order.request_id, closing=True)
    assert told is not None
    assert told.success
    assert (await shop.shown(imp_uid)).status == "paid"


async def test_a_popup_closed_while_hecto_does_not_answer_is_told_and_later_made_true(shop: Shop) -> None:
    order, imp_uid, _ = await opened(shop)
    shop.gateway.blind = True
    shop.gateway.buyer_pays(imp_uid)
    told = await checkout.outcome(shop.cx, order.request_id, closing=True)
    assert told is not None
    assert told.message == GAVE_UP
    shop.gateway.blind = False
    await shop.pass_time(10 * MINUTE)
    p = await shop.payment(imp_uid)
    assert (show(p).status, show(p).fail_reason, p.received, p.left) == (Status.FAILED, GAVE_UP, 1004, 0)


# ---------------------------------------------------------------- webhook first


async def switch_on(shop: Shop, name: str) -> None:
    await shop.cx.db.write(stores.set_switch, shop.store_id, name, True)
    shop.cx.forget()


async def test_a_store_that_wants_its_webhook_first_has_the_buyer_wait(shop: Shop) -> None:
    await switch_on(shop, "webhook_first")
    shop.cx.budget_s = 20
    _, imp_uid, secret = await opened(shop)
    shop.gateway.buyer_pays(imp_uid)
    landing = asyncio.create_task(land(shop, imp_uid, secret, PAID))
    await asyncio.sleep(0.15)
    while not shop.sender.sent:
        assert not landing.done()
        await asyncio.sleep(0.01)
        await shop.runner.drain()
    assert (await landing).success
    assert len(shop.sender.sent) == 1


async def test_a_webhook_that_cannot_be_delivered_does_not_hold_the_buyer(shop: Shop) -> None:
    await switch_on(shop, "webhook_first")
    _, imp_uid, secret = await opened(shop)
    shop.gateway.buyer_pays(imp_uid)
    shop.sender.statuses = [None]
    landing = asyncio.create_task(land(shop, imp_uid, secret, PAID))
    await asyncio.sleep(0.05)
    await shop.runner.drain()
    assert (await landing).success
    # … nor one that nobody even tries to deliver.
    _, second, two = await opened(shop, merchant_uid="order-2")
    shop.gateway.buyer_pays(second)
    assert (await land(shop, second, two, PAID)).success
