"""``/receipts…``: cash receipts of payments, and of sales outside Naru.

Unlike other actions they answer real 4xx and 5xx statuses (PortOne's schema): 400 for what the rules
turn down, 500 where the tax desk refused, 501 where the merchant has no contract for it.
"""

from __future__ import annotations

from typing import Any

from litestar import Response, delete, get, post
from litestar.params import FromPath

from naru.api import answers, wire
from naru.api.guard import ApiRequest, caller, context, params, query
from naru.domain.outcome import Declined, NotSent, Sealed
from naru.domain.receipts import Identifier, Kind, check_identifier
from naru.domain.refusal import Refused, Why
from naru.domain.values import unix
from naru.service import receipts
from naru.service.receipts import Answered, Buyer, Sale, Standing

NO_CONTRACT = "1000"
CHECKING = "현금영수증 처리 결과를 확인하고 있습니다. 잠시 후 조회해 주세요."


def read_buyer(p: wire.Params) -> Buyer:
    """Who the receipt is for. Raises Refused naming the parameter, never its value."""
    digits = p.need("identifier", 30).replace("-", "").replace(" ", "")
    given = p.text("identifier_type")
    if given is None:
        raise Refused(Why.PARAMETER, name="identifier_type")
    if given not in tuple(i.value for i in Identifier):
        raise Refused(
            Why.PARAMETER, name="identifier_type", problem=f"{', '.join(Identifier)} 중 하나여야 합니다"
        )  # fmt: skip
    kind = p.text("type") or (Kind.COMPANY if given == Identifier.BUSINESS else Kind.PERSON).value
    if kind not in tuple(k.value for k in Kind):
        raise Refused(Why.PARAMETER, name="type", problem=f"{', '.join(Kind)} 중 하나여야 합니다")
    check_identifier(Identifier(given), digits)
    return Buyer(
        identifier=Sealed(digits), identifier_type=Identifier(given), kind=Kind(kind),
        name=p.text("buyer_name", 30, cut=True),
    )  # fmt: skip


def receipt_object(found: Standing) -> dict[str, Any]:
    """The V1 receipt object; of a sale outside Naru with ``merchant_uid`` in place of ``imp_uid``."""
    r, back = found.issued, found.cancelled
    name = {"imp_uid": r.imp_uid} if r.imp_uid else {"merchant_uid": r.merchant_uid}
    return {
        **name,
        "receipt_tid": r.id,
        "apply_num": r.auth_no,
        "type": r.kind,
        "amount": r.supply + r.vat + r.tax_free,
        "vat": r.vat,
        "receipt_url": None,
        "applied_at": unix(r.asked_at),
        "cancelled_at": unix(back.settled_at if back else None),
    }


def _failed(done: Answered, what: str) -> Response[bytes] | None:
    if done.row.state == "done":
        return None
    match done.outcome:
        case Declined():
            status = 501 if done.outcome.code == NO_CONTRACT else 500
            why = f"[{done.outcome.code}] {done.outcome.message}"
            return answers.fail(f"{what}에 실패하였습니다.({why})", status=status)
        case NotSent():
            return answers.fail(f"{what}에 실패하였습니다.({done.outcome.message})", status=500)
        case _:
            return answers.fail(CHECKING, status=500)


@get("/receipts/{imp_uid:str}")
async def look_up(request: ApiRequest, imp_uid: FromPath[str]) -> Response[bytes]:
    """GET /receipts/{imp_uid}."""
    who, cx = await caller(request), context(request)
    found = await receipts.look_up(
        cx, who.store_id, imp_uid=wire.segment(imp_uid), pg_tid=query(request).text("pg_tid", 64)
    )
    return answers.ok(receipt_object(found))


@post("/receipts/{imp_uid:str}", status_code=200)
async def issue(request: ApiRequest, imp_uid: FromPath[str]) -> Response[bytes]:
    """POST /receipts/{imp_uid}."""
    who, cx = await caller(request), context(request)
    uid = wire.segment(imp_uid)
    with answers.bad_requests():
        p = await params(request)
        pg_tid = p.text("pg_tid", 64)
        done = await receipts.issue(
            cx, who.store_id, uid, read_buyer(p), tax_free=p.amount("tax_free"), vat=_vat(p), pg_tid=pg_tid
        )
    return _failed(done, "현금영수증 발급") or answers.ok(
        receipt_object(await receipts.look_up(cx, who.store_id, imp_uid=uid, pg_tid=pg_tid))
    )


@delete("/receipts/{imp_uid:str}", status_code=200)
async def cancel(request: ApiRequest, imp_uid: FromPath[str]) -> Response[bytes]:
    """DELETE /receipts/{imp_uid}."""
    who, cx = await caller(request), context(request)
    uid = wire.segment(imp_uid)
    with answers.bad_requests():
        pg_tid = (await params(request)).text("pg_tid", 64)
        done = await receipts.cancel(cx, who.store_id, imp_uid=uid, pg_tid=pg_tid)
    return _failed(done, "현금영수증 취소") or answers.ok(
        receipt_object(await receipts.look_up(cx, who.store_id, imp_uid=uid, pg_tid=pg_tid))
    )


@get("/receipts/external/{merchant_uid:str}")
async def look_up_external(request: ApiRequest, merchant_uid: FromPath[str]) -> Response[bytes]:
    """GET /receipts/external/{merchant_uid}."""
    who, cx = await caller(request), context(request)
    return answers.ok(receipt_object(await receipts.look_up(cx, who.store_id, merchant_uid=wire.segment(merchant_uid))))


@post("/receipts/external/{merchant_uid:str}", status_code=200)
async def issue_external(request: ApiRequest, merchant_uid: FromPath[str]) -> Response[bytes]:
    """POST /receipts/external/{merchant_uid}."""
    who, cx = await caller(request), context(request)
    with answers.bad_requests():
        p = await params(request)
        uid = wire.segment(merchant_uid)
        if len(uid) > 40:
            raise Refused(Why.PARAMETER, name="merchant_uid", problem="40자 이하여야 합니다")
        sale = Sale(
            merchant_uid=uid, name=p.need("name")[:40], amount=p.need_amount("amount"),
            channel_key=p.text("channel_key", 64), pg=p.text("pg", 80),
        )  # fmt: skip
        done = await receipts.issue_for_sale(
            cx, who.store_id, sale, read_buyer(p), tax_free=p.amount("tax_free"), vat=_vat(p)
        )
    return _failed(done, "현금영수증 발급") or answers.ok(
        receipt_object(await receipts.look_up(cx, who.store_id, merchant_uid=uid))
    )


@delete("/receipts/external/{merchant_uid:str}", status_code=200)
async def cancel_external(request: ApiRequest, merchant_uid: FromPath[str]) -> Response[bytes]:
    """DELETE /receipts/external/{merchant_uid}: 404 where nothing was ever issued."""
    who, cx = await caller(request), context(request)
    uid = wire.segment(merchant_uid)
    await receipts.look_up(cx, who.store_id, merchant_uid=uid)
    with answers.bad_requests():
        done = await receipts.cancel(cx, who.store_id, merchant_uid=uid)
    return _failed(done, "현금영수증 취소") or answers.ok(
        receipt_object(await receipts.look_up(cx, who.store_id, merchant_uid=uid))
    )


def _vat(p: wire.Params) -> int | None:
    """``vat`` is the older name; a 0 there is what typed clients send for "not given"."""
    vat = p.amount("vat_amount")
    return vat if vat is not None else p.amount("vat") or None


HANDLERS = [look_up, issue, cancel, look_up_external, issue_external, cancel_external]
