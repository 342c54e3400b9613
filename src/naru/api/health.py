"""``/health``: 200 only when requests can be served."""

from __future__ import annotations

from litestar import Response, get

from naru.api import answers
from naru.api.guard import ApiRequest, context
from naru.store import stores


@get("/health")
async def health(request: ApiRequest) -> Response[bytes]:
    """Whether the database answers."""
    await context(request).db.glance(stores.get_meta, "health")
    return Response(b'{"status":"ok"}', media_type=answers.JSON)


HANDLERS = [health]
