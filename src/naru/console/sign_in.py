"""Signing in and out, one-time addresses, one's own account."""

from __future__ import annotations

import hmac
import secrets

from litestar.datastructures import Cookie
from litestar.exceptions import HTTPException

from naru.console import pages, words
from naru.console.visit import (
    ENTRY_COOKIE,
    LANGUAGE_COOKIE,
    SESSION_COOKIE,
    Answer,
    Visit,
    action,
    cookie,
    cookie_name,
    own_path,
    page,
)
from naru.service import console_access as access
from naru.service.console_access import NewSession, SignInError
from naru.store import people, stores

ENTRY_S = 3600


def _entry(visit: Visit) -> str:
    """A form token for somebody who has no session yet: the cookie and the field must agree."""
    given = visit.request.cookies.get(cookie_name(visit.cx, ENTRY_COOKIE), "")
    token = given if len(given) == 43 else secrets.token_urlsafe(32)
    visit.cookies.append(cookie(visit.cx, ENTRY_COOKIE, token, ENTRY_S))
    return token


def _check_entry(visit: Visit) -> None:
    given = visit.request.cookies.get(cookie_name(visit.cx, ENTRY_COOKIE), "")
    if not given or not hmac.compare_digest(given.encode(), visit.form.raw("entry").encode()):
        raise HTTPException(status_code=403)


def _enter(visit: Visit, session: NewSession, address: str) -> Answer:
    # A fresh token for every sign-in: nothing that was in the browser before becomes a session.
    visit.cookies.append(cookie(visit.cx, SESSION_COOKIE, session.token, access.LONGEST_MS // 1000))
    visit.cookies.append(cookie(visit.cx, ENTRY_COOKIE, "", 0))
    return visit.to(address)


@page("/static/{name:str}", scope="open")
async def static(visit: Visit) -> Answer:
    """Stylesheet, script, htmx."""
    return pages.asset_answer(visit.param("name"))


@page("", scope="person")
async def first_page(visit: Visit) -> Answer:
    """On to a store's home."""
    if visit.me.stores:
        return visit.to(f"/console/{visit.me.stores[0].imp_code}")
    return await visit.page("no_store.html")


@page("/go", scope="person")
async def go(visit: Visit) -> Answer:
    """The store chooser's form."""
    code = visit.query.text("code", 40)
    known = any(s.imp_code == code for s in visit.me.stores)
    return visit.to(f"/console/{code}" if known else "/console")


@page("/login", scope="open")
async def login_form(visit: Visit) -> Answer:
    """The sign-in form."""
    if visit.who is not None:
        return visit.to(own_path(visit.query.text("next", 500)))
    nobody = not await visit.cx.db.read(people.count_users)
    return await visit.page(
        "login.html", entry=_entry(visit), next=own_path(visit.query.text("next", 500)), email="", nobody=nobody
    )


@action("/login", scope="open")
async def login(visit: Visit) -> Answer:
    """Sign in."""
    _check_entry(visit)
    target = own_path(visit.form.text("next", 500))
    email = visit.form.text("email")
    try:
        agent = visit.request.headers.get("user-agent", "")
        session = await access.sign_in(visit.cx, email, visit.form.raw("password"), visit.remote, agent)
    except SignInError as problem:
        text = visit.t(problem.key, **problem.facts)
        return await visit.page(
            "login.html", 429 if problem.key == "sign_in.blocked" else 422, entry=_entry(visit), next=target,
            email=email, nobody=False, flashes=[{"kind": "bad", "text": text}],
        )  # fmt: skip
    return _enter(visit, session, target)


@action("/logout", scope="person")
async def logout(visit: Visit) -> Answer:
    """Sign out."""
    await access.sign_out(visit.cx, visit.me, visit.remote)
    visit.cookies.append(cookie(visit.cx, SESSION_COOKIE, "", 0))
    return visit.to("/console/login")


@action("/language", scope="open")
async def language(visit: Visit) -> Answer:
    """Korean or English; a preference, readable by nobody but us."""
    chosen = visit.form.text("language", 5)
    if chosen in words.LANGUAGES:
        preference = Cookie(key=LANGUAGE_COOKIE, value=chosen, path="/console", max_age=31_536_000, samesite="lax")
        visit.cookies.append(preference)
    return visit.to(own_path(visit.form.text("back", 500)))


async def _join_page(visit: Visit, token: str, problem: str | None = None, email: str = "", name: str = "") -> Answer:
    invite = await access.invited(visit.cx, token) if token else None
    store_name = ""
    if invite is not None and invite.store_id is not None:
        store = await visit.cx.db.read(stores.store, invite.store_id)
        store_name = store.name if store else ""
    reset = invite is not None and invite.user_id is not None
    if invite is not None and invite.user_id is not None:
        user = await visit.cx.db.read(people.user, invite.user_id)
        email = user.email if user else ""
    flashes = [{"kind": "bad", "text": problem}] if problem else []
    status = 404 if invite is None else 422 if problem else 200
    return await visit.page(
        "join.html", status, invite=invite, reset=reset, token=token, entry=_entry(visit), store_name=store_name,
        email=email, name=name, flashes=flashes,
    )  # fmt: skip


@page("/join", scope="open")
async def join_form(visit: Visit) -> Answer:
    """Behind a one-time address."""
    return await _join_page(visit, visit.query.text("token", 100))


@action("/join", scope="open")
async def join(visit: Visit) -> Answer:
    """Make the account, or set its new password."""
    _check_entry(visit)
    token, email, name = visit.form.text("token", 100), visit.form.text("email"), visit.form.text("name", 100)
    try:
        session = await access.join(
            visit.cx, token, email_text=email, name=name, password=visit.form.raw("password"), remote=visit.remote,
            agent=visit.request.headers.get("user-agent", ""),
        )  # fmt: skip
    except SignInError as problem:
        return await _join_page(visit, token, visit.t(problem.key, **problem.facts), email, name)
    return _enter(visit, session, "/console")


@page("/account", scope="person")
async def account(visit: Visit) -> Answer:
    """One's own account."""
    sessions = await visit.cx.db.read(people.sessions_of, visit.me.user_id)
    return await visit.page("account.html", sessions=sessions)


@action("/account/password", scope="person")
async def password(visit: Visit) -> Answer:
    """A new password."""
    visit.back = "/console/account"
    await access.change_password(visit.cx, visit.me, visit.form.raw("old"), visit.form.raw("new"), visit.remote)
    return await visit.go("/console/account", "account.changed")


@action("/account/sessions", scope="person")
async def end_others(visit: Visit) -> Answer:
    """End all other sessions."""
    await visit.cx.db.write(people.end_sessions, visit.me.user_id, visit.me.token_sha256)
    return await visit.go("/console/account", "account.ended")
