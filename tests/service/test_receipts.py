"""Cash receipts: for what is left of a transfer or a deposit, once, and known even when an answer is lost."""

from __future__ import annotations

from typing import Any

import pytest

from naru.domain.outcome import Sealed
from naru.domain.receipts import Identifier, Kind
from naru.domain.refusal import Refused, Why
from naru.domain.values import DAY, MINUTE, SECOND, from_kst
from naru.service import receipts
from naru.service.receipts import Answered, Buyer, Sale
from tests.shop import Shop
from tests.windows import paid_in_window

BUYER = Buyer(
    identifier=Sealed("01012345678"), identifier_type=Identifier.PHONE, kind=Kind.PERSON, name="홍길동"
)  # fmt: skip


async def issue(shop: Shop, imp_uid: str, **more: Any) -> Answered:
    given: dict[str, Any] = {"tax_free": None, "vat": None, **more}
    return await receipts.issue(shop.cx, shop.store_id, imp_uid, BUYER, **given)


async def cancel(shop: Shop, imp_uid: str) -> Answered:
    return await receipts.cancel(shop.cx, shop.store_id, imp_uid=imp_uid)


async def why(shop: Shop, imp_uid: str, **more: Any) -> Why:
    """The issue is refused, and nothing has been asked."""
    calls = list(shop.gateway.calls)
    with pytest.raises(Refused) as refused:
        await issue(shop, imp_uid, **more)
    assert shop.gateway.calls == calls
    return refused.value.why


async def test_a_transfer_gets_a_receipt_of_its_amount(shop: Shop) -> None:
    imp_uid = await paid_in_window(shop, "trans", 1000)
    row = (await issue(shop, imp_uid)).row
    assert (row.id, row.state, row.supply, row.vat, row.tax_free) == (f"{imp_uid}R001", "done", 909, 91, 0)
    assert (row.identifier, row.identifier_type, row.kind) == ("010******78", "phone", "person")
    found = await receipts.look_up(shop.cx, shop.store_id, imp_uid=imp_uid)
    assert (found.issued.auth_no, found.cancelled) == (row.auth_no, None)


async def test_the_identifier_is_nowhere_in_the_books(shop: Shop) -> None:
    imp_uid = await paid_in_window(shop, "trans")
    answered = await issue(shop, imp_uid)
    assert "01012345678" not in repr(answered)
    rows = await shop.cx.db.read(receipts.receipts.of_payment, imp_uid)
    assert "12345" not in "".join(str(v) for r in rows for v in r if isinstance(v, str))


async def test_a_receipt_is_dated_with_the_sale_and_a_cancel_with_its_own_time(shop: Shop) -> None:
    imp_uid = await paid_in_window(shop, "trans")
    sold_at = (await shop.shown(imp_uid)).paid_at
    shop.clock.advance(2 * DAY)
    row = (await issue(shop, imp_uid)).row
    assert (row.sale_at, row.asked_at) == (sold_at, sold_at + 2 * DAY)
    await cancel(shop, imp_uid)
    issued, cancelled = shop.gateway.receipts.values()
    assert (issued.at, cancelled.at, cancelled.org_at) == (sold_at, sold_at + 2 * DAY, sold_at)


async def test_what_went_back_before_is_not_on_it(shop: Shop) -> None:
    imp_uid = await paid_in_window(shop, "trans", 10_000, tax_free=4000)
    shop.clock.advance(DAY)
    await shop.cancel(imp_uid, 3000, tax_free=1000)
    row = (await issue(shop, imp_uid)).row
    assert (row.supply, row.vat, row.tax_free) == (3636, 364, 3000)


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ({"tax_free": 1000}, (0, 0, 1000)),
        ({"tax_free": 400}, (545, 55, 400)),
        ({"vat": 100}, (900, 100, 0)),
        ({"vat": 0}, (1000, 0, 0)),
    ],
)
async def test_the_shop_may_say_how_it_splits(shop: Shop, given: dict[str, int], parts: tuple[int, int, int]) -> None:
    imp_uid = await paid_in_window(shop, "trans", 1000)
    row = (await issue(shop, imp_uid, **given)).row
    assert (row.supply, row.vat, row.tax_free) == parts


@pytest.mark.parametrize("given", [{"tax_free": 1001}, {"vat": 1001}, {"tax_free": 600, "vat": 401}])
async def test_parts_beyond_the_amount_are_refused(shop: Shop, given: dict[str, int]) -> None:
    imp_uid = await paid_in_window(shop, "trans", 1000)
    assert await why(shop, imp_uid, **given) is Why.PARAMETER


async def test_card_and_phone_payments_have_no_cash_receipt(shop: Shop) -> None:
    assert await why(shop, (await shop.pay()).settled.payment.imp_uid) is Why.RECEIPT_METHOD
    assert await why(shop, await paid_in_window(shop, "phone")) is Why.RECEIPT_METHOD
    assert await why(shop, "imp_000000000000") is Why.PAYMENT_NOT_FOUND


async def test_nothing_is_issued_for_what_all_went_back(shop: Shop) -> None:
    imp_uid = await paid_in_window(shop, "trans")
    await shop.cancel(imp_uid)
    assert await why(shop, imp_uid) is Why.RECEIPT_NOT_PAID


async def test_one_receipt_stands_at_a_time(shop: Shop) -> None:
    imp_uid = await paid_in_window(shop, "trans")
    await issue(shop, imp_uid)
    assert await why(shop, imp_uid) is Why.RECEIPT_ALREADY
    await cancel(shop, imp_uid)
    again = (await issue(shop, imp_uid)).row
    assert again.id == f"{imp_uid}R003"
    assert set(shop.gateway.receipts) == {f"{imp_uid}R00{n}" for n in (1, 2, 3)}
    assert shop.gateway.complaints == []


async def test_a_receipt_is_cancelled_within_its_calendar_year(shop: Shop) -> None:
    shop.clock.at = from_kst("20261231235950")
    first, second = await paid_in_window(shop, "trans"), await paid_in_window(shop, "trans")
    await issue(shop, first)
    await issue(shop, second)
    shop.clock.at = from_kst("20261231235959")
    done = await cancel(shop, first)
    assert done.row.state == "done"
    found = await receipts.look_up(shop.cx, shop.store_id, imp_uid=first)
    assert found.cancelled is not None
    shop.clock.advance(SECOND)
    with pytest.raises(Refused) as late:
        await cancel(shop, second)
    assert (late.value.why, late.value.facts["year"]) == (Why.RECEIPT_TOO_LATE, "2026")


async def test_what_was_never_issued_cannot_be_cancelled_or_found(shop: Shop) -> None:
    imp_uid = await paid_in_window(shop, "trans")
    with pytest.raises(Refused) as refused:
        await cancel(shop, imp_uid)
    assert refused.value.why is Why.RECEIPT_NONE
    with pytest.raises(Refused) as missing:
        await receipts.look_up(shop.cx, shop.store_id, imp_uid=imp_uid)
    assert missing.value.why is Why.RECEIPT_NOT_FOUND


async def test_a_decline_is_told_and_leaves_room_for_another_try(shop: Shop) -> None:
    imp_uid = await paid_in_window(shop, "trans")
    shop.gateway.faults = ["decline"]
    assert (await issue(shop, imp_uid)).row.state == "declined"
    assert (await issue(shop, imp_uid)).row.state == "done"


async def test_a_lost_answer_is_asked_about_at_once(shop: Shop) -> None:
    imp_uid = await paid_in_window(shop, "trans")
    shop.gateway.faults = ["lost_after"]
    assert (await issue(shop, imp_uid)).row.state == "done"


async def test_while_nobody_knows_nothing_else_is_asked_and_then_it_is_found(shop: Shop) -> None:
    imp_uid = await paid_in_window(shop, "trans")
    shop.gateway.faults, shop.gateway.blind = ["lost_after"], True
    assert (await issue(shop, imp_uid)).row.state == "unknown"
    assert await why(shop, imp_uid) is Why.RECEIPT_BUSY
    await shop.pass_time(2 * MINUTE)
    assert await why(shop, imp_uid) is Why.RECEIPT_BUSY
    shop.gateway.blind = False
    await shop.pass_time(5 * MINUTE)
    found = await receipts.look_up(shop.cx, shop.store_id, imp_uid=imp_uid)
    assert found.issued.id == f"{imp_uid}R001"
    assert len(shop.gateway.receipts) == 1


async def test_one_that_never_arrived_is_not_issued_and_frees_the_way(shop: Shop) -> None:
    imp_uid = await paid_in_window(shop, "trans")
    shop.gateway.faults = ["lost_before"]
    assert (await issue(shop, imp_uid)).row.state == "unknown"
    await shop.pass_time(3 * MINUTE)
    with pytest.raises(Refused) as missing:
        await receipts.look_up(shop.cx, shop.store_id, imp_uid=imp_uid)
    assert missing.value.why is Why.RECEIPT_NOT_FOUND
    assert (await issue(shop, imp_uid)).row.state == "done"


async def test_a_crash_after_asking_is_found_out(shop: Shop) -> None:
    imp_uid = await paid_in_window(shop, "trans")

    class Died(Exception):
        pass

    def die(point: str) -> None:
        if point == "answered":
            raise Died

    shop.cx.crash = die
    with pytest.raises(Died):
        await issue(shop, imp_uid)
    shop.cx.crash = lambda _point: None
    await shop.pass_time(MINUTE)
    found = await receipts.look_up(shop.cx, shop.store_id, imp_uid=imp_uid)
    assert found.issued.id == f"{imp_uid}R001"


async def test_one_that_stays_unknown_calls_a_person(shop: Shop) -> None:
    imp_uid = await paid_in_window(shop, "trans")
    shop.gateway.faults, shop.gateway.blind = ["lost_after"], True
    await issue(shop, imp_uid)
    await shop.pass_time(15 * MINUTE)
    assert await shop.alarms() == ["unknown"]


async def test_a_sale_outside_naru_gets_its_receipt(shop: Shop) -> None:
    sale = Sale(merchant_uid="offline-1", name="매장 판매", amount=11_000)
    done = await receipts.issue_for_sale(shop.cx, shop.store_id, sale, BUYER, tax_free=None, vat=None)
    assert (done.row.state, done.row.supply, done.row.vat, done.row.imp_uid) == ("done", 10_000, 1000, None)
    with pytest.raises(Refused) as twice:
        await receipts.issue_for_sale(shop.cx, shop.store_id, sale, BUYER, tax_free=None, vat=None)
    assert twice.value.why is Why.RECEIPT_ALREADY
    back = await receipts.cancel(shop.cx, shop.store_id, merchant_uid="offline-1")
    assert back.row.state == "done"
    found = await receipts.look_up(shop.cx, shop.store_id, merchant_uid="offline-1")
    assert found.cancelled is not None


async def test_another_store_does_not_see_it(shop: Shop) -> None:
    imp_uid = await paid_in_window(shop, "trans")
    await issue(shop, imp_uid)
    with pytest.raises(Refused):
        await receipts.look_up(shop.cx, shop.store_id + 1, imp_uid=imp_uid)
    with pytest.raises(Refused):
        await receipts.cancel(shop.cx, shop.store_id + 1, imp_uid=imp_uid)
