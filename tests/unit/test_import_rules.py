"""The import rules catch what they are there to catch. A rule that cannot fail protects nothing."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# rule, the file that somebody might edit, and the line that must not pass
PLANTED = [
    ("one-way", "store/db.py", "import naru.service.cancel"),
    ("one-way", "service/cancel.py", "import naru.api.payments"),
    ("one-way", "api/payments.py", "import naru.jobs.worker"),
    ("one-way", "logs.py", "import naru.pan"),
    ("one-way", "somewhere_new.py", "import naru.logs"),
    ("pure-domain", "domain/payment.py", "import time"),
    ("pure-domain", "domain/payment.py", "import json"),
    ("sql-in-store", "service/cancel.py", "import sqlalchemy"),
    ("sql-in-store", "api/payments.py", "from sqlalchemy import select"),
    ("postgresql-driver-in-store", "jobs/worker.py", "import asyncpg"),
    ("sqlite-driver-in-store-and-sandbox", "service/cancel.py", "import apsw"),
    ("one-sqlite-library", "store/db.py", "import sqlite3"),
    ("pages-read-views", "api/payments.py", "from naru.store import payments"),
    ("jobs-speak-no-sql", "jobs/worker.py", "from naru.store import tables"),
    ("wire-definition-stands-alone", "connectors/hecto/messages.py", "import naru.domain.values"),
    ("sandbox-plays-the-other-side", "sandbox/hecto/__init__.py", "import naru.store.db"),
    ("sandbox-plays-the-other-side", "sandbox/hecto/__init__.py", "import naru.connectors.hecto.codes"),
    ("sandbox-plays-the-other-side", "sandbox/hecto/__init__.py", "import naru.pan"),
    ("demo-is-a-stranger", "demo/__init__.py", "import naru.logs"),
    ("hecto-behind-the-port", "service/cancel.py", "import naru.connectors.hecto.messages"),
    ("sandbox-is-a-guest", "app.py", "import naru.sandbox.hecto"),
    ("card-numbers-pass-through", "store/payments.py", "import naru.pan"),
    ("card-numbers-pass-through", "jobs/deliver.py", "from naru.pan import CardNumber"),
    ("settings-are-handed-down", "service/context.py", "import naru.settings"),
]


def broken_rules(tree: Path) -> set[str]:
    """The rules that `tree`, a directory with pyproject.toml and src, breaks."""
    run = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-logo", "--no-cache"],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree / "src"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    names = dict(_rules())
    found = {names[name] for name in re.findall(r"^(.+) BROKEN(?: \(.*\))?$", run.stdout, re.MULTILINE)}
    assert (run.returncode == 0) == (not found), run.stdout + run.stderr
    return found


def _rules() -> list[tuple[str, str]]:
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return [(rule["name"], rule["id"]) for rule in rules]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source to plant mistakes in."""
    place = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "pyproject.toml", place)
    shutil.copytree(ROOT / "src", place / "src", ignore=shutil.ignore_patterns("__pycache__"))
    assert broken_rules(place) == set()
    return place


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "file", "line"), PLANTED)
def test_a_planted_mistake_is_caught(tree: Path, rule: str, file: str, line: str) -> None:
    edited = tree / "src/naru" / file
    before = edited.read_text() if edited.exists() else None
    assert (before is None) == (file == "somewhere_new.py"), f"{file} has moved; plant the mistake where it is now"
    try:
        edited.write_text(f"{before or ''}\n{line}\n")
        assert rule in broken_rules(tree)
    finally:
        if before is None:
            edited.unlink()
        else:
            edited.write_text(before)


def test_every_rule_has_a_planted_mistake() -> None:
    assert {rule for rule, _, _ in PLANTED} == {rule for _, rule in _rules()}
