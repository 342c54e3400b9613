"""The windows for transfers and phone bills, at PC and phone size: what the buyer may do, and what goes wrong there."""

from __future__ import annotations

from typing import Any

import pytest
from tests.browser.buyer import Buyer, failed
from tests.live import Live

FITS = "document.documentElement.scrollWidth <= innerWidth"
NOTHING_OVERFLOWS = """[...document.querySelectorAll('.pick span, button, .field')]
    .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"""
PHONE: dict[str, Any] = {"pay_method": "phone", "company": "포트원", "company_en": "PortOne", "digital": True}


def picks(buyer: Buyer, name: str) -> None:
    buyer.window.locator(f"label.pick:has([data-testid={name}])").click()


def opens_transfer(buyer: Buyer, account: str = "account-enough") -> None:
    buyer.opens(pay_method="trans")
    buyer.window.check("[data-testid=agree]")
    assert buyer.window.locator("[data-testid^=bank-]").count() > 20
    assert buyer.window.evaluate(FITS)
    assert buyer.window.evaluate(NOTHING_OVERFLOWS) == []
    picks(buyer, "bank-088")
    picks(buyer, account)
    buyer.window.click("[data-testid=next]")
    buyer.window.wait_for_selector("[data-testid=otp]")


def opens_phone(buyer: Buyer) -> None:
    buyer.opens(**PHONE)
    buyer.window.check("[data-testid=agree]")
    assert buyer.window.evaluate(FITS)
    assert buyer.window.evaluate(NOTHING_OVERFLOWS) == []
    picks(buyer, "telco-KTF")
    buyer.window.click("[data-testid=next]")
    buyer.window.wait_for_selector("[data-testid=otp]")


def ends(buyer: Buyer) -> dict[str, Any]:
    buyer.window.click("[data-testid=result-close]")
    return buyer.hears()


def test_a_transfer_from_the_chosen_bank(buyer: Buyer, naru: Live) -> None:
    opens_transfer(buyer)
    assert "신한" in buyer.window.inner_text("h2")
    buyer.window.click("[data-testid=approve]")
    heard = ends(buyer)
    naru.sandbox_post("/_sandbox/drain")  # the noti tells more than an inquiry, which may have been quicker
    payment = naru.get(f"/payments/{heard['imp_uid']}").response
    assert (payment["status"], payment["pay_method"], payment["amount"]) == ("paid", "trans", 1004)
    assert (payment["bank_code"], payment["bank_name"], payment["apply_num"]) == ("088", "신한은행", "")
    [hook] = naru.shop.wait(1, path="/hook")
    assert hook.fields["status"] == "paid"


@pytest.mark.parametrize(
    ("account", "otp", "outcome", "code"),
    [
        ("account-short", "123456", "approve", "RA05"),
        ("account-enough", "000000", "approve", "RA10"),
        ("account-enough", "123456", "decline", "RA05"),
    ],
    ids=["too little in the account", "a wrong code", "the bank declines"],
)
def test_a_transfer_that_fails(pc_buyer: Buyer, naru: Live, account: str, otp: str, outcome: str, code: str) -> None:
    opens_transfer(pc_buyer, account)
    pc_buyer.window.fill("[data-testid=otp]", otp)
    pc_buyer.window.click(f"[data-testid={outcome}]")
    not_paid(pc_buyer, naru, code)


def test_a_phone_bill_of_the_chosen_telecom(buyer: Buyer, naru: Live) -> None:
    opens_phone(buyer)
    assert "01012345678" in buyer.window.inner_text("form.step")
    buyer.window.click("[data-testid=approve]")
    heard = ends(buyer)
    naru.sandbox_post("/_sandbox/drain")  # the noti tells more than an inquiry, which may have been quicker
    payment = naru.get(f"/payments/{heard['imp_uid']}").response
    assert (payment["status"], payment["pay_method"], payment["amount"]) == ("paid", "phone", 1004)
    assert (payment["bank_code"], payment["card_code"]) == (None, None)


@pytest.mark.parametrize(
    ("otp", "outcome", "code"),
    [("000000", "approve", "MP60"), ("123456", "decline", "MP05")],
    ids=["a wrong code", "the telecom declines"],
)
def test_a_phone_bill_that_fails(phone_buyer: Buyer, naru: Live, otp: str, outcome: str, code: str) -> None:
    opens_phone(phone_buyer)
    phone_buyer.window.fill("[data-testid=otp]", otp)
    phone_buyer.window.click(f"[data-testid={outcome}]")
    not_paid(phone_buyer, naru, code)


def not_paid(buyer: Buyer, naru: Live, code: str) -> None:
    """The window says why, the shop hears the same, nothing was paid and no webhook went out."""
    note = buyer.window.inner_text("[data-testid=result] p.note")
    assert note.endswith(code)
    heard = ends(buyer)
    failed(heard, buyer.order, code, note.removesuffix(f" {code}"))
    payment = naru.get(f"/payments/{heard['imp_uid']}").response
    assert (payment["status"], payment["paid_at"], payment["cancel_amount"]) == ("failed", 0, 0)
    assert naru.shop.hooks == []
