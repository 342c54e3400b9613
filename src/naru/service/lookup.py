"""Looking a payment up is also how a shop learns what became of it."""

from __future__ import annotations

from naru.domain.refusal import Refused, Why
from naru.service.context import Context
from naru.store import payments, views


async def look_up(cx: Context, store_id: int, imp_uid: str) -> views.PaymentView:
    """A payment of the caller's store. Raises Refused (PAYMENT_NOT_FOUND)."""
    view = await cx.db.glance(views.payment, store_id, imp_uid)
    if view is None:
        raise Refused(Why.PAYMENT_NOT_FOUND)
    await learnt(cx, view)
    return view


async def learnt(cx: Context, view: views.PaymentView) -> None:
    """The shop sees this payment: a cancel that it was told is "being checked" needs no repeating any more."""
    if view.back and await cx.db.glance(payments.unseen, view.row.imp_uid):
        await cx.db.write(payments.mark_seen, view.row.imp_uid)
