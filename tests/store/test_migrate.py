"""Migrations run in a process of their own, once, and a database of another age is refused."""

from __future__ import annotations

import asyncio
import os
import re
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.conftest import Open

from naru.store import migrate, migrations
from naru.store.db import Tx, open_database
from naru.store.statement import Statement

CHILD = textwrap.dedent("""
    import pathlib, sys, types
    import sqlalchemy
    from naru.store import migrate, migrations
    migrations.VERSIONS = pathlib.Path(sys.argv[2])
    tables = sys.modules["naru.store.tables"] = types.ModuleType("naru.store.tables")
    tables.metadata = sqlalchemy.MetaData()
    sys.exit(migrate._main([sys.argv[1]]))
""")


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A history of two migrations with a gap in the numbers; each leaves a row that says it ran."""
    folder = tmp_path / "versions"
    folder.mkdir()
    for number, work in (
        ("0001", "op.create_table('ran', sa.Column('what', sa.Text))"),
        ("0010", "op.add_column('ran', sa.Column('more', sa.Text))"),
    ):
        (folder / f"{number}_pre_x.py").write_text(
            "import sqlalchemy as sa\nfrom alembic import op\nfrom naru.store.migrations import chain\n"
            "revision, down_revision = chain(__file__)\n"
            f"def upgrade():\n    {work}\n    op.execute(\"INSERT INTO ran (what) VALUES ('{number}')\")\n"
        )
    monkeypatch.setattr(migrations, "VERSIONS", folder)
    return folder


def _start(url: str, versions: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, url, str(versions)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _finish(child: subprocess.Popen[str]) -> None:
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, out + err


def ran() -> Tx[list[str]]:
    from sqlalchemy import text

    return [row[0] for row in (yield Statement(text("SELECT what FROM ran ORDER BY what"))())]


async def test_two_at_once_migrate_once(empty_url: str, versions: Path, open_db: Open) -> None:
    children = [_start(empty_url, versions) for _ in range(3)]
    for child in children:
        await asyncio.to_thread(_finish, child)
    db = await open_db(empty_url)
    assert await db.read(ran) == ["0001", "0010"]


async def test_a_database_of_another_age_is_refused(empty_url: str, versions: Path, open_db: Open) -> None:
    assert await migrate.check(empty_url) == "behind"
    with pytest.raises(migrate.WrongSchema, match="at nothing, this code needs 0010: run naru migrate"):
        await open_database(empty_url)
    _finish(_start(empty_url, versions))
    assert await migrate.check(empty_url) == "current"
    newest = versions / "0010_pre_x.py"
    kept = newest.read_text()
    newest.unlink()
    assert await migrate.check(empty_url) == "ahead"
    with pytest.raises(migrate.WrongSchema, match="newer than this code"):
        await open_database(empty_url)
    newest.write_text(kept)
    (versions / "0011_post_y.py").write_text(kept.replace("'more'", "'other'").replace("0010", "0011"))
    assert await migrate.check(empty_url) == "behind"
    with pytest.raises(migrate.WrongSchema, match="is at 0010, this code needs 0011"):
        await open_database(empty_url)
    _finish(_start(empty_url, versions))
    db = await open_db(empty_url)
    assert await db.read(ran) == ["0001", "0010", "0011"]


async def test_a_migration_that_fails_leaves_the_database_as_it_was(
    empty_url: str, versions: Path, open_db: Open
) -> None:
    bad = versions / "0011_pre_bad.py"
    bad.write_text(
        (versions / "0010_pre_x.py").read_text().replace("'more'", "'other'")
        + "    raise SystemError('no such luck')\n"
    )
    child = _start(empty_url, versions)
    _, err = await asyncio.to_thread(child.communicate)
    assert child.returncode == 1
    assert "no such luck" in err
    assert await migrate.check(empty_url) == "behind"
    bad.unlink()
    _finish(_start(empty_url, versions))
    assert await (await open_db(empty_url)).read(ran) == ["0001", "0010"]


def test_migrate_makes_the_file_private_and_uses_the_log(tmp_path: Path) -> None:
    path = tmp_path / "made" / "naru.db"
    migrate.migrate(f"sqlite:///{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    migrate.migrate(f"sqlite:///{path}")  # a second time there is nothing to do
    assert path.read_bytes()[18:20] in (b"\x02\x02",)  # file format: write-ahead log


def test_migrate_tells_what_went_wrong(tmp_path: Path) -> None:
    (tmp_path / "naru.db").write_bytes(b"something else entirely" * 50)
    with pytest.raises(migrate.MigrationFailed, match="not a database"):
        migrate.migrate(f"sqlite:///{tmp_path / 'naru.db'}")


def test_the_password_is_not_in_the_childs_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "python"
    fake.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncat > {tmp_path}/input\n')
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    migrate.migrate("postgresql://naru:hunter2@db/naru")
    assert "hunter2" not in (tmp_path / "arguments").read_text()
    assert (tmp_path / "input").read_text() == "postgresql://naru:hunter2@db/naru"


def test_sqlite_addresses() -> None:
    assert migrate.sqlite_path("sqlite:///a/b%20c.db") == Path("a/b c.db")
    assert migrate.sqlite_path("sqlite:////var/naru.db") == Path("/var/naru.db")
    for wrong in ("sqlite://", "sqlite:///", "sqlite://host/x", "sqlite:///x?mode=memory", "postgresql://x/y"):
        with pytest.raises(ValueError, match="sqlite"):
            migrate.sqlite_path(wrong)


def test_migrations_are_one_line_in_order_of_their_numbers() -> None:
    files = sorted(p.name for p in migrations.VERSIONS.glob("*.py"))
    assert all(re.fullmatch(r"\d{4}_(pre|post)_[a-z0-9_]+\.py", name) for name in files)
    numbers = [name[:4] for name in files]
    assert len(numbers) == len(set(numbers))
    assert (
        [migrations.chain(str(migrations.VERSIONS / name)) for name in files]
        == list(zip(numbers, [None, *numbers[:-1]], strict=True))
        if files
        else True
    )
    assert os.fspath(migrations.VERSIONS).endswith("versions")
