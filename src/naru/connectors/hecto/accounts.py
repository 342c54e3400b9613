"""Virtual accounts in Hecto's words: issue (M13, M14), change (M15), revoke (M16), pre-check (M19).

A question about an account carries the time at which it was first asked, so that asking again under the
same number is the identical message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from naru.connectors.hecto import codes, messages, text
from naru.domain.channel import Channel
from naru.domain.outcome import Declined, Details, Done, NotSent, Outcome, Pending, Unknown
from naru.domain.payment import Account
from naru.domain.values import Instant, Won, from_kst, kst_date, kst_stamp, kst_time, won
from naru.service.ports import ChangeAccount, IssueAccount, RevokeAccount

EMAIL_PLAIN = "email_plain"
"""Channel flag: send the e-mail of an escrow account in the clear (S0) instead of encrypted (S1)."""


def _when(asked_at: Instant) -> dict[str, str]:
    return {"trdDt": kst_date(asked_at), "trdTm": kst_time(asked_at)}


def issue(channel: Channel, a: IssueAccount, noti_url: str) -> tuple[messages.Message, dict[str, str]]:
    """The message that issues an account, and its values."""
    values = {
        **_when(a.asked_at),
        "bankCd": a.bank,
        "acntType": a.kind.value,
        "vAcntNo": a.number,
        "prdtNm": text.clean(a.name, 128, "상품"),
        "sellerNm": text.clean(channel.merchant_name, 128, "상점"),
        "ordNm": text.clean(a.buyer_name or a.holder, 30, "구매자"),
        "trdAmt": str(a.amount),
        "dpstrNm": text.clean(a.holder, 50),
        "mchtCustId": text.identifier(a.customer_id),
        "expireDate": kst_stamp(a.due) if a.due is not None else "",
    }
    if a.kind is Account.UNLIMITED:
        return messages.VBANK_ISSUE_UNLIMITED, _given(values)
    values |= {
        **(text.tax(a.amount, a.tax_free, a.vat_amount) or {"taxTypeCd": "N"}),
        "escrAgrYn": "N",
        "csrcIssReqYn": "N",
        "notiUrl": noti_url,
    }
    if a.escrow_password is not None:
        values |= {
            "escrAgrYn": "Y",
            "escrPwd": a.escrow_password.reveal(),
            "rfdDpstrNm": text.clean(a.holder or a.buyer_name, 50, "구매자"),
            "email": text.clean(a.buyer_email, 60),
        }
    return messages.VBANK_ISSUE, _given(values)


def _given(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def issued(a: IssueAccount, answer: Mapping[str, str], now: Instant) -> Outcome:
    """What a successful issue told; an account other than the one asked for is a mismatch."""
    bank, name = codes.bank(answer.get("bankCd"), None)
    number = re.sub(r"\D", "", answer.get("vAcntNo", ""))
    code = answer.get("outRsltCd", "")
    if not answer.get("trdNo") or not number or bank is None:
        return Unknown("발급 응답에 거래번호나 계좌번호가 없습니다", code)
    if bank != a.bank or (a.number and number != a.number):
        return Unknown("요청과 다른 계좌가 발급되었습니다", code, mismatch=True)
    try:
        due = from_kst(answer["expireDate"]) if answer.get("expireDate") else None
    except ValueError:
        return Unknown("발급 응답의 입금기한을 읽을 수 없습니다", code)
    return Done(
        pg_tid=answer["trdNo"],
        amount=a.amount,
        at=now,
        details=Details(account_bank=bank, account_bank_name=name, account_number=number, account_due=due),
    )


def change(a: ChangeAccount) -> dict[str, str]:
    """The values of M15: all of them, changed or not."""
    assert a.due is not None  # Hecto requires it
    return {
        **_when(a.asked_at),
        "bankCd": a.bank,
        "vAcntNo": a.number,
        "expireDate": kst_stamp(a.due),
        "trdAmt": str(a.amount),
        "acntType": a.kind.value,
    }


def revoke(a: RevokeAccount) -> dict[str, str]:
    """The values of M16."""
    return {**_when(a.asked_at), "orgTrdNo": a.org_tid, "vAcntNo": a.number}


def other_account(asked: Mapping[str, str], answer: Mapping[str, str], names: tuple[str, ...]) -> Outcome | None:
    """A mismatch, if the answer speaks of another account than the question. What it leaves out is no mismatch."""
    for name in names:
        told = answer.get(name)
        if told and told.lstrip("0") != asked.get(name, "").lstrip("0"):
            return Unknown(f"응답의 {name}이 요청과 다릅니다", answer.get("outRsltCd", ""), mismatch=True)
    return None


DUPLICATE: Final = frozenset({"ST50"})
"""This order number was used today: ours are unique for ever, so the first copy of the message was processed."""
_NO_PROOF: Final = frozenset({"ST06", "ST08", "ST11"})
"""Refusals that the first copy may have caused itself, or that say nothing about it."""


def repeated(outcome: Outcome, done: Done) -> Outcome:
    """What the answer to a repeated change or revocation proves about the message: it may have been done before."""
    match outcome:
        case Unknown() if outcome.code in DUPLICATE or outcome.code == "ST25":
            return done
        case NotSent():
            return Unknown(outcome.message)
        case Declined() if outcome.code in _NO_PROOF:
            return Unknown(outcome.message, outcome.code)
        case _:
            return outcome


def issue_repeated(outcome: Outcome) -> Outcome:
    """What the answer to a repeated issue proves. That it was done is not enough: its number is still to be told."""
    match outcome:
        case Unknown() if outcome.code in DUPLICATE:
            return Pending(outcome.code, "발급된 것으로 보이나 발급 정보를 아직 받지 못했습니다")
        case NotSent():
            return Unknown(outcome.message)
        case Declined() if outcome.code in _NO_PROOF:
            return Unknown(outcome.message, outcome.code)
        case _:
            return outcome


def account_kind(code: str | None) -> Account:
    """``acntType``; a blank one is a rotating account (Hecto M13)."""
    return {"2": Account.FIXED, "3": Account.UNLIMITED}.get(code or "", Account.ROTATING)


def won_of(digits: str) -> Won | None:
    """An amount in the clear, or None when it is none."""
    return won(int(digits)) if digits.isascii() and digits.isdigit() and len(digits) <= 12 else None


def precheck_answer(content_type: str, code: str, words: str) -> tuple[bytes, str]:
    """``{"rsltCd", "rsltMsg"}`` in the charset in which the question came (S1)."""
    korean = re.search(r"charset=\"?(euc-kr|cp949|ks_c_5601|ms949)", content_type, re.IGNORECASE)
    charset = ("cp949", "EUC-KR") if korean else ("utf-8", "UTF-8")
    body = msgspec.json.encode({"rsltCd": code, "rsltMsg": words}).decode()
    return body.encode(charset[0], "replace"), f"application/json; charset={charset[1]}"
