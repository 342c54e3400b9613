"""The job runner: claims what is due, runs it, and sleeps until something is owed or due.

Jobs are rows written in the transaction that owes them. Claiming sets the next run time, so a dead
worker's job simply comes due again; finishing checks the try number, so a slow worker cannot finish
a job that another has taken since. Any number of runners may work on one database.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from naru import logs
from naru.jobs.deliver import LEASE_MS, Sender, deliver
from naru.service import reconcile
from naru.service.context import Context
from naru.service.webhooks import KIND as WEBHOOK
from naru.store import mail, payments

log = logs.logger("jobs")

IDLE_S = 1.0
"""How long a runner sleeps when nothing is known to be due; other processes' work is found this late."""
MOST = 50


@dataclass(frozen=True, slots=True)
class Work:
    """A kind of job: who runs one, and how long a claim holds (ms)."""

    run: Callable[[Any], Awaitable[None]]
    lease_ms: int


class Runner:
    """Runs jobs and the settle job until it is stopped."""

    def __init__(self, cx: Context, sender: Sender) -> None:
        self.cx = cx
        self.kinds: dict[str, Work] = {WEBHOOK: Work(lambda job: deliver(cx, sender, job), LEASE_MS)}
        self.timetable: list[Callable[[], Awaitable[int]]] = [lambda: reconcile.check_due(cx, MOST)]
        """Called every round; each returns how much it found to do."""
        self._woken = asyncio.Event()
        self._stop = False

    def wake(self) -> None:
        """Something is owed: do not sleep on."""
        self._woken.set()

    async def round(self) -> int:
        """Run everything that is due now, once. Returns how much there was."""
        found = 0
        for kind, work in self.kinds.items():
            now = self.cx.clock()
            rows = await self.cx.db.write(mail.claim, (kind,), now, now + work.lease_ms, MOST)
            found += len(rows)
            results = await asyncio.gather(*(work.run(row) for row in rows), return_exceptions=True)
            for row, result in zip(rows, results, strict=True):
                if isinstance(result, Exception):
                    # Its lease runs out and it comes due again; nothing is lost, somebody must look.
                    log.error("job.failed", kind=kind, job=row.id, imp_uid=row.imp_uid, exc_info=result)
                elif isinstance(result, BaseException):
                    raise result
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
        ]
        return min((t for t in times if t is not None), default=None)

    async def run(self) -> None:
        """Work until `stop`."""
        while not self._stop:
            self._woken.clear()
            try:
                found = await self.round()
            except Exception:
                log.exception("jobs.round_failed")
                found = 0
                await asyncio.sleep(1)
            if found:
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), IDLE_S)

    def stop(self) -> None:
        """Finish the round under way and end."""
        self._stop = True
        self._woken.set()
