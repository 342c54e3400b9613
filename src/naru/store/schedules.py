"""Scheduled payments: rows to values, claiming what is due, lists for the API.

Claiming sets the next run time and the try number, so a dead worker's schedule simply comes due
again; asking Hecto checks the try number, so one that was taken over, moved or revoked is not charged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, func, insert, select, update

from naru.domain.billing import Schedule, ScheduleStatus
from naru.domain.values import Instant
from naru.store.db import Tx
from naru.store.statement import Statement
from naru.store.tables import payments, schedules

_COLUMNS = ("store_id", "merchant_uid", "customer_uid", "channel_id", "status", "schedule_at", "amount", "tax_free",
            "vat_amount", "name", "card_quota", "buyer_name", "buyer_email", "buyer_tel", "buyer_addr",
            "buyer_postcode", "custom_data", "notice_urls", "user_agent", "run_at", "created_at",
            "updated_at")  # fmt: skip
_ADD = Statement(insert(schedules).values({c: bindparam(c) for c in _COLUMNS}).returning(schedules.c.id))
_WITH_PAYMENT = select(
    *schedules.c, payments.c.status.label("payment_status"), payments.c.fail_reason.label("fail_reason")
).outerjoin(payments, payments.c.imp_uid == schedules.c.imp_uid)
_BY_ID = Statement(_WITH_PAYMENT.where(schedules.c.id == bindparam("id")))
_LOCKED = Statement(select(schedules.c.id).where(schedules.c.id == bindparam("id")).with_for_update())
_BY_ORDER = Statement(
    _WITH_PAYMENT.where(
        schedules.c.store_id == bindparam("store_id"), schedules.c.merchant_uid == bindparam("merchant_uid")
    )
    .order_by(schedules.c.id.desc())
    .limit(1)
)
_OPEN_OF = {
    "customer": Statement(
        select(schedules.c.id)
        .where(
            schedules.c.store_id == bindparam("store_id"),
            schedules.c.customer_uid == bindparam("customer_uid"),
            schedules.c.run_at.is_not(None),
        )
        .order_by(schedules.c.id)
    ),
    "orders": Statement(
        select(schedules.c.id)
        .where(
            schedules.c.store_id == bindparam("store_id"),
            schedules.c.merchant_uid.in_(bindparam("merchant_uids", expanding=True)),
            schedules.c.run_at.is_not(None),
        )
        .order_by(schedules.c.id)
    ),
}
_CLAIM = Statement(
    update(schedules)
    .where(
        schedules.c.id.in_(
            select(schedules.c.id)
            .where(schedules.c.run_at <= bindparam("due"))
            .order_by(schedules.c.run_at)
            .limit(bindparam("most"))
            .with_for_update(skip_locked=True)
        )
    )
    .values(run_at=bindparam("lease_until"), tries=schedules.c.tries + 1)
    .returning(schedules.c.id, schedules.c.tries)
)
_ASKED = Statement(
    update(schedules)
    .where(
        schedules.c.id == bindparam("of_id"),
        schedules.c.tries == bindparam("taken"),
    )
    .values(
        status=ScheduleStatus.SCHEDULED.value,
        imp_uid=bindparam("new_imp_uid"),
        channel_id=bindparam("new_channel_id"),
        executed_at=bindparam("now"),
        revoked_at=None,
        run_at=None,
        tries=schedules.c.tries + 1,
        updated_at=bindparam("now"),
    )
    .returning(schedules.c.id)
)
_SETTLED = Statement(
    update(schedules)
    .where(schedules.c.id == bindparam("of_id"))
    .values(
        status=ScheduleStatus.EXECUTED.value,
        imp_uid=bindparam("new_imp_uid"),
        executed_at=bindparam("new_executed_at"),
        run_at=bindparam("new_run_at"),
        retries=bindparam("new_retries"),
        tries=schedules.c.tries + 1,
        updated_at=bindparam("now"),
    )
)
_BOOKED = Statement(
    update(schedules)
    .where(schedules.c.id == bindparam("of_id"))
    .values(
        status=ScheduleStatus.SCHEDULED.value,
        schedule_at=bindparam("at"),
        run_at=bindparam("at"),
        imp_uid=None,
        executed_at=None,
        revoked_at=None,
        retries=0,
        tries=schedules.c.tries + 1,
        updated_at=bindparam("now"),
    )
)
_REVOKED = Statement(
    update(schedules)
    .where(schedules.c.id == bindparam("of_id"))
    .values(
        status=ScheduleStatus.REVOKED.value,
        revoked_at=bindparam("now"),
        run_at=None,
        tries=schedules.c.tries + 1,
        updated_at=bindparam("now"),
    )
)
_POSTPONE = Statement(
    update(schedules)
    .where(schedules.c.id == bindparam("of_id"), schedules.c.tries == bindparam("taken"))
    .values(run_at=bindparam("at"))
)
_STOP_RETRIES = Statement(
    update(schedules)
    .where(
        schedules.c.store_id == bindparam("of_store"),
        schedules.c.status == ScheduleStatus.EXECUTED.value,
        schedules.c.run_at.is_not(None),
    )
    .values(run_at=None, tries=schedules.c.tries + 1)
)
# Said as the partial index says it: without the condition SQLite would read every schedule there ever was.
_NEXT = Statement(select(func.min(schedules.c.run_at).label("at")).where(schedules.c.run_at.is_not(None)))

SORTS = ("-scheduled", "scheduled")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list of schedules."""

    total: int
    number: int
    limit: int
    items: list[Any]


def to_schedule(row: Any) -> Schedule:
    """A schedule's row (with its payment's status) as a value."""
    return Schedule(
        status=ScheduleStatus(row.status),
        imp_uid=row.imp_uid,
        run_at=None if row.run_at is None else Instant(row.run_at),
        failed=row.payment_status == "failed",
    )


def add(values: Mapping[str, Any]) -> Tx[int]:
    """Insert a schedule. The caller holds its order's lock and has seen that it may."""
    row: dict[str, Any] = dict.fromkeys(_COLUMNS)
    row.update(values)
    rows = yield _ADD(**row)
    return rows[0].id  # type: ignore[no-any-return]


def by_id(schedule_id: int, *, lock: bool = False) -> Tx[Any | None]:
    """A schedule's row with its payment's status; locked, it stays as it is until the transaction ends."""
    if lock:
        yield _LOCKED(id=schedule_id)
    rows = yield _BY_ID(id=schedule_id)
    return rows[0] if rows else None


def by_order(store_id: int, merchant_uid: str) -> Tx[Any | None]:
    """The newest schedule of a merchant_uid."""
    rows = yield _BY_ORDER(store_id=store_id, merchant_uid=merchant_uid)
    return rows[0] if rows else None


def open_of_customer(store_id: int, customer_uid: str) -> Tx[list[int]]:
    """Schedules of a customer that will still be charged by themselves."""
    rows = yield _OPEN_OF["customer"](store_id=store_id, customer_uid=customer_uid)
    return [r.id for r in rows]


def open_of_orders(store_id: int, merchant_uids: list[str]) -> Tx[list[int]]:
    """Schedules of these orders that will still be charged by themselves."""
    rows = yield _OPEN_OF["orders"](store_id=store_id, merchant_uids=merchant_uids or [""])
    return [r.id for r in rows]


def claim(due: int, lease_until: int, most: int) -> Tx[list[Any]]:
    """Take schedules whose time has come; the lease is their next run time."""
    rows = yield _CLAIM(due=due, lease_until=lease_until, most=most)
    return rows


def asked(schedule_id: int, taken: int, imp_uid: str, channel_id: int, now: int) -> Tx[bool]:
    """Say that a payment executes it. False: it was taken over, moved or revoked since it was claimed."""
    rows = yield _ASKED(of_id=schedule_id, taken=taken, new_imp_uid=imp_uid, new_channel_id=channel_id, now=now)
    return bool(rows)


def settled(row: Any, imp_uid: str, executed_at: int, run_at: int | None, retries: int, now: int) -> Tx[None]:
    """Write how it ended, and when it is charged again."""
    yield _SETTLED(
        of_id=row.id, new_imp_uid=imp_uid, new_executed_at=executed_at, new_run_at=run_at, new_retries=retries, now=now
    )


def book(schedule_id: int, at: int, now: int) -> Tx[None]:
    """Let it be charged at *at*, as if it never had been."""
    yield _BOOKED(of_id=schedule_id, at=at, now=now)


def revoke(schedule_id: int, now: int) -> Tx[None]:
    """It will not be charged by itself any more."""
    yield _REVOKED(of_id=schedule_id, now=now)


def postpone(schedule_id: int, taken: int, at: int) -> Tx[None]:
    """Look at a claimed schedule again at *at*."""
    yield _POSTPONE(of_id=schedule_id, taken=taken, at=at)


def stop_retries(store_id: int) -> Tx[None]:
    """Failed schedules of a store are not charged again by themselves."""
    yield _STOP_RETRIES(of_store=store_id)


def next_run() -> Tx[int | None]:
    """When the next schedule is due."""
    rows = yield _NEXT()
    return rows[0].at  # type: ignore[no-any-return]


def _listed(*, by_customer: bool, by_status: bool) -> Select[Any]:
    query = _WITH_PAYMENT.where(
        schedules.c.store_id == bindparam("store_id"),
        schedules.c.schedule_at >= bindparam("since"),
        schedules.c.schedule_at < bindparam("until"),
    )
    if by_customer:
        query = query.where(schedules.c.customer_uid == bindparam("customer_uid"))
    return query.where(schedules.c.status == bindparam("status")) if by_status else query


def _pages(query: Select[Any]) -> dict[str, Statement]:
    newest = query.order_by(schedules.c.schedule_at.desc(), schedules.c.id.desc())
    oldest = query.order_by(schedules.c.schedule_at, schedules.c.id)
    return {
        name: Statement(q.limit(bindparam("most")).offset(bindparam("skip")))
        for name, q in zip(SORTS, (newest, oldest), strict=True)
    }


_KINDS = [(c, s) for c in (False, True) for s in (False, True)]
_LISTS = {(c, s): _pages(_listed(by_customer=c, by_status=s)) for c, s in _KINDS}
_COUNTS = {
    (c, s): Statement(_listed(by_customer=c, by_status=s).with_only_columns(func.count().label("n"))) for c, s in _KINDS
}


def listed(
    store_id: int, *, since: int, until: int, customer_uid: str | None, status: str | None, sorting: str, number: int,
    limit: int,
) -> Tx[Page]:  # fmt: skip
    """Schedules whose time lies in [since, until), a page at a time."""
    params: dict[str, Any] = {"store_id": store_id, "since": since, "until": until}
    if customer_uid is not None:
        params["customer_uid"] = customer_uid
    if status:
        params["status"] = status
    kind = (customer_uid is not None, bool(status))
    counted = yield _COUNTS[kind](**params)
    rows = yield _LISTS[kind][sorting](**params, most=limit, skip=(number - 1) * limit)
    return Page(counted[0].n, number, limit, rows)
