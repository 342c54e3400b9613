"""After the campaign: our book, the sandbox's book and the shop's memory side by side."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from naru.app import Parts
from naru.chaos.shop import BAD_CARD, GOOD_CARD, Shop, Told
from naru.domain.payment import MONEY_IN, Op, Payment, State, Status, Void, show
from naru.domain.payment import Told as Heard
from naru.jobs.deliver import message_id
from naru.service import doctor
from naru.store import books, mail, payments
from naru.store.db import Tx

MONEY_CAME = ("pay", "account", "deposit")
"""Kinds of the sandbox's trades that money came in by once they are done."""


@dataclass
class Trade:
    """A payment in the sandbox's book."""

    trd_no: str
    amount: int
    cancelled: int
    cancels: dict[str, int] = field(default_factory=dict)
    deposits: dict[str, int] = field(default_factory=dict)
    """Into an unlimited account, by trdNo."""


@dataclass
class Audit:
    """What was compared and what was found."""

    problems: list[str] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)


async def sandbox_book(url: str) -> tuple[dict[str, Trade], list[str]]:
    """What came in and went back in the sandbox's book by our order number, and its complaints."""
    listed: list[dict[str, Any]] = []
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        before = 0
        while True:
            query = f"limit=500&before={before}"
            async with session.get(f"{url}/_sandbox/transactions?{query}") as answer:
                page = await answer.json()
            listed += page["transactions"]
            before = page["next_before"]
            if before is None:
                break
        async with session.get(f"{url}/_sandbox/complaints?limit=1000") as answer:
            complaints = (await answer.json())["complaints"]
    trades: dict[str, Trade] = {}
    by_trd_no: dict[str, Trade] = {}
    # What is processed only once somebody asks about it, and nobody can ask about, has not happened.
    done = [t for t in listed if t["state"] == "done" and t["visible"]]
    for t in done:
        if t["kind"] in MONEY_CAME:
            # A deposit into an unlimited account has no order number of its own (Hecto: 0000000).
            order = t["orgMchtTrdNo"] if t["kind"] == "deposit" else t["mchtTrdNo"]
            trade = trades.setdefault(order, Trade(t["trdNo"], 0, 0))
            trade.amount += t["amount"]
            if t["kind"] == "deposit":
                trade.deposits[t["trdNo"]] = t["amount"]
            by_trd_no[t["trdNo"]] = trade
    for t in done:
        if t["kind"] == "cancel":
            trade = by_trd_no[t["orgTrdNo"]]
            trade.cancelled += t["amount"]
            trade.cancels[t["mchtTrdNo"]] = t["amount"]
    said = [f"{c['message']} {c['mchtTrdNo']}: {c['code']} {c['field']} {c['text']}" for c in complaints]
    return trades, said


def _page(after: str) -> Tx[list[tuple[payments.Stored, list[Any]]]]:
    found: list[tuple[payments.Stored, list[Any]]] = []
    for imp_uid in (yield from books.touched_before(after, 2**62, 200)):
        stored = yield from payments.load(imp_uid)
        assert stored is not None
        jobs = yield from mail.jobs_of(imp_uid)
        found.append((stored, jobs))
    return found


async def audit(parts: Parts, shop: Shop, sandbox_url: str, directory: Path) -> Audit:
    """Compare everything. The servers are stopped; the sandbox still serves its book."""
    result = Audit()
    trades, complaints = await sandbox_book(sandbox_url)
    alarms = await parts.db.read(mail.open_alarms)
    strays = {a.key.rpartition(":")[2] for a in alarms if a.kind == "stray_deposit"}
    result.problems += [f"the sandbox complains: {c}" for c in complaints]
    by_order: dict[str, list[Payment]] = defaultdict(list)
    known_ids: set[str] = set()
    after = ""
    while page := await parts.db.read(_page, after):
        for stored, jobs in page:
            p = stored.payment
            by_order[p.merchant_uid].append(p)
            missed = strays - {e.pg_tid for e in p.entries}
            result.problems += _books(p, _without(trades.pop(p.imp_uid, None), missed))
            result.problems += _webhooks(p, jobs, shop, known_ids)
            result.figures["payments"] += 1
            result.figures[show(p).status.value] += 1
            result.figures["money in"] += sum(e.kind in MONEY_IN for e in p.entries)
            result.figures["money back"] += sum(e.kind not in MONEY_IN for e in p.entries)
            result.figures["taken back by ourselves"] += p.void in (Void.DUPLICATE, Void.TOLD_FAILED)
        after = page[-1][0].payment.imp_uid
    result.problems += [f"{n}: the sandbox has {t.amount} KRW that we never asked for" for n, t in trades.items()]
    result.problems += [f"webhook {i} was invented: {shop.accepted[i]}" for i in shop.accepted.keys() - known_ids]
    for merchant_uid, told in shop.told.items():
        result.problems += _memory(told, by_order[merchant_uid])
        result.figures[f"orders {told.plan.kind}"] += 1
        for uid, outcome in told.booked.items():
            result.problems += _booked(uid, outcome, by_order[uid])
            result.figures["charges booked ahead"] += 1
    result.problems += [f"doctor: {p.kind} {p.imp_uid or ''} {p.text}" for p in await doctor.examine(parts.cx)]
    result.problems += _card_numbers(directory)
    for alarm in alarms:
        result.figures[f"alarm {alarm.kind}"] += 1
        if alarm.kind == "doctor":
            result.problems.append(f"a nightly check failed: {alarm.text}")
    result.figures["webhooks"] = len(shop.accepted)
    result.figures["webhook tries"] = shop.hooks
    result.figures["requests"] = shop.requests
    return result


def _without(trade: Trade | None, strays: set[str]) -> Trade | None:
    """A trade without the deposits that an alarm tells of: one whose noti never came, into one of several unlimited
    accounts, is found on the day's list, which does not say whose it is. A person has to."""
    for trd_no in strays & trade.deposits.keys() if trade else ():
        assert trade is not None
        trade.amount -= trade.deposits[trd_no]
    return trade


def _books(p: Payment, trade: Trade | None) -> Iterator[str]:
    """One payment against the sandbox's trade."""
    came, went = (trade.amount, trade.cancelled) if trade else (0, 0)
    if (p.received, p.returned) != (came, went):
        yield f"{p.imp_uid}: in {p.received}, back {p.returned}; the sandbox says {came}, {went}"
    for a in p.attempts:
        if a.is_open:
            yield f"{a.id} is still {a.state}"
    if trade is None:
        return
    ours = {a.id: a.amount for a in p.attempts if a.op is Op.CANCEL and a.state is State.DONE}
    found = sum(e.amount for e in p.entries if e.kind not in MONEY_IN and e.attempt_id is None)
    strangers = {n: a for n, a in trade.cancels.items() if n not in ours}
    # An inquiry tells only the total: of two cancels of one amount, the late one may count for the other.
    lent = sum(a for n, a in ours.items() if n not in trade.cancels)
    if sum(strangers.values()) != found + lent:
        yield f"{p.imp_uid}: cancels {strangers} at the sandbox, {found} KRW found without a number here"


def _webhooks(p: Payment, jobs: list[Any], shop: Shop, known: set[str]) -> Iterator[str]:
    for job in jobs:
        known.add(message_id(job))
        if job.kind != "webhook" or job.state == "silent":
            continue
        if job.state != "done":
            yield f"{p.imp_uid}: webhook {job.key} is {job.state} ({job.last_error})"
        elif message_id(job) not in shop.accepted:
            yield f"{p.imp_uid}: webhook {job.key} is ticked off, but the shop never accepted it"
    if show(p).status in (Status.PAID, Status.CANCELLED) and not any(j.state == "done" for j in jobs):
        yield f"{p.imp_uid} is {show(p).status} and the shop was never told"


def _memory(told: Told, found: list[Payment]) -> Iterator[str]:
    """What the shop was told about an order against what is so."""
    uid = told.plan.merchant_uid
    by_id = {p.imp_uid: p for p in found}
    kept = [p for p in found if p.received and not p.voided]
    if len(kept) > 1:
        yield f"{uid} was charged {len(kept)} times: {[p.imp_uid for p in kept]}"
    for imp_uid in told.paid:
        p = by_id.get(imp_uid)  # type: ignore[call-overload]
        if p is None or show(p).status not in (Status.PAID, Status.CANCELLED):
            yield f"{imp_uid} was told to be paid and is {show(p).status if p else 'lost'}"
    if not told.paid and told.failed and not told.unheard:
        for p in kept:
            if p.void is not Void.KEPT and "paid" not in told.seen.get(p.imp_uid, ()):
                yield f"{uid} was told to have failed only, and {p.left} KRW of {p.imp_uid} are kept"
    for imp_uid in told.failed_ids:
        p = by_id.get(imp_uid)  # type: ignore[call-overload]
        if p is not None and p.left and p.void is not Void.KEPT:
            yield f"{imp_uid} was told to have failed, and {p.left} KRW of it are kept"
    for imp_uid, statuses in told.seen.items():
        p = by_id.get(imp_uid)  # type: ignore[call-overload]
        if p is None:
            yield f"{imp_uid} was seen and is lost"
        elif statuses & {"paid", "cancelled"} and show(p).status not in (Status.PAID, Status.CANCELLED):
            yield f"{imp_uid} was seen {sorted(statuses)} and is {show(p).status}"
    yield from _cancels(told, found)


def _booked(uid: str, outcome: str, found: list[Payment]) -> Iterator[str]:
    """A charge that was booked ahead: made once, or not at all where the shop took it back."""
    if outcome == "booked" and not found:
        yield f"{uid} was booked and never charged"
    if outcome == "unbooked" and found:
        yield f"{uid} was taken back and charged: {[p.imp_uid for p in found]}"
    if len(kept := [p.imp_uid for p in found if p.received and not p.voided]) > 1:
        yield f"{uid} was charged {len(kept)} times: {kept}"


def _cancels(told: Told, found: list[Payment]) -> Iterator[str]:
    done: Counter[str] = Counter()
    # A cancel of the same amount after one that was told "being checked" is answered with that one: nothing is
    # refunded twice because nobody knew.
    echoes = any(
        a.op is Op.CANCEL and a.state is State.DONE and a.told in (Heard.CHECKING, Heard.NOTHING)
        for p in found
        for a in p.attempts
    )
    for p in found:
        for a in p.attempts:
            if a.op is Op.CANCEL and a.state is State.DONE and a.reason:
                done[a.reason] += 1
    for name, outcome in told.cancels.items():
        plan = told.plan.cancels[int(name.rpartition("/")[2])]
        most = plan.twins if plan.style == "plain" else 1
        if done[name] > most:
            yield f"cancel {name} ({plan.style}) happened {done[name]} times"
        if outcome == "done" and not done[name] and not echoes:
            yield f"cancel {name} was told to be done and did not happen"
        if outcome == "refused" and done[name]:
            yield f"cancel {name} was told to be refused and happened"


def _card_numbers(directory: Path) -> Iterator[str]:
    """The card numbers of the campaign in any file of its servers."""
    needles = [n for card in (GOOD_CARD, BAD_CARD) for n in (card.encode(), card.replace("-", "").encode())]
    for file in sorted(directory.rglob("*")):
        if file.is_file():
            content = file.read_bytes()
            yield from (f"a card number stands in {file.name}" for n in needles if n in content)
