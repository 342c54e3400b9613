"""`/subscribe/…` over HTTP against the sandbox: PortOne's words to the letter, and the guides' own samples."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.live import Answer, Live

DAY = 86_400
OPENING = "카드정보 인증 및 빌키 발급에 실패하였습니다."
BAD_NUMBER = "유효하지않은 카드번호를 입력하셨습니다."
AUTH = {"birth": "820213", "pwd_2digit": "00"}
CUSTOMER_KEYS = {
    "customer_uid", "pg_provider", "pg_id", "sandbox", "customer_id", "card_name", "card_code", "card_issuer_code",
    "card_issuer_name", "card_publisher_code", "card_publisher_name", "card_number", "card_type", "customer_name",
    "customer_tel", "customer_email", "customer_addr", "customer_postcode", "inserted", "updated",
}  # fmt: skip
SCHEDULE_KEYS = {
    "customer_uid", "merchant_uid", "imp_uid", "pg_provider", "pg_id", "customer_id", "schedule_at", "executed_at",
    "revoked_at", "amount", "currency", "name", "buyer_name", "buyer_email", "buyer_tel", "buyer_addr",
    "buyer_postcode", "custom_data", "schedule_status", "payment_status", "fail_reason", "promotion_id",
}  # fmt: skip


def new_key(naru: Live, uid: str, **given: Any) -> Answer:
    body = {"card_number": "4111-1111-1111-1111", "expiry": "2039-12", **AUTH, **given}
    return naru.post(f"/subscribe/customers/{uid}", body)


def schedule(naru: Live, uid: str, *at: int, **more: Any) -> Answer:
    items = [{"merchant_uid": naru.order(), "schedule_at": t, "amount": 9900, "name": "구독"} for t in at]
    return naru.post("/subscribe/payments/schedule", {"customer_uid": uid, "schedules": items, **more})


# --- keys


def test_a_key_alone_is_issued_looked_up_charged_and_deleted(naru: Live) -> None:
    made = new_key(naru, "solo", customer_name="김나루", customer_email="kim@example.com")
    assert (made.status, made.code, made.message) == (200, 0, None)
    assert set(made.response) == CUSTOMER_KEYS
    assert made.response["card_number"] == "411111******1111"
    assert (made.response["pg_id"], made.response["sandbox"], made.response["card_name"]) == (
        "nxca_ks_gu",
        True,
        "신한카드",
    )
    assert naru.get("/subscribe/customers/solo/").response == made.response
    paid = naru.post(
        "/subscribe/payments/again", {"customer_uid": "solo", "merchant_uid": naru.order(), "amount": 3000}
    )
    assert (paid.code, paid.response["status"], paid.response["buyer_name"]) == (0, "paid", "김나루")
    assert (paid.response["customer_uid_usage"], paid.response["channel"]) == ("payment", "api")
    assert re.fullmatch(r"imps_\d{12}", paid.response["imp_uid"])
    listed = naru.get("/subscribe/customers/solo/payments").response
    assert [p["imp_uid"] for p in listed["list"]] == [paid.response["imp_uid"]]
    gone = naru.call("DELETE", "/subscribe/customers/solo?reason=%ED%83%88%ED%87%B4")
    assert (gone.code, gone.response) == (0, made.response)
    missing = naru.get("/subscribe/customers/solo")
    assert (missing.status, missing.code) == (200, 1)
    assert missing.message == "요청하신 customer_uid(solo)로 등록된 정보를 찾을 수 없습니다."
    assert naru.call("DELETE", "/subscribe/customers/solo").message == missing.message


def test_the_first_payment_registers_the_key_and_another_card_replaces_it(naru: Live) -> None:
    first = naru.paid(customer_uid="both", buyer_name="구매자")
    assert (first["customer_uid"], first["customer_uid_usage"]) == ("both", "issue")
    before = naru.get("/subscribe/customers/both").response
    assert (before["pg_id"], before["customer_name"]) == ("nxca_jt_bi", "구매자")
    assert new_key(naru, "both").code == 0
    after = naru.get("/subscribe/customers/both").response
    assert (after["pg_id"], after["inserted"]) == ("nxca_ks_gu", before["inserted"])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"card_number": "1234-1234-1234-1234"}, BAD_NUMBER),
        ({"card_number": "1111-1111-1111-1111", "pwd_2digit": ""}, BAD_NUMBER),
        ({"card_number": "1234-1234-1234-1234", "pg": "settle.nxca_jt_bi"}, BAD_NUMBER),
        ({"card_number": "12"}, BAD_NUMBER),
        ({"card_number": ""}, "card_number 파라메터가 누락되었습니다."),
        ({"pg": "settle.nxca_jt_bi"}, "계약이 필요합니다."),
        ({"pwd_2digit": ""}, "pwd_2digit"),
        ({"expiry": "2019-01"}, "[CA20]"),
    ],
)
def test_every_refusal_of_a_key_opens_the_same_way(naru: Live, given: dict[str, str], says: str) -> None:
    answer = new_key(naru, "nobody", **given)
    assert (answer.status, answer.code, answer.response) == (200, -1, None)
    assert answer.message
    assert answer.message.startswith(OPENING)
    assert says in answer.message


def test_several_customers_at_once(naru: Live) -> None:
    for uid in ("m1", "m2"):
        assert new_key(naru, uid).code == 0
    both = naru.get("/subscribe/customers?customer_uid[]=m2&customer_uid[]=m1")
    assert (both.status, [c["customer_uid"] for c in both.response]) == (200, ["m2", "m1"])
    some = naru.get("/subscribe/customers?customer_uid[0]=m1&customer_uid[1]=none")
    assert (some.status, some.code, [c["customer_uid"] for c in some.response]) == (207, 0, ["m1"])
    assert naru.get("/subscribe/customers?customer_uid[]=none").status == 404


# --- charging


def test_a_refused_card_is_told_with_both_halves_that_clients_look_for(naru: Live) -> None:
    answer = naru.onetime(card_number="4092-0230-1234-1234", expiry="2019-03")
    assert (answer.status, answer.code, answer.response) == (200, -1, None)
    assert answer.message
    assert "카드정보 인증에 실패하였습니다." in answer.message
    assert BAD_NUMBER in answer.message


def test_nobody_is_charged_again(naru: Live) -> None:
    paid = naru.paid()
    once = naru.post(
        "/subscribe/payments/again", {"customer_uid": "00000000", "merchant_uid": paid["merchant_uid"], "amount": 1}
    )
    assert (once.code, once.message) == (-1, "이미 결제가 이루어진 거래건입니다.")
    nobody = naru.post(
        "/subscribe/payments/again", {"customer_uid": "00000000", "merchant_uid": naru.order(), "amount": 1000}
    )
    assert (nobody.status, nobody.code, nobody.message) == (200, 1, "등록되지 않은 구매자입니다.")


def test_a_paid_payment_says_when_no_key_was_registered(fresh: Live) -> None:
    fresh.sandbox_post("/_sandbox/merchants/nxca_jt_bi", {"billing_keys": False})
    answer = fresh.onetime(customer_uid="keyless")
    assert (answer.code, answer.response["status"], answer.response["customer_uid_usage"]) == (0, "paid", None)
    assert answer.message
    assert "빌링키가 등록되지 않았습니다" in answer.message


def test_what_other_pgs_know_is_accepted_and_tax_parts_reach_hecto(naru: Live) -> None:
    paid = naru.paid(
        amount=55_000, card_quota=3, tax_free=11_000, vat=4000, browser_ip="203.0.113.7", product_type="digital",
        bypass='{"x":1}', cvc="123", promotion_id="p", interest_free_by_merchant=True, custom_data={"a": 1},
        birth="123456",
    )  # fmt: skip
    assert (paid["card_quota"], paid["custom_data"], paid["amount"]) == (3, '{"a":1}', 55_000)
    [trade] = naru.sandbox_get(f"/_sandbox/transactions?mchtTrdNo={paid['imp_uid']}")["transactions"]
    assert {k: trade["detail"].get(k) for k in ("taxFreeAmt", "vatAmt", "taxAmt")} == {
        "taxFreeAmt": "11000", "vatAmt": "4000", "taxAmt": "40000",
    }  # fmt: skip
    assert naru.onetime(amount=49_999, card_quota=2).message == (
        "card_quota 파라메터가 올바르지 않습니다. (할부는 50,000원 이상부터 가능합니다)"
    )


def test_a_company_card_is_paid_with_its_business_number(naru: Live) -> None:
    paid = naru.paid(channel_key="channel-key-dev-keyin-auth", birth="101-81-63383", pwd_2digit="00")
    assert paid["pg_id"] == "nxca_ks_gu"


# --- schedules


def test_schedules_are_made_read_moved_and_revoked(naru: Live) -> None:
    assert new_key(naru, "sched").code == 0
    at = naru.now_s + DAY
    made = schedule(naru, "sched", at, at + DAY)
    assert (made.code, [s["schedule_at"] for s in made.response]) == (0, [at, at + DAY])
    one, two = made.response
    assert set(one) == SCHEDULE_KEYS
    assert (one["schedule_status"], one["payment_status"], one["imp_uid"], one["executed_at"]) == (
        "scheduled",
        None,
        None,
        0,
    )
    path = f"/subscribe/payments/schedule/{one['merchant_uid']}"
    assert naru.get(path).response == one
    for query in (
        f"/subscribe/payments/schedule/customers/sched?from={at}&to={at + DAY + 1}&schedule-status=scheduled",
        f"/subscribe/customers/sched/schedules?schedule_from={at}&schedule_to={at + DAY + 1}&page=1",
        f"/subscribe/payments/schedule?schedule_from={at}&schedule_to={at + DAY + 1}&schedule_status=scheduled",
    ):
        page = naru.get(query).response
        mine = [s["merchant_uid"] for s in page["list"] if s["customer_uid"] == "sched"]
        assert mine == [two["merchant_uid"], one["merchant_uid"]]
    assert naru.get(f"/subscribe/payments/schedule/customers/nobody?from={at}&to={at + 1}").response["total"] == 0
    moved = naru.call("PUT", path, {"schedule_at": at + 60})
    assert (moved.status, moved.response["schedule_at"]) == (200, at + 60)
    assert naru.call("PUT", path, {"schedule_at": at - 10 * DAY}).status == 400
    gone = naru.post("/subscribe/payments/unschedule", {"customer_uid": "sched"}).response
    assert [s["schedule_status"] for s in gone] == ["revoked", "revoked"]
    assert naru.call("PUT", path, {"schedule_at": at}).status == 400
    none = naru.post("/subscribe/payments/unschedule", {"customer_uid": "sched"})
    assert (none.status, none.code, none.message) == (200, 1, "취소할 예약결제 기록이 존재하지 않습니다.")
    again = naru.post(f"{path}/reschedule", {"schedule_at": at})
    assert again.response["schedule_status"] == "scheduled"


def test_schedule_look_ups_that_find_nothing_or_ask_for_too_much(naru: Live) -> None:
    missing = naru.get("/subscribe/payments/schedule/nothing")
    assert (missing.status, missing.code, missing.response) == (404, -1, None)
    assert naru.call("PUT", "/subscribe/payments/schedule/nothing", {"schedule_at": naru.now_s + 9}).status == 404
    now = naru.now_s
    assert naru.get("/subscribe/payments/schedule").status == 400
    assert naru.get(f"/subscribe/payments/schedule?schedule_from={now}&schedule_to={now + 100 * DAY}").status == 400
    nobody = schedule(naru, "nobody", now - 100)
    assert (nobody.status, nobody.code, nobody.message) == (200, 1, "등록된 고객정보가 없습니다.")


def test_a_form_body_schedules_too(naru: Live) -> None:
    assert new_key(naru, "form").code == 0
    at, uid = naru.now_s + DAY, naru.order()
    body = (
        f"customer_uid=form&schedules[0][merchant_uid]={uid}&schedules[0][schedule_at]={at}&schedules[0][amount]=1000"
    )
    made = naru.send("POST", "/subscribe/payments/schedule", body.encode(), {"Authorization": naru.token})
    assert [s["merchant_uid"] for s in made.json["response"]] == [uid]
    gone = naru.send(
        "POST", "/subscribe/payments/unschedule", f"merchant_uid[]={uid}".encode(), {"Authorization": naru.token}
    )
    assert [s["schedule_status"] for s in gone.json["response"]] == ["revoked"]


def test_the_time_machine_runs_a_month_of_schedules(fresh: Live) -> None:
    assert new_key(fresh, "month").code == 0
    now = fresh.now_s
    made = schedule(fresh, "month", *(now + n * 7 * DAY for n in (1, 2, 3, 4))).response
    fresh.pass_time(31 * DAY * 1000)
    for s in made:
        done = fresh.get(f"/subscribe/payments/schedule/{s['merchant_uid']}").response
        assert (done["schedule_status"], done["payment_status"]) == ("executed", "paid")
        assert done["executed_at"] == s["schedule_at"]
    hooks = [h.fields for h in fresh.shop.wait(4, path="/webhook")]
    assert [(h["merchant_uid"], h["status"]) for h in hooks] == [(s["merchant_uid"], "paid") for s in made]
    assert fresh.complaints == []


def test_a_failed_schedule_is_told_and_retried_when_there_is_money_again(fresh: Live) -> None:
    body = {"card_number": "4000-0000-0000-0325", "expiry": "2039-12"}
    fresh.sandbox_post("/_sandbox/cards/insufficient", {"until_ms": 0})
    fresh.paid(customer_uid="poor", **body)
    now = fresh.now_s
    fresh.sandbox_post("/_sandbox/cards/insufficient", {"until_ms": (now + 5 * DAY) * 1000})
    [made] = schedule(fresh, "poor", now + DAY).response
    fresh.pass_time((DAY + 60) * 1000)
    path = f"/subscribe/payments/schedule/{made['merchant_uid']}"
    failed = fresh.get(path).response
    assert (failed["payment_status"], failed["schedule_status"]) == ("failed", "executed")
    assert failed["fail_reason"]
    assert fresh.shop.wait(2, path="/webhook")[-1].fields["status"] == "failed"
    still = fresh.post(f"{path}/retry")
    assert (still.status, still.code, still.response["status"]) == (200, 0, "failed")
    fresh.pass_time(5 * DAY * 1000)
    paid = fresh.post(f"{path}/retry")
    assert (paid.response["status"], paid.response["customer_uid_usage"]) == ("paid", "payment.scheduled")
    assert fresh.post(f"{path}/retry").status == 400


# --- the guides' samples


@dataclass
class Sample:
    path: str
    body: dict[str, Any]


def samples() -> list[Sample]:
    text = (Path(__file__).parent.parent / "contract" / "guide_curls.txt").read_text("utf-8")
    found = re.findall(r"-d '(.*?)' \\\n\s+https://api\.iamport\.kr(\S+)", text)
    return [Sample(path, json.loads(body)) for body, path in found]


def test_there_are_seven_samples() -> None:
    assert len(samples()) == 7


@pytest.mark.parametrize("number", range(7))
def test_a_sample_as_written_has_no_token_and_is_401(naru: Live, number: int) -> None:
    s = samples()[number]
    answer = naru.send("POST", s.path, json.dumps(s.body).encode(), {"Content-Type": "application/json"})
    assert (answer.status, answer.json) == (401, {"code": -1, "message": "Unauthorized", "response": None})


@pytest.mark.parametrize("number", range(7))
def test_a_sample_with_a_token_is_refused_as_documented(naru: Live, number: int) -> None:
    s = samples()[number]
    answer = naru.post(s.path, s.body)
    assert (answer.status, answer.response) == (200, None)
    assert answer.message
    if s.path.endswith("/again"):
        assert (answer.code, answer.message) == (1, "등록되지 않은 구매자입니다.")
    else:
        assert answer.code == -1
        assert BAD_NUMBER in answer.message
        assert (OPENING if "customers" in s.path else "카드정보 인증에 실패하였습니다.") in answer.message


def test_the_samples_with_a_token_and_a_good_card_work(fresh: Live) -> None:
    for n, s in enumerate(samples()):
        body = dict(s.body)
        if "card_number" in body:
            body |= {"card_number": "4111-1111-1111-1111", "expiry": "2039-12"}
        if "merchant_uid" in body:
            body["merchant_uid"] += f"_{n}"
        answer = fresh.post(s.path, body)
        assert (answer.status, answer.code) == (200, 0), answer.message
        if "merchant_uid" in body:
            assert (answer.response["status"], answer.response["amount"]) == ("paid", 3000)
    assert fresh.complaints == []


def test_a_key_that_hecto_dropped_charges_nothing_and_says_so(naru: Live) -> None:
    customer = "dropped-at-hecto"
    assert naru.onetime(customer_uid=customer).code == 0
    key = naru.sandbox_get("/_sandbox/transactions?limit=1")["transactions"][0]["detail"]["billKey"]
    naru.sandbox_post("/_sandbox/keys/drop", {"billKey": key})
    order = naru.order()
    refused = naru.post(
        "/subscribe/payments/again", {"customer_uid": customer, "merchant_uid": order, "amount": 1000, "name": "n"}
    )
    assert (refused.status, refused.code, refused.response) == (200, -1, None)
    assert "ST06" in (refused.message or "")
    assert naru.get(f"/payments/find/{order}").response["status"] == "failed"
