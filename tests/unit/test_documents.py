"""The repository as a reader meets it. Each rule names the mistake it prevents."""

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tracked(*patterns: str) -> list[Path]:
    """Files that git knows (or would add), so that caches and environments do not count."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for name in listing.stdout.splitlines() if (path := ROOT / name).is_file()]


def test_every_dependency_has_its_reason() -> None:
    """A dependency that nobody can explain is a dependency that nobody dares to remove."""
    reasons = (ROOT / "docs/decisions/0010-dependencies.md").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    for requirement in project["project"]["dependencies"] + [name for group in groups.values() for name in group]:
        name = re.split(r"[\[<>=~! ]", requirement)[0]
        assert f"`{name}`" in reasons, name


def test_decision_records_are_numbered_without_gaps_and_have_the_four_parts() -> None:
    records = sorted(path for path in (ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert [path.name[:4] for path in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    for path in records:
        headings = re.findall(r"^## (.+)$", path.read_text(), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences", "Alternatives"], path.name


def test_links_between_our_documents_lead_somewhere() -> None:
    """A file that moves takes its links along."""
    for page in tracked("*.md"):
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" in target or target.startswith("mailto:"):
                continue
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} → {target}"


def test_what_the_readme_tells_to_run_exists() -> None:
    """A newcomer's first command must not be one that was renamed last week."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in (ROOT / "README.md", ROOT / "README.en.md", ROOT / "CONTRIBUTING.md"):
        text = page.read_text()
        fenced = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
        named = set(re.findall(r"`make ([a-z-]+)", text) + re.findall(r"^make ([a-z-]+)", fenced, re.MULTILINE))
        assert named, page.name
        assert named <= targets, page.name


def test_help_lists_every_target_a_person_would_type() -> None:
    listing = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("install", "up", "test", "test-nobrowser", "check", "bench", "lock", "fmt"):
        assert re.search(rf"m{target} ", listing), target


def test_no_third_party_browser_code_is_copied_in() -> None:
    """Front-end libraries come from their packages at build time; a copy never gets its security fixes."""
    copied = [path for path in tracked("*.js", "*.css") if ".min." in path.name or "htmx" in path.name]
    assert copied == []
