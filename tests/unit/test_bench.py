"""The yardstick itself: a floor that answers wrongly or a load that miscounts would make every ratio wrong."""

import asyncio
import json
from typing import Any

import pytest
from bench import floor
from bench.load import Job, perform
from bench.profile import read


class Answering(asyncio.Protocol):
    """Answers like a V1 server, but in two pieces, and refuses every third request."""

    def __init__(self, seen: list[bytes]) -> None:
        self.seen = seen
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.seen.append(data)
        code = 1 if len(self.seen) % 3 == 0 else 0
        body = f'{{"code":{code},"message":null,"response":{{}}}}'.encode()
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:5])
        asyncio.get_running_loop().call_soon(self.transport.write, body[5:])


async def test_the_load_counts_every_answer_and_every_refusal() -> None:
    seen: list[bytes] = []
    server = await asyncio.get_running_loop().create_server(lambda: Answering(seen), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        result = await perform(
            Job(
                host="127.0.0.1",
                port=port,
                method="POST",
                paths=["/subscribe/payments/onetime"],
                headers={"Authorization": "Bearer t"},
                bodies=['{"merchant_uid":"a-{n}"}'],
                connections=3,
                requests=30,
                seconds=30,
            )
        )
    assert result.requests == 30
    assert len(seen) == 30
    assert result.errors == 10
    assert '"code":1' in result.first_error
    assert sorted(int(request.rpartition(b"a-")[2][:-2]) for request in seen) == list(range(30))


async def ask(method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
    """One request to the floor, as an ASGI server would pass it on."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(body).encode()}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {token}".encode())]
    await floor.app({"type": "http", "method": method, "path": path, "headers": headers}, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


async def test_the_floor_pays_looks_up_and_cancels() -> None:
    _, got = await ask("POST", "/users/getToken", {"imp_key": "k", "imp_secret": "s"})
    token = got["response"]["access_token"]
    assert len(token) == 40

    order = {"merchant_uid": "floor-1", "amount": 1004, "card_number": "4111-1111-1111-1111", "expiry": "2030-12"}
    _, paid = await ask("POST", "/subscribe/payments/onetime", order, token)
    assert (paid["code"], paid["response"]["status"], paid["response"]["amount"]) == (0, "paid", 1004)
    _, again = await ask("POST", "/subscribe/payments/onetime", order, token)
    assert again["code"] == 1

    path = f"/payments/{paid['response']['imp_uid']}"
    assert (await ask("GET", path, token=token))[1] == paid
    _, cancelled = await ask("POST", "/payments/cancel", {"merchant_uid": "floor-1", "amount": 300}, token)
    assert (cancelled["response"]["status"], cancelled["response"]["cancel_amount"]) == ("cancelled", 300)
    _, refused = await ask("POST", "/payments/cancel", {"merchant_uid": "floor-1", "amount": 705}, token)
    assert refused["code"] == 1


@pytest.mark.parametrize("token", ["", "wrong"])
async def test_the_floor_checks_the_token(token: str) -> None:
    assert (await ask("GET", "/payments/imps_1", token=token))[0] == 401


def test_a_profile_counts_time_where_it_was_spent_and_ours_with_all_it_calls() -> None:
    folded = (
        "run (uvicorn/server.py:1);pay (/home/naru/src/naru/service/keyin.py:5);write (/x/src/naru/store/db.py:9) 3\n"
        "run (uvicorn/server.py:1);pay (/home/naru/src/naru/service/keyin.py:6);"
        "encode (/home/naru/.venv/lib/python3.11/site-packages/msgspec/json.py:2) 1\n"
    )
    profile = read(folded)
    assert profile.total == 4
    assert profile.by_room == {"naru.store": 3, "msgspec": 1}
    assert profile.by_line == {"naru.store: db.py:9 write": 3, "msgspec: json.py:2 encode": 1}
    assert profile.by_function == {"naru.service: keyin.py:pay": 4, "naru.store: db.py:write": 3}
