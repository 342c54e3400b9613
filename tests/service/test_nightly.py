"""The nightly check: quiet when the books are right, and heard when they are not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import bindparam

from naru import logs
from naru.clock import ManualClock
from naru.connectors.hecto.client import Client
from naru.connectors.hecto.gateway import HectoGateway
from naru.domain.values import DAY, HOUR, MINUTE, from_kst
from naru.jobs.cry import Bell, Crier
from naru.service import doctor
from naru.service.context import Context
from naru.store import mail, payments, stores, tables
from naru.store.db import Tx
from naru.store.statement import Statement
from tests.live import ShopServer, shop_server
from tests.shop import Shop

NIGHT = from_kst("20261122043000")


@pytest.fixture
def chat() -> Iterator[ShopServer]:
    with shop_server() as server:
        yield server


@pytest.fixture
async def hecto(shop: Shop) -> AsyncIterator[Context]:
    """The shop's context with the real reader of notis."""
    shop.cx.gateway = HectoGateway(Client(), ManualClock(), public_url="http://naru.test", sandbox_url="http://sandbox")
    yield shop.cx
    shop.cx.gateway = shop.gateway


async def receive(cx: Context, body: bytes) -> None:
    await cx.db.write(
        mail.receive, path="/settle_payments/notice", remote="", content_type="", raw=cx.gateway.redact(body), now=1
    )


async def test_times_and_trade_numbers_that_pass_for_card_numbers_are_no_alarm(hecto: Context) -> None:
    """20261122104221 has a card number's check digit."""
    await receive(hecto, b"mchtId=nxca_jt_bi&trdDtm=20261122104221&trdAmt=1000")
    assert [p for p in await doctor.examine(hecto) if p.kind == "card_digits"] == []


@pytest.mark.parametrize("number", ["2022004000065"])
async def test_an_account_number_that_passes_for_a_card_number_is_no_alarm(shop: Shop, number: str) -> None:
    assert logs.luhn(number)
    await shop.account(0, channel="nxva_fix2", number=number)
    shop.clock.advance(HOUR)
    assert await doctor.examine(shop.cx) == []


@pytest.mark.parametrize(
    ("text", "card"),
    [
        ("4111111111111111", True),
        ("2223 0000 4841 0010", True),
        ("9410-0000-0000-0005", True),
        ("20261122104221", False),
        ("2026112210422100001", False),
        ("2720-9900-0000-0007", True),
        ("2721000000000004", False),
    ],
)
def test_what_passes_for_a_card_number(text: str, card: bool) -> None:
    digits = "".join(ch for ch in text if ch.isdigit())
    assert logs.luhn(digits)
    assert logs.card_like(f"a {text} b") is card


async def test_a_card_number_in_a_letter_is_found(hecto: Context) -> None:
    def slip() -> Tx[int]:
        return (
            yield from mail.receive(
                path="/", remote="", content_type="", raw=b"mchtParam=4111111111111111", now=1
            )
        )  # fmt: skip

    await hecto.db.write(slip)
    assert [p.kind for p in await doctor.examine(hecto)] == ["card_digits"]


async def test_a_night_without_problems_calls_nobody(shop: Shop) -> None:
    await shop.pay()
    shop.clock.at = NIGHT
    await shop.runner.drain()
    assert await shop.alarms() == []
    assert await shop.cx.db.read(stores.get_meta, "doctor_day") == "20261122"


async def test_before_four_in_the_morning_nothing_is_checked(shop: Shop) -> None:
    shop.clock.at = NIGHT - HOUR
    await shop.runner.drain()
    assert await shop.cx.db.read(stores.get_meta, "doctor_day") is None


_SET_CANCELLED = Statement(
    tables.payments.update()
    .values(cancel_amount=bindparam("amount"))
    .where(tables.payments.c.imp_uid == bindparam("of"))
)


async def say_cancelled(shop: Shop, imp_uid: str, amount: int) -> None:
    """Write into the stored projection what the entries do not say."""

    def change() -> Tx[None]:
        yield _SET_CANCELLED(amount=amount, of=imp_uid)

    await shop.cx.db.write(change)


async def test_every_payment_is_examined_within_a_hundred_nights_and_the_changed_ones_at_once(shop: Shop) -> None:
    shop.clock.at = NIGHT
    old = (await shop.pay()).settled.payment.imp_uid
    shop.clock.at = NIGHT + 10 * DAY
    new = (await shop.pay()).settled.payment.imp_uid
    shop.clock.at += HOUR
    for imp_uid in (old, new):
        await say_cancelled(shop, imp_uid, 1)
    found = [
        {p.imp_uid for p in await doctor.examine(shop.cx, doctor.Night(NIGHT + 9 * DAY, part))} for part in range(100)
    ]
    assert all(new in night for night in found)
    assert [part for part, night in enumerate(found) if old in night] == [int(old[-2:])]
    assert {p.imp_uid for p in await doctor.examine(shop.cx)} == {old, new}
    for imp_uid in (old, new):
        await say_cancelled(shop, imp_uid, 0)


async def test_what_is_open_is_examined_every_night_however_old(shop: Shop) -> None:
    shop.clock.at = NIGHT
    shop.gateway.faults, shop.gateway.blind = ["lost_after"], True
    imp_uid = (await shop.pay()).settled.payment.imp_uid
    await shop.cx.db.write(payments.check_again, imp_uid, None)
    shop.clock.at = NIGHT + 30 * DAY
    other = (int(imp_uid[-2:]) + 1) % 100
    problems = await doctor.examine(shop.cx, doctor.Night(NIGHT + 29 * DAY, other))
    assert {(p.kind, p.imp_uid) for p in problems} == {("open_too_long", imp_uid), ("unwatched", imp_uid)}
    await shop.cx.db.write(payments.check_again, imp_uid, shop.clock())
    shop.gateway.blind = False
    await shop.pass_time(5 * MINUTE)


async def test_an_open_payment_that_nobody_looks_at_is_an_alarm_in_the_morning(shop: Shop) -> None:
    shop.gateway.faults, shop.gateway.blind = ["lost_after"], True
    imp_uid = (await shop.pay()).settled.payment.imp_uid
    await shop.cx.db.write(payments.check_again, imp_uid, None)
    shop.clock.at = NIGHT + DAY
    await shop.runner.drain()
    assert "doctor" in await shop.alarms()
    await shop.cx.db.write(payments.check_again, imp_uid, shop.clock())
    shop.gateway.blind = False
    await shop.pass_time(5 * MINUTE)


# ── a person hears ───────────────────────────────────────────────────────────


Make = Callable[..., Crier]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[Crier] = []

    def make(bell: Bell, *send_mail: Callable[[Bell, str, str], None]) -> Crier:
        made.append(Crier(bell, send_mail=send_mail[0]) if send_mail else Crier(bell))
        return made[-1]

    yield make
    for crier in made:
        await crier.close()


async def raise_one(shop: Shop, key: str = "test") -> None:
    await shop.cx.db.write(
        mail.raise_alarm, key, "mismatch", "금액이 다릅니다", store_id=1, imp_uid="imp_1", now=shop.clock()
    )


async def run_alarms(shop: Shop, crier: Crier) -> None:
    for job in await shop.cx.db.write(mail.claim, (mail.ALARM,), shop.clock(), shop.clock() + MINUTE, 10):
        await crier.run(shop.cx, job)


async def test_an_alarm_reaches_the_operators_chat(shop: Shop, chat: ShopServer, make: Make) -> None:
    crier = make(Bell(webhook=f"{chat.url}/hook"))
    await raise_one(shop)
    await raise_one(shop)
    await run_alarms(shop, crier)
    await run_alarms(shop, crier)
    assert len(chat.hooks) == 1
    said = json.loads(chat.hooks[0].body)
    assert said["text"].startswith("[나루] 금액이 다릅니다")
    assert (said["kind"], said["imp_uid"]) == ("mismatch", "imp_1")


async def test_an_alarm_that_could_not_be_told_is_told_later(shop: Shop, chat: ShopServer, make: Make) -> None:
    crier = make(Bell(webhook=f"{chat.url}/hook"))
    chat.statuses = [500]
    await raise_one(shop)
    await run_alarms(shop, crier)
    shop.clock.advance(MINUTE)
    await run_alarms(shop, crier)
    await run_alarms(shop, crier)
    assert len(chat.hooks) == 2


async def test_an_alarm_goes_out_by_mail(shop: Shop, make: Make) -> None:
    sent: list[tuple[str, str]] = []

    def post(_bell: Bell, subject: str, text: str) -> None:
        sent.append((subject, text))

    crier = make(Bell(email="me@shop.test", smtp="smtp://mail.test"), post)
    await raise_one(shop)
    await run_alarms(shop, crier)
    assert [s for s, _ in sent] == ["[나루] 금액이 다릅니다"]
    assert "http://naru.test/console/problems" in sent[0][1]


async def test_one_way_that_works_is_enough(shop: Shop, chat: ShopServer, make: Make) -> None:
    def broken(_bell: Bell, _subject: str, _text: str) -> None:
        raise OSError("no such host")

    crier = make(Bell(f"{chat.url}/hook", "me@shop.test", "smtp://mail.test"), broken)
    await raise_one(shop)
    await run_alarms(shop, crier)
    shop.clock.advance(DAY)
    await run_alarms(shop, crier)
    assert len(chat.hooks) == 1


async def test_without_an_address_an_alarm_is_logged_and_done(shop: Shop) -> None:
    await raise_one(shop)
    await shop.runner.drain()
    waiting: Any = await shop.cx.db.read(mail.next_job, (mail.ALARM,))
    assert waiting is None
    assert await shop.alarms() == ["mismatch"]
