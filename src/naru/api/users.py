"""``/users/…``: access tokens, and the store's channels."""

from __future__ import annotations

from litestar import Response, get, post

from naru.api import answers
from naru.api.guard import ApiRequest, caller, context, limits, params, remote
from naru.domain.channel import PROVIDER, Use
from naru.domain.refusal import Refused, Why
from naru.domain.values import unix
from naru.service import access


@post("/users/getToken", status_code=200)
async def get_token(request: ApiRequest) -> Response[bytes]:
    """POST /users/getToken: exactly three keys, and the same token until it expires."""
    cx, p = context(request), await params(request)
    imp_key, allowed, who = p.text("imp_key", 200), limits(request), remote(request)
    allowed.callers.demand(who, cx.clock())
    allowed.keys.demand(f"{who} {imp_key}", cx.clock())
    try:
        token = await access.get_token(cx, imp_key, p.text("imp_secret", 500))
    except Refused as refusal:
        if refusal.why is Why.KEY_WRONG:
            allowed.callers.failed(who, cx.clock())
            allowed.keys.failed(f"{who} {imp_key}", cx.clock())
        raise
    return answers.ok({"access_token": token.text, "now": unix(token.now), "expired_at": unix(token.expires_at)})


@get("/users/pg")
async def channels(request: ApiRequest) -> Response[bytes]:
    """GET /users/pg: the usable channels, in the store's order."""
    who, cx = await caller(request), context(request)
    found = sorted(await cx.channels(who.store_id), key=lambda c: (c.position, c.id))
    return answers.ok(
        [
            {
                "pg_provider": PROVIDER,
                "pg_id": c.mid,
                "sandbox": c.is_test,
                "type": "payment" if c.use is Use.WINDOW else "api_payment",
                "channel_name": c.name,
                "channel_key": c.key,
            }
            for c in found
            if not c.disabled
        ]
    )


HANDLERS = [get_token, channels]
