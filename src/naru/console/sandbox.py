"""Development only: the clock, faults and deposits of the sandbox."""

from __future__ import annotations

from typing import Final

from litestar.exceptions import HTTPException

from naru.console.visit import Answer, Visit, action, page
from naru.domain.values import DAY, HOUR, MINUTE
from naru.service.console_access import Role

SPANS: Final = {"15m": 15 * MINUTE, "1h": HOUR, "12h": 12 * HOUR, "1d": DAY, "7d": 7 * DAY, "31d": 31 * DAY}
FAULTS: Final = (
    "request_lost", "answer_lost", "delay", "http_500", "half_body", "wrong_amount", "noti_lost", "noti_doubled",
    "noti_late", "noti_forged",
)  # fmt: skip


def _only_in_development(visit: Visit) -> None:
    if not visit.cx.development:
        raise HTTPException(status_code=404)


@page("/sandbox")
async def show(visit: Visit) -> Answer:
    """What can be made to happen."""
    _only_in_development(visit)
    return await visit.page(
        "sandbox.html", spans=list(SPANS), faults=FAULTS, sandbox_url=visit.request.app.state["sandbox_url"]
    )


@action("/sandbox/clock", need=Role.OPERATOR)
async def clock(visit: Visit) -> Answer:
    """Move gateway and sandbox forward together."""
    _only_in_development(visit)
    visit.back = f"{visit.base}/sandbox"
    ms = SPANS.get(visit.form.text("span", 5))
    if ms is None:
        return visit.to(visit.back)
    ran = await visit.request.app.state["advance"](ms)
    return await visit.go(visit.back, "sandbox.moved", n=ran)


async def _tell(visit: Visit, path: str, body: dict[str, object]) -> Answer:
    status, text = await visit.request.app.state["tell_sandbox"](path, body)
    if 200 <= status < 300:
        return await visit.go(visit.back, "sandbox.done")
    return await visit.go(visit.back, "sandbox.refused", "bad", text=text)


@action("/sandbox/faults", need=Role.OPERATOR)
async def fault(visit: Visit) -> Answer:
    """Let the sandbox misbehave once or several times."""
    _only_in_development(visit)
    visit.back = f"{visit.base}/sandbox"
    name = visit.form.text("name", 40)
    if name not in FAULTS:
        return visit.to(visit.back)
    return await _tell(visit, "faults", {"name": name, "times": visit.form.integer("times") or 1})


@action("/sandbox/deposits", need=Role.OPERATOR)
async def deposit(visit: Visit) -> Answer:
    """Let somebody pay into a virtual account."""
    _only_in_development(visit)
    visit.back = f"{visit.base}/sandbox"
    body: dict[str, object] = {
        "account": visit.form.text("account", 40), "amount": str(visit.form.integer("amount") or 0),
        "depositor": visit.form.text("depositor", 20) or "홍길동",
    }  # fmt: skip
    return await _tell(visit, "deposits", body)
