"""Cancels: never more than came in, one at a time, and an unknown one is never asked twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from naru.domain.payment import State, Told
from naru.domain.refusal import Refused, Why
from naru.domain.values import MINUTE
from naru.store import views
from naru.store.statement import Bound, Tx
from tests.shop import Shop


async def paid(shop: Shop, amount: int = 1000) -> str:
    return (await shop.pay(amount)).settled.payment.imp_uid


async def test_a_partial_cancel_makes_cancelled_and_the_rest_can_go_too(shop: Shop) -> None:
    imp_uid = await paid(shop)
    await shop.cancel(imp_uid, 300, checksum=1000, reason="변심")
    row = await shop.shown(imp_uid)
    assert (row.status, row.cancel_amount, row.cancel_reason, row.amount) == ("cancelled", 300, "변심", 1000)
    await shop.cancel(imp_uid, checksum=700)
    assert (await shop.shown(imp_uid)).cancel_amount == 1000
    assert shop.gateway.complaints == []
    assert shop.gateway.trades[imp_uid].cancels == {f"{imp_uid}C001": 300, f"{imp_uid}C002": 700}


@pytest.mark.parametrize(
    ("amount", "checksum", "why"),
    [(1001, None, Why.CANCEL_TOO_MUCH), (500, 999, Why.CANCEL_CHECKSUM), (None, 1, Why.CANCEL_CHECKSUM)],
)
async def test_a_refused_cancel_changes_nothing(shop: Shop, amount: int | None, checksum: int | None, why: Why) -> None:
    imp_uid = await paid(shop)
    before = await shop.payment(imp_uid)
    with pytest.raises(Refused) as refused:
        await shop.cancel(imp_uid, amount, checksum=checksum)
    assert refused.value.why is why
    assert await shop.payment(imp_uid) == before
    assert shop.gateway.trades[imp_uid].cancelled == 0


async def test_what_is_all_back_cannot_go_back_again(shop: Shop) -> None:
    imp_uid = await paid(shop)
    await shop.cancel(imp_uid)
    with pytest.raises(Refused) as refused:
        await shop.cancel(imp_uid)
    assert refused.value.why is Why.CANCEL_ALL_BACK


async def test_an_unknown_imp_uid_never_falls_back_to_the_order(shop: Shop) -> None:
    await shop.pay(merchant_uid="good")
    with pytest.raises(Refused) as refused:
        await shop.cancel("imps_000000000000", merchant_uid="good")
    assert refused.value.why is Why.CANCEL_NOTHING


async def test_a_failed_payment_cannot_be_cancelled(shop: Shop) -> None:
    shop.gateway.faults = ["decline"]
    imp_uid = (await shop.pay()).settled.payment.imp_uid
    with pytest.raises(Refused) as refused:
        await shop.cancel(imp_uid)
    assert refused.value.why is Why.CANCEL_NOTHING


async def test_cancels_that_race_take_turns_and_never_exceed_what_came_in(shop: Shop) -> None:
    imp_uid = await paid(shop, 1000)
    shop.cx.budget_s = 20
    results = await asyncio.gather(*(shop.cancel(imp_uid, 300) for _ in range(10)), return_exceptions=True)
    done = [r for r in results if not isinstance(r, BaseException)]
    refused = [r.why for r in results if isinstance(r, Refused)]
    assert len(done) == 3
    assert refused == [Why.CANCEL_TOO_MUCH] * 7
    assert shop.gateway.trades[imp_uid].cancelled == 900
    assert shop.gateway.complaints == []


async def test_a_decline_leaves_the_balance_and_the_round(shop: Shop) -> None:
    imp_uid = await paid(shop)
    shop.gateway.faults = ["decline"]
    done = await shop.cancel(imp_uid, 300)
    assert done.settled is not None
    assert done.settled.attempt.state is State.DECLINED
    assert (await shop.shown(imp_uid)).status == "paid"
    await shop.cancel(imp_uid, 300)
    assert shop.gateway.complaints == []


async def test_an_unknown_cancel_is_told_as_being_checked_and_then_settled_with_a_webhook(shop: Shop) -> None:
    imp_uid = await paid(shop)
    shop.gateway.faults, shop.gateway.blind = ["lost_after"], True
    done = await shop.cancel(imp_uid, 400)
    assert done.settled is not None
    assert (done.settled.attempt.state, done.settled.attempt.told) == (State.UNKNOWN, Told.CHECKING)
    assert (await shop.shown(imp_uid)).status == "paid"
    with pytest.raises(Refused) as refused:
        await shop.cancel(imp_uid, 100)
    assert refused.value.why is Why.CANCEL_BUSY
    shop.gateway.blind = False
    await shop.pass_time(MINUTE)
    assert (await shop.shown(imp_uid)).cancel_amount == 400
    assert f"{imp_uid}C001:cancel#0" in await shop.webhooks(imp_uid)


async def test_the_same_request_after_being_checked_is_answered_with_that_cancel(shop: Shop) -> None:
    shop.sender.statuses = [500] * 20  # the shop learns nothing by webhook
    imp_uid = await paid(shop)
    shop.gateway.faults, shop.gateway.blind = ["lost_after"], True
    await shop.cancel(imp_uid, 400)
    shop.gateway.blind = False
    await shop.pass_time(MINUTE)
    again = await shop.cancel(imp_uid, 400)
    assert again.settled is None
    assert shop.gateway.trades[imp_uid].cancelled == 400
    # It has been answered now: the same words once more mean another cancel.
    await shop.cancel(imp_uid, 400)
    assert shop.gateway.trades[imp_uid].cancelled == 800


async def test_a_delivered_webhook_is_learning_too(shop: Shop) -> None:
    imp_uid = await paid(shop)
    shop.gateway.faults, shop.gateway.blind = ["lost_after"], True
    await shop.cancel(imp_uid, 400)
    shop.gateway.blind = False
    await shop.pass_time(MINUTE)
    await shop.cancel(imp_uid, 400)
    assert shop.gateway.trades[imp_uid].cancelled == 800


async def test_an_idempotency_key_names_one_cancel(shop: Shop) -> None:
    imp_uid = await paid(shop)
    await shop.cancel(imp_uid, 300, idempotency_key="k1")
    again = await shop.cancel(imp_uid, 300, idempotency_key="k1")
    assert again.settled is None
    with pytest.raises(Refused) as refused:
        await shop.cancel(imp_uid, 400, idempotency_key="k1")
    assert refused.value.why is Why.CONFLICT
    await shop.cancel(imp_uid, 300, idempotency_key="k2")
    assert shop.gateway.trades[imp_uid].cancelled == 600


async def test_an_api_cancel_tells_by_webhook_only_when_asked(shop: Shop) -> None:
    imp_uid = await paid(shop)
    await shop.cancel(imp_uid, 100)
    assert await shop.webhooks(imp_uid) == [f"{imp_uid}:approve#0"]
    await shop.cancel(imp_uid, 100, webhook=True)
    assert await shop.webhooks(imp_uid) == [f"{imp_uid}:approve#0", f"{imp_uid}C002:cancel#0"]


async def test_a_cancel_that_never_arrived_is_not_counted_and_frees_the_turn(shop: Shop) -> None:
    imp_uid = await paid(shop)
    shop.gateway.faults, shop.gateway.blind = ["lost_before"], True
    await shop.cancel(imp_uid, 400)
    shop.gateway.blind = False
    await shop.pass_time(3 * MINUTE)
    assert (await shop.shown(imp_uid)).cancel_amount == 0
    await shop.cancel(imp_uid, 1000)
    assert shop.gateway.trades[imp_uid].cancelled == 1000


async def test_a_look_up_between_two_commits_agrees_with_itself(shop: Shop) -> None:
    """What is cancelled and the list of cancels are two statements, and a cancel may be settled between them."""
    imp_uid = await paid(shop, 1000)
    await shop.cancel(imp_uid, 300)

    async def run(body: Tx[views.PaymentView | None], before: Callable[[int], Awaitable[None]]) -> views.PaymentView:
        """A glance whose n-th statement comes after *before(n)*."""
        result: list[Any] = []
        try:
            bound = next(body)
            while True:
                await before(len(result))
                result.append(await shop.cx.db.read(_one, bound))
                bound = body.send(result[-1])
        except StopIteration as end:
            return end.value

    async def cancel_between(n: int) -> None:
        if n == 1:
            await shop.cancel(imp_uid, 200)

    view = await run(views.payment(shop.store_id, imp_uid), cancel_between)
    assert (view.row.cancel_amount, [e.amount for e in view.back]) == (500, [300, 200])


def _one(bound: Bound) -> Tx[list[Any]]:
    return (yield bound)
