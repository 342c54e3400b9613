"""The tables. Booleans are 0/1, instants are UTC epoch ms, amounts are KRW, JSON is text.

No type decorators and no Python-side defaults: statements run on raw drivers, which skip both.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows by itself only for INTEGER PRIMARY KEY."""


def _flag(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=text("0"))


meta = Table(
    "meta",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)
"""One-row facts: the clock's offset in development, a check value of the master key, when doctor last ran."""

stores = Table(
    "stores",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("imp_code", String(32), nullable=False, unique=True),
    Column("name", String(100), nullable=False),
    Column("webhook_url", Text),
    Column("webhook_url_test", Text),
    Column("webhook_type", String(40), nullable=False, server_default=text("'application/json'")),
    Column("webhook_secret", LargeBinary, nullable=False),  # sealed
    Column("webhook_secret_old", LargeBinary),  # sealed; still signs beside the new one until …_old_until
    Column("webhook_secret_old_until", BigInteger),
    Column("webhook_retry", String(16), nullable=False, server_default=text("'naru'")),  # naru | portone | off
    Column("switches", Text, nullable=False, server_default=text("'{}'")),  # the store switches, by name
    Column("allowed_ips", Text, nullable=False, server_default=text("''")),  # CIDR list, empty: anywhere
    Column("dunning_hour", Integer),  # KST hour at which failed schedules are charged again, daily; null: never
    Column("created_at", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("store_id", Id, ForeignKey("stores.id"), nullable=False),
    Column("imp_key", String(64), nullable=False, unique=True),
    Column("secret_sha256", String(64), nullable=False),
    Column("old_secret_sha256", String(64)),  # rotated out, still good until old_secret_until
    Column("old_secret_until", BigInteger),
    Column("token_issued_at", BigInteger),
    Column("token_expires_at", BigInteger),
    Column("tokens_from", BigInteger),  # tokens issued before are refused: the secret was replaced at once
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

channels = Table(
    "channels",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("store_id", Id, ForeignKey("stores.id"), nullable=False),
    Column("channel_key", String(64), nullable=False, unique=True),
    Column("name", String(100), nullable=False),
    Column("position", Integer, nullable=False),
    Column("environment", String(8), nullable=False),  # sandbox | test | live
    Column("mid", String(12), nullable=False),
    Column("use", String(8), nullable=False),  # window | api
    Column("hash_key", LargeBinary, nullable=False),  # sealed
    Column("aes_key", LargeBinary, nullable=False),  # sealed
    Column("credentials", String(16), nullable=False, server_default=text("''")),  # card | card_birth | card_birth_pwd
    Column("flags", Text, nullable=False, server_default=text("'{}'")),  # contract flags, by name
    Column("accounts", Text, nullable=False, server_default=text("'[]'")),  # assigned virtual account numbers
    Column("addresses", Text, nullable=False, server_default=text("'{}'")),  # base address per host role
    Column("merchant_name", String(100), nullable=False),
    Column("merchant_name_en", String(100), nullable=False),
    Column("taxation", String(8), nullable=False, server_default=text("''")),  # reconciliation only
    Column("is_default", Integer, nullable=False, server_default=text("0")),
    Column("noti_seen_at", BigInteger),  # when Hecto last reached us for this MID
    Column("created_at", BigInteger, nullable=False),
    Column("disabled_at", BigInteger),
    Index("ix_channels_mid", "mid"),
    Index("ix_channels_store_id", "store_id", "position"),
)

orders = Table(
    "orders",
    metadata,
    Column("store_id", Id, primary_key=True, autoincrement=False),
    Column("merchant_uid", String(80), primary_key=True),
    Column("paid_by", String(32)),
    Column("busy_by", String(32)),
)
"""One row per merchant_uid: the lock under which payments of one order take turns.

``paid_by`` is the payment that was ever approved for it, for ever; ``busy_by`` is the API payment
whose result is still to come (or whose approval is still being taken back)."""

payments = Table(
    "payments",
    metadata,
    Column("imp_uid", String(32), primary_key=True),
    Column("store_id", Id, nullable=False),
    Column("channel_id", Id, nullable=False),
    Column("merchant_uid", String(80), nullable=False),
    Column("pay_method", String(16), nullable=False),
    Column("route", String(8), nullable=False),  # pc | mobile | api
    Column("pg_id", String(12), nullable=False),
    Column("sandbox", Integer, nullable=False),  # 1: no real money
    Column("name", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("tax_free", BigInteger, nullable=False),
    Column("vat_amount", BigInteger),
    Column("currency", String(3), nullable=False),
    Column("buyer_name", Text),
    Column("buyer_email", Text),
    Column("buyer_tel", Text),
    Column("buyer_addr", Text),
    Column("buyer_postcode", Text),
    Column("custom_data", Text),
    Column("user_agent", Text),
    Column("notice_urls", Text),  # JSON list; null: the store's address
    Column("customer_uid", String(80)),
    Column("customer_uid_usage", String(24)),
    Column("extra", Text, nullable=False, server_default=text("'{}'")),  # what only one flow needs, JSON
    _flag("escrow"),
    _flag("cash_receipt_issued"),
    Column("account", String(1), nullable=False, server_default=text("''")),
    Column("void", String(16), nullable=False, server_default=text("''")),
    # computed from attempts and entries; `naru doctor` compares
    Column("status", String(12), nullable=False),
    Column("cancel_amount", BigInteger, nullable=False, server_default=text("0")),
    Column("started_at", BigInteger, nullable=False),
    Column("paid_at", BigInteger),
    Column("failed_at", BigInteger),
    Column("cancelled_at", BigInteger),
    Column("status_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("fail_reason", Text),
    Column("cancel_reason", Text),
    # what the PG told
    Column("pg_tid", String(64)),
    Column("apply_num", String(20)),
    Column("card_code", String(8)),
    Column("card_name", Text),
    Column("card_number", String(24)),
    Column("card_quota", Integer, nullable=False, server_default=text("0")),
    Column("card_type", Integer),
    Column("bank_code", String(8)),
    Column("bank_name", Text),
    Column("emb_pg_provider", String(24)),
    Column("vbank_code", String(8)),
    Column("vbank_name", Text),
    Column("vbank_num", String(32)),
    Column("vbank_holder", Text),
    Column("vbank_due", BigInteger),
    Column("vbank_issued_at", BigInteger),
    Column("heard_at", BigInteger),  # when the shop took a webhook about it or looked it up, first
    CheckConstraint("amount >= 0", name="amount"),
    CheckConstraint("cancel_amount >= 0", name="cancel_amount"),
    Index("ix_payments_order", "store_id", "merchant_uid", "started_at"),
    Index("ix_payments_status", "store_id", "status", "status_at", "imp_uid"),
    Index("ix_payments_status_at", "store_id", "status_at", "imp_uid"),
    Index("ix_payments_started", "store_id", "started_at", "imp_uid"),
    Index("ix_payments_pg_tid", "pg_tid"),
    Index(
        "ix_payments_customer",
        "store_id",
        "customer_uid",
        "started_at",
        sqlite_where=text("customer_uid IS NOT NULL"),
        postgresql_where=text("customer_uid IS NOT NULL"),
    ),
    Index(
        "ix_payments_unheard",
        "store_id",
        "paid_at",
        sqlite_where=text("status = 'paid' AND heard_at IS NULL AND route <> 'api'"),
        postgresql_where=text("status = 'paid' AND heard_at IS NULL AND route <> 'api'"),
    ),
    Index(
        "ix_payments_account",
        "pg_id",
        "vbank_num",
        "started_at",
        sqlite_where=text("vbank_num IS NOT NULL"),
        postgresql_where=text("vbank_num IS NOT NULL"),
    ),
)

accounts = Table(
    "accounts",
    metadata,
    Column("mid", String(12), primary_key=True),
    Column("number", String(32), primary_key=True),
    Column("asked_by", String(32)),
)
"""One row per assigned virtual account: the lock under which payments take it in turn.

``asked_by`` is the payment that it was last asked for; whether that one still has it follows from its facts."""

logistics = Table(
    "logistics",
    metadata,
    Column("imp_uid", String(32), primary_key=True),
    Column("store_id", Id, nullable=False),
    Column("sender", Text, nullable=False),  # JSON, as PortOne's escrow API takes it
    Column("receiver", Text, nullable=False),
    Column("logis", Text, nullable=False),
    Column("products", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
"""Delivery data of escrow payments. Kept here only: Hecto documents no message for it."""

payment_counts = Table(
    "payment_counts",
    metadata,
    Column("store_id", Id, ForeignKey("stores.id"), primary_key=True, autoincrement=False),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),  # where it begins
    Column("ready", Integer),
    Column("paid", Integer),
    Column("cancelled", Integer),
    Column("failed", Integer),
    Index(
        "ix_payment_counts_stale",
        "store_id",
        "hour",
        sqlite_where=text("paid IS NULL"),
        postgresql_where=text("paid IS NULL"),
    ),
)
"""How many payments of each status have their ``status_at`` in an hour that is over. Empty numbers: one of them has
changed since, count again."""

attempts = Table(
    "attempts",
    metadata,
    Column("id", String(48), primary_key=True),  # mchtTrdNo
    Column("imp_uid", String(32), nullable=False),
    Column("store_id", Id, nullable=False),
    Column("channel_id", Id, nullable=False),
    Column("op", String(12), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("state", String(12), nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("settled_at", BigInteger),
    Column("purpose", String(8), nullable=False),
    Column("round", Integer, nullable=False, server_default=text("0")),
    Column("org_tid", String(64), nullable=False, server_default=text("''")),
    Column("told", String(12), nullable=False, server_default=text("''")),
    Column("reason", Text),
    Column("tax_free", BigInteger, nullable=False, server_default=text("0")),
    Column("pg_code", String(16)),
    Column("pg_message", Text),
    Column("request", Text, nullable=False, server_default=text("''")),
    _flag("seen"),
    _flag("webhook"),
    Column("extra", Text, nullable=False, server_default=text("'{}'")),  # what only one op needs, JSON
    # when the settle job is to look at it next; the lease is the next run time
    Column("check_at", BigInteger),
    Column("checks", Integer, nullable=False, server_default=text("0")),
    Column("denials", Integer, nullable=False, server_default=text("0")),  # "no such trade", heard late enough
    CheckConstraint("amount >= 0", name="amount"),
    Index("ix_attempts_imp_uid", "imp_uid"),
    Index(
        "ix_attempts_check_at",
        "check_at",
        sqlite_where=text("check_at IS NOT NULL"),
        postgresql_where=text("check_at IS NOT NULL"),
    ),
    Index("ix_attempts_asked_at", "asked_at"),
)

entries = Table(
    "entries",
    metadata,
    Column("id", String(96), primary_key=True),
    Column("imp_uid", String(32), nullable=False),
    Column("store_id", Id, nullable=False),
    Column("kind", String(12), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("pg_tid", String(64), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("attempt_id", String(48)),
    Column("org_tid", String(64), nullable=False, server_default=text("''")),
    Column("reason", Text),
    Column("depositor", Text),
    CheckConstraint("amount > 0", name="amount"),
    Index("ix_entries_imp_uid", "imp_uid"),
    Index("ix_entries_pg_tid", "pg_tid"),
    Index("ix_entries_at", "store_id", "at"),
)
"""Money that moved. Append-only: rows are never changed or deleted."""

inbox = Table(
    "inbox",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("received_at", BigInteger, nullable=False),
    Column("path", String(80), nullable=False),
    Column("remote", String(64), nullable=False),
    Column("content_type", String(120), nullable=False),
    Column("body", LargeBinary, nullable=False),  # as received, size-capped, card-like digits and billing keys out
    Column("verdict", String(16), nullable=False),
    Column("note", Text),
    Column("mid", String(12)),
    Column("trd_no", String(64)),
    Column("mcht_trd_no", String(100)),
    Column("imp_uid", String(32)),
    Column("handled_at", BigInteger),
    Index("ix_inbox_received_at", "received_at"),
    Index("ix_inbox_imp_uid", "imp_uid"),
    Index("ix_inbox_verdict", "verdict", "received_at"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("kind", String(24), nullable=False),  # webhook | …
    Column("key", String(160), nullable=False, unique=True),
    Column("store_id", Id),
    Column("imp_uid", String(32)),
    Column("payload", Text, nullable=False),
    Column("run_at", BigInteger),  # null: done or dead
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("state", String(8), nullable=False, server_default=text("'open'")),  # open | done | dead
    Column("last_error", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Index(
        "ix_jobs_run_at",
        "run_at",
        sqlite_where=text("run_at IS NOT NULL"),
        postgresql_where=text("run_at IS NOT NULL"),
    ),
    Index("ix_jobs_imp_uid", "imp_uid"),
    Index("ix_jobs_state", "state", "created_at"),
    Index("ix_jobs_store_id", "store_id", "kind", "id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("job_id", Id, nullable=False),
    Column("store_id", Id, nullable=False),
    Column("imp_uid", String(32), nullable=False),
    Column("url", Text, nullable=False),
    Column("try_no", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("took_ms", Integer, nullable=False),
    Column("status", Integer),  # HTTP status; null: no answer
    Column("error", Text),
    Column("request", Text, nullable=False),
    Column("response", Text),
    Index("ix_deliveries_job_id", "job_id"),
    Index("ix_deliveries_imp_uid", "imp_uid"),
    Index("ix_deliveries_started_at", "store_id", "started_at"),
)

alarms = Table(
    "alarms",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("key", String(160), nullable=False),
    Column("store_id", Id),
    Column("imp_uid", String(32)),
    Column("kind", String(32), nullable=False),
    Column("text", Text, nullable=False),
    Column("raised_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Column("closed_by", Text),
    UniqueConstraint("key"),
    Index("ix_alarms_raised_at", "raised_at"),
)

prepares = Table(
    "prepares",
    metadata,
    Column("store_id", Id, primary_key=True, autoincrement=False),
    Column("merchant_uid", String(80), primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3)),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    CheckConstraint("amount >= 0", name="amount"),
)
"""Amounts that shops registered before the window opens."""
customers = Table(
    "customers",
    metadata,
    Column("store_id", Id, primary_key=True, autoincrement=False),
    Column("customer_uid", String(80), primary_key=True),
    Column("key_id", Id),  # the billing key that is charged; null: none
    Column("inserted_at", BigInteger),
    Column("updated_at", BigInteger),
)
"""One row per customer_uid: the lock under which its billing key is replaced, deleted and charged."""

billing_keys = Table(
    "billing_keys",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("store_id", Id, nullable=False),
    Column("customer_uid", String(80), nullable=False),
    Column("channel_id", Id, nullable=False),
    Column("source", String(48), nullable=False, unique=True),  # the order number that brought the key
    Column("state", String(12), nullable=False),  # asked | refused | lost | live | deleting | deleted
    Column("sealed", LargeBinary),  # the key itself
    Column("mac", String(64)),  # keyed hash of the key: whether two rows hold the same one
    Column("card_name", Text),
    Column("card_code", String(8)),
    Column("card_number", String(24)),  # masked
    Column("customer_name", Text),
    Column("customer_tel", Text),
    Column("customer_email", Text),
    Column("customer_addr", Text),
    Column("customer_postcode", Text),
    Column("customer_id", String(80)),  # the shop's own, echoed
    Column("asked_at", BigInteger, nullable=False),
    Column("issued_at", BigInteger),
    Column("replaced_at", BigInteger),  # another key took its place; Hecto still knows this one
    Column("deleted_at", BigInteger),
    Column("delete_tries", Integer, nullable=False, server_default=text("0")),
    Column("reason", Text),
    Column("pg_code", String(16)),
    Column("pg_message", Text),
    Index("ix_billing_keys_customer", "store_id", "customer_uid", "id"),
    Index("ix_billing_keys_mac", "mac"),
)

schedules = Table(
    "schedules",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("store_id", Id, nullable=False),
    Column("merchant_uid", String(80), nullable=False),
    Column("customer_uid", String(80), nullable=False),
    Column("channel_id", Id, nullable=False),
    Column("status", String(12), nullable=False),  # scheduled | executed | revoked
    Column("schedule_at", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("tax_free", BigInteger, nullable=False),
    Column("vat_amount", BigInteger),
    Column("name", Text, nullable=False),
    Column("card_quota", Integer, nullable=False, server_default=text("0")),
    Column("buyer_name", Text),
    Column("buyer_email", Text),
    Column("buyer_tel", Text),
    Column("buyer_addr", Text),
    Column("buyer_postcode", Text),
    Column("custom_data", Text),
    Column("notice_urls", Text),
    Column("user_agent", Text),
    # what its execution did; payment_status is the payment's own
    Column("imp_uid", String(32)),
    Column("executed_at", BigInteger),
    Column("revoked_at", BigInteger),
    # when it is to be charged next; null: never again by itself. The lease is the next run time
    Column("run_at", BigInteger),
    Column("tries", Integer, nullable=False, server_default=text("0")),  # guards a claim
    Column("retries", Integer, nullable=False, server_default=text("0")),  # charges again after a failure, by itself
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    CheckConstraint("amount > 0", name="amount"),
    Index("ix_schedules_merchant_uid", "store_id", "merchant_uid", "id"),
    Index("ix_schedules_customer", "store_id", "customer_uid", "schedule_at"),
    Index("ix_schedules_schedule_at", "store_id", "schedule_at"),
    Index(
        "ix_schedules_run_at",
        "run_at",
        sqlite_where=text("run_at IS NOT NULL"),
        postgresql_where=text("run_at IS NOT NULL"),
    ),
)


receipts = Table(
    "receipts",
    metadata,
    Column("id", String(50), primary_key=True),  # transNo, unique for ever
    Column("store_id", Id, nullable=False),
    Column("channel_id", Id, nullable=False),
    Column("imp_uid", String(32)),  # null: a sale outside Naru
    Column("merchant_uid", String(80), nullable=False),
    Column("ask", String(8), nullable=False),  # issue | cancel
    Column("org_id", String(50), nullable=False, server_default=text("''")),
    Column("tid", String(64), nullable=False, server_default=text("''")),
    Column("state", String(12), nullable=False),
    Column("supply", BigInteger, nullable=False),
    Column("vat", BigInteger, nullable=False),
    Column("tax_free", BigInteger, nullable=False),
    Column("kind", String(8), nullable=False),  # person | company
    Column("identifier_type", String(8), nullable=False),
    Column("identifier", String(24), nullable=False),  # masked; the whole one is nowhere
    Column("name", Text),
    Column("buyer_name", Text),
    Column("asked_at", BigInteger, nullable=False),
    Column("settled_at", BigInteger),
    Column("auth_no", String(16)),
    Column("pg_code", String(16)),
    Column("pg_message", Text),
    Column("check_at", BigInteger),
    Column("checks", Integer, nullable=False, server_default=text("0")),
    Column("denials", Integer, nullable=False, server_default=text("0")),
    Column("sale_at", BigInteger),  # what the receipt is dated with; null: when it was asked
    CheckConstraint("supply >= 0 AND vat >= 0 AND tax_free >= 0", name="amount"),
    Index("ix_receipts_imp_uid", "imp_uid"),
    Index("ix_receipts_order", "store_id", "merchant_uid"),
    Index("ix_receipts_asked_at", "store_id", "asked_at"),
    Index(
        "ix_receipts_check_at",
        "check_at",
        sqlite_where=text("check_at IS NOT NULL"),
        postgresql_where=text("check_at IS NOT NULL"),
    ),
)
"""Cash receipts: every question to the tax office, an issue or a cancel of one."""
users = Table(
    "users",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("email", String(200), nullable=False, unique=True),  # lower case
    Column("name", String(100), nullable=False),
    Column("password_hash", String(200), nullable=False),  # argon2
    _flag("admin"),  # owner of every store; makes stores and sees what belongs to none
    Column("created_at", BigInteger, nullable=False),
    Column("password_at", BigInteger, nullable=False),
    Column("disabled_at", BigInteger),
)
"""People who use the console."""

roles = Table(
    "roles",
    metadata,
    Column("user_id", Id, ForeignKey("users.id"), primary_key=True, autoincrement=False),
    Column("store_id", Id, ForeignKey("stores.id"), primary_key=True, autoincrement=False),
    Column("role", String(12), nullable=False),  # owner | operator | reader
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("user_id", Id, ForeignKey("users.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("remote", String(64), nullable=False),
    Column("agent", String(200), nullable=False),
    Column("flash", Text),  # JSON: what the next page says once
    Index("ix_sessions_user_id", "user_id"),
    Index("ix_sessions_expires_at", "expires_at"),
)

invites = Table(
    "invites",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("user_id", Id),  # set: a new password for this user
    Column("email", String(200)),  # null: whoever holds the address chooses
    _flag("admin"),
    Column("store_id", Id),
    Column("role", String(12)),
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Index("ix_invites_store_id", "store_id"),
)
"""One-time addresses: the first account, an invited one, a forgotten password."""

throttles = Table(
    "throttles",
    metadata,
    Column("key", String(80), primary_key=True),
    Column("fails", Integer, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("blocked_until", BigInteger, nullable=False),
    Index("ix_throttles_since", "since"),
)
"""Failed sign-ins per account and address; in the database, so that every node counts together."""

audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("store_id", Id),
    Column("user_id", Id),
    Column("who", String(200), nullable=False),
    Column("action", String(40), nullable=False),
    Column("target", String(160), nullable=False),
    Column("detail", Text, nullable=False, server_default=text("'{}'")),  # JSON, no secrets
    Column("remote", String(64), nullable=False),
    Index("ix_audit_store_id", "store_id", "id"),
    Index("ix_audit_target", "target"),
)
"""Who changed what. Append-only."""

statements = Table(
    "statements",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("store_id", Id, nullable=False),
    Column("channel_id", Id, nullable=False),
    Column("kind", String(8), nullable=False),  # trades | payouts
    Column("day", String(8), nullable=False),  # KST, as Hecto names it
    Column("state", String(8), nullable=False),  # waiting | done | failed
    Column("note", Text),
    Column("asked_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    UniqueConstraint("channel_id", "kind", "day"),
    Index("ix_statements_day", "store_id", "day"),
)
"""One row per day that was compared with Hecto's lists (or paid out by it), per channel."""

statement_lines = Table(
    "statement_lines",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("statement_id", Id, nullable=False),
    Column("store_id", Id, nullable=False),
    Column("verdict", String(12), nullable=False),  # matched | different | only_here | only_there
    Column("reason", String(24), nullable=False, server_default=text("''")),
    Column("cancelled", Integer, nullable=False),
    Column("trd_no", String(64), nullable=False),
    Column("amount", BigInteger, nullable=False),  # Hecto's, or ours where Hecto has none
    Column("our_amount", BigInteger),
    Column("at", BigInteger, nullable=False),
    Column("imp_uid", String(32)),
    Column("fee", BigInteger),
    Column("fee_vat", BigInteger),
    Column("payout", BigInteger),
    Column("payout_day", String(8)),
    Column("explained", Text),
    Column("explained_by", String(200)),
    Index("ix_statement_lines_statement", "statement_id"),
)

api_calls = Table(
    "api_calls",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("store_id", Id, nullable=False),  # 0: nobody's (development only)
    Column("at", BigInteger, nullable=False),
    Column("method", String(8), nullable=False),
    Column("path", String(300), nullable=False),
    Column("operation", String(120)),  # the path as the API's document writes it; null: no such path
    Column("status", Integer, nullable=False),
    Column("code", Integer),
    Column("message", Text),
    _flag("bad"),  # an HTTP error, or a code that is not 0
    Column("took_us", Integer, nullable=False),
    Column("imp_uid", String(32)),
    Column("merchant_uid", String(80)),
    Column("params", Text, nullable=False),  # JSON: names, values of the harmless ones, what became of each
    Column("facts", Text, nullable=False),  # JSON: how the body was read, where the token was, notice_url
    Index("ix_api_calls_store_id", "store_id", "id"),
)
"""What a test store's developer asked of the API and what it said; short-lived, and never a live store's."""

exchanges = Table(
    "exchanges",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("imp_uid", String(32)),  # null: about no payment
    Column("store_id", Id, nullable=False),
    Column("channel_id", Id, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("took_ms", Integer, nullable=False),
    Column("message", String(8), nullable=False),
    Column("name", String(40), nullable=False),
    Column("address", String(300), nullable=False),
    Column("number", String(100), nullable=False),  # the order number it was sent under
    Column("result", String(12), nullable=False),  # answered | unreadable | lost | unsent | opened
    Column("reason", String(100), nullable=False),
    Column("code", String(16), nullable=False),
    Column("sent", Text, nullable=False),  # JSON, redacted
    Column("got", Text, nullable=False),  # JSON, redacted
    Index("ix_exchanges_imp_uid", "imp_uid"),
)
"""What was said to the PG and answered, for people; an aid that is dropped when old."""
