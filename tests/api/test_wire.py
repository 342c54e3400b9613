"""The V1 wire to the letter, over real HTTP: tokens, bodies, paths, envelopes, literal words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from tests.cluster import run_async
from tests.live import GOOD_CARD, Live

from naru.service import setup
from naru.store import stores
from naru.store.db import open_database

FORM = "application/x-www-form-urlencoded"
CONTRACT = json.loads((Path(__file__).parents[1] / "contract/portone-v1-contract.json").read_text("utf-8"))
PAYMENT_KEYS = set(CONTRACT["definitions"]["PaymentAnnotation"]["properties"])

# ── tokens ───────────────────────────────────────────────────────────────────


def test_a_token_has_exactly_three_keys_and_forty_digits(naru: Live) -> None:
    answer = naru.get_token()
    assert (answer.status, answer.code, answer.message) == (200, 0, None)
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    assert set(answer.response) == {"access_token", "expired_at", "now"}
    assert re.fullmatch("[0-9a-f]{40}", answer.response["access_token"])
    assert 0 < answer.response["expired_at"] - answer.response["now"] <= 1800


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (urlencode({"imp_key": setup.DEV_IMP_KEY, "imp_secret": setup.DEV_IMP_SECRET}), FORM),
        (urlencode({"imp_key": setup.DEV_IMP_KEY, "imp_secret": setup.DEV_IMP_SECRET}), "application/json"),
        (f"imp_key={setup.DEV_IMP_KEY}& imp_secret={setup.DEV_IMP_SECRET}", FORM),  # the Go client's leading space
        (json.dumps({"imp_key": setup.DEV_IMP_KEY, "imp_secret": setup.DEV_IMP_SECRET}), FORM),
    ],
)
def test_bodies_are_read_by_content_not_by_header(naru: Live, body: str, content_type: str) -> None:
    answer = naru.send("POST", "/users/getToken", body.encode(), {"Content-Type": content_type})
    assert answer.response["access_token"] == naru.token


@pytest.mark.parametrize("given", [{"imp_key": ""}, {"imp_secret": ""}])
def test_a_missing_key_has_the_documented_words(naru: Live, given: dict[str, str]) -> None:
    answer = naru.get_token(**given)
    assert (answer.status, answer.code) == (400, -1)
    assert answer.message == "imp_key, imp_secret 파라메터가 누락되었습니다."


def test_a_wrong_pair_is_401(naru: Live) -> None:
    answer = naru.get_token(imp_secret="wrong")
    assert (answer.status, answer.code, answer.response) == (401, -1, None)
    assert answer.message == "인증에 실패하였습니다. API키와 secret을 확인하세요."


def test_the_token_is_taken_in_every_form(naru: Live) -> None:
    token = naru.token
    for headers in (
        {"Authorization": token},
        {"Authorization": f"Bearer {token}"},
        {"Authorization": f"bearer {token}"},
        {"X-ImpTokenHeader": token},
    ):
        assert naru.send("GET", "/banks", None, headers).status == 200
    assert naru.send("GET", f"/banks?_token={token}").status == 200
    paid = naru.send("POST", f"/payments/prepare?_token={token}", b'{"merchant_uid":"by-query","amount":1}')
    assert paid.code == 0


def test_the_first_form_present_wins(naru: Live) -> None:
    both = {"Authorization": "0" * 40, "X-ImpTokenHeader": naru.token}
    assert naru.send("GET", f"/banks?_token={naru.token}", None, both).status == 401
    header = {"X-ImpTokenHeader": "0" * 40}
    assert naru.send("GET", f"/banks?_token={naru.token}", None, header).status == 401


def test_no_token_is_unauthorized_before_anything_happens(naru: Live) -> None:
    body = json.dumps({"merchant_uid": "no-token", "amount": 3000, "card_number": GOOD_CARD, "expiry": "2039-12"})
    answer = naru.send("POST", "/subscribe/payments/onetime", body.encode())
    assert (answer.status, answer.json) == (401, {"code": -1, "message": "Unauthorized", "response": None})
    assert answer.headers["www-authorize"] == "iamport"
    assert naru.get("/payments/find/no-token").status == 404


def test_the_same_token_until_it_expires_and_longer_in_its_last_minute(fresh: Live) -> None:
    first = fresh.get_token().response
    fresh.jump(28 * 60_000)
    assert fresh.get_token().response | {"now": 0} == first | {"now": 0}
    fresh.jump(90_000)  # half a minute is left
    longer = fresh.get_token().response
    assert longer["access_token"] == first["access_token"]
    assert longer["expired_at"] == first["expired_at"] + 300
    fresh.jump(6 * 60_000)
    assert fresh.get_token().response["access_token"] != first["access_token"]


# ── paths and lists ──────────────────────────────────────────────────────────


def test_paths_bear_slashes_and_quoted_names(naru: Live) -> None:
    order = "주문/1 $âàá.x"
    payment = naru.paid(merchant_uid=order)
    quoted = quote(order, safe="")
    for path in (f"/payments/find/{quoted}", f"//payments//find/{quoted}/", f"/payments/find/{quoted}/paid/"):
        assert naru.get(path).response["imp_uid"] == payment["imp_uid"], path
    assert naru.call("POST", "/payments/cancel/", {"imp_uid": payment["imp_uid"]}).code == 0


@pytest.mark.parametrize("status", ["", "/undefined", "/all", "/paid"])
def test_find_takes_every_spelling_of_any_status(naru: Live, status: str) -> None:
    order = naru.order()
    naru.paid(merchant_uid=order)
    assert naru.get(f"/payments/find/{order}{status}").response["merchant_uid"] == order
    page = naru.get(f"/payments/findAll/{order}{status}").response
    assert (page["total"], page["previous"], page["next"], len(page["list"])) == (1, 0, 0, 1)


def test_what_is_not_found_has_the_documented_words(naru: Live) -> None:
    for path in ("/payments/imp_000000000000", "/payments/find/nobody", "/payments/findAll/nobody",
                 "/payments?imp_uid[]=imp_000000000000"):  # fmt: skip
        answer = naru.get(path)
        assert (answer.status, answer.code, answer.message) == (404, -1, "존재하지 않는 결제정보입니다."), path
    bad = naru.get("/payments/status/paidd")
    assert (bad.status, bad.code, bad.message) == (400, -1, "지원되지 않는 상태값입니다.")


@pytest.mark.parametrize("spelling", ["imp_uid[]={}&imp_uid[]={}", "imp_uid[0]={}&imp_uid[1]={}", "imp_uid={},{}"])
def test_several_payments_in_every_spelling_of_a_list(naru: Live, spelling: str) -> None:
    first, second = naru.paid()["imp_uid"], naru.paid()["imp_uid"]
    everything = naru.get("/payments?" + spelling.format(first, second))
    assert (everything.status, everything.code) == (200, 0)
    assert {p["imp_uid"] for p in everything.response} == {first, second}
    some = naru.get("/payments?" + spelling.format(first, "imp_000000000000"))
    assert (some.status, some.code, len(some.response)) == (207, 0, 1)


@pytest.mark.parametrize("query", ["page=0", "limit=0", "limit=1001", "page=x", "sorting=best"])
def test_limits_of_lists_are_400(naru: Live, query: str) -> None:
    answer = naru.get(f"/payments/status/all?{query}")
    assert (answer.status, answer.code, answer.response) == (400, -1, None)
    assert answer.message


def test_a_status_list_looks_back_ninety_days_at_most(naru: Live) -> None:
    now = naru.now_s
    assert naru.get(f"/payments/status/all?from={now - 90 * 86400}&to={now}").status == 200
    assert naru.get(f"/payments/status/all?from={now - 90 * 86400 - 2}&to={now}").status == 400
    assert naru.get(f"/payments/status/all?from={now * 1000}").status == 400
    assert naru.get("/payments/status/all?page=99999").status == 400


# ── payments ─────────────────────────────────────────────────────────────────


def test_every_field_of_a_payment_is_always_there(naru: Live) -> None:
    p = naru.paid()
    assert set(p) == PAYMENT_KEYS
    assert re.fullmatch(r"imps_\d{12}", p["imp_uid"])
    assert (p["status"], p["channel"], p["pg_provider"], p["pg_id"]) == ("paid", "api", "settle", "nxca_jt_bi")
    assert (p["amount"], p["cancel_amount"], p["currency"], p["sandbox"], p["escrow"]) == (3000, 0, "KRW", True, False)
    for name in ("failed_at", "cancelled_at", "vbank_date", "vbank_issued_at", "card_quota"):
        assert p[name] == 0, name
    for name in ("bank_code", "vbank_num", "fail_reason", "cancel_reason", "buyer_addr", "customer_uid", "promotion"):
        assert p[name] is None, name
    for name in ("cancel_history", "cancel_receipt_urls", "deposit_history"):
        assert p[name] == [], name
    assert (p["cash_receipt_issued"], p["customer_uid_usage"]) == (False, None)
    assert p["paid_at"] >= p["started_at"] > 1_700_000_000
    assert "4111" not in json.dumps(p).replace(p["card_number"], "")


def test_a_form_body_with_php_names_pays_too(naru: Live) -> None:
    order = naru.order()
    body = urlencode({
        "merchant_uid": order, "amount": "3000", "card_number": GOOD_CARD, "expiry": "2039-12", "name": "상품",
        "notice_url[]": f"{naru.shop.url}/one", "custom_data[a][0]": "1",
    })  # fmt: skip
    headers = {"Authorization": naru.token, "Content-Type": "application/json"}
    paid = naru.send("POST", "/subscribe/payments/onetime", body.encode(), headers)
    assert (paid.code, paid.response["amount"]) == (0, 3000)
    assert json.loads(paid.response["custom_data"]) == {"a": ["1"]}
    [hook] = naru.shop.wait(1, path="/one")
    assert hook.content_type == "application/json"
    assert hook.fields == {"imp_uid": paid.response["imp_uid"], "merchant_uid": order, "status": "paid"}


def test_an_object_as_custom_data_comes_back_as_its_text(naru: Live) -> None:
    assert naru.paid(custom_data={"차": [1, "둘"]})["custom_data"] == '{"차":[1,"둘"]}'


def test_webhooks_go_as_forms_where_the_store_says_so(fresh: Live) -> None:
    async def change() -> None:
        db = await open_database(fresh.settings.database_url)  # the gateway's own belongs to its thread
        await db.write(stores.set_webhook, 1, f"{fresh.shop.url}/form", None, FORM)
        await db.close()

    run_async(change())
    fresh.jump(2000)
    paid = fresh.paid()
    [hook] = fresh.shop.wait(1, path="/form")
    assert hook.content_type == FORM
    assert hook.fields == {"imp_uid": paid["imp_uid"], "merchant_uid": paid["merchant_uid"], "status": "paid"}


@pytest.mark.parametrize("amount", ["1,000", "1e3", True, -1, 0, 10.5, {"a": 1}])
def test_an_amount_that_is_no_whole_number_pays_nothing(naru: Live, amount: Any) -> None:
    order = naru.order()
    answer = naru.onetime(merchant_uid=order, amount=amount)
    assert (answer.status, answer.code, answer.response) == (200, 1, None)
    assert (answer.message or "").startswith("amount 파라메터")
    assert naru.get(f"/payments/find/{order}").status == 404


def test_a_bad_card_has_both_halves_of_the_documented_words(naru: Live) -> None:
    answer = naru.onetime(card_number="1234-1234-1234-1234")
    assert (answer.status, answer.code, answer.response) == (200, -1, None)
    assert "카드정보 인증에 실패하였습니다." in (answer.message or "")
    assert "유효하지않은 카드번호를 입력하셨습니다." in (answer.message or "")


def test_a_paid_order_is_not_paid_again(naru: Live) -> None:
    order = naru.paid()["merchant_uid"]
    answer = naru.onetime(merchant_uid=order)
    assert (answer.status, answer.code, answer.message) == (200, -1, "이미 결제가 이루어진 거래건입니다.")


# ── cancels ──────────────────────────────────────────────────────────────────


def test_cancels_in_parts_with_checksums(naru: Live) -> None:
    imp_uid = naru.paid(amount=5000)["imp_uid"]
    part = naru.post("/payments/cancel", {"imp_uid": imp_uid, "amount": 2000, "checksum": 5000, "reason": "변심"})
    p = part.response
    assert (part.code, p["status"], p["cancel_amount"], p["amount"]) == (0, "cancelled", 2000, 5000)
    assert (p["cancel_reason"], len(p["cancel_history"])) == ("변심", 1)
    assert set(p["cancel_history"][0]) == {
        "pg_tid", "amount", "cancelled_at", "reason", "cancellation_id", "receipt_url",
    }  # fmt: skip
    wrong = naru.post("/payments/cancel", {"imp_uid": imp_uid, "checksum": 5000})
    assert (wrong.status, wrong.code, wrong.response) == (200, 1, None)
    more = naru.post("/payments/cancel", {"imp_uid": imp_uid, "amount": 3001})
    assert (more.status, more.code) == (200, 1)
    rest = naru.post("/payments/cancel", {"imp_uid": imp_uid, "amount": 0, "checksum": 0})
    assert (rest.code, rest.response["cancel_amount"]) == (0, 5000)
    again = naru.post("/payments/cancel", {"imp_uid": imp_uid})
    assert (again.code, again.message, again.response) == (1, "이미 전액취소된 주문입니다.", None)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "imp_uid 또는 merchant_uid를 지정해주셔야합니다."),
        ({"imp_uid": "imp_000000000000"}, "취소할 결제건이 존재하지 않습니다."),
        ({"merchant_uid": "nobody"}, "취소할 결제건이 존재하지 않습니다."),
    ],
)
def test_cancels_of_nothing_have_the_documented_words(naru: Live, given: dict[str, str], words: str) -> None:
    answer = naru.post("/payments/cancel", given)
    assert (answer.status, answer.code, answer.message, answer.response) == (200, 1, words, None)


def test_a_cancel_the_pg_refuses_says_so_in_brackets(naru: Live) -> None:
    imp_uid = naru.paid()["imp_uid"]
    naru.fault("error_code", message="M09", code="CA88", text="부분취소 불가")
    answer = naru.post("/payments/cancel", {"imp_uid": imp_uid, "amount": 100})
    assert (answer.status, answer.code) == (200, -1)
    assert (answer.message or "").startswith("결제취소에 실패하였습니다.(")
    assert naru.get(f"/payments/{imp_uid}").response["cancel_amount"] == 0


def test_an_api_cancel_is_told_by_webhook_only_when_asked(naru: Live) -> None:
    payment = naru.paid(notice_url=f"{naru.shop.url}/cancels")
    naru.shop.wait(1, path="/cancels")
    naru.post("/payments/cancel", {"imp_uid": payment["imp_uid"], "amount": 1000})
    naru.post("/payments/cancel", {"imp_uid": payment["imp_uid"], "amount": 500, "enable_webhook": True})
    hooks = naru.shop.wait(2, path="/cancels")
    assert len(hooks) == 2
    assert hooks[1].fields["status"] == "cancelled"
    assert hooks[1].fields["cancellation_id"] == f"{payment['imp_uid']}C002"


def test_balances_belong_to_payco(naru: Live) -> None:
    answer = naru.get(f"/payments/{naru.paid()['imp_uid']}/balance")
    assert (answer.status, answer.code) == (404, -1)
    assert (answer.message or "").startswith("(현재는 PAYCO, KCP만 지원됩니다)")


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing/here"), ("DELETE", "/payments/cancel")])
def test_every_error_is_json_with_words(naru: Live, method: str, path: str) -> None:
    answer = naru.call(method, path)
    assert answer.status in (404, 405)
    assert (answer.code, answer.response) == (-1, None)
    assert isinstance(answer.message, str)


def test_browsers_of_other_sites_are_not_let_in(naru: Live) -> None:
    answer = naru.send("GET", "/banks", None, {"Authorization": naru.token, "Origin": "https://shop.example"})
    assert not [name for name in answer.headers if name.startswith("access-control-")]
