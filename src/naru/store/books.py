"""What `naru doctor` reads: every payment by key, job names, free-text columns."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table, bindparam, or_, select

from naru.domain.payment import OPEN
from naru.store.db import Tx
from naru.store.statement import Statement
from naru.store.tables import (
    api_calls,
    attempts,
    billing_keys,
    deliveries,
    entries,
    exchanges,
    inbox,
    jobs,
    payments,
    schedules,
)

_TOUCHED = Statement(
    select(payments.c.imp_uid)
    .where(payments.c.imp_uid > bindparam("after"), payments.c.updated_at <= bindparam("until"))
    .order_by(payments.c.imp_uid)
    .limit(bindparam("most"))
)
_OPEN = select(attempts.c.imp_uid).where(
    attempts.c.imp_uid == payments.c.imp_uid, or_(*(attempts.c.state == state.value for state in sorted(OPEN)))
)
_RECENT = Statement(
    select(payments.c.imp_uid)
    .where(payments.c.imp_uid > bindparam("after"), payments.c.updated_at <= bindparam("until"))
    .where(
        or_(
            payments.c.updated_at > bindparam("since"),
            payments.c.imp_uid.like(bindparam("ending")),
            _OPEN.exists(),
        )
    )
    .order_by(payments.c.imp_uid)
    .limit(bindparam("most"))
)
_JOB_KEYS = Statement(select(jobs.c.key).where(jobs.c.imp_uid == bindparam("imp_uid")))
_ORPHAN_ENTRIES = Statement(
    select(entries.c.imp_uid)
    .where(~select(payments.c.imp_uid).where(payments.c.imp_uid == entries.c.imp_uid).exists())
    .limit(20)
)
_ORPHAN_ATTEMPTS = Statement(
    select(attempts.c.imp_uid)
    .where(~select(payments.c.imp_uid).where(payments.c.imp_uid == attempts.c.imp_uid).exists())
    .limit(20)
)

_TEXTS: tuple[tuple[Table, str, tuple[str, ...]], ...] = (
    (payments, "updated_at", (
        "name", "buyer_name", "buyer_email", "buyer_addr", "custom_data", "user_agent", "extra",
        "fail_reason", "cancel_reason", "card_number", "merchant_uid",
    )),
    (attempts, "asked_at", ("reason", "pg_message", "request", "extra")),
    (inbox, "received_at", ("body", "note")),
    (jobs, "created_at", ("payload", "last_error")),
    (deliveries, "started_at", ("request", "response", "error")),
    (billing_keys, "asked_at", (
        "customer_uid", "card_name", "card_number", "customer_name", "customer_email", "customer_addr",
        "customer_id", "reason", "pg_message",
    )),
    (api_calls, "at", ("path", "message", "merchant_uid", "params", "facts")),
    (exchanges, "at", ("address", "reason", "sent", "got")),
    (schedules, "updated_at", (
        "merchant_uid", "name", "buyer_name", "buyer_email", "buyer_addr", "custom_data", "user_agent",
    )),
)  # fmt: skip
"""Tables with columns where anything may have been written: when a row was (give or take a day), and the columns.
Numbers of accounts, trades and times are exempt."""

FREE_TEXT: dict[str, tuple[str, ...]] = {table.name: columns for table, _, columns in _TEXTS}


def _walk(table: Table, written: str, columns: tuple[str, ...], *, first: bool) -> Statement:
    key = table.primary_key.columns[0]
    query = select(key, *(table.c[c] for c in columns)).order_by(key).limit(bindparam("most"))
    query = query.where(table.c[written] > bindparam("since"))
    return Statement(query if first else query.where(key > bindparam("after")))


_WALKS = {(text[0].name, first): _walk(*text, first=first) for text in _TEXTS for first in (True, False)}


def touched_before(after: str, until: int, most: int) -> Tx[list[str]]:
    """Payments by key that nothing has touched since *until*."""
    rows = yield _TOUCHED(after=after, until=until, most=most)
    return [r.imp_uid for r in rows]


def recent(after: str, since: int, until: int, part: int, most: int) -> Tx[list[str]]:
    """Of `touched_before` those that changed after *since*, have something open, or are of *part* (0-99) of all."""
    rows = yield _RECENT(after=after, since=since, until=until, ending=f"%{part:02}", most=most)
    return [r.imp_uid for r in rows]


def job_keys(imp_uid: str) -> Tx[set[str]]:
    """The names of a payment's jobs."""
    rows = yield _JOB_KEYS(imp_uid=imp_uid)
    return {r.key for r in rows}


def orphans() -> Tx[list[str]]:
    """Attempts and entries without a payment."""
    first = yield _ORPHAN_ENTRIES()
    second = yield _ORPHAN_ATTEMPTS()
    return [r.imp_uid for r in (*first, *second)]


def free_text(name: str, after: Any, since: int, most: int) -> Tx[list[Any]]:
    """A page of a table's free-text columns, by key, of what was written after *since* (or a day before)."""
    if after is None:
        rows = yield _WALKS[name, True](since=since, most=most)
    else:
        rows = yield _WALKS[name, False](since=since, after=after, most=most)
    return rows
