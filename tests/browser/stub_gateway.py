"""A gateway, a PG and a shop in one small server, so that iamport.js can be tested without the rest.

The three are told apart by host name (`shop.localhost`, `pay.localhost`, `pg.localhost`): three origins, three
sites. The stub serves the real files of `naru.sdk` and speaks what `naru.api.sdk` speaks; it decides nothing by
itself, a test puts the answers in.
"""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jinja2
from aiohttp import web

SDK = Path(__file__).parents[2] / "src" / "naru" / "sdk"

WORDS = {
    "lang": "ko", "opening": "결제창으로 이동하고 있습니다.", "lost": "결제 정보를 받지 못했습니다.", "lost_help": "",
    "noscript": "", "noscript_open": "", "go_on": "계속", "going_back": "상점으로 돌아갑니다.",
    "close_me": "이 창을 닫아 주세요.", "to_shop": "상점으로", "close": "닫기",
}  # fmt: skip


@dataclass
class Stub:
    port: int
    channels: list[dict[str, Any]] = field(default_factory=list)
    refuse: dict[str, Any] | None = None
    """What `/sdk/check` and the window answer instead of opening."""
    shop_html: str = ""
    shop_charset: str = "utf-8"
    shop_headers: dict[str, str] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    """Every request that reached the window, as the page sent it."""
    checks: list[dict[str, Any]] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    """(method, path with query) of everything that the gateway's host was asked."""
    payments: dict[str, dict[str, Any]] = field(default_factory=dict)
    outcome_delay: float = 0.0
    silent_outcomes: int = 0
    landing_host: str = "pay.localhost"
    _jinja: jinja2.Environment = field(
        default_factory=lambda: jinja2.Environment(loader=jinja2.FileSystemLoader(SDK), autoescape=True)
    )

    @property
    def gateway(self) -> str:
        return f"http://pay.localhost:{self.port}"

    @property
    def shop(self) -> str:
        return f"http://shop.localhost:{self.port}"

    @property
    def pg(self) -> str:
        return f"http://pg.localhost:{self.port}"

    def page(self, name: str, **values: Any) -> web.Response:
        values = {"t": WORDS, "title": "결제", "base": f"http://{self.landing_host}:{self.port}", "step": name} | values
        html = self._jinja.get_template("page.html").render(**values)
        return web.Response(text=html, content_type="text/html")

    # -- the gateway's host

    async def gateway_host(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.path_qs))
        path = request.path
        if path.endswith(("/iamport.js", "/iamport.payment-1.2.0.js")):
            return self.script((SDK / "iamport.js").read_text())
        if path.endswith("/iamport.esm.js"):
            return self.script((SDK / "iamport.esm.js").read_text())
        if path.startswith("/sdk/page."):
            kind = "text/css" if path.endswith("css") else "text/javascript"
            return web.Response(text=(SDK / path.rsplit("/", 1)[1]).read_text(), content_type=kind)
        if path.startswith("/users/pg/"):
            return self.answer(request, {"code": 0, "message": None, "data": self.channels})
        if path == "/sdk/check":
            self.checks.append(json.loads(request.query["request"]))
            return self.answer(request, {"response": self.refuse})
        if path == "/sdk/outcome":
            return await self.outcome(request)
        if path == "/sdk/window":
            return await self.window(request)
        if path.startswith("/settle_payments/"):
            return await self.landed(request)
        if path in {"/payments/success", "/payments/fail"}:
            return self.page("bridge", said={"step": "bridge", "response": dict(request.query)}, device="mobile")
        raise web.HTTPNotFound

    def script(self, text: str) -> web.Response:
        headers = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
        return web.Response(text=text, content_type="text/javascript", charset="utf-8", headers=headers)

    def answer(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        text = json.dumps(body, ensure_ascii=False)
        if "callback" in request.query:
            return self.script(f"/**/{request.query['callback']}({text});")
        return web.Response(text=text, content_type="application/json", headers={"Access-Control-Allow-Origin": "*"})

    async def outcome(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self.outcome_delay)
        if self.silent_outcomes:
            self.silent_outcomes -= 1
            raise web.HTTPBadGateway
        payment = self.payments.get(request.query["request"])
        if payment is None:
            return self.answer(request, {"state": "none"})
        if "closing" in request.query and payment["response"] is None:
            payment["response"] = failed(payment, "0009", "[결제포기] 사용자가 결제를 취소하셨습니다")
        if payment["response"] is None:
            return self.answer(request, {"state": "open", "imp_uid": payment["imp_uid"]})
        return self.answer(request, {"state": "done", "response": payment["response"]})

    async def window(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return self.page("hand", said={"step": "hand"})
        asked = json.loads((await self.form(request))["request"])
        self.requests.append(asked)
        payment = {"imp_uid": f"imp_{len(self.payments):012d}", "asked": asked, "response": None}
        if self.refuse is not None:
            payment["response"] = self.refuse
            return self.result(payment)
        self.payments[asked["request_id"]] = payment
        said = {"step": "open", "device": asked["device"], "origin": asked["origin"], "imp_uid": payment["imp_uid"]}
        said["returns_at"] = f"http://{self.landing_host}:{self.port}"
        form = {"url": f"{self.pg}/window", "fields": {"request_id": asked["request_id"]}}
        return self.page("open", said=said, form=form)

    def result(self, payment: dict[str, Any]) -> web.Response:
        asked, response = payment["asked"], payment["response"]
        said = {"step": "result", "device": asked["device"], "origin": asked["origin"], "response": response}
        said |= {"request_id": asked["request_id"]}
        if asked["device"] == "mobile":
            said["redirect"] = asked["params"].get("m_redirect_url", f"{self.gateway}/payments/fail")
        return self.page("result", said=said, device=asked["device"], mark="good" if response["success"] else "bad")

    async def landed(self, request: web.Request) -> web.Response:
        form = await self.form(request)
        payment = self.payments[form["request_id"]]
        asked = payment["asked"]
        if form["result"] == "paid":
            payment["response"] = {
                "success": True, "imp_success": True, "imp_uid": payment["imp_uid"], "status": "paid",
                "merchant_uid": asked["params"]["merchant_uid"], "paid_amount": asked["params"]["amount"],
            }  # fmt: skip
        elif form["result"] == "left":
            payment["response"] = failed(payment, "0009", "[결제포기] 사용자가 결제를 취소하셨습니다")
        else:
            payment["response"] = failed(payment, "CA05", "카드사 거절")
        if asked["device"] == "mobile":
            to = f"{asked['params']['m_redirect_url']}?imp_uid={payment['imp_uid']}&imp_success=true"
            raise web.HTTPFound(to)
        return self.result(payment)

    # -- the PG's host and the shop's

    async def pg_host(self, request: web.Request) -> web.Response:
        if request.method != "POST":
            raise web.HTTPNotFound
        form = await self.form(request)
        buttons = "".join(
            f'<form method="post" action="http://{self.landing_host}:{self.port}/settle_payments/next/x">'
            f'<input type="hidden" name="request_id" value="{form["request_id"]}">'
            f'<button name="result" value="{value}" data-testid="{value}">{value}</button></form>'
            for value in ("paid", "declined", "left")
        )
        return web.Response(text=f"<title>PG</title>{buttons}", content_type="text/html")

    async def shop_host(self, request: web.Request) -> web.Response:
        if request.path == "/ok.js":
            return self.script("window.shopOwn = true")
        if request.path == "/done":
            return web.Response(text=f"<title>done</title><pre>{request.path_qs}</pre>", content_type="text/html")
        return web.Response(
            body=self.shop_html.encode(self.shop_charset), content_type="text/html", charset=self.shop_charset,
            headers=self.shop_headers,
        )  # fmt: skip

    async def form(self, request: web.Request) -> dict[str, str]:
        raw = (await request.read()).decode()
        return {name: values[0] for name, values in parse_qs(raw, keep_blank_values=True).items()}

    async def route(self, request: web.Request) -> web.StreamResponse:
        host = request.host.split(":")[0]
        if host in {"shop.localhost", "other.localhost"}:
            return await self.shop_host(request)
        return await (self.pg_host(request) if host == "pg.localhost" else self.gateway_host(request))


def failed(payment: dict[str, Any], code: str, message: str) -> dict[str, Any]:
    return {
        "success": False, "imp_success": False, "imp_uid": payment["imp_uid"],
        "merchant_uid": payment["asked"]["params"]["merchant_uid"], "error_code": code, "error_msg": message,
    }  # fmt: skip


class Running:
    """A server in a thread of its own, for one stub after another."""

    def __init__(self) -> None:
        self.stub = Stub(port=0)
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        if not self._ready.wait(10):
            raise TimeoutError("the stub gateway did not start")

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._route)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._over.wait()
        await runner.cleanup()
        await asyncio.sleep(0.05)  # the browser's connections are closed by the loop's next rounds

    async def _route(self, request: web.Request) -> web.StreamResponse:
        return await self.stub.route(request)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)
