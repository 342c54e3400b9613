"""Cash receipts: ask, call, settle, like money. What nobody knows is found out by asking (M29)."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

from naru import logs
from naru.domain import receipts as rules
from naru.domain.channel import Channel, choose
from naru.domain.outcome import Declined, Done, NoSuchTrade, NotSent, Outcome, Pending, Sealed, Unknown
from naru.domain.payment import MONEY_IN, State, sub_id
from naru.domain.receipts import Ask, Identifier, Kind, Receipt
from naru.domain.refusal import Refused, Why
from naru.domain.tax import Split, split
from naru.domain.values import Instant
from naru.service.context import LEASE_MS, Context
from naru.service.ports import CashReceipt, ReceiptQuestion
from naru.service.reconcile import ALARM_MS, BELIEVE_MS, DENIALS, pause_after
from naru.store import mail, payments, receipts
from naru.store.db import Tx

log = logs.logger("receipts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Buyer:
    """Who a receipt is for. *identifier* is digits only and is kept nowhere but masked."""

    identifier: Sealed
    identifier_type: Identifier
    kind: Kind
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """A sale outside Naru that a receipt is for. KRW."""

    merchant_uid: str
    name: str
    amount: int
    channel_key: str | None = None
    pg: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """A receipt after the call, with the outcome it came from."""

    row: Any
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class _Asked:
    receipt: Receipt
    channel_id: int
    org_auth_no: str = ""
    org_at: Instant | None = None


def parts_of(amount: int, tax_free: int | None, vat: int | None, usual_tax_free: int) -> Split:
    """How a receipt's amount splits. Raises Refused (PARAMETER)."""
    free = usual_tax_free if tax_free is None else tax_free
    if not 0 <= free <= amount:
        raise Refused(Why.PARAMETER, name="tax_free", problem=f"0 이상 {amount}원 이하여야 합니다")
    if vat is not None and not 0 <= vat <= amount - free:
        raise Refused(Why.PARAMETER, name="vat_amount", problem=f"0 이상 {amount - free}원 이하여야 합니다")
    return split(amount, free, vat)


def _add(
    receipt: Receipt, *, store_id: int, channel_id: int, imp_uid: str | None, merchant_uid: str, buyer: Buyer,
    name: str | None,
) -> Tx[None]:  # fmt: skip
    yield from receipts.add(
        receipt, store_id=store_id, channel_id=channel_id, imp_uid=imp_uid, merchant_uid=merchant_uid,
        identifier_type=buyer.identifier_type.value, identifier=rules.masked(buyer.identifier.reveal()), name=name,
        buyer_name=buyer.name, check_at=receipt.asked_at + LEASE_MS,
    )  # fmt: skip


def _ask_for_payment(
    store_id: int, imp_uid: str, buyer: Buyer, tax_free: int | None, vat: int | None, pg_tid: str | None, now: Instant
) -> Tx[_Asked]:
    stored = yield from payments.load(imp_uid, lock=True)
    if stored is None or stored.payment.store_id != store_id:
        raise Refused(Why.PAYMENT_NOT_FOUND, status=400)
    p, row = stored.payment, stored.row
    rows = yield from receipts.of_payment(imp_uid)
    found = [receipts.to_receipt(r) for r in rows]
    amount = rules.amount_to_issue(p, found, pg_tid, bool(row.cash_receipt_issued))
    usual = 0 if pg_tid else min(rules.tax_free_left(p), amount)
    receipt = Receipt(
        id=sub_id(imp_uid, "R", len(found) + 1),
        ask=Ask.ISSUE,
        state=State.ASKED,
        parts=parts_of(amount, tax_free, vat, usual),
        kind=buyer.kind,
        asked_at=now,
        tid=pg_tid or "",
        sale_at=next((e.at for e in p.entries if e.kind in MONEY_IN and (not pg_tid or e.pg_tid == pg_tid)), None),
    )
    yield from _add(
        receipt, store_id=store_id, channel_id=p.channel_id, imp_uid=imp_uid, merchant_uid=p.merchant_uid,
        buyer=buyer, name=row.name,
    )  # fmt: skip
    return _Asked(receipt, p.channel_id)


def _ask_for_sale(
    store_id: int, channel: Channel, sale: Sale, parts: Split, buyer: Buyer, number: str, now: Instant
) -> Tx[_Asked]:
    yield from payments.lock_order(store_id, sale.merchant_uid)
    rows = yield from receipts.of_order(store_id, sale.merchant_uid)
    found = [receipts.to_receipt(r) for r in rows]
    rules.demand_quiet(found)
    if rules.live(found):
        raise Refused(Why.RECEIPT_ALREADY)
    receipt = Receipt(number, Ask.ISSUE, State.ASKED, parts, buyer.kind, now)
    yield from _add(
        receipt, store_id=store_id, channel_id=channel.id, imp_uid=None, merchant_uid=sale.merchant_uid, buyer=buyer,
        name=sale.name,
    )  # fmt: skip
    return _Asked(receipt, channel.id)


def _ask_to_cancel(
    store_id: int, imp_uid: str | None, merchant_uid: str | None, pg_tid: str | None, number: str, now: Instant
) -> Tx[_Asked]:
    if imp_uid is not None:
        stored = yield from payments.load(imp_uid, lock=True)
        if stored is None or stored.payment.store_id != store_id:
            raise Refused(Why.PAYMENT_NOT_FOUND, status=400)
        rows = yield from receipts.of_payment(imp_uid)
        number = sub_id(imp_uid, "R", len(rows) + 1)
    else:
        assert merchant_uid is not None
        yield from payments.lock_order(store_id, merchant_uid)
        rows = yield from receipts.of_order(store_id, merchant_uid)
    by_id = {r.id: r for r in rows}
    issued = rules.to_cancel([receipts.to_receipt(r) for r in rows], pg_tid, now)
    row = by_id[issued.id]
    receipt = Receipt(
        id=number, ask=Ask.CANCEL, state=State.ASKED, parts=issued.parts, kind=issued.kind, asked_at=now,
        tid=issued.tid, org_id=issued.id,
    )  # fmt: skip
    yield from receipts.add(
        receipt, store_id=store_id, channel_id=row.channel_id, imp_uid=row.imp_uid, merchant_uid=row.merchant_uid,
        identifier_type=row.identifier_type, identifier=row.identifier, name=row.name, buyer_name=row.buyer_name,
        check_at=now + LEASE_MS,
    )  # fmt: skip
    return _Asked(receipt, row.channel_id, issued.auth_no or "", issued.dated)


async def issue(
    cx: Context, store_id: int, imp_uid: str, buyer: Buyer, *, tax_free: int | None, vat: int | None,
    pg_tid: str | None = None,
) -> Answered:  # fmt: skip
    """Issue a payment's cash receipt. Raises Refused; nothing has happened then."""
    asked = await cx.db.write(_ask_for_payment, store_id, imp_uid, buyer, tax_free, vat, pg_tid, cx.clock())
    return await cx.to_the_end(_call(cx, store_id, asked, buyer))


async def issue_for_sale(
    cx: Context, store_id: int, sale: Sale, buyer: Buyer, *, tax_free: int | None, vat: int | None
) -> Answered:
    """Issue a cash receipt for a sale outside Naru. Raises Refused; nothing has happened then."""
    if sale.amount <= 0:
        raise Refused(Why.PARAMETER, name="amount", problem="0보다 커야 합니다")
    channel = choose(await cx.channels(store_id), key=sale.channel_key, pg=sale.pg, can="cash_receipt")
    parts = parts_of(sale.amount, tax_free, vat, 0)
    number = f"rcpt_{cx.digits(12)}R001"
    asked = await cx.db.write(_ask_for_sale, store_id, channel, sale, parts, buyer, number, cx.clock())
    return await cx.to_the_end(_call(cx, store_id, asked, buyer))


async def cancel(
    cx: Context, store_id: int, *, imp_uid: str | None = None, merchant_uid: str | None = None,
    pg_tid: str | None = None,
) -> Answered:  # fmt: skip
    """Cancel a cash receipt, of a payment or of a sale outside Naru. Raises Refused; nothing has happened then."""
    number = f"rcpt_{cx.digits(12)}R002"
    asked = await cx.db.write(_ask_to_cancel, store_id, imp_uid, merchant_uid, pg_tid, number, cx.clock())
    return await cx.to_the_end(_call(cx, store_id, asked, None))


async def _call(cx: Context, store_id: int, asked: _Asked, buyer: Buyer | None) -> Answered:
    cx.crash("asked")
    channel = await cx.channel(store_id, asked.channel_id)
    r = asked.receipt
    message = CashReceipt(
        id=r.id,
        at=r.dated,
        parts=r.parts,
        company=r.kind is Kind.COMPANY,
        buyer_name=buyer.name if buyer else None,
        identifier_type=buyer.identifier_type.value if buyer else "",
        identifier=buyer.identifier if buyer else None,
        org_auth_no=asked.org_auth_no,
        org_at=asked.org_at,
    )
    send = cx.gateway.issue_receipt if r.ask is Ask.ISSUE else cx.gateway.cancel_receipt
    outcome: Outcome = await send(channel, message)
    cx.crash("answered")
    if isinstance(outcome, Unknown) and not outcome.mismatch:
        try:
            found = await asyncio.wait_for(cx.gateway.ask_receipt(channel, _question(r)), 5)
        except TimeoutError:
            found = None
        # Only good news is believed this early: "no such receipt" may mean "still travelling".
        if isinstance(found, Done):
            outcome = found
    row = await cx.db.write(_settle, r.id, outcome, cx.clock())
    cx.wake()
    return Answered(row, outcome)


def _question(r: Receipt) -> ReceiptQuestion:
    return ReceiptQuestion(r.id, r.dated, r.ask is Ask.CANCEL, r.parts.total)


def _settle(receipt_id: str, outcome: Outcome, now: Instant, check_at: int | None = None) -> Tx[Any]:
    row = yield from receipts.row(receipt_id, lock=True)
    assert row is not None
    news = rules.apply(receipts.to_receipt(row), outcome, now)
    if news is None:
        return row
    yield from receipts.save(news, check_at if check_at is not None else row.check_at)
    if news.receipt.state is not State(row.state):
        log.info("receipt.settled", receipt=receipt_id, ask=row.ask, state=news.receipt.state.value, code=news.code)
    if isinstance(outcome, Unknown) and outcome.mismatch:
        yield from mail.raise_alarm(
            f"receipt:{receipt_id}", "mismatch", f"현금영수증 응답이 요청과 다릅니다: {outcome.message} ({receipt_id})",
            store_id=row.store_id, imp_uid=row.imp_uid, now=now,
        )  # fmt: skip
    return (yield from receipts.row(receipt_id))


@dataclass(frozen=True, slots=True)
class Standing:
    """A receipt as it is shown: the issue, and the cancel that took it back."""

    issued: Any
    cancelled: Any | None


def standing(rows: list[Any], pg_tid: str | None = None) -> Standing | None:
    """The newest receipt among *rows* (of one deposit), taken back or not; None when none was ever issued."""
    done = [r for r in rows if r.state == State.DONE and (not pg_tid or r.tid == pg_tid)]
    issued = [r for r in done if r.ask == Ask.ISSUE]
    if not issued:
        return None
    cancels = {r.org_id: r for r in done if r.ask == Ask.CANCEL}
    return Standing(issued[-1], cancels.get(issued[-1].id))


async def look_up(
    cx: Context, store_id: int, *, imp_uid: str | None = None, merchant_uid: str | None = None,
    pg_tid: str | None = None,
) -> Standing:  # fmt: skip
    """The newest receipt of a payment or of a sale outside Naru. Raises Refused (RECEIPT_NOT_FOUND)."""
    if imp_uid is not None:
        rows = await cx.db.read(receipts.of_payment, imp_uid)
        rows = [r for r in rows if r.store_id == store_id]
    else:
        assert merchant_uid is not None
        rows = await cx.db.read(receipts.of_order, store_id, merchant_uid)
    found = standing(rows, pg_tid)
    if found is None:
        raise Refused(Why.RECEIPT_NOT_FOUND)
    return found


async def check_due(cx: Context, most: int = 20) -> int:
    """Look at receipts whose result is open and whose time has come. Returns how many there were."""
    now = cx.clock()
    due = await cx.db.glance(receipts.next_check)
    if due is None or due > now:
        return 0
    rows = await cx.db.write(receipts.claim, now, now + LEASE_MS, most)
    for row in rows:
        await _check(cx, row.id, row.checks)
    return len(rows)


async def _check(cx: Context, receipt_id: str, checks: int) -> None:
    row = await cx.db.read(receipts.row, receipt_id)
    assert row is not None
    r = receipts.to_receipt(row)
    if not r.is_open:
        await cx.db.write(receipts.check_again, receipt_id, None)
        return
    found = await cx.gateway.ask_receipt(await cx.channel(row.store_id, row.channel_id), _question(r))
    now = cx.clock()
    age = now - r.asked_at
    match found:
        case Done() | Declined():
            await cx.db.write(_settle, receipt_id, found, now)
            return
        case NoSuchTrade() if age >= BELIEVE_MS and row.denials + 1 >= DENIALS:
            await cx.db.write(_settle, receipt_id, NotSent("헥토파이낸셜에 현금영수증 요청이 없습니다"), now)
            return
        case NoSuchTrade():
            denied = age >= BELIEVE_MS
            soon = now + 15_000 if denied else max(r.asked_at + BELIEVE_MS, now + 1000)
            await cx.db.write(receipts.check_again, receipt_id, soon, denied=denied)
        case Pending() | Unknown():
            again, alarm_at = now + pause_after(checks), r.asked_at + ALARM_MS
            await cx.db.write(_settle, receipt_id, found, now, min(again, alarm_at) if now < alarm_at else again)
    if age >= ALARM_MS:
        await cx.db.write(
            mail.raise_alarm, f"receipt:{receipt_id}", "unknown",
            f"현금영수증 결과를 10분 넘게 확인하지 못했습니다 ({receipt_id})",
            store_id=row.store_id, imp_uid=row.imp_uid, now=now,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be done about a payment's cash receipts. KRW."""

    rows: list[Any]
    standing: frozenset[str]
    """Receipts that were issued and not taken back."""
    amount: int | None
    """For how much one can be issued for the payment as a whole."""
    deposits: list[tuple[str, int]]
    """Deposits of an unlimited account that have none yet, with what is left of each."""
    why_not: Refused | None


async def offer(cx: Context, store_id: int, imp_uid: str) -> Offer | None:
    """A payment's cash receipts, and what may be asked for; None when receipts are not for its method."""
    stored = await cx.db.read(payments.load, imp_uid)
    if stored is None or stored.payment.store_id != store_id or stored.payment.pay_method not in rules.METHODS:
        return None
    p, by_pg = stored.payment, bool(stored.row.cash_receipt_issued)
    rows = await cx.db.read(receipts.of_payment, imp_uid)
    found = [receipts.to_receipt(r) for r in rows]
    standing = frozenset(r.id for r in rules.live(found))
    deposits: list[tuple[str, int]] = []
    for entry in p.entries if p.unlimited else ():
        if entry.kind in MONEY_IN:
            with contextlib.suppress(Refused):
                deposits.append((entry.pg_tid, rules.amount_to_issue(p, found, entry.pg_tid, by_pg)))
    try:
        return Offer(rows, standing, rules.amount_to_issue(p, found, None, by_pg), deposits, None)
    except Refused as refusal:
        return Offer(rows, standing, None, deposits, refusal)
