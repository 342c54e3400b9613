"""The one door. Every answer of the PG (response, noti, return page, inquiry) becomes facts here:
the entries and the webhooks they owe are one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from prometheus_client import Counter

from naru import logs
from naru.domain.channel import Store
from naru.domain.outcome import Declined, Done, Outcome
from naru.domain.payment import (
    MONEY_IN,
    Applied,
    Attempt,
    EntryKind,
    Op,
    Payment,
    Purpose,
    State,
    Status,
    Told,
    Void,
    absorb_cancelled,
    apply_cancel,
    apply_pay,
    ask_net_cancel,
    show,
    sub_id,
    tell,
)
from naru.domain.values import HOUR, MINUTE, Instant
from naru.domain.vbank import (
    Deposit,
    apply_change,
    apply_deposit,
    apply_issue,
    apply_revoke,
    ask_net_revoke,
    is_issue,
)
from naru.service import billed, webhooks
from naru.service.context import Context
from naru.store import billing, mail, payments
from naru.store.billing import NewKey
from naru.store.db import Tx
from naru.store.payments import Order, Stored

log = logs.logger("settle")

SETTLED = Counter("naru_attempts_settled_total", "What the PG was asked and how it ended", ["op", "state"])
LOOK = "account"
"""The kind of the jobs that look whether a deposit came whose noti did not."""
FIRST_LOOK_MS = HOUR
NET_TRIES = 3
"""How often a refused net cancel is asked again before the approval counts as the shop's."""
NET_PAUSE_MS = 10 * MINUTE
TOLD_UNKNOWN = "결제 결과를 확인하지 못해 실패로 처리했습니다. 승인된 것으로 확인되면 자동으로 취소됩니다."
TOLD_UNISSUED = "가상계좌 발급 결과를 확인하지 못해 실패로 처리했습니다. 발급된 것으로 확인되면 자동으로 말소됩니다."


@dataclass(frozen=True, slots=True)
class Settled:
    """A payment after news, and the attempt the news was about."""

    payment: Payment
    attempt: Attempt
    row: Any
    after: Any = None
    """The payment's row as it is now, where the transaction knows it."""


def commit(
    before: Stored, applied: Applied, now: Instant, *, details: Any = None, pg_tid: str | None = None,
    overrides: Mapping[str, Any] | None = None, order: Order | None = None, telling: bool = False,
    key: Callable[[], NewKey] | None = None,
) -> Tx[Payment]:  # fmt: skip
    """Write new facts with everything they call for: projection, webhooks, net cancel, order, alarms.

    *order* is given when the caller holds the order's lock; *telling* when the shop hears the result
    as the answer to its request; *key* seals the billing key that came with the news.
    """
    after, _row = yield from _commit(
        before, applied, now, details=details, pg_tid=pg_tid, overrides=overrides, order=order, telling=telling, key=key
    )
    return after


def _commit(
    before: Stored, applied: Applied, now: Instant, *, details: Any = None, pg_tid: str | None = None,
    overrides: Mapping[str, Any] | None = None, order: Order | None = None, telling: bool = False,
    key: Callable[[], NewKey] | None = None, store: Store | None = None,
) -> Tx[tuple[Payment, Any]]:  # fmt: skip
    after, alarms, check_at = _take_back(applied, now, pg_tid or before.row.pg_tid or "")
    row = yield from payments.save(
        before, after, now, details=details, pg_tid=pg_tid, overrides=overrides, check_at=check_at
    )
    yield from _tell(before, after, now, telling, store)
    yield from billed.follow(before, after, now, key=key, details=details)
    if order is not None:
        new = _order_after(order, after)
        if new != order:
            yield from payments.set_order(after.store_id, after.merchant_uid, new)
    for kind, text in alarms:
        name = f"{kind}:{after.imp_uid}:{text}"[:160]
        yield from mail.raise_alarm(
            name, kind, f"{text} ({after.imp_uid})", store_id=after.store_id, imp_uid=after.imp_uid, now=now
        )
    return after, row


def _take_back(applied: Applied, now: Instant, tid: str) -> tuple[Payment, list[tuple[str, str]], dict[str, int]]:
    """An approval that nobody may keep owes its net cancel; refused for good, it is the shop's money.

    An account whose issue was told as failed owes its revocation. *tid* is the PG's number of the payment.
    """
    p = applied.payment
    alarms = [(applied.kind, applied.alarm)] if applied.alarm else []
    if p.is_account:
        number = 1 + sum(a.op is Op.REVOKE for a in p.attempts)
        revoke = ask_net_revoke(p, sub_id(p.imp_uid, "D", number), org_tid=tid, now=now)
        return (p.with_attempt(revoke) if revoke is not None else p), alarms, {}
    if p.void is Void.DUPLICATE and applied.alarm:
        alarms = [("second_approval", applied.alarm)]
    if not p.voided or not p.left or p.open_cancel:
        return p, alarms, {}
    nets = [a for a in p.attempts if a.purpose is Purpose.NET]
    if sum(a.state is State.DECLINED for a in nets) >= NET_TRIES:
        alarms.append(("net_cancel_refused", "승인 자동 취소가 거절되어 결제 완료로 처리했습니다"))
        return replace(p, void=Void.KEPT), alarms, {}
    number = 1 + sum(a.op is Op.CANCEL for a in p.attempts)
    net = ask_net_cancel(p, sub_id(p.imp_uid, "C", number), now)
    assert net is not None
    return p.with_attempt(net), alarms, {net.id: now + (NET_PAUSE_MS if nets else 0)}


def _order_after(order: Order, p: Payment) -> Order:
    paid_by, busy_by = order.paid_by, order.busy_by
    if p.paying and not p.voided and paid_by is None:
        paid_by = p.imp_uid
    pay = p.pay_attempt
    taking_back = p.voided and p.left > 0
    busy = p.by_api and ((pay is not None and pay.op is Op.PAY and pay.is_open) or taking_back)
    if busy and busy_by is None:
        busy_by = p.imp_uid
    elif not busy and busy_by == p.imp_uid:
        busy_by = None
    return Order(paid_by, busy_by)


def _tell(before: Stored, after: Payment, now: Instant, telling: bool, store: Store | None) -> Tx[None]:
    """One row for every new entry of money: a webhook, or why there is none."""
    known = {e.id for e in before.payment.entries}
    status = show(after).status.value
    issue = after.pay_attempt
    if issue is not None and is_issue(after, issue) and issue.state is State.DONE and issue.told is not Told.FAILED:
        had = before.payment.attempt(issue.id)
        if had is not None and had.state is not State.DONE:
            late = None if status == Status.READY else "a deposit came first"
            yield from webhooks.owe(before.row, f"{issue.id}:issued", status, now, silent=late)
            if late is None and not after.unlimited:
                yield from mail.owe(
                    LOOK, f"look:{after.imp_uid}", "{}", store_id=after.store_id, imp_uid=after.imp_uid,
                    run_at=now + FIRST_LOOK_MS, now=now,
                )  # fmt: skip
    for entry in after.entries:
        if entry.id in known:
            continue
        silent: str | None = "taken back" if after.voided else None
        cancellation = None
        if entry.kind in MONEY_IN:
            told_as = status if entry.kind is EntryKind.DEPOSIT else "paid"
            if status == Status.READY:
                silent = "not the amount that was asked for"
        else:
            told_as, cancellation = "cancelled", entry.id
            attempt = after.attempt(entry.attempt_id) if entry.attempt_id else None
            if attempt is not None and silent is None:
                silent = webhooks.silence_of_cancel(attempt, telling)
        yield from webhooks.owe(
            before.row, f"{entry.id}:{entry.kind}", told_as, now, cancellation_id=cancellation, silent=silent,
            known=store,
        )  # fmt: skip
    if after.void is Void.KEPT and before.payment.void is not Void.KEPT:
        yield from webhooks.owe(before.row, f"{after.imp_uid}:kept", status, now)


def _held(attempt_id: str, asked: Stored | None) -> Tx[tuple[Stored, Order | None] | None]:
    """The payment of an attempt, locked, with its order where the news may concern that."""
    if asked is not None:
        order = yield from payments.as_asked(asked)
        if order is not None:
            return asked, order
    owner = yield from payments.owner_of_attempt(attempt_id)
    if owner is None:
        return None
    order = None
    if owner.op in (Op.PAY, Op.ISSUE) or owner.purpose == Purpose.NET:
        order = yield from payments.lock_order(owner.store_id, owner.merchant_uid)
    before = yield from payments.load(owner.imp_uid, lock=True)
    assert before is not None
    return before, order


def settle(
    attempt_id: str, outcome: Outcome, now: Instant, *, telling: bool = False,
    key: Callable[[], NewKey] | None = None, asked: Stored | None = None, store: Store | None = None,
) -> Tx[Settled | None]:  # fmt: skip
    """Apply news about an attempt. None when there is no such attempt.

    *telling*: the caller is about to be answered; if the result is still open, a payment is told
    "failed", and whatever turns out later is taken back; a cancel is told "being checked". *asked* is
    the payment as the caller has committed it, which saves loading it if nobody has touched it since;
    *store* is its store.
    """
    held = yield from _held(attempt_id, asked)
    if held is None:
        return None
    before, order = held
    p = before.payment
    attempt = p.attempt(attempt_id)
    assert attempt is not None
    by_other = order is not None and order.paid_by not in (None, p.imp_uid)
    overrides: dict[str, Any] | None = None
    match attempt.op:
        case Op.PAY | Op.ISSUE if is_issue(p, attempt) and isinstance(outcome, Done) and outcome.deposit:
            applied = _found_deposit(before, attempt, outcome, now, by_other)
        case Op.PAY | Op.ISSUE if is_issue(p, attempt):
            applied = apply_issue(p, attempt_id, outcome, now)
            if isinstance(outcome, Done) and applied.alarm is None and before.row.vbank_issued_at is None:
                overrides = {"vbank_issued_at": outcome.at}
        case Op.PAY | Op.ISSUE:
            applied = apply_pay(p, attempt_id, outcome, now, paid_by_other=by_other)
        case Op.CHANGE:
            due = json.loads(before.attempt_rows[attempt_id].extra).get("due")
            applied = apply_change(p, attempt_id, outcome, due, now)
            overrides = {"vbank_due": applied.payment.due}
        case Op.REVOKE:
            applied = apply_revoke(p, attempt_id, outcome, now)
        case Op.CANCEL:
            applied = apply_cancel(p, attempt_id, outcome, now)
    done = applied.payment.attempt(attempt_id)
    assert done is not None
    if telling:
        words = TOLD_UNISSUED if p.is_account else TOLD_UNKNOWN
        applied = replace(applied, payment=tell(applied.payment, attempt_id, words, now))
    details, tid = (outcome.details, outcome.pg_tid) if isinstance(outcome, Done) else (None, None)
    if p.is_account and done.state is not State.DONE:
        details = tid = None  # what does not fit the question fills no gap
    after, row = yield from _commit(
        before, applied, now, details=details, pg_tid=tid if attempt.op in (Op.PAY, Op.ISSUE) else None, order=order,
        telling=telling, key=key, overrides=overrides, store=store,
    )  # fmt: skip
    result = after.attempt(attempt_id)
    assert result is not None
    if result.state is not attempt.state:
        SETTLED.labels(attempt.op.value, result.state.value).inc()
        log.info(
            "attempt.settled", attempt=attempt_id, imp_uid=p.imp_uid, op=attempt.op.value, state=result.state.value,
            code=outcome.code if isinstance(outcome, Declined) else None,
        )  # fmt: skip
    return Settled(after, result, before.row, row)


def is_known(attempt_id: str, imp_uid: str, outcome: Done, now: Instant) -> Tx[bool]:
    """Whether settling this approval would change nothing. What is so once stays so: facts are only added.

    Wherever there is anything to think about (an account, money that goes back, a key to keep) the answer is no.
    """
    stored = yield from payments.load(imp_uid)
    return stored is not None and changes_nothing(stored.payment, stored.row, attempt_id, outcome, now)


def changes_nothing(p: Payment, row: Any, attempt_id: str, outcome: Done, now: Instant) -> bool:
    """`is_known` for a payment and its row as they were at any time."""
    if p.is_account or p.void is not Void.NO:
        return False
    if outcome.also_cancelled or (outcome.billing_key is not None and row.customer_uid is not None):
        return False
    attempt = p.attempt(attempt_id)
    if attempt is None or attempt.op is not Op.PAY or attempt.state is not State.DONE:
        return False
    applied = apply_pay(p, attempt_id, outcome, now, paid_by_other=False)
    same = applied.alarm is None and applied.payment == p
    return same and payments.fills_nothing(row, outcome.details, outcome.pg_tid)


def give_up(imp_uid: str, code: str, message: str, now: Instant, *, proven: bool) -> Tx[Settled | None]:
    """A window ended without payment, as far as anybody knows: the shop hears "failed".

    *proven*: the PG itself says so. Otherwise the settle job goes on looking, and an approval that turns
    up later is taken back. A payment whose result is known stays as it is.
    """
    order = yield from payments.lock_order_of(imp_uid)
    before = yield from payments.load(imp_uid, lock=True)
    if before is None:
        return None
    p = before.payment
    attempt = p.pay_attempt
    assert attempt is not None
    if not (attempt.is_open or attempt.state is State.CLOSED) or attempt.told is Told.FAILED:
        return Settled(p, attempt, before.row)
    told = replace(attempt, told=Told.FAILED, settled_at=now, pg_code=code, pg_message=message)
    if proven:
        told = replace(told, state=State.DECLINED)
    after = yield from commit(before, Applied(p.with_attempt(told)), now, order=order)
    log.info("window.given_up", imp_uid=imp_uid, code=code, proven=proven)
    return Settled(after, told, before.row)


def deposit_id(mid: str, tid: str) -> str:
    """The name of a deposit's entry: the PG numbers deposits, per MID (Hecto M20)."""
    return f"deposit:{mid}:{tid}"


def _found_deposit(before: Stored, attempt: Attempt, outcome: Done, now: Instant, by_other: bool) -> Applied:
    """An inquiry found the deposit of an account, and perhaps that some of it went back."""
    p = before.payment
    deposit = Deposit(deposit_id(before.row.pg_id, outcome.pg_tid), outcome.pg_tid, outcome.amount, outcome.at)
    applied = apply_deposit(p, deposit, now, paid_by_other=by_other)
    if not outcome.also_cancelled or p.open_cancel is not None:
        return applied
    more = absorb_cancelled(applied.payment, outcome.pg_tid, outcome.also_cancelled, now, Purpose.CONSOLE)
    return replace(applied, payment=more.payment) if applied.alarm else more


def absorb(
    imp_uid: str, tid: str, total: int, now: Instant, purpose: Purpose, at: Instant | None = None
) -> Tx[Payment | None]:
    """The PG says how much of a trade went back in all; record what we did not know of, *at* the time it happened
    where that is known."""
    order = yield from payments.lock_order_of(imp_uid)
    before = yield from payments.load(imp_uid, lock=True)
    if before is None:
        return None
    if before.payment.open_cancel:
        return before.payment  # the difference may be the open cancel: the settle job tells them apart
    applied = absorb_cancelled(before.payment, tid, total, at or now, purpose)
    after = yield from commit(before, applied, now, order=order)
    return after


async def settle_now(
    cx: Context, attempt_id: str, outcome: Outcome, *, telling: bool = False,
    also: Callable[[], Tx[None]] | None = None, only_if: Payment | None = None, asked: Stored | None = None,
) -> Settled | None:  # fmt: skip
    """`settle` in its own transaction, with what *also* belongs into it; wakes who waits for its result.

    *only_if*: settle nothing (and return None) unless the payment's attempts and entries are still these.
    *asked*: see `settle`.
    """
    store = None if asked is None else await cx.store(asked.payment.store_id)
    new = outcome.billing_key if isinstance(outcome, Done) else None
    key = partial(billing.seal, new, attempt_id, cx.vault) if new is not None else None

    def settling() -> Tx[Settled | None]:
        if only_if is not None:
            yield from payments.lock_order_of(only_if.imp_uid)
            held = yield from payments.load(only_if.imp_uid, lock=True)
            if held is None or held.payment.attempts != only_if.attempts or held.payment.entries != only_if.entries:
                return None
        done = yield from settle(attempt_id, outcome, cx.clock(), telling=telling, key=key, asked=asked, store=store)
        if also is not None:
            yield from also()
        cx.crash("settling")
        return done

    settled = await cx.db.write(settling)
    if settled is not None:
        p = settled.payment
        cx.happened(p.imp_uid, f"{p.store_id}:{p.merchant_uid}")
        plain = p.void is Void.NO and not p.is_account and not any(a.is_open for a in p.attempts)
        plain = plain and settled.row.customer_uid is None
        if plain and asked is not None and settled.attempt.state is State.DONE:
            cx.remember(attempt_id, p, settled.after)
        quiet = cx.wake_webhooks if plain else None
        (quiet or cx.wake)()
    return settled
