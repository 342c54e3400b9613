"""Servers for the tests that need real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.servers import Receiver, Servers


@pytest.fixture
def log_level() -> str:
    """What the servers write into their logs; a file that reads them asks for more."""
    return "warning"


@pytest.fixture
def servers(database_url: str, tmp_path: Path, log_level: str) -> Iterator[Servers]:
    """A sandbox that runs and a gateway to be started, on either database."""
    made = Servers(tmp_path / "data", database_url, log_level=log_level)
    made.prepare()
    made.start_sandbox()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def shop() -> Iterator[Receiver]:
    """A shop's webhook address for all tests of a file."""
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A shop's webhook address of this test's own."""
    made = Receiver()
    yield made
    made.close()
