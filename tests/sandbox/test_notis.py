"""Notis: what they say, when they come again, and when they stop."""

from tests.sandbox.client import KEYS, Hecto, Receiver

from naru.connectors.hecto import messages


def attempts(hecto: Hecto) -> list[int]:
    return [n["tries"] for n in hecto.get("/_sandbox/notis")["notis"]]


def test_a_payment_tells_its_notice_address_what_happened(hecto: Hecto, receiver: Receiver) -> None:
    asked = hecto.payment(notiUrl=receiver.url, mchtParam="imp_123")
    paid = hecto.send(messages.CARD_PAY, asked)
    [noti] = receiver.wait(1)
    assert noti.sealed
    assert noti.message is messages.NOTI_CARD
    told = noti.values
    assert (told["outStatCd"], told["method"], told["bizType"]) == ("0021", "CA", "B0")
    assert (told["mchtTrdNo"], told["trdNo"], told["trdAmt"]) == (asked["mchtTrdNo"], paid.values["trdNo"], "3000")
    assert (told["cardNo"], told["cardApprNo"]) == ("411111******1111", paid.values["apprNo"])
    assert (told["billKey"], told["mchtParam"]) == (paid.values["billKey"], "imp_123")
    assert receiver.raw[0][1] == "application/x-www-form-urlencoded; charset=UTF-8"
    hecto.drain()
    [kept] = hecto.get("/_sandbox/notis")["notis"]
    assert (kept["state"], kept["tries"]) == ("done", 1)


def test_a_declined_payment_and_one_without_an_address_tell_nobody(hecto: Hecto, receiver: Receiver) -> None:
    hecto.pay(card="4000000000000317", notiUrl=receiver.url)
    hecto.pay()
    hecto.drain()
    assert receiver.got == []
    assert hecto.get("/_sandbox/notis")["notis"] == []


def test_a_merchant_can_have_euc_kr(hecto: Hecto, receiver: Receiver) -> None:
    hecto.post("/_sandbox/merchants/nxca_jt_bi", {"charset": "euc-kr"})
    hecto.pay(notiUrl=receiver.url)
    [noti] = receiver.wait(1)
    assert noti.sealed
    assert noti.values["mchtCustNm"] == "홍길동"
    body, content_type = receiver.raw[0]
    assert content_type == "application/x-www-form-urlencoded; charset=EUC-KR"
    assert b"%C8%AB%B1%E6%B5%BF" in body


def test_ok_with_blanks_around_it_counts_unless_the_merchant_is_strict(hecto: Hecto, receiver: Receiver) -> None:
    hecto.set_clock(2030, 5, 1, 9, 0, 0)
    receiver.answers = [(200, "\r\nOK\r\n")]
    hecto.pay(notiUrl=receiver.url)
    receiver.wait(1)
    hecto.drain()
    assert hecto.get("/_sandbox/notis")["notis"][0]["state"] == "done"
    hecto.post("/_sandbox/merchants/nxca_jt_bi", {"strict_ok": True})
    hecto.pay(notiUrl=receiver.url)
    hecto.drain()
    assert hecto.get("/_sandbox/notis")["notis"][0]["state"] == "waiting"


def test_anything_but_ok_is_tried_again_a_minute_later(hecto: Hecto, receiver: Receiver) -> None:
    hecto.set_clock(2030, 5, 1, 9, 0, 0)
    receiver.answers = [(200, "FAIL"), (500, "OK"), (302, "OK"), (200, "<b>OK</b>"), (200, "OK")]
    hecto.pay(notiUrl=receiver.url)
    hecto.drain()
    assert attempts(hecto) == [1]
    for tries in (2, 3, 4, 5):
        hecto.advance(seconds=50)
        assert attempts(hecto) == [tries - 1]
        hecto.advance(seconds=15)
        assert attempts(hecto) == [tries]
    hecto.advance(hours=1)
    assert len(receiver.got) == 5
    assert len({form["pktHash"] for form in receiver.got}) == 1


def test_ten_retries_a_minute_apart_then_ten_ten_minutes_apart(hecto: Hecto, receiver: Receiver) -> None:
    hecto.set_clock(2030, 5, 1, 9, 0, 0)
    receiver.answers = [(200, "FAIL")]
    hecto.pay(notiUrl=receiver.url)
    hecto.drain()
    for tries in range(2, 12):
        hecto.advance(seconds=61)
        assert attempts(hecto) == [tries]
    hecto.advance(seconds=61)
    assert attempts(hecto) == [11]
    for tries in range(12, 22):
        hecto.advance(minutes=10, seconds=1)
        assert attempts(hecto) == [tries]
    assert hecto.get("/_sandbox/notis")["notis"][0]["state"] == "gave_up"
    hecto.advance(hours=2)
    assert len(receiver.got) == 21


def test_retries_stop_at_midnight(hecto: Hecto, receiver: Receiver) -> None:
    hecto.set_clock(2030, 5, 1, 23, 58, 30)
    receiver.answers = [(200, "FAIL")]
    hecto.pay(notiUrl=receiver.url)
    hecto.drain()
    hecto.advance(seconds=61)
    hecto.advance(seconds=61)
    hecto.advance(hours=1)
    assert len(receiver.got) == 2
    assert hecto.get("/_sandbox/notis")["notis"][0]["state"] == "gave_up"


def test_a_noti_can_be_sent_again_by_hand(hecto: Hecto, receiver: Receiver) -> None:
    paid = hecto.pay(notiUrl=receiver.url)
    receiver.wait(1)
    hecto.drain()
    assert hecto.post(f"/_sandbox/notis/{paid.values['trdNo']}/resend") == {"resent": 1}
    assert len(receiver.got) == 2
    hecto.post("/_sandbox/notis/nothing/resend", expect=404)


def test_cancel_notis_are_an_option_of_the_merchant(hecto: Hecto, receiver: Receiver) -> None:
    paid = hecto.pay(won=1004, notiUrl=receiver.url)
    receiver.wait(1)
    hecto.cancel(paid, 404)
    hecto.drain()
    assert len(receiver.got) == 1
    hecto.post("/_sandbox/merchants/nxca_jt_bi", {"cancel_noti": True})
    asked = hecto.cancel_values(paid, 600, 2)
    hecto.send(messages.CARD_CANCEL, asked)
    told = receiver.wait(2)[1]
    assert told.sealed
    assert (told.values["bizType"], told.values["cnclType"], told.values["trdAmt"]) == ("C0", "10", "600")
    assert told.values["orgTrdNo"] == paid.values["trdNo"]
    assert told.values["mchtTrdNo"] == paid.values["mchtTrdNo"]
    hecto.post("/_sandbox/merchants/nxca_jt_bi", {"noti_number": "request"})
    again = hecto.pay(notiUrl=receiver.url)
    receiver.wait(3)
    asked = hecto.cancel_values(again, 3000)
    hecto.send(messages.CARD_CANCEL, asked)
    told = receiver.wait(4)[3]
    assert (told.values["cnclType"], told.values["mchtTrdNo"]) == ("00", asked["mchtTrdNo"])


def test_a_lost_noti_never_comes(hecto: Hecto, receiver: Receiver) -> None:
    hecto.fault("noti_lost")
    hecto.pay(notiUrl=receiver.url)
    hecto.drain()
    hecto.advance(hours=3)
    assert receiver.got == []
    assert hecto.get("/_sandbox/notis")["notis"][0]["state"] == "lost"


def test_a_noti_can_lose_its_first_attempts_only(hecto: Hecto, receiver: Receiver) -> None:
    hecto.set_clock(2030, 5, 1, 9, 0, 0)
    hecto.fault("noti_lost", attempts=2)
    hecto.pay(notiUrl=receiver.url)
    hecto.drain()
    hecto.advance(seconds=61)
    assert receiver.got == []
    hecto.advance(seconds=61)
    assert [n.sealed for n in receiver.notis()] == [True]


def test_a_doubled_noti_comes_twice_although_it_was_answered(hecto: Hecto, receiver: Receiver) -> None:
    hecto.fault("noti_doubled")
    hecto.pay(notiUrl=receiver.url)
    first, second = receiver.wait(2)
    assert first.values == second.values


def test_a_late_noti_waits_for_the_clock(hecto: Hecto, receiver: Receiver) -> None:
    hecto.fault("noti_late", ms=60_000, message="noti_card")
    hecto.pay(notiUrl=receiver.url)
    hecto.drain()
    assert receiver.got == []
    hecto.advance(seconds=61)
    assert len(receiver.got) == 1


def test_reordered_notis_swap(hecto: Hecto, receiver: Receiver) -> None:
    hecto.fault("noti_reordered", ms=600_000)
    one = hecto.pay(notiUrl=receiver.url)
    hecto.drain()
    two = hecto.pay(notiUrl=receiver.url)
    told = receiver.wait(2)
    assert [n.values["mchtTrdNo"] for n in told] == [two.values["mchtTrdNo"], one.values["mchtTrdNo"]]


def test_altered_and_forged_notis_do_not_verify_and_the_true_one_follows(hecto: Hecto, receiver: Receiver) -> None:
    hecto.set_clock(2030, 5, 1, 9, 0, 0)
    for name in ("noti_altered", "noti_forged"):
        receiver.got.clear()
        receiver.answers = [(200, "FAIL"), (200, "OK")]
        hecto.fault(name)
        hecto.pay(notiUrl=receiver.url)
        [wrong] = receiver.wait(1)
        assert not wrong.sealed
        assert wrong.values["trdAmt"] == ("3001" if name == "noti_altered" else "3000")
        hecto.advance(seconds=61)
        assert [n.sealed for n in receiver.notis()] == [False, True]


def test_an_early_noti_comes_before_the_answer(hecto: Hecto, receiver: Receiver) -> None:
    seen: list[str] = []
    hecto.fault("noti_early")
    receiver.before_answer = lambda form: seen.append("noti")
    hecto.pay(notiUrl=receiver.url)
    seen.append("answer")
    assert seen == ["noti", "answer"]
    assert KEYS.hash_key not in str(receiver.got)
