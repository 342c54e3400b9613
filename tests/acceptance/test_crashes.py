"""kill -9 at the worst moments, with real processes: the books agree afterwards and the shop is told."""

from __future__ import annotations

import contextlib

import pytest

from naru.domain.values import MINUTE
from tests.acceptance.servers import Receiver, Servers

FAULTS = ("request_lost", "reset_after", "http_500", "half_body", "wrong_amount", "wrong_hash", "unknown_code")


@pytest.mark.parametrize(
    ("point", "asked_at_hecto", "status"),
    [("asked", 0, "failed"), ("answered", 1, "paid"), ("settling", 1, "paid")],
)
def test_a_payment_survives_kill_9(
    servers: Servers, receiver: Receiver, point: str, asked_at_hecto: int, status: str
) -> None:
    servers.start_gateway(crash_at=point)
    with pytest.raises(OSError):  # noqa: PT011 - the connection breaks, in whichever way
        servers.pay("order-1", notice_url=receiver.url)
    assert servers.died()
    assert len(servers.book()) == asked_at_hecto
    servers.start_gateway()
    busy = servers.pay("order-1")
    assert (busy["code"], busy["response"]) == (-1, None)
    servers.advance(3 * MINUTE)
    found = servers.find("order-1")["response"]
    assert found["status"] == status
    assert servers.complaints() == []
    if status == "paid":
        assert receiver.bodies() == [{"imp_uid": found["imp_uid"], "merchant_uid": "order-1", "status": "paid"}]
        assert servers.pay("order-1")["message"] == "이미 결제가 이루어진 거래건입니다."
    else:
        assert receiver.bodies() == []
        assert servers.pay("order-1")["code"] == 0
    assert len(servers.book()) == 1


@pytest.mark.parametrize(("point", "cancelled"), [("asked", 0), ("answered", 400), ("settling", 400)])
def test_a_cancel_survives_kill_9(servers: Servers, receiver: Receiver, point: str, cancelled: int) -> None:
    servers.start_gateway()
    imp_uid = servers.pay("order-1", notice_url=receiver.url)["response"]["imp_uid"]
    servers.kill_gateway()
    servers.start_gateway(crash_at=point)
    with pytest.raises(OSError):  # noqa: PT011
        servers.cancel(imp_uid=imp_uid, amount=400)
    assert servers.died()
    servers.start_gateway()
    servers.advance(3 * MINUTE)
    assert servers.find("order-1")["response"]["cancel_amount"] == cancelled
    statuses = [b["status"] for b in receiver.bodies()]
    assert statuses.count("cancelled") == (1 if cancelled else 0)
    rest = servers.cancel(imp_uid=imp_uid, checksum=1000 - cancelled)
    assert rest["response"]["cancel_amount"] == 1000
    assert servers.complaints() == []


def test_a_webhook_that_was_delivered_and_not_ticked_off_is_delivered_again(
    servers: Servers, receiver: Receiver
) -> None:
    servers.start_gateway(crash_at="delivered")
    with contextlib.suppress(OSError):  # the delivery may win the race against the answer
        servers.pay("order-1", notice_url=receiver.url)
    assert servers.died()
    servers.start_gateway()
    servers.advance(2 * MINUTE)
    assert len(receiver.bodies()) >= 2
    assert {b["status"] for b in receiver.bodies()} == {"paid"}
    assert len({r["headers"]["webhook-id"] for r in receiver.received}) == 1


def test_a_noti_that_was_stored_and_not_read_comes_again(servers: Servers, receiver: Receiver) -> None:
    servers.start_gateway(crash_at="letter stored")
    servers.fault("delay", "M05", ms=2000)  # the noti is here long before the answer, so it is news
    with contextlib.suppress(OSError):
        servers.pay("order-1", notice_url=receiver.url)
    assert servers.died()
    servers.start_gateway()
    servers.advance(5 * MINUTE)
    assert servers.find("order-1")["response"]["status"] == "paid"
    # The death may come between a delivery and its tick: then the same webhook comes again, under its own name.
    assert {b["status"] for b in receiver.bodies()} == {"paid"}
    assert len({r["headers"]["webhook-id"] for r in receiver.received}) == 1


def test_faults_on_the_wire_end_in_agreement(servers: Servers) -> None:
    """Every fault of the first issue, one payment each; nothing is kept of what was told "failed"."""
    servers.start_gateway()
    for name in FAULTS:
        servers.fault(name, "M05")
        told = servers.pay(f"order-{name}")
        servers.advance(3 * MINUTE)
        found = servers.find(f"order-{name}")["response"]
        assert found["status"] == ("paid" if told["code"] == 0 else "failed"), name
    kept = sum(t["balance"] for t in servers.book())
    paid = sum(
        found["amount"]
        for name in (
            "request_lost",
            "reset_after",
            "http_500",
            "half_body",
            "wrong_amount",
            "wrong_hash",
            "unknown_code",
        )
        if (found := servers.find(f"order-{name}")["response"])["status"] == "paid"
    )
    assert kept == paid
    assert servers.complaints() == []
