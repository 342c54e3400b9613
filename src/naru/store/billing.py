"""Customers and their billing keys. Lock order: payment, then customer, then what it owns.

A key is sealed for its row by the order number that brought it, which no other row has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert as upsert  # ON CONFLICT is the same on SQLite

from naru.domain.billing import KeyState
from naru.domain.outcome import Sealed
from naru.store.db import Tx
from naru.store.statement import Statement
from naru.store.tables import billing_keys, customers
from naru.store.vault import Vault

_LOCK = Statement(
    upsert(customers)
    .values(store_id=bindparam("store_id"), customer_uid=bindparam("customer_uid"))
    .on_conflict_do_update(
        index_elements=[customers.c.store_id, customers.c.customer_uid],
        set_={"customer_uid": bindparam("same_uid")},
    )
    .returning(customers.c.key_id, customers.c.inserted_at, customers.c.updated_at)
)
_POINT = Statement(
    update(customers)
    .where(customers.c.store_id == bindparam("of_store"), customers.c.customer_uid == bindparam("of_uid"))
    .values(key_id=bindparam("key_id"), inserted_at=bindparam("inserted_at"), updated_at=bindparam("updated_at"))
)
_HELD = Statement(
    select(customers.c.key_id)
    .where(customers.c.store_id == bindparam("store_id"), customers.c.customer_uid == bindparam("customer_uid"))
    .with_for_update()
)

_CUSTOMER_COLUMNS = ("customer_name", "customer_tel", "customer_email", "customer_addr", "customer_postcode")
_CARD_COLUMNS = ("card_name", "card_code", "card_number")
_KEY_COLUMNS = ("store_id", "customer_uid", "channel_id", "source", "state", "sealed", "mac", *_CARD_COLUMNS,
                *_CUSTOMER_COLUMNS, "customer_id", "asked_at", "issued_at", "replaced_at")  # fmt: skip
_ADD = Statement(
    upsert(billing_keys)
    .values({c: bindparam(c) for c in _KEY_COLUMNS})
    .on_conflict_do_nothing(index_elements=["source"])
    .returning(billing_keys.c.id)
)
_SETTLE = Statement(
    update(billing_keys)
    .where(billing_keys.c.id == bindparam("of_id"), billing_keys.c.state == bindparam("from_state"))
    .values(
        {c: bindparam(f"new_{c}") for c in ("state", "sealed", "mac", *_CARD_COLUMNS, "issued_at", "replaced_at",
                                            "pg_code", "pg_message")}
    )
    .returning(billing_keys.c.id)
)  # fmt: skip
_STATE = Statement(
    update(billing_keys)
    .where(billing_keys.c.id == bindparam("of_id"), billing_keys.c.state == bindparam("from_state"))
    .values(
        state=bindparam("new_state"),
        deleted_at=bindparam("new_deleted_at"),
        pg_code=bindparam("new_pg_code"),
        pg_message=bindparam("new_pg_message"),
        reason=bindparam("new_reason"),
    )
    .returning(billing_keys.c.id)
)
_TRY = Statement(
    update(billing_keys)
    .where(billing_keys.c.id == bindparam("of_id"))
    .values(delete_tries=billing_keys.c.delete_tries + 1)
    .returning(billing_keys.c.delete_tries)
)
_REPLACED = Statement(
    update(billing_keys).where(billing_keys.c.id == bindparam("of_id")).values(replaced_at=bindparam("at"))
)
_BY_ID = Statement(select(billing_keys).where(billing_keys.c.id == bindparam("id")))
_BY_SOURCE = Statement(select(billing_keys).where(billing_keys.c.source == bindparam("source")))
_SAME_ELSEWHERE = Statement(
    select(billing_keys.c.id).where(
        billing_keys.c.mac == bindparam("mac"),
        billing_keys.c.id != bindparam("id"),
        billing_keys.c.state == KeyState.LIVE.value,
    )
)
_NEWER = Statement(
    select(billing_keys.c.id)
    .where(
        billing_keys.c.store_id == bindparam("store_id"),
        billing_keys.c.customer_uid == bindparam("customer_uid"),
        (billing_keys.c.asked_at > bindparam("asked_at")) | (billing_keys.c.deleted_at > bindparam("asked_at")),
        billing_keys.c.state.in_((KeyState.LIVE.value, KeyState.DELETING.value, KeyState.DELETED.value)),
    )
    .limit(1)
)
_OF_CUSTOMER = Statement(
    select(billing_keys)
    .where(billing_keys.c.store_id == bindparam("store_id"), billing_keys.c.customer_uid == bindparam("customer_uid"))
    .order_by(billing_keys.c.id)
)
_CURRENT = Statement(
    select(billing_keys, customers.c.inserted_at, customers.c.updated_at)
    .join(customers, customers.c.key_id == billing_keys.c.id)
    .where(
        customers.c.store_id == bindparam("store_id"),
        customers.c.customer_uid.in_(bindparam("customer_uids", expanding=True)),
    )
    .order_by(customers.c.customer_uid)
)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A billing key that Hecto issued, sealed for its row."""

    source: str
    sealed: bytes
    mac: str


@dataclass(frozen=True, slots=True)
class Holder:
    """A customer's row, locked."""

    store_id: int
    customer_uid: str
    key_id: int | None
    inserted_at: int | None
    updated_at: int | None


def seal(key: Sealed, source: str, vault: Vault) -> NewKey:
    """Seal a billing key for the row of the order number *source*."""
    text = key.reveal()
    return NewKey(source, vault.seal(text, f"billing_keys.sealed:{source}"), vault.mac(b"key:" + text.encode()).hex())


def unseal(row: Any, vault: Vault) -> Sealed:
    """The billing key of a row. Raises WrongMasterKey."""
    return Sealed(vault.open(row.sealed, f"billing_keys.sealed:{row.source}"))


def lock_customer(store_id: int, customer_uid: str) -> Tx[Holder]:
    """Lock (and if need be make) the row of a customer."""
    rows = yield _LOCK(store_id=store_id, customer_uid=customer_uid, same_uid=customer_uid)
    return Holder(store_id, customer_uid, rows[0].key_id, rows[0].inserted_at, rows[0].updated_at)


def holds(store_id: int, customer_uid: str, key_id: int) -> Tx[bool]:
    """Whether this is still the customer's key; it stays so until the transaction ends."""
    rows = yield _HELD(store_id=store_id, customer_uid=customer_uid)
    return bool(rows) and rows[0].key_id == key_id


def point(holder: Holder, key_id: int | None, now: int) -> Tx[None]:
    """Make a key the one that is charged; another in its place is marked as replaced."""
    if holder.key_id is not None and key_id is not None and holder.key_id != key_id:
        yield _REPLACED(of_id=holder.key_id, at=now)
    inserted_at = holder.inserted_at if holder.key_id is not None else now
    yield _POINT(
        of_store=holder.store_id, of_uid=holder.customer_uid, key_id=key_id, inserted_at=inserted_at, updated_at=now
    )


def add_key(values: Mapping[str, Any]) -> Tx[int | None]:
    """Insert a billing key's row; None when its order number has brought one already."""
    row: dict[str, Any] = dict.fromkeys(_KEY_COLUMNS)
    row.update(values)
    rows = yield _ADD(**row)
    return rows[0].id if rows else None


def settle_key(
    key_id: int, state: KeyState, *, new: NewKey | None, card: Mapping[str, Any], issued_at: int | None,
    replaced_at: int | None, code: str | None, message: str | None,
) -> Tx[bool]:  # fmt: skip
    """Write what became of a key that was asked for. False: it was settled already."""
    rows = yield _SETTLE(
        of_id=key_id, from_state=KeyState.ASKED.value, new_state=state.value,
        new_sealed=new.sealed if new else None, new_mac=new.mac if new else None,
        new_issued_at=issued_at, new_replaced_at=replaced_at, new_pg_code=code, new_pg_message=message,
        **{f"new_{c}": card.get(c) for c in _CARD_COLUMNS},
    )  # fmt: skip
    return bool(rows)


def change_state(
    row: Any, to: KeyState, *, deleted_at: int | None = None, code: str | None = None, message: str | None = None,
    reason: str | None = None,
) -> Tx[bool]:  # fmt: skip
    """Move a key from the state it was read in. False: somebody else moved it first."""
    rows = yield _STATE(
        of_id=row.id, from_state=row.state, new_state=to.value, new_deleted_at=deleted_at, new_pg_code=code,
        new_pg_message=message, new_reason=reason if reason is not None else row.reason,
    )  # fmt: skip
    return bool(rows)


def count_deletion(key_id: int) -> Tx[int]:
    """The number of the deletion message that is about to be sent: every message has its own."""
    rows = yield _TRY(of_id=key_id)
    return rows[0].delete_tries  # type: ignore[no-any-return]


def key(key_id: int) -> Tx[Any | None]:
    """A billing key's row."""
    rows = yield _BY_ID(id=key_id)
    return rows[0] if rows else None


def key_by_source(source: str) -> Tx[Any | None]:
    """The billing key that an order number brought."""
    rows = yield _BY_SOURCE(source=source)
    return rows[0] if rows else None


def same_elsewhere(row: Any) -> Tx[bool]:
    """Whether another live row holds the very same key (Hecto may issue one twice for a card)."""
    rows = yield _SAME_ELSEWHERE(mac=row.mac, id=row.id)
    return bool(rows)


def overtaken(store_id: int, customer_uid: str, asked_at: int) -> Tx[bool]:
    """Whether the customer got another key, or was deleted, after *asked_at*."""
    rows = yield _NEWER(store_id=store_id, customer_uid=customer_uid, asked_at=asked_at)
    return bool(rows)


def keys_of(store_id: int, customer_uid: str) -> Tx[list[Any]]:
    """All keys a customer ever had, oldest first."""
    rows = yield _OF_CUSTOMER(store_id=store_id, customer_uid=customer_uid)
    return rows


def current_keys(store_id: int, customer_uids: list[str]) -> Tx[list[Any]]:
    """The keys that are charged for these customers, with ``inserted_at`` and ``updated_at``, by customer_uid."""
    rows = yield _CURRENT(store_id=store_id, customer_uids=customer_uids or [""])
    return rows
