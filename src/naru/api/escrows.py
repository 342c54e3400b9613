"""``/escrows/logis/{imp_uid}``: delivery data of escrow payments, kept by Naru alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from litestar import Response, get, post, put
from litestar.params import FromPath

from naru.api import answers, wire
from naru.api.guard import ApiRequest, caller, context, params
from naru.domain.refusal import Refused, Why
from naru.domain.values import unix
from naru.service import escrow

LOCAL_ONLY = (
    "배송정보를 나루에 저장했습니다. 헥토파이낸셜은 배송정보 전문을 제공하지 않아 결제대행사에는 전달되지 않습니다."
)
MOST_FIELDS = 20
MOST_PRODUCTS = 100
MOST_TEXT = 200


def _bad(name: str, problem: str | None = None) -> Refused:
    facts = {} if problem is None else {"problem": problem}
    return Refused(Why.PARAMETER, name=name, status=400, code=-1, **facts)


def _plain(name: str, value: Any) -> dict[str, Any]:
    """An object of short texts and numbers, given as such, as ``name[field]=`` or as JSON text."""
    if isinstance(value, str):
        value = wire.parse_json(value)
    if not isinstance(value, Mapping):
        raise _bad(name, "항목을 가진 객체여야 합니다")
    fields = cast("Mapping[str, Any]", value)
    if len(fields) > MOST_FIELDS:
        raise _bad(name, f"항목은 {MOST_FIELDS}개 이하여야 합니다")
    out: dict[str, Any] = {}
    for key, item in fields.items():
        if isinstance(item, bool) or not isinstance(item, str | int | float | None):
            raise _bad(f"{name}[{key}]", "문자열 또는 숫자여야 합니다")
        if len(str(item)) > MOST_TEXT or len(key) > MOST_TEXT:
            raise _bad(f"{name}[{key}]", f"{MOST_TEXT}자 이하여야 합니다")
        out[str(key)] = item
    return out


def _delivery(p: wire.Params) -> escrow.Delivery:
    for name in ("sender", "receiver", "logis"):
        if not p.has(name):
            raise _bad(name)
    logis = wire.Params(_plain("logis", p.values["logis"]))
    try:
        sent_at = logis.when("sent_at")
        company, invoice = logis.need("company"), logis.need("invoice")
    except Refused as refused:
        facts = {**refused.facts, "name": f"logis[{refused.facts['name']}]"}
        raise Refused(refused.why, **facts, status=400, code=-1) from None
    if sent_at is None:
        raise _bad("logis[sent_at]")
    given: Any = p.values.get("products") or []
    products: Any = wire.parse_json(given) if isinstance(given, str) else given
    if not isinstance(products, list):
        raise _bad("products", "배열이어야 합니다")
    listed = cast("list[Any]", products)
    if len(listed) > MOST_PRODUCTS:
        raise _bad("products", f"{MOST_PRODUCTS}개 이하여야 합니다")
    return escrow.Delivery(
        sender=_plain("sender", p.values["sender"]),
        receiver=_plain("receiver", p.values["receiver"]),
        logis={"company": company, "invoice": invoice, "sent_at": unix(sent_at)},
        products=[_plain("products", item) for item in listed],
    )


def _shown(kept: escrow.Kept) -> dict[str, Any]:
    return {**kept.delivery.logis, "applied_at": unix(kept.applied_at)}


async def _keep(request: ApiRequest, imp_uid: str, *, new: bool) -> Response[bytes]:
    who, cx = await caller(request), context(request)
    delivery = _delivery(await params(request))
    kept = await escrow.keep(cx, who.store_id, wire.segment(imp_uid), delivery, new=new)
    return answers.envelope(0, LOCAL_ONLY, _shown(kept))


@post("/escrows/logis/{imp_uid:str}", status_code=200)
async def register(request: ApiRequest, imp_uid: FromPath[str]) -> Response[bytes]:
    """POST /escrows/logis/{imp_uid}."""
    return await _keep(request, imp_uid, new=True)


@put("/escrows/logis/{imp_uid:str}", status_code=200)
async def change(request: ApiRequest, imp_uid: FromPath[str]) -> Response[bytes]:
    """PUT /escrows/logis/{imp_uid}."""
    return await _keep(request, imp_uid, new=False)


@get("/escrows/logis/{imp_uid:str}")
async def read(request: ApiRequest, imp_uid: FromPath[str]) -> Response[bytes]:
    """GET /escrows/logis/{imp_uid}."""
    who, cx = await caller(request), context(request)
    kept = await escrow.read(cx, who.store_id, wire.segment(imp_uid))
    return answers.envelope(0, None, _shown(kept))


HANDLERS = [register, change, read]
