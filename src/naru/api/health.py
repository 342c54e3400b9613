"""``/health``: 200 only when requests can be served."""

from __future__ import annotations

import asyncio
from typing import Final

from litestar import Response, get

from naru.api import answers
from naru.api.guard import ApiRequest, context
from naru.store import stores
from naru.store.db import Unavailable

ANSWERS_WITHIN_S: Final = 3.0
"""Shorter than what proxies wait for a health check."""


@get("/health")
async def health(request: ApiRequest) -> Response[bytes]:
    """Whether the database answers, and soon: whoever asks here decides on it where to send buyers.

    A disk that turned read-only answers look-ups still. So after a write that failed this writes something itself,
    until that succeeds: nobody else may come by any more.
    """
    cx = context(request)
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            if cx.db.stats.refusing:
                await cx.db.write(stores.set_meta, "health", str(cx.clock()))
            await cx.db.glance(stores.get_meta, "health")
    except TimeoutError as exc:
        raise Unavailable("the database does not answer") from exc
    return Response(b'{"status":"ok"}', media_type=answers.JSON)


HANDLERS = [health]
