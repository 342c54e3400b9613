"""iamport.js on a shop's page, with a stub for everything behind it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.stub_gateway import Running, Stub

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

CARD = {"pg_provider": "settle", "pg_id": "portone1", "type": "payment", "sandbox": True}
GAVE_UP = "[결제포기] 사용자가 결제를 취소하셨습니다"


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """One server for all tests: to stop one under a browser that connects ahead of need leaves connections behind."""
    made = Running()
    yield made
    made.stop()


@pytest.fixture
def stub(running: Running) -> Stub:
    running.stub = Stub(port=running.port, channels=[CARD])
    return running.stub


def shop_page(stub: Stub, *, script: str = "/v1/iamport.js", before: str = "", init: bool = True) -> str:
    start = "IMP.init('imp00000000');" if init else ""
    return f"""<!doctype html><title>shop</title>{before}
    <script src="{stub.gateway}{script}"></script>
    <script>
      {start}
      window.results = [];
      window.heard = function (r) {{ window.results.push(r); }};
      function pay(extra) {{
        var p = {{channelKey: 'channel-key-dev-window', pay_method: 'card', merchant_uid: 'order_no_0001',
                 name: '주문명:결제테스트', amount: 1004, buyer_name: '구매자', buyer_tel: '010-1234-5678'}};
        for (var k in extra) p[k] = extra[k];
        return p;
      }}
    </script>
    <button id="pay" onclick="window.returned = IMP.request_pay(pay(window.extra), window.heard)">결제하기</button>"""


@pytest.fixture
def visit(stub: Stub) -> Callable[..., Page]:
    def visit(
        context: BrowserContext, *, headers: dict[str, str] | None = None, html: str | None = None, **how: Any
    ) -> Page:
        stub.shop_html = html or shop_page(stub, **how)
        stub.shop_headers = headers or {}
        page = context.new_page()
        page.goto(stub.shop + "/")
        return page

    return visit


def results(page: Page, count: int = 1) -> list[dict[str, Any]]:
    page.wait_for_function("n => window.results.length >= n", arg=count)
    return page.evaluate("window.results")


def open_popup(page: Page) -> Page:
    with page.expect_popup() as opened:
        page.click("#pay")
    popup = opened.value
    popup.wait_for_selector("[data-testid=paid]")
    return popup


def alerts(page: Page) -> list[str]:
    said: list[str] = []

    def hear(dialog: Any) -> None:
        said.append(dialog.message)
        dialog.accept()

    page.on("dialog", hear)
    return said


def test_a_paid_order_reaches_the_callback_and_leaves_nothing_behind(
    pc: BrowserContext, stub: Stub, visit: Any
) -> None:
    page = visit(pc)
    popup = open_popup(page)
    assert page.locator("div.imp-dialog.customizable.payment-settle.pc").count() == 1
    assert page.locator("iframe.imp-frame.imp-frame-pc.imp-frame-settle").count() == 1
    with popup.expect_event("close"):
        popup.click("[data-testid=paid]")

    assert results(page) == [
        {
            "success": True, "imp_success": True, "imp_uid": "imp_000000000000", "status": "paid",
            "merchant_uid": "order_no_0001", "paid_amount": 1004,
        }
    ]  # fmt: skip
    assert page.locator(".imp-dialog").count() == 0
    assert [r["params"]["amount"] for r in stub.requests] == [1004]
    assert stub.requests[0]["origin"] == stub.shop
    assert stub.requests[0]["device"] == "pc"
    assert stub.requests[0]["imp_code"] == "imp00000000"


def test_what_the_buyer_typed_is_in_no_address(pc: BrowserContext, stub: Stub, visit: Any) -> None:
    page = visit(pc)
    popup = open_popup(page)
    popup.click("[data-testid=paid]")
    results(page)

    assert stub.requests[0]["params"]["buyer_tel"] == "010-1234-5678"
    assert not [path for _, path in stub.seen if "5678" in path or "%EA%B5%AC" in path]


@pytest.mark.parametrize(
    ("button", "code", "message"), [("declined", "CA05", "카드사 거절"), ("left", "0009", GAVE_UP)]
)
def test_a_refusal_reaches_the_callback(pc: BrowserContext, visit: Any, button: str, code: str, message: str) -> None:
    page = visit(pc)
    open_popup(page).click(f"[data-testid={button}]")

    assert results(page) == [
        {
            "success": False, "imp_success": False, "imp_uid": "imp_000000000000", "merchant_uid": "order_no_0001",
            "error_code": code, "error_msg": message,
        }
    ]  # fmt: skip


def test_a_closed_window_is_given_up(pc: BrowserContext, visit: Any) -> None:
    page = visit(pc)
    open_popup(page).close()

    [result] = results(page)
    assert (result["success"], result["imp_uid"], result["error_msg"]) == (False, "imp_000000000000", GAVE_UP)
    assert page.locator(".imp-dialog").count() == 0


def test_a_window_closed_after_paying_is_paid(pc: BrowserContext, stub: Stub, visit: Any) -> None:
    page = visit(pc)
    popup = open_popup(page)
    [payment] = stub.payments.values()
    payment["response"] = {"success": True, "imp_uid": payment["imp_uid"], "merchant_uid": "order_no_0001"}
    popup.close()

    assert results(page) == [{"success": True, "imp_uid": "imp_000000000000", "merchant_uid": "order_no_0001"}]


def test_the_outcome_is_asked_again_when_the_gateway_stumbles(pc: BrowserContext, stub: Stub, visit: Any) -> None:
    page = visit(pc)
    popup = open_popup(page)
    stub.silent_outcomes = 2  # the script tag and the fetch that stands in for it
    popup.close()

    assert results(page)[0]["error_msg"] == GAVE_UP


def test_the_veil_lets_the_buyer_cancel(pc: BrowserContext, visit: Any) -> None:
    page = visit(pc)
    popup = open_popup(page)
    with popup.expect_event("close"):
        page.frame_locator("iframe.imp-frame").get_by_text("결제 취소").click()

    assert results(page)[0]["error_msg"] == GAVE_UP


def test_a_blocked_popup_is_said_and_told(pc: BrowserContext, stub: Stub, visit: Any) -> None:
    page = visit(pc)
    said = alerts(page)
    page.evaluate("window.open = function () { return null; }")
    page.click("#pay")

    assert results(page) == [
        {
            "success": False, "imp_success": False, "imp_uid": None, "merchant_uid": "order_no_0001",
            "error_code": "NOT READY", "error_msg": "팝업을 호출하는데 실패하였습니다.",
        }
    ]  # fmt: skip
    assert said == ["팝업차단을 해제해주셔야 결제창이 나타납니다."]
    assert stub.requests == []


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("en-US", "Please allow pop-ups for this site to see the payment window."),
        ("ja-JP", "ポップアップブロックを解除すると決済画面が表示されます。"),
    ],
)
def test_a_blocked_popup_is_said_in_the_buyers_language(chromium: Any, visit: Any, language: str, message: str) -> None:
    context = chromium.new_context(locale=language)
    try:
        page = visit(context)
        said = alerts(page)
        page.evaluate("window.open = function () { return null; }")
        page.click("#pay")
        results(page)
        assert said == [message]
    finally:
        context.close()


def test_a_refusal_before_the_window_reaches_the_callback(pc: BrowserContext, stub: Stub, visit: Any) -> None:
    stub.refuse = {
        "success": False, "imp_uid": None, "merchant_uid": "order_no_0001", "error_code": "F1002",
        "error_msg": "이미 결제가 이루어진 거래건입니다.",
    }  # fmt: skip
    page = visit(pc)
    with page.expect_popup() as opened:
        page.click("#pay")
    if not opened.value.is_closed():
        opened.value.wait_for_event("close")
    assert results(page) == [stub.refuse]


# -- calls that never reach the gateway


def test_no_parameters(pc: BrowserContext, stub: Stub, visit: Any) -> None:
    page = visit(pc)
    said = alerts(page)
    assert page.evaluate("[IMP.request_pay(), IMP.certification()]") == [False, False]
    assert said == ["결제요청 파라메터가 누락되었습니다."] * 2
    assert stub.requests == []


def test_no_init(pc: BrowserContext, stub: Stub, visit: Any) -> None:
    page = visit(pc, init=False)
    said = alerts(page)
    page.click("#pay")
    assert page.evaluate("window.returned") is False
    assert said == ["판매자 코드가 설정되지 않았습니다. IMP.init()함수를 먼저 호출하세요."]
    assert (page.evaluate("window.results"), stub.requests) == ([], [])


def test_a_store_without_a_channel(pc: BrowserContext, stub: Stub, visit: Any) -> None:
    stub.channels = []
    page = visit(pc)
    page.wait_for_load_state("networkidle")
    page.click("#pay")
    expected = {
        "success": False, "imp_success": False, "imp_uid": None, "merchant_uid": "order_no_0001",
        "error_code": "NOT_READY", "error_msg": "등록 된 PG 설정 정보를 찾을 수 없습니다.",
    }  # fmt: skip
    assert results(page) == [expected]
    said = alerts(page)
    page.evaluate("IMP.request_pay(pay())")
    assert said == ["등록 된 PG 설정 정보를 찾을 수 없습니다."]
    assert stub.requests == []


def test_certification_is_refused_with_the_misspelt_key_too(pc: BrowserContext, visit: Any) -> None:
    page = visit(pc)
    page.evaluate("IMP.certification({merchant_uid: 'c1'}, heard)")
    message = "등록되지 않은 PG모듈 정보입니다. 아임포트 관리자페이지에서 PG모듈 정보를 설정하신 후 다시 시도해주세요."
    assert results(page) == [
        {
            "success": False, "imp_success": False, "imp_uid": None, "merchant_uid": "c1",
            "error_coe": "F1001", "error_code": "F1001", "error_msg": message,
        }
    ]  # fmt: skip


def test_ui_loading_is_refused(pc: BrowserContext, visit: Any) -> None:
    page = visit(pc)
    page.evaluate("IMP.loadUI('settle', {merchant_uid: 'u1'}, heard)")
    [result] = results(page)
    assert (result["merchant_uid"], result["error_code"]) == ("u1", "F500")
    assert result["error_msg"] == "해당 PG사(settle)는 UI 로딩을 지원하지 않습니다."


def test_members_that_old_apps_call_do_no_harm(pc: BrowserContext, visit: Any) -> None:
    page = visit(pc)
    errors: list[str] = []
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.evaluate(
        "IMP.communicate({result: 'process'}); IMP.close(); IMP.updateLoadUIRequest(); IMP.loadModule();"
        "IMP.naver_zzim({}); IMP.deinit(); IMP.agency('imp00000000', 'ABC'); IMP.init('imp00000000')"
    )
    assert errors == []


def test_parameters_that_cannot_be_written_down_are_reported(pc: BrowserContext, visit: Any) -> None:
    page = visit(pc)
    said = alerts(page)
    page.evaluate("var p = pay(); p.custom_data = {}; p.custom_data.self = p.custom_data; IMP.request_pay(p, heard)")
    assert said[0].startswith("결제모듈 구동 중에 오류가 발생하였습니다. 페이지 새로고침 후 다시 시도해주세요.\n")
    assert page.locator(".imp-dialog").count() == 0


def test_an_order_number_is_made_up_or_made_text(pc: BrowserContext, stub: Stub, visit: Any) -> None:
    page = visit(pc)
    page.evaluate("window.extra = {merchant_uid: 20260801}")
    open_popup(page).close()
    results(page)
    page.evaluate("window.extra = {merchant_uid: undefined}")
    open_popup(page).close()
    results(page, 2)

    first, second = (r["params"]["merchant_uid"] for r in stub.requests)
    assert first == "20260801"
    assert second.startswith("nobody_")
    assert second[7:].isdigit()


def test_an_amount_in_text_passes_only_beside_an_apps_bridge(pc: BrowserContext, stub: Stub, visit: Any) -> None:
    page = visit(pc)
    page.evaluate("window.extra = {amount: '1004'}")
    open_popup(page).close()
    results(page)
    page.evaluate("window.ReactNativeWebView = {}")
    open_popup(page).close()
    results(page, 2)

    assert [r["params"]["amount"] for r in stub.requests] == ["1004", 1004]


# -- mistakes and neighbours


def test_a_double_click_opens_one_window_and_is_answered_once(pc: BrowserContext, stub: Stub, visit: Any) -> None:
    page = visit(pc)
    page.evaluate(
        """() => { document.getElementById('pay').onclick = function () {
          for (var i = 0; i < 2; i++) IMP.request_pay(pay({merchant_uid: 'order_' + i}), heard); }; }"""
    )
    popup = open_popup(page)
    with popup.expect_event("close"):
        popup.click("[data-testid=paid]")

    assert [r["merchant_uid"] for r in results(page)] == ["order_0"]
    page.wait_for_timeout(500)
    assert len(page.evaluate("window.results")) == 1
    assert [r["params"]["merchant_uid"] for r in stub.requests] == ["order_0"]


def test_the_same_order_again_goes_on_in_the_open_window(pc: BrowserContext, stub: Stub, visit: Any) -> None:
    page = visit(pc)
    popup = open_popup(page)
    page.wait_for_timeout(2100)  # the limit for a double click is a wall clock of the browser's
    page.evaluate("IMP.request_pay(pay(), function (r) { heard({second: r.success}); })")
    popup.click("[data-testid=paid]")

    assert results(page) == [{"second": True}]
    assert len(stub.requests) == 1


def test_another_order_ends_the_one_before(pc: BrowserContext, stub: Stub, visit: Any) -> None:
    page = visit(pc)
    popup = open_popup(page)
    page.wait_for_timeout(2100)
    page.evaluate("IMP.request_pay(pay({merchant_uid: 'order_no_0002'}), heard)")
    assert results(page)[0]["merchant_uid"] == "order_no_0001"
    assert results(page)[0]["error_msg"] == GAVE_UP
    popup.wait_for_selector("[data-testid=paid]")
    popup.click("[data-testid=paid]")

    assert [(r["merchant_uid"], r["success"]) for r in results(page, 2)] == [
        ("order_no_0001", False),
        ("order_no_0002", True),
    ]


def test_a_callback_that_throws_hurts_nobody(pc: BrowserContext, visit: Any) -> None:
    page = visit(pc)
    errors: list[str] = []
    page.on("pageerror", lambda e: errors.append(e.message))
    page.evaluate(
        "() => { window.heard = function (r) { window.results.push(r); throw new Error('the shop tripped'); }; }"
    )
    popup = open_popup(page)
    with popup.expect_event("close"):
        popup.click("[data-testid=paid]")

    assert results(page)[0]["success"] is True
    page.wait_for_function("!document.querySelector('.imp-dialog')")
    assert errors == ["the shop tripped"]
    open_popup(page).close()
    assert results(page, 2)[1]["error_msg"] == GAVE_UP


def test_messages_of_others_are_ignored(pc: BrowserContext, visit: Any) -> None:
    page = visit(pc)
    popup = open_popup(page)
    page.evaluate(
        """() => {
          window.postMessage('{"from":"naru","action":"done","request_id":"x","response":{"success":true}}', '*');
          window.postMessage('not json but "naru"', '*');
          window.postMessage({source: 'react-devtools-bridge'}, '*');
          window.postMessage(null, '*');
        }"""
    )
    # The PG's page in the very popup may not speak for the gateway either.
    popup.evaluate("""opener.postMessage('{"from":"naru","action":"look"}', '*')""")
    page.wait_for_timeout(500)
    assert page.evaluate("window.results") == []
    popup.click("[data-testid=paid]")
    assert results(page)[0]["success"] is True


def test_included_twice_and_beside_jquery(pc: BrowserContext, stub: Stub, visit: Any) -> None:
    html = shop_page(stub, before="<script>window.$ = window.jQuery = function () {}</script>")
    again = f'<script src="{stub.gateway}/js/iamport.payment-1.2.0.js"></script><button'
    page = visit(pc, html=html.replace("<button", again))
    popup = open_popup(page)
    popup.click("[data-testid=paid]")
    assert len(results(page)) == 1
    assert page.evaluate("window.$ === window.jQuery")


def test_the_old_file_name_works_alone(pc: BrowserContext, visit: Any) -> None:
    page = visit(pc, script="/js/iamport.payment-1.2.0.js")
    open_popup(page).click("[data-testid=paid]")
    assert results(page)[0]["success"] is True


def test_the_server_can_be_named_at_run_time(pc: BrowserContext, stub: Stub, visit: Any) -> None:
    page = visit(pc)
    assert page.evaluate("IMP.slots.CORE_SERVER") == stub.gateway
    page.evaluate("IMP.slots.CORE_SERVER = 'http://nowhere.localhost:1'")
    page.evaluate(f"IMP.slots.CORE_SERVER = '{stub.gateway}/'")
    open_popup(page).click("[data-testid=paid]")
    assert results(page)[0]["success"] is True


def test_the_module_twin(pc: BrowserContext, stub: Stub, visit: Any) -> None:
    html = f"""<!doctype html><title>shop</title><script type="module">
      import IMP, {{ init, request_pay, slots }} from '{stub.gateway}/v1/iamport.esm.js';
      window.results = [];
      window.same = IMP.slots === slots && IMP.request_pay === request_pay && slots.CORE_SERVER;
      init('imp00000000');
      document.getElementById('pay').onclick = function () {{
        request_pay({{merchant_uid: 'm1', amount: 1004, buyer_tel: '1'}}, function (r) {{ window.results.push(r); }});
      }};
    </script><button id="pay">pay</button>"""
    page = visit(pc, html=html)
    page.wait_for_function("window.same")
    assert page.evaluate("window.same") == stub.gateway
    open_popup(page).click("[data-testid=paid]")
    assert results(page)[0]["merchant_uid"] == "m1"


def test_a_page_in_euc_kr(pc: BrowserContext, stub: Stub, visit: Any) -> None:
    stub.shop_charset = "euc-kr"
    page = visit(pc)
    assert page.evaluate("document.characterSet") == "EUC-KR"
    open_popup(page).close()
    assert results(page)[0]["error_msg"] == GAVE_UP
    assert stub.requests[0]["params"]["name"] == "주문명:결제테스트"


# -- strict pages


def strict(stub: Stub, **more: str) -> dict[str, str]:
    rules = {
        "default-src": "'none'", "script-src": f"{stub.gateway} 'nonce-abc'", "connect-src": "'none'",
        "frame-src": "'none'", "form-action": "'none'", "style-src": "'none'",
        "img-src": "'none'", "base-uri": "'none'",
    } | {name.replace("_", "-"): value for name, value in more.items()}  # fmt: skip
    return {"Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in rules.items())}


def strict_html(stub: Stub) -> str:
    """The same page without anything that such a policy would stop: its own scripts carry a nonce."""
    html = re.sub(r' onclick="[^"]*"', "", shop_page(stub)).replace("<script", '<script nonce="abc"')
    click = "document.getElementById('pay').addEventListener('click', function () {"
    return f'{html}<script nonce="abc">{click} IMP.request_pay(pay(window.extra), window.heard); }});</script>'


@pytest.mark.parametrize(
    "policy",
    [
        {},
        {"form_action": "*"},
        {"script_src": "'nonce-abc'"},
        {"script_src": "'nonce-abc' 'strict-dynamic'"},
        {"script_src": "'nonce-abc' {gateway}/v1/iamport.js"},
        {"require_trusted_types_for": "'script'", "connect_src": "{gateway}"},
    ],
    ids=["strictest", "forms allowed", "nonce only", "strict-dynamic", "this file only", "trusted types"],
)
def test_a_page_with_a_strict_policy(pc: BrowserContext, stub: Stub, visit: Any, policy: dict[str, str]) -> None:
    policy = {name: value.format(gateway=stub.gateway) for name, value in policy.items()}
    page = visit(pc, headers=strict(stub, **policy), html=strict_html(stub))
    popup = open_popup(page)
    assert page.locator(".imp-dialog").is_visible()
    assert page.frame_locator("iframe.imp-frame").get_by_text("결제창에서 결제를 진행해 주세요.").is_visible()
    popup.click("[data-testid=paid]")
    assert results(page)[0]["success"] is True

    open_popup(page).close()
    assert results(page, 2)[1]["error_msg"] == GAVE_UP
    assert [r["params"]["buyer_name"] for r in stub.requests] == ["구매자", "구매자"]


def test_parameters_behind_the_hash_leave_the_address_at_once(pc: BrowserContext, stub: Stub, visit: Any) -> None:
    page = visit(pc, headers=strict(stub), html=strict_html(stub))
    popup = open_popup(page)
    popup.go_back()
    assert "#" not in popup.url
    assert not [path for _, path in stub.seen if "5678" in path]


@pytest.mark.parametrize("isolated", [False, True], ids=["opener cut", "cross-origin isolated"])
def test_a_page_that_cuts_the_link_to_its_popups(pc: BrowserContext, stub: Stub, visit: Any, isolated: bool) -> None:
    headers = {"Cross-Origin-Opener-Policy": "same-origin"}
    if isolated:
        headers["Cross-Origin-Embedder-Policy"] = "require-corp"
    page = visit(pc, headers=headers)
    with pc.expect_page() as opened:
        page.click("#pay")
    popup = opened.value
    popup.wait_for_selector("[data-testid=paid]")
    page.wait_for_timeout(2500)  # the page believes its popup is closed by now, and must not say so
    assert page.evaluate("window.results") == []
    popup.click("[data-testid=paid]")

    assert results(page)[0]["success"] is True
    popup.wait_for_selector("text=이 창을 닫아 주세요.")


def test_a_page_that_cut_the_link_can_still_cancel(pc: BrowserContext, visit: Any) -> None:
    page = visit(pc, headers={"Cross-Origin-Opener-Policy": "same-origin"})
    with pc.expect_page() as opened:
        page.click("#pay")
    opened.value.wait_for_selector("[data-testid=paid]")
    page.frame_locator("iframe.imp-frame").get_by_text("결제 취소").click()
    assert results(page)[0]["error_msg"] == GAVE_UP


def test_a_page_opened_from_disk(pc: BrowserContext, stub: Stub, tmp_path: Any) -> None:
    shop = tmp_path / "shop.html"
    shop.write_text(shop_page(stub), encoding="utf-8")
    page = pc.new_page()
    page.goto(shop.as_uri())
    open_popup(page).click("[data-testid=paid]")
    assert results(page)[0]["success"] is True


def test_a_gateway_with_two_names(pc: BrowserContext, stub: Stub, visit: Any) -> None:
    stub.landing_host = "pay2.localhost"
    page = visit(pc)
    open_popup(page).click("[data-testid=paid]")
    assert results(page)[0]["success"] is True


def test_the_shops_page_is_gone_when_the_buyer_comes_back(pc: BrowserContext, visit: Any) -> None:
    page = visit(pc)
    popup = open_popup(page)
    page.reload()
    popup.click("[data-testid=paid]")
    popup.wait_for_selector("text=이 창을 닫아 주세요.")
    assert page.evaluate("window.results") == []


def test_third_party_cookies_are_not_needed(pc: BrowserContext, stub: Stub, visit: Any) -> None:
    page = visit(pc)
    open_popup(page).click("[data-testid=paid]")
    results(page)
    assert pc.cookies() == []


# -- phones


def test_a_phone_hands_the_page_over(phone: BrowserContext, stub: Stub, visit: Any) -> None:
    page = visit(phone)
    page.evaluate("u => { window.extra = {m_redirect_url: u} }", stub.shop + "/done")
    page.click("#pay")
    page.wait_for_url(stub.pg + "/window")
    page.click("[data-testid=paid]")
    page.wait_for_url(stub.shop + "/done?**")

    assert "imp_uid=imp_000000000000" in page.url
    assert [(r["device"], r["callback"]) for r in stub.requests] == [("mobile", True)]
    assert len(phone.pages) == 1


def test_an_address_without_a_host_is_the_shops_own(phone: BrowserContext, stub: Stub, visit: Any) -> None:
    page = visit(phone)
    page.evaluate("window.extra = {m_redirect_url: '/done'}")
    page.click("#pay")
    page.wait_for_url(stub.pg + "/window")
    assert stub.requests[0]["params"]["m_redirect_url"] == stub.shop + "/done"


def test_a_phone_asks_before_it_leaves_and_names_nobody(phone: BrowserContext, stub: Stub, visit: Any) -> None:
    stub.refuse = {"success": False, "merchant_uid": "order_no_0001", "error_code": "F1002", "error_msg": "이미"}
    page = visit(phone)
    page.evaluate("window.extra = {custom_data: {secret: 1}, buyer_addr: '서울'}")
    page.click("#pay")

    assert results(page) == [stub.refuse]
    assert page.url == stub.shop + "/"
    assert stub.requests == []
    [check] = stub.checks
    assert check["params"]["buyer_tel"] == "000-0000-0000"
    assert (check["params"]["buyer_name"], check["params"]["buyer_addr"]) == ("x", "x")
    assert "custom_data" not in check["params"]
    assert page.locator(".imp-dialog").count() == 0
    assert page.evaluate("document.body.className") == ""


def test_a_phone_without_a_callback_lets_the_gateway_redirect(phone: BrowserContext, stub: Stub, visit: Any) -> None:
    stub.refuse = {"success": False, "merchant_uid": "order_no_0001", "error_code": "F1002", "error_msg": "이미"}
    page = visit(phone)
    page.evaluate("u => IMP.request_pay(pay({m_redirect_url: u}))", stub.shop + "/done")
    page.wait_for_url(stub.shop + "/done")
    assert stub.checks == []


@pytest.mark.parametrize("form_action", ["*", "'none'"])
def test_a_phone_page_with_a_strict_policy(phone: BrowserContext, stub: Stub, visit: Any, form_action: str) -> None:
    page = visit(phone, headers=strict(stub, form_action=form_action), html=strict_html(stub))
    page.evaluate("u => { window.extra = {m_redirect_url: u} }", stub.shop + "/done")
    page.click("#pay")
    page.wait_for_url(stub.pg + "/window")
    page.click("[data-testid=paid]")
    page.wait_for_url(stub.shop + "/done?**")
    assert stub.requests[0]["params"]["buyer_name"] == "구매자"


def test_the_back_button_on_a_phone_returns_to_the_shop(phone: BrowserContext, stub: Stub, visit: Any) -> None:
    page = visit(phone)
    page.evaluate("u => { window.extra = {m_redirect_url: u} }", stub.shop + "/done")
    page.click("#pay")
    page.wait_for_url(stub.pg + "/window")
    page.go_back()
    page.wait_for_url(stub.shop + "/")
    assert page.locator(".imp-dialog").count() == 0
    page.click("#pay")
    page.wait_for_url(stub.pg + "/window")
    assert len({r["request_id"] for r in stub.requests}) == 2


def test_the_file_is_small() -> None:
    import gzip

    from tests.browser.stub_gateway import SDK

    assert len(gzip.compress((SDK / "iamport.js").read_bytes())) < 15_000
