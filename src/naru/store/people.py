"""People who use the console: users, roles, sessions, one-time addresses, failed sign-ins, the audit log."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from naru.store.db import Tx
from naru.store.statement import Statement
from naru.store.statement import insert as upsert
from naru.store.tables import audit, invites, roles, sessions, stores, throttles, users

_USER_BY_EMAIL = Statement(select(users).where(users.c.email == bindparam("email")))
_USER_BY_ID = Statement(select(users).where(users.c.id == bindparam("id")))
_USERS = Statement(select(users).order_by(users.c.id))
_COUNT_USERS = Statement(select(func.count().label("n")).select_from(users))
_ADD_USER = Statement(
    insert(users)
    .values({c: bindparam(c) for c in ("email", "name", "password_hash", "admin", "created_at", "password_at")})
    .returning(users.c.id)
)
_SET_PASSWORD = Statement(
    update(users)
    .where(users.c.id == bindparam("user_id"))
    .values(password_hash=bindparam("new_hash"), password_at=bindparam("at"))
)
_SET_NAME = Statement(update(users).where(users.c.id == bindparam("user_id")).values(name=bindparam("new_name")))
_SET_DISABLED = Statement(
    update(users).where(users.c.id == bindparam("user_id")).values(disabled_at=bindparam("disabled"))
)
_ROLES_OF = Statement(
    select(roles.c.role, stores.c.id, stores.c.imp_code, stores.c.name)
    .join(stores, stores.c.id == roles.c.store_id)
    .where(roles.c.user_id == bindparam("user_id"))
    .order_by(stores.c.id)
)
_ALL_STORES = Statement(select(stores.c.id, stores.c.imp_code, stores.c.name).order_by(stores.c.id))
_MEMBERS = Statement(
    select(users.c.id, users.c.email, users.c.name, users.c.disabled_at, roles.c.role)
    .join(roles, roles.c.user_id == users.c.id)
    .where(roles.c.store_id == bindparam("store_id"))
    .order_by(users.c.email)
)
_ADMINS = Statement(
    select(users.c.id, users.c.email, users.c.name, users.c.disabled_at)
    .where(users.c.admin == 1)
    .order_by(users.c.email)
)
_DROP_ROLE = Statement(
    delete(roles).where(roles.c.user_id == bindparam("of_user"), roles.c.store_id == bindparam("of_store"))
)
_ADD_ROLE = Statement(insert(roles))

_ADD_SESSION = Statement(
    insert(sessions).values(
        {c: bindparam(c) for c in ("token_sha256", "user_id", "created_at", "seen_at", "expires_at", "remote", "agent")}
    )
)
_SESSION = Statement(
    select(
        sessions.c.token_sha256, sessions.c.created_at, sessions.c.seen_at, sessions.c.expires_at, sessions.c.flash,
        users.c.id.label("user_id"), users.c.email, users.c.name, users.c.admin, users.c.disabled_at,
    )
    .join(users, users.c.id == sessions.c.user_id)
    .where(sessions.c.token_sha256 == bindparam("token_sha256"))
)  # fmt: skip
_SEEN = Statement(
    update(sessions)
    .where(sessions.c.token_sha256 == bindparam("token"))
    .values(seen_at=bindparam("at"), expires_at=bindparam("until"))
)
_FLASH = Statement(
    update(sessions).where(sessions.c.token_sha256 == bindparam("token")).values(flash=bindparam("text"))
)
_SESSIONS_OF = Statement(
    select(sessions).where(sessions.c.user_id == bindparam("user_id")).order_by(sessions.c.seen_at.desc()).limit(50)
)
_DROP_SESSION = Statement(delete(sessions).where(sessions.c.token_sha256 == bindparam("token")))
_DROP_SESSIONS_OF = Statement(
    delete(sessions).where(sessions.c.user_id == bindparam("of_user"), sessions.c.token_sha256 != bindparam("but"))
)
_DROP_OLD_SESSIONS = Statement(delete(sessions).where(sessions.c.expires_at < bindparam("before")))

_ADD_INVITE = Statement(
    insert(invites).values(
        {
            c: bindparam(c)
            for c in (
                "token_sha256", "user_id", "email", "admin", "store_id", "role", "created_by", "created_at",
                "expires_at",
            )
        }
    )
)  # fmt: skip
_INVITE = Statement(
    select(invites).where(
        invites.c.token_sha256 == bindparam("token_sha256"),
        invites.c.used_at.is_(None),
        invites.c.expires_at > bindparam("now"),
    )
)
_USE_INVITE = Statement(
    update(invites)
    .where(invites.c.token_sha256 == bindparam("token"), invites.c.used_at.is_(None))
    .values(used_at=bindparam("at"))
    .returning(invites.c.token_sha256)
)
_INVITES_OF = Statement(
    select(invites)
    .where(
        invites.c.store_id == bindparam("store_id"),
        invites.c.used_at.is_(None),
        invites.c.expires_at > bindparam("now"),
    )
    .order_by(invites.c.created_at.desc())
)
_DROP_INVITE = Statement(
    delete(invites).where(invites.c.token_sha256 == bindparam("token"), invites.c.store_id == bindparam("of_store"))
)

_THROTTLES = Statement(select(throttles).where(throttles.c.key.in_(bindparam("keys", expanding=True))))
_THROTTLE_LOCKED = Statement(select(throttles).where(throttles.c.key == bindparam("key")).with_for_update())
_FAIL = Statement(
    upsert(throttles)
    .values({c: bindparam(c) for c in ("key", "fails", "since", "blocked_until")})
    .on_conflict_do_update(
        index_elements=["key"],
        set_={c: bindparam(f"new_{c}") for c in ("fails", "since", "blocked_until")},
    )
)
_FORGIVE = Statement(delete(throttles).where(throttles.c.key == bindparam("of_key")))
_DROP_OLD_THROTTLES = Statement(delete(throttles).where(throttles.c.since < bindparam("before")))

_AUDIT = Statement(
    insert(audit).values(
        {c: bindparam(c) for c in ("at", "store_id", "user_id", "who", "action", "target", "detail", "remote")}
    )
)
_AUDIT_OF = Statement(
    select(audit)
    .where(audit.c.store_id == bindparam("store_id"), audit.c.id < bindparam("before"))
    .order_by(audit.c.id.desc())
    .limit(bindparam("most"))
)
_AUDIT_ALL = Statement(
    select(audit).where(audit.c.id < bindparam("before")).order_by(audit.c.id.desc()).limit(bindparam("most"))
)
_AUDIT_OF_TARGET = Statement(
    select(audit)
    .where(audit.c.target == bindparam("target"), audit.c.store_id == bindparam("store_id"))
    .order_by(audit.c.id)
    .limit(200)
)


@dataclass(frozen=True, slots=True)
class Membership:
    """A store that a user may enter, with the role there."""

    store_id: int
    imp_code: str
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session with its user and the stores the user may enter."""

    token_sha256: str
    user_id: int
    email: str
    name: str
    admin: bool
    created_at: int
    seen_at: int
    expires_at: int
    flash: str | None
    stores: tuple[Membership, ...]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something in the console, for the audit log."""

    user_id: int | None
    who: str
    remote: str


def user_by_email(email: str) -> Tx[Any | None]:
    """The user of this address (lower case)."""
    rows = yield _USER_BY_EMAIL(email=email)
    return rows[0] if rows else None


def user(user_id: int) -> Tx[Any | None]:
    """The user of this id."""
    rows = yield _USER_BY_ID(id=user_id)
    return rows[0] if rows else None


def all_users() -> Tx[list[Any]]:
    """Every user."""
    rows = yield _USERS()
    return rows


def count_users() -> Tx[int]:
    """How many users there are; none means that the console waits for its first."""
    rows = yield _COUNT_USERS()
    return rows[0].n  # type: ignore[no-any-return]


def add_user(email: str, name: str, password_hash: str, *, admin: bool, now: int) -> Tx[int]:
    """Add a user. Raises Conflict when the address is taken."""
    rows = yield _ADD_USER(
        email=email, name=name, password_hash=password_hash, admin=int(admin), created_at=now, password_at=now
    )
    return rows[0].id  # type: ignore[no-any-return]


def set_password(user_id: int, password_hash: str, now: int) -> Tx[None]:
    """A new password."""
    yield _SET_PASSWORD(user_id=user_id, new_hash=password_hash, at=now)


def set_name(user_id: int, name: str) -> Tx[None]:
    """A new name."""
    yield _SET_NAME(user_id=user_id, new_name=name)


def set_disabled(user_id: int, at: int | None) -> Tx[None]:
    """Lock a user out, or let the user in again."""
    yield _SET_DISABLED(user_id=user_id, disabled=at)
    if at is not None:
        yield _DROP_SESSIONS_OF(of_user=user_id, but="")


def set_role(user_id: int, store_id: int, role: str | None) -> Tx[None]:
    """Give a role in a store, or take it away."""
    yield _DROP_ROLE(of_user=user_id, of_store=store_id)
    if role is not None:
        yield _ADD_ROLE(user_id=user_id, store_id=store_id, role=role)


def members(store_id: int) -> Tx[list[Any]]:
    """Who has a role in a store."""
    rows = yield _MEMBERS(store_id=store_id)
    return rows


def admins() -> Tx[list[Any]]:
    """The installation's administrators, owners of every store."""
    rows = yield _ADMINS()
    return rows


def _stores_of(user_id: int, admin: bool) -> Tx[tuple[Membership, ...]]:
    if admin:
        rows = yield _ALL_STORES()
        return tuple(Membership(r.id, r.imp_code, r.name, "owner") for r in rows)
    rows = yield _ROLES_OF(user_id=user_id)
    return tuple(Membership(r.id, r.imp_code, r.name, r.role) for r in rows)


def add_session(token_sha256: str, user_id: int, now: int, until: int, remote: str, agent: str) -> Tx[None]:
    """A session begins; those long over are swept out."""
    yield _DROP_OLD_SESSIONS(before=now)
    yield _ADD_SESSION(
        token_sha256=token_sha256, user_id=user_id, created_at=now, seen_at=now, expires_at=until, remote=remote,
        agent=agent,
    )  # fmt: skip


def signed_in(token_sha256: str, now: int) -> Tx[SignedIn | None]:
    """Who this session belongs to. None when it is over or its user is locked out."""
    rows = yield _SESSION(token_sha256=token_sha256)
    if not rows or rows[0].expires_at <= now or rows[0].disabled_at is not None:
        return None
    row = rows[0]
    memberships = yield from _stores_of(row.user_id, bool(row.admin))
    return SignedIn(
        row.token_sha256, row.user_id, row.email, row.name, bool(row.admin), row.created_at, row.seen_at,
        row.expires_at, row.flash, memberships,
    )  # fmt: skip


def seen(token_sha256: str, at: int, until: int) -> Tx[None]:
    """A session was used."""
    yield _SEEN(token=token_sha256, at=at, until=until)


def set_flash(token_sha256: str, text: str | None) -> Tx[None]:
    """What the session's next page says once."""
    yield _FLASH(token=token_sha256, text=text)


def sessions_of(user_id: int) -> Tx[list[Any]]:
    """A user's sessions, last used first."""
    rows = yield _SESSIONS_OF(user_id=user_id)
    return rows


def end_session(token_sha256: str) -> Tx[None]:
    """A session ends."""
    yield _DROP_SESSION(token=token_sha256)


def end_sessions(user_id: int, but: str = "") -> Tx[None]:
    """All of a user's sessions end, but for one."""
    yield _DROP_SESSIONS_OF(of_user=user_id, but=but)


def add_invite(
    token_sha256: str, *, user_id: int | None, email: str | None, admin: bool, store_id: int | None, role: str | None,
    by: str, now: int, until: int,
) -> Tx[None]:  # fmt: skip
    """A one-time address; only the hash of its token is kept."""
    yield _ADD_INVITE(
        token_sha256=token_sha256, user_id=user_id, email=email, admin=int(admin), store_id=store_id, role=role,
        created_by=by, created_at=now, expires_at=until,
    )  # fmt: skip


def invite(token_sha256: str, now: int) -> Tx[Any | None]:
    """An unused one-time address that is still good."""
    rows = yield _INVITE(token_sha256=token_sha256, now=now)
    return rows[0] if rows else None


def use_invite(token_sha256: str, now: int) -> Tx[bool]:
    """Use a one-time address up. False when somebody was quicker."""
    rows = yield _USE_INVITE(token=token_sha256, at=now)
    return bool(rows)


def invites_of(store_id: int, now: int) -> Tx[list[Any]]:
    """A store's open invitations."""
    rows = yield _INVITES_OF(store_id=store_id, now=now)
    return rows


def drop_invite(token_sha256: str, store_id: int) -> Tx[None]:
    """Take an invitation back."""
    yield _DROP_INVITE(token=token_sha256, of_store=store_id)


def blocked_until(keys: list[str]) -> Tx[int]:
    """Until when the strictest of these keys is blocked (UTC ms, 0: not at all)."""
    rows = yield _THROTTLES(keys=keys)
    return max((r.blocked_until for r in rows), default=0)


def failed(key: str, now: int, *, window_ms: int, free: int, first_ms: int, most_ms: int) -> Tx[int]:
    """One more failure under a key. Beyond *free* in the window it is blocked, each time twice as long."""
    rows = yield _THROTTLE_LOCKED(key=key)
    fails, since = 1, now
    if rows and now - rows[0].since < window_ms:
        fails, since = rows[0].fails + 1, rows[0].since
    over = fails - free
    until = now + min(first_ms * 2 ** min(over - 1, 20), most_ms) if over > 0 else 0
    yield _FAIL(
        key=key,
        fails=fails,
        since=since,
        blocked_until=until,
        new_fails=fails,
        new_since=since,
        new_blocked_until=until,
    )
    return fails


def forgive(key: str, before: int) -> Tx[None]:
    """Forget the failures of a key, and all that are long past."""
    yield _FORGIVE(of_key=key)
    yield _DROP_OLD_THROTTLES(before=before)


def note_change(
    actor: Actor, action: str, target: str, now: int, *, store_id: int | None, detail: dict[str, Any] | None = None
) -> Tx[None]:
    """Write down who changed what. *detail* holds no secret."""
    yield _AUDIT(
        at=now, store_id=store_id, user_id=actor.user_id, who=actor.who[:200], action=action, target=target[:160],
        detail=json.dumps(detail or {}, ensure_ascii=False), remote=actor.remote[:64],
    )  # fmt: skip


def changes(store_id: int | None, before: int, most: int) -> Tx[list[Any]]:
    """The audit log of a store (None: of everything), newest first."""
    if store_id is None:
        rows = yield _AUDIT_ALL(before=before, most=most)
    else:
        rows = yield _AUDIT_OF(store_id=store_id, before=before, most=most)
    return rows


def changes_of(store_id: int, target: str) -> Tx[list[Any]]:
    """What was done to one thing, oldest first."""
    rows = yield _AUDIT_OF_TARGET(store_id=store_id, target=target)
    return rows
