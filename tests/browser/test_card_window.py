"""The card window, whole: a foreign page, iamport.js, the gateway, Hecto's window. Each journey ends with what
the REST API says."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Error as PlaywrightError
from tests.browser.buyer import Buyer, failed
from tests.browser.shop_page import ForeignShop
from tests.live import Live

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Dialog

GAVE_UP = "[결제포기] 사용자가 결제를 취소하셨습니다"
WRONG = "파라메터가 올바르지 않습니다."
NO_CHANNEL = "등록된 PG 설정 정보가 없습니다."
MINUTE = 60_000


def test_the_guides_sample_is_paid(buyer: Buyer, naru: Live) -> None:
    buyer.opens()
    assert buyer.window.inner_text("[data-testid=product]") == "주문명 결제테스트"  # Hecto forbids the colon
    assert buyer.window.get_attribute("[data-testid=amount]", "data-won") == "1004"
    buyer.pays()
    heard = buyer.hears()
    naru.sandbox_post("/_sandbox/drain")  # the noti tells more than an inquiry, which may have been quicker

    payment = naru.get(f"/payments/{heard['imp_uid']}").response
    assert (payment["status"], payment["amount"], payment["merchant_uid"]) == ("paid", 1004, buyer.order)
    assert (payment["name"], payment["buyer_name"]) == ("주문명:결제테스트", "구매자이름")
    assert (payment["channel"], payment["pg_id"]) == ("mobile" if buyer.phone else "pc", "portone1")
    assert (payment["card_name"], payment["card_code"], payment["card_quota"]) == ("신한카드", "366", 0)
    assert payment["pg_tid"]
    assert payment["apply_num"]
    [hook] = naru.shop.wait(1, path="/hook")
    assert hook.fields == {"imp_uid": payment["imp_uid"], "merchant_uid": buyer.order, "status": "paid"}

    if buyer.phone:
        assert heard == {"imp_uid": payment["imp_uid"], "merchant_uid": buyer.order, "imp_success": "true"}
        return
    assert heard == {
        "success": True, "imp_success": True, "imp_uid": payment["imp_uid"], "pay_method": "card",
        "merchant_uid": buyer.order, "name": "주문명:결제테스트", "paid_amount": 1004, "currency": "KRW",
        "pg_provider": "settle", "pg_type": "payment", "pg_tid": payment["pg_tid"], "apply_num": payment["apply_num"],
        "emb_pg_provider": None, "buyer_name": "구매자이름", "buyer_email": "test@portone.io",
        "buyer_tel": "010-1234-5678", "buyer_addr": "서울특별시 강남구 삼성동", "buyer_postcode": "123-456",
        "custom_data": None, "status": "paid", "paid_at": payment["paid_at"], "receipt_url": payment["receipt_url"],
        "card_name": "신한카드", "bank_name": None, "card_quota": 0, "card_number": payment["card_number"],
    }  # fmt: skip
    assert buyer.window.is_closed()


def test_a_declined_card(buyer: Buyer, naru: Live) -> None:
    buyer.opens()
    buyer.chooses()
    buyer.window.select_option("[data-testid=decline-code]", "CA31")
    buyer.window.click("[data-testid=decline]")
    reason = buyer.window.inner_text("[data-testid=result] p.note").removesuffix(" CA31")
    buyer.window.click("[data-testid=result-close]")
    heard = buyer.hears()

    failed(heard, buyer.order, "CA31", reason)
    payment = naru.get(f"/payments/{heard['imp_uid']}").response
    assert (payment["status"], payment["fail_reason"], payment["cancel_amount"]) == ("failed", reason, 0)
    assert naru.shop.hooks == []


def test_the_window_closed_by_its_x(buyer: Buyer, naru: Live) -> None:
    buyer.opens()
    buyer.window.click("[data-testid=close]")
    heard = buyer.hears()

    failed(heard, buyer.order, "0009", GAVE_UP)
    payment = naru.get(f"/payments/{heard['imp_uid']}").response
    assert (payment["status"], payment["fail_reason"]) == ("failed", GAVE_UP)
    assert naru.shop.hooks == []


def test_the_popup_closed_with_nothing_done(pc_buyer: Buyer, naru: Live) -> None:
    pc_buyer.opens().close()
    heard = pc_buyer.hears()
    failed(heard, pc_buyer.order, "0009", GAVE_UP)
    assert naru.get(f"/payments/{heard['imp_uid']}").response["status"] == "failed"


def test_the_popup_closed_on_the_last_page_is_a_payment(pc_buyer: Buyer, naru: Live) -> None:
    pc_buyer.opens()
    pc_buyer.chooses()
    pc_buyer.window.click("[data-testid=approve]")
    pc_buyer.window.wait_for_selector("[data-testid=result]")
    pc_buyer.window.close()
    heard = pc_buyer.hears()
    assert heard["success"] is True
    assert naru.get(f"/payments/{heard['imp_uid']}").response["status"] == "paid"


def test_a_bank_that_does_not_answer_and_a_buyer_who_gives_up(buyer: Buyer, naru: Live) -> None:
    buyer.opens()
    buyer.chooses()
    buyer.window.click("[data-testid=no-answer]")
    buyer.window.wait_for_selector("[data-testid=waiting]")
    buyer.window.click("[data-testid=close]")
    heard = buyer.hears()
    failed(heard, buyer.order, "0009", GAVE_UP)
    assert naru.get(f"/payments/{heard['imp_uid']}").response["status"] == "failed"


def test_a_window_left_open_too_long(buyer: Buyer, naru: Live) -> None:
    buyer.opens()
    naru.jump(11 * MINUTE)
    buyer.window.reload()
    buyer.window.click("[data-testid=result-close]")
    heard = buyer.hears()
    assert heard["error_code"] == "5002"
    payment = naru.get(f"/payments/{heard['imp_uid']}").response
    assert (payment["status"], payment["fail_reason"]) == ("failed", heard["error_msg"])


def test_an_abandoned_window_leaves_the_payment_ready(buyer: Buyer, naru: Live) -> None:
    buyer.opens()
    naru.jump(40 * MINUTE)
    payment = buyer.looks_up().response
    assert (payment["status"], payment["failed_at"]) == ("ready", 0)
    if buyer.phone:
        shop = buyer.shop.url + "/"
        for _ in range(3):  # on a slow machine the page that posts the form stays in the way, or is about to go
            with contextlib.suppress(PlaywrightError):
                buyer.page.go_back()
            with contextlib.suppress(PlaywrightError):
                buyer.page.wait_for_url(shop, timeout=3_000)
                break
        assert buyer.page.url == shop
        assert buyer.page.locator(".imp-dialog").count() == 0


@pytest.mark.parametrize("fault", ["noti_late", "noti_lost", "noti_altered", "noti_forged"])
def test_a_noti_that_does_not_come_in_time_or_shape(pc_buyer: Buyer, naru: Live, fault: str) -> None:
    naru.fault(fault, ms=60_000) if fault == "noti_late" else naru.fault(fault)
    pc_buyer.opens()
    pc_buyer.pays()
    heard = pc_buyer.hears()
    assert str(heard["imp_success"]).lower() == "true"
    payment = naru.get(f"/payments/{heard['imp_uid']}").response
    assert (payment["status"], payment["amount"]) == ("paid", 1004)
    naru.shop.wait(1, path="/hook")


def test_an_inquiry_that_is_not_answered_leaves_it_to_the_noti(phone_buyer: Buyer, naru: Live) -> None:
    naru.fault("noti_late", ms=1500)
    naru.fault("http_500", message="M21")
    phone_buyer.opens()
    phone_buyer.pays()
    heard = phone_buyer.hears()
    assert str(heard["imp_success"]).lower() == "true"
    assert naru.get(f"/payments/{heard['imp_uid']}").response["status"] == "paid"


def test_a_reload_while_the_window_is_open(buyer: Buyer, naru: Live) -> None:
    buyer.opens()
    buyer.chooses()
    buyer.window.wait_for_selector("[data-testid=approve]")  # a reload on the way there would stop the way
    buyer.window.reload()
    buyer.window.click("[data-testid=approve]")
    buyer.window.click("[data-testid=result-close]")
    heard = buyer.hears()
    assert naru.get(f"/payments/{heard['imp_uid']}").response["status"] == "paid"


def test_the_shop_was_reloaded_meanwhile(pc_buyer: Buyer, naru: Live) -> None:
    pc_buyer.opens()
    pc_buyer.page.reload()
    pc_buyer.pays()
    pc_buyer.window.wait_for_selector("text=이 창을 닫고 상점의 주문 내역을 확인해 주세요.")
    link = pc_buyer.window.get_attribute("a.main", "href")
    payment = pc_buyer.looks_up().response
    assert payment["status"] == "paid"
    assert link is not None
    assert parse_qs(urlsplit(link).query)["imp_uid"] == [payment["imp_uid"]]
    pc_buyer.window.reload()
    pc_buyer.window.wait_for_selector("text=결제가 완료되었습니다")
    assert len(naru.get(f"/payments/findAll/{pc_buyer.order}").response["list"]) == 1


def test_the_shop_is_gone(pc_buyer: Buyer) -> None:
    pc_buyer.opens()
    pc_buyer.page.close()
    pc_buyer.pays()
    pc_buyer.window.wait_for_selector("text=결제가 완료되었습니다")
    assert pc_buyer.looks_up().response["status"] == "paid"


def test_an_order_that_is_paid_already(buyer: Buyer, naru: Live) -> None:
    paid = naru.paid(merchant_uid=buyer.order, amount=1004)
    expected = {
        "success": False, "imp_success": False, "imp_uid": None, "merchant_uid": buyer.order, "error_code": "F1002",
        "error_msg": "이미 결제가 이루어진 거래건입니다.",
    }  # fmt: skip
    buyer.page.evaluate("uid => { window.extra = {merchant_uid: uid}; }", buyer.order)
    buyer.page.click("#pay")
    buyer.page.wait_for_function("window.results.length > 0")
    assert buyer.page.evaluate("window.results") == [expected]
    assert naru.get(f"/payments/findAll/{buyer.order}").response["total"] == 1
    assert naru.get(f"/payments/{paid['imp_uid']}").response["status"] == "paid"


def test_a_phone_without_a_callback_is_redirected_with_the_reason(phone_buyer: Buyer, naru: Live) -> None:
    naru.paid(merchant_uid=phone_buyer.order, amount=1004)
    phone_buyer.page.evaluate("uid => { window.extra = {merchant_uid: uid}; window.quiet = true; }", phone_buyer.order)
    phone_buyer.page.click("#pay")
    heard = phone_buyer.hears()
    assert heard == {
        "merchant_uid": phone_buyer.order, "imp_success": "false", "error_code": "F1002",
        "error_msg": "이미 결제가 이루어진 거래건입니다.",
    }  # fmt: skip


def test_a_phone_without_an_address_to_return_to(phone_buyer: Buyer, naru: Live) -> None:
    phone_buyer.opens(quiet=True, m_redirect_url=None)
    phone_buyer.pays()
    phone_buyer.page.wait_for_url(naru.url + "/payments/success?**")
    payment = phone_buyer.looks_up().response
    assert payment["status"] == "paid"
    query = parse_qs(urlsplit(phone_buyer.page.url).query)
    assert query == {"success": ["true"], "imp_uid": [payment["imp_uid"]], "merchant_uid": [phone_buyer.order]}
    assert phone_buyer.page.inner_text("h1") == "결제가 완료되었습니다"

    phone_buyer.page.goto(phone_buyer.shop.url + "/")
    phone_buyer.order = naru.order()
    phone_buyer.opens(quiet=True, m_redirect_url=None)
    phone_buyer.window.click("[data-testid=close]")
    phone_buyer.page.wait_for_url(naru.url + "/payments/fail?**")
    query = parse_qs(urlsplit(phone_buyer.page.url).query)
    assert (query["success"], query["error_msg"]) == (["false"], [GAVE_UP])
    assert phone_buyer.looks_up().response["status"] == "failed"


def test_what_is_wrong_is_named_before_the_window_opens(buyer: Buyer, naru: Live) -> None:
    before = len(naru.sandbox_get("/_sandbox/transactions")["transactions"])
    wrongs: list[tuple[dict[str, Any], str, str]] = [
        ({"buyer_tel": None}, "F400", "buyer_tel 파라메터가 누락되었습니다."),
        ({"amount": "1004"}, "F400", f"amount {WRONG} (string이 아닌 number여야 합니다)"),
        ({"amount": 999}, "F400", f"amount {WRONG} (카드 결제는 1,000원 이상 99,999,999원 미만이어야 합니다)"),
        ({"merchant_uid": "x" * 41}, "F400", f"merchant_uid {WRONG} (40자 이하여야 합니다)"),
        ({"channelKey": "no"}, "F1001", f"{NO_CHANNEL} (no: 채널 관리에서 채널키와 MID를 확인해 주세요)"),
        ({"pay_method": "phone"}, "F400", "company_en 파라메터가 누락되었습니다. (휴대폰 결제의 필수 항목입니다)"),
        ({"customer_uid": "c1"}, "F400", "customer_uid 파라메터는 헥토파이낸셜 결제창에서 쓸 수 없습니다."),
    ]
    for number, (wrong, code, message) in enumerate(wrongs):
        buyer.page.evaluate("extra => { window.extra = extra; }", {"merchant_uid": buyer.order, **wrong})
        buyer.page.click("#pay")
        buyer.page.wait_for_function("n => window.results.length > n", arg=number)
        heard = buyer.page.evaluate("window.results.pop()")
        buyer.page.evaluate("window.results.push(null)")
        assert (heard["success"], heard["imp_uid"], heard["error_code"]) == (False, None, code)
        assert heard["error_msg"].startswith(message)
    assert buyer.page.url == buyer.shop.url + "/"
    assert (buyer.looks_up().status, len(naru.sandbox_get("/_sandbox/transactions")["transactions"])) == (404, before)


def test_a_blocked_popup(pc_buyer: Buyer) -> None:
    said: list[str] = []

    def hear(dialog: Dialog) -> None:
        said.append(dialog.message)
        dialog.accept()

    pc_buyer.page.on("dialog", hear)
    pc_buyer.page.evaluate("uid => { window.extra = {merchant_uid: uid}; window.open = () => null; }", pc_buyer.order)
    pc_buyer.page.click("#pay")
    heard = pc_buyer.hears()
    assert (heard["error_code"], heard["error_msg"]) == ("NOT READY", "팝업을 호출하는데 실패하였습니다.")
    assert said == ["팝업차단을 해제해주셔야 결제창이 나타납니다."]
    assert pc_buyer.looks_up().status == 404


def test_instalments(buyer: Buyer, naru: Live) -> None:
    buyer.opens(amount=60_000, display={"card_quota": [3]})
    assert buyer.window.input_value("[data-testid=instalment]") == "03"
    buyer.pays("HDC")
    heard = buyer.hears()
    payment = naru.get(f"/payments/{heard['imp_uid']}").response
    assert (payment["card_quota"], payment["card_code"]) == (3, "367")


def test_one_card_company_and_straight_to_it(phone_buyer: Buyer, naru: Live) -> None:
    phone_buyer.opens(amount=60_000, card={"direct": {"code": "366", "quota": 2}}, app_scheme="myshop")
    phone_buyer.window.click("[data-testid=approve]")
    phone_buyer.window.click("[data-testid=result-close]")
    heard = phone_buyer.hears()
    payment = naru.get(f"/payments/{heard['imp_uid']}").response
    assert (payment["status"], payment["card_code"], payment["card_quota"]) == ("paid", "366", 2)


def test_only_one_card_company_enabled(pc_buyer: Buyer, naru: Live) -> None:
    pc_buyer.opens(card={"detail": [{"card_code": "366", "enabled": True}, {"card_code": "361", "enabled": False}]})
    assert pc_buyer.window.locator("[data-testid^=issuer-]").count() == 1
    pc_buyer.window.check("[data-testid=agree]")
    pc_buyer.window.click("[data-testid=next]")
    pc_buyer.window.click("[data-testid=approve]")
    pc_buyer.window.click("[data-testid=result-close]")
    assert naru.get(f"/payments/{pc_buyer.hears()['imp_uid']}").response["card_code"] == "366"


def test_what_travels_along(buyer: Buyer, naru: Live) -> None:
    buyer.opens(
        custom_data={"cart": [1, 2], "memo": "문 앞"}, tax_free=500, language="en", name="파란 <b>찻잔</b> & 'c' 🙂",
        notice_url=[f"{naru.shop.url}/one", f"{naru.shop.url}/two"], pg="settle.portone1", channelKey=None,
    )  # fmt: skip
    buyer.pays()
    payment = naru.get(f"/payments/{buyer.hears()['imp_uid']}").response
    assert payment["custom_data"] == '{"cart":[1,2],"memo":"문 앞"}'
    assert payment["name"] == "파란 <b>찻잔</b> & 'c' 🙂"
    assert payment["status"] == "paid"
    naru.shop.wait(1, path="/one")
    naru.shop.wait(1, path="/two")
    [trade] = naru.sandbox_get(f"/_sandbox/transactions?mchtTrdNo={payment['imp_uid']}")["transactions"]
    assert trade["detail"]["taxFreeAmt"] == "500"


def test_a_page_with_a_strict_policy(naru: Live, shop: ForeignShop, context: BrowserContext) -> None:
    policy = (
        f"default-src 'none'; script-src {naru.url} 'nonce-abc'; connect-src 'none'; frame-src 'none'; "
        "form-action 'none'; style-src 'none'; base-uri 'none'"
    )
    buyer = Buyer(naru, shop, context, Content_Security_Policy=policy)
    buyer.opens()
    buyer.pays()
    payment = naru.get(f"/payments/{buyer.hears()['imp_uid']}").response
    assert (payment["status"], payment["buyer_addr"]) == ("paid", "서울특별시 강남구 삼성동")


def test_a_page_that_cuts_the_link_to_its_popups(naru: Live, shop: ForeignShop, pc: BrowserContext) -> None:
    buyer = Buyer(naru, shop, pc, Cross_Origin_Opener_Policy="same-origin")
    buyer.page.evaluate("uid => { window.extra = {merchant_uid: uid}; }", buyer.order)
    with pc.expect_page() as opened:
        buyer.page.click("#pay")
    buyer.window = opened.value
    buyer.window.wait_for_selector("[data-testid=window]")
    buyer.pays()
    assert naru.get(f"/payments/{buyer.hears()['imp_uid']}").response["status"] == "paid"


def test_the_books_agree(naru: Live) -> None:
    """After all of the above: what the shop is shown is what Hecto's book says."""
    for trade in naru.sandbox_get("/_sandbox/transactions?limit=500")["transactions"]:
        if trade["kind"] != "pay" or not trade["mchtTrdNo"].startswith("imp_") or trade["state"] != "done":
            continue
        payment = naru.get(f"/payments/{trade['mchtTrdNo']}").response
        assert (payment["status"], payment["amount"]) == ("paid", trade["amount"])
