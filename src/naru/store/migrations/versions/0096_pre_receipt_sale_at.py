"""When the sale behind a cash receipt was."""

import sqlalchemy as sa
from alembic import op

from naru.store.migrations import chain

revision, down_revision = chain(__file__)


def upgrade() -> None:
    """Add the column. Receipts that were asked before were dated with the time of asking."""
    op.add_column("receipts", sa.Column("sale_at", sa.BigInteger(), nullable=True))
