"""The shop of a campaign: asks, asks again when it hears nothing, and remembers what it was told."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from naru.chaos.plan import PARTIAL_LEAST, CancelPlan, OrderPlan
from naru.chaos.town import Town

GOOD_CARD = "4111-1111-1111-1111"
BAD_CARD = "4000-0000-0000-0317"  # over its limit
TRIES = 8
PAUSE_S = 0.5
ASK_S = 15.0
GONE = (aiohttp.ClientError, TimeoutError, OSError)


@dataclass
class Told:
    """What the shop heard of one order."""

    plan: OrderPlan
    paid: set[str] = field(default_factory=set)
    """imp_uids that an answer called paid."""
    failed: int = 0
    unheard: int = 0
    """Requests that were never answered, or with "try later" to the end."""
    seen: dict[str, set[str]] = field(default_factory=dict)
    """imp_uid → the statuses that look-ups showed."""
    cancels: dict[str, str] = field(default_factory=dict)
    """What became of each cancel: ``done``, ``refused``, ``checking``, ``unheard``."""


class Shop:
    """One shop with its webhook address."""

    def __init__(self, town: Town, key: str, secret: str) -> None:
        self.town = town
        self.told: dict[str, Told] = {}
        self.accepted: dict[str, dict[str, Any]] = {}
        """webhook-id → body, of webhooks that were answered 200."""
        self.hooks = 0
        self.requests = 0
        self.statuses: list[int] = []
        self._credentials = {"imp_key": key, "imp_secret": secret}
        self._token = ""
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None

    async def open(self) -> None:
        """Listen for webhooks."""
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_S))
        application = web.Application()
        application.router.add_post("/webhook", self._hook)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.town.host, self.town.shop_port).start()

    async def close(self) -> None:
        """Stop listening."""
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _hook(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.hooks += 1
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 0:
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=500)
        if status == 200:
            self.accepted[request.headers["webhook-id"]] = json.loads(body)
        return web.Response(status=status)

    # ── asking ───────────────────────────────────────────────────────────────

    async def call(self, path: str, body: dict[str, Any] | None, key: str = "") -> dict[str, Any] | None:
        """One request to either gateway; None: nobody knows whether it arrived (no answer, or 5xx)."""
        assert self._session is not None
        self.requests += 1
        url = self.town.gateways[self.requests % len(self.town.gateways)]
        for _ in range(2):
            headers = {"Authorization": self._token} | ({"Idempotency-Key": key} if key else {})
            try:
                async with self._session.request(
                    "GET" if body is None else "POST", url + path, json=body, headers=headers
                ) as answer:
                    said = await answer.json(content_type=None)
            except (*GONE, json.JSONDecodeError):
                return None
            if answer.status == 401:
                await self._sign_in(url)
                continue
            return None if answer.status >= 500 else said
        return None

    async def _sign_in(self, url: str) -> None:
        assert self._session is not None
        try:
            async with self._session.post(f"{url}/users/getToken", json=self._credentials) as answer:
                said = await answer.json(content_type=None)
                self._token = said["response"]["access_token"] if answer.status == 200 else self._token
        except GONE:
            return

    async def order(self, plan: OrderPlan) -> None:
        """Pay an order once and cancel of it what is planned."""
        told = self.told.setdefault(plan.merchant_uid, Told(plan))
        await asyncio.sleep(plan.start_s)
        await asyncio.gather(*(self._pay(told) for _ in range(plan.twins)))
        if not told.paid and plan.again:
            await self._pay(told)
        for number, cancel in enumerate(plan.cancels):
            await asyncio.sleep(cancel.pause_s)
            await self._cancel(told, number, cancel)
        await self._look(told)

    async def _pay(self, told: Told) -> None:
        plan = told.plan
        body = {
            "merchant_uid": plan.merchant_uid, "amount": plan.amount, "name": "혼돈", "expiry": "2039-12",
            "card_number": GOOD_CARD if plan.good_card else BAD_CARD,
        }  # fmt: skip
        for _ in range(TRIES):
            said = await self.call("/subscribe/payments/onetime", body)
            if said is not None:
                if said["code"] == 0:
                    told.paid.add(said["response"]["imp_uid"])
                    return
                if "이미 결제" in said["message"]:
                    await self._look(told)
                    return
                if "확인하고 있습니다" not in said["message"]:
                    told.failed += 1
                    return
            await asyncio.sleep(PAUSE_S)
        told.unheard += 1

    async def _look(self, told: Told) -> dict[str, Any] | None:
        said = await self.call(f"/payments/find/{told.plan.merchant_uid}", None)
        if said is None or said["code"] != 0:
            return None
        found = said["response"]
        told.seen.setdefault(found["imp_uid"], set()).add(found["status"])
        return found

    async def _cancel(self, told: Told, number: int, plan: CancelPlan) -> None:
        found = await self._look(told)
        name = f"{told.plan.merchant_uid}/{number}"
        if found is None or found["status"] not in ("paid", "cancelled"):
            return
        left = found["amount"] - found["cancel_amount"]
        amount = {
            "all": 0, "rest": left, "half": left // 2, "third": left // 3, "small": PARTIAL_LEAST,
        }[plan.share]  # fmt: skip
        if amount and amount != left:
            amount = max(amount, PARTIAL_LEAST)
        if not left or amount > left:
            return
        body: dict[str, Any] = {"imp_uid": found["imp_uid"], "amount": amount, "reason": name}
        key = ""
        if plan.style == "checksum":
            body["checksum"] = left
        elif plan.style == "key":
            key = name
        heard = await asyncio.gather(*(self._ask_cancel(body, key, plan) for _ in range(plan.twins)))
        order = ("done", "checking", "unheard", "refused")
        told.cancels[name] = min(heard, key=order.index)

    async def _ask_cancel(self, body: dict[str, Any], key: str, plan: CancelPlan) -> str:
        open_ = ""
        for _ in range(1 if plan.style == "plain" else TRIES):
            said = await self.call("/payments/cancel", body, key)
            if said is None:
                open_ = "unheard"
            elif said["code"] == 0:
                return "done"
            elif "확인하고 있습니다" in said["message"]:
                open_ = "checking"
            else:
                # Refused now; but what was asked before and not answered may have happened.
                return open_ or "refused"
            await asyncio.sleep(PAUSE_S)
        return open_
