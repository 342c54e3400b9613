"""The console over ASGI: a gateway on a fresh database with the fake PG, and browsers without JavaScript."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.fakes import FakeGateway
from tests.shop import RecordingSender, Shop

from naru.app import Parts, build
from naru.clock import ManualClock
from naru.service import console_access, setup
from naru.service.console_access import Role
from naru.settings import Settings
from naru.store import people
from naru.store.people import Actor

BASE = "http://naru.test"
PASSWORD = "a long enough sentence"


@dataclass
class Person:
    """A browser without JavaScript: keeps cookies, follows redirects, sends the form token that it was given."""

    client: httpx.AsyncClient
    csrf: str = ""

    async def get(self, path: str, **more: Any) -> httpx.Response:
        answer = await self.client.get(path, follow_redirects=True, **more)
        found = re.search(r'name="_csrf" value="([0-9a-f]+)"', answer.text)
        if found:
            self.csrf = found[1]
        return answer

    async def post(self, path: str, **fields: Any) -> httpx.Response:
        return await self.client.post(path, data={"_csrf": self.csrf, **fields}, follow_redirects=True)

    async def sign_in(self, email: str, password: str = PASSWORD) -> httpx.Response:
        form = await self.get("/console/login")
        entry = re.search(r'name="entry" value="([^"]+)"', form.text)
        assert entry
        answer = await self.client.post(
            "/console/login", data={"entry": entry[1], "email": email, "password": password}, follow_redirects=True
        )
        await self.get("/console/account")
        return answer


@dataclass
class Console:
    """The gateway, its parts, and people who come to look."""

    app: Any
    parts: Parts
    clock: ManualClock
    gateway: FakeGateway
    shop: Shop
    clients: list[httpx.AsyncClient]

    def stranger(self) -> Person:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url=BASE)
        self.clients.append(client)
        return Person(client)

    async def user(self, email: str, role: Role | None = None, store_id: int = 1, *, admin: bool = False) -> Person:
        """Somebody who is signed in."""
        cx = self.parts.cx
        address = await console_access.invite(
            cx, Actor(None, "test", "-"), email=email, admin=admin, store_id=store_id if role else None, role=role
        )
        session = await console_access.join(
            cx, address.partition("token=")[2], email_text=email, name="", password=PASSWORD, remote="t", agent="t"
        )
        person = self.stranger()
        person.client.cookies.set("naru_session", session.token)
        await person.get("/console/account")
        return person

    async def changes(self) -> list[str]:
        return [r.action for r in await self.parts.db.read(people.changes, None, 1 << 62, 1000)]


@pytest.fixture
async def console(migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Console]:
    shutil.copyfile(migrated_sqlite, tmp_path / "naru.db")
    async with _console(f"sqlite:///{tmp_path / 'naru.db'}") as made:
        yield made


@pytest.fixture
async def console_anywhere(database_url: str) -> AsyncIterator[Console]:
    """A console on SQLite, and again on PostgreSQL."""
    async with _console(database_url) as made:
        yield made


@contextlib.asynccontextmanager
async def _console(database_url: str) -> AsyncGenerator[Console]:
    clock = ManualClock()
    settings = Settings(
        database_url=database_url, master_key=b"k" * 32, public_url=BASE, development=True, run_jobs=False,
        pool_max=4,
    )  # fmt: skip
    opened: list[Parts] = []
    app: Any = build(settings, clock=clock, on_open=opened.append)
    inbox: asyncio.Queue[Any] = asyncio.Queue()
    said: asyncio.Queue[Any] = asyncio.Queue()
    life = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}}, inbox.get, said.put))
    await inbox.put({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    parts = opened[0]
    gateway = FakeGateway(clock)
    parts.cx.gateway = gateway
    await setup.ensure_dev_store(parts.cx, "http://shop.test/webhook")
    shop = Shop(parts.cx, clock, gateway, RecordingSender(), parts.runner)
    made = Console(app, parts, clock, gateway, shop, [])
    try:
        yield made
    finally:
        for client in made.clients:
            await client.aclose()
        await inbox.put({"type": "lifespan.shutdown"})
        await life


def text_of(answer: httpx.Response) -> str:
    """What a page says, without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())
