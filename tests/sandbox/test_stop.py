"""The sandbox ends when it is told to, however busy it is."""

import asyncio
from pathlib import Path

import pytest

from naru.sandbox.hecto.room import open_room
from naru.sandbox.hecto.server import Settings


@pytest.mark.parametrize("turns", range(4))
async def test_the_sender_stops_even_when_it_is_woken_at_that_moment(tmp_path: Path, turns: int) -> None:
    """Python 3.11's wait_for swallows a cancellation that meets the event it waited for."""
    room = open_room(Settings(book=tmp_path / "book.db"))
    await room.sender.start()
    await asyncio.sleep(0)
    room.sender.wake()
    for _ in range(turns):
        await asyncio.sleep(0)
    stopping = asyncio.create_task(room.sender.stop())
    ended, _ = await asyncio.wait({stopping}, timeout=3)
    assert ended == {stopping}
    room.book.close()
