"""Virtual accounts: each kind's life, the bank's checks, the notis, refunds."""

import http.server
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from tests.sandbox.client import KEYS, Hecto, Receiver, code

from naru.connectors.hecto import messages
from naru.connectors.hecto.messages import Answer, Sealed

FIXED, UNLIMITED = "2022011000001", "2022011000056"
TO = {"refundBankCd": "004", "refundAcntNo": "12345678901234", "refundDpstrNm": "홍길동"}


@pytest.fixture
def hecto(start: Callable[..., Hecto], receiver: Receiver) -> Hecto:
    """At noon of a day in 2030, with the merchant-level notice address set."""
    hecto = start(vbank_noti_url=receiver.url)
    hecto.set_clock(2030, 5, 1, 12, 0, 0)
    return hecto


def issue_values(hecto: Hecto, mid: str = "nx_mid_il", won: int = 50_000, **more: str) -> dict[str, str]:
    values = {
        **hecto.ids(mid),
        "bankCd": "011",
        "acntType": "1",
        "prdtNm": "상품",
        "sellerNm": "포트원",
        "ordNm": "홍길동",
        "trdAmt": str(won),
        "dpstrNm": "홍길동",
        "escrAgrYn": "N",
        "csrcIssReqYn": "N",
    }
    return values | more


def issue(hecto: Hecto, mid: str = "nx_mid_il", won: int = 50_000, **more: str) -> Answer:
    return hecto.send(messages.VBANK_ISSUE, issue_values(hecto, mid, won, **more))


def fixed(hecto: Hecto, won: int = 50_000, **more: str) -> Answer:
    return issue(hecto, "nxva_fix", won, **{"acntType": "2", "vAcntNo": FIXED} | more)


def unlimited(hecto: Hecto, **more: str) -> Answer:
    values = {**hecto.ids("nxva_fix2"), "bankCd": "011", "acntType": "3", "vAcntNo": UNLIMITED, "prdtNm": "상품"}
    values |= {"sellerNm": "포트원", "ordNm": "홍길동", "trdAmt": "0", "dpstrNm": "나루상점"}
    return hecto.send(messages.VBANK_ISSUE_UNLIMITED, values | more)


def pay_in(hecto: Hecto, account: str, won: int, **more: object) -> dict[str, str]:
    outcome = hecto.post("/_sandbox/deposits", {"account": account, "amount": won, "depositor": "김철수", **more})
    hecto.drain()
    return outcome


def change(hecto: Hecto, issued: Answer, won: int, expires: str) -> Answer:
    values = {**hecto.ids(issued.values["mchtId"]), "trdAmt": str(won), "expireDate": expires}
    return hecto.send(messages.VBANK_CHANGE, values | {n: issued.values[n] for n in ("bankCd", "vAcntNo", "acntType")})


def revoke(hecto: Hecto, issued: Answer) -> Answer:
    values = {"orgTrdNo": issued.values["trdNo"], "vAcntNo": issued.values["vAcntNo"]}
    return hecto.send(messages.VBANK_REVOKE, {**hecto.ids(issued.values["mchtId"]), **values})


def refund(hecto: Hecto, mid: str, trd_no: str, won: int, order: int = 1, to: dict[str, str] = TO) -> Answer:
    values = {"orgTrdNo": trd_no, "crcCd": "KRW", "cnclOrd": f"{order:03}", "cnclAmt": str(won)}
    return hecto.send(messages.VBANK_REFUND, {**hecto.ids(mid), **values, **to})


def told(receiver: Receiver) -> list[tuple[str, str]]:
    notis = receiver.notis()
    assert all(n.sealed for n in notis)
    return [(n.values["outStatCd"], n.values["bizType"]) for n in notis]


# --- rotating ------------------------------------------------------------------------------------


def test_a_rotating_account_from_issue_to_refund(hecto: Hecto, receiver: Receiver) -> None:
    asked = issue_values(hecto, notiUrl=receiver.url, mchtParam="imp_1")
    issued = hecto.send(messages.VBANK_ISSUE, asked)
    assert (issued.done, issued.sealed) == (True, Sealed.RULE)
    number = issued.values["vAcntNo"]
    assert (len(number), issued.values["acntType"], issued.values["expireDate"]) == (14, "1", "20300511235959")
    assert code(hecto.inquire(asked, method="VA")) == "ST06"
    assert pay_in(hecto, number, 49_999)["reason"] == "입금 금액이 다릅니다. (50,000원)"
    assert code(refund(hecto, "nx_mid_il", issued.values["trdNo"], 50_000)) == "ST06"

    assert pay_in(hecto, number, 50_000)["outcome"] == "accepted"
    assert told(receiver) == [("0051", "A0"), ("0021", "B1")]
    first, deposit = receiver.notis()
    assert first.values["trdNo"] == deposit.values["trdNo"] == issued.values["trdNo"]
    assert deposit.values["mchtTrdNo"] == asked["mchtTrdNo"]
    assert (deposit.values["vAcntNo"], deposit.values["acntType"]) == (number, "1")
    assert (deposit.values["dpstrNm"], deposit.values["mchtParam"]) == ("김철수", "imp_1")
    assert first.values["dpstrNm"] == "홍길동"
    assert "acntType" not in first.values
    assert hecto.inquire(asked, method="VA").done
    assert pay_in(hecto, number, 50_000)["reason"] == "이미 입금된 계좌입니다."
    assert code(revoke(hecto, issued)) == "0004"
    assert code(change(hecto, issued, 60_000, "20300505235959")) == "0004"

    part = refund(hecto, "nx_mid_il", issued.values["trdNo"], 20_000)
    assert (part.done, part.sealed, part.values["blcAmt"]) == (True, Sealed.RULE, "30000")
    hecto.drain()
    assert told(receiver)[2:] == [("0021", "C0")]
    back = receiver.notis()[2].values
    assert (back["orgTrdNo"], back["trdAmt"], back["cnclType"]) == (issued.values["trdNo"], "20000", "10")
    assert code(hecto.inquire(asked, method="VA")) == "0000"
    assert code(refund(hecto, "nx_mid_il", issued.values["trdNo"], 30_000)) == "ST56"
    assert code(refund(hecto, "nx_mid_il", issued.values["trdNo"], 30_001, 2)) == "ST57"
    wrong = {**TO, "refundDpstrNm": "이름 불일치"}
    assert code(refund(hecto, "nx_mid_il", issued.values["trdNo"], 30_000, 2, wrong)) == "ST24"
    assert refund(hecto, "nx_mid_il", issued.values["trdNo"], 30_000, 2).values["blcAmt"] == "0"
    assert code(refund(hecto, "nx_mid_il", issued.values["trdNo"], 1, 3)) == "ST39"
    assert code(hecto.inquire(asked, method="VA")) == "0001"


def test_an_account_expires_silently_and_cannot_be_changed_then(hecto: Hecto, receiver: Receiver) -> None:
    issued = issue(hecto, expireDate="20300503180000", notiUrl=receiver.url)
    changed = change(hecto, issued, 60_000, "20300502120000")
    assert (changed.done, changed.sealed, changed.values["trdAmt"]) == (True, Sealed.RULE, "60000")
    assert pay_in(hecto, issued.values["vAcntNo"], 50_000)["outcome"] == "refused"
    hecto.set_clock(2030, 5, 2, 12, 0, 1)
    assert pay_in(hecto, issued.values["vAcntNo"], 60_000)["reason"] == "입금 기한이 지났습니다."
    assert code(change(hecto, issued, 60_000, "20300520120000")) == "ST26"
    assert revoke(hecto, issued).done
    hecto.drain()
    assert told(receiver) == [("0051", "A0"), ("0021", "A2")]


@pytest.mark.parametrize(
    ("expires", "expected"),
    [
        ("20300501115959", "ST09"),
        ("20300501120100", "0000"),
        ("20310501235959", "0000"),
        ("20310502000000", "ST09"),
        ("20300231000000", "ST09"),
    ],
)
def test_deadlines(hecto: Hecto, expires: str, expected: str) -> None:
    assert code(issue(hecto, expireDate=expires)) == expected


def test_what_an_issue_needs(hecto: Hecto) -> None:
    def said(**more: str) -> str:
        return code(hecto.send(messages.VBANK_ISSUE, issue_values(hecto) | more))

    assert said(bankCd="045") == "ST09"
    assert said(acntType="2") == "ST69"
    assert said(escrAgrYn="Y", escrPwd="1234", rfdDpstrNm="홍길동") == "ST09"  # no e-mail
    assert said(escrAgrYn="Y", escrPwd="1234", rfdDpstrNm="홍길동", email="a@b.kr") == "0000"
    assert said(csrcIssReqYn="Y") == "ST09"
    receipt = {"cashRcptPrposDivCd": "0", "csrcRegNoDivCd": "4", "csrcRegNo": "01012345678"}
    assert said(csrcIssReqYn="Y", **receipt) == "0000"
    assert said(taxTypeCd="G", taxAmt="1", vatAmt="1", taxFreeAmt="1") == "ST55"
    assert code(issue(hecto, won=0)) == "ST09"
    assert code(issue(hecto, "nxca_jt_il")) == "ST69"


def test_a_cash_receipt_that_was_asked_for_comes_with_the_deposit(hecto: Hecto, receiver: Receiver) -> None:
    receipt = {"cashRcptPrposDivCd": "0", "csrcRegNoDivCd": "4", "csrcRegNo": "01012345678"}
    asked = issue_values(hecto, csrcIssReqYn="Y", notiUrl=receiver.url) | receipt
    issued = hecto.send(messages.VBANK_ISSUE, asked)
    pay_in(hecto, issued.values["vAcntNo"], 50_000)
    assert receiver.notis()[1].values["csrcIssNo"].startswith("TS")


def test_nothing_goes_around_midnight(hecto: Hecto) -> None:
    issued = issue(hecto)
    hecto.set_clock(2030, 5, 1, 23, 30, 0)
    assert code(issue(hecto)) == "ST11"
    assert "점검" in pay_in(hecto, issued.values["vAcntNo"], 50_000)["reason"]
    hecto.set_clock(2030, 5, 2, 0, 34, 59)
    assert code(issue(hecto)) == "ST11"
    hecto.set_clock(2030, 5, 2, 0, 35, 0)
    assert issue(hecto).done
    assert pay_in(hecto, issued.values["vAcntNo"], 50_000)["outcome"] == "accepted"


def test_the_window_issues_a_rotating_account(hecto: Hecto, receiver: Receiver) -> None:
    asked = hecto.window_values("portone1", 30_000, notiUrl=receiver.url, expireDt="20300504235959")
    window = hecto.open(messages.VBANK_WINDOW, asked)
    url, shown = hecto.go(window, bank="088", depositor="홍길동")
    assert (url, shown.values["outStatCd"]) == ("http://shop.test/next", "0051")
    assert (shown.values["fnCd"], shown.values["expireDt"]) == ("088", "20300504235959")
    number = shown.values["vtlAcntNo"]
    assert number in hecto.page(window + "/result")
    assert told(receiver) == [("0051", "A0")]  # before the browser knew
    assert pay_in(hecto, number, 30_000)["outcome"] == "accepted"
    assert hecto.inquire(asked, method="VA").done
    form = messages.build_form(messages.VBANK_WINDOW, hecto.window_values(expireDt="20200101000000"), KEYS)
    assert hecto.refused(messages.VBANK_WINDOW, form)["outRsltCd"] == "ST09"


# --- fixed ---------------------------------------------------------------------------------------


def test_a_fixed_number_is_issued_again_for_every_deposit(hecto: Hecto, receiver: Receiver) -> None:
    first = fixed(hecto)
    assert (first.values["vAcntNo"], first.values["acntType"]) == (FIXED, "2")
    assert code(fixed(hecto)) == "ST08"
    assert pay_in(hecto, FIXED, 50_000)["outcome"] == "accepted"
    assert pay_in(hecto, FIXED, 50_000)["outcome"] == "refused"
    second = fixed(hecto, 70_000)
    assert second.done
    assert pay_in(hecto, FIXED, 70_000)["trdNo"] == second.values["trdNo"]
    # Without a notiUrl of its own the address registered for the MID is told.
    assert told(receiver) == [("0051", "A0"), ("0021", "B1"), ("0051", "A0"), ("0021", "B1")]
    assert [n.values["mchtTrdNo"] for n in receiver.notis()][1] == first.values["mchtTrdNo"]
    third = fixed(hecto)
    assert revoke(hecto, third).done
    assert code(revoke(hecto, third)) == "ST25"
    assert fixed(hecto).done


def test_only_numbers_of_the_mids_own_pool(hecto: Hecto) -> None:
    assert code(fixed(hecto, vAcntNo="2022011000051")) == "ST44"
    assert code(fixed(hecto, bankCd="004")) == "ST44"
    assert code(fixed(hecto, vAcntNo="2022004000050", bankCd="004")) == "0000"
    values = issue_values(hecto, "nxva_fix", acntType="2")
    assert code(hecto.send(messages.VBANK_ISSUE, values)) == "ST09"
    assert code(unlimited(hecto, vAcntNo="2022011000101")) == "ST44"


# --- fixed-unlimited -----------------------------------------------------------------------------


def test_a_fixed_unlimited_account_takes_any_amount_for_ever(hecto: Hecto, receiver: Receiver) -> None:
    issued = unlimited(hecto)
    assert (issued.done, issued.sealed, issued.values["trdAmt"]) == (True, Sealed.RULE, "0")
    assert "expireDate" not in issued.values
    hecto.drain()
    assert receiver.got == []  # its issue is told to nobody
    assert code(unlimited(hecto)) == "ST08"
    hecto.set_clock(2032, 5, 1, 12, 0, 0)
    one, two = pay_in(hecto, UNLIMITED, 12_345), pay_in(hecto, UNLIMITED, 1)
    assert one["trdNo"] != two["trdNo"]
    assert issued.values["trdNo"] not in (one["trdNo"], two["trdNo"])
    notis = receiver.notis()
    assert [n.message for n in notis] == [messages.NOTI_VBANK_UNLIMITED] * 2
    assert told(receiver) == [("0021", "B1")] * 2
    first = notis[0].values
    assert (first["mchtTrdNo"], first["vAcntNo"], first["trdAmt"]) == ("0000000", UNLIMITED, "12345")
    assert (first["trdNo"], first["dpstrNm"], first["acntType"]) == (one["trdNo"], "김철수", "3")

    # Refunds name the deposit; the order of cancels counts for each of them.
    assert code(refund(hecto, "nxva_fix2", issued.values["trdNo"], 1)) == "ST06"
    assert refund(hecto, "nxva_fix2", one["trdNo"], 12_000).values["blcAmt"] == "345"
    asked = {**hecto.ids("nxva_fix2"), "orgTrdNo": two["trdNo"], "crcCd": "KRW", "cnclOrd": "001", "cnclAmt": "1", **TO}
    assert hecto.send(messages.VBANK_REFUND, asked).done
    hecto.drain()
    [back] = [n for n in receiver.notis() if n.values.get("orgTrdNo") == two["trdNo"]]
    assert back.sealed
    assert back.values["bizType"] == "C0"
    assert back.values["mchtTrdNo"] == asked["mchtTrdNo"]

    # Revoking is not possible any more after a year; refunds go by the deposit's own year.
    assert code(revoke(hecto, issued)) == "ST46"
    assert refund(hecto, "nxva_fix2", one["trdNo"], 345, 2).done


def test_a_fixed_unlimited_account_is_revoked_even_after_deposits(hecto: Hecto, receiver: Receiver) -> None:
    issued = unlimited(hecto, expireDate="20991231235959")
    assert issued.values["expireDate"] == "20991231235959"
    paid = pay_in(hecto, UNLIMITED, 5_000)
    assert change(hecto, issued, 0, "20500101000000").done
    assert code(change(hecto, issued, 5, "20500101000000")) == "ST09"
    assert revoke(hecto, issued).done
    assert pay_in(hecto, UNLIMITED, 5_000)["reason"] == "해지된 계좌입니다."
    assert refund(hecto, "nxva_fix2", paid["trdNo"], 5_000).done
    assert unlimited(hecto).done
    assert code(unlimited(hecto, trdAmt="5")) == "ST09"


# --- the bank ------------------------------------------------------------------------------------


def simulate(hecto: Hecto, **query: str) -> dict[str, str]:
    return hecto.get("/spay/APIVBankTest.do?" + urllib.parse.urlencode({"method": "VA", "bizType": "F1", **query}))


def test_hectos_own_simulator_takes_any_amount(hecto: Hecto, receiver: Receiver) -> None:
    asked = issue_values(hecto, notiUrl=receiver.url)
    number = hecto.send(messages.VBANK_ISSUE, asked).values["vAcntNo"]
    answer = simulate(hecto, mchtId="nx_mid_il", vAcntNo=number, trdAmt="1234")
    assert (answer["method"], answer["bizType"], answer["outRsltCd"]) == ("VA", "F1", "0000")
    assert receiver.wait(2)[1].values["trdAmt"] == "1234"
    found = hecto.inquire(asked, method="VA")
    assert (found.done, found.values["trdAmt"]) == (True, "1234")
    assert simulate(hecto, mchtId="nx_mid_il", vAcntNo=number, trdAmt="1")["outRsltCd"] == "ST06"
    assert simulate(hecto, mchtId="portone1", vAcntNo=number, trdAmt="1")["outRsltCd"] == "ST06"
    assert simulate(hecto, mchtId="nx_mid_il", trdAmt="1")["outRsltCd"] == "ST09"


def test_the_bank_takes_a_deposit_back(hecto: Hecto, receiver: Receiver) -> None:
    asked = issue_values(hecto, notiUrl=receiver.url)
    issued = hecto.send(messages.VBANK_ISSUE, asked)
    number = issued.values["vAcntNo"]
    quiet = pay_in(hecto, number, 50_000)
    hecto.post(f"/_sandbox/deposits/{quiet['id']}/reverse")
    hecto.drain()
    assert told(receiver) == [("0051", "A0"), ("0021", "B1")]  # B2 only on request
    assert code(hecto.inquire(asked, method="VA")) == "0001"
    assert code(refund(hecto, "nx_mid_il", issued.values["trdNo"], 50_000)) == "ST39"
    hecto.post(f"/_sandbox/deposits/{quiet['id']}/reverse", expect=400)

    hecto.post("/_sandbox/merchants/nxva_fix2", {"reversal_noti": True})
    unlimited(hecto)
    loud = pay_in(hecto, UNLIMITED, 12_345)
    hecto.post(f"/_sandbox/deposits/{loud['id']}/reverse")
    hecto.drain()
    last = receiver.notis()[-1]
    assert last.sealed
    assert (last.values["outStatCd"], last.values["bizType"]) == ("0121", "B2")
    assert (last.values["trdNo"], last.values["trdAmt"]) == (loud["trdNo"], "12345")
    assert pay_in(hecto, UNLIMITED, 1)["outcome"] == "accepted"
    kept = hecto.get("/_sandbox/deposits")["deposits"]
    assert [d["outcome"] for d in kept] == ["accepted", "reversed", "reversed"]


@dataclass
class Answering:
    """A merchant's pre-check address."""

    url: str = ""
    answers: dict[str, str] = field(default_factory=lambda: {"N": "0000", "P": "0000"})
    asked: list[messages.Noti] = field(default_factory=list)


@pytest.fixture
def answering() -> Iterator[Answering]:
    made = Answering()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            form = messages.read_form(body, self.headers["Content-Type"])
            assert messages.find_noti(form) is messages.PRECHECK
            noti = messages.open_noti(messages.PRECHECK, form, KEYS)
            made.asked.append(noti)
            text = json.dumps({"rsltCd": made.answers[noti.values["rcptType"]], "rsltMsg": ""}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}/check"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


def test_the_pre_check_decides_before_the_money_comes_in(
    hecto: Hecto, receiver: Receiver, answering: Answering
) -> None:
    hecto.post("/_sandbox/merchants/nx_mid_il", {"precheck": "NP", "precheck_url": answering.url})
    issued = issue(hecto, notiUrl=receiver.url)
    number = issued.values["vAcntNo"]
    answering.answers["P"] = "0002"
    assert pay_in(hecto, number, 50_000)["reason"] == "입금 기한이 지났습니다. (수취조회) [0002]"
    assert told(receiver) == [("0051", "A0")]
    answering.answers["P"] = "0000"
    assert pay_in(hecto, number, 50_000)["outcome"] == "accepted"
    assert [n.values["rcptType"] for n in answering.asked] == ["N", "P", "N", "P"]
    assert all(n.sealed for n in answering.asked)
    asked = answering.asked[0].values
    assert (asked["trdNo"], asked["vAcntNo"], asked["trdAmt"]) == (issued.values["trdNo"], number, "50000")

    # Banks without the P inquiry ask once; fixed-unlimited accounts have no trdNo to tell.
    number = issue(hecto, bankCd="032", notiUrl=receiver.url).values["vAcntNo"]
    answering.asked.clear()
    pay_in(hecto, number, 50_000)
    assert [n.values["rcptType"] for n in answering.asked] == ["N"]
    switches = {"precheck": "P", "precheck_url": answering.url, "precheck_aes": True}
    hecto.post("/_sandbox/merchants/nxva_fix2", switches)
    unlimited(hecto)
    answering.asked.clear()
    assert pay_in(hecto, UNLIMITED, 5)["outcome"] == "accepted"
    [noti] = answering.asked
    assert noti.sealed
    assert "trdNo" not in noti.values
    assert (noti.values["rcptType"], noti.values["vAcntNo"]) == ("P", UNLIMITED)


def test_a_merchant_that_does_not_answer_the_pre_check_gets_no_money(hecto: Hecto) -> None:
    hecto.post("/_sandbox/merchants/nx_mid_il", {"precheck": "N", "precheck_url": "http://127.0.0.1:9/none"})
    number = issue(hecto).values["vAcntNo"]
    assert "응답 없음" in pay_in(hecto, number, 50_000)["reason"]
    hecto.post("/_sandbox/merchants/nx_mid_il", {"precheck": "off"})
    assert pay_in(hecto, number, 50_000)["outcome"] == "accepted"


def test_the_bank_page_shows_what_happened(hecto: Hecto) -> None:
    number = issue(hecto).values["vAcntNo"]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = f"account={number}&amount=49999&depositor=%ED%99%8D&exact=1".encode()
    status, headers, _ = hecto.raw("POST", "/_sandbox/deposits?at=deposits", body, form)
    assert (status, headers["location"]) == (303, f"/?deposit=1&pay={number}#deposits")
    page = hecto.page(f"/?deposit=1&pay={number}")
    assert "입금 금액이 다릅니다. (50,000원)" in page
    assert 'data-outcome="refused"' in page
    assert 'data-outcome="' not in hecto.page("/?deposit=99")
    assert number in page


def test_secrets_of_an_issue_are_not_kept(hecto: Hecto, tmp_path_factory: pytest.TempPathFactory) -> None:
    issue(
        hecto,
        escrAgrYn="Y",
        escrPwd="never-kept",
        rfdDpstrNm="홍길동",
        email="a@b.kr",
        csrcIssReqYn="Y",
        cashRcptPrposDivCd="0",
        csrcRegNoDivCd="2",
        csrcRegNo="8202131234567",
    )
    shown = hecto.raw("GET", "/_sandbox/transactions")[2]
    book = b"".join(f.read_bytes() for f in tmp_path_factory.getbasetemp().rglob("book.db*"))
    for secret in (b"never-kept", b"8202131234567"):
        assert secret not in shown
        assert secret not in book
