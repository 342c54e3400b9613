"""What every use case is handed: the database, the gateway, the clock, fresh ids."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from naru import logs
from naru.clock import Clock
from naru.domain.channel import Channel, Store
from naru.domain.refusal import Refused, Why
from naru.domain.values import MINUTE, AttemptId, ImpUid, Instant
from naru.service.ports import Gateway
from naru.store import stores
from naru.store.db import Database, Unavailable
from naru.store.stores import ApiKey
from naru.store.vault import Vault

T = TypeVar("T")

CALL_BUDGET_S = 28.0
"""The whole time of one request to us, waiting for a twin and asking again included."""
LEASE_MS = 40_000
"""How long after *ask* the settle job leaves an attempt to the request that made it: the call's own
limits (connect 5 s, read 20 s) and one inquiry fit in."""

SEND_WITHIN_MS = 20_000
"""An attempt that could not be sent so soon after *ask* (the process was stopped, the machine slept) is not sent
any more: others have looked for it meanwhile, and may have told the shop that it never happened."""


MOST_REMEMBERED = 512
"""Payments that were just paid and are kept in memory until their noti comes; a few kilobytes each."""


def _no_crash(_point: str) -> None:
    return


async def _nobody(_url: str, _body: bytes, _seconds: float) -> tuple[int | None, str | None]:
    return None, None


def _no_wake() -> None:
    return


class _Draw:
    """Random numbers of the system's, many at a time: each call to the system lets go of the interpreter's lock."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget what was drawn: a child of this process draws numbers of its own."""
        self._bytes, self._at, self._turn = b"", 0, threading.Lock()

    def digits(self, count: int) -> str:
        """*count* decimal digits, each number as likely as any other."""
        ceiling = 10**count
        size = (ceiling.bit_length() + 7) // 8 + 1
        most = 256**size - 256**size % ceiling
        while True:
            with self._turn:
                if self._at + size > len(self._bytes):
                    self._bytes, self._at = os.urandom(1024), 0
                number = int.from_bytes(self._bytes[self._at : self._at + size], "big")
                self._at += size
            if number < most:
                return str(number % ceiling).zfill(count)


_draw = _Draw()
os.register_at_fork(after_in_child=_draw.begin)


def random_digits(count: int) -> str:
    """Unpredictable decimal digits."""
    return _draw.digits(count)


@dataclass(slots=True)
class _Known:
    """Stores and channels, remembered for a second: they change rarely and every request needs them."""

    at: Instant
    value: object


@dataclass(slots=True)
class Context:
    """Handed to every use case. One per process."""

    db: Database
    vault: Vault
    gateway: Gateway
    clock: Clock
    public_url: str
    development: bool = False
    digits: Callable[[int], str] = random_digits
    crash: Callable[[str], None] = _no_crash
    """Called at named points where a test may let the process die."""
    ask_shop: Callable[[str, bytes, float], Awaitable[tuple[int | None, str | None]]] = _nobody
    """POST JSON to the shop and wait so many seconds: HTTP status and text, None where there is no answer."""
    wake: Callable[[], None] = _no_wake
    """Nudges the job runner after a commit that owes something."""
    wake_webhooks: Callable[[], None] | None = None
    """The same where nothing but webhooks can be owed: all other loops sleep on. None: no difference is made."""
    budget_s: float = CALL_BUDGET_S
    patience_s: float = 0.05
    """First pause of one who waits for a twin; it doubles up to half a second."""
    heard: dict[str, int] = field(default_factory=dict[str, int])
    """Payments that were looked up for the first time, and when; the job runner writes them down."""
    calling: set[str] = field(default_factory=set[str])
    """API payments whose call to the PG this process is waiting for."""
    read_tokens: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    """Access tokens whose signature was found right: key id and issue time (s)."""
    good_tokens: dict[str, tuple[Instant, Instant, Any]] = field(
        default_factory=dict[str, tuple[Instant, Instant, Any]]
    )
    """Of those the ones that were good just now, from wherever they came: since when, until when, and who calls."""
    paid_just_now: dict[str, tuple[Any, Any]] = field(default_factory=dict[str, tuple[Any, Any]])
    """API payments that this process has just settled as paid, with their rows: what their notis will repeat."""
    _known: dict[tuple[str, object], _Known] = field(default_factory=dict)
    _turns: dict[str, asyncio.Event] = field(default_factory=dict)
    _said: dict[str, Instant] = field(default_factory=dict)
    _work: set[asyncio.Future[Any]] = field(default_factory=set)

    def new_imp_uid(self, *, by_api: bool) -> ImpUid:
        """``imps_`` + 12 digits over the API, ``imp_`` + 12 digits in the window."""
        return ImpUid(("imps_" if by_api else "imp_") + self.digits(12))

    def inquiry_id(self, imp_uid: str) -> AttemptId:
        """A fresh number for an inquiry; inquiries are not stored, so it is random."""
        return AttemptId(f"{imp_uid}Q{self.digits(6)}")

    async def store(self, store_id: int) -> Store:
        """The store of this id, at most a second old."""
        known = self._fresh(("store", store_id))
        if known is None:
            known = await self.db.glance(stores.store, store_id)
            self._known["store", store_id] = _Known(self.clock(), known)
        assert isinstance(known, Store)
        return known

    async def api_key(self, key_id: int) -> ApiKey | None:
        """The API key of this id, at most a second old."""
        known = self._fresh(("key", key_id))
        if known is None:
            known = await self.db.glance(stores.api_key_by_id, key_id)
            self._known["key", key_id] = _Known(self.clock(), known)
        assert known is None or isinstance(known, ApiKey)
        return known

    async def channels(self, store_id: int) -> list[Channel]:
        """The store's channels in order, at most a second old."""
        known = self._fresh(("channels", store_id))
        if known is None:
            known = await self.db.glance(stores.channels_of, store_id, self.vault)
            self._known["channels", store_id] = _Known(self.clock(), known)
        assert isinstance(known, list)
        return known  # pyright: ignore[reportUnknownVariableType]

    async def channel(self, store_id: int, channel_id: int) -> Channel:
        """One channel of a store, disabled or not."""
        for c in await self.channels(store_id):
            if c.id == channel_id:
                return c
        raise Refused(Why.CHANNEL_UNKNOWN, channel_id=channel_id)

    async def shows_tests(self, store_id: int) -> bool:
        """Whether look-ups of this store show test payments unasked, as of a second or two ago: a store without a live
        channel does, and one that was told to (PortOne hides them since 2026-01)."""
        known = self._fresh(("shows", store_id))
        if known is None:
            store, channels = await self.store(store_id), await self.channels(store_id)
            known = store.on("include_sandbox") or all(c.is_test for c in channels)
            self._known["shows", store_id] = _Known(self.clock(), known)
        return known is True

    async def channels_of_mid(self, mid: str) -> list[Channel]:
        """The channels with the PG's merchant id, in whichever store, at most a second old."""
        known = self._fresh(("mid", mid))
        if known is None:
            known = await self.db.glance(stores.channels_by_mid, mid, self.vault)
            if known:  # anybody may send any number
                self._known["mid", mid] = _Known(self.clock(), known)
        assert isinstance(known, list)
        return known  # pyright: ignore[reportUnknownVariableType]

    async def webhook_secrets(self, store_id: int) -> list[str]:
        """The secrets that sign the store's webhooks, as of at most a second ago."""
        known = self._fresh(("secrets", store_id))
        if known is None:
            known = await self.db.glance(stores.webhook_secrets, store_id, self.vault, self.clock())
            self._known["secrets", store_id] = _Known(self.clock(), known)
        assert isinstance(known, list)
        return known  # pyright: ignore[reportUnknownVariableType]

    def forget(self) -> None:
        """Stores or channels have changed in this process."""
        self._known.clear()
        self.good_tokens.clear()

    def _fresh(self, key: tuple[str, object]) -> object | None:
        known = self._known.get(key)
        return known.value if known is not None and 0 <= self.clock() - known.at < 1000 else None

    async def to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Run what was asked of the PG to its end, even if the caller goes away."""
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Wait until nothing that was asked of the PG is under way in this process."""
        while self._work:
            await asyncio.wait(self._work)

    def remember(self, attempt_id: str, payment: Any, row: Any) -> None:
        """Keep a payment that has just been paid until its noti comes, or until a few hundred others have been."""
        if len(self.paid_just_now) >= MOST_REMEMBERED:
            del self.paid_just_now[next(iter(self.paid_just_now))]
        self.paid_just_now[attempt_id] = (payment, row)

    def first_this_minute(self, what: str) -> bool:
        """Whether this process has not said so of *what* in the last minute: for facts that need no more precision."""
        now = self.clock()
        last = self._said.get(what)
        if last is not None and 0 <= now - last < MINUTE:
            return False
        self._said[what] = now
        return True

    def note_unavailable(self, log: logs.Log, event: str, error: Unavailable, **facts: object) -> None:
        """Say that the database is away: once a minute at error, the others at debug. While it is, everything that
        comes in and every loop of the job runner meets it."""
        tell = log.error if self.first_this_minute(f"unavailable:{event}") else log.debug
        tell(event, error=str(error), **facts)

    # taking turns: one who waits is woken in this process at once, and looks by itself for other processes' sake

    async def turn(self, key: str, most_s: float) -> None:
        """Wait until something happened to *key* (a payment or an order), at most *most_s* seconds."""
        event = self._turns.setdefault(key, asyncio.Event())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), most_s)

    def happened(self, *keys: str) -> None:
        """Wake those who wait for one of these."""
        for key in keys:
            event = self._turns.pop(key, None)
            if event is not None:
                event.set()
