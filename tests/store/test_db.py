"""What a transaction promises, the same on both databases."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from sqlalchemy import bindparam, delete, exists, literal, select
from tests.conftest import Open
from tests.store import shelf

from naru.store.db import Conflict, Database, ReadOnly, Tx, Unavailable, Violation, open_database
from naru.store.statement import Statement


@pytest.fixture
async def shop(empty_url: str, open_db: Open) -> Database:
    return await shelf.make(await open_db(empty_url, check_schema=False))


class Refused(Exception):
    pass


async def test_read_then_write_loses_no_increment(shop: Database) -> None:
    async def task() -> None:
        for _ in range(25):
            await shop.write(shelf.add_one)

    await asyncio.gather(*(task() for _ in range(6)))
    assert await shop.read(shelf.count) == 150


async def test_a_refusal_undoes_its_own_body_and_not_its_neighbours(shop: Database) -> None:
    def refused(note: str) -> Tx[None]:
        yield from shelf.add_line(note)
        raise Refused(note)

    results = await asyncio.gather(
        *(shop.write(refused if i % 3 == 1 else shelf.add_line, f"n{i:02}") for i in range(30)), return_exceptions=True
    )
    assert [str(r) for r in results if r is not None] == [f"n{i:02}" for i in range(30) if i % 3 == 1]
    assert all(isinstance(r, Refused) for r in results if r is not None)
    assert sorted(await shop.read(shelf.notes)) == [f"n{i:02}" for i in range(30) if i % 3 != 1]


async def test_what_was_written_is_seen_at_once(shop: Database) -> None:
    for i in range(1, 20):
        await shop.write(shelf.add_one)
        assert await shop.glance(shelf.count) == i
        assert await shop.read(shelf.count) == i


async def test_a_read_is_one_snapshot(shop: Database) -> None:
    loop = asyncio.get_running_loop()
    began, go_on = asyncio.Event(), asyncio.Event()

    def twice() -> Tx[list[int]]:
        seen = [(yield from shelf.count())]
        # On SQLite this body runs in a thread, on PostgreSQL on the loop: pausing takes both forms.
        yield from pause()
        seen.append((yield from shelf.count()))
        return seen

    if shop.dialect == "sqlite":
        import threading

        resumed = threading.Event()

        def pause() -> Tx[None]:
            loop.call_soon_threadsafe(began.set)
            assert resumed.wait(10)
            return
            yield

        async def resume() -> None:
            await go_on.wait()
            resumed.set()
    else:

        def pause() -> Tx[None]:
            began.set()
            for _ in range(200):  # each a round trip, during which the write below comes through
                yield shelf.TILL(name="front")

        async def resume() -> None:
            await go_on.wait()

    reading = asyncio.create_task(shop.read(twice))
    resuming = asyncio.create_task(resume())
    await began.wait()
    await shop.write(shelf.set_till, "front", 7)
    go_on.set()
    await resuming
    assert await reading == [0, 0]
    assert await shop.read(twice) == [7, 7]


async def test_a_taken_key_is_a_conflict_with_its_name(shop: Database) -> None:
    await shop.write(shelf.add_line, "once")
    with pytest.raises(Conflict) as caught:
        await shop.write(shelf.add_line, "once")
    assert (caught.value.constraint, caught.value.table) == ("uq_lines_till_note", "lines")
    with pytest.raises(Conflict) as caught:
        await shop.write(shelf.add_till, "front")
    assert (caught.value.constraint, caught.value.table) == ("pk_tills", "tills")

    def same_blob() -> Tx[None]:
        yield shelf.ADD_LINE.many([{"till": "front", "note": n, "amount": 1, "blob": b"\x00x"} for n in "ab"])

    with pytest.raises(Conflict) as caught:
        await shop.write(same_blob)
    assert (caught.value.constraint, caught.value.table) == ("ux_lines_blob", "lines")
    assert await shop.read(shelf.notes) == ["once"]


async def test_other_violations_say_what_they_are(shop: Database) -> None:
    with pytest.raises(Violation) as caught:
        await shop.write(shelf.add_line, "free", 0)
    assert (caught.value.kind, caught.value.constraint, caught.value.table) == (
        "check", "ck_lines_amount_positive", "lines",
    )  # fmt: skip
    with pytest.raises(Violation) as caught:
        await shop.write(shelf.add_till, None)  # pyright: ignore[reportArgumentType]
    assert (caught.value.kind, caught.value.constraint, caught.value.table) == ("not null", "name", "tills")
    assert await shop.read(shelf.notes) == []


async def test_a_key_that_commit_looks_at_fails_its_own_body_only(shop: Database) -> None:
    notes = [(f"n{i}", "front" if i % 2 else "nowhere") for i in range(10)]
    results = await asyncio.gather(
        *(shop.write(shelf.add_line, note, 1, till) for note, till in notes), return_exceptions=True
    )
    assert [r.kind if isinstance(r, Violation) else r for r in results] == ["foreign key", None] * 5
    assert sorted(await shop.read(shelf.notes)) == ["n1", "n3", "n5", "n7", "n9"]


async def test_a_guarded_violation_can_be_caught_and_the_body_goes_on(shop: Database) -> None:
    def body() -> Tx[str]:
        yield from shelf.add_line("kept")
        try:
            yield shelf.ADD_LINE.many(
                [{"till": "front", "note": note, "amount": 1} for note in ("gone", "kept")]
            ).guarded()
        except Conflict as conflict:
            yield from shelf.add_line("after")
            return str(conflict.constraint)
        return "no conflict"

    assert await shop.write(body) == "uq_lines_till_note"
    assert await shop.read(shelf.notes) == ["kept", "after"]


async def test_an_unguarded_violation_cannot_be_swallowed(shop: Database) -> None:
    def goes_on() -> Tx[None]:
        yield from shelf.add_line("a")
        try:
            yield from shelf.add_line("a")
        except Conflict:
            yield from shelf.add_line("b")

    def returns() -> Tx[str]:
        yield from shelf.add_line("a")
        with contextlib.suppress(Conflict):
            yield from shelf.add_line("a")
        return "fine"

    def translates() -> Tx[None]:
        yield from shelf.add_line("a")
        try:
            yield from shelf.add_line("a")
        except Conflict as exc:
            raise Refused from exc

    for body, error in ((goes_on, Conflict), (returns, Conflict), (translates, Refused)):
        with pytest.raises(error):
            await shop.write(body)
    assert await shop.read(shelf.notes) == []


async def test_on_conflict_do_nothing_returns_a_row_only_the_first_time(shop: Database) -> None:
    def once() -> Tx[int]:
        return len((yield shelf.ADD_LINE_ONCE(till="front", note="x", amount=1)))

    assert [await shop.write(once), await shop.write(once)] == [1, 0]


async def test_a_statement_without_returning_returns_no_rows(shop: Database) -> None:
    def body() -> Tx[list[Any]]:
        return [(yield shelf.ADD_LINE(till="front", note="x", amount=1)), (yield shelf.SET_TILL(of="front", to=3))]

    assert await shop.write(body) == [[], []]


@pytest.mark.parametrize("method", ["read", "glance"])
async def test_readers_neither_write_nor_lock(shop: Database, method: str) -> None:
    def lock() -> Tx[Any]:
        return (yield shelf.TILL_LOCKED(name="front"))

    for body in (lambda: shelf.add_line("x"), lambda: shelf.set_till("front", 1), lock):
        with pytest.raises(ReadOnly):
            await getattr(shop, method)(body)
    assert await shop.read(shelf.notes) == []
    assert await shop.read(shelf.count) == 0
    await shop.write(shelf.add_line, "writes still work")


async def test_in_lists_of_any_length(shop: Database) -> None:
    def fill() -> Tx[None]:
        yield shelf.ADD_LINE.many([{"till": "front", "note": f"{i}", "amount": i} for i in range(1, 41)])

    def of(amounts: list[int]) -> Tx[list[str]]:
        return [row.note for row in (yield shelf.NOTES_OF(amounts=amounts))]

    await shop.write(fill)
    for length in (0, 1, 2, 3, 5, 8, 39, 40, 0, 2):
        assert await shop.glance(of, list(range(1, length + 1))) == [str(i) for i in range(1, length + 1)]
    with pytest.raises(ValueError, match="at most 16384"):
        await shop.glance(of, list(range(20_000)))

    drop = Statement(delete(shelf.lines).where(shelf.lines.c.note.not_in(bindparam("but", expanding=True)), shelf.lines.c.amount.in_([1, 2, 3])).returning(shelf.lines.c.amount))  # fmt: skip  # noqa: E501

    def dropping(but: list[str]) -> Tx[list[int]]:
        return sorted(row.amount for row in (yield drop(but=but)))

    assert await shop.write(dropping, ["2", "7", "8"]) == [1, 3]
    assert await shop.write(dropping, []) == [2]


async def test_rows_by_name_and_by_position(shop: Database) -> None:
    def body() -> Tx[Any]:
        yield shelf.ADD_LINE.many([{"till": "front", "note": "n", "amount": 2**53 + 1, "blob": b"\x00\xff"}])
        summed = yield shelf.SUM()
        found = yield Statement(select(shelf.lines))()
        there = yield Statement(select(exists(select(literal(1)).select_from(shelf.lines)).label("there")))()
        return summed[0], found[0], there[0].there

    (total, found, there) = await shop.write(body)
    assert (total.total, total.count, total[0]) == (2**53 + 1, 1, 2**53 + 1)
    assert type(total.total) is int  # PostgreSQL's sum of BIGINT is NUMERIC
    assert (found.till, found.note, found.amount, found.blob) == ("front", "n", 2**53 + 1, b"\x00\xff")
    assert there == 1
    empty = await shop.read(lambda: (yield shelf.NOTES_OF(amounts=[1])))  # type: ignore[misc]
    assert empty == []


async def test_an_exception_in_a_body_reaches_the_caller_with_cleanup_run(shop: Database) -> None:
    cleaned: list[str] = []

    def body() -> Tx[None]:
        try:
            yield from shelf.add_line("x", 0)
        finally:
            cleaned.append("yes")

    with pytest.raises(Violation):
        await shop.write(body)
    assert cleaned == ["yes"]


async def test_a_cancelled_caller_leaves_its_body_whole(shop: Database) -> None:
    """The caller stops waiting; the body, handed over already, runs to its end and disturbs nobody."""

    def both(i: int) -> Tx[None]:
        yield from shelf.add_one()
        yield from shelf.add_line(f"{i}")

    for wait in (0, 1, 3, 10, 50):
        tasks = [asyncio.create_task(shop.write(both, wait * 1000 + i)) for i in range(20)]
        for _ in range(wait + 1):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert done[1::2] == [None] * 10
    await shop.write(shelf.add_line, "last")
    # Whatever was begun is whole: a count and a line each.
    written = await shop.read(shelf.notes)
    while len(written) != 101:
        written = await shop.read(shelf.notes)
    assert await shop.read(shelf.count) == 100


async def test_close_finishes_what_was_handed_over(empty_url: str) -> None:
    db = await shelf.make(await open_database(empty_url, check_schema=False))
    writes = [asyncio.create_task(db.write(shelf.add_line, f"{i}")) for i in range(50)]
    await asyncio.sleep(0)
    await asyncio.gather(db.close(), db.close())
    await db.close()
    assert await asyncio.gather(*writes) == [None] * 50
    for use in (db.write, db.read, db.glance):
        with pytest.raises(Unavailable, match="closed"):
            await use(shelf.count)
    again = await open_database(empty_url, check_schema=False)
    assert len(await again.read(shelf.notes)) == 50
    await again.close()


async def test_a_database_that_is_not_there_is_unavailable(dialect: str, tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path}/no/such.db" if dialect == "sqlite" else "postgresql://naru@127.0.0.1:1/x"
    for check_schema in (True, False):
        with pytest.raises(Unavailable):
            await open_database(url, check_schema=check_schema)
    assert list(tmp_path.iterdir()) == []


async def test_a_lock_held_elsewhere_is_unavailable_and_changes_nothing(
    shop: Database, empty_url: str, open_db: Open
) -> None:
    """Another process (here: another connection) holds what we need beyond the lock timeout."""
    impatient = await open_db(empty_url, check_schema=False, lock_timeout_ms=100)
    release = await _hold(empty_url)
    try:
        with pytest.raises(Unavailable) as caught:
            await impatient.write(shelf.add_one)
        assert not caught.value.maybe_committed
        assert await impatient.glance(shelf.count) == 0  # readers are not held up
    finally:
        await release()
    assert await impatient.write(shelf.add_one) == 1


async def _hold(url: str) -> Any:
    if url.startswith("sqlite"):
        import apsw

        connection = apsw.Connection(url.removeprefix("sqlite:///"))
        connection.execute("BEGIN IMMEDIATE")

        async def close() -> None:
            connection.close()
    else:
        import asyncpg

        other = await asyncpg.connect(url)
        await other.execute("BEGIN; UPDATE tills SET n = 5")

        async def close() -> None:
            await other.close()

    return close
