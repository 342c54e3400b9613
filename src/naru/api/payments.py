"""``/payments…``: looking payments up, and cancelling them."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath

from naru.api import answers, wire
from naru.api.guard import ApiRequest, caller, context, params, query
from naru.domain.outcome import Declined, NotSent, Unknown
from naru.domain.payment import State
from naru.domain.refusal import Refused, Why
from naru.domain.values import DAY, Instant
from naru.service.cancel import CancelOrder, cancel
from naru.service.context import Context
from naru.service.lookup import learnt, look_up
from naru.store import views

MAX_IDS = 100
MAX_LIMIT = 1000
WINDOW_MS = 90 * DAY
BALANCE_LITERAL = (
    "(현재는 PAYCO, KCP만 지원됩니다) 결제건에 대한 금액상세정보가 확인되지 않습니다. "
    "결제 상태가 paid 또는 cancelled가 아닌 경우 확인되지 않습니다."
)


async def _hidden(cx: Context, store_id: int, view: views.PaymentView, asked: bool | None) -> bool:
    """Test payments are hidden in a store that has a live channel, unless they are asked for."""
    if not view.row.sandbox:
        return False
    return not (await cx.shows_tests(store_id) if asked is None else asked)


@get("/payments/{imp_uid:str}")
async def one(request: ApiRequest, imp_uid: FromPath[str]) -> Response[bytes]:
    """GET /payments/{imp_uid}."""
    who, cx = await caller(request), context(request)
    q = query(request)
    asked = q.boolean("include_sandbox") if q.has("include_sandbox") else None
    view = await look_up(cx, who.store_id, wire.segment(imp_uid))
    if await _hidden(cx, who.store_id, view, asked):
        raise Refused(Why.PAYMENT_NOT_FOUND)
    return answers.ok(wire.payment_object(view, cx))


@get("/payments")
async def several(request: ApiRequest) -> Response[bytes]:
    """GET /payments?imp_uid[]=…&merchant_uid[]=…: 200 all found, 207 some, 404 none."""
    who, cx = await caller(request), context(request)
    q = query(request)
    imp_uids, merchant_uids = q.texts("imp_uid"), q.texts("merchant_uid")
    wanted = len(set(imp_uids)) + len(set(merchant_uids))
    if not wanted:
        raise Refused(Why.PARAMETER, name="imp_uid", status=400, code=-1)
    if wanted > MAX_IDS:
        raise Refused(Why.PARAMETER, name="imp_uid", problem=f"{MAX_IDS}개까지 조회할 수 있습니다", status=400, code=-1)
    found = await cx.db.read(views.many, who.store_id, imp_uids, merchant_uids, MAX_LIMIT)
    if not found:
        raise Refused(Why.PAYMENT_NOT_FOUND)
    have = {v.row.imp_uid for v in found} & set(imp_uids)
    have_orders = {v.row.merchant_uid for v in found} & set(merchant_uids)
    whole = len(have) + len(have_orders) == wanted
    return answers.ok([wire.payment_object(v, cx) for v in found], 200 if whole else 207)


def _status(text: str | None, *, anything: tuple[str, ...] = ("", "all", "undefined")) -> str | None:
    if text is None or text in anything:
        return None
    if text not in views.STATUSES:
        raise Refused(Why.STATUS_UNKNOWN)
    return text


def _sorting(q: wire.Params) -> str:
    given = q.text("sorting") or "-started"
    if given not in views.SORTS:
        raise Refused(
            Why.PARAMETER, name="sorting", problem=f"{', '.join(views.SORTS)} 중 하나여야 합니다", status=400, code=-1
        )
    return given


def paging(q: wire.Params) -> tuple[int, int]:
    """``page`` from 1 and ``limit`` 1…1000, default 20. Raises Refused (400)."""
    with answers.bad_requests():
        number, limit = q.integer("page"), q.integer("limit")
    number = 1 if number is None else number
    limit = 20 if limit is None else limit
    if not 1 <= number <= 10**7:
        raise Refused(Why.PARAMETER, name="page", problem="1 이상이어야 합니다", status=400, code=-1)
    if not 1 <= limit <= MAX_LIMIT:
        raise Refused(Why.PARAMETER, name="limit", problem=f"1~{MAX_LIMIT}이어야 합니다", status=400, code=-1)
    return number, limit


@get(["/payments/find/{merchant_uid:str}", "/payments/find/{merchant_uid:str}/{status:str}"])
async def find(
    request: ApiRequest, merchant_uid: FromPath[str], status: FromPath[str | None] = None
) -> Response[bytes]:
    """GET /payments/find/{merchant_uid}[/{status}]."""
    who, cx = await caller(request), context(request)
    view = await cx.db.glance(
        views.find, who.store_id, wire.segment(merchant_uid), _status(status), _sorting(query(request))
    )
    if view is None:
        raise Refused(Why.PAYMENT_NOT_FOUND)
    await learnt(cx, view)
    return answers.ok(wire.payment_object(view, cx))


@get(["/payments/findAll/{merchant_uid:str}", "/payments/findAll/{merchant_uid:str}/{status:str}"])
async def find_all(
    request: ApiRequest, merchant_uid: FromPath[str], status: FromPath[str | None] = None
) -> Response[bytes]:
    """GET /payments/findAll/{merchant_uid}[/{status}]."""
    who, cx = await caller(request), context(request)
    q = query(request)
    number, limit = paging(q)
    page = await cx.db.read(
        views.find_all, who.store_id, wire.segment(merchant_uid), _status(status), _sorting(q), number, limit
    )
    if page.total == 0:
        raise Refused(Why.PAYMENT_NOT_FOUND)
    if not page.items:
        raise Refused(Why.PAGE_BEYOND)
    return answers.ok(wire.page_object(page, cx))


@get("/payments/status/{status:str}")
async def by_status(request: ApiRequest, status: FromPath[str]) -> Response[bytes]:
    """GET /payments/status/{status}: each payment is compared by its own status's time, in a window of 90 days."""
    who, cx = await caller(request), context(request)
    q = query(request)
    wanted = _status(status, anything=("all",))
    number, limit = paging(q)
    with answers.bad_requests():
        since, until = q.when("from"), q.when("to")
    until = Instant(cx.clock()) if until is None else Instant(until + 999)
    since = Instant(max(0, until - WINDOW_MS)) if since is None else since
    if not 0 <= until - since <= WINDOW_MS + 999:
        raise Refused(Why.PARAMETER, name="from", problem="조회 기간은 90일 이내여야 합니다", status=400, code=-1)
    page = await cx.db.read(views.by_status, who.store_id, wanted, since, until, _sorting(q), number, limit)
    if not page.items and number > 1:
        raise Refused(Why.PAGE_BEYOND, status=400)
    return answers.ok(wire.page_object(page, cx))


@get("/payments/{imp_uid:str}/balance")
async def balance(request: ApiRequest, imp_uid: FromPath[str]) -> Response[bytes]:
    """GET /payments/{imp_uid}/balance: PAYCO's and KCP's only, so never here."""
    who, cx = await caller(request), context(request)
    if await cx.db.glance(views.payment, who.store_id, wire.segment(imp_uid)) is None:
        raise Refused(Why.PAYMENT_NOT_FOUND)
    return answers.fail(BALANCE_LITERAL, status=404)


@post("/payments/cancel", status_code=200)
async def cancel_payment(request: ApiRequest) -> Response[bytes]:
    """POST /payments/cancel."""
    who, cx = await caller(request), context(request)
    p = await params(request)
    order = CancelOrder(
        store_id=who.store_id,
        imp_uid=p.text("imp_uid"),
        merchant_uid=p.text("merchant_uid"),
        amount=p.amount("amount"),
        tax_free=p.amount("tax_free"),
        checksum=p.amount("checksum"),
        reason=p.text("reason", 255, cut=True),
        webhook=p.boolean("enable_webhook"),
        idempotency_key=(request.headers.get("idempotency-key") or "")[:100] or None,
        pg_tid=p.text("pg_tid", 64),
        refund_holder=p.text("refund_holder", 50),
        refund_bank=p.text("refund_bank", 4),
        refund_account=p.text("refund_account", 32),
    )
    done = await cancel(cx, order)
    if done.settled is not None:
        attempt = done.settled.attempt
        if attempt.is_open:
            return answers.fail(
                "취소 결과를 확인하고 있습니다. 같은 요청을 다시 보내거나 결제를 조회하면 결과를 알 수 있습니다.",
                code=1,
            )
        if attempt.state is not State.DONE:
            return answers.fail(f"결제취소에 실패하였습니다.({_why_not(done.outcome)})")
    return answers.ok(wire.payment_object(await look_up(cx, who.store_id, done.imp_uid), cx))


def _why_not(outcome: Any) -> str:
    match outcome:
        case Declined():
            return f"[{outcome.code}] {outcome.message}"
        case NotSent() | Unknown():
            return outcome.message
        case _:
            return "알 수 없음"


HANDLERS = [several, find, find_all, by_status, balance, one, cancel_payment]
