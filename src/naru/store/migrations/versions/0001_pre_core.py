"""The first tables: stores, channels, payments, attempts, entries, inbox, jobs, deliveries, alarms."""

import sqlalchemy as sa
from alembic import op

from naru.store.migrations import chain

revision, down_revision = chain(__file__)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "alarms",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column("store_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("imp_uid", sa.String(length=32), nullable=True),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarms")),
        sa.UniqueConstraint("key", name=op.f("uq_alarms_key")),
    )
    op.create_index("ix_alarms_raised_at", "alarms", ["raised_at"], unique=False)
    op.create_table(
        "attempts",
        sa.Column("id", sa.String(length=48), nullable=False),
        sa.Column("imp_uid", sa.String(length=32), nullable=False),
        sa.Column("store_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("op", sa.String(length=12), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("purpose", sa.String(length=8), nullable=False),
        sa.Column("round", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("org_tid", sa.String(length=64), server_default=sa.text("''"), nullable=False),
        sa.Column("told", sa.String(length=12), server_default=sa.text("''"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("tax_free", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("pg_code", sa.String(length=16), nullable=True),
        sa.Column("pg_message", sa.Text(), nullable=True),
        sa.Column("request", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("seen", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("webhook", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("extra", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("check_at", sa.BigInteger(), nullable=True),
        sa.Column("checks", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("denials", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_attempts_amount")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
    )
    op.create_index("ix_attempts_asked_at", "attempts", ["asked_at"], unique=False)
    op.create_index(
        "ix_attempts_check_at",
        "attempts",
        ["check_at"],
        unique=False,
        sqlite_where=sa.text("check_at IS NOT NULL"),
        postgresql_where=sa.text("check_at IS NOT NULL"),
    )
    op.create_index("ix_attempts_imp_uid", "attempts", ["imp_uid"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("store_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("imp_uid", sa.String(length=32), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("try_no", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("response", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
    )
    op.create_index("ix_deliveries_imp_uid", "deliveries", ["imp_uid"], unique=False)
    op.create_index("ix_deliveries_job_id", "deliveries", ["job_id"], unique=False)
    op.create_index("ix_deliveries_started_at", "deliveries", ["store_id", "started_at"], unique=False)
    op.create_table(
        "entries",
        sa.Column("id", sa.String(length=96), nullable=False),
        sa.Column("imp_uid", sa.String(length=32), nullable=False),
        sa.Column("store_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("pg_tid", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("attempt_id", sa.String(length=48), nullable=True),
        sa.Column("org_tid", sa.String(length=64), server_default=sa.text("''"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("depositor", sa.Text(), nullable=True),
        sa.CheckConstraint("amount > 0", name=op.f("ck_entries_amount")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entries")),
    )
    op.create_index("ix_entries_at", "entries", ["store_id", "at"], unique=False)
    op.create_index("ix_entries_imp_uid", "entries", ["imp_uid"], unique=False)
    op.create_table(
        "inbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("path", sa.String(length=80), nullable=False),
        sa.Column("remote", sa.String(length=64), nullable=False),
        sa.Column("content_type", sa.String(length=120), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("mid", sa.String(length=12), nullable=True),
        sa.Column("trd_no", sa.String(length=64), nullable=True),
        sa.Column("mcht_trd_no", sa.String(length=100), nullable=True),
        sa.Column("imp_uid", sa.String(length=32), nullable=True),
        sa.Column("handled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
    )
    op.create_index("ix_inbox_imp_uid", "inbox", ["imp_uid"], unique=False)
    op.create_index("ix_inbox_received_at", "inbox", ["received_at"], unique=False)
    op.create_index("ix_inbox_verdict", "inbox", ["verdict", "received_at"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column("store_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("imp_uid", sa.String(length=32), nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("run_at", sa.BigInteger(), nullable=True),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("state", sa.String(length=8), server_default=sa.text("'open'"), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("key", name=op.f("uq_jobs_key")),
    )
    op.create_index("ix_jobs_imp_uid", "jobs", ["imp_uid"], unique=False)
    op.create_index(
        "ix_jobs_run_at",
        "jobs",
        ["run_at"],
        unique=False,
        sqlite_where=sa.text("run_at IS NOT NULL"),
        postgresql_where=sa.text("run_at IS NOT NULL"),
    )
    op.create_index("ix_jobs_state", "jobs", ["state", "created_at"], unique=False)
    op.create_table(
        "meta",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_meta")),
    )
    op.create_table(
        "orders",
        sa.Column(
            "store_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("merchant_uid", sa.String(length=80), nullable=False),
        sa.Column("paid_by", sa.String(length=32), nullable=True),
        sa.Column("busy_by", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("store_id", "merchant_uid", name=op.f("pk_orders")),
    )
    op.create_table(
        "payments",
        sa.Column("imp_uid", sa.String(length=32), nullable=False),
        sa.Column("store_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("merchant_uid", sa.String(length=80), nullable=False),
        sa.Column("pay_method", sa.String(length=16), nullable=False),
        sa.Column("route", sa.String(length=8), nullable=False),
        sa.Column("pg_id", sa.String(length=12), nullable=False),
        sa.Column("sandbox", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("tax_free", sa.BigInteger(), nullable=False),
        sa.Column("vat_amount", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("buyer_name", sa.Text(), nullable=True),
        sa.Column("buyer_email", sa.Text(), nullable=True),
        sa.Column("buyer_tel", sa.Text(), nullable=True),
        sa.Column("buyer_addr", sa.Text(), nullable=True),
        sa.Column("buyer_postcode", sa.Text(), nullable=True),
        sa.Column("custom_data", sa.Text(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("notice_urls", sa.Text(), nullable=True),
        sa.Column("customer_uid", sa.String(length=80), nullable=True),
        sa.Column("customer_uid_usage", sa.String(length=24), nullable=True),
        sa.Column("extra", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("escrow", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cash_receipt_issued", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("account", sa.String(length=1), server_default=sa.text("''"), nullable=False),
        sa.Column("void", sa.String(length=16), server_default=sa.text("''"), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("cancel_amount", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("paid_at", sa.BigInteger(), nullable=True),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.Column("cancelled_at", sa.BigInteger(), nullable=True),
        sa.Column("status_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("fail_reason", sa.Text(), nullable=True),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.Column("pg_tid", sa.String(length=64), nullable=True),
        sa.Column("apply_num", sa.String(length=20), nullable=True),
        sa.Column("card_code", sa.String(length=8), nullable=True),
        sa.Column("card_name", sa.Text(), nullable=True),
        sa.Column("card_number", sa.String(length=24), nullable=True),
        sa.Column("card_quota", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("card_type", sa.Integer(), nullable=True),
        sa.Column("bank_code", sa.String(length=8), nullable=True),
        sa.Column("bank_name", sa.Text(), nullable=True),
        sa.Column("emb_pg_provider", sa.String(length=24), nullable=True),
        sa.Column("vbank_code", sa.String(length=8), nullable=True),
        sa.Column("vbank_name", sa.Text(), nullable=True),
        sa.Column("vbank_num", sa.String(length=32), nullable=True),
        sa.Column("vbank_holder", sa.Text(), nullable=True),
        sa.Column("vbank_due", sa.BigInteger(), nullable=True),
        sa.Column("vbank_issued_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_payments_amount")),
        sa.CheckConstraint("cancel_amount >= 0", name=op.f("ck_payments_cancel_amount")),
        sa.PrimaryKeyConstraint("imp_uid", name=op.f("pk_payments")),
    )
    op.create_index("ix_payments_order", "payments", ["store_id", "merchant_uid", "started_at"], unique=False)
    op.create_index("ix_payments_pg_tid", "payments", ["pg_tid"], unique=False)
    op.create_index("ix_payments_started", "payments", ["store_id", "started_at", "imp_uid"], unique=False)
    op.create_index("ix_payments_status", "payments", ["store_id", "status", "status_at", "imp_uid"], unique=False)
    op.create_index("ix_payments_status_at", "payments", ["store_id", "status_at", "imp_uid"], unique=False)
    op.create_table(
        "stores",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("imp_code", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("webhook_url", sa.Text(), nullable=True),
        sa.Column("webhook_url_test", sa.Text(), nullable=True),
        sa.Column("webhook_type", sa.String(length=40), server_default=sa.text("'application/json'"), nullable=False),
        sa.Column("webhook_secret", sa.LargeBinary(), nullable=False),
        sa.Column("webhook_retry", sa.String(length=16), server_default=sa.text("'naru'"), nullable=False),
        sa.Column("switches", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("allowed_ips", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stores")),
        sa.UniqueConstraint("imp_code", name=op.f("uq_stores_imp_code")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("store_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("imp_key", sa.String(length=64), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("old_secret_sha256", sa.String(length=64), nullable=True),
        sa.Column("old_secret_until", sa.BigInteger(), nullable=True),
        sa.Column("token_issued_at", sa.BigInteger(), nullable=True),
        sa.Column("token_expires_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_api_keys_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("imp_key", name=op.f("uq_api_keys_imp_key")),
    )
    op.create_table(
        "channels",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("store_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel_key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("environment", sa.String(length=8), nullable=False),
        sa.Column("mid", sa.String(length=12), nullable=False),
        sa.Column("use", sa.String(length=8), nullable=False),
        sa.Column("hash_key", sa.LargeBinary(), nullable=False),
        sa.Column("aes_key", sa.LargeBinary(), nullable=False),
        sa.Column("credentials", sa.String(length=16), server_default=sa.text("''"), nullable=False),
        sa.Column("flags", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("accounts", sa.Text(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("addresses", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("merchant_name", sa.String(length=100), nullable=False),
        sa.Column("merchant_name_en", sa.String(length=100), nullable=False),
        sa.Column("taxation", sa.String(length=8), server_default=sa.text("''"), nullable=False),
        sa.Column("is_default", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("noti_seen_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_channels_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channels")),
        sa.UniqueConstraint("channel_key", name=op.f("uq_channels_channel_key")),
    )
    op.create_index("ix_channels_mid", "channels", ["mid"], unique=False)
    op.create_index("ix_channels_store_id", "channels", ["store_id", "position"], unique=False)
