"""A merchant's page written for SettlePG_v1.2.js, at an origin of its own, in Chromium."""

from __future__ import annotations

import http.server
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from tests.browser import conftest as browser
from tests.sandbox.client import KEYS, Hecto

from naru.connectors.hecto import messages
from naru.connectors.hecto.messages import Answer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

pytestmark = pytest.mark.browser
chromium = browser.chromium

BACK = """<!doctype html><meta charset="utf-8"><p id="back">%s</p><script>
if (parent !== window) parent.postMessage(JSON.stringify({action: "HECTO_IFRAME_CLOSE", params: {told: "%s"}}), "*");
</script>"""


@dataclass
class Shop:
    """Serves one page with a pay button, and takes what comes to nextUrl and cancUrl."""

    base: str = ""
    page: str = ""
    got: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def offer(self, hecto: Hecto, kind: str) -> None:
        urls = {"nextUrl": self.base + "/next", "cancUrl": self.base + "/cancel", "notiUrl": self.base + "/noti"}
        values = hecto.window_values() | urls
        order = {"method": "card", **messages.build_form(messages.CARD_WINDOW, values, KEYS)}
        order |= {"env": hecto.base, "ui": {"type": kind, "width": "430", "height": "660"}}
        self.page = f"""<!doctype html><html lang="ko"><meta charset="utf-8"><title>상점</title>
            <script src="{hecto.base}/resources/js/v1/SettlePG_v1.2.js"></script>
            <button id="pay" onclick='SETTLE_PG.pay({json.dumps(order)}, function (r) {{
                document.title = "callback " + JSON.stringify(r); }})'>결제</button></html>"""

    def told(self) -> tuple[str, Answer]:
        until = time.monotonic() + 10
        while not [g for g in self.got if g[0] != "/noti"] and time.monotonic() < until:
            time.sleep(0.02)
        path, form = next(g for g in self.got if g[0] != "/noti")
        return path, messages.open_answer(messages.CARD_WINDOW, form, KEYS)


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self, text: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def do_GET(self) -> None:
            self.answer(made.page if self.path == "/" else "")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.got.append((self.path, dict(urllib.parse.parse_qsl(body.decode()))))
            self.answer("OK" if self.path == "/noti" else BACK % (self.path, self.path))

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.base = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def browser_page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(15_000)
    yield page
    context.close()


def approve(window: Page) -> None:
    window.get_by_test_id("agree").check()
    window.get_by_test_id("issuer-SHN").check()
    window.get_by_test_id("next").click()
    window.get_by_test_id("approve").click()
    window.get_by_test_id("result").wait_for()


def test_a_popup(hecto: Hecto, shop: Shop, browser_page: Page) -> None:
    shop.offer(hecto, "popup")
    browser_page.goto(shop.base)
    with browser_page.expect_popup() as opened:
        browser_page.click("#pay")
    window = opened.value
    approve(window)
    window.get_by_test_id("result-close").click()
    window.locator("#back").wait_for()
    path, answer = shop.told()
    assert (path, answer.done) == ("/next", True)
    assert [p for p, _ in shop.got] == ["/noti", "/next"]


def test_the_page_itself_and_a_decline(hecto: Hecto, shop: Shop, browser_page: Page) -> None:
    shop.offer(hecto, "self")
    browser_page.goto(shop.base)
    browser_page.click("#pay")
    browser_page.get_by_test_id("agree").check()
    browser_page.get_by_test_id("issuer-HDC").check()
    browser_page.get_by_test_id("next").click()
    browser_page.get_by_test_id("decline-code").select_option("CA50")
    browser_page.get_by_test_id("decline").click()
    browser_page.get_by_test_id("result-close").click()
    path, answer = shop.told()
    assert (path, answer.values["outRsltCd"]) == ("/next", "CA50")


def test_a_new_tab_that_is_closed_by_the_buyer(hecto: Hecto, shop: Shop, browser_page: Page) -> None:
    shop.offer(hecto, "blank")
    browser_page.goto(shop.base)
    with browser_page.expect_popup() as opened:
        browser_page.click("#pay")
    opened.value.get_by_test_id("close").click()
    opened.value.locator("#back").wait_for()
    path, answer = shop.told()
    assert (path, answer.values["outRsltCd"]) == ("/cancel", "0009")


def test_a_frame_calls_back(hecto: Hecto, shop: Shop, browser_page: Page) -> None:
    shop.offer(hecto, "iframe")
    browser_page.goto(shop.base)
    browser_page.click("#pay")
    frame = browser_page.frame_locator("iframe")
    frame.get_by_test_id("agree").check()
    frame.get_by_test_id("issuer-SHN").check()
    frame.get_by_test_id("next").click()
    frame.get_by_test_id("approve").click()
    browser_page.wait_for_function("document.title.startsWith('callback')")  # by itself after three seconds
    assert browser_page.title() == 'callback {"told":"/next"}'
    assert browser_page.locator("iframe").count() == 0
    assert shop.told()[1].done


def test_what_is_missing_is_said_and_nothing_opens(hecto: Hecto, shop: Shop, browser_page: Page) -> None:
    shop.offer(hecto, "popup")
    shop.page = shop.page.replace('"pmtPrdtNm"', '"other"')
    said: list[str] = []

    def hear(dialog: Dialog) -> None:
        said.append(dialog.message)
        dialog.accept()

    browser_page.on("dialog", hear)
    browser_page.goto(shop.base)
    browser_page.click("#pay")
    assert said == ["필수 항목이 없습니다: pmtPrdtNm"]
    assert len(browser_page.context.pages) == 1


@pytest.mark.parametrize("width", [390, 1280])
def test_pages_work_on_a_phone_and_without_script(hecto: Hecto, shop: Shop, chromium: Browser, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 844}, java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(15_000)
    values = hecto.window_values("nxca_ks_gu", 58_000, nextUrl=shop.base + "/next", cancUrl=shop.base + "/cancel")
    page.goto(hecto.base + hecto.open(messages.CARD_WINDOW, values))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_test_id("agree").check()
    for name, value in {
        "number": "4111111111111111",
        "month": "12",
        "year": "39",
        "birth": "820213",
        "password": "00",
    }.items():
        page.get_by_test_id(f"card-{name}").fill(value)
    page.get_by_test_id("pay").click()
    page.get_by_test_id("result-close").click()
    assert shop.told()[1].done
    context.close()
