"""The published Python client, unchanged, against a running gateway: only its address differs."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from iamport import Iamport
from tests.live import GOOD_CARD, Live

from naru.service import setup

KEYIN = {"card_number": GOOD_CARD, "expiry": "2039-12", "birth": "", "pwd_2digit": ""}
KEYIN_WITH_IDENTITY = KEYIN | {"birth": "880808", "pwd_2digit": "11", "pg": "settle.nxca_ks_gu"}


@pytest.fixture
def client(naru: Live) -> Iterator[Any]:
    """Made as the client's own documentation says, with our address as `imp_url` (it wants a slash at the end)."""
    made = Iamport(imp_key=setup.DEV_IMP_KEY, imp_secret=setup.DEV_IMP_SECRET, imp_url=f"{naru.url}/")
    yield made
    made.requests_session.close()


@pytest.fixture
def order() -> str:
    """Non-ASCII on purpose: the client puts it into the path."""
    return f"주문-{uuid.uuid4().hex[:12]}"


@pytest.mark.parametrize("card", [KEYIN, KEYIN_WITH_IDENTITY], ids=["number and expiry", "birth and password too"])
def test_it_pays_looks_up_and_cancels(client: Any, order: str, card: dict[str, str]) -> None:
    paid = client.pay_onetime(merchant_uid=order, amount=5000, name="상품", **card)
    assert (paid["status"], paid["amount"], paid["merchant_uid"]) == ("paid", 5000, order)

    assert client.find(imp_uid=paid["imp_uid"]) == paid
    assert client.find(merchant_uid=order) == paid
    assert client.is_paid(5000, imp_uid=paid["imp_uid"])
    assert not client.is_paid(5001, response=paid)

    part = client.cancel("부분취소", imp_uid=paid["imp_uid"], amount=2000, checksum=5000)
    assert (part["status"], part["cancel_amount"], part["cancel_reason"]) == ("cancelled", 2000, "부분취소")
    rest = client.cancel("나머지", merchant_uid=order, checksum=3000)
    assert (rest["status"], rest["cancel_amount"]) == ("cancelled", 5000)
    assert [entry["amount"] for entry in rest["cancel_history"]] == [2000, 3000]

    with pytest.raises(Iamport.ResponseError) as refused:
        client.cancel("또", merchant_uid=order)
    assert (refused.value.code, refused.value.message) == (1, "이미 전액취소된 주문입니다.")
    assert client.find(merchant_uid=order)["cancel_amount"] == 5000


def test_it_hears_what_is_wrong_with_a_card(client: Any, order: str) -> None:
    with pytest.raises(Iamport.ResponseError) as refused:
        client.pay_onetime(merchant_uid=order, amount=1004, **(KEYIN | {"card_number": "1234-1234-1234-1234"}))
    assert refused.value.code == -1
    assert "카드정보 인증에 실패하였습니다." in refused.value.message
    assert "유효하지않은 카드번호를 입력하셨습니다." in refused.value.message


def test_a_checksum_that_does_not_fit_cancels_nothing(client: Any, order: str) -> None:
    paid = client.pay_onetime(merchant_uid=order, amount=1004, **KEYIN)
    with pytest.raises(Iamport.ResponseError) as refused:
        client.cancel("취소", imp_uid=paid["imp_uid"], checksum=1003)
    assert refused.value.code == 1
    assert client.find(imp_uid=paid["imp_uid"]) == paid


def test_what_does_not_exist_is_not_found(client: Any, order: str) -> None:
    with pytest.raises(Iamport.HttpError) as missing:
        client.find(merchant_uid=order)
    assert missing.value.code == 404
    with pytest.raises(Iamport.ResponseError) as refused:
        client.cancel("취소", merchant_uid=order)
    assert (refused.value.code, refused.value.message) == (1, "취소할 결제건이 존재하지 않습니다.")


def test_a_wrong_secret_is_refused(naru: Live) -> None:
    stranger: Any = Iamport(imp_key=setup.DEV_IMP_KEY, imp_secret="wrong", imp_url=f"{naru.url}/")
    with pytest.raises(Iamport.HttpError) as refused:
        stranger.find(imp_uid="imp_000000000000")
    assert refused.value.code == 401
    stranger.requests_session.close()


def test_an_amount_that_was_prepared_is_remembered(client: Any, order: str) -> None:
    prepared = client.prepare(order, 12000)
    assert (prepared["merchant_uid"], prepared["amount"]) == (order, 12000)
    assert client.prepare_validate(order, 12000)
    assert not client.prepare_validate(order, 12001)
