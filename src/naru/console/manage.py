"""People and their roles, the log of changes; for administrators: stores, users, all notis."""

from __future__ import annotations

import json
from typing import Any, Final

from litestar.exceptions import HTTPException

from naru.console.visit import Answer, Visit, action, page, with_query
from naru.service import console_access as access
from naru.service import console_alarms as desk
from naru.service import notices, setup
from naru.service.console_access import Role, SignInError
from naru.store import console, people
from naru.store.db import Tx

PAGE: Final = 100
VERDICTS: Final = ("new", "applied", "again", "noted", "unmatched", "mismatch", "forged", "unreadable")
_FAR: Final = 1 << 62


# people of a store


async def _people(visit: Visit, address: str = "", email: str = "") -> Answer:
    now, db = visit.cx.clock(), visit.cx.db
    return await visit.page(
        "people.html", members=await db.read(people.members, visit.here.id), admins=await db.read(people.admins),
        invites=await db.read(people.invites_of, visit.here.id, now), address=address, email=email,
        roles=[r.word for r in Role],
    )  # fmt: skip


@page("/people")
async def members(visit: Visit) -> Answer:
    """Who may enter this store."""
    return await _people(visit)


@action("/people/invite", need=Role.OWNER)
async def invite(visit: Visit) -> Answer:
    """A one-time address for somebody, shown in this answer."""
    visit.back = f"{visit.base}/people"
    role = _role(visit.form.text("role", 12))
    if role is None:
        raise SignInError("people.unknown")
    email = visit.form.text("email")
    address = await access.invite(visit.cx, visit.actor, email=email, store_id=visit.here.id, role=role)
    return await _people(visit, address, email)


def _role(word: str) -> Role | None:
    try:
        return access.role_of(word)
    except KeyError:
        return None


@action("/people/{user:str}/role", need=Role.OWNER)
async def set_role(visit: Visit) -> Answer:
    """Another role for a member, or none."""
    visit.back = f"{visit.base}/people"
    word = visit.form.text("role", 12)
    role = _role(word)
    if role is None and word != "none":
        raise SignInError("people.unknown")
    await access.set_role(visit.cx, visit.actor, visit.here.id, visit.number("user"), role)
    return await visit.go(visit.back if visit.role is Role.OWNER else "/console", "frame.saved")


@action("/people/invites/{token:str}", need=Role.OWNER)
async def drop_invite(visit: Visit) -> Answer:
    """Take an invitation back."""
    await visit.cx.db.write(people.drop_invite, visit.param("token"), visit.here.id)
    return await visit.go(f"{visit.base}/people", "people.invite_dropped")


@page("/changes")
async def changes(visit: Visit) -> Answer:
    """Who changed what in this store."""
    before = visit.query.integer("before") or _FAR
    rows = await visit.cx.db.read(people.changes, visit.here.id, before, PAGE + 1)
    return await visit.page("changes.html", **_changes(rows, before, f"{visit.base}/changes"), everything=False)


def _changes(rows: list[Any], before: int, here: str) -> dict[str, Any]:
    shown = rows[:PAGE]
    return {
        "rows": shown, "details": {r.id: json.loads(r.detail) for r in shown},
        "next_page": with_query(here, before=shown[-1].id) if len(rows) > PAGE else "",
        "first_page": here if before != _FAR else "",
    }  # fmt: skip


# the installation


@page("/stores", scope="admin")
async def stores_page(visit: Visit) -> Answer:
    """All stores."""
    return await visit.page("stores.html", new=None)


@action("/stores", scope="admin")
async def add_store(visit: Visit) -> Answer:
    """A new store; its secrets are in this answer and nowhere else."""
    visit.back = "/console/stores"
    name = " ".join(visit.form.text("name", 200).split())
    if not 1 <= len(name) <= 100:
        raise SignInError("keys.bad_name")
    new = await setup.make_store(visit.cx, name)

    def note() -> Tx[None]:
        yield from people.note_change(visit.actor, "store_added", new.imp_code, visit.cx.clock(), store_id=new.store_id)

    await visit.cx.db.write(note)
    visit.who = await visit.cx.db.read(people.signed_in, visit.me.token_sha256, visit.cx.clock())
    return await visit.page("stores.html", new=new)


async def _users(visit: Visit, address: str = "", email: str = "") -> Answer:
    users = await visit.cx.db.read(people.all_users)
    rows = await visit.cx.db.read(people.changes, None, _FAR, 50)
    return await visit.page(
        "users.html", users=users, address=address, email=email, rows=rows,
        details={r.id: json.loads(r.detail) for r in rows},
    )  # fmt: skip


@page("/users", scope="admin")
async def users(visit: Visit) -> Answer:
    """All users."""
    return await _users(visit)


@action("/users/invite", scope="admin")
async def invite_admin(visit: Visit) -> Answer:
    """A one-time address for another administrator."""
    visit.back = "/console/users"
    email = visit.form.text("email")
    return await _users(visit, await access.invite(visit.cx, visit.actor, email=email, admin=True), email)


@action("/users/{user:str}/reset", scope="admin")
async def reset(visit: Visit) -> Answer:
    """A one-time address for a new password."""
    found = await visit.cx.db.read(people.user, visit.number("user"))
    if found is None:
        raise HTTPException(status_code=404)
    return await _users(visit, await access.invite(visit.cx, visit.actor, user_id=found.id), found.email)


@action("/users/{user:str}/disable", scope="admin")
async def disable(visit: Visit) -> Answer:
    """Lock a user out, or in again."""
    visit.back = "/console/users"
    await access.set_disabled(visit.cx, visit.actor, visit.number("user"), visit.form.flag("off"))
    return await visit.go(visit.back, "frame.saved")


@page("/inbox", scope="admin")
async def inbox(visit: Visit) -> Answer:
    """Every noti, also those that belong to no payment."""
    verdict = visit.query.text("verdict", 16)
    verdict = verdict if verdict in VERDICTS else ""
    before = visit.query.integer("before") or _FAR
    rows = await visit.cx.db.read(console.inbox_page, verdict, before, PAGE + 1)
    alarms = await visit.cx.db.read(console.alarms_page, None, True, _FAR, 50)
    here = "/console/inbox"
    return await visit.page(
        "inbox.html", rows=rows[:PAGE], verdict=verdict, verdicts=VERDICTS, alarms=alarms,
        next_page=with_query(here, verdict=verdict, before=rows[PAGE - 1].id) if len(rows) > PAGE else "",
        first_page=with_query(here, verdict=verdict) if before != _FAR else "",
    )  # fmt: skip


@action("/inbox/{letter:str}", scope="admin")
async def replay(visit: Visit) -> Answer:
    """Read a noti again."""
    visit.back = "/console/inbox"
    letter = await visit.cx.db.read(console.letter, visit.number("letter"), None)
    if letter is None:
        raise HTTPException(status_code=404)
    good = await notices.handle(visit.cx, letter.id, bytes(letter.body), letter.content_type)
    return await visit.go(visit.back, "letters.replayed" if good else "letters.refused", "good" if good else "bad")


@action("/inbox/alarms/{alarm:str}", scope="admin")
async def close_alarm(visit: Visit) -> Answer:
    """An alarm that belongs to no store is dealt with."""
    visit.back = "/console/inbox"
    alarm = await visit.cx.db.read(console.alarm, visit.number("alarm"))
    if alarm is None or alarm.store_id is not None:
        raise HTTPException(status_code=404)
    await desk.close_alarm(visit.cx, visit.actor, alarm)
    return await visit.go(visit.back, "problems.closed")
