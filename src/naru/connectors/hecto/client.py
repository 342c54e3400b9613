"""HTTP to Hecto: two failures only. *Unsent*: no byte left. *Lost*: anything after that.

Which of the two it is decides whether money may have moved, so it is known here and not guessed from a library's
exceptions: a request is written in one piece, to a connection that is open at that moment, by the line that begins
to wait for its answer (docs/decisions/0016).
"""

from __future__ import annotations

import asyncio
import ssl
import time
import zlib
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, cast
from urllib.parse import urlencode, urlsplit

import httptools
import msgspec

from naru import logs

log = logs.logger("hecto")

CONNECT_S = 5.0
READ_S = 20.0
IDLE_S = 3.0
"""Idle connections are dropped before a server's usual five seconds: a request that meets a closing
connection has an unknown outcome, and that costs an inquiry."""
MAX_ANSWER = 256 * 1024
LONGEST_HEAD = 64 * 1024
_JSON: Final = b"application/json; charset=UTF-8"
_FORM: Final = b"application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with HTTP 200."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Unsent:
    """Nothing left this machine: refused connection, no such host, TLS failed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Something may have reached Hecto: nobody knows what it did."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Where:
    """An address taken apart: where to connect, and the first lines of a request."""

    host: str
    port: int
    tls: bool
    head: bytes


@lru_cache(maxsize=256)
def _where(url: str) -> _Where:
    """Raises ValueError for what is no address."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError("no such address")
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = parts.hostname.encode("idna").decode("ascii") if not parts.hostname.isascii() else parts.hostname
    named = f"[{host}]" if ":" in host else host
    shown = named if parts.port is None else f"{named}:{port}"
    head = f"POST {path} HTTP/1.1\r\nHost: {shown}\r\nAccept: */*\r\n"
    if any(c <= " " or c > "~" for c in path + shown):
        raise ValueError("no such address")
    return _Where(host, port, tls, head.encode("ascii"))


class _Line(asyncio.Protocol):
    """One connection. It carries one request at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Reply | Lost] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._most = MAX_ANSWER
        self._body: list[bytes] = []
        self._size = 0
        self._headed = False
        self._head_size = 0
        self._until_end = True
        self._coding = b""
        self.idle_since = 0.0

    @property
    def usable(self) -> bool:
        """Whether another request may be written to it."""
        return self._transport is not None and not self._transport.is_closing() and self._answer is None

    @property
    def _waiting(self) -> bool:
        return self._answer is not None

    def ask(self, request: bytes, seconds: float, most: int) -> asyncio.Future[Reply | Lost]:
        """Write a request. What comes back is its answer, within *seconds* and cut to *most* bytes."""
        assert self.usable
        assert self._transport is not None
        answer = self._answer = self._loop.create_future()
        self._most = most
        self._headed, self._head_size = False, 0
        timer = self._loop.call_later(seconds, self._ends, Lost("TimeoutError"))
        answer.add_done_callback(lambda _: timer.cancel())
        self._transport.write(request)
        return answer

    def close(self) -> None:
        """Close the connection; who waits for an answer does not get one."""
        if self._transport is not None:
            self._transport.close()

    def _ends(self, result: Reply | Lost, *, keep: bool = False) -> None:
        answer, self._answer = self._answer, None
        if not keep:
            self.close()
        if answer is not None and not answer.done():
            answer.set_result(result)

    # what the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """A part of an answer."""
        if self._answer is None:
            self.close()  # nobody has asked
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._ends(Lost(type(error).__name__))
            return
        if self._waiting and not self._headed:
            self._head_size += len(data)
            if self._head_size > LONGEST_HEAD:
                self._ends(Lost("HeadTooLong"))

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed, perhaps as the end of an answer that does not say its length."""
        if self._answer is not None:
            whole = exc is None and self._headed and self._until_end
            self._ends(self._result() if whole else Lost(type(exc).__name__ if exc else "ConnectionClosed"))

    # what the parser says

    def on_message_begin(self) -> None:
        """An answer begins."""
        if self._answer is None:
            self.close()  # a second one to the same question
        self._body.clear()
        self._size, self._until_end, self._coding = 0, True, b""

    def on_header(self, name: bytes, value: bytes) -> None:
        """One line of its head."""
        match name.lower():
            case b"content-length" | b"transfer-encoding":
                self._until_end = False
            case b"content-encoding":
                self._coding = value.strip().lower()
            case _:
                pass

    def on_headers_complete(self) -> None:
        """Its head is whole. "100 Continue" and its like announce the one that is still to come."""
        self._headed = self._parser.get_status_code() >= 200

    def on_body(self, body: bytes) -> None:
        """A part of its body; what is longer than anybody reads is cut."""
        self._body.append(body)
        self._size += len(body)
        if self._size >= self._most and self._answer is not None:
            self._ends(self._result())

    def on_message_complete(self) -> None:
        """It is whole."""
        if self._headed and self._answer is not None:
            self._ends(self._result(), keep=self._parser.should_keep_alive() and not self._until_end)

    def _result(self) -> Reply | Lost:
        status = self._parser.get_status_code()
        if status != 200:
            return Lost(f"HTTP {status}")
        body = b"".join(self._body)[: self._most]
        if self._coding in (b"", b"identity"):
            return Reply(body)
        try:  # nobody asked for it
            return Reply(zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, self._most))
        except zlib.error:
            return Lost("ContentEncoding")


class Client:
    """A pool of connections to Hecto's hosts. Use it inside a running event loop."""

    def __init__(self, *, connect_s: float = CONNECT_S, read_s: float = READ_S, limit: int = 512) -> None:
        self._connect_s = connect_s
        self._read_s = read_s
        self._room = asyncio.Semaphore(limit)
        self._idle: defaultdict[tuple[str, int, bool], deque[_Line]] = defaultdict(deque)
        self._sweep: asyncio.TimerHandle | None = None
        self._tls: ssl.SSLContext | None = None

    async def close(self) -> None:
        """Close the connections that nobody uses. There are no others when all work is done."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for lines in self._idle.values():
            for line in lines:
                line.close()
        self._idle.clear()
        await asyncio.sleep(0)  # a transport closes in the loop's next turn

    async def post_json(self, url: str, body: object, **facts: str) -> Reply | Unsent | Lost:
        """POST a JSON message; *facts* go to the one log line of this exchange."""
        return await self._post(url, msgspec.json.encode(body), _JSON, facts)

    async def post_form(
        self, url: str, form: Mapping[str, str], *, most: int = MAX_ANSWER, **facts: str
    ) -> Reply | Unsent | Lost:
        """POST a form."""
        return await self._post(url, urlencode(form).encode("ascii"), _FORM, facts, most)

    async def _post(
        self, url: str, data: bytes, kind: bytes, facts: dict[str, str], most: int = MAX_ANSWER
    ) -> Reply | Unsent | Lost:
        started = time.monotonic()
        result = await self._exchange(url, data, kind, most)
        took = round((time.monotonic() - started) * 1000)
        if isinstance(result, Reply):
            log.debug("hecto.exchanged", ms=took, **facts)
        else:
            log.warning("hecto.failed", ms=took, result=type(result).__name__, reason=result.reason, **facts)
        return result

    async def _exchange(self, url: str, data: bytes, kind: bytes, most: int) -> Reply | Unsent | Lost:
        try:
            where = _where(url)
        except ValueError:
            return Unsent("InvalidURL")
        if self._room.locked():
            try:
                async with asyncio.timeout(self._connect_s):
                    await self._room.acquire()
            except TimeoutError:
                return Unsent("TooManyConnections")
        else:
            await self._room.acquire()
        try:
            line = self._free(where)
            if line is None:
                try:
                    line = await self._open(where)
                except TimeoutError:
                    return Unsent("ConnectionTimeout")
                except (OSError, UnicodeError) as error:
                    return Unsent(type(error).__name__)
                if not line.usable:
                    return Unsent("ConnectionClosed")
            request = b"%bContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (where.head, kind, len(data), data)
            try:
                result = await line.ask(request, self._read_s, most)
            except asyncio.CancelledError:
                line.close()
                raise
            self._keep(where, line)
            return result
        finally:
            self._room.release()

    def _free(self, where: _Where) -> _Line | None:
        lines = self._idle.get((where.host, where.port, where.tls))
        latest = asyncio.get_running_loop().time() - IDLE_S
        while lines:
            line = lines.pop()  # the one that was used last: the others may grow old
            if line.usable and line.idle_since > latest:
                return line
            line.close()
        return None

    def _keep(self, where: _Where, line: _Line) -> None:
        if not line.usable:
            return
        loop = asyncio.get_running_loop()
        line.idle_since = loop.time()
        self._idle[where.host, where.port, where.tls].append(line)
        if self._sweep is None:
            self._sweep = loop.call_later(IDLE_S, self._close_old)

    def _close_old(self) -> None:
        self._sweep = None
        loop = asyncio.get_running_loop()
        latest = loop.time() - IDLE_S
        for lines in self._idle.values():
            while lines and not (lines[0].usable and lines[0].idle_since > latest):
                lines.popleft().close()
        if any(self._idle.values()):
            self._sweep = loop.call_later(IDLE_S, self._close_old)

    async def _open(self, where: _Where) -> _Line:
        loop = asyncio.get_running_loop()
        if where.tls and self._tls is None:
            self._tls = ssl.create_default_context()
        tls = self._tls if where.tls else None
        async with asyncio.timeout(self._connect_s):
            _, line = await loop.create_connection(
                lambda: _Line(loop), where.host, where.port, ssl=tls, server_hostname=where.host if tls else None
            )
        return line
