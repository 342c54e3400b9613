"""Totals of lists: summed over hours, and always what counting one by one would say."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from naru.domain.values import DAY, HOUR, MINUTE
from naru.service import doctor
from naru.service.counting import count_hours
from naru.store import counts, views
from naru.store.db import Tx
from naru.store.statement import Statement
from naru.store.tables import payment_counts
from tests.shop import Shop

WINDOWS = [(0, 30 * DAY), (HOUR // 2, 5 * HOUR), (3 * HOUR, 3 * HOUR), (2 * HOUR, 9 * HOUR - 1), (7 * HOUR, DAY)]


async def right(shop: Shop, began: int) -> None:
    """Every total is the number of payments that a list of everything has."""
    for status in (None, *counts.STATUSES):
        for since, until in WINDOWS:
            page = await shop.cx.db.read(views.by_status, 1, status, began + since, began + until, "-started", 1, 1000)
            assert page.total == len(page.items), (status, since, until)


async def counted(shop: Shop) -> dict[int, int | None]:
    def hours() -> Tx[list[tuple[int, int | None]]]:
        rows = yield Statement(payment_counts.select())()
        return [(row.hour, row.paid) for row in rows]

    return dict(await shop.cx.db.read(hours))


async def test_totals_are_right_before_while_and_after_hours_are_counted(shop: Shop) -> None:
    began = shop.clock.at - shop.clock.at % HOUR
    shop.clock.at = began + MINUTE
    paid: list[str] = []
    for number in range(5):
        for _ in range(number):
            paid.append((await shop.pay(1000)).settled.payment.imp_uid)
        shop.clock.advance(2 * HOUR)
    await right(shop, began)
    await count_hours(shop.cx)
    hours = await counted(shop)
    assert [hours[began + h * HOUR] for h in range(2, 9)] == [1, 0, 2, 0, 3, 0, 4]
    await right(shop, began)

    await shop.cancel(paid[0], 400)
    await shop.cancel(paid[4])
    hours = await counted(shop)
    assert [hours[began + h * HOUR] for h in range(2, 9)] == [None, 0, 2, 0, None, 0, 4]
    await right(shop, began)
    shop.clock.advance(2 * HOUR)
    await count_hours(shop.cx)
    hours = await counted(shop)
    assert [hours[began + h * HOUR] for h in range(2, 9)] == [0, 0, 2, 0, 2, 0, 4]
    await right(shop, began)


async def test_few_and_many_are_listed_alike(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    began = shop.clock.at
    paid: list[str] = []
    for _ in range(6):
        paid.append((await shop.pay(1000)).settled.payment.imp_uid)
        shop.clock.advance(HOUR)
    await shop.cancel(paid[1])
    await shop.cancel(paid[3], 10)

    async def listed(status: str | None, since: int, until: int, number: int) -> list[str]:
        page = await shop.cx.db.read(views.by_status, 1, status, began + since, began + until, "-started", number, 2)
        return [v.row.imp_uid for v in page.items]

    questions = [(s, w, n) for s in (None, "paid", "cancelled", "failed") for w in WINDOWS for n in (1, 2, 3)]
    few = [await listed(s, *w, n) for s, w, n in questions]
    monkeypatch.setattr(views, "FEW", 0)
    assert [await listed(s, *w, n) for s, w, n in questions] == few
    assert await listed("paid", 0, DAY, 1) == [paid[5], paid[4]]
    assert await listed("paid", 0, DAY, 2) == [paid[2], paid[0]]
    assert await listed("cancelled", 0, DAY, 1) == [paid[3], paid[1]]


async def test_an_hour_that_is_not_over_long_enough_is_not_counted(shop: Shop) -> None:
    began = shop.clock.at - shop.clock.at % HOUR
    shop.clock.at = began + 59 * MINUTE
    await shop.pay(1000)
    shop.clock.at = began + HOUR + 14 * MINUTE
    await count_hours(shop.cx)
    assert await counted(shop) == {}
    shop.clock.at = began + HOUR + 15 * MINUTE
    await count_hours(shop.cx)
    assert await counted(shop) == {began: 1}


async def test_doctor_sees_a_wrong_count(shop: Shop) -> None:
    await shop.pay(1000)
    shop.clock.advance(3 * HOUR)
    await count_hours(shop.cx)

    def write(paid: int) -> Tx[None]:
        yield Statement(update(payment_counts).where(payment_counts.c.paid == 3 - paid).values(paid=paid))()

    await shop.cx.db.write(write, 2)
    assert [p.kind for p in await doctor.examine(shop.cx)] == ["count_differs"]
    await shop.cx.db.write(write, 1)
