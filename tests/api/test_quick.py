"""The short road answers what the long one does: same handlers, same limits, same refusals, byte for byte."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.live import Live

from naru import serving
from naru.api import quick
from naru.api.quick import Quick


def test_both_roads_answer_alike(naru: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    paid, token = naru.paid(), naru.token
    naru.get(f"/payments/{paid['imp_uid']}")
    good = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    onetime = "/subscribe/payments/onetime"
    requests: list[tuple[str, str, dict[str, str], bytes]] = [
        ("GET", f"/payments/{paid['imp_uid']}", good, b""),
        ("GET", f"/payments/{paid['imp_uid']}/", {"X-ImpTokenHeader": token}, b""),
        ("GET", f"/payments/{paid['imp_uid']}?_token={token}&_token=other", {}, b""),
        ("GET", f"/payments/{paid['imp_uid']}?_token=other&_token={token}", {}, b""),
        ("GET", f"/payments/{paid['imp_uid']}?include_sandbox=false", good, b""),
        ("GET", f"/payments/{paid['imp_uid']}?include_sandbox=%EA%B0%80", good, b""),
        ("GET", f"/payments/{paid['imp_uid']}", {}, b""),
        ("GET", f"/payments/{paid['imp_uid']}", {"Authorization": f"Bearer {'0' * 40}"}, b""),
        ("GET", "/payments/imps_000000000000", good, b""),
        ("HEAD", f"/payments/{paid['imp_uid']}", good, b""),
        ("POST", onetime, good, b""),
        ("POST", onetime, {}, b""),
        ("POST", onetime, good, b"{not json"),
        ("POST", onetime, good, json.dumps({"merchant_uid": paid["merchant_uid"], "amount": 1000}).encode()),
        ("POST", onetime, good, b"x" * (256 * 1024 + 1)),
        ("PUT", onetime, good, b""),
        ("POST", "/subscribe/payments/again", good, b"customer_uid=nobody&merchant_uid=quick-2&amount=100"),
        ("POST", "/payments/cancel", good, b"imp_uid=imps_000000000000"),
        ("POST", "/payments/cancel/", good, b"{}"),
        ("POST", "/settle_payments/notice", {}, b"mchtId=nobody"),
        ("POST", "/settle_payments//notice_vbank", {"Content-Type": "application/json"}, b"[]"),
    ]

    def answers() -> list[tuple[int, dict[str, str], bytes]]:
        told = [naru.send(method, path, body, headers) for method, path, headers, body in requests]
        return [(a.status, {k: v for k, v in a.headers.items() if k != "date"}, a.body) for a in told]

    short = answers()
    monkeypatch.setattr(Quick, "road", lambda _self, _scope: None)
    for request, quickly, slowly in zip(requests, short, answers(), strict=True):
        assert quickly == slowly, request[:3]
    assert [status for status, _, _ in short[:9]] == [200, 200, 200, 401, 404, 200, 401, 401, 404]
    assert short[14][0] == 413


def test_a_failure_nobody_expected_is_answered_on_the_short_road_too(
    naru: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_request: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("naru.api.payments.caller", broken)
    answer = naru.send("GET", "/payments/imps_000000000000")
    assert (answer.status, answer.headers["content-type"]) == (500, "application/json; charset=UTF-8")
    assert str(answer.message).startswith("내부 오류가 발생했습니다. (요청번호 ")


def test_an_answer_leaves_in_one_piece_and_the_connection_lives(naru: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    assert quick.WHOLE == serving.WHOLE
    paid, taken = naru.paid(), list[bool]()
    address, answer = urlsplit(naru.url), serving.Protocol.answer

    def counted(*what: Any) -> bool:
        taken.append(answer(*what))
        return taken[-1]

    monkeypatch.setattr(serving.Protocol, "answer", counted)
    head = f"/payments/{paid['imp_uid']} HTTP/1.1\r\nHost: shop\r\nAuthorization: {naru.token}\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=10) as line:
        for number in range(3):
            line.sendall(f"GET {head}\r\n".encode())
            got = line.recv(65536)
            assert got.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"\r\ndate: " in got
            assert got.count(paid["imp_uid"].encode()) >= 1, "head and body come together"
            assert taken == [True] * (number + 1)
        # Three at once: in order, each whole.
        line.sendall(f"GET {head}\r\n".encode() * 2 + f"GET {head}Connection: close\r\n\r\n".encode())
        got = b""
        while more := line.recv(65536):
            got += more
    assert got.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert got.count(b"\r\nconnection: close\r\n") == 1
    assert got.count(b'{"code":0,') == 3
    assert got.endswith(b"}")
