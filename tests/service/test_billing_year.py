"""A year of a subscription business: customers billed monthly by two workers, whatever happens.

`make year` runs it with a thousand of them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from naru.domain.values import DAY, HOUR, MINUTE, Instant, from_kst, kst_stamp
from naru.jobs.worker import Runner
from naru.service import billing, doctor, schedules
from naru.service.billing import Customer
from naru.service.keyin import CardOrder
from naru.service.ports import CardPayment
from naru.service.schedules import Item
from naru.store import payments, views
from naru.store import schedules as store
from tests.conftest import Open, log_from
from tests.fakes import FakeGateway
from tests.shop import Shop, card, open_shop

CUSTOMERS = int(os.environ.get("NARU_YEAR_CUSTOMERS", "250"))
MONTHS = 12
PRICE = 9900


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of warnings, with tracebacks of deaths, would take longer than the year."""
    log_from(logging.CRITICAL)
    yield
    log_from()


@pytest.fixture
async def shop(migrated_sqlite: Path, tmp_path: Path, open_db: Open) -> Shop:
    """The development store on a SQLite file that does not wait for the disk."""
    file = tmp_path / "year.db"
    shutil.copyfile(migrated_sqlite, file)
    return await open_shop(await open_db(f"sqlite:///{file}", synchronous="OFF"))


class Business:
    """The shop's own server: it books the next month when a payment succeeds, and changes cards that fail."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self.shop = shop
        self.dice = random.Random(seed)
        self.paid: set[tuple[int, int]] = set()
        self.tries: Counter[tuple[int, int]] = Counter()
        self.told: Counter[str] = Counter()
        self.left: set[int] = set()
        self.cards_changed = 0
        self.read = 0

    def order(self, n: int, month: int) -> CardOrder:
        return CardOrder(
            store_id=1, merchant_uid=f"sub-{n}-{month}", amount=PRICE + n, name="월 구독", customer_uid=f"c{n}"
        )

    def due(self, n: int, month: int) -> Instant:
        """Customers are billed on 28 days, at three times of the day."""
        return Instant(from_kst(f"2027{month:02d}{n % 28 + 1:02d}{(3, 9, 21)[n % 3]:02d}0000"))

    async def start(self) -> None:
        """Every customer pays the first month with a card and is scheduled for the second."""
        for n in range(CUSTOMERS):
            charged, registered = await billing.pay_and_register(
                self.shop.cx, self.order(n, 1), card(), channel_key=None, pg=None
            )
            assert registered
            assert charged.settled.payment.received == PRICE + n
            self.paid.add((n, 1))
            await self.book(n, 2)

    async def book(self, n: int, month: int) -> None:
        customer = Customer(store_id=1, customer_uid=f"c{n}")
        await schedules.book(
            self.shop.cx, customer, [Item(self.order(n, month), self.due(n, month))], card=None, checking_amount=0,
            channel_key=None, pg=None,
        )  # fmt: skip

    async def read_webhooks(self) -> int:
        """Act on what came in since the last time."""
        new = self.shop.sender.sent[self.read :]
        self.read += len(new)
        for _, raw, _ in new:
            hook = json.loads(raw)
            if not hook["merchant_uid"].startswith("sub-"):
                continue
            _, n, month = hook["merchant_uid"].split("-")
            await self.heard(int(n), int(month), hook["imp_uid"], hook["status"])
        return len(new)

    async def heard(self, n: int, month: int, imp_uid: str, status: str) -> None:
        if month == 1:
            return
        self.told[status] += 1
        view = await self.shop.cx.db.glance(views.payment, 1, imp_uid)
        assert view is not None
        assert view.row.status == status
        self.tries[n, month] += 1
        if status == "paid":
            assert (n, month) not in self.paid, "paid twice"
            self.paid.add((n, month))
            if month < MONTHS and n not in self.left:
                await self.book(n, month + 1)
        elif view.row.fail_reason == "거래정지 카드" and self.dice.random() < 0.5:
            # The buyer enters another card; the daily retry charges it.
            change = Customer(store_id=1, customer_uid=f"c{n}")
            await billing.issue(self.shop.cx, change, card(birth="820213", pwd="00"), channel_key=None, pg=None)
            self.cards_changed += 1


class Weather:
    """What Hecto does with charges: some have no money, some cards die, some answers are lost."""

    def __init__(self, gateway: FakeGateway, seed: int) -> None:
        self.dice = random.Random(seed)
        self.dead: set[str] = set()
        self.counts: Counter[str] = Counter()
        gateway.judge = self.judge

    def judge(self, payment: CardPayment) -> str:
        if payment.billing_key is None:
            return ""
        key = payment.billing_key.reveal()
        if key in self.dead:
            return "dead_card"
        roll = self.dice.random()
        fault = ""
        if roll < 0.02:
            self.dead.add(key)
            fault = "dead_card"
        elif roll < 0.08:
            fault = "decline"
        elif roll < 0.10:
            fault = "lost_after"
        elif roll < 0.115:
            fault = "lost_before"
        elif roll < 0.12:
            fault = "unsent"
        self.counts[fault or "good"] += 1
        return fault


@pytest.mark.slow
async def test_a_year_of_monthly_billing(shop: Shop) -> None:
    shop.clock.at = from_kst("20270101000000")
    await schedules.set_dunning(shop.cx, 1, 10)
    business, weather = Business(shop, 1), Weather(shop.gateway, 2)
    await business.start()

    # Two workers on one database; now and then one dies at its worst moments.
    dice = random.Random(3)
    deaths: Counter[str] = Counter()

    def crash(point: str) -> None:
        if point in ("asked", "answered", "settling") and dice.random() < 0.003:
            deaths[point] += 1
            raise RuntimeError(f"the worker died: {point}")

    async def work(worker: Runner) -> int:
        try:
            return await worker.round()
        except RuntimeError:
            return 1  # it is started anew, with whatever it left behind

    workers = [Runner(shop.cx, shop.sender) for _ in range(2)]
    end = from_kst("20280205000000")
    while shop.clock.at < end:
        shop.cx.crash = crash
        while sum(await asyncio.gather(*(work(w) for w in workers))):
            shop.cx.crash = lambda _point: None
            await business.read_webhooks()
            shop.cx.crash = crash
        due = await workers[0].next_due()
        shop.clock.at = end if due is None else min(max(due, shop.clock.at + 1), end)
    shop.cx.crash = lambda _point: None
    await business.read_webhooks()

    # Everybody who still subscribes has paid every month once, and nobody any month twice.
    trades = {t.attempt_id: t for t in shop.gateway.trades.values()}
    kept = Counter[str]()
    for t in trades.values():
        stored = await shop.cx.db.read(payments.load, t.attempt_id)
        assert stored is not None
        p = stored.payment
        assert (p.received, p.returned) == (t.amount, t.cancelled), p.imp_uid
        if t.amount > t.cancelled:
            kept[p.merchant_uid] += 1
    assert max(kept.values()) == 1
    assert set(kept) == {f"sub-{n}-{m}" for n, m in business.paid}
    assert shop.gateway.complaints == []
    unpaid = {n for n in range(CUSTOMERS) if (n, MONTHS) not in business.paid}
    for n in unpaid:  # their last schedule failed for good: thirty days of retries on a dead card
        month = max(m for k, m in business.paid if k == n) + 1
        row = await shop.cx.db.read(store.by_order, 1, f"sub-{n}-{month}")
        assert row is not None
        assert (row.status, row.payment_status) == ("executed", "failed")
    assert len(business.paid) > 0.9 * CUSTOMERS * MONTHS

    # On time: what was paid at the first try was charged at its second.
    for n, month in random.Random(4).sample(sorted(business.paid), 300):
        if month > 1 and business.tries[n, month] == 1:
            row = await shop.cx.db.read(store.by_order, 1, f"sub-{n}-{month}")
            assert row is not None
            late = row.executed_at - row.schedule_at
            assert late == 0 or deaths, (kst_stamp(row.schedule_at), late)
            assert late <= 2 * MINUTE + DAY

    # The weather was what the test is about, every try was told, and the books close.
    thousands = CUSTOMERS / 1000
    assert all(
        weather.counts[f] > 20 * thousands for f in ("dead_card", "decline", "lost_after", "lost_before", "unsent")
    )
    assert deaths.total() > 5 * thousands
    assert business.cards_changed > 20 * thousands
    assert business.told["failed"] > 500 * thousands
    shop.clock.advance(HOUR)
    assert [p for p in await doctor.examine(shop.cx) if p.kind != "open_too_long"] == []
