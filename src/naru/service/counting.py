"""Counts payments by the hour when the hours are over, so that totals of long lists are quick."""

from __future__ import annotations

from naru.service.context import Context
from naru.store import counts, stores

MOST_STEPS = 2_000
"""Steps of one round; what is left waits for the next."""


async def count_hours(cx: Context) -> None:
    """Bring the counts of every store up to the last hour that is over, a few thousand payments at a time."""
    for store in await cx.db.read(stores.all_stores):
        hours = counts.FEWEST_HOURS
        for _ in range(MOST_STEPS):
            found = await cx.db.write(counts.count_on, store.id, cx.clock(), hours)
            if found is None:
                break
            if found > counts.ENOUGH:
                hours = max(1, hours // 2)
            elif found < counts.ENOUGH // 4:
                hours = min(counts.MOST_HOURS, hours * 2)
