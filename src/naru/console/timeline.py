"""What happened to a payment, in the order in which it happened: asks, money, notis, webhooks, people."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from naru.console.words import Translate, known
from naru.domain.values import MINUTE
from naru.store.console import Whole

_COLOURS = {"done": "good", "declined": "bad", "not_sent": "bad", "unknown": "warn", "pending": "warn", "asked": "warn"}


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the timeline. *colour*: good, bad, warn or nothing."""

    at: int
    title: str
    text: str = ""
    colour: str = ""
    mono: str = ""


def _asks(t: Translate, whole: Whole) -> list[Event]:
    events: list[Event] = []
    for a in whole.attempts:
        title = t("timeline.asked", op=t(f"op.{a.op}"), amount=f"{a.amount:,}")
        who = t(f"purpose.{a.purpose}")
        events.append(Event(a.asked_at, title, f"{who}{' · ' + a.reason if a.reason else ''}", "", a.id))
        if a.settled_at is not None or a.state in ("unknown", "pending"):
            said = f"[{a.pg_code}] {a.pg_message or ''}" if a.pg_code and a.state != "done" else (a.pg_message or "")
            events.append(
                Event(
                    a.settled_at or a.asked_at, t("timeline.answered", op=t(f"op.{a.op}"), state=t(f"state.{a.state}")),
                    said, _COLOURS.get(a.state, ""), a.id,
                )
            )  # fmt: skip
    return events


def timeline(t: Translate, whole: Whole, changes: list[Any]) -> list[Event]:
    """All events of a payment, oldest first."""
    events = _asks(t, whole)
    for e in whole.entries:
        came = e.kind in ("approve", "deposit")
        # The PG's clock counts whole seconds: within the same minute our own order of learning is truer.
        known_at = e.recorded_at if abs(e.recorded_at - e.at) < MINUTE else e.at
        text = " · ".join(x for x in (e.depositor or "", e.reason or "") if x)
        events.append(
            Event(
                known_at,
                t(f"timeline.entry_{e.kind}", amount=f"{e.amount:,}"),
                text,
                "good" if came else "warn",
                e.pg_tid,
            )
        )
    for x in whole.letters:
        colour = "good" if x.verdict in ("applied", "again", "noted") else "bad"
        verdict = t(f"verdict.{x.verdict}") if known(f"verdict.{x.verdict}") else x.verdict
        events.append(Event(x.received_at, t("timeline.noti", verdict=verdict), x.note or "", colour, x.trd_no or ""))
    for d in whole.deliveries:
        good = d.status is not None and 200 <= d.status < 300
        said = f"HTTP {d.status}" if d.status is not None else (d.error or "")
        events.append(
            Event(d.started_at, t("timeline.webhook", n=d.try_no, result=said), d.url, "good" if good else "bad")
        )
    for c in changes:
        detail = json.loads(c.detail)
        text = ", ".join(f"{k}: {v}" for k, v in detail.items() if v not in ("", False, None))
        events.append(Event(c.at, t("timeline.person", who=c.who, what=t(f"change.{c.action}")), text))
    for a in whole.alarms:
        events.append(Event(a.raised_at, t("timeline.alarm"), a.text, "bad"))
    return sorted(events, key=lambda e: e.at)
