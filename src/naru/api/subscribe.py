"""What the ``/subscribe/…`` routes share: cards and orders read, charges answered."""

from __future__ import annotations

import re
from typing import Any

from litestar import Response

from naru.api import answers, wire
from naru.api.guard import ApiRequest, context, remote
from naru.domain.outcome import Declined, NotSent, Outcome
from naru.domain.payment import Status, show
from naru.domain.refusal import Refused, Why
from naru.pan import Card, CardNumber, CardSecret
from naru.service.keyin import CardOrder, Charged
from naru.service.settle import TOLD_UNKNOWN
from naru.store import views

_EXPIRY = re.compile(r"(20\d\d)-?(0[1-9]|1[0-2])\Z")
CARD_REFUSED = "카드정보 인증에 실패하였습니다."


def read_card(p: wire.Params) -> Card:
    """The card of a request, in types that cannot be shown. Raises Refused naming the parameter, never its value."""
    number = CardNumber.parse(p.need("card_number"))
    if number is None:
        raise Refused(Why.CARD_NUMBER)
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
    """What a shop says about an API payment. Ids that are too long are refused, texts that are only shown are cut.

    Parameters of other PGs (``bypass``, ``promotion_id``, ``use_card_point``, ``cvc`` …) are accepted
    and not kept: Hecto has no place for them, and a free-text field may hold card data.
    """
    currency = p.text("currency")
    if currency not in (None, "KRW"):
        raise Refused(Why.PARAMETER, name="currency", problem="KRW만 지원합니다")
    if (product := p.text("product_type")) not in (None, "real", "digital"):
        raise Refused(Why.PARAMETER, name="product_type", problem="real 또는 digital이어야 합니다")
    merchant_uid = p.need("merchant_uid", 40)
    vat = p.amount("vat_amount")
    extra = {"browser_ip": p.text("browser_ip", 45, cut=True) or remote(request), "product_type": product}
    values: dict[str, Any] = {
        "store_id": store_id,
        "merchant_uid": merchant_uid,
        "amount": p.need_amount("amount"),
        "name": p.text("name", 40, cut=True) or merchant_uid,
        "tax_free": p.amount("tax_free") or 0,
        # Typed clients send 0 for "not given"; then VAT is an eleventh of the taxable part.
        "vat_amount": (p.amount("vat") if vat is None else vat) or None,
        "quota": p.integer("card_quota") or 0,
        "buyer_name": p.text("buyer_name", 16, cut=True),
        "buyer_email": p.text("buyer_email", 64, cut=True),
        "buyer_tel": p.text("buyer_tel", 16, cut=True),
        "buyer_addr": p.text("buyer_addr", 128, cut=True),
        "buyer_postcode": p.text("buyer_postcode", 8, cut=True),
        "custom_data": p.custom_data(),
        "notice_urls": p.notice_urls(lambda _url: None),
        "user_agent": request.headers.get("user-agent", "")[:400] or None,
        "extra": {name: value for name, value in extra.items() if value},
    }
    return CardOrder(**{**values, **more})


def read_customer_uid(p: wire.Params) -> str | None:
    """``customer_uid`` of a body."""
    return p.text("customer_uid", 80)


def why_failed(outcome: Outcome) -> str:
    """The sentence a shop gets about a charge that did not come off, with the PG's own code."""
    match outcome:
        case Declined():
            return f"{CARD_REFUSED} [{outcome.code}] {outcome.message}"
        case NotSent():
            return f"결제에 실패하였습니다. {outcome.message}"
        case _:
            return TOLD_UNKNOWN


async def answer_charge(
    request: ApiRequest, store_id: int, charged: Charged, *, note: str | None = None
) -> Response[bytes]:
    """A settled charge as V1 tells it: the payment (with *note* as the envelope's message), or code -1 and why."""
    cx = context(request)
    if show(charged.settled.payment).status is Status.FAILED:
        return answers.fail(why_failed(charged.outcome))
    view = views.of_row(charged.settled.after)
    if view is None:
        view = await cx.db.glance(views.payment, store_id, charged.settled.payment.imp_uid)
    assert view is not None
    return answers.envelope(0, note, wire.payment_object(view, cx))
