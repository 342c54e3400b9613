"""Virtual accounts over real HTTP: the guide's calls, the sandbox as the bank, and the books of both sides."""

from __future__ import annotations

import itertools
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from tests.api.windows import buy, request_pay
from tests.cluster import run_async
from tests.live import Live, send

from naru.app import open_parts
from naru.domain.values import DAY, HOUR, kst_date, kst_stamp
from naru.store import mail, payments

REFUND = {"refund_holder": "홍길동", "refund_bank": "04", "refund_account": "123-456-78901234"}
FIXED = itertools.count(2022004000001)
UNLIMITED = itertools.count(2022004000056)


@pytest.fixture
def fixed(naru: Live) -> dict[str, Any]:
    """The guide's required parameters, and nothing else."""
    return {
        "merchant_uid": naru.order(), "amount": 10_000, "vbank_num": str(next(FIXED)), "vbank_holder": "나루",
        "pg": "settle.nxva_fix",
    }  # fmt: skip


def unlimited(naru: Live) -> dict[str, Any]:
    return {
        "merchant_uid": naru.order(), "vbank_num": str(next(UNLIMITED)), "vbank_holder": "나루",
        "fixed_unlimited_vbank": True, "channel_key": "channel-key-dev-vbank-unlimited",
    }  # fmt: skip


def issue(naru: Live, given: dict[str, Any]) -> dict[str, Any]:
    answer = naru.post("/vbanks", given)
    assert answer.code == 0, answer.message
    return answer.response


def deposit(naru: Live, number: str, amount: int, **more: Any) -> dict[str, Any]:
    """Somebody pays in at the sandbox's bank, and every noti has its attempt."""
    got = naru.sandbox_post("/_sandbox/deposits", {"account": number, "amount": amount, "depositor": "김철수", **more})
    naru.sandbox_post("/_sandbox/drain")
    return {**got, "accepted": bool(got["trdNo"])}


def payment(naru: Live, imp_uid: str) -> dict[str, Any]:
    return naru.get(f"/payments/{imp_uid}").response


def hooks(naru: Live, imp_uid: str, count: int) -> list[str]:
    naru.shop.wait(1)
    until = time.monotonic() + 10
    found: list[str] = []
    while time.monotonic() < until:
        found = [h.fields["status"] for h in naru.shop.hooks if h.fields["imp_uid"] == imp_uid]
        if len(found) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError(found)


def test_the_guides_required_parameters_are_enough(naru: Live, fixed: dict[str, Any]) -> None:
    p = issue(naru, fixed)
    assert (p["status"], p["pay_method"], p["channel"], p["amount"]) == ("ready", "vbank", "api", 10_000)
    assert (p["vbank_num"], p["vbank_code"], p["vbank_name"]) == (fixed["vbank_num"], "004", "KB국민은행")
    assert (p["vbank_holder"], p["escrow"], p["pg_id"]) == ("나루", False, "nxva_fix")
    assert re.fullmatch(r"imps_\d{12}", p["imp_uid"])
    assert kst_date(p["vbank_date"] * 1000) == kst_date((p["vbank_issued_at"] + 10 * 86400) * 1000)
    assert hooks(naru, p["imp_uid"], 1) == ["ready"]
    assert deposit(naru, fixed["vbank_num"], 10_000)["accepted"] is True
    paid = payment(naru, p["imp_uid"])
    assert (paid["status"], paid["paid_at"] > 0, paid["pg_tid"]) == ("paid", True, p["pg_tid"])
    assert sorted(hooks(naru, p["imp_uid"], 2)) == ["paid", "ready"]
    assert paid["deposit_history"] == []


def test_what_is_missing_is_named_and_no_channel_is_guessed(naru: Live) -> None:
    answer = naru.post("/vbanks", {})
    assert (answer.status, answer.code) == (200, 1)
    for name in ("merchant_uid", "amount", "vbank_num", "vbank_holder", "pg"):
        assert name in (answer.message or "")
    given = {"merchant_uid": "x", "amount": 1, "vbank_num": "1", "vbank_holder": "x"}
    assert "pg" in (naru.post("/vbanks", given).message or "")
    assert "pg" in (naru.post("/vbanks", {**given, "pg": "settle"}).message or "")
    wrong = naru.post("/vbanks", {**given, "pg": "settle.nxca_jt_bi"})
    assert (wrong.code, "계약이 필요합니다." in (wrong.message or "")) == (-1, True)
    assert naru.post("/vbanks", {**given, "channel_key": "nope"}).code == 1


def test_an_order_can_be_said_as_a_form_with_two_digit_codes_and_hyphens(naru: Live, fixed: dict[str, Any]) -> None:
    number = fixed["vbank_num"]
    due = naru.now_s + 3 * 86400
    form = (
        f"merchant_uid={fixed['merchant_uid']}&amount=11000&vbank_num={number[:4]}-{number[4:]}&vbank_code=04"
        f"&vbank_due={due}&vbank_holder=%EB%82%98%EB%A3%A8&pg=settle.nxva_fix&tax_free=1000&vat_amount=900"
        "&notice_url[]=" + f"{naru.shop.url}/own&custom_data=%7B%22a%22%3A1%7D&buyer_name=%ED%99%8D"
    )
    headers = {"Authorization": naru.token, "Content-Type": "application/x-www-form-urlencoded"}
    answer = naru.send("POST", "/vbanks/", form.encode(), headers)
    assert answer.code == 0, answer.message
    p = answer.response
    assert (p["vbank_date"], p["vbank_num"], p["custom_data"], p["buyer_name"]) == (due, number, '{"a":1}', "홍")
    issued = naru.sandbox_get(f"/_sandbox/transactions?mchtTrdNo={p['imp_uid']}")["transactions"][0]
    tax = {k: issued["detail"].get(k) for k in ("taxTypeCd", "taxAmt", "vatAmt", "taxFreeAmt")}
    assert tax == {"taxTypeCd": "G", "taxAmt": "9100", "vatAmt": "900", "taxFreeAmt": "1000"}
    change = naru.call("PUT", f"/vbanks/{p['imp_uid']}", {"vbank_due": due + 60})
    assert (change.status, "면세, 복합과세" in (change.message or "")) == (400, True)


def test_escrow_needs_both_and_the_password_is_kept_nowhere(naru: Live, fixed: dict[str, Any]) -> None:
    secret = "escrow-secret-77"
    assert "buyer_email" in (naru.post("/vbanks", {**fixed, "escrow_password": secret}).message or "")
    p = issue(naru, {**fixed, "escrow_password": secret, "buyer_email": "a@b.kr"})
    assert p["escrow"] is True
    stored = naru.sandbox_get(f"/_sandbox/transactions?mchtTrdNo={p['imp_uid']}")["transactions"][0]
    assert stored["detail"]["escrow"] == "Y"
    path = naru.settings.database_url.removeprefix("sqlite:///")
    for file in Path(path).parent.iterdir():
        assert secret.encode() not in file.read_bytes(), file.name
    delivery = {
        "sender": {"name": "나루", "tel": "02-1234-5678"}, "receiver": {"name": "홍길동", "addr": "서울"},
        "logis": {"company": "LOGEN", "invoice": "123", "sent_at": naru.now_s},
    }  # fmt: skip
    where = f"/escrows/logis/{p['imp_uid']}"
    assert naru.get(where).status == 404
    assert naru.call("PUT", where, delivery).status == 404
    kept = naru.post(where, delivery)
    assert (kept.code, "나루에 저장" in (kept.message or "")) == (0, True)
    assert kept.response["invoice"] == "123"
    assert naru.post(where, delivery).status == 409
    delivery["logis"]["invoice"] = "456"
    assert naru.call("PUT", where, delivery).code == 0
    assert naru.get(where).response["invoice"] == "456"
    assert naru.post(where, {**delivery, "logis": {}}).status == 400
    other = issue(naru, {**fixed, "vbank_num": str(next(FIXED)), "merchant_uid": naru.order()})
    assert naru.post(f"/escrows/logis/{other['imp_uid']}", delivery).status == 400


def test_a_rotating_account_over_the_api(naru: Live) -> None:
    given = {
        "merchant_uid": naru.order(), "amount": 5_000, "vbank_holder": "나루", "vbank_code": "011",
        "channel_key": "channel-key-dev-window",
    }  # fmt: skip
    assert "vbank_code" in (naru.post("/vbanks", {**given, "vbank_code": None}).message or "")
    p = issue(naru, given)
    assert (len(p["vbank_num"]), p["vbank_code"]) == (14, "011")
    assert deposit(naru, p["vbank_num"], 4_999)["accepted"] is False
    assert payment(naru, p["imp_uid"])["status"] == "ready"
    assert deposit(naru, p["vbank_num"], 5_000)["accepted"] is True
    assert payment(naru, p["imp_uid"])["status"] == "paid"


def test_change_and_delete(naru: Live, fixed: dict[str, Any]) -> None:
    p = issue(naru, fixed)
    uid, due = p["imp_uid"], naru.now_s + 2 * 86400
    unpaid = naru.post("/payments/cancel", {"imp_uid": uid, **REFUND})
    assert (unpaid.code, (unpaid.message or "").split(" (")) == (
        1, ["취소할 결제건이 존재하지 않습니다.", "입금 전인 가상계좌는 DELETE /vbanks/{imp_uid}로 말소합니다)"],
    )  # fmt: skip
    missing = naru.call("PUT", f"/vbanks/{uid}", {"amount": 1})
    assert (missing.status, missing.code, "vbank_due" in (missing.message or "")) == (400, -1, True)
    changed = naru.call("PUT", "/vbanks", {"imp_uid": uid, "amount": 12_000, "vbank_due": due})
    assert (changed.status, changed.response["amount"], changed.response["vbank_date"]) == (200, 12_000, due)
    assert deposit(naru, fixed["vbank_num"], 10_000)["accepted"] is False
    gone = naru.call("DELETE", f"/vbanks/{uid}")
    assert (gone.status, gone.response["status"]) == (200, "failed")
    assert naru.call("DELETE", f"/vbanks/{uid}").status == 400
    assert naru.call("PUT", f"/vbanks/{uid}", {"vbank_due": due}).status == 400
    assert naru.call("DELETE", "/vbanks/imps_000000000000").status == 404
    assert deposit(naru, fixed["vbank_num"], 12_000)["accepted"] is False
    naru.sandbox_post("/_sandbox/drain")
    assert hooks(naru, uid, 1) == ["ready"]


def test_a_refund_goes_to_the_account_that_is_named_and_is_kept_nowhere(naru: Live, fixed: dict[str, Any]) -> None:
    p = issue(naru, fixed)
    deposit(naru, fixed["vbank_num"], 10_000)
    ask = {"imp_uid": p["imp_uid"], "amount": 3_000, "checksum": 10_000}
    assert naru.post("/payments/cancel", ask).code == 1
    back = naru.post("/payments/cancel", ask | REFUND)
    assert back.code == 0, back.message
    assert (back.response["status"], back.response["cancel_amount"]) == ("cancelled", 3_000)
    rest = naru.post("/payments/cancel", {"imp_uid": p["imp_uid"], "checksum": 7_000} | REFUND)
    assert rest.response["cancel_amount"] == 10_000
    assert [h["amount"] for h in rest.response["cancel_history"]] == [3_000, 7_000]
    again = naru.post("/payments/cancel", {"imp_uid": p["imp_uid"]} | REFUND)
    assert (again.code, again.message) == (1, "이미 전액취소된 주문입니다.")
    naru.sandbox_post("/_sandbox/drain")  # the notis of both refunds change nothing
    assert payment(naru, p["imp_uid"])["cancel_amount"] == 10_000
    for file in Path(naru.settings.database_url.removeprefix("sqlite:///")).parent.glob("naru.db*"):
        assert b"12345678901234" not in file.read_bytes()


def test_an_unlimited_account_from_issue_to_deletion(naru: Live) -> None:
    given = unlimited(naru)
    for name, value in (("tax_free", 100), ("vat_amount", 10), ("escrow_password", "1")):
        refused = naru.post("/vbanks", {**given, "buyer_email": "a@b.kr", name: value})
        assert (refused.code, name in (refused.message or "")) == (1, True)
    p = issue(naru, {**given, "amount": 77})
    uid, number = p["imp_uid"], given["vbank_num"]
    assert (p["amount"], p["vbank_date"], p["status"]) == (0, 0, "ready")
    for amount in (1_000, 2_000, 2_500):
        deposit(naru, number, amount)
    p = payment(naru, uid)
    history = p["deposit_history"]
    assert [d["amount"] for d in history] == [1_000, 2_000, 2_500]
    assert {d["depositor_name"] for d in history} == {"김철수"}
    assert (p["status"], p["amount"], len({d["pg_tid"] for d in history})) == ("paid", 0, 3)
    assert len(hooks(naru, uid, 4)) == 4
    which = naru.post("/payments/cancel", {"imp_uid": uid, "amount": 1_500} | REFUND)
    assert (which.code, history[1]["pg_tid"] in (which.message or "")) == (1, True)
    part = {"imp_uid": uid, "amount": 1_500, "checksum": 5_500, "pg_tid": history[1]["pg_tid"]}
    named = naru.post("/payments/cancel", part | REFUND)
    assert (named.code, named.response["status"], named.response["cancel_amount"]) == (0, "cancelled", 1_500)
    changed = naru.call("PUT", f"/vbanks/{uid}", {"amount": 5, "vbank_due": naru.now_s + 86400})
    assert changed.status == 400  # cancelled
    deposit(naru, number, 7)
    p = payment(naru, uid)
    assert (p["status"], len(p["deposit_history"]), len(p["cancel_history"])) == ("cancelled", 4, 1)
    assert hooks(naru, uid, 5).count("cancelled") >= 1
    gone = naru.call("DELETE", f"/vbanks/{uid}")
    assert (gone.status, gone.response["status"]) == (200, "cancelled")
    assert deposit(naru, number, 7)["accepted"] is False
    rest = naru.post("/payments/cancel", {"imp_uid": uid, "pg_tid": history[0]["pg_tid"]} | REFUND)
    assert rest.response["cancel_amount"] == 2_500
    again = issue(naru, {**unlimited(naru), "vbank_num": number})
    assert again["status"] == "ready"


@pytest.mark.parametrize("fault", ["reset_after", "reset_before"])
@pytest.mark.parametrize("kind", ["fixed", "unlimited"])
def test_a_lost_answer_to_an_issue_is_settled_before_the_shop_is_answered(
    naru: Live, fixed: dict[str, Any], kind: str, fault: str
) -> None:
    naru.fault(fault, message="APIVBank")
    p = issue(naru, fixed if kind == "fixed" else unlimited(naru))
    assert p["status"] == "ready"
    trades = naru.sandbox_get(f"/_sandbox/transactions?mchtTrdNo={p['imp_uid']}")["transactions"]
    assert len(trades) == 1


@pytest.mark.parametrize("fault", ["reset_after", "reset_before"])
def test_a_lost_answer_to_a_change_or_a_revocation_is_settled_too(
    naru: Live, fixed: dict[str, Any], fault: str
) -> None:
    uid = issue(naru, fixed)["imp_uid"]
    naru.fault(fault, message="M15")
    changed = naru.call("PUT", f"/vbanks/{uid}", {"amount": 12_345, "vbank_due": naru.now_s + 86400})
    assert (changed.status, changed.response["amount"]) == (200, 12_345)
    naru.fault(fault, message="M16")
    gone = naru.call("DELETE", f"/vbanks/{uid}")
    assert (gone.status, gone.response["status"]) == (200, "failed")


@pytest.mark.parametrize("fault", ["noti_doubled", "noti_late", "noti_forged", "noti_altered"])
def test_notis_late_twice_altered_or_forged_count_once(naru: Live, fixed: dict[str, Any], fault: str) -> None:
    p = issue(naru, fixed)
    naru.sandbox_post("/_sandbox/drain")
    naru.fault(fault, message="M20d", ms=200)
    deposit(naru, fixed["vbank_num"], 10_000)
    if fault != "noti_doubled":
        time.sleep(0.3)
        naru.jump(61_000)
        naru.sandbox_post("/_sandbox/drain")
    stored = payment(naru, p["imp_uid"])
    assert stored["status"] == "paid"
    assert hooks(naru, p["imp_uid"], 2).count("paid") == 1


def test_an_euc_kr_noti_is_read(naru: Live) -> None:
    naru.sandbox_post("/_sandbox/merchants/nxva_fix2", {"charset": "euc-kr"})
    given = unlimited(naru)
    p = issue(naru, given)
    deposit(naru, given["vbank_num"], 3_000)
    assert payment(naru, p["imp_uid"])["deposit_history"][0]["depositor_name"] == "김철수"
    naru.sandbox_post("/_sandbox/merchants/nxva_fix2", {"charset": "utf-8"})


def test_the_bank_takes_a_deposit_back_by_itself(naru: Live, fixed: dict[str, Any]) -> None:
    naru.sandbox_post("/_sandbox/merchants/nxva_fix", {"reversal_noti": True})
    p = issue(naru, fixed)
    took = deposit(naru, fixed["vbank_num"], 10_000)
    naru.sandbox_post(f"/_sandbox/deposits/{took['id']}/reverse")
    naru.sandbox_post("/_sandbox/drain")
    back = payment(naru, p["imp_uid"])
    assert (back["status"], back["cancel_amount"]) == ("cancelled", 10_000)
    assert back["cancel_reason"] == "은행의 입금 자동취소"
    assert sorted(hooks(naru, p["imp_uid"], 3)) == ["cancelled", "paid", "ready"]


def test_the_bank_asks_before_a_deposit_and_hears_no(naru: Live, fixed: dict[str, Any]) -> None:
    naru.sandbox_post("/_sandbox/merchants/nxva_fix", {"precheck": "NP"})
    first = issue(naru, fixed)
    twin = issue(naru, {**fixed, "vbank_num": str(next(FIXED))})
    assert deposit(naru, fixed["vbank_num"], 9_999, any_amount=True)["accepted"] is False
    assert deposit(naru, fixed["vbank_num"], 10_000)["accepted"] is True
    refused = deposit(naru, twin["vbank_num"], 10_000)  # the order is paid: no second deposit
    assert (refused["accepted"], "이미 결제된 주문" in refused["reason"]) == (False, True)
    assert [payment(naru, x["imp_uid"])["status"] for x in (first, twin)] == ["paid", "ready"]
    naru.sandbox_post("/_sandbox/merchants/nxva_fix", {"precheck": "off"})


def test_hectos_own_deposit_test_pays_in(naru: Live, fixed: dict[str, Any]) -> None:
    p = issue(naru, fixed)
    query = f"mchtId=nxva_fix&method=VA&bizType=F1&vAcntNo={fixed['vbank_num']}&trdAmt=10000"
    answer = send(naru.sandbox, "GET", f"/spay/APIVBankTest.do?{query}")
    assert (answer.status, answer.json["outRsltCd"]) == (200, "0000")
    naru.sandbox_post("/_sandbox/drain")
    assert payment(naru, p["imp_uid"])["status"] == "paid"


def test_the_refund_of_an_unlimited_deposit_is_settled_by_its_noti(naru: Live) -> None:
    given = unlimited(naru)
    uid = issue(naru, given)["imp_uid"]
    deposit(naru, given["vbank_num"], 4_000)
    naru.fault("reset_after", message="M17")
    told = naru.post("/payments/cancel", {"imp_uid": uid} | REFUND)
    if told.code != 0:
        assert "확인하고 있습니다" in (told.message or "")
    naru.sandbox_post("/_sandbox/drain")
    p = payment(naru, uid)
    assert (p["status"], p["cancel_amount"]) == ("cancelled", 4_000)


def test_letters_keep_account_numbers_and_times_so_that_they_can_be_read_again(naru: Live) -> None:
    given = unlimited(naru)
    uid = issue(naru, given)["imp_uid"]
    deposit(naru, given["vbank_num"], 1_234)

    async def letters() -> list[Any]:
        parts = await open_parts(naru.settings)
        try:
            stored = await parts.db.read(payments.load, uid)
            jobs = await parts.db.read(mail.jobs_of, uid)
            assert stored is not None
            return [stored.payment.received, *[json.loads(j.payload) for j in jobs if j.kind == "webhook"]]
        finally:
            await parts.close()

    assert run_async(letters())[0] == 1_234


def test_the_window_issues_an_account_and_its_deposit_pays(naru: Live) -> None:
    _, page = request_pay(naru, pay_method="vbank", company="나루", vbank_due="2099-12-31")
    assert "vbank_due" in page.body.decode()  # more than a year away
    due = kst_date((naru.now_s + 3 * 86400) * 1000)
    told = buy(naru, "vbank", amount=9_000, company="나루", vbank_due=f"{due[:4]}-{due[4:6]}-{due[6:]}")
    assert (told["success"], told["status"], told["pay_method"]) == (True, "ready", "vbank")
    p = payment(naru, told["imp_uid"])
    assert (p["status"], p["channel"], p["vbank_code"], p["vbank_num"]) == ("ready", "pc", "004", told["vbank_num"])
    assert (p["vbank_holder"] is not None, kst_stamp(p["vbank_date"] * 1000)) == (True, f"{due}235959")
    assert hooks(naru, told["imp_uid"], 1) == ["ready"]
    assert deposit(naru, p["vbank_num"], 9_000)["accepted"] is True
    assert payment(naru, told["imp_uid"])["status"] == "paid"
    assert sorted(hooks(naru, told["imp_uid"], 2)) == ["paid", "ready"]
    back = naru.post("/payments/cancel", {"imp_uid": told["imp_uid"]} | REFUND)
    assert back.response["cancel_amount"] == 9_000


@pytest.mark.parametrize("due", ["2026", "20261301", "tomorrow", "2020-01-01"])
def test_a_due_date_that_is_none_is_refused_by_name(naru: Live, due: str) -> None:
    _, page = request_pay(naru, pay_method="vbank", company="나루", vbank_due=due)
    assert "vbank_due" in page.body.decode()


def test_an_unpaid_account_expires_and_stays_ready(fresh: Live) -> None:
    p = issue(
        fresh,
        {
            "merchant_uid": "m", "amount": 10_000, "vbank_num": "2022004000001", "vbank_holder": "나루",
            "pg": "settle.nxva_fix", "vbank_due": fresh.now_s + 86400,
        },
    )  # fmt: skip
    fresh.jump(DAY + HOUR)
    assert deposit(fresh, "2022004000001", 10_000)["accepted"] is False
    assert payment(fresh, p["imp_uid"])["status"] == "ready"
    assert fresh.call("PUT", f"/vbanks/{p['imp_uid']}", {"vbank_due": fresh.now_s + 86400}).status == 400
