"""Cash receipts: rows to values and back. Lock the payment or the order before writing."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, func, select, update

from naru.domain.payment import State
from naru.domain.receipts import Ask, Kind, News, Receipt
from naru.domain.tax import Split
from naru.domain.values import Won
from naru.store.db import Tx
from naru.store.statement import Statement, insert
from naru.store.tables import receipts

_COLUMNS = (
    "id", "store_id", "channel_id", "imp_uid", "merchant_uid", "ask", "org_id", "tid", "state", "supply", "vat",
    "tax_free", "kind", "identifier_type", "identifier", "name", "buyer_name", "asked_at", "check_at",
    "sale_at",
)  # fmt: skip
_ADD = Statement(insert(receipts).values({c: bindparam(c) for c in _COLUMNS}))
_ONE = Statement(select(receipts).where(receipts.c.id == bindparam("id")))
_ONE_LOCKED = Statement(select(receipts).where(receipts.c.id == bindparam("id")).with_for_update())
_OF_PAYMENT = Statement(
    select(receipts).where(receipts.c.imp_uid == bindparam("imp_uid")).order_by(receipts.c.asked_at, receipts.c.id)
)
_OF_ORDER = Statement(
    select(receipts)
    .where(
        receipts.c.store_id == bindparam("store_id"),
        receipts.c.merchant_uid == bindparam("merchant_uid"),
        receipts.c.imp_uid.is_(None),
    )
    .order_by(receipts.c.asked_at + 0, receipts.c.id)  # few: not along the index of all receipts
)
_SAVE = Statement(
    update(receipts)
    .where(receipts.c.id == bindparam("of_id"))
    .values(
        state=bindparam("new_state"),
        settled_at=bindparam("new_settled_at"),
        auth_no=bindparam("new_auth_no"),
        pg_code=bindparam("new_code"),
        pg_message=bindparam("new_message"),
        check_at=bindparam("new_check_at"),
    )
)
_CLAIM = Statement(
    update(receipts)
    .where(
        receipts.c.id.in_(
            select(receipts.c.id)
            .where(receipts.c.check_at <= bindparam("due"))
            .order_by(receipts.c.check_at)
            .limit(bindparam("most"))
            .with_for_update(skip_locked=True)
        )
    )
    .values(check_at=bindparam("lease_until"), checks=receipts.c.checks + 1)
    .returning(receipts.c.id, receipts.c.checks)
)
_CHECK_AT = Statement(
    update(receipts)
    .where(receipts.c.id == bindparam("of_id"))
    .values(check_at=bindparam("at"), denials=receipts.c.denials + bindparam("denied"))
)
_NEXT = Statement(select(func.min(receipts.c.check_at).label("at")))


def to_receipt(row: Any) -> Receipt:
    """A row as a value."""
    return Receipt(
        id=row.id,
        ask=Ask(row.ask),
        state=State(row.state),
        parts=Split(Won(row.supply), Won(row.vat), Won(row.tax_free)),
        kind=Kind(row.kind),
        asked_at=row.asked_at,
        tid=row.tid,
        org_id=row.org_id,
        settled_at=row.settled_at,
        sale_at=row.sale_at,
        auth_no=row.auth_no,
    )


def add(
    receipt: Receipt, *, store_id: int, channel_id: int, imp_uid: str | None, merchant_uid: str, identifier_type: str,
    identifier: str, name: str | None, buyer_name: str | None, check_at: int,
) -> Tx[None]:  # fmt: skip
    """Commit that we are about to ask. *identifier* is masked."""
    yield _ADD(
        id=receipt.id, store_id=store_id, channel_id=channel_id, imp_uid=imp_uid, merchant_uid=merchant_uid,
        ask=receipt.ask.value, org_id=receipt.org_id, tid=receipt.tid, state=receipt.state.value,
        supply=receipt.parts.supply, vat=receipt.parts.vat, tax_free=receipt.parts.tax_free, kind=receipt.kind.value,
        identifier_type=identifier_type, identifier=identifier, name=name, buyer_name=buyer_name,
        asked_at=receipt.asked_at, check_at=check_at, sale_at=receipt.sale_at,
    )  # fmt: skip


def row(receipt_id: str, *, lock: bool = False) -> Tx[Any | None]:
    """One question's row."""
    rows = yield (_ONE_LOCKED if lock else _ONE)(id=receipt_id)
    return rows[0] if rows else None


def of_payment(imp_uid: str) -> Tx[list[Any]]:
    """A payment's questions, oldest first."""
    rows = yield _OF_PAYMENT(imp_uid=imp_uid)
    return rows


def of_order(store_id: int, merchant_uid: str) -> Tx[list[Any]]:
    """The questions about a sale outside Naru, oldest first."""
    rows = yield _OF_ORDER(store_id=store_id, merchant_uid=merchant_uid)
    return rows


def save(news: News, check_at: int | None) -> Tx[None]:
    """Write news down; *check_at*: when to look again, while the result is open."""
    r = news.receipt
    yield _SAVE(
        of_id=r.id, new_state=r.state.value, new_settled_at=r.settled_at, new_auth_no=r.auth_no, new_code=news.code,
        new_message=news.message, new_check_at=check_at if r.is_open else None,
    )  # fmt: skip


def claim(due: int, lease_until: int, most: int) -> Tx[list[Any]]:
    """Take questions whose time has come; the lease is their next run time."""
    rows = yield _CLAIM(due=due, lease_until=lease_until, most=most)
    return rows


def check_again(receipt_id: str, at: int | None, *, denied: bool = False) -> Tx[None]:
    """Say when to look again, and whether the PG said "no such receipt"."""
    yield _CHECK_AT(of_id=receipt_id, at=at, denied=int(denied))


def next_check() -> Tx[int | None]:
    """When the next question is to be looked at."""
    rows = yield _NEXT()
    return rows[0].at  # type: ignore[no-any-return]
