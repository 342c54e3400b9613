"""A sandbox over real HTTP for every test: its own book, its own port."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from tests.live import since_ten_ms
from tests.sandbox.client import Hecto, Receiver, receive

from naru.sandbox.hecto import server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Hecto]]:
    """Starts sandboxes with the settings given."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def begin(**options: Any) -> Hecto:
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        options.setdefault("book", tmp_path / "book.db")
        new = not options["book"].exists()
        settings = server.Settings(public_url=base, **options)
        running_server = uvicorn.Server(server.config(settings, "127.0.0.1", port))
        thread = threading.Thread(target=running_server.run, daemon=True)
        thread.start()
        running.append((running_server, thread))
        until = time.monotonic() + 20
        while not running_server.started:
            assert thread.is_alive()
            assert time.monotonic() < until
            time.sleep(0.01)
        hecto = Hecto(base)
        if new:
            hecto.post("/_sandbox/clock", {"offset_ms": -since_ten_ms()})
        return hecto

    yield begin
    for running_server, thread in running:
        running_server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def hecto(start: Callable[..., Hecto]) -> Hecto:
    return start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Somebody who answers notis."""
    made = Receiver()
    web = receive(made)
    yield made
    web.shutdown()
    web.server_close()
