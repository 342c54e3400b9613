"""The cookbook's commands, run as they stand: what they print is what the page says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from naru.clock import SystemClock
from naru.domain.values import HOUR
from naru.domain.vbank import closed
from tests.acceptance.servers import free_port

ROOT = Path(__file__).parents[2]
FENCED = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BETWEEN = "-- next --"


@contextmanager
def development(directory: Path) -> Generator[dict[str, str]]:
    """`naru dev` in a directory of its own, as `make up` starts it. Yields what its addresses are written as."""
    (directory / ".venv").symlink_to(Path(sys.prefix))
    ports = {str(usual): str(free_port()) for usual in (8000, 8001, 8002)}
    asked = ["--port", ports["8000"], "--sandbox-port", ports["8001"], "--shop-port", ports["8002"]]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [".venv/bin/naru", "dev", *asked], cwd=directory, stdout=log, stderr=log, start_new_session=True
        )
    try:
        until = time.monotonic() + 60
        while "ready in" not in (said := (directory / "log").read_text()):
            assert process.poll() is None, said
            assert time.monotonic() < until, said
            time.sleep(0.05)
        yield {f"127.0.0.1:{usual}": f"127.0.0.1:{port}" for usual, port in ports.items()}
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def say(directory: Path, script: str) -> str:
    """What a shell prints. It stops at the first command that fails."""
    env = {**os.environ, "LC_ALL": "C.UTF-8"}
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=directory, env=env, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.parametrize("page", ["fixed-account-per-customer.ko.md", "fixed-account-per-customer.en.md"])
def test_a_page_prints_what_it_says(page: str, tmp_path: Path) -> None:
    blocks = FENCED.findall((ROOT / "docs/cookbook" / page).read_text())
    commands, expected = list[str](), list[str]()
    for kind, text in blocks:
        if kind == "sh":
            commands.append(text)
            expected.append("")
        else:
            expected[-1] = text
    assert sum(bool(e) for e in expected) >= 6
    with development(tmp_path) as addresses:
        now = SystemClock()()
        if closed(now) or closed(now + HOUR // 6):
            say(tmp_path, ".venv/bin/naru clock advance 2h")
        script = f"\necho '{BETWEEN}'\n".join(commands)
        for usual, ours in addresses.items():
            script = script.replace(usual, ours)
        printed = say(tmp_path, script).split(f"{BETWEEN}\n")
        complaints = urllib.request.urlopen(f"http://{addresses['127.0.0.1:8001']}/_sandbox/complaints").read()
    for wanted, got in zip(expected, printed, strict=True):
        pattern = re.escape(wanted.rstrip()).replace("…", ".+")
        tidy = "\n".join(line.rstrip() for line in got.splitlines())
        assert re.fullmatch(pattern, tidy), f"the page says\n{wanted}\nand the commands print\n{got}"
    assert b'"count":0' in complaints
