"""What happens at virtual accounts: news from notis, inquiries and Hecto's lists, and the bank's question before.

News comes in any order, twice, or before our own call has returned. A deposit proves that its account was
issued; every event has a name of its own, so that hearing of it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from naru import logs
from naru.domain import standard
from naru.domain.channel import Channel
from naru.domain.outcome import Details, Done, NoSuchTrade, NotSent, Unknown
from naru.domain.payment import Applied, EntryKind, Op, Payment, Purpose, State, show, sub_id
from naru.domain.values import DAY, HOUR, SECOND, AttemptId, Instant, Won
from naru.domain.vbank import (
    Deposit,
    Precheck,
    absorb_revoked,
    apply_deposit,
    apply_refund,
    apply_reversal,
    is_issue,
    issued,
    precheck,
)
from naru.service.cancel import ask_about
from naru.service.context import Context
from naru.service.ports import DepositQuestion, Notice, Question, Unreadable
from naru.service.settle import absorb, commit, deposit_id, settle_now
from naru.service.verdict import Verdict
from naru.store import accounts, mail, payments, stores, views
from naru.store.db import Tx
from naru.store.payments import Stored

log = logs.logger("deposits")

NAMELESS = "0000000"
"""The order number in notis of fixed-unlimited deposits: they are matched by MID and account (Hecto M20e)."""
CLOCKS_APART_MS = 5 * SECOND
"""How far the PG's clock may be from ours when a deposit is matched to the account's holder of that time."""
SILENT_AFTER_MS = DAY
"""A channel that has issued accounts for this long should have heard something."""

LOOK_EVERY_MS = 12 * HOUR
LAST_LOOK_MS = HOUR
"""How long after the due date the last look is."""


# ---------------------------------------------------------------- whose event it is


def _of_attempt(attempt_id: str, channel_ids: Iterable[int]) -> Tx[str | None]:
    """The account payment whose issue carried this order number."""
    row = yield from payments.attempt_row(attempt_id)
    if row is None or row.channel_id not in set(channel_ids) or row.op not in (Op.ISSUE, Op.PAY):
        return None
    return row.imp_uid  # type: ignore[no-any-return]


def of_number(mid: str, number: str, at: int, channel_ids: Iterable[int], *, unlimited: bool | None) -> Tx[str | None]:
    """The payment that had an account number at a time (UTC ms).

    The newest that had been asked for and not been revoked by then, to the second that the PG tells; then one that
    fits when the clocks are a little apart. If none does, the newest that was not refused.
    """
    ids = set(channel_ids)
    rows = yield from accounts.of_number(mid, number)
    held: list[tuple[str, int, int | None]] = []
    for row in rows:
        if row.channel_id not in ids or (unlimited is not None and (row.account == "3") is not unlimited):
            continue
        stored = yield from payments.load(row.imp_uid)
        assert stored is not None
        asked, revoked = stored.payment.pay_attempt, stored.payment.revoked
        if asked is None or asked.state in (State.DECLINED, State.NOT_SENT):
            continue
        held.append((row.imp_uid, row.started_at, revoked.settled_at if revoked is not None else None))
    for early, late in ((SECOND - 1, 0), (CLOCKS_APART_MS, CLOCKS_APART_MS)):
        for imp_uid, since, until in held:
            if since <= at + early and (until is None or at <= until + late):
                return imp_uid
    return held[0][0] if held else None


def _owner(notice: Notice, channel_ids: set[int]) -> Tx[str | None]:
    """Whose account a noti about an issue or a deposit speaks of."""
    number = notice.details.account_number
    if notice.attempt_id == NAMELESS:
        # One that is written down stays where it is: its number may be another's by now.
        if notice.pg_tid and (known := (yield from _of_trade(notice.pg_tid, channel_ids))) is not None:
            return known
        if not number:
            return None
        return (yield from of_number(notice.mid, number, notice.at, channel_ids, unlimited=True))
    found = yield from _of_attempt(notice.attempt_id, channel_ids)
    if found is None and notice.pg_tid:
        found = yield from _of_trade(notice.pg_tid, channel_ids)
    return found


def _of_trade(tid: str, channel_ids: set[int]) -> Tx[str | None]:
    imp_uid = yield from views.payment_of_trade(tid)
    if imp_uid is None:
        return None
    stored = yield from payments.load(imp_uid)
    return imp_uid if stored is not None and stored.payment.channel_id in channel_ids else None


# ---------------------------------------------------------------- notis


async def heard(cx: Context, notice: Notice, channel_ids: set[int]) -> Verdict:
    """Make a verified noti about a virtual account facts."""
    match notice.kind:
        case "issued":
            return await _issued(cx, notice, channel_ids)
        case "deposit":
            return await _deposited(cx, notice, channel_ids)
        case "revoked":
            return await _revoked(cx, notice, channel_ids)
        case "reversal":
            return await _reversed(cx, notice, channel_ids)
        case "refund":
            return await _refunded(cx, notice, channel_ids)
        case _:
            return Verdict("unmatched", f"처리할 수 없는 종류입니다: {notice.kind}")


async def _issued(cx: Context, notice: Notice, channel_ids: set[int]) -> Verdict:
    imp_uid = await cx.db.read(_of_attempt, notice.attempt_id, channel_ids)
    row = await cx.db.glance(payments.attempt_row, notice.attempt_id)
    if imp_uid is None or row is None:
        return Verdict("unmatched", "나루가 보낸 주문번호가 아닙니다")
    was_done = row.state == State.DONE
    details = replace(notice.details, depositor=None)  # here it holds the orderer's name
    settled = await settle_now(cx, row.id, Done(notice.pg_tid, notice.amount, notice.at, details))
    assert settled is not None
    if notice.amount != row.amount:
        return Verdict("mismatch", f"금액이 다릅니다: 요청 {row.amount}원, 통보 {notice.amount}원", imp_uid)
    return Verdict("again" if was_done else "applied", None, imp_uid)


async def _deposited(cx: Context, notice: Notice, channel_ids: set[int]) -> Verdict:
    imp_uid = await cx.db.read(_owner, notice, channel_ids)
    if imp_uid is None:
        where = f"(MID {notice.mid}, 입금번호 {notice.pg_tid})"
        text = f"나루가 모르는 가상계좌에 {notice.amount:,}원이 입금되었습니다 {where}"
        await cx.db.write(
            mail.raise_alarm, f"stray_deposit:{notice.mid}:{notice.pg_tid}"[:160], "stray_deposit", text,
            store_id=None, imp_uid=None, now=cx.clock(),
        )  # fmt: skip
        return Verdict("unmatched", "나루가 발급한 계좌가 아닙니다")
    return await take(cx, imp_uid, notice.mid, notice.pg_tid, notice.amount, notice.at, notice.details)


async def take(
    cx: Context, imp_uid: str, mid: str, tid: str, amount: Won, at: Instant, details: Details | None = None
) -> Verdict:
    """Record a deposit into a payment's account, from wherever it became known."""
    took = await cx.db.write(
        _take, imp_uid, Deposit(deposit_id(mid, tid), tid, amount, at, _name(details)), details, cx.clock()
    )
    cx.happened(imp_uid)
    cx.wake()
    if took.verdict.word == "applied":
        log.info("deposit.recorded", imp_uid=imp_uid, amount=amount, status=took.status)
    return took.verdict


def _name(details: Details | None) -> str | None:
    return details.depositor if details is not None else None


@dataclass(frozen=True, slots=True)
class _Took:
    verdict: Verdict
    status: str


def _locked(imp_uid: str) -> Tx[tuple[Stored, payments.Order, bool]]:
    """A payment with its order, both locked, and whether another payment paid that order."""
    first = yield from payments.load(imp_uid)
    assert first is not None
    order = yield from payments.lock_order(first.payment.store_id, first.payment.merchant_uid)
    stored = yield from payments.load(imp_uid, lock=True)
    assert stored is not None
    return stored, order, order.paid_by not in (None, imp_uid)


def _take(imp_uid: str, deposit: Deposit, details: Details | None, now: Instant) -> Tx[_Took]:
    before, order, by_other = yield from _locked(imp_uid)
    p = before.payment
    if not p.is_account:
        return _Took(Verdict("unmatched", "가상계좌 결제건이 아닙니다", imp_uid), before.row.status)
    told = details.account_number if details is not None else None
    if told and p.number and told != p.number:
        text = f"입금된 계좌번호가 발급된 계좌와 다릅니다 (입금번호 {deposit.pg_tid})"
        yield from commit(before, Applied(p, text), now, order=order)
        return _Took(Verdict("mismatch", text, imp_uid), before.row.status)
    known = any(e.id == deposit.id for e in p.entries)
    applied = apply_deposit(p, deposit, now, paid_by_other=by_other)
    after = yield from _commit_deposit(before, applied, order, deposit.pg_tid, details, now)
    if known:
        word = "mismatch" if applied.alarm else "again"
    else:
        word = "noted" if applied.alarm else "applied"
    return _Took(Verdict(word, applied.alarm, imp_uid), show(after).status.value)


def _commit_deposit(
    before: Stored, applied: Applied, order: payments.Order, tid: str, details: Details | None, now: Instant
) -> Tx[Payment]:
    """A deposit of an ordinary account carries the number of its issue, and tells what a lost noti of it would have."""
    p = before.payment
    if p.unlimited:
        return (yield from commit(before, applied, now, order=order))
    issue = {"vbank_issued_at": before.row.vbank_issued_at or now}
    return (yield from commit(before, applied, now, details=details, pg_tid=tid, overrides=issue, order=order))


async def _revoked(cx: Context, notice: Notice, channel_ids: set[int]) -> Verdict:
    tid = notice.org_tid or notice.pg_tid
    imp_uid = await cx.db.read(_of_trade, tid, channel_ids)
    if imp_uid is None:
        imp_uid = await cx.db.read(_of_attempt, notice.attempt_id, channel_ids)
    if imp_uid is None:
        return Verdict("unmatched", "발급 거래를 찾을 수 없습니다")
    stored = await cx.db.read(payments.load, imp_uid)
    assert stored is not None
    mine = next((a for a in stored.payment.attempts if a.op is Op.REVOKE and a.is_open), None)
    if mine is not None:
        await settle_now(cx, mine.id, Done(notice.pg_tid, Won(0), notice.at))
        return Verdict("applied", None, imp_uid)
    changed = await cx.db.write(_absorb_revoked, imp_uid, cx.clock())
    cx.happened(imp_uid)
    return Verdict("applied" if changed else "again", None, imp_uid)


def _absorb_revoked(imp_uid: str, now: Instant) -> Tx[bool]:
    before, order, _ = yield from _locked(imp_uid)
    p = before.payment
    number = 1 + sum(a.op is Op.REVOKE for a in p.attempts)
    after = absorb_revoked(p, sub_id(p.imp_uid, "D", number), now, "결제대행사에서 직접 말소")
    if after is p:
        return False
    yield from commit(before, Applied(after), now, order=order)
    return True


async def _reversed(cx: Context, notice: Notice, channel_ids: set[int]) -> Verdict:
    imp_uid = await cx.db.read(_reversed_payment, notice, channel_ids)
    if imp_uid is None:
        return Verdict("unmatched", "취소된 입금의 가상계좌를 찾을 수 없습니다")
    verdict = await cx.db.write(_reverse, imp_uid, notice, cx.clock())
    cx.happened(imp_uid)
    cx.wake()
    return verdict


def _reversed_payment(notice: Notice, channel_ids: set[int]) -> Tx[str | None]:
    for tid in (notice.org_tid, notice.pg_tid):
        if tid and (found := (yield from _of_trade(tid, channel_ids))) is not None:
            return found
    return (yield from _owner(notice, channel_ids))


def _reverse(imp_uid: str, notice: Notice, now: Instant) -> Tx[Verdict]:
    """Which deposit a reversal takes back: the one that it names, else the newest of its amount.

    An ordinary account has one deposit, whose number is the issue's, so that a reversal heard before its
    deposit is recorded with it. Of an unlimited account the deposit must have been heard of.
    """
    before, order, by_other = yield from _locked(imp_uid)
    p = before.payment
    named = {t for t in (notice.org_tid, notice.pg_tid) if t}
    came = [e for e in p.entries if e.kind is EntryKind.DEPOSIT]
    done = {e.org_tid for e in p.entries if e.kind is EntryKind.REVERSAL}
    found = next((e for e in came if e.pg_tid in named), None)
    if found is None:
        same = [e for e in came if e.amount == notice.amount and e.pg_tid not in done]
        found = max(same, key=lambda e: (e.at, e.id), default=None)
    if found is not None:
        if found.amount != notice.amount:
            return Verdict("mismatch", f"입금 {found.amount}원, 자동취소 통보 {notice.amount}원", imp_uid)
        deposit = Deposit(found.id, found.pg_tid, found.amount, found.at, found.depositor)
    elif p.unlimited:
        return Verdict("new", "입금 통보를 아직 받지 못해 다시 통보를 기다립니다", imp_uid)
    else:
        tid = before.row.pg_tid or notice.org_tid or notice.pg_tid
        name = notice.details.depositor
        deposit = Deposit(deposit_id(notice.mid, tid), tid, notice.amount, notice.at, name)
    again = any(e.id == f"reversal:{deposit.id}" for e in p.entries)
    applied = apply_reversal(p, deposit, notice.pg_tid, notice.at, now, paid_by_other=by_other)
    yield from _commit_deposit(before, applied, order, deposit.pg_tid, notice.details, now)
    return Verdict("again" if again else "applied", applied.alarm, imp_uid)


async def _refunded(cx: Context, notice: Notice, channel_ids: set[int]) -> Verdict:
    imp_uid = await cx.db.read(_of_trade, notice.org_tid, channel_ids) if notice.org_tid else None
    if imp_uid is None:
        return Verdict("unmatched", "환불된 입금을 찾을 수 없습니다")
    verdict = await cx.db.write(_refund, imp_uid, notice.org_tid, notice.pg_tid, notice.amount, notice.at, cx.clock())
    if verdict is None:
        return await _by_total(cx, imp_uid, notice.org_tid)
    cx.happened(imp_uid)
    cx.wake()
    return verdict


async def _by_total(cx: Context, imp_uid: str, org_tid: str, at: Instant | None = None) -> Verdict:
    """Record what went back of a deposit and we do not know of, as an inquiry tells it."""
    stored = await cx.db.read(payments.load, imp_uid)
    assert stored is not None
    p = stored.payment
    came = next(e for e in p.entries if e.kind is EntryKind.DEPOSIT and e.pg_tid == org_tid)
    asked = p.pay_attempt
    assert asked is not None
    channel = await cx.channel(p.store_id, p.channel_id)
    found, total = await ask_about(cx, channel, p, came, asked)
    if not isinstance(found, Done):
        return Verdict("new", "거래 조회에 실패하여 다시 통보를 기다립니다", p.imp_uid)
    after = await cx.db.write(absorb, p.imp_uid, org_tid, total, cx.clock(), Purpose.CONSOLE, at)
    cx.happened(p.imp_uid)
    cx.wake()
    changed = after is not None and len(after.entries) > len(p.entries)
    return Verdict("applied" if changed else "again", None, p.imp_uid)


def _refund(imp_uid: str, org_tid: str, pg_tid: str, amount: Won, at: Instant, now: Instant) -> Tx[Verdict | None]:
    """Record a refund that the PG tells of. None: only the total can tell whether it is counted already.

    Decided under the payment's lock: the cancel that this noti is about may be settled at this moment.
    """
    before, order, _ = yield from _locked(imp_uid)
    p = before.payment
    if not any(e.kind is EntryKind.DEPOSIT and e.pg_tid == org_tid for e in p.entries):
        return Verdict("new", "입금 통보를 아직 받지 못해 다시 통보를 기다립니다", imp_uid)
    back = [e for e in p.entries if e.kind is EntryKind.CANCEL and e.org_tid == org_tid]
    if any(e.pg_tid == pg_tid for e in back):
        return Verdict("again", None, imp_uid)
    if any(not e.pg_tid and e.amount == amount for e in back):
        # A refund that an inquiry found has no number: this may be it.
        if p.open_cancel is not None:
            return Verdict("new", "진행 중인 환불이 끝난 뒤 다시 확인합니다", imp_uid)
        return None
    applied = apply_refund(p, org_tid, pg_tid, amount, at, now)
    changed = applied.payment is not p
    yield from commit(before, applied, now, order=order)
    if applied.alarm:
        return Verdict("mismatch", applied.alarm, imp_uid)
    return Verdict("applied" if changed else "again", None, imp_uid)


# ---------------------------------------------------------------- deposits whose noti never came


async def look(cx: Context, imp_uid: str) -> bool:
    """Ask Hecto whether an ordinary account's deposit came in. True when it had, and is recorded now."""
    stored = await cx.db.read(payments.load, imp_uid)
    if stored is None or not waiting_for_deposit(stored.payment):
        return False
    p = stored.payment
    asked = p.pay_attempt
    assert asked is not None
    channel = await cx.channel(p.store_id, p.channel_id)
    amounts = {p.amount, *(a.amount for a in p.attempts if a.op is Op.CHANGE and a.is_open)}
    for amount in sorted(amounts):
        question = Question(
            cx.inquiry_id(imp_uid), AttemptId(asked.id), p.pay_method, amount, asked.asked_at, stored.row.pg_tid
        )
        match (await cx.gateway.inquire(channel, question)).finding:
            case Done() as found:
                log.warning("deposit.found", imp_uid=imp_uid, amount=found.amount)
                await settle_now(cx, asked.id, found)
                return True
            case Unknown():
                return False
            case NoSuchTrade() | _:
                continue
    return False


def waiting_for_deposit(p: Payment) -> bool:
    """Whether an inquiry could find a deposit that we do not know of. (No inquiry names unlimited deposits.)"""
    asked = p.pay_attempt
    if asked is None or not is_issue(p, asked) or p.unlimited:
        return False
    return issued(p) and not any(e.kind is EntryKind.DEPOSIT for e in p.entries)


async def look_job(cx: Context, job: Any) -> None:
    """One look at one account, and when to look again: until a while after its due date."""
    found = await look(cx, job.imp_uid)
    now = cx.clock()
    stored = await cx.db.read(payments.load, job.imp_uid)
    assert stored is not None
    p = stored.payment
    over = found or not waiting_for_deposit(p) or (p.due is not None and now >= p.due + LAST_LOOK_MS)
    if over:
        await cx.db.write(mail.finish, job.id, job.tries, now=now)
        return
    after_due = None if p.due is None else p.due + LAST_LOOK_MS
    at = now + LOOK_EVERY_MS if after_due is None else min(now + LOOK_EVERY_MS, after_due)
    await cx.db.write(mail.postpone, job.id, job.tries, run_at=at, error="아직 입금되지 않았습니다", now=now)


class Listed(Protocol):
    """A line of Hecto's list of a day's trades."""

    @property
    def trd_no(self) -> str: ...
    @property
    def attempt_id(self) -> str: ...
    @property
    def cancelled(self) -> bool: ...
    @property
    def at(self) -> Instant: ...
    @property
    def amount(self) -> Won: ...
    @property
    def org_tid(self) -> str: ...


async def absorb_listed(cx: Context, channel: Channel, lines: Sequence[Listed], day_began: Instant) -> int:
    """Record deposits and refunds of accounts that a day's whole list has and we do not. Returns how many there were.

    A deposit that the bank took back by itself stands there as a refund; Hecto's noti of it is sent on request only.
    A line does not tell an unlimited account's number: where the channel has one such account the deposit is
    its, else a person is called. A refund that was asked that day, that no inquiry
    could tell of, and that is not on the list, did not happen.
    """
    found = 0
    for line in lines:
        if line.cancelled:
            found += await _listed_refund(cx, channel, line)
        else:
            found += await _listed_deposit(cx, channel, line)
    if cx.clock() < day_began + DAY:
        return found  # the day is not over: what is not on its list may still come
    rows = await cx.db.read(accounts.open_refunds, channel.id, day_began, day_began + DAY)
    for row in rows:
        stored = await cx.db.read(payments.load, row.imp_uid)
        attempt = stored.payment.attempt(row.id) if stored is not None else None
        if stored is None or attempt is None:
            continue
        # The refund of an ordinary account is open still only where the total fitted nothing.
        if stored.payment.unlimited or (stored.payment.is_account and attempt.state is State.UNKNOWN):
            await settle_now(cx, row.id, NotSent("헥토파이낸셜의 거래대사에 환불이 없습니다"))
    return found


async def _listed_deposit(cx: Context, channel: Channel, line: Listed) -> int:
    if line.attempt_id != NAMELESS:
        imp_uid = await cx.db.glance(_of_attempt, line.attempt_id, {channel.id})
        stored = await cx.db.read(payments.load, imp_uid) if imp_uid else None
        if stored is None or not stored.payment.is_account or stored.payment.received:
            return 0
    elif await cx.db.glance(_of_trade, line.trd_no, {channel.id}) is not None:
        return 0
    else:
        holders = await cx.db.read(accounts.unlimited_of, channel.id, channel.mid)
        if len(holders) != 1:
            text = f"입금통보를 받지 못한 입금 {line.amount:,}원이 거래대사에 있습니다 (입금번호 {line.trd_no})"
            await cx.db.write(
                mail.raise_alarm, f"stray_deposit:{channel.mid}:{line.trd_no}"[:160], "stray_deposit", text,
                store_id=channel.store_id, imp_uid=None, now=cx.clock(),
            )  # fmt: skip
            return 0
        imp_uid = holders[0]
    assert imp_uid is not None
    log.warning("deposit.found", imp_uid=imp_uid, amount=line.amount)
    verdict = await take(cx, imp_uid, channel.mid, line.trd_no, line.amount, line.at)
    return int(verdict.word in ("applied", "noted"))


async def _listed_refund(cx: Context, channel: Channel, line: Listed) -> int:
    imp_uid = await cx.db.read(_of_trade, line.org_tid, {channel.id}) if line.org_tid else None
    stored = await cx.db.read(payments.load, imp_uid) if imp_uid else None
    if imp_uid is None or stored is None or not stored.payment.is_account:
        return 0  # what went back of other payments, inquiries tell
    p = stored.payment
    if any(e.pg_tid == line.trd_no for e in p.entries):
        return 0
    if any(e.kind is EntryKind.REVERSAL and e.org_tid == line.org_tid for e in p.entries):
        return 0  # its noti told the deposit's number, the list tells the reversal's own
    if p.unlimited or p.open_cancel is not None:
        # The total of an inquiry would not tell this from the refund whose result is open; the list's line does.
        now = cx.clock()
        verdict = await cx.db.write(_refund, imp_uid, line.org_tid, line.trd_no, line.amount, line.at, now)
        cx.happened(imp_uid)
        cx.wake()
    else:
        verdict = await _by_total(cx, imp_uid, line.org_tid, line.at)
    if verdict is None or verdict.word != "applied":
        return 0
    after = await cx.db.read(payments.load, imp_uid)
    assert after is not None
    known = {e.id for e in p.entries}
    if any(e.id not in known and e.attempt_id is None for e in after.payment.entries):
        log.warning("refund.found", imp_uid=imp_uid, amount=line.amount)
        text = (
            f"입금 {line.amount:,}원이 되돌아간 것을 거래대사에서 찾았습니다 (은행의 자동취소이거나 "
            f"헥토파이낸셜의 직접 환불, 거래번호 {line.trd_no})"
        )
        await cx.db.write(
            mail.raise_alarm, f"found_refund:{imp_uid}:{line.trd_no}"[:160], "found_refund", text,
            store_id=channel.store_id, imp_uid=imp_uid, now=cx.clock(),
        )  # fmt: skip
    return 1


# ---------------------------------------------------------------- the bank's question before a deposit

_WORDS = {
    Precheck.GOOD: "정상",
    Precheck.NO_ACCOUNT: "입금할 수 없는 계좌입니다.",
    Precheck.EXPIRED: "입금기한이 지났습니다.",
    Precheck.AMOUNT: "입금액이 다릅니다.",
    Precheck.OTHER: "이미 결제된 주문입니다.",
}


async def answer_precheck(cx: Context, *, path: str, remote: str, content_type: str, body: bytes) -> tuple[bytes, str]:
    """Answer Hecto's question whether a deposit may come in (수취조회, M19): body and content type.

    The question is kept in the inbox with its answer, so that an operator can say why a bank refused.
    """
    letter = await cx.db.write(
        mail.receive, path=path, remote=remote, content_type=content_type[:120], raw=cx.gateway.redact(body),
        now=cx.clock(),
    )  # fmt: skip
    opened = cx.gateway.open_letter(body, content_type)
    channels = await cx.db.glance(stores.channels_by_mid, opened.mid, cx.vault) if opened.mid else []
    asked = cx.gateway.read_precheck(opened, channels)
    if isinstance(asked, Unreadable):
        log.warning("precheck.refused", verdict=asked.verdict, note=asked.note, mid=asked.mid, letter=letter)
        await cx.db.write(
            mail.judge, letter, asked.verdict, note=asked.note, mid=(asked.mid or "")[:12] or None,
            trd_no=(asked.trd_no or "")[:64] or None, mcht_trd_no=(asked.mcht_trd_no or "")[:100] or None,
            now=cx.clock(),
        )  # fmt: skip
        return cx.gateway.answer_precheck(content_type, Precheck.OTHER.value, "확인할 수 없는 요청입니다.")
    await _issued_after_all(cx, asked)
    imp_uid, result = await cx.db.read(_precheck, asked, set(asked.sealed_for), cx.clock())
    words = _WORDS[result]
    await cx.db.write(
        mail.judge, letter, "answered", note=f"{result.value} {words}", mid=asked.mid, trd_no=asked.pg_tid[:64] or None,
        mcht_trd_no=asked.attempt_id[:100] or None, imp_uid=imp_uid, now=cx.clock(),
    )  # fmt: skip
    await cx.db.write(address_called, [c for c in channels if c.id in asked.sealed_for], cx.clock())
    log.info("precheck.answered", result=result.name, imp_uid=imp_uid, letter=letter)
    return cx.gateway.answer_precheck(content_type, result.value, words)


async def _issued_after_all(cx: Context, asked: DepositQuestion) -> None:
    """The question names the issue and its number, so it proves one whose answer, noti and return page were all lost.

    Of an issue that its shop heard had failed it brings the number that revokes it.
    """
    if not asked.pg_tid or asked.attempt_id in ("", NAMELESS):
        return
    imp_uid = await cx.db.read(_of_attempt, asked.attempt_id, set(asked.sealed_for))
    stored = await cx.db.read(payments.load, imp_uid) if imp_uid else None
    if stored is None or not stored.payment.is_account:
        return
    p, issue = stored.payment, stored.payment.pay_attempt
    if issue is None or issue.state is State.DONE or (p.number and p.number != asked.number):
        return
    details = Details(
        account_bank=asked.bank, account_bank_name=standard.BANKS.get(asked.bank or ""), account_number=asked.number
    )
    log.warning("account.found", imp_uid=imp_uid)
    await settle_now(cx, issue.id, Done(asked.pg_tid, issue.amount, cx.clock(), details))


def _precheck(asked: DepositQuestion, channel_ids: set[int], now: Instant) -> Tx[tuple[str | None, Precheck]]:
    imp_uid: str | None = None
    if asked.attempt_id not in ("", NAMELESS):
        imp_uid = yield from _of_attempt(asked.attempt_id, channel_ids)
    if imp_uid is None and asked.pg_tid:
        imp_uid = yield from _of_trade(asked.pg_tid, channel_ids)
    if imp_uid is None:
        imp_uid = yield from of_number(asked.mid, asked.number, now, channel_ids, unlimited=None)
    stored = (yield from payments.load(imp_uid)) if imp_uid else None
    if stored is None or (stored.payment.number and stored.payment.number != asked.number):
        return imp_uid, Precheck.NO_ACCOUNT
    p = stored.payment
    order = yield from payments.order(p.store_id, p.merchant_uid)
    by_other = order.paid_by not in (None, p.imp_uid)
    return imp_uid, precheck(p, asked.amount, now, paid_by_other=by_other)


# ---------------------------------------------------------------- a notice address that nobody calls


def silence_key(channel_key: str) -> str:
    """The name of the alarm about a channel whose notice address was never called."""
    return f"notice_never:{channel_key}"


@dataclass(frozen=True, slots=True)
class Silent:
    """A channel that issues accounts and never heard from Hecto, and what to do about it."""

    store_id: int
    channel_key: str
    text: str


async def silent_channels(cx: Context) -> list[Silent]:
    """The channels in use whose notice address Hecto has never called, a day after they issued their first account."""
    rows = await cx.db.read(accounts.silent_channels, cx.clock() - SILENT_AFTER_MS)
    return [Silent(r.store_id, r.channel_key, silence_words(r.name, r.mid, cx.public_url)) for r in rows]


async def report_silent_channels(cx: Context) -> list[str]:
    """Raise an alarm for each channel that issues accounts and never heard from Hecto. Returns their channel keys."""
    found = await silent_channels(cx)
    for silent in found:
        await cx.db.write(
            mail.raise_alarm, silence_key(silent.channel_key), "notice_never", silent.text, store_id=silent.store_id,
            imp_uid=None, now=cx.clock(),
        )  # fmt: skip
    return [silent.channel_key for silent in found]


def address_called(channels: list[Channel], now: Instant) -> Tx[None]:
    """Hecto has reached us for these channels: whoever was told otherwise need not worry."""
    for channel in channels:
        yield from stores.noti_seen(channel.id, now)
        yield from mail.close_alarm(silence_key(channel.key), "입금통보 수신", now)


def silence_words(name: str, mid: str, public_url: str) -> str:
    """What an operator should do about a notice address that was never called."""
    return (
        f"'{name}' 채널(MID {mid})에 가상계좌를 발급했지만 입금통보를 받은 적이 없습니다. "
        f"헥토파이낸셜에 입금통보 주소 {public_url}/settle_payments/notice_vbank 의 등록을 요청했는지 확인해 주세요"
    )
