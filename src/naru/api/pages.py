"""The gateway's own pages in the popup and on the phone, and what they tell the shop's page."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlsplit

from litestar import Response

from naru.api import wire
from naru.api.guard import ApiRequest, context
from naru.api.templates import template
from naru.domain.values import unix
from naru.service.checkout import CHECKING_CODE, Verdict
from naru.service.context import Context
from naru.service.ports import WindowForm

_PAGE = template("page.html")

HEADERS = {
    # No form-action: the form goes to the PG's host, which may send it on to another.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "X-Content-Type-Options": "nosniff",
}

KOREAN = {
    "lang": "ko", "opening": "결제창으로 이동하고 있습니다.", "noscript": "결제하려면 자바스크립트를 켜 주세요.",
    "lost": "결제 정보를 받지 못했습니다.", "lost_help": "상점으로 돌아가 다시 시도해 주세요.",
    "noscript_open": "아래 단추를 누르면 결제창이 열립니다.", "go_on": "결제창 열기",
    "going_back": "상점으로 돌아가고 있습니다.", "close_me": "이 창을 닫고 상점의 주문 내역을 확인해 주세요.",
    "to_shop": "상점으로 돌아가기", "close": "창 닫기",
    "paid": "결제가 완료되었습니다", "issued": "가상계좌가 발급되었습니다",
    "failed": "결제하지 못했습니다", "checking": "결제 결과를 확인하고 있습니다", "noted": "결제창을 나왔습니다",
    "name": "상품", "amount": "금액", "won": "{}원", "order": "주문번호", "account": "입금 계좌",
}  # fmt: skip
ENGLISH = {
    "lang": "en", "opening": "Taking you to the payment window.", "noscript": "Please turn on JavaScript to pay.",
    "lost": "The payment details did not arrive.", "lost_help": "Please go back to the shop and try again.",
    "noscript_open": "The button below opens the payment window.", "go_on": "Open payment window",
    "going_back": "Taking you back to the shop.", "close_me": "You can close this window; your order is at the shop.",
    "to_shop": "Back to the shop", "close": "Close window", "paid": "Your payment is complete",
    "issued": "Your virtual account is ready", "failed": "The payment was not made",
    "checking": "We are checking your payment", "noted": "You have left the payment window",
    "name": "Item", "amount": "Amount", "won": "₩{}", "order": "Order", "account": "Account",
}  # fmt: skip


def words(request: ApiRequest) -> dict[str, str]:
    """The buyer's language: Korean unless the browser prefers another."""
    first = request.headers.get("accept-language", "ko")[:2].lower()
    return KOREAN if first in ("ko", "*") or not first.strip() else ENGLISH


def page(request: ApiRequest, public_url: str, *, status: int = 200, **values: Any) -> Response[str]:
    """One of our pages, with headers that let in no script but our own."""
    shown: dict[str, Any] = {"t": words(request), "base": urlsplit(public_url).path, **values}
    return Response(_PAGE.render(**shown), status_code=status, media_type="text/html", headers=HEADERS)


def origin_of(url: str) -> str:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


# ---------------------------------------------------------------- what the shop is told


def callback_object(verdict: Verdict, cx: Context) -> dict[str, Any]:
    """PortOne's whole legacy callback object. On success it has no error keys at all (PortOne V1)."""
    r = verdict.stored.row
    told: dict[str, Any] = {
        "success": verdict.success,
        "imp_success": verdict.success,
        "imp_uid": r.imp_uid,
        "pay_method": r.pay_method,
        "merchant_uid": r.merchant_uid,
        "name": r.name,
        "paid_amount": r.amount,
        "currency": r.currency,
        "pg_provider": "settle",
        "pg_type": "payment",
        "pg_tid": r.pg_tid,
        "apply_num": r.apply_num if r.pay_method == "card" else "",
        "emb_pg_provider": r.emb_pg_provider,
        "buyer_name": r.buyer_name,
        "buyer_email": r.buyer_email,
        "buyer_tel": r.buyer_tel,
        "buyer_addr": r.buyer_addr,
        "buyer_postcode": r.buyer_postcode,
        "custom_data": r.custom_data,
        "status": r.status,
        "paid_at": unix(r.paid_at),
        "receipt_url": wire.receipt_url(r, cx),
        "card_name": r.card_name,
        "bank_name": r.bank_name,
        "card_quota": r.card_quota,
        "card_number": r.card_number,
    }
    if r.pay_method == "vbank":
        told |= {
            "vbank_num": r.vbank_num,
            "vbank_name": r.vbank_name,
            "vbank_holder": r.vbank_holder,
            "vbank_date": unix(r.vbank_due),
        }
    if not verdict.success:
        told |= {"error_code": verdict.code, "error_msg": verdict.message}
    return told


def refusal_object(merchant_uid: str | None, code: str, message: str) -> dict[str, Any]:
    """What the callback hears when no payment was made."""
    return {
        "success": False,
        "imp_success": False,
        "imp_uid": None,
        "merchant_uid": merchant_uid,
        "error_code": code,
        "error_msg": message,
    }


def plain(text: str) -> str:
    """Without what breaks clients that decode a whole URL before they split it (PortOne V1)."""
    return text.translate(str.maketrans({"&": "＆", "=": "＝", "#": "＃", "%": "％"}))


def redirect_url(target: str | None, public_url: str, told: dict[str, Any]) -> str:
    """``m_redirect_url`` with the result merged into its query and its fragment kept; else our own result page."""
    result = {"imp_uid": told["imp_uid"], "merchant_uid": told["merchant_uid"]}
    if not told["success"]:
        result |= {"error_code": told["error_code"], "error_msg": plain(str(told["error_msg"] or ""))}
    success = "true" if told["success"] else "false"
    if target:
        result = {**dict(list(result.items())[:2]), "imp_success": success, **dict(list(result.items())[2:])}
        address, hash_mark, fragment = target.partition("#")
    else:
        result = {"success": success, **result}
        address, hash_mark, fragment = f"{public_url}/payments/{'success' if told['success'] else 'fail'}", "", ""
    path, _, query = address.partition("?")
    pairs = [p for p in query.split("&") if p and p.split("=")[0] not in result]
    pairs += [f"{name}={quote(str(value), safe='')}" for name, value in result.items() if value is not None]
    return f"{path}?{'&'.join(pairs)}{hash_mark}{fragment}"


# ---------------------------------------------------------------- pages


def open_page(request: ApiRequest, public_url: str, verdict: Verdict, form: WindowForm) -> Response[str]:
    """Says hello to the shop's page and posts the form to the PG."""
    t = words(request)
    r, window = verdict.stored.row, verdict.window
    said = {
        "step": "open",
        "device": r.route,
        "origin": window["origin"],
        "imp_uid": r.imp_uid,
        "returns_at": origin_of(public_url),
    }
    return page(request, public_url, step="open", title=t["opening"], said=said, form=form)


def result_page(request: ApiRequest, public_url: str, verdict: Verdict) -> Response[str]:
    """The result, for the shop's page where it still listens, and for the buyer's eyes."""
    t = words(request)
    r, window = verdict.stored.row, verdict.window
    told = callback_object(verdict, context(request))
    said: dict[str, Any] = {"step": "result", "device": r.route}
    if r.route == "mobile":
        said["redirect"] = redirect_url(window["redirect"], public_url, told)
    else:
        said |= {"origin": window["origin"], "request_id": window["request"], "response": told}
    waiting = verdict.code == CHECKING_CODE
    kind = ("issued" if r.status == "ready" else "paid") if verdict.success else "checking" if waiting else "failed"
    facts = [(t["name"], r.name), (t["amount"], t["won"].format(f"{r.amount:,}")), (t["order"], r.merchant_uid)]
    if kind == "issued":
        facts.append((t["account"], f"{r.vbank_name or ''} {r.vbank_num}".strip()))
    shop = redirect_url(window["redirect"], public_url, told) if window["redirect"] else None
    return page(
        request, public_url, step="result", device=r.route, said=said, title=t[kind], facts=facts, shop=shop,
        mark={"failed": "bad", "checking": "wait"}.get(kind, "good"),
        text=None if verdict.success or waiting else verdict.message,
    )  # fmt: skip


def refused_page(
    request: ApiRequest, public_url: str, *, device: str, origin: str, request_id: str, redirect: str | None,
    told: dict[str, Any],
) -> Response[str]:  # fmt: skip
    """Nothing was opened. Told like a result; a redirect is done by the page, because a shop's form-action policy
    would stop one that answers its form."""
    t = words(request)
    said: dict[str, Any] = {"step": "result", "device": device}
    if device == "mobile":
        said["redirect"] = redirect_url(redirect, public_url, told)
    else:
        said |= {"origin": origin, "request_id": request_id, "response": told}
    return page(
        request, public_url, step="result", device=device, said=said, title=t["failed"], mark="bad",
        text=told["error_msg"], facts=None, shop=redirect_url(redirect, public_url, told) if redirect else None,
    )  # fmt: skip


def noted_page(request: ApiRequest, public_url: str) -> Response[str]:
    """For somebody who is back from a window but shows no secret: nothing about any payment."""
    t = words(request)
    said = {"step": "bridge"}
    return page(request, public_url, step="noted", title=t["noted"], mark="wait", text=t["close_me"], said=said)


def default_result(request: ApiRequest, public_url: str, *, success: bool) -> Response[str]:
    """Where a phone lands whose shop gave no ``m_redirect_url``: the result for the buyer and for an app's bridge."""
    t = words(request)
    query = {
        name: value[:500]
        for name, value in request.query_params.items()
        if re.fullmatch(r"(imp_)?success|imp_uid|merchant_uid|error_code|error_msg", name)
    }
    facts = [(t["order"], query["merchant_uid"])] if query.get("merchant_uid") else None
    return page(
        request, public_url, step="bridge", device="mobile", title=t["paid" if success else "failed"],
        mark="good" if success else "bad", text=None if success else query.get("error_msg"), facts=facts,
        said={"step": "bridge", "response": query},
    )  # fmt: skip
