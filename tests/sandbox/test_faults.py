"""Faults as a client sees them, and what the book says afterwards."""

import http.client
import json
import time

import pytest
from tests.sandbox.client import KEYS, Hecto, Receiver, code

from naru.connectors.hecto import messages
from naru.connectors.hecto.messages import Sealed

GONE = (ConnectionResetError, http.client.RemoteDisconnected, http.client.IncompleteRead, TimeoutError)


def lost(hecto: Hecto, asked: dict[str, str], timeout: float = 10) -> Exception:
    with pytest.raises(GONE) as caught:
        hecto.send(messages.CARD_PAY, asked, timeout=timeout)
    return caught.value


def approved(hecto: Hecto, asked: dict[str, str]) -> bool:
    return any(t["state"] == "done" for t in hecto.trades(mchtTrdNo=asked["mchtTrdNo"]))


@pytest.mark.parametrize(
    ("name", "kind", "processed"),
    [
        ("request_lost", http.client.RemoteDisconnected, False),
        ("reset_before", ConnectionResetError, False),
        ("reset_after", ConnectionResetError, True),
        ("half_body", http.client.IncompleteRead, True),
    ],
)
def test_broken_connections(hecto: Hecto, name: str, kind: type[Exception], processed: bool) -> None:
    hecto.fault(name)
    asked = hecto.payment()
    assert type(lost(hecto, asked)) is kind
    assert approved(hecto, asked) is processed
    # The fault is spent; the same order number then tells whether it had happened.
    assert code(hecto.send(messages.CARD_PAY, asked)) == ("ST50" if processed else "0000")


def test_a_lost_answer_hangs_until_the_client_gives_up(hecto: Hecto) -> None:
    hecto.fault("answer_lost")
    asked = hecto.payment()
    assert type(lost(hecto, asked, timeout=0.5)) is TimeoutError
    assert approved(hecto, asked)
    assert hecto.inquire(asked).done


def test_delay_before_and_after_processing(hecto: Hecto) -> None:
    for where, at_timeout in (("after", True), ("before", False)):
        hecto.fault("delay", ms=600, where=where)
        asked = hecto.payment()
        lost(hecto, asked, timeout=0.2)
        assert approved(hecto, asked) is at_timeout
        time.sleep(0.6)
        assert approved(hecto, asked)
    hecto.fault("delay", ms=50)
    assert hecto.pay().done


def test_late_processing_denies_first(hecto: Hecto, receiver: Receiver) -> None:
    hecto.fault("late_processing", ms=60_000)
    asked = hecto.payment(notiUrl=receiver.url)
    lost(hecto, asked)
    assert code(hecto.inquire(asked)) == "ST06"
    assert code(hecto.send(messages.CARD_PAY, asked)) == "ST50"
    hecto.drain()
    assert receiver.got == []
    hecto.advance(seconds=61)
    assert hecto.inquire(asked).done
    receiver.wait(1)


def test_late_processing_only_after_the_denial(hecto: Hecto, receiver: Receiver) -> None:
    hecto.fault("late_processing", after_inquiry=True)
    asked = hecto.payment(notiUrl=receiver.url)
    lost(hecto, asked)
    hecto.advance(hours=1)
    assert receiver.got == []
    assert code(hecto.inquire(asked)) == "ST06"
    hecto.advance(seconds=2)
    assert hecto.inquire(asked).done
    receiver.wait(1)


def test_a_cancel_that_happens_only_after_the_denial(hecto: Hecto) -> None:
    asked = hecto.payment(won=1004)
    paid = hecto.send(messages.CARD_PAY, asked)
    hecto.fault("late_processing", after_inquiry=True, message="M09")
    with pytest.raises(GONE):
        hecto.cancel(paid, 404)
    hecto.advance(hours=1)
    assert hecto.inquire(asked).values["cnclAmt"] == "0"
    hecto.advance(seconds=2)
    assert hecto.inquire(asked).values["cnclAmt"] == "404"


def test_a_late_cancel_is_not_counted_until_it_happens(hecto: Hecto) -> None:
    asked = hecto.payment(won=1004)
    paid = hecto.send(messages.CARD_PAY, asked)
    hecto.fault("late_processing", ms=60_000, message="M09")
    with pytest.raises(GONE):
        hecto.cancel(paid, 404)
    assert hecto.inquire(asked).values["cnclAmt"] == "0"
    assert code(hecto.cancel(paid, 600, 2)) == "ST38"
    hecto.advance(seconds=61)
    assert hecto.inquire(asked).values["cnclAmt"] == "404"
    assert hecto.cancel(paid, 600, 2).values["blcAmt"] == "0"


def raw_payment(hecto: Hecto, asked: dict[str, str]) -> tuple[int, bytes]:
    body = json.dumps(messages.build_request(messages.CARD_PAY, asked, KEYS)).encode()
    status, _, answer = hecto.raw("POST", messages.CARD_PAY.path, body)
    return status, answer


def test_an_answer_in_euc_kr_is_not_utf8(hecto: Hecto) -> None:
    hecto.fault("euc_kr")
    asked = hecto.payment()
    status, answer = raw_payment(hecto, asked)
    assert status == 200
    with pytest.raises(UnicodeDecodeError):
        answer.decode()
    assert answer.decode("cp949").startswith('{"params"')
    assert approved(hecto, asked)


@pytest.mark.parametrize(("where", "processed"), [("after", True), ("before", False), ("", True)])
def test_http_500(hecto: Hecto, where: str, processed: bool) -> None:
    hecto.fault("http_500", where=where)
    asked = hecto.payment()
    status, answer = raw_payment(hecto, asked)
    assert status == 500
    assert answer.startswith(b"<html>")
    assert approved(hecto, asked) is processed


def test_codes_on_request(hecto: Hecto) -> None:
    hecto.fault("unknown_code")
    asked = hecto.payment()
    assert code(hecto.send(messages.CARD_PAY, asked)) == "ZZ99"
    assert approved(hecto, asked)
    hecto.fault("error_code", code="ST38", message="APICardActionPay")
    asked = hecto.payment()
    answer = hecto.send(messages.CARD_PAY, asked)
    assert (code(answer), answer.values["outStatCd"]) == ("ST38", "0031")
    assert not approved(hecto, asked)
    hecto.fault("error_code", code="VTIM", where="after")
    asked = hecto.payment()
    assert code(hecto.send(messages.CARD_PAY, asked)) == "VTIM"
    assert approved(hecto, asked)


def test_answers_that_do_not_fit_the_question(hecto: Hecto) -> None:
    hecto.fault("wrong_amount")
    asked = hecto.payment()
    answer = hecto.send(messages.CARD_PAY, asked)
    assert (answer.done, answer.sealed, answer.values["trdAmt"]) == (True, Sealed.RULE, "3001")

    hecto.fault("wrong_ids")
    asked = hecto.payment()
    answer = hecto.send(messages.CARD_PAY, asked)
    assert (answer.done, answer.sealed) == (True, Sealed.RULE)
    assert answer.values["mchtTrdNo"] != asked["mchtTrdNo"]

    hecto.fault("wrong_hash")
    answer = hecto.pay()
    assert (answer.done, answer.sealed) == (True, Sealed.WRONG)

    hecto.fault("wrong_amount", message="card_cancel")
    paid = hecto.pay()
    cancelled = hecto.cancel(paid, 1000)
    assert (cancelled.sealed, cancelled.values["cnclAmt"]) == (Sealed.RULE, "1001")
    assert {t["amount"] for t in hecto.trades() if t["kind"] == "pay"} == {3000}


def test_a_fault_meets_only_what_it_is_for(hecto: Hecto) -> None:
    hecto.fault("error_code", code="CA01", message="M09", times=2)
    paid = hecto.pay()
    assert paid.done
    assert [code(hecto.cancel(paid, 1000)) for _ in range(3)] == ["CA01", "CA01", "0000"]
    asked = hecto.payment()
    hecto.fault("error_code", code="CA01", mchtTrdNo=asked["mchtTrdNo"])
    assert hecto.pay().done
    assert code(hecto.send(messages.CARD_PAY, asked)) == "CA01"


def test_seeded_faults_repeat(hecto: Hecto) -> None:
    def run() -> list[bool]:
        hecto.fault("error_code", code="CA01", rate=0.5, seed=7, times=1000)
        done = [hecto.pay().done for _ in range(20)]
        status, _, _ = hecto.raw("DELETE", "/_sandbox/faults")
        assert status == 200
        return done

    first = run()
    assert run() == first
    assert 4 < sum(first) < 16


def test_faults_are_listed_forgotten_and_checked(hecto: Hecto) -> None:
    for wrong in ({"name": "nonsense"}, {"name": "delay", "message": "M99"}, {"name": "delay", "colour": 1}):
        hecto.post("/_sandbox/faults", wrong, expect=400)
    hecto.fault("delay", ms=5)
    hecto.fault("reset_after", message="M09")
    listed = hecto.get("/_sandbox/faults")
    assert [(f["name"], f["message"], f["ms"]) for f in listed["faults"]] == [
        ("delay", "any", 5),
        ("reset_after", "M09", 0),
    ]
    assert "noti_forged" in listed["names"]
    _, _, body = hecto.raw("DELETE", "/_sandbox/faults")
    assert json.loads(body) == {"forgotten": 2}
    assert hecto.get("/_sandbox/faults")["faults"] == []
