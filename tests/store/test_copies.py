"""What the tests on PostgreSQL stand on: a database that was used before is like one that was not."""

from __future__ import annotations

import re

import asyncpg
import pytest
from tests.cluster import Cluster
from tests.conftest import Open
from tests.copies import Copies
from tests.shop import open_shop


def dump(cluster: Cluster, url: str) -> str:
    text = cluster.dump(url.rpartition("/")[2]).decode()
    return re.sub(r"^\\(un)?restrict .*$", "", text, flags=re.MULTILINE)


async def test_what_a_test_wrote_is_gone(cluster: Cluster, migrated_postgres: str, open_db: Open) -> None:
    copies = Copies(cluster, migrated_postgres)
    with copies.lent() as first:
        fresh = dump(cluster, first)
        db = await open_db(first)
        await (await open_shop(db)).pay(1000)
        assert dump(cluster, first) != fresh
        await db.close()
    with copies.lent() as second:
        assert (second, dump(cluster, second)) == (first, fresh)


async def test_what_cannot_be_undone_is_thrown_away(cluster: Cluster, migrated_postgres: str) -> None:
    copies = Copies(cluster, migrated_postgres)
    with copies.lent() as first:
        still_there = await asyncpg.connect(first)
    with copies.lent() as second:
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await still_there.fetchval("SELECT 1")
        assert second != first
        cluster.sql("ALTER TABLE attempts RENAME TO gone", url=second)
    with copies.lent() as third:
        assert third not in (first, second)
        assert "CREATE TABLE public.attempts" in dump(cluster, third)
