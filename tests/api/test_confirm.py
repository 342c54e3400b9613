"""The confirm process: on a split contract the shop has the last word before the money moves."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.api.windows import buy, request_pay
from tests.live import Hook, Live, send

from naru.domain.channel import Credentials, Environment, Use
from naru.service import setup
from naru.store import stores

SPLIT: dict[str, Any] = {"channelKey": "channel-key-dev-split"}
CONFIRM = "/confirm"


@pytest.fixture
def confirms(naru: Live) -> Iterator[list[Hook]]:
    """What the shop was asked; it approves unless a test says otherwise."""
    naru.shop.hooks.clear()
    yield naru.shop.hooks
    naru.shop.answer = lambda _hook: (200, b"")


@pytest.fixture(scope="module")
def every_method(naru: Live) -> dict[str, Any]:
    """A split contract for cards, transfers and phone bills alike, made for the occasion on both sides."""
    mid, key = "imp_splt", "channel-key-test-split"
    naru.sandbox_post("/_sandbox/merchants", {"mid": mid, "like": "portone1"})
    naru.sandbox_post(f"/_sandbox/merchants/{mid}", {"split": True})
    channel = stores.NewChannel(
        store_id=1, key=key, name="분리", environment=Environment.SANDBOX, mid=mid, use=Use.WINDOW,
        hash_key=setup.SANDBOX_HASH_KEY, aes_key=setup.SANDBOX_AES_KEY, credentials=Credentials.NONE,
        flags={"split": True}, accounts=[], addresses={}, merchant_name="나루 상점", merchant_name_en="Naru",
        is_default=False,
    )  # fmt: skip
    cx = naru.parts.cx
    naru.inside(cx.db.write(stores.add_channel, channel, cx.vault, cx.clock()))
    cx.forget()
    return {"channelKey": key, "company": "포트원", "company_en": "PortOne"}


def asked(hooks: list[Hook]) -> list[Hook]:
    return [h for h in hooks if h.path == CONFIRM]


def trades(naru: Live, imp_uid: str) -> list[str]:
    found = naru.sandbox_get(f"/_sandbox/transactions?mchtTrdNo={imp_uid}")["transactions"]
    return [t["kind"] for t in found if t["state"] == "done"]


def test_a_split_contract_pays_without_asking_when_nobody_wants_to_be_asked(naru: Live, confirms: list[Hook]) -> None:
    told = buy(naru, "card", **SPLIT)
    assert (told["success"], told["status"]) == (True, "paid")
    payment = naru.get(f"/payments/{told['imp_uid']}").response
    assert (payment["pg_id"], payment["card_name"]) == ("nxca_jt_hd", "신한카드")
    assert payment["apply_num"]
    assert asked(confirms) == []


def test_the_shop_is_asked_once_and_approves(naru: Live, confirms: list[Hook]) -> None:
    told = buy(naru, "card", **SPLIT, confirm_url=naru.shop.url + CONFIRM)
    assert told["success"] is True
    [question] = asked(confirms)
    assert question.content_type == "application/json"
    assert json.loads(question.body) == {
        "imp_uid": told["imp_uid"], "merchant_uid": told["merchant_uid"], "amount": 3000,
    }  # fmt: skip
    assert trades(naru, told["imp_uid"]) == ["pay"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((400, '{"reason": "재고가 없습니다"}'.encode()), "재고가 없습니다"),
        ((500, b"oops"), "알 수 없음"),
        ((204, b""), "알 수 없음"),
    ],
)
def test_anything_but_200_stops_the_payment_with_the_shops_reason(
    naru: Live, confirms: list[Hook], answer: tuple[int, bytes], reason: str
) -> None:
    naru.shop.answer = lambda hook: answer if hook.path == CONFIRM else (200, b"")
    told = buy(naru, "card", **SPLIT, confirm_url=naru.shop.url + CONFIRM)
    words = f"고객사 요청에 의해 결제를 중단합니다. (상세사유 : {reason})"
    assert (told["success"], told["error_msg"]) == (False, words)
    payment = naru.get(f"/payments/{told['imp_uid']}").response
    assert (payment["status"], payment["fail_reason"]) == ("failed", words)
    assert trades(naru, told["imp_uid"]) == []
    assert len(asked(confirms)) == 1


def test_a_shop_that_cannot_be_reached_stops_the_payment(naru: Live, confirms: list[Hook]) -> None:
    told = buy(naru, "card", **SPLIT, confirm_url="http://127.0.0.1:9/confirm")
    assert (told["success"], told["status"]) == (False, "failed")
    assert trades(naru, told["imp_uid"]) == []


def test_a_lost_approval_is_found_out_and_not_asked_for_twice(naru: Live, confirms: list[Hook]) -> None:
    naru.fault("reset_after", message="M22")
    told = buy(naru, "card", **SPLIT, confirm_url=naru.shop.url + CONFIRM)
    assert told["success"] is True
    assert len(asked(confirms)) == 1
    assert trades(naru, told["imp_uid"]) == ["pay"]


def test_a_browser_that_comes_back_five_times_is_confirmed_and_approved_once(naru: Live, confirms: list[Hook]) -> None:
    told = buy(naru, "card", times=5, **SPLIT, confirm_url=naru.shop.url + CONFIRM)
    assert (told["success"], told["status"]) == (True, "paid")
    assert len(asked(confirms)) == 1
    assert trades(naru, told["imp_uid"]) == ["pay"]
    assert naru.complaints == []  # a second approval would have been one


def test_a_declined_approval_fails_with_the_pgs_code(naru: Live, confirms: list[Hook]) -> None:
    naru.fault("error_code", message="M22", code="CA31", text="한도초과")
    told = buy(naru, "card", **SPLIT)
    assert (told["success"], told["error_code"]) == (False, "CA31")


def test_without_a_split_contract_it_is_refused_before_the_window_opens(naru: Live) -> None:
    envelope, page = request_pay(naru, confirm_url=naru.shop.url + CONFIRM)
    assert "인증-승인 분리 계약이 아니어서" in page.body.decode()
    assert naru.get(f"/payments/find/{envelope['params']['merchant_uid']}").status == 404


@pytest.mark.parametrize("method", ["card", "trans", "phone"])
def test_every_method_is_confirmed_and_then_approved(
    naru: Live, confirms: list[Hook], every_method: dict[str, Any], method: str
) -> None:
    told = buy(naru, method, **every_method, confirm_url=naru.shop.url + CONFIRM)
    assert (told["success"], told["status"], told["pay_method"]) == (True, "paid", method)
    assert [json.loads(q.body)["amount"] for q in asked(confirms)] == [3000]
    payment = naru.get(f"/payments/{told['imp_uid']}").response
    assert (payment["status"], payment["pg_id"]) == ("paid", "imp_splt")
    assert payment["bank_code"] == ("004" if method == "trans" else None)
    assert trades(naru, told["imp_uid"]) == ["pay"]


@pytest.mark.parametrize(("method", "message"), [("trans", "M23"), ("phone", "M24")])
def test_a_lost_approval_of_every_method_is_found_out(
    naru: Live, confirms: list[Hook], every_method: dict[str, Any], method: str, message: str
) -> None:
    naru.fault("reset_after", message=message)
    told = buy(naru, method, **every_method, confirm_url=naru.shop.url + CONFIRM)
    assert (told["success"], told["status"]) == (True, "paid")
    assert trades(naru, told["imp_uid"]) == ["pay"]


@pytest.mark.parametrize(("method", "message"), [("trans", "M23"), ("phone", "M24")])
def test_a_refused_method_moves_no_money(
    naru: Live, confirms: list[Hook], every_method: dict[str, Any], method: str, message: str
) -> None:
    naru.shop.answer = lambda hook: (403, b"{}") if hook.path == CONFIRM else (200, b"")
    told = buy(naru, method, **every_method, confirm_url=naru.shop.url + CONFIRM)
    assert (told["success"], told["status"]) == (False, "failed")
    naru.shop.answer = lambda _hook: (200, b"")
    naru.fault("error_code", message=message, code="ST11", text="점검")
    declined = buy(naru, method, **every_method)
    assert (declined["success"], declined["error_code"]) == (False, "ST11")
    assert trades(naru, told["imp_uid"]) == trades(naru, declined["imp_uid"]) == []


def test_a_shop_that_does_not_answer_in_time_stops_the_payment(naru: Live, confirms: list[Hook]) -> None:
    cx = naru.parts.cx
    patient, limits = cx.ask_shop, list[float]()

    async def impatient(url: str, body: bytes, seconds: float) -> tuple[int | None, str | None]:
        limits.append(seconds)
        return await patient(url, body, 0.2)

    def slowly(hook: Hook) -> tuple[int, bytes]:
        if hook.path == CONFIRM:
            time.sleep(1)  # the shop's own slowness, longer than it is given
        return 200, b""

    cx.ask_shop, naru.shop.answer = impatient, slowly
    try:
        told = buy(naru, "card", **SPLIT, confirm_url=naru.shop.url + CONFIRM)
    finally:
        cx.ask_shop = patient
    assert limits == [10]
    assert (told["success"], told["status"]) == (False, "failed")
    assert trades(naru, told["imp_uid"]) == []


@pytest.mark.parametrize(("fault", "status"), [("reset_before", "failed"), ("reset_after", "paid")])
def test_an_approval_and_every_word_about_it_lost(
    naru: Live, confirms: list[Hook], every_method: dict[str, Any], fault: str, status: str
) -> None:
    """No answer, no noti, no inquiry for a while: told as being checked, and made true by the settle job."""
    naru.fault(fault, message="M24")
    naru.fault("noti_lost")
    naru.fault("http_500", message="M21", times=50)
    cx = naru.parts.cx
    cx.budget_s, usual = 1, cx.budget_s
    try:
        told = buy(naru, "phone", **every_method)
    finally:
        cx.budget_s = usual
    assert told == {"state": "open", "imp_uid": told["imp_uid"]}
    assert naru.get(f"/payments/{told['imp_uid']}").response["status"] == "ready"
    send(naru.sandbox, "DELETE", "/_sandbox/faults")
    naru.pass_time(3 * 60_000)
    assert naru.get(f"/payments/{told['imp_uid']}").response["status"] == status
    assert trades(naru, told["imp_uid"]) == (["pay"] if status == "paid" else [])
