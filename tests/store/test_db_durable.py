"""What was acknowledged is there after the worst; what failed has left nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from bench.slow_fsync import SlowFsync
from tests.cluster import Cluster
from tests.conftest import Open
from tests.store import shelf

ROOT = Path(__file__).parents[2]


def _child(*arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**(env or os.environ), "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
        stdout=subprocess.PIPE,
    )


@pytest.mark.parametrize("acknowledged", [1, 40, 400])
async def test_kill_9_loses_no_acknowledged_write(
    empty_url: str, open_db: Open, tmp_path: Path, request: pytest.FixtureRequest, acknowledged: int
) -> None:
    first = await shelf.make(await open_db(empty_url, check_schema=False))
    await first.close()
    heard = _kill_after(acknowledged, _child("-m", "tests.store.shelf", empty_url, "{}"))
    if empty_url.startswith("sqlite"):
        # The copy is what the disk holds: nothing that is still open has touched it.
        empty_url = _copy(tmp_path)
    else:
        cluster: Cluster = request.getfixturevalue("cluster")
        cluster.restart("immediate")  # no shutdown checkpoint: the server recovers from its log
    db = await open_db(empty_url, check_schema=False)
    kept = await db.read(shelf.notes)
    assert len(kept) == len(set(kept))
    assert set(heard) - set(kept) == set()
    # And nothing out of order: what a task wrote is an unbroken beginning of what it would have written.
    for task in range(8):
        own = [int(note.partition("-")[2]) for note in kept if note.startswith(f"{task}-")]
        assert own == list(range(len(own)))


def _kill_after(acknowledged: int, child: subprocess.Popen[bytes]) -> list[str]:
    """What the child had acknowledged when it was killed."""
    assert child.stdout is not None
    with child.stdout as said:
        heard = [said.readline().decode().strip() for _ in range(acknowledged)]
        child.send_signal(signal.SIGKILL)
        heard += said.read().decode().split("\n")[:-1]  # a line without its end was not said
    assert child.wait() == -signal.SIGKILL
    return heard


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="needs LD_PRELOAD and a C compiler")
@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize(("synchronous", "kept"), [("FULL", True), ("NORMAL", False)])
async def test_a_power_cut_loses_no_acknowledged_write(
    empty_url: str, open_db: Open, tmp_path: Path, synchronous: str, kept: bool
) -> None:
    """All that was not flushed is gone. (`NORMAL`, which flushes later, shows that the test would notice.)"""
    first = await shelf.make(await open_db(empty_url, check_schema=False))
    await first.close()
    disk = tmp_path / "disk"
    disk.mkdir()
    shutil.copy(empty_url.removeprefix("sqlite:///"), disk)
    with SlowFsync(0, keep=disk) as slow:
        options = json.dumps({"synchronous": synchronous})
        heard = _kill_after(100, _child("-m", "tests.store.shelf", empty_url, options, env=slow.env))
        assert slow.count() > 0 or not kept
    db = await open_db(f"sqlite:///{disk / 'empty.db'}", check_schema=False)
    lost = set(heard) - set(await db.read(shelf.notes))
    assert not lost if kept else lost


def _copy(folder: Path) -> str:
    copy = folder / "copy"
    copy.mkdir()
    for file in folder.glob("empty.db*"):
        shutil.copy(file, copy)
    return f"sqlite:///{copy / 'empty.db'}"


FULL_DISK = textwrap.dedent("""
    import asyncio, json, os, resource, sys
    from naru.store.db import Unavailable, open_database
    from naru.store.statement import Tx
    from tests.store import shelf

    async def main(path, many):
        db = await open_database(f"sqlite:///{path}", check_schema=False)
        await db.write(shelf.add_line, "before")
        size = os.path.getsize(path + "-wal")
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 6_000, resource.RLIM_INFINITY))

        def big(i):
            yield from shelf.add_line(f"{i}" + "x" * 3_000)
            yield from shelf.add_one()

        results = await asyncio.gather(*(db.write(big, i) for i in range(many)), return_exceptions=True)
        in_between = await db.read(shelf.notes), await db.glance(shelf.count)
        commits = db.stats.commits
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await db.write(shelf.add_line, "after")
        await db.write(shelf.add_one)
        seen = await db.read(shelf.notes), await db.glance(shelf.count)
        await db.close()
        print(json.dumps([[type(r).__name__ for r in results],
                          [getattr(r, "maybe_committed", None) for r in results], in_between, seen]))

    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
""")


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize("many", [1, 12])
async def test_a_disk_that_fills_up_fails_everyone_and_keeps_nothing_half_done(
    empty_url: str, open_db: Open, many: int
) -> None:
    first = await shelf.make(await open_db(empty_url, check_schema=False))
    await first.close()
    child = _child("-c", FULL_DISK, empty_url.removeprefix("sqlite:///"), str(many))
    out, _ = await asyncio.to_thread(child.communicate)
    assert child.returncode == 0
    results, maybe, in_between, seen = json.loads(out)
    assert results == ["Unavailable"] * many
    assert maybe == [False] * many
    assert in_between == [["before"], 0]
    assert seen == [["before", "after"], 1]
