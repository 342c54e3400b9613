"""A visitor of the demo shop buys something, at PC and phone size, and gets part of the money back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import uvicorn
from tests.live import Live, free_port, serving

from naru.demo.app import Settings, create_app
from naru.service import setup

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext


@pytest.fixture(scope="module")
def shop(naru: Live) -> Iterator[str]:
    settings = Settings(
        gateway=naru.url, gateway_public=naru.url, imp_code=setup.DEV_IMP_CODE, imp_key=setup.DEV_IMP_KEY,
        imp_secret=setup.DEV_IMP_SECRET,
    )  # fmt: skip
    port = free_port()
    config = uvicorn.Config(create_app(settings), host="127.0.0.1", port=port, log_config=None, access_log=False)
    with serving(config):
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("size", ["pc", "phone"])
def test_buying_and_getting_part_of_it_back(request: pytest.FixtureRequest, naru: Live, shop: str, size: str) -> None:
    context: BrowserContext = request.getfixturevalue(size)
    page = context.new_page()
    page.goto(shop)
    page.get_by_text("백자 찻잔 2인 세트").click()
    page.get_by_role("button", name="바로 구매").click()
    order = page.url.split("/")[-2]
    window = page
    if size == "pc":
        with page.expect_popup() as popup:
            page.get_by_role("button", name="58,000원 결제하기").click()
        window = popup.value
    else:
        page.get_by_role("button", name="58,000원 결제하기").click()
    window.check("[data-testid=agree]")
    window.locator("label.pick:has([data-testid=issuer-SHN])").click()
    window.click("[data-testid=next]")
    window.click("[data-testid=approve]")
    window.click("[data-testid=result-close]")

    page.wait_for_selector("text=결제가 완료되었습니다")
    assert page.url == f"{shop}/orders/{order}"
    page.wait_for_selector("[data-testid=webhooks] .count:has-text('1')")
    how = "callback" if size == "pc" else "m_redirect_url"
    assert how in page.inner_text("[data-testid=browser] .when")
    assert page.locator("[data-testid=payment] .checks .good").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.fill("input[name=amount]", "8,000")
    page.get_by_role("button", name="돌려주기").click()
    page.wait_for_selector("text=일부 금액을 돌려드렸습니다")
    payment = naru.get(f"/payments/find/{order}").response
    assert (payment["status"], payment["amount"], payment["cancel_amount"]) == ("cancelled", 58_000, 8_000)
    page.goto(f"{shop}/orders")
    assert "부분 취소" in page.inner_text(".orders li")
