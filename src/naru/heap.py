"""The garbage collector and what lives for ever.

A server's modules, tables and routes are a few hundred thousand objects that are never freed. Looking through them
again and again costs a fifth of the start and, later, a pause in the middle of requests.
"""

from __future__ import annotations

import gc

YOUNG = 5_000
"""How many objects more than were freed begin a collection. Python's 700 are less than a handful of requests make."""


def loading() -> None:
    """Collect nothing while the program is put together: hardly anything becomes garbage then."""
    gc.disable()


def loaded() -> None:
    """What is there now stays: collect from here on, and never look through it again."""
    gc.freeze()
    gc.set_threshold(YOUNG)
    gc.enable()
