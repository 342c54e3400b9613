"""Small look-ups, amounts registered beforehand, and what Hecto's channels do not have."""

from __future__ import annotations

import pytest
from tests.live import Live


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        ("/cards", {"code": "366", "name": "신한카드"}),
        ("/cards", {"code": "10006", "name": "해외JCB카드"}),
        ("/banks", {"code": "004", "name": "KB국민은행"}),
    ],
)
def test_standard_codes_are_listed_and_looked_up(naru: Live, path: str, entry: dict[str, str]) -> None:
    everything = naru.get(path)
    assert (everything.status, everything.code) == (200, 0)
    assert entry in everything.response
    assert naru.get(f"{path}/{entry['code']}").response == entry
    assert naru.get(f"{path}/{entry['code'].lstrip('0')}/").response == entry


@pytest.mark.parametrize("path", ["/cards/999", "/banks/999", "/tiers/ABC", "/banks/undefined"])
def test_an_unknown_code_is_404_with_words(naru: Live, path: str) -> None:
    answer = naru.get(path)
    assert (answer.status, answer.code, answer.response) == (404, -1, None)
    assert answer.message


def test_the_channels_of_the_store_in_their_order(naru: Live) -> None:
    found = naru.get("/users/pg").response
    assert found[0] == {
        "pg_provider": "settle",
        "pg_id": "portone1",
        "sandbox": True,
        "type": "payment",
        "channel_name": "결제창 일반결제",
        "channel_key": "channel-key-dev-window",
    }
    assert {c["type"] for c in found} == {"payment", "api_payment"}
    assert [c["pg_id"] for c in found][:3] == ["portone1", "nxca_jt_bi", "nxca_ks_gu"]


def test_an_amount_is_registered_looked_up_and_changed(naru: Live) -> None:
    order = naru.order()
    wanted = {"merchant_uid": order, "amount": 12000}
    registered = naru.post("/payments/prepare", wanted)
    assert (registered.code, registered.response) == (0, {**wanted, "currency": None})
    assert naru.get(f"/payments/prepare/{order}").response == {**wanted, "currency": None}
    changed = naru.call("PUT", "/payments/prepare", {"merchant_uid": order, "amount": "3000", "currency": "KRW"})
    assert changed.response == {"merchant_uid": order, "amount": 3000, "currency": "KRW"}
    assert naru.get(f"/payments/prepare/{order}").response == changed.response


def test_an_order_is_registered_once(naru: Live) -> None:
    order = naru.order()
    naru.post("/payments/prepare", {"merchant_uid": order, "amount": 12000})
    twice = naru.post("/payments/prepare", {"merchant_uid": order, "amount": 1})
    assert (twice.status, twice.code, twice.response) == (200, 1, None)
    assert twice.message == "결제정보 사전등록에 실패하였습니다(이미 등록된 merchant_uid입니다)."
    assert naru.get(f"/payments/prepare/{order}").response["amount"] == 12000


def test_what_is_not_registered_is_404(naru: Live) -> None:
    for answer in (
        naru.get("/payments/prepare/nobody"),
        naru.call("PUT", "/payments/prepare", {"merchant_uid": "nobody", "amount": 1}),
    ):
        assert (answer.status, answer.code) == (404, -1)
        assert answer.message == "사전등록된 결제정보가 존재하지 않습니다."


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"amount": 100}, "merchant_uid 파라메터가 누락되었습니다."),
        ({"merchant_uid": "x"}, "amount 파라메터가 누락되었습니다."),
        ({"merchant_uid": "x", "amount": "1,000"}, "amount 파라메터가 올바르지 않습니다. (숫자여야 합니다)"),
        ({"merchant_uid": "x" * 41, "amount": 1}, "merchant_uid 파라메터가 올바르지 않습니다. (40자 이하여야 합니다)"),
    ],
)
def test_a_bad_registration_is_refused_by_name(naru: Live, given: dict[str, object], words: str) -> None:
    answer = naru.post("/payments/prepare", given)
    assert (answer.status, answer.code, answer.message) == (200, 1, words)


def test_payments_over_the_api_are_not_compared_with_a_registration(naru: Live) -> None:
    order = naru.order()
    naru.post("/payments/prepare", {"merchant_uid": order, "amount": 12000})
    assert naru.paid(merchant_uid=order, amount=5000)["amount"] == 5000


def test_nobody_was_identified_here(naru: Live) -> None:
    for method in ("GET", "DELETE"):
        answer = naru.call(method, "/certifications/imp_123")
        assert (answer.status, answer.code, answer.message) == (404, -1, "인증결과가 존재하지 않습니다.")
    assert naru.get("/certifications?imp_uid[]=imp_1").message == "인증결과가 존재하지 않습니다."
    assert naru.post("/certifications/otp/request/imp_123", {"name": "홍길동"}).status == 400
    assert naru.post("/certifications/otp/confirm/imp_123", {"otp": "123456"}).status == 400


def test_a_foreign_card_is_refused_as_a_card(naru: Live) -> None:
    answer = naru.post("/subscribe/payments/foreign", {"merchant_uid": naru.order(), "amount": 10})
    assert (answer.status, answer.code) == (200, -1)
    assert "카드정보 인증에 실패하였습니다." in (answer.message or "")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/kakao/payment/orders"), ("GET", "/naver/product-orders/1"), ("POST", "/naver/reviews"),
        ("GET", "/naver"), ("POST", "/payco/orders/status/imp_1"), ("POST", "/cvs"), ("DELETE", "/cvs/imp_1"),
        ("DELETE", "/kcpquick/members/1"), ("POST", "/kcpquick/payment/money"), ("POST", "/benepia/point"),
        ("POST", "/paymentwall/delivery"), ("POST", "/partners/receipts/imp_1"), ("GET", "/promotions"),
        ("GET", "/payments/imp_1/naver/product-orders"),
    ],
)  # fmt: skip
def test_what_belongs_to_others_is_404_in_json(naru: Live, method: str, path: str) -> None:
    answer = naru.call(method, path, {} if method == "POST" else None)
    assert (answer.status, answer.code, answer.response) == (404, -1, None)
    assert (answer.message or "").endswith("헥토파이낸셜 채널에서는 지원하지 않습니다.")
    assert naru.send(method, path).status == 401
