"""Read-only queries for the API's look-ups and lists. Reads bypass the domain."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, and_, bindparam, func, select

from naru.domain.payment import MONEY_IN
from naru.store import counts
from naru.store.db import Tx
from naru.store.statement import Statement
from naru.store.tables import entries, payments

_IN = tuple(k.value for k in MONEY_IN)
_PAYMENT = Statement(
    select(payments).where(payments.c.store_id == bindparam("store_id"), payments.c.imp_uid == bindparam("imp_uid"))
)
_ENTRIES = Statement(
    select(entries)
    .where(entries.c.imp_uid == bindparam("imp_uid"))
    .order_by(entries.c.at, entries.c.recorded_at, entries.c.id)
)
_ENTRIES_OF = Statement(
    select(entries)
    .where(entries.c.imp_uid.in_(bindparam("imp_uids", expanding=True)))
    .order_by(entries.c.at, entries.c.recorded_at, entries.c.id)
)
_NEWEST_OF_FEW = ((payments.c.started_at + 0).desc(), payments.c.imp_uid.desc())
"""Newest first, for the few payments that an index finds. Adding nothing keeps SQLite from walking the index of all
payments instead, which it likes for its order and on which these few may be anywhere."""
_CANCELLABLE = Statement(
    select(payments.c.imp_uid, payments.c.status, payments.c.amount, payments.c.cancel_amount)
    .where(
        payments.c.store_id == bindparam("store_id"),
        payments.c.merchant_uid == bindparam("merchant_uid"),
        payments.c.status.in_(("paid", "cancelled")),
    )
    .order_by(*_NEWEST_OF_FEW)
    .limit(50)
)
_MANY = Statement(
    select(payments)
    .where(
        # The store in both halves, and nowhere else: so each half finds its own index.
        and_(
            payments.c.store_id == bindparam("store_id"),
            payments.c.imp_uid.in_(bindparam("imp_uids", expanding=True)),
        )
        | and_(
            payments.c.store_id == bindparam("store_id"),
            payments.c.merchant_uid.in_(bindparam("merchant_uids", expanding=True)),
        )
    )
    .order_by(*_NEWEST_OF_FEW)
    .limit(bindparam("most"))
)
_BY_TID = Statement(select(entries.c.imp_uid).where(entries.c.pg_tid == bindparam("tid")).limit(1))
_PAYMENT_BY_TID = Statement(select(payments.c.imp_uid).where(payments.c.pg_tid == bindparam("tid")).limit(1))

EARLY_MS = 24 * 3_600_000
"""The PG's clock says when a payment was approved: so much earlier than ours it may be."""
SORTS = ("-started", "started", "-paid", "paid", "-updated", "updated")
STATUSES = ("ready", "paid", "cancelled", "failed")


@dataclass(frozen=True, slots=True)
class PaymentView:
    """A payment's row with the money that came in and went back, oldest first."""

    row: Any
    came: list[Any] = field(default_factory=list)
    back: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: its items, how many there are in all, the page's number from 1."""

    total: int
    number: int
    limit: int
    items: list[PaymentView]


def _with_entries(row: Any, found: list[Any]) -> PaymentView:
    return PaymentView(row, [e for e in found if e.kind in _IN], [e for e in found if e.kind not in _IN])


def _needs_entries(row: Any) -> bool:
    return bool(row.cancel_amount or row.account == "3")


def payment(store_id: int, imp_uid: str) -> Tx[PaymentView | None]:
    """One payment of a store. What it says of cancels agrees with itself also at a `glance`."""
    rows = yield _PAYMENT(store_id=store_id, imp_uid=imp_uid)
    if not rows:
        return None
    if not _needs_entries(rows[0]):
        return PaymentView(rows[0])
    found = yield _ENTRIES(imp_uid=imp_uid)
    view = _with_entries(rows[0], found)
    if sum(e.amount for e in view.back) == view.row.cancel_amount:
        return view
    # A cancel was settled between the two: the row as it is now.
    rows = yield _PAYMENT(store_id=store_id, imp_uid=imp_uid)
    return PaymentView(rows[0], view.came, view.back)


def of_row(row: Any | None) -> PaymentView | None:
    """A payment of which nothing came back yet, from its row alone; None where more must be read.

    With a billing key there is more to its row than the one who settled it has seen.
    """
    if row is None or _needs_entries(row) or row.customer_uid is not None:
        return None
    return PaymentView(row)


def _fill(rows: list[Any]) -> Tx[list[PaymentView]]:
    wanted = [r.imp_uid for r in rows if _needs_entries(r)]
    by_payment: dict[str, list[Any]] = {}
    if wanted:
        found = yield _ENTRIES_OF(imp_uids=wanted)
        for e in found:
            by_payment.setdefault(e.imp_uid, []).append(e)
    return [_with_entries(r, by_payment.get(r.imp_uid, [])) for r in rows]


def many(store_id: int, imp_uids: list[str], merchant_uids: list[str], most: int) -> Tx[list[PaymentView]]:
    """Payments of these ids or orders, newest first."""
    rows = yield _MANY(store_id=store_id, imp_uids=imp_uids or [""], merchant_uids=merchant_uids or [""], most=most)
    return (yield from _fill(rows))


def cancellable(store_id: int, imp_uid: str | None, merchant_uid: str | None) -> Tx[str | None]:
    """The payment a cancel means: exactly *imp_uid*, or the newest of the order that has something left."""
    if imp_uid is not None:
        rows = yield _PAYMENT(store_id=store_id, imp_uid=imp_uid)
        return rows[0].imp_uid if rows else None
    rows = yield _CANCELLABLE(store_id=store_id, merchant_uid=merchant_uid)
    for row in rows:
        if row.cancel_amount < row.amount or row.amount == 0:
            return row.imp_uid  # type: ignore[no-any-return]
    return rows[0].imp_uid if rows else None


def payment_of_trade(tid: str) -> Tx[str | None]:
    """The payment that the PG's trade number belongs to."""
    rows = yield _BY_TID(tid=tid)
    if not rows:
        rows = yield _PAYMENT_BY_TID(tid=tid)
    return rows[0].imp_uid if rows else None


def _sorted(query: Select[Any], sorting: str) -> Select[Any]:
    column = {"started": payments.c.started_at + 0, "paid": payments.c.paid_at, "updated": payments.c.updated_at}[
        sorting.lstrip("-")
    ]
    if sorting == "-paid":
        return query.order_by(func.coalesce(column, 0).desc(), payments.c.imp_uid.desc())
    if sorting == "paid":
        return query.order_by(func.coalesce(column, 0), payments.c.imp_uid)
    if sorting.startswith("-"):
        return query.order_by(column.desc(), payments.c.imp_uid.desc())
    return query.order_by(column, payments.c.imp_uid)


def _order_query(by_status: bool) -> Select[Any]:
    query = select(payments).where(
        payments.c.store_id == bindparam("store_id"), payments.c.merchant_uid == bindparam("merchant_uid")
    )
    return query.where(payments.c.status == bindparam("status")) if by_status else query


def _status_query(by_status: bool) -> Select[Any]:
    query = select(payments).where(
        payments.c.store_id == bindparam("store_id"),
        payments.c.status_at >= bindparam("since"),
        payments.c.status_at <= bindparam("until"),
    )
    return query.where(payments.c.status == bindparam("status")) if by_status else query


def _limited(query: Select[Any]) -> Statement:
    return Statement(query.limit(bindparam("most")).offset(bindparam("skip")))


def _paged(query: Select[Any]) -> dict[str, Statement]:
    return {s: _limited(_sorted(query, s)) for s in SORTS}


def _counted(query: Select[Any]) -> Statement:
    return Statement(query.with_only_columns(func.count().label("n")))


def _newest_of_few(by_status: bool) -> Select[Any]:
    """Through the index of the status's time, then sorted."""
    return _status_query(by_status).order_by(*_NEWEST_OF_FEW)


def _newest_of_many(by_status: bool) -> Select[Any]:
    """Along the order in which they began, with no look at the index of the status's time, which has too many.
    No payment has its status long before it began, so the walk begins where the window ends."""
    query = select(payments).where(
        payments.c.store_id == bindparam("store_id"),
        payments.c.started_at <= bindparam("began_by"),
        payments.c.status_at + 0 >= bindparam("since"),
        payments.c.status_at + 0 <= bindparam("until"),
    )
    if by_status:
        query = query.where(payments.c.status.concat("") == bindparam("status"))
    return query.order_by(payments.c.started_at.desc(), payments.c.imp_uid.desc())


_OF_CUSTOMER = select(payments).where(
    payments.c.store_id == bindparam("store_id"), payments.c.customer_uid == bindparam("customer_uid")
)
_CUSTOMER_PAGES = _paged(_OF_CUSTOMER)
_CUSTOMER_COUNT = _counted(_OF_CUSTOMER)
_ORDER_PAGES = {b: _paged(_order_query(b)) for b in (False, True)}
_ORDER_COUNT = {b: _counted(_order_query(b)) for b in (False, True)}
_STATUS_PAGES = {b: _paged(_status_query(b)) for b in (False, True)}
_FEW = {b: _limited(_newest_of_few(b)) for b in (False, True)}
_MANY_NEWEST = {b: _limited(_newest_of_many(b)) for b in (False, True)}
FEW = 200
"""So many payments are sorted sooner than found among others."""


def _page(
    pages: dict[str, Statement], count: Statement, params: dict[str, Any], sorting: str, number: int, limit: int
) -> Tx[Page]:
    counted = yield count(**params)
    rows = yield pages[sorting](**params, most=limit, skip=(number - 1) * limit)
    items = yield from _fill(rows)
    return Page(counted[0].n, number, limit, items)


def find(store_id: int, merchant_uid: str, status: str | None, sorting: str) -> Tx[PaymentView | None]:
    """The first payment of an order by *sorting*."""
    params: dict[str, Any] = {"store_id": store_id, "merchant_uid": merchant_uid}
    if status:
        params["status"] = status
    rows = yield _ORDER_PAGES[bool(status)][sorting](**params, most=1, skip=0)
    filled = yield from _fill(rows)
    return filled[0] if filled else None


def find_all(store_id: int, merchant_uid: str, status: str | None, sorting: str, number: int, limit: int) -> Tx[Page]:
    """All payments of an order, a page at a time."""
    params: dict[str, Any] = {"store_id": store_id, "merchant_uid": merchant_uid}
    if status:
        params["status"] = status
    return (yield from _page(_ORDER_PAGES[bool(status)], _ORDER_COUNT[bool(status)], params, sorting, number, limit))


def by_customer(store_id: int, customer_uid: str, number: int, limit: int) -> Tx[Page]:
    """Payments of a customer's billing keys, newest first, a page at a time."""
    params = {"store_id": store_id, "customer_uid": customer_uid}
    return (yield from _page(_CUSTOMER_PAGES, _CUSTOMER_COUNT, params, "-started", number, limit))


def by_status(
    store_id: int, status: str | None, since: int, until: int, sorting: str, number: int, limit: int
) -> Tx[Page]:
    """Payments whose own status time lies in a window (UTC ms, both ends included), a page at a time."""
    params: dict[str, Any] = {"store_id": store_id, "since": since, "until": until}
    if status:
        params["status"] = status
    total = yield from counts.total(store_id, status, since, until)
    place = {"most": limit, "skip": (number - 1) * limit}
    if place["skip"] >= total:
        return Page(total, number, limit, [])
    if sorting != "-started":
        rows = yield _STATUS_PAGES[bool(status)][sorting](**params, **place)
    elif total <= FEW:
        rows = yield _FEW[bool(status)](**params, **place)
    else:
        rows = yield _MANY_NEWEST[bool(status)](**params, **place, began_by=until + EARLY_MS)
    items = yield from _fill(rows)
    return Page(total, number, limit, items)
