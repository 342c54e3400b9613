"""Where the time of the two hot paths goes: python -m bench.profile [look-up|onetime]

Looks at the running gateway from outside (py-spy) while the load generator keeps it busy, and prints which packages and
which of our functions it was seen in. Time inside C (SQLite, OpenSSL, msgspec) counts for the function that called it.
"""

import argparse
import re
import subprocess
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bench import servers
from bench.measure import Load, Target
from bench.servers import ROOT

FRAME = re.compile(r"^(?P<function>.+?) \((?P<file>[^)]+?)(?::(?P<line>\d+))?\)$")


def room(file: str) -> str:
    """naru.store, naru.api …; else the package a file belongs to."""
    parts = Path(file).parts
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1].removesuffix(".py")
    for place in range(len(parts) - 2, -1, -1):  # a checkout may itself lie in a directory called naru
        if parts[place] == "naru":
            return ".".join(part.removesuffix(".py") for part in parts[place : place + 2])
    for place, part in enumerate(parts[:-1]):
        if part.startswith("python3."):
            return parts[place + 1].removesuffix(".py")
    return parts[0].removesuffix(".py") if parts else "?"


@dataclass
class Profile:
    """Samples: where time was spent itself, by package and by line, and which of our functions it was spent under."""

    by_room: Counter[str] = field(default_factory=Counter[str])
    by_line: Counter[str] = field(default_factory=Counter[str])
    by_function: Counter[str] = field(default_factory=Counter[str])
    total: int = 0


def read(folded: str) -> Profile:
    """Idle waiting is not in the samples."""
    profile = Profile()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [match for text in stack.split(";") if (match := FRAME.match(text))]
        if not frames:
            continue
        seen = int(count)
        leaf = frames[-1]
        profile.total += seen
        profile.by_room[room(leaf["file"])] += seen
        profile.by_line[f"{room(leaf['file'])}: {Path(leaf['file']).name}:{leaf['line']} {leaf['function']}"] += seen
        ours = {
            f"{room(frame['file'])}: {Path(frame['file']).name}:{frame['function']}"
            for frame in frames
            if room(frame["file"]).startswith("naru")
        }
        for name in ours:
            profile.by_function[name] += seen
    return profile


def record(pid: int, seconds: int) -> str:
    """The folded stacks of a process; begins a second from now, when the load has warmed up."""
    time.sleep(1)
    with tempfile.NamedTemporaryFile(suffix=".folded") as out:
        subprocess.run(
            [
                ROOT / ".venv/bin/py-spy", "record", "--pid", str(pid), "--duration", str(seconds), "--rate", "250",
                "--format", "raw", "--nonblocking", "--output", out.name,
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip
        return Path(out.name).read_text()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("paths", nargs="*", default=["look-up", "onetime"])
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--database-url")
    parser.add_argument("--top", type=int, default=25)
    parser.add_argument("--folded", type=Path, help="keep the stacks in this directory, for flame graphs")
    given = parser.parse_args()
    load = Load()
    try:
        with servers.naru(database_url=given.database_url) as server:
            target = Target(server, load)
            target.pay(200)
            for path in given.paths:
                job = {"look-up": target.look_up, "onetime": target.onetime}[path](
                    given.connections, seconds=given.seconds + 2.0, warm_up=0.5
                )
                with ThreadPoolExecutor(1) as beside:
                    watching = beside.submit(record, server.pid, given.seconds)
                    sample = target.sample(job)
                    stacks = watching.result()
                seen = read(stacks)
                if given.folded:
                    given.folded.mkdir(parents=True, exist_ok=True)
                    (given.folded / f"{path}.folded").write_text(stacks)
                print(f"\n{path}, {given.connections} connections: {sample.cpu_ms:.2f} ms of CPU per request", end="")
                print(f", core {sample.server_busy:.0%} busy, {sample.errors} errors")
                for title, counts in (
                    ("time itself, by package", seen.by_room),
                    ("time itself, by line", seen.by_line),
                    ("our functions, with all they call", seen.by_function),
                ):
                    print(f"\n  {title}")
                    for name, count in counts.most_common(given.top):
                        print(f"  {count / seen.total:6.1%}  {name}")
    finally:
        load.close()


if __name__ == "__main__":
    main()
