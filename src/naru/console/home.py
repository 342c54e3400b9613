"""홈: how the store is doing, and what waits for a person."""

from __future__ import annotations

from typing import Any, Final

from markupsafe import Markup

from naru.console import charts, pages
from naru.console.payments import has_live
from naru.console.problems import PATIENCE_MS
from naru.console.visit import Answer, Visit, page
from naru.domain.values import DAY, KST_AHEAD, kst_date, kst_midnight
from naru.store import console, stores

SPANS: Final = {"7": 7, "30": 30, "180": 180}


def _label(day_number: int) -> str:
    return pages.iso_day(kst_date(day_number * DAY - KST_AHEAD))


def _methods(rows: list[Any]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, int]] = {}
    for r in rows:
        found.setdefault(r.pay_method, {})[r.status] = r.n
    listed: list[dict[str, Any]] = []
    for method, by in sorted(found.items()):
        good = by.get("paid", 0) + by.get("cancelled", 0)
        tried = good + by.get("failed", 0)
        share = good / tried if tried else 0.0
        listed.append({"method": method, "good": good, "tried": tried, "share": share, "bar": charts.meter(share)})
    return listed


def _span(visit: Visit) -> str:
    span = visit.query.text("days", 3)
    return span if span in SPANS else "30"


@page("")
async def home(visit: Visit) -> Answer:
    """Counts at once; the charts follow (a part of the page, or the page itself without JavaScript)."""
    cx, store_id = visit.cx, visit.here.id
    channels = await cx.db.read(stores.channels_of, store_id, cx.vault)
    counts = await cx.db.read(console.counts, store_id, cx.clock(), PATIENCE_MS)
    any_payment = await cx.db.read(console.any_payment, store_id)
    span = _span(visit)
    steps = {
        "channel": any(not c.disabled for c in channels),
        "webhook": bool(visit.here.webhook_url or visit.here.webhook_url_test),
        "payment": any_payment,
    }
    return await visit.page("home.html", counts=counts, steps=steps, span=span, spans=list(SPANS))


@page("/volume")
async def volume(visit: Visit) -> Answer:
    """Charts and rates of some days: a part of the first page, which does not wait for them, or a page by itself."""
    channels = await visit.cx.db.read(stores.channels_of, visit.here.id, visit.cx.vault)
    span = _span(visit)
    found = await _volume(visit, channels, span)
    if visit.is_part:
        return visit.part("home_volume.html", volume=found)
    return await visit.page("home_volume_page.html", volume=found, span=span)


async def _volume(visit: Visit, channels: list[Any], span: str) -> dict[str, Any]:
    cx = visit.cx
    test = 0 if has_live(channels) else None
    until = kst_midnight(cx.clock()) + DAY
    since = until - SPANS[span] * DAY
    by_day = await cx.db.read(console.daily, visit.here.id, since, until, test)
    first = (since + KST_AHEAD) // DAY
    days = [charts.Day(_label(first + n), *by_day.get(first + n, (0, 0))) for n in range(SPANS[span])]
    rates = await cx.db.read(console.rates, visit.here.id, since, until, test)
    chart: Markup = charts.bars(visit.t, days)
    return {
        "chart": chart, "days": days, "methods": _methods(rates), "came": sum(d.came for d in days),
        "back": sum(d.back for d in days), "today": days[-1], "live": test == 0,
    }  # fmt: skip
