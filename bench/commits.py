"""How many durable transactions a second, with shared commits and without, on a disk with a slow fsync.

    python -m bench.commits [--fsync-ms 2] [--connections 1 8 64] [--rounds 5] [--seconds 1]

A transaction is like the two of a payment: look up and lock one row, insert one, update one. Each engine's
variants run in shuffled order, every measurement in a process and on a database of its own. For PostgreSQL the
variant is our pool's size, since the server itself shares flushes among sessions that commit together.
`--fsync-ms real` takes the disk as it is. The processes are not pinned: the server of PostgreSQL is one too.
"""

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text, bindparam, select, update
from sqlalchemy.schema import CreateTable
from tests.cluster import Cluster

from bench.slow_fsync import SlowFsync
from naru.store.db import Database, Tx, open_database
from naru.store.statement import Statement, insert

metadata = MetaData()
orders = Table("orders", metadata, Column("id", Integer, primary_key=True), Column("n", BigInteger, nullable=False))
attempts = Table(
    "attempts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("order_id", Integer, nullable=False),
    Column("told", Text, nullable=False),
)
LOCK = Statement(select(orders.c.n).where(orders.c.id == bindparam("id")).with_for_update())
LOOK = Statement(select(orders.c.n).where(orders.c.id == bindparam("id")))
ADD = Statement(insert(attempts))
SET = Statement(update(orders).where(orders.c.id == bindparam("of")).values(n=bindparam("to")))
ROWS = 1_000
TOLD = "x" * 400


def payment(order: int, name: str) -> Tx[int]:
    rows = yield LOCK(id=order)
    yield ADD(id=name, order_id=order, told=TOLD)
    yield SET(of=order, to=rows[0].n + 1)
    return rows[0].n + 1


def look(order: int) -> Tx[int]:
    return (yield LOOK(id=order))[0].n


def schema() -> Tx[None]:
    for table in metadata.sorted_tables:
        yield Statement(CreateTable(table))()
    yield Statement(insert(orders).values(id=bindparam("id"), n=bindparam("n"))).many(
        [{"id": i, "n": 0} for i in range(ROWS)]
    )


async def _measure(url: str, options: dict[str, Any], connections: int, seconds: float) -> dict[str, float]:
    db = await open_database(url, check_schema=False, **options)
    await db.write(schema)
    done = 0
    latencies: list[float] = []

    async def client(number: int, until: float) -> None:
        nonlocal done
        dice = random.Random(number)
        i = 0
        while (began := time.perf_counter()) < until:
            i += 1
            await db.write(payment, dice.randrange(ROWS), f"{until}-{number}-{i}")
            latencies.append(time.perf_counter() - began)
            done += 1

    async def run(length: float) -> float:
        nonlocal done
        done = 0
        latencies.clear()
        began = time.perf_counter()
        await asyncio.gather(*(client(n, began + length) for n in range(connections)))
        return done / (time.perf_counter() - began)

    await run(seconds / 4)
    commits, writes = db.stats.commits, db.stats.writes
    rate = await run(seconds)
    latencies.sort()
    result = {
        "writes_s": rate,
        "per_commit": (db.stats.writes - writes) / max(1, db.stats.commits - commits),
        "p50_ms": latencies[len(latencies) // 2] * 1e3,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1e3,
        "glance_us": await _glances(db),
    }
    await db.close()
    return result


async def _glances(db: Database) -> float:
    times: list[float] = []
    for i in range(2_000):
        began = time.perf_counter()
        await db.glance(look, i % ROWS)
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6


VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "sqlite": {"grouped": {"grouped": True}, "one by one": {"grouped": False}},
    "postgresql": {"pool of 10": {"max_connections": 10}, "pool of 32": {"max_connections": 32}},
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.commits", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--fsync-ms", default="2", help="how long an fsync takes, or 'real' (default 2)")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--engines", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--json", action="store_true", help="print the numbers themselves")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        url, options, connections = json.loads(given.child)
        print(json.dumps(asyncio.run(_measure(url, options, connections, given.seconds))))
        return
    numbers: dict[tuple[str, str, int], list[dict[str, float]]] = {}
    with ExitStack() as stack:
        env = None if given.fsync_ms == "real" else stack.enter_context(SlowFsync(float(given.fsync_ms))).env
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="naru-bench-")))
        cluster = Cluster(durable=True, env=env) if "postgresql" in given.engines else None
        if cluster is not None:
            stack.callback(cluster.remove)
        cases = [(e, v, c) for e in given.engines for v in VARIANTS[e] for c in given.connections]
        for turn in range(given.rounds):
            random.shuffle(cases)
            for number, (engine, variant, connections) in enumerate(cases):
                name = f"bench_{turn}_{number}"
                if cluster is None or engine == "sqlite":
                    (folder / name).touch()
                    url = f"sqlite:///{folder / name}"
                else:
                    cluster.sql(f"CREATE DATABASE {name}")
                    url = cluster.url(name)
                told = json.dumps([url, VARIANTS[engine][variant], connections])
                child = subprocess.run(
                    [sys.executable, "-m", "bench.commits", "--child", told, "--seconds", str(given.seconds)],
                    env=env, check=True, capture_output=True, text=True,
                )  # fmt: skip
                numbers.setdefault((engine, variant, connections), []).append(json.loads(child.stdout))
    _print(numbers, given.fsync_ms, as_json=given.json)


def _print(numbers: dict[tuple[str, str, int], list[dict[str, float]]], fsync_ms: str, *, as_json: bool) -> None:
    middle = {
        case: {key: statistics.median(sample[key] for sample in samples) for key in samples[0]}
        for case, samples in numbers.items()
    }
    if as_json:
        print(json.dumps([{"case": case, **values} for case, values in middle.items()], indent=1))
        return
    print(f"fsync {fsync_ms} ms; ratio: to the last variant of the same engine\n")
    print(f"{'engine':12}{'variant':14}{'at once':>8}{'ratio':>8}{'per commit':>12}{'p50 ms':>9}{'p99 ms':>9}{'writes/s':>10}{'glance µs':>11}")  # fmt: skip  # noqa: E501
    for engine, variant, connections in sorted(middle, key=lambda case: (case[0], case[2], case[1])):
        values = middle[engine, variant, connections]
        base = middle[engine, list(VARIANTS[engine])[-1], connections]
        print(
            f"{engine:12}{variant:14}{connections:8}{values['writes_s'] / base['writes_s']:8.2f}"
            f"{values['per_commit']:12.1f}{values['p50_ms']:9.2f}{values['p99_ms']:9.2f}"
            f"{values['writes_s']:10.0f}{values['glance_us']:11.1f}"
        )


if __name__ == "__main__":
    main()
