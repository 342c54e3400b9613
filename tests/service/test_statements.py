"""A day beside the PG's own list, and test mode's night."""

from __future__ import annotations

from naru.domain.values import DAY, kst_date, kst_midnight
from naru.service import statements
from naru.store import statements as books
from naru.store.people import Actor
from tests.shop import Shop

SOMEBODY = Actor(None, "test", "-")


async def _verdicts(shop: Shop, day: str) -> dict[str, int]:
    rows = await shop.cx.db.read(books.days, shop.store_id, day, day)
    trades = [r for r in rows if r.kind == "trades"]
    return {v: sum(getattr(r, v) for r in trades) for v in ("matched", "different", "only_here", "only_there")}


async def test_a_day_is_matched_line_by_line(shop: Shop) -> None:
    await shop.pay(1000)
    cancelled = (await shop.pay(2000)).settled.payment.imp_uid
    await shop.cancel(cancelled, 500)
    day = kst_date(shop.clock.at)
    await statements.order(shop.cx, SOMEBODY, shop.store_id, day)
    await shop.runner.drain()
    found = await _verdicts(shop, day)
    assert (found["matched"], found["different"], found["only_here"]) == (3, 0, 0)


async def test_what_differs_is_shown_and_called_out(shop: Shop) -> None:
    there, here = [(await shop.pay(1000)).settled.payment.imp_uid for _ in range(2)]
    shop.gateway.trades[there].amount = 999
    del shop.gateway.trades[here]
    day = kst_date(shop.clock.at)
    await statements.order(shop.cx, SOMEBODY, shop.store_id, day)
    await shop.runner.drain()
    found = await _verdicts(shop, day)
    assert (found["matched"], found["different"], found["only_here"]) == (0, 1, 1)
    assert "statement" in await shop.alarms()


async def test_the_night_makes_our_records_true(shop: Shop) -> None:
    imp_uid = (await shop.pay(1000)).settled.payment.imp_uid
    shop.gateway.trades[imp_uid].cancels["night"] = 1000
    await shop.pass_time(kst_midnight(shop.clock.at) + DAY + statements.NIGHT_MS + 20 * 60_000 - shop.clock.at)
    await shop.runner.drain()
    assert (await shop.shown(imp_uid)).status == "cancelled"
    assert (await shop.payment(imp_uid)).left == 0
    assert [k for k in await shop.webhooks(imp_uid) if ":cancel#" in k]
