"""What the wire definition promises beyond the published vectors."""

import copy
import pickle
import string
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naru import logs
from naru.clock import ManualClock
from naru.connectors.hecto import crypto, messages
from naru.connectors.hecto.client import Client
from naru.connectors.hecto.gateway import HectoGateway
from naru.connectors.hecto.messages import Aes, BadMessage, Field, Flaw, Message, Sealed, Transport

KEYS = messages.Keys("ST1009281328226982205", "pgSettle30y739r82jtd709yOfZ2yK5K")
OTHER_KEYS = messages.Keys("another-hash-key", "0123456789abcdef0123456789abcdef")
JSON_MESSAGES = [m for m in messages.ALL if m.transport is Transport.JSON]
SEALED = [m for m in messages.ALL if m.seal is not None]


def text_for(field: Field) -> st.SearchStrategy[str]:
    if field.kind == "N":
        return st.text(string.digits, min_size=1, max_size=min(field.max, 20))
    letters = "가나힣" if "H" in field.kind else ""
    return st.text(
        letters + string.ascii_letters + string.digits + "-_./@", min_size=1, max_size=max(1, min(field.max // 3, 20))
    )


@st.composite
def requests(draw: st.DrawFn, among: list[Message]) -> tuple[Message, dict[str, str]]:
    message = draw(st.sampled_from(among))
    values: dict[str, str] = {}
    for field in message.request:
        if field.name == "pktHash":
            continue
        if field.name in message.choices:
            values[field.name] = draw(st.sampled_from(message.choices[field.name]))
        elif field.required or draw(st.booleans()):
            values[field.name] = draw(text_for(field))
    return message, values


def build(message: Message, values: dict[str, str]) -> dict[str, Any]:
    if message.transport is Transport.JSON:
        return messages.build_request(message, values, KEYS)
    return messages.build_form(message, values, KEYS)


def part(message: Message, body: dict[str, Any], place: str) -> dict[str, str]:
    return body[place] if message.transport is Transport.JSON else body


@given(requests(list(messages.ALL)))
def test_what_is_built_is_opened_as_it_was(case: tuple[Message, dict[str, str]]) -> None:
    message, values = case
    opened = messages.open_request(message, build(message, values), KEYS)
    opened.pop("pktHash", None)
    assert opened == values


@given(requests(SEALED), st.data())
def test_changing_one_character_of_a_sealed_field_is_noticed(
    case: tuple[Message, dict[str, str]], data: st.DataObject
) -> None:
    message, values = case
    assert message.seal is not None
    body = build(message, values)
    names = [n for n in (*message.seal, "pktHash") if n in message.request_names]
    fields = [f for f in message.request if f.name in names and f.name in part(message, body, f.place)]
    field = data.draw(st.sampled_from(fields))
    place = part(message, body, field.place)
    sent = place[field.name]
    at = data.draw(st.integers(0, len(sent) - 1))
    new = data.draw(st.sampled_from(string.ascii_letters + string.digits))
    changed = sent[:at] + new + sent[at + 1 :]
    if changed == sent or (field.name == "pktHash" and changed.lower() == sent):
        return  # the same message
    place[field.name] = changed
    with pytest.raises(BadMessage):
        messages.open_request(message, body, KEYS)


@given(requests(SEALED))
def test_a_request_under_other_keys_is_refused(case: tuple[Message, dict[str, str]]) -> None:
    message, values = case
    with pytest.raises(BadMessage) as caught:
        messages.open_request(message, build(message, values), OTHER_KEYS)
    assert caught.value.flaw in (Flaw.SEAL, Flaw.NOT_ENCRYPTED)


@given(requests([m for m in messages.ALL if m.transport is Transport.NOTI]), st.sampled_from(["utf-8", "euc-kr"]))
def test_notis_are_read_in_both_charsets(case: tuple[Message, dict[str, str]], charset: str) -> None:
    message, values = case
    body, content_type = messages.build_noti(message, values, KEYS, charset=charset)
    form = messages.read_form(body, content_type)
    noti = messages.open_noti(message, form, KEYS)
    assert noti.sealed
    noti.values.pop("pktHash")
    assert noti.values == values


def test_a_korean_noti_without_a_declared_charset_is_understood() -> None:
    body, _ = messages.encode_form({"mchtCustNm": "홍길동"}, "euc-kr")
    assert messages.read_form(body, "application/x-www-form-urlencoded") == {"mchtCustNm": "홍길동"}


def test_a_name_sent_twice_with_different_values_is_refused() -> None:
    assert messages.read_form(b"a=1&a=1") == {"a": "1"}
    with pytest.raises(BadMessage):
        messages.read_form(b"a=1&a=2")


PAYMENT = {
    "mchtId": "nxca_ks_gu",
    "mchtTrdNo": "order_1",
    "trdDt": "20250401",
    "trdTm": "093015",
    "pmtprdNm": "상품",
    "mchtCustNm": "홍길동",
    "mchtCustId": "cust",
    "cardNo": "4111111111111111",
    "vldDtMon": "12",
    "vldDtYear": "30",
    "instmtMon": "00",
    "crcCd": "KRW",
    "trdAmt": "1004",
}


def payment_body() -> dict[str, dict[str, str]]:
    return messages.build_request(messages.CARD_PAY, PAYMENT, KEYS)


def flaw_of(body: object, **options: Any) -> tuple[Flaw, str]:
    with pytest.raises(BadMessage) as caught:
        messages.open_request(messages.CARD_PAY, body, KEYS, **options)
    return caught.value.flaw, caught.value.field


def test_each_flaw_names_its_kind_and_field() -> None:
    body = payment_body()
    del body["data"]["pmtprdNm"]
    assert flaw_of(body) == (Flaw.MISSING, "pmtprdNm")

    body = payment_body()
    body["data"]["mchtCustNm"] = "가" * 11  # 33 bytes of 30
    assert flaw_of(body) == (Flaw.TOO_LONG, "mchtCustNm")
    body["data"]["mchtCustNm"] = "가" * 10
    assert messages.open_request(messages.CARD_PAY, body, KEYS)["mchtCustNm"] == "가" * 10

    body = payment_body()
    body["data"]["trdAmt"] = "1004"
    assert flaw_of(body) == (Flaw.NOT_ENCRYPTED, "trdAmt")
    assert messages.open_request(messages.CARD_PAY, body, KEYS, lenient=True)["trdAmt"] == "1004"

    body = payment_body()
    body["data"]["pktHash"] = "0" * 64
    assert flaw_of(body) == (Flaw.SEAL, "pktHash")

    body = payment_body()
    body["params"]["encCd"] = "00"
    assert flaw_of(body) == (Flaw.MALFORMED, "encCd")

    body = payment_body()
    body["data"]["trdAmt"] = crypto.encrypt("1,004", KEYS.aes_key)
    assert flaw_of(body) == (Flaw.MALFORMED, "trdAmt")

    for shape in ([], "x", None, {"params": {}}, {"params": [], "data": {}}, {"data": {}}):
        assert flaw_of(shape)[0] is Flaw.MALFORMED


def test_empty_null_and_unknown_fields_are_tolerated() -> None:
    body: dict[str, Any] = copy.deepcopy(payment_body())
    body["data"] |= {"billKey": "", "email": None, "refundBankCd": "", "novelty": "1"}
    opened = messages.open_request(messages.CARD_PAY, body, KEYS)
    assert "email" not in opened
    assert "novelty" not in opened


def test_upper_case_seals_and_plus_that_became_a_space_are_accepted() -> None:
    body = payment_body()
    body["data"]["pktHash"] = body["data"]["pktHash"].upper()
    sealed = body["data"]["trdAmt"]
    assert "+" in sealed
    body["data"]["trdAmt"] = sealed.replace("+", " ")
    assert messages.open_request(messages.CARD_PAY, body, KEYS)["trdAmt"] == "1004"


def test_a_field_the_message_does_not_have_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="has no field trdAmount"):
        messages.build_request(messages.CARD_PAY, {**PAYMENT, "trdAmount": "1"}, KEYS)
    with pytest.raises(ValueError, match="needs trdAmt"):
        messages.build_request(messages.CARD_PAY, {**PAYMENT, "trdAmt": ""}, KEYS)
    with pytest.raises(ValueError, match="method is fixed"):
        messages.build_request(messages.CARD_PAY, {**PAYMENT, "method": "VA"}, KEYS)


@pytest.mark.parametrize("message", JSON_MESSAGES, ids=lambda m: m.name)
def test_how_an_answer_is_sealed_is_told(message: Message) -> None:
    asked = {f.name: "1" for f in message.request}
    asked |= dict(message.constants) | {"pktHash": "ab" * 32}
    paid = {"outStatCd": "0021", "outRsltCd": "0000", "outRsltMsg": "정상"}
    names = {f.name for f in message.answer if f.place == "data" and f.name != "pktHash"}
    body = messages.build_answer(message, asked, paid | dict.fromkeys(names, "1"), KEYS)
    opened = messages.open_answer(message, body, KEYS, asked["pktHash"])
    assert opened.done
    assert opened.sealed is Sealed.RULE
    assert not opened.unreadable

    # The other rule: computed where an echo is documented, echoed where it should be computed.
    if message.answer_seal == messages.ECHO:
        assert message.seal is not None
        order = ("outStatCd", *message.seal)
        pieces = [p[1:] if p[0] == "=" else opened.values.get(p, "") for p in order]
        body["data"]["pktHash"] = crypto.seal(pieces, KEYS.hash_key)
    else:
        body["data"]["pktHash"] = asked["pktHash"]
    assert messages.open_answer(message, body, KEYS, asked["pktHash"]).sealed is Sealed.OTHER

    body["data"]["pktHash"] = "0" * 64
    assert messages.open_answer(message, body, KEYS, asked["pktHash"]).sealed is Sealed.WRONG
    del body["data"]["pktHash"]
    assert messages.open_answer(message, body, KEYS, asked["pktHash"]).sealed is Sealed.NONE


def test_refusals_come_in_every_documented_shape() -> None:
    asked = {**PAYMENT, "ver": "0A19", "method": "CA", "bizType": "B0", "encCd": "23"}
    body = messages.build_refusal(messages.CARD_PAY, asked, "ST50", "중복된 요청입니다.")
    assert body["data"] == {}
    assert body["params"]["trdNo"] == ""
    for data in ({}, {"pktHash": "ff"}, None):
        answer = messages.open_answer(messages.CARD_PAY, {"params": body["params"], "data": data}, KEYS)
        assert not answer.done
        assert answer.values["outRsltCd"] == "ST50"
    for not_an_answer in (None, [], "OK", {"outStatCd": "0031"}):
        with pytest.raises(BadMessage):
            messages.open_answer(messages.CARD_PAY, not_an_answer, KEYS)


def test_an_answer_field_that_does_not_decrypt_is_named_not_guessed() -> None:
    asked = {**PAYMENT, "pktHash": "00"}
    values = {"outStatCd": "0021", "outRsltCd": "0000", "outRsltMsg": "%EC%A0%95%EC%83%81", "trdAmt": "1004"}
    body = messages.build_answer(messages.CARD_PAY, asked, values, KEYS)
    body["data"]["trdAmt"] = "1004"
    answer = messages.open_answer(messages.CARD_PAY, body, KEYS)
    assert answer.unreadable == ("trdAmt",)
    assert "trdAmt" not in answer.values
    assert answer.values["outRsltMsg"] == "정상"


def test_messages_on_one_path_are_told_apart() -> None:
    def sent(path: str, method: str, biz: str, **data: str) -> str:
        found = messages.find(path, {"params": {"method": method, "bizType": biz}, "data": data})
        return found.id if found else "none"

    assert sent("/spay/APICardActionPay.do", "CA", "B0", cardNo="x", billKey="") == "M05"
    assert sent("/spay/APICardActionPay.do", "CA", "B0", billKey="SBILL") == "M07"
    assert sent("/spay/APICancel.do", "CA", "C0") == "M09"
    assert sent("/spay/APICancel.do", "RA", "C0") == "M10"
    assert sent("/spay/APICancel.do", "MP", "C0") == "M11"
    assert sent("/spay/APIRefund.do", "MP", "C1") == "M12"
    assert sent("/spay/APIRefund.do", "VA", "C0") == "M17"
    assert sent("/spay/APIVBank.do", "VA", "A0") == "M13"
    assert sent("/spay/APIVBank.do", "VA", "A0", acntType="3") == "M14"
    assert sent("/spay/APIVBank.do", "VA", "A2") == "M16"
    assert sent("/spay/APIService.do", "MP", "B0") == "M24"
    assert sent("/spay/APIService.do", "MP", "B1") == "M25"
    assert sent("/spay/APITrdcheck.do", "", "") == "M21"
    assert sent("/spay/APICancel.do", "VA", "C0") == "none"
    assert messages.find("/spay/APICancel.do", None) is None


def test_undecided_fields_travel_either_way() -> None:
    required = {f.name for f in messages.VBANK_ISSUE.request if f.required} - {"pktHash", *messages.VBANK_ISSUE.fixed}
    values = dict.fromkeys(required, "1") | {"email": "a@b.kr"}
    issue = messages.VBANK_ISSUE
    sealed = messages.build_request(issue, values, KEYS)
    plain = messages.build_request(issue, values, KEYS, other={"email"})
    assert plain["data"]["email"] == "a@b.kr" != sealed["data"]["email"]
    for body in (sealed, plain):
        assert messages.open_request(issue, body, KEYS)["email"] == "a@b.kr"


def test_reconciliation_lists_survive_the_trip_and_short_rows() -> None:
    row = dict.fromkeys(messages.TRANSACTION_COLUMNS[:16], "1") | {"prdtNm": "a|b"}
    sheet = messages.Sheet("0000", "정상", [row])
    text = messages.write_sheet(sheet, messages.TRANSACTION_COLUMNS)
    assert text.split("\n")[0] == "0000|정상|1|"
    assert text.split("\n")[1].count("|") == 16
    read = messages.read_sheet(text, messages.TRANSACTION_COLUMNS)
    assert read.rows[0]["prdtNm"] == "a b"
    assert messages.read_sheet("ST92|해쉬 값 불일치.|0|", messages.SETTLEMENT_COLUMNS).rows == []
    for broken in ("", "<html>", "0000|정상|2|\n1|2|"):
        with pytest.raises(BadMessage):
            messages.read_sheet(broken, messages.SETTLEMENT_COLUMNS)


def test_keys_show_nothing() -> None:
    for shown in (repr(KEYS), str(KEYS), f"{KEYS}", f"{KEYS!r}"):
        assert "ST1009" not in shown
        assert "pgSettle" not in shown
    with pytest.raises(ValueError, match="32 ASCII"):
        messages.Keys("x", "short")
    with pytest.raises(ValueError, match="empty"):
        messages.Keys("", KEYS.aes_key)
    assert pickle.loads(pickle.dumps(KEYS)) == KEYS


def test_no_error_carries_a_value() -> None:
    body = payment_body()
    body["data"]["cardNo"] = "4111111111111111"
    with pytest.raises(BadMessage) as caught:
        messages.open_request(messages.CARD_PAY, body, KEYS)
    assert "4111" not in repr(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("text", ["", "x", "4111111111111111", "AAAA", "=" * 40, "가나다", "A" * 40_000])
def test_what_is_not_ciphertext_is_not_decrypted(text: str) -> None:
    with pytest.raises(crypto.NotEncrypted):
        crypto.decrypt(text, KEYS.aes_key)


def test_only_documented_fields_are_encrypted_in_card_messages() -> None:
    sealed = {f.name for f in messages.CARD_PAY.request if f.aes is Aes.AES}
    assert sealed == {
        "cardNo", "vldDtMon", "vldDtYear", "idntNo", "cardPwd",
        "trdAmt", "taxAmt", "vatAmt", "taxFreeAmt", "svcAmt",
    }  # fmt: skip
    assert {f.name for f in messages.CARD_KEY_DELETE.request if f.aes is not Aes.PLAIN} == set()
    assert {f.name for f in messages.INQUIRY.request if f.aes is not Aes.PLAIN} == set()


def test_what_is_kept_of_a_noti_has_no_secret_and_all_numbers() -> None:
    redact = HectoGateway(Client(), ManualClock(), public_url="", sandbox_url="").redact
    plain = b"trdNo=STFP_PGCAnxca_jt_bi0261122152359M0000003&trdDtm=20261122152359&vAcntNo=4111111111111111&billKey="
    assert redact(plain) == plain
    assert redact(b"a=1&BillKey=abc%2B&b=2") == b"a=1&BillKey=***&b=2"
    for name in (b"expiry", b"birth", b"pwd_2digit", b"cvc", b"idntNo", b"cardPwd", b"vldDtMon", b"vldDtYear"):
        assert redact(name + b"=12&x=" + name) == name + b"=***&x=" + name
    card = b"4111111111111111"
    masked = b"411111******1111"
    for field in (b"memo=", b"cardNo=", b"cardNo =", b"trdNo=x+", b"", b"trdAmt=-"):
        assert redact(b"trdNo=1&" + field + card + b"&z=1") == b"trdNo=1&" + field + masked + b"&z=1", field
    assert redact(b"memo=4111-1111 1111-1111") == b"memo=" + masked
    for field in (b"vAcntNo=%20", b"memo=%34"):
        quoted = b"a=1&" + field + (card[1:] if b"%34" in field else card)
        assert redact(quoted) == b"a=1&" + field.partition(b"=")[0] + b"=***", field
    assert redact(b'{"expiry": "2030-12", "card_number":4111111111111111}') == b'{"expiry": "***", "card_number":"***"}'


PIECES = [
    b"trdNo", b"billKey", b"expiry", b"x", b"=", b"&", b" ", b"-", b"%20", b"4111111111111111", b"411111111111111",
    b"1", b"%31", b"20261122152359", b"{", b'"', b":",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=14))
def test_no_card_number_is_kept_outside_of_the_numbers_that_may_stay(parts: list[bytes]) -> None:
    kept = HectoGateway(Client(), ManualClock(), public_url="", sandbox_url="").redact(b"".join(parts))
    for part in kept.split(b"&"):
        name = part.partition(b"=")[0].strip().lower()
        stays = name == b"trdno" and part.partition(b"=")[2].isalnum()
        assert stays or not logs.card_like(unquote(part.decode())), kept
        assert name not in (b"expiry", b"billkey") or part.partition(b"=")[2] in (b"", b"***"), kept
