"""요청 기록: what the shop's developer asked of the API lately, and what was answered."""

from __future__ import annotations

import json
from typing import Any, Final

from litestar.exceptions import HTTPException

from naru.console.visit import Answer, Visit, page, with_query
from naru.console.webhooks import before_of
from naru.service.calls import KEPT_MS, MOST_KEPT, NOBODY, is_kept
from naru.store import calls

PAGE: Final = 50
_FAR: Final = 1 << 62


async def _stores(visit: Visit) -> tuple[int, ...]:
    """Whose calls are shown: this store's; in development also those that named no store. Writes what waits first."""
    waiting = visit.request.app.state["calls"]
    if waiting is not None:
        await waiting.flush()
    return (visit.here.id, NOBODY) if visit.cx.development else (visit.here.id,)


def hints(row: Any, params: list[dict[str, Any]], facts: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """What to look at first, as keys of the catalogue with their facts."""
    found: list[tuple[str, dict[str, Any]]] = []
    if row.operation is None:
        found.append(("calls.hint_path", {"method": row.method, "path": row.path}))
    elif row.status == 401 and row.operation != "/users/getToken":
        found.append(("calls.hint_token" if facts.get("token") else "calls.hint_no_token", {}))
    elif row.status == 401:
        found.append(("calls.hint_secret", {}))
    if facts.get("body") == "broken":
        found.append(("calls.hint_broken", {}))
    for p in params if row.operation is not None and facts.get("body") != "broken" else ():
        if "unknown" in p:
            meant = p["unknown"]
            key = "calls.hint_meant" if meant else "calls.hint_unknown"
            found.append((key, {"name": p["name"], "meant": meant}))
    if row.bad and row.code not in (None, 0) and row.imp_uid and row.method != "GET":
        found.append(("calls.hint_payment", {}))
    return found


@page("/calls")
async def listed(visit: Visit) -> Answer:
    """The newest calls, those that went wrong, or those about one payment."""
    stores = await _stores(visit)
    bad, text, before = visit.query.text("bad", 1) == "1", visit.query.text("q", 100), before_of(visit)
    rows = await visit.cx.db.read(calls.page, stores, before, PAGE + 1, bad=bad, text=text)
    shown = rows[:PAGE]
    here = f"{visit.base}/calls"
    kept = {"bad": "1" if bad else "", "q": text}
    return await visit.page(
        "calls.html", rows=shown, bad=bad, text=text, on=visit.request.app.state["calls"] is not None,
        live=not await is_kept(visit.cx, visit.here.id), most=MOST_KEPT, days=KEPT_MS // 86_400_000,
        odd={r.id: sum("unknown" in p for p in json.loads(r.params)) if r.operation else 0 for r in shown},
        next_page=with_query(here, before=shown[-1].id, **kept) if len(rows) > PAGE else "",
        first_page=with_query(here, **kept) if before != _FAR else "",
    )  # fmt: skip


@page("/calls/{call:str}")
async def detail(visit: Visit) -> Answer:
    """One call."""
    row = await visit.cx.db.read(calls.one, await _stores(visit), visit.number("call"))
    if row is None:
        raise HTTPException(status_code=404)
    params, facts = json.loads(row.params), json.loads(row.facts)
    return await visit.page("call.html", row=row, params=params, facts=facts, hints=hints(row, params, facts))
