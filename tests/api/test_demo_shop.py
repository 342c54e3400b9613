"""The demo shop on its own: what it believes, and whom it listens to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from litestar.testing import AsyncTestClient

from naru.demo import rest
from naru.demo.app import Settings, create_app
from naru.demo.orders import Order, OrderBook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


def payment(**changes: Any) -> dict[str, Any]:
    known = {
        "imp_uid": "imp_000000000001", "merchant_uid": "o1", "amount": 1004, "cancel_amount": 0, "status": "paid",
        "vbank_num": None, "pay_method": "card", "fail_reason": None, "card_name": "신한카드", "card_number": None,
        "card_quota": 0, "apply_num": "30001234", "receipt_url": None,
    }  # fmt: skip
    return known | changes


def order(found: dict[str, Any] | None = None) -> Order:
    made = Order("o1", "sample", "시음 티백 한 봉", 1, 1004, "2026-08-23T10:00:00+09:00")
    made.payment = found
    return made


@pytest.mark.parametrize(
    ("found", "state", "left"),
    [
        (None, "open", 0),
        (payment(), "paid", 1004),
        (payment(status="ready"), "open", 0),
        (payment(status="ready", vbank_num="12345678901234"), "waiting", 0),
        (payment(status="cancelled", cancel_amount=4), "partly", 1000),
        (payment(status="cancelled", cancel_amount=1004), "cancelled", 0),
        (payment(status="failed"), "failed", 0),
        (payment(amount=100), "wrong", 0),
        (payment(merchant_uid="somebody else's"), "wrong", 0),
    ],
)
def test_only_the_looked_up_payment_makes_an_order_paid(found: dict[str, Any] | None, state: str, left: int) -> None:
    assert (order(found).state, order(found).left) == (state, left)


def test_a_later_try_that_failed_does_not_hide_the_paid_one() -> None:
    paid = order(payment())
    paid.believe(payment(imp_uid="imp_000000000002", status="failed"))
    assert paid.state == "paid"
    failed = order(payment(status="failed"))
    failed.believe(payment(imp_uid="imp_000000000002"))
    assert failed.state == "paid"


def test_orders_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "shop.json"
    made = OrderBook(path).begin("sample", "시음 티백 한 봉", 1, 1004)
    assert OrderBook(path).find(made.merchant_uid) == made


class FakeGateway(rest.Gateway):
    """Knows one payment."""

    def __init__(self) -> None:
        super().__init__("http://gateway.invalid", "key", "secret")
        self.known: dict[str, Any] = {}
        self.cancels: list[dict[str, Any]] = []

    async def payment(self, imp_uid: str) -> dict[str, Any]:
        if self.known.get("imp_uid") != imp_uid:
            raise rest.Trouble("존재하지 않는 결제정보입니다.")
        return self.known

    async def cancel(self, **body: Any) -> dict[str, Any]:
        self.cancels.append(body)
        self.known |= {"status": "cancelled", "cancel_amount": self.known["cancel_amount"] + body["amount"]}
        return self.known


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
async def shop(gateway: FakeGateway) -> AsyncIterator[AsyncTestClient[Any]]:
    settings = Settings(
        gateway="http://127.0.0.1:8000", gateway_public="https://pay.example", imp_code="imp00000000",
        imp_key="key", imp_secret="secret",
    )  # fmt: skip
    async with AsyncTestClient(create_app(settings, gateway)) as client:
        yield client


async def begun(shop: AsyncTestClient[Any]) -> str:
    answer = await shop.post("/orders", data={"goods": "sample", "quantity": "1"}, follow_redirects=False)
    return answer.headers["location"].split("/")[2]


async def test_a_webhook_is_believed_only_after_looking(shop: AsyncTestClient[Any], gateway: FakeGateway) -> None:
    number = await begun(shop)
    forged = {"imp_uid": "imp_000000000001", "merchant_uid": number, "status": "paid"}
    assert (await shop.post("/webhook", json=forged)).text == "ok"
    page = (await shop.get(f"/orders/{number}")).text
    assert "결제를 기다리고 있습니다" in page
    assert "존재하지 않는 결제정보입니다." in page

    gateway.known = payment(merchant_uid=number)
    await shop.post("/webhook", data=forged)  # urlencoded works too
    assert "결제가 완료되었습니다" in (await shop.get(f"/orders/{number}")).text


async def test_a_callback_that_claims_success_proves_nothing(shop: AsyncTestClient[Any]) -> None:
    number = await begun(shop)
    claim = {"success": True, "imp_uid": "imp_999999999999", "merchant_uid": number, "paid_amount": 1004}
    assert (await shop.post(f"/orders/{number}/callback", json=claim)).json() == {"state": "open"}


async def test_a_partial_cancel_says_what_it_believes_is_left(shop: AsyncTestClient[Any], gateway: FakeGateway) -> None:
    number = await begun(shop)
    gateway.known = payment(merchant_uid=number)
    await shop.post("/webhook", json={"imp_uid": "imp_000000000001", "merchant_uid": number, "status": "paid"})
    await shop.post(f"/orders/{number}/cancel", data={"amount": "1,000", "reason": "한 봉 불량"})
    assert gateway.cancels == [
        {
            "imp_uid": "imp_000000000001", "amount": 1000, "checksum": 1004, "reason": "한 봉 불량",
            "enable_webhook": True,
        }
    ]  # fmt: skip
    too_much = await shop.post(f"/orders/{number}/cancel", data={"amount": "5"})
    assert too_much.status_code == 400
    assert "취소할 금액은 1원부터 4원까지입니다." in too_much.text
    assert len(gateway.cancels) == 1


async def test_other_sites_cannot_press_the_shops_buttons(shop: AsyncTestClient[Any], gateway: FakeGateway) -> None:
    number = await begun(shop)
    gateway.known = payment(merchant_uid=number)
    await shop.post("/webhook", json={"imp_uid": "imp_000000000001", "merchant_uid": number})
    answer = await shop.post(
        f"/orders/{number}/cancel", data={"amount": "4"}, headers={"Origin": "https://evil.example"}
    )
    assert answer.status_code == 403
    assert gateway.cancels == []


async def test_the_shop_lets_in_the_gateways_script_and_nothing_else(shop: AsyncTestClient[Any]) -> None:
    answer = await shop.get("/")
    assert "script-src 'self' https://pay.example; " in answer.headers["content-security-policy"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; ")
    missing = await shop.get("/nothing")
    assert missing.headers["content-security-policy"] == answer.headers["content-security-policy"]


async def test_what_is_not_there_is_said_in_the_shops_own_words(shop: AsyncTestClient[Any]) -> None:
    answer = await shop.get("/orders/nothing")
    assert (answer.status_code, "주문 nothing이(가) 없습니다." in answer.text) == (404, True)
    assert (await shop.post("/orders", data={"goods": "sample", "quantity": "0"})).status_code == 400
