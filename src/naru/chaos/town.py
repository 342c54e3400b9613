"""The processes of a campaign: started, killed with SIGKILL, started again."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

READY_S = 60.0
NARU = (sys.executable, "-m", "naru")
LIMITS = {"pg_connect_s": 1.0, "pg_read_s": 1.5, "budget_s": 4.0}
"""A campaign cannot wait twenty seconds for every lost answer; the rules' own times are the clock's and stay."""


@dataclass
class Town:
    """A gateway (two and a worker on PostgreSQL), a sandbox, and what restarts the database if anything can."""

    directory: Path
    database_url: str
    host: str
    port: int
    sandbox_port: int
    shop_port: int
    second_port: int
    restart_database: Callable[[], None] | None = None
    """Kills the database server and starts it again."""
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    deaths: dict[str, int] = field(default_factory=dict)
    closing: bool = False

    @property
    def many(self) -> bool:
        """Whether more than one process may serve."""
        return self.database_url.startswith("postgres")

    @property
    def gateways(self) -> list[str]:
        """The gateways' addresses."""
        ports = [self.port, self.second_port] if self.many else [self.port]
        return [f"http://{self.host}:{p}" for p in ports]

    @property
    def sandbox_url(self) -> str:
        """The sandbox's address."""
        return f"http://{self.host}:{self.sandbox_port}"

    @property
    def names(self) -> tuple[str, ...]:
        """Who can be killed."""
        own = ("gateway", "gateway-2", "worker") if self.many else ("gateway", "gateway")
        return (*own, "sandbox", *(("database",) if self.restart_database else ()))

    def prepare(self) -> None:
        """Write the directory that the processes read. The database is migrated already."""
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "master.key").write_text(secrets.token_hex(32) + "\n")
        given = {
            "database_url": self.database_url, "host": self.host, "port": self.port,
            "sandbox_port": self.sandbox_port, "shop_port": self.shop_port, "log_level": "info", "limits": LIMITS,
        }  # fmt: skip
        (self.directory / "dev.json").write_text(json.dumps(given))

    def start(self, name: str, crash_at: str = "") -> None:
        """Start one process; does not wait."""
        at = ("--data-dir", str(self.directory))
        level = ("--log-level", "info")
        sandbox = (
            "sandbox", "--host", self.host, "--port", str(self.sandbox_port), *at, *level,
            "--gateway-url", self.gateways[0],
        )  # fmt: skip
        commands: dict[str, tuple[str, ...]] = {
            "gateway": ("_gateway", *at, *level),
            "gateway-2": ("_gateway", *at, *level, "--port", str(self.second_port)),
            "worker": ("worker", *at),
            "sandbox": sandbox,
        }
        env = {**os.environ, "NARU_CRASH_AT": crash_at, "PYTHONUNBUFFERED": "1"}
        with (self.directory / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(  # noqa: S603 - our own program
                (*NARU, *commands[name]), env=env, stdout=log, stderr=log, start_new_session=True
            )

    async def start_all(self) -> None:
        """Start everything and wait until it serves."""
        names = ["sandbox", "gateway"] + (["gateway-2", "worker"] if self.many else [])
        self.start("sandbox")
        self.start("gateway")
        await self.ready("sandbox")
        await self.ready("gateway")  # the first makes the development store
        for name in names[2:]:
            self.start(name)
        for name in names[2:]:
            await self.ready(name)

    def address(self, name: str) -> str | None:
        """Where a process answers `/health`; the worker answers nowhere."""
        return {
            "gateway": self.gateways[0], "gateway-2": self.gateways[-1], "sandbox": self.sandbox_url,
        }.get(name)  # fmt: skip

    async def ready(self, name: str) -> None:
        """Wait until a process serves. One that ends meanwhile (at a crash point) is started again."""
        until = time.monotonic() + READY_S
        while time.monotonic() < until:
            url = self.address(name)
            if self.running[name].poll() is not None:
                self._buried(name)
                self.start(name)
            elif url is None or await asyncio.to_thread(_healthy, url):
                return
            await asyncio.sleep(0.1)
        raise TimeoutError(f"{name} is not ready after {READY_S:.0f} s, see {self.directory / name}.log")

    async def kill(self, name: str, crash_at: str = "") -> None:
        """kill -9, start again, wait."""
        if name == "database":
            assert self.restart_database is not None
            self.deaths[name] = self.deaths.get(name, 0) + 1
            await asyncio.to_thread(self.restart_database)
            return
        process = self.running[name]
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        self._buried(name)
        self.start(name, crash_at)
        await self.ready(name)

    async def watch(self) -> None:
        """Start again whatever has died at a crash point, until `closing`."""
        while not self.closing:
            for name in list(self.running):
                process = self.running[name]
                if process.poll() is not None and not self.closing:
                    self._buried(name)
                    self.start(name)
            await asyncio.sleep(0.2)

    def _buried(self, name: str) -> None:
        self.deaths[name] = self.deaths.get(name, 0) + 1

    async def stop(self, *names: str) -> None:
        """SIGTERM and wait; all of them when none is named. Raises RuntimeError if one had to be killed."""
        slow: list[str] = []
        ending = {name: self.running.pop(name) for name in (names or tuple(self.running))}  # `watch` lets them rest
        for process in ending.values():
            if process.poll() is None:
                process.terminate()
        for name, process in ending.items():
            try:
                await asyncio.to_thread(process.wait, 60)
            except subprocess.TimeoutExpired:
                process.kill()
                slow.append(name)
        if slow:
            raise RuntimeError(f"did not end on SIGTERM: {', '.join(slow)}")


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:  # noqa: S310 - our own address
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
