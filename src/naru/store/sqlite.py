"""SQLite through apsw: one writer that commits waiting bodies together, readers beside it.

Nothing else in the process may open the file with another SQLite library: two of them in one process
break POSIX locks (docs/decisions/0007).

The bodies that wait when the writer comes round become one transaction and share its one fsync. When one of
them fails, all is undone and they run once more, each under a savepoint of its own, so that only the failed
one is undone: savepoints for everybody would be a third of all statements. Nobody waits for company: a body
that comes alone is committed alone.

Statements run on the event loop, where they take microseconds; what may wait runs in a thread: COMMIT with
its fsync, a lock that another process holds, many rows at once, and whatever takes long. The other way round,
every statement would wait for the interpreter's lock, and a payment has dozens.
mmap is off on purpose: an I/O error would be a SIGBUS, and mapped pages would count as our memory.
"""

import asyncio
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, ParamSpec, Protocol, TypeAlias, TypeVar

import apsw
from sqlalchemy import PrimaryKeyConstraint, Table, UniqueConstraint

from naru.store.db import Stats
from naru.store.errors import Conflict, Kind, ReadOnly, Unavailable, Violation
from naru.store.statement import Bound, Form, Row, Tx, throw_into


class Connection(Protocol):
    """What we use of `apsw.Connection`; its own types are for newer Pythons than ours."""

    @property
    def in_transaction(self) -> bool: ...
    def execute(self, statements: str, bindings: tuple[Any, ...] = ..., /) -> Any: ...
    def executemany(self, statements: str, bindings: list[tuple[Any, ...]], /) -> Any: ...
    def pragma(self, name: str, value: str | int = ..., /) -> Any: ...
    def config(self, option: int, value: int, /) -> Any: ...
    def set_busy_timeout(self, milliseconds: int, /) -> None: ...
    def close(self) -> None: ...


P = ParamSpec("P")
T = TypeVar("T")
Body = Callable[..., Tx[Any]]
_Work: TypeAlias = Generator[int, None, None]

MOST_TOGETHER: Final = 128
"""How many bodies share one commit at most."""
MOST_WAITING: Final = 10_000
"""How many bodies wait for the writer at most; more are turned away."""
GLANCE_LOCK_TIMEOUT_MS: Final = 20
"""How long `glance` may hold the event loop for a lock (readers need one only while a file is opened or closed)."""
MOST_ROWS_ON_LOOP: Final = 100
"""A statement for more rows than that runs in the thread, and so does the rest of its transaction."""
LONGEST_ON_LOOP_S: Final = 0.1
"""How long a transaction may run on the event loop before the thread takes it over between two statements."""
CACHE_KIB: Final = 16_384
READ_CACHE_KIB: Final = 4_096
"""For those who only read: each commit empties their cache, and the system keeps the file's pages anyway."""
STATEMENTS_KEPT: Final = 512

_KINDS: Final[dict[int, Kind]] = {
    apsw.SQLITE_CONSTRAINT_UNIQUE: "unique",
    apsw.SQLITE_CONSTRAINT_PRIMARYKEY: "unique",
    apsw.SQLITE_CONSTRAINT_ROWID: "unique",
    apsw.SQLITE_CONSTRAINT_FOREIGNKEY: "foreign key",
    apsw.SQLITE_CONSTRAINT_CHECK: "check",
    apsw.SQLITE_CONSTRAINT_NOTNULL: "not null",
}
_LATER: Final = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.FullError,
    apsw.IOError,
    apsw.CantOpenError,
    apsw.NotADBError,
    apsw.CorruptError,
    apsw.ReadOnlyError,
    apsw.PermissionsError,
    apsw.ProtocolError,
    apsw.NoMemError,
    apsw.InterruptError,
)


async def open_sqlite(
    path: Path,
    *,
    grouped: bool = True,
    synchronous: Literal["FULL", "NORMAL", "OFF"] = "FULL",
    lock_timeout_ms: int = 5_000,
    readers: int = 2,
) -> "SQLite":
    """Open the file, which must exist. Raises Unavailable."""
    loop = asyncio.get_running_loop()
    return SQLite(path, loop, MOST_TOGETHER if grouped else 1, synchronous, lock_timeout_ms, readers)


@dataclass(slots=True, eq=False)
class _Job:
    body: Body
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def ends(self, error: BaseException) -> None:
        """What became of it instead of a result."""
        self.result, self.error = None, error

    def settle(self) -> None:
        if not self.future.done():  # its caller may have been cancelled
            if self.error is None:
                self.future.set_result(self.result)
            else:
                self.future.set_exception(self.error)


class _OneFailed(Exception):
    """A body has failed among others that ran without savepoints."""


class SQLite:
    """A `Database` on one file."""

    def __init__(
        self,
        path: Path,
        loop: asyncio.AbstractEventLoop,
        most_together: int,
        synchronous: str,
        lock_timeout_ms: int,
        readers: int,
    ) -> None:
        self.dialect: Final = "sqlite"
        self.stats: Final = Stats()
        self._loop = loop
        self._most_together = most_together
        self._lock_timeout_ms = lock_timeout_ms
        self._waiting = deque[_Job]()
        self._at_work = False
        """Whether a transaction is open or about to be: the connection belongs to it."""
        self._for_thread: queue.SimpleQueue[tuple[list[_Job], _Work | None] | None] = queue.SimpleQueue()
        self._rested = asyncio.Event()
        self._rested.set()
        self._closing: asyncio.Task[None] | None = None
        opened: list[Connection] = []
        try:
            with _mapped():
                self._writes = _connect(path, synchronous, lock_timeout_ms)
                self._writes.set_busy_timeout(0)
                opened.append(self._writes)
                self._glances = _connect(path, synchronous, GLANCE_LOCK_TIMEOUT_MS, queries_only=True)
                opened.append(self._glances)
                self._reads = deque[Connection]()
                for _ in range(readers):
                    self._reads.append(_connect(path, synchronous, lock_timeout_ms, queries_only=True))
                    opened.append(self._reads[-1])
        except BaseException:
            for connection in opened:
                connection.close()
            raise
        self._threads = ThreadPoolExecutor(readers, thread_name_prefix="naru-reader")
        self._writer = threading.Thread(target=self._write_on, name="naru-writer", daemon=True)
        self._writer.start()

    async def write(self, body: Callable[P, Tx[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        self._demand_open()
        if len(self._waiting) >= MOST_WAITING:
            raise Unavailable(f"{MOST_WAITING} writes are waiting already")
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append(_Job(body, args, kwargs, future))
        if not self._at_work:
            self._at_work = True
            self._rested.clear()
            self._loop.call_soon(self._turn)  # not at once: others may have a write ready in this very moment
        return await future

    async def read(self, body: Callable[P, Tx[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        self._demand_open()
        return await self._loop.run_in_executor(self._threads, self._read, body, args, kwargs)

    async def glance(self, body: Callable[P, Tx[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        self._demand_open()
        try:
            # Each statement by itself, as on PostgreSQL: BEGIN and ROLLBACK cost as much as a look-up.
            return _run(self._glances, body, args, kwargs, reading=True)
        except _Busy:
            return await self.read(body, *args, **kwargs)  # waits for the lock in a thread

    async def close(self) -> None:
        if self._closing is None:
            self._closing = self._loop.create_task(self._shut())
        await asyncio.shield(self._closing)

    def _demand_open(self) -> None:
        if self._closing is not None:
            raise Unavailable("the database is closed")

    async def _shut(self) -> None:
        await self._rested.wait()
        self._for_thread.put(None)
        await asyncio.to_thread(self._close_all)

    def _close_all(self) -> None:
        self._writer.join()
        self._threads.shutdown()
        # The last connection to close folds the log into the file: let it be one that may write.
        for connection in (*self._reads, self._glances, self._writes):
            connection.close()

    def _read(self, body: Body, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        connection = self._reads.pop()  # never empty: there are as many as threads
        try:
            return _on_snapshot(connection, body, args, kwargs)
        finally:
            self._reads.append(connection)

    # ── the writer, on the event loop ────────────────────────────────────────

    def _turn(self) -> None:
        """Open a transaction for those who wait and run their bodies; the thread commits."""
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._most_together))]
        if not batch:
            self._at_work = False
            self._rested.set()
            return
        try:
            self._writes.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            self._for_thread.put((batch, None))
            return
        except BaseException as exc:  # noqa: BLE001 - every waiting caller is told, and the writer lives on
            self._give_up(batch, exc)
            self._finished(batch)
            return
        work = self._work(batch)
        until = self._loop.time() + LONGEST_ON_LOOP_S
        try:
            for rows in work:
                if rows > MOST_ROWS_ON_LOOP or self._loop.time() > until:
                    self._for_thread.put((batch, work))
                    return
        except _OneFailed:
            self._for_thread.put((batch, None))
            return
        except BaseException as exc:  # noqa: BLE001 - as above
            self._give_up(batch, exc)
        if all(job.error is not None for job in batch):
            self._give_up(batch)
            self._finished(batch)
        else:
            self._for_thread.put((batch, work))

    def _finished(self, batch: list[_Job]) -> None:
        # A refusal by the rules proves nothing about the disk; a commit and a failure of one do.
        if any(isinstance(job.error, Unavailable) for job in batch):
            self.stats.refusing = True
        elif any(job.error is None for job in batch):
            self.stats.refusing = False
        for job in batch:
            job.settle()
        self._loop.call_soon(self._turn)  # after those whose write is done: they may have the next one

    # ── the writer, in its thread ────────────────────────────────────────────

    def _write_on(self) -> None:
        while (task := self._for_thread.get()) is not None:
            batch, work = task
            if work is None:
                self._commit_alone(batch)
            else:
                self._commit(batch, work)
            with suppress(RuntimeError):  # the loop was closed without closing us: nobody is left to tell
                self._loop.call_soon_threadsafe(self._finished, batch)

    def _commit_alone(self, batch: list[_Job]) -> None:
        """The whole of a transaction here, the wait for another process's lock included, with savepoints."""
        self._writes.set_busy_timeout(self._lock_timeout_ms)
        try:
            self._writes.execute("BEGIN IMMEDIATE")
        except BaseException as exc:  # noqa: BLE001 - every waiting caller is told, and the writer lives on
            self._give_up(batch, exc)
            return
        finally:
            self._writes.set_busy_timeout(0)
        self._commit(batch, self._work(batch, savepoints=True))

    def _commit(self, batch: list[_Job], work: "_Work") -> None:
        """Run what is left of a transaction; afterwards every job of it has a result or an error."""
        connection = self._writes
        committing = False
        try:
            for _ in work:
                pass
            if any(job.error is None for job in batch):
                if not connection.in_transaction:
                    # SQLite gives a whole transaction up by itself when the disk is full or fails.
                    raise Unavailable("a neighbour in the same transaction met a full or failing disk")
                committing = True
                connection.execute("COMMIT")
                self.stats.commits += 1
                self.stats.writes += sum(job.error is None for job in batch)
            else:
                self._give_up(batch)
        except _OneFailed:
            self._commit_alone(batch)
        except BaseException as exc:  # noqa: BLE001 - as above
            if isinstance(exc, apsw.ConstraintError) and len(batch) > 1:
                # A deferred foreign key is looked at by COMMIT only: find out whose it was.
                self._roll_back()
                for job in batch:
                    if job.error is None:
                        self._commit_alone([job])
            else:
                self._give_up(batch, exc, committing=committing)

    # ── the writer, wherever it is ───────────────────────────────────────────

    def _work(self, batch: list[_Job], *, savepoints: bool = False) -> "_Work":
        """Run the bodies of a transaction that is open. Before each statement comes the number of its rows.

        Without *savepoints* raises _OneFailed when one of several fails; then nothing has happened to any of them.
        """
        connection = self._writes
        for job in batch:
            if len(batch) == 1:
                yield from self._run_one(job)
                continue
            if not savepoints:
                yield from self._run_one(job)
                if job.error is not None:
                    self._roll_back()
                    for one in batch:
                        one.result = one.error = None
                    raise _OneFailed
                continue
            if not connection.in_transaction:
                job.error = Unavailable("the transaction was given up before its turn came")
                continue
            connection.execute("SAVEPOINT body")
            yield from self._run_one(job)
            if job.error is not None and connection.in_transaction:
                connection.execute("ROLLBACK TO body")
            if connection.in_transaction:
                connection.execute("RELEASE body")

    def _run_one(self, job: _Job) -> "_Work":
        try:
            job.result = yield from _running(self._writes, job.body, job.args, job.kwargs)
        except GeneratorExit:
            raise
        except BaseException as exc:  # noqa: BLE001 - handed to the caller
            job.error = exc

    def _give_up(self, batch: list[_Job], exc: BaseException | None = None, *, committing: bool = False) -> None:
        """Undo a transaction; those that had a result get *exc* instead."""
        self._roll_back()
        for job in batch:
            if job.error is None:
                assert exc is not None
                job.ends(_error(exc, committing=committing))

    def _roll_back(self) -> None:
        if self._writes.in_transaction:
            with suppress(apsw.Error):
                self._writes.execute("ROLLBACK")


# ── connections ──────────────────────────────────────────────────────────────


def _open(path: Path) -> Connection:
    # Not made when missing: a mistyped path must not become an empty till.
    return apsw.Connection(os.fspath(path), flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=STATEMENTS_KEPT)


def _connect(path: Path, synchronous: str, lock_timeout_ms: int, *, queries_only: bool = False) -> Connection:
    connection = _open(path)
    try:
        connection.set_busy_timeout(max(lock_timeout_ms, 1_000))  # for the opening itself
        mode = connection.pragma("journal_mode", "WAL")
        if mode != "wal":
            raise Unavailable(f"{path}: write-ahead log not possible here (journal mode is {mode})")
        connection.pragma("synchronous", synchronous)
        connection.pragma("foreign_keys", "ON")
        connection.pragma("trusted_schema", "OFF")
        connection.pragma("temp_store", "MEMORY")
        connection.pragma("cache_size", -(READ_CACHE_KIB if queries_only else CACHE_KIB))
        connection.pragma("mmap_size", 0)
        connection.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)
        if queries_only:
            connection.pragma("query_only", "ON")
        connection.set_busy_timeout(lock_timeout_ms)
    except BaseException:
        connection.close()
        raise
    return connection


class _Busy(Unavailable):
    """Locked beyond this connection's timeout."""


@contextmanager
def _mapped() -> Generator[None]:
    try:
        yield
    except apsw.Error as exc:
        raise _error(exc) from exc


def _error(
    exc: BaseException, *, committing: bool = False, table: Table | None = None, reading: bool = False
) -> BaseException:
    """The exception of `store.db` for one of apsw's; others as they are."""
    match exc:
        case apsw.ConstraintError():
            return _violation(exc, table)
        case apsw.ReadOnlyError() if reading:
            return ReadOnly(str(exc))
        case apsw.BusyError() | apsw.LockedError():
            return _Busy(f"the database is locked by another process: {exc}")
        case apsw.Error() if isinstance(exc, _LATER):
            # A full disk or a failed write leaves no whole commit behind; a failed fsync may have.
            written = isinstance(exc, apsw.IOError) and _code(exc) != apsw.SQLITE_IOERR_WRITE
            return Unavailable(f"{type(exc).__name__}: {exc}", maybe_committed=committing and written)
        case _:
            return exc


def _code(exc: apsw.Error) -> int:
    return getattr(exc, "extendedresult", 0)


def _violation(exc: apsw.ConstraintError, table: Table | None) -> Violation:
    kind = _KINDS.get(_code(exc), "other")
    _, _, what = str(exc).partition("constraint failed: ")
    if kind == "check":
        return Violation(kind, what or None, None if table is None else table.name)
    if kind == "unique" and what.startswith("index '"):
        return Conflict(what[len("index '") : -1], None if table is None else table.name)
    names = [name.partition(".") for name in what.split(", ")] if what else []
    of = names[0][0] if names else None
    if kind == "unique":
        return Conflict(_name_of_key(table, of, {column for _, _, column in names}), of)
    if kind == "not null":
        return Violation(kind, names[0][2] if names else None, of)
    return Violation(kind, None, None if table is None else table.name)


def _name_of_key(table: Table | None, of: str | None, columns: set[str]) -> str | None:
    """SQLite names a key's columns only; our tables know what the key is called."""
    if table is None or table.name != of:
        return None
    for key in table.constraints:
        if isinstance(key, (UniqueConstraint, PrimaryKeyConstraint)) and {c.name for c in key.columns} == columns:
            return None if key.name is None else str(key.name)
    for index in table.indexes:
        if index.unique and {c.name for c in index.columns} == columns:
            return index.name
    return None


# ── running a body ───────────────────────────────────────────────────────────


def _on_snapshot(connection: Connection, body: Body, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        connection.execute("BEGIN")
        return _run(connection, body, args, kwargs, reading=True)
    except apsw.Error as exc:
        raise _error(exc) from exc
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")  # there is nothing to keep, and unlike COMMIT it cannot fail


def _run(
    connection: Connection, body: Body, args: tuple[Any, ...], kwargs: dict[str, Any], *, reading: bool = False
) -> Any:
    """Drive a body to its end inside the transaction that is open."""
    tx = body(*args, **kwargs)
    try:
        bound = next(tx)
        while True:
            bound = _step(connection, tx, bound, reading=reading)
    except StopIteration as end:
        return end.value
    finally:
        tx.close()


def _running(
    connection: Connection, body: Body, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Generator[int, None, Any]:
    """The same, with a pause before each statement that says for how many rows it runs."""
    tx = body(*args, **kwargs)
    try:
        bound = next(tx)
        while True:
            yield 1 if bound.rows is None else len(bound.rows)
            bound = _step(connection, tx, bound)
    except StopIteration as end:
        return end.value
    finally:
        tx.close()


def _step(connection: Connection, tx: Tx[Any], bound: Bound, *, reading: bool = False) -> Bound:
    """Run one statement of a body. Returns the next one; raises StopIteration where there is none."""
    try:
        rows = _execute(connection, bound, reading=reading)
    except (apsw.Error, ReadOnly) as exc:
        return throw_into(tx, bound, _error(exc, table=bound.statement.table, reading=reading))
    return tx.send(rows)


def _execute(connection: Connection, bound: Bound, *, reading: bool) -> list[Row]:
    form = bound.statement.form("sqlite")
    if reading and form.locks:
        raise ReadOnly("FOR UPDATE outside write")
    if bound.guards:
        # An INSERT of many rows that fails half-way keeps the first ones unless there is a savepoint.
        connection.execute("SAVEPOINT guarded")
        try:
            rows = _rows(connection, bound, form)
        except apsw.ConstraintError:
            connection.execute("ROLLBACK TO guarded")
            connection.execute("RELEASE guarded")
            raise
        connection.execute("RELEASE guarded")
        return rows
    return _rows(connection, bound, form)


def _rows(connection: Connection, bound: Bound, form: Form) -> list[Row]:
    if bound.rows is not None:
        cursor = connection.executemany(form.sql, form.bind_each(bound.rows))
    else:
        sql, values = form.bind(bound.params)
        cursor = connection.execute(sql, values)
    make = form.make
    return [make(row) for row in cursor]
