"""One live gateway per test file: starting one costs a second, and every order has its own number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import Live, live


@pytest.fixture(scope="module")
def naru(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A running gateway, sandbox and shop, shared by the tests of one file."""
    with live(migrated_sqlite, tmp_path_factory.mktemp("live")) as running:
        yield running
        assert running.complaints == []


@pytest.fixture
def fresh(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Live]:
    """A running gateway of this test's own, for what moves the clock or counts everything."""
    with live(migrated_sqlite, tmp_path / "live") as running:
        yield running
