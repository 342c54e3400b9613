"""Moving development time: gateway and sandbox together, every job at its due time on the way."""

from __future__ import annotations

import aiohttp

from naru.clock import SystemClock
from naru.domain.values import HOUR
from naru.jobs.worker import Runner
from naru.service.context import Context
from naru.store import stores


async def _sandbox(url: str, advance_ms: int) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/_sandbox/clock", json={"advance_ms": advance_ms}) as answer,
    ):
        answer.raise_for_status()


async def advance(cx: Context, runner: Runner, sandbox_url: str | None, ms: int) -> int:
    """Move time forward by *ms*, stepping to each due time and draining the jobs before the next.

    Gateway and sandbox move together. Returns how many jobs were run.
    """
    clock = cx.clock
    assert isinstance(clock, SystemClock)
    async with runner.alone():
        target = clock.offset_ms + ms
        ran = await runner.drain()
        while clock.offset_ms < target:
            due = await runner.next_due()
            wait = HOUR if due is None else max(1, min(due - cx.clock(), HOUR))
            step = min(wait, target - clock.offset_ms)
            clock.offset_ms += step
            await cx.db.write(stores.set_meta, "clock_offset_ms", str(clock.offset_ms))
            if sandbox_url is not None:
                await _sandbox(sandbox_url, step)
            ran += await runner.drain()
        return ran
