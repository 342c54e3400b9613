"""The shop of a campaign: asks, asks again when it hears nothing, and remembers what it was told."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from naru.chaos.buyer import Buyer
from naru.chaos.plan import PARTIAL_LEAST, CancelPlan, OrderPlan
from naru.chaos.town import Town

GOOD_CARD = "4111-1111-1111-1111"
BAD_CARD = "4000-0000-0000-0317"  # over its limit
REFUND = {"refund_holder": "홍길동", "refund_bank": "04", "refund_account": "12345678901234"}
FIXED = tuple(f"2022{bank}{n:06}" for bank in ("004", "011") for n in range(1, 51))
UNLIMITED = tuple(f"2022{bank}{n:06}" for bank in ("004", "011") for n in range(56, 101))
CHECKING = "F1010"
"""``error_code`` of a callback that says no more than that the result is being looked for."""
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
    failed_ids: set[str] = field(default_factory=set)
    """imp_uids that a callback called failed."""
    booked: dict[str, str] = field(default_factory=dict)
    """What became of each charge that was booked ahead, by its merchant_uid: ``booked``, ``unbooked``, ``unheard``."""
    revoked: bool = False
    """The shop was told that its account is revoked."""


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

    async def call(
        self, path: str, body: dict[str, Any] | None, key: str = "", method: str = ""
    ) -> dict[str, Any] | None:
        """One request to either gateway; None: nobody knows whether it arrived (no answer, or 5xx)."""
        assert self._session is not None
        self.requests += 1
        url = self.town.gateways[self.requests % len(self.town.gateways)]
        for _ in range(2):
            headers = {"Authorization": self._token} | ({"Idempotency-Key": key} if key else {})
            try:
                verb = method or ("GET" if body is None else "POST")
                async with self._session.request(verb, url + path, json=body, headers=headers) as answer:
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
        """Live through an order: pay it once, cancel of it what is planned."""
        told = self.told.setdefault(plan.merchant_uid, Told(plan))
        await asyncio.sleep(plan.start_s)
        match plan.kind:
            case "window":
                await self._windows(told)
            case "account" | "unlimited":
                await self._account(told)
            case "subscription":
                await self._subscribe(told)
            case _:
                await asyncio.gather(*(self._pay(told) for _ in range(plan.twins)))
                if not told.paid and plan.again:
                    await self._pay(told)
        for number, cancel in enumerate(plan.cancels):
            await asyncio.sleep(cancel.pause_s)
            await self._cancel(told, number, cancel)
        await self._look(told)

    # ── kinds of orders ──────────────────────────────────────────────────────

    async def _windows(self, told: Told) -> None:
        """One buyer, or several who opened a window for the same order."""
        plan = told.plan
        await asyncio.gather(*(self._window(told) for _ in range(plan.twins)))
        if plan.again and not told.paid:
            await self._window(told)
        if plan.method == "vbank" and (found := await self._look(told)) and found["status"] == "ready":
            for pause_s in plan.deposits[:1]:
                await asyncio.sleep(pause_s)
                await self._deposit(found["vbank_num"] or "0", plan.amount)

    async def _window(self, told: Told) -> None:
        assert self._session is not None
        self.requests += 1
        buyer = Buyer(self._session, self.town, self.town.gateways[self.requests % len(self.town.gateways)])
        said = await buyer.pay(told.plan)
        if said is None or said.get("error_code") == CHECKING:
            told.unheard += buyer.arrived
        elif not said["success"]:
            told.failed_ids.add(said["imp_uid"])
        elif said["status"] == "paid":
            told.paid.add(said["imp_uid"])

    async def _account(self, told: Told) -> None:
        """A fixed account: issued, paid into, perhaps given up before the last deposit."""
        plan = told.plan
        unlimited = plan.kind == "unlimited"
        numbers = UNLIMITED if unlimited else FIXED
        number = numbers[plan.number % len(numbers)]
        body: dict[str, Any] = {
            "merchant_uid": plan.merchant_uid, "amount": plan.amount, "vbank_num": number, "vbank_holder": "나루",
            "pg": "settle.nxva_fix",
        }  # fmt: skip
        if unlimited:
            body |= {"fixed_unlimited_vbank": True, "pg": "settle.nxva_fix2", "amount": 0}
        for _ in range(TRIES):
            said = await self.call("/vbanks", body)
            if said is not None and "확인하고 있습니다" not in (said["message"] or ""):
                break
            await asyncio.sleep(PAUSE_S)
        for left, pause_s in reversed(list(enumerate(plan.deposits))):
            await asyncio.sleep(pause_s)
            if left == 0 and plan.revoke:
                await self._revoke(told)
            # Whatever the shop was told, somebody pays into the number that he was given.
            await self._deposit(number, plan.amount + left if unlimited else plan.amount)

    async def _revoke(self, told: Told) -> None:
        if (found := await self._look(told)) is not None:
            said = await self.call(f"/vbanks/{found['imp_uid']}", {}, method="DELETE")
            told.revoked = said is not None and said["code"] == 0

    async def _deposit(self, number: str, amount: int) -> None:
        """At the bank. Whether it happened is the sandbox's book to tell."""
        assert self._session is not None
        given = {"account": number, "amount": amount, "depositor": "홍길동"}
        try:
            async with self._session.post(f"{self.town.sandbox_url}/_sandbox/deposits", json=given) as answer:
                await answer.read()
        except GONE:
            return

    async def _subscribe(self, told: Told) -> None:
        """A key with its first payment, then charges that are booked ahead."""
        plan = told.plan
        customer_uid = f"customer-{plan.number}"
        await self._pay(told, customer_uid=customer_uid)
        now = await self.call("/_dev/clock", None)
        for number, seconds in enumerate(plan.schedules if now else ()):
            assert now is not None
            uid = f"{plan.merchant_uid}-s{number}"
            item = {
                "merchant_uid": uid, "schedule_at": now["response"]["now"] // 1000 + seconds, "amount": plan.amount,
            }  # fmt: skip
            told.booked[uid] = "unheard"
            for _ in range(TRIES):
                said = await self.call(
                    "/subscribe/payments/schedule", {"customer_uid": customer_uid, "schedules": [item]}
                )
                if said is not None:
                    if said["code"] == 0:
                        told.booked[uid] = "booked"
                    break
                await asyncio.sleep(PAUSE_S)
            if plan.revoke and number == 0:
                said = await self.call(
                    "/subscribe/payments/unschedule", {"customer_uid": customer_uid, "merchant_uid": uid}
                )
                told.booked[uid] = "unbooked" if said is not None and said["code"] == 0 else "unheard"

    # ── cards over the API, and cancels ──────────────────────────────────────

    async def _pay(self, told: Told, **more: str) -> None:
        plan = told.plan
        body = {
            "merchant_uid": plan.merchant_uid, "amount": plan.amount, "name": "혼돈", "expiry": "2039-12",
            "card_number": GOOD_CARD if plan.good_card else BAD_CARD, **more,
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
        body: dict[str, Any] = {"imp_uid": found["imp_uid"], "reason": name}
        if found["pay_method"] == "vbank":
            body |= REFUND
        checksum = left = found["amount"] - found["cancel_amount"]
        if told.plan.kind == "unlimited" and found["deposit_history"]:
            history = found["deposit_history"]
            checksum = sum(d["amount"] for d in history) - found["cancel_amount"]
            named = history[number % len(history)]
            body["pg_tid"] = named["pg_tid"]
            left = min(checksum, named["amount"])
        amount = {
            "all": 0, "rest": left, "half": left // 2, "third": left // 3, "small": PARTIAL_LEAST,
        }[plan.share]  # fmt: skip
        if amount and amount != left:
            amount = max(amount, PARTIAL_LEAST)
        if not left or amount > left:
            return
        body["amount"] = amount
        key = ""
        if plan.style == "checksum":
            body["checksum"] = checksum
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
