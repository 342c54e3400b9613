"""A short campaign on either database (`make chaos` runs longer ones). Real processes, real SIGKILL."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.__main__ import one

SEED = 20_260_101
"""The plan is the seed's; what the scheduler makes of it differs a little from run to run, which is the point."""


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_nothing_is_lost_doubled_or_over_refunded(
    dialect: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = one(SEED, 24, dialect, tmp_path / "campaign")
    assert not failed, capsys.readouterr().out
