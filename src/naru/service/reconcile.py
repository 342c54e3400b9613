"""The settle job: looks at every attempt whose result is open until somebody knows.

It takes attempts by their next look time; the lease is the next look time, so one that died with
its taker simply comes due again.
"""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

from naru import logs
from naru.domain.outcome import Declined, Done, NoSuchTrade, NotSent, Outcome, Pending, Unknown
from naru.domain.payment import Attempt, Op, Payment, Purpose, State, Told
from naru.domain.values import HOUR, MINUTE, SECOND, AttemptId, Instant
from naru.service.cancel import ask_about_cancel, to_cancel
from naru.service.context import LEASE_MS, Context
from naru.service.ports import Question
from naru.service.settle import settle_now
from naru.service.vbank import look_again
from naru.store import mail, payments
from naru.store.db import Tx, Unavailable
from naru.store.payments import Stored

log = logs.logger("reconcile")

BELIEVE_MS = 60 * SECOND
"""How long after sending "no such trade" may still mean that the request is travelling."""
DENIALS = 2
"""How often, after that, it must be heard before it counts as not sent."""
SECOND_LOOKS_MS = (10 * MINUTE, 2 * HOUR, 24 * HOUR)
"""How long after *ask* one that was denied so often is looked for once more: "no such trade" may turn out untrue."""
WINDOW_MS = 15 * MINUTE
"""A window attempt closes this long after opening; its payment stays ready."""
LOOK_MS = 2 * MINUTE
"""While a window is open we look this often: both its noti and its buyer's browser may have got lost."""
ALARM_MS = 10 * MINUTE
_PAUSES_MS = (20 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE)


def pause_after(checks: int) -> int:
    """How long to wait before asking again, in ms."""
    return _PAUSES_MS[checks - 1] if 0 < checks <= len(_PAUSES_MS) else HOUR


async def check_due(cx: Context, most: int = 20) -> int:
    """Look at attempts whose time has come. Returns how many there were."""
    now = cx.clock()
    due = await cx.db.glance(payments.next_check)
    if due is None or due > now:
        return 0
    rows = await cx.db.write(payments.claim_checks, now, now + LEASE_MS, most)
    # Side by side, because the lease covers one look and not a queue of them: while the PG hangs each takes its
    # whole time limit. One that fails comes due again like one whose taker died.
    results = await asyncio.gather(*(check(cx, row.id, row.checks) for row in rows), return_exceptions=True)
    for row, result in zip(rows, results, strict=True):
        if isinstance(result, Unavailable):
            cx.note_unavailable(log, "check.unavailable", result, attempt=row.id)
        elif isinstance(result, Exception):
            log.error("check.failed", attempt=row.id, exc_info=result)
        elif isinstance(result, BaseException):
            raise result
    return len(rows)


async def check(cx: Context, attempt_id: str, checks: int) -> None:
    """Find out what became of one attempt, and settle it or say when to look again."""
    stored = await cx.db.read(_of_attempt, attempt_id)
    if stored is None:
        return
    attempt = stored.payment.attempt(attempt_id)
    assert attempt is not None
    if not attempt.is_open:
        await _second_look(cx, stored, attempt)
        return
    if stored.attempt_rows[attempt_id].checks > checks:
        return  # somebody else has taken it since: this process was stopped for longer than the lease
    if attempt.op in (Op.CHANGE, Op.REVOKE) or (attempt.op is Op.ISSUE and stored.payment.by_api):
        outcome, opens_at = await look_again(cx, stored, attempt, checks)
        if opens_at is not None:
            await cx.db.write(payments.check_again, attempt.id, opens_at)
            return
    elif attempt.op in (Op.PAY, Op.ISSUE):
        outcome = await _look_at_payment(cx, stored, attempt)
    elif attempt.purpose is Purpose.NET and attempt.state is State.ASKED and checks == 1:
        channel = await cx.channel(stored.payment.store_id, stored.payment.channel_id)
        outcome = await cx.gateway.cancel(channel, to_cancel(stored.payment, attempt))
        cx.crash("answered")
    else:
        channel = await cx.channel(stored.payment.store_id, stored.payment.channel_id)
        outcome = await ask_about_cancel(cx, channel, stored.payment, attempt)
    await _conclude(cx, stored, attempt, outcome, checks)


async def _look_at_payment(cx: Context, stored: Stored, attempt: Attempt) -> Outcome | None:
    p = stored.payment
    channel = await cx.channel(p.store_id, p.channel_id)
    found = await cx.gateway.inquire(
        channel,
        Question(
            cx.inquiry_id(p.imp_uid), AttemptId(attempt.id), p.pay_method, attempt.amount, attempt.asked_at,
            stored.row.pg_tid,
        ),
    )  # fmt: skip
    return None if isinstance(found.finding, NoSuchTrade) else found.finding


async def _conclude(cx: Context, stored: Stored, attempt: Attempt, outcome: Outcome | None, checks: int) -> None:
    now = cx.clock()
    p = stored.payment
    sent_at = _approval_sent_at(stored, attempt)
    # Once the approval of a split contract was asked for nobody pays in the window any more: what was sent is known.
    in_window = _in_window(p, attempt) and sent_at is None
    began_at = attempt.asked_at if sent_at is None else sent_at
    in_use = in_window and attempt.told is Told.NOTHING and now - attempt.asked_at < WINDOW_MS
    if isinstance(outcome, Declined) and in_use:
        # A card was refused, but the buyer may be trying another one in the same window.
        await cx.db.write(payments.check_again, attempt.id, _next_look(attempt, now))
        return
    match outcome:
        case Done() | Declined() | NotSent():
            await settle_now(cx, attempt.id, outcome)
            return
        case None:
            age = now - began_at
            denied = age >= BELIEVE_MS
            if denied and stored.attempt_rows[attempt.id].denials + 1 >= DENIALS:
                if in_window:
                    if age >= WINDOW_MS:
                        await cx.db.write(close_window, attempt.id, now)
                        return
                else:
                    nothing = NotSent("헥토파이낸셜에 거래가 없습니다")
                    again = partial(payments.check_again, attempt.id, _next_second_look(p, attempt, now))
                    await settle_now(cx, attempt.id, nothing, also=again)
                    return
            soon = now + 15 * SECOND if denied else max(Instant(began_at + BELIEVE_MS), now + SECOND)
            if in_window:
                soon = _next_look(attempt, now)
            await cx.db.write(payments.check_again, attempt.id, soon, denied=denied)
        case Pending() | Unknown():
            await settle_now(cx, attempt.id, outcome)
            again = now + pause_after(checks)
            alarm_at = began_at + ALARM_MS
            await cx.db.write(payments.check_again, attempt.id, min(again, alarm_at) if now < alarm_at else again)
    if now - began_at >= ALARM_MS + (WINDOW_MS if in_window else 0):
        await cx.db.write(_open_too_long, p, attempt, now)


def _next_second_look(p: Payment, attempt: Attempt, now: Instant) -> int | None:
    """When to look again at what was believed not to have been sent. None: no more, or not at this kind."""
    cancel = attempt.op is Op.CANCEL and attempt.purpose is not Purpose.NET  # a net cancel is asked for anew
    if attempt.state in (State.DONE, State.DECLINED) or p.is_account or not (cancel or attempt.op is Op.PAY):
        return None
    return next((attempt.asked_at + ms for ms in SECOND_LOOKS_MS if attempt.asked_at + ms > now), None)


async def _second_look(cx: Context, stored: Stored, attempt: Attempt) -> None:
    """The PG said twice that there was nothing. Should it have happened later all the same, it is found here:
    its noti may be lost, and not every contract has notis of cancels."""
    p, now = stored.payment, cx.clock()
    again = _next_second_look(p, attempt, now)
    outcome: Outcome | None = None
    if attempt.state is State.NOT_SENT and stored.attempt_rows[attempt.id].checks and p.open_cancel is None:
        if attempt.op is Op.PAY:
            outcome = await _look_at_payment(cx, stored, attempt)
        elif attempt.op is Op.CANCEL:
            channel = await cx.channel(p.store_id, p.channel_id)
            outcome = await ask_about_cancel(cx, channel, p, attempt)
    await cx.db.write(payments.check_again, attempt.id, again)
    if isinstance(outcome, Done) or (isinstance(outcome, Unknown) and outcome.mismatch):
        log.warning("attempt.late", attempt=attempt.id, imp_uid=p.imp_uid)
        # Another cancel since we read may be what made the total grow: then this look proves nothing.
        await settle_now(cx, attempt.id, outcome, only_if=p)


def _in_window(p: Payment, attempt: Attempt) -> bool:
    return attempt.op in (Op.PAY, Op.ISSUE) and not p.by_api


def _approval_sent_at(stored: Stored, attempt: Attempt) -> Instant | None:
    """When the approval of what the buyer authenticated was asked for, on a split contract; None where it was not."""
    if not _in_window(stored.payment, attempt):
        return None
    window: dict[str, Any] = json.loads(stored.row.extra).get("window") or {}
    at = window.get("auth_at")
    return None if at is None else Instant(at)


def _next_look(attempt: Attempt, now: Instant) -> int:
    closing = attempt.asked_at + WINDOW_MS
    return min(now + LOOK_MS, closing) if now < closing else now + 15 * SECOND


def _of_attempt(attempt_id: str) -> Tx[Stored | None]:
    row = yield from payments.attempt_row(attempt_id)
    if row is None:
        return None
    return (yield from payments.load(row.imp_uid))


def close_window(attempt_id: str, now: Instant) -> Tx[None]:
    """Nobody came back from the window and Hecto knows of nothing: stop looking. The payment stays ready."""
    yield from payments.close_attempt(attempt_id, now)


def _open_too_long(p: Payment, attempt: Attempt, now: Instant) -> Tx[None]:
    what = {Op.PAY: "결제", Op.ISSUE: "가상계좌 발급", Op.CHANGE: "가상계좌 변경", Op.REVOKE: "가상계좌 말소"}
    text = f"{what.get(attempt.op, '취소')} 결과를 10분 넘게 확인하지 못했습니다 ({attempt.id})"
    yield from mail.raise_alarm(
        f"unknown:{attempt.id}", "unknown", text, store_id=p.store_id, imp_uid=p.imp_uid, now=now
    )
