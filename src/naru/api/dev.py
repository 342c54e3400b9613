"""Development only: the time machine."""

from __future__ import annotations

import aiohttp
from litestar import Response, get, post

from naru.api import answers
from naru.api.guard import ApiRequest, context, params
from naru.clock import SystemClock
from naru.domain.refusal import Refused, Why
from naru.domain.values import DAY, HOUR
from naru.jobs.worker import Runner
from naru.service.context import Context
from naru.store import stores

MOST_MS = 400 * DAY


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


@post("/_dev/clock", status_code=200)
async def move_clock(request: ApiRequest) -> Response[bytes]:
    """POST /_dev/clock {"advance_ms": …}."""
    parts = request.app.state["parts"]
    cx = context(request)
    if not cx.development:
        raise Refused(Why.PAYMENT_NOT_FOUND)
    ms = (await params(request)).integer("advance_ms")
    if ms is None or not 0 <= ms <= MOST_MS:
        raise Refused(Why.PARAMETER, name="advance_ms", problem="0 이상 400일 이하의 밀리초여야 합니다", status=400)
    ran = await advance(cx, parts.runner, parts.settings.sandbox_url, ms)
    return answers.ok({"now": cx.clock(), "ran": ran})


@get("/_dev/clock")
async def read_clock(request: ApiRequest) -> Response[bytes]:
    """GET /_dev/clock."""
    return answers.ok({"now": context(request).clock()})


HANDLERS = [move_clock, read_clock]
