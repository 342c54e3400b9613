"""Bring a database to this code's migrations, in a child process that ends before anything serves.

    python -m naru.store.migrate sqlite:///naru.db            (or "-": the address comes on standard input)
    python -m naru.store.migrate --check postgresql://…

Alembic needs a SQLAlchemy engine, for SQLite that is Python's own library, and a process that opens our
file with apsw must not open it with another. So this module imports neither until it is the child.
All migrations run in one transaction; whoever comes second waits and finds nothing left to do.
"""

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

from naru.store import migrations

Standing = Literal["current", "behind", "ahead"]

WAIT_S: Final = 120
"""How long a migration waits for another one, or for whoever writes."""
_ADVISORY_LOCK: Final = 0x6E617275  # "naru"


class WrongSchema(Exception):
    """The database is not at this code's migrations."""


class MigrationFailed(Exception):
    """The child process said why."""


def head() -> str | None:
    """The last migration that this code knows; None when there is none."""
    return (migrations.revisions() or [None])[-1]


def standing(revision: str | None) -> Standing:
    """What a database at `revision` is to this code."""
    if revision == head():
        return "current"
    return "behind" if revision is None or revision in migrations.revisions() else "ahead"


def demand(revision: str | None) -> None:
    """Raises WrongSchema unless `revision` is ours."""
    match standing(revision):
        case "current":
            return
        case "behind":
            raise WrongSchema(f"the database is at {revision or 'nothing'}, this code needs {head()}: run naru migrate")
        case "ahead":
            raise WrongSchema(f"the database is at {revision}, newer than this code ({head()}): update Naru")


async def check(url: str) -> Standing:
    """Whether the database behind `url` is at this code's migrations. Raises Unavailable."""
    if url.startswith("sqlite:"):
        path = sqlite_path(url)
        return standing(revision_of_file(path) if path.exists() else None)
    from naru.store import postgres

    return standing(await postgres.revision_of(url))


def revision_of_file(path: Path) -> str | None:
    """The migration that a SQLite file stands at; None for a file without any. Raises Unavailable without a file.

    By itself, not through `store.sqlite`: whoever only starts servers needs none of what a server loads.
    """
    import apsw

    from naru.store.errors import Unavailable

    try:
        # Not made when missing: a mistyped path must not become an empty till.
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.set_busy_timeout(5_000)
            if not connection.table_exists("main", "alembic_version"):
                return None
            return connection.execute("SELECT version_num FROM alembic_version").get
        finally:
            connection.close()
    except apsw.Error as exc:
        raise Unavailable(f"{type(exc).__name__}: {exc}") from exc


def sqlite_path(url: str) -> Path:
    """The file of `sqlite:///relative/path` or `sqlite:////absolute/path`."""
    parts = urlsplit(url)
    if parts.scheme != "sqlite" or parts.netloc or len(parts.path) < 2 or parts.query:
        raise ValueError("a SQLite address is sqlite:///path, without options; a path in memory is not supported")
    return Path(unquote(parts.path[1:]))


def migrate(url: str) -> None:
    """Bring the database behind `url` up to date; a SQLite file is made if there is none. Raises MigrationFailed."""
    child = subprocess.run(
        [sys.executable, "-P", "-m", "naru.store.migrate", "-"],  # an argument would show the password in `ps`
        input=url,
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode != 0:
        raise MigrationFailed((child.stdout + child.stderr).strip())


# ── from here on: the child ──────────────────────────────────────────────────


def _upgrade(connection: Any) -> None:
    from alembic import command
    from alembic.config import Config

    if head() is None:
        return
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("version_locations", str(migrations.VERSIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _migrate_sqlite(path: Path) -> None:
    from sqlalchemy import create_engine, event, text
    from sqlalchemy.pool import NullPool

    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # buyers' names are in it; the log beside it takes over the mode
    engine = create_engine(
        "sqlite+pysqlite://",
        creator=lambda: _connect_sqlite(path),
        poolclass=NullPool,
    )

    # The driver's own idea of transactions leaves DDL outside of them.
    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.exec_driver_sql("BEGIN EXCLUSIVE")

    with engine.begin() as connection:
        _upgrade(connection)
        broken = connection.execute(text("PRAGMA foreign_key_check")).fetchall()
        if broken:
            raise MigrationFailed(f"foreign keys would be broken: {broken[:5]}")
    engine.dispose()


def _connect_sqlite(path: Path) -> Any:
    from sqlalchemy.dialects.sqlite import dialect

    connection = dialect.import_dbapi().connect(path, timeout=WAIT_S, isolation_level=None)
    deadline = time.monotonic() + WAIT_S
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except dialect.import_dbapi().OperationalError:  # another one is at it: this pragma does not wait by itself
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = OFF")  # tables are rebuilt by copying; keys are checked as a whole
    return connection


async def _migrate_postgres(url: str) -> None:
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    from naru.store.postgres import connect

    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: connect(url, timeout=WAIT_S), poolclass=NullPool
    )
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _main(arguments: list[str]) -> int:
    match arguments:
        case ["--check", url]:
            result = asyncio.run(check(url))
            sys.stdout.write(result + "\n")
            return 0 if result == "current" else 1
        case [url]:
            if url == "-":
                url = sys.stdin.read().strip()
            if url.startswith("sqlite:"):
                _migrate_sqlite(sqlite_path(url))
            else:
                asyncio.run(_migrate_postgres(url))
            return 0
        case _:
            sys.stderr.write(__doc__ or "")
            return 2


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
