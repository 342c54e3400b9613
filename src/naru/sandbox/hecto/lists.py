"""What the reconciliation host lists: the day's trades, and payouts with their fees."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from naru.connectors.hecto import messages
from naru.connectors.hecto.messages import BadMessage, Flaw, Message, Sheet, read_form
from naru.sandbox.hecto import clock, codes, connection, trades
from naru.sandbox.hecto.desk import complain
from naru.sandbox.hecto.faults import Fault
from naru.sandbox.hecto.merchants import Merchant
from naru.sandbox.hecto.room import Room
from naru.sandbox.hecto.trades import Trade

Asked = Request[Any, Any, Any]
PAYOUT_DAYS: Mapping[str, int] = {"CA": 3, "RA": 1, "VA": 1, "MP": 7}
"""Business days (Monday to Friday) after which a method is paid out. Contracts differ; these are ours."""
_LONGEST_WAIT_DAYS = 14  # calendar days within which seven business days lie


class Wrong(Exception):
    """A list that is not given: result code and sentence."""


def handlers(room: Room) -> list[HTTPRouteHandler]:
    """GET and POST alike, as the specification allows."""

    async def fields(request: Asked) -> dict[str, str]:
        given = dict(request.query_params)
        body = await request.body()
        return {**given, **(read_form(body, request.headers.get("content-type", "")) if body else {})}

    async def sheet(
        request: Asked, mid: str, message: Message, rows: Callable[[dict[str, str], Merchant], list[dict[str, str]]]
    ) -> Response[Any]:
        columns = messages.TRANSACTION_COLUMNS if message is messages.TRANSACTIONS else messages.SETTLEMENT_COLUMNS
        try:
            asked, merchant = _open(room, message, {"mchtId": mid, **await fields(request)})
            found = rows(asked, merchant)
            made = Sheet("0000", "정상", found) if found else Sheet("1001", "조회된 내역이 없습니다.", [])
        except Wrong as wrong:
            made = Sheet(str(wrong.args[0]), str(wrong.args[1]), [])
        except BadMessage:
            made = Sheet("ST09", "유효하지 않은 요청입니다.", [])
        fault = room.faults.take_exchange(message, mid, "")
        if fault is not None:
            return await _spoilt(fault, request, made, columns)
        return _plain(messages.write_sheet(made, columns).encode())

    def transactions(asked: dict[str, str], merchant: Merchant) -> list[dict[str, str]]:
        start = _day(asked["trdDtSt"])
        return [_transaction(room, t) for t in _events(room, merchant, asked["method"], start, start + clock.DAY)]

    def settlements(asked: dict[str, str], merchant: Merchant) -> list[dict[str, str]]:
        day = asked["crtrDt"]
        end = _day(day)
        events = _events(room, merchant, asked["method"], end - _LONGEST_WAIT_DAYS * clock.DAY, end + clock.DAY)
        return [_settlement(room, merchant, t, day) for t in events if payout_day(t.method, t.at_ms) == day]

    transactions_path = messages.TRANSACTIONS.path.replace("{mchtId}", "{mcht_id:str}")
    settlements_path = messages.SETTLEMENTS.path.replace("{mchtId}", "{mcht_id:str}")

    @get(transactions_path)
    async def get_transactions(request: Asked, mcht_id: FromPath[str]) -> Response[Any]:
        return await sheet(request, mcht_id, messages.TRANSACTIONS, transactions)

    @post(transactions_path)
    async def post_transactions(request: Asked, mcht_id: FromPath[str]) -> Response[Any]:
        return await sheet(request, mcht_id, messages.TRANSACTIONS, transactions)

    @get(settlements_path)
    async def get_settlements(request: Asked, mcht_id: FromPath[str]) -> Response[Any]:
        return await sheet(request, mcht_id, messages.SETTLEMENTS, settlements)

    @post(settlements_path)
    async def post_settlements(request: Asked, mcht_id: FromPath[str]) -> Response[Any]:
        return await sheet(request, mcht_id, messages.SETTLEMENTS, settlements)

    return [get_transactions, post_transactions, get_settlements, post_settlements]


def _open(room: Room, message: Message, form: Mapping[str, str]) -> tuple[dict[str, str], Merchant]:
    """The request and its merchant. Raises Wrong with the lists' own codes."""
    merchant = room.merchants.get(form.get("mchtId", ""))
    signer = room.merchants.get(form.get("repMchtId", "")) if form.get("mchtTy") == "G" else merchant
    if merchant is None or signer is None:
        _note(room, message, form, "ST90", "mchtId")
        raise Wrong("ST90", "등록되지 않은 상점아이디입니다.")
    try:
        return messages.open_request(message, form, signer.keys), merchant
    except BadMessage as bad:
        if bad.flaw is Flaw.SEAL:
            _note(room, message, form, "ST92", "pktHash")
            raise Wrong("ST92", "해쉬 값 불일치.") from None
        _note(room, message, form, "ST91", bad.field)
        raise Wrong("ST91", f"필수 파라미터 오류. ({bad.field})") from None


def _plain(body: bytes, status: int = 200) -> Response[Any]:
    return Response(body, status_code=status, headers={"Content-Type": "text/plain;charset=UTF-8"})


async def _spoilt(fault: Fault, request: Asked, made: Sheet, columns: Sequence[str]) -> Response[Any]:
    """The faults that a list can have; any other changes nothing, because a list moves no money."""
    good = messages.write_sheet(made, columns).encode()
    match fault.name:
        case "request_lost" | "reset_before" | "reset_after" | "late_processing":
            await connection.reset(request.scope, request.receive)
        case "answer_lost":
            await connection.hang(request.scope, request.receive)
        case "delay":
            await asyncio.sleep(fault.ms / 1000)
        case "half_body":
            return _plain(good[: len(good) // 2])
        case "euc_kr":
            return _plain(good.decode().encode("cp949"))
        case "http_500":
            return _plain(b"Internal Server Error", 500)
        case "error_code" | "unknown_code":
            refused = Sheet(fault.code, fault.text or "조회할 수 없습니다.", [])
            return _plain(messages.write_sheet(refused, columns).encode())
        case "wrong_amount" if made.rows:
            first = {**made.rows[0], "amount": str(int(made.rows[0]["amount"]) + 1)}
            return _plain(messages.write_sheet(Sheet(made.code, made.text, [first, *made.rows[1:]]), columns).encode())
        case "wrong_ids" if made.rows:
            first = {**made.rows[0], "trdNo": made.rows[0]["trdNo"][:-1] + "_"}
            return _plain(messages.write_sheet(Sheet(made.code, made.text, [first, *made.rows[1:]]), columns).encode())
        case _:
            pass
    return _plain(good)


def _note(room: Room, message: Message, form: Mapping[str, str], code: str, field: str) -> None:
    complain(room.book, room.clock.now(), form.get("mchtId", ""), message.id, "", code, field, "대사 조회 오류")


def _day(text: str) -> int:
    at = clock.parse_stamp(text + "000000")
    if at is None:
        raise Wrong("ST91", "날짜가 올바르지 않습니다.")
    return at


def _events(room: Room, merchant: Merchant, method: str, start: int, end: int) -> list[Trade]:
    """Money that moved in that time, approvals and cancels, as far as it can be seen by now."""
    return trades.find_all(
        room.book,
        """mid = ? AND at_ms >= ? AND at_ms < ? AND appears_ms <= ? AND state = 'done'
           AND kind IN ('pay', 'account', 'deposit', 'cancel') AND (? = 'ALL' OR method = ?) ORDER BY at_ms, id""",
        *(merchant.mid, start, end, room.clock.now(), method, method),
    )


def _both(room: Room, trade: Trade) -> tuple[Trade, bool]:
    """The approval that an event belongs to, and whether the event cancels it."""
    origin = trades.find(room.book, "id = ?", trade.org_id) if trade.kind == "cancel" and trade.org_id else None
    return origin or trade, origin is not None


def _institution(trade: Trade) -> str:
    detail = trade.detail
    match trade.method:
        case "CA":
            return codes.ACQUIRERS.get(detail.get("issuer", ""), "")
        case "MP":
            return detail.get("telecomCd", "")
        case _:
            return detail.get("bankCd", "")


def _transaction(room: Room, trade: Trade) -> dict[str, str]:
    origin, cancels = _both(room, trade)
    at = clock.stamp(trade.at_ms)
    return {
        "mchtId": trade.mid,
        "method": trade.method,
        "trdNo": trade.trd_no,
        "mchtTrdNo": origin.mcht_trd_no,
        "cancelled": "1" if cancels else "0",
        "date": at[:8],
        "time": at[8:],
        "amount": str(trade.amount),
        "orgTrdNo": origin.trd_no if cancels else "",
        "orgTrdDt": clock.day_of(origin.at_ms) if cancels else "",
        "ordNm": origin.detail.get("mchtCustNm", "") or origin.detail.get("dpstrNm", ""),
        "prdtNm": origin.detail.get("pmtprdNm", ""),
        "apprNo": origin.detail.get("apprNo", ""),
        "fnCd": _institution(origin),
        "instmtMon": origin.detail.get("instmtMon", "") if trade.method == "CA" else "",
        "noInterest": "N" if trade.method == "CA" else "",
    }


def payout_day(method: str, at_ms: int) -> str:
    """The KST day on which an event is paid out. Public holidays are not known here."""
    day, left = clock.kst(at_ms), PAYOUT_DAYS[method]
    while left:
        day += timedelta(days=1)
        if day.weekday() < 5:
            left -= 1
    return day.strftime("%Y%m%d")


def _settlement(room: Room, merchant: Merchant, trade: Trade, day: str) -> dict[str, str]:
    """An approval with its fee; a cancel has none, and its amount is positive as in S1's example."""
    origin, cancels = _both(room, trade)
    fee = 0 if cancels else (trade.amount * merchant.fee_bp + 5_000) // 10_000
    vat = (fee + 5) // 10
    shown = _transaction(room, trade)
    kept = ("mchtId", "trdNo", "method", "date", "cancelled", "fnCd", "apprNo", "instmtMon", "mchtTrdNo", "ordNm")
    return {
        **{name: shown[name] for name in kept},
        "prdtNm": shown["prdtNm"],
        "amount": shown["amount"],
        "orgTrdNo": origin.trd_no,
        "fee": str(fee),
        "feeVat": str(vat),
        "payout": str(trade.amount - fee - vat),
        "payoutDate": day,
    }
