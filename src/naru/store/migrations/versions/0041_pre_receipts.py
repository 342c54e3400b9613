"""Cash receipts."""

import sqlalchemy as sa
from alembic import op

from naru.store.migrations import chain

revision, down_revision = chain(__file__)


def upgrade() -> None:
    """Make the table."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "receipts",
        sa.Column("id", sa.String(length=50), nullable=False),
        sa.Column("store_id", number, nullable=False),
        sa.Column("channel_id", number, nullable=False),
        sa.Column("imp_uid", sa.String(length=32), nullable=True),
        sa.Column("merchant_uid", sa.String(length=80), nullable=False),
        sa.Column("ask", sa.String(length=8), nullable=False),
        sa.Column("org_id", sa.String(length=50), server_default=sa.text("''"), nullable=False),
        sa.Column("tid", sa.String(length=64), server_default=sa.text("''"), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("supply", sa.BigInteger(), nullable=False),
        sa.Column("vat", sa.BigInteger(), nullable=False),
        sa.Column("tax_free", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("identifier_type", sa.String(length=8), nullable=False),
        sa.Column("identifier", sa.String(length=24), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("buyer_name", sa.Text(), nullable=True),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("auth_no", sa.String(length=16), nullable=True),
        sa.Column("pg_code", sa.String(length=16), nullable=True),
        sa.Column("pg_message", sa.Text(), nullable=True),
        sa.Column("check_at", sa.BigInteger(), nullable=True),
        sa.Column("checks", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("denials", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("supply >= 0 AND vat >= 0 AND tax_free >= 0", name=op.f("ck_receipts_amount")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipts")),
    )
    op.create_index("ix_receipts_imp_uid", "receipts", ["imp_uid"], unique=False)
    op.create_index("ix_receipts_order", "receipts", ["store_id", "merchant_uid"], unique=False)
    op.create_index("ix_receipts_asked_at", "receipts", ["store_id", "asked_at"], unique=False)
    op.create_index(
        "ix_receipts_check_at",
        "receipts",
        ["check_at"],
        unique=False,
        sqlite_where=sa.text("check_at IS NOT NULL"),
        postgresql_where=sa.text("check_at IS NOT NULL"),
    )
