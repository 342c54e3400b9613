"""The sales slip and the API's page in a real browser, at PC and phone size."""

from __future__ import annotations

from typing import Any

import pytest
from tests.live import Live


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_both_pages_fit_and_run_under_their_policy(naru: Live, chromium: Any, width: int) -> None:
    payment = naru.paid(amount=11_000, name="말차 라떼 세트 외 2건")
    page = chromium.new_page(viewport={"width": width, "height": 844}, locale="ko-KR")
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.goto(payment["receipt_url"])
    assert page.is_visible("#print")
    assert page.inner_text("h1") == "매출전표"
    page.emulate_media(media="print")
    assert not page.is_visible("#print"), "paper has no buttons"
    assert page.is_visible("text=11,000원")
    assert page.pdf(format="A4").count(b"/Type /Page\n") == 1
    page.emulate_media(media="screen")
    page.click("text=English")
    assert page.inner_text("h1") == "Sales slip"
    fits = "document.documentElement.scrollWidth <= innerWidth"
    assert page.evaluate(fits)
    page.goto(f"{naru.url}/docs?lang=en")
    page.get_by_text("/payments/cancel", exact=True).click()
    assert page.locator("details[open]").get_by_text("accepted and ignored: promotions").is_visible()
    assert page.evaluate(fits)
    assert problems == []
    page.close()
