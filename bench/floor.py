"""The floor: the same four V1 requests on bare ASGI, in memory, with no PG and no database.

It does what no server of this API can do without: read the body, check the token, write V1's payment object.
What another server takes longer than this is the price of what it really does.
"""

import itertools
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import msgspec

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

TOKEN = os.urandom(20).hex()
HEADERS_JSON = (b"content-type", b"application/json; charset=UTF-8")

payments: dict[str, dict[str, Any]] = {}
by_order: dict[str, str] = {}
numbers = itertools.count(100_000_000_000)
encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(dict[str, Any]).decode


def new_payment(body: dict[str, Any]) -> dict[str, Any]:
    """A paid payment with every key that V1 always sends."""
    now = int(time.time())
    number = next(numbers)
    return {
        "imp_uid": f"imps_{number}",
        "merchant_uid": body["merchant_uid"],
        "pay_method": "card",
        "channel": "api",
        "pg_provider": "settle",
        "emb_pg_provider": None,
        "pg_tid": f"STFP_PGCAnxca_jt_{number}",
        "pg_id": "nxca_jt_bi",
        "sandbox": True,
        "escrow": False,
        "apply_num": "30001234",
        "bank_code": None,
        "bank_name": None,
        "card_code": "361",
        "card_name": "BC카드",
        "card_issuer_code": None,
        "card_issuer_name": None,
        "card_publisher_code": None,
        "card_publisher_name": None,
        "card_quota": 0,
        "card_number": "411111******1111",
        "card_type": None,
        "vbank_code": None,
        "vbank_name": None,
        "vbank_num": None,
        "vbank_holder": None,
        "vbank_date": 0,
        "vbank_issued_at": 0,
        "name": body.get("name"),
        "amount": int(body["amount"]),
        "cancel_amount": 0,
        "currency": "KRW",
        "buyer_name": body.get("buyer_name"),
        "buyer_email": body.get("buyer_email"),
        "buyer_tel": body.get("buyer_tel"),
        "buyer_addr": None,
        "buyer_postcode": None,
        "custom_data": None,
        "user_agent": "bench",
        "status": "paid",
        "started_at": now,
        "paid_at": now,
        "failed_at": 0,
        "cancelled_at": 0,
        "fail_reason": None,
        "cancel_reason": None,
        "receipt_url": None,
        "cancel_history": [],
        "cancel_receipt_urls": [],
        "deposit_history": [],
        "cash_receipt_issued": False,
        "customer_uid": None,
        "customer_uid_usage": None,
        "promotion": None,
    }


def cancel(body: dict[str, Any]) -> dict[str, Any] | str:
    imp_uid = body.get("imp_uid") or by_order.get(body.get("merchant_uid", ""), "")
    payment = payments.get(imp_uid)
    if payment is None:
        return "취소할 결제건이 존재하지 않습니다."
    left = payment["amount"] - payment["cancel_amount"]
    if left == 0:
        return "이미 전액취소된 주문입니다."
    amount = int(body.get("amount") or left)
    if amount > left:
        return "취소 가능 금액을 초과했습니다."
    now = int(time.time())
    payment["cancel_amount"] += amount
    payment["status"] = "cancelled"
    payment["cancelled_at"] = now
    payment["cancel_history"].append(
        {"pg_tid": payment["pg_tid"], "amount": amount, "cancelled_at": now, "reason": body.get("reason")}
    )
    return payment


def answer(method: str, path: str, headers: dict[bytes, bytes], raw: bytes) -> tuple[int, dict[str, Any]]:
    body: dict[str, Any] = {}
    if raw:
        body = decode(raw) if raw.startswith(b"{") else dict(parse_qsl(raw.decode()))
    if path == "/users/getToken":
        now = int(time.time())
        return 200, ok({"access_token": TOKEN, "now": now, "expired_at": now + 1800})
    presented = headers.get(b"authorization", b"").decode()
    if presented.removeprefix("Bearer ") != TOKEN:
        return 401, {"code": -1, "message": "Unauthorized", "response": None}
    if method == "POST" and path == "/subscribe/payments/onetime":
        if body["merchant_uid"] in by_order:
            return 200, {"code": 1, "message": "이미 결제가 이루어진 거래건입니다.", "response": None}
        payment = new_payment(body)
        payments[payment["imp_uid"]] = payment
        by_order[payment["merchant_uid"]] = payment["imp_uid"]
        return 200, ok(payment)
    if method == "POST" and path == "/payments/cancel":
        cancelled = cancel(body)
        if isinstance(cancelled, str):
            return 200, {"code": 1, "message": cancelled, "response": None}
        return 200, ok(cancelled)
    found = payments.get(path.removeprefix("/payments/"))
    if found is None:
        return 404, {"code": -1, "message": "존재하지 않는 결제정보입니다.", "response": None}
    return 200, ok(found)


def ok(response: dict[str, Any]) -> dict[str, Any]:
    return {"code": 0, "message": None, "response": response}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    raw = b""
    more = scope["method"] == "POST"
    while more:
        message = await receive()
        raw += message.get("body", b"")
        more = message.get("more_body", False)
    if scope["path"] == "/health":
        status, content = 200, {"status": "ok"}
    else:
        status, content = answer(scope["method"], scope["path"].rstrip("/"), dict(scope["headers"]), raw)
    encoded = encode(content)
    length = (b"content-length", str(len(encoded)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [HEADERS_JSON, length]})
    await send({"type": "http.response.body", "body": encoded})
