"""PostgreSQL through asyncpg: a pool of connections, READ COMMITTED, one body per transaction.

Sessions are read-only by default and only `write` asks for more, so that a look-up cannot change anything.
Commits are not grouped here: PostgreSQL shares one flush among the sessions that commit at the same time.
"""

# pyright: reportMissingTypeStubs=false

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Final, ParamSpec, TypeVar

import asyncpg.connection
from asyncpg import exceptions as pg

from naru.store.db import Stats
from naru.store.errors import Conflict, ReadOnly, Unavailable, Violation
from naru.store.statement import Bound, Row, Tx, throw_into

P = ParamSpec("P")
T = TypeVar("T")
Body = Callable[..., Tx[Any]]
Connection = Any  # asyncpg's; it is not typed

MOST_RESTARTS: Final = 8
"""How often a body is run again after a deadlock or a lost connection before `Unavailable`."""
FIRST_PAUSE_S: Final = 0.01
"""Before the first restart; doubles each time, with jitter: about 2 s in all."""
MOST_WAITING: Final = 10_000
CONNECT_TIMEOUT_S: Final = 5.0
PATIENCE_S: Final = 5.0
"""A lost connection is not sought anew for longer than that: the caller's own caller waits too."""
STUCK_S: Final = 5.0
"""When all connections are taken and for so long nobody has got or returned one, nobody waits for a turn any more."""
OVERDUE_S: Final = 1.0
"""So long beyond its own time limit a statement is waited for: a server that hangs does not keep its limits."""
FIRST_RETRY_S: Final = 0.02
LONGEST_RETRY_S: Final = 0.25
"""After a failed connection nobody connects for so long, doubling: a server that starts must not be stormed."""
IDLE_S: Final = 300.0
"""How long a connection beyond the least number is kept without use."""
STATEMENTS_KEPT: Final = 512
IDLE_IN_TRANSACTION_MS: Final = 30_000

_BEGIN_WRITE: Final = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_BEGIN_READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {}"

# Run the body again from its start: nothing of it has been kept.
_AGAIN: Final = (
    pg.SerializationError,
    pg.DeadlockDetectedError,
    pg.InvalidCachedStatementError,
    pg.OutdatedSchemaCacheError,
)
# The session is gone, or there was none.
_LOST: Final = (
    pg.PostgresConnectionError,
    pg.AdminShutdownError,
    pg.CrashShutdownError,
    pg.CannotConnectNowError,
    pg.IdleInTransactionSessionTimeoutError,
    pg.InternalClientError,  # said of a session that ended while nobody listened to it
    OSError,  # TimeoutError is one
)
_LATER: Final = (
    pg.InsufficientResourcesError,
    pg.LockNotAvailableError,
    pg.QueryCanceledError,
    pg.PostgresSystemError,
)
FAILURES: Final = (pg.PostgresError, pg.InterfaceError, pg.InternalClientError, OSError)

connect: Any = getattr(asyncpg.connection, "connect")  # noqa: B009 - untyped


class _Again(Exception):
    """The transaction is undone and may be tried once more."""


class _Lost(_Again):
    """So is its session."""


async def revision_of(url: str) -> str | None:
    """The migration that the database stands at; None for one without any. Raises Unavailable."""
    try:
        connection = await connect(url, timeout=CONNECT_TIMEOUT_S)
        try:
            if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
                return None
            return await connection.fetchval("SELECT version_num FROM alembic_version")
        finally:
            await connection.close()
    except FAILURES as exc:
        raise Unavailable(f"{type(exc).__name__}: {exc}") from exc


async def open_postgres(
    url: str,
    *,
    lock_timeout_ms: int = 5_000,
    statement_timeout_ms: int = 15_000,
    read_timeout_ms: int = 120_000,
    min_connections: int = 1,
    max_connections: int = 10,
) -> "Postgres":
    """Connect. Raises Unavailable."""
    settings = {
        "application_name": "naru",
        "default_transaction_read_only": "on",
        "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS),
        "jit": "off",
        "lock_timeout": str(lock_timeout_ms),
        "statement_timeout": str(statement_timeout_ms),
    }

    async def open_one() -> Connection:
        connection = await connect(
            url,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=statement_timeout_ms / 1000 + OVERDUE_S,
            statement_cache_size=STATEMENTS_KEPT,
            max_cached_statement_lifetime=0,
            max_cacheable_statement_size=1 << 18,
            server_settings=settings,
        )
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                # sum() over BIGINT is NUMERIC here and an integer on SQLite: the same Python type for both.
                await connection.set_type_codec(
                    "numeric", schema="pg_catalog", encoder=str, decoder=_number, format="text"
                )
                # "Durable when write() returns" must not depend on how the server was set up; stricter modes stay.
                await connection.execute(
                    "SELECT set_config('synchronous_commit', 'on', false) "
                    "WHERE current_setting('synchronous_commit') = 'off'"
                )
        except BaseException:
            connection.terminate()
            raise
        return connection

    pool = Pool(open_one, min_connections, max_connections)
    try:
        await pool.fill()
    except FAILURES as exc:
        raise Unavailable(f"{type(exc).__name__}: {exc}") from exc
    return Postgres(pool, statement_timeout_ms, read_timeout_ms, max_connections)


def _number(text: str) -> int | Decimal:
    return Decimal(text) if "." in text or not text.lstrip("-").isdigit() else int(text)


class Pool:
    """Connections, the last used first; a returned one goes straight to whoever waits longest.

    asyncpg's own pool was tried: its stand-ins raise where a broken connection is merely asked whether it
    is closed, and each use costs a task and a round trip more.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        least: int,
        most: int,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect = connect
        self._seconds = seconds
        self._least = least
        self._most = most
        self._open = 0  # idle, in use, or being opened
        self._idle: deque[tuple[float, Connection]] = deque()
        self._queue: deque[asyncio.Future[Connection | None]] = deque()
        self._retry_s = 0.0
        self._retry_at = 0.0
        self._moved_at = seconds()
        """When somebody last got a place for a connection, or brought one back."""
        self._failure = ""

    async def fill(self) -> None:
        """Open as many connections as are kept. Raises what connecting raises."""
        taken = [await self.take() for _ in range(self._least)]
        for connection in taken:
            self.give(connection)

    async def take(self) -> Connection:
        """A connection for us alone; waits while all are taken. Raises what connecting raises, and TimeoutError when
        those who have one are all stuck."""
        while self._idle:
            _, connection = self._idle.pop()
            if not connection.is_closed():
                self._moved_at = self._seconds()
                return connection
            self._open -= 1
        if self._open < self._most:
            self._open += 1
            self._moved_at = self._seconds()
        else:
            connection = await self._turn()
            if connection is not None and not connection.is_closed():
                return connection
        try:
            return await self._open_one()
        except BaseException:
            self._vacate()
            raise

    async def _turn(self) -> Connection | None:
        turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        while not turn.done():
            left = self._moved_at + STUCK_S - self._seconds()
            if left <= 0:
                turn.cancel()
                raise TimeoutError(f"all {self._most} connections wait for the server")
            await asyncio.wait([turn], timeout=left)
        return turn.result()

    async def _open_one(self) -> Connection:
        if self._seconds() < self._retry_at:
            raise ConnectionRefusedError(f"{self._failure} (not tried again yet)")
        try:
            connection = await self._connect()
        except FAILURES as exc:
            self._failure = f"{type(exc).__name__}: {exc}"
            self._retry_s = min(max(self._retry_s * 2, FIRST_RETRY_S), LONGEST_RETRY_S)
            self._retry_at = self._seconds() + self._retry_s
            raise
        self._retry_s = self._retry_at = 0.0
        return connection

    def give(self, connection: Connection) -> None:
        """Bring a connection back, closed or not."""
        self._moved_at = self._seconds()
        if connection.is_closed():
            self._vacate()
        elif (turn := self._next()) is not None:
            turn.set_result(connection)
        else:
            now = self._seconds()
            self._idle.append((now, connection))
            if self._open > self._least and now - self._idle[0][0] > IDLE_S:
                self._idle.popleft()[1].terminate()
                self._open -= 1

    async def close(self) -> None:
        """Close what is idle, which is all when nothing runs any more."""
        while self._idle:
            _, connection = self._idle.pop()
            try:
                await connection.close(timeout=CONNECT_TIMEOUT_S)
            except FAILURES:
                connection.terminate()

    def _vacate(self) -> None:
        """A place for a connection has become free: the next in the queue opens one there."""
        if (turn := self._next()) is not None:
            turn.set_result(None)
        else:
            self._open -= 1

    def _next(self) -> "asyncio.Future[Connection | None] | None":
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                return turn
        return None


class Postgres:
    """A `Database` on one PostgreSQL server."""

    def __init__(self, pool: Pool, statement_timeout_ms: int, read_timeout_ms: int, max_connections: int) -> None:
        self.dialect: Final = "postgresql"
        self.stats: Final = Stats()
        self._pool = pool
        self._begin_read = _BEGIN_READ.format(int(read_timeout_ms))
        self._turn_s = statement_timeout_ms / 1000 + OVERDUE_S
        """How long a read waits for its turn: as long as a hanging server keeps those who have theirs."""
        self._read_s = read_timeout_ms / 1000 + OVERDUE_S
        # Long reads must leave connections to those who write.
        self._readers = asyncio.Semaphore(max(1, max_connections // 2))
        self._under_way: set[asyncio.Task[Any]] = set()
        self._waiting = 0
        self._closing: asyncio.Task[None] | None = None

    async def write(self, body: Callable[P, Tx[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        # A task of its own: cancelling the caller neither cuts a COMMIT in two nor costs a connection.
        try:
            return await self._shielded(self._again(self._write, body, args, kwargs))
        except Unavailable:
            self.stats.refusing = True
            raise

    async def read(self, body: Callable[P, Tx[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        async def in_turn() -> T:
            try:
                await asyncio.wait_for(self._readers.acquire(), self._turn_s)
            except TimeoutError as exc:
                raise Unavailable("too many long reads are under way") from exc
            try:
                return await self._again(self._read, body, args, kwargs)
            finally:
                self._readers.release()

        return await self._shielded(in_turn())

    async def glance(self, body: Callable[P, Tx[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._shielded(self._again(self._glance, body, args, kwargs))

    async def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._shut())
        await asyncio.shield(self._closing)

    async def _shut(self) -> None:
        while self._under_way:
            await asyncio.wait(self._under_way)
        await self._pool.close()

    async def _shielded(self, work: Any) -> Any:
        if self._closing is not None or len(self._under_way) >= MOST_WAITING:
            work.close()
            raise Unavailable("the database is closed" if self._closing else f"{MOST_WAITING} bodies wait already")
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # looked at: nobody may be left to hear of it

    async def _again(
        self,
        once: Callable[[Connection, Body, tuple[Any, ...], dict[str, Any]], Awaitable[Any]],
        body: Body,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        pause = FIRST_PAUSE_S
        until = asyncio.get_running_loop().time() + PATIENCE_S
        for restart in range(MOST_RESTARTS + 1):
            connection: Connection | None = None
            try:
                connection = await self._connection()
                return await once(connection, body, args, kwargs)
            except _Again as exc:
                if connection is not None and isinstance(exc, _Lost):
                    connection.terminate()
                late = isinstance(exc, _Lost) and asyncio.get_running_loop().time() >= until
                if restart == MOST_RESTARTS or late:
                    raise Unavailable(f"given up after {restart} restarts: {exc}") from exc
            finally:
                if connection is not None:
                    self._pool.give(connection)
            self.stats.restarts += 1
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - not a secret
            pause = min(pause * 2, 0.5)
        raise AssertionError("unreachable")

    async def _connection(self) -> Connection:
        try:
            return await self._pool.take()
        except FAILURES as exc:
            error = _error(exc, None)
            raise error if isinstance(error, _Again) else Unavailable(f"{type(exc).__name__}: {exc}") from exc

    async def _write(self, connection: Connection, body: Body, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = await self._inside(connection, _BEGIN_WRITE, body, args, kwargs)
        try:
            done = await connection.execute("COMMIT")
        except FAILURES as exc:
            error = _error(exc, connection)
            if isinstance(error, _Lost):
                connection.terminate()
                error = Unavailable(f"lost while committing: {exc}", maybe_committed=True)
            raise error from exc
        assert done == "COMMIT", done  # PostgreSQL answers ROLLBACK when the transaction had failed
        self.stats.commits += 1
        self.stats.writes += 1
        self.stats.refusing = False
        return result

    async def _read(self, connection: Connection, body: Body, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = await self._inside(connection, self._begin_read, body, args, kwargs, self._read_s)
        await _roll_back(connection)
        return result

    async def _inside(
        self, connection: Connection, begin: str, body: Body, args: tuple[Any, ...], kwargs: dict[str, Any],
        most_s: float | None = None,
    ) -> Any:  # fmt: skip
        try:
            try:
                await connection.execute(begin)
            except FAILURES as exc:
                raise _error(exc, connection) from exc
            return await self._glance(connection, body, args, kwargs, most_s)
        except BaseException as exc:
            if isinstance(exc, _Lost):
                connection.terminate()  # there may be nobody who could be asked to roll back
            await _roll_back(connection)
            raise

    async def _glance(
        self, connection: Connection, body: Body, args: tuple[Any, ...], kwargs: dict[str, Any],
        most_s: float | None = None,
    ) -> Any:  # fmt: skip
        tx = body(*args, **kwargs)
        try:
            bound = next(tx)
            while True:
                try:
                    rows = await _execute(connection, bound, most_s)
                except FAILURES as exc:
                    error = _error(exc, connection)
                    if isinstance(error, _Again):
                        raise error from exc
                    bound = throw_into(tx, bound, error)
                else:
                    bound = tx.send(rows)
        except StopIteration as end:
            return end.value
        finally:
            tx.close()


async def _roll_back(connection: Connection) -> None:
    if not connection.is_closed():
        try:
            await connection.execute("ROLLBACK")
        except FAILURES:
            connection.terminate()


async def _execute(connection: Connection, bound: Bound, most_s: float | None) -> list[Row]:
    if not bound.guards:
        return await _rows(connection, bound, most_s)
    await connection.execute("SAVEPOINT guarded")
    try:
        rows = await _rows(connection, bound, most_s)
    except pg.IntegrityConstraintViolationError:
        await connection.execute("ROLLBACK TO guarded; RELEASE guarded")
        raise
    await connection.execute("RELEASE guarded")
    return rows


async def _rows(connection: Connection, bound: Bound, most_s: float | None) -> list[Row]:
    form = bound.statement.form("postgresql")
    make = form.make
    if bound.rows is None:
        sql, values = form.bind(bound.params)
        return [make(row) for row in await connection.fetch(sql, *values, timeout=most_s)]
    if form.returns:
        return [make(row) for row in await connection.fetchmany(form.sql, form.bind_each(bound.rows), timeout=most_s)]
    await connection.executemany(form.sql, form.bind_each(bound.rows), timeout=most_s)
    return []


def _of(exc: pg.PostgresError, field: str) -> str | None:
    return getattr(exc, field, None)


def _error(exc: BaseException, connection: Connection | None) -> BaseException:
    """The exception of `store.db` for one of asyncpg's; others as they are."""
    match exc:
        case pg.UniqueViolationError():
            return Conflict(_of(exc, "constraint_name"), _of(exc, "table_name"))
        case pg.ForeignKeyViolationError():
            return Violation("foreign key", _of(exc, "constraint_name"), _of(exc, "table_name"))
        case pg.CheckViolationError():
            return Violation("check", _of(exc, "constraint_name"), _of(exc, "table_name"))
        case pg.NotNullViolationError():
            return Violation("not null", _of(exc, "column_name"), _of(exc, "table_name"))
        case pg.IntegrityConstraintViolationError():
            return Violation("other", _of(exc, "constraint_name"), _of(exc, "table_name"))
        case pg.ReadOnlySQLTransactionError():
            return ReadOnly(str(exc))
        case _ if isinstance(exc, _AGAIN):
            return _Again(f"{type(exc).__name__}: {exc}")
        case _ if isinstance(exc, _LOST) or (
            isinstance(exc, pg.InterfaceError) and connection is not None and connection.is_closed()
        ):
            return _Lost(f"{type(exc).__name__}: {exc}")
        case _ if isinstance(exc, _LATER):
            return Unavailable(f"{type(exc).__name__}: {exc}")
        case _:
            return exc
