"""make bench: ratios to the floor server, measured side by side in one run.

Absolute numbers belong to a machine and a moment; they are kept in the JSON file and not printed. A ratio of 0.5 means
half as many requests per second as the floor. The second ratio is the same in CPU time per request: it hardly moves
when somebody else uses the machine.
"""

import argparse
import json
import random
import shutil
import statistics
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import servers, sizes
from bench.measure import Load, Sample, Target, median, spread

REACH = {
    ("look-up", "sqlite"): 0.45,
    ("look-up", "postgresql"): 0.25,
    ("onetime", "sqlite"): 0.25,
    ("onetime", "postgresql"): 0.18,
}
DELAY_MS = 300


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5, help="rounds whose median counts (default 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one measurement (default 2)")
    parser.add_argument("--quick", action="store_true", help="three rounds of one second: a first impression")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument(
        "--rows", nargs="+", choices=["speed", "cancel", "inflight", "start", "memory", "soak", "size"],
        default=["speed", "inflight", "start", "memory"],
    )  # fmt: skip
    parser.add_argument("--peer", help="also compare with a V1 server that runs at this address")
    parser.add_argument("--database-url", help="PostgreSQL for Naru (default: SQLite in a directory of its own)")
    parser.add_argument("--size", type=int, default=0, help="compare look-ups over N payments with those over 1,000")
    parser.add_argument("--json", type=Path, help="where to write all numbers (default bench/results/<time>.json)")
    given = parser.parse_args()
    if given.quick:
        given.rounds, given.seconds = 3, 1.0
    if given.size and "size" not in given.rows:
        given.rows.append("size")
    return given


class Report:
    """What was measured, and the table that people read."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.numbers: dict[str, Any] = {"engine": engine, "rows": []}
        self.lines: list[tuple[str, ...]] = []

    def add(
        self, what: str, value: str, reach: str = "", *, met: bool | None = None, note: str = "", **numbers: Any
    ) -> None:
        verdict = "" if met is None else ("yes" if met else "NO")
        self.lines.append((what, value, reach, verdict, note))
        self.numbers["rows"].append({"what": what, "value": value, "reach": reach, "met": met, "note": note} | numbers)

    def print(self) -> None:
        rows = [("what", "measured", "reach", "met", ""), *self.lines]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        print(f"\nNaru on {self.engine}, compared in one run\n")
        for number, row in enumerate(rows):
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
            print("  ".join([*cells, row[4]]).rstrip())
            if number == 0:
                print("  ".join("-" * width for width in widths))


def speed(report: Report, targets: list[Target], given: argparse.Namespace) -> None:
    """Requests per second of every server against the floor's, in shuffled order."""
    rows = ["look-up", "onetime"] + (["cancel"] if "cancel" in given.rows else [])
    samples: dict[tuple[str, int, str], list[Sample]] = {}
    for target in targets:
        target.pay(200)
    for round_number in range(given.rounds):
        plan = [(row, connections, target) for row in rows for connections in given.connections for target in targets]
        random.shuffle(plan)
        for row, connections, target in plan:
            job = {"look-up": target.look_up, "onetime": target.onetime, "cancel": target.cancel}[row]
            sample = target.sample(job(connections, seconds=given.seconds))
            samples.setdefault((row, connections, target.name), []).append(sample)
        print(f"  round {round_number + 1} of {given.rounds}", flush=True)
    for row in rows:
        for connections in given.connections:
            base = samples[row, connections, "floor"]
            for target in targets[1:]:
                own = samples[row, connections, target.name]
                ratios = [mine.per_second / theirs.per_second for mine, theirs in zip(own, base, strict=True)]
                ratio = statistics.median(ratios)
                in_cpu = median(base, "cpu_ms") / median(own, "cpu_ms") if target.server.pid else 0.0
                reach = REACH.get((row, report.engine)) if target.name == "naru" and connections == 64 else None
                errors = sum(sample.errors for sample in own)
                notes = [f"in CPU time {in_cpu:.2f}", f"± {spread(ratios):.0%}"]
                if median(own, "server_busy") < 0.9 and connections >= 8:
                    notes.append(f"its core was {median(own, 'server_busy'):.0%} busy")
                if median(own, "other_busy") > 0.95:
                    notes.append("the other core was full")
                if errors:
                    notes.append(f"{errors} ERRORS, first: {next(s.first_error for s in own if s.first_error)[-200:]}")
                report.add(
                    f"{row}, {connections} connection{'s' if connections > 1 else ''}"
                    + ("" if target.name == "naru" else f" ({target.name})"),
                    f"{ratio:.2f} of the floor",
                    f"≥ {reach}" if reach else "",
                    met=None if reach is None else ratio >= reach and not errors,
                    note=", ".join(notes),
                    ratio=ratio,
                    cpu_ratio=in_cpu,
                    samples=[asdict(sample) for sample in own],
                    floor_samples=[asdict(sample) for sample in base],
                )


def without_notis(report: Report, floor: Target, naru: Target, given: argparse.Namespace) -> None:
    """The payment as far as its answer: the PG sends no noti, which costs a request with a transaction of its own."""
    assert naru.server.sandbox_port
    port = naru.server.sandbox_port
    status, body = servers.call(port, "POST", "/_sandbox/faults", {"name": "noti_lost", "times": 10**9})
    assert status < 300, body
    pairs: list[tuple[Sample, Sample]] = []
    try:
        for _ in range(given.rounds):
            base, own = (t.sample(t.onetime(64, seconds=given.seconds)) for t in (floor, naru))
            pairs.append((base, own))
    finally:
        servers.call(port, "DELETE", "/_sandbox/faults")
    ratios = [own.per_second / base.per_second for base, own in pairs]
    in_cpu = median((b for b, _ in pairs), "cpu_ms") / median((o for _, o in pairs), "cpu_ms")
    report.add(
        "onetime, 64 connections, without its noti",
        f"{statistics.median(ratios):.2f} of the floor",
        note=f"in CPU time {in_cpu:.2f}, ± {spread(ratios):.0%}",
        ratio=statistics.median(ratios),
        cpu_ratio=in_cpu,
        samples=[asdict(own) for _, own in pairs],
        errors=sum(own.errors for _, own in pairs),
    )


def in_flight(report: Report, naru: Target) -> None:
    """Payments in flight on a PG that takes 300 ms: latency with 100, throughput with 1,000."""
    assert naru.server.sandbox_port
    port = naru.server.sandbox_port
    status, body = servers.call(port, "POST", "/_sandbox/faults", {"name": "delay", "ms": DELAY_MS, "times": 10**9})
    assert status < 300, body
    try:
        hundred = naru.sample(naru.onetime(100, seconds=4.0, warm_up=1.0))
        thousand = naru.sample(naru.onetime(1000, seconds=5.0, warm_up=2.0))
    finally:
        servers.call(port, "DELETE", "/_sandbox/faults")
    report.add(
        f"100 payments in flight, PG takes {DELAY_MS} ms: p99",
        f"{hundred.p99_ms:.0f} ms",
        "≤ 450 ms",
        met=hundred.p99_ms <= 450 and not hundred.errors,
        note=f"p50 {hundred.p50_ms:.0f} ms"
        + (f", {hundred.errors} ERRORS: {hundred.first_error[-200:]}" if hundred.errors else ""),
        sample=asdict(hundred),
    )
    ceiling = 1000 / (DELAY_MS / 1000)
    report.add(
        f"1,000 payments in flight, PG takes {DELAY_MS} ms",
        f"{thousand.per_second / ceiling:.0%} of the ceiling",
        "≥ 50%",
        met=thousand.per_second >= 0.5 * ceiling and not thousand.errors,
        note=f"p99 {thousand.p99_ms:.0f} ms"
        + (f", {thousand.errors} ERRORS: {thousand.first_error[-200:]}" if thousand.errors else ""),
        sample=asdict(thousand),
    )


def start(report: Report, given: argparse.Namespace) -> None:
    """From the command to the first token, on an empty directory and on one that exists."""
    first: list[float] = []
    again: list[float] = []
    for _ in range(max(3, given.rounds // 2)):
        directory = Path(tempfile.mkdtemp(prefix="bench-naru-"))
        try:
            for times in (first, again):
                with servers.naru(directory=directory, database_url=given.database_url) as server:
                    times.append(server.start_seconds)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
    report.add(
        "start to first token, data exists",
        f"{statistics.median(again):.2f} s",
        "< 1.5 s",
        met=statistics.median(again) < 1.5,
        note=f"the very first start {statistics.median(first):.2f} s",
        first=first,
        again=again,
    )


def memory(report: Report, naru: Target, before: float) -> None:
    after = naru.server.memory()
    report.add(
        "memory of gateway and sandbox together",
        f"{after:.0f} MiB",
        "< 200 MiB",
        met=after < 200,
        note=f"{before:.0f} MiB when they had just started",
        before=before,
        after=after,
    )


def soak(report: Report, naru: Target, requests: int = 1_000_000, pieces: int = 20) -> None:
    """Memory over a million requests, one in twenty of them a payment with its noti and its webhook."""
    naru.pay(200)
    seen = [naru.server.memory()]
    errors = 0
    for piece in range(pieces):
        each = requests // pieces
        for job in (
            naru.look_up(64, requests=each * 19 // 20, seconds=900.0),
            naru.onetime(64, requests=each // 20, seconds=900.0),
        ):
            errors += naru.sample(job).errors
        seen.append(naru.server.memory())
        print(f"  {(piece + 1) * each:,} requests: {seen[-1]:.0f} MiB", flush=True)
    half = seen[len(seen) // 2]
    report.add(
        f"memory after {requests:,} requests",
        f"{seen[-1]:.0f} MiB",
        "< 200 MiB, flat",
        met=max(seen) < 200 and seen[-1] < half * 1.1 and not errors,
        note=f"{seen[0]:.0f} before, {half:.0f} half-way, {max(seen):.0f} at most, {errors} errors",
        memory=seen,
    )


def main() -> None:
    given = arguments()
    engine = "postgresql" if (given.database_url or "").startswith("postgres") else "sqlite"
    report = Report(engine)
    if not servers.can_pin():
        print("warning: this system cannot pin processes to cores; ratios will be rougher")
    load = Load()
    try:
        if {"speed", "cancel", "inflight", "memory", "soak"} & set(given.rows):
            with servers.floor() as floor, servers.naru(database_url=given.database_url) as server:
                before = server.memory()
                naru = Target(server, load)
                targets = [Target(floor, load), naru]
                if given.peer:
                    targets.append(Target(servers.peer(given.peer), load))
                if {"speed", "cancel"} & set(given.rows):
                    speed(report, targets, given)
                if "speed" in given.rows and 64 in given.connections:
                    without_notis(report, targets[0], naru, given)
                if "inflight" in given.rows:
                    in_flight(report, naru)
                if "memory" in given.rows:
                    memory(report, naru, before)
                if "soak" in given.rows:
                    soak(report, naru)
        if "start" in given.rows:
            start(report, given)
        if "size" in given.rows:
            sizes.compare(report, load, given.size or 100_000, given.database_url)
    finally:
        load.close()
    report.print()
    where = given.json or Path(__file__).parent / "results" / f"{int(time.time())}-{engine}.json"
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_text(json.dumps(report.numbers, ensure_ascii=False, indent=1))
    print(f"\nall numbers: {where}")


if __name__ == "__main__":
    main()
