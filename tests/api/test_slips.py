"""The sales slip behind `receipt_url`: for whoever has its address, and for nobody who has only the number."""

from __future__ import annotations

from tests.api.windows import buy, fields_of
from tests.live import Live, send


def test_the_slip_shows_what_was_paid_and_how_it_splits(naru: Live) -> None:
    payment = naru.paid(amount=11_000, tax_free=5000, name="차 <b>한</b> 잔", buyer_name="홍길동")
    assert payment["receipt_url"].startswith(f"{naru.url}/slips/{payment['imp_uid']}/")
    page = naru.send("GET", payment["receipt_url"].removeprefix(naru.url))
    text = page.body.decode()
    assert page.status == 200
    for shown in ("매출전표", "5,455원", "545원", "5,000원", "11,000원", "홍길동", payment["apply_num"], "&lt;b&gt;"):
        assert shown in text, shown
    assert "unsafe" not in page.headers["content-security-policy"]


def test_it_speaks_english_to_who_asks(naru: Live) -> None:
    url = naru.paid()["receipt_url"].removeprefix(naru.url)
    assert "Sales slip" in naru.send("GET", url + "?lang=en").body.decode()
    assert "Sales slip" in naru.send("GET", url, headers={"Accept-Language": "en-US"}).body.decode()


def test_cancels_stand_on_it_and_have_their_own_address(naru: Live) -> None:
    payment = naru.paid(amount=3000)
    back = naru.post("/payments/cancel", {"imp_uid": payment["imp_uid"], "amount": 1000, "reason": "변심"}).response
    history = back["cancel_history"][0]
    assert history["receipt_url"] == f"{back['receipt_url']}#{history['cancellation_id']}"
    assert back["cancel_receipt_urls"] == [history["receipt_url"]]
    text = naru.send("GET", back["receipt_url"].removeprefix(naru.url)).body.decode()
    assert "−1,000원" in text
    assert "2,000원" in text
    assert f'id="{history["cancellation_id"]}"' in text
    assert "부분 취소" in text
    naru.post("/payments/cancel", {"imp_uid": payment["imp_uid"]})
    text = naru.send("GET", back["receipt_url"].removeprefix(naru.url)).body.decode()
    assert "전액 취소" in text
    assert '<dd class="total">0원</dd>' in text


def test_a_stranger_with_the_number_alone_learns_nothing(naru: Live) -> None:
    first, second = naru.paid(), naru.paid()
    sign = first["receipt_url"].rsplit("/", 1)[1]
    for path in (f"/slips/{second['imp_uid']}/{sign}", f"/slips/{first['imp_uid']}/{'0' * 24}"):
        answer = naru.send("GET", path)
        assert answer.status == 404
        assert "3,000" not in answer.body.decode()


def test_what_was_not_paid_has_no_slip(naru: Live) -> None:
    refused = naru.onetime(card_number="1234-1234-1234-1234")
    assert refused.code == -1
    found = naru.get("/payments/status/failed").response["list"][0]
    assert (found["receipt_url"], found["cancel_receipt_urls"]) == (None, [])


def test_hectos_own_slip_is_one_button_away(naru: Live) -> None:
    told = buy(naru, "trans", amount=11_000)
    page = naru.send("GET", told["receipt_url"].removeprefix(naru.url))
    action, fields = fields_of(page)
    assert action == f"{naru.sandbox}/api/cpnRcptNoAuth.do"
    assert naru.sandbox in page.headers["content-security-policy"]
    from urllib.parse import urlencode

    hectos = send(
        naru.sandbox, "POST", "/api/cpnRcptNoAuth.do", urlencode(fields).encode(),
        {"Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    assert hectos.status == 200
    assert "10,000원" in hectos.body.decode()
    forged = urlencode(fields | {"trdNo": fields["trdNo"][:-1] + "x"}).encode()
    answer = send(
        naru.sandbox, "POST", "/api/cpnRcptNoAuth.do", forged, {"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert answer.status == 404
