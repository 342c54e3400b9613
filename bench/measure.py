"""Measuring one server under one load, and what the numbers of several rounds come to."""

import json
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from bench import servers
from bench.load import Job, Result
from bench.servers import ROOT, Server

CARD = {"card_number": "4111-1111-1111-1111", "expiry": "2030-12"}


class Load:
    """The load generator's process, pinned away from the server."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.load"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        servers.pin(self.process.pid, servers.OTHER_CORE)

    def run(self, job: Job) -> Result:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(asdict(job)) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the load generator died")
        return Result(**json.loads(line))

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(10)


@dataclass
class Sample:
    """One server, one load, once."""

    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int
    requests: int
    cpu_ms: float  # the server's own CPU time per request
    server_busy: float  # share of its core
    other_busy: float  # load and sandbox, share of the other core
    first_error: str = ""


class Target:
    """A server, with the payments it has been given to look up and cancel."""

    def __init__(self, server: Server, load: Load) -> None:
        self.server = server
        self.load = load
        self.token = server.token()
        self.imp_uids: list[str] = []
        self.merchant_uids: list[str] = []

    @property
    def name(self) -> str:
        return self.server.name

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}

    def pay(self, count: int) -> None:
        """Payments to look up later, made one by one."""
        for _ in range(count):
            status, body = servers.call(
                self.server.port, "POST", "/subscribe/payments/onetime", self.order(uuid.uuid4().hex), self.headers
            )
            assert status == 200, body
            assert body["code"] == 0, body
            self.imp_uids.append(body["response"]["imp_uid"])
            self.merchant_uids.append(body["response"]["merchant_uid"])

    def order(self, merchant_uid: str) -> dict[str, Any]:
        return {"merchant_uid": merchant_uid, "amount": 1004, "name": "bench", "buyer_name": "홍길동"} | CARD

    def _job(self, method: str, paths: list[str], connections: int, bodies: list[str], **more: Any) -> Job:
        return Job(
            host=self.server.host, port=self.server.port, method=method, paths=paths, headers=self.headers,
            bodies=bodies, connections=connections, **more,
        )  # fmt: skip

    def look_up(self, connections: int, **more: Any) -> Job:
        return self._job("GET", [f"/payments/{imp_uid}" for imp_uid in self.imp_uids], connections, [], **more)

    def get(self, paths: list[str], connections: int, **more: Any) -> Job:
        return self._job("GET", paths, connections, [], **more)

    def onetime(self, connections: int, **more: Any) -> Job:
        body = json.dumps(self.order(f"b-{uuid.uuid4().hex[:12]}-{{n}}"), ensure_ascii=False)
        return self._job("POST", ["/subscribe/payments/onetime"], connections, [body], **more)

    def cancel(self, connections: int, *, seconds: float) -> Job:
        """Full cancels of payments that are made, unmeasured, for this purpose."""
        count = min(6000, 100 + int(seconds * 60 * connections))
        prefix = f"c-{uuid.uuid4().hex[:12]}"
        body = json.dumps(self.order(f"{prefix}-{{n}}"), ensure_ascii=False)
        made = self.load.run(
            self._job("POST", ["/subscribe/payments/onetime"], 32, [body], requests=count, seconds=120)
        )
        assert not made.errors, made.first_error
        body = json.dumps({"merchant_uid": f"{prefix}-{{n}}"})
        return self._job("POST", ["/payments/cancel"], connections, [body], requests=count, seconds=120)

    def sample(self, job: Job) -> Sample:
        self.server.calm_down()
        cpu, sandbox_cpu, began = self.server.cpu(), self.server.sandbox_cpu(), time.perf_counter()
        result = self.load.run(job)
        took = time.perf_counter() - began
        used, sandbox_used = self.server.cpu() - cpu, self.server.sandbox_cpu() - sandbox_cpu
        # the warm-up's requests used CPU too
        all_requests = result.requests * (1 if job.requests else (job.warm_up + job.seconds) / job.seconds)
        return Sample(
            per_second=result.per_second,
            p50_ms=result.p50_ms,
            p99_ms=result.p99_ms,
            errors=result.errors,
            requests=result.requests,
            cpu_ms=1000 * used / max(1, all_requests),
            server_busy=used / took,
            other_busy=result.load_cpu + sandbox_used / took,
            first_error=result.first_error,
        )


def median(samples: Iterable[Sample], field: str) -> float:
    return statistics.median(getattr(sample, field) for sample in samples)


def spread(values: list[float]) -> float:
    """Half of the distance between the quartiles, as a share of the median: how much to trust it."""
    if len(values) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(values, n=4)
    return (high - low) / 2 / middle if middle else 0.0
