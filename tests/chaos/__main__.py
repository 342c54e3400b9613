"""`make chaos`: campaigns on SQLite, and on a PostgreSQL server of their own that is killed with the rest.

python -m tests.chaos --seed 7 --payments 500 --database postgresql
python -m tests.chaos --seed 1 --campaigns 20
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from naru.chaos import campaign
from tests.cluster import Cluster
from tests.live import free_port


def one(seed: int, payments: int, database: str, directory: Path) -> int:
    """One campaign; 0 when the books agree."""
    where = campaign.Where(
        directory, port=free_port(), sandbox_port=free_port(), shop_port=free_port(), second_port=free_port()
    )
    if database == "sqlite":
        return campaign.run(where, seed=seed, payments=payments)
    cluster = Cluster(durable=True)
    try:
        cluster.sql("CREATE DATABASE chaos")
        where = replace(where, database_url=cluster.url("chaos"), restart_database=cluster.kill_9)
        failed = campaign.run(where, seed=seed, payments=payments)
        if failed:
            (directory / "naru.sql").write_bytes(cluster.dump("chaos"))
        return failed
    finally:
        cluster.remove()


def main() -> int:
    """Run campaigns one after the other; the worst result."""
    asked = argparse.ArgumentParser(prog="make chaos", description=__doc__.partition("\n")[0] if __doc__ else None)
    asked.add_argument("--seed", type=int, default=None, help="of the first campaign; by default the time")
    asked.add_argument("--payments", type=int, default=120, help="per campaign")
    asked.add_argument("--campaigns", type=int, default=1, help="how many, with the seeds that follow")
    asked.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    asked.add_argument("--keep", type=Path, default=None, help="where a failed campaign leaves its files")
    given = asked.parse_args()
    first = given.seed if given.seed is not None else time.monotonic_ns() % 1_000_000
    databases = ("sqlite", "postgresql") if given.database == "both" else (given.database,)
    home = given.keep or Path(tempfile.mkdtemp(prefix="naru-chaos-"))
    failed: list[str] = []
    for seed in range(first, first + given.campaigns):
        for database in databases:
            print(f"── {database}, seed {seed}", flush=True)
            if one(seed, given.payments, database, home / f"{database}-{seed}"):
                failed.append(f"--database {database} --seed {seed} --payments {given.payments}")
    for arguments in failed:
        print(f'replay: make chaos ARGS="{arguments}"')
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
