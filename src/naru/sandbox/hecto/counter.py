"""The windows' pages over HTTP: opening, choosing, authenticating, and the posts back to the merchant."""

import asyncio
from typing import Any

from litestar import MediaType, Request, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Redirect

from naru.connectors.hecto.messages import BadMessage, read_form
from naru.sandbox.hecto import codes, connection, windowpay, windows
from naru.sandbox.hecto.faults import Fault
from naru.sandbox.hecto.front import PAGE_HEADERS, page
from naru.sandbox.hecto.room import Room
from naru.sandbox.hecto.windows import Rejected, Window

Asked = Request[Any, Any, Any]
INSTALMENT_FROM_WON = 50_000
TITLES = {"CA": "신용카드", "RA": "계좌이체", "VA": "가상계좌", "MP": "휴대폰"}


def handlers(room: Room) -> list[HTTPRouteHandler]:
    @post(list(windows.OPENS), status_code=200)
    async def open_window(request: Asked) -> Response[Any]:
        try:
            form = read_form(await request.body(), request.headers.get("content-type", ""))
            window = windows.open_window(room, request.url.path.rstrip("/"), form)
        except BadMessage:
            return _json({"outStatCd": "0031", "outRsltCd": "6001", "outRsltMsg": codes.TEXTS["6001"]})
        except Rejected as rejected:
            return _json(rejected.body)
        return Redirect(f"/window/{window.token}", status_code=303)

    @get("/window/{token:str}")
    async def choose(token: FromPath[str]) -> Response[Any]:
        window = _look(room, token)
        if window.state != "open":
            return _to_result(window)
        if window.form.get("direct") and _by_company(room, window):
            return Redirect(f"/window/{window.token}/auth", status_code=303)
        return _page(room, window, "window_choose.html")

    @get("/window/{token:str}/auth")
    async def authenticate(request: Asked, token: FromPath[str]) -> Response[Any]:
        window = _look(room, token)
        if window.state != "open":
            return _to_result(window)
        chosen = {name: value for name, value in request.query_params.items() if name in _CHOICES}
        return _page(room, window, "window_auth.html", chosen=chosen)

    @post("/window/{token:str}/pay", status_code=200)
    async def pay(request: Asked, token: FromPath[str]) -> Response[Any]:
        window = _look(room, token)
        if window.state != "open":
            return _to_result(window)
        try:
            chosen = read_form(await request.body(), request.headers.get("content-type", ""))
        except BadMessage:
            raise NotFoundException from None
        if chosen.get("outcome") == "no_answer":
            return Redirect(f"/window/{token}/waiting", status_code=303)
        fault = room.faults.take_exchange(window.message, window.mid, window.form["mchtTrdNo"])
        if fault is not None:
            return await _play(room, fault, request, window, chosen)
        return await _decide(room, window, chosen)

    @get("/window/{token:str}/waiting")
    async def waiting(token: FromPath[str]) -> Response[Any]:
        window = _look(room, token)
        return _to_result(window) if window.state != "open" else _page(room, window, "window_waiting.html")

    @post("/window/{token:str}/close", status_code=200)
    async def close(token: FromPath[str]) -> Response[Any]:
        return _to_result(windows.close(room, _look(room, token)))

    @get("/window/{token:str}/result")
    async def result(token: FromPath[str]) -> Response[Any]:
        window = _look(room, token)
        if window.state == "open":
            return Redirect(f"/window/{token}", status_code=303)
        url, fields = windows.posted(room, window)
        return _page(room, window, "window_result.html", url=url, fields=fields)

    return [open_window, choose, authenticate, pay, waiting, close, result]


_CHOICES = frozenset({"issuer", "instmtMon", "bank", "account", "depositor", "telco", "phone"})


def _look(room: Room, token: str) -> Window:
    window = windows.look(room, token)
    if window is None:
        raise NotFoundException(detail="결제창을 찾을 수 없습니다.")
    return window


async def _decide(room: Room, window: Window, chosen: dict[str, str]) -> Response[Any]:
    """Decides, tells the merchant's server first, then shows the result."""
    ended, notis = windowpay.decide(room, window, chosen)
    await room.sender.deliver(notis)
    return _to_result(ended)


async def _play(room: Room, fault: Fault, request: Asked, window: Window, chosen: dict[str, str]) -> Response[Any]:
    """The faults that a window can have; any other is played as a plain payment."""
    match fault.name:
        case "error_code" | "unknown_code":
            result = windows.failure(
                window, fault.code, fault.text or codes.TEXTS.get(fault.code, "알 수 없는 오류입니다.")
            )
            return _to_result(windows.end(room, window, "done", result))
        case "delay":
            await asyncio.sleep(fault.ms / 1000)
        case "request_lost" | "reset_before":
            await connection.reset(request.scope, request.receive)
            return _to_result(window)
        case "reset_after" | "answer_lost" | "half_body" | "http_500":
            response = await _decide(room, window, chosen)
            if fault.name == "answer_lost":
                await connection.hang(request.scope, request.receive)
            elif fault.name != "http_500":
                await connection.reset(request.scope, request.receive)
            else:
                return Response(b"Internal Server Error", status_code=500, media_type=MediaType.TEXT)
            return response
        case "wrong_amount" | "wrong_ids":
            ended, notis = windowpay.decide(room, window, chosen)
            await room.sender.deliver(notis)
            name = "trdAmt" if fault.name == "wrong_amount" else "mchtTrdNo"
            wrong = str(window.amount + 1) if name == "trdAmt" else ended.result["mchtTrdNo"] + "_"
            windows.rewrite(room, ended, ended.result | {name: wrong})
            return _to_result(ended)
        case _:
            pass
    return await _decide(room, window, chosen)


def _to_result(window: Window) -> Response[Any]:
    return Redirect(f"/window/{window.token}/result", status_code=303)


def _by_company(room: Room, window: Window) -> bool:
    merchant = room.merchants.get(window.mid)
    return merchant is not None and merchant.card == "window"


def _page(room: Room, window: Window, template: str, **more: Any) -> Response[bytes]:
    merchant = room.merchants.get(window.mid)
    assert merchant is not None
    form = window.form
    only = form.get("cardGb", "")
    issuers = {only: codes.ISSUERS[only]} if only else codes.ISSUERS
    months = [f"{n:02}" for n in range(2, 13)] if window.amount >= INSTALMENT_FROM_WON else []
    return page(
        template,
        headers=PAGE_HEADERS,
        window=window,
        form=form,
        merchant=merchant,
        title=TITLES[window.method],
        issuers=issuers,
        months=months,
        banks=codes.VBANK_BANKS if window.method == "VA" else codes.BANKS,
        telcos=codes.TELCOS,
        declines={code: codes.TEXTS[code] for code in windowpay.DECLINES[window.method]},
        fake_code=windowpay.FAKE_CODE,
        minutes_left=max(0, -(-(window.opened_ms + windows.LIFE_MS - room.clock.now()) // 60_000)),
        **more,
    )


def _json(body: dict[str, str]) -> Response[Any]:
    return Response(body, status_code=200, headers={"Content-Type": "application/json; charset=UTF-8"})
