"""Days compared with the PG's lists: what was asked for, and what each line turned out to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, case, delete, func, insert, select, update

from naru.store.db import Tx
from naru.store.statement import Statement
from naru.store.statement import insert as upsert
from naru.store.tables import attempts, channels, entries, payments, statement_lines, statements

_ADD = Statement(
    upsert(statements)
    .values({c: bindparam(c) for c in ("store_id", "channel_id", "kind", "day", "state", "asked_at")})
    .on_conflict_do_update(
        index_elements=["channel_id", "kind", "day"],
        set_={"state": "waiting", "note": None, "asked_at": bindparam("again_at")},
    )
    .returning(statements.c.id)
)
_FINISH = Statement(
    update(statements)
    .where(statements.c.id == bindparam("statement"))
    .values(state=bindparam("new_state"), note=bindparam("new_note"), finished_at=bindparam("at"))
)
_ONE = Statement(select(statements).where(statements.c.id == bindparam("id")))
_WIPE = Statement(delete(statement_lines).where(statement_lines.c.statement_id == bindparam("statement")))
_LINE_COLUMNS = (
    "statement_id", "store_id", "verdict", "reason", "cancelled", "trd_no", "amount", "our_amount", "at", "imp_uid",
    "fee", "fee_vat", "payout", "payout_day",
)  # fmt: skip
_ADD_LINE = Statement(insert(statement_lines).values({c: bindparam(c) for c in _LINE_COLUMNS}))
_EXPLAIN = Statement(
    update(statement_lines)
    .where(statement_lines.c.id == bindparam("line"), statement_lines.c.store_id == bindparam("of_store"))
    .values(explained=bindparam("text"), explained_by=bindparam("by"))
    .returning(statement_lines.c.trd_no)
)
_OURS = Statement(
    select(entries.c.id, entries.c.imp_uid, entries.c.kind, entries.c.amount, entries.c.pg_tid, entries.c.org_tid,
           entries.c.at)
    .join(payments, payments.c.imp_uid == entries.c.imp_uid)
    .where(
        payments.c.channel_id == bindparam("channel_id"), payments.c.store_id == bindparam("store_id"),
        entries.c.store_id == bindparam("store_id"), entries.c.at >= bindparam("since"),
        entries.c.at < bindparam("until"),
    )
    .order_by(entries.c.at)
)  # fmt: skip
_OF_TRADES = Statement(
    select(entries.c.id, entries.c.imp_uid, entries.c.kind, entries.c.amount, entries.c.pg_tid, entries.c.org_tid,
           entries.c.at)
    .join(payments, payments.c.imp_uid == entries.c.imp_uid)
    .where(entries.c.pg_tid.in_(bindparam("tids", expanding=True)), payments.c.channel_id == bindparam("channel_id"))
)  # fmt: skip
_UNNUMBERED = Statement(
    select(entries.c.id, entries.c.imp_uid, entries.c.kind, entries.c.amount, entries.c.pg_tid, entries.c.org_tid,
           entries.c.at)
    .where(entries.c.imp_uid.in_(bindparam("imp_uids", expanding=True)), entries.c.pg_tid == "")
)  # fmt: skip
_CHANNEL_OF_ATTEMPTS = Statement(
    select(attempts.c.id, attempts.c.channel_id).where(attempts.c.id.in_(bindparam("ids", expanding=True)))
)
_DAYS = Statement(
    select(
        statements, channels.c.name.label("channel_name"), channels.c.channel_key, channels.c.taxation,
        channels.c.environment, func.count(statement_lines.c.id).label("n"),
        *(
            func.coalesce(func.sum(case((statement_lines.c.verdict == v, 1), else_=0)), 0).label(v)
            for v in ("matched", "different", "only_here", "only_there")
        ),
        func.coalesce(
            func.sum(
                case((statement_lines.c.cancelled == 1, -statement_lines.c.amount), else_=statement_lines.c.amount)
            ), 0,
        ).label("net"),
        func.coalesce(func.sum(statement_lines.c.fee), 0).label("fee"),
        func.coalesce(func.sum(statement_lines.c.fee_vat), 0).label("fee_vat"),
        func.coalesce(func.sum(statement_lines.c.payout), 0).label("payout"),
    )
    .join(channels, channels.c.id == statements.c.channel_id)
    .outerjoin(statement_lines, statement_lines.c.statement_id == statements.c.id)
    .where(
        statements.c.store_id == bindparam("store_id"), statements.c.day >= bindparam("since"),
        statements.c.day <= bindparam("until"),
    )
    .group_by(*statements.c, channels.c.name, channels.c.channel_key, channels.c.taxation, channels.c.environment)
    .order_by(statements.c.day.desc(), statements.c.kind.desc(), statements.c.channel_id)
)  # fmt: skip
_LINES = Statement(
    select(statement_lines)
    .where(statement_lines.c.statement_id == bindparam("statement_id"))
    .order_by(case((statement_lines.c.verdict == "matched", 1), else_=0), statement_lines.c.at, statement_lines.c.id)
    .limit(bindparam("most"))
)


def add(store_id: int, channel_id: int, kind: str, day: str, now: int) -> Tx[int]:
    """A day to be compared, for the first time or again. Returns its number."""
    rows = yield _ADD(
        store_id=store_id, channel_id=channel_id, kind=kind, day=day, state="waiting", asked_at=now, again_at=now
    )
    return rows[0].id  # type: ignore[no-any-return]


def one(statement_id: int) -> Tx[Any | None]:
    """One day of one channel."""
    rows = yield _ONE(id=statement_id)
    return rows[0] if rows else None


def finish(statement_id: int, lines: list[Mapping[str, Any]] | None, note: str | None, now: int) -> Tx[None]:
    """Write down what a day turned out to be; without lines it failed, and *note* says why."""
    if lines is not None:
        yield _WIPE(statement=statement_id)
        if lines:
            yield _ADD_LINE.many(lines)
    yield _FINISH(statement=statement_id, new_state="failed" if lines is None else "done", new_note=note, at=now)


def explain(line: int, store_id: int, text: str, by: str) -> Tx[str | None]:
    """Say why a line differs. Returns its trade number, None when it is not this store's."""
    rows = yield _EXPLAIN(line=line, of_store=store_id, text=text, by=by)
    return rows[0].trd_no if rows else None


def our_entries(store_id: int, channel_id: int, since: int, until: int) -> Tx[list[Any]]:
    """What moved on a channel in a time."""
    rows = yield _OURS(store_id=store_id, channel_id=channel_id, since=since, until=until)
    return rows


def entries_of_trades(channel_id: int, tids: list[str]) -> Tx[list[Any]]:
    """Entries of these PG numbers on a channel, whenever they were."""
    rows = yield _OF_TRADES(channel_id=channel_id, tids=tids or [""])
    return rows


def entries_without_number(imp_uids: list[str]) -> Tx[list[Any]]:
    """Cancels of these payments that only an inquiry proved: they have no PG number."""
    rows = yield _UNNUMBERED(imp_uids=imp_uids or [""])
    return rows


def channels_of_attempts(ids: list[str]) -> Tx[dict[str, int]]:
    """Which channel asked under each of these order numbers of ours."""
    rows = yield _CHANNEL_OF_ATTEMPTS(ids=ids or [""])
    return {r.id: r.channel_id for r in rows}


def days(store_id: int, since: str, until: str) -> Tx[list[Any]]:
    """A store's compared days with their counts and sums, newest first."""
    rows = yield _DAYS(store_id=store_id, since=since, until=until)
    return rows


def lines(statement_id: int, most: int) -> Tx[list[Any]]:
    """A day's lines, those that do not match first."""
    rows = yield _LINES(statement_id=statement_id, most=most)
    return rows
