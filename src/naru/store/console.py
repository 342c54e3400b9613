"""Read-only queries for the console: lists by key, totals, what belongs to one payment. Every one is bounded
by a store, and lists never load what they do not show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, bindparam, case, func, literal_column, or_, select

from naru.domain.payment import Account
from naru.store.db import Tx
from naru.store.statement import Statement
from naru.store.tables import (
    alarms,
    attempts,
    billing_keys,
    channels,
    deliveries,
    entries,
    inbox,
    jobs,
    payments,
    schedules,
)

DAY_MS: Final = 86_400_000
KST_MS: Final = 32_400_000
OPEN_STATES: Final = ("asked", "pending", "unknown")

# ── payments ──────────────────────────────────────────────────────────────────

SEARCH_FIELDS: Final[Mapping[str, ColumnElement[Any]]] = {
    "imp_uid": payments.c.imp_uid,
    "merchant_uid": payments.c.merchant_uid,
    "name": payments.c.name,
    "apply_num": payments.c.apply_num,
    "buyer_name": payments.c.buyer_name,
    "buyer_tel": payments.c.buyer_tel,
    "buyer_email": payments.c.buyer_email,
    "buyer_addr": payments.c.buyer_addr,
    "buyer_postcode": payments.c.buyer_postcode,
    "customer_uid": payments.c.customer_uid,
    "pg_tid": payments.c.pg_tid,
    "pg_id": payments.c.pg_id,
    "card_number": payments.c.card_number,
    "card_name": payments.c.card_name,
    "bank_name": payments.c.bank_name,
    "vbank_num": payments.c.vbank_num,
    "vbank_holder": payments.c.vbank_holder,
    "cancel_reason": payments.c.cancel_reason,
    "fail_reason": payments.c.fail_reason,
}
"""Where a search may look; PortOne's fields."""
_ANYWHERE: Final = (
    "imp_uid", "merchant_uid", "name", "buyer_name", "buyer_tel", "buyer_email", "pg_tid", "apply_num", "card_number",
    "vbank_num",
)  # fmt: skip
STATUSES: Final = ("ready", "paid", "cancelled", "partial", "failed")


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list of payments shows. Times are UTC ms, *until* not included."""

    store_id: int
    since: int
    until: int
    by_request: bool = False
    """By the time of the request instead of the status's own time."""
    status: str = ""
    method: str = ""
    test: int | None = None
    channel_id: int | None = None
    field: str = ""
    text: str = ""
    exact: bool = False
    """*text* is a whole imp_uid, merchant_uid or trade number: found whatever its time."""


def _like(text: str) -> str:
    escaped = text.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _contains(column: ColumnElement[Any]) -> ColumnElement[bool]:
    return func.lower(column).like(bindparam("text"), escape="\\")


def _searched(field: str) -> ColumnElement[bool]:
    if field == "depositor":
        return (
            select(entries.c.id).where(entries.c.imp_uid == payments.c.imp_uid, _contains(entries.c.depositor)).exists()
        )
    if field:
        return _contains(SEARCH_FIELDS[field])
    return or_(*(_contains(SEARCH_FIELDS[name]) for name in _ANYWHERE))


def _base(f: Filter) -> Any:
    return payments.c.started_at if f.by_request else payments.c.status_at


def _filtered(f: Filter, what: Any) -> Any:
    query = what.where(payments.c.store_id == bindparam("store_id"))
    if f.exact:
        return query.where(
            or_(
                payments.c.imp_uid == bindparam("text"), payments.c.merchant_uid == bindparam("text"),
                payments.c.pg_tid == bindparam("text"),
            )
        )  # fmt: skip
    at = _base(f)
    query = query.where(at >= bindparam("since"), at < bindparam("until"))
    match f.status:
        case "":
            pass
        case "partial":
            query = query.where(
                payments.c.status == "cancelled",
                payments.c.cancel_amount > 0,
                payments.c.cancel_amount < payments.c.amount,
            )
        case status:
            query = query.where(payments.c.status == status)
    if f.method:
        query = query.where(payments.c.pay_method == bindparam("method"))
    if f.test is not None:
        query = query.where(payments.c.sandbox == bindparam("test"))
    if f.channel_id is not None:
        query = query.where(payments.c.channel_id == bindparam("channel_id"))
    if f.text:
        query = query.where(_searched(f.field))
    return query


def _values(f: Filter) -> dict[str, Any]:
    values: dict[str, Any] = {"store_id": f.store_id}
    if f.exact:
        return {**values, "text": f.text}
    values |= {"since": f.since, "until": f.until}
    if f.method:
        values["method"] = f.method
    if f.test is not None:
        values["test"] = f.test
    if f.channel_id is not None:
        values["channel_id"] = f.channel_id
    if f.text:
        values["text"] = _like(f.text)
    return values


def _shape(f: Filter) -> Filter:
    """Filters of one shape share a statement: what differs are its values."""
    return replace(
        f, store_id=0, since=0, until=0, method="x" if f.method else "", test=None if f.test is None else 0,
        channel_id=None if f.channel_id is None else 0, text="x" if f.text else "",
    )  # fmt: skip


_pages: dict[tuple[Filter, bool], Statement] = {}
_totals: dict[Filter, Statement] = {}


def payments_page(f: Filter, after: tuple[int, str] | None, most: int) -> Tx[list[Any]]:
    """Payments of a filter, newest first, those after the key (time, imp_uid)."""
    key = (_shape(f), after is not None)
    statement = _pages.get(key)
    if statement is None:
        at = _base(f)
        query = _filtered(f, select(payments, at.label("at")))
        if after is not None:
            # A bound that the index can seek to, then who of that instant was shown: an OR alone would read every
            # page from the newest row on.
            query = query.where(
                at <= bindparam("at"), or_(at < bindparam("at"), payments.c.imp_uid < bindparam("imp_uid"))
            )
        query = query.order_by(at.desc(), payments.c.imp_uid.desc()).limit(bindparam("most"))
        statement = _pages[key] = Statement(query)
    values = _values(f) | {"most": most}
    if after is not None:
        values |= {"at": after[0], "imp_uid": after[1]}
        if "until" in values:  # where the index is entered: the condition on both columns alone does not tell
            values["until"] = min(f.until, after[0] + 1)
    rows = yield statement(**values)
    return rows


def payments_total(f: Filter) -> Tx[Any]:
    """How many payments a filter has, what was paid and what went back (KRW)."""
    key = _shape(f)
    statement = _totals.get(key)
    if statement is None:
        deposits = (
            select(func.coalesce(func.sum(entries.c.amount), 0))
            .where(entries.c.imp_uid == payments.c.imp_uid, entries.c.kind.in_(("approve", "deposit")))
            .scalar_subquery()
        )
        # An unlimited account has no amount of its own: what came in counts.
        came = case(
            (payments.c.account == Account.UNLIMITED.value, deposits),
            (payments.c.status.in_(("paid", "cancelled")), payments.c.amount),
            else_=0,
        )
        statement = _totals[key] = Statement(
            _filtered(
                f,
                select(
                    func.count().label("n"),
                    func.coalesce(func.sum(came), 0).label("paid"),
                    func.coalesce(func.sum(payments.c.cancel_amount), 0).label("cancelled"),
                ),
            )
        )
    rows = yield statement(**_values(f))
    return rows[0]


_PAYMENT = Statement(
    select(payments).where(payments.c.imp_uid == bindparam("imp_uid"), payments.c.store_id == bindparam("store_id"))
)
_ATTEMPTS = Statement(
    select(attempts).where(attempts.c.imp_uid == bindparam("imp_uid")).order_by(attempts.c.asked_at, attempts.c.id)
)
_ENTRIES = Statement(
    select(entries)
    .where(entries.c.imp_uid == bindparam("imp_uid"))
    .order_by(entries.c.at, entries.c.recorded_at, entries.c.id)
)
_LETTERS = Statement(select(inbox).where(inbox.c.imp_uid == bindparam("imp_uid")).order_by(inbox.c.id).limit(200))
_JOBS = Statement(
    select(jobs).where(jobs.c.imp_uid == bindparam("imp_uid"), jobs.c.kind == "webhook").order_by(jobs.c.id).limit(200)
)
_DELIVERIES = Statement(
    select(deliveries).where(deliveries.c.imp_uid == bindparam("imp_uid")).order_by(deliveries.c.id.desc()).limit(200)
)
_ALARMS_OF = Statement(select(alarms).where(alarms.c.imp_uid == bindparam("imp_uid")).order_by(alarms.c.id))
_SIBLINGS = Statement(
    select(payments.c.imp_uid, payments.c.status, payments.c.amount, payments.c.started_at)
    .where(
        payments.c.store_id == bindparam("store_id"), payments.c.merchant_uid == bindparam("merchant_uid"),
        payments.c.imp_uid != bindparam("imp_uid"),
    )
    .order_by(payments.c.started_at.desc())
    .limit(20)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Whole:
    """Everything about one payment."""

    row: Any
    attempts: list[Any]
    entries: list[Any]
    letters: list[Any]
    jobs: list[Any]
    deliveries: list[Any]
    alarms: list[Any]
    siblings: list[Any]


def whole(store_id: int, imp_uid: str) -> Tx[Whole | None]:
    """A payment of this store with all that belongs to it."""
    rows = yield _PAYMENT(imp_uid=imp_uid, store_id=store_id)
    if not rows:
        return None
    row = rows[0]
    asked = yield _ATTEMPTS(imp_uid=imp_uid)
    moved = yield _ENTRIES(imp_uid=imp_uid)
    letters = yield _LETTERS(imp_uid=imp_uid)
    owed = yield _JOBS(imp_uid=imp_uid)
    tries = yield _DELIVERIES(imp_uid=imp_uid)
    raised = yield _ALARMS_OF(imp_uid=imp_uid)
    others = yield _SIBLINGS(store_id=store_id, merchant_uid=row.merchant_uid, imp_uid=imp_uid)
    return Whole(row, asked, moved, letters, owed, tries, raised, others)


# ── what needs a person ───────────────────────────────────────────────────────

_UNKNOWN = Statement(
    select(
        attempts, payments.c.merchant_uid, payments.c.pay_method, payments.c.route, payments.c.status,
        payments.c.name, payments.c.sandbox, payments.c.account, payments.c.escrow, payments.c.vbank_num,
        payments.c.vbank_code,
    )
    .join(payments, payments.c.imp_uid == attempts.c.imp_uid)
    .where(
        attempts.c.store_id == bindparam("store_id"), attempts.c.check_at.is_not(None),
        attempts.c.state.in_(OPEN_STATES),
    )
    .order_by(attempts.c.asked_at)
    .limit(bindparam("most"))
)  # fmt: skip
_UNHEARD = Statement(
    select(payments)
    .where(
        payments.c.store_id == bindparam("store_id"), payments.c.status == "paid", payments.c.heard_at.is_(None),
        payments.c.route != "api", payments.c.paid_at < bindparam("before"),
    )
    .order_by(payments.c.paid_at.desc(), payments.c.imp_uid.desc())
    .limit(bindparam("most"))
)  # fmt: skip
_ALARMS = {
    (mine, is_open): Statement(
        select(alarms)
        .where(
            (alarms.c.store_id == bindparam("store_id")) if mine else alarms.c.store_id.is_(None),
            alarms.c.closed_at.is_(None) if is_open else alarms.c.closed_at.is_not(None),
            alarms.c.id < bindparam("before"),
        )
        .order_by(alarms.c.id.desc())
        .limit(bindparam("most"))
    )
    for mine in (True, False)
    for is_open in (True, False)
}
_COUNT_ALARMS = Statement(
    select(func.count().label("n")).where(alarms.c.store_id == bindparam("store_id"), alarms.c.closed_at.is_(None))
)
_COUNT_UNHEARD = Statement(
    select(func.count().label("n")).where(
        payments.c.store_id == bindparam("store_id"), payments.c.status == "paid", payments.c.heard_at.is_(None),
        payments.c.route != "api", payments.c.paid_at < bindparam("before"),
    )
)  # fmt: skip
_COUNT_DEAD = Statement(
    select(func.count().label("n")).where(
        jobs.c.store_id == bindparam("store_id"), jobs.c.kind == "webhook", jobs.c.state == "dead",
        jobs.c.created_at >= bindparam("since"),
    )
)  # fmt: skip
_ALARM = Statement(select(alarms).where(alarms.c.id == bindparam("id")))


def open_attempts(store_id: int, most: int) -> Tx[list[Any]]:
    """Attempts whose result nobody knows yet, oldest first, with their payment."""
    rows = yield _UNKNOWN(store_id=store_id, most=most)
    return rows


def unheard(store_id: int, before: int, most: int) -> Tx[list[Any]]:
    """Paid in the window before *before*, and the shop neither took a webhook nor looked the payment up."""
    rows = yield _UNHEARD(store_id=store_id, before=before, most=most)
    return rows


def alarms_page(store_id: int | None, is_open: bool, before: int, most: int) -> Tx[list[Any]]:
    """Alarms of a store (None: those that belong to none), newest first."""
    values: dict[str, Any] = {"before": before, "most": most}
    if store_id is not None:
        values["store_id"] = store_id
    rows = yield _ALARMS[store_id is not None, is_open](**values)
    return rows


def alarm(alarm_id: int) -> Tx[Any | None]:
    """One alarm."""
    rows = yield _ALARM(id=alarm_id)
    return rows[0] if rows else None


@dataclass(frozen=True, slots=True)
class Counts:
    """How much waits for a person."""

    unknown: int
    unheard: int
    alarms: int
    dead_webhooks: int


def counts(store_id: int, now: int, patience_ms: int) -> Tx[Counts]:
    """How much waits for a person."""
    unknown = yield _UNKNOWN(store_id=store_id, most=1000)
    silent = yield _COUNT_UNHEARD(store_id=store_id, before=now - patience_ms)
    raised = yield _COUNT_ALARMS(store_id=store_id)
    dead = yield _COUNT_DEAD(store_id=store_id, since=now - 7 * DAY_MS)
    open_ones = sum(1 for a in unknown if a.op != "pay" or a.route == "api")
    return Counts(open_ones, silent[0].n, raised[0].n, dead[0].n)


# ── webhooks ──────────────────────────────────────────────────────────────────

WEBHOOK_STATES: Final = ("open", "done", "dead", "silent")


def _webhooks(by_state: bool) -> Statement:
    query = select(jobs).where(
        jobs.c.store_id == bindparam("store_id"), jobs.c.kind == "webhook", jobs.c.id < bindparam("before")
    )
    if by_state:
        query = query.where(jobs.c.state == bindparam("state"))
    return Statement(query.order_by(jobs.c.id.desc()).limit(bindparam("most")))


_WEBHOOKS = {by_state: _webhooks(by_state) for by_state in (True, False)}
_JOB = Statement(select(jobs).where(jobs.c.id == bindparam("id"), jobs.c.store_id == bindparam("store_id")))
_TRIES = Statement(
    select(deliveries).where(deliveries.c.job_id == bindparam("job_id")).order_by(deliveries.c.id.desc()).limit(100)
)


def webhooks_page(store_id: int, state: str, before: int, most: int) -> Tx[list[Any]]:
    """A store's webhooks, newest first."""
    values: dict[str, Any] = {"store_id": store_id, "before": before, "most": most}
    if state:
        values["state"] = state
    rows = yield _WEBHOOKS[bool(state)](**values)
    return rows


def webhook(store_id: int, job_id: int) -> Tx[tuple[Any, list[Any]] | None]:
    """One webhook of a store with its tries, newest first."""
    rows = yield _JOB(id=job_id, store_id=store_id)
    if not rows or rows[0].kind != "webhook":
        return None
    tries = yield _TRIES(job_id=job_id)
    return rows[0], tries


# ── notis ─────────────────────────────────────────────────────────────────────


def _letters(by_verdict: bool) -> Statement:
    query = select(inbox).where(inbox.c.id < bindparam("before"))
    if by_verdict:
        query = query.where(inbox.c.verdict == bindparam("verdict"))
    return Statement(query.order_by(inbox.c.id.desc()).limit(bindparam("most")))


_INBOX = {by_verdict: _letters(by_verdict) for by_verdict in (True, False)}
_LETTER = Statement(select(inbox).where(inbox.c.id == bindparam("id")))
_LETTER_OF = Statement(
    select(inbox)
    .join(payments, payments.c.imp_uid == inbox.c.imp_uid)
    .where(inbox.c.id == bindparam("id"), payments.c.store_id == bindparam("store_id"))
)
_CHANNEL_SEEN = Statement(
    select(channels.c.id, channels.c.noti_seen_at, channels.c.created_at, channels.c.disabled_at).where(
        channels.c.store_id == bindparam("store_id")
    )
)


def inbox_page(verdict: str, before: int, most: int) -> Tx[list[Any]]:
    """All notis, newest first, whichever store they belong to (administrators only)."""
    values: dict[str, Any] = {"before": before, "most": most}
    if verdict:
        values["verdict"] = verdict
    rows = yield _INBOX[bool(verdict)](**values)
    return rows


def letter(letter_id: int, store_id: int | None) -> Tx[Any | None]:
    """A noti that belongs to a payment of this store (None: any)."""
    if store_id is None:
        rows = yield _LETTER(id=letter_id)
    else:
        rows = yield _LETTER_OF(id=letter_id, store_id=store_id)
    return rows[0] if rows else None


def noti_times(store_id: int) -> Tx[dict[int, Any]]:
    """Per channel: when Hecto last reached us, when it was made and disabled."""
    rows = yield _CHANNEL_SEEN(store_id=store_id)
    return {r.id: r for r in rows}


# ── home ──────────────────────────────────────────────────────────────────────


def _daily(by_test: bool) -> Statement:
    # Literal, so that PostgreSQL sees the same expression in GROUP BY.
    day: ColumnElement[int] = literal_column(f"(entries.at + {KST_MS}) / {DAY_MS}", BigInteger)
    query = (
        select(
            day.label("day"),
            func.sum(case((entries.c.kind.in_(("approve", "deposit")), entries.c.amount), else_=0)).label("came"),
            func.sum(case((entries.c.kind.in_(("approve", "deposit")), 0), else_=entries.c.amount)).label("back"),
            func.count().label("n"),
        )
        .join(payments, payments.c.imp_uid == entries.c.imp_uid)
        .where(
            entries.c.store_id == bindparam("store_id"), entries.c.at >= bindparam("since"),
            entries.c.at < bindparam("until"), payments.c.void.in_(("", "kept")),
        )
        .group_by(day)
        .order_by(day)
    )  # fmt: skip
    return Statement(query.where(payments.c.sandbox == bindparam("test")) if by_test else query)


def _rates(by_test: bool) -> Statement:
    query = (
        select(payments.c.pay_method, payments.c.status, func.count().label("n"))
        .where(
            payments.c.store_id == bindparam("store_id"), payments.c.started_at >= bindparam("since"),
            payments.c.started_at < bindparam("until"),
        )
        .group_by(payments.c.pay_method, payments.c.status)
    )  # fmt: skip
    return Statement(query.where(payments.c.sandbox == bindparam("test")) if by_test else query)


_DAILY = {by_test: _daily(by_test) for by_test in (True, False)}
_RATES = {by_test: _rates(by_test) for by_test in (True, False)}
_ANY_PAYMENT = Statement(select(payments.c.imp_uid).where(payments.c.store_id == bindparam("store_id")).limit(1))


def daily(store_id: int, since: int, until: int, test: int | None) -> Tx[dict[int, tuple[int, int]]]:
    """What came in and went back by KST day (days since 1970). *test*: 0 live, 1 not live, None both."""
    values: dict[str, Any] = {"store_id": store_id, "since": since, "until": until}
    if test is not None:
        values["test"] = test
    rows = yield _DAILY[test is not None](**values)
    return {int(r.day): (int(r.came), int(r.back)) for r in rows}


def rates(store_id: int, since: int, until: int, test: int | None) -> Tx[list[Any]]:
    """How many payments of each method ended in each status."""
    values: dict[str, Any] = {"store_id": store_id, "since": since, "until": until}
    if test is not None:
        values["test"] = test
    rows = yield _RATES[test is not None](**values)
    return rows


def any_payment(store_id: int) -> Tx[bool]:
    """Whether the store has a payment at all."""
    rows = yield _ANY_PAYMENT(store_id=store_id)
    return bool(rows)


# ── billing and virtual accounts ──────────────────────────────────────────────

_SCHEDULES = Statement(
    select(schedules, payments.c.status.label("payment_status"), payments.c.fail_reason)
    .outerjoin(payments, payments.c.imp_uid == schedules.c.imp_uid)
    .where(
        schedules.c.store_id == bindparam("store_id"), schedules.c.schedule_at >= bindparam("since"),
        schedules.c.schedule_at < bindparam("until"),
    )
    .order_by(schedules.c.schedule_at, schedules.c.id)
    .limit(bindparam("most"))
)  # fmt: skip


def _keys(by_text: bool) -> Statement:
    query = select(
        billing_keys.c.id, billing_keys.c.customer_uid, billing_keys.c.state, billing_keys.c.channel_id,
        billing_keys.c.card_name, billing_keys.c.card_number, billing_keys.c.customer_name, billing_keys.c.issued_at,
        billing_keys.c.replaced_at, billing_keys.c.deleted_at, billing_keys.c.reason, billing_keys.c.asked_at,
    ).where(billing_keys.c.store_id == bindparam("store_id"), billing_keys.c.id < bindparam("before"))  # fmt: skip
    if by_text:
        query = query.where(or_(_contains(billing_keys.c.customer_uid), _contains(billing_keys.c.card_number)))
    return Statement(query.order_by(billing_keys.c.id.desc()).limit(bindparam("most")))


_KEYS = {by_text: _keys(by_text) for by_text in (True, False)}


def _vbanks(by_text: bool, after: bool) -> Statement:
    query = select(payments).where(
        payments.c.store_id == bindparam("store_id"), payments.c.pay_method == "vbank",
        payments.c.vbank_num.is_not(None),
    )  # fmt: skip
    if by_text:
        query = query.where(_contains(payments.c.vbank_num))
    if after:
        query = query.where(payments.c.started_at < bindparam("before"))
    return Statement(query.order_by(payments.c.started_at.desc(), payments.c.imp_uid.desc()).limit(bindparam("most")))


_VBANKS = {(by_text, after): _vbanks(by_text, after) for by_text in (True, False) for after in (True, False)}
_MONEY_OF = Statement(
    select(entries.c.imp_uid, entries.c.kind, func.count().label("n"), func.sum(entries.c.amount).label("amount"))
    .where(entries.c.imp_uid.in_(bindparam("imp_uids", expanding=True)))
    .group_by(entries.c.imp_uid, entries.c.kind)
)


def schedules_between(store_id: int, since: int, until: int, most: int) -> Tx[list[Any]]:
    """Schedules due in a time, oldest first, with what became of their payment."""
    rows = yield _SCHEDULES(store_id=store_id, since=since, until=until, most=most)
    return rows


def keys_page(store_id: int, text: str, before: int, most: int) -> Tx[list[Any]]:
    """Billing keys, newest first; never the key itself."""
    values: dict[str, Any] = {"store_id": store_id, "before": before, "most": most}
    if text:
        values["text"] = _like(text)
    rows = yield _KEYS[bool(text)](**values)
    return rows


def vbanks_page(store_id: int, text: str, before: int | None, most: int) -> Tx[tuple[list[Any], dict[str, Any]]]:
    """Virtual accounts, newest first, with how often and how much came in and went back."""
    values: dict[str, Any] = {"store_id": store_id, "most": most}
    if text:
        values["text"] = _like(text)
    if before is not None:
        values["before"] = before
    rows = yield _VBANKS[bool(text), before is not None](**values)
    sums = yield from moved([r.imp_uid for r in rows])
    return rows, sums


def moved(imp_uids: list[str]) -> Tx[dict[str, tuple[int, int, int]]]:
    """Per payment: how often money came in, how much, and how much went back (KRW)."""
    rows = yield _MONEY_OF(imp_uids=imp_uids or [""])
    sums: dict[str, tuple[int, int, int]] = {}
    for m in rows:
        n, came, back = sums.get(m.imp_uid, (0, 0, 0))
        in_ = m.kind in ("approve", "deposit")
        sums[m.imp_uid] = (n + (m.n if in_ else 0), came + (m.amount if in_ else 0), back + (0 if in_ else m.amount))
    return sums
