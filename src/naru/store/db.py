"""Transactions on two databases, one shape.

A transaction body is a plain generator function. It yields bound statements, receives their rows and
returns its result::

    def add_one(name: str) -> Tx[int]:
        rows = yield LOCKED(name=name)  # select(…).with_for_update()
        yield SET(name=name, n=rows[0].n + 1)
        return rows[0].n + 1


    total = await db.write(add_one, "till")

The database decides how a body runs: beside others in one commit, in a thread, or a second time after a
deadlock. So a body changes nothing but the database, and is handed over as a function with its arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, ParamSpec, Protocol, TypeVar

from naru.store.errors import Conflict, ReadOnly, Unavailable, Violation
from naru.store.statement import Bound, Row, Tx

__all__ = [
    "Bound",
    "Conflict",
    "Database",
    "ReadOnly",
    "Row",
    "Stats",
    "Tx",
    "Unavailable",
    "Violation",
    "open_database",
]

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class Stats:
    """What this database object has done since it was opened."""

    commits: int = 0
    """Transactions committed by `write`; less than `writes` where commits are shared."""
    writes: int = 0
    """Bodies of `write` that became durable."""
    restarts: int = 0
    """Bodies run again after a deadlock, a serialization failure or a lost connection."""
    refusing: bool = False
    """Whether the database could not take the last write (`Unavailable`): it may be readable all the same."""


class Database(Protocol):
    """An open database. Belongs to the event loop that opened it.

    All three raise what the body raises (which undoes that body only), `Violation` (`Conflict` for a taken
    key) and `Unavailable`. A caller that is cancelled stops waiting; its body still runs to its end.
    """

    @property
    def dialect(self) -> str:
        """ "sqlite" or "postgresql"."""
        ...

    @property
    def stats(self) -> Stats: ...

    async def write(self, body: Callable[P, Tx[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `body` in a transaction of its own; when this returns the result is durable."""
        ...

    async def read(self, body: Callable[P, Tx[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `body` on one consistent snapshot, which may take long. Raises ReadOnly if it writes or locks."""
        ...

    async def glance(self, body: Callable[P, Tx[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `body` for a few indexed look-ups, the quickest way there is. Raises ReadOnly like `read`.

        Each of its statements sees what was committed when that statement began: look-ups that must agree with
        each other belong in `read` or in one statement. On SQLite it holds the event loop while it runs.
        """
        ...

    async def close(self) -> None:
        """Finish what was handed over and close. A second call does nothing; later calls raise Unavailable."""
        ...


async def open_database(
    url: str,
    *,
    check_schema: bool = True,
    grouped: bool = True,
    synchronous: Literal["FULL", "NORMAL", "OFF"] = "FULL",
    lock_timeout_ms: int = 5_000,
    statement_timeout_ms: int = 15_000,
    read_timeout_ms: int = 120_000,
    min_connections: int = 1,
    max_connections: int = 10,
    readers: int = 2,
) -> Database:
    """Open `sqlite:///path` or `postgresql://…`. Raises Unavailable, or `migrate.WrongSchema` when the
    database's migrations are not exactly this code's.

    `grouped` (commits are shared) and `synchronous` exist for benchmarks and tests and matter to SQLite
    only, as do the `readers` (threads for `read`). The connection numbers and the two other timeouts are
    PostgreSQL's; `lock_timeout_ms` is how long a write waits for another's lock on either.
    """
    from naru.store import migrate

    database: Database
    if url.startswith("sqlite:"):
        from naru.store import sqlite

        path = migrate.sqlite_path(url)
        if check_schema:
            migrate.demand(migrate.revision_of_file(path))
        database = await sqlite.open_sqlite(
            path, grouped=grouped, synchronous=synchronous, lock_timeout_ms=lock_timeout_ms, readers=readers
        )
    elif url.startswith(("postgresql:", "postgres:")):
        from naru.store import postgres

        if check_schema:
            migrate.demand(await postgres.revision_of(url))
        database = await postgres.open_postgres(
            url,
            lock_timeout_ms=lock_timeout_ms,
            statement_timeout_ms=statement_timeout_ms,
            read_timeout_ms=read_timeout_ms,
            min_connections=min_connections,
            max_connections=max_connections,
        )
    else:
        raise ValueError("a database address begins with sqlite:/// or postgresql://")
    return database
