"""The console's routes with what goes wrong on them."""

from __future__ import annotations

from typing import Any

from litestar import Response, Router
from litestar.exceptions import HTTPException

from naru import logs
from naru.console import (
    billing,
    calls,
    channels,
    home,
    keys,
    manage,
    pages,
    payments,
    problems,
    receipts,
    reconciliation,
    sandbox,
    sign_in,
    webhooks,
)
from naru.console.visit import ROUTES, ConsoleRequest, open_visit
from naru.service.context import Context
from naru.store.db import Unavailable

log = logs.logger("console")

PARTS = (
    billing,
    calls,
    channels,
    home,
    keys,
    manage,
    payments,
    problems,
    receipts,
    reconciliation,
    sandbox,
    sign_in,
    webhooks,
)
"""The parts of the console; each declares its routes when it is imported."""


def _problem(request: ConsoleRequest, status: int, key: str, **facts: object) -> Response[bytes]:
    visit = open_visit(request)
    body = pages.render(
        "problem.html",
        **visit.has({
            "path": "/console", "title": visit.t(f"problem.{key}_title"),
            "text": visit.t(f"problem.{key}", **facts),
        }),
    )  # fmt: skip
    return pages.html(body, status)


def http_error(request: ConsoleRequest, error: HTTPException) -> Response[bytes]:
    """A page that says what is wrong; for every address under /console."""
    match error.status_code:
        case 403:
            return _problem(request, 403, "forbidden")
        case 404 | 405:
            return _problem(request, error.status_code, "missing")
        case 413:
            return _problem(request, 413, "large")
        case _:
            return _problem(request, error.status_code, "bad")


def _unavailable(request: ConsoleRequest, error: Unavailable) -> Response[bytes]:
    cx: Context = request.app.state["cx"]
    cx.note_unavailable(log, "database.unavailable", error)
    return _problem(request, 503, "unavailable")


def _bug(request: ConsoleRequest, error: Exception) -> Response[bytes]:
    log.error("console.crashed", exc_info=error)
    return _problem(request, 500, "bug", request_id=logs.request_id())


def router() -> Router:
    """The console."""
    handlers: list[Any] = [*ROUTES]
    return Router(
        path="/",
        route_handlers=handlers,
        exception_handlers={HTTPException: http_error, Unavailable: _unavailable, Exception: _bug},
    )
