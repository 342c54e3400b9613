"""Structured logs: events are nouns and past participles, facts are fields.

The scrubber is the last resort against card numbers: a hit is a bug, so it is counted.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from random import getrandbits
from typing import Any, TextIO, TypeAlias, cast

import msgspec
import structlog

_RUN = re.compile(r"(?<![0-9A-Za-z])(?:\d[ -]?){12,18}\d(?![0-9A-Za-z])")
# Issuers' first digits. Of those with 2 only Mastercard's 2221-2720 and Mir's 2200-2204 exist, of 16 digits and
# more: a day as 20261122…, as shops put it before an order number, is no card.
_ISSUED = re.compile(r"[34569]|2(?:20[0-4]|22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}")
SHORTEST_CARD = 13
"""Digits of the shortest card number; what is shorter needs no scrubbing, and most texts are."""
_SECRET_KEYS = frozenset(
    {
        "card_number", "cardno", "expiry", "birth", "pwd_2digit", "cvc", "idntno", "cardpwd", "vlddtmon", "vlddtyear",
        "imp_secret", "hash_key", "aes_key", "billkey", "billing_key", "master_key", "escrow_password", "escrpwd",
        "password", "authorization",
    }
)  # fmt: skip
scrubbed: list[int] = [0]
"""How often the scrubber had to act in this process. Anything but 0 is a bug."""


_request: ContextVar[int] = ContextVar("naru_request", default=0)


_told_from: list[int] = [logging.INFO]


def tells_info() -> bool:
    """Whether anybody hears what is said at info: for those who say much."""
    return _told_from[0] <= logging.INFO


def begin_request() -> None:
    """Give the request that begins here a number, which everything said meanwhile carries."""
    _request.set(getrandbits(64) or 1)


def request_id() -> str:
    """The number of the request under way; "-" outside of one."""
    number = _request.get()
    return f"{number:016x}" if number else "-"


def luhn(digits: str) -> bool:
    """Whether a run of digits has a card number's check digit."""
    total = 0
    for i, ch in enumerate(reversed(digits)):
        n = ord(ch) - 48
        if i % 2:
            n = n * 2 - 9 if n > 4 else n * 2
        total += n
    return total % 10 == 0


def card_like(text: str) -> bool:
    """Whether *text* holds a run that looks like a card number: issuer prefix, 13-19 digits, Luhn."""
    for m in _RUN.finditer(text):
        digits = re.sub(r"[ -]", "", m.group())
        if _ISSUED.match(digits) and luhn(digits):
            return True
    return False


def _mask(m: re.Match[str]) -> str:
    digits = re.sub(r"[ -]", "", m.group())
    if _ISSUED.match(digits) and luhn(digits):
        scrubbed[0] += 1
        return f"{digits[:6]}******{digits[-4:]}"
    return m.group()


def scrub(text: str) -> str:
    """*text* with anything that looks like a card number masked."""
    return text if len(text) < SHORTEST_CARD else _RUN.sub(_mask, text)


def _add_request(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if _request.get():
        event.setdefault("request_id", request_id())
    return event


def _as_json(event: MutableMapping[str, Any], **_options: object) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()


def _scrub_event(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if key.lower() in _SECRET_KEYS:
            event[key] = "***"
        elif isinstance(value, str):
            event[key] = scrub(value)
    return event


class _Unfailing:
    """Standard error, where what cannot be said is not said: it may be a file on a disk that is full or read-only,
    and a payment that was approved must not become an error because nobody could be told."""

    def __init__(self) -> None:
        self._to = sys.stderr

    def write(self, text: str) -> None:
        """Write it if possible."""
        with contextlib.suppress(OSError):
            self._to.write(text)

    def flush(self) -> None:
        """Flush it if possible."""
        with contextlib.suppress(OSError):
            self._to.flush()


def set_up(*, level: str = "info", as_json: bool = True, for_good: bool = False) -> None:
    """Configure structlog and the standard library's logging for this process; *for_good*, loggers remember it."""
    number = logging.getLevelNamesMapping()[level.upper()]
    _told_from[0] = number
    renderer: Any = structlog.processors.JSONRenderer(serializer=_as_json)
    if not as_json:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    shared: list[Any] = [
        _add_request,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _scrub_event,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", _Unfailing())),
        cache_logger_on_first_use=for_good,
    )
    handler = logging.StreamHandler(_Unfailing())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _scrub_event, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))


Log: TypeAlias = structlog.stdlib.BoundLogger


def logger(name: str) -> Log:
    """A logger whose events carry the part of the program that speaks."""
    return structlog.get_logger(part=name)  # type: ignore[no-any-return]
