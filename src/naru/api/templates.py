"""The templates of the pages that the gateway itself shows (`naru.sdk`)."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

import jinja2

_ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.FunctionLoader(lambda name: files("naru.sdk").joinpath(name).read_text("utf-8")),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


def template(name: str) -> jinja2.Template:
    """The template in the file *name*; what is filled in is escaped."""
    return _ENVIRONMENT.get_template(name)
