"""결제알림(Webhook): where they go, how they are signed and sent again, what became of each."""

from __future__ import annotations

import json
from typing import Final

from litestar.exceptions import HTTPException

from naru.console.visit import Answer, Visit, action, page, with_query
from naru.service import console_keys as keys
from naru.service.console_access import Role
from naru.store import console, stores

PAGE: Final = 50
MOST_AT_ONCE: Final = 500
_FAR: Final = 1 << 62


def before_of(visit: Visit) -> int:
    """Where a list by number goes on."""
    return visit.query.integer("before") or _FAR


async def _settings(visit: Visit, secret: str = "", status: int = 200) -> Answer:
    overlap = await visit.cx.db.read(stores.webhook_overlap, visit.here.id)
    return await visit.page(
        "webhook_settings.html", status, types=keys.CONTENT_TYPES, policies=keys.POLICIES, overlaps=list(keys.OVERLAPS),
        stamp=await keys.webhook_stamp(visit.cx, visit.here.id), secret=secret,
        overlap=overlap if overlap and overlap > visit.cx.clock() else None,
    )  # fmt: skip


@page("/webhooks")
async def log(visit: Visit) -> Answer:
    """The delivery log."""
    state = visit.query.text("state", 10)
    state = state if state in console.WEBHOOK_STATES else ""
    before = before_of(visit)
    rows = await visit.cx.db.read(console.webhooks_page, visit.here.id, state, before, PAGE + 1)
    shown = rows[:PAGE]
    here = f"{visit.base}/webhooks"
    return await visit.page(
        "webhooks.html", rows=shown, payloads={r.id: json.loads(r.payload) for r in shown}, state=state,
        states=console.WEBHOOK_STATES, next_page=with_query(here, state=state, before=shown[-1].id)
        if len(rows) > PAGE else "", first_page=with_query(here, state=state) if before != _FAR else "",
    )  # fmt: skip


@page("/webhooks/settings")
async def settings(visit: Visit) -> Answer:
    """Addresses, content type, secret, policy."""
    return await _settings(visit)


@action("/webhooks/settings", need=Role.OWNER)
async def change(visit: Visit) -> Answer:
    """Change them."""
    form = visit.form
    visit.back = f"{visit.base}/webhooks/settings"
    await keys.set_webhook(
        visit.cx, visit.actor, visit.here.id, url=form.text("url", 1001), url_test=form.text("url_test", 1001),
        content_type=form.text("type", 60), policy=form.text("retry", 20),
    )  # fmt: skip
    return await visit.go(visit.back, "frame.saved")


@action("/webhooks/secret", need=Role.OWNER)
async def rotate(visit: Visit) -> Answer:
    """A new signing secret, shown in this answer and never again."""
    visit.back = f"{visit.base}/webhooks/settings"
    secret = await keys.rotate_webhook_secret(
        visit.cx, visit.actor, visit.here.id, visit.form.text("stamp", 40), visit.form.text("overlap", 10)
    )
    return await _settings(visit, secret)


@action("/webhooks/test")
async def test(visit: Visit) -> Answer:
    """호출 테스트: post the sample body to a saved address."""
    visit.back = f"{visit.base}/webhooks/settings"
    which = visit.form.text("which")
    url = visit.here.webhook_url_test if which == "test" else visit.here.webhook_url
    if not url:
        return await visit.go(visit.back, "webhooks.no_address", "bad")
    status, error, took = await visit.request.app.state["probe"](visit.here, url)
    if status is not None and 200 <= status < 300:
        return await visit.go(visit.back, "webhooks.test_good", status=status, ms=took)
    if error is not None and error.startswith("ForbiddenTarget"):
        return await visit.go(visit.back, "webhooks.test_private", "bad")
    return await visit.go(visit.back, "webhooks.test_bad", "bad", problem=error or f"HTTP {status}", ms=took)


@action("/webhooks/resend")
async def resend_many(visit: Visit) -> Answer:
    """Send the ticked ones again, or every one that was given up."""
    visit.back = f"{visit.base}/webhooks"
    if visit.form.flag("dead"):
        rows = await visit.cx.db.read(console.webhooks_page, visit.here.id, "dead", _FAR, MOST_AT_ONCE)
        chosen = [r.id for r in rows]
    else:
        chosen = [int(x) for x in visit.form.every("job")[:MOST_AT_ONCE] if x.isascii() and x.isdigit() and len(x) < 19]
    done = await keys.resend(visit.cx, visit.actor, visit.here, chosen)
    return await visit.go(visit.back, "webhooks.resent", "good" if done else "plain", n=done)


@page("/webhooks/{job:str}")
async def detail(visit: Visit) -> Answer:
    """One webhook with every try."""
    found = await visit.cx.db.read(console.webhook, visit.here.id, visit.number("job"))
    if found is None:
        raise HTTPException(status_code=404)
    job, tries = found
    return await visit.page("webhook.html", job=job, tries=tries, payload=json.loads(job.payload))
