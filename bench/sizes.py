"""How look-ups grow: the same questions over a thousand payments and over many.

The many are copies of one real payment, multiplied inside the database: every table that names it is copied with new
numbers and spread over time. That keeps the seeding apart from the schema's details and makes a million rows in about a
minute.
"""

import argparse
import asyncio
import contextlib
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench import servers
from bench.measure import Load, Target

if TYPE_CHECKING:
    from bench.__main__ import Report

SMALL = 1_000
APART_MS = 1_000
ROUNDS = 5

# what is asked, the path, and how much slower it may be over a million payments than over a thousand
QUESTIONS = (
    ("find by merchant_uid", "/payments/find/{last}", 4.0),
    ("first page", "/payments/status/paid?limit=20", 1.5),
    ("tenth page", "/payments/status/paid?limit=20&page=10", 1.5),
    ("first page of all states, with its total", "/payments/status/all?limit=20", 4.0),
)


def copied(column: str, kind: str, imp_uid: str, merchant_uid: str, number: str) -> str:
    """The SQL expression that makes one column of copy number `number`."""
    if column.endswith("_at") or column == "at":
        return f'"{column}" - {number} * {APART_MS}'
    if "CHAR" in kind.upper() or "TEXT" in kind.upper():
        own = f"replace(\"{column}\", '{imp_uid}', 'imps_' || ({number} + 500000000000))"
        own = f"replace({own}, '{merchant_uid}', 'copy-' || {number})"
        return f"{own} || '-' || {number}" if column == "pg_tid" else own
    return f'"{column}"'


def seed_sqlite(path: Path, imp_uid: str, merchant_uid: str, count: int) -> None:
    import apsw

    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA synchronous=OFF")
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    with connection:
        for table in tables:
            columns = [(row[1], row[2], row[5]) for row in connection.execute(f'PRAGMA table_info("{table}")')]
            names = {column for column, _, _ in columns}
            named_by = "imp_uid" if "imp_uid" in names else "merchant_uid" if "merchant_uid" in names else None
            if named_by is None:
                continue
            kept = [(column, kind) for column, kind, key in columns if not (key and "INT" in kind and column == "id")]
            values = ", ".join(copied(column, kind, imp_uid, merchant_uid, "n") for column, kind in kept)
            connection.execute(
                f'INSERT INTO "{table}" ({", ".join(f""" "{column}" """ for column, _ in kept)}) '
                f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) "
                f'SELECT {values} FROM "{table}", numbers WHERE "{named_by}" = ?',
                (imp_uid if named_by == "imp_uid" else merchant_uid,),
            )
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


async def seed_postgresql(url: str, imp_uid: str, merchant_uid: str, count: int) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    rows = await connection.fetch(
        "SELECT table_name, column_name, data_type, column_default FROM information_schema.columns "
        "WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position"
    )
    tables: dict[str, list[tuple[str, str, str]]] = {}
    for row in rows:
        tables.setdefault(row[0], []).append((row[1], row[2], row[3] or ""))
    for table, columns in tables.items():
        names = {column for column, _, _ in columns}
        named_by = "imp_uid" if "imp_uid" in names else "merchant_uid" if "merchant_uid" in names else None
        if named_by is None:
            continue
        kept = [(column, kind) for column, kind, default in columns if not default.startswith("nextval")]
        values = ", ".join(copied(column, kind, imp_uid, merchant_uid, "n") for column, kind in kept)
        await connection.execute(
            f'INSERT INTO "{table}" ({", ".join(f""" "{column}" """ for column, _ in kept)}) '
            f'SELECT {values} FROM "{table}", generate_series(1, {count}) AS n WHERE "{named_by}" = $1',
            imp_uid if named_by == "imp_uid" else merchant_uid,
        )
    await connection.execute("ANALYZE")
    await connection.close()


def seed(directory: Path, database_url: str | None, imp_uid: str, merchant_uid: str, count: int) -> None:
    """In a process of its own, so that ours never opens the database."""
    subprocess.run(
        [sys.executable, "-m", "bench.sizes", str(directory), database_url or "", imp_uid, merchant_uid, str(count)],
        cwd=servers.ROOT,
        check=True,
    )


def fill(load: Load, directory: Path, database_url: str | None, more: int) -> None:
    """One real payment, and `more` copies of it."""
    with servers.naru(directory=directory, database_url=database_url) as server:
        target = Target(server, load)
        target.pay(1)
        server.calm_down()
    seed(directory, database_url, target.imp_uids[0], target.merchant_uids[0], more)


def ask(target: Target, path: str, count: int) -> float:
    """The median time of one question, in milliseconds."""
    paths = [path]
    if "{last}" in path:
        paths = [path.replace("{last}", f"copy-{1 + number * max(1, count // 100)}") for number in range(100)]
    sample = target.sample(target.get(paths, 1, seconds=0.5))
    assert not sample.errors, (path, sample.first_error)
    return sample.p50_ms


def compare(report: "Report", load: Load, count: int, database_url: str | None) -> None:
    """A small and a large database, asked in turn. PostgreSQL has one, which is asked before it grows and after."""
    sizes = {"small": SMALL, "large": count}
    places = {name: Path(tempfile.mkdtemp(prefix="bench-naru-")) for name in sizes}
    times: dict[tuple[str, str], list[float]] = {}
    try:
        with contextlib.ExitStack() as running:
            targets: dict[str, Target] = {}
            for name, size in sizes.items():
                print(f"  seeding {size:,} payments", flush=True)
                fill(load, places[name], database_url, size)
                server = servers.naru(directory=places[name], database_url=database_url)
                if database_url:
                    with server:
                        _ask_all({name: Target(server, load)}, sizes, times)
                else:
                    targets[name] = Target(running.enter_context(server), load)
            if targets:
                _ask_all(targets, sizes, times)
    finally:
        for place in places.values():
            shutil.rmtree(place, ignore_errors=True)
    for what, _, reach in QUESTIONS:
        small, large = (statistics.median(times[what, name]) for name in sizes)
        report.add(
            f"{what}, {count:,} payments against {SMALL:,}",
            f"{large / small:.1f} times the time",
            f"≤ {reach}",
            met=large / small <= reach if count >= 1_000_000 else None,
            small_ms=small,
            large_ms=large,
        )


def _ask_all(targets: dict[str, Target], sizes: dict[str, int], times: dict[tuple[str, str], list[float]]) -> None:
    for _ in range(ROUNDS):
        for what, path, _ in QUESTIONS:
            for name, target in targets.items():
                times.setdefault((what, name), []).append(ask(target, path, sizes[name]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("database_url")
    parser.add_argument("imp_uid")
    parser.add_argument("merchant_uid")
    parser.add_argument("count", type=int)
    given = parser.parse_args()
    if given.database_url:
        asyncio.run(seed_postgresql(given.database_url, given.imp_uid, given.merchant_uid, given.count))
        return
    for path in given.directory.glob("*.db"):
        if "sandbox" not in path.name:
            seed_sqlite(path, given.imp_uid, given.merchant_uid, given.count)


if __name__ == "__main__":
    main()
