"""One account of each kind against the other side's book: whatever is asked, paid in, lost, killed or late.

After every step: we never claim a deposit or a refund that did not happen, an unlimited account has
amount 0, and what the shop cancelled stays cancelled. When the faults stop, every noti arrives (twice),
the day's list is read and time passes: both books agree to the won, and nothing is open.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from naru.domain.payment import Account, Purpose, State, Told
from naru.domain.refusal import Refused
from naru.domain.values import DAY, HOUR, MINUTE, SECOND, Instant, Won, from_kst, kst_midnight, won
from naru.service import deposits, doctor, vbank
from naru.service.ports import Notice
from naru.store.db import open_database
from tests.shop import Shop, open_shop

T = TypeVar("T")
NUMBERS = {"nxva_fix": 2022004000001, "nxva_fix2": 2022011000056}
"""The first of each channel's; every example has one of its own, because an earlier one may still be taken."""
FAULTS = st.sampled_from(["", "", "", "decline", "unsent", "lost_before", "lost_after"])
DEATHS = st.sampled_from(["", "", "", "asked", "answered"])
REFUND: dict[str, Any] = {"refund_holder": "홍길동", "refund_bank": "004", "refund_account": "12345678901234"}


class Died(BaseException):
    """The process is gone at a named point."""


@dataclass(frozen=True)
class Line:
    """A line of the PG's list."""

    trd_no: str
    attempt_id: str
    cancelled: bool
    at: Instant
    amount: Won
    org_tid: str = ""


class AccountMachine(RuleBasedStateMachine):
    """The life of one number of each kind."""

    shop: Shop
    loop: asyncio.AbstractEventLoop
    examples: itertools.count[int]

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Notice] = []
        self.heard: list[Notice] = []
        self.owned: dict[str, str] = {}
        self.cancelled: set[str] = set()
        example = next(self.examples)
        self.numbers = {mid: str(first + example) for mid, first in NUMBERS.items()}
        bank = self.shop.gateway.bank
        bank.accounts.clear()
        self.shop.gateway.trades.clear()
        self.shop.gateway.complaints.clear()
        self.shop.clock.at = kst_midnight(self.shop.clock.at) + 4 * DAY + 10 * HOUR  # a new morning

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def attempt(self, fault: str, death: str, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Do something while the other side and our own process misbehave."""

        def die(point: str) -> None:
            if point == death:
                raise Died

        self.shop.gateway.faults, self.shop.cx.crash = [fault], die
        self.shop.made.clear()
        try:
            return self.do(work())
        except (Died, Refused):
            return None
        finally:
            self.shop.gateway.faults, self.shop.cx.crash = [], lambda _point: None

    def current(self, mid: str) -> str | None:
        return self.owned.get(mid)

    @rule(mid=st.sampled_from(sorted(NUMBERS)), fault=FAULTS, death=DEATHS)
    def issue(self, mid: str, fault: str, death: str) -> None:
        known = set(self.shop.gateway.bank.accounts)
        done = self.attempt(fault, death, lambda: self.shop.account(1_000, channel=mid, number=self.numbers[mid]))
        new = [a for a in self.shop.gateway.bank.accounts if a not in known]
        if done is not None:
            self.owned[mid] = done.settled.payment.imp_uid
        elif new:
            self.owned[mid] = new[-1]
        if new and mid == "nxva_fix":
            self.waiting.append(self.shop.gateway.bank.issued_notice(new[-1]))

    @rule(mid=st.sampled_from(sorted(NUMBERS)), fault=FAULTS, death=DEATHS, amount=st.sampled_from([1_000, 2_000]))
    def change(self, mid: str, fault: str, death: str, amount: int) -> None:
        if (imp_uid := self.current(mid)) is not None:
            due = Instant(self.shop.clock() + 3 * DAY)
            self.attempt(fault, death, lambda: vbank.change(self.shop.cx, 1, imp_uid, amount=amount, due=due))

    @rule(mid=st.sampled_from(sorted(NUMBERS)), fault=FAULTS, death=DEATHS)
    def revoke(self, mid: str, fault: str, death: str) -> None:
        if (imp_uid := self.current(mid)) is not None:
            self.attempt(fault, death, lambda: vbank.revoke(self.shop.cx, 1, imp_uid))

    @rule(mid=st.sampled_from(sorted(NUMBERS)), amount=st.sampled_from([1_000, 2_000]), promptly=st.booleans())
    def pay_in(self, mid: str, amount: int, promptly: bool) -> None:
        notice = self.shop.gateway.bank.deposit(self.numbers[mid], amount)
        if notice is not None:
            self.waiting.append(notice)
            if promptly:
                self.a_noti_arrives(len(self.waiting) - 1, twice=False)

    @rule(which=st.integers(0, 9), twice=st.booleans())
    def a_noti_arrives(self, which: int, twice: bool) -> None:
        if not self.waiting:
            return
        notice = self.waiting.pop(which % len(self.waiting))
        verdict = self.do(self.shop.hear(notice))
        if twice:
            verdict = self.do(self.shop.hear(notice))
        (self.heard if verdict.ok else self.waiting).append(notice)  # it comes again until it is taken

    @rule(mid=st.sampled_from(sorted(NUMBERS)), share=st.sampled_from([1, 400, None]), fault=FAULTS, death=DEATHS)
    def refund(self, mid: str, share: int | None, fault: str, death: str) -> None:
        if (imp_uid := self.current(mid)) is None:
            return
        p = self.do(self.shop.payment(imp_uid))
        tid = next((e.pg_tid for e in p.entries if p.left_of(e.pg_tid) > 0 and not e.org_tid), None)
        if tid is None:
            return
        trade = next(t for t in self.shop.gateway.trades.values() if t.tid == tid)
        known = set(trade.cancels)
        self.attempt(fault, death, lambda: self.shop.cancel(imp_uid, share, pg_tid=tid, **REFUND))
        for number in trade.cancels.keys() - known:
            at, amount = self.shop.clock(), won(trade.cancels[number])
            self.waiting.append(Notice("refund", mid, "vbank", f"C{number}", imp_uid, amount, at, org_tid=tid))

    @rule(mid=st.sampled_from(sorted(NUMBERS)), fault=st.sampled_from(["", "lost_after"]), late=st.booleans())
    def paid_in_and_refunded_twice(self, mid: str, fault: str, late: bool) -> None:
        """What most mistakes show in, and chance alone seldom comes to."""
        if self.current(mid) is None:
            self.issue(mid, "", "")
        self.pay_in(mid, 1_000, promptly=True)
        self.refund(mid, 400, fault, "")
        if late:
            self.time_passes(5 * MINUTE)  # an inquiry comes before the noti
        else:
            self.a_noti_arrives(len(self.waiting) - 1, twice=True)
        self.refund(mid, 1, "", "")
        for _ in range(3):
            self.a_noti_arrives(0, twice=True)

    @rule(share=st.sampled_from([1, 400]))
    def a_refund_is_found_before_its_noti(self, share: int) -> None:
        """The answer is lost, an inquiry finds the refund, and only then its noti comes: one refund all the same."""
        mid = "nxva_fix"
        if self.shop.gateway.bank.active(self.numbers[mid]) is None:
            self.issue(mid, "", "")
        self.pay_in(mid, 1_000, promptly=True)
        known = len(self.waiting)
        self.refund(mid, share, "lost_after", "")
        if len(self.waiting) > known:
            self.time_passes(MINUTE)
            self.a_noti_arrives(known, twice=False)

    @rule(ms=st.sampled_from([SECOND, MINUTE, 5 * MINUTE, HOUR]))
    def time_passes(self, ms: int) -> None:
        if (self.shop.clock.at + ms) < kst_midnight(self.shop.clock.at) + 22 * HOUR:
            self.do(self.shop.pass_time(ms))

    @invariant()
    def nothing_is_claimed_that_did_not_happen(self) -> None:
        assert self.shop.gateway.complaints == []
        for imp_uid in self.payments():
            p = self.do(self.shop.payment(imp_uid))
            tids = {e.pg_tid for e in p.entries if not e.org_tid}
            mine = [t for t in self.shop.gateway.trades.values() if t.tid in tids]
            assert p.received == sum(t.amount for t in mine)
            assert p.returned <= sum(t.cancelled for t in mine)
            row = self.do(self.shop.shown(imp_uid))
            if p.account is Account.UNLIMITED:
                assert row.amount == 0
                assert imp_uid not in self.cancelled or row.status == "cancelled"
                if row.status == "cancelled":
                    self.cancelled.add(imp_uid)

    def payments(self) -> set[str]:
        return {*self.owned.values(), *self.shop.gateway.bank.accounts}

    def teardown(self) -> None:
        for _ in range(2):
            for notice in [*self.waiting, *self.heard]:
                for _ in range(2):
                    self.do(self.shop.hear(notice))
            self.do(self.shop.pass_time(10 * MINUTE))
        channel = next(c for c in self.do(self.shop.cx.channels(1)) if c.mid == "nxva_fix2")
        lines: list[Line] = []
        for t in self.shop.gateway.trades.values():
            if not t.tid.startswith("D"):
                continue
            lines.append(Line(t.tid, "0000000", False, Instant(self.shop.clock()), won(t.amount)))
            lines += [
                Line(f"C{number}", "0000000", True, Instant(self.shop.clock()), won(amount), t.tid)
                for number, amount in t.cancels.items()
            ]
        began = kst_midnight(self.shop.clock())
        self.shop.clock.advance(DAY)
        self.do(deposits.absorb_listed(self.shop.cx, channel, lines, began))
        self.do(self.shop.pass_time(30 * MINUTE))
        for imp_uid in self.payments():
            p = self.do(self.shop.payment(imp_uid))
            assert [a for a in p.attempts if a.is_open] == []
            tids = {e.pg_tid for e in p.entries if not e.org_tid}
            mine = [t for t in self.shop.gateway.trades.values() if t.tid in tids]
            assert p.returned == sum(t.cancelled for t in mine)
            account = self.shop.gateway.bank.accounts.get(imp_uid)
            asked = p.pay_attempt
            assert asked is not None
            if asked.told is Told.FAILED and account is not None and not p.entries:
                # Nobody may pay into what the shop heard had failed; where the bank refuses to end it, a person knows.
                refused = any(a.purpose is Purpose.NET and a.state is State.DECLINED for a in p.attempts)
                assert account.state == "revoked" or refused
                assert not refused or "net_revoke_refused" in self.do(self.shop.alarms())
            shop_revoked = p.revoked is not None and p.revoked.purpose is Purpose.SHOP
            assert not shop_revoked or (account is not None and account.state == "revoked")
        total = sum(t.amount for t in self.shop.gateway.trades.values())
        ours = sum(self.do(self.shop.payment(i)).received for i in self.payments())
        assert ours == total
        self.shop.clock.advance(10 * MINUTE)
        problems = [p for p in self.do(doctor.examine(self.shop.cx)) if p.imp_uid in self.payments()]
        assert problems == []


@pytest.fixture
def machine(database_url: str) -> Iterator[type[AccountMachine]]:
    loop = asyncio.new_event_loop()

    async def start() -> Shop:
        shop = await open_shop(await open_database(database_url))
        shop.cx.budget_s, shop.cx.patience_s = 0.02, 0.001
        shop.clock.at = from_kst("20260901100000")
        return shop

    class Machine(AccountMachine):
        pass

    Machine.shop, Machine.loop, Machine.examples = loop.run_until_complete(start()), loop, itertools.count()
    yield Machine
    loop.run_until_complete(Machine.shop.cx.db.close())
    loop.close()


@pytest.mark.slow
def test_both_books_agree_about_accounts_whatever_happens(machine: type[AccountMachine], dialect: str) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=25 if dialect == "sqlite" else 5,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )
