"""정산 · 대사: days compared with Hecto's lists, payouts, VAT material."""

from __future__ import annotations

from typing import Any, Final

from litestar.exceptions import HTTPException

from naru.console import pages
from naru.console.payments import midnight
from naru.console.visit import MORE_NAV, Answer, Visit, action, page, with_query
from naru.domain.values import DAY, kst_date, kst_midnight
from naru.service import console_alarms, statements
from naru.store import statements as books

MOST_LINES: Final = 2000
SHOWN_DAYS: Final = 31
LONGEST_DAYS: Final = 183
MORE_NAV.append({"path": "/reconciliation", "key": "nav.reconciliation"})


def _vat(row: Any) -> int | None:
    """VAT within a day's net by the channel's 과세설정; mixed channels need each payment's own split."""
    if row.taxation == "taxable":
        return round(int(row.net) / 11)
    return 0 if row.taxation == "free" else None


@page("/reconciliation")
async def overview(visit: Visit) -> Answer:
    """Compared days and payouts."""
    today = kst_midnight(visit.cx.clock())
    until = midnight(visit.query.text("until", 10)) or today
    since = midnight(visit.query.text("since", 10)) or until - (SHOWN_DAYS - 1) * DAY
    since = max(min(since, until), until - LONGEST_DAYS * DAY)
    rows = await visit.cx.db.read(books.days, visit.here.id, kst_date(since), kst_date(until))
    asked = [r for r in rows if r.kind == "trades"]
    trades = [r for r in asked if r.n or r.state in ("waiting", "failed")]
    payouts = [r for r in rows if r.kind == "payouts" and (r.n or r.state == "failed")]
    given = {name: visit.query.text(name, 10) for name in ("since", "until")}
    again = with_query(f"{visit.base}/reconciliation", **given)
    return await visit.page(
        "reconciliation.html", trades=trades, empty=len(asked) - len(trades), payouts=payouts,
        vat={r.id: _vat(r) for r in trades},
        waiting=any(r.state == "waiting" and r.asked_at > visit.cx.clock() - 120_000 for r in rows),
        again=again,
        since=pages.iso_day(kst_date(since)), until=pages.iso_day(kst_date(until)),
        yesterday=pages.iso_day(kst_date(today - DAY)), today=pages.iso_day(kst_date(today)),
    )  # fmt: skip


@action("/reconciliation")
async def compare(visit: Visit) -> Answer:
    """Compare a day now."""
    visit.back = f"{visit.base}/reconciliation"
    at = midnight(visit.form.text("day", 10))
    if at is None or at > visit.cx.clock() or at < visit.cx.clock() - LONGEST_DAYS * DAY:
        return await visit.go(visit.back, "recon.bad_day", "bad")
    n = await statements.order(visit.cx, visit.actor, visit.here.id, kst_date(at))
    return await visit.go(visit.back, "recon.ordered" if n else "channels.none", "good" if n else "bad")


async def _statement(visit: Visit) -> Any:
    row = await visit.cx.db.read(books.one, visit.number("statement"))
    if row is None or row.store_id != visit.here.id:
        raise HTTPException(status_code=404)
    return row


@page("/reconciliation/{statement:str}")
async def detail(visit: Visit) -> Answer:
    """One day of one channel, line by line."""
    row = await _statement(visit)
    channel = await visit.cx.channel(visit.here.id, row.channel_id)
    lines = await visit.cx.db.read(books.lines, row.id, MOST_LINES)
    return await visit.page("reconciliation_day.html", row=row, channel=channel, lines=lines, most=MOST_LINES)


@action("/reconciliation/{statement:str}/{line:str}")
async def explain(visit: Visit) -> Answer:
    """Say why a line differs."""
    row = await _statement(visit)
    visit.back = f"{visit.base}/reconciliation/{row.id}"
    if not await console_alarms.explain(
        visit.cx, visit.actor, visit.here.id, visit.number("line"), visit.form.text("text", 300)
    ):
        raise HTTPException(status_code=404)
    return await visit.go(visit.back, "frame.saved")
