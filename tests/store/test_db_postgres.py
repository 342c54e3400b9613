"""PostgreSQL: deadlocks are run again, restarts are survived."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from asyncpg import exceptions as pg
from tests.cluster import Cluster
from tests.conftest import Open
from tests.copies import Copies
from tests.store import shelf

from naru.store import postgres
from naru.store.db import Database, Tx, Unavailable
from naru.store.postgres import LONGEST_RETRY_S, Pool


@pytest.fixture
def url(bare_copies: Copies) -> Iterator[str]:
    with bare_copies.lent() as url:
        yield url


@pytest.fixture
async def shop(url: str, open_db: Open) -> Database:
    return await shelf.make(await open_db(url, check_schema=False, max_connections=4))


async def test_a_deadlock_is_run_again_and_loses_nothing(shop: Database) -> None:
    await shop.write(shelf.add_till, "back")

    def both(first: str, second: str) -> Tx[None]:
        yield from shelf.add_one(first)
        for _ in range(20):  # time enough for the other to take its first lock
            yield from shelf.count(first)
        yield from shelf.add_one(second)

    for _ in range(3):
        await asyncio.gather(shop.write(both, "front", "back"), shop.write(both, "back", "front"))
    assert shop.stats.restarts >= 1
    assert [await shop.read(shelf.count, name) for name in ("front", "back")] == [6, 6]


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_the_next_write_works_after_the_server_was_restarted(shop: Database, cluster: Cluster, mode: str) -> None:
    await asyncio.gather(*(shop.write(shelf.add_one) for _ in range(8)))
    await asyncio.to_thread(cluster.restart, mode)
    assert await shop.write(shelf.add_one) == 9
    assert await shop.glance(shelf.count) == 9
    # The loop was held while the server went away: the connections look alive and are not.
    cluster.restart(mode)
    assert await asyncio.gather(*(shop.write(shelf.add_one) for _ in range(4))) is not None
    assert await shop.read(shelf.count) == 13


async def test_a_server_that_is_away_is_unavailable(shop: Database, cluster: Cluster) -> None:
    await asyncio.to_thread(cluster.stop)
    try:
        for use in (shop.write, shop.read, shop.glance):
            with pytest.raises(Unavailable) as caught:
                await use(shelf.count)
            assert not caught.value.maybe_committed
    finally:
        await asyncio.to_thread(cluster.start)
    assert await shop.write(shelf.add_one) == 1


async def test_a_server_that_hangs_is_unavailable_and_holds_nobody(
    url: str, cluster: Cluster, open_db: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It neither answers nor hangs up, on old connections and on new ones: everybody hears so within the limits,
    those who wait for a turn too, and a COMMIT that nobody confirmed may have happened."""
    for limit in ("CONNECT_TIMEOUT_S", "PATIENCE_S", "STUCK_S", "OVERDUE_S"):
        monkeypatch.setattr(postgres, limit, 0.3)
    limits = {"statement_timeout_ms": 400, "read_timeout_ms": 600, "max_connections": 2}
    shop = await shelf.make(await open_db(url, check_schema=False, **limits))
    frozen = asyncio.Event()

    def hangs_before_commit() -> Tx[None]:
        yield from shelf.add_one("front")
        freeze.enter_context(cluster.frozen())
        frozen.set()

    loop, freeze = asyncio.get_running_loop(), ExitStack()
    with freeze:
        began = loop.time()
        committing = asyncio.create_task(shop.write(hangs_before_commit))
        await frozen.wait()
        others = [use(shelf.count) for use in (shop.write, shop.read, shop.glance) for _ in range(20)]
        done = await asyncio.gather(committing, *others, return_exceptions=True)
        assert {type(answer) for answer in done} == {Unavailable}
        assert [answer.maybe_committed for answer in done] == [True] + [False] * len(others)
        assert loop.time() - began < 3
        with pytest.raises(Unavailable):  # nobody is connected any more
            await asyncio.wait_for(shop.glance(shelf.count), 1.5)
    await asyncio.sleep(postgres.LONGEST_RETRY_S)
    assert await shop.read(shelf.count) in (0, 1)
    await asyncio.gather(*(shop.write(shelf.add_one) for _ in range(6)))


async def test_who_waits_for_a_connection_waits_while_others_get_on() -> None:
    """A long queue is no hanging server: as long as connections come back, everybody's turn comes."""
    now = 0.0

    async def connect() -> Any:
        return SimpleNamespace(is_closed=lambda: False)

    pool = Pool(connect, 1, 1, lambda: now)
    held = await pool.take()
    queue = [asyncio.create_task(pool.take()) for _ in range(5)]
    for turn in queue[:4]:
        await asyncio.sleep(0)
        now += postgres.STUCK_S - 0.1
        pool.give(held)
        held = await turn
    now += postgres.STUCK_S
    with pytest.raises(TimeoutError):
        await pool.take()  # the one who has it is stuck
    pool.give(held)
    assert await queue[4] is held


async def test_a_connection_lost_in_commit_may_have_committed(url: str, shop: Database, open_db: Open) -> None:
    """The session is ended while COMMIT waits in a deferred trigger: nobody can say how it went."""
    admin = await asyncpg.connect(url)
    await admin.execute("""
        CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(20); RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER lingers AFTER INSERT ON lines DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION linger();
    """)
    writing = asyncio.create_task(shop.write(shelf.add_line, "x"))
    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'COMMIT' AND state = 'active'"
    while not await admin.fetch(query):  # noqa: ASYNC110 - another process's state
        await asyncio.sleep(0.01)
    with pytest.raises(Unavailable) as caught:
        await writing
    assert caught.value.maybe_committed
    assert shop.stats.restarts == 0
    await admin.execute("DROP TRIGGER lingers ON lines")
    await admin.close()
    await shop.write(shelf.add_line, "next")
    assert await shop.read(shelf.notes) == ["next"]


async def test_a_statement_beyond_its_timeout_is_unavailable(url: str, open_db: Open) -> None:
    db = await open_db(url, check_schema=False, statement_timeout_ms=50, read_timeout_ms=5_000)
    from sqlalchemy import text

    from naru.store.statement import Statement

    slow = Statement(text("SELECT pg_sleep(0.2)"))

    def body() -> Tx[int]:
        return len((yield slow()))

    for use in (db.write, db.glance):
        with pytest.raises(Unavailable):
            await use(body)
    assert await db.read(body) == 1  # reads may take longer


async def test_a_table_that_changed_under_a_prepared_statement_is_no_error(url: str, shop: Database) -> None:
    def whole() -> Tx[int]:
        from sqlalchemy import text

        from naru.store.statement import Statement

        return len((yield Statement(text("SELECT * FROM tills"))())[0])

    assert {await shop.write(whole) for _ in range(8)} == {2}
    admin = await asyncpg.connect(url)
    await admin.execute("ALTER TABLE tills ADD COLUMN more TEXT")
    await admin.close()
    assert {await shop.write(whole) for _ in range(8)} == {3}


async def test_durability_does_not_depend_on_the_servers_setting(url: str, open_db: Open) -> None:
    admin = await asyncpg.connect(url)
    name = url.rpartition("/")[2]
    await admin.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    await admin.close()
    from sqlalchemy import text

    from naru.store.statement import Statement

    def setting() -> Tx[str]:
        return (yield Statement(text("SELECT current_setting('synchronous_commit')"))())[0][0]

    db = await open_db(url, check_schema=False)
    assert await db.write(setting) == "on"


async def test_a_server_that_is_starting_is_not_stormed() -> None:
    """A thousand bodies that wait for a dead server ask it a few times a second between them, not each."""
    tries, now, up = 0, 0.0, False

    async def connect() -> Any:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0)
        if not up:
            raise pg.CannotConnectNowError("the database system is starting up")
        return SimpleNamespace(is_closed=lambda: False)

    async def take() -> int:
        taken = await asyncio.gather(*(pool.take() for _ in range(1000)), return_exceptions=True)
        return sum(not isinstance(t, BaseException) for t in taken)

    pool = Pool(connect, 1, 10, lambda: now)
    for _ in range(100):
        assert await take() == 0
        now += 0.01
    assert 10 <= tries <= 100  # in a second, with ten places for connections
    tries, now, up = 0, now + LONGEST_RETRY_S, True
    pool.give(await pool.take())
    pool.give(await pool.take())
    assert tries == 1
