"""Checks the books: stored = computed, sums, nothing open too long, every entry has its webhook row,
no card-like digits in free text. Runs on demand and every night."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from naru import logs
from naru.domain.payment import MONEY_IN, Op, show
from naru.domain.values import DAY, HOUR, MINUTE, Instant, from_kst, kst_date, kst_midnight, kst_time
from naru.service.context import Context
from naru.store import books, counts, mail, payments, stores
from naru.store.db import Tx

log = logs.logger("doctor")

PAGE = 500
OPEN_TOO_LONG_MS = HOUR
UNTIL_LISTED_MS = 34 * HOUR
"""A refund of an unlimited deposit may have no other witness than the list of its day, read the next morning."""
FRESH_MS = 2 * MINUTE
"""Payments touched this recently are left to their requests."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that must not be."""

    kind: str
    imp_uid: str | None
    text: str


def _examine(stored: payments.Stored, jobs: set[str], now: Instant) -> Iterator[Problem]:
    p, row = stored.payment, stored.row
    try:
        shown = show(p)
    except ValueError as e:
        yield Problem("negative", p.imp_uid, f"돌려준 금액이 받은 금액보다 큽니다 ({e})")
        return
    for name, stored_value, computed in (
        ("status", row.status, shown.status.value),
        ("cancel_amount", row.cancel_amount, shown.cancel_amount),
        ("paid_at", row.paid_at, shown.paid_at),
        ("cancelled_at", row.cancelled_at, shown.cancelled_at),
    ):
        if stored_value != computed:
            yield Problem("stored_differs", p.imp_uid, f"{name}: 저장 {stored_value}, 계산 {computed}")
    approved = sum(e.amount for e in p.entries if e.kind in MONEY_IN and e.attempt_id)
    if p.amount and approved > p.amount:
        yield Problem("too_much_in", p.imp_uid, f"승인 {approved}원이 결제금액 {p.amount}원보다 큽니다")
    for attempt in p.attempts:
        in_window = attempt.op in (Op.PAY, Op.ISSUE) and not p.by_api
        longest = UNTIL_LISTED_MS if p.unlimited and attempt.op is Op.CANCEL else OPEN_TOO_LONG_MS
        if attempt.is_open and not in_window and now - attempt.asked_at > longest:
            yield Problem("open_too_long", p.imp_uid, f"{attempt.id}의 결과를 {longest // HOUR}시간 넘게 모릅니다")
        if attempt.is_open and stored.attempt_rows[attempt.id].check_at is None:
            yield Problem("unwatched", p.imp_uid, f"{attempt.id}를 확인할 예정이 없습니다")
    if p.voided and p.left and p.open_cancel is None:
        yield Problem("not_taken_back", p.imp_uid, f"취소되어야 할 승인 {p.left}원이 남아 있습니다")
    for entry in p.entries:
        event = f"{entry.id}:{entry.kind}"
        if event not in jobs and f"{event}#0" not in jobs:
            yield Problem("untold", p.imp_uid, f"{entry.id}의 웹훅 기록이 없습니다")


@dataclass(frozen=True, slots=True)
class Night:
    """What one night examines of the books: what changed after *since* (UTC ms), and a part (0-99) of all."""

    since: int
    part: int


def _page(after: str, until: Instant, night: Night | None) -> Tx[list[tuple[payments.Stored, set[str]]]]:
    found: list[tuple[payments.Stored, set[str]]] = []
    if night is None:
        imp_uids = yield from books.touched_before(after, until, PAGE)
    else:
        imp_uids = yield from books.recent(after, night.since, until, night.part, PAGE)
    for imp_uid in imp_uids:
        stored = yield from payments.load(imp_uid)
        assert stored is not None
        jobs = yield from books.job_keys(imp_uid)
        found.append((stored, jobs))
    return found


async def examine(cx: Context, night: Night | None = None) -> list[Problem]:
    """Check every payment and the free-text columns, or only what a *night* asks for. Returns the problems found."""
    problems: list[Problem] = []
    now = cx.clock()
    after = ""
    while True:
        page = await cx.db.read(_page, after, Instant(now - FRESH_MS), night)
        if not page:
            break
        for stored, jobs in page:
            problems.extend(_examine(stored, jobs, now))
        after = page[-1][0].payment.imp_uid
    problems.extend(Problem("orphan", orphan, "결제가 없는 기록입니다") for orphan in await cx.db.read(books.orphans))
    for row in await cx.db.read(counts.wrong):
        text = f"상점 {row.store_id}의 {kst_date(row.hour)} {kst_time(row.hour)[:2]}시 결제 건수가 다릅니다"
        problems.append(Problem("count_differs", None, text))
    for table, column, key in await _card_like(cx, night.since if night else 0):
        problems.append(Problem("card_digits", None, f"{table}.{column}에 카드번호로 보이는 숫자가 있습니다 ({key})"))
    return problems


async def _card_like(cx: Context, since: int) -> list[tuple[str, str, Any]]:
    hits: list[tuple[str, str, Any]] = []
    for table, columns in books.FREE_TEXT.items():
        after: Any = None
        while True:
            rows = await cx.db.read(books.free_text, table, after, since, PAGE)
            if not rows:
                break
            for row in rows:
                for i, column in enumerate(columns, start=1):
                    value = row[i]
                    if isinstance(value, bytes):
                        # A letter's times and trade numbers may pass for card numbers: its reader knows them.
                        found = cx.gateway.redact(value) != value
                    else:
                        text = _without_account(value) if (table, column) == ("attempts", "extra") else value
                        found = bool(text) and logs.card_like(text)
                    if found:
                        hits.append((table, column, row[0]))
            after = rows[-1][0]
    return hits


def _without_account(extra: str) -> str:
    """What an attempt keeps besides, without its account number: some pass for card numbers."""
    return json.dumps({name: value for name, value in json.loads(extra).items() if name != "number"})


NIGHT_MS = 4 * HOUR
"""When the nightly check may begin (KST): after the day's last notis, before people work."""
MOST_NAMED = 5


async def nightly(cx: Context) -> None:
    """Once a night: examine the books, and call a person if they are not right.

    Everything on the first night; then what changed since the night before the last one, what is open,
    and a hundredth of the rest, so that a book of years is no longer work than a day's. The night is
    ticked off afterwards, so that one who dies over it is followed by another; two at a time do no harm,
    because the alarm has the day's name.
    """
    now = cx.clock()
    day = kst_date(now)
    last = await cx.db.glance(stores.get_meta, "doctor_day")
    if now - kst_midnight(now) < NIGHT_MS or last == day:
        return
    since = None if last is None else from_kst(f"{last}000000") - DAY
    problems = await examine(cx, None if since is None else Night(since, now // DAY % 100))
    log.info("doctor.examined", day=day, problems=len(problems))
    if not problems:
        await cx.db.write(stores.set_meta, "doctor_day", day)
        return
    named = ", ".join(f"{p.kind} {p.imp_uid or ''}".strip() for p in problems[:MOST_NAMED])
    text = f"야간 점검에서 {len(problems)}건의 문제를 찾았습니다: {named} (naru doctor)"

    def call() -> Tx[None]:
        yield from mail.raise_alarm(
            f"doctor:{day}", "doctor", text, store_id=None, imp_uid=problems[0].imp_uid, now=cx.clock()
        )
        yield from stores.set_meta("doctor_day", day)

    await cx.db.write(call)
