"""``/subscribe/…``: card data over the API."""

from __future__ import annotations

import re
from typing import Any

from litestar import Response, post

from naru.api import answers, wire
from naru.api.guard import ApiRequest, caller, context, params
from naru.domain.outcome import Declined, NotSent, Outcome
from naru.domain.payment import Status, show
from naru.domain.refusal import Refused, Why
from naru.pan import Card, CardNumber, CardSecret
from naru.service.keyin import CardOrder, Charged, pay_once
from naru.service.settle import TOLD_UNKNOWN
from naru.store import views

_EXPIRY = re.compile(r"(20\d\d)-?(0[1-9]|1[0-2])\Z")
CARD_REFUSED = "카드정보 인증에 실패하였습니다."


def read_card(p: wire.Params) -> Card:
    """The card of a request, in types that cannot be shown. Raises Refused naming the parameter, never its value."""
    number = CardNumber.parse(p.need("card_number"))
    if number is None:
        raise Refused(Why.PARAMETER, name="card_number", problem="유효하지않은 카드번호를 입력하셨습니다.", code=-1)
    expiry = _EXPIRY.match(p.need("expiry"))
    if expiry is None:
        raise Refused(Why.PARAMETER, name="expiry", problem="YYYY-MM 형식이어야 합니다")
    birth, password = p.text("birth"), p.text("pwd_2digit")
    if birth is not None and not re.fullmatch(r"\d{6}|\d{10}", birth := birth.replace("-", "")):
        raise Refused(Why.PARAMETER, name="birth", problem="생년월일 6자리 또는 사업자등록번호 10자리여야 합니다")
    if password is not None and not re.fullmatch(r"\d{2}", password):
        raise Refused(Why.PARAMETER, name="pwd_2digit", problem="비밀번호 앞 2자리여야 합니다")
    return Card(
        number,
        CardSecret(expiry.group(1) + expiry.group(2)),
        CardSecret(birth) if birth else None,
        CardSecret(password) if password else None,
    )


def read_order(request: ApiRequest, store_id: int, p: wire.Params, **more: Any) -> CardOrder:
    """What a shop says about an API payment. Ids that are too long are refused, texts that are only shown are cut."""
    currency = p.text("currency")
    if currency not in (None, "KRW"):
        raise Refused(Why.PARAMETER, name="currency", problem="KRW만 지원합니다")
    merchant_uid = p.need("merchant_uid", 40)
    values: dict[str, Any] = {
        "store_id": store_id,
        "merchant_uid": merchant_uid,
        "amount": p.need_amount("amount"),
        "name": p.text("name", 40, cut=True) or merchant_uid,
        "tax_free": p.amount("tax_free") or 0,
        "vat_amount": None,
        "quota": p.integer("card_quota") or 0,
        "buyer_name": p.text("buyer_name", 16, cut=True),
        "buyer_email": p.text("buyer_email", 64, cut=True),
        "buyer_tel": p.text("buyer_tel", 16, cut=True),
        "buyer_addr": p.text("buyer_addr", 128, cut=True),
        "buyer_postcode": p.text("buyer_postcode", 8, cut=True),
        "custom_data": p.custom_data(),
        "notice_urls": p.notice_urls(lambda _url: None),
        "user_agent": request.headers.get("user-agent", "")[:400] or None,
    }
    return CardOrder(**{**values, **more})


def why_failed(outcome: Outcome) -> str:
    """The sentence a shop gets about a charge that did not come off, with the PG's own code."""
    match outcome:
        case Declined():
            return f"{CARD_REFUSED} [{outcome.code}] {outcome.message}"
        case NotSent():
            return f"결제에 실패하였습니다. {outcome.message}"
        case _:
            return TOLD_UNKNOWN


async def answer_charge(request: ApiRequest, store_id: int, charged: Charged) -> Response[bytes]:
    """A settled charge as V1 tells it: the payment, or code -1 and why."""
    cx = context(request)
    if show(charged.settled.payment).status is Status.FAILED:
        return answers.fail(why_failed(charged.outcome))
    view = await cx.db.glance(views.payment, store_id, charged.settled.payment.imp_uid)
    assert view is not None
    return answers.ok(wire.payment_object(view, cx.public_url))


@post("/subscribe/payments/onetime", status_code=200)
async def onetime(request: ApiRequest) -> Response[bytes]:
    """POST /subscribe/payments/onetime."""
    who, cx = await caller(request), context(request)
    p = await params(request)
    order = read_order(request, who.store_id, p)
    charged = await pay_once(cx, order, read_card(p), channel_key=p.text("channel_key", 64), pg=p.text("pg", 80))
    return await answer_charge(request, who.store_id, charged)


HANDLERS = [onetime]
