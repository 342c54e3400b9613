"""Who visits, which store, what role: every route of the console is declared through `page` or `action`.

`page` is a GET that changes nothing. `action` is a POST: it checks the form token and where the form came
from before its handler runs, so that no handler can forget to.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, cast
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie, State
from litestar.exceptions import HTTPException

from naru import logs
from naru.console import pages, words
from naru.domain.channel import Store
from naru.domain.refusal import Refused
from naru.service import console_access as access
from naru.service.console_access import Role, SignInError
from naru.service.context import Context
from naru.store import people
from naru.store.people import Actor, Membership, SignedIn

log = logs.logger("console")
ConsoleRequest: TypeAlias = Request[Any, Any, State]
Answer: TypeAlias = Response[Any]

SESSION_COOKIE: Final = "naru_session"
ENTRY_COOKIE: Final = "naru_entry"
LANGUAGE_COOKIE: Final = "naru_lang"
MOST_FIELDS: Final = 400
Scope = Literal["open", "person", "admin", "store"]


class Form:
    """The fields of a query or a body."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs

    def text(self, name: str, most: int = 300) -> str:
        """A field without surrounding space, cut to *most* characters; empty when it is absent."""
        value = next((v for k, v in self.pairs if k == name), "")
        return value.replace("\0", "").strip()[:most]  # no database takes a NUL inside a text

    def raw(self, name: str) -> str:
        """A field exactly as sent (passwords)."""
        return next((v for k, v in self.pairs if k == name), "")

    def every(self, name: str) -> list[str]:
        """All values of a field."""
        return [v for k, v in self.pairs if k == name]

    def flag(self, name: str) -> bool:
        """Whether a box is ticked."""
        return self.text(name) in ("1", "on", "true")

    def integer(self, name: str) -> int | None:
        """Digits, with or without separators; None for anything else."""
        text = self.text(name, 30).replace(",", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None


class Leave(Exception):
    """Answer with this instead."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("leave")
        self.answer = answer


@dataclass(slots=True)
class Visit:
    """One request to the console by somebody."""

    request: ConsoleRequest
    cx: Context
    language: str
    t: words.Translate
    who: SignedIn | None = None
    member: Membership | None = None
    store: Store | None = None
    form: Form = field(default_factory=lambda: Form([]))
    back: str = "/console"
    """Where a refused action leads, with the reason."""
    cookies: list[Cookie] = field(default_factory=list[Cookie])

    @property
    def query(self) -> Form:
        """The address's query."""
        raw = self.request.scope["query_string"].decode("latin-1")
        return Form(parse_qsl(raw, keep_blank_values=True, max_num_fields=MOST_FIELDS))

    @property
    def me(self) -> SignedIn:
        """Who is signed in."""
        assert self.who is not None
        return self.who

    @property
    def here(self) -> Store:
        """The store visited."""
        assert self.store is not None
        return self.store

    @property
    def role(self) -> Role:
        """The visitor's role here."""
        assert self.member is not None
        return access.role_of(self.member.role)

    @property
    def base(self) -> str:
        """The store's address in the console."""
        return f"/console/{self.here.imp_code}"

    @property
    def remote(self) -> str:
        """The visitor's address."""
        return remote_of(self.request)

    @property
    def actor(self) -> Actor:
        """The visitor for the audit log."""
        return Actor(self.me.user_id, self.me.email, self.remote)

    @property
    def is_part(self) -> bool:
        """Whether htmx asks for a part of a page."""
        return self.request.headers.get("hx-request") == "true"

    def param(self, name: str) -> str:
        """A segment of the path."""
        return str(self.request.path_params[name])

    def number(self, name: str) -> int:
        """A segment of the path that is a number. Raises 404 otherwise."""
        text = self.param(name)
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise HTTPException(status_code=404)
        return int(text)

    def may(self, role: str) -> bool:
        """Whether the visitor has at least this role here."""
        return self.member is not None and self.role >= access.role_of(role)

    def has(self, values: dict[str, Any]) -> dict[str, Any]:
        """What every template may use beside its own values."""
        csrf = access.csrf_of(self.cx.vault, self.who.token_sha256) if self.who else ""
        return {
            "t": self.t, "lang": self.language, "who": self.who, "store": self.store, "member": self.member,
            "base": self.base if self.store else "/console", "may": self.may, "csrf": csrf, "visit": self,
            "development": self.cx.development, "now": self.cx.clock(), "word": self.word, "more_nav": MORE_NAV,
            "flashes": [], "path": self.request.scope["path"], **values,
        }  # fmt: skip

    def word(self, section: str, name: str) -> str:
        """The words of one of several names, or the name itself where the catalogue has none."""
        key = f"{section}.{name}"
        return self.t(key) if words.known(key) else name

    def part(self, template: str, status: int = 200, **values: Any) -> Answer:
        """A part of a page."""
        return pages.html(pages.render(template, **self.has(values)), status)

    async def page(self, template: str, status: int = 200, **values: Any) -> Answer:
        """A whole page, with what the last action had to say."""
        flashes: list[Any] = values.pop("flashes", [])
        if self.who is not None and self.who.flash:
            flashes = [*json.loads(self.who.flash), *flashes]
            await self.cx.db.write(people.set_flash, self.who.token_sha256, None)
        answer = pages.html(pages.render(template, **self.has({"flashes": flashes, **values})), status)
        answer.cookies.extend(self.cookies)
        return answer

    async def go(self, address: str, key: str | None = None, kind: str = "good", **facts: object) -> Answer:
        """On to another page, which says *key* first."""
        if key is not None:
            await self.say(self.t(key, **facts), kind)
        return self.to(address)

    async def say(self, text: str, kind: str = "good") -> None:
        """What the next page says once. *kind*: good, bad or plain."""
        if self.who is not None:
            flash = json.dumps([{"kind": kind, "text": text}], ensure_ascii=False)
            await self.cx.db.write(people.set_flash, self.who.token_sha256, flash)

    def to(self, address: str) -> Answer:
        """On to another page."""
        return go_to(address, self.cookies)


def go_to(address: str, cookies: list[Cookie] | None = None) -> Answer:
    """303 to an address of ours."""
    headers = {**pages.SECURITY_HEADERS, "Cache-Control": "no-store", "Location": address}
    return Response(b"", status_code=303, headers=headers, cookies=cookies or [])


def remote_of(request: ConsoleRequest) -> str:
    """The visitor's address (behind a trusted proxy: as the proxy says)."""
    return request.client.host if request.client else ""


def is_secure(cx: Context) -> bool:
    """Whether cookies are for HTTPS only."""
    return cx.public_url.startswith("https://")


def cookie_name(cx: Context, name: str) -> str:
    """``__Host-`` binds a cookie to this host and to HTTPS where there is HTTPS."""
    return f"__Host-{name}" if is_secure(cx) else name


def cookie(cx: Context, name: str, value: str, lasts_s: int | None = None) -> Cookie:
    """A cookie that no script reads and no other site sends."""
    return Cookie(
        key=cookie_name(cx, name), value=value, path="/", httponly=True, secure=is_secure(cx), samesite="lax",
        max_age=lasts_s,
    )  # fmt: skip


def _context(request: ConsoleRequest) -> Context:
    return cast("Context", request.app.state["cx"])


def _language(request: ConsoleRequest) -> str:
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    return chosen if chosen in words.LANGUAGES else words.LANGUAGES[0]


def open_visit(request: ConsoleRequest) -> Visit:
    """A visit of nobody yet."""
    language = _language(request)
    return Visit(request, _context(request), language, words.translator(language))


async def _enter(request: ConsoleRequest, scope: Scope, need: Role) -> Visit:
    visit = open_visit(request)
    visit.who = await access.session(visit.cx, request.cookies.get(cookie_name(visit.cx, SESSION_COOKIE)))
    if scope == "open":
        return visit
    if visit.who is None:
        raise Leave(_sign_in_first(visit))
    if scope == "admin" and not visit.who.admin:
        raise HTTPException(status_code=404)
    if scope == "store":
        code = visit.param("code")
        visit.member = next((m for m in visit.who.stores if m.imp_code == code), None)
        if visit.member is None:
            # Another's store looks like none at all.
            raise HTTPException(status_code=404)
        visit.store = await visit.cx.store(visit.member.store_id)
        visit.back = visit.base
        if visit.role < need:
            raise HTTPException(status_code=403)
    return visit


def _sign_in_first(visit: Visit) -> Answer:
    path = visit.request.scope["path"]
    query = visit.request.scope["query_string"].decode("latin-1")
    target = path + (f"?{query}" if query else "") if visit.request.method == "GET" else "/console"
    address = f"/console/login?next={quote(target, safe='')}"
    if visit.is_part:
        return Response(b"", status_code=204, headers={**pages.SECURITY_HEADERS, "HX-Redirect": address})
    return go_to(address)


def own_path(target: str) -> str:
    """*target* if it is an address within the console, else the console's first page."""
    plain = target.startswith("/console") and not any(c in target for c in "\\\r\n\t") and "//" not in target
    return target if plain and not urlsplit(target).netloc else "/console"


def check_origin(visit: Visit) -> None:
    """A form that another site's page sends is not ours. Raises 403."""
    headers = visit.request.headers
    site = headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        raise HTTPException(status_code=403)
    origin = headers.get("origin")
    if origin is not None and origin != "null":
        host = urlsplit(origin).netloc
        if host not in (headers.get("host", ""), urlsplit(visit.cx.public_url).netloc):
            raise HTTPException(status_code=403)


async def _read_form(visit: Visit) -> None:
    body = await visit.request.body()
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise HTTPException(status_code=400) from None
    visit.form = Form(pairs)


Handler = Callable[[Visit], Awaitable[Answer]]
ROUTES: list[Any] = []
"""Every route of the console, as declared."""
MORE_NAV: list[dict[str, str]] = []
"""Further sections of a store's menu: path and key of the catalogue."""


def page(path: str, *, need: Role = Role.READER, scope: Scope = "store") -> Callable[[Handler], Handler]:
    """Declare a GET under ``/console`` (scope "store": under ``/console/{code}``)."""

    def declare(handler: Handler) -> Handler:
        async def answer(request: ConsoleRequest) -> Response[Any]:
            try:
                return await handler(await _enter(request, scope, need))
            except Leave as leave:
                return leave.answer

        answer.__name__ = handler.__name__
        ROUTES.append(get(_path(path, scope), opt={"scope": scope, "need": need.word}, status_code=200)(answer))
        return handler

    return declare


def action(path: str, *, need: Role = Role.OPERATOR, scope: Scope = "store") -> Callable[[Handler], Handler]:
    """Declare a POST under ``/console``. Its form is ours and this session's, or it is refused.

    A refusal of the rules is said on the page that `Visit.back` names.
    """

    def declare(handler: Handler) -> Handler:
        async def answer(request: ConsoleRequest) -> Response[Any]:
            try:
                visit = await _enter(request, scope, need)
                check_origin(visit)
                await _read_form(visit)
                if scope != "open":
                    _check_token(visit)
                try:
                    return await handler(visit)
                except Refused as refusal:
                    text = request.app.state["refusal_words"](refusal)
                    await visit.say(text, "bad")
                except SignInError as problem:
                    await visit.say(visit.t(problem.key, **problem.facts), "bad")
                return visit.to(visit.back)
            except Leave as leave:
                return leave.answer

        answer.__name__ = handler.__name__
        ROUTES.append(post(_path(path, scope), opt={"scope": scope, "need": need.word}, status_code=200)(answer))
        return handler

    return declare


def _check_token(visit: Visit) -> None:
    given = visit.form.raw("_csrf") or visit.request.headers.get("x-csrf-token", "")
    if not access.csrf_fits(visit.cx.vault, visit.me.token_sha256, given):
        log.warning("console.form_refused", path=visit.request.scope["path"], remote=visit.remote)
        raise HTTPException(status_code=403)


def _path(path: str, scope: Scope) -> str:
    return "/console" + ("/{code:str}" if scope == "store" else "") + path


def with_query(path: str, **values: Any) -> str:
    """An address with a query of the values that are given."""
    given = {k: v for k, v in values.items() if v not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path
