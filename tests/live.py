"""A whole Naru for tests: the gateway and the sandbox as real servers, a shop that receives webhooks.

Gateway and sandbox run in threads with their own event loops and are reached over real HTTP only.
"""

from __future__ import annotations

import asyncio
import http.client
import http.server
import itertools
import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import uvicorn

from naru.app import Parts, build, open_parts
from naru.clock import SystemClock
from naru.domain.values import DAY, HOUR
from naru.sandbox.hecto import server as sandbox_server
from naru.service import setup
from naru.serving import Protocol
from naru.settings import Settings
from naru.store import stores
from tests.cluster import run_async

T = TypeVar("T")
GOOD_CARD = "4111-1111-1111-1111"
TEN_IN_SEOUL_MS = HOUR
"""10:00 in Korea as a time of the UTC day."""


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> int:
        """V1's ``code``."""
        return self.json["code"]

    @property
    def message(self) -> str | None:
        """V1's ``message``."""
        return self.json["message"]

    @property
    def response(self) -> Any:
        """V1's ``response``."""
        return self.json["response"]


def send(
    base: str, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None,
    timeout_s: float = 40,
) -> Answer:  # fmt: skip
    """One HTTP request with the path exactly as given."""
    host, _, port = base.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout_s)
    try:
        connection.request(method, path, body, headers or {})
        got = connection.getresponse()
        return Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read())
    finally:
        connection.close()


@dataclass
class Hook:
    """A webhook as the shop received it."""

    path: str
    content_type: str
    body: bytes

    @property
    def fields(self) -> dict[str, str]:
        """The fields in whichever form they came."""
        if self.content_type == "application/json":
            return json.loads(self.body)
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass
class ShopServer:
    """The shop's server: keeps what it is sent, answers what the test says."""

    url: str = ""
    hooks: list[Hook] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    answer: Callable[[Hook], tuple[int, bytes]] = lambda _hook: (200, b"")

    def wait(self, count: int, *, path: str | None = None, seconds: float = 10) -> list[Hook]:
        """Until so many have come (to this path); fails after *seconds*."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = [h for h in self.hooks if path is None or h.path == path]
            if len(found) >= count:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{len(self.hooks)} webhooks: {[(h.path, h.body) for h in self.hooks]}")


@contextmanager
def listening(answer: Callable[[Hook], tuple[int, bytes, str]]) -> Generator[str]:
    """A server on a free port that answers POSTs with a status, a body and its type. Yields its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            status, text, kind = answer(Hook(self.path, self.headers["Content-Type"] or "", body))
            self.send_response(status)
            if kind:
                self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.daemon_threads = True
    threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{web.server_address[1]}"
    finally:
        web.shutdown()
        web.server_close()


@contextmanager
def shop_server() -> Generator[ShopServer]:
    """A shop on a free port."""
    made = ShopServer()

    def answer(hook: Hook) -> tuple[int, bytes, str]:
        status, text = made.answer(hook)
        made.hooks.append(hook)
        return (made.statuses.pop(0) if made.statuses else status), text, ""

    with listening(answer) as made.url:
        yield made


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for something that another thread or process does."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def since_ten_ms() -> int:
    """How long ago it was ten in the morning in Korea. Tests live then, whenever they run: banks are closed from
    23:30 to 00:35, some rules change with the day, and a shop's own clock is never behind."""
    return (SystemClock()() - TEN_IN_SEOUL_MS) % DAY


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(config: uvicorn.Config) -> Generator[None]:
    """A server in a thread of its own, up when entered and down when left."""
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 30
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < until, "the server took too long to start"
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@dataclass
class Live:
    """A running gateway with its sandbox and a shop that is told about payments."""

    url: str
    sandbox: str
    shop: ShopServer
    parts: Parts
    settings: Settings
    loop: asyncio.AbstractEventLoop
    """The gateway's own."""
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _token: str | None = None

    @property
    def token(self) -> str:
        """The development store's access token."""
        if self._token is None:
            self._token = str(self.get_token().response["access_token"])
        return self._token

    def get_token(self, **given: str) -> Answer:
        """POST /users/getToken."""
        body = {"imp_key": setup.DEV_IMP_KEY, "imp_secret": setup.DEV_IMP_SECRET} | given
        return self.send("POST", "/users/getToken", json.dumps(body).encode())

    def send(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        """A request just as given, without a token."""
        return send(self.url, method, path, body, headers)

    def call(self, method: str, path: str, given: dict[str, Any] | None = None, **headers: str) -> Answer:
        """A request with the token and a JSON body."""
        body = None if given is None else json.dumps(given, ensure_ascii=False).encode()
        sent = {"Authorization": self.token, **{k.replace("_", "-"): v for k, v in headers.items()}}
        if body is not None:
            sent["Content-Type"] = "application/json"
        return self.send(method, path, body, sent)

    def get(self, path: str) -> Answer:
        """GET with the token."""
        return self.call("GET", path)

    def post(self, path: str, given: dict[str, Any] | None = None, **headers: str) -> Answer:
        """POST with the token and a JSON body."""
        return self.call("POST", path, given or {}, **headers)

    def order(self) -> str:
        """A merchant_uid that nobody used."""
        return f"live-{next(self.numbers)}"

    def onetime(self, **given: Any) -> Answer:
        """A card payment over the API, a good one unless *given* says otherwise."""
        body: dict[str, Any] = {
            "merchant_uid": self.order(), "amount": 3000, "card_number": GOOD_CARD, "expiry": "2039-12", "name": "상품",
        }  # fmt: skip
        return self.post("/subscribe/payments/onetime", body | given)

    def paid(self, **given: Any) -> dict[str, Any]:
        """A payment that was approved."""
        answer = self.onetime(**given)
        assert answer.code == 0, answer.message
        return answer.response

    def sandbox_get(self, path: str) -> Any:
        """GET from the sandbox's control API."""
        answer = send(self.sandbox, "GET", path)
        assert answer.status == 200, answer.body
        return answer.json

    def sandbox_post(self, path: str, given: dict[str, Any] | None = None) -> Any:
        """POST to the sandbox's control API."""
        body = json.dumps(given or {}).encode()
        answer = send(self.sandbox, "POST", path, body, {"Content-Type": "application/json"})
        assert answer.status == 200, answer.body
        return answer.json

    def fault(self, name: str, **options: Any) -> None:
        """Let the sandbox misbehave once."""
        self.sandbox_post("/_sandbox/faults", {"name": name, **options})

    @property
    def complaints(self) -> list[dict[str, Any]]:
        """What the sandbox has to say about the gateway's messages."""
        return self.sandbox_get("/_sandbox/complaints")["complaints"]

    def pass_time(self, ms: int) -> None:
        """Let time pass on both sides, every job at its due time."""
        answer = self.call("POST", "/_dev/clock", {"advance_ms": ms})
        assert answer.code == 0, answer.message
        self._token = None  # it may have expired meanwhile

    def jump(self, ms: int) -> None:
        """Move both clocks at once, without running what would have come due on the way."""
        clock = self.parts.cx.clock
        assert isinstance(clock, SystemClock)
        clock.offset_ms += ms
        self._token = None  # it may have run out
        self.parts.cx.forget()
        self.sandbox_post("/_sandbox/clock", {"advance_ms": ms})

    def inside(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something of the gateway's own, in its loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    @property
    def now_s(self) -> int:
        """The gateway's time in unix seconds."""
        return self.parts.cx.clock() // 1000


@contextmanager
def live(template: Path, directory: Path, **changes: Any) -> Generator[Live]:
    """Start everything on a copy of the migrated SQLite file *template*; *changes* are gateway settings.

    With another `public_url` the sandbox calls there, and whoever listens passes on what it likes.
    """
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(template, directory / "naru.db")
    port, sandbox_port = free_port(), free_port()
    url, sandbox_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"
    values: dict[str, Any] = {
        "database_url": f"sqlite:///{directory / 'naru.db'}", "master_key": b"k" * 32, "public_url": url,
        "development": True, "port": port, "sandbox_url": sandbox_url, "log_level": "error",
    }  # fmt: skip
    settings = Settings(**(values | changes))
    ago_ms = since_ten_ms()
    with shop_server() as shop:

        async def prepare() -> None:
            parts = await open_parts(settings)
            await parts.db.write(stores.set_meta, "clock_offset_ms", str(-ago_ms))
            await setup.check_master_key(parts.cx)
            await setup.ensure_dev_store(parts.cx, f"{shop.url}/webhook")
            await parts.close()

        run_async(prepare())
        opened: list[Parts] = []
        loops: list[asyncio.AbstractEventLoop] = []

        def open_up(parts: Parts) -> None:
            opened.append(parts)
            loops.append(asyncio.get_running_loop())

        gateway = uvicorn.Config(
            build(settings, on_open=open_up), host="127.0.0.1", port=port, lifespan="on", log_config=None,
            access_log=False, server_header=False, timeout_graceful_shutdown=5, http=Protocol,
        )  # fmt: skip
        sandbox = sandbox_server.Settings(
            book=directory / "sandbox.db", public_url=sandbox_url,
            vbank_noti_url=f"{settings.public_url}/settle_payments/notice_vbank", reset_allowed=True,
        )  # fmt: skip
        with (
            serving(sandbox_server.config(sandbox, "127.0.0.1", sandbox_port)),
            serving(gateway),
        ):
            running = Live(url, sandbox_url, shop, opened[0], settings, loops[0])
            running.sandbox_post("/_sandbox/clock", {"offset_ms": -ago_ms})
            yield running
