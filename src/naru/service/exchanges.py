"""The log of what was said to the PG and what it answered, for people who ask where a payment is.

It is an aid, not a book: what was asked and what moved stands in attempts and entries. So a note waits in memory and
is written with its neighbours in a transaction of their own, twice a second. Written in the settling transaction it
would be a row more in the one commit that a buyer waits for, and calls without such a commit (inquiries, the window's
form) would need one. The price: a process that is killed loses the last half second of notes, and a burst beyond
`MOST_WAITING` is not noted.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

import msgspec
from prometheus_client import Counter

from naru import logs
from naru.domain.values import DAY, MINUTE
from naru.service.ports import Exchanged
from naru.store import exchanges
from naru.store.db import Database
from naru.store.errors import Conflict, Unavailable

log = logs.logger("exchanges")

FLUSH_S: Final = 0.5
MOST_WAITING: Final = 5_000
TIDY_MS: Final = 10 * MINUTE
TIDY_AT_ONCE: Final = 2_000
_encode = msgspec.json.Encoder().encode
_PAYMENT = re.compile(r"imps?_\d{12}")
DROPPED = Counter("naru_messages_not_noted_total", "Messages to the PG that found no room in the log")


class ExchangeLog:
    """Notes that wait, and the task that writes them down. One per process.

    *keep_days* 0: nothing is kept.
    """

    def __init__(self, db: Database, keep_days: int) -> None:
        self._db = db
        self._keep_days = keep_days
        self._waiting: list[Exchanged] = []
        self._task: asyncio.Task[None] | None = None
        self._tidied_at = 0
        self._closing = False
        self._writing = asyncio.Lock()

    def note(self, exchanged: Exchanged) -> None:
        """Keep this until it is written. Called inside the event loop; costs the caller nothing but memory."""
        if not self._keep_days:
            return
        if len(self._waiting) >= MOST_WAITING:
            DROPPED.inc()
            return
        self._waiting.append(exchanged)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._later())

    async def _later(self) -> None:
        while self._waiting:
            await asyncio.sleep(FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Write down what waits; while the database is away it goes on waiting. A log that cannot be written costs
        nobody anything."""
        async with self._writing:
            waiting, self._waiting = self._waiting, []
            if not waiting:
                return
            try:
                await self._db.write(exchanges.add, [_row(x) for x in waiting])
                now, waiting = waiting[-1].at, []
                if now - self._tidied_at >= TIDY_MS:
                    # Old rows go a batch at a time: at once only when a whole batch was too old.
                    before = now - self._keep_days * DAY
                    if await self._db.write(exchanges.drop, before, TIDY_AT_ONCE) < TIDY_AT_ONCE:
                        self._tidied_at = now
            except Unavailable as away:
                if away.maybe_committed or self._closing:
                    self._drop(waiting, away)
                else:
                    self._drop((waiting + self._waiting)[MOST_WAITING:], away)
                    self._waiting = (waiting + self._waiting)[:MOST_WAITING]
            except Conflict as problem:
                self._drop(waiting, problem)

    def _drop(self, lost: list[Exchanged], why: Exception) -> None:
        if lost:
            DROPPED.inc(len(lost))
            log.warning("messages.not_written", count=len(lost), error=type(why).__name__)

    async def close(self) -> None:
        """Write the rest."""
        self._closing = True
        if self._task is not None:
            self._task.cancel()
        await self.flush()


def _row(x: Exchanged) -> dict[str, Any]:
    payment = _PAYMENT.match(x.number)
    return {
        "imp_uid": payment.group() if payment else None, "store_id": x.store_id, "channel_id": x.channel_id,
        "at": x.at, "took_ms": x.took_ms, "message": x.message, "name": x.name, "address": x.address[:300],
        "number": x.number[:100], "result": x.result, "reason": x.reason[:100], "code": x.code[:16],
        "sent": _encode(x.sent).decode(), "got": _encode(x.got).decode(),
    }  # fmt: skip
