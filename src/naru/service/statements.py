"""거래대사 and 정산대사: compare a day with the PG's own lists, line by line; every morning and on demand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from naru import logs
from naru.domain.channel import Channel, Environment
from naru.domain.outcome import Done
from naru.domain.payment import Purpose
from naru.domain.values import DAY, HOUR, MINUTE, AttemptId, Instant, from_kst, kst_date, kst_midnight, won
from naru.service import deposits
from naru.service.context import Context
from naru.service.ports import Line, Question
from naru.service.settle import absorb
from naru.store import mail, payments, people, statements, stores
from naru.store.db import Tx
from naru.store.people import Actor

log = logs.logger("statements")

STATEMENT = "statement"
NIGHT = "night"
LEASE_MS = 5 * MINUTE
AGAIN_MS = 30 * MINUTE
TRIES = 5
MORNING_MS = 6 * HOUR
"""Hecto has yesterday's lists in the morning."""
PAYOUTS_LATER_MS = 10 * MINUTE
"""Deposits whose noti never came are found in the list of trades, so the payouts are looked at after it."""
NIGHT_MS = 40 * MINUTE
"""After midnight: the night's automatic cancels are over at 23:50, the banks' maintenance at 00:35."""


def _owe(store_id: int, channel: Channel, kind: str, day: str, run_at: int, now: int, mark: str) -> Tx[None]:
    statement = yield from statements.add(store_id, channel.id, kind, day, now)
    yield from mail.owe(
        STATEMENT, f"{STATEMENT}:{statement}:{mark}", json.dumps({"statement": statement}), store_id=store_id,
        imp_uid=None, run_at=run_at, now=now,
    )  # fmt: skip


async def order(cx: Context, actor: Actor, store_id: int, day: str) -> int:
    """Compare a day (yyyyMMdd, KST) on demand. Returns how many comparisons are owed."""
    channels = await cx.db.read(stores.channels_of, store_id, cx.vault)
    now = cx.clock()

    def work() -> Tx[None]:
        for channel in channels:
            for kind in ("trades", "payouts"):
                yield from _owe(store_id, channel, kind, day, now, now, str(now))
        yield from people.note_change(actor, "statement", day, now, store_id=store_id)

    await cx.db.write(work)
    cx.wake()
    return 2 * len(channels)


async def plan(cx: Context) -> None:
    """Owe this morning's comparisons of yesterday and last night's look at test payments; once per day."""
    today = kst_midnight(cx.clock())
    yesterday = kst_date(today - DAY)
    if await cx.db.glance(stores.get_meta, "statements_planned") == yesterday:
        return
    channels = await cx.db.read(stores.all_channels, cx.vault)
    now = cx.clock()

    def work() -> Tx[None]:
        if (yield from stores.get_meta("statements_planned")) == yesterday:
            return
        for channel in channels:
            if channel.disabled:
                continue
            yield from _owe(channel.store_id, channel, "trades", yesterday, today + MORNING_MS, now, "morning")
            after = today + MORNING_MS + PAYOUTS_LATER_MS
            yield from _owe(channel.store_id, channel, "payouts", kst_date(today), after, now, "morning")
            if channel.environment is not Environment.LIVE:
                yield from mail.owe(
                    NIGHT, f"{NIGHT}:{channel.id}:{yesterday}", json.dumps({"channel": channel.id, "day": yesterday}),
                    store_id=channel.store_id, imp_uid=None, run_at=today + NIGHT_MS, now=now,
                )  # fmt: skip
        yield from stores.set_meta("statements_planned", yesterday)

    await cx.db.write(work)
    cx.wake()


def _line(
    statement: Any, verdict: str, reason: str, *, cancelled: bool, trd_no: str, amount: int, our_amount: int | None,
    at: int, imp_uid: str | None, line: Line | None,
) -> Mapping[str, Any]:  # fmt: skip
    return {
        "statement_id": statement.id, "store_id": statement.store_id, "verdict": verdict, "reason": reason,
        "cancelled": int(cancelled), "trd_no": trd_no, "amount": amount, "our_amount": our_amount, "at": at,
        "imp_uid": imp_uid, "fee": line.fee if line else None, "fee_vat": line.fee_vat if line else None,
        "payout": line.payout if line else None, "payout_day": line.payout_day if line else None,
    }  # fmt: skip


def match(
    statement: Any, theirs: list[Line], ours: list[Any], elsewhere: list[Any], foreign: set[str]
) -> list[Mapping[str, Any]]:
    """Lines of Hecto's list beside our entries. *ours*: of that day; *elsewhere*: of the same trades on other days."""
    by_tid = {(e.pg_tid, e.kind in ("cancel", "reversal")): e for e in (*elsewhere, *ours) if e.pg_tid}
    # A cancel that only an inquiry proved has no number of its own; a reversal's noti tells that of its deposit.
    unnamed = [e for e in (*ours, *elsewhere) if not e.pg_tid]
    unnamed += [e for e in (*ours, *elsewhere) if e.kind == "reversal" and e.pg_tid == e.org_tid]
    today = {e.id for e in ours}
    seen: set[str] = set()
    found: list[Mapping[str, Any]] = []
    for x in theirs:
        entry = by_tid.get((x.trd_no, x.cancelled))
        if entry is None and x.cancelled:
            entry = next(
                (e for e in unnamed if e.org_tid == x.org_tid and e.amount == x.amount and e.id not in seen), None
            )
        if entry is None:
            if x.attempt_id not in foreign:
                found.append(
                    _line(statement, "only_there", "no_counterpart", cancelled=x.cancelled, trd_no=x.trd_no,
                          amount=x.amount, our_amount=None, at=x.at, imp_uid=None, line=x)
                )  # fmt: skip
            continue
        seen.add(entry.id)
        reason = "amount" if entry.amount != x.amount else ""
        if not reason and statement.kind == "trades" and entry.id not in today:
            reason = "date"
        found.append(
            _line(statement, "different" if reason else "matched", reason, cancelled=x.cancelled, trd_no=x.trd_no,
                  amount=x.amount, our_amount=entry.amount, at=x.at, imp_uid=entry.imp_uid, line=x)
        )  # fmt: skip
    if statement.kind == "trades":
        found.extend(
            _line(statement, "only_here", "no_counterpart", cancelled=e.kind in ("cancel", "reversal"),
                  trd_no=e.pg_tid or e.id, amount=e.amount, our_amount=e.amount, at=e.at, imp_uid=e.imp_uid, line=None)
            for e in ours
            if e.id not in seen
        )  # fmt: skip
    return found


async def run(cx: Context, job: Any) -> None:
    """Fetch one channel's list of one day and match it; a list that cannot be had is asked for again."""
    statement = await cx.db.read(statements.one, json.loads(job.payload)["statement"])
    assert statement is not None
    channel = await cx.channel(statement.store_id, statement.channel_id)
    theirs = await cx.gateway.statement(channel, statement.day, payouts=statement.kind == "payouts")
    now = cx.clock()
    if isinstance(theirs, str):
        problem = theirs

        def fail() -> Tx[None]:
            yield from statements.finish(statement.id, None, problem, now)
            again = now + AGAIN_MS if job.tries < TRIES else None
            yield from mail.postpone(job.id, job.tries, run_at=again, error=problem, now=now)

        await cx.db.write(fail)
        log.warning("statement.failed", day=statement.day, kind=statement.kind, mid=channel.mid, problem=problem)
        return
    since = from_kst(statement.day + "000000")
    ours: list[Any] = []
    if statement.kind == "trades":
        await deposits.absorb_listed(cx, channel, theirs, since)
        ours = await cx.db.read(statements.our_entries, statement.store_id, channel.id, since, since + DAY)
    tids = list(dict.fromkeys(tid for x in theirs for tid in (x.trd_no, x.org_tid) if tid))
    elsewhere: list[Any] = []
    for start in range(0, len(tids), 1000):
        elsewhere += await cx.db.read(statements.entries_of_trades, channel.id, tids[start : start + 1000])
    imp_uids = list(dict.fromkeys(e.imp_uid for e in elsewhere))
    for start in range(0, len(imp_uids), 1000):
        elsewhere += await cx.db.read(statements.entries_without_number, imp_uids[start : start + 1000])
    foreign = await _foreign(cx, channel, theirs)
    lines = match(statement, theirs, ours, elsewhere, foreign)
    wrong = sum(line["verdict"] != "matched" for line in lines)

    def conclude() -> Tx[None]:
        yield from statements.finish(statement.id, lines, None, now)
        yield from mail.finish(job.id, job.tries, now=now)
        if wrong:
            text = f"{channel.name} {statement.day}: 대사가 맞지 않는 거래가 {wrong}건 있습니다"
            yield from mail.raise_alarm(
                f"statement:{statement.id}:{wrong}", "statement", text, store_id=statement.store_id, imp_uid=None,
                now=now,
            )  # fmt: skip

    await cx.db.write(conclude)
    log.info("statement.compared", day=statement.day, kind=statement.kind, mid=channel.mid, wrong=wrong, n=len(lines))


async def _foreign(cx: Context, channel: Channel, theirs: list[Line]) -> set[str]:
    """Order numbers of another channel of ours, and on Hecto's shared test MIDs of strangers."""
    ids = [x.attempt_id for x in theirs]
    asked: dict[str, int] = {}
    for start in range(0, len(ids), 1000):
        asked |= await cx.db.read(statements.channels_of_attempts, ids[start : start + 1000])
    strangers = channel.environment is Environment.TEST
    return {i for i in ids if asked.get(i, channel.id) != channel.id or (strangers and i not in asked)}


async def night(cx: Context, job: Any) -> None:
    """Ask Hecto about a day's payments on a channel that is not live, and make our records true.

    Hecto cancels test payments by itself between 23:00 and 23:50 and tells nobody.
    """
    given = json.loads(job.payload)
    channel = await cx.channel(job.store_id, given["channel"])
    since = from_kst(given["day"] + "000000")
    rows = await cx.db.read(statements.our_entries, channel.store_id, channel.id, since, since + DAY)
    found = 0
    for imp_uid in dict.fromkeys(r.imp_uid for r in rows if r.kind == "approve"):
        found += await _look(cx, channel, imp_uid)
    await cx.db.write(mail.finish, job.id, job.tries, now=cx.clock())
    cx.wake()
    log.info("night.checked", day=given["day"], mid=channel.mid, payments=len(rows), cancelled=found)


async def _look(cx: Context, channel: Channel, imp_uid: str) -> bool:
    stored = await cx.db.read(payments.load, imp_uid)
    assert stored is not None
    p = stored.payment
    pay = p.pay_attempt
    if pay is None or not p.left or p.voided:
        return False
    question = Question(
        cx.inquiry_id(imp_uid), AttemptId(pay.id), p.pay_method, won(pay.amount), Instant(pay.asked_at),
        stored.row.pg_tid,
    )  # fmt: skip
    answer = await cx.gateway.inquire(channel, question)
    if not isinstance(answer.finding, Done) or answer.cancelled <= p.returned:
        return False
    await cx.db.write(absorb, imp_uid, answer.finding.pg_tid, answer.cancelled, cx.clock(), Purpose.NIGHT)
    return True
