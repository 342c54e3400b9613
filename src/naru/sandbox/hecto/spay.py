"""`/spay/*.do` over HTTP: one request, one decision, one answer, or what a fault makes of it."""

import asyncio
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.handlers import ASGIRouteHandler, HTTPRouteHandler, asgi, get
from litestar.types import Receive, Scope, Send

from naru.connectors.hecto import messages
from naru.sandbox.hecto import codes, connection, deposits
from naru.sandbox.hecto.desk import Body, Exchange, explain, refuse
from naru.sandbox.hecto.faults import Fault
from naru.sandbox.hecto.room import Room
from naru.sandbox.hecto.trades import NEVER

PATHS = sorted({m.path for m in messages.ALL if m.transport is messages.Transport.JSON})
_JSON = b"application/json; charset=UTF-8"
_LONGEST_BODY = 65_536
_encode = msgspec.json.Encoder().encode


def simulator(room: Room) -> HTTPRouteHandler:
    """Hecto's own deposit simulator (M18): any amount, plain query, no seal."""

    @get(messages.DEPOSIT_TEST.path)
    async def deposit_test(request: Request[Any, Any, Any]) -> Response[dict[str, str]]:
        head = {"method": "VA", "bizType": "F1"}
        try:
            asked = messages.open_request(messages.DEPOSIT_TEST, dict(request.query_params), None)
        except messages.BadMessage as bad:
            code, text = explain(bad)
            return Response({**head, "outRsltCd": code, "outRsltMsg": text})
        what = deposits.PayIn(asked["vAcntNo"], int(asked["trdAmt"]), "입금테스트", mid=asked["mchtId"], exact=False)
        outcome = await deposits.pay_in(room, what)
        code, text = (codes.OK, codes.OK_TEXT) if outcome.accepted else ("ST06", outcome.reason)
        return Response({**head, "outRsltCd": code, "outRsltMsg": text})

    return deposit_test


def handler(room: Room) -> ASGIRouteHandler:
    @asgi(PATHS, copy_scope=False)
    async def spay(scope: Scope, receive: Receive, send: Send) -> None:
        raw = await _body(receive)
        if raw is None:
            return
        exchange = room.desk.read(scope["path"].rstrip("/"), raw)
        fault = room.faults.take_exchange(exchange.message, exchange.mid, exchange.order)
        if fault is not None:
            await _play(room, fault, exchange, scope, receive, send)
            return
        if room.settings.delay_ms:
            await asyncio.sleep(room.settings.delay_ms / 1000)
        reply = room.desk.decide(exchange)
        await _answer(send, _encode(reply.body))
        if reply.notis:
            room.sender.wake()

    return spay


async def _body(receive: Receive) -> bytes | None:
    """The request's body; None when the client left, or sends more than a message can hold."""
    parts: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] != "http.request":
            return None
        parts.append(event["body"])
        size += len(event["body"])
        if size > _LONGEST_BODY:
            return b""
        if not event["more_body"]:
            return b"".join(parts)


async def _answer(send: Send, body: bytes, status: int = 200, content_type: bytes = _JSON) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _play(room: Room, fault: Fault, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
    def decide(appears_ms: int = 0) -> Body:
        reply = room.desk.decide(exchange, appears_ms=appears_ms)
        room.sender.wake()
        return reply.body

    def refused(code: str) -> Body:
        text = fault.text or codes.TEXTS.get(code, "알 수 없는 오류입니다.")
        return refuse(exchange, code, text)

    match fault.name:
        case "request_lost":
            await connection.close(scope, receive)
        case "reset_before":
            await connection.reset(scope, receive)
        case "reset_after":
            decide()
            await connection.reset(scope, receive)
        case "answer_lost":
            decide()
            await connection.hang(scope, receive)
        case "late_processing":
            decide(NEVER if fault.after_inquiry else room.clock.now() + fault.ms)
            await connection.reset(scope, receive)
        case "delay":
            if fault.where == "before":
                await asyncio.sleep(fault.ms / 1000)
                await _answer(send, _encode(decide()))
            else:
                body = decide()
                await asyncio.sleep(fault.ms / 1000)
                await _answer(send, _encode(body))
        case "half_body":
            await connection.half(scope, receive, send, _encode(decide()), _JSON)
        case "euc_kr":
            text = _encode(decide()).decode()
            await _answer(send, text.encode("cp949", "replace"))
        case "http_500":
            if fault.where != "before":
                decide()
            await _answer(send, b"<html><body>Internal Server Error</body></html>", 500, b"text/html")
        case "unknown_code":
            if fault.where != "before":
                decide()
            await _answer(send, _encode(refused(fault.code)))
        case "error_code":
            if fault.where == "after":
                decide()
            await _answer(send, _encode(refused(fault.code)))
        case "noti_early":
            reply = room.desk.decide(exchange)
            await room.sender.deliver(reply.notis)
            await _answer(send, _encode(reply.body))
        case how:
            await _answer(send, _encode(room.desk.distort(exchange, decide(), how)))
