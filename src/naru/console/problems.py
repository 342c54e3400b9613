"""확인 필요: results nobody knows yet, payments the shop never answered for, alarms."""

from __future__ import annotations

from typing import Final

from litestar.exceptions import HTTPException

from naru.console.visit import Answer, Visit, action, page
from naru.domain.values import MINUTE
from naru.service import by_hand
from naru.service import console_alarms as desk
from naru.store import console

PATIENCE_MS: Final = 10 * MINUTE
MOST: Final = 200
_FAR: Final = 1 << 62


@page("/problems")
async def overview(visit: Visit) -> Answer:
    """All three lists."""
    now, store_id = visit.cx.clock(), visit.here.id
    attempts = await visit.cx.db.read(console.open_attempts, store_id, MOST)
    windows = [a for a in attempts if a.op == "pay" and a.route != "api"]
    unknown = [a for a in attempts if a.op != "pay" or a.route == "api"]
    silent = await visit.cx.db.read(console.unheard, store_id, now - PATIENCE_MS, MOST)
    alarms = await visit.cx.db.read(console.alarms_page, store_id, True, _FAR, MOST)
    closed = await visit.cx.db.read(console.alarms_page, store_id, False, _FAR, 20)
    stuck = {
        a.id for a in unknown
        if a.op == "issue" and by_hand.needs_a_person(a.state, escrow=bool(a.escrow), asked_at=a.asked_at, now=now)
    }  # fmt: skip
    return await visit.page(
        "problems.html", unknown=unknown, stuck=stuck, windows=windows, silent=silent, alarms=alarms, closed=closed
    )


@action("/problems/alarms/{alarm:str}")
async def close(visit: Visit) -> Answer:
    """Somebody has dealt with it."""
    visit.back = f"{visit.base}/problems"
    alarm = await visit.cx.db.read(console.alarm, visit.number("alarm"))
    if alarm is None or alarm.store_id != visit.here.id:
        raise HTTPException(status_code=404)

    await desk.close_alarm(visit.cx, visit.actor, alarm)
    return await visit.go(visit.back, "problems.closed")


@action("/problems/check/{attempt:str}")
async def look_now(visit: Visit) -> Answer:
    """Ask Hecto about one attempt now instead of at its time."""
    visit.back = f"{visit.base}/problems"
    state = await desk.look_now(visit.cx, visit.here.id, visit.param("attempt"))
    if state is None:
        raise HTTPException(status_code=404)
    kind = "plain" if state in console.OPEN_STATES else "good"
    return await visit.go(visit.back, "problems.looked", kind, state=visit.t(f"state.{state}"))


@action("/problems/issues/{attempt:str}/issued")
async def issued(visit: Visit) -> Answer:
    """Hecto's staff said that it issued this account, and under which number."""
    visit.back = f"{visit.base}/problems"
    form = visit.form
    revoking = await by_hand.issued(
        visit.cx, visit.actor, visit.here.id, visit.param("attempt"), trd_no=form.text("trd_no", 60),
        bank=form.text("bank", 3), number=form.text("number", 30),
    )  # fmt: skip
    return await visit.go(visit.back, "problems.issued_revoking" if revoking else "problems.issued")


@action("/problems/issues/{attempt:str}/never")
async def never_issued(visit: Visit) -> Answer:
    """Hecto's staff said that it never issued this account."""
    visit.back = f"{visit.base}/problems"
    await by_hand.never_issued(visit.cx, visit.actor, visit.here.id, visit.param("attempt"))
    return await visit.go(visit.back, "problems.never_issued")
