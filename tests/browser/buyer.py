"""A person who buys something in a browser, at a shop that knows nothing but iamport.js."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.browser.shop_page import ForeignShop
from tests.live import Answer, Live

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page


def is_phone(page: Page) -> bool:
    return "Mobile" in page.evaluate("navigator.userAgent")


class Buyer:
    """A person at a browser."""

    def __init__(self, naru: Live, shop: ForeignShop, context: BrowserContext, **headers: str) -> None:
        self.naru, self.shop = naru, shop
        shop.sells(naru.url, headers={name.replace("_", "-"): value for name, value in headers.items()})
        self.page = context.new_page()
        self.page.goto(shop.url + "/")
        self.phone = is_phone(self.page)
        self.order = naru.order()
        self.window: Page = self.page
        naru.shop.hooks.clear()

    def opens(self, *, quiet: bool = False, **extra: Any) -> Page:
        """Presses 결제하기; the window is a popup on a PC and the page itself on a phone."""
        wanted = {"merchant_uid": self.order, "notice_url": f"{self.naru.shop.url}/hook", **extra}
        self.page.evaluate("([extra, quiet]) => { window.extra = extra; window.quiet = quiet; }", [wanted, quiet])
        if self.phone:
            self.page.click("#pay")
        else:
            with self.page.expect_popup() as popup:
                self.page.click("#pay")
            self.window = popup.value
        self.window.wait_for_selector("[data-testid=window]")
        return self.window

    def chooses(self, issuer: str = "SHN", months: str | None = None) -> None:
        """Agrees, picks a card company and goes to the authentication."""
        self.window.check("[data-testid=agree]")
        self.window.locator(f"label.pick:has([data-testid=issuer-{issuer}])").click()
        if months:
            self.window.select_option("[data-testid=instalment]", months)
        self.window.click("[data-testid=next]")

    def pays(self, issuer: str = "SHN", months: str | None = None) -> None:
        """… all the way to Hecto's last page, and closes that."""
        self.chooses(issuer, months)
        self.window.click("[data-testid=approve]")
        self.window.click("[data-testid=result-close]")

    def hears(self) -> dict[str, Any]:
        """What the shop's page is told: by callback on a PC, in the address on a phone."""
        if not self.phone:
            self.page.wait_for_function("window.results.length > 0")
            [result] = self.page.evaluate("window.results")
            return result
        self.page.wait_for_url(self.shop.url + "/done**")
        parts = urlsplit(self.page.url)
        assert parts.fragment == "order"
        query = {name: values[0] for name, values in parse_qs(parts.query, strict_parsing=True).items()}
        assert query.pop("from") == "shop"
        return query

    def looks_up(self) -> Answer:
        return self.naru.get(f"/payments/find/{self.order}")


def failed(heard: dict[str, Any], order: str, code: str, message: str) -> None:
    """What a shop hears of a payment that was not made."""
    assert (heard["merchant_uid"], heard["error_code"], heard["error_msg"]) == (order, code, message)
    assert str(heard["imp_success"]).lower() == "false"
    assert str(heard.get("success", False)).lower() == "false"
