"""The V1 REST API as a shop's server uses it: a token, a look-up, a cancel."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import aiohttp

TIMEOUT_S = 30


class Trouble(Exception):
    """The gateway refused or could not be reached; the text is fit to be shown."""


class Gateway:
    """A shop's connection to `api.iamport.kr`, or to what stands in its place."""

    def __init__(self, base: str, key: str, secret: str) -> None:
        self._base = base.rstrip("/")
        self._key = key
        self._secret = secret
        self._token: str | None = None
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def payment(self, imp_uid: str) -> dict[str, Any]:
        """The payment as the gateway knows it. Raises Trouble."""
        return await self._ask("GET", f"/payments/{quote(imp_uid, safe='')}")

    async def cancel(self, **body: Any) -> dict[str, Any]:
        """Gives money back; answers the payment afterwards. Raises Trouble."""
        return await self._ask("POST", "/payments/cancel", body)

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        status, answer = await self._send(method, path, body, await self._current_token())
        if status == 401:  # the token ran out between two calls
            self._token = None
            status, answer = await self._send(method, path, body, await self._current_token())
        if status >= 400 or answer["code"] != 0:
            raise Trouble(answer["message"])
        return answer["response"]

    async def _current_token(self) -> str:
        if self._token is None:
            status, answer = await self._send(
                "POST", "/users/getToken", {"imp_key": self._key, "imp_secret": self._secret}, None
            )
            if status != 200 or answer["code"] != 0:
                raise Trouble(answer["message"])
            self._token = answer["response"]["access_token"]
        assert self._token is not None
        return self._token

    async def _send(
        self, method: str, path: str, body: dict[str, Any] | None, token: str | None
    ) -> tuple[int, dict[str, Any]]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            async with self._session.request(method, self._base + path, json=body, headers=headers) as answer:
                return answer.status, await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Trouble(f"결제 서버에 연결하지 못했습니다 ({type(error).__name__}).") from error
