"""``/subscribe/payments/schedule…``: scheduled payments."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post, put
from litestar.params import FromPath

from naru.api import answers, wire
from naru.api.customers import ISSUE_REFUSED, read_customer, refused_words
from naru.api.guard import ApiRequest, caller, context, params, query
from naru.api.payments import paging
from naru.api.subscribe import read_card, read_customer_uid, read_order, why_failed
from naru.domain.billing import ScheduleStatus
from naru.domain.channel import Channel
from naru.domain.refusal import Refused, Why
from naru.domain.values import DAY, Instant, unix
from naru.service import schedules
from naru.service.schedules import CardRefused, Item
from naru.store import schedules as store
from naru.store import views

WINDOW_MS = 93 * DAY
"""PortOne's three months, whichever months they are."""


def schedule_object(row: Any, channel: Channel) -> dict[str, Any]:
    """V1's ScheduleResult: every key, always."""
    executed = row.status == ScheduleStatus.EXECUTED
    # "ready" is a charge whose result is still to come, which V1's schedules have no word for.
    status = row.payment_status if executed and row.payment_status != "ready" else None
    return {
        "customer_uid": row.customer_uid,
        "merchant_uid": row.merchant_uid,
        "imp_uid": row.imp_uid if executed else None,
        "pg_provider": "settle",
        "pg_id": channel.mid,
        "customer_id": None,
        "schedule_at": unix(row.schedule_at),
        "executed_at": unix(row.executed_at) if executed else 0,
        "revoked_at": unix(row.revoked_at) if row.status == ScheduleStatus.REVOKED else 0,
        "amount": row.amount,
        "currency": "KRW",
        "name": row.name,
        "buyer_name": row.buyer_name,
        "buyer_email": row.buyer_email,
        "buyer_tel": row.buyer_tel,
        "buyer_addr": row.buyer_addr,
        "buyer_postcode": row.buyer_postcode,
        "custom_data": row.custom_data,
        "schedule_status": row.status,
        "payment_status": status,
        "fail_reason": row.fail_reason if status == "failed" else None,
        "promotion_id": None,
    }


async def _objects(request: ApiRequest, store_id: int, rows: list[Any]) -> list[dict[str, Any]]:
    channels = {c.id: c for c in await context(request).channels(store_id)}
    return [schedule_object(row, channels[row.channel_id]) for row in rows]


async def _one(request: ApiRequest, store_id: int, row: Any) -> Response[bytes]:
    return answers.ok((await _objects(request, store_id, [row]))[0])


def _need_time(p: wire.Params, **facts: Any) -> Instant:
    at = p.when("schedule_at")
    if at is None:
        raise Refused(Why.PARAMETER, name="schedule_at", **facts)
    return at


@post("/subscribe/payments/schedule", status_code=200)
async def book(request: ApiRequest) -> Response[bytes]:
    """POST /subscribe/payments/schedule: all or none, an array in request order."""
    who, cx = await caller(request), context(request)
    p = await params(request)
    customer_uid = read_customer_uid(p)
    if customer_uid is None:
        raise Refused(Why.PARAMETER, name="customer_uid")
    wanted = p.objects("schedules")
    orders = [read_order(request, who.store_id, q, customer_uid=customer_uid) for q in wanted]
    items = [Item(order, _need_time(q)) for order, q in zip(orders, wanted, strict=True)]
    customer = read_customer(who.store_id, customer_uid, p)
    try:
        rows = await schedules.book(
            cx, customer, items, card=read_card(p) if p.has("card_number") else None,
            checking_amount=p.amount("checking_amount") or 0, channel_key=p.text("channel_key", 64),
            pg=p.text("pg", 80),
        )  # fmt: skip
    except CardRefused as refused:
        return answers.fail(why_failed(refused.charged.outcome))
    except Refused as refusal:
        if refusal.why is not Why.KEY_ISSUE:
            raise
        return answers.fail(f"{ISSUE_REFUSED} {refused_words(refusal)}")
    return answers.ok(await _objects(request, who.store_id, rows))


@post("/subscribe/payments/unschedule", status_code=200)
async def unschedule(request: ApiRequest) -> Response[bytes]:
    """POST /subscribe/payments/unschedule: of a customer, or those named."""
    who, cx = await caller(request), context(request)
    p = await params(request)
    customer_uid, merchant_uids = read_customer_uid(p), p.texts("merchant_uid")
    if customer_uid is None and not merchant_uids:
        raise Refused(Why.PARAMETER, name="customer_uid")
    rows = await schedules.unschedule(cx, who.store_id, customer_uid, merchant_uids)
    return answers.ok(await _objects(request, who.store_id, rows))


def _window(q: wire.Params) -> tuple[Instant, Instant]:
    """``schedule_from``/``schedule_to``, or ``from``/``to`` as some clients spell it: from ≤ t < to."""
    since = q.when("schedule_from" if q.has("schedule_from") else "from")
    until = q.when("schedule_to" if q.has("schedule_to") else "to")
    for name, value in (("schedule_from", since), ("schedule_to", until)):
        if value is None:
            raise Refused(Why.PARAMETER, name=name, status=400, code=-1)
    assert since is not None
    assert until is not None
    if not 0 <= until - since <= WINDOW_MS:
        raise Refused(
            Why.PARAMETER, name="schedule_to", problem="조회 기간은 3개월 이내여야 합니다", status=400, code=-1
        )
    return since, until


async def _list(request: ApiRequest, customer_uid: str | None) -> Response[bytes]:
    who, cx = await caller(request), context(request)
    q = query(request)
    since, until = _window(q)
    status = q.text("schedule-status") or q.text("schedule_status") or q.text("status")
    if status not in (None, "all", *ScheduleStatus):
        raise Refused(Why.STATUS_UNKNOWN)
    sorting = q.text("sorting") or store.SORTS[0]
    if sorting not in store.SORTS:
        problem = f"{', '.join(store.SORTS)} 중 하나여야 합니다"
        raise Refused(Why.PARAMETER, name="sorting", problem=problem, status=400, code=-1)
    number, limit = paging(q)
    page = await cx.db.read(
        store.listed, who.store_id, since=since, until=until, customer_uid=customer_uid,
        status=None if status == "all" else status, sorting=sorting, number=number, limit=limit,
    )  # fmt: skip
    if not page.items and number > 1:
        raise Refused(Why.PAGE_BEYOND, status=400)
    return answers.ok(
        {
            "total": page.total,
            "previous": number - 1,
            "next": number + 1 if number * limit < page.total else 0,
            "list": await _objects(request, who.store_id, page.items),
        }
    )


@get("/subscribe/payments/schedule")
async def by_time(request: ApiRequest) -> Response[bytes]:
    """GET /subscribe/payments/schedule?schedule_from=…&schedule_to=…."""
    return await _list(request, None)


@get(
    [
        "/subscribe/payments/schedule/customers/{customer_uid:str}",
        "/subscribe/customers/{customer_uid:str}/schedules",
    ]
)
async def by_customer(request: ApiRequest, customer_uid: FromPath[str]) -> Response[bytes]:
    """GET …/schedule/customers/{customer_uid} and …/customers/{customer_uid}/schedules."""
    return await _list(request, wire.segment(customer_uid))


@get("/subscribe/payments/schedule/{merchant_uid:str}")
async def one(request: ApiRequest, merchant_uid: FromPath[str]) -> Response[bytes]:
    """GET /subscribe/payments/schedule/{merchant_uid}."""
    who, cx = await caller(request), context(request)
    return await _one(request, who.store_id, await schedules.find(cx, who.store_id, wire.segment(merchant_uid)))


@put("/subscribe/payments/schedule/{merchant_uid:str}")
async def move(request: ApiRequest, merchant_uid: FromPath[str]) -> Response[bytes]:
    """PUT /subscribe/payments/schedule/{merchant_uid}."""
    who, cx = await caller(request), context(request)
    at = _need_time(await params(request), status=400, code=-1)
    return await _one(request, who.store_id, await schedules.move(cx, who.store_id, wire.segment(merchant_uid), at))


@post("/subscribe/payments/schedule/{merchant_uid:str}/reschedule", status_code=200)
async def rebook(request: ApiRequest, merchant_uid: FromPath[str]) -> Response[bytes]:
    """POST /subscribe/payments/schedule/{merchant_uid}/reschedule: a failed or revoked schedule, anew."""
    who, cx = await caller(request), context(request)
    at = _need_time(await params(request), status=400, code=-1)
    return await _one(request, who.store_id, await schedules.rebook(cx, who.store_id, wire.segment(merchant_uid), at))


@post("/subscribe/payments/schedule/{merchant_uid:str}/retry", status_code=200)
async def retry(request: ApiRequest, merchant_uid: FromPath[str]) -> Response[bytes]:
    """POST /subscribe/payments/schedule/{merchant_uid}/retry: charge now. 200 with the payment, paid or failed."""
    who, cx = await caller(request), context(request)
    imp_uid = await schedules.retry(cx, who.store_id, wire.segment(merchant_uid))
    view = await cx.db.glance(views.payment, who.store_id, imp_uid)
    assert view is not None
    return answers.ok(wire.payment_object(view, cx))


HANDLERS = [book, unschedule, by_time, by_customer, one, move, rebook, retry]
