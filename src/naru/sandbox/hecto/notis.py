"""Notis to merchants: owed in the transaction of what they tell, sent until OK or midnight.

Hecto's policy (S1 blog): ten retries a minute apart, then ten more ten minutes apart, never past
midnight KST. All of it by the sandbox's clock, so that a moved clock makes them due.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace

import aiohttp
import msgspec
import structlog

from naru.connectors.hecto import messages
from naru.connectors.hecto.crypto import Keys
from naru.connectors.hecto.messages import Message
from naru.sandbox.hecto import clock
from naru.sandbox.hecto.book import Book, Value, pack, unpack
from naru.sandbox.hecto.clock import Clock
from naru.sandbox.hecto.faults import Fault, Faults
from naru.sandbox.hecto.merchants import Merchant, Merchants
from naru.sandbox.hecto.trades import NEVER, Ask, Trade

log = structlog.get_logger()
ANSWER_WITHIN_S = 5.0  # slower counts as failed (S1 blog)
_AT_ONCE = 32
_FORGED_KEY = "a-key-that-nobody-was-given"


def queue(ask: Ask, message: Message, trade: Trade, url: str, form: Mapping[str, str]) -> int:
    """Owes a noti, in the transaction that is open. Due when the trade can be seen."""
    ask.book.run(
        """INSERT INTO notis (trd_no, mid, message, url, form, state, made_ms, next_ms)
           VALUES (?, ?, ?, ?, ?, 'waiting', ?, ?)""",
        trade.trd_no,
        ask.merchant.mid,
        message.id,
        url,
        pack({name: value for name, value in {**message.constants, **form}.items() if value}),
        ask.now,
        ask.seen_ms,
    )
    noti_id = ask.book.last_id()
    ask.notis.append(noti_id)
    return noti_id


def next_try_ms(made_ms: int, now: int, tries: int) -> int | None:
    """When a noti that failed `tries` times is sent again; None when it is given up."""
    wait = clock.MINUTE if tries <= 10 else 10 * clock.MINUTE
    if tries > 20 or now + wait >= clock.day_start(made_ms) + clock.DAY:
        return None
    return now + wait


class Sender:
    """Sends what is due. One per sandbox, in its event loop."""

    def __init__(self, book: Book, merchants: Merchants, clock_: Clock, faults: Faults) -> None:
        self._book = book
        self._merchants = merchants
        self._clock = clock_
        self._faults = faults
        self._wake = asyncio.Event()
        self._sending: dict[int, asyncio.Task[None]] = {}
        self._held: dict[str, int] = {}  # MID → noti that waits for the next one
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.Task[None] | None = None
        self._stopping = False
        self.timers: list[Callable[[int], object]] = []

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_S),
            connector=aiohttp.TCPConnector(limit=_AT_ONCE, ssl=False),
            headers={"User-Agent": "naru-sandbox"},
        )
        self._loop = asyncio.create_task(self._run(), name="notis")

    async def stop(self) -> None:
        self._stopping = True  # a cancellation alone may be lost in wait_for when a noti ends at the same moment
        for task in [self._loop, *self._sending.values()]:
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        if self._session is not None:
            await self._session.close()

    def wake(self) -> None:
        """Something became due: a new noti, or the clock moved."""
        self._wake.set()

    def next_due_ms(self) -> int | None:
        row = self._book.row("SELECT min(next_ms) FROM notis WHERE state = 'waiting' AND next_ms < ?", NEVER)
        return None if row is None or row[0] is None else int(str(row[0]))

    async def drain(self) -> None:
        """Until nothing is due by the sandbox's clock and nothing is under way."""
        while True:
            self._launch_due()
            if not self._sending:
                return
            await asyncio.wait(list(self._sending.values()))

    async def deliver(self, noti_ids: list[int]) -> None:
        """These notis now, one attempt each, and waits for it."""
        for noti_id in noti_ids:
            self._launch(noti_id)
            task = self._sending.get(noti_id)
            if task is not None:
                await asyncio.wait({task})

    async def ask_precheck(self, merchant: Merchant, url: str, form: Mapping[str, str]) -> tuple[str, str]:
        """The merchant's answer to a deposit pre-check: code and text, empty if there was none."""
        other = ("vAcntNo",) if merchant.precheck_aes else ()
        body, content_type = messages.build_noti(
            messages.PRECHECK, form, merchant.keys, charset=merchant.charset, other=other
        )
        status, answer = await self._post(url, body, content_type, merchant.charset)
        try:
            said = msgspec.json.decode(answer, type=dict[str, str])
        except msgspec.DecodeError:
            return "", ""
        return (said.get("rsltCd", ""), said.get("rsltMsg", "")) if status == 200 else ("", "")

    def resend(self, trd_no: str, biz_type: str = "") -> int:
        """Makes a trade's notis due again, whatever became of them; how many."""
        now = self._clock.now()
        with self._book.write():
            self._book.run(
                """UPDATE notis SET state = 'waiting', tries = 0, made_ms = ?, next_ms = ?
                   WHERE trd_no = ? AND (? = '' OR json_extract(form, '$.bizType') = ?)""",
                now,
                now,
                trd_no,
                biz_type,
                biz_type,
            )
            count = self._book.changes()
        self.wake()
        return count

    # --- the loop ---

    async def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            self._launch_due()
            now = self._clock.now()
            later = self._book.row(
                "SELECT min(next_ms) FROM notis WHERE state = 'waiting' AND next_ms > ? AND next_ms < ?", now, NEVER
            )
            wait_ms = clock.MINUTE
            if later is not None and later[0] is not None:
                wait_ms = min(wait_ms, int(str(later[0])) - now)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait_ms / 1000)

    def _launch_due(self) -> None:
        now = self._clock.now()
        for action in self.timers:
            action(now)
        due = self._book.rows(
            "SELECT id, trd_no FROM notis WHERE state = 'waiting' AND next_ms <= ? ORDER BY next_ms, id LIMIT ?",
            now,
            _AT_ONCE,  # those under way are among the first: there is never room for more than this
        )
        busy: set[Value] = set()
        for noti_id, trd_no in due:
            if trd_no not in busy:  # one trade's notis go one after the other
                busy.add(trd_no)
                self._launch(int(str(noti_id)))

    def _launch(self, noti_id: int) -> None:
        if noti_id in self._sending:
            return
        task = asyncio.create_task(self._attempt(noti_id))
        self._sending[noti_id] = task

        def ended(_: asyncio.Task[None]) -> None:
            self._sending.pop(noti_id, None)
            self._wake.set()

        task.add_done_callback(ended)

    async def _attempt(self, noti_id: int) -> None:
        row = self._book.row(
            "SELECT message, mid, trd_no, url, form, tries, made_ms FROM notis WHERE id = ? AND state = 'waiting'",
            noti_id,
        )
        if row is None:
            return
        message, merchant = messages.BY_ID[str(row[0])], self._merchants.get(str(row[1]))
        form, tries, made_ms = unpack(row[4]), int(str(row[5])), int(str(row[6]))
        assert merchant is not None
        fault = self._faults.take_noti(message, merchant.mid, form.get("mchtTrdNo", ""))
        if fault is not None and self._postpone(noti_id, merchant, fault, tries):
            return
        status, answer = await self._send(message, merchant, str(row[3]), form, fault)
        good = _accepted(merchant, status, answer)
        now = self._clock.now()
        again = None if good else next_try_ms(made_ms, now, tries + 1)
        with self._book.write():
            self._record(noti_id, now, status, answer, fault.name if fault else "")
            state = "done" if good else "gave_up" if again is None else "waiting"
            self._book.run(
                "UPDATE notis SET state = ?, tries = ?, next_ms = ? WHERE id = ?",
                state,
                tries + 1,
                again or now,
                noti_id,
            )
        if not good:
            log.info("noti.failed", noti=noti_id, status=status, tries=tries + 1)
        self._release(merchant.mid, noti_id)
        if fault is not None and fault.name == "noti_doubled":
            status, answer = await self._send(message, merchant, str(row[3]), form, None)
            with self._book.write():
                self._record(noti_id, self._clock.now(), status, answer, fault.name)

    def _postpone(self, noti_id: int, merchant: Merchant, fault: Fault, tries: int) -> bool:
        """Faults that send nothing now."""
        now = self._clock.now()
        if fault.name == "noti_lost":
            with self._book.write():
                self._record(noti_id, now, 0, "", fault.name)
                self._book.run(
                    "UPDATE notis SET state = ?, tries = ?, next_ms = ? WHERE id = ?",
                    "waiting" if fault.attempts else "lost",
                    tries + 1,
                    now + clock.MINUTE,
                    noti_id,
                )
            return True
        if fault.name in ("noti_late", "noti_reordered"):
            with self._book.write():
                self._book.run("UPDATE notis SET next_ms = ? WHERE id = ?", now + fault.ms, noti_id)
            if fault.name == "noti_reordered":
                self._held[merchant.mid] = noti_id
            return True
        return False

    def _release(self, mid: str, sent: int) -> None:
        held = self._held.get(mid)
        if held is not None and held != sent:
            del self._held[mid]
            with self._book.write():
                self._book.run("UPDATE notis SET next_ms = ? WHERE id = ?", self._clock.now(), held)

    def _record(self, noti_id: int, now: int, status: int, answer: str, note: str) -> None:
        self._book.run(
            "INSERT INTO noti_attempts (noti_id, at_ms, status, answer, note) VALUES (?, ?, ?, ?, ?)",
            noti_id,
            now,
            status,
            answer[:200],
            note,
        )

    async def _send(
        self, message: Message, merchant: Merchant, url: str, form: Mapping[str, str], fault: Fault | None
    ) -> tuple[int, str]:
        keys: Keys = merchant.keys
        if fault is not None and fault.name == "noti_forged":
            keys = replace(keys, hash_key=_FORGED_KEY)
        if fault is not None and fault.name == "noti_other_mid":
            other = next(m for m in self._merchants.all() if m.mid != merchant.mid)
            form, keys = {**form, "mchtId": other.mid}, other.keys
        sealed = messages.build_form(message, form, keys)
        if fault is not None and fault.name == "noti_altered":
            sealed["trdAmt"] = str(int(sealed.get("trdAmt", "0")) + 1)
        body, content_type = messages.encode_form(sealed, merchant.charset)
        return await self._post(url, body, content_type, "utf-8")

    async def _post(self, url: str, body: bytes, content_type: str, charset: str) -> tuple[int, str]:
        """Status (0: no answer) and the beginning of the answer."""
        assert self._session is not None
        try:
            async with self._session.post(
                url, data=body, headers={"Content-Type": content_type}, allow_redirects=False
            ) as response:
                head = await response.content.read(1024)
                return response.status, head.decode("utf-8" if charset == "utf-8" else "cp949", "replace")
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
            return 0, type(error).__name__


def _accepted(merchant: Merchant, status: int, answer: str) -> bool:
    """Exactly OK, after trimming unless the merchant is strict: Hecto's own JSP sample prints newlines."""
    return status == 200 and (answer if merchant.strict_ok else answer.strip()) == "OK"


def shown(book: Book, where: str, *values: Value) -> list[dict[str, object]]:
    """Notis with their attempts, for the control API and the page."""
    rows = book.rows(
        f"SELECT id, trd_no, mid, message, url, form, state, tries, made_ms, next_ms FROM notis WHERE {where}",  # noqa: S608
        *values,
    )
    listed: list[dict[str, object]] = []
    for noti_id, trd_no, mid, message, url, form, state, tries, made_ms, next_ms in rows:
        attempts = book.rows(
            "SELECT at_ms, status, answer, note FROM noti_attempts WHERE noti_id = ? ORDER BY rowid", noti_id
        )
        listed.append(
            {
                "id": noti_id,
                "trdNo": trd_no,
                "mid": mid,
                "message": message,
                "url": url,
                "form": unpack(form),
                "state": state,
                "tries": tries,
                "made": clock.shown(int(str(made_ms))),
                "next": clock.shown(int(str(next_ms))) if state == "waiting" and next_ms != NEVER else "",
                "attempts": [
                    {"at": clock.shown(int(str(at))), "status": status, "answer": answer, "note": note}
                    for at, status, answer, note in attempts
                ],
            }
        )
    return listed
