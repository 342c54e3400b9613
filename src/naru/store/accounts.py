"""Virtual accounts: who took an assigned number last, and which payments a number belonged to.

Lock order: order, then account, then payment.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert as upsert  # ON CONFLICT is the same on SQLite

from naru.domain.payment import EntryKind, Op, State
from naru.store.db import Tx
from naru.store.statement import Statement
from naru.store.tables import accounts, attempts, channels, entries, logistics, payments

_LOCK = Statement(
    upsert(accounts)
    .values(mid=bindparam("mid"), number=bindparam("number"))
    .on_conflict_do_update(
        index_elements=[accounts.c.mid, accounts.c.number], set_={"number": bindparam("same_number")}
    )
    .returning(accounts.c.asked_by)
)
_TAKE = Statement(
    update(accounts)
    .where(accounts.c.mid == bindparam("of_mid"), accounts.c.number == bindparam("of_number"))
    .values(asked_by=bindparam("imp_uid"))
)
_OF_NUMBER = Statement(
    select(payments.c.imp_uid, payments.c.channel_id, payments.c.started_at, payments.c.account)
    .where(payments.c.pg_id == bindparam("mid"), payments.c.vbank_num == bindparam("number"))
    .order_by(payments.c.started_at.desc(), payments.c.imp_uid.desc())
    .limit(bindparam("most"))
)
_SILENT = Statement(
    select(channels.c.id, channels.c.store_id, channels.c.channel_key, channels.c.name, channels.c.mid)
    .where(
        channels.c.noti_seen_at.is_(None),
        channels.c.disabled_at.is_(None),
        select(payments.c.imp_uid)
        .where(
            payments.c.pg_id == channels.c.mid,
            payments.c.vbank_num.is_not(None),
            payments.c.channel_id == channels.c.id,
            payments.c.vbank_issued_at < bindparam("issued_before"),
        )
        .exists(),
    )
    .order_by(channels.c.id)
)
_UNLIMITED_OF = Statement(
    select(payments.c.imp_uid)
    .where(
        payments.c.channel_id == bindparam("channel_id"),
        payments.c.pg_id == bindparam("mid"),
        payments.c.vbank_num.is_not(None),
        payments.c.account == "3",
        payments.c.vbank_issued_at.is_not(None),
    )
    .order_by(payments.c.started_at.desc())
    .limit(2)
)
_OPEN_REFUNDS = Statement(
    select(attempts.c.id, attempts.c.imp_uid)
    .where(
        attempts.c.channel_id == bindparam("channel_id"),
        attempts.c.op == Op.CANCEL.value,
        attempts.c.state.in_((State.ASKED.value, State.PENDING.value, State.UNKNOWN.value)),
        attempts.c.asked_at >= bindparam("since"),
        attempts.c.asked_at < bindparam("until"),
    )
    .order_by(attempts.c.asked_at)
)
_OPEN_ISSUES = Statement(
    select(
        attempts.c.imp_uid,
        attempts.c.asked_at,
        attempts.c.amount,
        attempts.c.state,
        payments.c.pg_id,
        payments.c.vbank_num,
        payments.c.escrow,
    )
    .join(payments, payments.c.imp_uid == attempts.c.imp_uid)
    .where(
        attempts.c.check_at.is_not(None),  # as the partial index of what is looked at says it
        attempts.c.op == Op.ISSUE.value,
        attempts.c.state.in_((State.ASKED.value, State.PENDING.value, State.UNKNOWN.value)),
    )
    .order_by(attempts.c.asked_at)
    .limit(bindparam("most"))
)
_DEPOSITS = Statement(
    select(entries)
    .where(entries.c.imp_uid == bindparam("imp_uid"), entries.c.kind == EntryKind.DEPOSIT.value)
    .order_by(entries.c.at, entries.c.id)
)
_LOGISTICS = Statement(
    select(logistics).where(logistics.c.imp_uid == bindparam("imp_uid"), logistics.c.store_id == bindparam("store_id"))
)
_SET_LOGISTICS = Statement(
    upsert(logistics)
    .values(
        {
            c: bindparam(c)
            for c in ("imp_uid", "store_id", "sender", "receiver", "logis", "products", "created_at", "updated_at")
        }
    )
    .on_conflict_do_update(
        index_elements=[logistics.c.imp_uid],
        set_={c: bindparam(f"new_{c}") for c in ("sender", "receiver", "logis", "products", "updated_at")},
    )
)


def lock(mid: str, number: str) -> Tx[str | None]:
    """Lock (and if need be make) an assigned number's row. The payment that it was last asked for."""
    rows = yield _LOCK(mid=mid, number=number, same_number=number)
    return rows[0].asked_by  # type: ignore[no-any-return]


def take(mid: str, number: str, imp_uid: str) -> Tx[None]:
    """Write down that a payment asks for a number; its row is locked by the caller."""
    yield _TAKE(of_mid=mid, of_number=number, imp_uid=imp_uid)


def of_number(mid: str, number: str, most: int = 20) -> Tx[list[Any]]:
    """The payments that a number of this MID was asked for, newest first."""
    rows = yield _OF_NUMBER(mid=mid, number=number, most=most)
    return rows


def silent_channels(issued_before: int) -> Tx[list[Any]]:
    """Channels in use whose notice address Hecto has never called, though accounts were issued before this time."""
    rows = yield _SILENT(issued_before=issued_before)
    return rows


def unlimited_of(channel_id: int, mid: str) -> Tx[list[str]]:
    """The unlimited accounts ever issued on a channel; two at most, to tell one from several."""
    rows = yield _UNLIMITED_OF(channel_id=channel_id, mid=mid)
    return [r.imp_uid for r in rows]


def open_refunds(channel_id: int, since: int, until: int) -> Tx[list[Any]]:
    """Cancels of a channel that were asked in this time (UTC ms) and have no result yet."""
    rows = yield _OPEN_REFUNDS(channel_id=channel_id, since=since, until=until)
    return rows


def open_issues(most: int = 1000) -> Tx[list[Any]]:
    """Account issues over the API that have no result yet, oldest first."""
    rows = yield _OPEN_ISSUES(most=most)
    return rows


def deposits(imp_uid: str) -> Tx[list[Any]]:
    """A payment's deposits, oldest first."""
    rows = yield _DEPOSITS(imp_uid=imp_uid)
    return rows


def logistics_of(store_id: int, imp_uid: str) -> Tx[Any | None]:
    """The delivery data of a payment."""
    rows = yield _LOGISTICS(imp_uid=imp_uid, store_id=store_id)
    return rows[0] if rows else None


def set_logistics(
    store_id: int, imp_uid: str, *, sender: str, receiver: str, logis: str, products: str, now: int
) -> Tx[None]:
    """Keep the delivery data of a payment (JSON texts)."""
    yield _SET_LOGISTICS(
        imp_uid=imp_uid, store_id=store_id, sender=sender, receiver=receiver, logis=logis, products=products,
        created_at=now, updated_at=now, new_sender=sender, new_receiver=receiver, new_logis=logis,
        new_products=products, new_updated_at=now,
    )  # fmt: skip
