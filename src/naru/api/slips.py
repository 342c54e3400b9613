"""``/slips/{imp_uid}/{sign}``: the sales slip (매출전표) behind ``receipt_url``.

The sign is a keyed hash of the number, so that nobody can walk through other people's slips. A live
channel's slip is Hecto's own page, reached by a form that a browser posts (M26); elsewhere it is ours.
"""

from __future__ import annotations

import hmac
from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Response, get
from litestar.params import FromPath

from naru.api.guard import ApiRequest, context
from naru.api.templates import template
from naru.api.wire import slip_sign
from naru.domain.channel import Environment
from naru.domain.tax import split
from naru.domain.values import kst_stamp
from naru.service.slips import Slip, find

_PAGE = template("slip.html")
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; base-uri 'none'; "
    "frame-ancestors 'none'; form-action {}"
)
KOREAN: Final = {
    "lang": "ko",
    "title": "매출전표",
    "print": "인쇄",
    "pgs": "헥토파이낸셜 전표 보기",
    "shop": "상점",
    "order": "주문번호",
    "name": "상품명",
    "buyer": "구매자",
    "method": "결제수단",
    "card": "카드",
    "number": "카드번호",
    "quota": "할부",
    "lump": "일시불",
    "months": "{}개월",
    "approval": "승인번호",
    "bank": "은행",
    "paid_at": "결제일시",
    "supply": "공급가액",
    "vat": "부가세",
    "free": "비과세",
    "total": "합계",
    "state": "거래 상태",
    "paid": "승인",
    "partly": "부분 취소",
    "whole": "전액 취소",
    "back": "취소",
    "left": "취소 후 금액",
    "tid": "거래번호",
    "imp_uid": "결제번호",
    "receipt": "현금영수증",
    "test": "시험 결제의 전표입니다. 실제 돈이 움직이지 않았으며 증빙으로 쓸 수 없습니다.",
    "missing": "전표를 찾을 수 없습니다",
    "missing_why": "주소가 올바르지 않거나 아직 결제되지 않았습니다.",
    "other": "English",
    "going": "헥토파이낸셜의 매출전표로 이동합니다.",
    "go": "전표 보기",
    "won": "{}원",
    "methods": {"card": "신용카드", "trans": "실시간 계좌이체", "vbank": "가상계좌", "phone": "휴대폰"},
}
ENGLISH: Final = {
    "lang": "en",
    "title": "Sales slip",
    "print": "Print",
    "pgs": "Hecto Financial's slip",
    "shop": "Merchant",
    "order": "Order",
    "name": "Item",
    "buyer": "Buyer",
    "method": "Paid by",
    "card": "Card",
    "number": "Card number",
    "quota": "Instalments",
    "lump": "Single payment",
    "months": "{} months",
    "approval": "Approval no.",
    "bank": "Bank",
    "paid_at": "Paid at",
    "supply": "Net amount",
    "vat": "VAT",
    "free": "Tax-free",
    "total": "Total",
    "state": "State",
    "paid": "approved",
    "partly": "partly cancelled",
    "whole": "cancelled",
    "back": "Cancelled",
    "left": "After cancels",
    "tid": "Transaction",
    "imp_uid": "Payment",
    "receipt": "Cash receipt",
    "test": "This slip is of a test payment. No real money moved; it proves nothing.",
    "missing": "There is no such slip",
    "missing_why": "The address is wrong, or nothing has been paid yet.",
    "other": "한국어",
    "going": "Taking you to Hecto Financial's slip.",
    "go": "Show the slip",
    "won": "₩{}",
    "methods": {"card": "Card", "trans": "Bank transfer", "vbank": "Virtual account", "phone": "Mobile phone bill"},
}


def _words(request: ApiRequest) -> dict[str, Any]:
    asked = request.query_params.get("lang") or request.headers.get("accept-language", "ko")
    return KOREAN if asked[:2].lower() in ("ko", "*", "") else ENGLISH


def _time(at: int) -> str:
    s = kst_stamp(at)
    return f"{s[:4]}-{s[4:6]}-{s[6:8]} {s[8:10]}:{s[10:12]}:{s[12:]} KST"


def _page(request: ApiRequest, status: int = 200, target: str = "", **values: Any) -> Response[str]:
    cx = context(request)
    headers = {
        "Content-Security-Policy": _POLICY.format(target or "'none'"),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex",
    }
    shown = {"t": _words(request), "base": urlsplit(cx.public_url).path, "slip": None, "form": None, **values}
    return Response(_PAGE.render(**shown), status_code=status, media_type="text/html; charset=UTF-8", headers=headers)


@get("/slips/{imp_uid:str}/{sign:str}")
async def slip(request: ApiRequest, imp_uid: FromPath[str], sign: FromPath[str]) -> Response[str]:
    """The slip of a paid payment."""
    cx = context(request)
    if not hmac.compare_digest(sign.encode(), slip_sign(cx.vault, imp_uid).encode()):
        return _page(request, 404)
    found = await find(cx, imp_uid)
    if found is None:
        return _page(request, 404)
    form = cx.gateway.slip_form(found.channel, found.to_pg)
    host = "{0.scheme}://{0.netloc}".format(urlsplit(form.url))
    if found.channel.environment is Environment.LIVE:
        return _page(request, target=host, form=form, going=True)
    return _page(request, target=host, form=form, going=False, **_shown(found))


def _shown(found: Slip) -> dict[str, Any]:
    r = found.row
    parts = split(r.amount, r.tax_free, r.vat_amount) if r.amount else split(found.received, 0)
    left = found.received - sum(e.amount for e in found.back)
    return {
        "slip": r,
        "state": "paid" if not found.back else "partly" if left else "whole",
        "shop": found.channel.merchant_name,
        "parts": parts,
        "paid_at": _time(r.paid_at),
        "backs": [{"id": e.id, "at": _time(e.at), "amount": e.amount, "reason": e.reason} for e in found.back],
        "left": left,
        "receipt": found.receipt,
        "total": r.amount or found.received,
    }


HANDLERS = [slip]
