"""Chromium for the browser tests: a shop's page at one origin, the gateway at another."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.browser.buyer import Buyer
from tests.browser.shop_page import ForeignShop, foreign_shop
from tests.live import Live, live

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0"
PHONE_AGENT = f"Mozilla/5.0 (Linux; Android 15; SM-S921N) {CHROME} Mobile Safari/537.36"
PC_AGENT = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36"

# Quiet and offline: nothing but the pages under test is fetched.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_path() -> str | None:
    """The system's Chromium, or None for the one that Playwright downloaded (`scripts/test-tools` looks likewise)."""
    named = os.environ.get("NARU_TEST_CHROMIUM")
    if named:
        return named
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if found := shutil.which(name):
            return found
    mac = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
    return str(mac) if mac.exists() else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


# Per module, because Playwright's synchronous API keeps an event loop running in this thread: left open, it would
# break every asynchronous test that comes after.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def naru(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A running gateway, sandbox and shop; the sandbox must have nothing to complain about in the end."""
    with live(migrated_sqlite, tmp_path_factory.mktemp("live")) as running:
        yield running
        assert running.complaints == []


@pytest.fixture(scope="module")
def shop() -> Iterator[ForeignShop]:
    """A shop at an origin of its own."""
    with foreign_shop() as running:
        yield running


@pytest.fixture
def pc(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(user_agent=PC_AGENT, locale="ko-KR", viewport={"width": 1280, "height": 800})
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def phone(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(
        user_agent=PHONE_AGENT, locale="ko-KR", viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True
    )
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def pc_page(pc: BrowserContext) -> Page:
    return pc.new_page()


@pytest.fixture
def phone_page(phone: BrowserContext) -> Page:
    return phone.new_page()


@pytest.fixture(params=["pc", "phone"])
def context(request: pytest.FixtureRequest) -> BrowserContext:
    """A PC and then a phone."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def buyer(naru: Live, shop: ForeignShop, context: BrowserContext) -> Buyer:
    """Somebody at a PC and then at a phone."""
    return Buyer(naru, shop, context)


@pytest.fixture
def pc_buyer(naru: Live, shop: ForeignShop, pc: BrowserContext) -> Buyer:
    return Buyer(naru, shop, pc)


@pytest.fixture
def phone_buyer(naru: Live, shop: ForeignShop, phone: BrowserContext) -> Buyer:
    return Buyer(naru, shop, phone)
