"""Transfers and phone payments in the window, their cancels, and cash receipts."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.windows import buy, request_pay
from tests.live import Live

PHONE: dict[str, Any] = {"company": "포트원", "company_en": "PortOne"}


def test_a_transfer_is_paid_and_says_which_bank(naru: Live) -> None:
    told = buy(naru, "trans", amount=5000)
    assert (told["success"], told["status"], told["bank_name"]) == (True, "paid", "KB국민은행")
    payment = naru.get(f"/payments/{told['imp_uid']}").response
    assert (payment["pay_method"], payment["status"], payment["amount"]) == ("trans", "paid", 5000)
    assert (payment["bank_code"], payment["card_name"], payment["apply_num"]) == ("004", None, "")


def test_a_phone_payment_is_paid(naru: Live) -> None:
    told = buy(naru, "phone", digital=True, **PHONE)
    assert (told["success"], told["pay_method"]) == (True, "phone")
    payment = naru.get(f"/payments/{told['imp_uid']}").response
    assert (payment["pay_method"], payment["status"]) == ("phone", "paid")
    assert (payment["bank_code"], payment["card_code"], payment["apply_num"]) == (None, None, "")


@pytest.mark.parametrize(("method", "code"), [("trans", "RA05"), ("phone", "MP05")])
def test_a_decline_is_told_with_the_pgs_own_code(naru: Live, method: str, code: str) -> None:
    told = buy(naru, method, {"outcome": "decline", "code": code}, **PHONE)
    assert (told["success"], told["error_code"]) == (False, code)
    payment = naru.get(f"/payments/{told['imp_uid']}").response
    assert (payment["status"], payment["fail_reason"]) == ("failed", told["error_msg"])


@pytest.mark.parametrize(
    ("method", "given", "name"),
    [
        ("trans", {"buyer_tel": None}, "buyer_tel"),
        ("phone", {"company": None, "company_en": "PortOne"}, "company"),
        ("phone", {"company": "포트원", "company_en": None}, "company_en"),
        ("phone", {**PHONE, "name": None}, "name"),
    ],
)
def test_what_the_guide_requires_is_asked_for_by_name(
    naru: Live, method: str, given: dict[str, Any], name: str
) -> None:
    envelope, page = request_pay(naru, pay_method=method, **given)
    assert f"{name} 파라메터가 누락되었습니다" in page.body.decode()
    assert naru.get(f"/payments/find/{envelope['params']['merchant_uid']}").status == 404


def test_a_transfer_goes_back_whole_today(naru: Live) -> None:
    told = buy(naru, "trans", amount=5000)
    part = naru.post("/payments/cancel", {"imp_uid": told["imp_uid"], "amount": 1000})
    assert (part.code, part.response) == (1, None)
    assert "당일에는 전액취소만" in (part.message or "")
    whole = naru.post("/payments/cancel", {"imp_uid": told["imp_uid"]})
    assert (whole.code, whole.response["status"], whole.response["cancel_amount"]) == (0, "cancelled", 5000)


def test_a_phone_payment_goes_back_within_its_month(naru: Live) -> None:
    told = buy(naru, "phone", **PHONE)
    back = naru.post("/payments/cancel", {"imp_uid": told["imp_uid"]})
    assert (back.code, back.response["cancel_amount"]) == (0, 3000)


def test_after_its_month_a_phone_payment_is_refunded_to_an_account(fresh: Live) -> None:
    told = buy(fresh, "phone", **PHONE)
    fresh.jump(32 * 86_400_000)
    fresh._token = None
    refused = fresh.post("/payments/cancel", {"imp_uid": told["imp_uid"]})
    assert refused.code == 1
    assert "refund_account" in (refused.message or "")
    account: dict[str, Any] = {"refund_holder": "홍길동", "refund_bank": "04", "refund_account": "12345678901234"}
    back = fresh.post("/payments/cancel", {"imp_uid": told["imp_uid"], **account})
    assert (back.code, back.message) == (0, None)
    assert back.response["cancel_amount"] == 3000
    assert fresh.complaints == []


BUYER: dict[str, Any] = {"identifier": "010-1234-5678", "identifier_type": "phone", "buyer_name": "홍길동"}


def test_a_transfer_gets_its_cash_receipt_and_loses_it_again(naru: Live) -> None:
    imp_uid = buy(naru, "trans", amount=11_000)["imp_uid"]
    assert naru.get(f"/receipts/{imp_uid}").status == 404
    issued = naru.post(f"/receipts/{imp_uid}", BUYER)
    assert (issued.status, issued.code) == (200, 0)
    receipt = issued.response
    assert (receipt["imp_uid"], receipt["amount"], receipt["vat"], receipt["type"]) == (imp_uid, 11_000, 1000, "person")
    assert (receipt["receipt_tid"], receipt["cancelled_at"]) == (f"{imp_uid}R001", 0)
    assert receipt["apply_num"]
    assert naru.get(f"/receipts/{imp_uid}").response == receipt
    twice = naru.post(f"/receipts/{imp_uid}", BUYER)
    assert (twice.status, twice.response) == (400, None)
    back = naru.call("DELETE", f"/receipts/{imp_uid}")
    assert back.code == 0
    assert back.response["cancelled_at"] > 0
    assert naru.call("DELETE", f"/receipts/{imp_uid}").status == 400


def test_a_sale_outside_naru_gets_its_cash_receipt(naru: Live) -> None:
    order = naru.order()
    given = {**BUYER, "name": "매장 판매", "amount": 1000, "tax_free": 400}
    issued = naru.post(f"/receipts/external/{order}", given)
    assert (issued.code, issued.message) == (0, None)
    assert (issued.response["merchant_uid"], issued.response["amount"], issued.response["vat"]) == (order, 1000, 55)
    assert naru.get(f"/receipts/external/{order}").response == issued.response
    assert naru.call("DELETE", f"/receipts/external/{order}").response["cancelled_at"] > 0
    assert naru.call("DELETE", f"/receipts/external/{naru.order()}").status == 404


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "identifier"),
        ({"identifier": "01012345678"}, "identifier_type"),
        ({"identifier": "0101", "identifier_type": "phone"}, "identifier"),
        ({"identifier": "01012345678", "identifier_type": "fax"}, "identifier_type"),
    ],
)
def test_a_bad_buyer_is_a_400_that_never_repeats_the_number(naru: Live, given: dict[str, str], name: str) -> None:
    answer = naru.post(f"/receipts/external/{naru.order()}", {"name": "판매", "amount": 1000, **given})
    assert (answer.status, answer.code, answer.response) == (400, -1, None)
    assert (answer.message or "").startswith(f"{name} 파라메터")
    assert "0101" not in (answer.message or "")


def test_an_answer_that_is_lost_is_found_out(naru: Live) -> None:
    imp_uid = buy(naru, "trans")["imp_uid"]
    naru.fault("reset_after", message="M29a")
    assert naru.post(f"/receipts/{imp_uid}", BUYER).code == 0
    assert len([r for r in naru.sandbox_get("/_sandbox/receipts")["receipts"] if r["transNo"] == f"{imp_uid}R001"]) == 1


@pytest.mark.parametrize(("code", "status"), [("1010", 500), ("1000", 501)])
def test_a_refusal_of_the_tax_desk_has_its_status(naru: Live, code: str, status: int) -> None:
    naru.fault("error_code", message="M29a", code=code)
    answer = naru.post(f"/receipts/external/{naru.order()}", {**BUYER, "name": "판매", "amount": 1000})
    assert (answer.status, answer.response) == (status, None)
    assert f"[{code}]" in (answer.message or "")
