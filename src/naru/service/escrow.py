"""Delivery data of escrow payments. Hecto documents no message for it, so it is kept here and goes nowhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from naru.domain.refusal import Refused, Why
from naru.domain.values import Instant
from naru.service.context import Context
from naru.store import accounts, payments
from naru.store.db import Tx


@dataclass(frozen=True, slots=True)
class Delivery:
    """Who sends what to whom, and how."""

    sender: Mapping[str, Any]
    receiver: Mapping[str, Any]
    logis: Mapping[str, Any]
    """``company``, ``invoice``, ``sent_at`` (unix seconds), as PortOne has them."""
    products: list[Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """A delivery with the time at which it was last written down."""

    delivery: Delivery
    applied_at: Instant


def _not_found() -> Refused:
    return Refused(Why.NOT_FOUND, what="등록된 배송정보가 없습니다.")


def _escrow_payment(store_id: int, imp_uid: str, *, lock: bool) -> Tx[None]:
    stored = yield from payments.load(imp_uid, lock=lock)
    if stored is None or stored.payment.store_id != store_id:
        raise Refused(Why.PAYMENT_NOT_FOUND)
    if not stored.row.escrow:
        raise Refused(Why.ACCOUNT, problem="에스크로 결제건이 아닙니다.")


def _keep(store_id: int, imp_uid: str, delivery: Delivery, new: bool, now: Instant) -> Tx[None]:
    yield from _escrow_payment(store_id, imp_uid, lock=True)
    known = yield from accounts.logistics_of(store_id, imp_uid)
    if new and known is not None:
        raise Refused(Why.ACCOUNT, problem="이미 등록된 배송정보가 있습니다. 수정은 PUT으로 요청해 주세요.", status=409)
    if not new and known is None:
        raise _not_found()
    texts = {
        "sender": delivery.sender, "receiver": delivery.receiver, "logis": delivery.logis,
        "products": delivery.products,
    }  # fmt: skip
    yield from accounts.set_logistics(
        store_id, imp_uid, **{k: json.dumps(v, ensure_ascii=False) for k, v in texts.items()}, now=now
    )


async def keep(cx: Context, store_id: int, imp_uid: str, delivery: Delivery, *, new: bool) -> Kept:
    """Write down a delivery. Raises Refused (PAYMENT_NOT_FOUND, ACCOUNT, NOT_FOUND)."""
    now = cx.clock()
    await cx.db.write(_keep, store_id, imp_uid, delivery, new, now)
    return Kept(delivery, now)


def _read(store_id: int, imp_uid: str) -> Tx[Any]:
    yield from _escrow_payment(store_id, imp_uid, lock=False)
    return (yield from accounts.logistics_of(store_id, imp_uid))


async def read(cx: Context, store_id: int, imp_uid: str) -> Kept:
    """The delivery of a payment. Raises Refused (PAYMENT_NOT_FOUND, ACCOUNT, NOT_FOUND)."""
    row = await cx.db.read(_read, store_id, imp_uid)
    if row is None:
        raise _not_found()
    delivery = Delivery(
        json.loads(row.sender), json.loads(row.receiver), json.loads(row.logis), json.loads(row.products)
    )
    return Kept(delivery, row.updated_at)
