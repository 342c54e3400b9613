"""A shop on either database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from naru.service import doctor
from naru.store.db import Database
from tests.shop import Shop, open_shop


@pytest.fixture
async def shop(db: Database) -> AsyncIterator[Shop]:
    """The development store; after the test its books are examined."""
    shop = await open_shop(db)
    yield shop
    await shop.cx.drain()
    shop.clock.advance(10 * 60_000)
    problems = [p for p in await doctor.examine(shop.cx) if p.kind != "open_too_long"]
    assert problems == []
