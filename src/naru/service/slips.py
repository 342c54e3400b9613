"""What a sales slip shows: a payment that was ever paid, its cancels, its cash receipt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from naru.domain.channel import Channel
from naru.domain.payment import MONEY_IN
from naru.service.context import Context
from naru.service.ports import SlipQuestion
from naru.service.receipts import standing
from naru.store import payments, receipts


@dataclass(frozen=True, slots=True)
class Slip:
    """A paid payment. *received* and the cancels in KRW."""

    row: Any
    channel: Channel
    received: int
    back: list[Any]
    receipt: str | None
    """Approval number of the cash receipt that stands."""
    to_pg: SlipQuestion
    """The trade, as the PG's own slip page asks for it."""


async def find(cx: Context, imp_uid: str) -> Slip | None:
    """The slip of a payment; None when nothing was ever paid."""
    stored = await cx.db.read(payments.load, imp_uid)
    if stored is None or stored.row.paid_at is None:
        return None
    p, row = stored.payment, stored.row
    came = [e for e in p.entries if e.kind in MONEY_IN]
    back = sorted((e for e in p.entries if e.kind not in MONEY_IN), key=lambda e: (e.at, e.id))
    now = standing(await cx.db.read(receipts.of_payment, imp_uid))
    return Slip(
        row=row,
        channel=await cx.channel(p.store_id, p.channel_id),
        received=p.received,
        back=back,
        receipt=now.issued.auth_no if now is not None and now.cancelled is None else None,
        to_pg=SlipQuestion(p.pay_method, came[0].pg_tid, came[0].at),
    )
