"""The request log of test stores."""

import sqlalchemy as sa
from alembic import op

from naru.store.migrations import chain

revision, down_revision = chain(__file__)


def upgrade() -> None:
    """Make the table."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "api_calls",
        sa.Column("id", number, autoincrement=True, nullable=False),
        sa.Column("store_id", number, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.String(length=8), nullable=False),
        sa.Column("path", sa.String(length=300), nullable=False),
        sa.Column("operation", sa.String(length=120), nullable=True),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("bad", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("took_us", sa.Integer(), nullable=False),
        sa.Column("imp_uid", sa.String(length=32), nullable=True),
        sa.Column("merchant_uid", sa.String(length=80), nullable=True),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_calls")),
    )
    op.create_index("ix_api_calls_store_id", "api_calls", ["store_id", "id"], unique=False)
