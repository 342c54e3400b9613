"""Real processes: a gateway and a sandbox as `naru dev` starts them, on free ports, and a webhook receiver."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from naru.store import migrate
from tests.acceptance.nursery import Process, nursery
from tests.cluster import run_async

DEV_KEY = "imp_apikey"
DEV_SECRET = "ekKoeW8RyKuT0zgaZsUtXXTLQ4AhPFW3ZGseDA6bkA5lamv9OqDMnxyeB9wqOsuO9W3Mx9YSJ4dTqJ3f"
NARU = [sys.executable, "-m", "naru"]
Started = Process | subprocess.Popen[bytes]
BUDGET_S = 2.0
"""How long a request waits for another one's result; 28 seconds in production."""


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def call(
    url: str, body: Any = None, *, headers: dict[str, str] | None = None, method: str | None = None, timeout: float = 40
) -> tuple[int, Any]:
    """One HTTP request; JSON in and out. A broken connection raises OSError."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data=data, headers={"Content-Type": "application/json", **(headers or {})}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as e:
        return e.code, json.loads(e.read() or b"null")


class Receiver:
    """A shop's webhook address."""

    def __init__(self) -> None:
        received: list[dict[str, Any]] = []
        self.received = received
        self.status = 200
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append({"body": json.loads(body), "headers": dict(self.headers)})
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
                del format, args

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhook"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def bodies(self) -> list[dict[str, Any]]:
        """What was received."""
        return [r["body"] for r in self.received]

    def close(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()


@dataclass
class Servers:
    """A gateway and a sandbox."""

    data_dir: Path
    database_url: str
    port: int = field(default_factory=free_port)
    sandbox_port: int = field(default_factory=free_port)
    log_level: str = "warning"
    limits: dict[str, float] = field(default_factory=lambda: {"budget_s": BUDGET_S})
    """Settings of the gateway that are waiting times."""
    gateway: Started | None = None
    sandbox: Started | None = None

    @property
    def url(self) -> str:
        """The gateway's address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox_url(self) -> str:
        """The sandbox's address."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    def prepare(self) -> None:
        """Data directory and database, which is migrated unless it is the copy of one that was."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        (self.data_dir / "master.key").write_text("ab" * 32)
        given = {
            "database_url": self.database_url, "host": "127.0.0.1", "port": self.port,
            "sandbox_port": self.sandbox_port, "shop_port": free_port(), "log_level": self.log_level,
            "limits": self.limits,
        }  # fmt: skip
        (self.data_dir / "dev.json").write_text(json.dumps(given))
        if run_async(migrate.check(self.database_url)) != "current":
            migrate.migrate(self.database_url)

    def start_gateway(self, crash_at: str = "") -> None:
        """Start the gateway and wait until it is ready."""
        self.gateway = self._start("gateway", ["_gateway", "--log-level", self.log_level], crash_at)
        self._wait(self.url, self.gateway)

    def start_sandbox(self) -> None:
        """Start the sandbox and wait until it is ready."""
        self.sandbox = self._start(
            "sandbox", ["sandbox", "--port", str(self.sandbox_port), "--log-level", self.log_level]
        )
        self._wait(self.sandbox_url, self.sandbox)

    def _start(self, name: str, arguments: list[str], crash_at: str = "") -> Started:
        env = {**os.environ, "NARU_CRASH_AT": crash_at}
        return nursery().start(
            [*arguments, "--data-dir", str(self.data_dir)], env=env, log=self.data_dir / f"{name}.log"
        )

    def _wait(self, url: str, process: Started) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert process.poll() is None, self.logs()
            try:
                if call(f"{url}/health", timeout=2)[0] == 200:
                    return
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"{url} is not ready\n{self.logs()}")

    def logs(self) -> str:
        """What the processes said."""
        return "\n".join(f.read_text(errors="replace")[-3000:] for f in self.data_dir.glob("*.log"))

    def kill_gateway(self) -> None:
        """kill -9."""
        assert self.gateway is not None
        self.gateway.send_signal(signal.SIGKILL)
        self.gateway.wait()

    def died(self) -> bool:
        """Whether the gateway has killed itself."""
        assert self.gateway is not None
        return self.gateway.wait(30) == -signal.SIGKILL

    def stop(self) -> None:
        """Stop both."""
        for process in (self.gateway, self.sandbox):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(60)

    # as a shop

    def token(self) -> dict[str, str]:
        """A header with a fresh token."""
        _, answer = call(f"{self.url}/users/getToken", {"imp_key": DEV_KEY, "imp_secret": DEV_SECRET})
        return {"Authorization": answer["response"]["access_token"]}

    def pay(self, merchant_uid: str, amount: int = 1000, **more: Any) -> dict[str, Any]:
        """Pay by card; the envelope."""
        body = {
            "merchant_uid": merchant_uid, "amount": amount, "name": "시험", "card_number": "4111-1111-1111-1111",
            "expiry": "2030-12", **more,
        }  # fmt: skip
        return call(f"{self.url}/subscribe/payments/onetime", body, headers=self.token())[1]

    def cancel(self, **body: Any) -> dict[str, Any]:
        """Cancel; the envelope."""
        return call(f"{self.url}/payments/cancel", body, headers=self.token())[1]

    def find(self, merchant_uid: str) -> dict[str, Any]:
        """Look an order up; the envelope."""
        path = urllib.parse.quote(merchant_uid, safe="")
        return call(f"{self.url}/payments/find/{path}", headers=self.token())[1]

    def advance(self, ms: int) -> None:
        """Move time."""
        status, answer = call(f"{self.url}/_dev/clock", {"advance_ms": ms}, timeout=120)
        assert status == 200, answer

    def fault(self, name: str, message: str, **more: Any) -> None:
        """Let the sandbox misbehave."""
        status, answer = call(f"{self.sandbox_url}/_sandbox/faults", {"name": name, "message": message, **more})
        assert status < 300, answer

    def book(self) -> list[dict[str, Any]]:
        """The sandbox's trades that money came in by."""
        _, answer = call(f"{self.sandbox_url}/_sandbox/transactions?limit=500")
        return [t for t in answer["transactions"] if t["orgTrdNo"] is None and t["outRsltCd"] == "0000"]

    def complaints(self) -> list[Any]:
        """What the sandbox was surprised by."""
        return call(f"{self.sandbox_url}/_sandbox/complaints")[1]["complaints"]
