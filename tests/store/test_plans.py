"""What is asked about one payment, order or customer goes through an index of it, with nothing known about the data.

SQLite decides by statistics, and nobody makes any in production. Without them it likes an index for its order even
where that means a walk past every payment of the store.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from naru.store import payments, receipts, views
from naru.store.statement import Statement

WALKS = {"_MANY_NEWEST", "_STATUS_PAGES"}
"""Lists of a store, in the order of an index or of as many as the window has."""


def statements(value: Any) -> Iterator[Statement]:
    match value:
        case Statement():
            yield value
        case dict():
            for inner in value.values():
                yield from statements(inner)
        case _:
            pass


@pytest.mark.parametrize("module", [payments, receipts, views])
def test_no_look_up_walks_past_every_payment(module: Any, migrated_sqlite: Path) -> None:
    connection = apsw.Connection(str(migrated_sqlite), flags=apsw.SQLITE_OPEN_READONLY)
    found: dict[str, list[str]] = {}
    asked = 0
    for name, value in vars(module).items():
        for statement in statements(value):
            form = statement.form("sqlite")
            lists = {"imp_uids", "merchant_uids", "uids", "ids", "states", "kinds"}
            sql, values = form.bind({p: ["x"] if p in lists else 1 for p in form.names | form.optional})
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
            asked += 1
            if any(step.startswith("SCAN") or "(store_id=?)" in step for step in plan):
                found[name] = plan
    connection.close()
    assert asked > 5
    assert {name: plan for name, plan in found.items() if name not in WALKS} == {}
