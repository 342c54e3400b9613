"""Who calls, and with what: the access token in any of V1's forms, the parameters, the context."""

from __future__ import annotations

from typing import Any, cast

from litestar import Request
from litestar.datastructures import State

from naru.api import wire
from naru.api.limits import Limits
from naru.service import access
from naru.service.access import Caller
from naru.service.context import Context

ApiRequest = Request[Any, Any, State]
SEEN_STORE, SEEN_PARAMS, SEEN_BODY = "naru.store", "naru.params", "naru.body"
"""Where a request's scope says whose it is and how it was read, for the request log. They end with the request."""


def context(request: ApiRequest) -> Context:
    """The process's context."""
    return cast("Context", request.app.state["cx"])


def limits(request: ApiRequest) -> Limits:
    """How often somebody may get it wrong."""
    return cast("Limits", request.app.state["limits"])


def remote(request: ApiRequest) -> str:
    """The caller's address (behind a trusted proxy: as the proxy says)."""
    return request.client.host if request.client else ""


def presented_token(request: ApiRequest) -> str | None:
    """The token in V1's order: Authorization (with or without Bearer), X-ImpTokenHeader, ``_token``."""
    header = request.headers.get("authorization")
    if header:
        scheme, _, rest = header.strip().partition(" ")
        return rest.strip() if rest and scheme.lower() == "bearer" else header.strip()
    return request.headers.get("x-imptokenheader") or request.query_params.get("_token")


async def caller(request: ApiRequest) -> Caller:
    """Who calls. Raises Refused (UNAUTHORIZED, IP_BLOCKED) before anything else happens."""
    who = await access.authenticate(context(request), presented_token(request), remote(request))
    cast("dict[str, Any]", request.scope)[SEEN_STORE] = who.store_id
    return who


def _seen(request: ApiRequest, values: dict[str, Any], body: bytes = b"") -> None:
    scope = cast("dict[str, Any]", request.scope)
    scope[SEEN_PARAMS], scope[SEEN_BODY] = values, body


def query(request: ApiRequest) -> wire.Params:
    """The query's parameters."""
    values = wire.parse_form(request.scope["query_string"].decode("latin-1"))
    _seen(request, values)
    return wire.Params(values)


async def params(request: ApiRequest) -> wire.Params:
    """The query's and the body's parameters; the body wins."""
    values = wire.parse_form(request.scope["query_string"].decode("latin-1"))
    body = await request.body()
    values.update(wire.parse_body(body))
    _seen(request, values, body)
    return wire.Params(values)
