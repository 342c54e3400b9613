"""SQLite: commits are shared, and the process holds one SQLite library."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import apsw
import pytest
from tests.conftest import Open
from tests.store import shelf

from naru.store.db import Database, Tx, Unavailable
from naru.store.sqlite import MOST_TOGETHER


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "t.db").touch()
    return tmp_path / "t.db"


async def _writes(db: Database, path: Path, number: int) -> int:
    """How many commits `number` concurrent writes took, the one that keeps the writer busy not counted."""
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    before = db.stats.commits
    first = asyncio.create_task(db.write(shelf.count))  # waits for the lock, in the writer's thread
    await asyncio.sleep(0.05)
    rest = [asyncio.create_task(db.write(shelf.add_one)) for _ in range(number)]
    await asyncio.sleep(0)
    assert not first.done()
    other.execute("ROLLBACK")
    other.close()
    await first
    await asyncio.gather(*rest)
    return db.stats.commits - before - 1


async def test_writes_that_wait_share_one_commit(path: Path, open_db: Open) -> None:
    db = await shelf.make(await open_db(f"sqlite:///{path}", check_schema=False))
    assert await _writes(db, path, 50) == 1
    assert await _writes(db, path, 2 * MOST_TOGETHER + 1) == 3
    assert await db.read(shelf.count) == 50 + 2 * MOST_TOGETHER + 1


async def test_grouping_can_be_turned_off(path: Path, open_db: Open) -> None:
    db = await shelf.make(await open_db(f"sqlite:///{path}", check_schema=False, grouped=False))
    assert await _writes(db, path, 50) == 50
    assert await db.read(shelf.count) == 50


async def test_bodies_that_are_all_refused_commit_nothing(path: Path, open_db: Open) -> None:
    db = await shelf.make(await open_db(f"sqlite:///{path}", check_schema=False))

    def refused() -> Tx[None]:
        yield from shelf.add_line("x")
        raise LookupError

    before = db.stats.commits
    results = await asyncio.gather(*(db.write(refused) for _ in range(20)), return_exceptions=True)
    assert all(isinstance(r, LookupError) for r in results)
    assert db.stats.commits == before
    assert await db.read(shelf.notes) == []


async def test_every_connection_is_set_up_for_money(path: Path, open_db: Open) -> None:
    db = await open_db(f"sqlite:///{path}", check_schema=False)
    assert db._writes.pragma("journal_mode") == "wal"  # pyright: ignore[reportAttributeAccessIssue]
    for connection in (db._writes, db._glances, *db._reads):  # pyright: ignore[reportAttributeAccessIssue]
        assert connection.pragma("synchronous") == 2  # FULL
        assert connection.pragma("foreign_keys") == 1


async def test_a_file_that_is_no_database_is_unavailable(path: Path, open_db: Open) -> None:
    path.write_bytes(b"not a database at all" * 100)  # noqa: ASYNC240
    for check_schema in (True, False):
        with pytest.raises(Unavailable):
            await open_db(f"sqlite:///{path}", check_schema=check_schema)


async def test_a_glance_that_meets_a_lock_waits_in_a_thread(path: Path, open_db: Open) -> None:
    """Exclusive locks are rare in WAL mode (recovery, the last one closing) and must not stop the event loop."""
    db = await shelf.make(await open_db(f"sqlite:///{path}", check_schema=False))
    await db.close()
    other = apsw.Connection(str(path))
    other.pragma("locking_mode", "EXCLUSIVE")
    other.execute("BEGIN IMMEDIATE; UPDATE tills SET n = 9")
    with pytest.raises(Unavailable, match="locked"):
        await open_db(f"sqlite:///{path}", check_schema=False, lock_timeout_ms=10)
    other.execute("COMMIT")
    other.close()
    db = await open_db(f"sqlite:///{path}", check_schema=False)
    assert await db.glance(shelf.count) == 9


def test_serving_loads_no_second_sqlite_library() -> None:
    code = (
        "import asyncio, sys, tempfile, os\n"
        "from naru.store import db, migrate\n"
        "path = os.path.join(tempfile.mkdtemp(), 'x.db'); url = f'sqlite:///{path}'\n"
        "migrate.migrate(url)\n"
        "async def main():\n"
        "    d = await db.open_database(url); await d.close()\n"
        "asyncio.run(main())\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('sqlite3', '_sqlite3', 'aiosqlite', 'alembic')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
