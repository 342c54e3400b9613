"""What iamport.js calls, seen from outside: public, readable cross-origin, and silent about what is not the asker's."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from tests.live import Answer, Live

from naru.api import wire
from naru.api.pages import plain, redirect_url
from naru.api.sdk import read_due
from naru.domain.refusal import Refused
from naru.domain.values import from_kst

CALLBACK = "__imp_" + "0123456789abcdef" * 2
GOOD: dict[str, Any] = {
    "channelKey": "channel-key-dev-window", "pay_method": "card", "merchant_uid": "o1", "name": "상품", "amount": 1004,
    "buyer_tel": "010-1234-5678",
}  # fmt: skip


def envelope(request_id: str = "a" * 32, device: str = "pc", **params: Any) -> dict[str, Any]:
    return {
        "request_id": request_id, "imp_code": "imp00000000", "tier": None, "device": device,
        "origin": "https://shop.example", "callback": True, "sdk": "naru-1", "params": {**GOOD, **params},
    }  # fmt: skip


def post_window(naru: Live, asked: dict[str, Any] | str) -> Answer:
    text = asked if isinstance(asked, str) else json.dumps(asked)
    body = urlencode({"request": text}).encode()
    return naru.send("POST", "/sdk/window", body, {"Content-Type": "application/x-www-form-urlencoded"})


def said(answer: Answer) -> dict[str, Any]:
    """What our page knows."""
    found = re.search(rb'<script type="application/json" id="naru">(.*?)</script>', answer.body, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def script(answer: Answer) -> Any:
    """The argument of the callback in an answer that is a script."""
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    text = answer.body.decode()
    assert text.startswith(f"/**/{CALLBACK}(")
    assert text.endswith(");")
    return json.loads(text.removeprefix(f"/**/{CALLBACK}(").removesuffix(");"))


# ---------------------------------------------------------------- files


@pytest.mark.parametrize(
    "path", ["/v1/iamport.js", "/js/iamport.payment-1.1.7.js", "/js/iamport.payment-1.2.1.js", "/v1/iamport.js/"]
)
def test_the_sdk_under_its_new_and_old_names(naru: Live, path: str) -> None:
    answer = naru.send("GET", path)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert b"window.IMP" in answer.body
    assert naru.send("GET", path, headers={"If-None-Match": answer.headers["etag"]}).status == 304
    small = naru.send("GET", path, headers={"Accept-Encoding": "gzip"})
    assert len(small.body) < 15_000
    assert gzip.decompress(small.body) == answer.body


@pytest.mark.parametrize(
    "path", ["/js/other.js", "/js/iamport.payment-1.2.0.js.map", "/v1/iamport.min.js", "/sdk/page.html"]
)
def test_no_other_file_is_served(naru: Live, path: str) -> None:
    assert naru.send("GET", path).status == 404


# ---------------------------------------------------------------- questions


def test_the_channels_of_a_store_are_public(naru: Live) -> None:
    answer = naru.send("GET", "/users/pg/imp00000000?tier=ABC")
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "*")
    assert answer.json["code"] == 0
    assert answer.json["data"][0]["pg_id"] == "portone1"
    assert script(naru.send("GET", f"/users/pg/imp00000000?callback={CALLBACK}")) == answer.json
    unknown = naru.send("GET", "/users/pg/imp99999999").json
    assert unknown == {"code": 1, "message": "등록 된 PG 설정 정보를 찾을 수 없습니다.", "data": []}


@pytest.mark.parametrize("name", ["alert", "x);alert(1", "__imp_" + "g" * 32, ""])
def test_only_the_sdks_own_callbacks_are_called(naru: Live, name: str) -> None:
    answer = naru.send("GET", f"/users/pg/imp00000000?callback={quote(name)}")
    assert answer.headers["content-type"].startswith("application/json")


def test_a_check_writes_nothing(naru: Live) -> None:
    fine = quote(json.dumps(envelope(merchant_uid="checked")))
    assert script(naru.send("GET", f"/sdk/check?request={fine}&callback={CALLBACK}")) == {"response": None}
    wrong = quote(json.dumps(envelope(merchant_uid="checked", buyer_tel="")))
    assert naru.send("GET", f"/sdk/check?request={wrong}").json == {
        "response": {
            "success": False, "imp_success": False, "imp_uid": None, "merchant_uid": "checked", "error_code": "F400",
            "error_msg": "buyer_tel 파라메터가 누락되었습니다.",
        }
    }  # fmt: skip
    assert naru.get("/payments/find/checked").status == 404


def test_an_outcome_is_told_to_nobody_but_the_asker(naru: Live) -> None:
    opened = post_window(naru, envelope("c" * 32, merchant_uid="secret"))
    assert opened.status == 200
    assert naru.send("GET", f"/sdk/outcome?request={'d' * 32}").json == {"state": "none"}
    mine = naru.send("GET", f"/sdk/outcome?request={'c' * 32}").json
    assert mine == {"state": "open", "imp_uid": said(opened)["imp_uid"]}
    assert mine["imp_uid"].encode() in opened.body
    landing = re.search(rb"/settle_payments/next/(imp_\d{12})/([0-9a-f]{32})", opened.body)
    assert landing is not None
    for secret in ("0" * 32, "x"):
        stranger = naru.send("GET", f"/settle_payments/next/{landing[1].decode()}/{secret}")
        assert stranger.status == 200
        assert "secret" not in stranger.body.decode()
    naru.send("POST", "/settle_payments/cancel", b"outStatCd=0031&outRsltCd=0009&mchtTrdNo=" + landing[1])
    assert naru.get("/payments/find/secret").response["status"] == "ready"


# ---------------------------------------------------------------- the window


def test_the_page_before_the_window(naru: Live) -> None:
    answer = post_window(naru, envelope("b" * 32, merchant_uid="opened"))
    assert said(answer) == {
        "step": "open", "device": "pc", "origin": "https://shop.example", "returns_at": naru.url,
        "imp_uid": naru.get("/payments/find/opened").response["imp_uid"],
    }  # fmt: skip
    assert f'action="{naru.sandbox}/card/main.do"' in answer.body.decode()
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"


def test_what_a_buyer_types_stays_text(naru: Live) -> None:
    nasty = "</script><script>alert(1)</script>"
    answer = post_window(naru, envelope("e" * 32, merchant_uid=nasty[:40], buyer_tel=""))
    assert b"<script>alert(1)" not in answer.body
    assert said(answer)["response"]["merchant_uid"] == nasty[:40]


@pytest.mark.parametrize("garbage", ["", "null", "[]", "{}", '{"params":[]}', "x" * 100, '{"params":{"amount":1e400}}'])
def test_garbage_is_refused_and_changes_nothing(naru: Live, garbage: str) -> None:
    answer = post_window(naru, garbage)
    assert answer.status == 200
    assert said(answer)["response"]["error_code"] == "F400"


def test_a_phone_that_is_refused_is_sent_on_by_the_page(naru: Live) -> None:
    asked = envelope("f" * 32, "mobile", merchant_uid="p1", buyer_tel="", m_redirect_url="https://shop.example/d?a=1#x")
    to = urlsplit(said(post_window(naru, asked))["redirect"])
    assert (to.netloc, to.path, to.fragment) == ("shop.example", "/d", "x")
    assert parse_qs(to.query) == {
        "a": ["1"], "merchant_uid": ["p1"], "imp_success": ["false"], "error_code": ["F400"],
        "error_msg": ["buyer_tel 파라메터가 누락되었습니다."],
    }  # fmt: skip
    asked["params"]["m_redirect_url"] = "javascript:alert(1)"
    assert said(post_window(naru, asked))["redirect"].startswith(f"{naru.url}/payments/fail?success=false")


@pytest.mark.parametrize("page", ["success", "fail"])
def test_the_default_result_pages_come_before_look_ups(naru: Live, page: str) -> None:
    answer = naru.send("GET", f"/payments/{page}?imp_uid=imp_1&merchant_uid=%3Cb%3E&error_msg=%3Ci%3E&x=1")
    assert answer.status == 200
    assert b"<b>" not in answer.body
    assert said(answer)["response"] == {"imp_uid": "imp_1", "merchant_uid": "<b>", "error_msg": "<i>"}


@pytest.mark.parametrize(
    ("given", "stamp"),
    [
        ("2026-12-24", "20261224235959"),
        ("20261224", "20261224235959"),
        ("2026-12-24 18:30:00", "20261224183000"),
        ("20261224183000", "20261224183000"),
        ("202612241830", "20261224183000"),
        (None, None),
    ],
)
def test_a_due_date_in_every_form_that_shops_send(given: str | None, stamp: str | None) -> None:
    assert read_due(wire.Params({"vbank_due": given})) == (from_kst(stamp) if stamp else None)


@pytest.mark.parametrize("given", ["내일", "2026-02-30", "2026-12-24 25:00:00", "1798000000"])
def test_a_due_date_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(Refused) as refused:
        read_due(wire.Params({"vbank_due": given}))
    assert refused.value.facts["name"] == "vbank_due"


# ---------------------------------------------------------------- addresses


TOLD = {"success": True, "imp_uid": "imp_1", "merchant_uid": "주문 1"}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("https://s.example/d", "https://s.example/d?imp_uid=imp_1&merchant_uid=%EC%A3%BC%EB%AC%B8%201&imp_success=true"),
        ("https://s.example/d?a=%20b&c#frag", "https://s.example/d?a=%20b&c&imp_uid=imp_1&merchant_uid=%EC%A3%BC%EB%AC%B8%201&imp_success=true#frag"),
        ("https://s.example/d?imp_uid=old&a=1", "https://s.example/d?a=1&imp_uid=imp_1&merchant_uid=%EC%A3%BC%EB%AC%B8%201&imp_success=true"),
        ("myapp://back", "myapp://back?imp_uid=imp_1&merchant_uid=%EC%A3%BC%EB%AC%B8%201&imp_success=true"),
        (None, "https://pay.example/payments/success?success=true&imp_uid=imp_1&merchant_uid=%EC%A3%BC%EB%AC%B8%201"),
    ],
)  # fmt: skip
def test_the_result_joins_the_shops_own_query(target: str | None, expected: str) -> None:
    assert redirect_url(target, "https://pay.example", TOLD) == expected


def test_a_reason_survives_clients_that_decode_before_they_split() -> None:
    told = {"success": False, "imp_uid": None, "merchant_uid": "m", "error_code": "X", "error_msg": "a=1&b#c 100%"}
    assert plain("a=1&b#c 100%") == "a＝1＆b＃c 100％"
    query = redirect_url("https://s.example/", "https://pay.example", told).partition("?")[2]
    assert query.startswith("merchant_uid=m&imp_success=false&error_code=X&error_msg=a")
    assert not re.search("%(26|3D|23|25)", query)
