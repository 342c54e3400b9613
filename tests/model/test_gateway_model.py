"""The gateway against the other side's own book: random shops, faults, deaths, notis and time.

After every step: what went back never exceeds what came in, and we never claim that more came back
than did. When the faults stop and time passes: nothing is open, both books agree, nothing is kept
of what a shop was told had failed, no order is charged twice, and every entry has its webhook row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from naru.domain.payment import Op, State, Status, Void, show
from naru.domain.refusal import Refused, Why
from naru.domain.values import HOUR, MINUTE, SECOND, AttemptId, won
from naru.service import doctor, notices
from naru.service.ports import Notice
from naru.store.db import open_database
from tests.shop import Shop, open_shop

T = TypeVar("T")
PAY_FAULTS = ["", "", "", "decline", "unsent", "lost_before", "lost_after", "late", "wrong_amount"]
CANCEL_FAULTS = ["", "", "decline", "unsent", "lost_before", "lost_after", "late"]
DEATHS = ["", "", "", "asked", "answered"]


class Died(BaseException):
    """The process is gone at a named point."""


class GatewayMachine(RuleBasedStateMachine):
    """One shop's life."""

    shop: Shop
    loop: asyncio.AbstractEventLoop
    paid = Bundle("paid")

    def __init__(self) -> None:
        super().__init__()
        self.orders: dict[str, list[str]] = {}
        self.told_failed: set[str] = set()
        self.told_paid: set[str] = set()
        self.shop.gateway.complaints.clear()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def misbehave(self, fault: str, death: str, blind: bool) -> None:
        def die(point: str) -> None:
            if point == death:
                raise Died

        self.shop.gateway.faults, self.shop.gateway.blind = [fault], blind
        self.shop.cx.crash = die

    def behave(self) -> None:
        self.shop.gateway.faults, self.shop.gateway.blind = [], False
        self.shop.cx.crash = lambda _point: None

    def charge(self, merchant_uid: str, amount: int) -> str | None:
        """Pay; the imp_uid of what was asked, if anything was."""
        blocked = any(self.is_busy(i) for i in self.orders.get(merchant_uid, []))
        self.shop.made.clear()
        try:
            charged = self.do(self.shop.pay(amount, merchant_uid=merchant_uid))
        except Died:
            assert not blocked
            died = next(f"imps_{d}" for d in reversed(self.shop.made) if len(d) == 12)
            self.orders.setdefault(merchant_uid, []).append(died)
            return died
        except Refused as refused:
            assert refused.why in (Why.ALREADY_PAID, Why.BEING_CHECKED)
            return None
        assert not blocked, f"{merchant_uid} was asked twice at a time"
        imp_uid = charged.settled.payment.imp_uid
        self.orders.setdefault(merchant_uid, []).append(imp_uid)
        status = show(charged.settled.payment).status
        (self.told_paid if status is Status.PAID else self.told_failed).add(imp_uid)
        return imp_uid

    def is_busy(self, imp_uid: str) -> bool:
        p = self.do(self.shop.payment(imp_uid))
        return p.attempts[0].is_open or (p.voided and p.left > 0)

    @precondition(lambda self: len(self.orders) < 3)
    @rule(
        target=paid,
        amount=st.integers(1, 1000),
        fault=st.sampled_from(PAY_FAULTS),
        death=st.sampled_from(DEATHS),
        blind=st.booleans(),
    )
    def pay(self, amount: int, fault: str, death: str, blind: bool) -> Any:
        self.misbehave(fault, death, blind)
        imp_uid = self.charge(f"m{next(self.shop.numbers)}", amount)
        self.behave()
        return multiple() if imp_uid is None else imp_uid

    @rule(imp_uid=paid, fault=st.sampled_from(PAY_FAULTS), blind=st.booleans())
    def pay_the_same_order_again(self, imp_uid: str, fault: str, blind: bool) -> None:
        merchant_uid = next(m for m, ids in self.orders.items() if imp_uid in ids)
        self.misbehave(fault, "", blind)
        self.charge(merchant_uid, 500)
        self.behave()

    @rule(
        imp_uid=paid,
        share=st.sampled_from(["all", "half", "one", "one too many", "absent"]),
        fault=st.sampled_from(CANCEL_FAULTS),
        death=st.sampled_from(DEATHS),
        blind=st.booleans(),
    )
    def cancel_in_any_way(self, imp_uid: str, share: str, fault: str, death: str, blind: bool) -> None:
        self.cancel(imp_uid, share, fault, death, blind=blind)

    def cancel(self, imp_uid: str, share: str, fault: str, death: str, *, blind: bool) -> None:
        before = self.do(self.shop.payment(imp_uid))
        left = before.left
        amount = {"all": left, "half": left // 2 or 1, "one": 1, "one too many": left + 1, "absent": None}[share]
        self.misbehave(fault, death, blind)
        try:
            done = self.do(self.shop.cancel(imp_uid, amount))
        except Died:
            pass
        except Refused as refused:
            if refused.why is not Why.CANCEL_BUSY:
                assert self.do(self.shop.payment(imp_uid)) == before
            if share == "one too many" and left and not before.voided and not before.open_cancel:
                assert refused.why is Why.CANCEL_TOO_MUCH
        else:
            assert before.received > 0
            assert not before.voided
            assert share != "one too many" or done.settled is None
        finally:
            self.behave()

    @rule(imp_uid=paid, twice=st.booleans())
    def a_noti_arrives(self, imp_uid: str, twice: bool) -> None:
        if imp_uid not in self.shop.gateway.trades:
            return
        p = self.do(self.shop.payment(imp_uid))
        notice = self.shop.gateway.approve_notice(AttemptId(imp_uid), "nxca_jt_bi")
        for _ in range(1 + twice):
            verdict = self.do(notices.apply(self.shop.cx, notice, {p.channel_id}))
            assert verdict.word in ("applied", "again")

    @rule(ms=st.sampled_from([SECOND, 30 * SECOND, 2 * MINUTE]))
    def time_passes(self, ms: int) -> None:
        self.do(self.shop.pass_time(ms))

    @rule(imp_uid=paid, share=st.sampled_from(["half", "one"]), times=st.integers(1, 3))
    def cancel_a_little(self, imp_uid: str, share: str, times: int) -> None:
        """Nothing goes wrong: the second and third cancel of a payment are what most mistakes show in."""
        for _ in range(times):
            self.cancel(imp_uid, share, "", "", blind=False)

    @rule(imp_uid=paid, lost=st.sampled_from(["lost_before", "lost_after", "decline"]))
    def cancel_twice_and_hear_nothing(self, imp_uid: str, lost: str) -> None:
        """The second is asked while the first has no answer."""
        self.cancel(imp_uid, "one", lost, "", blind=True)
        self.cancel(imp_uid, "half", "", "", blind=False)

    @rule(imp_uid=paid, seldom=st.integers(0, 5))
    def somebody_cancels_at_the_pgs_desk(self, imp_uid: str, seldom: int) -> None:
        if seldom:
            return
        trade = self.shop.gateway.trades.get(imp_uid)
        p = self.do(self.shop.payment(imp_uid))
        if trade is None or trade.cancelled or p.open_cancel or not p.received or p.voided:
            return
        trade.cancels["desk"] = trade.amount
        notice = Notice("cancel", "nxca_jt_bi", "card", "Tdesk", "", won(trade.amount), self.shop.clock(), trade.tid)
        assert self.do(notices.apply(self.shop.cx, notice, {p.channel_id})).ok
        assert self.do(self.shop.payment(imp_uid)).left == 0

    @invariant()
    def nothing_is_claimed_that_did_not_happen(self) -> None:
        assert self.shop.gateway.complaints == []
        for imp_uids in self.orders.values():
            for imp_uid in imp_uids:
                p = self.do(self.shop.payment(imp_uid))
                trade = self.shop.gateway.trades.get(imp_uid)
                assert p.returned <= p.received
                assert p.received <= (trade.amount if trade else 0)
                assert p.returned <= (trade.cancelled if trade else 0)
                for a in p.attempts:
                    # What was denied once may still travel: only after a second denial is it said not to have been.
                    there = trade is not None and (a.op is Op.PAY or a.id in trade.cancels)
                    assert not (a.state is State.NOT_SENT and there), f"{a.id} was believed too early not to be"

    def teardown(self) -> None:
        self.behave()
        self.do(self.shop.pass_time(3 * MINUTE))
        self.nothing_is_claimed_that_did_not_happen()
        self.do(self.shop.pass_time(3 * HOUR))
        for merchant_uid, imp_uids in self.orders.items():
            kept = [i for i in imp_uids if self.books_agree(i)]
            assert len(kept) <= 1, f"{merchant_uid} was charged twice: {kept}"
        self.shop.clock.advance(10 * MINUTE)
        assert self.do(doctor.examine(self.shop.cx)) == []

    def books_agree(self, imp_uid: str) -> bool:
        """Check one payment at the end; whether its approval was kept (even if cancelled later)."""
        p = self.do(self.shop.payment(imp_uid))
        trade = self.shop.gateway.trades.get(imp_uid)
        assert [a for a in p.attempts if a.is_open] == []
        assert p.received == (trade.amount if trade else 0)
        assert p.returned == (trade.cancelled if trade else 0)
        status = self.do(self.shop.shown(imp_uid)).status
        if imp_uid in self.told_paid:
            assert status in ("paid", "cancelled")
        if imp_uid in self.told_failed and p.void is not Void.KEPT:
            assert status == "failed"
            assert p.left == 0
        return p.received > 0 and not p.voided


@pytest.fixture
def machine(database_url: str) -> Iterator[type[GatewayMachine]]:
    loop = asyncio.new_event_loop()

    async def start() -> Shop:
        shop = await open_shop(await open_database(database_url))
        shop.cx.budget_s = 0.03
        return shop

    class Machine(GatewayMachine):
        pass

    Machine.shop, Machine.loop = loop.run_until_complete(start()), loop
    yield Machine
    loop.run_until_complete(Machine.shop.cx.db.close())
    loop.close()


def test_both_books_agree_whatever_happens(machine: type[GatewayMachine], dialect: str) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=60 if dialect == "sqlite" else 15,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )
