"""What a network can do to an answer: none, half of one, a reset.

Needs the transport below the ASGI server, which `Protocol` puts into the scope.
"""

import asyncio
import contextlib
import socket
import struct
from typing import Any, cast

from litestar.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_EXTENSION = "naru.sandbox.transport"
_LONGEST_S = 180.0


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol that lets the application get at its connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = cast("Any", {_EXTENSION: self.transport})


def _transport(scope: Scope) -> asyncio.Transport:
    extensions = cast("dict[str, Any]", cast("Any", scope).get("extensions") or {})
    if _EXTENSION not in extensions:
        raise RuntimeError("connection faults need the sandbox's own server (naru.sandbox.hecto.server.serve)")
    return cast("asyncio.Transport", extensions[_EXTENSION])


async def close(scope: Scope, receive: Receive) -> None:
    """The connection ends without an answer."""
    _transport(scope).close()
    await _gone(receive)


async def reset(scope: Scope, receive: Receive) -> None:
    """The connection is reset (RST): what is still in its buffers is thrown away."""
    transport = _transport(scope)
    raw = transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await _gone(receive)


async def hang(scope: Scope, receive: Receive) -> None:
    """No answer until the client gives up (or three minutes have passed)."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(_gone(receive), _LONGEST_S)
        return
    await close(scope, receive)


async def half(scope: Scope, receive: Receive, send: Send, body: bytes, content_type: bytes) -> None:
    """Promises the whole body, sends half of it and closes."""
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    await close(scope, receive)


async def _gone(receive: Receive) -> None:
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
