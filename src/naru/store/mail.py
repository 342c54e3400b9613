"""Letters: the inbox (the PG's words), the outbox (jobs we owe), their deliveries, and alarms."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert  # ON CONFLICT is the same on SQLite

from naru.store.db import Tx
from naru.store.statement import Statement
from naru.store.tables import alarms, deliveries, inbox, jobs

ALARM = "alarm"
"""The kind of the jobs by which alarms reach a person."""

_RECEIVE = Statement(
    insert(inbox)
    .values({c: bindparam(c) for c in ("received_at", "path", "remote", "content_type", "body", "verdict")})
    .returning(inbox.c.id)
)
_RECEIVE_AGAIN = Statement(
    insert(inbox).values(
        {
            c: bindparam(c)
            for c in ("received_at", "path", "remote", "content_type", "body", "verdict", "mid", "trd_no",
                      "mcht_trd_no", "imp_uid", "handled_at")
        }
    )
)  # fmt: skip
_JUDGE = Statement(
    update(inbox)
    .where(inbox.c.id == bindparam("letter"))
    .values(
        {c: bindparam(f"new_{c}") for c in ("verdict", "note", "mid", "trd_no", "mcht_trd_no", "imp_uid", "handled_at")}
    )
)
_LETTER = Statement(select(inbox).where(inbox.c.id == bindparam("id")))

_OWE = Statement(
    upsert(jobs)
    .values({c: bindparam(c) for c in ("kind", "key", "store_id", "imp_uid", "payload", "run_at", "created_at")})
    .on_conflict_do_nothing(index_elements=["key"])
)
_NOTE = Statement(
    upsert(jobs)
    .values(
        {
            c: bindparam(c)
            for c in ("kind", "key", "store_id", "imp_uid", "payload", "state", "created_at", "finished_at")
        }
    )
    .on_conflict_do_nothing(index_elements=["key"])
)
_CLAIM = Statement(
    update(jobs)
    .where(
        jobs.c.id.in_(
            select(jobs.c.id)
            .where(jobs.c.run_at <= bindparam("due"), jobs.c.kind.in_(bindparam("kinds", expanding=True)))
            .order_by(jobs.c.run_at)
            .limit(bindparam("most"))
            .with_for_update(skip_locked=True)
        )
    )
    .values(run_at=bindparam("lease_until"), tries=jobs.c.tries + 1)
    .returning(*jobs.c)
)
_FINISH = Statement(
    update(jobs)
    .where(jobs.c.id == bindparam("job"), jobs.c.tries == bindparam("taken"), jobs.c.state == "open")
    .values(
        run_at=bindparam("new_run_at"),
        state=bindparam("new_state"),
        last_error=bindparam("error"),
        finished_at=bindparam("at"),
    )
    .returning(jobs.c.id)
)
_REOPEN = Statement(
    update(jobs)
    .where(jobs.c.id == bindparam("job"))
    .values(run_at=bindparam("new_run_at"), state="open", payload=bindparam("new_payload"), finished_at=None)
)
_WEBHOOK_JOB = Statement(
    select(jobs)
    .where(jobs.c.id == bindparam("id"), jobs.c.store_id == bindparam("store_id"), jobs.c.kind == "webhook")
    .with_for_update()
)
# Said as the partial index says it: without the condition SQLite would read every job there ever was.
_NEXT_JOB = Statement(
    select(jobs.c.run_at.label("at"))
    .where(jobs.c.run_at.is_not(None), jobs.c.kind.in_(bindparam("kinds", expanding=True)))
    .order_by(jobs.c.run_at)
    .limit(1)
)
_JOBS_OF = Statement(select(jobs).where(jobs.c.imp_uid == bindparam("imp_uid")).order_by(jobs.c.id))

_DELIVERED = Statement(
    insert(deliveries).values(
        {
            c: bindparam(c)
            for c in ("job_id", "store_id", "imp_uid", "url", "try_no", "started_at", "took_ms", "status", "error",
                      "request", "response")
        }
    )
)  # fmt: skip
_DELIVERIES_OF = Statement(
    select(deliveries).where(deliveries.c.imp_uid == bindparam("imp_uid")).order_by(deliveries.c.id)
)

_RAISE = Statement(
    upsert(alarms)
    .values({c: bindparam(c) for c in ("key", "store_id", "imp_uid", "kind", "text", "raised_at")})
    .on_conflict_do_nothing(index_elements=["key"])
    .returning(alarms.c.id)
)
_CLOSE = Statement(
    update(alarms)
    .where(alarms.c.key == bindparam("of_key"), alarms.c.closed_at.is_(None))
    .values(closed_at=bindparam("at"), closed_by=bindparam("by"))
)
_OPEN_ALARMS = Statement(select(alarms).where(alarms.c.closed_at.is_(None)).order_by(alarms.c.id))


def receive(*, path: str, remote: str, content_type: str, raw: bytes, now: int) -> Tx[int]:
    """Store the PG's words before they are read. Returns the letter's number."""
    rows = yield _RECEIVE(received_at=now, path=path, remote=remote, content_type=content_type, body=raw, verdict="new")
    return rows[0].id  # type: ignore[no-any-return]


def receive_again(
    *, path: str, remote: str, content_type: str, raw: bytes, mid: str, trd_no: str, mcht_trd_no: str, imp_uid: str,
    now: int,
) -> Tx[None]:  # fmt: skip
    """Store the PG's words together with their verdict: they repeat what is settled."""
    yield _RECEIVE_AGAIN(
        received_at=now, path=path, remote=remote, content_type=content_type, body=raw, verdict="again", mid=mid,
        trd_no=trd_no, mcht_trd_no=mcht_trd_no, imp_uid=imp_uid, handled_at=now,
    )  # fmt: skip


def judge(
    letter: int, verdict: str, *, note: str | None = None, mid: str | None = None, trd_no: str | None = None,
    mcht_trd_no: str | None = None, imp_uid: str | None = None, now: int | None,
) -> Tx[None]:  # fmt: skip
    """Write down what became of a letter; *now* is None while it still waits to be handled."""
    yield _JUDGE(
        letter=letter, new_verdict=verdict, new_note=note, new_mid=mid, new_trd_no=trd_no, new_mcht_trd_no=mcht_trd_no,
        new_imp_uid=imp_uid, new_handled_at=now,
    )  # fmt: skip


def letter(letter_id: int) -> Tx[Any | None]:
    """A letter by its number."""
    rows = yield _LETTER(id=letter_id)
    return rows[0] if rows else None


def owe(
    kind: str, key: str, payload: str, *, store_id: int | None, imp_uid: str | None, run_at: int, now: int
) -> Tx[None]:
    """Owe a job. The key names the event, so the same event owes one job however often it is told."""
    yield _OWE(kind=kind, key=key, store_id=store_id, imp_uid=imp_uid, payload=payload, run_at=run_at, created_at=now)


def note(kind: str, key: str, payload: str, *, store_id: int | None, imp_uid: str | None, now: int) -> Tx[None]:
    """Write down a job that is not to be run, so that every event has its row."""
    yield _NOTE(
        kind=kind, key=key, store_id=store_id, imp_uid=imp_uid, payload=payload, state="silent", created_at=now,
        finished_at=now,
    )  # fmt: skip


def claim(kinds: tuple[str, ...], due: int, lease_until: int, most: int) -> Tx[list[Any]]:
    """Take jobs whose time has come. The lease is their next run time, so a dead taker loses nothing."""
    rows = yield _CLAIM(kinds=list(kinds), due=due, lease_until=lease_until, most=most)
    return rows


def finish(job: int, taken: int, *, now: int) -> Tx[bool]:
    """A job is done. False when another worker has taken it since (*taken* is the try number at claim)."""
    rows = yield _FINISH(job=job, taken=taken, new_run_at=None, new_state="done", error=None, at=now)
    return bool(rows)


def postpone(job: int, taken: int, *, run_at: int | None, error: str, now: int) -> Tx[bool]:
    """A job failed: run it again at *run_at*, or never (None: it is dead and visible)."""
    state = "open" if run_at is not None else "dead"
    rows = yield _FINISH(
        job=job, taken=taken, new_run_at=run_at, new_state=state, error=error, at=now if run_at is None else None
    )
    return bool(rows)


def reopen(job: int, run_at: int, payload: str) -> Tx[None]:
    """Run a job again, with this payload. Its tries go on counting: their number is what tells a worker that still
    has it from the one that takes it next."""
    yield _REOPEN(job=job, new_run_at=run_at, new_payload=payload)


def webhook_job(job: int, store_id: int) -> Tx[Any | None]:
    """A webhook of this store, locked."""
    rows = yield _WEBHOOK_JOB(id=job, store_id=store_id)
    return rows[0] if rows else None


def next_job(kinds: tuple[str, ...]) -> Tx[int | None]:
    """When the next job is due."""
    rows = yield _NEXT_JOB(kinds=list(kinds))
    return rows[0].at if rows else None


def jobs_of(imp_uid: str) -> Tx[list[Any]]:
    """The jobs of a payment, oldest first."""
    rows = yield _JOBS_OF(imp_uid=imp_uid)
    return rows


def delivered(
    *, job_id: int, store_id: int, imp_uid: str, url: str, try_no: int, started_at: int, took_ms: int,
    status: int | None, error: str | None, request: str, response: str | None,
) -> Tx[None]:  # fmt: skip
    """One row per attempt to deliver."""
    yield _DELIVERED(
        job_id=job_id, store_id=store_id, imp_uid=imp_uid, url=url, try_no=try_no, started_at=started_at,
        took_ms=took_ms, status=status, error=error, request=request, response=response,
    )  # fmt: skip


def deliveries_of(imp_uid: str) -> Tx[list[Any]]:
    """All attempts to deliver a payment's webhooks, oldest first."""
    rows = yield _DELIVERIES_OF(imp_uid=imp_uid)
    return rows


def raise_alarm(key: str, kind: str, text: str, *, store_id: int | None, imp_uid: str | None, now: int) -> Tx[bool]:
    """Call a person, once per key. True when this is news."""
    rows = yield _RAISE(key=key, store_id=store_id, imp_uid=imp_uid, kind=kind, text=text, raised_at=now)
    if not rows:
        return False
    payload = json.dumps({"kind": kind, "text": text, "imp_uid": imp_uid}, ensure_ascii=False)
    # Not under the payment's own number: what a shop is owed and what an operator is owed are two lists.
    yield from owe(ALARM, f"alarm:{rows[0].id}", payload, store_id=store_id, imp_uid=None, run_at=now, now=now)
    return True


def close_alarm(key: str, by: str, now: int) -> Tx[None]:
    """An alarm is dealt with."""
    yield _CLOSE(of_key=key, at=now, by=by)


def open_alarms() -> Tx[list[Any]]:
    """Alarms nobody has dealt with."""
    rows = yield _OPEN_ALARMS()
    return rows
