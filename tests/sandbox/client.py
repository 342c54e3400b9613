"""A Hecto client for tests: our message declarations over a bare socket, and a receiver of notis."""

import html.parser
import http.client
import http.server
import json
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from naru.connectors.hecto import messages
from naru.connectors.hecto.messages import Answer, Message, Noti

KEYS = messages.Keys("ST1009281328226982205", "pgSettle30y739r82jtd709yOfZ2yK5K")
KST = timezone(timedelta(hours=9))
GOOD = "4111111111111111"


class Hecto:
    """One merchant's side of the sandbox at `base`."""

    def __init__(self, base: str) -> None:
        self.base = base
        parts = urllib.parse.urlsplit(base)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self._order = 0

    # --- HTTP ---

    def raw(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, timeout: float = 10
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        status, _, body = self.raw("GET", path)
        assert status == 200, (status, body)
        return json.loads(body)

    def post(self, path: str, given: dict[str, Any] | None = None, *, expect: int = 200) -> Any:
        status, _, body = self.raw("POST", path, json.dumps(given or {}).encode(), {"Content-Type": "application/json"})
        assert status == expect, (status, body)
        return json.loads(body)

    # --- control ---

    def fault(self, name: str, **options: Any) -> None:
        self.post("/_sandbox/faults", {"name": name, **options})

    def trades(self, **query: str) -> list[dict[str, Any]]:
        return self.get("/_sandbox/transactions?" + urllib.parse.urlencode({"limit": 500, **query}))["transactions"]

    def complaints(self) -> list[dict[str, Any]]:
        return self.get("/_sandbox/complaints")["complaints"]

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.get("/_sandbox/clock")["now_ms"] / 1000, KST)

    def set_clock(self, year: int, month: int, day: int, *time: int) -> None:
        """Moves the sandbox to this KST time."""
        now = self.get("/_sandbox/clock")
        wanted = int(datetime(year, month, day, *time, tzinfo=KST).timestamp() * 1000)
        self.post("/_sandbox/clock", {"offset_ms": wanted - now["now_ms"] + now["offset_ms"], "drain": True})

    def advance(self, **delta: float) -> None:
        ms = int(timedelta(**delta).total_seconds() * 1000)
        self.post("/_sandbox/clock", {"advance_ms": ms, "drain": True})

    def drain(self) -> None:
        self.post("/_sandbox/drain")

    # --- messages ---

    def order(self) -> str:
        self._order += 1
        return f"order_{self._order:04}"

    def ids(self, mid: str) -> dict[str, str]:
        now = self.now()
        return {
            "mchtId": mid,
            "mchtTrdNo": self.order(),
            "trdDt": now.strftime("%Y%m%d"),
            "trdTm": now.strftime("%H%M%S"),
        }

    def send(self, message: Message, values: dict[str, str], *, timeout: float = 10) -> Answer:
        body = messages.build_request(message, values, KEYS)
        return self.send_body(message, body, timeout=timeout)

    def send_body(self, message: Message, body: object, *, timeout: float = 10) -> Answer:
        raw = json.dumps(body, ensure_ascii=False).encode()
        status, headers, answer = self.raw("POST", message.path, raw, timeout=timeout)
        assert status == 200, (status, answer)
        assert headers["content-type"] == "application/json; charset=UTF-8"
        seal = body["data"]["pktHash"] if isinstance(body, dict) and "pktHash" in body.get("data", {}) else ""
        return messages.open_answer(message, json.loads(answer), KEYS, seal)

    def payment(self, mid: str = "nxca_jt_bi", won: int = 3000, card: str = GOOD, **more: str) -> dict[str, str]:
        values = {
            **self.ids(mid),
            "pmtprdNm": "상품",
            "mchtCustNm": "홍길동",
            "mchtCustId": "customer1",
            "email": "test@portone.io",
            "cardNo": card,
            "vldDtMon": "12",
            "vldDtYear": "39",
            "instmtMon": "00",
            "crcCd": "KRW",
            "trdAmt": str(won),
        }
        if mid in ("nxca_ks_gu", "nxca_jt_gu"):
            values |= {"idntNo": "820213", "cardPwd": "00"}
        return values | more

    def pay(self, mid: str = "nxca_jt_bi", won: int = 3000, card: str = GOOD, **more: str) -> Answer:
        return self.send(messages.CARD_PAY, self.payment(mid, won, card, **more))

    def cancel_values(self, paid: Answer, won: int, order: int = 1, **more: str) -> dict[str, str]:
        return {
            **self.ids(paid.values["mchtId"]),
            "orgTrdNo": paid.values["trdNo"],
            "crcCd": "KRW",
            "cnclOrd": f"{order:03}",
            "cnclAmt": str(won),
        } | more

    def cancel(self, paid: Answer, won: int, order: int = 1, **more: str) -> Answer:
        return self.send(messages.CARD_CANCEL, self.cancel_values(paid, won, order, **more))

    # --- windows ---

    def window_values(self, mid: str = "portone1", won: int = 1004, **more: str) -> dict[str, str]:
        return {
            **self.ids(mid),
            "mchtName": "포트원",
            "mchtEName": "PortOne",
            "pmtPrdtNm": "결제테스트",
            "trdAmt": str(won),
            "mchtCustNm": "홍길동",
            "notiUrl": "http://127.0.0.1:9/noti",
            "nextUrl": "http://shop.test/next",
            "cancUrl": "http://shop.test/cancel",
            "mchtCustId": "customer1",
        } | more

    def submit(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        body, content_type = messages.encode_form(form)
        return self.raw("POST", path, body, {"Content-Type": content_type})

    def open(self, message: Message, values: dict[str, str], path: str = "") -> str:
        """The address of a window that was opened, or a failing test."""
        form = {"type": "popup", **messages.build_form(message, values, KEYS), "clipCustNm": ""}
        status, headers, body = self.submit(path or message.path, form)
        assert status == 303, (status, body.decode())
        return headers["location"]

    def refused(self, message: Message, form: dict[str, str], path: str = "") -> dict[str, str]:
        """The JSON that is answered instead of a page."""
        status, headers, body = self.submit(path or message.path, form)
        assert status == 200
        assert headers["content-type"] == "application/json; charset=UTF-8", body.decode()
        return json.loads(body)

    def page(self, path: str) -> str:
        status, _, body = self.raw("GET", path)
        assert status == 200, (status, path)
        return body.decode()

    def go(self, window: str, step: str = "pay", **chosen: str) -> tuple[str, Answer]:
        """Presses a button; where the browser is sent at the end, and what it is told."""
        status, headers, body = self.submit(f"{window}/{step}", chosen)
        assert status == 303, (status, body)
        return self.result(headers["location"])

    def result(self, path: str) -> tuple[str, Answer]:
        page = Page()
        page.feed(self.page(path))
        fields = page.fields
        found = next(m for m in messages.ALL if m.fixed.get("method") == fields["method"])
        return page.action, messages.open_answer(found, fields, KEYS)

    def inquire(self, paid: dict[str, str], **more: str) -> Answer:
        asked = {
            **self.ids(paid["mchtId"]),
            "method": "CA",
            "trdAmt": paid["trdAmt"],
            "orgTrdDt": paid["trdDt"],
            "orgMchtTrdNo": paid["mchtTrdNo"],
        } | more
        return self.send(messages.INQUIRY, asked)


class Page(html.parser.HTMLParser):
    """The form of a result page."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and "data-autosubmit" in given:
            self.action = given["action"]
        if tag == "input" and given.get("type") == "hidden":
            self.fields[given["name"]] = given["value"]


def code(answer: Answer) -> str:
    return answer.values["outRsltCd"]


@dataclass
class Receiver:
    """A merchant's noti address. `answers` are given in turn, the last one for ever."""

    answers: list[tuple[int, str]] = field(default_factory=lambda: [(200, "OK")])
    got: list[dict[str, str]] = field(default_factory=list)
    raw: list[tuple[bytes, str]] = field(default_factory=list)
    before_answer: Callable[[dict[str, str]], None] | None = None
    url: str = ""

    def notis(self) -> list[Noti]:
        opened: list[Noti] = []
        for form in self.got:
            message = messages.find_noti(form)
            assert message is not None
            opened.append(messages.open_noti(message, form, KEYS))
        return opened

    def wait(self, count: int) -> list[Noti]:
        """Until so many have come; fails after five seconds."""
        until = time.monotonic() + 5
        while len(self.got) < count and time.monotonic() < until:
            time.sleep(0.01)
        assert len(self.got) == count, f"{len(self.got)} of {count}"
        return self.notis()


def receive(receiver: Receiver) -> http.server.ThreadingHTTPServer:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            content_type = self.headers["Content-Type"]
            form = messages.read_form(body, content_type)
            receiver.raw.append((body, content_type))
            receiver.got.append(form)
            if receiver.before_answer:
                receiver.before_answer(form)
            status, text = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/noti"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server
