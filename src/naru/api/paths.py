"""Path tolerance that real clients need: trailing and double slashes, and %2F inside a segment.

The framework splits the *decoded* path, so a merchant_uid with a slash would fall apart. Routes get
the raw, still quoted path instead, and handlers decode each segment (`wire.segment`).
"""

from __future__ import annotations

import re

from litestar.types import ASGIApp, Receive, Scope, Send

_SLASHES = re.compile(rb"/{2,}")


class QuotedPaths:
    """ASGI wrapper that hands routes the raw path without doubled or trailing slashes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Rewrite the path of HTTP requests."""
        if scope["type"] == "http":
            raw = scope.get("raw_path") or scope["path"].encode()
            if b"//" in raw:
                raw = _SLASHES.sub(b"/", raw)
            if len(raw) > 1 and raw.endswith(b"/"):
                raw = raw[:-1]
            scope["path"] = raw.decode("latin-1")
        await self.app(scope, receive, send)
