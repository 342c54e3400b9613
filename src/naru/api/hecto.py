"""What Hecto calls: notis (both paths take every kind), the question before a deposit, and the way back of browsers."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from naru import logs
from naru.api import pages
from naru.api.guard import ApiRequest, context, limits, remote
from naru.service import checkout, deposits, notices
from naru.store.db import Unavailable

log = logs.logger("hecto")


@post(["/settle_payments/notice", "/settle_payments/notice_vbank"], status_code=200)
async def notice(request: ApiRequest) -> Response[bytes]:
    """A noti: exactly ``OK`` once it is committed, ``FAIL`` otherwise."""
    cx, body = context(request), await request.body()
    wrong, who = limits(request).notices, remote(request)
    content_type = request.headers.get("content-type", "")
    if len(body) > notices.MAX_BODY:
        log.warning("notice.too_large", size=len(body), remote=who)
        wrong.failed(who, cx.clock())
        return _plain(b"FAIL")
    try:
        # Whoever has sent much rubbish may still be the proxy that Hecto's own words come through.
        if wrong.spent(who, cx.clock()) and not await notices.authentic(cx, body, content_type):
            return _plain(b"FAIL")
        good = await notices.receive(
            cx,
            path=request.scope["path"][:80],
            remote=who[:64],
            content_type=content_type,
            body=body,
        )
        if not good and not await notices.authentic(cx, body, content_type):
            wrong.failed(who, cx.clock())
    except Unavailable as away:
        cx.note_unavailable(log, "notice.unavailable", away)
        return _plain(b"FAIL")
    except Exception:
        log.exception("notice.failed")  # ours, not the sender's: not counted
        return _plain(b"FAIL")
    return _plain(b"OK" if good else b"FAIL")


@post("/settle_payments/precheck_vbank", status_code=200)
async def precheck(request: ApiRequest) -> Response[bytes]:
    """The deposit pre-check (수취조회, M19). Anything but a clear "0000" keeps the bank from letting the deposit in."""
    body = await request.body()
    content_type = request.headers.get("content-type", "")
    if len(body) > notices.MAX_BODY:
        log.warning("precheck.too_large", size=len(body), remote=remote(request))
        body = b""
    answer, answer_type = await deposits.answer_precheck(
        context(request), path=request.scope["path"][:80], remote=remote(request)[:64], content_type=content_type,
        body=body,
    )  # fmt: skip
    return Response(answer, status_code=200, media_type=answer_type)


def _plain(text: bytes) -> Response[bytes]:
    return Response(text, status_code=200, media_type="text/plain")


@post(
    ["/settle_payments/next/{imp_uid:str}/{secret:str}", "/settle_payments/cancel/{imp_uid:str}/{secret:str}"],
    status_code=200,
)
async def landing(request: ApiRequest, imp_uid: FromPath[str], secret: FromPath[str]) -> Response[Any]:
    """nextUrl and cancUrl: the buyer is back. Unsigned, so it only makes us look; answered when we know."""
    cx = context(request)
    body = await request.body()
    said = cx.gateway.read_landing(body[: notices.MAX_BODY], request.headers.get("content-type", ""))
    closed = request.scope["path"].startswith("/settle_payments/cancel/")
    verdict = await checkout.landed(cx, imp_uid, secret, said, closed=closed)
    if verdict is None:
        return pages.noted_page(request, cx.public_url)
    if verdict.stored.row.route == "mobile":
        told = pages.callback_object(verdict, cx)
        return Redirect(pages.redirect_url(verdict.window["redirect"], cx.public_url, told), status_code=302)
    # A reload of the answer must not post again.
    return Redirect(f"{cx.public_url}/settle_payments/next/{imp_uid}/{secret}", status_code=303)


@get(["/settle_payments/next/{imp_uid:str}/{secret:str}", "/settle_payments/cancel/{imp_uid:str}/{secret:str}"])
async def landed(request: ApiRequest, imp_uid: FromPath[str], secret: FromPath[str]) -> Response[str]:
    """The result page, as often as it is loaded."""
    cx = context(request)
    verdict = await checkout.landed(cx, imp_uid, secret, None, closed=False)
    if verdict is None:
        return pages.noted_page(request, cx.public_url)
    return pages.result_page(request, cx.public_url, verdict)


@post(["/settle_payments/next", "/settle_payments/cancel"], status_code=200)
async def came_back(request: ApiRequest) -> Response[str]:
    """Back without the payment's secret: look at what is named, and tell nothing."""
    cx = context(request)
    body = await request.body()
    await checkout.look_soon(cx, cx.gateway.read_landing(body[: notices.MAX_BODY], "").number)
    return pages.noted_page(request, cx.public_url)


@get(["/settle_payments/next", "/settle_payments/cancel"])
async def came_back_idly(request: ApiRequest) -> Response[str]:
    """The same by hand."""
    return pages.noted_page(request, context(request).public_url)


HANDLERS = [notice, precheck, landing, landed, came_back, came_back_idly]
