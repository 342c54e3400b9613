"""The JSON door: reads a request, lets its rules decide in one transaction, makes the answer."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import msgspec
import structlog

from naru.connectors.hecto import messages
from naru.connectors.hecto.messages import BadMessage, Flaw, Message
from naru.sandbox.hecto import bankpay, cardpay, clock, codes, inquiry, mobilepay, trades, vbank
from naru.sandbox.hecto.book import Book
from naru.sandbox.hecto.clock import Clock
from naru.sandbox.hecto.merchants import Merchant, Merchants
from naru.sandbox.hecto.trades import Ask, Refuse

log = structlog.get_logger()
Body = dict[str, dict[str, str]]

RULES: dict[str, Callable[[Ask], dict[str, str]]] = {
    messages.CARD_PAY.id: cardpay.pay_by_number,
    messages.CARD_KEY_ISSUE.id: cardpay.issue_key,
    messages.CARD_KEY_PAY.id: cardpay.pay_by_key,
    messages.CARD_KEY_DELETE.id: cardpay.delete_key,
    messages.CARD_CANCEL.id: cardpay.cancel,
    messages.CARD_SPLIT_APPROVE.id: cardpay.approve_split,
    messages.BANK_CANCEL.id: bankpay.cancel,
    messages.BANK_SPLIT_APPROVE.id: bankpay.approve_split,
    messages.MOBILE_CANCEL.id: mobilepay.cancel,
    messages.MOBILE_REFUND.id: mobilepay.refund,
    messages.MOBILE_SPLIT_APPROVE.id: mobilepay.approve_split,
    messages.MOBILE_MONTHLY.id: mobilepay.pay_monthly,
    messages.VBANK_ISSUE.id: vbank.issue,
    messages.VBANK_ISSUE_UNLIMITED.id: vbank.issue,
    messages.VBANK_CHANGE.id: vbank.change,
    messages.VBANK_REVOKE.id: vbank.revoke,
    messages.VBANK_REFUND.id: vbank.refund,
    messages.INQUIRY.id: inquiry.answer,
}
_PAYS = frozenset({"M05", "M07", "M22", "M23", "M24", "M25"})
"""A refusal of one of these is a failed attempt that an inquiry can find."""
_NOT_AN_ATTEMPT = frozenset({"ST50", "ST03"})


@dataclass(slots=True)
class Exchange:
    """A request as far as it could be read before anything was decided."""

    path: str
    body: object
    message: Message | None
    mid: str
    order: str


@dataclass(slots=True)
class Reply:
    body: Body
    notis: list[int]


class Desk:
    def __init__(self, book: Book, merchants: Merchants, clock_: Clock, *, lenient: bool) -> None:
        self._book = book
        self._merchants = merchants
        self._clock = clock_
        self._lenient = lenient

    def read(self, path: str, raw: bytes) -> Exchange:
        """Parses as JSON whatever the Content-Type says: Hecto's PHP samples send a form's."""
        try:
            body: object = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            body = None
        params = _plain_params(body)
        return Exchange(path, body, messages.find(path, body), params.get("mchtId", ""), params.get("mchtTrdNo", ""))

    def decide(self, exchange: Exchange, *, appears_ms: int = 0) -> Reply:
        """The answer, and everything it changes, in one transaction."""
        message = exchange.message
        with self._book.write():
            if message is None:
                self._complain(exchange, "6001", "body", codes.TEXTS["6001"])
                return Reply(refuse(exchange, "6001", codes.TEXTS["6001"]), [])
            merchant = self._merchants.get(exchange.mid)
            if merchant is None:
                code, text = ("ST47", codes.TEXTS["ST47"]) if exchange.mid else codes.missing("mchtId")
                self._complain(exchange, code, "mchtId", text)
                return Reply(refuse(exchange, code, text), [])
            try:
                values = messages.open_request(message, exchange.body, merchant.keys, lenient=self._lenient)
            except BadMessage as bad:
                code, text = explain(bad)
                self._complain(exchange, code, bad.field, text)
                return Reply(refuse(exchange, code, text), [])
            return self._apply(exchange, message, merchant, values, appears_ms)

    def _apply(
        self, exchange: Exchange, message: Message, merchant: Merchant, values: dict[str, str], appears_ms: int
    ) -> Reply:
        ask = Ask(self._book, merchant, message, values, self._clock.now(), appears_ms)
        seal = values.get("pktHash", "")
        try:
            check_time(ask)
            for field in clean(message, values):
                self._complain(exchange, "", field, "사용할 수 없는 문자가 포함되어 있습니다.")
            answer = RULES[message.id](ask)
        except Refuse as refused:
            if refused.complain:
                self._complain(exchange, refused.code, refused.field, refused.text)
            if message.id in _PAYS and refused.code not in _NOT_AN_ATTEMPT:
                detail = {"pmtprdNm": ask.get("pmtprdNm") or ask.get("prdtNm"), "reason": refused.text}
                trades.enter(ask, "pay", ask.won("trdAmt"), detail, state="failed", code=refused.code)
            return Reply(refuse(exchange, refused.code, refused.text, refused.data), [])
        done = {"outStatCd": "0021", "outRsltCd": codes.OK, "outRsltMsg": codes.OK_TEXT}
        values["pktHash"] = seal
        return Reply(messages.build_answer(message, values, {**done, **answer}, merchant.keys), ask.notis)

    def distort(self, exchange: Exchange, body: Body, how: str) -> Body:
        """A success answer with another amount, another order number or a broken seal. The first
        two are sealed as if they were true: only comparing them with the question helps."""
        message, merchant = exchange.message, self._merchants.get(exchange.mid)
        if message is None or merchant is None or not body["data"]:
            return body
        plain = messages.open_answer(message, body, merchant.keys).values
        params, data = dict(body["params"]), dict(body["data"])
        if how == "wrong_amount":
            for name in ("trdAmt", "cnclAmt"):
                if name in data:
                    plain[name] = str(int(plain[name]) + 1)
                    data[name] = messages.dress(message, name, plain[name], merchant.keys)
        elif how == "wrong_ids":
            plain["mchtTrdNo"] = params["mchtTrdNo"] = params["mchtTrdNo"][:-1] + "_"
        if how == "wrong_hash":
            data["pktHash"] = "0" * 64
        elif message.answer_seal != messages.ECHO:
            data["pktHash"] = messages.answer_seal(message, plain, merchant.keys)
        return {"params": params, "data": data}

    def _complain(self, exchange: Exchange, code: str, field: str, text: str) -> None:
        name = exchange.message.id if exchange.message else exchange.path[:80]
        complain(self._book, self._clock.now(), exchange.mid, name, exchange.order, code, field, text)


def complain(book: Book, now: int, mid: str, message: str, order: str, code: str, field: str, text: str) -> None:
    """Remembers what a real PG would have been surprised by. Never holds a value of the request
    but MID and order number."""
    with book.write():
        book.run(
            """INSERT INTO complaints (at_ms, mid, message, mcht_trd_no, code, field, text)
               VALUES (?, ?, ?, ?, ?, ?, ?)""",
            now,
            mid[:20],
            message,
            order[:100],
            code,
            field,
            text,
        )
    log.warning("complaint", message=message, mid=mid[:20], code=code, field=field)


def explain(bad: BadMessage) -> tuple[str, str]:
    """Result code and sentence for a message that could not be opened."""
    match bad.flaw:
        case Flaw.MISSING:
            return codes.missing(bad.field)
        case Flaw.TOO_LONG:
            return codes.too_long(bad.field)
        case Flaw.SEAL:
            return "1901", codes.TEXTS["1901"]
        case Flaw.NOT_ENCRYPTED:
            return "1902", f"{codes.TEXTS['1902']} ({bad.field})"
        case Flaw.MALFORMED:
            if bad.field in ("params", "data", ""):
                return "6001", codes.TEXTS["6001"]
            return "ST09", f"{codes.TEXTS['ST09']} ({bad.field})"


def check_time(ask: Ask) -> None:
    """trdDt and trdTm are a KST time not more than a day away from the sandbox's clock."""
    at = clock.parse_stamp(ask.get("trdDt") + ask.get("trdTm"))
    if at is None or abs(at - ask.now) > clock.DAY:
        raise Refuse("ST09", "요청일시가 올바르지 않습니다.", field="trdDt", complain=True)


_STRIPPED = re.compile(
    r"href|alert|javascript|console\.log|[\U0001F000-\U0001FFFF\u2600-\u27BF\uFE0F\u200D]", re.IGNORECASE
)
_FORBIDDEN = re.compile(r"[:&?'\"\n<>]")


def clean(message: Message, values: dict[str, str]) -> list[str]:
    """Strips words and emoji from texts as Hecto does silently; names the texts that hold
    characters it asks not to send."""
    bad: list[str] = []
    for spec in message.request:
        if "H" in spec.kind and spec.name in values and spec.name != "mchtParam":
            values[spec.name] = _STRIPPED.sub("", values[spec.name])
            if _FORBIDDEN.search(values[spec.name]):
                bad.append(spec.name)
    return bad


def _plain_params(body: object) -> dict[str, str]:
    """What can be repeated of a request that is not a message: its params that are texts."""
    params = cast("Mapping[object, object]", body).get("params") if isinstance(body, dict) else None
    if not isinstance(params, dict):
        return {}
    found = cast("Mapping[object, object]", params)
    return {str(name)[:40]: value[:100] for name, value in found.items() if isinstance(value, str)}


def refuse(exchange: Exchange, code: str, text: str, data: Mapping[str, str] | None = None) -> Body:
    """A failure that repeats the ids of the request, as far as there were any."""
    message = exchange.message or messages.CARD_CANCEL
    return messages.build_refusal(message, _plain_params(exchange.body), code, text, data)
