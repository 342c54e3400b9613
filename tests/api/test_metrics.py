"""Metrics: on a port of their own, and only if the operator asks."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.acceptance.servers import Servers, free_port


@pytest.fixture
def servers(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Servers]:
    made = Servers(tmp_path / "data", f"sqlite:///{tmp_path / 'naru.db'}")
    (tmp_path / "naru.db").write_bytes(migrated_sqlite.read_bytes())
    made.prepare()
    yield made
    made.stop()


def test_requests_are_counted_on_a_port_of_their_own(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("NARU_METRICS_PORT", str(port))
    servers.start_gateway()
    servers.token()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        said = answer.read().decode()
    assert 'naru_requests_total{method="POST",status="200"} 1.0' in said
    asked = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in said.splitlines() if line[0] != "#"}
    answered = sum(n for name, n in asked.items() if name.startswith("naru_requests_total{"))
    assert asked["naru_request_seconds_count"] == asked['naru_request_seconds_bucket{le="+Inf"}'] == answered >= 1
    assert asked['naru_request_seconds_bucket{le="0.005"}'] <= asked['naru_request_seconds_bucket{le="10.0"}']
    assert asked["naru_request_seconds_sum"] > 0
    assert "naru_attempts_settled_total" in said
