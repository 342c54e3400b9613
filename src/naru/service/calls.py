"""The request log: whose calls are kept, where their webhooks went, and for how long.

Only stores without a live channel have one: their money is no money, and what a developer typed is
worth keeping for a few days. Nothing here is needed by anything else, so nothing here may fail others.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from naru.domain.values import DAY, Instant
from naru.service import webhooks
from naru.service.context import Context
from naru.store import calls, stores

MOST_KEPT = 2_000
"""Calls kept per store."""
KEPT_MS = 7 * DAY
NOBODY = 0
"""The store of calls that belong to none, such as those with a wrong token; kept in development only."""


@dataclass(slots=True)
class Call:
    """One call, harmless already: no token, no secret, no card."""

    at: Instant
    method: str
    path: str
    operation: str | None
    status: int
    code: int | None
    message: str | None
    took_us: int
    imp_uid: str | None
    merchant_uid: str | None
    params: str
    facts: dict[str, Any]
    store_id: int | None = None
    imp_code: str | None = None
    imp_key: str | None = None
    """Who asked, where no token said so."""
    key_id: int | None = None

    @property
    def bad(self) -> bool:
        """Whether it went wrong from the caller's point of view."""
        return self.status >= 400 or self.code not in (None, 0)


async def is_kept(cx: Context, store_id: int) -> bool:
    """Whether a store's calls are kept: it has no live channel, not even one that is switched off."""
    return not any(not c.is_test for c in await cx.channels(store_id))


async def _whose(cx: Context, call: Call) -> int | None:
    if call.store_id is not None:
        return call.store_id
    if call.key_id is not None:
        key = await cx.api_key(call.key_id)
        if key is not None:
            return key.store_id
    if call.imp_key:
        key = await cx.db.glance(stores.api_key, call.imp_key)
        if key is not None:
            return key.store_id
    if call.imp_code:
        store = await cx.db.glance(stores.store_by_code, call.imp_code)
        if store is not None:
            return store.id
    return NOBODY if cx.development else None


async def keep(cx: Context, waiting: Sequence[Call]) -> set[int]:
    """Write down those of these calls that are kept. Returns the stores whose calls are not kept."""
    off: set[int] = set()
    kept: list[tuple[int, Call]] = []
    for call in waiting:
        store_id = await _whose(cx, call)
        if store_id is None or store_id in off:
            continue
        if store_id != NOBODY and not await is_kept(cx, store_id):
            off.add(store_id)
            await cx.db.write(calls.forget, store_id)  # what it asked while it was a test store
            continue
        kept.append((store_id, call))
    imp_uids = sorted({c.imp_uid for _, c in kept if c.imp_uid and c.method != "GET"})
    paid = await cx.db.read(calls.told, imp_uids) if imp_uids else {}
    rows: list[dict[str, Any]] = []
    for store_id, call in kept:
        row = paid.get(call.imp_uid or "") if call.method != "GET" else None
        if row is not None and row.store_id == store_id:
            call.facts["notice_url"] = webhooks.addresses(row, await cx.store(store_id))
        rows.append(
            {
                "store_id": store_id, "at": call.at, "method": call.method, "path": call.path,
                "operation": call.operation, "status": call.status, "code": call.code, "message": call.message,
                "bad": int(call.bad), "took_us": call.took_us, "imp_uid": call.imp_uid,
                "merchant_uid": call.merchant_uid, "params": call.params,
                "facts": json.dumps(call.facts, ensure_ascii=False),
            }
        )  # fmt: skip
    if rows:
        await cx.db.write(calls.add, rows)
    return off


async def tidy(cx: Context, store_ids: set[int]) -> None:
    """Drop what is too old or too much."""
    await cx.db.write(calls.drop, sorted(store_ids), MOST_KEPT, cx.clock() - KEPT_MS)
