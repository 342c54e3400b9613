"""Reconciliation lists, sales slips, cash receipts, and the test mode's night."""

import json
import re
import urllib.parse
from collections.abc import Callable

import pytest
from tests.sandbox.client import KEYS, Hecto, code

from naru.connectors.hecto import messages
from naru.connectors.hecto.messages import Message, Sheet


def ask(hecto: Hecto, message: Message, form: dict[str, str], *, method: str = "POST") -> Sheet:
    path = message.path.replace("{mchtId}", form["mchtId"])
    body, content_type = messages.encode_form(form)
    if method == "GET":
        answer = hecto.raw("GET", f"{path}?{body.decode()}")
    else:
        answer = hecto.raw("POST", path, body, {"Content-Type": content_type})
    status, headers, text = answer
    assert status == 200
    assert headers["content-type"] == "text/plain;charset=UTF-8"
    columns = messages.TRANSACTION_COLUMNS if message is messages.TRANSACTIONS else messages.SETTLEMENT_COLUMNS
    return messages.read_sheet(text.decode(), columns)


def day_form(day: str, mid: str = "nxca_jt_bi", method: str = "CA") -> dict[str, str]:
    values = {"mchtId": mid, "mchtTy": "M", "method": method, "trdDtSt": day}
    return messages.build_form(messages.TRANSACTIONS, values, KEYS)


def payout_form(day: str, mid: str = "nxca_jt_bi", method: str = "ALL") -> dict[str, str]:
    values = {"mchtId": mid, "mchtTy": "M", "method": method, "crtrDt": day}
    return messages.build_form(messages.SETTLEMENTS, values, KEYS)


def test_the_days_list_has_a_line_for_every_approval_and_cancel(hecto: Hecto) -> None:
    hecto.set_clock(2030, 5, 1, 23, 50, 0)
    paid = hecto.pay(won=60_000, instmtMon="03")
    hecto.pay(card="4000000000000317")
    hecto.pay("nxca_ks_gu")
    hecto.set_clock(2030, 5, 2, 9, 0, 0)
    cancelled = hecto.cancel(paid, 10_000)
    first = ask(hecto, messages.TRANSACTIONS, day_form("20300501"))
    assert (first.code, len(first.rows)) == ("0000", 1)
    row = first.rows[0]
    assert (row["trdNo"], row["mchtTrdNo"], row["cancelled"]) == (paid.values["trdNo"], paid.values["mchtTrdNo"], "0")
    assert (row["date"], row["time"][:4], row["amount"]) == ("20300501", "2350", "60000")
    assert (row["apprNo"], row["fnCd"], row["instmtMon"]) == (paid.values["apprNo"], "05", "03")
    [row] = ask(hecto, messages.TRANSACTIONS, day_form("20300502", method="ALL"), method="GET").rows
    assert (row["trdNo"], row["cancelled"], row["amount"]) == (cancelled.values["trdNo"], "1", "10000")
    assert (row["orgTrdNo"], row["orgTrdDt"]) == (paid.values["trdNo"], "20300501")
    assert row["mchtTrdNo"] == paid.values["mchtTrdNo"]
    assert ask(hecto, messages.TRANSACTIONS, day_form("20300503")).code == "1001"
    assert ask(hecto, messages.TRANSACTIONS, day_form("20300501", method="RA")).code == "1001"


def test_payouts_have_fees_and_come_on_business_days(hecto: Hecto) -> None:
    hecto.set_clock(2030, 5, 2, 12, 0, 0)  # a Thursday
    paid = hecto.pay(won=10_000)
    hecto.cancel(paid, 4_000)
    assert ask(hecto, messages.SETTLEMENTS, payout_form("20300506")).code == "1001"
    sheet = ask(hecto, messages.SETTLEMENTS, payout_form("20300507"))  # Friday, Monday, Tuesday
    approval, cancel = sheet.rows
    assert (approval["amount"], approval["fee"], approval["feeVat"], approval["payout"]) == (
        "10000",
        "250",
        "25",
        "9725",
    )
    assert (approval["orgTrdNo"], approval["payoutDate"]) == (paid.values["trdNo"], "20300507")
    assert (cancel["cancelled"], cancel["fee"], cancel["payout"]) == ("1", "0", "4000")
    assert cancel["orgTrdNo"] == paid.values["trdNo"]


def test_lists_refuse_with_their_own_codes(hecto: Hecto) -> None:
    for message, form in (
        (messages.TRANSACTIONS, day_form("20300501")),
        (messages.SETTLEMENTS, payout_form("20300501")),
    ):
        assert ask(hecto, message, form | {"pktHash": "0" * 64}).code == "ST92"
        assert ask(hecto, message, form | {"mchtId": "nobody"}).code == "ST90"
        assert ask(hecto, message, {k: v for k, v in form.items() if k != "method"}).code == "ST91"
    assert len(hecto.complaints()) == 6


def slip(hecto: Hecto, trd_no: str, mid: str = "nxca_jt_bi", **wrong: str) -> tuple[int, str]:
    values = {"mchtId": mid, "method": "CA", "trdDt": hecto.now().strftime("%Y%m%d"), "trdNo": trd_no}
    form = messages.build_form(messages.RECEIPT_PAGE, values, KEYS) | wrong
    status, _, body = hecto.submit(messages.RECEIPT_PAGE.path, form)
    return status, body.decode()


def test_sales_slips(hecto: Hecto) -> None:
    paid = hecto.pay(won=1_000)
    status, page = slip(hecto, paid.values["trdNo"])
    assert status == 200
    for text in ("1,000", "909", "91", "411111******1111", paid.values["apprNo"]):
        assert text in page
    hecto.cancel(paid, 400)
    assert "400" in slip(hecto, paid.values["trdNo"])[1]
    mixed = hecto.pay(taxTypeCd="G", taxAmt="900", vatAmt="100", taxFreeAmt="2000")
    assert "2,000" in slip(hecto, mixed.values["trdNo"])[1]
    assert slip(hecto, paid.values["trdNo"], pktHash="0" * 64)[0] == 404
    assert slip(hecto, paid.values["trdNo"], mid="nxca_ks_gu")[0] == 404


# --- cash receipts -------------------------------------------------------------------------------


def receipt(hecto: Hecto, form: dict[str, str], message: Message = messages.CASH_REGISTER) -> dict[str, str]:
    body = urllib.parse.urlencode({**message.constants, **form}).encode()
    content_type = "application/x-www-form-urlencoded; charset=UTF-8"
    status, headers, answer = hecto.raw("POST", message.path, body, {"Content-Type": content_type})
    assert status == 200
    assert headers["content-type"] == "text/plain;charset=UTF-8"
    return json.loads(answer)


def registration(number: str, **more: str) -> dict[str, str]:
    form = {"mid": "mid_test", "transNo": number, "trDt": "20300501120000", "amt": "909", "vat": "91"}
    return form | {"purpose": "0", "identityGb": "4", "identity": "01012345678"} | more


def test_a_cash_receipt_is_registered_issued_at_midnight_and_cancelled_in_parts(hecto: Hecto) -> None:
    hecto.set_clock(2030, 5, 1, 12, 0, 0)
    made = receipt(hecto, registration("R1"))
    assert (made["resultCd"], made["trTime"]) == ("0000", "20300501120000")
    assert re.fullmatch(r"[A-Z]\d{8}", made["authNo"])
    status = {"mid": "mid_test", "trDt": "20300501", "assort": "0", "transNo": "R1"}
    assert receipt(hecto, status, messages.CASH_STATUS)["resultCd"] == "0011"
    hecto.set_clock(2030, 5, 2, 0, 0, 1)
    found = receipt(hecto, status, messages.CASH_STATUS)
    assert (found["resultCd"], found["authNo"]) == ("0021", made["authNo"])
    assert receipt(hecto, status | {"transNo": "X"}, messages.CASH_STATUS)["resultCd"] == "1113"

    back = {"mid": "mid_test", "trDt": "20300502120000", "vat": "0", "authNo": made["authNo"]}
    back |= {"orgTrDt": "20300501120000"}
    cancel = messages.CASH_CANCEL
    assert receipt(hecto, back | {"transNo": "C1", "amt": "400"}, cancel)["authNo"] == made["authNo"]
    assert receipt(hecto, back | {"transNo": "C1", "amt": "100"}, cancel)["resultCd"] == "1113"
    assert receipt(hecto, back | {"transNo": "C2", "amt": "601"}, cancel)["resultCd"] == "1116"
    assert receipt(hecto, back | {"transNo": "C2", "amt": "600"}, cancel)["resultCd"] == "0000"
    assert receipt(hecto, back | {"transNo": "C3", "amt": "1"}, cancel)["resultCd"] == "1113"
    assert receipt(hecto, back | {"transNo": "C3", "amt": "1", "authNo": "G00000000"}, cancel)["resultCd"] == "1114"


def test_a_cash_receipt_is_cancelled_in_its_calendar_year_only(hecto: Hecto) -> None:
    hecto.set_clock(2030, 12, 31, 12, 0, 0)
    made = receipt(hecto, registration("R1", trDt="20301231120000"))
    hecto.set_clock(2031, 1, 1, 0, 0, 1)
    back = {"mid": "mid_test", "transNo": "C1", "trDt": "20310101000001", "amt": "1", "vat": "0"}
    back |= {"authNo": made["authNo"], "orgTrDt": "20301231120000"}
    assert receipt(hecto, back, messages.CASH_CANCEL)["resultCd"] == "1114"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"mid": "nobody"}, "2000"),
        ({"transNo": ""}, "1112"),
        ({"purpose": ""}, "1117"),
        ({"amt": "x"}, "1121"),
        ({"identity": "123"}, "1010"),
        ({"identityGb": "3"}, "1010"),
        ({"taxYn": "Y"}, "1010"),
        ({"purpose": "7"}, "1121"),
        ({"_method": "nothing"}, "1121"),
        ({"identity": "0100001234"}, "0000"),
    ],
)
def test_what_a_cash_receipt_needs(hecto: Hecto, change: dict[str, str], expected: str) -> None:
    assert receipt(hecto, registration("R1") | change)["resultCd"] == expected


def test_a_transaction_number_is_used_once_for_ever(hecto: Hecto) -> None:
    assert receipt(hecto, registration("R1"))["resultCd"] == "0000"
    hecto.advance(days=400)
    assert receipt(hecto, registration("R1"))["resultCd"] == "1115"


# --- night ---------------------------------------------------------------------------------------


def test_the_night_cancels_test_payments_and_tells_nobody(start: Callable[..., Hecto]) -> None:
    hecto = start(night_cancel=True)
    hecto.set_clock(2030, 5, 1, 12, 0, 0)
    asked = hecto.payment(won=1004)
    paid = hecto.send(messages.CARD_PAY, asked)
    hecto.cancel(paid, 404)
    hecto.set_clock(2030, 5, 1, 23, 9, 0)
    assert code(hecto.inquire(asked)) == "0000"
    hecto.set_clock(2030, 5, 1, 23, 11, 0)
    found = hecto.inquire(asked)
    assert (code(found), found.values["cnclAmt"]) == ("0001", "1004")
    assert hecto.get("/_sandbox/notis")["notis"] == []
    late = hecto.payment()
    hecto.send(messages.CARD_PAY, late)
    assert code(hecto.inquire(late)) == "0000"
    hecto.set_clock(2030, 5, 3, 12, 0, 0)
    assert code(hecto.inquire(late, orgTrdDt="20300501")) == "0001"
    rows = ask(hecto, messages.TRANSACTIONS, day_form("20300501")).rows
    assert [(r["cancelled"], r["amount"], r["time"]) for r in rows][-2] == ("1", "600", "231000")
    assert code(hecto.cancel(paid, 600, 2)) == "CA12"


def test_without_the_switch_nothing_happens_at_night(hecto: Hecto) -> None:
    hecto.set_clock(2030, 5, 1, 12, 0, 0)
    asked = hecto.payment()
    hecto.send(messages.CARD_PAY, asked)
    hecto.set_clock(2030, 5, 2, 12, 0, 0)
    assert code(hecto.inquire(asked, orgTrdDt="20300501")) == "0000"
