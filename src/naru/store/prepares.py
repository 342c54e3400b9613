"""Amounts that shops registered before the window opens."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, select, update

from naru.store.db import Tx
from naru.store.statement import Statement, insert
from naru.store.tables import prepares

_FIND = Statement(
    select(prepares).where(
        prepares.c.store_id == bindparam("store_id"), prepares.c.merchant_uid == bindparam("merchant_uid")
    )
)
_ADD = Statement(
    insert(prepares)
    .values({c: bindparam(c) for c in ("store_id", "merchant_uid", "amount", "currency", "created_at", "updated_at")})
    .on_conflict_do_nothing(index_elements=["store_id", "merchant_uid"])
    .returning(prepares.c.merchant_uid)
)
_CHANGE = Statement(
    update(prepares)
    .where(prepares.c.store_id == bindparam("of_store"), prepares.c.merchant_uid == bindparam("of_uid"))
    .values(amount=bindparam("new_amount"), currency=bindparam("new_currency"), updated_at=bindparam("at"))
    .returning(prepares.c.merchant_uid)
)


def find(store_id: int, merchant_uid: str) -> Tx[Any | None]:
    """What is registered for an order."""
    rows = yield _FIND(store_id=store_id, merchant_uid=merchant_uid)
    return rows[0] if rows else None


def add(store_id: int, merchant_uid: str, amount: int, currency: str | None, now: int) -> Tx[bool]:
    """Register an order's amount (KRW). False when the order is registered already."""
    rows = yield _ADD(
        store_id=store_id, merchant_uid=merchant_uid, amount=amount, currency=currency, created_at=now, updated_at=now
    )
    return bool(rows)


def change(store_id: int, merchant_uid: str, amount: int, currency: str | None, now: int) -> Tx[bool]:
    """Change an order's registered amount (KRW). False when nothing is registered."""
    rows = yield _CHANGE(of_store=store_id, of_uid=merchant_uid, new_amount=amount, new_currency=currency, at=now)
    return bool(rows)
