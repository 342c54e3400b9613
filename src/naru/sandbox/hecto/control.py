"""`/_sandbox/…`: what a test or a person may see and do. Not a part of Hecto.

JSON in and out; forms are taken too, and sent back to the page that they came from.
"""

import traceback
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from litestar import Request, Response, Router, delete, get, post
from litestar.connection import ASGIConnection
from litestar.exceptions import ClientException, NotFoundException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath
from litestar.response import Redirect

from naru.connectors.hecto.messages import BadMessage, read_form
from naru.sandbox.hecto import clock, deposits, faults, notis, taxdesk, trades
from naru.sandbox.hecto.merchants import SWITCHES, Merchant
from naru.sandbox.hecto.room import Room
from naru.sandbox.hecto.trades import NEVER, Trade

log = structlog.get_logger()
Json = dict[str, Any]
Asked = Request[Any, Any, Any]
_FURTHEST_MS = 100 * 365 * clock.DAY
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def router(room: Room) -> Router:
    @get("/transactions")
    async def transactions(request: Asked) -> Json:
        query = request.query_params
        limit = max(1, min(_number(query.get("limit"), 50), 500))
        listed = trades.listed(
            room.book,
            mcht_trd_no=query.get("mchtTrdNo", ""),
            trd_no=query.get("trdNo", ""),
            mid=query.get("mid", ""),
            before=_number(query.get("before"), 0),
            limit=limit + 1,
        )
        page = [show_trade(room, trade) for trade in listed[:limit]]
        return {"transactions": page, "next_before": listed[limit - 1].id if len(listed) > limit else None}

    @get("/complaints")
    async def complaints(request: Asked) -> Json:
        found = show_complaints(room, min(_number(request.query_params.get("limit"), 100), 1000))
        return {"complaints": found, "count": _count(room, "complaints")}

    @delete("/complaints", status_code=200)
    async def forget_complaints() -> Json:
        count = _count(room, "complaints")
        with room.book.write():
            room.book.run("DELETE FROM complaints")
        return {"forgotten": count}

    @get("/faults")
    async def list_faults() -> Json:
        return {"faults": [f.shown() for f in room.faults.all()], "names": dict(faults.NAMES)}

    @post("/faults", status_code=200)
    async def add_fault(request: Asked) -> Json | Redirect:
        try:
            fault = room.faults.add(await wanted(request))
        except ValueError as error:
            raise ClientException(detail=str(error)) from None
        return _back(request) or fault.shown()

    @delete("/faults", status_code=200)
    async def clear_faults(request: Asked) -> Json:
        return {"forgotten": room.faults.clear(_number(request.query_params.get("id"), 0) or None)}

    @post("/faults/clear", status_code=200)
    async def clear_faults_from_page(request: Asked) -> Json | Redirect:
        given = await wanted(request)
        forgotten = room.faults.clear(_number(str(given.get("id") or ""), 0) or None)
        return _back(request) or {"forgotten": forgotten}

    @get("/notis")
    async def list_notis(request: Asked) -> Json:
        trd_no = request.query_params.get("trdNo", "")
        where = "(? = '' OR trd_no = ?) ORDER BY id DESC LIMIT 100"
        return {"notis": notis.shown(room.book, where, trd_no, trd_no)}

    @post("/notis/{trd_no:str}/resend", status_code=200)
    async def resend(request: Asked, trd_no: FromPath[str]) -> Json | Redirect:
        given = await wanted(request)
        count = room.sender.resend(trd_no, str(given.get("bizType") or ""))
        if not count:
            raise NotFoundException(detail=f"no noti of {trd_no}")
        await room.sender.drain()
        return _back(request) or {"resent": count}

    @get("/receipts")
    async def receipts() -> Json:
        return {"receipts": taxdesk.listed(room)}

    @get("/clock")
    async def see_clock() -> Json:
        return show_clock(room)

    @post("/clock", status_code=200)
    async def move_clock(request: Asked) -> Json | Redirect:
        given = await wanted(request)
        try:
            offset = _whole(given, "offset_ms")
            advance = _whole(given, "advance_ms")
        except ValueError as error:
            raise ClientException(detail=str(error)) from None
        if (offset is None) == (advance is None):
            raise ClientException(detail="offset_ms or advance_ms")
        moved = offset if offset is not None else room.clock.offset_ms + (advance or 0)
        if abs(moved) > _FURTHEST_MS:
            raise ClientException(detail="not more than a hundred years away")
        room.clock.offset_ms = moved
        with room.book.write():
            room.book.set_note("clock_offset_ms", str(room.clock.offset_ms))
        room.sender.wake()
        if given.get("drain") in (True, "true", "1", "on"):
            await room.sender.drain()
        return _back(request) or show_clock(room)

    @post("/drain", status_code=200)
    async def drain() -> Json:
        """Returns when nothing is due: every noti has had its attempt, every timer has run."""
        await room.sender.drain()
        return show_clock(room)

    @get("/deposits")
    async def list_deposits(request: Asked) -> Json:
        number = request.query_params.get("account", "")
        return {"deposits": deposits.shown(room, number), "accounts": deposits.accounts_shown(room)}

    @post("/deposits", status_code=200)
    async def pay_in(request: Asked) -> Json | Redirect:
        given = await wanted(request)
        amount = str(given.get("amount") or "").strip().removesuffix("원").replace(",", "")
        if not (amount.isascii() and amount.isdigit()):
            raise ClientException(detail="amount is a number of won")
        what = deposits.PayIn(
            "".join(ch for ch in str(given.get("account") or "") if ch.isdigit()),
            int(amount),
            str(given.get("depositor") or "홍길동"),
            bank=str(given.get("bank") or ""),
            mid=str(given.get("mid") or ""),
            exact=given.get("exact", True) in (True, "true", "1", "on"),
            media=str(given.get("mediaType") or "06"),
        )
        outcome = await deposits.pay_in(room, what)
        answer = {"id": outcome.id, "outcome": "accepted" if outcome.accepted else "refused"}
        again = _back(request, f"?deposit={outcome.id}" + ("" if outcome.accepted else f"&pay={what.number}"))
        if again is not None:
            await room.sender.drain()  # so that the page shows what became of the noti
        return again or {**answer, "reason": outcome.reason, "trdNo": outcome.trd_no}

    @post("/deposits/{deposit_id:int}/reverse", status_code=200)
    async def take_back(request: Asked, deposit_id: FromPath[int]) -> Json | Redirect:
        try:
            outcome = deposits.reverse(room, deposit_id)
        except ValueError as error:
            raise ClientException(detail=str(error)) from None
        return _back(request) or {"id": outcome.id, "outcome": "reversed", "trdNo": outcome.trd_no}

    @get("/merchants")
    async def list_merchants() -> Json:
        return {"merchants": [show_merchant(room, m) for m in room.merchants.all()]}

    @post("/merchants", status_code=200)
    async def register(request: Asked) -> Json:
        given = await wanted(request)
        try:
            made = room.merchants.register(str(given.get("mid") or ""), str(given.get("like") or "portone1"))
        except ValueError as error:
            raise ClientException(detail=str(error)) from None
        return show_merchant(room, made)

    @post("/merchants/{mid:str}", status_code=200)
    async def switch(request: Asked, mid: FromPath[str]) -> Json | Redirect:
        try:
            merchant = room.merchants.switch(mid, await wanted(request))
        except ValueError as error:
            raise ClientException(detail=str(error)) from None
        return _back(request) or show_merchant(room, merchant)

    @post("/cards/insufficient", status_code=200)
    async def insufficient(request: Asked) -> Json:
        """When the insufficient-balance test card has money again: until_ms, or nothing to start anew."""
        given = await wanted(request)
        until = _whole(given, "until_ms")
        with room.book.write():
            if until is None:
                room.book.run("DELETE FROM meta WHERE name = 'insufficient_until'")
            else:
                room.book.set_note("insufficient_until", str(until))
        return {"until_ms": until}

    @post("/keys/drop", status_code=200)
    async def drop_key(request: Asked) -> Json:
        """Forget a billing key as Hecto may (a reissued card, a long time unused): charging it answers ST06."""
        key = str((await wanted(request)).get("billKey") or "")
        with room.book.write():
            found = room.book.rows(
                "UPDATE bill_keys SET state = 'dropped' WHERE bill_key = ? AND state = 'active' RETURNING mid", key
            )
        if not found:
            raise NotFoundException(detail="no such billing key is in use")
        return {"dropped": key, "mid": found[0][0]}

    @post("/reset", status_code=200)
    async def reset() -> Json:
        if not room.settings.reset_allowed:
            raise PermissionDeniedException(detail="start the sandbox with reset_allowed")
        await room.sender.drain()
        room.book.wipe()
        room.faults.clear()
        room.merchants.forget()
        return {"reset": True}

    return Router(
        path="/_sandbox",
        guards=[guard(room)],
        route_handlers=[
            *(transactions, complaints, forget_complaints, list_faults, add_fault, clear_faults),
            *(clear_faults_from_page, list_notis, resend, receipts, see_clock, move_clock, drain),
            *(list_deposits, pay_in, take_back, list_merchants, register, switch, insufficient, drop_key, reset),
        ],
    )


def guard(room: Room) -> Any:
    """Only this machine, only by its own name, and no other site's page in a browser."""
    own = {urlsplit(room.settings.public_url).hostname, *_LOOPBACK}

    def allowed(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        host = connection.headers.get("host", "")
        origin = connection.headers.get("origin")
        if origin and urlsplit(origin).netloc != host:
            raise PermissionDeniedException(detail="a page of another site may not do that")
        if room.settings.control_open:
            return
        if connection.client is None or connection.client.host not in _LOOPBACK:
            raise PermissionDeniedException(detail="only from this machine, unless control_open is set")
        if urlsplit(f"//{host}").hostname not in own:
            raise PermissionDeniedException(detail="unknown Host")

    return allowed


async def wanted(request: Asked) -> Mapping[str, object]:
    """What was sent: a JSON object, or a form."""
    raw = await request.body()
    content_type = request.headers.get("content-type", "")
    try:
        if "form" in content_type:
            return dict(read_form(raw, content_type))
        return msgspec.json.decode(raw or b"{}", type=dict[str, object])
    except (msgspec.DecodeError, BadMessage):
        raise ClientException(detail="a JSON object is expected") from None


def _back(request: Asked, query: str = "") -> Redirect | None:
    """A form of the page gets the page again."""
    if "form" not in request.headers.get("content-type", ""):
        return None
    return Redirect(
        f"/{query}" + ("#" + request.query_params["at"] if "at" in request.query_params else ""), status_code=303
    )


def show_trade(room: Room, trade: Trade) -> Json:
    left = trades.left_of(room.book, trade, room.clock.now())
    origin = trades.find(room.book, "id = ?", trade.org_id) if trade.org_id else None
    return {
        "id": trade.id,
        "trdNo": trade.trd_no,
        "mid": trade.mid,
        "method": trade.method,
        "kind": trade.kind,
        "state": trade.state,
        "mchtTrdNo": trade.mcht_trd_no,
        "at_ms": trade.at_ms,
        "at": clock.shown(trade.at_ms),
        "visible": trade.appears_ms != NEVER and trade.appears_ms <= room.clock.now(),
        "amount": trade.amount,
        "cancelled": left.cancelled,
        "balance": trade.amount - left.cancelled,
        "orgTrdNo": origin.trd_no if origin else None,
        "orgMchtTrdNo": origin.mcht_trd_no if origin else None,
        "cnclOrd": trade.seq,
        "outRsltCd": trade.code,
        "detail": trade.detail,
    }


def show_complaints(room: Room, limit: int) -> list[Json]:
    rows = room.book.rows(
        "SELECT id, at_ms, mid, message, mcht_trd_no, code, field, text FROM complaints ORDER BY id DESC LIMIT ?", limit
    )
    names = ("id", "at_ms", "mid", "message", "mchtTrdNo", "code", "field", "text")
    return [{**dict(zip(names, row, strict=True)), "at": clock.shown(int(str(row[1])))} for row in rows]


def show_clock(room: Room) -> Json:
    now = room.clock.now()
    return {
        "now_ms": now,
        "now": clock.shown(now),
        "offset_ms": room.clock.offset_ms,
        "next_due_ms": room.sender.next_due_ms(),
    }


def show_merchant(room: Room, merchant: Merchant) -> Json:
    return {
        "mid": merchant.mid,
        "title": merchant.title,
        "methods": sorted(merchant.methods),
        "card": merchant.card,
        "split": merchant.split,
        "account_types": sorted(merchant.account_types),
        "pools": [{"bank": p.bank, "first": str(p.first), "last": str(p.last)} for p in merchant.pools],
        "switches": {name: getattr(merchant, name) for name in SWITCHES},
    }


def _count(room: Room, table: str) -> int:
    row = room.book.row(f"SELECT count(*) FROM {table}")  # noqa: S608
    assert row is not None
    return int(str(row[0]))


def _number(text: str | None, default: int) -> int:
    if not text:
        return default
    if not text.isdigit():
        raise ClientException(detail="not a number")
    return int(text)


def _whole(given: Mapping[str, object], name: str) -> int | None:
    value = given.get(name)
    if value is None or value == "":
        return None
    try:
        return int(str(value))
    except ValueError:
        raise ValueError(f"{name} is a whole number of milliseconds") from None


def refusal(_: Asked, error: Exception) -> Response[Json]:
    """A request that cannot be served, as `{"error": …}`."""
    status = int(getattr(error, "status_code", 500))
    return Response({"error": str(getattr(error, "detail", ""))}, status_code=status)


def failed(request: Asked, error: Exception) -> Response[Json]:
    """A mistake of ours. Logged by its kind and place; local values could hold card data."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    log.error("request.failed", path=request.url.path, error=type(error).__name__, place=place)
    return Response({"error": "internal error"}, status_code=500)
