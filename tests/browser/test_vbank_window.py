"""A virtual account from the shop's button to the bank's counter: the window, the account, somebody who pays in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.browser.shop_page import ForeignShop
from tests.live import Live

from naru.domain.values import DAY, HOUR, SECOND, kst_midnight, kst_stamp

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page


def fits(page: Page) -> bool:
    """Whether nothing has to be scrolled sideways."""
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def issue(page: Page, naru: Live, shop: ForeignShop, *, phone: bool, **extra: Any) -> tuple[Page, str, str]:
    """Presses the shop's button and has an account issued. The window on its last page, the order, the number."""
    shop.sells(naru.url)
    page.goto(shop.url + "/")
    order = naru.order()
    given = {"merchant_uid": order, "pay_method": "vbank", "notice_url": f"{naru.shop.url}/{order}", **extra}
    page.evaluate("extra => { window.extra = extra; }", given)
    window = page
    if phone:
        page.click("#pay")
    else:
        with page.expect_popup() as popup:
            page.click("#pay")
        window = popup.value
    window.check("[data-testid=agree]")
    assert fits(window)
    window.locator("label.pick:has([data-testid=bank-004])").click()
    window.fill("[data-testid=depositor]", "김철수")
    window.click("[data-testid=pay]")
    window.wait_for_selector("text=가상계좌가 발급되었습니다")
    assert window.get_attribute("[data-testid=result] form", "data-autosubmit") == ""  # time to write the number down
    assert fits(window)
    return window, order, window.inner_text("[data-testid=account-number]")


def at_the_bank(bank: Page, account: str, amount: str, depositor: str, **choose: str) -> str:
    """Types into the bank's form and says what the page says then."""
    bank.fill("[data-testid=deposit-account]", account)
    bank.fill("[data-testid=deposit-amount]", amount)
    bank.fill("[data-testid=deposit-depositor]", depositor)
    for name, value in choose.items():
        bank.select_option(f"[data-testid=deposit-{name}]", value)
    with bank.expect_navigation():
        bank.click("[data-testid=deposit-send]")
    assert fits(bank)
    return bank.inner_text("[data-testid=deposit-told]")


@pytest.mark.parametrize(("size", "dashes"), [("pc", True), ("phone", False)])
def test_an_account_is_issued_and_somebody_pays_in(
    request: pytest.FixtureRequest, naru: Live, shop: ForeignShop, size: str, dashes: bool
) -> None:
    context: BrowserContext = request.getfixturevalue(size)
    page = context.new_page()
    last = kst_midnight(naru.now_s * 1000) + 8 * DAY - SECOND if dashes else naru.now_s * 1000 + 30 * HOUR
    stamp = kst_stamp(last)
    due = f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}" if dashes else stamp
    window, order, number = issue(page, naru, shop, phone=size == "phone", amount=54_000, vbank_due=due)
    window.click("[data-testid=result-close]")

    payment = naru.get(f"/payments/find/{order}").response if size == "pc" else None
    if size == "pc":
        page.wait_for_function("window.results.length > 0")
        [heard] = page.evaluate("window.results")
        payment = naru.get(f"/payments/{heard['imp_uid']}").response
        assert (heard["success"], heard["status"], heard["pay_method"]) == (True, "ready", "vbank")
        assert (heard["vbank_num"], heard["vbank_name"]) == (number, payment["vbank_name"])
        assert (heard["vbank_date"], heard["vbank_holder"]) == (payment["vbank_date"], payment["vbank_holder"])
    else:
        page.wait_for_url(shop.url + "/done**")
        query = parse_qs(urlsplit(page.url).query)
        assert query["imp_success"] == ["true"]
        payment = naru.get(f"/payments/{query['imp_uid'][0]}").response
    assert (payment["status"], payment["amount"], payment["paid_at"]) == ("ready", 54_000, 0)
    assert (payment["vbank_num"], payment["vbank_code"], payment["vbank_date"]) == (number, "004", last // 1000)
    assert [h.fields["status"] for h in naru.shop.wait(1, path=f"/{order}")] == ["ready"]

    bank = context.new_page()
    bank.goto(f"{naru.sandbox}/#deposits")
    assert fits(bank)
    assert "은행이 입금을 거절했습니다" in (said := at_the_bank(bank, number, "53,999", "김철수"))
    assert "입금 금액이 다릅니다. (54,000원)" in said
    assert bank.input_value("[data-testid=deposit-account]") == number  # to try again
    assert "입금 금액이 다릅니다" in at_the_bank(bank, number, "54001", "김철수")
    assert "없는 계좌입니다" in at_the_bank(bank, "1" * 14, "54000", "김철수")
    assert naru.get(f"/payments/{payment['imp_uid']}").response["status"] == "ready"

    assert "입금되었습니다" in at_the_bank(bank, number, "54000", "홍길순")
    assert [h.fields["status"] for h in naru.shop.wait(2, path=f"/{order}")] == ["ready", "paid"]
    paid = naru.get(f"/payments/{payment['imp_uid']}").response
    assert (paid["status"], paid["amount"], paid["vbank_num"]) == ("paid", 54_000, number)
    assert bank.locator("[data-testid=notis] tbody tr").first.locator(".state.done").count() == 1
    assert "이미 입금된 계좌입니다" in at_the_bank(bank, number, "54000", "김철수")
    assert len(naru.shop.wait(2, path=f"/{order}")) == 2


def test_a_bank_that_does_not_look_and_one_that_takes_it_back(
    naru: Live, shop: ForeignShop, pc: BrowserContext
) -> None:
    """As Hecto's own deposit test: any amount comes in. It pays nothing, and a person is called."""
    naru.sandbox_post("/_sandbox/merchants/portone1", {"reversal_noti": True})
    page = pc.new_page()
    window, order, number = issue(page, naru, shop, phone=False, amount=10_000)
    window.click("[data-testid=result-close]")
    bank = pc.new_page()
    bank.goto(naru.sandbox)
    bank.locator("[data-testid=accounts] tr", has_text=number).get_by_text("입금하기").click()
    assert bank.input_value("[data-testid=deposit-amount]") == "10000"
    assert "입금되었습니다" in at_the_bank(bank, number, "9000", "김철수", exact="0")
    assert naru.get(f"/payments/find/{order}").response["status"] == "ready"

    window, order, number = issue(page, naru, shop, phone=False, amount=10_000)
    window.click("[data-testid=result-close]")
    bank.goto(naru.sandbox)
    assert "입금되었습니다" in at_the_bank(bank, number, "10000", "김철수")
    assert naru.get(f"/payments/find/{order}").response["status"] == "paid"
    with bank.expect_navigation():
        bank.get_by_text("은행이 자동 취소").first.click()
    naru.sandbox_post("/_sandbox/drain")
    back = naru.get(f"/payments/find/{order}").response
    assert (back["status"], back["cancel_amount"], back["cancel_reason"]) == (
        "cancelled", 10_000, "은행의 입금 자동취소",
    )  # fmt: skip
    naru.shop.wait(3, path=f"/{order}")


def test_every_knob_of_the_sandboxs_page_turns(naru: Live, pc: BrowserContext) -> None:
    """Forms of the page come from the page, as a browser says it: nothing else may press them."""
    page = pc.new_page()
    page.goto(naru.sandbox)
    page.select_option("[data-testid=fault-name]", "noti_doubled")
    with page.expect_navigation():
        page.click("[data-testid=fault-add]")
    assert "noti_doubled" in page.inner_text("[data-testid=faults]")
    with page.expect_navigation():
        page.click("[data-testid=faults] button")
    assert naru.sandbox_get("/_sandbox/faults")["faults"] == []
    assert page.evaluate("fetch('/_sandbox/complaints').then(r => r.status)") == 200
