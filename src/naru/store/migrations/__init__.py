"""Alembic's environment and the migrations, `versions/NNNN_pre_name.py` or `versions/NNNN_post_name.py`.

*pre* runs before the new code and must leave the old code working; *post* may tidy up. A migration's
revision is its four digits, and each follows the one with the next lower number::

    from naru.store.migrations import chain

    revision, down_revision = chain(__file__)
"""

from pathlib import Path
from typing import Final

VERSIONS: Final = Path(__file__).parent / "versions"


def revisions() -> list[str]:
    """The numbers of all migrations, in order."""
    return sorted(path.name[:4] for path in VERSIONS.glob("[0-9][0-9][0-9][0-9]_*.py"))


def chain(file: str) -> tuple[str, str | None]:
    """`(revision, down_revision)` of the migration in `file`."""
    here = Path(file).name[:4]
    before = [number for number in revisions() if number < here]
    return here, before[-1] if before else None
