"""Account issues that nobody can settle but a person who has asked Hecto: there is no inquiry for an issue whose
``trdNo`` is not known (M21 finds deposits only), an escrow issue cannot be said again, and no other one on a later day.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from naru import logs
from naru.domain import standard
from naru.domain.outcome import Details, Done, NotSent
from naru.domain.payment import Account, Op, Payment, State, Told
from naru.domain.refusal import Refused, Why
from naru.domain.values import kst_date
from naru.service.context import LEASE_MS, Context
from naru.service.settle import settle_now
from naru.store import accounts, mail, payments, people, views
from naru.store.db import Tx
from naru.store.payments import Stored
from naru.store.people import Actor

log = logs.logger("by_hand")

TRADE_NUMBER = re.compile(r"[0-9A-Za-z_]{10,40}\Z")
ACCOUNT_NUMBER = re.compile(r"\d{10,16}\Z")
NEVER = "담당자가 헥토파이낸셜에 확인했습니다: 발급되지 않았습니다"


def _wrong(name: str, problem: str) -> Refused:
    return Refused(Why.PARAMETER, name=name, problem=problem)


def _open_issue(store_id: int | None, attempt_id: str) -> Tx[Stored | None]:
    row = yield from payments.attempt_row(attempt_id)
    if row is None or row.op != Op.ISSUE or (store_id is not None and row.store_id != store_id):
        return None
    return (yield from payments.load(row.imp_uid))


async def _find(cx: Context, store_id: int | None, attempt_id: str) -> Stored:
    """The payment whose issue waits for a person. *store_id* None: of any store. Raises Refused."""
    stored = await cx.db.read(_open_issue, store_id, attempt_id)
    if stored is None:
        raise Refused(Why.PAYMENT_NOT_FOUND)
    issue = stored.payment.pay_attempt
    assert issue is not None
    if not issue.is_open:
        raise _wrong("attempt", "이미 결과를 아는 발급입니다")
    if cx.clock() - issue.asked_at < LEASE_MS:
        raise _wrong("attempt", "아직 처리 중인 요청입니다. 잠시 후 다시 시도해 주세요")
    return stored


def _note(actor: Actor, action: str, p: Payment, detail: dict[str, object], now: int) -> Tx[None]:
    yield from people.note_change(actor, action, p.imp_uid, now, store_id=p.store_id, detail=detail)
    yield from mail.close_alarm(f"unknown:{p.imp_uid}", actor.who, now)


async def issued(
    cx: Context, actor: Actor, store_id: int | None, attempt_id: str, *, trd_no: str, bank: str = "", number: str = ""
) -> bool:
    """Record that Hecto issued the account, under its ``trdNo``. Raises Refused; nothing has changed then.

    Of a rotating account nobody knows bank and number either, so both are needed. True: the shop had heard that the
    issue failed, so the account is being revoked.
    """
    stored = await _find(cx, store_id, attempt_id)
    p, row = stored.payment, stored.row
    if not TRADE_NUMBER.match(trd_no):
        raise _wrong("trdNo", "헥토파이낸셜의 거래번호(영문, 숫자, _ 10~40자)여야 합니다")
    owner = await cx.db.read(views.payment_of_trade, trd_no)
    if owner not in (None, p.imp_uid):
        raise _wrong("trdNo", f"다른 결제({owner})의 거래번호입니다")
    number = re.sub(r"[\s-]", "", number) or p.number
    if not ACCOUNT_NUMBER.match(number):
        raise _wrong("account", "발급된 계좌번호(숫자 10~16자)가 필요합니다")
    if p.account is not Account.ROTATING and number != p.number:
        raise _wrong("account", f"요청한 계좌({p.number})와 다릅니다")
    bank = bank.strip() or row.vbank_code or ""
    if bank not in standard.BANKS:
        raise _wrong("bank", "세 자리 은행코드여야 합니다")
    issue = p.pay_attempt
    assert issue is not None
    details = Details(account_bank=bank, account_bank_name=standard.BANKS[bank], account_number=number)
    now = cx.clock()
    detail: dict[str, object] = {"trdNo": trd_no, "account": number}
    settled = await settle_now(
        cx, issue.id, Done(trd_no, issue.amount, now, details),
        also=lambda: _note(actor, "account_issued", p, detail, now),
    )  # fmt: skip
    assert settled is not None
    log.warning("issue.by_hand", imp_uid=p.imp_uid, who=actor.who, issued=True)
    return issue.told is Told.FAILED


async def never_issued(cx: Context, actor: Actor, store_id: int | None, attempt_id: str) -> None:
    """Record that Hecto never issued the account: the payment has failed. Raises Refused.

    Should a noti prove otherwise later, it counts.
    """
    stored = await _find(cx, store_id, attempt_id)
    p, issue = stored.payment, stored.payment.pay_attempt
    assert issue is not None
    now = cx.clock()
    await settle_now(cx, issue.id, NotSent(NEVER), also=lambda: _note(actor, "account_never_issued", p, {}, now))
    log.warning("issue.by_hand", imp_uid=p.imp_uid, who=actor.who, issued=False)


def needs_a_person(state: str, *, escrow: bool, asked_at: int, now: int) -> bool:
    """Whether Naru cannot ask any more about an open issue: see this module's first words."""
    return state in (State.UNKNOWN, State.PENDING) and (escrow or kst_date(asked_at) != kst_date(now))


@dataclass(frozen=True, slots=True)
class Waiting:
    """An issue whose result is unknown, with what to ask Hecto about. Amount in KRW, time in UTC ms."""

    imp_uid: str
    mid: str
    asked_at: int
    amount: int
    number: str
    by_hand: bool


async def waiting(cx: Context) -> list[Waiting]:
    """The issues of all stores whose result is unknown, oldest first."""
    now = cx.clock()
    rows = await cx.db.read(accounts.open_issues)
    return [
        Waiting(
            r.imp_uid, r.pg_id, r.asked_at, r.amount, r.vbank_num or "",
            needs_a_person(r.state, escrow=bool(r.escrow), asked_at=r.asked_at, now=now),
        )
        for r in rows
    ]  # fmt: skip
