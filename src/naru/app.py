"""The composition root: the only place that knows all parts."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import time
from bisect import bisect_left
from collections.abc import AsyncGenerator, Callable, Iterator
from functools import partial
from itertools import accumulate
from typing import Any

from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import REGISTRY, Histogram, Metric, start_http_server
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from naru import logs
from naru.api import (
    absent,
    answers,
    calls,
    codes,
    customers,
    dev,
    escrows,
    health,
    hecto,
    openapi,
    payments,
    playground,
    prepare,
    receipts,
    schedules,
    sdk,
    slips,
    subscribe_payments,
    users,
    vbanks,
    wire,
)
from naru.api.guard import ApiRequest
from naru.api.limits import Limits
from naru.api.paths import QuotedPaths
from naru.api.quick import Quick
from naru.clock import Clock, SystemClock
from naru.connectors.hecto.client import Client
from naru.connectors.hecto.gateway import HectoGateway
from naru.console import routes as console
from naru.domain.refusal import Refused
from naru.jobs.cry import Bell, Crier
from naru.jobs.deliver import Sender, probe
from naru.jobs.timemachine import advance, follow, tell_sandbox
from naru.jobs.worker import Runner
from naru.service.context import Context
from naru.service.exchanges import ExchangeLog
from naru.settings import Settings
from naru.store import stores
from naru.store.db import Database, Unavailable, open_database
from naru.store.vault import Vault

log = logs.logger("http")

MAX_BODY = 256 * 1024
DRAIN_S = 30.0


def handlers(settings: Settings) -> list[Any]:
    """Every route of the gateway."""
    return [
        *([*dev.HANDLERS, *playground.HANDLERS] if settings.development else []),
        *health.HANDLERS,
        *users.HANDLERS,
        *payments.HANDLERS,
        *prepare.HANDLERS,
        *receipts.HANDLERS,
        *slips.HANDLERS,
        *openapi.HANDLERS,
        *codes.HANDLERS,
        *subscribe_payments.HANDLERS,
        *customers.HANDLERS,
        *schedules.HANDLERS,
        *vbanks.HANDLERS,
        *escrows.HANDLERS,
        *hecto.HANDLERS,
        *sdk.HANDLERS,
        *absent.HANDLERS,
        console.router(),
    ]


def bell_of(settings: Settings) -> Bell:
    """Where this program's alarms go."""
    return Bell(settings.alarm_webhook, settings.alarm_email, settings.alarm_smtp, settings.alarm_from)


class Parts:
    """A running gateway's parts, opened and closed together."""

    def __init__(self, settings: Settings, clock: Clock, db: Database) -> None:
        self.settings = settings
        self.db = db
        self.client = Client(connect_s=settings.pg_connect_s, read_s=settings.pg_read_s)
        self.sender = Sender(allow_private=settings.development or settings.allow_private_targets)
        self.exchanges = ExchangeLog(db, settings.keep_messages_days)
        gateway = HectoGateway(
            self.client, clock, public_url=settings.public_url, sandbox_url=settings.sandbox_url,
            note=self.exchanges.note,
        )  # fmt: skip
        self.cx = Context(
            db=db,
            vault=Vault(settings.master_key),
            gateway=gateway,
            clock=clock,
            public_url=settings.public_url,
            development=settings.development,
            budget_s=settings.budget_s,
        )
        if settings.development and settings.crash_at:
            self.cx.crash = _dying_at(settings.crash_at)
        self.crier = Crier(bell_of(settings))
        self.runner = Runner(self.cx, self.sender, self.crier)
        if settings.development:
            self.runner.timetable.append(partial(follow, self.cx))
        self.cx.wake = self.runner.wake
        self.cx.wake_webhooks = self.runner.wake_webhooks
        self.cx.ask_shop = self.sender.ask

    async def close(self) -> None:
        """Let what was asked of the PG finish, then close everything."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.cx.drain(), DRAIN_S)
        await self.client.close()
        await self.sender.close()
        await self.crier.close()
        await self.exchanges.close()
        await self.db.close()


def _dying_at(where: str) -> Callable[[str], None]:
    """Kill this process the n-th time it comes to a named point (``point`` or ``point:n``)."""
    wanted, _, number = where.partition(":")
    left = int(number or 1)

    def crash(point: str) -> None:
        nonlocal left
        if point == wanted:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return crash


async def open_parts(settings: Settings, clock: Clock | None = None) -> Parts:
    """Open the database and put the parts together."""
    db = await open_database(settings.database_url, max_connections=settings.pool_max)
    if clock is None:
        offset = await db.read(stores.get_meta, "clock_offset_ms") if settings.development else None
        clock = SystemClock(int(offset or 0) + settings.clock_offset_ms)
    return Parts(settings, clock, db)


def build(settings: Settings, *, clock: Clock | None = None, on_open: Callable[[Parts], None] | None = None) -> ASGIApp:
    """The gateway as an ASGI application."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncGenerator[None]:
        parts = await open_parts(settings, clock)
        app.state["cx"] = parts.cx
        app.state["parts"] = parts
        app.state["limits"] = Limits()
        app.state["shop_url"] = settings.shop_url
        app.state["refusal_words"] = answers.words
        app.state["slip_address"] = wire.receipt_url
        app.state["probe"] = partial(probe, parts.cx, parts.sender)
        app.state["sandbox_url"] = settings.sandbox_url
        app.state["tell_sandbox"] = partial(tell_sandbox, settings.sandbox_url)
        app.state["advance"] = partial(advance, parts.cx, parts.runner, settings.sandbox_url)
        app.state["calls"] = log_of_calls
        if on_open is not None:
            on_open(parts)
        worker = asyncio.create_task(parts.runner.run()) if settings.run_jobs else None
        writing = None
        if log_of_calls is not None:
            log_of_calls.cx = parts.cx
            writing = asyncio.create_task(log_of_calls.run())
        measured = start_http_server(settings.metrics_port, settings.host) if settings.metrics_port else None
        try:
            yield
        finally:
            if measured is not None:
                measured[0].shutdown()
                measured[0].server_close()
            if log_of_calls is not None and writing is not None:
                writing.cancel()
                await log_of_calls.flush()
            parts.runner.stop()
            if worker is not None:
                with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                    await asyncio.wait_for(worker, DRAIN_S)
            await parts.close()

    log_of_calls: calls.CallLog | None = None
    app = Litestar(
        route_handlers=handlers(settings),
        lifespan=[lifespan],
        exception_handlers={Refused: _refused, HTTPException: _http_error, Unavailable: _unavailable, Exception: _bug},
        request_max_body_size=MAX_BODY,
        openapi_config=None,
        logging_config=None,
        debug=False,
    )
    if settings.request_log:
        log_of_calls = calls.CallLog(app)
    log_of_requests = RequestLog(log_of_calls or app)
    return Quick(
        QuotedPaths(log_of_requests), app.state.dict, MAX_BODY, failed,
        finished=log_of_requests.finished, note=None if log_of_calls is None else log_of_calls.note,
    )  # fmt: skip


def _refused(_request: Request[Any, Any, State], refusal: Refused) -> Response[bytes]:
    log.info("request.refused", why=refusal.why.name)
    return answers.refused(refusal)


def _http_error(request: Request[Any, Any, State], error: HTTPException) -> Response[bytes]:
    if request.scope["path"].startswith("/console"):
        return console.http_error(request, error)
    sentences = {
        404: "존재하지 않는 경로입니다.",
        405: "지원하지 않는 HTTP 메서드입니다.",
        413: "요청 본문이 너무 큽니다.",
        429: "요청이 너무 많습니다. 잠시 후 다시 시도해 주세요.",
    }
    return answers.fail(sentences.get(error.status_code, "요청을 처리할 수 없습니다."), status=error.status_code)


def _unavailable(request: Request[Any, Any, State], error: Unavailable) -> Response[bytes]:
    cx: Context = request.app.state["cx"]
    cx.note_unavailable(log, "database.unavailable", error)
    return answers.fail("일시적으로 처리할 수 없습니다. 잠시 후 다시 시도해 주세요.", status=503)


def _bug(_request: Request[Any, Any, State], error: Exception) -> Response[bytes]:
    log.error("request.crashed", exc_info=error)
    return answers.fail(f"내부 오류가 발생했습니다. (요청번호 {logs.request_id()})", status=500)


def failed(request: ApiRequest, problem: Exception) -> Response[bytes]:
    """The answer to a request whose handler raised, as the framework would have chosen it."""
    match problem:
        case Refused():
            return _refused(request, problem)
        case HTTPException():
            return _http_error(request, problem)
        case Unavailable():
            return _unavailable(request, problem)
        case _:
            return _bug(request, problem)


class Answers(Collector):
    """How many requests were answered, and how long they took.

    Plain numbers, put into the metrics' form when somebody asks for them: the library's own counters, with a lock for
    each step, cost a look-up a sixth of its time.
    """

    UP_TO = Histogram.DEFAULT_BUCKETS

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], int] = {}
        self._up_to = [0] * len(self.UP_TO)
        self._seconds = 0.0

    def count(self, method: str, status: int, seconds: float) -> None:
        """One more."""
        self._counts[method, status] = self._counts.get((method, status), 0) + 1
        self._up_to[bisect_left(self.UP_TO, seconds)] += 1
        self._seconds += seconds

    def collect(self) -> Iterator[Metric]:
        """What has been counted so far."""
        requests = CounterMetricFamily("naru_requests", "Requests answered", labels=["method", "status"])
        for (method, status), number in list(self._counts.items()):
            requests.add_metric([method, str(status)], number)
        yield requests
        seconds = HistogramMetricFamily("naru_request_seconds", "How long requests took")
        names = ["+Inf" if most == math.inf else str(most) for most in self.UP_TO]
        sums = list(zip(names, accumulate(self._up_to), strict=True))
        seconds.add_metric([], sums, self._seconds)
        yield seconds


ANSWERS = Answers()
REGISTRY.register(ANSWERS)


class RequestLog:
    """One line per request, with an id that everything said meanwhile carries."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Time the request and note its status."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        logs.begin_request()
        started = time.perf_counter()
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            self.finished(scope["method"], scope["path"], status, time.perf_counter() - started)

    def finished(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count an answer and say that it was given."""
        ANSWERS.count(method, status, seconds)
        if logs.tells_info():
            log.info("request.finished", method=method, path=path, status=status, ms=round(seconds * 1000, 1))
