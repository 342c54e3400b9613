"""``/users/…``: access tokens."""

from __future__ import annotations

from litestar import Response, post

from naru.api import answers
from naru.api.guard import ApiRequest, context, params
from naru.domain.values import unix
from naru.service import access


@post("/users/getToken", status_code=200)
async def get_token(request: ApiRequest) -> Response[bytes]:
    """POST /users/getToken: exactly three keys, and the same token until it expires."""
    p = await params(request)
    token = await access.get_token(context(request), p.text("imp_key", 200), p.text("imp_secret", 500))
    return answers.ok({"access_token": token.text, "now": unix(token.now), "expired_at": unix(token.expires_at)})


HANDLERS = [get_token]
