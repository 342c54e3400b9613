"""The mistakes that `python -m tests.model.mutants` plants are about code that is there."""

from __future__ import annotations

from pathlib import Path

import naru
from tests.model.mutants import MISTAKES


def test_every_mistake_finds_its_place() -> None:
    source = Path(naru.__file__).parent
    lost = [m.what for m in MISTAKES if (source / m.file).read_text("utf-8").count(m.right) != 1]
    assert lost == []
