"""Each pay method takes money back in its own way and time. Days and months are Korean ones."""

from __future__ import annotations

from typing import Any

import pytest

from naru.domain.refusal import Refused, Why
from naru.domain.values import DAY, HOUR, MINUTE, SECOND, from_kst
from tests.shop import Shop
from tests.windows import paid_in_window

ACCOUNT: dict[str, Any] = {"refund_holder": "홍길동", "refund_bank": "4", "refund_account": "123-456-7890123"}


async def refusal(shop: Shop, imp_uid: str, amount: int | None = None, **more: Any) -> Refused:
    """The cancel is refused, and nothing has happened on either side."""
    before = await shop.payment(imp_uid)
    calls = list(shop.gateway.calls)
    with pytest.raises(Refused) as refused:
        await shop.cancel(imp_uid, amount, **more)
    assert await shop.payment(imp_uid) == before
    assert shop.gateway.calls == calls
    return refused.value


async def test_a_transfer_goes_back_whole_on_its_own_day(shop: Shop) -> None:
    shop.clock.at = from_kst("20260831235958")
    imp_uid = await paid_in_window(shop, "trans")
    assert (await refusal(shop, imp_uid, 999)).why is Why.CANCEL_PARTIAL_TODAY
    await shop.cancel(imp_uid)
    assert (await shop.shown(imp_uid)).cancel_amount == 1000


async def test_a_transfer_goes_back_in_parts_from_the_next_korean_day(shop: Shop) -> None:
    shop.clock.at = from_kst("20260831235958")
    imp_uid = await paid_in_window(shop, "trans")
    shop.clock.advance(SECOND)
    assert (await refusal(shop, imp_uid, 999)).why is Why.CANCEL_PARTIAL_TODAY
    shop.clock.advance(SECOND)
    await shop.cancel(imp_uid, 300)
    await shop.cancel(imp_uid, 700)
    assert shop.gateway.trades[imp_uid].cancelled == 1000
    assert shop.gateway.complaints == []


async def test_a_transfer_goes_back_for_180_days(shop: Shop) -> None:
    shop.clock.at = from_kst("20260101120000")
    imp_uid = await paid_in_window(shop, "trans")
    shop.clock.at = from_kst("20260630235959")
    await shop.cancel(imp_uid, 1)
    shop.clock.advance(SECOND)
    late = await refusal(shop, imp_uid)
    assert (late.why, late.facts["until"]) == (Why.CANCEL_TOO_LATE, "20260630")


async def test_a_phone_payment_goes_back_until_its_month_ends(shop: Shop) -> None:
    shop.clock.at = from_kst("20260201000000")
    imp_uid = await paid_in_window(shop, "phone")
    shop.clock.at = from_kst("20260228235959")
    await shop.cancel(imp_uid)
    assert shop.gateway.refunds == []
    assert (await shop.shown(imp_uid)).status == "cancelled"


@pytest.mark.parametrize("paid", ["20260131235959", "20260115120000"])
async def test_after_its_month_a_phone_payment_is_refunded_to_an_account(shop: Shop, paid: str) -> None:
    shop.clock.at = from_kst(paid)
    imp_uid = await paid_in_window(shop, "phone")
    shop.clock.at = from_kst("20260201000000")
    assert (await refusal(shop, imp_uid)).why is Why.CANCEL_NEEDS_ACCOUNT
    missing = await refusal(shop, imp_uid, refund_bank="004", refund_account="1234567890")
    assert missing.facts == {"name": "refund_holder"}
    await shop.cancel(imp_uid, **ACCOUNT)
    assert [(r.bank, r.account, r.holder) for r in shop.gateway.refunds] == [("004", "1234567890123", "홍길동")]
    assert (await shop.shown(imp_uid)).cancel_amount == 1000


async def test_a_phone_payment_in_december_ends_with_the_year(shop: Shop) -> None:
    shop.clock.at = from_kst("20261231235959")
    imp_uid = await paid_in_window(shop, "phone")
    shop.clock.advance(SECOND)
    assert (await refusal(shop, imp_uid)).why is Why.CANCEL_NEEDS_ACCOUNT


async def test_after_a_year_a_phone_payment_is_not_refunded_any_more(shop: Shop) -> None:
    shop.clock.at = from_kst("20260115120000")
    imp_uid = await paid_in_window(shop, "phone")
    shop.clock.at = from_kst("20270116000000")
    late = await refusal(shop, imp_uid, **ACCOUNT)
    assert (late.why, late.facts["until"]) == (Why.CANCEL_TOO_LATE, "20270115")


@pytest.mark.parametrize(
    ("paid", "last", "until"),
    [("20260831235959", "20270831235959", "20270831"), ("20280229100000", "20290228235959", "20290228")],
)
async def test_a_card_payment_goes_back_for_a_year(shop: Shop, paid: str, last: str, until: str) -> None:
    shop.clock.at = from_kst(paid)
    imp_uid = (await shop.pay()).settled.payment.imp_uid
    shop.clock.at = from_kst(last)
    await shop.cancel(imp_uid, 1)
    shop.clock.advance(SECOND)
    late = await refusal(shop, imp_uid)
    assert (late.why, late.facts) == (Why.CANCEL_TOO_LATE, {"pay_method": "card", "until": until})


async def test_a_card_payment_does_not_care_for_a_refund_account(shop: Shop) -> None:
    imp_uid = (await shop.pay()).settled.payment.imp_uid
    await shop.cancel(imp_uid, 300, refund_holder="홍길동", refund_account="?")
    assert shop.gateway.refunds == []


@pytest.mark.parametrize(
    "wrong", [{"refund_bank": "999"}, {"refund_account": "12"}, {"refund_account": "12345678901234567"}]
)
async def test_a_bad_account_is_refused_by_name(shop: Shop, wrong: dict[str, Any]) -> None:
    shop.clock.at = from_kst("20260131120000")
    imp_uid = await paid_in_window(shop, "phone")
    shop.clock.advance(DAY)
    given: dict[str, Any] = ACCOUNT | wrong
    refused = await refusal(shop, imp_uid, **given)
    assert (refused.why, refused.facts["name"]) == (Why.PARAMETER, next(iter(wrong)))


async def test_a_lost_refund_is_settled_by_asking_and_never_sent_twice(shop: Shop) -> None:
    shop.clock.at = from_kst("20260131120000")
    imp_uid = await paid_in_window(shop, "phone")
    shop.clock.advance(DAY + HOUR)
    shop.gateway.faults, shop.gateway.blind = ["lost_after"], True
    await shop.cancel(imp_uid, **ACCOUNT)
    shop.gateway.blind = False
    await shop.pass_time(2 * MINUTE)
    assert (await shop.shown(imp_uid)).cancel_amount == 1000
    assert sum(call.startswith("cancel") for call in shop.gateway.calls) == 1
