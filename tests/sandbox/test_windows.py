"""Payment windows over HTTP: what opens, what is refused before a page, and how each one ends."""

from pathlib import Path

import pytest
from tests.sandbox.client import GOOD, KEYS, Hecto, Receiver, code

from naru.connectors.hecto import messages
from naru.connectors.hecto.messages import Answer, Message, Sealed

CARD, BANK, MOBILE = messages.CARD_WINDOW, messages.BANK_WINDOW, messages.MOBILE_WINDOW
APPROVE = {"outcome": "approve", "issuer": "KBC", "instmtMon": "00"}
TRANSFER = {"outcome": "approve", "bank": "004", "account": "enough", "otp": "123456"}
PHONE = {"outcome": "approve", "telco": "SKT", "phone": "01012345678", "otp": "123456"}
NEXT, CANCEL = "http://shop.test/next", "http://shop.test/cancel"


def test_a_card_window_pays_tells_the_server_and_then_the_browser(hecto: Hecto, receiver: Receiver) -> None:
    asked = hecto.window_values(won=50_000, notiUrl=receiver.url, mchtParam="imp_1")
    window = hecto.open(CARD, asked)
    page = hecto.page(window)
    assert 'data-won="50000"' in page
    assert "결제테스트" in page
    assert "국민카드" in hecto.page(f"{window}/auth?issuer=KBC&instmtMon=03")
    hecto.advance(seconds=30)
    url, told = hecto.go(window, **{**APPROVE, "instmtMon": "03"})
    assert url == NEXT
    assert told.done
    assert told.sealed is Sealed.UNSIGNED
    values = told.values
    assert (values["mchtTrdNo"], values["trdAmt"], values["mchtCustId"]) == (asked["mchtTrdNo"], "50000", "customer1")
    assert (values["fnCd"], values["intMon"], values["mchtParam"]) == ("KBC", "03", "imp_1")
    [noti] = receiver.notis()  # before the browser saw the result
    assert noti.sealed
    assert (noti.values["trdNo"], noti.values["trdAmt"]) == (values["trdNo"], "50000")
    assert (noti.values["cardApprNo"], noti.values["mchtName"]) == (values["authNo"], "포트원")
    # The number carries the time the window was opened, not that of the approval.
    assert values["trdNo"][20:32] == asked["trdDt"][2:] + asked["trdTm"]
    assert hecto.inquire(asked).done
    assert hecto.complaints() == []


def test_a_window_is_decided_once(hecto: Hecto, receiver: Receiver) -> None:
    window = hecto.open(CARD, hecto.window_values(notiUrl=receiver.url))
    first = hecto.go(window, **APPROVE)
    assert hecto.go(window, **APPROVE) == first
    assert hecto.go(window, outcome="decline", code="CA31") == first
    assert hecto.go(window, "close") == first
    assert hecto.result(window + "/result") == first
    assert len(hecto.trades()) == len(receiver.got) == 1


def test_a_declined_authentication_is_told_to_next_url_and_to_nobody_else(hecto: Hecto, receiver: Receiver) -> None:
    asked = hecto.window_values(notiUrl=receiver.url)
    url, told = hecto.go(hecto.open(CARD, asked), issuer="KBC", outcome="decline", code="CA50")
    assert (url, told.values["outStatCd"], code(told)) == (NEXT, "0031", "CA50")
    assert "trdNo" not in told.values
    assert receiver.got == []
    assert code(hecto.inquire(asked)) == "0009"
    # A failed number may be used again the same day.
    assert hecto.go(hecto.open(CARD, asked), **APPROVE)[1].done


def test_closing_the_window_is_told_to_canc_url(hecto: Hecto) -> None:
    asked = hecto.window_values()
    url, told = hecto.go(hecto.open(CARD, asked), "close")
    assert (url, told.values["outStatCd"], code(told)) == (CANCEL, "0031", "0009")
    assert (told.values["mchtTrdNo"], told.values["trdAmt"]) == (asked["mchtTrdNo"], "1004")
    assert hecto.trades() == []
    assert code(hecto.inquire(asked)) == "ST06"


def test_no_answer_leaves_the_window_open_until_its_time_is_over(hecto: Hecto) -> None:
    window = hecto.open(CARD, hecto.window_values())
    status, headers, _ = hecto.submit(window + "/pay", {"outcome": "no_answer", "issuer": "KBC"})
    assert (status, headers["location"]) == (303, window + "/waiting")
    assert 'data-testid="waiting"' in hecto.page(window + "/waiting")
    hecto.advance(minutes=9, seconds=50)
    assert 'data-testid="waiting"' in hecto.page(window + "/waiting")
    hecto.advance(seconds=15)
    url, told = hecto.go(window, **APPROVE)
    assert (url, code(told)) == (NEXT, "5002")
    assert hecto.trades() == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"mchtId": ""}, "1001"),
        ({"trdDt": ""}, "1003"),
        ({"mchtTrdNo": ""}, "1005"),
        ({"mchtName": ""}, "1006"),
        ({"mchtEName": ""}, "1007"),
        ({"pmtPrdtNm": ""}, "1008"),
        ({"trdAmt": ""}, "1009"),
        ({"notiUrl": ""}, "1010"),
        ({"nextUrl": ""}, "1011"),
        ({"cancUrl": ""}, "1012"),
        ({"mchtName": "가" * 34}, "1106"),
        ({"pmtPrdtNm": "가" * 43}, "1108"),
        ({"nextUrl": "http://" + "x" * 250}, "1112"),
        ({"mchtParam": "x" * 4001}, "1114"),
        ({"pktHash": "0" * 64}, "1901"),
        ({"trdAmt": "1004"}, "1902"),
        ({"mchtCustNm": "홍길동"}, "1902"),
        ({"mchtId": "nobody"}, "ST47"),
        ({"nextUrl": "javascript:x"}, "ST09"),
        ({"method": "bank"}, "ST09"),
    ],
)
def test_what_is_wrong_is_said_as_json_before_any_page(hecto: Hecto, change: dict[str, str], expected: str) -> None:
    form = {**messages.build_form(CARD, hecto.window_values(), KEYS), **change}
    answer = hecto.refused(CARD, form)
    assert (answer["outRsltCd"], answer["outStatCd"]) == (expected, "0031")
    assert answer["mchtTrdNo"] == form["mchtTrdNo"]
    assert set(answer) == {"outRsltMsg", "mchtTrdNo", "outRsltCd", "outStatCd", "mchtId"}
    assert [c["code"] for c in hecto.complaints()] == [expected]


def test_rules_that_are_checked_before_the_page(hecto: Hecto) -> None:
    def opened(message: Message = CARD, path: str = "", mid: str = "portone1", won: int = 1004, **more: str) -> str:
        values = hecto.window_values(mid, won, **more)
        return hecto.refused(message, messages.build_form(message, values, KEYS), path)["outRsltCd"]

    assert opened(won=999) == "CA42"
    assert opened(taxTypeCd="G", taxAmt="1", vatAmt="1", taxFreeAmt="1") == "ST55"
    assert opened(mid="nx_mid_il") == "ST69"
    assert opened(BANK, mid="nxca_jt_il") == "ST69"
    assert opened(messages.VBANK_WINDOW, mid="nxva_fix") == "ST69"
    assert opened(path="/card/cardDirect.do") == "ST09"
    assert opened(cardGb="XXX") == "ST09"
    asked = hecto.window_values()
    hecto.go(hecto.open(CARD, asked), **APPROVE)
    form = messages.build_form(CARD, asked, KEYS)
    assert hecto.refused(CARD, form)["outRsltCd"] == "ST50"


def test_the_direct_window_starts_at_the_card_company(hecto: Hecto) -> None:
    asked = hecto.window_values(won=60_000, cardGb="LTC", instmtMon="06")
    window = hecto.open(CARD, asked, "/card/cardDirect.do")
    status, headers, _ = hecto.raw("GET", window)
    assert (status, headers["location"]) == (303, window + "/auth")
    assert "롯데카드" in hecto.page(window + "/auth")
    told = hecto.go(window, outcome="approve", issuer="KBC", instmtMon="02")[1]
    assert (told.values["fnCd"], told.values["intMon"]) == ("LTC", "06")


def test_instalments_begin_at_50_000_won(hecto: Hecto) -> None:
    window = hecto.open(CARD, hecto.window_values(won=49_999))
    assert "개월" not in hecto.page(window)
    assert code(hecto.go(window, **{**APPROVE, "instmtMon": "03"})[1]) == "CA21"


def test_a_card_entry_page_where_the_mid_takes_card_data(hecto: Hecto, receiver: Receiver, tmp_path: Path) -> None:
    card = {"cardNo": "4111 1111-1111 1111", "vldDtMon": "12", "vldDtYear": "39"}
    window = hecto.open(CARD, hecto.window_values("nxca_jt_bi", notiUrl=receiver.url))
    assert 'name="cardNo"' in hecto.page(window)
    assert 'name="idntNo"' not in hecto.page(window)
    told = hecto.go(window, **card)[1]
    assert told.done
    assert told.values["billKey"].startswith("SBILL_PGCAnxca_jt_bi")
    assert receiver.notis()[0].values["billKey"] == told.values["billKey"]
    assert receiver.notis()[0].values["cardNo"] == "411111******1111"

    window = hecto.open(CARD, hecto.window_values("nxca_ks_gu"))
    assert 'name="idntNo"' in hecto.page(window)
    assert hecto.go(window, **card, idntNo="820213", cardPwd="00")[1].done
    window = hecto.open(CARD, hecto.window_values("nxca_ks_gu"))
    assert code(hecto.go(window, **card)[1]) == "ST09"
    window = hecto.open(CARD, hecto.window_values("nxca_jt_bi"))
    assert code(hecto.go(window, **{**card, "cardNo": "1234123412341234"})[1]) == "CA13"
    book = b"".join(f.read_bytes() for f in tmp_path.glob("book.db*"))
    assert b"411111******1111" in book
    assert GOOD.encode() not in book


def split_approval(hecto: Hecto, message: Message, mid: str, authenticated: Answer, **more: str) -> Answer:
    values = {**hecto.ids(mid), "mchtTrdNo": authenticated.values["mchtTrdNo"]}
    values |= {"trdAmt": authenticated.values["trdAmt"], "authTrdNo": authenticated.values["trdNo"], **more}
    return hecto.send(message, values)


def test_a_split_card_is_authenticated_first_and_approved_by_the_server(hecto: Hecto, receiver: Receiver) -> None:
    asked = hecto.window_values("nxca_jt_hd", notiUrl=receiver.url)
    url, told = hecto.go(hecto.open(CARD, asked), **APPROVE)
    assert (url, told.values["outStatCd"], code(told)) == (NEXT, "0061", "0000")
    assert told.values["trdNo"].startswith("SOFP_PGCAnxca_jt_hd")
    assert receiver.got == []
    assert code(hecto.inquire(asked)) == "ST06"

    assert code(split_approval(hecto, messages.CARD_SPLIT_APPROVE, "nxca_jt_hd", told, trdAmt="1003")) == "ST58"
    assert code(split_approval(hecto, messages.CARD_SPLIT_APPROVE, "nxca_jt_hd", told, mchtTrdNo="other")) == "ST13"
    paid = split_approval(hecto, messages.CARD_SPLIT_APPROVE, "nxca_jt_hd", told)
    assert paid.done
    assert paid.sealed is Sealed.RULE
    assert paid.values["trdNo"].startswith("STFP_PGCAnxca_jt_hd")
    assert (paid.values["fnCd"], paid.values["dcYn"], paid.values["dcTrdAmt"]) == ("KBC", "N", "0")
    assert receiver.wait(1)[0].values["trdNo"] == paid.values["trdNo"]
    assert hecto.inquire(asked).done
    assert code(split_approval(hecto, messages.CARD_SPLIT_APPROVE, "nxca_jt_hd", told)) == "ST03"
    assert hecto.cancel(paid, 1004).done


def test_an_authentication_is_good_for_ten_minutes(hecto: Hecto) -> None:
    told = hecto.go(hecto.open(CARD, hecto.window_values("nxca_jt_hd")), **APPROVE)[1]
    hecto.advance(minutes=10, seconds=1)
    assert code(split_approval(hecto, messages.CARD_SPLIT_APPROVE, "nxca_jt_hd", told)) == "ST30"


def test_window_faults(hecto: Hecto) -> None:
    asked = hecto.window_values()
    hecto.fault("error_code", code="CA01", message="M01")
    assert code(hecto.go(hecto.open(CARD, asked), **APPROVE)[1]) == "CA01"
    assert hecto.trades() == []
    hecto.fault("wrong_amount", message="M01")
    told = hecto.go(hecto.open(CARD, asked), **APPROVE)[1]
    assert (told.done, told.values["trdAmt"]) == (True, "1005")
    assert hecto.trades()[0]["amount"] == 1004
    asked = hecto.window_values()
    window = hecto.open(CARD, asked)
    hecto.fault("reset_after")
    with pytest.raises(ConnectionError):
        hecto.go(window, **APPROVE)
    assert hecto.inquire(asked).done
    assert hecto.result(window + "/result")[1].done


# --- bank transfer -------------------------------------------------------------------------------


def transfer(hecto: Hecto, asked: dict[str, str], **chosen: str) -> tuple[str, Answer]:
    return hecto.go(hecto.open(BANK, asked), **{**TRANSFER, **chosen})


def bank_cancel(hecto: Hecto, paid: Answer, won: int, order: int = 1) -> Answer:
    return hecto.send(messages.BANK_CANCEL, hecto.cancel_values(paid, won, order))


def test_a_transfer(hecto: Hecto, receiver: Receiver) -> None:
    hecto.set_clock(2030, 5, 1, 12, 0, 0)
    asked = hecto.window_values("nx_mid_il", notiUrl=receiver.url)
    url, told = transfer(hecto, asked)
    assert (url, told.done, told.values["fnCd"], told.values["fnNm"]) == (NEXT, True, "004", "KB국민")
    [noti] = receiver.notis()
    assert noti.sealed
    assert (noti.message, noti.values["bizType"], noti.values["bankCd"]) == (messages.NOTI_BANK, "B0", "004")
    assert noti.values["acntPrintNm"] == "포트원"
    assert hecto.inquire(asked, method="RA").done


def test_transfers_that_fail(hecto: Hecto) -> None:
    hecto.set_clock(2030, 5, 1, 12, 0, 0)
    for chosen, expected in (
        ({"account": "short"}, "RA05"),
        ({"otp": "000000"}, "RA10"),
        ({"outcome": "decline", "code": "RA10"}, "RA10"),
        ({"bank": "999"}, "ST09"),
    ):
        assert code(transfer(hecto, hecto.window_values("nx_mid_il"), **chosen)[1]) == expected
    hecto.set_clock(2030, 5, 1, 23, 30, 0)
    assert code(transfer(hecto, hecto.window_values("nx_mid_il"))[1]) == "ST11"
    hecto.set_clock(2030, 5, 2, 0, 35, 0)
    assert transfer(hecto, hecto.window_values("nx_mid_il"))[1].done


def test_a_transfer_is_cancelled_whole_today_in_parts_later_and_not_after_180_days(hecto: Hecto) -> None:
    hecto.set_clock(2030, 1, 10, 12, 0, 0)
    same_day = transfer(hecto, hecto.window_values("nx_mid_il"))[1]
    later = transfer(hecto, hecto.window_values("nx_mid_il"))[1]
    too_late = transfer(hecto, hecto.window_values("nx_mid_il"))[1]
    assert code(bank_cancel(hecto, same_day, 1000)) == "ST58"
    done = bank_cancel(hecto, same_day, 1004)
    assert (done.done, done.sealed, done.values["blcAmt"]) == (True, Sealed.RULE, "0")
    assert code(bank_cancel(hecto, same_day, 1004, 2)) == "RA33"
    hecto.set_clock(2030, 1, 11, 12, 0, 0)
    assert bank_cancel(hecto, later, 1000).values["blcAmt"] == "4"
    assert bank_cancel(hecto, later, 4, 2).values["blcAmt"] == "0"
    hecto.set_clock(2030, 7, 10, 12, 0, 0)
    assert code(bank_cancel(hecto, too_late, 1004)) == "ST46"
    assert code(hecto.send(messages.BANK_CANCEL, {**hecto.cancel_values(later, 1), "orgTrdNo": "x"})) == "RA35"


def test_a_split_transfer(hecto: Hecto) -> None:
    hecto.set_clock(2030, 5, 1, 12, 0, 0)
    hecto.post("/_sandbox/merchants/nx_mid_il", {"split": True})
    asked = hecto.window_values("nx_mid_il")
    told = transfer(hecto, asked)[1]
    assert told.values["outStatCd"] == "0061"
    paid = split_approval(hecto, messages.BANK_SPLIT_APPROVE, "nx_mid_il", told)
    assert (paid.done, paid.sealed, paid.values["fnCd"]) == (True, Sealed.RULE, "004")
    assert hecto.inquire(asked, method="RA").done


# --- phone ---------------------------------------------------------------------------------------


def phone(hecto: Hecto, asked: dict[str, str], **chosen: str) -> tuple[str, Answer]:
    return hecto.go(hecto.open(MOBILE, asked), **{**PHONE, **chosen})


def mobile(hecto: Hecto, message: Message, paid: Answer, to: dict[str, str] | None = None, order: int = 1) -> Answer:
    return hecto.send(message, hecto.cancel_values(paid, 1004, order) | (to or {}))


ACCOUNT = {"refundBankCd": "004", "refundAcntNo": "12345678901234", "refundDpstrNm": "홍길동"}


def test_a_phone_payment(hecto: Hecto, receiver: Receiver) -> None:
    asked = hecto.window_values("nxhp_sb_il", notiUrl=receiver.url, telecomCd="SKT|KTF")
    window = hecto.open(MOBILE, asked)
    page = hecto.page(window)
    assert 'data-testid="telco-SKT"' in page
    assert 'data-testid="telco-LGT"' not in page
    url, told = hecto.go(window, **PHONE)
    assert (url, told.done, told.values["fnCd"]) == (NEXT, True, "SKT")
    [noti] = receiver.notis()
    assert noti.sealed
    assert (noti.message, noti.values["bizType"]) == (messages.NOTI_MOBILE, "B0")
    assert noti.values["phoneNoEnc"] == "01012345678"
    assert receiver.got[0]["phoneNoEnc"] == "aF52WP1/Z/nsHuPr7SHKEw=="


def test_phone_payments_that_fail(hecto: Hecto) -> None:
    for chosen, expected in (
        ({"otp": "111111"}, "MP60"),
        ({"outcome": "decline", "code": "MP23"}, "MP23"),
        ({"telco": "XXX"}, "ST09"),
    ):
        assert code(phone(hecto, hecto.window_values("nxhp_sb_il"), **chosen)[1]) == expected


def test_a_phone_payment_is_cancelled_in_its_month_and_refunded_after_it(hecto: Hecto) -> None:
    hecto.set_clock(2030, 6, 30, 23, 50, 0)
    early = phone(hecto, hecto.window_values("nxhp_sb_il"))[1]
    late = phone(hecto, hecto.window_values("nxhp_sb_il"))[1]
    assert code(mobile(hecto, messages.MOBILE_REFUND, early, ACCOUNT)) == "ST45"
    assert mobile(hecto, messages.MOBILE_CANCEL, early).done
    assert code(mobile(hecto, messages.MOBILE_CANCEL, early, None, 2)) == "MP82"
    hecto.set_clock(2030, 7, 1, 0, 40, 0)
    refused = mobile(hecto, messages.MOBILE_CANCEL, late)
    assert (code(refused), refused.values["rfdPsblCd"]) == ("MP81", "Y")
    assert code(mobile(hecto, messages.MOBILE_REFUND, late, {**ACCOUNT, "refundDpstrNm": "불일치"})) == "ST24"
    assert mobile(hecto, messages.MOBILE_REFUND, late, ACCOUNT).values["blcAmt"] == "0"
    hecto.post("/_sandbox/merchants/nxhp_sb_il", {"refund_service": False})
    third = phone(hecto, hecto.window_values("nxhp_sb_il"))[1]
    hecto.set_clock(2030, 8, 1, 12, 0, 0)
    refused = mobile(hecto, messages.MOBILE_CANCEL, third)
    assert (code(refused), refused.values["rfdPsblCd"]) == ("MP81", "N")
    assert code(mobile(hecto, messages.MOBILE_REFUND, third, ACCOUNT)) == "0005"


def test_a_split_phone_payment(hecto: Hecto, receiver: Receiver) -> None:
    told = phone(hecto, hecto.window_values("nxhp_sb_hd", linkMethod="HBRD"))[1]
    assert told.values["outStatCd"] == "0061"
    more = {"prdtNm": "결제테스트", "notiUrl": receiver.url, "telCo": "SKT", "phoneNo": "01012345678"}
    paid = split_approval(hecto, messages.MOBILE_SPLIT_APPROVE, "nxhp_sb_hd", told, **more)
    assert (paid.done, paid.sealed, paid.values["telCo"]) == (True, Sealed.RULE, "SKT")
    assert receiver.wait(1)[0].values["bizType"] == "B2"


def test_monthly_rounds(hecto: Hecto) -> None:
    hecto.set_clock(2030, 1, 31, 12, 0, 0)
    told = phone(hecto, hecto.window_values("nxhp_sb_ma", autoPayType="M"))[1]
    key = told.values["billKey"]
    assert key.startswith("MO")

    def round_(**more: str) -> str:
        values = {**hecto.ids("nxhp_sb_ma"), "email": "a@b.kr", "mUserId": "u", "trdAmt": "1004"}
        values |= {"prdtNm": "결제테스트", "ordNm": "홍길동", "billKey": key, **more}
        return code(hecto.send(messages.MOBILE_MONTHLY, values))

    assert round_() == "MP34"
    hecto.set_clock(2030, 2, 27, 12, 0, 0)
    assert round_(trdAmt="1005") == "MP02"
    assert round_() == "0000"
    hecto.set_clock(2030, 3, 31, 12, 0, 0)
    assert round_() == "MP45"
    assert round_() == "MP03"


def test_pages_are_korean_and_carry_no_inline_script(hecto: Hecto) -> None:
    for message, mid in ((CARD, "portone1"), (CARD, "nxca_jt_bi"), (BANK, "nx_mid_il"), (MOBILE, "nxhp_sb_il")):
        window = hecto.open(message, hecto.window_values(mid, mchtName='<b>"상점"</b>'))
        status, headers, body = hecto.raw("GET", window)
        page = body.decode()
        assert status == 200
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "<b>" not in page
        assert "onclick" not in page
        assert "<script>" not in page
        assert 'lang="ko"' in page
    assert hecto.raw("GET", "/window/nothing")[0] == 404
