"""Starting, pinning, asking and stopping the servers that are compared."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
IMP_KEY = "imp_apikey"
IMP_SECRET = "ekKoeW8RyKuT0zgaZsUtXXTLQ4AhPFW3ZGseDA6bkA5lamv9OqDMnxyeB9wqOsuO9W3Mx9YSJ4dTqJ3f"
READY_SECONDS = 60
CALM_SECONDS = 30
STOP_SECONDS = 45

# The server under test has one core for itself; the load and the sandbox share the other.
SERVER_CORE, OTHER_CORE = 0, 1


def can_pin() -> bool:
    return hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) >= 2


def pin(pid: int, core: int) -> None:
    """Every thread of the process; new threads inherit it."""
    if not can_pin():
        return
    cores = sorted(os.sched_getaffinity(0))
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), {cores[core]})


def pid_listening_on(port: int) -> int | None:
    """The process that accepts on a TCP port of this machine, found without any tool (Linux only)."""
    wanted = f":{port:04X}"
    inodes: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not Path(table).exists():
            continue
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(wanted) and fields[3] == "0A":
                inodes.add(f"socket:[{fields[9]}]")
    holders: list[int] = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if any(str(link.readlink()) in inodes for link in (process / "fd").iterdir()):
                holders.append(int(process.name))
    # A parent that opened the socket for its child holds it too; the child is the one that serves.
    return max(holders, default=None)


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used, all threads."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def memory_mib(pid: int) -> float:
    """Proportional set size: what the process costs, shared pages counted once."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def call(port: int, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """One request, not measured."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json"} | (headers or {}))
        response = connection.getresponse()
        raw = response.read()
        return response.status, json.loads(raw) if raw else None
    finally:
        connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A running V1 server: ours, the floor or a stranger."""

    name: str
    port: int
    process: subprocess.Popen[bytes] | None = None
    sandbox_port: int | None = None
    directory: Path | None = None
    start_seconds: float = 0.0
    host: str = "127.0.0.1"
    log: Path | None = None
    _pids: list[int] = field(default_factory=list[int])

    @property
    def pid(self) -> int:
        return self._pids[0] if self._pids else 0

    @property
    def sandbox_pid(self) -> int:
        return self._pids[1] if len(self._pids) > 1 else 0

    def settle_in(self) -> None:
        """Find the serving processes and give them their cores."""
        serving = pid_listening_on(self.port) or (self.process.pid if self.process else None)
        self._pids = [serving] if serving else []
        if self.process and serving:
            pin(serving, SERVER_CORE)
        if self.sandbox_port and (sandbox := pid_listening_on(self.sandbox_port)):
            self._pids.append(sandbox)
            pin(sandbox, OTHER_CORE)

    def cpu(self) -> float:
        return cpu_seconds(self.pid) if self.pid else 0.0

    def sandbox_cpu(self) -> float:
        return cpu_seconds(self.sandbox_pid) if self.sandbox_pid else 0.0

    def calm_down(self) -> None:
        """Wait until the server has caught up with what the last measurement left it: notis, webhooks."""
        until = time.perf_counter() + CALM_SECONDS
        while self.pid and time.perf_counter() < until:
            before = self.cpu() + self.sandbox_cpu()
            time.sleep(0.25)
            if self.cpu() + self.sandbox_cpu() - before < 0.02:
                return

    def memory(self) -> float:
        return sum(memory_mib(pid) for pid in self._pids)

    def token(self) -> str:
        status, body = call(self.port, "POST", "/users/getToken", {"imp_key": IMP_KEY, "imp_secret": IMP_SECRET})
        assert status == 200, (status, body)
        return body["response"]["access_token"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                # its children lead groups of their own: without this they would outlive it
                for pid in {*self._pids, self.process.pid}:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                self.process.wait()
        if self.directory:
            shutil.rmtree(self.directory, ignore_errors=True)


def _spawn(name: str, command: list[str], port: int, **more: Any) -> Server:
    log = Path(tempfile.mkstemp(prefix=f"bench-{name}-", suffix=".log")[1])
    began = time.perf_counter()
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, start_new_session=True
        )
    server = Server(name, port, process, log=log, **more)
    while True:
        # Ready means: hands out a token. A health answer alone would not be the shop's first success.
        with contextlib.suppress(OSError, http.client.HTTPException, AssertionError, ValueError):
            server.token()
            break
        if process.poll() is not None or time.perf_counter() - began > READY_SECONDS:
            server.__exit__()
            raise SystemExit(f"{name} did not start:\n{log.read_text()[-3000:]}")
        time.sleep(0.01)
    server.start_seconds = time.perf_counter() - began
    while server.sandbox_port and not pid_listening_on(server.sandbox_port):
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.perf_counter() - began < READY_SECONDS, log.read_text()[-3000:]
        time.sleep(0.05)
    server.settle_in()
    return server


def floor() -> Server:
    port = free_port()
    return _spawn(
        "floor",
        [
            sys.executable, "-m", "uvicorn", "bench.floor:app", "--port", str(port), "--loop", "uvloop",
            "--http", "httptools", "--no-access-log", "--log-level", "error", "--no-server-header",
        ],
        port,
    )  # fmt: skip


def naru(*, directory: Path | None = None, database_url: str | None = None, name: str = "naru") -> Server:
    """`naru dev` as a shop's developer starts it, on ports of its own. A directory that is given is kept."""
    port, sandbox_port, shop_port = free_port(), free_port(), free_port()
    own = directory is None
    place = directory or Path(tempfile.mkdtemp(prefix="bench-naru-"))
    command = [
        str(ROOT / ".venv/bin/naru"), "dev", "--port", str(port), "--sandbox-port", str(sandbox_port),
        "--shop-port", str(shop_port), "--data-dir", str(place),
    ]  # fmt: skip
    if database_url:
        command += ["--database-url", database_url]
    return _spawn(name, command, port, sandbox_port=sandbox_port, directory=place if own else None)


def peer(url: str) -> Server:
    """A stranger that runs already, on this machine if its core is to be known."""
    parts = urlsplit(url)
    assert parts.hostname, url
    server = Server("peer", parts.port or 80, host=socket.gethostbyname(parts.hostname))
    server.settle_in()
    if server.pid:
        pin(server.pid, SERVER_CORE)
    server.token()
    return server
