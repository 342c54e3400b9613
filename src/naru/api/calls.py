"""The request log: what a test store's developer asked, and what we said.

A wrapper around the application sees every call with its answer and makes a harmless note of it: names
are kept, values only of parameters on a list, never of a header. Notes wait in memory and are written
in batches; where there are too many, they are dropped. Nothing here delays an answer or changes one.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import re
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, cast
from urllib.parse import unquote

import msgspec
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from naru import logs
from naru.api import openapi
from naru.api.guard import SEEN_BODY, SEEN_PARAMS, SEEN_STORE
from naru.domain.values import MINUTE
from naru.service import access, calls
from naru.service.calls import Call
from naru.service.context import Context

log = logs.logger("calls")

MOST_WAITING: Final = 500
"""Notes that wait to be written; of a burst beyond that nothing is kept."""
FLUSH_S: Final = 0.5
ROOM_PER_FLUSH: Final = 50
"""After a burst so many more are kept with every flush: a hundred a second are more than a person reads, and
cost a server under load a hundredth of its time."""
TIDY_EVERY: Final = 400
LONGEST_BODY: Final = 64 * 1024
LONGEST_VALUE: Final = 200
LONGEST_KEY: Final = 40
MOST_NAMES: Final = 60

SHOWN: Final = frozenset(
    {
        "action", "amount", "app_scheme", "bank_code", "bank_standard_code", "card.direct.code", "card.direct.quota",
        "card_quota", "card_standard_code", "cash_receipt_type", "channelKey", "channel_key", "checking_amount",
        "checksum", "confirm_url", "currency", "customer_uid", "digital", "display.card_quota", "enable_webhook",
        "escrow", "fixed_unlimited_vbank", "from", "identifier_type", "imp_key", "imp_uid", "include_sandbox",
        "language", "limit", "m_redirect_url", "merchant_uid", "name", "notice_url", "page", "pay_method",
        "payment_status", "pg", "pg_tid", "popup", "product_type", "schedule-status", "schedule_at", "schedule_from",
        "schedule_status", "schedule_to", "schedules.amount", "schedules.merchant_uid", "schedules.schedule_at",
        "schedules.notice_url", "schedules.tax_free", "sorting", "status", "tax_free", "to", "type", "vat",
        "vat_amount", "vbank_code", "vbank_due",
    }
)  # fmt: skip
"""Parameters whose values are shown. Of every other it is said that it was given: who buys is nobody's
business here, and what is not on this list may be a secret."""

IN_THE_WINDOW: Final = frozenset(
    {
        "amount", "app_scheme", "buyer_addr", "buyer_email", "buyer_name", "buyer_postcode", "buyer_tel", "card",
        "card_quota", "channelKey", "channel_key", "company", "company_en", "confirm_url", "currency", "custom_data",
        "customer_uid", "display", "m_redirect_url", "merchant_uid", "name", "notice_url", "pay_method", "pg",
        "tax_free", "vat_amount", "vbank_due",
    }
)  # fmt: skip
"""What `IMP.request_pay` takes and Naru uses."""
_NO_FIELD: Final = {"ko": "헥토파이낸셜 결제창에 해당 항목이 없습니다", "en": "Hecto's window has no such field"}
_KOREAN_ONLY: Final = {"ko": "헥토파이낸셜 결제창은 한국어만 있습니다", "en": "Hecto's window speaks Korean only"}
_OTHERS: Final = {"ko": "다른 결제대행사의 항목입니다", "en": "for other payment companies"}
IGNORED_IN_THE_WINDOW: Final[Mapping[str, Mapping[str, str]]] = {
    "digital": _NO_FIELD,
    "escrow": {
        "ko": "결제창 에스크로는 지원하지 않습니다. POST /vbanks의 escrow_password를 쓰세요",
        "en": "no escrow in the window; use POST /vbanks with escrow_password",
    },
    "escrowProducts": _NO_FIELD,
    "bypass": {"ko": "결제대행사에 그대로 넘기는 값은 없습니다", "en": "nothing is passed through to the PG"},
    "language": _KOREAN_ONLY,
    "locale": _KOREAN_ONLY,
    "popup": {"ko": "PC에서는 늘 팝업입니다", "en": "on a PC it is always a popup"},
    "period": _OTHERS, "biz_num": _OTHERS, "products": _OTHERS, "naverProducts": _OTHERS, "kakaoProducts": _OTHERS,
    "useFreeInterestFromMall": _OTHERS, "storeId": _OTHERS, "customer_id": _OTHERS, "niceMobileV2": _OTHERS,
}  # fmt: skip
"""What `IMP.request_pay` takes and Naru does not use, and why."""

_WINDOW = "IMP.request_pay"
_PAGES: Final = frozenset({"/users/pg/{imp_code}", "/payments/success", "/payments/fail"})
"""What browsers ask for by themselves."""
_VARIABLE = re.compile(r"\{[^}]*\}")
_NAME = re.compile(r"[A-Za-z_][\w.\-\[\]]{0,59}\Z", re.ASCII)
_DIGITS = re.compile(r"\d{6}")
_INDEX = re.compile(r"\[\d*\]|\.\d+(?=\.|\Z)")
_OWN = re.compile(r"/(?:console|sdk|settle_payments|slips|docs|openapi|health|demo|playground|v1|js|_dev|favicon)")
_ADDRESS = re.compile(r"(?i)(https?://)(?:[^/?#@\s]*@)?([^?#\s]*)\S*\Z")
_KEY_TOLD = "naru.told"
OFF_FOR_MS: Final = MINUTE
"""How long a live store is believed to be one without asking again."""


class _Told(msgspec.Struct):
    """The envelope of an answer."""

    code: int | None = None
    message: str | None = None
    response: msgspec.Raw = msgspec.Raw(b"null")


class _Subject(msgspec.Struct):
    """What an answer is about."""

    imp_uid: str | None = None
    merchant_uid: str | None = None


_encode = msgspec.json.Encoder().encode
_read_told = msgspec.json.Decoder(_Told).decode
_read_subject = msgspec.json.Decoder(_Subject).decode
_read_any = msgspec.json.Decoder(msgspec.Raw).decode


def told_page(
    scope: Any, imp_code: str, values: Mapping[str, Any], code: int, message: str | None, imp_uid: str | None
) -> None:
    """What a page of the SDK asked and was told: neither can be read from its body."""
    scope[SEEN_PARAMS] = values
    scope[_KEY_TOLD] = (imp_code, code, message, imp_uid)


# redaction


def harmless(text: str, most: int = LONGEST_VALUE) -> str:
    """*text*, cut; nothing of it where a card number may be inside."""
    if len(text) >= logs.SHORTEST_CARD and (logs.card_like(text) or ("%" in text and logs.card_like(unquote(text)))):
        return "***"
    return text[:most]


def _plain(text: str) -> str:
    """An address without what may be a password in it: what stands before an @, and the query."""
    return _ADDRESS.sub(r"\1\2", text) if "://" in text else text


def _name(text: str) -> str:
    """A parameter's name. What is no name may be anything, a card number too."""
    if text in SHOWN or (_NAME.match(text) and not _DIGITS.search(text)):
        return text
    return "(?)"


def _value(name: str, value: Any) -> str | None:
    if name not in SHOWN and ("[" not in name or _INDEX.sub("", name) not in SHOWN):
        return None
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return harmless(str(value))
        case str() if name == "imp_key" and len(value) > LONGEST_KEY:
            return None  # by its length a secret that was put into the wrong field
        case str():
            return harmless(_plain(value))
        case list() if all(isinstance(v, str | int) for v in cast("list[Any]", value)):
            return harmless(", ".join(_plain(str(v)) for v in cast("list[Any]", value)))
        case _:
            return None


def _flat(values: Mapping[str, Any], prefix: str = "", depth: int = 0) -> list[tuple[str, Any]]:
    """Nested parameters under dotted names, two levels deep."""
    found: list[tuple[str, Any]] = []
    for raw, value in values.items():
        name = prefix + _name(str(raw))
        inner: list[Any] = cast("list[Any]", value) if isinstance(value, list) else []
        if depth < 2 and isinstance(value, dict):
            found += _flat(cast("dict[str, Any]", value), f"{name}.", depth + 1) or [(name, None)]
        elif depth < 2 and any(isinstance(v, dict) for v in inner):
            for n, item in enumerate(inner[:10]):
                if isinstance(item, dict):
                    found += _flat(cast("dict[str, Any]", item), f"{name}[{n}].", depth + 1)
        else:
            found.append((name, cast("Any", value)))
        if len(found) > MOST_NAMES:
            return found[:MOST_NAMES]
    return found


def _shape(path: str) -> str:
    """A path without the names of its variables: the document and the routes have their own."""
    return _VARIABLE.sub("{}", path).rstrip("/")


@cache
def _operations() -> dict[tuple[str, str], dict[str, Any]]:
    return {(o["method"].upper(), _shape(o["path"])): o for o in openapi.table()["operations"]}


@cache
def _operation(method: str, template: str) -> str | None:
    """The path as the document writes it; a route's own where the document has none."""
    found = _operations().get((method, _shape(template)))
    return template if found is None else str(found["path"])


@cache
def _known(method: str, path: str) -> tuple[frozenset[str], dict[str, Mapping[str, str]]] | None:
    """The names that an operation uses, and those that it ignores with the reason; None for one without a document."""
    if path == _WINDOW:
        return IN_THE_WINDOW, dict(IGNORED_IN_THE_WINDOW)
    found = _operations().get((method, _shape(path)))
    if found is None:
        return None
    params = found["params"]
    ignored = {p["name"].partition("[")[0]: p["ignored"] for p in params if "ignored" in p}
    used = frozenset(p["name"].partition("[")[0] for p in params if "ignored" not in p)
    return used | {"_token"}, {n: why for n, why in ignored.items() if n not in used}


def _params(method: str, operation: str | None, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    known = _known(method, operation) if operation else None
    used, ignored = known or (frozenset[str](), dict[str, Mapping[str, str]]())
    made: list[dict[str, Any]] = []
    for name, value in _flat(values):
        top = name.partition(".")[0].partition("[")[0]
        note: dict[str, Any] = {"name": name}
        shown = _value(name, value)
        if shown is not None:
            note["value"] = shown
        elif value in (None, ""):
            note["empty"] = True
        if known is None or top in used:
            pass
        elif top in ignored:
            note["ignored"] = ignored[top]
        else:
            note["unknown"] = (difflib.get_close_matches(top, sorted(used), n=1, cutoff=0.7) or [""])[0]
        made.append(note)
    return made


def _body_kind(body: bytes | None) -> str:
    """How a body was read: ``none``, ``json``, ``form``, or ``broken`` JSON that was read as a form."""
    if body is None or not body.strip():
        return "none"
    if body.lstrip()[:1] not in b'{["':
        return "form"
    try:
        _read_any(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "broken"
    return "json" if body.lstrip()[:1] == b"{" else "broken"


def _token_kind(headers: Mapping[bytes, bytes], query: bytes) -> str:
    if b"authorization" in headers:
        return "Authorization"
    if b"x-imptokenheader" in headers:
        return "X-ImpTokenHeader"
    return "_token" if b"_token=" in query else ""


def _token(headers: Mapping[bytes, bytes]) -> str:
    raw = headers.get(b"authorization") or headers.get(b"x-imptokenheader") or b""
    return raw.decode("latin-1").strip().rpartition(" ")[2]


class CallLog:
    """ASGI wrapper that notes what is asked and answered, and writes the notes down now and then."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.cx: Context | None = None
        self.waiting: list[Call] = []
        self.room = MOST_WAITING
        self.dropped = 0
        self.off: set[int] = set()
        """Stores known to have a live channel: their calls are not even noted."""
        self._off_until = 0
        self._touched: set[int] = set()
        self._since_tidy = TIDY_EVERY  # the first batch tidies up what an earlier process left
        self._flushing = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on as it is."""
        if scope["type"] != "http" or self.cx is None:
            await self.app(scope, receive, send)
            return
        if self.room <= 0:  # a burst: do not even listen
            await self.app(scope, receive, send)
            self.note(scope, 0, b"", 0)
            return
        status, parts = 0, list[bytes]()

        async def listening(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))
            await send(message)

        started = time.perf_counter()
        try:
            await self.app(scope, receive, listening)
        finally:
            self.note(scope, status, b"".join(parts), time.perf_counter() - started)

    def note(self, scope: Scope, status: int, body: bytes, seconds: float) -> None:
        """Note one call and its answer; of a burst only that it was."""
        if self.cx is None or scope.get(SEEN_STORE) in self.off:
            return
        if self.room <= 0:
            self.dropped += not _OWN.match(scope["path"])
            return
        try:
            self._note(scope, status, body, round(seconds * 1_000_000))
        except Exception as error:  # noqa: BLE001 - a note that cannot be made must not cost the caller anything
            log.warning("call.not_noted", error=type(error).__name__)

    def _note(self, scope: Any, status: int, body: bytes, took_us: int) -> None:
        assert self.cx is not None
        method, path = scope["method"], scope["path"]
        template = scope.get("path_template") or ""
        told_page_ = scope.get(_KEY_TOLD)
        if told_page_ is None and (_OWN.match(path) or path == "/"):
            return
        self.room -= 1
        headers = dict(scope["headers"])
        facts: dict[str, Any] = {}
        imp_uid = merchant_uid = message = None
        code: int | None = None
        imp_code = imp_key = None
        values: Mapping[str, Any] = scope.get(SEEN_PARAMS) or {}
        if told_page_ is not None:
            operation: str | None = _WINDOW
            imp_code, code, message, imp_uid = told_page_
        else:
            if template in _PAGES:
                return
            operation = _operation(method, template) if template and status != 405 else None
            facts["body"] = _body_kind(scope.get(SEEN_BODY))
            facts["token"] = _token_kind(headers, scope["query_string"])
            if operation is None and not template and not facts["token"] and method == "GET":
                return  # a browser that looks for pictures
            if b"idempotency-key" in headers:
                facts["idempotency_key"] = True
            if len(body) <= LONGEST_BODY:
                with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                    told = _read_told(body)
                    code, message = told.code, told.message
                    if bytes(told.response)[:1] == b"{":
                        subject = _read_subject(told.response)
                        imp_uid, merchant_uid = subject.imp_uid, subject.merchant_uid
            elif body.startswith(b'{"code":0,'):
                code = 0
            imp_key = values.get("imp_key") if template == "/users/getToken" else None
        given: dict[str, Any] = {**(scope.get("path_params") or {}), **values}
        uids = [v if isinstance(v, str) else None for v in (given.get("imp_uid"), given.get("merchant_uid"))]
        self.waiting.append(
            Call(
                at=self.cx.clock(), method=method, path=harmless(unquote(path), 300), operation=operation,
                status=status, code=code, message=None if message is None else harmless(message, 500),
                took_us=took_us, imp_uid=_uid(imp_uid or uids[0], 32), merchant_uid=_uid(merchant_uid or uids[1], 80),
                params=_encode(_params(method, operation, values)).decode(), facts=facts,
                store_id=scope.get(SEEN_STORE), imp_code=imp_code,
                imp_key=imp_key if isinstance(imp_key, str) else None,
                key_id=access.key_id_of(self.cx.vault, _token(headers)) if status == 401 else None,
            )
        )  # fmt: skip

    async def flush(self) -> None:
        """Write down what waits. What cannot be written is lost, which is told to the log and to nobody else."""
        if self.cx is None:
            return
        async with self._flushing:
            waiting, self.waiting = self.waiting, []
            if self.dropped:
                log.info("calls.dropped", count=self.dropped)
                self.dropped = 0
            if not waiting:
                return
            try:
                now = self.cx.clock()
                if not 0 <= self._off_until - now <= OFF_FOR_MS:
                    self.off, self._off_until = set(), now + OFF_FOR_MS
                self.off |= await calls.keep(self.cx, waiting)
                self._touched |= {c.store_id for c in waiting if c.store_id is not None} | {calls.NOBODY}
                self._since_tidy += len(waiting)
                if self._since_tidy >= TIDY_EVERY:
                    touched, self._touched, self._since_tidy = self._touched, set(), 0
                    await calls.tidy(self.cx, touched)
            except Exception as error:  # noqa: BLE001 - losing a note is fine
                log.warning("calls.not_written", error=type(error).__name__, count=len(waiting))

    async def run(self) -> None:
        """Write notes down now and then, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_S)
            self.room = min(MOST_WAITING, self.room + ROOM_PER_FLUSH)
            if self.waiting:
                await self.flush()


def _uid(text: str | None, most: int) -> str | None:
    return None if not text else harmless(unquote(text), most)
