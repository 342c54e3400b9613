"""Virtual accounts: who has an assigned number, whose deposit a number is, delivery data of escrow payments."""

import sqlalchemy as sa
from alembic import op

from naru.store.migrations import chain

revision, down_revision = chain(__file__)


def upgrade() -> None:
    """Make the tables and the indexes."""
    op.create_table(
        "accounts",
        sa.Column("mid", sa.String(length=12), nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("asked_by", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("mid", "number", name=op.f("pk_accounts")),
    )
    op.create_table(
        "logistics",
        sa.Column("imp_uid", sa.String(length=32), nullable=False),
        sa.Column("store_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("receiver", sa.Text(), nullable=False),
        sa.Column("logis", sa.Text(), nullable=False),
        sa.Column("products", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("imp_uid", name=op.f("pk_logistics")),
    )
    op.create_index(
        "ix_payments_account",
        "payments",
        ["pg_id", "vbank_num", "started_at"],
        sqlite_where=sa.text("vbank_num IS NOT NULL"),
        postgresql_where=sa.text("vbank_num IS NOT NULL"),
    )
    op.create_index("ix_entries_pg_tid", "entries", ["pg_tid"])
