"""Customers, their billing keys, and scheduled payments."""

import sqlalchemy as sa
from alembic import op

from naru.store.migrations import chain

revision, down_revision = chain(__file__)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "billing_keys",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("store_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("customer_uid", sa.String(length=80), nullable=False),
        sa.Column("channel_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source", sa.String(length=48), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("mac", sa.String(length=64), nullable=True),
        sa.Column("card_name", sa.Text(), nullable=True),
        sa.Column("card_code", sa.String(length=8), nullable=True),
        sa.Column("card_number", sa.String(length=24), nullable=True),
        sa.Column("customer_name", sa.Text(), nullable=True),
        sa.Column("customer_tel", sa.Text(), nullable=True),
        sa.Column("customer_email", sa.Text(), nullable=True),
        sa.Column("customer_addr", sa.Text(), nullable=True),
        sa.Column("customer_postcode", sa.Text(), nullable=True),
        sa.Column("customer_id", sa.String(length=80), nullable=True),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=True),
        sa.Column("replaced_at", sa.BigInteger(), nullable=True),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.Column("delete_tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("pg_code", sa.String(length=16), nullable=True),
        sa.Column("pg_message", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_keys")),
        sa.UniqueConstraint("source", name=op.f("uq_billing_keys_source")),
    )
    op.create_index("ix_billing_keys_customer", "billing_keys", ["store_id", "customer_uid", "id"], unique=False)
    op.create_index("ix_billing_keys_mac", "billing_keys", ["mac"], unique=False)
    op.create_table(
        "customers",
        sa.Column(
            "store_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("customer_uid", sa.String(length=80), nullable=False),
        sa.Column("key_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("inserted_at", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("store_id", "customer_uid", name=op.f("pk_customers")),
    )
    op.create_table(
        "schedules",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("store_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("merchant_uid", sa.String(length=80), nullable=False),
        sa.Column("customer_uid", sa.String(length=80), nullable=False),
        sa.Column("channel_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("schedule_at", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("tax_free", sa.BigInteger(), nullable=False),
        sa.Column("vat_amount", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("card_quota", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("buyer_name", sa.Text(), nullable=True),
        sa.Column("buyer_email", sa.Text(), nullable=True),
        sa.Column("buyer_tel", sa.Text(), nullable=True),
        sa.Column("buyer_addr", sa.Text(), nullable=True),
        sa.Column("buyer_postcode", sa.Text(), nullable=True),
        sa.Column("custom_data", sa.Text(), nullable=True),
        sa.Column("notice_urls", sa.Text(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("imp_uid", sa.String(length=32), nullable=True),
        sa.Column("executed_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("run_at", sa.BigInteger(), nullable=True),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("retries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_schedules_amount")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
    )
    op.create_index("ix_schedules_customer", "schedules", ["store_id", "customer_uid", "schedule_at"], unique=False)
    op.create_index("ix_schedules_merchant_uid", "schedules", ["store_id", "merchant_uid", "id"], unique=False)
    op.create_index(
        "ix_schedules_run_at",
        "schedules",
        ["run_at"],
        unique=False,
        sqlite_where=sa.text("run_at IS NOT NULL"),
        postgresql_where=sa.text("run_at IS NOT NULL"),
    )
    op.create_index("ix_schedules_schedule_at", "schedules", ["store_id", "schedule_at"], unique=False)
    op.create_index(
        "ix_payments_customer",
        "payments",
        ["store_id", "customer_uid", "started_at"],
        unique=False,
        sqlite_where=sa.text("customer_uid IS NOT NULL"),
        postgresql_where=sa.text("customer_uid IS NOT NULL"),
    )
    op.add_column("stores", sa.Column("dunning_hour", sa.Integer(), nullable=True))
