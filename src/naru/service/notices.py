"""Notis: stored first, verified, idempotent, in any order, answered ``OK`` only after commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from naru import logs
from naru.domain.channel import Channel
from naru.domain.outcome import Done
from naru.domain.payment import Op, Purpose
from naru.domain.values import AttemptId, Instant
from naru.service import deposits
from naru.service.context import LEASE_MS, Context
from naru.service.ports import Notice, Question, Unreadable
from naru.service.settle import absorb, changes_nothing, is_known, settle_now
from naru.service.verdict import Verdict
from naru.store import mail, payments, views
from naru.store.db import Tx, Unavailable

log = logs.logger("notices")

MAX_BODY = 16 * 1024
OVERTAKEN_S = 0.25
"""How long a noti that overtook the answer waits for it. Then it is the news: the answer may be lost."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A noti with the channels of the merchant that it names."""

    notice: Notice | Unreadable
    channels: list[Channel]


async def _read(cx: Context, body: bytes, content_type: str) -> _Read:
    letter = cx.gateway.open_letter(body, content_type)
    channels = await cx.channels_of_mid(letter.mid) if letter.mid else []
    return _Read(cx.gateway.read_notice(letter, channels), channels)


async def receive(cx: Context, *, path: str, remote: str, content_type: str, body: bytes) -> bool:
    """Take in one noti. True: it is committed and Hecto may forget it."""
    words: dict[str, Any] = {"path": path, "remote": remote, "content_type": content_type[:120]}
    words["raw"] = cx.gateway.redact(body)
    read = None
    try:
        read = await _read(cx, body, content_type)
    except Unavailable:
        raise  # nor could it be kept: it comes again
    except Exception:  # what cannot be read is kept all the same
        log.exception("notice.not_read")
    if read is not None and await _repeats(cx, read, words):
        return True
    letter = await cx.db.write(mail.receive, **words, now=cx.clock())
    cx.crash("letter stored")
    return await handle(cx, letter, body, content_type, read)


async def _repeats(cx: Context, read: _Read, words: dict[str, Any]) -> bool:
    """Take in a noti that repeats the answer by which this process has just settled a payment.

    There is nothing to do for it, now or later, so it is stored together with its verdict. False: it is any
    other, and nothing was kept of it.
    """
    notice = read.notice
    if isinstance(notice, Unreadable) or notice.kind != "approve" or notice.pay_method != "card":
        return False
    attempt = notice.attempt_id
    if attempt in cx.calling:
        await cx.turn(attempt, OVERTAKEN_S)  # it overtook the answer
    found = cx.paid_just_now.get(attempt)
    if found is None:
        return False
    payment, row = found
    now = cx.clock()
    done = _told_by(notice)
    if payment.channel_id not in notice.sealed_for or not changes_nothing(payment, row, attempt, done, now):
        return False
    called = _called(cx, read)

    def keep() -> Tx[None]:
        yield from mail.receive_again(
            **words, mid=notice.mid, trd_no=notice.pg_tid, mcht_trd_no=attempt, imp_uid=payment.imp_uid, now=now
        )
        yield from deposits.address_called(called, now)

    await cx.db.write(keep)
    cx.paid_just_now.pop(attempt, None)
    log.info("notice.received", kind=notice.kind, verdict="again", imp_uid=payment.imp_uid)
    return True


def _told_by(notice: Notice) -> Done:
    return Done(notice.pg_tid, notice.amount, notice.at, notice.details, billing_key=notice.billing_key)


def _called(cx: Context, read: _Read) -> list[Channel]:
    """The channels whose address the PG has called for the first time in this minute."""
    assert isinstance(read.notice, Notice)
    return [c for c in read.channels if c.id in read.notice.sealed_for and cx.first_this_minute(f"noti:{c.id}")]


async def authentic(cx: Context, body: bytes, content_type: str) -> bool:
    """Whether a noti is readable and sealed with the key of its MID. Keeps nothing."""
    return not isinstance((await _read(cx, body, content_type)).notice, Unreadable)


async def handle(cx: Context, letter: int, body: bytes, content_type: str, read: _Read | None = None) -> bool:
    """Verify and apply a stored noti, and write down its verdict. Safe to repeat (the operator's replay).

    *read* is the noti as it was read already, and the answer that it may have overtaken was waited for.
    """
    waited = read is not None
    read = read or await _read(cx, body, content_type)
    notice = read.notice
    if isinstance(notice, Unreadable):
        log.warning("notice.refused", verdict=notice.verdict, note=notice.note, mid=notice.mid, letter=letter)
        await cx.db.write(
            mail.judge, letter, notice.verdict, note=notice.note, mid=(notice.mid or "")[:12] or None,
            trd_no=(notice.trd_no or "")[:64] or None, mcht_trd_no=(notice.mcht_trd_no or "")[:100] or None,
            now=cx.clock(),
        )  # fmt: skip
        return False
    now = cx.clock()
    called = _called(cx, read)
    written = False

    def write_down(verdict: Verdict) -> Tx[None]:
        nonlocal written
        yield from mail.judge(
            letter, verdict.word, note=verdict.note, mid=notice.mid, trd_no=notice.pg_tid,
            mcht_trd_no=notice.attempt_id, imp_uid=verdict.imp_uid, now=now,
        )  # fmt: skip
        yield from deposits.address_called(called, now)
        written = True

    verdict = await apply(cx, notice, set(notice.sealed_for), write_down, waited=waited)
    if not written:
        await cx.db.write(write_down, verdict)
    log.info("notice.received", kind=notice.kind, verdict=verdict.word, imp_uid=verdict.imp_uid, letter=letter)
    return verdict.ok


async def apply(
    cx: Context, notice: Notice, channel_ids: set[int], write_down: Callable[[Verdict], Tx[None]] | None = None, *,
    waited: bool = False,
) -> Verdict:  # fmt: skip
    """Make a verified noti's news facts. *write_down* may be run in the transaction of the facts themselves."""
    match notice.kind:
        case _ if notice.pay_method == "vbank":
            return await deposits.heard(cx, notice, channel_ids)
        case "approve":
            return await _approved(cx, notice, channel_ids, write_down, waited=waited)
        case "cancel" | "refund":
            return await _went_back(cx, notice, channel_ids)
        case _:
            return Verdict("unmatched", f"처리할 수 없는 종류입니다: {notice.kind}")


async def _approved(
    cx: Context, notice: Notice, channel_ids: set[int], write_down: Callable[[Verdict], Tx[None]] | None, *,
    waited: bool,
) -> Verdict:  # fmt: skip
    row = await cx.db.glance(payments.attempt_row, notice.attempt_id)
    if row is not None and row.id in cx.calling and row.state == "asked" and not waited:
        # Our own call has not come back: settled twice it would take every lock twice, for one result.
        await cx.turn(row.imp_uid, OVERTAKEN_S)
        row = await cx.db.glance(payments.attempt_row, notice.attempt_id)
    if row is None or row.channel_id not in channel_ids or row.op != Op.PAY:
        return Verdict("unmatched", "나루가 보낸 주문번호가 아닙니다")
    verdict = Verdict("again" if row.state == "done" else "applied", None, row.imp_uid)
    if notice.amount != row.amount:
        words = f"금액이 다릅니다: 요청 {row.amount}원, 통보 {notice.amount}원"
        verdict = Verdict("mismatch", words, row.imp_uid)
    done = _told_by(notice)
    if verdict.word == "again" and await cx.db.glance(is_known, row.id, row.imp_uid, done, now=cx.clock()):
        return verdict  # most notis repeat the answer that came before them: no lock, nothing to write but this
    settled = await settle_now(cx, row.id, done, also=None if write_down is None else partial(write_down, verdict))
    assert settled is not None
    return verdict


async def _went_back(cx: Context, notice: Notice, channel_ids: set[int]) -> Verdict:
    """A cancel noti only makes us look: matched by the original trade's number, never by the order number."""
    imp_uid = await cx.db.glance(views.payment_of_trade, notice.org_tid or notice.pg_tid)
    stored = await cx.db.read(payments.load, imp_uid) if imp_uid else None
    if stored is None or stored.payment.channel_id not in channel_ids:
        return Verdict("unmatched", "원거래를 찾을 수 없습니다")
    p = stored.payment
    if any(e.pg_tid == notice.pg_tid for e in p.entries):
        return Verdict("again", None, p.imp_uid)
    open_cancel = p.open_cancel
    if open_cancel is not None:
        await cx.db.write(_look_soon, open_cancel.id, cx.clock())
        cx.wake()
        return Verdict("noted", "진행 중인 취소의 결과를 확인합니다", p.imp_uid)
    pay = p.pay_attempt
    assert pay is not None
    channel = await cx.channel(p.store_id, p.channel_id)
    found = await cx.gateway.inquire(
        channel,
        Question(
            cx.inquiry_id(p.imp_uid), AttemptId(pay.id), p.pay_method, pay.amount, pay.asked_at,
            notice.org_tid or None,
        ),
    )  # fmt: skip
    if not isinstance(found.finding, Done):
        return Verdict("new", "거래 조회에 실패하여 다시 통보를 기다립니다", p.imp_uid)
    after = await cx.db.write(absorb, p.imp_uid, found.finding.pg_tid, found.cancelled, cx.clock(), Purpose.CONSOLE)
    if after is not None and after.open_cancel is not None:
        return Verdict("new", "진행 중인 취소가 끝난 뒤 다시 확인합니다", p.imp_uid)
    cx.happened(p.imp_uid)
    cx.wake()
    return Verdict("applied", None, p.imp_uid)


def _look_soon(attempt_id: str, now: Instant) -> Tx[None]:
    """Look at an open attempt now, unless the request that made it is still at work on it."""
    row = yield from payments.attempt_row(attempt_id)
    if row is not None and row.check_at is not None:
        yield from payments.check_again(attempt_id, max(now, row.asked_at + LEASE_MS))
