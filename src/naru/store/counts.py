"""How many payments a list has in all, without counting them one by one.

An hour that is over is counted once, by a job; who changes a payment of such an hour empties its numbers in the same
transaction, and it is counted again. So a payment on its way costs nothing, and a total is a sum over hours and a
count of what they do not cover.

Emptying and counting begin by writing the hour's row, which makes them take turns on PostgreSQL: who comes second
sees what the first one changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert  # ON CONFLICT is the same on SQLite

from naru.store.db import Tx
from naru.store.statement import Statement
from naru.store.tables import payment_counts as counts
from naru.store.tables import payments

HOUR_MS: Final = 3_600_000
OVER_MS: Final = HOUR_MS // 4
"""How long after its end an hour is taken to be over: longer than any transaction, or the difference of two clocks."""
FEWEST_HOURS: Final = 6
MOST_HOURS: Final = 90  # rows of one statement: more would leave the event loop
ENOUGH: Final = 5_000
"""A step that counted fewer payments is followed by a longer one, one that counted more by a shorter one."""
MOST_GAPS: Final = 40
"""With more gaps than this between counted hours everything is counted."""
STATUSES: Final = ("ready", "paid", "cancelled", "failed")

_NUMBERS = tuple(counts.c[s] for s in STATUSES)
_EMPTY = Statement(
    upsert(counts)
    .values(store_id=bindparam("store_id"), hour=bindparam("hour"))
    .on_conflict_do_update(index_elements=["store_id", "hour"], set_=dict.fromkeys(STATUSES))
)
_COUNT_HOURS = Statement(
    select(
        (payments.c.status_at - payments.c.status_at % HOUR_MS).label("hour"), payments.c.status,
        func.count().label("n"),
    )
    .where(
        payments.c.store_id == bindparam("store_id"), payments.c.status_at >= bindparam("since"),
        payments.c.status_at < bindparam("until"),
    )
    .group_by("hour", payments.c.status)
)  # fmt: skip
_SET = Statement(
    update(counts)
    .where(counts.c.store_id == bindparam("of_store"), counts.c.hour == bindparam("of_hour"))
    .values({s: bindparam(f"new_{s}") for s in STATUSES})
)
_LAST = Statement(
    select(func.max(counts.c.hour).label("at")).where(
        counts.c.store_id == bindparam("store_id"), counts.c.paid.is_not(None)
    )
)
_FIRST_PAYMENT = Statement(
    select(func.min(payments.c.status_at).label("at")).where(payments.c.store_id == bindparam("store_id"))
)
_STALE = Statement(
    select(counts.c.hour)
    .where(counts.c.store_id == bindparam("store_id"), counts.c.paid.is_(None), counts.c.hour < bindparam("before"))
    .order_by(counts.c.hour)
    .limit(bindparam("most"))
)
_COVERED = (
    counts.c.store_id == bindparam("store_id"),
    counts.c.hour >= bindparam("since"),
    counts.c.hour < bindparam("until"),
    counts.c.paid.is_not(None),
)
_SUM = Statement(
    select(
        func.count().label("hours"),
        func.min(counts.c.hour).label("first"),
        func.max(counts.c.hour).label("last"),
        *(func.sum(n).label(n.name) for n in _NUMBERS),
    ).where(*_COVERED)
)
_HOURS = Statement(select(counts.c.hour).where(*_COVERED).order_by(counts.c.hour))
_RANGE = select(func.count().label("n")).where(
    payments.c.store_id == bindparam("store_id"),
    payments.c.status_at >= bindparam("since"),
    payments.c.status_at < bindparam("until"),
)
_COUNT = {
    False: Statement(_RANGE),
    True: Statement(_RANGE.where(payments.c.status == bindparam("status"))),
}
_WRONG = Statement(
    select(counts.c.store_id, counts.c.hour)
    .where(
        counts.c.paid.is_not(None),
        (counts.c.ready + counts.c.paid + counts.c.cancelled + counts.c.failed)
        != select(func.count())
        .where(
            payments.c.store_id == counts.c.store_id,
            payments.c.status_at >= counts.c.hour,
            payments.c.status_at < counts.c.hour + HOUR_MS,
        )
        .scalar_subquery(),
    )
    .limit(20)
)


def hour_of(at: int) -> int:
    """When the hour of an instant began (UTC ms)."""
    return at - at % HOUR_MS


def over_before(now: int) -> int:
    """Hours that begin before this are over."""
    return hour_of(now - OVER_MS)


def changed(store_id: int, times: Iterable[int], now: int) -> Tx[None]:
    """A payment came to or left these instants: hours of them that are over must be counted again."""
    over = over_before(now)
    for hour in sorted({hour_of(at) for at in times if at < over}):
        yield _EMPTY(store_id=store_id, hour=hour)


def _count(store_id: int, hours: list[int]) -> Tx[int]:
    """Count adjoining hours. Returns how many payments they have."""
    yield _EMPTY.many([{"store_id": store_id, "hour": hour} for hour in hours])
    rows = yield _COUNT_HOURS(store_id=store_id, since=hours[0], until=hours[-1] + HOUR_MS)
    found: dict[int, dict[str, Any]] = {hour: dict.fromkeys((f"new_{s}" for s in STATUSES), 0) for hour in hours}
    for row in rows:
        found[row.hour][f"new_{row.status}"] = row.n
    yield _SET.many([{"of_store": store_id, "of_hour": hour, **numbers} for hour, numbers in found.items()])
    return sum(row.n for row in rows)


def count_on(store_id: int, now: int, most: int) -> Tx[int | None]:
    """Count the next *most* hours that are over and not counted yet. How many payments they have; None: all is done."""
    over = over_before(now)
    rows = yield _STALE(store_id=store_id, before=over, most=1)
    if rows:
        return (yield from _count(store_id, [rows[0].hour]))
    rows = yield _LAST(store_id=store_id)
    if rows[0].at is None:
        rows = yield _FIRST_PAYMENT(store_id=store_id)
        first = None if rows[0].at is None else hour_of(rows[0].at)
    else:
        first = rows[0].at + HOUR_MS
    if first is None or first >= over:
        return None
    return (yield from _count(store_id, list(range(first, min(over, first + most * HOUR_MS), HOUR_MS))))


def total(store_id: int, status: str | None, since: int, until: int) -> Tx[int]:
    """How many payments (of one status) have their status's time in ``since <= at <= until``."""
    end = until + 1
    rows = yield _SUM(store_id=store_id, since=hour_of(since + HOUR_MS - 1), until=hour_of(end))
    covered = rows[0]
    if not covered.hours:
        return (yield from _plain(store_id, status, since, end))
    if covered.last - covered.first == (covered.hours - 1) * HOUR_MS:
        gaps = [(since, covered.first), (covered.last + HOUR_MS, end)]
    else:
        hours = yield _HOURS(store_id=store_id, since=covered.first, until=covered.last + HOUR_MS)
        gaps, at = list[tuple[int, int]](), since
        for row in hours:
            gaps.append((at, row.hour))
            at = row.hour + HOUR_MS
        gaps.append((at, end))
    gaps = [gap for gap in gaps if gap[0] < gap[1]]
    if len(gaps) > MOST_GAPS:
        return (yield from _plain(store_id, status, since, end))
    sums = {s: getattr(covered, s) for s in STATUSES}
    n = int(sums[status] if status else sum(sums.values()))
    for start, stop in gaps:
        n += yield from _plain(store_id, status, start, stop)
    return n


def _plain(store_id: int, status: str | None, since: int, until: int) -> Tx[int]:
    params: dict[str, Any] = {"store_id": store_id, "since": since, "until": until}
    if status:
        params["status"] = status
    rows = yield _COUNT[bool(status)](**params)
    return rows[0].n  # type: ignore[no-any-return]


def wrong() -> Tx[list[Any]]:
    """Hours whose numbers are not what is there; there must be none."""
    rows = yield _WRONG()
    return rows
