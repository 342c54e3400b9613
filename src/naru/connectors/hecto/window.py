"""Hecto's payment window: the form that opens it, and what the browser brings back."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import unquote

from naru.connectors.hecto import codes, messages, text
from naru.connectors.hecto.crypto import Keys
from naru.domain.channel import Channel
from naru.domain.refusal import Refused, Why
from naru.domain.values import kst_date, kst_stamp, kst_time
from naru.service.ports import Landing, WindowForm, WindowPayment

CARD_LEAST, CARD_BELOW = 1_000, 99_999_999
"""Hecto refuses a card payment below the first and from the second on (CA42)."""
CARD_DIRECT: Final = "/card/cardDirect.do"
"""The issuer's page at once: the same form, with ``cardGb`` required (reference M01)."""
_ISSUERS: Final = {code: hecto for hecto, (code, _) in codes.ISSUERS.items()}
"""PortOne's card_code → Hecto's issuer code."""
_CLAIMS: Final = {"0021": "paid", "0031": "failed", "0051": "issued", "0061": "authenticated"}


def build(channel: Channel, keys: Keys, base: str, noti_url: str, p: WindowPayment) -> WindowForm:
    """The form of a payment window. Raises Refused (PARAMETER) for what Hecto would not take."""
    match p.pay_method:
        case "card":
            message, path, more = messages.CARD_WINDOW, CARD_DIRECT if p.direct else None, _card(p)
        case "trans":
            message, path, more = messages.BANK_WINDOW, None, {"appScheme": _scheme(p.app_scheme)}
        case "phone":
            message, path, more = messages.MOBILE_WINDOW, None, {"cphoneNo": _phone(p.buyer_tel)}
            if channel.allows("split"):
                more["linkMethod"] = "HBRD"
        case "vbank":
            due = "" if p.account_due is None else kst_stamp(p.account_due)
            message, path, more = messages.VBANK_WINDOW, None, {"cphoneNo": _phone(p.buyer_tel), "expireDt": due}
        case _:
            raise Refused(Why.NOT_SUPPORTED, what=f"pay_method {p.pay_method} 결제창은 아직 지원하지 않습니다.")
    values = {
        "mchtId": channel.mid,
        "mchtTrdNo": p.attempt_id,
        "trdDt": kst_date(p.opened_at),
        "trdTm": kst_time(p.opened_at),
        "mchtName": text.clean(p.company or channel.merchant_name, 100, "상점"),
        "mchtEName": text.clean(p.company_en or channel.merchant_name_en, 100, "Shop"),
        "pmtPrdtNm": text.clean(p.name, 128, "상품"),
        "trdAmt": str(p.amount),
        "mchtCustNm": text.clean(p.buyer_name, 30),
        "email": text.clean(p.buyer_email, 60),
        "mchtCustId": text.identifier(p.customer_id),
        "custIp": _ipv4(p.remote),
        "notiUrl": noti_url,
        "nextUrl": p.return_url,
        "cancUrl": p.cancel_url,
        **text.tax(p.amount, p.tax_free, p.vat_amount),
        **more,
    }
    form = messages.build_form(message, {k: v for k, v in values.items() if v}, keys)
    return WindowForm(base + (path or message.path), form)


def _card(p: WindowPayment) -> dict[str, str]:
    if not CARD_LEAST <= p.amount < CARD_BELOW:
        problem = f"카드 결제는 {CARD_LEAST:,}원 이상 {CARD_BELOW:,}원 미만이어야 합니다"
        raise Refused(Why.PARAMETER, name="amount", problem=problem)
    values = {"appScheme": _scheme(p.app_scheme)}
    if p.quota is not None:
        values["instmtMon"] = f"{p.quota:02d}"
    if p.card is not None:
        issuer = _ISSUERS.get(p.card)
        if issuer is None:
            name = "card.direct.code" if p.direct else "card.detail.card_code"
            raise Refused(Why.PARAMETER, name=name, problem=f"알 수 없는 카드사 코드입니다: {p.card}")
        values["cardGb"] = issuer
    return values


def _phone(given: str | None) -> str:
    """The buyer's number where it can be a mobile one; the window asks for it otherwise."""
    digits = re.sub(r"[\s-]", "", given or "")
    return digits if re.fullmatch(r"01\d{8,9}", digits) else ""


def _scheme(given: str | None) -> str:
    """``x`` means ``x://``; a whole ``x://path`` is used as it is (PortOne V1)."""
    if not given:
        return ""
    whole = given if "://" in given else f"{given}://"
    return whole if re.fullmatch(r"[A-Za-z][0-9A-Za-z+.-]*://[!-~]*", whole) and len(whole) <= 100 else ""


def _ipv4(remote: str | None) -> str:
    try:
        return str(ipaddress.IPv4Address(remote or ""))  # the field has room for nothing longer
    except ValueError:
        return ""


def read(body: bytes, content_type: str) -> Landing:
    """What the browser posts to nextUrl or cancUrl. Nothing of it is signed."""
    try:
        form = messages.read_form(body, content_type)
    except messages.BadMessage:
        return Landing("unreadable")
    claim = _CLAIMS.get(form.get("outStatCd", ""), "unreadable")
    code = re.sub(r"[^0-9A-Za-z]", "", form.get("outRsltCd", ""))[:8]
    number, tid = form.get("mchtTrdNo", "")[:48], form.get("trdNo", "")[:64]
    return Landing(claim, code, _words(form.get("outRsltMsg", "")), tid, number)


def _words(message: str) -> str:
    if re.search("%[0-9A-Fa-f]{2}", message):
        message = unquote(message, errors="replace")  # some pages encode it a second time (Hecto's specification)
    return re.sub(r"[\x00-\x1f<>]", " ", message).strip()[:200]
