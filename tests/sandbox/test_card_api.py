"""Hecto's rules for cards over the API, each with the code it answers."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.sandbox.client import GOOD, KEYS, Hecto, code

from naru.connectors.hecto import crypto, messages
from naru.connectors.hecto.messages import Sealed
from naru.sandbox.hecto import cards, desk


def test_a_good_card_is_approved_and_gets_a_key(hecto: Hecto) -> None:
    asked = hecto.payment()
    paid = hecto.send(messages.CARD_PAY, asked)
    assert paid.done
    assert paid.sealed is Sealed.RULE
    assert paid.values["trdAmt"] == "3000"
    assert paid.values["cardNo"] == "411111xxxxxx1111"
    assert (paid.values["vldDtMon"], paid.values["vldDtYear"]) == ("12", "39")
    assert paid.values["issrId"] == "SHN"
    assert len(paid.values["trdNo"]) == 40
    assert paid.values["trdNo"].startswith("STFP_PGCAnxca_jt_bi0")
    assert len(paid.values["billKey"]) == 40
    assert paid.values["billKey"].startswith("SBILL_PGCAnxca_jt_bi")
    [trade] = hecto.trades()
    assert (trade["kind"], trade["state"], trade["amount"]) == ("pay", "done", 3000)
    assert (trade["mchtTrdNo"], trade["trdNo"]) == (asked["mchtTrdNo"], paid.values["trdNo"])
    assert hecto.complaints() == []


def test_all_four_credentials_are_needed_where_the_contract_says_so(hecto: Hecto) -> None:
    assert hecto.pay("nxca_ks_gu").done
    values = hecto.payment("nxca_ks_gu")
    del values["cardPwd"]
    assert code(hecto.send(messages.CARD_PAY, values)) == "ST09"
    values = hecto.payment("nxca_ks_gu")
    del values["idntNo"]
    assert code(hecto.send(messages.CARD_PAY, values)) == "ST09"
    assert [c["field"] for c in hecto.complaints()] == ["idntNo", "cardPwd"]
    assert code(hecto.pay("nxca_ks_gu", idntNo="991332")) == "CA30"
    assert code(hecto.pay("nxca_ks_gu", idntNo="1018163383")) == "0000"


@pytest.mark.parametrize("card", [c for c in cards.TEST_CARDS if c.code], ids=lambda c: c.fate)
def test_the_documented_cards_do_what_the_page_says(hecto: Hecto, card: cards.TestCard) -> None:
    answer = hecto.pay("nxca_ks_gu", card=card.number)
    assert code(answer) == card.code
    assert answer.done == (card.code == "0000")


@pytest.mark.parametrize("number", ["1234123412341234", "4092023012341234"])
def test_the_number_is_checked_before_the_expiry(hecto: Hecto, number: str) -> None:
    answer = hecto.pay(card=number, vldDtYear="19", vldDtMon="01")
    assert "유효하지않은 카드번호를 입력하셨습니다." in answer.values["outRsltMsg"]
    assert not answer.done


def test_an_expired_card_is_declined_from_the_next_month_on(hecto: Hecto) -> None:
    hecto.set_clock(2031, 3, 31, 23, 59, 50)
    assert hecto.pay(vldDtYear="31", vldDtMon="03").done
    hecto.advance(seconds=10)
    assert code(hecto.pay(vldDtYear="31", vldDtMon="03")) == "CA20"
    assert code(hecto.pay(vldDtMon="13")) == "CA20"


def test_the_insufficient_card_is_approved_after_three_days(hecto: Hecto) -> None:
    card = "4000000000000325"
    assert code(hecto.pay(card=card)) == "CA32"
    hecto.advance(days=2)
    assert code(hecto.pay(card=card)) == "CA32"
    hecto.advance(days=1)
    assert hecto.pay(card=card).done


def test_an_order_number_is_used_once_a_day_unless_it_failed(hecto: Hecto) -> None:
    hecto.set_clock(2030, 5, 1, 23, 59, 0)
    asked = hecto.payment(card="4000000000000317")
    assert code(hecto.send(messages.CARD_PAY, asked)) == "CA31"
    asked |= {"cardNo": GOOD}
    assert hecto.send(messages.CARD_PAY, asked).done
    assert code(hecto.send(messages.CARD_PAY, asked)) == "ST50"
    assert len([t for t in hecto.trades() if t["state"] == "done"]) == 1
    hecto.advance(minutes=2)
    again = hecto.send(messages.CARD_PAY, asked | {"trdDt": "20300502", "trdTm": "000100"})
    assert again.done


@pytest.mark.parametrize(
    ("won", "expected"), [(999, "CA42"), (1000, "0000"), (99_999_998, "0000"), (99_999_999, "CA42")]
)
def test_amount_limits(hecto: Hecto, won: int, expected: str) -> None:
    assert code(hecto.pay(won=won)) == expected


@pytest.mark.parametrize(
    ("won", "months", "expected"),
    [(50_000, "03", "0000"), (49_999, "03", "CA21"), (50_000, "01", "CA21"), (50_000, "37", "CA21")],
)
def test_instalments(hecto: Hecto, won: int, months: str, expected: str) -> None:
    assert code(hecto.pay(won=won, instmtMon=months)) == expected


@pytest.mark.parametrize(
    ("tax", "expected"),
    [
        ({"taxTypeCd": "G", "taxAmt": "909", "vatAmt": "91", "taxFreeAmt": "2000"}, "0000"),
        ({"taxTypeCd": "G", "taxAmt": "909", "vatAmt": "91", "taxFreeAmt": "2001"}, "ST55"),
        ({"taxTypeCd": "G"}, "ST55"),
        ({"taxTypeCd": "N", "taxAmt": "2700", "vatAmt": "300"}, "0000"),
        ({"taxTypeCd": "N", "taxAmt": "2700", "vatAmt": "299"}, "ST55"),
        ({"taxTypeCd": "Y", "taxFreeAmt": "3000", "taxAmt": "0", "vatAmt": "0"}, "0000"),
        ({"taxTypeCd": "Y", "taxFreeAmt": "2999", "taxAmt": "1"}, "ST55"),
        ({"taxTypeCd": "X"}, "ST09"),
    ],
)
def test_tax_parts_add_up(hecto: Hecto, tax: dict[str, str], expected: str) -> None:
    assert code(hecto.send(messages.CARD_PAY, hecto.payment() | tax)) == expected


def test_keys_pay_until_they_are_deleted(hecto: Hecto) -> None:
    key = hecto.pay().values["billKey"]
    values = {k: v for k, v in hecto.payment().items() if k not in ("cardNo", "vldDtMon", "vldDtYear")}
    paid = hecto.send(messages.CARD_KEY_PAY, values | {"billKey": key})
    assert paid.done
    assert paid.values["billKey"] == key
    assert paid.values["cardNo"] == "411111xxxxxx1111"
    assert code(hecto.send(messages.CARD_KEY_PAY, {**values, **hecto.ids("nxca_ks_gu"), "billKey": key})) == "ST06"

    delete = {**hecto.ids("nxca_jt_bi"), "billKey": key}
    deleted = hecto.send(messages.CARD_KEY_DELETE, delete)
    assert deleted.done
    assert deleted.sealed is Sealed.RULE
    assert code(hecto.send(messages.CARD_KEY_DELETE, delete | hecto.ids("nxca_jt_bi"))) == "ST06"
    assert code(hecto.send(messages.CARD_KEY_PAY, {**values, **hecto.ids("nxca_jt_bi"), "billKey": key})) == "ST06"


def key_issue(hecto: Hecto, mid: str = "nxca_ks_gu", card: str = GOOD) -> dict[str, str]:
    return {
        **hecto.ids(mid),
        "cardNo": card,
        "idntNo": "820213",
        "vldDtMon": "12",
        "vldDtYear": "39",
        "cardPwd": "00",
        "keyRegYn": "Y",
    }


def test_a_key_alone_is_issued_where_the_contract_allows_it(hecto: Hecto) -> None:
    issued = hecto.send(messages.CARD_KEY_ISSUE, key_issue(hecto))
    assert issued.done
    assert issued.sealed is Sealed.RULE
    assert issued.values["billKey"].startswith("SBILL_PGCAnxca_ks_gu")
    assert code(hecto.send(messages.CARD_KEY_ISSUE, key_issue(hecto, "nxca_jt_bi"))) == "ST69"
    assert code(hecto.send(messages.CARD_KEY_ISSUE, key_issue(hecto, card="1234123412341234"))) == "CA13"

    values = {k: v for k, v in hecto.payment("nxca_ks_gu").items() if k not in ("cardNo", "vldDtMon", "vldDtYear")}
    values = {k: v for k, v in values.items() if k not in ("idntNo", "cardPwd")}
    assert hecto.send(messages.CARD_KEY_PAY, values | {"billKey": issued.values["billKey"]}).done


def test_a_window_mid_takes_no_card_data(hecto: Hecto) -> None:
    assert code(hecto.pay("portone1")) == "ST69"


def test_partial_cancels_run_in_order_up_to_the_balance(hecto: Hecto) -> None:
    paid = hecto.pay(won=1004)
    first = hecto.cancel(paid, 404)
    assert first.done
    assert first.sealed is Sealed.RULE
    assert (first.values["cnclAmt"], first.values["blcAmt"]) == ("404", "600")
    assert first.values["trdNo"] != first.values["orgTrdNo"] == paid.values["trdNo"]
    assert code(hecto.cancel(paid, 100)) == "ST56"
    assert code(hecto.cancel(paid, 100, 3)) == "ST56"
    assert code(hecto.cancel(paid, 601, 2)) == "ST57"
    assert code(hecto.cancel(paid, 99, 2)) == "ST45"
    assert hecto.cancel(paid, 600, 2).values["blcAmt"] == "0"
    assert code(hecto.cancel(paid, 1, 3)) == "CA12"
    [trade] = hecto.trades(trdNo=paid.values["trdNo"])
    assert (trade["cancelled"], trade["balance"]) == (1004, 0)
    assert [c["code"] for c in hecto.complaints()] == ["CA12", "ST57", "ST56", "ST56"]


def test_cancels_of_unknown_foreign_or_failed_trades_are_refused(hecto: Hecto) -> None:
    paid = hecto.pay()
    other = hecto.pay("nxca_ks_gu")
    assert code(hecto.cancel(paid, 3000, orgTrdNo="STFP_PGCA_no_such_trade")) == "CA10"
    assert code(hecto.cancel(paid, 3000, orgTrdNo=other.values["trdNo"])) == "CA10"
    hecto.pay(card="4000000000000317")
    failed = next(t for t in hecto.trades() if t["state"] == "failed")
    assert code(hecto.cancel(paid, 3000, orgTrdNo=failed["trdNo"])) == "CA10"
    assert all(t["cancelled"] == 0 for t in hecto.trades())


def test_a_cancel_needs_a_number_of_its_own(hecto: Hecto) -> None:
    asked = hecto.payment()
    paid = hecto.send(messages.CARD_PAY, asked)
    assert code(hecto.cancel(paid, 3000, mchtTrdNo=asked["mchtTrdNo"])) == "ST50"
    values = hecto.cancel_values(paid, 1000)
    assert hecto.send(messages.CARD_CANCEL, values).done
    assert code(hecto.send(messages.CARD_CANCEL, values | {"cnclOrd": "002"})) == "ST50"


def test_mixed_tax_is_cancelled_in_parts(hecto: Hecto) -> None:
    paid = hecto.pay(taxTypeCd="G", taxAmt="909", vatAmt="91", taxFreeAmt="2000")
    assert code(hecto.cancel(paid, 1000)) == "ST55"
    free = {"taxTypeCd": "G", "taxAmt": "0", "vatAmt": "0", "taxFreeAmt": "1500"}
    assert hecto.send(messages.CARD_CANCEL, hecto.cancel_values(paid, 1500) | free).done
    # only 500 of it are left
    assert code(hecto.send(messages.CARD_CANCEL, hecto.cancel_values(paid, 1500, 2) | free)) == "ST55"
    rest = {"taxTypeCd": "G", "taxAmt": "909", "vatAmt": "91", "taxFreeAmt": "500"}
    last = hecto.send(messages.CARD_CANCEL, hecto.cancel_values(paid, 1500, 2) | rest)
    assert last.values["blcAmt"] == "0"


def test_cancel_rules_of_card_and_contract(hecto: Hecto) -> None:
    prepaid = hecto.pay(card="4000000000000887")
    assert code(hecto.cancel(prepaid, 1000)) == "CA88"
    assert hecto.cancel(prepaid, 3000).done
    hecto.post("/_sandbox/merchants/nxca_jt_bi", {"partial_cancel": False})
    paid = hecto.pay()
    assert code(hecto.cancel(paid, 1000)) == "ST54"
    assert hecto.cancel(paid, 3000).done


def test_a_card_payment_can_be_cancelled_for_a_year(hecto: Hecto) -> None:
    hecto.set_clock(2030, 3, 10, 12, 0, 0)
    early, late = hecto.pay(), hecto.pay()
    hecto.set_clock(2031, 3, 10, 23, 59, 0)
    assert hecto.cancel(early, 3000).done
    hecto.advance(minutes=2)
    assert code(hecto.cancel(late, 3000)) == "ST46"


def test_the_inquiry_tells_what_became_of_a_payment(hecto: Hecto) -> None:
    asked = hecto.payment(won=1004)
    assert code(hecto.inquire(asked)) == "ST06"
    declined = hecto.send(messages.CARD_PAY, asked | {"cardNo": "4000000000000317"})
    assert not declined.done
    assert code(hecto.inquire(asked)) == "0009"
    paid = hecto.send(messages.CARD_PAY, asked)
    found = hecto.inquire(asked)
    assert found.done
    assert found.sealed is Sealed.RULE
    assert (found.values["trdNo"], found.values["trdAmt"], found.values["cnclAmt"]) == (
        paid.values["trdNo"],
        "1004",
        "0",
    )
    hecto.cancel(paid, 404)
    found = hecto.inquire(asked)
    assert (code(found), found.values["cnclAmt"]) == ("0000", "404")
    hecto.cancel(paid, 600, 2)
    found = hecto.inquire(asked)
    assert (found.values["outStatCd"], code(found), found.values["cnclAmt"]) == ("0021", "0001", "1004")
    assert hecto.complaints() == []


def test_the_inquiry_looks_one_day_around_and_compares_the_amount(hecto: Hecto) -> None:
    hecto.set_clock(2030, 3, 10, 12, 0, 0)
    asked = hecto.payment()
    hecto.send(messages.CARD_PAY, asked)
    assert hecto.inquire(asked, orgTrdDt="20300309").done
    assert hecto.inquire(asked, orgTrdDt="20300311").done
    assert code(hecto.inquire(asked, orgTrdDt="20300312")) == "ST06"
    assert code(hecto.inquire(asked, orgTrdDt="00010101")) == "ST09"
    assert code(hecto.inquire(asked, trdAmt="2999")) == "ST06"
    assert code(hecto.inquire(asked, method="RA")) == "ST06"
    assert code(hecto.inquire(asked, mchtId="nobody")) == "ST47"
    complaints = {(c["code"], c["field"]) for c in hecto.complaints()}
    assert complaints == {("ST09", "orgTrdDt"), ("ST06", "trdAmt"), ("ST47", "mchtId")}


def test_every_api_message_has_its_rules() -> None:
    declared = {m.id for m in messages.ALL if m.transport is messages.Transport.JSON}
    assert declared == set(desk.RULES)


BODY_FLAWS: list[tuple[str, Callable[[dict[str, Any]], None], str]] = [
    ("wrong seal", lambda b: b["data"].update(pktHash="0" * 64), "1901"),
    ("plain amount", lambda b: b["data"].update(trdAmt="3000"), "1902"),
    ("plain card", lambda b: b["data"].update(cardNo=GOOD), "1902"),
    ("other key", lambda b: b["data"].update(cardNo=crypto.encrypt(GOOD, "x" * 32)), "1902"),
    ("no product", lambda b: b["data"].pop("pmtprdNm"), "1008"),
    ("empty product", lambda b: b["data"].update(pmtprdNm=""), "1008"),
    ("no seal", lambda b: b["data"].pop("pktHash"), "ST09"),
    ("no instalment", lambda b: b["data"].pop("instmtMon"), "ST09"),
    ("long name", lambda b: b["data"].update(mchtCustNm="가" * 11), "1110"),
    ("no MID", lambda b: b["params"].pop("mchtId"), "1001"),
    ("unknown MID", lambda b: b["params"].update(mchtId="nobody"), "ST47"),
    ("other version", lambda b: b["params"].update(ver="0A18"), "ST09"),
    ("no data", lambda b: b.pop("data"), "6001"),
    ("other method", lambda b: b["params"].update(method="XX"), "6001"),
    ("amount with a comma", lambda b: b["data"].update(trdAmt=crypto.encrypt("3,000", KEYS.aes_key)), "ST09"),
]


@pytest.mark.parametrize(("what", "break_it", "expected"), BODY_FLAWS, ids=[f[0] for f in BODY_FLAWS])
def test_a_message_with_a_flaw_is_refused_and_remembered(
    hecto: Hecto, what: str, break_it: Callable[[dict[str, Any]], None], expected: str
) -> None:
    body = messages.build_request(messages.CARD_PAY, hecto.payment(), KEYS)
    break_it(body)
    assert code(hecto.send_body(messages.CARD_PAY, body)) == expected
    assert hecto.trades() == []
    [complaint] = hecto.complaints()
    assert complaint["code"] == expected


def test_what_is_not_json_is_refused(hecto: Hecto) -> None:
    for raw in (b"", b"mchtId=x", b"[]", b"\xff\xfe", b'{"params":1,"data":2}'):
        status, _, body = hecto.raw("POST", messages.CARD_PAY.path, raw)
        assert status == 200
        assert json.loads(body)["params"]["outRsltCd"] == "6001"
    assert len(hecto.complaints()) == 5


def test_what_hecto_clients_really_send_is_tolerated(hecto: Hecto) -> None:
    """PHP samples: a form's Content-Type, escaped slashes and Hangul, every field they know."""
    body = messages.build_request(messages.CARD_PAY, hecto.payment(), KEYS)
    body["data"] |= {"billKey": "", "refundBankCd": "", "taxAmt": "", "cnclOrd": ""}
    body["data"]["pktHash"] = body["data"]["pktHash"].upper()
    body["data"]["trdAmt"] = body["data"]["trdAmt"].replace("+", " ")
    raw = json.dumps(body).replace("/", "\\/").encode()
    _, _, answer = hecto.raw("POST", messages.CARD_PAY.path, raw, {"Content-Type": "application/x-www-form-urlencoded"})
    assert json.loads(answer)["params"]["outRsltCd"] == "0000"
    # Hecto's Java sample scans the text for values: raw Hangul and slashes, nothing but strings.
    text = answer.decode()
    assert "정상" in text
    assert "\\" not in text
    assert all(isinstance(v, str) for part in json.loads(answer).values() for v in part.values())
    assert hecto.complaints() == []


def test_plain_text_is_taken_only_where_that_is_switched_on(start: Callable[..., Hecto]) -> None:
    lenient = start(lenient=True)
    body = messages.build_request(messages.CARD_PAY, lenient.payment(), KEYS)
    body["data"]["trdAmt"] = "3000"
    assert code(lenient.send_body(messages.CARD_PAY, body)) == "0000"


def test_a_message_far_from_the_clock_is_refused(hecto: Hecto) -> None:
    asked = hecto.payment()
    hecto.advance(hours=25)
    assert code(hecto.send(messages.CARD_PAY, asked)) == "ST09"
    assert code(hecto.pay(trdDt="20301332")) == "ST09"


def test_texts_are_cleaned_as_hecto_does_and_forbidden_characters_are_noted(hecto: Hecto) -> None:
    assert hecto.pay(pmtprdNm="꽃🌸다발 javascript").done
    assert hecto.trades()[0]["detail"]["pmtprdNm"] == "꽃다발 "
    assert hecto.complaints() == []
    assert hecto.pay(pmtprdNm="주문명:결제").done
    assert [c["field"] for c in hecto.complaints()] == ["pmtprdNm"]
