"""Payments, attempts, entries: rows to domain values and back. Lock order: order, then payment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import and_, bindparam, case, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert  # ON CONFLICT is the same on SQLite

from naru.domain.outcome import Details
from naru.domain.payment import (
    OPEN,
    Account,
    Attempt,
    Entry,
    EntryKind,
    Op,
    Payment,
    Purpose,
    State,
    Told,
    Void,
    show,
)
from naru.domain.values import AttemptId, ImpUid, Instant, MerchantUid, Won
from naru.store import counts
from naru.store.db import Tx
from naru.store.statement import Statement
from naru.store.tables import attempts, entries, orders, payments

_LOCK_ORDER = Statement(
    upsert(orders)
    .values(store_id=bindparam("store_id"), merchant_uid=bindparam("merchant_uid"))
    .on_conflict_do_update(
        index_elements=[orders.c.store_id, orders.c.merchant_uid],
        set_={"merchant_uid": bindparam("same_uid")},
    )
    .returning(orders.c.paid_by, orders.c.busy_by)
)
_offered = upsert(orders).values(
    store_id=bindparam("store_id"), merchant_uid=bindparam("merchant_uid"), busy_by=bindparam("imp_uid")
)
_TAKE_ORDER = Statement(
    _offered.on_conflict_do_update(
        index_elements=[orders.c.store_id, orders.c.merchant_uid],
        set_={
            "busy_by": case(
                (and_(orders.c.paid_by.is_(None), orders.c.busy_by.is_(None)), _offered.excluded.busy_by),
                else_=orders.c.busy_by,
            )
        },
    ).returning(orders.c.paid_by, orders.c.busy_by)
)
_ORDER = Statement(
    select(orders.c.paid_by, orders.c.busy_by).where(
        orders.c.store_id == bindparam("store_id"), orders.c.merchant_uid == bindparam("merchant_uid")
    )
)
_OWNER = Statement(
    select(payments.c.store_id, payments.c.merchant_uid).where(payments.c.imp_uid == bindparam("imp_uid"))
)
_OWNER_OF_ATTEMPT = Statement(
    select(attempts.c.imp_uid, attempts.c.op, attempts.c.purpose, payments.c.store_id, payments.c.merchant_uid)
    .join(payments, payments.c.imp_uid == attempts.c.imp_uid)
    .where(attempts.c.id == bindparam("id"))
)
_SET_ORDER = Statement(
    update(orders)
    .where(orders.c.store_id == bindparam("of_store"), orders.c.merchant_uid == bindparam("of_uid"))
    .values(paid_by=bindparam("paid_by"), busy_by=bindparam("busy_by"))
)

PAYMENT_COLUMNS = tuple(c.name for c in payments.columns)
_REQUIRED = (
    "imp_uid", "store_id", "channel_id", "merchant_uid", "pay_method", "route", "pg_id", "sandbox", "name", "amount",
    "tax_free", "vat_amount", "currency", "buyer_name", "buyer_email", "buyer_tel", "buyer_addr", "buyer_postcode",
    "custom_data", "user_agent", "notice_urls", "customer_uid", "customer_uid_usage", "extra", "escrow", "account",
    "card_quota", "status", "started_at", "status_at", "updated_at", "vbank_code", "vbank_name", "vbank_num",
    "vbank_holder", "vbank_due", "void",
)  # fmt: skip
_ADD_PAYMENT = Statement(insert(payments).values({c: bindparam(c) for c in _REQUIRED}).returning(*payments.c))
_PAYMENT = Statement(select(payments).where(payments.c.imp_uid == bindparam("imp_uid")))
_PAYMENT_LOCKED = Statement(select(payments).where(payments.c.imp_uid == bindparam("imp_uid")).with_for_update())
_COMPUTED = ("amount", "status", "cancel_amount", "paid_at", "failed_at", "cancelled_at", "status_at", "updated_at",
             "fail_reason", "cancel_reason", "void")  # fmt: skip
_TOLD_BY_PG = ("pg_tid", "apply_num", "card_code", "card_name", "card_number", "card_quota", "bank_code", "bank_name",
               "emb_pg_provider", "vbank_code", "vbank_name", "vbank_num", "vbank_holder", "vbank_due",
               "vbank_issued_at", "cash_receipt_issued")  # fmt: skip
_UPDATE_PAYMENT = Statement(
    update(payments)
    .where(payments.c.imp_uid == bindparam("of_imp_uid"))
    .values({c: bindparam(f"new_{c}") for c in (*_COMPUTED, *_TOLD_BY_PG)})
    .returning(*payments.c)
)
_SET_USAGE = Statement(
    update(payments)
    .where(payments.c.imp_uid == bindparam("of_imp_uid"))
    .values(customer_uid=bindparam("uid"), customer_uid_usage=bindparam("usage"))
)
_SET_EXTRA = Statement(
    update(payments).where(payments.c.imp_uid == bindparam("of_imp_uid")).values(extra=bindparam("new_extra"))
)

_ATTEMPT_COLUMNS = (
    "id", "imp_uid", "store_id", "channel_id", "op", "amount", "state", "asked_at", "settled_at", "purpose", "round",
    "org_tid", "told", "reason", "tax_free", "pg_code", "pg_message", "request", "seen", "webhook", "extra", "check_at",
)  # fmt: skip
_ADD_ATTEMPT = Statement(insert(attempts).values({c: bindparam(c) for c in _ATTEMPT_COLUMNS}).returning(*attempts.c))
_AS_ASKED = Statement(
    select(
        payments.c.updated_at, payments.c.status, payments.c.void, payments.c.customer_uid, attempts.c.state,
        attempts.c.told, attempts.c.check_at, orders.c.paid_by, orders.c.busy_by,
    )
    .select_from(orders)
    .join(payments, and_(payments.c.store_id == orders.c.store_id, payments.c.merchant_uid == orders.c.merchant_uid))
    .join(attempts, attempts.c.id == payments.c.imp_uid)
    .where(
        orders.c.store_id == bindparam("store_id"), orders.c.merchant_uid == bindparam("merchant_uid"),
        payments.c.imp_uid == bindparam("imp_uid"),
    )
    .with_for_update(of=[orders, payments, attempts])  # all three: PostgreSQL shows what it waited for only of these
)  # fmt: skip
_ATTEMPTS = Statement(
    select(attempts).where(attempts.c.imp_uid == bindparam("imp_uid")).order_by(attempts.c.asked_at, attempts.c.id)
)
_ATTEMPT = Statement(select(attempts).where(attempts.c.id == bindparam("id")))
_UPDATE_ATTEMPT = Statement(
    update(attempts)
    .where(attempts.c.id == bindparam("of_id"))
    .values(
        state=bindparam("new_state"),
        settled_at=bindparam("new_settled_at"),
        told=bindparam("new_told"),
        pg_code=bindparam("new_pg_code"),
        pg_message=bindparam("new_pg_message"),
        seen=bindparam("new_seen"),
        check_at=bindparam("new_check_at"),
    )
)
_SEEN = Statement(
    update(attempts)
    .where(attempts.c.imp_uid == bindparam("of_imp_uid"), attempts.c.seen == 0, attempts.c.state == State.DONE.value)
    .values(seen=1)
)
_HEARD = Statement(
    update(payments)
    .where(payments.c.imp_uid == bindparam("of_imp_uid"), payments.c.heard_at.is_(None))
    .values(heard_at=bindparam("at"))
)
_UNSEEN = Statement(
    select(attempts.c.id).where(
        attempts.c.imp_uid == bindparam("imp_uid"),
        attempts.c.seen == 0,
        attempts.c.op == Op.CANCEL.value,
        attempts.c.request != "",
        attempts.c.told.in_((Told.CHECKING.value, Told.NOTHING.value)),
        attempts.c.state == State.DONE.value,
    )
)
_COUNT_OP = Statement(
    select(func.count().label("n")).where(attempts.c.imp_uid == bindparam("imp_uid"), attempts.c.op == bindparam("op"))
)
_CLAIM = Statement(
    update(attempts)
    .where(
        attempts.c.id.in_(
            select(attempts.c.id)
            .where(attempts.c.check_at <= bindparam("due"))
            .order_by(attempts.c.check_at)
            .limit(bindparam("most"))
            .with_for_update(skip_locked=True)
        )
    )
    .values(check_at=bindparam("lease_until"), checks=attempts.c.checks + 1)
    .returning(attempts.c.id, attempts.c.imp_uid, attempts.c.checks)
)
_CLAIM_ONE = Statement(
    update(attempts)
    .where(attempts.c.id == bindparam("of_id"), attempts.c.check_at.is_not(None))
    .values(check_at=bindparam("lease_until"), checks=attempts.c.checks + 1)
    .returning(attempts.c.checks)
)
_CHECK_AT = Statement(
    update(attempts)
    .where(attempts.c.id == bindparam("of_id"))
    .values(check_at=bindparam("at"), denials=attempts.c.denials + bindparam("denied"))
)
_CHECK_ANEW = Statement(
    update(attempts).where(attempts.c.id == bindparam("of_id")).values(check_at=bindparam("at"), checks=0, denials=0)
)
_CLOSE = Statement(
    update(attempts)
    .where(attempts.c.id == bindparam("of_id"), attempts.c.state.in_(tuple(s.value for s in OPEN)))
    .values(state=State.CLOSED.value, settled_at=bindparam("at"), check_at=None)
)
# Said as the partial index says it: without the condition SQLite would read every attempt there ever was.
_NEXT_CHECK = Statement(select(func.min(attempts.c.check_at).label("at")).where(attempts.c.check_at.is_not(None)))

_ENTRY_COLUMNS = ("id", "imp_uid", "store_id", "kind", "amount", "pg_tid", "at", "recorded_at", "attempt_id", "org_tid",
                  "reason", "depositor")  # fmt: skip
_ADD_ENTRY = Statement(
    upsert(entries).values({c: bindparam(c) for c in _ENTRY_COLUMNS}).on_conflict_do_nothing(index_elements=["id"])
)
_ENTRIES = Statement(
    select(entries).where(entries.c.imp_uid == bindparam("imp_uid")).order_by(entries.c.at, entries.c.id)
)


@dataclass(frozen=True, slots=True)
class Order:
    """Who paid a merchant_uid, and who is about to."""

    paid_by: ImpUid | None
    busy_by: ImpUid | None


@dataclass(frozen=True, slots=True)
class Stored:
    """A payment as the domain sees it, beside its row."""

    payment: Payment
    row: Any
    attempt_rows: Mapping[str, Any]


def to_attempt(row: Any) -> Attempt:
    """An attempt's row as a value."""
    return Attempt(
        id=AttemptId(row.id),
        op=Op(row.op),
        amount=Won(row.amount),
        state=State(row.state),
        asked_at=row.asked_at,
        purpose=Purpose(row.purpose),
        round=row.round,
        org_tid=row.org_tid,
        settled_at=row.settled_at,
        told=Told(row.told),
        reason=row.reason,
        tax_free=Won(row.tax_free),
        pg_code=row.pg_code,
        pg_message=row.pg_message,
        request=row.request,
        seen=bool(row.seen),
        webhook=bool(row.webhook),
    )


def to_entry(row: Any) -> Entry:
    """An entry's row as a value."""
    return Entry(
        id=row.id,
        kind=EntryKind(row.kind),
        amount=Won(row.amount),
        pg_tid=row.pg_tid,
        at=row.at,
        attempt_id=row.attempt_id,
        org_tid=row.org_tid,
        reason=row.reason,
        depositor=row.depositor,
    )


def to_payment(row: Any, attempt_rows: list[Any], entry_rows: list[Any]) -> Payment:
    """A payment's rows as a value."""
    return Payment(
        imp_uid=ImpUid(row.imp_uid),
        store_id=row.store_id,
        channel_id=row.channel_id,
        merchant_uid=MerchantUid(row.merchant_uid),
        pay_method=row.pay_method,
        amount=Won(row.amount),
        tax_free=Won(row.tax_free),
        started_at=row.started_at,
        by_api=row.route == "api",
        account=Account(row.account),
        number=row.vbank_num or "",
        due=row.vbank_due,
        void=Void(row.void),
        attempts=tuple(to_attempt(r) for r in attempt_rows),
        entries=tuple(to_entry(r) for r in entry_rows),
    )


def lock_order(store_id: int, merchant_uid: str) -> Tx[Order]:
    """Lock (and if need be make) the row under which payments of one merchant_uid take turns."""
    rows = yield _LOCK_ORDER(store_id=store_id, merchant_uid=merchant_uid, same_uid=merchant_uid)
    return Order(rows[0].paid_by, rows[0].busy_by)


def take_order(store_id: int, merchant_uid: str, imp_uid: str) -> Tx[Order]:
    """The same, and the order is *imp_uid*'s (`busy_by`) unless it is paid or another's already."""
    rows = yield _TAKE_ORDER(store_id=store_id, merchant_uid=merchant_uid, imp_uid=imp_uid)
    return Order(rows[0].paid_by, rows[0].busy_by)


def lock_order_of(imp_uid: str) -> Tx[Order | None]:
    """Lock the order that a payment belongs to; None when there is no such payment."""
    rows = yield _OWNER(imp_uid=imp_uid)
    if not rows:
        return None
    return (yield from lock_order(rows[0].store_id, rows[0].merchant_uid))


def order(store_id: int, merchant_uid: str) -> Tx[Order]:
    """The order's state, without a lock."""
    rows = yield _ORDER(store_id=store_id, merchant_uid=merchant_uid)
    return Order(rows[0].paid_by, rows[0].busy_by) if rows else Order(None, None)


def set_order(store_id: int, merchant_uid: str, new: Order) -> Tx[None]:
    """Write the order's state; the row is locked by the caller."""
    yield _SET_ORDER(of_store=store_id, of_uid=merchant_uid, paid_by=new.paid_by, busy_by=new.busy_by)


class SaidByShop(Protocol):
    """What a shop says about any payment, whichever way it asks for it."""

    @property
    def buyer_name(self) -> str | None: ...
    @property
    def buyer_email(self) -> str | None: ...
    @property
    def buyer_tel(self) -> str | None: ...
    @property
    def buyer_addr(self) -> str | None: ...
    @property
    def buyer_postcode(self) -> str | None: ...
    @property
    def custom_data(self) -> str | None: ...
    @property
    def user_agent(self) -> str | None: ...
    @property
    def notice_urls(self) -> list[str] | None: ...


def said_by_shop(order: SaidByShop) -> dict[str, Any]:
    """The columns of what a shop says about a payment."""
    return {
        "buyer_name": order.buyer_name,
        "buyer_email": order.buyer_email,
        "buyer_tel": order.buyer_tel,
        "buyer_addr": order.buyer_addr,
        "buyer_postcode": order.buyer_postcode,
        "custom_data": order.custom_data,
        "user_agent": order.user_agent,
        "notice_urls": json.dumps(order.notice_urls) if order.notice_urls else None,
    }


def add_payment(values: Mapping[str, Any]) -> Tx[Any]:
    """Insert a payment's row and return it; columns not given are null, 0 or empty as the column says."""
    row: dict[str, Any] = dict.fromkeys(_REQUIRED)
    row.update(tax_free=0, currency="KRW", extra="{}", escrow=0, account="", card_quota=0, status="ready", void="")
    row.update(values)
    row["status_at"] = row["updated_at"] = row["started_at"]
    rows = yield _ADD_PAYMENT(**row)
    return rows[0]


def add_attempt(p: Payment, attempt: Attempt, *, check_at: int | None, extra: str = "{}") -> Tx[Any]:
    """Insert an attempt, with the time at which the settle job is to look at it. Returns its row."""
    rows = yield _ADD_ATTEMPT(
        id=attempt.id,
        imp_uid=p.imp_uid,
        store_id=p.store_id,
        channel_id=p.channel_id,
        op=attempt.op.value,
        amount=attempt.amount,
        state=attempt.state.value,
        asked_at=attempt.asked_at,
        settled_at=attempt.settled_at,
        purpose=attempt.purpose.value,
        round=attempt.round,
        org_tid=attempt.org_tid,
        told=attempt.told.value,
        reason=attempt.reason,
        tax_free=attempt.tax_free,
        pg_code=attempt.pg_code,
        pg_message=attempt.pg_message,
        request=attempt.request,
        seen=int(attempt.seen),
        webhook=int(attempt.webhook),
        extra=extra,
        check_at=check_at,
    )
    return rows[0]


def count_op(imp_uid: str, op: Op) -> Tx[int]:
    """How many attempts of one kind a payment has, for the next derived number."""
    rows = yield _COUNT_OP(imp_uid=imp_uid, op=op.value)
    return rows[0].n  # type: ignore[no-any-return]


def load(imp_uid: str, *, lock: bool = False) -> Tx[Stored | None]:
    """A payment with its attempts and entries; locked, it stays as it is until the transaction ends."""
    rows = yield (_PAYMENT_LOCKED if lock else _PAYMENT)(imp_uid=imp_uid)
    if not rows:
        return None
    attempt_rows = yield _ATTEMPTS(imp_uid=imp_uid)
    entry_rows = yield _ENTRIES(imp_uid=imp_uid)
    return Stored(to_payment(rows[0], attempt_rows, entry_rows), rows[0], {r.id: r for r in attempt_rows})


def as_asked(asked: Stored) -> Tx[Order | None]:
    """Lock the order and the payment of a pay attempt that this process has just committed.

    Returns the order's state; None when anybody else has touched the payment since: then *asked* is not
    what is stored any more, and the payment is to be loaded.
    """
    row = asked.row
    found = yield _AS_ASKED(store_id=row.store_id, merchant_uid=row.merchant_uid, imp_uid=row.imp_uid)
    attempt = asked.attempt_rows[row.imp_uid]
    if not found:
        return None
    now = found[0]
    same = (
        now.state == attempt.state == State.ASKED.value and now.told == attempt.told
        and now.check_at == attempt.check_at and now.updated_at == row.updated_at and now.status == row.status
        and now.void == row.void
        and now.customer_uid == row.customer_uid
    )  # fmt: skip
    return Order(now.paid_by, now.busy_by) if same else None


def owner_of_attempt(attempt_id: str) -> Tx[Any | None]:
    """An attempt's payment, with its order: what must be known to take the locks."""
    rows = yield _OWNER_OF_ATTEMPT(id=attempt_id)
    return rows[0] if rows else None


def fills_nothing(row: Any, details: Details | None, pg_tid: str | None) -> bool:
    """Whether the PG's words hold nothing that a payment's row lacks."""
    return all(getattr(row, column) == value for column, value in _merged(row, details, pg_tid).items())


def attempt_row(attempt_id: str) -> Tx[Any | None]:
    """An attempt's row by its number."""
    rows = yield _ATTEMPT(id=attempt_id)
    return rows[0] if rows else None


def _merged(row: Any, details: Details | None, pg_tid: str | None) -> dict[str, Any]:
    """The PG's words: news fills gaps and never erases."""
    new = {c: getattr(row, c) for c in _TOLD_BY_PG}
    if pg_tid and not new["pg_tid"]:
        new["pg_tid"] = pg_tid
    if details is None:
        return new
    told = {
        "apply_num": details.apply_num,
        "card_code": details.card_code,
        "card_name": details.card_name,
        "card_number": details.card_number,
        "bank_code": details.bank_code,
        "bank_name": details.bank_name,
        "emb_pg_provider": details.emb_pg_provider,
        "vbank_code": details.account_bank,
        "vbank_name": details.account_bank_name,
        "vbank_num": details.account_number,
        "vbank_holder": details.account_holder,
        "vbank_due": details.account_due,
    }
    for column, value in told.items():
        if value is not None and not new[column]:
            new[column] = value
    if details.card_quota is not None:
        new["card_quota"] = details.card_quota
    if details.receipt_id:
        new["cash_receipt_issued"] = 1
    return new


def save(
    before: Stored, after: Payment, now: Instant, *, details: Details | None = None, pg_tid: str | None = None,
    overrides: Mapping[str, Any] | None = None, check_at: Mapping[str, int] | None = None,
) -> Tx[Any]:  # fmt: skip
    """Write what changed: new entries, changed attempts, and the computed columns. Returns the payment's row.

    *overrides* sets columns the PG told (``vbank_*``) to new values even where they were set before.
    A final attempt loses its place in the settle job's timetable; a new one is looked at at once,
    or when *check_at* says.
    """
    known = {a.id: a for a in before.payment.attempts}
    for attempt in after.attempts:
        old = known.get(attempt.id)
        if old is None:
            due = (check_at or {}).get(attempt.id, now)
            yield from add_attempt(after, attempt, check_at=due if attempt.is_open else None)
        elif old != attempt:
            yield _UPDATE_ATTEMPT(
                of_id=attempt.id,
                new_state=attempt.state.value,
                new_settled_at=attempt.settled_at,
                new_told=attempt.told.value,
                new_pg_code=attempt.pg_code,
                new_pg_message=attempt.pg_message,
                new_seen=int(attempt.seen),
                new_check_at=before.attempt_rows[attempt.id].check_at if attempt.is_open else None,
            )
    have = {e.id for e in before.payment.entries}
    for entry in after.entries:
        if entry.id not in have:
            yield _ADD_ENTRY(
                id=entry.id,
                imp_uid=after.imp_uid,
                store_id=after.store_id,
                kind=entry.kind.value,
                amount=entry.amount,
                pg_tid=entry.pg_tid,
                at=entry.at,
                recorded_at=now,
                attempt_id=entry.attempt_id,
                org_tid=entry.org_tid,
                reason=entry.reason,
                depositor=entry.depositor,
            )
    return (yield from save_shown(before.row, after, now, details=details, pg_tid=pg_tid, overrides=overrides))


def save_shown(
    row: Any, after: Payment, now: Instant, *, details: Details | None = None, pg_tid: str | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Tx[Any]:  # fmt: skip
    """Recompute and write the columns that follow from attempts and entries. Returns the payment's row."""
    shown = show(after)
    new: dict[str, Any] = _merged(row, details, pg_tid)
    new.update(overrides or {})
    new.update(
        amount=after.amount,
        status=shown.status.value,
        cancel_amount=shown.cancel_amount,
        paid_at=shown.paid_at,
        failed_at=shown.failed_at,
        cancelled_at=shown.cancelled_at,
        status_at=shown.status_at or row.started_at,
        fail_reason=shown.fail_reason,
        cancel_reason=shown.cancel_reason,
        void=after.void.value,
    )
    if all(getattr(row, column) == value for column, value in new.items()):
        return row  # the same news again
    if (row.status, row.status_at) != (new["status"], new["status_at"]):
        yield from counts.changed(row.store_id, (row.status_at, new["status_at"]), now)
    values = {f"new_{column}": value for column, value in new.items()}
    rows = yield _UPDATE_PAYMENT(of_imp_uid=after.imp_uid, new_updated_at=now, **values)
    return rows[0]


def set_usage(imp_uid: str, customer_uid: str | None, usage: str | None) -> Tx[None]:
    """Say how a payment used a billing key."""
    yield _SET_USAGE(of_imp_uid=imp_uid, uid=customer_uid, usage=usage)


def set_extra(imp_uid: str, extra: Mapping[str, Any]) -> Tx[None]:
    """Replace what only one flow needs."""
    yield _SET_EXTRA(of_imp_uid=imp_uid, new_extra=json.dumps(extra, ensure_ascii=False))


def mark_seen(imp_uid: str) -> Tx[None]:
    """The shop has learnt the results of this payment's finished attempts."""
    yield _SEEN(of_imp_uid=imp_uid)


def mark_heard(imp_uid: str, at: int) -> Tx[None]:
    """The shop has learnt of this payment for the first time: it took a webhook or looked it up."""
    yield _HEARD(of_imp_uid=imp_uid, at=at)


def mark_all_heard(heard: dict[str, int]) -> Tx[None]:
    """The same for several payments, by imp_uid."""
    yield _HEARD.many([{"of_imp_uid": imp_uid, "at": at} for imp_uid, at in heard.items()])


def unseen(imp_uid: str) -> Tx[bool]:
    """Whether a cancel whose caller heard "being checked", or nothing, is done without the shop having learnt so."""
    rows = yield _UNSEEN(imp_uid=imp_uid)
    return bool(rows)


def claim_checks(due: int, lease_until: int, most: int) -> Tx[list[Any]]:
    """Take attempts whose time has come; the lease is their next run time, so a dead taker loses nothing."""
    rows = yield _CLAIM(due=due, lease_until=lease_until, most=most)
    return rows


def claim_check(attempt_id: str, lease_until: int) -> Tx[int | None]:
    """Take one attempt before its time. Returns how often it was taken by now; None when nobody is to look at it."""
    rows = yield _CLAIM_ONE(of_id=attempt_id, lease_until=lease_until)
    return rows[0].checks if rows else None


def next_check() -> Tx[int | None]:
    """When the next attempt is to be looked at."""
    rows = yield _NEXT_CHECK()
    return rows[0].at  # type: ignore[no-any-return]


def check_again(attempt_id: str, at: int | None, *, denied: bool = False) -> Tx[None]:
    """Say when to look at an attempt again, and whether the PG said "no such trade"."""
    yield _CHECK_AT(of_id=attempt_id, at=at, denied=int(denied))


def check_anew(attempt_id: str, at: int) -> Tx[None]:
    """When to look at an attempt that asks for something else from now on: what the PG said so far is of no account."""
    yield _CHECK_ANEW(of_id=attempt_id, at=at)


def close_attempt(attempt_id: str, now: int) -> Tx[None]:
    """Stop looking at an attempt that nobody finished."""
    yield _CLOSE(of_id=attempt_id, at=now)


OPEN_STATES = tuple(s.value for s in OPEN)
