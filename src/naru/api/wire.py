"""PortOne V1 on the wire: bodies and queries in, payment objects out.

Bodies are read by content, not by header: JSON if it parses as JSON, else a form (PortOne V1).
PHP-style names (``imp_uid[]=``, ``schedules[0][merchant_uid]=``) become lists and objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

import msgspec

from naru.domain.refusal import Refused, Why
from naru.domain.values import MAX_WON, Instant, from_unix, unix
from naru.service.context import Context
from naru.store.vault import Vault
from naru.store.views import Page, PaymentView

MAX_FIELDS = 1000
_INTEGER = re.compile(r"-?\d{1,15}(\.0+)?\Z")
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)\Z")
_STEP = re.compile(r"\[([^\[\]]*)\]")


def segment(value: str) -> str:
    """A path segment as the caller meant it: routes see it still percent-encoded, so that %2F may be in it."""
    return unquote(value).replace(NUL, "")


NUL = "\x00"
"""Nobody means this character, and PostgreSQL keeps no text that has it: it is left out wherever it comes in."""


def clean(value: Any) -> Any:
    """A decoded JSON value without NUL in any of its texts."""
    match value:
        case str():
            return value.replace(NUL, "")
        case dict():
            return {clean(k): clean(v) for k, v in cast("dict[Any, Any]", value).items()}
        case list():
            return [clean(v) for v in cast("list[Any]", value)]
        case _:
            return value


def _nest(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for raw_name, value in pairs[:MAX_FIELDS]:
        m = _NAME.match(raw_name.strip())
        if m is None:
            continue
        steps = [m.group(1), *_STEP.findall(m.group(2))]
        here: dict[str, Any] = out
        for i, step in enumerate(steps):
            key = step if step or i == 0 else str(len(here))
            if i == len(steps) - 1:
                here[key] = value
            else:
                inner = here.get(key)
                if not isinstance(inner, dict):
                    inner = {}
                    here[key] = inner
                here = cast("dict[str, Any]", inner)
    return {k: _listed(v) for k, v in out.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = cast("dict[str, Any]", value)
    if items and all(k.isdigit() for k in items):
        return [_listed(items[k]) for k in sorted(items, key=int)]
    return {k: _listed(v) for k, v in items.items()}


def parse_form(text: str) -> dict[str, Any]:
    """A form or query string, PHP-style names resolved."""
    if not text:
        return {}
    text = text.replace("%00", "").replace(NUL, "")
    return _nest(parse_qsl(text, keep_blank_values=True, encoding="utf-8", errors="replace", max_num_fields=None))


def parse_body(raw: bytes) -> dict[str, Any]:
    """A request body as an object: JSON if it parses as JSON, else a form. Anything else is no fields."""
    stripped = raw.strip()
    if not stripped:
        return {}
    if stripped[:1] in b'{["' or stripped[:1].isdigit():
        try:
            decoded = msgspec.json.decode(stripped)
            if b"u0000" in stripped:
                decoded = clean(decoded)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            decoded = None
        if isinstance(decoded, dict):
            return cast("dict[str, Any]", decoded)
    return parse_form(stripped.decode("utf-8", "replace"))


class Params:
    """A request's parameters with V1's leniency: ``null`` and ``""`` are "not given", ``"1000"`` is a number.

    Every reader raises Refused (PARAMETER) naming the parameter.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def has(self, name: str) -> bool:
        """Whether a parameter is given."""
        return self.values.get(name) not in (None, "")

    def text(self, name: str, most: int | None = None, *, cut: bool = False) -> str | None:
        """A text; longer than *most* characters it is refused, or cut where it is only shown."""
        value = self.values.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, bool | list | dict):
            raise Refused(Why.PARAMETER, name=name, problem="문자열이어야 합니다")
        value = str(value)
        if "\x00" in value:
            raise Refused(Why.PARAMETER, name=name, problem="사용할 수 없는 문자가 있습니다")
        value = value.encode("utf-8", "replace").decode()
        if most is not None and len(value) > most:
            if not cut:
                raise Refused(Why.PARAMETER, name=name, problem=f"{most}자 이하여야 합니다")
            value = value[:most]
        return value

    def need(self, name: str, most: int | None = None) -> str:
        """A text that must be there."""
        value = self.text(name, most)
        if value is None:
            raise Refused(Why.PARAMETER, name=name)
        return value

    def integer(self, name: str) -> int | None:
        """A whole number: ``1000``, ``"1000"``, ``1000.0``; never ``"1,000"``, ``"1e3"``, ``true``."""
        value = self.values.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_WON:
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**15:
            return value
        if isinstance(value, str) and value.isascii() and _INTEGER.match(value.strip()):
            return int(value.strip().partition(".")[0])
        raise Refused(Why.PARAMETER, name=name, problem="숫자여야 합니다")

    def amount(self, name: str) -> int | None:
        """An amount of KRW, 0 or more."""
        value = self.integer(name)
        if value is not None and not 0 <= value <= MAX_WON:
            raise Refused(Why.PARAMETER, name=name, problem="0 이상의 금액이어야 합니다")
        return value

    def need_amount(self, name: str) -> int:
        """An amount that must be there."""
        value = self.amount(name)
        if value is None:
            raise Refused(Why.PARAMETER, name=name)
        return value

    def boolean(self, name: str, default: bool = False) -> bool:
        """``true``/``false``, also as text, and ``1``/``0``."""
        value = self.values.get(name)
        match value.lower() if isinstance(value, str) else value:
            case None | "":
                return default
            case True | 1 | "true" | "1":
                return True
            case False | 0 | "false" | "0":
                return False
            case _:
                raise Refused(Why.PARAMETER, name=name, problem="true 또는 false여야 합니다")

    def texts(self, name: str) -> list[str]:
        """A list in any of its spellings: ``a[]=``, ``a[0]=``, ``a=``, ``a=1,2``, a JSON array."""
        value = self.values.get(name, self.values.get(f"{name}[]"))
        if value is None or value == "":
            return []
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(value, dict):
            value = list(cast("dict[str, Any]", value).values())
        if isinstance(value, list):
            return [str(v) for v in cast("list[Any]", value) if v not in (None, "")]
        return [str(value)]

    def when(self, name: str) -> Instant | None:
        """Unix seconds. Milliseconds by mistake are refused, not guessed."""
        value = self.integer(name)
        if value is None:
            return None
        if value > 10**11:
            raise Refused(Why.PARAMETER, name=name, problem="초 단위 UNIX timestamp여야 합니다 (밀리초가 아닙니다)")
        if value < 0:
            raise Refused(Why.PARAMETER, name=name, problem="UNIX timestamp여야 합니다")
        return from_unix(value)

    def objects(self, name: str) -> list[Params]:
        """A list of objects, ``name[0][field]=`` in forms."""
        value = self.values.get(name)
        if isinstance(value, str) and value.strip().startswith("["):
            value = parse_json(value)
        if isinstance(value, dict):
            value = [cast("Any", value)]
        if not isinstance(value, list):
            return []
        return [Params(cast("dict[str, Any]", v)) for v in cast("list[Any]", value) if isinstance(v, dict)]

    def custom_data(self) -> str | None:
        """``custom_data``: an object is kept as its JSON text."""
        value = self.values.get("custom_data")
        if value is None or value == "":
            return None
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def notice_urls(self, check: Callable[[str], None]) -> list[str] | None:
        """``notice_url``: one address or several, in any spelling."""
        value = self.values.get("notice_url", self.values.get("notice_url[]"))
        urls = [value] if isinstance(value, str) and value else [] if not value else self.texts("notice_url")
        if len(urls) > 10:
            raise Refused(Why.PARAMETER, name="notice_url", problem="10개까지 지정할 수 있습니다")
        for url in urls:
            if not re.match(r"https?://[^\s/]+", url) or len(url) > 500:
                raise Refused(Why.PARAMETER, name="notice_url", problem="http:// 또는 https:// 주소여야 합니다")
            check(url)
        return urls or None


def parse_json(text: str) -> Any:
    """JSON text, or None."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def payment_object(view: PaymentView, cx: Context | str) -> dict[str, Any]:
    """The V1 payment object: every key, always (PortOne V1)."""
    r = view.row
    slip = receipt_url(r, cx)
    history = [
        {
            "pg_tid": e.pg_tid or None,
            "amount": e.amount,
            "cancelled_at": unix(e.at),
            "reason": e.reason,
            "cancellation_id": e.id,
            "receipt_url": f"{slip}#{e.id}" if slip else None,
        }
        for e in (view.back if r.status != "failed" else [])
    ]
    deposits = [
        {"pg_tid": e.pg_tid, "amount": e.amount, "depositor_name": e.depositor, "deposited_at": unix(e.at)}
        for e in (view.came if r.account == "3" else [])
    ]
    return {
        "imp_uid": r.imp_uid,
        "merchant_uid": r.merchant_uid,
        "pay_method": r.pay_method,
        "channel": r.route,
        "pg_provider": "settle",
        "emb_pg_provider": r.emb_pg_provider,
        "pg_tid": r.pg_tid,
        "pg_id": r.pg_id,
        "sandbox": bool(r.sandbox),
        "escrow": bool(r.escrow),
        "apply_num": r.apply_num if r.pay_method == "card" else "",
        "bank_code": r.bank_code,
        "bank_name": r.bank_name,
        "card_code": r.card_code,
        "card_name": r.card_name,
        "card_issuer_code": None,
        "card_issuer_name": None,
        "card_publisher_code": None,
        "card_publisher_name": None,
        "card_quota": r.card_quota,
        "card_number": r.card_number,
        "card_type": r.card_type,
        "vbank_code": r.vbank_code,
        "vbank_name": r.vbank_name,
        "vbank_num": r.vbank_num,
        "vbank_holder": r.vbank_holder,
        "vbank_date": unix(r.vbank_due),
        "vbank_issued_at": unix(r.vbank_issued_at),
        "name": r.name,
        "amount": r.amount,
        "cancel_amount": r.cancel_amount,
        "currency": r.currency,
        "buyer_name": r.buyer_name,
        "buyer_email": r.buyer_email,
        "buyer_tel": r.buyer_tel,
        "buyer_addr": r.buyer_addr,
        "buyer_postcode": r.buyer_postcode,
        "custom_data": r.custom_data,
        "user_agent": r.user_agent,
        "status": r.status,
        "started_at": unix(r.started_at),
        "paid_at": unix(r.paid_at),
        "failed_at": unix(r.failed_at),
        "cancelled_at": unix(r.cancelled_at),
        "fail_reason": r.fail_reason,
        "cancel_reason": r.cancel_reason,
        "receipt_url": slip,
        "cancel_history": history,
        "cancel_receipt_urls": [h["receipt_url"] for h in history if h["receipt_url"]],
        "deposit_history": deposits,
        "cash_receipt_issued": bool(r.cash_receipt_issued),
        "customer_uid": r.customer_uid,
        "customer_uid_usage": r.customer_uid_usage,
        "promotion": None,
    }


@lru_cache(maxsize=4096)  # a payment is looked at several times within a short while
def slip_sign(vault: Vault, imp_uid: str) -> str:
    """What makes a slip's address impossible to guess from the payment's number."""
    return vault.mac(b"slip" + imp_uid.encode())[:12].hex()


def receipt_url(row: Any, cx: Context | str) -> str | None:
    """The sales slip's address, once something was paid. A caller with no more than an address has none to give."""
    if row.paid_at is None or isinstance(cx, str):
        return None
    return f"{cx.public_url}/slips/{row.imp_uid}/{slip_sign(cx.vault, row.imp_uid)}"


def page_object(page: Page, cx: Context | str) -> dict[str, Any]:
    """V1's list envelope: ``previous`` and ``next`` are page numbers, 0 for none."""
    more = page.number * page.limit < page.total
    return {
        "total": page.total,
        "previous": page.number - 1,
        "next": page.number + 1 if more else 0,
        "list": [payment_object(v, cx) for v in page.items],
    }
