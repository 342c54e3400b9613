"""The load generator: a process of its own that keeps N connections busy and measures every answer.

Each connection sends its next request when the last one is answered (a closed loop with keep-alive). Requests are
prepared bytes and answers are only looked at as far as needed to find their end and their `code`, so that a part of one
core keeps a whole core of a server busy.

It speaks JSON lines: a job on stdin, its result on stdout.
"""

import asyncio
import contextlib
import json
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import uvloop


@dataclass(frozen=True)
class Job:
    """What to send to whom. `paths` are walked round and round; `{n}` in a body becomes a number that never repeats."""

    host: str
    port: int
    method: str
    paths: list[str]
    headers: dict[str, str]
    bodies: list[str] = field(default_factory=list[str])
    connections: int = 1
    seconds: float = 1.0
    requests: int = 0  # stop after so many; 0: by time only
    warm_up: float = 0.2
    first_number: int = 0
    accept_any_code: bool = False


@dataclass
class Result:
    """Times in milliseconds."""

    requests: int
    errors: int
    seconds: float
    per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    load_cpu: float  # share of one core that this process used
    first_error: str = ""


def prepared(job: Job) -> Iterator[bytes]:
    """Endless requests, as bytes."""
    head = "".join(f"{name}: {value}\r\n" for name, value in job.headers.items())
    number = job.first_number
    if not job.bodies:
        ready = [f"{job.method} {path} HTTP/1.1\r\nHost: {job.host}\r\n{head}\r\n".encode() for path in job.paths]
        while True:
            yield from ready
    while True:
        for path in job.paths:
            for body in job.bodies:
                content = body.replace("{n}", str(number)).encode()
                number += 1
                yield (
                    f"{job.method} {path} HTTP/1.1\r\nHost: {job.host}\r\n{head}Content-Length: {len(content)}\r\n\r\n"
                ).encode() + content


class Run:
    """Shared by all connections of one job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.requests = prepared(job)
        self.took_ns: list[int] = []
        self.errors = 0
        self.first_error = ""
        self.sent = 0
        self.counting_from_ns = 0
        self.stop_at_ns = 0
        self.open = job.connections
        self.finished = asyncio.get_running_loop().create_future()

    def next_request(self, now_ns: int) -> bytes | None:
        if now_ns >= self.stop_at_ns or (self.job.requests and self.sent >= self.job.requests):
            return None
        self.sent += 1
        return next(self.requests)

    def note(self, *, good: bool, began_ns: int, now_ns: int, answer: bytes) -> None:
        if not good:
            self.errors += 1
            self.first_error = self.first_error or answer[:600].decode("utf-8", "replace")
        if began_ns >= self.counting_from_ns:
            self.took_ns.append(now_ns - began_ns)

    def closed(self) -> None:
        self.open -= 1
        if self.open == 0 and not self.finished.done():
            self.finished.set_result(None)


class Connection(asyncio.Protocol):
    def __init__(self, run: Run) -> None:
        self.run = run
        self.buffer = b""
        self.began_ns = 0
        self.waiting = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own class does not derive from it

    def send(self) -> None:
        now = time.perf_counter_ns()
        request = self.run.next_request(now)
        if request is None:
            self.transport.close()
            return
        self.began_ns = now
        self.waiting = True
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        split = self.buffer.find(b"\r\n\r\n")
        if split < 0:
            return
        head = self.buffer[: split + 2].lower()
        at = head.find(b"content-length:")
        if at >= 0:
            end = split + 4 + int(head[at + 15 : head.index(b"\r\n", at)])
            if len(self.buffer) < end:
                return
        elif not self.buffer.endswith(b"0\r\n\r\n"):  # chunked
            return
        answer = self.buffer
        self.buffer = b""
        self.waiting = False
        good = answer[9:12] == b"200" and (
            self.run.job.accept_any_code
            or answer.find(b'"code":0', split) >= 0
            or answer.find(b'"code": 0', split) >= 0
        )
        self.run.note(good=good, began_ns=self.began_ns, now_ns=time.perf_counter_ns(), answer=answer)
        if b"\r\nconnection: close\r\n" in head:
            self.transport.close()
            return
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.waiting:
            self.run.note(
                good=False,
                began_ns=self.began_ns,
                now_ns=time.perf_counter_ns(),
                answer=f"connection lost: {exc}".encode(),
            )
        self.run.closed()


async def perform(job: Job) -> Result:
    run = Run(job)
    loop = asyncio.get_running_loop()
    connections: list[Connection] = []
    for _ in range(job.connections):
        _, protocol = await loop.create_connection(lambda: Connection(run), job.host, job.port)
        connections.append(protocol)
    start = time.perf_counter_ns()
    warm_up = 0 if job.requests else job.warm_up
    run.counting_from_ns = start + int(warm_up * 1e9)
    run.stop_at_ns = run.counting_from_ns + int(job.seconds * 1e9)
    cpu = time.process_time()
    for connection in connections:
        connection.send()
    try:
        await asyncio.wait_for(run.finished, warm_up + job.seconds + 60)
    except TimeoutError:
        run.errors += run.open
        run.first_error = run.first_error or f"{run.open} requests had no answer after a minute"
        for connection in connections:
            connection.transport.abort()
    end = time.perf_counter_ns()
    seconds = (end - run.counting_from_ns) / 1e9
    took = sorted(run.took_ns) or [0]

    def at(share: float) -> float:
        return took[min(len(took) - 1, int(len(took) * share))] / 1e6

    return Result(
        requests=len(run.took_ns),
        errors=run.errors,
        seconds=seconds,
        per_second=len(run.took_ns) / seconds,
        p50_ms=at(0.5),
        p99_ms=at(0.99),
        max_ms=took[-1] / 1e6,
        load_cpu=(time.process_time() - cpu) / ((end - start) / 1e9),
        first_error=run.first_error,
    )


def main() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard if soft < hard else soft, hard))
    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        result = uvloop.run(perform(Job(**asked)))
        print(json.dumps(asdict(result)), flush=True)


if __name__ == "__main__":
    main()
