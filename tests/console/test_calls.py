"""The request log: what a developer sees of a failed call, and what nobody ever sees."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from tests.console.conftest import Console, text_of

from naru.api.calls import CallLog
from naru.domain.channel import Environment, Use
from naru.service import calls as service
from naru.service import console_channels, setup
from naru.service.console_access import Role
from naru.store import calls, stores
from naru.store.people import Actor

BASE = f"/console/{setup.DEV_IMP_CODE}"
CARD = {"card_number": "5105-1051-0510-5100", "expiry": "2071-07", "birth": "4938271605", "pwd_2digit": "97"}
NEEDLES = ("5105105105105100", "5105-1051", "5105 1051", "2071-07", "207107", "4938271605", setup.DEV_IMP_SECRET)


class Caller:
    """A shop's server."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.client = console.stranger().client
        self.token = ""

    async def get_token(self, **given: str) -> httpx.Response:
        keys = {"imp_key": setup.DEV_IMP_KEY, "imp_secret": setup.DEV_IMP_SECRET} | given
        answer = await self.client.post("/users/getToken", json=keys)
        self.token = answer.json()["response"]["access_token"] if answer.status_code == 200 else self.token
        return answer

    async def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        return await self.client.request(method, path, headers={"Authorization": f"Bearer {self.token}"}, **more)

    async def rows(self, stores: tuple[int, ...] = (1, 0)) -> list[Any]:
        """What was written down, newest first."""
        await log_of(self.console).flush()
        return await self.console.parts.db.read(calls.page, stores, 1 << 62, 10_000, bad=False, text="")


def log_of(console: Console) -> CallLog:
    found = console.app.app.app.app  # Quick(QuotedPaths(RequestLog(CallLog(…))))
    assert isinstance(found, CallLog)
    return found


@pytest.fixture
async def shop(console: Console) -> Caller:
    made = Caller(console)
    await made.get_token()
    return made


async def test_a_failed_call_says_what_to_look_at(console: Console, shop: Caller) -> None:
    paid = await console.shop.pay(1000, "order-log")
    await shop.call("POST", "/payments/cancel", json={"merchant_uid": "order-log", "amuont": 300, "checksum": 7})
    person = await console.user("dev@x.kr", Role.READER)
    listed = text_of(await person.get(f"{BASE}/calls?bad=1"))
    assert "POST /payments/cancel" in listed
    assert "취소 가능 잔액이 일치하지 않습니다" in listed
    assert "getToken" not in listed, "only what failed"
    row = (await shop.rows())[0]
    page = await person.get(f"{BASE}/calls/{row.id}")
    said = text_of(page)
    assert "amuont은(는) 모르는 항목입니다. amount인가요?" in said
    assert "HTTP 200 · code 1" in said
    assert "http://shop.test/webhook" not in said, "nothing came of it, so nobody is told"
    assert f"{BASE}/payments?q=order-log" in page.text
    assert paid.settled.payment.imp_uid not in said


async def test_a_call_that_worked_leads_to_its_payment_and_its_webhook_address(console: Console, shop: Caller) -> None:
    order = {"merchant_uid": "m-1", "amount": 1000, "name": "x", "notice_url": "https://a.kr/hook", "cvc": "1", **CARD}
    answer = (await shop.call("POST", "/subscribe/payments/onetime", json=order)).json()
    assert answer["code"] == 0, answer
    row = (await shop.rows())[0]
    assert (row.imp_uid, row.code, row.bad, row.store_id) == (answer["response"]["imp_uid"], 0, 0, 1)
    page = await (await console.user("dev@x.kr", Role.READER)).get(f"{BASE}/calls/{row.id}")
    assert f"{BASE}/payments/{row.imp_uid}" in page.text
    assert json.loads(row.facts)["notice_url"] == ["https://a.kr/hook"]
    noted = {p["name"]: p for p in json.loads(row.params)}
    assert noted["amount"]["value"] == "1000"
    assert "value" not in noted["card_number"]
    assert noted["cvc"]["ignored"]["en"] == "Hecto's messages have no such field"
    assert row.took_us > 0


async def test_wrong_tokens_secrets_paths_and_bodies_are_explained(console: Console, shop: Caller) -> None:
    person = await console.user("dev@x.kr", Role.READER)
    token = shop.token

    async def said() -> str:
        return text_of(await person.get(f"{BASE}/calls/{(await shop.rows())[0].id}"))

    await shop.get_token(imp_secret="wrong")
    assert "imp_key와 imp_secret을" in await said()
    await shop.client.get("/payments/imp_1")
    assert "토큰이 없습니다" in await said()
    shop.token = "no-token-of-ours"
    await shop.call("GET", "/payments/imp_1")
    assert "만료되었습니다(30분)" in await said()
    shop.token = token
    await shop.call("GET", "/payment/imp_1")
    assert "없는 경로입니다" in await said()
    await shop.call("POST", "/payments/prepare", content=b'{"merchant_uid": "m", "amount": }')
    assert "올바른 JSON 객체가 아니어서" in await said()


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("GET", "/payments/find/m-1/paid", "/payments/find/{merchant_uid}/{payment_status}"),
        ("GET", "/payments/find/m-1", "/payments/find/{merchant_uid}"),
        ("GET", "/payments/status/paid?limit=5", "/payments/status/{payment_status}"),
        ("GET", "/cards/361", "/cards/{card_standard_code}"),
        ("GET", "/banks/004/", "/banks/{bank_standard_code}"),
        ("GET", "/kakao/payment", "/kakao/{rest}"),
        ("PUT", "/vbanks", "/vbanks"),
        ("GET", "/payments/cancel", None),
    ],
)
async def test_every_path_is_known_by_its_documents_name(
    shop: Caller, method: str, path: str, operation: str | None
) -> None:
    await shop.call(method, path)
    row = (await shop.rows())[0]
    assert (row.method, row.operation) == (method, operation)
    assert "unknown" not in row.params


async def test_what_browsers_ask_for_by_themselves_is_no_call(shop: Caller) -> None:
    before = len(await shop.rows())
    for path in (
        "/users/pg/imp00000000",
        "/payments/success",
        "/favicon.ico",
        "/playground",
        "/docs",
        "/v1/iamport.js",
    ):
        await shop.client.get(path)
    assert len(await shop.rows()) == before


async def test_an_old_token_is_still_its_stores(console: Console, shop: Caller) -> None:
    console.clock.advance(60 * 60_000)
    assert (await shop.call("GET", "/payments/imp_1")).status_code == 401
    row = (await shop.rows())[0]
    assert (row.status, row.store_id) == (401, 1)


async def test_request_pay_is_a_call_too(console: Console, shop: Caller) -> None:
    request = {
        "imp_code": setup.DEV_IMP_CODE, "request_id": "a" * 32, "device": "pc", "origin": "http://shop.test",
        "params": {"merchant_uid": "m-2", "amount": "1004", "buyer_tel": "010-1234-5678", "escrow": True},
    }  # fmt: skip
    await shop.client.post("/sdk/window", data={"request": json.dumps(request)})
    row = (await shop.rows())[0]
    assert (row.operation, row.code, row.store_id, row.merchant_uid) == ("IMP.request_pay", 1, 1, "m-2")
    assert row.message == "[F400] amount 파라메터가 올바르지 않습니다. (string이 아닌 number여야 합니다)"
    assert "010-1234-5678" not in row.params
    assert {p["name"] for p in json.loads(row.params) if "ignored" in p} == {"escrow"}


async def test_no_card_secret_or_token_is_ever_noted(console: Console, shop: Caller) -> None:
    paths = (
        "/users/getToken", "/subscribe/payments/onetime", "/subscribe/payments/again", "/subscribe/payments/schedule",
        "/subscribe/customers/canary", "/payments/cancel", "/payments/prepare", "/vbanks", "/receipts/imp_1",
        "/sdk/window", "/nowhere", f"/subscribe/customers/{CARD['card_number']}",
        "/payments/find/5105%201051%200510%205100",
    )  # fmt: skip
    order = {"merchant_uid": "m", "amount": 1000, "channel_key": "channel-key-dev-keyin-auth", **CARD}
    number = CARD["card_number"]
    for path in paths:
        await shop.call("POST", path, json=order)
        await shop.call("POST", path, data={k: str(v) for k, v in order.items()})
        await shop.call("POST", f"{path}?card_number={number}&{number}=1&_token={shop.token}", json=[CARD])
        await shop.call("POST", path, json=number)
        await shop.call("POST", path, content=b'{"card_number":"' + number.encode())
        await shop.call(
            "POST", path, json={"name": number, "merchant_uid": number, "custom_data": CARD, "bypass": CARD}
        )
        await shop.call("POST", path, json={"schedules": [{"merchant_uid": f"x {number}", **CARD}], "pg": number})
        await shop.call("GET", path)
    await shop.client.post("/sdk/window", data={"request": json.dumps({"imp_code": number, "params": order})})
    rows = await shop.rows()
    assert len(rows) > 90
    await shop.get_token(imp_key=setup.DEV_IMP_SECRET)  # the two mixed up
    hook = {"merchant_uid": "m-hook", "amount": 1, "notice_url": ["https://me:hidden1@a.kr/in?key=hidden2#hidden3"]}
    await shop.call("POST", "/subscribe/payments/onetime", json=hook)
    rows = await shop.rows()
    whole = "\n".join(str(tuple(r)) for r in rows)
    assert "https://a.kr/in" in whole
    assert "hidden" not in whole
    assert [n for n in (*NEEDLES, shop.token) if n in whole] == []
    assert '"card_number"' in whole


async def test_a_store_with_a_live_channel_has_no_log(console: Console, shop: Caller) -> None:
    await shop.call("GET", "/payments/status/all")
    assert await shop.rows((1,)) != []
    await _add_live_channel(console)
    await shop.call("GET", "/payments/status/all")
    assert await shop.rows((1,)) == [], "what was there before went too"
    assert log_of(console).off == {1}
    await shop.call("GET", "/payments/status/all")
    assert log_of(console).waiting == [], "its calls are not even noted"
    page = await (await console.user("dev@x.kr", Role.READER)).get(f"{BASE}/calls")
    assert "실연동 채널이 있는 상점의 요청은 기록하지 않습니다" in page.text


async def _add_live_channel(console: Console) -> None:
    draft = console_channels.Draft(
        environment=Environment.LIVE, use=Use.WINDOW, mid="imp_1234", name="live", hash_key="ST-1234567890",
        aes_key="k" * 32, merchant_name="나루", merchant_name_en="Naru",
    )  # fmt: skip
    await console_channels.add(console.parts.cx, Actor(None, "test", "-"), 1, draft)


async def test_the_log_is_short_and_a_burst_is_not_kept(
    console: Console, shop: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_KEPT", 5)
    for _ in range(8):
        await shop.call("GET", "/users/pg")
    await shop.rows()
    await service.tidy(console.parts.cx, {1})
    assert len(await shop.rows((1,))) == 5
    console.clock.advance(8 * 86_400_000)
    await service.tidy(console.parts.cx, {1})
    assert await shop.rows((1,)) == []
    await shop.get_token()
    await shop.rows()
    log_of(console).room = 3
    answers = await asyncio.gather(*(shop.call("GET", "/users/pg") for _ in range(5)))
    assert [a.status_code for a in answers] == [200] * 5
    assert (len(log_of(console).waiting), log_of(console).dropped) == (3, 2)


async def test_a_log_that_cannot_be_written_costs_nobody_anything(console: Console, shop: Caller) -> None:
    await shop.rows()
    broken = log_of(console)
    assert broken.cx is not None
    good, broken.cx.db = broken.cx.db, object()  # type: ignore[assignment]
    broken.waiting = [service.Call(0, "GET", "/x", None, 200, 0, None, 1, None, None, "[]", {}, store_id=1)]  # type: ignore[arg-type]
    await broken.flush()
    broken.cx.db = good
    assert (await shop.call("GET", "/users/pg")).status_code == 200
    assert [r.path for r in await shop.rows((1,)) if r.path != "/users/getToken"] == ["/users/pg"]


async def test_another_stores_calls_are_not_seen(console: Console, shop: Caller) -> None:
    await shop.call("GET", "/users/pg")
    row = (await shop.rows((1,)))[0]
    store_id = await console.parts.db.write(
        stores.add_store, "imp99999999", "다른 상점", None, "whsec", "{}", console.parts.cx.vault, 0
    )
    person = await console.user("other@x.kr", Role.OWNER, store_id)
    assert (await person.get(f"/console/imp99999999/calls/{row.id}")).status_code == 404
