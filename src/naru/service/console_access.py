"""Signing in to the console: passwords, sessions, one-time addresses, roles, throttling."""

from __future__ import annotations

import asyncio
import enum
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Any

import argon2

from naru import logs
from naru.domain.values import DAY, HOUR, MINUTE, Instant
from naru.service.context import Context
from naru.store import mail, people
from naru.store.db import Conflict, Tx
from naru.store.people import Actor, SignedIn
from naru.store.vault import Vault

log = logs.logger("console")

IDLE_MS = 8 * HOUR
"""A session nobody uses ends after this long."""
LONGEST_MS = 7 * DAY
TOUCH_MS = MINUTE
INVITE_MS = 3 * DAY
SETUP_MS = DAY
SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 200
DEV_EMAIL = "dev@naru.local"
DEV_PASSWORD = "naru-development"  # noqa: S105 - printed on the development screen; refused in production
_EMAIL = re.compile(r"[^@\s<>\"']{1,64}@[^@\s<>\"']{1,130}\Z")

_hasher = argon2.PasswordHasher()
_dummy = ""


class Role(enum.IntEnum):
    """What a user may do in a store; each may do what those below may."""

    READER = 1
    OPERATOR = 2
    """Cancels, resends, reconciles."""
    OWNER = 3
    """Changes channels, keys, webhooks, people."""

    @property
    def word(self) -> str:
        """The stored form."""
        return self.name.lower()


def role_of(word: str) -> Role:
    """The role of a stored word. Raises KeyError for anything else."""
    return Role[word.upper()]


class SignInError(Exception):
    """The text is a key of the console's catalogue; *facts* fill it in."""

    def __init__(self, key: str, **facts: object) -> None:
        super().__init__(key, facts)
        self.key = key
        self.facts = facts


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session just begun. The token goes into the cookie and nowhere else."""

    token: str
    until: Instant


def sha(token: str) -> str:
    """The stored form of a session or one-time token."""
    return hashlib.sha256(token.encode()).hexdigest()


def csrf_of(vault: Vault, token_sha256: str) -> str:
    """The form token of a session: bound to it, useless elsewhere."""
    return vault.mac(b"console csrf" + token_sha256.encode()).hex()[:40]


def csrf_fits(vault: Vault, token_sha256: str, given: str) -> bool:
    """Whether a form was ours and this session's."""
    return hmac.compare_digest(csrf_of(vault, token_sha256), given)


async def hash_password(password: str) -> str:
    """argon2id, in a thread: it is slow on purpose."""
    return await asyncio.to_thread(_hasher.hash, password)


async def _verify(stored: str, password: str) -> bool:
    def work() -> bool:
        try:
            return _hasher.verify(stored, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    return await asyncio.to_thread(work)


async def _verify_nobody(password: str) -> None:
    """As slow as a real check, so that answers do not tell which addresses exist."""
    global _dummy  # noqa: PLW0603 - made once, when first needed
    if not _dummy:
        _dummy = await hash_password(secrets.token_hex(16))
    await _verify(_dummy, password)


def check_password(password: str, email: str = "") -> None:
    """Raises SignInError when a new password is too short, too long or the address itself."""
    if len(password) < SHORTEST_PASSWORD:
        raise SignInError("password.short", shortest=SHORTEST_PASSWORD)
    if len(password) > LONGEST_PASSWORD:
        raise SignInError("password.long", longest=LONGEST_PASSWORD)
    if email and password.lower() in (email.lower(), email.lower().partition("@")[0]):
        raise SignInError("password.email")
    if len(set(password)) < 4:
        raise SignInError("password.simple")


def clean_email(text: str) -> str:
    """The address in its stored form. Raises SignInError."""
    email = text.strip().lower()
    if not _EMAIL.match(email):
        raise SignInError("email.bad")
    return email


def _keys(email: str, remote: str) -> list[str]:
    def short(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()[:40]

    return [f"pair:{short(email + '|' + remote)}", f"remote:{short(remote)}", f"account:{short(email)}"]


def _note_failure(keys: list[str], email: str, now: Instant) -> Tx[None]:
    pair, remote, account = keys
    yield from people.failed(pair, now, window_ms=15 * MINUTE, free=5, first_ms=MINUTE, most_ms=HOUR)
    yield from people.failed(remote, now, window_ms=15 * MINUTE, free=30, first_ms=MINUTE, most_ms=HOUR)
    fails = yield from people.failed(account, now, window_ms=HOUR, free=100, first_ms=5 * MINUTE, most_ms=HOUR)
    if fails == 50:
        yield from mail.raise_alarm(
            f"sign_in:{account}:{now // DAY}", "sign_in", f"{email} 계정의 로그인 실패가 1시간에 50번을 넘었습니다",
            store_id=None, imp_uid=None, now=now,
        )  # fmt: skip


async def sign_in(cx: Context, email_text: str, password: str, remote: str, agent: str) -> NewSession:
    """Begin a session. Raises SignInError: wrong (whichever part), or too often wrong."""
    email = email_text.strip().lower()[:200]
    keys = _keys(email, remote)
    now = cx.clock()
    until = await cx.db.read(people.blocked_until, keys)
    if until > now:
        raise SignInError("sign_in.blocked", minutes=max(1, -(-(until - now) // MINUTE)))
    user = await cx.db.read(people.user_by_email, email)
    if user is None or len(password) > LONGEST_PASSWORD:
        await _verify_nobody(password[:LONGEST_PASSWORD])
        good = False
    else:
        good = await _verify(user.password_hash, password) and user.disabled_at is None
    if not good:
        await cx.db.write(_note_failure, keys, email, cx.clock())
        log.warning("console.sign_in_failed", remote=remote)
        raise SignInError("sign_in.wrong")
    assert user is not None
    return await _begin(cx, user.id, user.email, remote, agent, forgive=keys[0])


async def _begin(
    cx: Context, user_id: int, who: str, remote: str, agent: str, *, forgive: str | None = None
) -> NewSession:
    token = secrets.token_urlsafe(32)
    now = cx.clock()
    until = Instant(now + IDLE_MS)

    def begin() -> Tx[None]:
        if forgive is not None:
            yield from people.forgive(forgive, now - DAY)
        yield from people.add_session(sha(token), user_id, now, until, remote[:64], agent[:200])
        yield from people.note_change(Actor(user_id, who, remote), "sign_in", who, now, store_id=None)

    await cx.db.write(begin)
    return NewSession(token, until)


async def session(cx: Context, token: str | None) -> SignedIn | None:
    """Who presents this cookie; a used session lives on."""
    if not token or len(token) > 100:
        return None
    now = cx.clock()
    found = await cx.db.glance(people.signed_in, sha(token), now)
    if found is None:
        return None
    if now - found.seen_at > TOUCH_MS:
        until = min(now + IDLE_MS, found.created_at + LONGEST_MS)
        await cx.db.write(people.seen, found.token_sha256, now, until)
    return found


async def sign_out(cx: Context, who: SignedIn, remote: str) -> None:
    """End a session."""

    def end() -> Tx[None]:
        yield from people.end_session(who.token_sha256)
        yield from people.note_change(
            Actor(who.user_id, who.email, remote), "sign_out", who.email, cx.clock(), store_id=None
        )

    await cx.db.write(end)


async def change_password(cx: Context, who: SignedIn, old: str, new: str, remote: str) -> None:
    """A new password; every other session of the user ends. Raises SignInError."""
    user = await cx.db.read(people.user, who.user_id)
    assert user is not None
    keys = _keys(user.email, remote)
    if await cx.db.read(people.blocked_until, keys) > cx.clock():
        raise SignInError("sign_in.blocked", minutes=1)
    if not await _verify(user.password_hash, old):
        await cx.db.write(_note_failure, keys, user.email, cx.clock())
        raise SignInError("password.old_wrong")
    check_password(new, user.email)
    hashed = await hash_password(new)

    def change() -> Tx[None]:
        yield from people.set_password(who.user_id, hashed, cx.clock())
        yield from people.end_sessions(who.user_id, but=who.token_sha256)
        yield from people.note_change(
            Actor(who.user_id, who.email, remote), "password", who.email, cx.clock(), store_id=None
        )

    await cx.db.write(change)


# one-time addresses


async def invite(
    cx: Context, actor: Actor, *, email: str | None = None, user_id: int | None = None, admin: bool = False,
    store_id: int | None = None, role: Role | None = None, lasts_ms: int = INVITE_MS,
) -> str:  # fmt: skip
    """A one-time address; it is shown once and only its hash is kept. Raises SignInError."""
    if email is not None:
        email = clean_email(email)
    token = secrets.token_urlsafe(32)
    now = cx.clock()

    def add() -> Tx[None]:
        yield from people.add_invite(
            sha(token), user_id=user_id, email=email, admin=admin, store_id=store_id, role=role.word if role else None,
            by=actor.who, now=now, until=now + lasts_ms,
        )  # fmt: skip
        what = {"role": "admin" if admin else role.word if role else "", "reset": user_id is not None}
        yield from people.note_change(actor, "invite", email or "-", now, store_id=store_id, detail=what)

    await cx.db.write(add)
    return f"{cx.public_url}/console/join?token={token}"


async def first_address(cx: Context) -> str | None:
    """The set-up address when the console has no user yet, else None."""
    if await cx.db.read(people.count_users):
        return None
    return await invite(cx, Actor(None, "naru serve", "-"), admin=True, lasts_ms=SETUP_MS)


async def invited(cx: Context, token: str) -> Any | None:
    """The invitation behind a one-time address that is still good."""
    return await cx.db.read(people.invite, sha(token), cx.clock())


async def join(
    cx: Context, token: str, *, email_text: str, name: str, password: str, remote: str, agent: str
) -> NewSession:
    """Use a one-time address: make the account (or set its new password) and sign in. Raises SignInError."""
    found = await invited(cx, token)
    if found is None:
        raise SignInError("join.over")
    if found.user_id is not None:
        return await _reset(cx, token, found.user_id, password, remote, agent)
    email = found.email or clean_email(email_text)
    name = " ".join(name.split())[:100] or email.partition("@")[0]
    check_password(password, email)
    existing = await cx.db.read(people.user_by_email, email)
    if existing is not None and not await _verify(existing.password_hash, password):
        # The address is known: whoever holds the invitation must be that person.
        await cx.db.write(_note_failure, _keys(email, remote), email, cx.clock())
        raise SignInError("join.known")
    hashed = await hash_password(password)
    now = cx.clock()

    def use() -> Tx[int]:
        if not (yield from people.use_invite(sha(token), now)):
            raise SignInError("join.over")
        if existing is not None:
            user_id = existing.id
        else:
            user_id = yield from people.add_user(email, name, hashed, admin=bool(found.admin), now=now)
        if found.store_id is not None and found.role is not None:
            yield from people.set_role(user_id, found.store_id, found.role)
        yield from people.note_change(
            Actor(user_id, email, remote),
            "join",
            email,
            now,
            store_id=found.store_id,
            detail={"role": found.role or ""},
        )
        return user_id

    try:
        user_id = await cx.db.write(use)
    except Conflict:
        raise SignInError("join.over") from None
    return await _begin(cx, user_id, email, remote, agent)


async def _reset(cx: Context, token: str, user_id: int, password: str, remote: str, agent: str) -> NewSession:
    user = await cx.db.read(people.user, user_id)
    assert user is not None
    check_password(password, user.email)
    hashed = await hash_password(password)
    now = cx.clock()

    def use() -> Tx[None]:
        if not (yield from people.use_invite(sha(token), now)):
            raise SignInError("join.over")
        yield from people.set_password(user_id, hashed, now)
        yield from people.end_sessions(user_id)
        yield from people.note_change(Actor(user_id, user.email, remote), "password", user.email, now, store_id=None)

    await cx.db.write(use)
    return await _begin(cx, user_id, user.email, remote, agent)


async def ensure_dev_user(cx: Context) -> None:
    """The development account that `naru dev` prints. Development only."""
    assert cx.development
    if await cx.db.read(people.count_users):
        return
    hashed = await hash_password(DEV_PASSWORD)
    now = cx.clock()

    def add() -> Tx[None]:
        yield from people.add_user(DEV_EMAIL, "개발자", hashed, admin=True, now=now)

    await cx.db.write(add)


# people of a store


def _owners_left(store_id: int, without: int) -> Tx[bool]:
    """Whether a store has an owner apart from *without* (administrators own every store)."""
    chiefs = yield from people.admins()
    if any(a.disabled_at is None for a in chiefs):
        return True
    rows = yield from people.members(store_id)
    return any(m.role == "owner" and m.id != without and m.disabled_at is None for m in rows)


async def set_role(cx: Context, actor: Actor, store_id: int, user_id: int, role: Role | None) -> None:
    """Change or take away a member's role. Raises SignInError when the store would have no owner left."""

    def change() -> Tx[None]:
        rows = yield from people.members(store_id)
        member = next((m for m in rows if m.id == user_id), None)
        if member is None:
            raise SignInError("people.unknown")
        if role is not Role.OWNER and not (yield from _owners_left(store_id, user_id)):
            raise SignInError("people.last_owner")
        yield from people.set_role(user_id, store_id, role.word if role else None)
        detail = {"from": member.role, "to": role.word if role else ""}
        yield from people.note_change(actor, "role", member.email, cx.clock(), store_id=store_id, detail=detail)

    await cx.db.write(change)


async def set_disabled(cx: Context, actor: Actor, user_id: int, disabled: bool) -> None:
    """Lock a user out of the console, or let the user in again (administrators only, never oneself)."""
    if actor.user_id == user_id:
        raise SignInError("people.self")

    def change() -> Tx[None]:
        found = yield from people.user(user_id)
        if found is None:
            raise SignInError("people.unknown")
        yield from people.set_disabled(user_id, cx.clock() if disabled else None)
        yield from people.note_change(
            actor, "user_disabled" if disabled else "user_enabled", found.email, cx.clock(), store_id=None
        )

    await cx.db.write(change)
