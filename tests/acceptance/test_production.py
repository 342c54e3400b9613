"""A production store set up and run from the command line alone, on either database."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.nursery import nursery
from tests.acceptance.servers import NARU, Receiver, Servers, call, free_port


class Operator:
    """Somebody at a shell."""

    def __init__(self, data_dir: Path, database_url: str) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.env = {
            **os.environ,
            "NARU_DATABASE_URL": database_url,
            "NARU_PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "NARU_ALLOW_PRIVATE_TARGETS": "1",
        }
        self.running: list[subprocess.Popen[bytes]] = []

    def run(self, *arguments: str, code: int = 0, **env: str) -> str:
        """Run a command to its end."""
        ended, said = nursery().run([*arguments, "--data-dir", str(self.data_dir)], env={**self.env, **env})
        assert ended == code, said
        return said

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a server."""
        with (self.data_dir / f"{arguments[0]}.log").open("ab") as log:
            process = subprocess.Popen(
                [*NARU, *arguments, "--data-dir", str(self.data_dir)], env=self.env, stdout=log, stderr=log
            )
        self.running.append(process)
        return process

    def stop(self) -> None:
        """Stop every server, politely."""
        for process in self.running:
            if process.poll() is None:
                process.terminate()
        for process in self.running:
            assert process.wait(60) in (0, -15)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Servers]:
    made = Servers(tmp_path / "sandbox", "")
    made.data_dir.mkdir()
    made.start_sandbox()
    yield made
    made.stop()


@pytest.fixture
def operator(empty_url: str, tmp_path: Path) -> Iterator[Operator]:
    made = Operator(tmp_path / "production", empty_url)
    yield made
    made.stop()


def test_from_nothing_to_a_paid_order(operator: Operator, sandbox: Servers, dialect: str) -> None:
    said = operator.run("init", "--name", "시험 상점")
    code, key, secret = (
        re.search(rf"\({name}\)\s+(\S+)", said).group(1)  # type: ignore[union-attr]
        for name in ("imp code", "imp_key", "imp_secret")
    )
    master = operator.data_dir / "master.key"
    assert master.stat().st_mode & 0o777 == 0o600
    assert secret not in operator.run("channel", "list")
    added = operator.run(
        "channel", "add", "--store", code, "--name", "수기결제", "--mid", "nxca_jt_bi", "--use", "api",
        "--credentials", "card", "--default",
    )  # fmt: skip
    assert added.startswith("channel-key-")
    assert "수기결제" in operator.run("channel", "list")
    operator.env["NARU_SANDBOX_URL"] = sandbox.sandbox_url
    operator.run("channel", "check", added.strip())

    servers = Servers(operator.data_dir, operator.env["NARU_DATABASE_URL"], port=operator.port)
    servers.gateway = operator.start("serve", "--port", str(operator.port))
    servers._wait(servers.url, servers.gateway)
    if dialect == "postgresql":
        operator.start("worker")
    else:
        assert "PostgreSQL" in operator.run("worker", code=1)
    header = operator.run("token", "--imp-key", key, "--imp-secret", secret).strip().removeprefix("Authorization: ")
    receiver = Receiver()
    body = {
        "merchant_uid": "o1", "amount": 1004, "card_number": "4111-1111-1111-1111", "expiry": "2030-12",
        "notice_url": receiver.url,
    }  # fmt: skip
    _, paid = call(f"{servers.url}/subscribe/payments/onetime", body, headers={"Authorization": header})
    assert paid["response"]["status"] == "paid"
    _, again = call(f"{servers.url}/payments/find/o1", headers={"Authorization": header})
    assert again["response"] == paid["response"]
    operator.stop()
    receiver.close()
    assert [b["status"] for b in receiver.bodies()] == ["paid"]
    assert "이상 없음" in operator.run("doctor")


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_what_is_unsafe_is_not_served(operator: Operator) -> None:
    operator.data_dir.mkdir()
    assert "master key" in operator.run("serve", code=1)
    operator.run("init")
    operator.env.pop("NARU_PUBLIC_URL")
    assert "NARU_PUBLIC_URL" in operator.run("serve", code=1)
    operator.env["NARU_PUBLIC_URL"] = "https://pay.example"
    assert "마스터 키" in operator.run("serve", code=1, NARU_MASTER_KEY="cd" * 32)
    wrong = operator.run("channel", "add", "--store", "imp404", "--name", "x", "--mid", "m", "--use", "window", code=1)
    assert "imp404" in wrong


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_the_published_development_store_is_not_served(operator: Operator, database_url: str, tmp_path: Path) -> None:
    development = Servers(tmp_path / "dev", database_url)
    development.prepare()
    development.start_gateway()
    development.stop()
    operator.data_dir.mkdir()
    said = operator.run("serve", code=1, NARU_DATABASE_URL=database_url, NARU_MASTER_KEY="ab" * 32)
    assert "imp00000000" in said
