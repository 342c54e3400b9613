"""The outbox against a plain list of what is owed: two workers who finish, fail, die or oversleep, on either database.

Whatever happens a job is handed out when it is due and to one taker at a time, is ticked off by nobody but
its present holder, and is handed out again until somebody has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from naru.store import mail
from naru.store.db import Database, Tx, open_database

T = TypeVar("T")
KINDS = ("webhook", "look")
WORKERS = ("one", "two")
LEASE_MS = 60_000
MOST = 3


@dataclass
class Owed:
    """A job as it should be."""

    kind: str
    run_at: int | None
    state: str = "open"
    tries: int = 0
    id: int = 0


@dataclass(frozen=True)
class Held:
    """A job in a worker's hands, which may have been given to another since."""

    key: str
    job: int
    taken: int


class Undone(Exception):
    """What owed the job did not happen."""


class OutboxMachine(RuleBasedStateMachine):
    """What is owed, who holds it, what time it is."""

    db: Database
    loop: asyncio.AbstractEventLoop
    games = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).games += 1
        self.prefix = f"game-{self.games}"
        self.now = self.games * 10**12
        self.owed: dict[str, Owed] = {}
        self.held: dict[str, list[Held]] = {w: [] for w in WORKERS}
        self.did: set[str] = set()
        self.do(self.db.write(self.forget_others))

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def forget_others(self) -> Tx[None]:
        """Earlier games' jobs are out of the way."""
        while True:
            rows = yield from mail.claim(KINDS, 2**61, 2**62, 50)
            if not rows:
                return
            for row in rows:
                yield from mail.finish(row.id, row.tries, now=self.now)

    @rule(number=st.integers(0, 5), kind=st.sampled_from(KINDS), later=st.sampled_from([0, 0, 30_000]))
    def owe(self, number: int, kind: str, later: int) -> None:
        key = f"{self.prefix}:{number}"
        kind = self.owed[key].kind if key in self.owed else kind

        def work() -> Tx[None]:
            yield from mail.owe(kind, key, "{}", store_id=1, imp_uid=key, run_at=self.now + later, now=self.now)

        self.do(self.db.write(work))
        self.owed.setdefault(key, Owed(kind, self.now + later))

    @rule(number=st.integers(0, 5))
    def owe_and_undo(self, number: int) -> None:
        key = f"{self.prefix}:{number}"

        def work() -> Tx[None]:
            yield from mail.owe("webhook", key, "{}", store_id=1, imp_uid=key, run_at=self.now, now=self.now)
            raise Undone

        with pytest.raises(Undone):
            self.do(self.db.write(work))

    @rule(worker=st.sampled_from(WORKERS), kind=st.sampled_from(KINDS))
    def claim(self, worker: str, kind: str) -> None:
        rows = self.do(self.db.write(mail.claim, (kind,), self.now, self.now + LEASE_MS, MOST))
        due = sorted(
            (o.run_at, key)
            for key, o in self.owed.items()
            if o.kind == kind and o.run_at is not None and o.run_at <= self.now
        )
        assert len(rows) == min(MOST, len(due))
        assert len({r.key for r in rows}) == len(rows)
        latest = due[len(rows) - 1][0] if rows else 0
        for row in rows:
            o = self.owed[row.key]
            assert o.state == "open"
            assert o.run_at is not None
            assert o.run_at <= latest, "somebody who waits longer was passed over"
            assert row.tries == o.tries + 1
            o.tries, o.run_at, o.id = row.tries, self.now + LEASE_MS, row.id
            self.held[worker].append(Held(row.key, row.id, row.tries))

    def put_down(self, worker: str, which: int) -> tuple[Held, Owed, bool]:
        held = self.held[worker].pop(which % len(self.held[worker]))
        o = self.owed[held.key]
        return held, o, o.state == "open" and o.tries == held.taken

    @precondition(lambda self: any(self.held.values()))
    @rule(worker=st.sampled_from(WORKERS), which=st.integers(0, 5))
    def finish(self, worker: str, which: int) -> None:
        if not self.held[worker]:
            return
        held, o, mine = self.put_down(worker, which)
        self.did.add(held.key)
        assert self.do(self.db.write(lambda: mail.finish(held.job, held.taken, now=self.now))) is mine
        if mine:
            o.state, o.run_at = "done", None

    @precondition(lambda self: any(self.held.values()))
    @rule(worker=st.sampled_from(WORKERS), which=st.integers(0, 5), again=st.sampled_from([None, 0, 60_000, 3_600_000]))
    def fail(self, worker: str, which: int, again: int | None) -> None:
        if not self.held[worker]:
            return
        held, o, mine = self.put_down(worker, which)
        at = None if again is None else self.now + again
        told = self.do(
            self.db.write(lambda: mail.postpone(held.job, held.taken, run_at=at, error="HTTP 500", now=self.now))
        )
        assert told is mine
        if mine:
            o.state, o.run_at = "dead" if at is None else "open", at

    @rule(kind=st.sampled_from(KINDS), done=st.booleans())
    def one_oversleeps(self, kind: str, done: bool) -> None:
        """And wakes up when the other has its job."""
        self.owe(0, kind, 0)
        self.claim("one", kind)
        if not self.held["one"]:
            return
        self.now += LEASE_MS
        self.claim("two", kind)
        if done:
            self.finish("one", len(self.held["one"]) - 1)
        else:
            self.fail("one", len(self.held["one"]) - 1, 0)

    @precondition(lambda self: any(self.held.values()))
    @rule(worker=st.sampled_from(WORKERS))
    def die(self, worker: str) -> None:
        self.held[worker].clear()

    @rule(ms=st.sampled_from([0, 1_000, LEASE_MS - 1, LEASE_MS, 3_600_000]))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    @rule(number=st.integers(0, 5))
    def somebody_sends_it_again(self, number: int) -> None:
        """An operator, of what is over, even while one who has overslept still holds it."""
        o = self.owed.get(f"{self.prefix}:{number}")
        if o is None or o.state == "open":
            return
        self.do(self.db.write(mail.reopen, o.id, self.now, "{}"))
        o.state, o.run_at = "open", self.now

    @invariant()
    def the_rows_say_the_same(self) -> None:
        for key, o in self.owed.items():
            [row] = self.do(self.db.read(mail.jobs_of, key))
            assert (row.kind, row.state, row.run_at, row.tries) == (o.kind, o.state, o.run_at, o.tries)
            assert (row.finished_at is None) == (o.state == "open")
        for kind in KINDS:
            waiting = [o.run_at for o in self.owed.values() if o.kind == kind and o.run_at is not None]
            assert self.do(self.db.read(mail.next_job, (kind,))) == min(waiting, default=None)

    def teardown(self) -> None:
        """Nobody dies any more: everything that is not given up is done, by somebody who did it."""
        for held in self.held.values():
            held.clear()
        for _ in range(20):
            self.now += 3_600_000 + LEASE_MS
            for kind in KINDS:
                self.claim("one", kind)
            while self.held["one"]:
                self.finish("one", 0)
        assert {o.state for o in self.owed.values()} <= {"done", "dead"}
        assert {key for key, o in self.owed.items() if o.state == "done"} <= self.did


@pytest.fixture
def machine(database_url: str) -> Iterator[type[OutboxMachine]]:
    loop = asyncio.new_event_loop()

    class Machine(OutboxMachine):
        pass

    Machine.db, Machine.loop = loop.run_until_complete(open_database(database_url)), loop
    yield Machine
    loop.run_until_complete(Machine.db.close())
    loop.close()


def test_every_job_is_done_at_least_once_and_by_its_holder(machine: type[OutboxMachine], dialect: str) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=50 if dialect == "sqlite" else 20,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
