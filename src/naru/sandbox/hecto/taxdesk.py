"""Cash receipts (M29): registering, cancelling, asking. Plain forms in, JSON as text out, no seal anywhere.

The buyer's identifier is looked at and then kept as its first and last digits only.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.handlers import ASGIRouteHandler, asgi
from litestar.types import Receive, Scope, Send

from naru.connectors.hecto import messages
from naru.connectors.hecto.messages import BadMessage, Flaw, Message
from naru.sandbox.hecto import clock, connection
from naru.sandbox.hecto.book import pack, unpack
from naru.sandbox.hecto.desk import complain
from naru.sandbox.hecto.faults import Fault
from naru.sandbox.hecto.merchants import Merchant
from naru.sandbox.hecto.room import Room

PATH = messages.CASH_REGISTER.path
TEXTS = {
    "0000": "정상처리",
    "1000": "현금영수증 가맹점이 아닙니다.",
    "1010": "금액 또는 식별번호가 올바르지 않습니다.",
    "1111": "시스템 오류입니다.",
    "1112": "거래번호가 없습니다.",
    "1113": "이미 취소된 거래입니다.",
    "1114": "원거래가 존재하지 않습니다.",
    "1115": "이미 등록된 거래번호입니다.",
    "1116": "취소 금액이 발급 금액을 초과하였습니다.",
    "1117": "필수 항목이 누락되었습니다.",
    "1121": "요청 값이 올바르지 않습니다.",
    "2000": "등록되지 않은 상점아이디입니다.",
}
_IDENTITIES = {"1": r"\d{13,18}", "2": r"\d{13}", "3": r"\d{10}", "4": r"01\d{8,9}"}
_VOLUNTARY = "0100001234"
_LONGEST_BODY = 16_384
_TYPE = b"text/plain;charset=UTF-8"
Json = dict[str, str]


@dataclass(frozen=True, slots=True)
class Form:
    """A request as far as it could be read before anything was decided."""

    fields: dict[str, str]
    message: Message | None

    @property
    def mid(self) -> str:
        return self.fields.get("mid", "")

    @property
    def number(self) -> str:
        return self.fields.get("transNo", "")


class Refuse(Exception):
    """A request that is turned down. `complain`: a real tax desk would have wondered."""

    def __init__(self, code: str, field: str = "", *, complain: bool = True) -> None:
        super().__init__(code)
        self.code = code
        self.field = field
        self.complain = complain


def handler(room: Room) -> ASGIRouteHandler:
    @asgi(PATH, copy_scope=False)
    async def tax_desk(scope: Scope, receive: Receive, send: Send) -> None:
        raw = await _body(receive)
        if raw is None:
            return
        form = read(scope["query_string"], raw)
        fault = room.faults.take_exchange(form.message, form.mid, form.number)
        if fault is not None:
            await _play(room, fault, form, scope, receive, send)
            return
        await _answer(send, msgspec.json.encode(decide(room, form)))

    return tax_desk


def read(query: bytes, body: bytes) -> Form:
    """The fields, by GET or POST, and which message they are."""
    try:
        fields = {**messages.read_form(query), **messages.read_form(body)}
    except BadMessage:
        return Form({}, None)
    method, assort = fields.get("_method", ""), fields.get("assort", "")
    match method:
        case "insertReceiptInfo":
            return Form(fields, messages.CASH_CANCEL if assort == "1" else messages.CASH_REGISTER)
        case "getReceiptStatus":
            return Form(fields, messages.CASH_STATUS)
        case "getReceiptErrList":
            return Form(fields, messages.CASH_ERRORS)
        case "getReceiptReReqList":
            return Form(fields, messages.CASH_REPROCESSED)
        case _:
            return Form(fields, None)


def decide(room: Room, form: Form) -> Json:
    """The answer, and everything it changes, in one transaction."""
    message = form.message
    with room.book.write():
        try:
            if message is None:
                raise Refuse("1121", "_method")
            merchant = room.merchants.get(form.mid)
            if merchant is None:
                raise Refuse("2000", "mid")
            if not offers_receipts(merchant):
                raise Refuse("1000", "mid")
            values = _open(message, form)
            match message.id:
                case messages.CASH_REGISTER.id:
                    return _register(room, values)
                case messages.CASH_CANCEL.id:
                    return _cancel(room, values)
                case messages.CASH_STATUS.id:
                    return _status(room, values)
                case _:
                    return {"resultCd": "2000" if message is messages.CASH_ERRORS else "2001"}
        except Refuse as refused:
            text = TEXTS[refused.code]
            if refused.complain:
                name = message.id if message else PATH
                complain(room.book, room.clock.now(), form.mid, name, form.number, refused.code, refused.field, text)
            return {"resultCd": refused.code, "resultMsg": text}


def offers_receipts(merchant: Merchant) -> bool:
    """Contracts for transfers and accounts come with cash receipts; `mid_test` has nothing else."""
    return bool(merchant.methods & {"RA", "VA"}) or merchant.mid == "mid_test"


def _open(message: Message, form: Form) -> dict[str, str]:
    try:
        return messages.open_request(message, form.fields, None)
    except BadMessage as bad:
        if bad.flaw is Flaw.MISSING:
            raise Refuse("1112" if bad.field == "transNo" else "1117", bad.field) from None
        raise Refuse("1121", bad.field) from None


def _amounts(values: dict[str, str]) -> int:
    """The whole amount, taxes included (KRW)."""
    supply, vat, service = (int(values.get(name) or 0) for name in ("amt", "vat", "svcAmt"))
    if values.get("taxYn", "N") not in ("N", "Y", "G"):
        raise Refuse("1121", "taxYn")
    if values.get("taxYn") == "Y" and vat:
        raise Refuse("1010", "vat")
    if supply + vat + service < 1 or vat > supply:
        raise Refuse("1010", "amt")
    return supply + vat + service


def _register(room: Room, values: dict[str, str]) -> Json:
    total = _amounts(values)
    kind, identity, purpose = values["identityGb"], values["identity"], values["purpose"]
    if purpose not in ("0", "1"):
        raise Refuse("1121", "purpose")
    voluntary = identity == _VOLUNTARY and kind == "4" and purpose == "0"
    if kind not in _IDENTITIES or not (voluntary or re.fullmatch(_IDENTITIES[kind], identity)):
        raise Refuse("1010", "identity")
    _check_time(values["trDt"], "trDt")
    if _find(room, values, "0") is not None or _find(room, values, "1") is not None:
        raise Refuse("1115", "transNo")
    return _enter(room, values, total, None)


def _cancel(room: Room, values: dict[str, str]) -> Json:
    total = _amounts(values)
    _check_time(values["trDt"], "trDt")
    if _find(room, values, "1") is not None or _find(room, values, "0") is not None:
        raise Refuse("1113", "transNo")
    row = room.book.row(
        "SELECT id, amount, form FROM receipts WHERE mid = ? AND auth_no = ? AND assort = '0'",
        values["mid"],
        values["authNo"],
    )
    if row is None:
        raise Refuse("1114", "authNo")
    receipt, amount, kept = int(str(row[0])), int(str(row[1])), unpack(row[2])
    if kept["trDt"] != values["orgTrDt"]:
        raise Refuse("1114", "orgTrDt")
    if kept["trDt"][:4] != clock.stamp(room.clock.now())[:4]:
        raise Refuse("1114", "orgTrDt")  # only within the calendar year
    gone = room.book.row("SELECT coalesce(sum(amount), 0) FROM receipts WHERE org_id = ?", receipt)
    assert gone is not None
    if int(str(gone[0])) + total > amount:
        raise Refuse("1113" if int(str(gone[0])) == amount else "1116", "amt")
    return _enter(room, values, total, receipt)


def _enter(room: Room, values: dict[str, str], total: int, org_id: int | None) -> Json:
    now = room.clock.now()
    serial = room.book.next_number()
    auth_no = f"{chr(ord('A') + serial // 10**8 % 26)}{serial % 10**8:08}" if org_id is None else values["authNo"]
    kept = {name: value for name, value in values.items() if name != "identity"}
    if "identity" in values:
        identity = values["identity"]
        kept["identity"] = f"{identity[:3]}{'*' * (len(identity) - 5)}{identity[-2:]}"
    room.book.run(
        """INSERT INTO receipts (mid, trans_no, assort, auth_no, org_id, amount, day, at_ms, form)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        values["mid"],
        values["transNo"],
        values["assort"],
        auth_no,
        org_id,
        total,
        clock.day_of(now),
        now,
        pack(kept),
    )
    at = values["trDt"] if org_id is None else clock.stamp(now)
    return {"resultCd": "0000", "resultMsg": TEXTS["0000"], "trTime": at, "authNo": auth_no}


def _status(room: Room, values: dict[str, str]) -> Json:
    """Waiting until the batch of the next midnight, with the tax office from then on."""
    row = _find(room, values, values["assort"])
    if row is None:
        raise Refuse("1113", "transNo", complain=False)
    number, auth_no, day, at, kept = (str(value) for value in row)
    if not unpack(kept)["trDt"].startswith(values["trDt"][:8]):
        raise Refuse("1113", "trDt", complain=False)
    waiting = day == clock.day_of(room.clock.now())
    return {
        "resultCd": "0011" if waiting else "0021",
        "resultMsg": "" if waiting else "00",
        "trDt": clock.stamp(int(at)),
        "transNo": number,
        "authNo": auth_no,
    }


def _find(room: Room, values: dict[str, str], assort: str) -> tuple[Any, ...] | None:
    by_number = bool(values.get("transNo"))
    column, value = ("trans_no", values["transNo"]) if by_number else ("auth_no", values.get("authNo", ""))
    return room.book.row(
        f"SELECT trans_no, auth_no, day, at_ms, form FROM receipts WHERE mid = ? AND {column} = ? AND assort = ?",  # noqa: S608
        values["mid"],
        value,
        assort,
    )


def _check_time(stamp: str, field: str) -> None:
    if clock.parse_stamp(stamp) is None:
        raise Refuse("1121", field)


def listed(room: Room, limit: int = 100) -> list[dict[str, Any]]:
    """What was registered and cancelled, newest first."""
    rows = room.book.rows(
        """SELECT r.id, r.mid, r.trans_no, r.assort, r.auth_no, r.amount, r.at_ms, r.form, o.trans_no
           FROM receipts r LEFT JOIN receipts o ON o.id = r.org_id ORDER BY r.id DESC LIMIT ?""",
        limit,
    )
    names = ("id", "mid", "transNo", "assort", "authNo", "amount", "at_ms", "form", "orgTransNo")
    found = [dict(zip(names, row, strict=True)) for row in rows]
    return [r | {"form": unpack(r["form"]), "at": clock.shown(int(str(r["at_ms"])))} for r in found]


# --- HTTP ----------------------------------------------------------------------------------------


async def _body(receive: Receive) -> bytes | None:
    parts = b""
    while True:
        event = await receive()
        if event["type"] != "http.request":
            return None
        parts += event["body"]
        if len(parts) > _LONGEST_BODY:
            return b""
        if not event["more_body"]:
            return parts


async def _answer(send: Send, body: bytes, status: int = 200) -> None:
    headers = [(b"content-type", _TYPE), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _play(room: Room, fault: Fault, form: Form, scope: Scope, receive: Receive, send: Send) -> None:
    def decided() -> bytes:
        return msgspec.json.encode(decide(room, form))

    match fault.name:
        case "request_lost":
            await connection.close(scope, receive)
        case "reset_before":
            await connection.reset(scope, receive)
        case "reset_after" | "late_processing":
            decided()
            await connection.reset(scope, receive)
        case "answer_lost":
            decided()
            await connection.hang(scope, receive)
        case "delay":
            body = b"" if fault.where == "before" else decided()
            await asyncio.sleep(fault.ms / 1000)
            await _answer(send, body or decided())
        case "half_body":
            await connection.half(scope, receive, send, decided(), _TYPE)
        case "euc_kr":
            await _answer(send, decided().decode().encode("cp949", "replace"))
        case "http_500":
            if fault.where != "before":
                decided()
            await _answer(send, b"Internal Server Error", 500)
        case "error_code" | "unknown_code":
            if fault.name == "unknown_code" and fault.where != "before":
                decided()
            text = fault.text or TEXTS.get(fault.code, "알 수 없는 오류입니다.")
            await _answer(send, msgspec.json.encode({"resultCd": fault.code, "resultMsg": text}))
        case _:
            await _answer(send, decided())
