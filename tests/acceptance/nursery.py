"""Starts the program by forking a process that has loaded it already: to load it is most of a start.

What comes of it is a process like any other, killed and stopped by its number. `python -m tests.acceptance.nursery`
reads requests from its standard input, a line each, and ends with it.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

LOADED = (
    "asyncpg", "uvloop", "uvicorn.protocols.http.httptools_impl", "uvicorn.lifespan.on", "naru.__main__", "naru.app",
    "naru.dev", "naru.serving", "naru.service.console_access", "naru.store.sqlite", "naru.store.postgres",
    "naru.sandbox.hecto.server",
)  # fmt: skip


class Process:
    """A started program, as `subprocess.Popen` shows one."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery = nursery
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """How it ended (minus the signal), or None while it runs."""
        if self.returncode is None:
            self.returncode = self._nursery.ask({"ended": self.pid})
        return self.returncode

    def wait(self, timeout: float = 60) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        until = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("naru", timeout)
            time.sleep(0.01)
        return code

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)


class Nursery:
    """The process that forks."""

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.nursery"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        atexit.register(self._close)

    def start(self, arguments: Sequence[str], *, env: Mapping[str, str], log: Path) -> Process:
        """`naru` with these arguments; what it says is added to *log*."""
        asked = {"arguments": list(arguments), "env": dict(env), "log": str(log), "cwd": str(Path.cwd())}
        return Process(self, self.ask(asked))

    def run(self, arguments: Sequence[str], *, env: Mapping[str, str] | None = None) -> tuple[int, str]:
        """A command to its end: its exit code, and what it said."""
        with tempfile.TemporaryDirectory(prefix="naru-said-") as place:
            log = Path(place) / "said"
            code = self.start(arguments, env=os.environ if env is None else env, log=log).wait(120)
            return code, log.read_text()

    def ask(self, request: dict[str, Any]) -> Any:
        """One request and its answer."""
        reads, says = self._process.stdin, self._process.stdout
        assert reads is not None
        assert says is not None
        with self._asking:
            reads.write(json.dumps(request) + "\n")
            reads.flush()
            return json.loads(says.readline())

    def _close(self) -> None:
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()


@cache
def nursery() -> Nursery:
    """The one of this test process."""
    return Nursery()


# ── from here on: the process that forks ─────────────────────────────────────


def _becomes(request: dict[str, Any]) -> None:
    """The child: its own input, output, place and environment, as if it had been started."""
    with Path(os.devnull).open() as nothing, Path(request["log"]).open("ab") as log:
        for ours, its in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(ours.fileno(), its)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = ["naru", *request["arguments"]]


def _ended(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _serve() -> bool:
    """Fork as asked. True in a child, which has the program to run; False at the end of the input."""
    while line := sys.stdin.readline():
        request = json.loads(line)
        if "ended" in request:
            answer: int | None = _ended(request["ended"])
        else:
            answer = os.fork()
            if not answer:
                _becomes(request)
                return True
        print(json.dumps(answer), flush=True)
    return False


if __name__ == "__main__":
    for name in LOADED:
        importlib.import_module(name)
    if _serve():
        importlib.import_module("naru.__main__").main()
