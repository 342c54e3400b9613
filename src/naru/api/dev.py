"""Development only: the time machine."""

from __future__ import annotations

from litestar import Response, get, post

from naru.api import answers
from naru.api.guard import ApiRequest, context, params
from naru.domain.refusal import Refused, Why
from naru.domain.values import DAY

MOST_MS = 400 * DAY


@post("/_dev/clock", status_code=200)
async def move_clock(request: ApiRequest) -> Response[bytes]:
    """POST /_dev/clock {"advance_ms": …}."""
    cx = context(request)
    if not cx.development:
        raise Refused(Why.PAYMENT_NOT_FOUND)
    ms = (await params(request)).integer("advance_ms")
    if ms is None or not 0 <= ms <= MOST_MS:
        raise Refused(Why.PARAMETER, name="advance_ms", problem="0 이상 400일 이하의 밀리초여야 합니다", status=400)
    ran = await request.app.state["advance"](ms)
    return answers.ok({"now": cx.clock(), "ran": ran})


@get("/_dev/clock")
async def read_clock(request: ApiRequest) -> Response[bytes]:
    """GET /_dev/clock."""
    return answers.ok({"now": context(request).clock()})


HANDLERS = [move_clock, read_clock]
