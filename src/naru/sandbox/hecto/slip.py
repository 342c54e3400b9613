"""Hecto's receipt page (M26, 무인증 매출전표): a browser's POST with a seal, a slip to print."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from naru.connectors.hecto import messages
from naru.connectors.hecto.messages import BadMessage
from naru.sandbox.hecto import clock, codes, trades
from naru.sandbox.hecto.front import page
from naru.sandbox.hecto.room import Room

METHODS = {"CA": "신용카드", "RA": "계좌이체", "VA": "가상계좌", "MP": "휴대폰"}
_MAIN = ("pay", "account", "deposit")


def handlers(room: Room) -> list[HTTPRouteHandler]:
    @post(messages.RECEIPT_PAGE.path, status_code=200)
    async def slip(request: Request[Any, Any, Any]) -> Response[bytes]:
        found = await _find(room, request)
        if found is None:
            return page("slip.html", status=404, trade=None, merchant=None, backs=[], parts={}, bank="", method="")
        trade, merchant = found
        backs = trades.find_all(room.book, "org_id = ? AND kind = 'cancel' AND state = 'done' ORDER BY id", trade.id)
        return page(
            "slip.html",
            trade=trade,
            merchant=merchant,
            backs=[{"at": clock.shown(b.at_ms), "amount": b.amount, "trd_no": b.trd_no} for b in backs],
            at=clock.shown(trade.at_ms),
            parts=_parts(trade.amount, trade.detail),
            method=METHODS[trade.method],
            bank=codes.BANKS.get(trade.detail.get("bankCd", ""), ""),
            issuer=codes.ISSUERS.get(trade.detail.get("issuer", ""), ""),
        )

    return [slip]


async def _find(room: Room, request: Request[Any, Any, Any]) -> tuple[trades.Trade, Any] | None:
    try:
        form = messages.read_form(await request.body(), request.headers.get("content-type", ""))
        merchant = room.merchants.get(form.get("mchtId", ""))
        if merchant is None:
            return None
        values = messages.open_request(messages.RECEIPT_PAGE, form, merchant.keys)
    except BadMessage:
        return None
    trade = trades.find(room.book, "trd_no = ?", values["trdNo"])
    fits = (
        trade is not None
        and trade.mid == merchant.mid
        and trade.method == values["method"]
        and trade.day == values["trdDt"]
        and trade.kind in _MAIN
        and trade.state == "done"
    )
    return (trade, merchant) if fits and trade is not None else None


def _parts(amount: int, detail: dict[str, str]) -> dict[str, int]:
    """As sent, else an eleventh of the whole is VAT, rounded on the supply value."""
    if detail.get("taxAmt"):
        return {
            "supply": int(detail["taxAmt"]),
            "vat": int(detail.get("vatAmt") or 0),
            "free": int(detail.get("taxFreeAmt") or 0),
        }
    if detail.get("taxTypeCd") == "Y":
        return {"supply": 0, "vat": 0, "free": amount}
    supply = (amount * 10 + 5) // 11
    return {"supply": supply, "vat": amount - supply, "free": 0}
