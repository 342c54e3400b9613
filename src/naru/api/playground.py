"""``/playground``, development only: try `IMP.request_pay` against the sandbox and see all that comes of it.

The page writes the code that a shop would paste, pays, and shows the callback (on a phone: the redirect), the
webhook and the payment object side by side. It knows no secret: what it shows, the development store's
test payments, is read by routes that exist in development only and answer no other origin.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from litestar import Response, get, post

from naru.api import answers, wire
from naru.api.calls import IGNORED_IN_THE_WINDOW
from naru.api.guard import ApiRequest, context, params, query
from naru.api.templates import template
from naru.domain.channel import Use
from naru.domain.refusal import Refused, Why
from naru.service import setup
from naru.store import console, stores, views

_PAGE = template("playground.html")
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter of `IMP.request_pay`. *path* names it, dots go inside; *kind*: text, number, flag, json, list."""

    path: str
    group: str
    about: tuple[str, str]
    kind: str = "text"
    value: str = ""
    methods: str = "card trans vbank phone"
    required: str = ""
    """The pay methods that cannot do without."""
    sample: str = ""

    @property
    def why(self) -> Any:
        """Why it has no effect, where it has none."""
        return IGNORED_IN_THE_WINDOW.get(self.path)


_FILE = tomllib.loads(files("naru.sdk").joinpath("playground.toml").read_text("utf-8"))
WORDS: Final[dict[str, dict[str, str]]] = {
    language: {key: pair[n] for key, pair in _FILE["words"].items()} for n, language in enumerate(("ko", "en"))
}
FIELDS: Final = tuple(Field(**f) for f in _FILE["field"])
"""What the guide and PortOne's SDK name, in the order of the form."""


class _Asset:
    def __init__(self, name: str, media_type: str) -> None:
        self.body = files("naru.sdk").joinpath(name).read_bytes()
        self.media_type = media_type

    def send(self) -> Response[bytes]:
        return Response(self.body, media_type=self.media_type, headers=HEADERS)


_SCRIPT = _Asset("playground.js", "text/javascript; charset=utf-8")
_STYLE = _Asset("playground.css", "text/css; charset=utf-8")


def _language(request: ApiRequest) -> str:
    asked = request.query_params.get("lang") or request.headers.get("accept-language", "ko")
    return "ko" if asked[:2].lower() in ("ko", "*", "") else "en"


@get("/playground")
async def page(request: ApiRequest) -> Response[str]:
    """The form."""
    cx, language = context(request), _language(request)
    store = await cx.db.read(stores.store_by_code, setup.DEV_IMP_CODE)
    if store is None:
        raise Refused(Why.PAYMENT_NOT_FOUND)
    channels = [c for c in await cx.channels(store.id) if c.use is Use.WINDOW and not c.disabled]
    shown = _PAGE.render(
        t=WORDS[language], lang=language, fields=FIELDS, groups=("basic", "of_method", "buyer", "more"),
        methods=("card", "trans", "vbank", "phone"), imp_code=store.imp_code, public_url=cx.public_url,
        channels=sorted(channels, key=lambda c: (c.position, c.id)), shop_url=request.app.state["shop_url"],
        words=json.dumps(WORDS[language], ensure_ascii=False).replace("<", "\\u003c"),
    )  # fmt: skip
    return Response(shown, media_type="text/html; charset=UTF-8", headers=HEADERS)


@get("/playground/app.js")
async def script() -> Response[bytes]:
    """Its script."""
    return _SCRIPT.send()


@get("/playground/style.css")
async def style() -> Response[bytes]:
    """Its style."""
    return _STYLE.send()


@get("/playground/seen")
async def seen(request: ApiRequest) -> Response[bytes]:
    """What is known of an order by now: the payment object, and its webhooks with their answers."""
    cx = context(request)
    store = await cx.db.read(stores.store_by_code, setup.DEV_IMP_CODE)
    merchant_uid = query(request).need("merchant_uid", 80)
    view = None if store is None else await cx.db.read(views.find, store.id, merchant_uid, None, "-started")
    if store is None or view is None or not view.row.sandbox:
        return answers.ok({"payment": None, "webhooks": []})
    whole = await cx.db.read(console.whole, store.id, view.row.imp_uid)
    assert whole is not None
    hooks: list[dict[str, Any]] = []
    for job in whole.jobs:
        payload = json.loads(job.payload)
        if job.kind != "webhook" or "body" not in payload:
            continue
        tries = [d for d in whole.deliveries if d.job_id == job.id]
        hooks.append(
            {
                "url": payload.get("url"), "body": payload["body"], "state": job.state, "tries": job.tries,
                "answer": (f"HTTP {tries[0].status}" if tries[0].status else tries[0].error) if tries else None,
            }
        )  # fmt: skip
    return answers.ok({"payment": wire.payment_object(view, cx), "webhooks": hooks})


@post("/playground/deposit", status_code=200)
async def deposit(request: ApiRequest) -> Response[bytes]:
    """Let somebody pay into the account of an order. JSON only: another site's form cannot send that."""
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise Refused(Why.PARAMETER, name="content-type", problem="application/json이어야 합니다", status=400)
    cx = context(request)
    store = await cx.db.read(stores.store_by_code, setup.DEV_IMP_CODE)
    merchant_uid = (await params(request)).need("merchant_uid", 80)
    view = None if store is None else await cx.db.read(views.find, store.id, merchant_uid, None, "-started")
    if view is None or not view.row.sandbox or not view.row.vbank_num:
        raise Refused(Why.PAYMENT_NOT_FOUND)
    body = {"account": view.row.vbank_num, "amount": str(view.row.amount), "depositor": view.row.buyer_name or "홍길동"}
    status, text = await request.app.state["tell_sandbox"]("deposits", body)
    return answers.ok(None) if 200 <= status < 300 else answers.fail(text[:200], status=502)


HANDLERS = [page, script, style, seen, deposit]
