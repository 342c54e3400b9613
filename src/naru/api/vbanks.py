"""``/vbanks``: virtual accounts. Issuing answers 200 with a code; ``PUT`` and ``DELETE`` refuse with 400 and 404."""

from __future__ import annotations

import re
from typing import Any

from litestar import Response, delete, post, put
from litestar.params import FromPath

from naru.api import answers, wire
from naru.api.guard import ApiRequest, caller, context, params
from naru.domain import standard
from naru.domain.outcome import Declined, NotSent, Outcome
from naru.domain.payment import State, Status, show
from naru.domain.refusal import Refused, Why
from naru.pan import CardSecret
from naru.service import vbank
from naru.service.context import Context
from naru.service.lookup import look_up
from naru.service.settle import TOLD_UNISSUED


def _number(p: wire.Params) -> str | None:
    text = p.text("vbank_num", 32)
    if text is None:
        return None
    digits = re.sub(r"[\s-]", "", text)
    if not (digits.isascii() and digits.isdigit()):
        raise Refused(Why.PARAMETER, name="vbank_num", problem="숫자여야 합니다")
    return digits


def _bank(p: wire.Params) -> str | None:
    text = p.text("vbank_code", 4)
    if text is None:
        return None
    code = standard.bank_code(text)
    if code is None:
        raise Refused(Why.PARAMETER, name="vbank_code", problem="은행 표준코드여야 합니다")
    return code


def _missing(p: wire.Params, *, unlimited: bool, rotating: bool | None) -> list[str]:
    """The guide's required parameters that are not there. *rotating*: None when no channel is named."""
    names = ["merchant_uid"]
    if not unlimited:
        names.append("amount")
    if not rotating or unlimited:
        names.append("vbank_num")
    names.append("vbank_holder")
    missing = [name for name in names if not p.has(name)]
    if rotating is None:
        missing.append("pg")
    if p.has("escrow_password") and not p.has("buyer_email"):
        missing.append("buyer_email")
    return missing


async def read_order(request: ApiRequest, store_id: int, p: wire.Params) -> tuple[vbank.AccountOrder, Any]:
    """What a shop asks for, and the channel that it names. Raises Refused naming all that is missing."""
    cx = context(request)
    unlimited = p.boolean("fixed_unlimited_vbank")
    key, pg = p.text("channel_key", 64), p.text("pg", 80)
    named = bool(key or (pg or "").partition(".")[2])
    channel = await vbank.named_channel(cx, store_id, key=key, pg=pg) if named else None
    rotating = None if channel is None else channel.allows(vbank.ROTATING)
    if missing := _missing(p, unlimited=unlimited, rotating=rotating):
        hint = " 또는 channel_key" if missing[-1] == "pg" else ""
        raise Refused(Why.PARAMETER, name=", ".join(missing) + hint)
    currency = p.text("currency")
    if currency not in (None, "KRW"):
        raise Refused(Why.PARAMETER, name="currency", problem="KRW만 지원합니다")
    merchant_uid = p.need("merchant_uid", 40)
    password = p.text("escrow_password", 64)
    order = vbank.AccountOrder(
        store_id=store_id,
        merchant_uid=merchant_uid,
        holder=p.text("vbank_holder", 16, cut=True) or "",
        name=p.text("name", 40, cut=True) or merchant_uid,
        amount=0 if unlimited else p.need_amount("amount"),
        number=_number(p),
        bank=_bank(p),
        unlimited=unlimited,
        due=p.when("vbank_due"),
        tax_free=p.amount("tax_free") or 0,
        vat_amount=p.amount("vat_amount"),
        escrow_password=CardSecret(password) if password else None,
        buyer_name=p.text("buyer_name", 16, cut=True),
        buyer_email=p.text("buyer_email", 64, cut=True),
        buyer_tel=p.text("buyer_tel", 16, cut=True),
        buyer_addr=p.text("buyer_addr", 128, cut=True),
        buyer_postcode=p.text("buyer_postcode", 8, cut=True),
        custom_data=p.custom_data(),
        notice_urls=p.notice_urls(lambda _url: None),
        user_agent=request.headers.get("user-agent", "")[:400] or None,
    )
    return order, channel


def why_not(outcome: Outcome, checking: str) -> str:
    """The sentence about something that did not come off, with the PG's own code."""
    match outcome:
        case Declined():
            return f"[{outcome.code}] {outcome.message}"
        case NotSent():
            return outcome.message
        case _:
            return checking


async def _shown(cx: Context, store_id: int, imp_uid: str) -> Response[bytes]:
    return answers.ok(wire.payment_object(await look_up(cx, store_id, imp_uid), cx))


@post("/vbanks", status_code=200)
async def issue(request: ApiRequest) -> Response[bytes]:
    """POST /vbanks."""
    who, cx = await caller(request), context(request)
    order, channel = await read_order(request, who.store_id, await params(request))
    done = await vbank.issue(cx, order, channel)
    p = done.settled.payment
    if show(p).status is Status.FAILED:
        if isinstance(done.outcome, Declined | NotSent):
            return answers.fail(f"가상계좌 발급에 실패하였습니다. {why_not(done.outcome, '')}")
        return answers.fail(TOLD_UNISSUED)
    return await _shown(cx, who.store_id, p.imp_uid)


def _checking(what: str) -> str:
    return f"가상계좌 {what} 결과를 확인하고 있습니다. 잠시 후 결제를 조회해 주세요."


async def _change(request: ApiRequest, imp_uid: str | None) -> Response[bytes]:
    who, cx = await caller(request), context(request)
    p = await params(request)
    try:
        uid = wire.segment(imp_uid) if imp_uid is not None else p.need("imp_uid", 40)
        amount, due = p.amount("amount"), p.when("vbank_due")
    except Refused as refused:
        raise Refused(refused.why, **refused.facts, status=400, code=-1) from None
    done = await vbank.change(cx, who.store_id, uid, amount=amount, due=due)
    attempt = done.settled.attempt
    if attempt.state is not State.DONE:
        words = _checking("변경") if attempt.is_open else why_not(done.outcome, _checking("변경"))
        return answers.fail(words if attempt.is_open else f"가상계좌 변경에 실패하였습니다. {words}", status=400)
    return await _shown(cx, who.store_id, uid)


@put("/vbanks/{imp_uid:str}", status_code=200)
async def change_one(request: ApiRequest, imp_uid: FromPath[str]) -> Response[bytes]:
    """PUT /vbanks/{imp_uid}."""
    return await _change(request, imp_uid)


@put("/vbanks", status_code=200)
async def change(request: ApiRequest) -> Response[bytes]:
    """PUT /vbanks with ``imp_uid`` in the body, as the guide writes it."""
    return await _change(request, None)


@delete("/vbanks/{imp_uid:str}", status_code=200)
async def revoke(request: ApiRequest, imp_uid: FromPath[str]) -> Response[bytes]:
    """DELETE /vbanks/{imp_uid}."""
    who, cx = await caller(request), context(request)
    p = await params(request)
    uid = wire.segment(imp_uid)
    done = await vbank.revoke(cx, who.store_id, uid, reason=p.text("reason", 255, cut=True))
    if done is not None and done.settled.attempt.state is not State.DONE:
        attempt = done.settled.attempt
        words = _checking("말소") if attempt.is_open else why_not(done.outcome, _checking("말소"))
        return answers.fail(words if attempt.is_open else f"가상계좌 말소에 실패하였습니다. {words}", status=400)
    return await _shown(cx, who.store_id, uid)


HANDLERS = [issue, change, change_one, revoke]
