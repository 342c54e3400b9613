"""Moving development time: gateway and sandbox together, every job at its due time on the way."""

from __future__ import annotations

import aiohttp

from naru.clock import SystemClock
from naru.domain.refusal import Refused, Why
from naru.domain.values import HOUR
from naru.jobs.worker import Runner
from naru.service.context import Context
from naru.store import stores


async def _sandbox(url: str, advance_ms: int) -> None:
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url}/_sandbox/clock", json={"advance_ms": advance_ms}) as answer,
        ):
            answer.raise_for_status()
    except (aiohttp.ClientError, TimeoutError) as e:
        what = f"샌드박스가 응답하지 않아 시계를 끝까지 옮기지 못했습니다. ({type(e).__name__}: {url})"
        raise Refused(Why.NOT_SUPPORTED, what=what, status=503, code=-1) from e


async def advance(cx: Context, runner: Runner, sandbox_url: str | None, ms: int) -> int:
    """Move time forward by *ms*, stepping to each due time and draining the jobs before the next.

    Gateway and sandbox move together. Returns how many jobs were run. Raises Refused (503) where the sandbox cannot be
    moved: the gateway is ahead of it then.
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


async def tell_sandbox(sandbox_url: str, path: str, body: dict[str, object]) -> tuple[int, str]:
    """POST to the sandbox's controls. Returns HTTP status (0: not reached) and the answer's text."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.post(f"{sandbox_url}/_sandbox/{path}", json=body) as answer,
        ):
            return answer.status, (await answer.text())[:500]
    except (aiohttp.ClientError, TimeoutError) as e:
        return 0, type(e).__name__


async def follow(cx: Context) -> int:
    """Take over a clock that another process has moved forward. Returns 0: that is no work."""
    clock = cx.clock
    if not isinstance(clock, SystemClock):
        return 0
    moved = int(await cx.db.glance(stores.get_meta, "clock_offset_ms") or 0)
    clock.offset_ms = max(clock.offset_ms, moved)
    return 0
