"""What must hold when a process stops, dies or is overtaken between two of its steps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from naru.domain.channel import Channel
from naru.domain.payment import Purpose, State, Void
from naru.domain.refusal import Refused
from naru.domain.values import HOUR, MINUTE, AttemptId
from naru.service import notices, reconcile
from naru.service.console_alarms import look_now
from naru.service.ports import Found, Question
from naru.store import payments
from tests.fakes import FakeGateway, Trade
from tests.shop import Shop


class Died(BaseException):
    """The process is gone."""


class Slowed(FakeGateway):
    """The fake gateway, with something that happens before an inquiry is answered."""

    before_answer: Callable[[Question], Awaitable[None]] | None = None

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop.clock)
        self.asked = asyncio.Event()

    async def inquire(self, channel: Channel, question: Question) -> Found:
        self.asked.set()
        if self.before_answer:
            await self.before_answer(question)
        return await super().inquire(channel, question)


@pytest.fixture
def slowed(shop: Shop) -> Slowed:
    gateway = Slowed(shop)
    shop.cx.gateway = shop.gateway = gateway
    return gateway


def die_at(wanted: str) -> Callable[[str], None]:
    def crash(point: str) -> None:
        if point == wanted:
            raise Died

    return crash


async def settled(shop: Shop, imp_uid: str) -> None:
    """Until the payment's result is known; the test's own time limit ends it otherwise."""
    while (await shop.payment(imp_uid)).attempts[0].is_open:  # noqa: ASYNC110 - there is nothing to be told by
        await asyncio.sleep(0.001)


async def notice_of(shop: Shop, imp_uid: str) -> notices.Verdict:
    p = await shop.payment(imp_uid)
    notice = shop.gateway.approve_notice(AttemptId(imp_uid), "nxca_jt_bi")
    return await notices.apply(shop.cx, notice, {p.channel_id})


# ── told one thing, found another ────────────────────────────────────────────


async def test_an_approval_after_a_told_decline_is_taken_back_and_never_shown(shop: Shop) -> None:
    shop.gateway.faults = ["decline_after"]
    imp_uid = (await shop.pay()).settled.payment.imp_uid
    assert (await shop.shown(imp_uid)).status == "failed"
    assert (await notice_of(shop, imp_uid)).ok
    assert (await shop.shown(imp_uid)).status == "failed"
    await shop.pass_time(MINUTE)
    p = await shop.payment(imp_uid)
    assert (p.void, p.received, p.left) == (Void.TOLD_FAILED, 1000, 0)
    assert shop.gateway.trades[imp_uid].cancelled == 1000
    assert await shop.webhooks(imp_uid) == []


async def test_the_order_can_be_paid_again_after_a_wrong_decline(shop: Shop) -> None:
    shop.gateway.faults = ["decline_after"]
    first = (await shop.pay(merchant_uid="order")).settled.payment.imp_uid
    second = (await shop.pay(merchant_uid="order")).settled.payment.imp_uid
    await notice_of(shop, first)
    await shop.pass_time(MINUTE)
    assert (await shop.shown(second)).status == "paid"
    assert (await shop.shown(first)).status == "failed"
    assert shop.gateway.trades[first].cancelled == 1000
    assert shop.gateway.trades[second].cancelled == 0


async def test_a_cancel_that_is_done_after_it_was_denied_twice_is_still_found(shop: Shop) -> None:
    imp_uid = (await shop.pay()).settled.payment.imp_uid
    shop.gateway.faults = ["lost_before"]
    await shop.cancel(imp_uid, 300)
    await shop.pass_time(3 * MINUTE)
    assert (await shop.payment(imp_uid)).attempts[1].state is State.NOT_SENT
    trade = shop.gateway.trades[imp_uid]
    trade.cancels[f"{imp_uid}C001"], trade.rounds = 300, 1
    await shop.pass_time(15 * MINUTE)
    p = await shop.payment(imp_uid)
    assert [(e.id, e.amount) for e in p.entries if e.org_tid] == [(f"{imp_uid}C001", 300)]
    assert f"{imp_uid}C001:cancel#0" in await shop.webhooks(imp_uid)


async def test_a_payment_that_is_done_after_it_was_denied_twice_is_taken_back(shop: Shop) -> None:
    shop.gateway.faults = ["lost_before"]
    imp_uid = (await shop.pay(1000)).settled.payment.imp_uid
    await shop.pass_time(3 * MINUTE)
    assert (await shop.payment(imp_uid)).attempts[0].state is State.NOT_SENT
    shop.gateway.trades[imp_uid] = Trade(f"T{imp_uid}", imp_uid, 1000)
    await shop.pass_time(3 * HOUR)
    assert shop.gateway.trades[imp_uid].cancelled == 1000
    assert (await shop.shown(imp_uid)).status == "failed"


async def test_second_looks_end(shop: Shop) -> None:
    shop.gateway.faults = ["lost_before"]
    imp_uid = (await shop.pay(1000)).settled.payment.imp_uid
    await shop.pass_time(30 * HOUR)
    asked = shop.gateway.calls.count(f"inquire {imp_uid}")
    await shop.pass_time(30 * HOUR)
    assert shop.gateway.calls.count(f"inquire {imp_uid}") == asked < 10


# ── two cancels, one of them denied and late ─────────────────────────────────
# An inquiry tells the total that went back of a trade, not of which cancel.


async def denied(shop: Shop) -> tuple[str, Trade]:
    """A payment of 3,000 won whose first cancel, of 1,000, was denied twice; its trade at the other side."""
    imp_uid = (await shop.pay(3_000)).settled.payment.imp_uid
    shop.gateway.faults = ["lost_before"]
    await shop.cancel(imp_uid, 1_000)
    await shop.pass_time(3 * MINUTE)
    assert (await states(shop, imp_uid)) == {"C001": "not_sent"}
    return imp_uid, shop.gateway.trades[imp_uid]


async def states(shop: Shop, imp_uid: str) -> dict[str, str]:
    return {a.id.removeprefix(imp_uid): a.state.value for a in (await shop.payment(imp_uid)).attempts[1:]}


def done_late(trade: Trade, imp_uid: str, number: str = "C001", amount: int = 1_000) -> None:
    trade.cancels[f"{imp_uid}{number}"] = amount
    trade.rounds += 1


async def agree(shop: Shop, imp_uid: str, back: int) -> None:
    assert (await shop.payment(imp_uid)).returned == shop.gateway.trades[imp_uid].cancelled == back


@pytest.mark.parametrize(("fault", "second"), [("lost_before", "not_sent"), ("lost_after", "done")])
async def test_a_late_cancel_is_told_from_the_next_one_by_its_amount(shop: Shop, fault: str, second: str) -> None:
    imp_uid, trade = await denied(shop)
    shop.gateway.faults = [fault]
    await shop.cancel(imp_uid, 500)
    done_late(trade, imp_uid)
    await shop.pass_time(5 * MINUTE)
    assert await states(shop, imp_uid) == {"C001": "done", "C002": second}
    await agree(shop, imp_uid, 1_000 + 500 * (second == "done"))
    assert await shop.alarms() == ["late_cancel"]
    await shop.cancel(imp_uid, 700)  # nothing is in its way
    await agree(shop, imp_uid, trade.cancelled)


async def test_a_late_cancel_of_the_same_amount_counts_once_each_and_calls_a_person(shop: Shop) -> None:
    """The second was done: what grows the total afterwards was the first, and the buyer has twice what was meant."""
    imp_uid, trade = await denied(shop)
    await shop.cancel(imp_uid, 1_000)
    done_late(trade, imp_uid)
    await shop.pass_time(20 * MINUTE)
    assert await states(shop, imp_uid) == {"C001": "done", "C002": "done"}
    await agree(shop, imp_uid, 2_000)
    assert await shop.alarms() == ["late_cancel"]


async def test_which_of_two_equal_cancels_was_done_is_not_known_and_how_much_went_back_is(shop: Shop) -> None:
    """The late one counts for the one that is asked about; should that come too, the first is found to be done."""
    imp_uid, trade = await denied(shop)
    shop.gateway.faults = ["lost_before"]
    await shop.cancel(imp_uid, 1_000)
    done_late(trade, imp_uid)
    await shop.pass_time(MINUTE)
    assert await states(shop, imp_uid) == {"C001": "not_sent", "C002": "done"}
    await agree(shop, imp_uid, 1_000)
    done_late(trade, imp_uid, "C002")
    await shop.pass_time(20 * MINUTE)
    assert await states(shop, imp_uid) == {"C001": "done", "C002": "done"}
    await agree(shop, imp_uid, 2_000)
    assert await shop.alarms() == ["late_cancel"]


# ── overtaken ────────────────────────────────────────────────────────────────


async def test_a_late_inquiry_does_not_mistake_our_open_cancel_for_a_cancel_at_the_pgs_desk(
    shop: Shop, slowed: Slowed
) -> None:
    """The answer to "was it paid?" may already tell of a cancel whose own answer is still on its way."""
    slowed.faults = ["lost_after"]
    cancelled = asyncio.Event()

    async def wait(_question: Question) -> None:
        await cancelled.wait()

    slowed.before_answer = wait
    shop.cx.budget_s = 20
    paying = asyncio.create_task(shop.pay(merchant_uid="order"))
    await slowed.asked.wait()
    imp_uid = next(iter(slowed.trades))
    await notice_of(shop, imp_uid)
    slowed.faults = ["lost_after"]
    slowed.blind = False
    shop.cx.budget_s = 0.5
    done = await shop.cancel(imp_uid, 400)
    assert done.settled is not None
    assert done.settled.attempt.state is State.UNKNOWN
    cancelled.set()
    await paying
    await shop.pass_time(5 * MINUTE)
    p = await shop.payment(imp_uid)
    assert [(e.id, e.amount) for e in p.entries if e.org_tid] == [(f"{imp_uid}C001", 400)]
    assert p.open_cancel is None
    assert "mismatch" not in await shop.alarms()


# ── stopped ──────────────────────────────────────────────────────────────────


async def test_a_process_that_was_stopped_beyond_its_lease_sends_nothing_any_more(shop: Shop, slowed: Slowed) -> None:
    """SIGSTOP between *ask* and *call*; others have looked meanwhile and settled it as not sent."""

    def stopped(point: str) -> None:
        if point == "asked":
            shop.clock.advance(3 * MINUTE)

    shop.cx.crash = stopped
    charged = await shop.pay(merchant_uid="order")
    assert [c for c in slowed.calls if c.startswith("pay")] == []
    assert charged.settled.attempt.state is State.NOT_SENT
    shop.cx.crash = lambda _point: None
    assert (await shop.pay(merchant_uid="order")).settled.attempt.state is State.DONE


async def test_a_cancel_that_was_stopped_beyond_its_lease_is_not_sent_any_more(shop: Shop) -> None:
    imp_uid = (await shop.pay()).settled.payment.imp_uid

    def stopped(point: str) -> None:
        if point == "asked":
            shop.clock.advance(3 * MINUTE)

    shop.cx.crash = stopped
    done = await shop.cancel(imp_uid, 400)
    assert done.settled is not None
    assert done.settled.attempt.state is State.NOT_SENT
    assert shop.gateway.trades[imp_uid].cancelled == 0
    assert (await shop.payment(imp_uid)).left == 1000


async def test_a_net_cancel_is_sent_by_one_who_still_holds_it(shop: Shop) -> None:
    """Two workers have claimed it one after the other: the first, waking late, leaves it to the second."""
    shop.gateway.faults, shop.gateway.blind = ["lost_after"], True
    imp_uid = (await shop.pay()).settled.payment.imp_uid
    shop.gateway.blind = False
    await notice_of(shop, imp_uid)
    now = shop.clock()
    first = await shop.cx.db.write(payments.claim_checks, now, now + 40_000, 10)
    shop.clock.advance(HOUR)
    second = await shop.cx.db.write(payments.claim_checks, shop.clock(), shop.clock() + 40_000, 10)
    assert [r.id for r in first] == [r.id for r in second] == [f"{imp_uid}C001"]
    await reconcile.check(shop.cx, first[0].id, first[0].checks)
    assert [c for c in shop.gateway.calls if c.startswith("cancel")] == []


# ── many at once ─────────────────────────────────────────────────────────────


async def test_a_check_that_fails_or_hangs_holds_up_no_other(shop: Shop, slowed: Slowed) -> None:
    slowed.faults, slowed.blind = ["lost_after"] * 5, True
    imp_uids = [(await shop.pay()).settled.payment.imp_uid for _ in range(5)]
    slowed.blind = False
    hanging = asyncio.Event()

    async def misbehave(question: Question) -> None:
        if question.attempt_id == imp_uids[0]:
            raise RuntimeError("a bug of ours")
        if question.attempt_id == imp_uids[1]:
            await hanging.wait()

    slowed.before_answer = misbehave
    shop.clock.advance(2 * MINUTE)
    looking = asyncio.create_task(shop.runner.drain())
    for imp_uid in imp_uids[2:]:
        await settled(shop, imp_uid)
    states = [(await shop.payment(i)).attempts[0].state for i in imp_uids]
    hanging.set()
    await looking
    assert states == [State.UNKNOWN, State.UNKNOWN, State.DONE, State.DONE, State.DONE]
    slowed.before_answer = None
    await shop.pass_time(HOUR)
    assert (await shop.payment(imp_uids[0])).attempts[0].state is State.DONE


# ── nobody heard ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("point", ["answered", "settling"])
async def test_the_same_cancel_again_after_a_death_is_not_another_cancel(shop: Shop, point: str) -> None:
    """The caller's connection broke; without a key it can only say the same words again."""
    shop.sender.statuses = [500] * 20  # and no webhook gets through
    imp_uid = (await shop.pay()).settled.payment.imp_uid
    shop.cx.crash = die_at(point)
    with pytest.raises(Died):
        await shop.cancel(imp_uid, 300)
    shop.cx.crash = lambda _point: None
    await shop.pass_time(3 * MINUTE)
    assert (await shop.payment(imp_uid)).returned == 300
    again = await shop.cancel(imp_uid, 300)
    assert again.settled is None
    assert shop.gateway.trades[imp_uid].cancelled == 300
    # It has been answered now: the same words once more mean another cancel.
    await shop.cancel(imp_uid, 300)
    assert shop.gateway.trades[imp_uid].cancelled == 600


async def test_the_same_cancel_again_after_a_heard_answer_is_another_cancel(shop: Shop) -> None:
    imp_uid = (await shop.pay()).settled.payment.imp_uid
    await shop.cancel(imp_uid, 300)
    await shop.cancel(imp_uid, 300)
    assert shop.gateway.trades[imp_uid].cancelled == 600


# ── numbers ──────────────────────────────────────────────────────────────────


async def test_a_number_that_is_taken_is_drawn_again(shop: Shop) -> None:
    drawn = iter(["000000000001", "000000000001", "000000000002"])
    shop.cx.digits = lambda _count: next(drawn)
    first = await shop.pay()
    second = await shop.pay()
    assert (first.settled.payment.imp_uid, second.settled.payment.imp_uid) == ("imps_000000000001", "imps_000000000002")


async def test_a_net_cancel_that_was_asked_for_is_counted_by_its_purpose(shop: Shop) -> None:
    shop.gateway.faults, shop.gateway.blind = ["lost_after"], True
    imp_uid = (await shop.pay()).settled.payment.imp_uid
    shop.gateway.blind = False
    await shop.pass_time(5 * MINUTE)
    p = await shop.payment(imp_uid)
    assert [(a.purpose, a.state) for a in p.attempts] == [(Purpose.SHOP, State.DONE), (Purpose.NET, State.DONE)]
    with pytest.raises(Refused):
        await shop.cancel(imp_uid)


async def test_the_operator_may_look_at_an_open_payment_before_its_time(shop: Shop) -> None:
    shop.gateway.faults, shop.gateway.blind = ["lost_after"], True
    imp_uid = (await shop.pay()).settled.payment.imp_uid
    shop.gateway.blind = False
    shop.clock.advance(MINUTE)
    assert await look_now(shop.cx, shop.store_id, imp_uid) == "done"
