"""Development only: the time machine, and the way to the demo shop."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.response import Redirect

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


@get("/demo")
async def demo(request: ApiRequest) -> Redirect:
    """The demo shop is its own server and origin, as a shop is."""
    return Redirect(request.app.state["shop_url"], status_code=302)


HANDLERS = [move_clock, read_clock, demo]
