"""The job runner: claims what is due, runs it, and sleeps until something is owed or due.

Jobs are rows written in the transaction that owes them. Claiming sets the next run time, so a dead
worker's job simply comes due again; finishing checks the try number, so a slow worker cannot finish
a job that another has taken since. Any number of runners may work on one database.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from naru import logs
from naru.domain.values import HOUR, MINUTE
from naru.jobs.cry import LEASE_MS as ALARM_LEASE_MS
from naru.jobs.cry import Crier
from naru.jobs.deliver import LEASE_MS, Sender, deliver
from naru.service import billed, billing, counting, deposits, doctor, lookup, receipts, reconcile, schedules, statements
from naru.service.context import LEASE_MS as CALL_LEASE_MS
from naru.service.context import Context
from naru.service.settle import LOOK
from naru.service.webhooks import KIND as WEBHOOK
from naru.store import mail, payments
from naru.store import receipts as receipt_store
from naru.store import schedules as store
from naru.store.db import Tx, Unavailable

log = logs.logger("jobs")

IDLE_S = 1.0
"""How long a runner sleeps when nothing is known to be due; other processes' work is found this late."""
MOST = 50
SCHEDULE_LOOPS = 4
"""Schedules are charged in so many batches side by side."""


@dataclass(frozen=True, slots=True)
class Work:
    """A kind of job: who runs one, and how long a claim holds (ms)."""

    run: Callable[[Any], Awaitable[None]]
    lease_ms: int


def every(cx: Context, ms: int, work: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[int]]:
    """A line of the timetable that is worked at most every *ms* (and by each process, so it must bear that)."""
    due = 0

    async def look() -> int:
        nonlocal due
        now = cx.clock()
        if now < due:
            return 0
        due = now + ms
        await work()
        return 0

    return look


class Runner:
    """Runs jobs, the settle job and schedules until it is stopped.

    Each kind of work has loops of its own, so that one PG call that hangs holds up nothing else.
    """

    def __init__(self, cx: Context, sender: Sender, crier: Crier | None = None) -> None:
        self.cx = cx
        told = crier or Crier()
        self.kinds: dict[str, Work] = {
            WEBHOOK: Work(lambda job: deliver(cx, sender, job), LEASE_MS),
            LOOK: Work(lambda job: deposits.look_job(cx, job), CALL_LEASE_MS),
            mail.ALARM: Work(lambda job: told.run(cx, job), ALARM_LEASE_MS),
            billed.DELETE_KEY: Work(lambda job: billing.repeat_delete(cx, job), CALL_LEASE_MS),
            billing.FORGET_KEY: Work(lambda job: billing.forget_issue(cx, job), CALL_LEASE_MS),
            statements.STATEMENT: Work(lambda job: statements.run(cx, job), statements.LEASE_MS),
            statements.NIGHT: Work(lambda job: statements.night(cx, job), 12 * statements.LEASE_MS),
        }
        self.timetable: list[Callable[[], Awaitable[int]]] = [
            lambda: reconcile.check_due(cx, MOST),
            lambda: receipts.check_due(cx, MOST),
            lambda: lookup.write_heard(cx),
            every(cx, HOUR // 6, lambda: statements.plan(cx)),
            every(cx, HOUR // 6, lambda: counting.count_hours(cx)),
            every(cx, HOUR, lambda: deposits.report_silent_channels(cx)),
            every(cx, 10 * MINUTE, lambda: doctor.nightly(cx)),
        ]
        """Called every round; each returns how much it found to do."""
        self._woken: list[asyncio.Event] = []
        self._webhooks_woken = asyncio.Event()
        self._stop = False
        self._paused = False
        self._alone = asyncio.Lock()
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def wake(self) -> None:
        """Something is owed: do not sleep on."""
        for event in self._woken:
            event.set()

    def wake_webhooks(self) -> None:
        """A webhook is owed and nothing else: of eighteen loops one has work."""
        self._webhooks_woken.set()

    async def _run_kind(self, kind: str) -> int:
        work = self.kinds[kind]
        now = self.cx.clock()
        due = await self.cx.db.glance(mail.next_job, (kind,))
        if due is None or due > now:
            return 0
        rows = await self.cx.db.write(mail.claim, (kind,), now, now + work.lease_ms, MOST)
        results = await asyncio.gather(*(work.run(row) for row in rows), return_exceptions=True)
        for row, result in zip(rows, results, strict=True):
            if isinstance(result, Unavailable):
                self.cx.note_unavailable(log, "job.unavailable", result, kind=kind, job=row.id, imp_uid=row.imp_uid)
            elif isinstance(result, Exception):
                # Its lease runs out and it comes due again; nothing is lost, somebody must look.
                log.error("job.failed", kind=kind, job=row.id, imp_uid=row.imp_uid, exc_info=result)
            elif isinstance(result, BaseException):
                raise result
        return len(rows)

    async def _charge_due(self) -> int:
        return await schedules.run_due(self.cx)

    async def round(self) -> int:
        """Run everything that is due now, once. Returns how much there was."""
        found = 0
        for kind in self.kinds:
            found += await self._run_kind(kind)
        found += await self._charge_due()
        for look in self.timetable:
            found += await look()
        return found

    async def drain(self, most: int = 1000) -> int:
        """Run rounds until nothing is due at this moment of the clock. Returns how much was run."""
        total = 0
        for _ in range(most):
            found = await self.round()
            if not found:
                return total
            total += found
        return total

    async def next_due(self) -> int | None:
        """When something comes due next (UTC ms)."""
        times = [
            await self.cx.db.glance(mail.next_job, tuple(self.kinds)),
            await self.cx.db.glance(payments.next_check),
            await self.cx.db.glance(store.next_run),
            await self.cx.db.glance(receipt_store.next_check),
        ]
        return min((t for t in times if t is not None), default=None)

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncGenerator[None]:
        """Hold the loops of `run` still, so that the caller alone runs what is due: for moving time. One at a time."""
        async with self._alone:
            self._paused = True
            try:
                await self._idle.wait()
                yield
            finally:
                self._paused = False
                self.wake()

    async def run(self) -> None:
        """Work until `stop`."""
        loops = [
            self._loop(partial(self._run_kind, kind), woken=self._webhooks_woken if kind == WEBHOOK else None)
            for kind in self.kinds
        ]
        loops += [self._loop(look) for look in self.timetable]
        loops += [self._loop(self._charge_due, store.next_run) for _ in range(SCHEDULE_LOOPS)]
        await asyncio.gather(*loops)

    async def _loop(
        self, look: Callable[[], Awaitable[int]], due: Callable[[], Tx[int | None]] | None = None, *,
        woken: asyncio.Event | None = None,
    ) -> None:  # fmt: skip
        """Look for work, and sleep when there was none: until woken, for a while, or until *due*."""
        woken = woken or asyncio.Event()
        self._woken.append(woken)
        while not self._stop:
            woken.clear()
            found, wait_s = 0, IDLE_S
            if not self._paused:
                self._busy += 1
                self._idle.clear()
                try:
                    found = await look()
                    if due is not None and not found:
                        at = await self.cx.db.glance(due)
                        wait_s = IDLE_S if at is None else min(IDLE_S, max((at - self.cx.clock()) / 1000, 0.005))
                except Unavailable as away:
                    self.cx.note_unavailable(log, "jobs.unavailable", away)
                    await asyncio.sleep(1)
                except Exception:
                    log.exception("jobs.round_failed")
                    await asyncio.sleep(1)
                finally:
                    self._busy -= 1
                    if not self._busy:
                        self._idle.set()
            if found:
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), wait_s)

    def stop(self) -> None:
        """Finish what is under way and end."""
        self._stop = True
        self.wake()
