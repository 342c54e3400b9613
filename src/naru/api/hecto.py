"""What Hecto calls: notis. Both paths take every kind."""

from __future__ import annotations

from litestar import Response, post

from naru import logs
from naru.api.guard import ApiRequest, context, remote
from naru.service import notices

log = logs.logger("hecto")


@post(["/settle_payments/notice", "/settle_payments/notice_vbank"], status_code=200)
async def notice(request: ApiRequest) -> Response[bytes]:
    """A noti: exactly ``OK`` once it is committed, ``FAIL`` otherwise."""
    body = await request.body()
    if len(body) > notices.MAX_BODY:
        log.warning("notice.too_large", size=len(body), remote=remote(request))
        return _plain(b"FAIL")
    try:
        good = await notices.receive(
            context(request),
            path=request.scope["path"][:80],
            remote=remote(request)[:64],
            content_type=request.headers.get("content-type", ""),
            body=body,
        )
    except Exception:
        log.exception("notice.failed")
        good = False
    return _plain(b"OK" if good else b"FAIL")


def _plain(text: bytes) -> Response[bytes]:
    return Response(text, status_code=200, media_type="text/plain; charset=UTF-8")


HANDLERS = [notice]
