"""``/payments/prepare``: registering the amount that a window payment must have."""

from __future__ import annotations

import re

from litestar import Response, get, post, put
from litestar.params import FromPath

from naru.api import answers, wire
from naru.api.guard import ApiRequest, caller, context, params
from naru.domain.refusal import Refused, Why
from naru.service import prepare
from naru.service.prepare import Prepared


def _read(p: wire.Params) -> Prepared:
    currency = p.text("currency", 3)
    if currency is not None and not re.fullmatch(r"[A-Z]{3}", currency):
        raise Refused(Why.PARAMETER, name="currency", problem="KRW와 같은 통화 코드 3자여야 합니다")
    return Prepared(p.need("merchant_uid", 40), p.need_amount("amount"), currency)


def _object(found: Prepared) -> dict[str, object]:
    return {"merchant_uid": found.merchant_uid, "amount": found.amount, "currency": found.currency}


@post("/payments/prepare", status_code=200)
async def register(request: ApiRequest) -> Response[bytes]:
    """POST /payments/prepare."""
    who, cx = await caller(request), context(request)
    return answers.ok(_object(await prepare.register(cx, who.store_id, _read(await params(request)))))


@put("/payments/prepare")
async def change(request: ApiRequest) -> Response[bytes]:
    """PUT /payments/prepare."""
    who, cx = await caller(request), context(request)
    return answers.ok(_object(await prepare.change(cx, who.store_id, _read(await params(request)))))


@get("/payments/prepare/{merchant_uid:str}")
async def look_up(request: ApiRequest, merchant_uid: FromPath[str]) -> Response[bytes]:
    """GET /payments/prepare/{merchant_uid}."""
    who, cx = await caller(request), context(request)
    return answers.ok(_object(await prepare.look_up(cx, who.store_id, wire.segment(merchant_uid))))


HANDLERS = [register, change, look_up]
