"""The published and independently computed values of Hecto's wire, through our declarations."""

import json
import urllib.parse
from pathlib import Path
from typing import Any

import msgspec
import pytest

from naru.connectors.hecto import crypto, messages

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "hecto_vectors.json").read_text("utf-8"))
KEYS = messages.Keys(**VECTORS["keys"])
SEALS: list[dict[str, Any]] = VECTORS["seals"]
EXAMPLES: dict[str, str] = VECTORS["examples"]


@pytest.mark.parametrize("row", VECTORS["aes"], ids=lambda r: r["plain"])
def test_a_field_encrypts_and_decrypts_as_published(row: dict[str, str]) -> None:
    assert crypto.encrypt(row["plain"], KEYS.aes_key) == row["cipher"]
    assert crypto.decrypt(row["cipher"], KEYS.aes_key) == row["plain"]


def test_a_name_is_encrypted_as_utf8_not_as_cp949() -> None:
    assert crypto.encrypt("홍길동", KEYS.aes_key) != "eSwhraj1VN+QWq5QoQuh3A=="
    with pytest.raises(crypto.NotEncrypted):  # the CP949 bytes are not UTF-8
        crypto.decrypt("eSwhraj1VN+QWq5QoQuh3A==", KEYS.aes_key)


@pytest.mark.parametrize("row", SEALS, ids=lambda r: f"{r['id']} {r['what']}")
def test_a_seal_is_computed_as_published(row: dict[str, Any]) -> None:
    message = messages.BY_ID[row["message"]]
    if row["kind"] == "answer":
        assert messages.answer_seal(message, row["fields"], KEYS) == row["pktHash"]
    else:
        assert messages.request_seal(message, row["fields"], KEYS) == row["pktHash"]


@pytest.mark.parametrize("row", [r for r in SEALS if r.get("echoed")], ids=lambda r: r["id"])
def test_cancels_changes_and_inquiries_echo_the_seal(row: dict[str, Any]) -> None:
    assert messages.BY_ID[row["message"]].answer_seal == messages.ECHO


def test_every_sealed_message_has_a_vector() -> None:
    covered = {(r["message"], r["kind"]) for r in SEALS}
    for message in messages.ALL:
        if message.seal is not None:
            assert (message.id, "request") in covered, message.id
        # The approvals of M23 and M24 share the row of M22 and M25: one formula for all of them.
        if isinstance(message.answer_seal, tuple) and message.id not in ("M23", "M24"):
            assert (message.id, "answer") in covered, message.id


COMMON = {"trdDt": "20250401", "trdTm": "093015"}
DONE = {"outStatCd": "0021", "outRsltCd": "0000", "outRsltMsg": "정상적으로 처리되었습니다."}
CARD_PAY = {
    **COMMON,
    "mchtId": "nxca_ks_gu",
    "mchtTrdNo": "PT20250401_0010",
    "mobileYn": "N",
    "osType": "W",
    "pmtprdNm": "정기결제",
    "mchtCustNm": "홍길동",
    "mchtCustId": "cust_0001",
    "email": "test@portone.io",
    "cardNo": "4111111111111111",
    "vldDtMon": "12",
    "vldDtYear": "30",
    "idntNo": "820213",
    "cardPwd": "00",
    "instmtMon": "00",
    "crcCd": "KRW",
    "trdAmt": "3000",
}
CARD_CANCEL = {
    **COMMON,
    "mchtId": "nxca_jt_il",
    "mchtTrdNo": "PT20250401_0021",
    "orgTrdNo": "STFP_PGCAnxca_jt_il0250401093015M1000001",
    "crcCd": "KRW",
    "cnclOrd": "001",
    "cnclAmt": "404",
    "cnclRsn": "부분취소",
}
UNLIMITED = {
    **COMMON,
    "mchtId": "nxva_fix2",
    "mchtTrdNo": "PT20250401_0032",
    "bankCd": "011",
    "acntType": "3",
    "vAcntNo": "2022011000056",
    "expireDate": "20991231235959",
    "prdtNm": "고정식 무제한",
    "sellerNm": "포트원",
    "ordNm": "홍길동",
    "trdAmt": "0",
    "dpstrNm": "홍길동",
}
ANSWERS = {
    "card_pay": {
        "trdNo": "STFP_PGCAnxca_ks_gu0250401093015M1000010",
        "trdAmt": "3000",
        "billKey": "SBILL_PGCAnxca_ks_gu20250000100401093015",
        "cardNo": "411111xxxxxx1111",
        "vldDtMon": "12",
        "vldDtYear": "30",
        "issrId": "SHN",
        "cardNm": "신한",
        "cardKind": "신한개인",
        "ninstmtTypeCd": "N",
        "instmtMon": "00",
        "apprNo": "30001234",
    },
    "card_cancel": {
        "trdNo": "STFP_PGCAnxca_jt_il0250401101500M1000021",
        "orgTrdNo": CARD_CANCEL["orgTrdNo"],
        "cnclAmt": "404",
        "cardCnclAmt": "404",
        "pntCnclAmt": "0",
        "blcAmt": "600",
    },
    "vbank_issue_unlimited": {
        "trdNo": "STFP_PGVAnxva_fix200250401093015M1000032",
        "bankCd": "011",
        "vAcntNo": "2022011000056",
        "expireDate": "20991231235959",
        "trdAmt": "0",
        "acntType": "3",
    },
}
REQUESTS = {"card_pay": CARD_PAY, "card_cancel": CARD_CANCEL, "vbank_issue_unlimited": UNLIMITED}


@pytest.mark.parametrize("name", REQUESTS)
def test_worked_examples_of_the_api_byte_for_byte(name: str) -> None:
    message = messages.BY_NAME[name]
    asked = messages.build_request(message, REQUESTS[name], KEYS)
    assert msgspec.json.encode(asked).decode() == EXAMPLES[f"{name} request"]
    assert messages.find(message.path, asked) is message

    opened = messages.open_request(message, msgspec.json.decode(EXAMPLES[f"{name} request"]), KEYS)
    assert {k: v for k, v in opened.items() if k in REQUESTS[name]} == REQUESTS[name]

    built = messages.build_answer(message, opened, {**DONE, **ANSWERS[name]}, KEYS)
    assert msgspec.json.encode(built).decode() == EXAMPLES[f"{name} answer"]
    answer = messages.open_answer(message, built, KEYS, opened["pktHash"])
    assert answer.done
    assert answer.sealed is messages.Sealed.RULE
    assert {k: v for k, v in answer.values.items() if k in ANSWERS[name]} == ANSWERS[name]


def test_worked_example_of_a_deposit_noti_byte_for_byte() -> None:
    values = {
        "outStatCd": "0021",
        "trdNo": "STFP_PGVAnxva_fix200250401120000M1000041",
        "bizType": "B1",
        "mchtId": "nxva_fix2",
        "mchtTrdNo": "0000000",
        "trdDtm": "20250401120000",
        "trdAmt": "12345",
        "bankCd": "011",
        "bankNm": "NH농협",
        "acntType": "3",
        "vAcntNo": "2022011000056",
        "expireDt": "20991231235959",
        "AcntPrintNm": "홍길동",
        "dpstrNm": "김철수",
    }
    body, content_type = messages.build_noti(messages.NOTI_VBANK_UNLIMITED, values, KEYS)
    assert body.decode() == EXAMPLES["noti_vbank_unlimited"]
    assert content_type == "application/x-www-form-urlencoded; charset=UTF-8"

    form = messages.read_form(body, content_type)
    assert messages.find_noti(form) is messages.NOTI_VBANK_UNLIMITED
    noti = messages.open_noti(messages.NOTI_VBANK_UNLIMITED, form, KEYS)
    assert noti.sealed
    assert {k: v for k, v in noti.values.items() if k in values} == values


def test_worked_example_of_the_card_window_byte_for_byte() -> None:
    values = {
        **COMMON,
        "mchtId": "nxca_jt_il",
        "mchtTrdNo": "PT20250401_0001",
        "mchtName": "포트원",
        "mchtEName": "PortOne",
        "pmtPrdtNm": "결제테스트",
        "trdAmt": "1004",
        "mchtCustNm": "홍길동",
        "notiUrl": "http://127.0.0.1:8000/hecto/noti",
        "nextUrl": "http://127.0.0.1:8000/hecto/next",
        "cancUrl": "http://127.0.0.1:8000/hecto/canc",
        "email": "test@portone.io",
    }
    form = messages.build_form(messages.CARD_WINDOW, values, KEYS)
    assert urllib.parse.urlencode({"type": "popup", **form}) == EXAMPLES["card_window"]
    opened = messages.open_request(messages.CARD_WINDOW, messages.read_form(EXAMPLES["card_window"].encode()), KEYS)
    assert {k: v for k, v in opened.items() if k in values} == values
