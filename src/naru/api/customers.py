"""``/subscribe/customers…``: billing keys."""

from __future__ import annotations

from typing import Any

from litestar import Response, delete, get, post
from litestar.params import FromPath

from naru.api import answers, wire
from naru.api.guard import ApiRequest, caller, context, params, query
from naru.api.payments import MAX_IDS, paging
from naru.api.subscribe import read_card
from naru.domain.channel import Channel
from naru.domain.refusal import Refused, Why
from naru.domain.values import unix
from naru.service import billing
from naru.service.billing import NUMBER_REFUSED, Customer
from naru.store import billing as store
from naru.store import views

ISSUE_REFUSED = "카드정보 인증 및 빌키 발급에 실패하였습니다."


def customer_object(row: Any, channel: Channel) -> dict[str, Any]:
    """V1's Customer: a billing key without the key."""
    return {
        "customer_uid": row.customer_uid,
        "pg_provider": "settle",
        "pg_id": channel.mid,
        "sandbox": channel.is_test,
        "customer_id": row.customer_id,
        "card_name": row.card_name or "",
        "card_code": row.card_code,
        "card_issuer_code": None,
        "card_issuer_name": None,
        "card_publisher_code": None,
        "card_publisher_name": None,
        "card_number": row.card_number,
        "card_type": None,
        "customer_name": row.customer_name,
        "customer_tel": row.customer_tel,
        "customer_email": row.customer_email,
        "customer_addr": row.customer_addr,
        "customer_postcode": row.customer_postcode,
        "inserted": unix(row.inserted_at),
        "updated": unix(row.updated_at),
    }


def read_customer(store_id: int, customer_uid: str, p: wire.Params) -> Customer:
    """What a request says about a customer. Raises Refused when the customer_uid is too long."""
    if len(customer_uid) > 80:
        raise Refused(Why.PARAMETER, name="customer_uid", problem="80자 이하여야 합니다")
    return Customer(
        store_id=store_id,
        customer_uid=customer_uid,
        customer_id=p.text("customer_id", 80, cut=True),
        name=p.text("customer_name", 20, cut=True),
        tel=p.text("customer_tel", 20, cut=True),
        email=p.text("customer_email", 200, cut=True),
        addr=p.text("customer_addr", 200, cut=True),
        postcode=p.text("customer_postcode", 8, cut=True),
    )


async def _answer(request: ApiRequest, row: Any) -> Response[bytes]:
    channel = await context(request).channel(row.store_id, row.channel_id)
    return answers.ok(customer_object(row, channel))


@get("/subscribe/customers")
async def several(request: ApiRequest) -> Response[bytes]:
    """GET /subscribe/customers?customer_uid[]=…: 200 all found, 207 some, 404 none."""
    who, cx = await caller(request), context(request)
    uids = list(dict.fromkeys(query(request).texts("customer_uid")))
    if not uids:
        raise Refused(Why.PARAMETER, name="customer_uid", status=400, code=-1)
    if len(uids) > MAX_IDS:
        problem = f"{MAX_IDS}개까지 조회할 수 있습니다"
        raise Refused(Why.PARAMETER, name="customer_uid", problem=problem, status=400, code=-1)
    rows = {r.customer_uid: r for r in await cx.db.glance(store.current_keys, who.store_id, uids)}
    if not rows:
        raise Refused(Why.CUSTOMER_NOT_FOUND, customer_uid=", ".join(uids), status=404, code=-1)
    channels = {c.id: c for c in await cx.channels(who.store_id)}
    found = [customer_object(rows[uid], channels[rows[uid].channel_id]) for uid in uids if uid in rows]
    return answers.ok(found, 200 if len(found) == len(uids) else 207)


@get("/subscribe/customers/{customer_uid:str}")
async def one(request: ApiRequest, customer_uid: FromPath[str]) -> Response[bytes]:
    """GET /subscribe/customers/{customer_uid}."""
    who, cx = await caller(request), context(request)
    uid = wire.segment(customer_uid)
    row = await billing.current(cx, who.store_id, uid)
    if row is None:
        raise Refused(Why.CUSTOMER_NOT_FOUND, customer_uid=uid)
    return await _answer(request, row)


@post("/subscribe/customers/{customer_uid:str}", status_code=200)
async def issue(request: ApiRequest, customer_uid: FromPath[str]) -> Response[bytes]:
    """POST /subscribe/customers/{customer_uid}: every refusal is -1 and opens with the same sentence."""
    who, cx = await caller(request), context(request)
    p = await params(request)
    try:
        customer = read_customer(who.store_id, wire.segment(customer_uid), p)
        row = await billing.issue(
            cx, customer, read_card(p), channel_key=p.text("channel_key", 64), pg=p.text("pg", 80)
        )
    except Refused as refusal:
        return answers.fail(f"{ISSUE_REFUSED} {refused_words(refusal)}")
    return await _answer(request, row)


def refused_words(refusal: Refused) -> str:
    """Why no key was issued, without saying twice that the card failed."""
    return NUMBER_REFUSED if refusal.why is Why.CARD_NUMBER else answers.words(refusal)


@delete("/subscribe/customers/{customer_uid:str}", status_code=200)
async def remove(request: ApiRequest, customer_uid: FromPath[str]) -> Response[bytes]:
    """DELETE /subscribe/customers/{customer_uid}: also at Hecto. Answers with the key as it was."""
    who, cx = await caller(request), context(request)
    p = await params(request)
    row = await billing.delete(cx, who.store_id, wire.segment(customer_uid), p.text("reason", 255, cut=True))
    return await _answer(request, row)


@get("/subscribe/customers/{customer_uid:str}/payments")
async def payments(request: ApiRequest, customer_uid: FromPath[str]) -> Response[bytes]:
    """GET /subscribe/customers/{customer_uid}/payments."""
    who, cx = await caller(request), context(request)
    uid = wire.segment(customer_uid)
    number, limit = paging(query(request))
    page = await cx.db.read(views.by_customer, who.store_id, uid, number, limit)
    if page.total == 0 and not await cx.db.glance(store.keys_of, who.store_id, uid):
        raise Refused(Why.CUSTOMER_NOT_FOUND, customer_uid=uid, status=404, code=-1)
    if not page.items and number > 1:
        raise Refused(Why.PAGE_BEYOND)
    return answers.ok(wire.page_object(page, cx))


HANDLERS = [several, one, issue, remove, payments]
