"""Payment windows: what opens one, how long it lives, how it ends.

A window is a row in the book that the buyer's browser names by a token. It is decided once: paid,
failed, or closed; afterwards its pages show only the result.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import urlsplit

from naru.connectors.hecto import messages
from naru.connectors.hecto.messages import BadMessage, Message
from naru.sandbox.hecto import cardpay, clock, codes, trades, vbank
from naru.sandbox.hecto.book import Value, pack, unpack
from naru.sandbox.hecto.desk import check_time, clean, complain, explain
from naru.sandbox.hecto.merchants import Merchant
from naru.sandbox.hecto.room import Room
from naru.sandbox.hecto.trades import Ask, Refuse

LIFE_MS = 10 * clock.MINUTE
OPENS: Mapping[str, tuple[Message, str]] = {
    "/card/main.do": (messages.CARD_WINDOW, "CA"),
    "/card/cardDirect.do": (messages.CARD_WINDOW, "CA"),
    "/bank/main.do": (messages.BANK_WINDOW, "RA"),
    "/vbank/main.do": (messages.VBANK_WINDOW, "VA"),
    "/mobile/main.do": (messages.MOBILE_WINDOW, "MP"),
}
"""Where a browser opens a window, with the message it brings and the method's API code."""


@dataclass(frozen=True, slots=True)
class Window:
    id: int
    token: str
    mid: str
    method: str  # CA RA VA MP
    opened_ms: int
    state: str  # open, done (there is a result for nextUrl), closed (for cancUrl)
    form: dict[str, str]  # the request's plain values
    result: dict[str, str]  # plain values of what nextUrl or cancUrl is told

    @property
    def message(self) -> Message:
        return next(message for message, method in OPENS.values() if method == self.method)

    @property
    def amount(self) -> int:
        return int(self.form["trdAmt"])


class Rejected(Exception):
    """A window that is not opened: the JSON that the specification shows for it (S0 2.5)."""

    def __init__(self, code: str, text: str, form: Mapping[str, str]) -> None:
        super().__init__(code)
        self.body = {
            "outRsltMsg": text,
            "mchtTrdNo": form.get("mchtTrdNo", "")[:100],
            "outRsltCd": code,
            "outStatCd": "0031",
            "mchtId": form.get("mchtId", "")[:12],
        }


def open_window(room: Room, path: str, form: Mapping[str, str]) -> Window:
    """Checks everything that can be checked before a page is shown. Raises Rejected."""
    message, method = OPENS[path]
    now = room.clock.now()
    merchant = room.merchants.get(form.get("mchtId", ""))

    def reject(code: str, text: str, field: str, *, complaint: bool = True) -> Rejected:
        if complaint:
            mid, order = form.get("mchtId", ""), form.get("mchtTrdNo", "")
            complain(room.book, now, mid, message.id, order, code, field, text)
        return Rejected(code, text, form)

    if merchant is None:
        code, text = ("ST47", codes.TEXTS["ST47"]) if form.get("mchtId") else codes.missing("mchtId")
        raise reject(code, text, "mchtId")
    try:
        values = messages.open_request(message, form, merchant.keys, lenient=room.settings.lenient)
        if path == "/card/cardDirect.do" and values.get("cardGb") not in codes.ISSUERS:
            raise BadMessage(messages.Flaw.MISSING, "cardGb")
    except BadMessage as bad:
        raise reject(*explain(bad), bad.field) from None
    for name in clean(message, values):
        complain(
            room.book,
            now,
            merchant.mid,
            message.id,
            values["mchtTrdNo"],
            "",
            name,
            "사용할 수 없는 문자가 포함되어 있습니다.",
        )
    ask = ask_for(room, merchant, message, method, values)
    try:
        _check(ask, method)
    except Refuse as refused:
        raise reject(refused.code, refused.text, refused.field, complaint=refused.complain) from None
    window = Window(
        room.book.next_number(), secrets.token_urlsafe(24), merchant.mid, method, now, "open",
        values | {"direct": "Y" if path == "/card/cardDirect.do" else ""}, {},
    )  # fmt: skip
    with room.book.write():
        room.book.run(
            f"INSERT INTO windows ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?)",  # noqa: S608
            window.id, window.token, window.mid, window.method, window.opened_ms, window.state, pack(window.form), "{}",
        )  # fmt: skip
    return window


def ask_for(room: Room, merchant: Merchant, message: Message, method: str, values: Mapping[str, str]) -> Ask:
    """A window's request as the rules want it: API method code, product under its API name."""
    plain = {**values, "method": method, "pmtprdNm": values.get("pmtPrdtNm", "")}
    return Ask(room.book, merchant, message, plain, room.clock.now())


def _check(ask: Ask, method: str) -> None:
    check_time(ask)
    if method not in ask.merchant.methods or (method == "VA" and "1" not in ask.merchant.account_types):
        raise Refuse("ST69", field="method", complain=True)
    for name in ("notiUrl", "nextUrl", "cancUrl"):
        if urlsplit(ask.get(name)).scheme not in ("http", "https"):
            raise Refuse("ST09", f"주소가 올바르지 않습니다. ({name})", field=name, complain=True)
    trades.check_new_number(ask)
    trades.check_tax(ask, ask.won("trdAmt"))
    if method == "CA":
        cardpay.check_amount(ask)
        if ask.get("cardGb") and ask.get("cardGb") not in codes.ISSUERS:
            raise Refuse("ST09", "카드사 코드가 올바르지 않습니다.", field="cardGb", complain=True)
    elif method == "VA":
        vbank.expiry(ask, "expireDt", "1")
    if ask.won("trdAmt") < 1:
        raise Refuse("ST09", "거래금액이 올바르지 않습니다.", field="trdAmt", complain=True)


_COLUMNS = "id, token, mid, method, opened_ms, state, form, result"


def find(room: Room, token: str) -> Window | None:
    row = room.book.row(f"SELECT {_COLUMNS} FROM windows WHERE token = ?", token)  # noqa: S608
    return _window(row) if row else None


def _window(row: tuple[Value, ...]) -> Window:
    *head, form, result = cast("list[Any]", list(row))
    return Window(*head, form=unpack(form), result=unpack(result))


def look(room: Room, token: str) -> Window | None:
    """The window; one that was open for ten minutes has failed with 5002 by now."""
    window = find(room, token)
    if window is not None and window.state == "open" and room.clock.now() >= window.opened_ms + LIFE_MS:
        return end(room, window, "done", failure(window, "5002"))
    return window


def end(room: Room, window: Window, state: str, result: Mapping[str, str]) -> Window:
    """Writes how the window ended. Part of the transaction that is open, if one is."""
    ended = replace(window, state=state, result={k: v for k, v in result.items() if v})
    with room.book.write():
        room.book.run(
            "UPDATE windows SET state = ?, result = ? WHERE id = ? AND state = 'open'",
            state,
            pack(ended.result),
            window.id,
        )
    return ended


def rewrite(room: Room, window: Window, result: Mapping[str, str]) -> None:
    """Changes what the browser will tell: a fault."""
    with room.book.write():
        room.book.run("UPDATE windows SET result = ? WHERE id = ?", pack(dict(result)), window.id)


def success(window: Window, trd_no: str, stat: str, now: int, **more: str) -> dict[str, str]:
    """What nextUrl is told of a payment, an issued account or an authentication."""
    return {
        **_common(window),
        "outStatCd": stat,
        "outRsltCd": codes.OK,
        "outRsltMsg": codes.OK_TEXT,
        "trdNo": trd_no,
        "authDt": clock.stamp(now),
        **more,
    }


def failure(window: Window, code: str, text: str = "") -> dict[str, str]:
    """What nextUrl is told of a failed payment (and cancUrl of a closed window, 0009)."""
    return {**_common(window), "outStatCd": "0031", "outRsltCd": code, "outRsltMsg": text or codes.TEXTS[code]}


def _common(window: Window) -> dict[str, str]:
    form = window.form
    kept = ("mchtId", "mchtTrdNo", "mchtCustId", "trdAmt", "mchtParam")
    return {"method": form["method"], **{name: form.get(name, "") for name in kept}}


def close(room: Room, window: Window) -> Window:
    """The buyer pressed X: 0031/0009 to cancUrl. Nothing happens to a window that has ended."""
    if window.state != "open":
        return window
    return end(room, window, "closed", failure(window, "0009"))


def posted(room: Room, window: Window) -> tuple[str, dict[str, str]]:
    """Address and fields of the form that the browser posts at the end."""
    merchant = room.merchants.get(window.mid)
    assert merchant is not None
    assert window.state != "open"
    url = window.form["cancUrl"] if window.state == "closed" else window.form["nextUrl"]
    return url, messages.build_result(window.message, window.result, merchant.keys)
