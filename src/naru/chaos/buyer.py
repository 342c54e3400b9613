"""A buyer's browser without a browser: what iamport.js posts, what is pressed in the window, who comes back."""

from __future__ import annotations

import asyncio
import html
import json
import re
import uuid
from typing import TYPE_CHECKING, Any

import aiohttp

from naru.service.setup import DEV_IMP_CODE

if TYPE_CHECKING:
    from naru.chaos.plan import OrderPlan
    from naru.chaos.town import Town

CHOICES: dict[str, dict[str, str]] = {
    "card": {"issuer": "SHN", "instmtMon": "00"},
    "trans": {"bank": "004", "account": "enough", "depositor": "홍길동", "otp": "123456"},
    "vbank": {"bank": "004", "depositor": "홍길동"},
    "phone": {"telco": "SKT", "phone": "01012345678", "otp": "123456"},
}
MORE: dict[str, dict[str, Any]] = {
    "phone": {"company": "나루", "company_en": "Naru", "digital": True},
    "vbank": {"company": "나루"},
}
"""What the guide wants besides for a method."""
GONE = (aiohttp.ClientError, TimeoutError, OSError, ValueError)
LOOKS = 8
LOOK_S = 0.5


class Buyer:
    """One visit to the window. `told` is the callback's object, or None when the page heard nothing."""

    def __init__(self, session: aiohttp.ClientSession, town: Town, gateway: str) -> None:
        self._session, self._town, self._gateway = session, town, gateway
        self.arrived = False
        """The window opened: what follows may have happened."""

    async def pay(self, order: OrderPlan) -> dict[str, Any] | None:
        """From `IMP.request_pay` to the callback. Whatever breaks on the way, the buyer is gone."""
        request_id = uuid.uuid4().hex
        try:
            if not await self._visit(order, request_id):
                return None
        except GONE:
            return None
        for _ in range(LOOKS):
            try:
                said = await self._outcome(request_id)
            except GONE:
                said = {}
            if said.get("state") == "done":
                found: dict[str, Any] = said["response"]
                return found
            await asyncio.sleep(LOOK_S)
        return None

    async def _outcome(self, request_id: str) -> dict[str, Any]:
        async with self._session.get(f"{self._gateway}/sdk/outcome", params={"request": request_id}) as answer:
            said: dict[str, Any] = await answer.json(content_type=None)
            return said if answer.status == 200 else {}

    async def _visit(self, order: OrderPlan, request_id: str) -> bool:
        """True when the browser comes back to the gateway."""
        envelope = {
            "request_id": request_id, "imp_code": DEV_IMP_CODE, "device": "pc", "origin": "http://shop.test",
            "params": {
                "merchant_uid": order.merchant_uid, "amount": order.amount, "name": "혼돈", "pay_method": order.method,
                "buyer_tel": "010-1234-5678", **MORE.get(order.method, {}),
            },
        }  # fmt: skip
        _, page, _ = await self._post(f"{self._gateway}/sdk/window", {"request": json.dumps(envelope)})
        url, fields = form_of(page)
        if not url.startswith(self._town.sandbox_url):
            return False  # refused before a window opened
        status, page, location = await self._post(url, fields)
        if status != 303:
            return False
        self.arrived = True
        token = f"{self._town.sandbox_url}{location.removeprefix(self._town.sandbox_url)}"
        if order.buyer == "leave":
            return False
        if order.buyer == "close":
            _, _, location = await self._post(f"{token}/close", {})
        else:
            outcome = {"outcome": order.buyer}
            _, _, location = await self._post(f"{token}/pay", CHOICES[order.method] | outcome)
        if not order.returns:
            return False
        result = f"{self._town.sandbox_url}{location.removeprefix(self._town.sandbox_url)}"
        async with self._session.get(result) as answer:
            url, fields = form_of(await answer.text())
        await self._post(url, fields)
        return True

    async def _post(self, url: str, fields: dict[str, str]) -> tuple[int, str, str]:
        async with self._session.post(url, data=fields, allow_redirects=False) as answer:
            return answer.status, await answer.text(), answer.headers.get("Location", "")


def form_of(page: str) -> tuple[str, dict[str, str]]:
    """The address and the fields of a page's form; ("", {}) when there is none."""
    form = re.search(r'<form\b[^>]*\baction="([^"]*)"', page)
    if form is None:
        return "", {}
    found: dict[str, str] = {}
    for tag in re.findall(r"<input\b[^>]*>", page):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and value:
            found[html.unescape(name.group(1))] = html.unescape(value.group(1))
    return html.unescape(form.group(1)), found
