"""``/subscribe/payments/{onetime,again}``: card data and billing keys charged at once."""

from __future__ import annotations

from litestar import Response, post

from naru.api.guard import ApiRequest, caller, context, params
from naru.api.subscribe import answer_charge, read_card, read_customer_uid, read_order
from naru.domain.refusal import Refused, Why
from naru.service.billing import again, pay_and_register
from naru.service.keyin import pay_once

NOT_REGISTERED = "결제는 완료되었으나 빌링키가 등록되지 않았습니다. 채널의 빌링키 계약을 확인해 주세요."


@post("/subscribe/payments/onetime", status_code=200)
async def onetime(request: ApiRequest) -> Response[bytes]:
    """POST /subscribe/payments/onetime."""
    who, cx = await caller(request), context(request)
    p = await params(request)
    customer_uid = read_customer_uid(p)
    order = read_order(request, who.store_id, p, customer_uid=customer_uid)
    card, channel_key, pg = read_card(p), p.text("channel_key", 64), p.text("pg", 80)
    if customer_uid is None:
        charged = await pay_once(cx, order, card, channel_key=channel_key, pg=pg)
        return await answer_charge(request, who.store_id, charged)
    charged, registered = await pay_and_register(cx, order, card, channel_key=channel_key, pg=pg)
    return await answer_charge(request, who.store_id, charged, note=None if registered else NOT_REGISTERED)


@post("/subscribe/payments/again", status_code=200)
async def charge_again(request: ApiRequest) -> Response[bytes]:
    """POST /subscribe/payments/again."""
    who, cx = await caller(request), context(request)
    p = await params(request)
    customer_uid = read_customer_uid(p)
    if customer_uid is None:
        raise Refused(Why.PARAMETER, name="customer_uid")
    order = read_order(request, who.store_id, p, customer_uid=customer_uid)
    charged = await again(cx, order, channel_key=p.text("channel_key", 64), pg=p.text("pg", 80))
    return await answer_charge(request, who.store_id, charged)


HANDLERS = [onetime, charge_again]
