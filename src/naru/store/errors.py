"""What a database can say besides rows; callers import these from `naru.store.db`."""

from typing import Literal

Kind = Literal["unique", "foreign key", "check", "not null", "other"]


class Violation(Exception):
    """A statement would have broken a constraint; its transaction is undone.

    `constraint` is the name in `tables.py`, where the database tells which one it was (SQLite never does
    for foreign keys); `table` likewise.
    """

    def __init__(self, kind: Kind, constraint: str | None, table: str | None) -> None:
        super().__init__(f"{kind} constraint {constraint or '?'} on {table or '?'}")
        self.kind = kind
        self.constraint = constraint
        self.table = table


class Conflict(Violation):
    """A row with this key exists already."""

    def __init__(self, constraint: str | None, table: str | None) -> None:
        super().__init__("unique", constraint, table)


class Unavailable(Exception):
    """The database cannot be reached, is full, or stays locked: try again later.

    Nothing has happened, unless `maybe_committed`: then the connection or the disk failed in the middle of
    COMMIT and only the database knows.
    """

    def __init__(self, message: str, *, maybe_committed: bool = False) -> None:
        super().__init__(message)
        self.maybe_committed = maybe_committed


class ReadOnly(Exception):
    """A body given to `read` or `glance` tried to change or lock something: a mistake in our code."""
