"""What a settled payment means for billing keys and schedules: part of the transaction that settles it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from naru import logs
from naru.domain.billing import KeyState, Usage, next_retry
from naru.domain.outcome import Details
from naru.domain.payment import Payment, Status, Void, show
from naru.domain.values import Instant
from naru.service import webhooks
from naru.store import billing, mail, payments, schedules, stores
from naru.store.billing import NewKey
from naru.store.db import Tx
from naru.store.payments import Stored

log = logs.logger("billing")

DELETE_KEY = "key_delete"
"""The job that asks Hecto to delete a billing key until it has."""
ISSUE = "issue_key"
SCHEDULE = "schedule"
NO_RETRY = "no_retry"


def follow(
    before: Stored, after: Payment, now: Instant, *, key: Callable[[], NewKey] | None, details: Details | None
) -> Tx[None]:
    """Keep the billing key that was asked for; end the schedule that this payment executes."""
    row = before.row
    if row.customer_uid is None:
        return
    extra = json.loads(row.extra)
    if key is not None and extra.get(ISSUE) and after.received:
        yield from _keep(row, after, key(), details, now)
    if SCHEDULE in extra:
        yield from _executed(row, after, extra, now)


def owe_deletion(key_id: int, store_id: int, run_at: int, now: Instant) -> Tx[None]:
    """Owe the job that deletes a key at Hecto."""
    yield from mail.owe(
        DELETE_KEY, f"{DELETE_KEY}:{key_id}", json.dumps({"key": key_id}), store_id=store_id, imp_uid=None,
        run_at=run_at, now=now,
    )  # fmt: skip


def _keep(row: Any, after: Payment, key: NewKey, details: Details | None, now: Instant) -> Tx[None]:
    """Store the key under its customer_uid; too late, or with an approval that is taken back, it is not charged."""
    holder = yield from billing.lock_customer(row.store_id, row.customer_uid)
    nobodys = after.void in (Void.TOLD_FAILED, Void.DUPLICATE)
    late = yield from billing.overtaken(row.store_id, row.customer_uid, row.started_at)
    told = details or Details()
    key_id = yield from billing.add_key(
        {
            "store_id": row.store_id,
            "customer_uid": row.customer_uid,
            "channel_id": row.channel_id,
            "source": key.source,
            "state": (KeyState.DELETING if nobodys else KeyState.LIVE).value,
            "sealed": key.sealed,
            "mac": key.mac,
            "card_name": told.card_name or row.card_name,
            "card_code": told.card_code or row.card_code,
            "card_number": told.card_number or row.card_number,
            "customer_name": row.buyer_name,
            "customer_tel": row.buyer_tel,
            "customer_email": row.buyer_email,
            "customer_addr": row.buyer_addr,
            "customer_postcode": row.buyer_postcode,
            "asked_at": row.started_at,
            "issued_at": now,
            "replaced_at": now if late and not nobodys else None,
        }
    )
    if key_id is None:
        return  # told before
    if nobodys:
        yield from owe_deletion(key_id, row.store_id, now, now)
        return
    if not late:
        yield from billing.point(holder, key_id, now)
    yield from payments.set_usage(row.imp_uid, row.customer_uid, Usage.ISSUE.value)


def _executed(row: Any, after: Payment, extra: dict[str, Any], now: Instant) -> Tx[None]:
    status = show(after).status
    if status.value == row.status or row.status not in (Status.READY, Status.FAILED):
        return
    schedule = yield from schedules.by_id(extra[SCHEDULE], lock=True)
    assert schedule is not None
    if status is not Status.FAILED:
        yield from schedules.settled(schedule, row.imp_uid, row.started_at, None, schedule.retries, now)
        return
    # PortOne's only webhook about a failure.
    yield from webhooks.owe(row, f"{row.imp_uid}:failed", status.value, now)
    if schedule.imp_uid != row.imp_uid:
        return
    again = None
    store = yield from stores.store(row.store_id)
    hour = store.dunning_hour if store is not None else None
    if not extra.get(NO_RETRY):
        again = next_retry(now, hour, schedule.retries)
    retries = schedule.retries + (again is not None)
    yield from schedules.settled(schedule, row.imp_uid, row.started_at, again, retries, now)
    if hour is not None and again is None and not extra.get(NO_RETRY):
        yield from mail.raise_alarm(
            f"dunning_over:{row.imp_uid}", "dunning_over",
            f"예약결제 {row.merchant_uid}의 재시도를 마쳤지만 결제되지 않았습니다 ({schedule.retries}회)",
            store_id=row.store_id, imp_uid=row.imp_uid, now=now,
        )  # fmt: skip
