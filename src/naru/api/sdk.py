"""What iamport.js calls: its own files, the store's channels, the check, the window, the outcome.

All of it is public: a shop's page has no secret. Questions are answered as a script (``callback=…``), which
a page's script-src lets in, or as JSON that any origin may read; none of them uses a cookie.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, cast

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from naru.api import answers, calls, pages, wire
from naru.api.guard import ApiRequest, context, limits, remote
from naru.domain.refusal import Refused, Why
from naru.domain.values import Instant, from_kst
from naru.service import checkout
from naru.service.checkout import WindowOrder

MAX_REQUEST = 64 * 1024
_SCRIPT = "text/javascript"  # sent with its charset: a shop in EUC-KR would read it in its own
_OPEN = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
_CALLBACK = re.compile(r"__imp_[0-9a-f]{32}\Z")
_ORIGIN = re.compile(r"https?://[^\s/?#\\]+\Z")
_CODES = {
    Why.ALREADY_PAID: "F1002",
    Why.STORE_UNKNOWN: "NOT_READY",
    Why.NO_CHANNEL: "F1001",
    Why.CHANNEL_UNKNOWN: "F1001",
    Why.PREPARED_DIFFERS: "F1003",
    Why.BEING_CHECKED: "F1004",
    Why.TEST_MONEY: "F1005",
}
"""``error_code`` of what is refused before a window opens; anything else is F400."""


# ---------------------------------------------------------------- files


class _File:
    """A file of the SDK, ready to be sent."""

    def __init__(self, name: str, media_type: str) -> None:
        self.body = files("naru.sdk").joinpath(name).read_bytes()
        self.small = gzip.compress(self.body, mtime=0)
        self.media_type = media_type
        self.tag = f'"{hashlib.sha256(self.body).hexdigest()[:16]}"'

    def send(self, request: ApiRequest) -> Response[bytes]:
        headers = {
            **_OPEN,
            "ETag": self.tag,
            "Cache-Control": "public, max-age=300",
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
        }
        if request.headers.get("if-none-match") == self.tag:
            return Response(b"", status_code=304, media_type=self.media_type, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(self.small, media_type=self.media_type, headers=headers)
        return Response(self.body, media_type=self.media_type, headers=headers)


_IAMPORT, _MODULE = _File("iamport.js", _SCRIPT), _File("iamport.esm.js", _SCRIPT)
_SLIP_SCRIPT, _SLIP_STYLE = _File("slip.js", _SCRIPT), _File("slip.css", "text/css; charset=utf-8")
_DOCS_STYLE = _File("docs.css", "text/css; charset=utf-8")
_PAGE_SCRIPT, _PAGE_STYLE = _File("page.js", _SCRIPT), _File("page.css", "text/css")


@get("/v1/iamport.js")
async def iamport(request: ApiRequest) -> Response[bytes]:
    """The SDK."""
    return _IAMPORT.send(request)


@get("/v1/iamport.esm.js")
async def iamport_module(request: ApiRequest) -> Response[bytes]:
    """The SDK for ``import``."""
    return _MODULE.send(request)


@get("/js/{name:str}")
async def iamport_by_old_name(request: ApiRequest, name: FromPath[str]) -> Response[bytes]:
    """``iamport.payment-1.2.0.js`` and its kind: one modern file under every old name."""
    if not re.fullmatch(r"iamport\.payment(-[0-9A-Za-z.]+)?\.js", name):
        raise Refused(Why.PAYMENT_NOT_FOUND)
    return _IAMPORT.send(request)


@get("/sdk/page.js")
async def page_script(request: ApiRequest) -> Response[bytes]:
    """The script of our own pages."""
    return _PAGE_SCRIPT.send(request)


@get("/sdk/page.css")
async def page_style(request: ApiRequest) -> Response[bytes]:
    """The style of our own pages."""
    return _PAGE_STYLE.send(request)


@get("/sdk/slip.js")
async def slip_script(request: ApiRequest) -> Response[bytes]:
    """The script of the sales slip."""
    return _SLIP_SCRIPT.send(request)


@get("/sdk/docs.css")
async def docs_style(request: ApiRequest) -> Response[bytes]:
    """The style of the API's page."""
    return _DOCS_STYLE.send(request)


@get("/sdk/slip.css")
async def slip_style(request: ApiRequest) -> Response[bytes]:
    """The style of the sales slip."""
    return _SLIP_STYLE.send(request)


# ---------------------------------------------------------------- questions


def _answer(request: ApiRequest, body: Mapping[str, Any]) -> Response[bytes]:
    """As a script that calls the page's function, or as JSON."""
    text = msgspec.json.encode(body)
    headers = {**_OPEN, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    callback = request.query_params.get("callback", "")
    if not _CALLBACK.match(callback):
        return Response(text, media_type=answers.JSON, headers=headers)
    # Text separators end lines in old scripts, not in JSON.
    text = text.replace("\u2028".encode(), b"\\u2028").replace("\u2029".encode(), b"\\u2029")
    return Response(b"/**/" + callback.encode() + b"(" + text + b");", media_type=_SCRIPT, headers=headers)


@get("/users/pg/{imp_code:str}")
async def channels(request: ApiRequest, imp_code: FromPath[str]) -> Response[bytes]:
    """GET /users/pg/{imp code}: the store's channels, the default first. Public, unlike GET /users/pg."""
    found = await checkout.channel_list(context(request), wire.segment(imp_code))
    if not found:
        message = answers.words(Refused(Why.STORE_UNKNOWN))
        return _answer(request, {"code": 1, "message": message, "data": []})
    return _answer(request, {"code": 0, "message": None, "data": found})


@get("/sdk/check")
async def check(request: ApiRequest) -> Response[bytes]:
    """Whether a payment would be refused, before a phone's page is left. Nothing is written."""
    envelope = read_envelope(request.query_params.get("request", ""))
    try:
        await checkout.check(context(request), read_order(request, envelope))
    except Refused as refusal:
        _note(request, envelope, refusal)
        return _answer(request, {"response": _told(refusal, envelope)})
    return _answer(request, {"response": None})


@get("/sdk/outcome")
async def outcome(request: ApiRequest) -> Response[bytes]:
    """What became of a request: ``none``, ``open`` or ``done`` with the callback's object.

    ``closing``: the buyer closed the window. A GET that changes something, because a script tag can do
    nothing else; the 128 random bits of the request's id stand where a token would.
    """
    cx = context(request)
    verdict = await checkout.outcome(
        cx, request.query_params.get("request", ""), closing=bool(request.query_params.get("closing"))
    )
    if verdict is None:
        return _answer(request, {"state": "none"})
    if not verdict.final:
        return _answer(request, {"state": "open", "imp_uid": verdict.stored.row.imp_uid})
    return _answer(request, {"state": "done", "response": pages.callback_object(verdict, cx)})


# ---------------------------------------------------------------- the window


@get("/sdk/window")
async def hand(request: ApiRequest) -> Response[str]:
    """Takes the request from behind the ``#``, for pages whose policy lets no form leave."""
    title = pages.words(request)["opening"]
    return pages.page(request, context(request).public_url, step="hand", title=title, said={"step": "hand"})


@post("/sdk/window", status_code=200)
async def window(request: ApiRequest) -> Response[str]:
    """Stores the payment and sends the browser on to the PG; or says why not."""
    cx = context(request)
    body = await request.body()
    text = wire.parse_form(body.decode("utf-8", "replace")).get("request") if len(body) <= MAX_REQUEST else None
    envelope = read_envelope(text if isinstance(text, str) else "")
    allowed, who = limits(request).windows, remote(request)
    try:
        allowed.demand(who, cx.clock())
        allowed.failed(who, cx.clock())
        opened = await checkout.open_window(cx, read_order(request, envelope))
    except Refused as refusal:
        _note(request, envelope, refusal)
        target = _text(envelope, "params", "m_redirect_url")
        try:
            checkout.check_redirect(target)
        except Refused:
            target = None
        return pages.refused_page(
            request, cx.public_url, device=_device(envelope), origin=_origin(envelope), redirect=target,
            request_id=_text(envelope, "request_id") or "", told=_told(refusal, envelope),
        )  # fmt: skip
    _note(request, envelope, None, opened.verdict.stored.row.imp_uid)
    if opened.form is None:
        return pages.result_page(request, cx.public_url, opened.verdict)
    return pages.open_page(request, cx.public_url, opened.verdict, opened.form)


@get("/payments/success")
async def success(request: ApiRequest) -> Response[str]:
    """The default result page."""
    return pages.default_result(request, context(request).public_url, success=True)


@get("/payments/fail")
async def fail(request: ApiRequest) -> Response[str]:
    """The default result page of a payment that was not made."""
    return pages.default_result(request, context(request).public_url, success=False)


# ---------------------------------------------------------------- reading a request


def read_envelope(text: str) -> dict[str, Any]:
    """What iamport.js sends; empty when it is nothing of the kind."""
    if len(text) > MAX_REQUEST:
        return {}
    try:
        made = wire.clean(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return cast("dict[str, Any]", made) if isinstance(made, dict) else {}


def _inner(value: object, name: str) -> object:
    return cast("dict[str, object]", value).get(name) if isinstance(value, dict) else None


def _text(envelope: object, *path: str) -> str | None:
    for name in path:
        envelope = _inner(envelope, name)
    return envelope if isinstance(envelope, str) else None


def _device(envelope: Mapping[str, Any]) -> str:
    return "mobile" if envelope.get("device") == "mobile" else "pc"


def _origin(envelope: Mapping[str, Any]) -> str:
    given = _text(envelope, "origin") or ""
    return given if _ORIGIN.match(given) and len(given) <= 300 else "null"


def _told(refusal: Refused, envelope: Mapping[str, Any]) -> dict[str, Any]:
    code = _CODES.get(refusal.why, "F400")
    return pages.refusal_object(_text(envelope, "params", "merchant_uid"), code, answers.words(refusal))


def _note(
    request: ApiRequest, envelope: Mapping[str, Any], refusal: Refused | None, imp_uid: str | None = None
) -> None:
    """For the request log."""
    given = envelope.get("params")
    values = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    code, message = (
        (0, None) if refusal is None else (1, f"[{_CODES.get(refusal.why, 'F400')}] {answers.words(refusal)}")
    )
    calls.told_page(request.scope, _text(envelope, "imp_code") or "", values, code, message, imp_uid)


def _amount(p: wire.Params) -> int:
    """A number, not a text: PortOne refuses "1004" from web pages since 2024-03-15."""
    if isinstance(p.values.get("amount"), str):
        raise Refused(Why.PARAMETER, name="amount", problem="string이 아닌 number여야 합니다")
    return p.need_amount("amount")


def _quota(params: Mapping[str, Any], p: wire.Params) -> int | None:
    """``display.card_quota``: ``[]`` is lump sum only, one number of months is preselected. Hecto's window takes
    one number, so of several the buyer chooses."""
    given = _inner(params.get("display"), "card_quota")
    if not isinstance(given, list):
        return p.integer("card_quota")
    months = sorted({m for m in cast("list[object]", given) if isinstance(m, int) and m > 1})
    return 0 if not months else months[0] if len(months) == 1 else None


def read_due(p: wire.Params) -> Instant | None:
    """``vbank_due`` in KST: a day (its end), or a day and a time, with or without separators."""
    given = p.text("vbank_due", 32)
    if given is None:
        return None
    digits = re.sub(r"[-: TZ./]", "", given)
    whole = digits + {8: "235959", 12: "00"}.get(len(digits), "")
    try:
        return from_kst(whole)
    except ValueError:
        raise Refused(
            Why.PARAMETER, name="vbank_due", problem="YYYY-MM-DD 또는 YYYYMMDDHHmmss 형식이어야 합니다"
        ) from None


def _card(params: Mapping[str, Any]) -> tuple[str | None, bool, int | None]:
    """``card.direct`` and ``card.detail``: the only card company, whether to skip the choice, instalment months."""
    card = params.get("card")
    direct = _inner(card, "direct")
    code, quota = _inner(direct, "code"), _inner(direct, "quota")
    if isinstance(direct, dict):
        if code in (None, ""):
            raise Refused(Why.PARAMETER, name="card.direct.code")
        return str(code), True, quota if isinstance(quota, int) and quota != 1 else None
    detail = _inner(card, "detail")
    if isinstance(detail, list):
        wanted = [_inner(d, "card_code") for d in cast("list[object]", detail) if _inner(d, "enabled") is True]
        if len(wanted) == 1 and wanted[0]:
            return str(wanted[0]), False, None
    return None, False, None


def read_order(request: ApiRequest, envelope: Mapping[str, Any]) -> WindowOrder:
    """A request of iamport.js. Ids that are too long are refused, texts that are only shown are cut.

    Raises Refused naming the parameter.
    """
    params = envelope.get("params")
    if not isinstance(params, dict):
        raise Refused(Why.PARAMETER, name="request", problem="iamport.js의 요청이 아닙니다")
    values = cast("dict[str, Any]", params)
    p = wire.Params(values)
    card, direct, card_quota = _card(values)
    quota = card_quota if direct else _quota(values, p)
    amount = _amount(p)
    if quota and amount < checkout.QUOTA_FROM:
        quota = 0
    return WindowOrder(
        imp_code=(_text(envelope, "imp_code") or "")[:32],
        request_id=(_text(envelope, "request_id") or "")[:64],
        device=_device(envelope),
        origin=_origin(envelope),
        merchant_uid=p.need("merchant_uid", 40),
        amount=amount,
        pay_method=p.text("pay_method", 32) or "card",
        name=p.text("name", 40, cut=True),
        tax_free=p.amount("tax_free") or 0,
        vat_amount=p.amount("vat_amount"),
        currency=p.text("currency", 16),
        buyer_name=p.text("buyer_name", 16, cut=True),
        buyer_email=p.text("buyer_email", 64, cut=True),
        buyer_tel=p.text("buyer_tel", 16, cut=True),
        buyer_addr=p.text("buyer_addr", 128, cut=True),
        buyer_postcode=p.text("buyer_postcode", 8, cut=True),
        company=p.text("company", 100, cut=True),
        company_en=p.text("company_en", 100, cut=True),
        channel_key=p.text("channelKey", 64) or p.text("channel_key", 64),
        pg=p.text("pg", 80),
        customer_uid=p.text("customer_uid", 80),
        custom_data=p.custom_data(),
        notice_urls=p.notice_urls(lambda _url: None),
        confirm_url=p.text("confirm_url", 500),
        redirect_url=p.text("m_redirect_url"),
        quota=quota,
        card=card,
        direct=direct,
        app_scheme=p.text("app_scheme", 100),
        vbank_due=read_due(p),
        user_agent=request.headers.get("user-agent", "")[:400] or None,
        remote=remote(request)[:45] or None,
    )


HANDLERS = [
    iamport, iamport_module, iamport_by_old_name, page_script, page_style, docs_style, slip_script, slip_style,
    channels, check, outcome, hand, window,
    success, fail,
]  # fmt: skip
