"""The demo shop's pages, its webhook receiver and its way of being sure about money."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jinja2
import msgspec
from litestar import Litestar, Request, Response, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import MutableScopeHeaders, State
from litestar.di import NamedDependency, Provide
from litestar.enums import MediaType
from litestar.exceptions import HTTPException, NotFoundException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, JSONBody, URLEncodedBody
from litestar.response import Redirect
from litestar.types import Message, Scope

from naru.demo import goods as shelf
from naru.demo import rest
from naru.demo.orders import Event, Order, OrderBook, now

HERE = Path(__file__).parent
SHOP_NAME = "한뼘다실"
METHODS = (("card", "신용카드"), ("trans", "계좌이체"), ("vbank", "가상계좌"), ("phone", "휴대폰"))
MOST_AT_ONCE = 9
BODY_LIMIT = 64 * 1024

AnyRequest = Request[Any, Any, State]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a shop of PortOne V1 has in its configuration, and where it keeps its orders."""

    gateway: str
    """The REST API's address, server to server."""
    gateway_public: str
    """The address that the buyer's browser loads iamport.js from."""
    imp_code: str
    imp_key: str
    imp_secret: str
    channel_key: str = ""
    data_dir: Path | None = None


class Shop:
    """The shop's server: its orders and its connection to the gateway."""

    def __init__(self, settings: Settings, gateway: rest.Gateway) -> None:
        self.settings = settings
        self.gateway = gateway
        self.orders = OrderBook(settings.data_dir / "demo-shop.json" if settings.data_dir else None)

    def order(self, merchant_uid: str) -> Order:
        order = self.orders.find(merchant_uid)
        if order is None:
            raise NotFoundException(f"주문 {merchant_uid}이(가) 없습니다.")
        return order

    async def look_up(self, order: Order, imp_uid: str | None) -> None:
        """Asks the gateway what is true. Whatever the browser or a webhook said only makes us look."""
        if not imp_uid:
            return
        try:
            order.believe(await self.gateway.payment(imp_uid))
        except rest.Trouble as trouble:
            order.trouble = str(trouble)
        order.looked_up_at = now()

    async def heard(self, order: Order, how: str, body: dict[str, Any]) -> None:
        """Notes what reached the shop, word for word, and looks the payment up."""
        (order.webhooks if how == "webhook" else order.browser).append(Event(now(), how, body))
        imp_uid = body.get("imp_uid")
        await self.look_up(order, imp_uid if isinstance(imp_uid, str) else None)
        self.orders.save(order)


def won(amount: int) -> str:
    return f"{amount:,}원"


def pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
)

Html = Response[str]


TheShop = NamedDependency[Shop]


def page(name: str, status: int = 200, **values: Any) -> Html:
    html = PAGES.get_template(f"{name}.html").render(shop=SHOP_NAME, won=won, pretty=pretty, **values)
    return Response(html, status_code=status, media_type=MediaType.HTML)


# ---------------------------------------------------------------- shopping


@get("/", sync_to_thread=False)
def home() -> Html:
    return page("home", goods=shelf.SHELF)


@get("/goods/{goods_id:str}", sync_to_thread=False)
def goods_page(goods_id: FromPath[str]) -> Html:
    if goods_id not in shelf.BY_ID:
        raise NotFoundException("그런 상품이 없습니다.")
    return page("goods", goods=shelf.BY_ID[goods_id], most=MOST_AT_ONCE)


@post("/orders", sync_to_thread=False)
def begin(shop: TheShop, data: URLEncodedBody[dict[str, str]]) -> Redirect:
    """The order gets its number and amount on the server, before the payment window: the callback that brings a
    result has something to be compared with, and request_pay can run inside the buyer's click."""
    goods = shelf.BY_ID.get(data.get("goods", ""))
    quantity = data.get("quantity", "1")
    if goods is None or not quantity.isdigit() or not 1 <= int(quantity) <= MOST_AT_ONCE:
        raise HTTPException("상품과 수량을 확인해 주세요.", status_code=400)
    count = int(quantity)
    name = goods.name if count == 1 else f"{goods.name} {count}개"
    order = shop.orders.begin(goods.id, name, count, goods.price * count)
    return Redirect(f"/orders/{order.merchant_uid}/checkout", status_code=303)


@get("/orders/{merchant_uid:str}/checkout", sync_to_thread=False)
def checkout(shop: TheShop, merchant_uid: FromPath[str]) -> Html | Redirect:
    order = shop.order(merchant_uid)
    if order.state not in {"open", "failed"}:
        return Redirect(f"/orders/{merchant_uid}", status_code=303)
    settings = shop.settings
    said = {
        "merchant_uid": order.merchant_uid, "name": order.name, "amount": order.amount, "imp_code": settings.imp_code,
        "channel_key": settings.channel_key, "company": SHOP_NAME, "company_en": "Hanppyeom Tea",
    }  # fmt: skip
    return page(
        "checkout", order=order, goods=shelf.BY_ID.get(order.goods), said=said, methods=METHODS,
        gateway=settings.gateway_public,
    )  # fmt: skip


# ---------------------------------------------------------------- what reaches the shop


@post("/orders/{merchant_uid:str}/callback", status_code=200)
async def callback(shop: TheShop, merchant_uid: FromPath[str], data: JSONBody[dict[str, Any]]) -> dict[str, str]:
    """PC: the page hands over what `IMP.request_pay` gave its callback."""
    order = shop.order(merchant_uid)
    await shop.heard(order, "callback", data)
    return {"state": order.state}


@get("/orders/{merchant_uid:str}/return")
async def came_back(request: AnyRequest, shop: TheShop, merchant_uid: FromPath[str]) -> Redirect:
    """Phone: the gateway sends the buyer to `m_redirect_url`."""
    order = shop.order(merchant_uid)
    await shop.heard(order, "redirect", dict(request.query_params.items()))
    return Redirect(f"/orders/{merchant_uid}", status_code=303)


@post("/webhook", status_code=200, media_type=MediaType.TEXT)
async def webhook(request: AnyRequest, shop: TheShop) -> str:
    """The gateway's webhook, JSON or form. It is answered before anything is believed: the look-up decides."""
    body = read_webhook(await request.body())
    order = shop.orders.find(str(body.get("merchant_uid", "")))
    if order is not None:
        await shop.heard(order, "webhook", body)
    return "ok"


def read_webhook(raw: bytes) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return dict(parse_qsl(raw.decode("utf-8", "replace")))
    if not isinstance(body, dict):
        raise HTTPException("객체가 아닙니다.", status_code=400)
    return body  # pyright: ignore[reportUnknownVariableType]


# ---------------------------------------------------------------- after the payment


@get("/orders", sync_to_thread=False)
def orders(shop: TheShop) -> Html:
    return page("orders", orders=shop.orders.newest_first())


@get("/orders/{merchant_uid:str}", sync_to_thread=False)
def order_page(shop: TheShop, merchant_uid: FromPath[str]) -> Html:
    order = shop.order(merchant_uid)
    return page("order", order=order, goods=shelf.BY_ID.get(order.goods))


@get("/orders/{merchant_uid:str}/version", sync_to_thread=False)
def version(shop: TheShop, merchant_uid: FromPath[str]) -> dict[str, int]:
    return {"version": shop.order(merchant_uid).version}


@post("/orders/{merchant_uid:str}/refresh")
async def refresh(shop: TheShop, merchant_uid: FromPath[str]) -> Redirect:
    order = shop.order(merchant_uid)
    last = order.payment or (order.browser[-1].body if order.browser else {})
    await shop.look_up(order, last.get("imp_uid"))
    shop.orders.save(order)
    return Redirect(f"/orders/{merchant_uid}", status_code=303)


@post("/orders/{merchant_uid:str}/cancel")
async def cancel(shop: TheShop, merchant_uid: FromPath[str], data: URLEncodedBody[dict[str, str]]) -> Redirect:
    """Full or partial. `checksum` says what we believe is left: a double click cannot cancel twice."""
    order = shop.order(merchant_uid)
    amount = data.get("amount", "").replace(",", "")
    if order.payment is None or not amount.isdigit() or not 0 < int(amount) <= order.left:
        raise HTTPException(f"취소할 금액은 1원부터 {order.left:,}원까지입니다.", status_code=400)
    refund = {name: data[name] for name in ("refund_holder", "refund_bank", "refund_account") if data.get(name)}
    try:
        payment = await shop.gateway.cancel(
            imp_uid=order.payment["imp_uid"],
            amount=int(amount),
            checksum=order.left,
            reason=data.get("reason") or "고객 요청",
            enable_webhook=True,
            **refund,
        )
        order.believe(payment)
    except rest.Trouble as trouble:
        order.trouble = str(trouble)
    order.looked_up_at = now()
    shop.orders.save(order)
    return Redirect(f"/orders/{merchant_uid}", status_code=303)


STATIC = {file.name: file.read_bytes() for file in (HERE / "static").iterdir()}
TYPES = {"svg": "image/svg+xml", "css": "text/css", "js": "text/javascript"}


@get("/static/{name:str}", sync_to_thread=False)
def static(name: FromPath[str]) -> Response[bytes]:
    if name not in STATIC:
        raise NotFoundException("그런 파일이 없습니다.")
    return Response(STATIC[name], media_type=TYPES[name.rsplit(".", 1)[1]], headers={"Cache-Control": "no-cache"})


@get("/health", sync_to_thread=False)
def health() -> dict[str, str]:
    return {"status": "ok"}


# ---------------------------------------------------------------- the server


def only_from_here(connection: ASGIConnection[Any, Any, Any, State], handler: BaseRouteHandler) -> None:
    """Other people's pages may not press our buttons; the gateway's webhook comes from no page at all."""
    if connection.scope["type"] != "http" or connection.scope["method"] in {"GET", "HEAD", "OPTIONS"}:
        return
    origin = connection.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != connection.headers.get("host"):
        raise PermissionDeniedException("다른 사이트에서 온 요청입니다.")


def show_error(_: AnyRequest, error: HTTPException) -> Html:
    return page("error", error.status_code, number=error.status_code, text=error.detail)


def policy(settings: Settings) -> str:
    """As strict as a careful shop would have it: the gateway's script is let in, forms may go there."""
    parts = urlsplit(settings.gateway_public)
    gateway = f"{parts.scheme}://{parts.netloc}"
    return (
        f"default-src 'none'; script-src 'self' {gateway}; style-src 'self'; img-src 'self'; connect-src 'self'; "
        f"form-action 'self' {gateway}; base-uri 'none'; frame-ancestors 'none'"
    )


def create_app(settings: Settings, gateway: rest.Gateway | None = None) -> Litestar:
    """The shop as an ASGI application."""
    shop = Shop(settings, gateway or rest.Gateway(settings.gateway, settings.imp_key, settings.imp_secret))
    headers = {
        "Content-Security-Policy": policy(settings),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "strict-origin-when-cross-origin",
    }

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncGenerator[None]:
        yield
        await shop.gateway.close()

    # Not `after_request`: Litestar keeps the first app's with the handlers, and would send it for a second app too.
    async def add_headers(message: Message, _: Scope) -> None:
        if message["type"] == "http.response.start":
            MutableScopeHeaders.from_message(message).update(headers)

    return Litestar(
        route_handlers=[
            home, goods_page, begin, checkout, callback, came_back, webhook, orders, order_page, version, refresh,
            cancel, health, static,
        ],
        dependencies={"shop": Provide(lambda: shop, sync_to_thread=False)},
        guards=[only_from_here],
        exception_handlers={HTTPException: show_error},
        before_send=[add_headers],
        lifespan=[lifespan],
        request_max_body_size=BODY_LIMIT,
        openapi_config=None,
    )  # fmt: skip
