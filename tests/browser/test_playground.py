"""The playground at PC and phone size: code, callback or redirect, webhook and payment, in both languages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.live import Live

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

FITS = "document.documentElement.scrollWidth <= innerWidth"


def visit(naru: Live, context: BrowserContext, language: str = "ko") -> tuple[Page, list[str]]:
    """The page, and what its policy or its script had to complain about."""
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: problems.append(str(e)))
    page.goto(f"{naru.url}/playground?lang={language}")
    return page, problems


def shown(page: Page, place: str, wanted: str) -> dict[str, Any]:
    """The JSON in a panel, once it says *wanted*."""
    page.wait_for_function(
        "([id, text]) => document.getElementById(id).textContent.includes(text)", arg=[place, wanted]
    )
    return json.loads(page.inner_text(f"#{place}"))


def test_a_card_on_a_pc(naru: Live, pc: BrowserContext) -> None:
    page, problems = visit(naru, pc)
    page.fill("#f-merchant_uid", order := naru.order())
    page.fill("#f-amount", "55000")
    page.fill("#f-display\\.card_quota", "3")
    page.click("summary")
    page.fill("#f-custom_data", "{broken")
    assert page.is_disabled("#pay")
    assert "custom_data" in page.inner_text("#problem")
    page.fill("#f-custom_data", '{"a": [1]}')
    page.fill("#f-notice_url", f"{naru.shop.url}/mine")
    code = page.inner_text("#code")
    assert f'merchant_uid: "{order}"' in code
    assert "amount: 55000," in code
    assert 'pay_method: "card"' in code
    assert "company" not in code, "another pay method's"
    with page.expect_popup() as popup:
        page.click("#pay")
    window = popup.value
    window.check("[data-testid=agree]")
    window.locator("label.pick:has([data-testid=issuer-SHN])").click()
    window.click("[data-testid=next]")
    window.click("[data-testid=approve]")
    window.click("[data-testid=result-close]")

    told = shown(page, "told", order)
    assert (told["success"], told["paid_amount"], told["merchant_uid"]) == (True, 55_000, order)
    payment = shown(page, "payment", '"paid"')
    assert (payment["imp_uid"], payment["custom_data"], payment["card_quota"]) == (told["imp_uid"], '{"a":[1]}', 3)
    page.wait_for_selector("#webhooks .good")
    assert page.inner_text("#webhooks .good") == "응답: HTTP 200"
    assert f"{naru.shop.url}/mine" in page.inner_text("#webhooks")
    assert [h.fields["imp_uid"] for h in naru.shop.hooks if h.path == "/mine"] == [payment["imp_uid"]]
    assert page.get_attribute("#in-console", "href") == f"/console/imp00000000/payments/{payment['imp_uid']}"
    assert page.input_value("#f-merchant_uid") != order, "a used number is not offered again"
    assert page.evaluate(FITS)
    assert problems == []


def test_a_transfer_on_a_phone_comes_back_to_the_page(naru: Live, phone: BrowserContext) -> None:
    page, problems = visit(naru, phone, "en")
    assert page.inner_text("h1") == "Playground"
    page.fill("#f-merchant_uid", order := naru.order())
    page.locator(".methods label:has([value=trans])").click()
    assert page.evaluate(FITS)
    page.click("#pay")
    page.check("[data-testid=agree]")
    page.locator("label.pick:has([data-testid=bank-088])").click()
    page.click("[data-testid=next]")
    page.click("[data-testid=approve]")
    page.click("[data-testid=result-close]")
    page.wait_for_url(f"{naru.url}/playground**")
    told = shown(page, "told", order)
    assert (told["imp_success"], told["merchant_uid"]) == ("true", order)
    assert page.inner_text("#told-title") == "Redirect (m_redirect_url)"
    assert shown(page, "payment", '"paid"')["channel"] == "mobile"
    assert page.is_checked("[value=trans]"), "what was filled in is still there"
    assert page.evaluate(FITS)
    assert problems == []


def test_an_account_is_issued_and_paid_into(naru: Live, pc: BrowserContext) -> None:
    page, problems = visit(naru, pc)
    page.locator(".methods label:has([value=vbank])").click()
    page.fill("#f-company", "")
    with page.expect_popup() as popup:
        page.click("#pay")
    page.wait_for_function("document.getElementById('told').textContent.includes('F400')")
    assert "company" in shown(page, "told", "F400")["error_msg"]
    if not popup.value.is_closed():
        popup.value.close()
    page.fill("#f-company", "나루상점")
    with page.expect_popup() as popup:
        page.click("#pay")
    window = popup.value
    window.check("[data-testid=agree]")
    window.locator("label.pick:has([data-testid=bank-004])").click()
    window.click("[data-testid=pay]")
    window.click("[data-testid=result-close]")
    assert shown(page, "payment", '"ready"')["vbank_code"] == "004"
    page.click("#deposit")
    assert shown(page, "payment", '"paid"')["status"] == "paid"
    page.wait_for_selector("#deposit", state="hidden")
    page.wait_for_function("document.querySelectorAll('#webhooks pre').length === 2")
    assert problems == []
