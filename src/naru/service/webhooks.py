"""Which webhooks an event owes. The table of PortOne V1 lives here and nowhere else.

Every entry of money gets exactly one row: a webhook to deliver, or a row that says why none is sent.
"""

from __future__ import annotations

import json
from typing import Any

from naru.domain.channel import Store
from naru.domain.payment import Attempt, Purpose
from naru.domain.values import Instant
from naru.store import mail, stores
from naru.store.db import Tx

KIND = "webhook"


def addresses(row: Any, store: Any) -> list[str]:
    """Where this payment's webhooks go: its own ``notice_url``, else the store's address of its mode."""
    if row.notice_urls:
        return json.loads(row.notice_urls)  # type: ignore[no-any-return]
    url = (store.webhook_url_test or store.webhook_url) if row.sandbox else store.webhook_url
    return [url] if url else []


def owe(
    row: Any, event: str, status: str, now: Instant, *, cancellation_id: str | None = None, silent: str | None = None,
    known: Store | None = None,
) -> Tx[None]:  # fmt: skip
    """Owe the webhook of one event. *event* names it for ever; *silent* says why nobody is told.

    *known* is the store, where the caller has it (at most a second old).
    """
    store = known or (yield from stores.store(row.store_id))
    body: dict[str, Any] = {"imp_uid": row.imp_uid, "merchant_uid": row.merchant_uid, "status": status}
    if cancellation_id:
        body["cancellation_id"] = cancellation_id
    urls = [] if silent else addresses(row, store)
    if not urls:
        payload = {"body": body, "silent": silent or "no address"}
        yield from mail.note(KIND, event, json.dumps(payload), store_id=row.store_id, imp_uid=row.imp_uid, now=now)
        return
    for number, url in enumerate(urls):
        payload = {"body": body, "url": url}
        yield from mail.owe(
            KIND,
            f"{event}#{number}",
            json.dumps(payload),
            store_id=row.store_id,
            imp_uid=row.imp_uid,
            run_at=now,
            now=now,
        )


def silence_of_cancel(attempt: Attempt, telling: bool) -> str | None:
    """Why a finished cancel is not told by webhook; None when it is (PortOne V1).

    A shop that hears the result as the answer to its request has a webhook only if it asked for one;
    a result that was open when its caller was answered (or died) is always told.
    """
    if attempt.purpose is Purpose.NET:
        return "net cancel"
    if attempt.purpose is Purpose.SHOP and telling and not attempt.webhook:
        return "enable_webhook was not set"
    return None
