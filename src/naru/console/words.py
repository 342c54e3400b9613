"""The console's words: one catalogue, Korean first, English beside it."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Final

LANGUAGES: Final = ("ko", "en")
Translate = Callable[..., str]


@functools.cache
def catalogue() -> Mapping[str, tuple[str, str]]:
    """Every key, ``section.name``, with its Korean and English words."""
    tables = tomllib.loads(files("naru.console").joinpath("words.toml").read_text("utf-8"))
    return {
        f"{section}.{name}": (pair[0], pair[1])
        for section, table in tables.items()
        for name, pair in table.items()
    }  # fmt: skip


def translator(language: str) -> Translate:
    """``t("payments.title", n=3)`` in one language. Raises KeyError for a key that is not in the catalogue."""
    words, index = catalogue(), LANGUAGES.index(language)

    def t(key: str, /, **facts: object) -> str:
        text = words[key][index]
        return text.format(**facts)

    return t


def known(key: str) -> bool:
    """Whether the catalogue has this key."""
    return key in catalogue()
