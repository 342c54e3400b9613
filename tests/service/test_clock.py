"""Clocks that jump, midnight in Korea, leap days: what was asked before is settled after, once."""

from __future__ import annotations

import asyncio

import pytest

from naru.clock import SystemClock
from naru.domain.payment import State
from naru.domain.refusal import Refused
from naru.domain.values import DAY, HOUR, MINUTE, SECOND, from_kst
from naru.jobs import timemachine
from naru.service import doctor
from naru.store import stores
from tests.shop import Shop

JUMPS = [-DAY, -2 * HOUR, -MINUTE, HOUR, 40 * DAY]


async def no_complaint(shop: Shop) -> None:
    assert shop.gateway.complaints == []
    shop.clock.advance(10 * MINUTE)
    assert await doctor.examine(shop.cx) == []


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize(("fault", "came"), [("lost_after", 1_000), ("lost_before", 0)])
async def test_a_lost_payment_is_settled_although_the_clock_jumps(shop: Shop, fault: str, came: int, jump: int) -> None:
    """The caller was told "failed": whatever was approved goes back, however late our clock says that is."""
    shop.clock.advance(3 * DAY)
    shop.gateway.faults, shop.gateway.blind = [fault], True
    imp_uid = (await shop.pay(1_000)).settled.payment.imp_uid
    shop.gateway.blind = False
    shop.clock.at += jump
    await shop.pass_time(max(0, -jump) + 30 * MINUTE)
    p = await shop.payment(imp_uid)
    assert (p.received, p.left) == (came, 0)
    assert [a for a in p.attempts if a.is_open] == []
    assert (await shop.shown(imp_uid)).status == "failed"
    assert await shop.webhooks(imp_uid) == []
    await no_complaint(shop)


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_lost_cancel_and_its_webhook_survive_a_jump(shop: Shop, jump: int) -> None:
    shop.clock.advance(3 * DAY)
    imp_uid = (await shop.pay(1_000)).settled.payment.imp_uid
    shop.gateway.faults, shop.gateway.blind = ["lost_after"], True
    await shop.cancel(imp_uid, 400)
    shop.gateway.blind = False
    shop.sender.statuses = [503]
    shop.clock.at += jump
    await shop.pass_time(max(0, -jump) + 30 * MINUTE)
    p = await shop.payment(imp_uid)
    assert [(e.id, e.amount) for e in p.entries if e.org_tid] == [(f"{imp_uid}C001", 400)]
    told = [body.decode() for _, body, _ in shop.sender.sent]
    assert sum('"cancelled"' in t for t in told) >= 1
    assert sum('"paid"' in t for t in told) >= 1
    await no_complaint(shop)


@pytest.mark.parametrize("at", ["20261231235959", "20280228235959", "20280229235959", "20260930235959"])
async def test_what_is_asked_before_midnight_and_answered_after_is_one_payment(shop: Shop, at: str) -> None:
    """New year, the day before a leap day, a leap day, the end of a month: Korea's, not the machine's."""
    shop.clock.at = from_kst(at)
    shop.gateway.faults, shop.gateway.blind = ["lost_after"], True
    imp_uid = (await shop.pay(1_000, merchant_uid="midnight")).settled.payment.imp_uid
    shop.gateway.blind = False
    await shop.pass_time(5 * MINUTE)
    p = await shop.payment(imp_uid)
    assert (p.received, p.left, p.attempts[0].state) == (1_000, 0, State.DONE)
    again = (await shop.pay(1_000, merchant_uid="midnight")).settled.payment.imp_uid
    assert (await shop.shown(again)).status == "paid"
    await shop.cancel(again, 300)
    await shop.pass_time(DAY)
    await shop.cancel(again, 300)
    assert (await shop.shown(again)).cancel_amount == 600
    await no_complaint(shop)


async def test_a_jump_forward_while_hecto_is_asked_charges_nobody_twice(shop: Shop) -> None:
    """The lease runs out at once: somebody else looks, and the answer comes after all."""
    shop.gateway.on_paid = lambda _trade: shop.clock.advance(2 * DAY)
    charged = await shop.pay(1_000, merchant_uid="order")
    shop.gateway.on_paid = lambda _trade: None
    await shop.pass_time(HOUR)
    imp_uid = charged.settled.payment.imp_uid
    assert (await shop.shown(imp_uid)).status == "paid"
    assert [c for c in shop.gateway.calls if c.startswith("pay")] == [f"pay {imp_uid}"]
    assert await shop.webhooks(imp_uid) == [f"{imp_uid}:approve#0"]
    shop.clock.advance(SECOND)
    await no_complaint(shop)


# ── moved by hand, in development ────────────────────────────────────────────


async def test_two_who_move_the_clock_take_turns(shop: Shop) -> None:
    shop.cx.clock = clock = SystemClock()
    await asyncio.gather(*(timemachine.advance(shop.cx, shop.runner, None, HOUR) for _ in range(2)))
    assert clock.offset_ms == 2 * HOUR
    assert await shop.cx.db.read(stores.get_meta, "clock_offset_ms") == str(2 * HOUR)


async def test_a_sandbox_that_cannot_be_moved_is_said_so(shop: Shop) -> None:
    shop.cx.clock = SystemClock()
    with pytest.raises(Refused) as refused:
        await timemachine.advance(shop.cx, shop.runner, "http://127.0.0.1:9", HOUR)
    assert refused.value.facts["status"] == 503
    async with asyncio.timeout(5):
        await timemachine.advance(shop.cx, shop.runner, None, HOUR)  # nobody is held


async def test_what_several_processes_set_at_once_is_no_conflict(shop: Shop) -> None:
    """Two gateways and a worker plan the same morning when the clock is moved."""
    await asyncio.gather(*(shop.cx.db.write(stores.set_meta, "planned", str(n)) for n in range(8)))
    assert await shop.cx.db.read(stores.get_meta, "planned") in [str(n) for n in range(8)]
