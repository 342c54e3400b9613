"""PyPI `iamporter` and `async-iamport`: a subscription's life with the clients as they are published."""

# pyright: reportMissingImports=false
from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from async_iamport import AsyncIamport, ResponseError
from iamporter import Iamporter
from iamporter.api import Subscribe
from iamporter.errors import ImpApiError

base, key, secret, expiry = sys.argv[1:]
CARD = {"card_number": "4111-1111-1111-1111", "expiry": expiry, "birth": "820213", "pwd_2digit": "00"}


def with_iamporter() -> dict[str, Any]:
    client = Iamporter(imp_key=key, imp_secret=secret, imp_url=base)
    out: dict[str, Any] = {"created": client.create_billkey(customer_uid="py-kim", **CARD)}
    out["got"] = client.find_billkey("py-kim")
    out["again"] = client.create_payment(customer_uid="py-kim", merchant_uid="py-1", amount=9900, name="구독")
    out["onetime"] = client.create_payment(merchant_uid="py-2", amount=3000, name="상품", **CARD)
    listed = Subscribe(client.imp_auth, imp_url=base).get_customers_payments("py-kim")
    out["payments"] = listed.data["total"]
    out["deleted"] = client.delete_billkey("py-kim")
    try:
        client.find_billkey("py-kim")
    except ImpApiError as error:
        out["unknown"] = str(error)
    return out


async def with_async() -> dict[str, Any]:
    client = AsyncIamport(imp_key=key, imp_secret=secret, imp_url=base)
    at = int(time.time()) + 3600  # noqa: TID251 - a shop's own clock
    try:
        out: dict[str, Any] = {"created": await client.customer_create(customer_uid="async-kim", **CARD)}
        out["again"] = await client.pay_again(customer_uid="async-kim", merchant_uid="async-1", amount=9900)
        schedules = [{"merchant_uid": "async-2", "schedule_at": at, "amount": 9900}]
        out["scheduled"] = await client.pay_schedule(customer_uid="async-kim", schedules=schedules)
        out["one"] = await client.pay_schedule_get("async-2")
        out["listed"] = await client.pay_schedule_get_between(schedule_from=at - 10, schedule_to=at + 10)
        out["revoked"] = await client.pay_unschedule(customer_uid="async-kim")
        out["deleted"] = await client.customer_delete("async-kim")
        try:
            await client.pay_again(customer_uid="async-kim", merchant_uid="async-3", amount=9900)
        except ResponseError as error:
            out["nobody"] = [error.code, error.message]
    finally:
        await client.close_session()
    return out


print(json.dumps({"iamporter": with_iamporter(), "async": asyncio.run(with_async())}, ensure_ascii=False))
