"""The short road: the few requests that a shop and the PG make again and again, without the framework's stops.

The routes stay declared where they are (documents, every other method and spelling of them go the long way); this
calls the same handlers with the same context, limits and refusals, notes them in the same two logs, and writes their
answers straight to the server (docs/decisions/0013).
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast
from urllib.parse import parse_qsl

from litestar import Response
from litestar.datastructures import Address
from litestar.exceptions import ClientException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from naru import logs
from naru.api import answers, hecto, payments, subscribe_payments
from naru.api.guard import ApiRequest

Handler = Callable[..., Awaitable[Response[Any]]]
Road = tuple[Handler, str, dict[str, str]]
"""A handler, the path of the request, and the parts of it that are named."""
Failed = Callable[[ApiRequest, Exception], Response[Any]]

Finished = Callable[[str, str, int, float], None]
"""Told method, path, status and seconds of every answer."""
Note = Callable[[Scope, int, bytes, float], None]
"""Told a request's scope, and the status, body and seconds of its answer."""

_POSTS: dict[bytes, tuple[Handler, str, dict[str, str]]] = {
    path.encode(): (handler, path, {})
    for path, handler in (
        ("/subscribe/payments/onetime", subscribe_payments.onetime.fn),
        ("/subscribe/payments/again", subscribe_payments.charge_again.fn),
        ("/payments/cancel", payments.cancel_payment.fn),
        ("/settle_payments/notice", hecto.notice.fn),
        ("/settle_payments/notice_vbank", hecto.notice.fn),
    )
}
# As the path travels: one that was quoted goes the long way.
_LOOK_UP = re.compile(rb"/payments/(imps?_\d{12})\Z")
_LOOKED_UP = "/payments/{imp_uid}"
_look_up: Handler = payments.one.fn
WHOLE = "naru.whole"
"""The extension of a server that takes an answer in one piece."""
_KINDS = {
    "text/plain": (b"content-type", b"text/plain; charset=utf-8"),
    answers.JSON: (b"content-type", answers.JSON.encode("latin-1")),
}


class Headers:
    """A request's headers by name."""

    __slots__ = ("_raw",)

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._raw = raw

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first header of this lower-case *name*."""
        wanted = name.encode("latin-1")
        for key, value in self._raw:
            if key == wanted:
                return value.decode("latin-1")
        return default


class _App:
    __slots__ = ("state",)

    def __init__(self, state: Mapping[str, Any]) -> None:
        self.state = state


class QuickRequest:
    """What the handlers of the short road use of a request."""

    __slots__ = ("_body", "_most", "_receive", "app", "headers", "scope")

    def __init__(self, app: _App, scope: HTTPScope, receive: Receive, most: int) -> None:
        self.app = app
        self.scope = scope
        self.headers = Headers(list(scope["headers"]))
        self._receive = receive
        self._most = most
        self._body: bytes | None = None

    @property
    def client(self) -> Address | None:
        """Who called."""
        address = self.scope.get("client")
        return Address(*address) if address else None

    @property
    def query_params(self) -> dict[str, str]:
        """The query's parameters; of several of one name the first."""
        pairs = parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        return dict(reversed(pairs))

    async def body(self) -> bytes:
        """The whole body. Raises RequestEntityTooLarge, and ClientException when the caller is gone."""
        if self._body is None:
            length = self.headers.get("content-length")
            if length is not None and not (length.isdecimal() and int(length) <= self._most):
                raise RequestEntityTooLarge
            chunks: list[bytes] = []
            left, more = self._most, True
            while more:
                message = cast("dict[str, Any]", await self._receive())
                if message["type"] == "http.disconnect":
                    raise ClientException("the caller is gone")
                chunk: bytes = message["body"]
                left -= len(chunk)
                if left < 0:
                    raise RequestEntityTooLarge
                chunks.append(chunk)
                more = message["more_body"]
            self._body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        return self._body


class Quick:
    """Answers the hot requests and hands on the others; *state* is filled when the application has started."""

    def __init__(
        self, app: ASGIApp, state: Callable[[], Mapping[str, Any]], most: int, failed: Failed, *, finished: Finished,
        note: Note | None,
    ) -> None:  # fmt: skip
        self.app = app
        self._state = state
        self._most = most
        self._failed = failed
        self._finished = finished
        self._note = note
        self._own: _App | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the short road, or the long one."""
        road = self.road(scope) if scope["type"] == "http" else None
        if road is None:
            await self.app(scope, receive, send)
            return
        if self._own is None:
            self._own = _App(self._state())
        logs.begin_request()
        started = time.perf_counter()
        handler, path, named = road
        scope["path"], scope["path_params"] = path, named
        scope["path_template"] = _LOOKED_UP if named else path
        request = cast("ApiRequest", QuickRequest(self._own, cast("HTTPScope", scope), receive, self._most))
        status, body = 0, b""
        try:
            try:
                answer = await handler(request, **named)
            except Exception as problem:  # noqa: BLE001 - the edge: everything becomes an answer
                answer = self._failed(request, problem)
            status, body = answer.status_code or 200, answer.content
            await _send(answer, scope, send)
        finally:
            seconds = time.perf_counter() - started
            self._finished(cast("HTTPScope", scope)["method"], path, status, seconds)
            if self._note is not None:
                self._note(scope, status, body, seconds)

    def road(self, scope: Scope) -> Road | None:
        """The handler of a request, None for one that goes the long way."""
        raw: bytes = scope.get("raw_path") or b""
        match cast("HTTPScope", scope)["method"]:
            case "GET":
                found = _LOOK_UP.match(raw)
                return None if found is None else (_look_up, raw.decode("ascii"), {"imp_uid": found[1].decode("ascii")})
            case "POST":
                return _POSTS.get(raw)
            case _:
                return None


async def _send(answer: Response[Any], scope: Scope, send: Send) -> None:
    status, body = answer.status_code or 200, cast("bytes", answer.content)
    kind = cast("str", answer.media_type)
    headers = [_KINDS.get(kind) or (b"content-type", kind.encode("latin-1")), (b"content-length", b"%d" % len(body))]
    if answer.headers:
        for name, value in answer.headers.items():
            if "\r" in value or "\n" in value:
                raise ValueError(name)
            headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))
    extensions = cast("dict[str, Any]", scope.get("extensions") or {})
    whole: Callable[..., bool] | None = extensions.get(WHOLE)
    if whole is not None and whole(scope, status, headers, body):
        return
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
