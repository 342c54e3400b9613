"""Amount pre-registration: what a shop registers for an order, its window payment must match.

A buyer's browser can change the amount that the page asks for; it cannot change this one. Payments
over the API come from the shop's server and are not compared (PortOne V1).
"""

from __future__ import annotations

from dataclasses import dataclass

from naru.domain.refusal import Refused, Why
from naru.service.context import Context
from naru.store import prepares
from naru.store.db import Tx


@dataclass(frozen=True, slots=True)
class Prepared:
    """A registered amount (KRW). *currency* None: not compared."""

    merchant_uid: str
    amount: int
    currency: str | None


async def register(cx: Context, store_id: int, wanted: Prepared) -> Prepared:
    """Register an order once. Raises Refused (PREPARED_ALREADY)."""
    made = await cx.db.write(
        prepares.add, store_id, wanted.merchant_uid, wanted.amount, wanted.currency, cx.clock()
    )  # fmt: skip
    if not made:
        raise Refused(Why.PREPARED_ALREADY, merchant_uid=wanted.merchant_uid)
    return wanted


async def change(cx: Context, store_id: int, wanted: Prepared) -> Prepared:
    """Change what is registered. Raises Refused (PREPARED_NOT_FOUND)."""
    found = await cx.db.write(
        prepares.change, store_id, wanted.merchant_uid, wanted.amount, wanted.currency, cx.clock()
    )  # fmt: skip
    if not found:
        raise Refused(Why.PREPARED_NOT_FOUND)
    return wanted


async def look_up(cx: Context, store_id: int, merchant_uid: str) -> Prepared:
    """What is registered. Raises Refused (PREPARED_NOT_FOUND)."""
    row = await cx.db.glance(prepares.find, store_id, merchant_uid)
    if row is None:
        raise Refused(Why.PREPARED_NOT_FOUND)
    return Prepared(row.merchant_uid, row.amount, row.currency)


def demand_registered(store_id: int, merchant_uid: str, amount: int, currency: str) -> Tx[None]:
    """Let a window payment through only as registered; without a registration anything is fine.

    Part of the transaction that opens the window. Raises Refused (PREPARED_DIFFERS).
    """
    row = yield from prepares.find(store_id, merchant_uid)
    if row is not None and (row.amount != amount or row.currency not in (None, currency)):
        raise Refused(
            Why.PREPARED_DIFFERS,
            registered=row.amount, asked=amount, currency=row.currency or currency, asked_currency=currency,
        )  # fmt: skip
