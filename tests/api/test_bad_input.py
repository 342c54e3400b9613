"""Bad input: never a 5xx, nothing changes, a clear message; limits that hold; clients that dawdle."""

from __future__ import annotations

import http.client
import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import uvicorn
from tests.api.windows import request_pay
from tests.cluster import Cluster
from tests.live import Live, free_port, live
from tests.live import serving as served

from naru import serving
from naru.clock import ManualClock
from naru.connectors.hecto import messages
from naru.connectors.hecto.crypto import Keys
from naru.connectors.hecto.gateway import sandbox_keys
from naru.store import books, mail
from naru.store.db import Tx

MID = "nxca_jt_bi"
ODD: list[Any] = [
    None, "", " ", "0", "-1", "1e3", "1.5", "NaN", "Infinity", "9" * 30, 10**30, -1, 0.1, True, [], {}, [[[]]],
    {"a": {"b": []}}, "\x00", "\ud800".encode("utf-8", "replace").decode(), "'; DROP TABLE payments; --",
    "<script>alert(1)</script>", "../../etc/passwd", "%00", "%2F", "가" * 5000, "😀" * 300, "a" * 100_000, "\r\nX: y",
    "http://127.0.0.1/", "http://[::1", "javascript:alert(1)", "2026-13-45", "0000-00", "imp_0",
]  # fmt: skip
FIELDS = (
    "merchant_uid", "imp_uid", "amount", "tax_free", "vat_amount", "vat", "checksum", "card_number", "expiry", "birth",
    "pwd_2digit", "name", "buyer_name", "buyer_email", "buyer_tel", "buyer_addr", "buyer_postcode", "card_quota",
    "custom_data", "notice_url", "customer_uid", "pg", "channel_key", "currency", "reason", "refund_holder",
    "refund_bank", "refund_account", "enable_webhook", "schedules", "schedule_at", "vbank_code", "vbank_due",
    "vbank_num", "vbank_holder", "from", "to", "page", "limit", "sorting", "status", "identifier", "identifier_type",
    "imp_key", "imp_secret", "gateway", "interest_free_by_merchant", "use_card_point", "confirm_url",
)  # fmt: skip
GOOD: dict[str, Any] = {
    "merchant_uid": "fuzz", "imp_uid": "imps_000000000000", "amount": 1000, "card_number": "4111-1111-1111-1112",
    "expiry": "2039-12", "name": "x", "customer_uid": "fuzzed", "checksum": 5, "identifier": "01012345678",
    "identifier_type": "phone", "imp_key": "k", "imp_secret": "s", "vbank_num": "2022004000001",
    "vbank_holder": "나루", "channel_key": "channel-key-dev-keyin", "reason": "r", "buyer_name": "b",
    "refund_bank": "004", "refund_holder": "h", "refund_account": "1234567890", "type": "person",
    "schedules": [{"merchant_uid": "later", "schedule_at": 1, "amount": 1000, "name": "n"}],
}  # fmt: skip
"""Enough for every endpoint to get as far as it can without a payment, a card or an account that exists."""
POSTS = (
    "/users/getToken", "/subscribe/payments/onetime", "/subscribe/payments/again", "/subscribe/payments/schedule",
    "/subscribe/payments/unschedule", "/subscribe/customers/x", "/payments/cancel", "/payments/prepare", "/vbanks",
    "/receipts/imp_1", "/receipts/external/x",
)  # fmt: skip
GETS = (
    "/payments/{}", "/payments/find/{}", "/payments/findAll/{}", "/payments/status/{}", "/payments/{}/balance",
    "/payments/prepare/{}", "/subscribe/customers/{}", "/subscribe/customers/{}/payments",
    "/subscribe/payments/schedule/{}", "/receipts/{}", "/cards/{}", "/banks/{}", "/vbanks/holder", "/payments",
    "/nothing/{}",
)  # fmt: skip


def _everything() -> Tx[tuple[list[str], int]]:
    uids = yield from books.touched_before("", 2**62, 10_000)
    rows = yield from mail.open_alarms()
    return uids, len(rows)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def naru(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A running gateway on either database: what one of them stores the other may refuse."""
    changes: dict[str, Any] = {}
    if request.param == "postgresql":
        cluster: Cluster = request.getfixturevalue("cluster")
        template = request.getfixturevalue("migrated_postgres")
        cluster.sql("DROP DATABASE IF EXISTS bad_input WITH (FORCE)", f"CREATE DATABASE bad_input TEMPLATE {template}")
        changes["database_url"] = cluster.url("bad_input")
    with live(request.getfixturevalue("migrated_sqlite"), tmp_path_factory.mktemp("live"), **changes) as running:
        yield running


def read(naru: Live, body: Callable[[], Tx[Any]]) -> Any:
    """Read what the gateway has committed."""
    return naru.inside(naru.parts.db.read(body))


def state(naru: Live) -> Any:
    """All payments and alarms there are."""
    return read(naru, _everything)


def judge(answer: Any, what: object) -> None:
    """An answer to nonsense: no 5xx but V1's own 501 (a shop without the contract), JSON, a message that a
    person can read, and no word of our insides."""
    assert answer.status < 500 or answer.status == 501, (what, answer.status, answer.body[:300])
    said = answer.json
    assert set(said) == {"code", "message", "response"}, what
    if said["code"] != 0:
        assert isinstance(said["message"], str), what
        assert said["message"], what
        for leak in ("Traceback", "naru.", "sqlalchemy", "apsw", "asyncpg", "SELECT "):
            assert leak not in said["message"], (what, said["message"])


@pytest.mark.parametrize("path", POSTS)
def test_nonsense_in_any_field_is_refused_in_words_and_changes_nothing(naru: Live, path: str) -> None:
    dice = random.Random(path)
    before = state(naru)
    for _ in range(60):
        body = {**GOOD, **{dice.choice(FIELDS): dice.choice(ODD) for _ in range(dice.randint(1, 3))}}
        for name in list(GOOD):
            if dice.random() < 0.05:
                body.pop(name, None)
        if dice.random() < 0.5:
            raw, kind = json.dumps(body).encode(), "application/json"
        else:
            raw, kind = urlencode({k: str(v) for k, v in body.items()}).encode(), "application/x-www-form-urlencoded"
        if dice.random() < 0.2:
            raw = raw[: dice.randrange(len(raw))]
        headers = {"Authorization": naru.token, "Content-Type": dice.choice((kind, kind, "text/plain", "", "x/y; é"))}
        judge(naru.send("POST", path, raw, {k: quote(v, safe=" /;=") for k, v in headers.items()}), body)
    after = state(naru)
    if path != "/subscribe/payments/onetime":  # whose refusals by the card's issuer are payments that failed
        assert after[0] == before[0]
    assert after[1] == before[1]


@pytest.mark.parametrize("path", GETS)
def test_nonsense_in_a_path_or_query_is_refused_in_words(naru: Live, path: str) -> None:
    dice = random.Random(path)
    for _ in range(25):
        segment = quote(str(dice.choice(ODD))[:2000], safe=dice.choice(("", "/", "%")))
        segment = segment.replace("%", "%25") if "%" in segment and dice.random() < 0.2 else segment
        query = urlencode({dice.choice(FIELDS): str(dice.choice(ODD))[:2000] for _ in range(dice.randint(0, 3))})
        address = path.format(segment or "-") + (f"?{query}" if query else "")
        judge(
            naru.send("GET", address.encode("ascii", "ignore").decode(), None, {"Authorization": naru.token}), address
        )


def test_a_nul_is_left_out_on_either_database(naru: Live) -> None:
    """PostgreSQL keeps no text with one."""
    answer = naru.onetime(merchant_uid="nul\x00led", name="a\x00b", custom_data={"a": "b\x00c"})
    assert (answer.code, answer.response["merchant_uid"], answer.response["name"]) == (0, "nulled", "ab")
    assert naru.get("/payments/find/nul%00led").response["imp_uid"] == answer.response["imp_uid"]


def test_bodies_that_are_no_bodies(naru: Live) -> None:
    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
    deep_nul = b'{"a":' * 900 + b'"\\u0000"' + b"}" * 900
    many = b"&".join(b"a%d=1" % n for n in range(20_000))
    bodies = (
        b"", b"\x00" * 100, b"\xff\xfe", b"[]", b"{", b"null", b"1", b'"x"', deep, deep_nul, b"[" * 50_000, many,
        b"a[b][c][d]=1&a[b]=2&a=3", b"a[" * 2000, b"%" * 1000, "가".encode("euc-kr") * 100,
    )  # fmt: skip
    for raw in bodies:
        for path in POSTS:
            judge(naru.send("POST", path, raw, {"Authorization": naru.token}), (path, raw[:40]))


def test_a_body_that_is_too_long_is_refused_before_it_is_read(naru: Live) -> None:
    answer = naru.send("POST", "/payments/cancel", b"a" * (256 * 1024 + 1), {"Authorization": naru.token})
    assert (answer.status, answer.message) == (413, "요청 본문이 너무 큽니다.")


def test_headers_that_are_too_long_end_the_connection(naru: Live) -> None:
    try:
        status = naru.send("GET", "/payments/x", None, {"Authorization": "a" * 200_000}).status
    except (OSError, http.client.HTTPException):
        return
    assert 400 <= status < 500


# ── notis ────────────────────────────────────────────────────────────────────


def genuine(order: str, amount: str) -> dict[str, str]:
    """A card noti, sealed."""
    message = messages.NOTI_CARD
    values = {
        "outStatCd": "0021", "trdNo": "STFP_FUZZ", "method": "CA", "bizType": "B0", "mchtId": MID,
        "mchtTrdNo": order, "trdDtm": "20260922120000", "trdAmt": amount, "mchtCustNm": "a", "pmtprdNm": "a",
    }  # fmt: skip
    return messages.build_form(message, values, Keys(*sandbox_keys()))


def noti(naru: Live, raw: bytes, content_type: str = "application/x-www-form-urlencoded; charset=UTF-8") -> bytes:
    answer = naru.send("POST", "/settle_payments/notice", raw, {"Content-Type": content_type})
    assert answer.status == 200
    return answer.body


def test_any_altered_character_of_a_noti_is_refused_and_changes_nothing(fresh: Live) -> None:
    paid = fresh.paid(amount=3000)
    body = urlencode(genuine(paid["imp_uid"], "3000")).encode()
    before = state(fresh)
    dice = random.Random(7)
    for _ in range(80):
        at = dice.randrange(len(body))
        raw = body[:at] + bytes([dice.randrange(256)]) + body[at + 1 :]
        raw = raw[: dice.randrange(len(raw))] if dice.random() < 0.2 else raw
        kind = dice.choice(
            ("application/x-www-form-urlencoded; charset=EUC-KR", "text/plain", "", "a/b; charset=utf-7")
        )
        assert noti(fresh, raw, kind) in (b"FAIL", b"OK")
    assert state(fresh) == before
    assert fresh.get(f"/payments/{paid['imp_uid']}").response["status"] == "paid"


def test_a_noti_of_another_amount_pays_nothing(fresh: Live) -> None:
    fresh.fault("request_lost", message="M05")
    failed = fresh.onetime(merchant_uid="lost", amount=3000)
    assert failed.code == -1
    imp_uid = state(fresh)[0][0]
    assert noti(fresh, urlencode(genuine(imp_uid, "1")).encode()) == b"FAIL"
    assert fresh.get(f"/payments/{imp_uid}").response["status"] == "failed"


def _letters_of_nobody() -> Tx[int]:
    rows = yield from books.free_text("inbox", None, 0, 100_000)
    return sum(b"mchtId=nobody" in body for _, body, _ in rows)


def test_rubbish_from_one_sender_is_kept_up_to_a_limit_and_real_notis_still_pass(fresh: Live) -> None:
    paid = fresh.paid(amount=3000)
    hold_the_clock(fresh)
    for n in range(140):
        assert noti(fresh, b"mchtId=nobody&n=%d" % n) == b"FAIL"
    assert read(fresh, _letters_of_nobody) == 120
    trade = fresh.sandbox_get("/_sandbox/transactions")["transactions"][0]
    assert fresh.sandbox_post(f"/_sandbox/notis/{trade['trdNo']}/resend")["resent"] == 1
    notis = fresh.sandbox_get(f"/_sandbox/notis?trdNo={trade['trdNo']}")["notis"]
    assert notis[0]["attempts"][-1]["answer"] == "OK"
    assert fresh.get(f"/payments/{paid['imp_uid']}").response["status"] == "paid"


# ── limits ───────────────────────────────────────────────────────────────────


def hold_the_clock(naru: Live) -> None:
    """Limits are per minute: no minute may turn while a test counts."""
    naru.parts.cx.clock = ManualClock(naru.parts.cx.clock())


def test_guessing_a_secret_is_stopped_and_who_knows_it_is_not(fresh: Live) -> None:
    hold_the_clock(fresh)
    statuses = [fresh.get_token(imp_key="guessed", imp_secret=str(n)).status for n in range(22)]
    assert statuses == [401] * 20 + [429] * 2
    assert fresh.get_token(imp_key="guessed", imp_secret="x").headers["retry-after"] == "60"
    assert fresh.get_token().code == 0


def test_windows_from_one_address_are_opened_up_to_a_limit(fresh: Live) -> None:
    hold_the_clock(fresh)
    for _ in range(599):
        fresh.send("POST", "/sdk/window", b"request=%7B%7D")
    opened, page = request_pay(fresh)
    assert fresh.get(f"/payments/find/{opened['params']['merchant_uid']}").response["status"] == "ready"
    refused, page = request_pay(fresh)
    assert "요청이 너무 많습니다" in page.body.decode()
    assert fresh.get(f"/payments/find/{refused['params']['merchant_uid']}").status == 404
    assert isinstance(fresh.parts.cx.clock, ManualClock)
    fresh.parts.cx.clock.advance(60_000)
    again, page = request_pay(fresh)
    assert fresh.get(f"/payments/find/{again['params']['merchant_uid']}").code == 0


# ── slow ones ────────────────────────────────────────────────────────────────


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server with a short time limit, and what it answers with."""
    monkeypatch.setattr(serving, "REQUEST_S", 0.5)

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    port = free_port()
    with served(
        uvicorn.Config(app, port=port, http=serving.Protocol, lifespan="off", log_config=None, access_log=False)
    ):
        yield port


@pytest.mark.parametrize(
    "said", [b"", b"POST / HT", b"POST / HTTP/1.1\r\nHost: a\r\n", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"]
)
def test_a_client_that_dawdles_is_let_go(impatient: int, said: bytes) -> None:
    with socket.create_connection(("127.0.0.1", impatient), timeout=10) as dawdler:
        started = time.monotonic()
        dawdler.sendall(said)
        assert dawdler.recv(100) == b""
        assert time.monotonic() - started < 8


def test_a_client_in_time_is_served_and_may_ask_again(impatient: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", impatient, timeout=10)
    for _ in range(2):
        connection.request("POST", "/", b"abc")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
    connection.close()
