"""How many payments of each status every hour of a store has, so that a list's total need not count them."""

import sqlalchemy as sa
from alembic import op

from naru.store.migrations import chain

revision, down_revision = chain(__file__)


def upgrade() -> None:
    """Make the table. It fills by itself; an hour that is not in it is counted when it is asked for."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "payment_counts",
        sa.Column("store_id", number, nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("ready", sa.Integer(), nullable=True),
        sa.Column("paid", sa.Integer(), nullable=True),
        sa.Column("cancelled", sa.Integer(), nullable=True),
        sa.Column("failed", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_payment_counts_store_id")),
        sa.PrimaryKeyConstraint("store_id", "hour", name=op.f("pk_payment_counts")),
    )
    op.create_index(
        "ix_payment_counts_stale", "payment_counts", ["store_id", "hour"], unique=False,
        sqlite_where=sa.text("paid IS NULL"), postgresql_where=sa.text("paid IS NULL"),
    )  # fmt: skip
