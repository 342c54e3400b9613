"""Looking a payment up is also how a shop learns what became of it."""

from __future__ import annotations

from naru.domain.refusal import Refused, Why
from naru.service.context import Context
from naru.store import payments, views
from naru.store.db import Unavailable

MOST_HEARD = 10_000
"""Look-ups not yet written down; more are not kept, which at worst shows a payment as not yet looked up."""


async def look_up(cx: Context, store_id: int, imp_uid: str) -> views.PaymentView:
    """A payment of the caller's store. Raises Refused (PAYMENT_NOT_FOUND)."""
    view = await cx.db.glance(views.payment, store_id, imp_uid)
    if view is None:
        raise Refused(Why.PAYMENT_NOT_FOUND)
    await learnt(cx, view)
    return view


async def learnt(cx: Context, view: views.PaymentView) -> None:
    """The shop sees this payment: a cancel that it was told is "being checked" needs no repeating any more."""
    if view.row.heard_at is None and len(cx.heard) < MOST_HEARD:
        cx.heard.setdefault(view.row.imp_uid, cx.clock())
    if view.back and await cx.db.glance(payments.unseen, view.row.imp_uid):
        await cx.db.write(payments.mark_seen, view.row.imp_uid)


async def write_heard(cx: Context) -> int:
    """Write down which payments were looked up for the first time: in one go, not one commit per look-up."""
    if not cx.heard:
        return 0
    heard, cx.heard = cx.heard, {}
    try:
        await cx.db.write(payments.mark_all_heard, heard)
    except Unavailable:
        cx.heard = cx.heard | heard  # the first time counts
        raise
    return 0  # nothing that others wait for
