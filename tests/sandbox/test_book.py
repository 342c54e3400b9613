"""The book: it survives a killed process, and no card number is ever in it."""

import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.sandbox.client import GOOD, KEYS, Hecto, Receiver, code
from tests.sandbox.conftest import free_port

from naru.connectors.hecto import messages
from naru.sandbox.hecto import desk
from naru.sandbox.hecto.trades import Ask

PROGRAM = """
import sys
from pathlib import Path
from naru.sandbox.hecto.server import Settings, serve
serve(Settings(book=Path(sys.argv[1])), port=int(sys.argv[2]))
"""


def run(data: Path) -> tuple[subprocess.Popen[bytes], Hecto]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(data), str(port)], stdout=subprocess.DEVNULL)
    hecto = Hecto(f"http://127.0.0.1:{port}")
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            hecto.get("/health")
            return process, hecto
        except OSError:
            time.sleep(0.05)
    process.kill()
    raise AssertionError("the sandbox did not start")


def test_what_was_answered_survives_kill_9(tmp_path: Path, receiver: Receiver) -> None:
    data = tmp_path / "book.db"
    process, hecto = run(data)
    try:
        receiver.answers = [(200, "FAIL")]
        paid = hecto.pay(won=1004, notiUrl=receiver.url)
        hecto.cancel(paid, 404)
        hecto.advance(hours=2)
        told: list[str] = []

        def keep_paying() -> None:
            while True:
                try:
                    answer = hecto.pay()
                except (OSError, http.client.HTTPException):
                    return
                if answer.done:
                    told.append(answer.values["trdNo"])

        payer = threading.Thread(target=keep_paying)
        payer.start()
        while len(told) < 20:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        payer.join(10)
        before = hecto
        process, hecto = run(data)
        hecto._order = 10_000
        known = {t["trdNo"] for t in hecto.trades()}
        assert set(told) <= known
        [trade] = hecto.trades(trdNo=paid.values["trdNo"])
        assert (trade["amount"], trade["cancelled"]) == (1004, 404)
        assert hecto.get("/_sandbox/clock")["offset_ms"] == 2 * 3600 * 1000
        assert code(hecto.cancel(paid, 600, 2)) == "0000"
        assert hecto.get("/_sandbox/notis?trdNo=" + paid.values["trdNo"])["notis"][0]["tries"] >= 1
        numbers = [t["trdNo"] for t in hecto.trades()]
        assert len(set(numbers)) == len(numbers)
        assert before.base != hecto.base
    finally:
        process.kill()
        process.wait(10)


def test_no_card_number_reaches_the_files_or_the_pages(
    start: Callable[..., Hecto], tmp_path: Path, capfd: pytest.CaptureFixture[str], receiver: Receiver
) -> None:
    secrets = [GOOD, "5555555555554444", "4000000000000317", "1234123412341234", "930517", "vld-never"]
    hecto = start(book=tmp_path / "in" / "book.db")
    good = hecto.pay("nxca_ks_gu", idntNo="930517", notiUrl=receiver.url)
    hecto.pay(card="5555555555554444", notiUrl=receiver.url)
    hecto.pay(card="4000000000000317")
    hecto.pay(card="1234123412341234")
    values = hecto.payment()
    plain = messages.build_request(messages.CARD_PAY, values, messages.Keys("k", "0" * 32))
    plain["data"]["cardNo"] = GOOD
    hecto.send_body(messages.CARD_PAY, plain)
    plain["params"]["mchtTrdNo"] = "x"
    hecto.raw("POST", messages.CARD_PAY.path, b'{"params": "' + GOOD.encode())
    hecto.fault("error_code", code="CA01")
    hecto.pay("nxca_ks_gu", idntNo="930517")
    hecto.cancel(good, 1000)
    hecto.send(
        messages.CARD_KEY_ISSUE,
        {
            **hecto.ids("nxca_ks_gu"),
            "cardNo": GOOD,
            "idntNo": "930517",
            "vldDtMon": "12",
            "vldDtYear": "39",
            "cardPwd": "73",
            "keyRegYn": "Y",
        },
    )
    hecto.drain()
    shown = b"".join(
        hecto.raw("GET", path)[2]
        for path in ("/_sandbox/transactions", "/_sandbox/complaints", "/_sandbox/notis", "/_sandbox/faults")
    )
    files = b"".join(f.read_bytes() for f in (tmp_path / "in").iterdir())
    assert files.count(b"411111******1111") >= 1
    logs = "".join(capfd.readouterr())
    for secret in secrets:
        assert secret.encode() not in files
        assert secret.encode() not in shown
        assert secret not in logs
    # The home page prints the test cards, spaced; nothing else may hold a number.
    assert GOOD.encode() not in hecto.raw("GET", "/")[2]
    assert (tmp_path / "in" / "book.db-wal").exists()


def control(hecto: Hecto, method: str, path: str, **headers: str) -> int:
    return hecto.raw(method, path, b"{}", {"Content-Type": "application/json", **headers})[0]


def test_only_this_machines_own_pages_reach_the_controls(hecto: Hecto) -> None:
    own = hecto.base
    assert control(hecto, "POST", "/_sandbox/drain") == 200
    assert control(hecto, "POST", "/_sandbox/drain", Origin=own) == 200
    assert control(hecto, "POST", "/_sandbox/drain", Origin="http://evil.example") == 403
    assert control(hecto, "POST", "/_sandbox/drain", Origin="null") == 403
    assert control(hecto, "GET", "/_sandbox/transactions", Host="rebound.example") == 403
    assert control(hecto, "GET", "/", Host="rebound.example") == 403
    assert control(hecto, "POST", "/_sandbox/reset") == 403


def test_a_reset_forgets_everything_but_the_clock(start: Callable[..., Hecto]) -> None:
    hecto = start(reset_allowed=True)
    hecto.set_clock(2030, 1, 1)
    hecto.post("/_sandbox/merchants/nxca_jt_bi", {"charset": "euc-kr"})
    old = hecto.pay()
    hecto.post("/_sandbox/reset")
    assert hecto.trades() == []
    assert hecto.now().year == 2030
    assert hecto.get("/_sandbox/merchants")["merchants"][2]["switches"]["charset"] == "utf-8"
    assert hecto.pay().values["trdNo"] != old.values["trdNo"]


def test_transactions_are_paged_and_found(hecto: Hecto) -> None:
    for _ in range(7):
        hecto.pay()
    hecto.pay("nxca_ks_gu")
    pages: list[list[dict[str, Any]]] = []
    before: int | None = 0
    while before is not None:
        answer = hecto.get(f"/_sandbox/transactions?limit=3&before={before}")
        pages.append(answer["transactions"])
        before = answer["next_before"]
    assert [len(p) for p in pages] == [3, 3, 2]
    ids = [t["id"] for p in pages for t in p]
    assert ids == sorted(ids, reverse=True)
    assert len(hecto.trades(mid="nxca_ks_gu")) == 1
    assert len(hecto.trades(mchtTrdNo=pages[1][0]["mchtTrdNo"])) == 1


def test_nonsense_to_the_controls_is_refused(hecto: Hecto) -> None:
    before = hecto.get("/_sandbox/clock")["offset_ms"]
    for wrong in ({}, {"advance_ms": "soon"}, {"offset_ms": 1, "advance_ms": 1}, {"advance_ms": 10**18}):
        hecto.post("/_sandbox/clock", wrong, expect=400)
    assert hecto.get("/_sandbox/clock")["offset_ms"] == before
    assert hecto.post("/_sandbox/deposits", {"account": "1", "amount": "9" * 30})["outcome"] == "refused"
    hecto.post("/_sandbox/deposits", {"account": "1", "amount": "-5"}, expect=400)
    assert hecto.raw("POST", "/_sandbox/faults", b"[]", {"Content-Type": "application/json"})[0] == 400
    assert hecto.raw("GET", "/_sandbox/transactions?limit=x")[0] == 400
    assert hecto.get("/_sandbox/transactions?limit=0")["transactions"] == []


def test_a_mid_of_ones_own(hecto: Hecto) -> None:
    assert code(hecto.pay("imp_shop1")) == "ST47"
    made = hecto.post("/_sandbox/merchants", {"mid": "imp_shop1", "like": "nxca_jt_bi"})
    assert (made["mid"], made["card"]) == ("imp_shop1", "keyin")
    assert hecto.pay("imp_shop1").done
    for wrong in ({"mid": "imp_shop1"}, {"mid": "x"}, {"mid": "imp_shop2", "like": "nobody"}):
        hecto.post("/_sandbox/merchants", wrong, expect=400)
    for wrong in ({"colour": 1}, {"charset": "latin1"}, {"billing_keys": "maybe"}, {"precheck_url": "x"}):
        hecto.post("/_sandbox/merchants/imp_shop1", wrong, expect=400)


def test_the_page_shows_trades_notis_complaints_and_takes_forms(hecto: Hecto, receiver: Receiver) -> None:
    asked = hecto.payment(notiUrl=receiver.url)
    hecto.send(messages.CARD_PAY, asked)
    hecto.send(messages.CARD_PAY, asked)
    hecto.drain()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    status, headers, _ = hecto.raw("POST", "/_sandbox/faults?at=faults", b"name=delay&times=1&ms=&message=&code=", form)
    assert (status, headers["location"]) == (303, "/#faults")
    status, headers, body = hecto.raw("GET", "/")
    page = body.decode()
    assert status == 200
    for text in (asked["mchtTrdNo"], "411111******1111", "ST50", receiver.url, "delay", "4111 1111 1111 1111"):
        assert text in page
    assert "script-src 'self'" in headers["content-security-policy"]
    assert " onclick=" not in page
    assert "<style" not in page
    assert f"‘{'nothing'}’ 거래가 없습니다." in hecto.raw("GET", "/?q=nothing")[2].decode()


def test_a_mistake_of_the_sandbox_shows_nothing_of_the_request(
    hecto: Hecto, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def break_down(ask: Ask) -> dict[str, str]:
        raise ValueError(f"invalid literal: {ask.values['cardNo']}")

    monkeypatch.setitem(desk.RULES, messages.CARD_PAY.id, break_down)
    body = json.dumps(messages.build_request(messages.CARD_PAY, hecto.payment(), KEYS)).encode()
    status, _, answer = hecto.raw("POST", messages.CARD_PAY.path, body)
    assert (status, json.loads(answer)) == (500, {"error": "internal error"})
    monkeypatch.undo()
    assert hecto.trades() == []
    assert hecto.pay().done
    shown = "".join(capfd.readouterr())
    assert "request.failed" in shown
    assert GOOD not in shown
