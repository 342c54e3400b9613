"""HTTP to Hecto: two failures only. *Unsent*: no byte left. *Lost*: anything after that."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
import msgspec

from naru import logs

log = logs.logger("hecto")

CONNECT_S = 5.0
READ_S = 20.0
IDLE_S = 3.0
"""Idle connections are dropped before a server's usual five seconds: a request that meets a closing
connection has an unknown outcome, and that costs an inquiry."""
MAX_ANSWER = 256 * 1024


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


class Client:
    """A pool of connections to Hecto's hosts. Open it inside a running event loop."""

    def __init__(self, *, connect_s: float = CONNECT_S, read_s: float = READ_S, limit: int = 512) -> None:
        self._timeout = aiohttp.ClientTimeout(total=connect_s + read_s, sock_connect=connect_s, sock_read=read_s)
        self._limit = limit
        self._session: aiohttp.ClientSession | None = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._limit, keepalive_timeout=IDLE_S, ttl_dns_cache=30)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=self._timeout, auto_decompress=True, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def post_json(self, url: str, body: object, **facts: str) -> Reply | Unsent | Lost:
        """POST a JSON message; *facts* go to the one log line of this exchange."""
        return await self._post(
            url, msgspec.json.encode(body), {"Content-Type": "application/json; charset=UTF-8"}, facts
        )

    async def post_form(
        self, url: str, form: Mapping[str, str], *, most: int = MAX_ANSWER, **facts: str
    ) -> Reply | Unsent | Lost:
        """POST a form."""
        data = aiohttp.FormData(list(form.items()), charset="utf-8")
        return await self._post(url, data, {}, facts, most)

    async def _post(
        self,
        url: str,
        data: bytes | aiohttp.FormData,
        headers: dict[str, str],
        facts: dict[str, str],
        most: int = MAX_ANSWER,
    ) -> Reply | Unsent | Lost:
        started = time.monotonic()
        result: Reply | Unsent | Lost
        try:
            async with self._open().post(url, data=data, headers=headers, allow_redirects=False) as answer:
                answer_body = await answer.content.read(most)
                while not answer.content.at_eof() and len(answer_body) < most:
                    more = await answer.content.read(most - len(answer_body))
                    answer_body += more
                result = Reply(answer_body) if answer.status == 200 else Lost(f"HTTP {answer.status}")
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as e:
            result = Unsent(type(e).__name__)
        except (aiohttp.ClientError, TimeoutError, OSError) as e:
            result = Lost(type(e).__name__)
        took = round((time.monotonic() - started) * 1000)
        if isinstance(result, Reply):
            log.debug("hecto.exchanged", ms=took, **facts)
        else:
            log.warning("hecto.failed", ms=took, result=type(result).__name__, reason=result.reason, **facts)
        return result
