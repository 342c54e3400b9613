"""Rendering: the template environment, how money and times are written, the headers of every answer."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jinja2
from litestar import Response
from litestar.exceptions import NotFoundException

from naru.domain.values import kst_date, kst_stamp

HTML: Final = "text/html; charset=utf-8"
SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}


def won(amount: int | None) -> str:
    """Money with separators; the unit stands in the column's head or behind it."""
    return "-" if amount is None else f"{amount:,}"


def moment(at: int | None) -> str:
    """An instant as KST wall clock."""
    if at is None:
        return "-"
    s = kst_stamp(at)
    return f"{s[:4]}-{s[4:6]}-{s[6:8]} {s[8:10]}:{s[10:12]}:{s[12:]}"


def day(at: int | None) -> str:
    """The KST day of an instant."""
    return "-" if at is None else iso_day(kst_date(at))


def clock(at: int) -> str:
    """The KST time of day of an instant, as a time field takes it."""
    s = kst_stamp(at)
    return f"{s[8:10]}:{s[10:12]}"


def iso_day(yyyymmdd: str) -> str:
    """``20261122`` as ``2026-11-22``."""
    return f"{yyyymmdd[:4]}-{yyyymmdd[4:6]}-{yyyymmdd[6:]}" if len(yyyymmdd) == 8 else yyyymmdd


def pretty(text: str | bytes | None) -> str:
    """JSON with line breaks; anything else as it is."""
    if text is None:
        return ""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except ValueError:
        return text


@functools.cache
def environment() -> jinja2.Environment:
    """Templates. Everything is escaped; an unknown name is an error, not an empty text."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("naru.console"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    made.filters.update(won=won, moment=moment, day=day, clock=clock, iso_day=iso_day, pretty=pretty)
    own: dict[str, Any] = made.globals  # jinja2 types it by what it begins with
    own["asset"] = asset
    return made


def render(template: str, **values: Any) -> bytes:
    """A page (or a part of one) in bytes."""
    return environment().get_template(template).render(**values).encode()


def html(body: bytes, status: int = 200) -> Response[bytes]:
    """An HTML answer. Pages show people's data and are kept by no cache."""
    return Response(
        body, status_code=status, media_type=HTML, headers={**SECURITY_HEADERS, "Cache-Control": "no-store"}
    )


# assets: our own stylesheet and script, and htmx from its package


def _htmx() -> Path:
    spec = importlib.util.find_spec("js_lib_htmx")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations))) / "static" / "htmx" / "htmx.min.js"


@functools.cache
def _assets() -> Mapping[str, tuple[bytes, str, str]]:
    own = files("naru.console").joinpath("static")
    found = {
        "console.css": (own.joinpath("console.css").read_bytes(), "text/css; charset=utf-8"),
        "console.js": (own.joinpath("console.js").read_bytes(), "text/javascript; charset=utf-8"),
        "htmx.min.js": (_htmx().read_bytes(), "text/javascript; charset=utf-8"),
        "icon.svg": (own.joinpath("icon.svg").read_bytes(), "image/svg+xml"),
    }
    return {name: (body, kind, hashlib.sha256(body).hexdigest()[:12]) for name, (body, kind) in found.items()}


def asset(name: str) -> str:
    """An asset's address, which changes with its content."""
    return f"/console/static/{name}?v={_assets()[name][2]}"


def asset_answer(name: str) -> Response[bytes]:
    """An asset. Raises NotFoundException."""
    found = _assets().get(name)
    if found is None:
        raise NotFoundException
    body, kind, _ = found
    return Response(
        body, media_type=kind, headers={**SECURITY_HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
    )
