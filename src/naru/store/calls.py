"""The request log of test stores: written in batches, kept short, read by the console."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import bindparam, delete, insert, or_, select

from naru.store.db import Tx
from naru.store.statement import Statement
from naru.store.tables import api_calls, payments

_COLUMNS = [c.name for c in api_calls.columns if c.name != "id"]
_ADD = Statement(insert(api_calls).values({name: bindparam(name) for name in _COLUMNS}))
_DROP_BEYOND = Statement(
    delete(api_calls).where(
        api_calls.c.store_id == bindparam("of_store"),
        api_calls.c.id
        <= select(api_calls.c.id)
        .where(api_calls.c.store_id == bindparam("of_store"))
        .order_by(api_calls.c.id.desc())
        .limit(1)
        .offset(bindparam("most"))
        .scalar_subquery(),
    )
)
_DROP_OLD = Statement(delete(api_calls).where(api_calls.c.at < bindparam("before")))
_DROP_STORE = Statement(delete(api_calls).where(api_calls.c.store_id == bindparam("of_store")))
_TOLD = Statement(
    select(payments.c.imp_uid, payments.c.store_id, payments.c.notice_urls, payments.c.sandbox).where(
        payments.c.imp_uid.in_(bindparam("imp_uids", expanding=True))
    )
)


def _listed(*, bad: bool, text: bool) -> Statement:
    query = select(api_calls).where(
        api_calls.c.store_id.in_(bindparam("stores", expanding=True)), api_calls.c.id < bindparam("before")
    )
    if bad:
        query = query.where(api_calls.c.bad == 1)
    if text:
        query = query.where(
            or_(
                api_calls.c.imp_uid == bindparam("text"),
                api_calls.c.merchant_uid == bindparam("text"),
                api_calls.c.path.like(bindparam("like"), escape="\\"),
                api_calls.c.message.like(bindparam("like"), escape="\\"),
            )
        )
    return Statement(query.order_by(api_calls.c.id.desc()).limit(bindparam("most")))


_PAGES = {(bad, text): _listed(bad=bad, text=text) for bad in (False, True) for text in (False, True)}
_ONE = Statement(
    select(api_calls).where(
        api_calls.c.id == bindparam("id"), api_calls.c.store_id.in_(bindparam("stores", expanding=True))
    )
)


def add(rows: Iterable[Mapping[str, Any]]) -> Tx[None]:
    """Write calls down."""
    yield _ADD.many(rows)


def told(imp_uids: list[str]) -> Tx[dict[str, Any]]:
    """What decides where the webhooks of these payments go, by their numbers."""
    rows = yield _TOLD(imp_uids=imp_uids)
    return {r.imp_uid: r for r in rows}


def drop(stores: Iterable[int], most: int, before: int) -> Tx[None]:
    """Keep the newest *most* calls of each of these stores, and nothing from before an instant (UTC ms)."""
    for store_id in stores:
        yield _DROP_BEYOND(of_store=store_id, most=most)
    yield _DROP_OLD(before=before)


def forget(store_id: int) -> Tx[None]:
    """Drop a store's calls."""
    yield _DROP_STORE(of_store=store_id)


def page(stores: tuple[int, ...], before: int, most: int, *, bad: bool, text: str) -> Tx[list[Any]]:
    """Calls of these stores, newest first."""
    values: dict[str, Any] = {"stores": stores, "before": before, "most": most}
    if text:
        plain = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        values |= {"text": text, "like": f"%{plain}%"}
    rows = yield _PAGES[bad, bool(text)](**values)
    return rows


def one(stores: tuple[int, ...], number: int) -> Tx[Any | None]:
    """One call of these stores."""
    rows = yield _ONE(id=number, stores=stores)
    return rows[0] if rows else None
