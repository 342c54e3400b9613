"""What waits for a person: closing alarms, looking at an open attempt now."""

from __future__ import annotations

from typing import Any

from naru.domain.values import SECOND
from naru.service import reconcile
from naru.service.context import Context
from naru.store import mail, payments, people, statements
from naru.store.db import Tx
from naru.store.people import Actor

IN_FLIGHT_MS = 40 * SECOND
"""An attempt this young belongs to the request that made it."""


async def close_alarm(cx: Context, actor: Actor, alarm: Any) -> None:
    """Somebody has dealt with it."""

    def work() -> Tx[None]:
        yield from mail.close_alarm(alarm.key, actor.who, cx.clock())
        yield from people.note_change(
            actor, "alarm_closed", alarm.imp_uid or alarm.kind, cx.clock(), store_id=alarm.store_id,
            detail={"text": alarm.text},
        )  # fmt: skip

    await cx.db.write(work)


async def look_now(cx: Context, store_id: int, attempt_id: str) -> str | None:
    """Ask the PG about an open attempt before its time. Its state afterwards; None when it is not this store's."""
    row = await cx.db.read(payments.attempt_row, attempt_id)
    if row is None or row.store_id != store_id:
        return None
    if row.check_at is not None and cx.clock() - row.asked_at >= IN_FLIGHT_MS:
        await reconcile.check(cx, row.id, row.checks + 1)
    after = await cx.db.read(payments.attempt_row, attempt_id)
    assert after is not None
    return str(after.state)


async def explain(cx: Context, actor: Actor, store_id: int, line: int, text: str) -> bool:
    """Say why a line of a compared day differs. False when it is not this store's."""

    def work() -> Tx[bool]:
        trade = yield from statements.explain(line, store_id, text, actor.who)
        if trade is None:
            return False
        yield from people.note_change(actor, "explained", trade, cx.clock(), store_id=store_id, detail={"text": text})
        return True

    return await cx.db.write(work)


async def note(
    cx: Context, actor: Actor, action: str, target: str, store_id: int, detail: dict[str, Any] | None = None
) -> None:
    """Write a change down that a use case of its own has made."""

    def work() -> Tx[None]:
        yield from people.note_change(actor, action, target, cx.clock(), store_id=store_id, detail=detail)

    await cx.db.write(work)
