"""결제 내역: list, search, totals, CSV, one payment with all that belongs to it, cancels."""

from __future__ import annotations

import csv
import io
import json
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from litestar.exceptions import HTTPException
from litestar.response import Stream

from naru.console import pages
from naru.console.receipts import IDENTIFIERS, KINDS
from naru.console.timeline import timeline
from naru.console.visit import Answer, Form, Visit, action, page, with_query
from naru.domain.channel import Channel, Environment
from naru.domain.payment import MONEY_IN, Account, Purpose, State
from naru.domain.standard import BANKS
from naru.domain.values import DAY, from_kst, kst_date, kst_midnight
from naru.service import console_keys, notices, receipts
from naru.service.cancel import CancelOrder, cancel
from naru.store import console, exchanges, people, stores
from naru.store.console import Filter

PAGE: Final = 50
CSV_PAGE: Final = 250
"""Rows made into text at once; more would hold up the payments that this process serves meanwhile."""
DEFAULT_DAYS: Final = 7
LONGEST_DAYS: Final = 400
MOST_MESSAGES: Final = 100
METHODS: Final = ("card", "trans", "vbank", "phone")
ENVIRONMENTS: Final = ("", "live", "test", "all")
_DAY = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})\Z")
_IMP_UID = re.compile(r"imps?_\d{6,20}\Z")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a list's form holds, and the filter it means."""

    since: str
    until: str
    base: str
    status: str
    method: str
    environment: str
    channel: str
    field: str
    text: str
    filter: Filter

    def query(self, **more: Any) -> dict[str, Any]:
        """The form as a query."""
        return {
            "since": self.since, "until": self.until, "base": self.base, "status": self.status, "method": self.method,
            "environment": self.environment, "channel": self.channel, "field": self.field, "q": self.text, **more,
        }  # fmt: skip


def midnight(text: str) -> int | None:
    """The instant at which a KST day (2026-11-22) begins; None when it is no day."""
    match = _DAY.match(text)
    try:
        return from_kst("".join(match.groups()) + "000000") if match else None
    except ValueError:
        return None


def _iso(at: int) -> str:
    return pages.iso_day(kst_date(at))


def has_live(channels: list[Channel]) -> bool:
    """Whether a store has a live channel: then test payments are hidden unless asked for."""
    return any(c.environment is Environment.LIVE for c in channels)


def read_filter(visit: Visit, form: Form, channels: list[Channel]) -> Asked:
    """The filter of a query; nonsense falls back to what is usual."""
    today = kst_midnight(visit.cx.clock())
    until = midnight(form.text("until", 10))
    until = today if until is None else until
    since = midnight(form.text("since", 10))
    since = until - (DEFAULT_DAYS - 1) * DAY if since is None else since
    since = max(min(since, until), until - LONGEST_DAYS * DAY)

    def one_of(name: str, allowed: Any) -> str:
        value = form.text(name, 20)
        return value if value in allowed else ""

    environment = one_of("environment", ENVIRONMENTS)
    live = has_live(channels)
    test = {"live": 0, "test": 1, "all": None}.get(environment, 0 if live else None)
    channel = form.text("channel", 64)
    channel_id = next((c.id for c in channels if c.key == channel), None)
    text = form.text("q", 100)
    field = one_of("field", (*console.SEARCH_FIELDS, "depositor"))
    base = one_of("base", ("request",))
    found = Filter(
        store_id=visit.here.id, since=since, until=until + DAY, by_request=base == "request",
        status=one_of("status", console.STATUSES), method=one_of("method", METHODS), test=test, channel_id=channel_id,
        field=field, text=text, exact=bool(_IMP_UID.match(text)),
    )  # fmt: skip
    return Asked(
        _iso(since), _iso(until), base, found.status, found.method, environment, channel if channel_id else "", field,
        text, found,
    )  # fmt: skip


async def _channels(visit: Visit) -> list[Channel]:
    return await visit.cx.db.read(stores.channels_of, visit.here.id, visit.cx.vault)


def read_key(text: str) -> tuple[int, str] | None:
    """Where a page begins: ``time.imp_uid``."""
    at, _, imp_uid = text.partition(".")
    return (int(at), imp_uid) if at.isdigit() and len(at) < 16 and _IMP_UID.match(imp_uid) else None


@page("/payments")
async def listing(visit: Visit) -> Answer:
    """Payments of a filter, a page at a time."""
    channels = await _channels(visit)
    asked = read_filter(visit, visit.query, channels)
    after = read_key(visit.query.text("after", 60))
    found = asked.filter
    if found.text and not found.exact and not found.field and after is None:
        # A whole order or trade number is found whatever its time.
        exact = replace(found, exact=True)
        if await visit.cx.db.read(console.payments_page, exact, None, 1):
            found = exact
    rows = await visit.cx.db.read(console.payments_page, found, after, PAGE + 1)
    shown, more = rows[:PAGE], len(rows) > PAGE
    open_ended = [r.imp_uid for r in shown if r.account == Account.UNLIMITED]
    moved = await visit.cx.db.read(console.moved, open_ended) if open_ended else {}
    here = f"{visit.base}/payments"
    next_page = with_query(here, **asked.query(after=f"{shown[-1].at}.{shown[-1].imp_uid}")) if more else ""
    return await visit.page(
        "payments.html", asked=asked, rows=shown, channels={c.id: c for c in channels}, next_page=next_page,
        received={imp_uid: came for imp_uid, (_n, came, _back) in moved.items()},
        first_page=with_query(here, **asked.query()) if after else "", exact=found.exact,
        total_at=with_query(f"{here}/total", **asked.query()), csv_at=with_query(f"{here}/export.csv", **asked.query()),
        fields=[*console.SEARCH_FIELDS, "depositor"], statuses=console.STATUSES, methods=METHODS,
        live=has_live(channels), any_payment=bool(shown) or await visit.cx.db.read(console.any_payment, visit.here.id),
    )  # fmt: skip


@page("/payments/total")
async def total(visit: Visit) -> Answer:
    """The totals of a filter; a part of the list's page, or a page by itself without JavaScript."""
    channels = await _channels(visit)
    asked = read_filter(visit, visit.query, channels)
    row = await visit.cx.db.read(console.payments_total, asked.filter)
    if visit.is_part:
        return visit.part("payments_total.html", total=row)
    return await visit.page("payments_total_page.html", total=row, asked=asked, here=f"{visit.base}/payments")


# CSV

COLUMNS: Final = (
    "imp_uid", "merchant_uid", "status", "pay_method", "name", "amount", "cancel_amount", "buyer_name", "buyer_tel",
    "buyer_email", "pg_id", "pg_tid", "apply_num", "card_name", "card_number", "card_quota", "bank_name", "vbank_num",
    "fail_reason", "cancel_reason", "custom_data",
)  # fmt: skip
TIMES: Final = ("started_at", "paid_at", "cancelled_at", "failed_at")


def safe_cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else text


def csv_lines(rows: list[Any], channels: Mapping[int, Channel]) -> str:
    """Payments as CSV lines."""
    out = io.StringIO()
    writer = csv.writer(out)
    for r in rows:
        channel = channels.get(r.channel_id)
        cells = [safe_cell(getattr(r, c)) for c in COLUMNS]
        times = [pages.moment(getattr(r, c)) if getattr(r, c) else "" for c in TIMES]
        writer.writerow([*cells, "1" if r.sandbox else "", safe_cell(channel.name if channel else ""), *times])
    return out.getvalue()


@page("/payments/export.csv")
async def export(visit: Visit) -> Answer:
    """The whole filter as CSV, a few hundred rows at a time: nothing is loaded at once."""
    channels = await _channels(visit)
    asked = read_filter(visit, visit.query, channels)
    by_id = {c.id: c for c in channels}
    t, db = visit.t, visit.cx.db

    async def lines() -> AsyncIterator[bytes]:
        heads = [t(f"csv.{c}") for c in (*COLUMNS, "test", "channel", *TIMES)]
        out = io.StringIO()
        csv.writer(out).writerow(heads)
        yield b"\xef\xbb\xbf" + out.getvalue().encode()  # the mark makes Excel read UTF-8
        after: tuple[int, str] | None = None
        while True:
            rows = await db.read(console.payments_page, asked.filter, after, CSV_PAGE)
            if rows:
                yield csv_lines(rows, by_id).encode()
            if len(rows) < CSV_PAGE:
                return
            after = (rows[-1].at, rows[-1].imp_uid)

    def note() -> Any:
        detail = {k: v for k, v in asked.query().items() if v}
        yield from people.note_change(
            visit.actor, "export", "payments", visit.cx.clock(), store_id=visit.here.id, detail=detail
        )

    await db.write(note)
    name = f"payments-{visit.here.imp_code}-{asked.since}-{asked.until}.csv"
    headers = {
        **pages.SECURITY_HEADERS, "Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}"',
    }  # fmt: skip
    return Stream(lines(), media_type="text/csv", headers=headers)


# one payment


@page("/payments/{imp_uid:str}")
async def detail(visit: Visit) -> Answer:
    """One payment."""
    whole = await visit.cx.db.read(console.whole, visit.here.id, visit.param("imp_uid"))
    if whole is None:
        raise HTTPException(status_code=404)
    row = whole.row
    channels = {c.id: c for c in await _channels(visit)}
    changes = await visit.cx.db.read(people.changes_of, visit.here.id, row.imp_uid)
    came = [e for e in whole.entries if e.kind in MONEY_IN]
    back = [e for e in whole.entries if e.kind not in MONEY_IN]
    left_of = {
        e.pg_tid: sum(x.amount for x in came if x.pg_tid == e.pg_tid)
        - sum(x.amount for x in back if x.org_tid == e.pg_tid)
        for e in came
    }
    left = sum(left_of.values())
    voided = row.void in ("told_failed", "duplicate")
    open_cancel = next((a for a in whole.attempts if a.op == "cancel" and a.state in console.OPEN_STATES), None)
    first_left = next((left_of[e.pg_tid] for e in came if left_of[e.pg_tid]), left)
    await visit.request.app.state["parts"].exchanges.flush()  # what waits to be written belongs on this page too
    said = await visit.cx.db.read(exchanges.of_payment, visit.here.id, row.imp_uid, MOST_MESSAGES)
    offer = await receipts.offer(visit.cx, visit.here.id, row.imp_uid)
    state = visit.request.app.state
    why = state["refusal_words"](offer.why_not) if offer is not None and offer.why_not is not None else ""
    return await visit.page(
        "payment.html", receipts=offer, receipts_why=why, identifiers=IDENTIFIERS, kinds=KINDS,
        slip=state["slip_address"](row, visit.cx),
        said=[(x, json.loads(x.got)) for x in said],
        most_messages=MOST_MESSAGES, banks=BANKS,
        row=row, whole=whole, channel=channels.get(row.channel_id), left=left, left_of=left_of,
        came=came, back=back, first_left=first_left, voided=voided, open_cancel=open_cancel,
        nonce=secrets.token_urlsafe(12),
        events=timeline(visit.t, whole, changes), jobs={j.id: json.loads(j.payload) for j in whole.jobs},
        needs_account=row.pay_method in ("vbank", "phone"), extra=json.loads(row.extra or "{}"),
    )  # fmt: skip


async def _whole(visit: Visit) -> console.Whole:
    whole = await visit.cx.db.read(console.whole, visit.here.id, visit.param("imp_uid"))
    if whole is None:
        raise HTTPException(status_code=404)
    visit.back = f"{visit.base}/payments/{whole.row.imp_uid}"
    return whole


@action("/payments/{imp_uid:str}/cancel")
async def take_back(visit: Visit) -> Answer:
    """Cancel all or part of it. The form carries what was left when it was shown: anything else is refused."""
    whole = await _whole(visit)
    form, imp_uid = visit.form, whole.row.imp_uid
    amount, left = form.integer("amount"), form.integer("left")
    if not amount or left is None or amount > left:
        return await visit.go(visit.back, "payments.cancel_amount_bad", "bad")
    reason = form.text("reason", 100) or visit.t("payments.default_reason")
    order = CancelOrder(
        store_id=visit.here.id, imp_uid=imp_uid, amount=amount, checksum=left, reason=reason, webhook=True,
        idempotency_key=f"console:{form.text('nonce', 40)}", purpose=Purpose.CONSOLE,
        pg_tid=form.text("pg_tid", 64) or None, refund_holder=form.text("refund_holder", 40) or None,
        refund_bank=form.text("refund_bank", 3) or None,
        refund_account=re.sub(r"[^0-9]", "", form.text("refund_account", 30)) or None,
    )  # fmt: skip

    def note(result: str) -> Any:
        yield from people.note_change(
            visit.actor, "cancel", imp_uid, visit.cx.clock(), store_id=visit.here.id,
            detail={"amount": amount, "reason": reason, "result": result},
        )  # fmt: skip

    done = await cancel(visit.cx, order)
    if done.settled is None:
        return await visit.go(visit.back, "payments.cancel_again", "plain")
    attempt = done.settled.attempt
    await visit.cx.db.write(note, attempt.state.value)
    match attempt.state:
        case State.DONE:
            return await visit.go(visit.back, "payments.cancelled", amount=pages.won(amount))
        case State.DECLINED:
            facts = {"code": attempt.pg_code or "-", "text": attempt.pg_message or "-"}
            return await visit.go(visit.back, "payments.cancel_declined", "bad", **facts)
        case State.NOT_SENT:
            return await visit.go(visit.back, "payments.cancel_not_sent", "bad")
        case _:
            return await visit.go(visit.back, "payments.cancel_unknown", "plain")


@action("/payments/{imp_uid:str}/webhooks/{job:str}")
async def resend(visit: Visit) -> Answer:
    """Send one of its webhooks again."""
    whole = await _whole(visit)
    job = visit.number("job")
    if not any(j.id == job for j in whole.jobs):
        raise HTTPException(status_code=404)
    done = await console_keys.resend(visit.cx, visit.actor, visit.here, [job])
    return await visit.go(
        visit.back, "webhooks.owed_again" if done else "webhooks.no_address", "good" if done else "bad"
    )


@action("/payments/{imp_uid:str}/letters/{letter:str}")
async def replay(visit: Visit) -> Answer:
    """Read one of its notis again."""
    whole = await _whole(visit)
    letter = next((x for x in whole.letters if x.id == visit.number("letter")), None)
    if letter is None:
        raise HTTPException(status_code=404)
    good = await notices.handle(visit.cx, letter.id, bytes(letter.body), letter.content_type)

    def note() -> Any:
        yield from people.note_change(
            visit.actor, "replay", whole.row.imp_uid, visit.cx.clock(), store_id=visit.here.id,
            detail={"letter": letter.id, "good": good},
        )  # fmt: skip

    await visit.cx.db.write(note)
    return await visit.go(visit.back, "letters.replayed" if good else "letters.refused", "good" if good else "bad")
