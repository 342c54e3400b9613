"""The page at `/` where a person sees the sandbox's book and turns its knobs."""

from importlib.resources import files
from typing import Any, cast

import jinja2
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from naru.sandbox.hecto import cards, clock, codes, control, deposits, faults, notis, taxdesk, trades
from naru.sandbox.hecto.room import Room

_JS = "text/javascript"
_STATIC = {
    "/resources/css/sandbox.css": ("sandbox.css", "text/css"),
    "/resources/js/sandbox.js": ("sandbox.js", _JS),
    "/resources/js/v1/SettlePG_v1.2.js": ("SettlePG_v1.2.js", _JS),  # where merchants' pages look for it
}
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'",
    "Referrer-Policy": "same-origin",  # with "no-referrer" browsers send our own forms with `Origin: null`
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}
KINDS = {
    "pay": "결제",
    "auth": "인증",
    "account": "계좌 발급",
    "deposit": "입금",
    "cancel": "취소",
    "key": "빌키 발급",
    "key_delete": "빌키 삭제",
    "change": "계좌 변경",
    "revoke": "채번 취소",
}
STATES = {"done": "완료", "failed": "실패", "open": "대기", "closed": "종료"}
NOTI_STATES = {"waiting": "대기", "done": "완료", "gave_up": "포기", "lost": "유실"}


def _won(value: object) -> str:
    return f"{int(str(value)):,}"


def _in_fours(number: str) -> str:
    return " ".join(number[at : at + 4] for at in range(0, len(number), 4))


_env = jinja2.Environment(
    loader=jinja2.PackageLoader("naru.sandbox.hecto", "pages"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
cast("dict[str, Any]", _env.filters).update(won=_won, card=_in_fours)


def page(template: str, *, status: int = 200, headers: dict[str, str] | None = None, **values: Any) -> Response[bytes]:
    """One of our pages, with headers that allow no script but our own."""
    body = _env.get_template(template).render(**values)
    return Response(
        body.encode(),
        status_code=status,
        media_type="text/html",
        headers=headers or {**PAGE_HEADERS, "X-Frame-Options": "SAMEORIGIN"},
    )


def handlers(room: Room) -> list[HTTPRouteHandler]:
    @get("/", guards=[control.guard(room)])
    async def home(request: Request[Any, Any, Any]) -> Response[bytes]:
        search = request.query_params.get("q", "").strip()
        found = trades.listed(room.book, mcht_trd_no="", trd_no="", mid="", before=0, limit=30)
        if search:
            by_order = trades.listed(room.book, mcht_trd_no=search, trd_no="", mid="", before=0, limit=30)
            by_number = trades.listed(room.book, mcht_trd_no="", trd_no=search, mid="", before=0, limit=30)
            by_mid = trades.listed(room.book, mcht_trd_no="", trd_no="", mid=search, before=0, limit=30)
            found = by_order or by_number or by_mid
        pay, done = request.query_params.get("pay", ""), request.query_params.get("deposit", "")
        return page(
            "home.html",
            search=search,
            payable=next((a for a in deposits.accounts_shown(room) if a["account"] == pay), None),
            just_paid=deposits.one_shown(room, int(done)) if done.isdecimal() and len(done) < 16 else None,
            clock=control.show_clock(room),
            settings=room.settings,
            trades=[control.show_trade(room, trade) for trade in found],
            notis=notis.shown(room.book, "1 = 1 ORDER BY id DESC LIMIT 20"),
            accounts=deposits.accounts_shown(room),
            deposits=deposits.shown(room, limit=20),
            receipts=taxdesk.listed(room, 20),
            complaints=control.show_complaints(room, 20),
            faults=[f.shown() for f in room.faults.all()],
            exchange_faults=faults.EXCHANGE,
            noti_faults=faults.NOTI,
            cards=cards.TEST_CARDS,
            merchants=room.merchants.all(),
            kinds=KINDS,
            states=STATES,
            noti_states=NOTI_STATES,
            banks=codes.BANKS,
            clock_shown=clock.shown,
        )

    @get(list(_STATIC), sync_to_thread=False)
    def static(request: Request[Any, Any, Any]) -> Response[bytes]:
        name, media_type = _STATIC[request.url.path]
        body = files("naru.sandbox.hecto").joinpath("static", name).read_bytes()
        return Response(body, media_type=media_type, headers={"Cache-Control": "max-age=60"})

    return [home, static]
