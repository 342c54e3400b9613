"""What was said to the PG and answered: written in batches, dropped when old, read with its payment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import bindparam, delete, insert, select

from naru.store.db import Tx
from naru.store.statement import Statement
from naru.store.tables import exchanges

_COLUMNS = [c.name for c in exchanges.columns if c.name != "id"]
_ADD = Statement(insert(exchanges).values({name: bindparam(name) for name in _COLUMNS}))
_OLDEST = select(exchanges.c.id).order_by(exchanges.c.id).limit(bindparam("most")).scalar_subquery()
# Rows come in the order of time, near enough, so the oldest are found by their numbers and need no index of their own.
_DROP = Statement(
    delete(exchanges).where(exchanges.c.id.in_(_OLDEST), exchanges.c.at < bindparam("before")).returning(exchanges.c.id)
)
_OF = Statement(
    select(exchanges)
    .where(exchanges.c.imp_uid == bindparam("imp_uid"), exchanges.c.store_id == bindparam("of_store"))
    .order_by(exchanges.c.id.desc())
    .limit(bindparam("most"))
)


def add(rows: Iterable[Mapping[str, Any]]) -> Tx[None]:
    """Write messages down."""
    yield _ADD.many(rows)


def drop(before: int, most: int) -> Tx[int]:
    """Drop what was said before an instant (UTC ms), of the *most* oldest. Returns how many."""
    rows = yield _DROP(before=before, most=most)
    return len(rows)


def of_payment(store_id: int, imp_uid: str, most: int) -> Tx[list[Any]]:
    """What was said about a payment of this store, oldest first; of many, the newest *most*."""
    rows = yield _OF(of_store=store_id, imp_uid=imp_uid, most=most)
    return rows[::-1]
