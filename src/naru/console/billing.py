"""정기결제 and 가상계좌: schedules by month, billing keys, accounts with what came in."""

from __future__ import annotations

import re
from typing import Any, Final

from naru.console.payments import midnight
from naru.console.visit import MORE_NAV, Answer, Visit, action, page, with_query
from naru.domain.values import DAY, HOUR, MINUTE, Instant, kst_date
from naru.service import billing, console_alarms, schedules
from naru.store import console, stores

PAGE: Final = 100
MOST: Final = 1000
_FAR: Final = 1 << 62
MORE_NAV[:0] = [{"path": "/billing", "key": "nav.billing"}, {"path": "/vbanks", "key": "nav.vbanks"}]


def _month(visit: Visit) -> tuple[int, int]:
    text = visit.query.text("month", 7)
    now = kst_date(visit.cx.clock())
    year, month = int(now[:4]), int(now[4:6])
    if re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", text):
        year, month = int(text[:4]), int(text[5:])
    return year, month


def _next(year: int, month: int, by: int) -> tuple[int, int]:
    n = year * 12 + month - 1 + by
    return n // 12, n % 12 + 1


def _first(year: int, month: int) -> int:
    at = midnight(f"{year:04d}-{month:02d}-01")
    assert at is not None
    return at


def _weeks(since: int, until: int, rows: list[Any]) -> list[list[tuple[int, list[Any]] | None]]:
    """The month's days by week, Sunday first, each with its schedules."""
    by_day: dict[int, list[Any]] = {}
    for r in rows:
        by_day.setdefault((r.schedule_at - since) // DAY, []).append(r)
    blank = ((since + 9 * HOUR) // DAY + 4) % 7  # 1970-01-01 was a Thursday
    cells: list[tuple[int, list[Any]] | None] = [None] * blank
    cells += [(n + 1, by_day.get(n, [])) for n in range((until - since) // DAY)]
    cells += [None] * (-len(cells) % 7)
    return [cells[n : n + 7] for n in range(0, len(cells), 7)]


@page("/billing")
async def overview(visit: Visit) -> Answer:
    """A month of schedules, as a calendar and a list, and the billing keys."""
    year, month = _month(visit)
    since, until = _first(year, month), _first(*_next(year, month, 1))
    rows = await visit.cx.db.read(console.schedules_between, visit.here.id, since, until, MOST)
    text = visit.query.text("q", 80)
    keys = await visit.cx.db.read(console.keys_page, visit.here.id, text, _FAR, PAGE)
    channels = {c.id: c for c in await visit.cx.db.read(stores.channels_of, visit.here.id, visit.cx.vault)}
    here = f"{visit.base}/billing"

    def at(by: int) -> str:
        y, m = _next(year, month, by)
        return with_query(here, month=f"{y:04d}-{m:02d}")

    return await visit.page(
        "billing.html", rows=rows, weeks=_weeks(since, until, rows), month=f"{year:04d}-{month:02d}",
        today=(visit.cx.clock() - since) // DAY + 1, before=at(-1),
        after=at(1), keys=keys, channels=channels, text=text,
    )  # fmt: skip


def _when(day: str, time: str) -> Instant | None:
    at = midnight(day)
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", time)
    return None if at is None or match is None else Instant(at + int(match[1]) * HOUR + int(match[2]) * MINUTE)


@action("/billing/schedules")
async def change(visit: Visit) -> Answer:
    """Retry, revoke or move one schedule."""
    visit.back = f"{visit.base}/billing"
    order, what = visit.form.text("merchant_uid", 80), visit.form.text("what", 10)
    cx, store_id = visit.cx, visit.here.id
    match what:
        case "retry":
            await schedules.retry(cx, store_id, order)
        case "revoke":
            await schedules.unschedule(cx, store_id, None, [order])
        case "move":
            at = _when(visit.form.text("day", 10), visit.form.text("time", 5))
            if at is None:
                return await visit.go(visit.back, "billing.bad_time", "bad")
            await schedules.move(cx, store_id, order, at)
        case _:
            return visit.to(visit.back)
    await console_alarms.note(cx, visit.actor, f"schedule_{what}", order, store_id)
    return await visit.go(visit.back, "frame.saved")


@action("/billing/keys/{key:str}")
async def delete_key(visit: Visit) -> Answer:
    """Delete a billing key at Hecto."""
    visit.back = f"{visit.base}/billing"
    await billing.delete_key(visit.cx, visit.here.id, visit.number("key"))
    await console_alarms.note(visit.cx, visit.actor, "key_deleted", visit.param("key"), visit.here.id)
    return await visit.go(visit.back, "billing.key_deleted")


@page("/vbanks")
async def vbanks(visit: Visit) -> Answer:
    """Virtual accounts with what came in."""
    text, before = visit.query.text("q", 40), visit.query.integer("before")
    rows, sums = await visit.cx.db.read(console.vbanks_page, visit.here.id, text, before, PAGE + 1)
    here = f"{visit.base}/vbanks"
    return await visit.page(
        "vbanks.html", rows=rows[:PAGE], sums=sums, text=text,
        next_page=with_query(here, q=text, before=rows[PAGE - 1].started_at) if len(rows) > PAGE else "",
        first_page=with_query(here, q=text) if before else "",
    )  # fmt: skip
