"""The catalogue of errors: `docs/errors.ko.md` and `docs/errors.en.md` are what `page()` writes from the code's tables.

`python -m tests.api.test_errors` writes them anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from naru.api import answers, sdk
from naru.connectors.hecto import codes
from naru.domain.refusal import Refused, Why
from naru.sandbox.hecto.codes import TEXTS
from naru.service import checkout

ROOT = Path(__file__).parents[2]
FACTS: dict[Why, dict[str, Any]] = {
    Why.CREDENTIALS: {"names": ["birth", "pwd_2digit"], "channel": "{channel}"},
    Why.ACCOUNT: {"problem": "{problem}"},
    Why.CANCEL_TOO_LATE: {"pay_method": "trans", "until": "20261231"},
    Why.CANCEL_NEEDS_ACCOUNT: {"pay_method": "phone"},
    Why.NO_CHANNEL: {"can": "card_api"},
    Why.CHANNEL_UNKNOWN: {"channel_key": "{channel_key}"},
}
"""Where a sentence depends on its facts: which one to show."""
ENGLISH: dict[str, str] = {
    "UNAUTHORIZED": "no access token, or one that is wrong or has run out",
    "KEY_MISSING": "imp_key or imp_secret is missing",
    "KEY_WRONG": "imp_key and imp_secret do not belong together",
    "TOO_MANY": "too many requests, or too many wrong credentials; wait and try again",
    "IP_BLOCKED": "the store's allow list does not have this address",
    "PAYMENT_NOT_FOUND": "no such payment in this store",
    "STATUS_UNKNOWN": "not one of ready, paid, cancelled, failed",
    "PAGE_BEYOND": "the list has fewer pages",
    "PARAMETER": "a parameter is missing or has no usable value; it is named",
    "NO_CHANNEL": "no channel can do this; the sentence says what to set",
    "CHANNEL_UNKNOWN": "no channel of this key or MID",
    "STORE_UNKNOWN": "no store of this imp code, or it has no window channel",
    "TEST_MONEY": "a browser may not pay with test money in a store that has a live channel",
    "CREDENTIALS": "the channel's contract asks for more card data; they are named",
    "ALREADY_PAID": "this merchant_uid was paid before",
    "BEING_CHECKED": "another request with this merchant_uid has no result yet",
    "CANCEL_NOTHING": "nothing was paid that could be cancelled",
    "CANCEL_UID_MISSING": "neither imp_uid nor merchant_uid",
    "CANCEL_ALL_BACK": "everything was cancelled before",
    "CANCEL_CHECKSUM": "what is left is not what checksum says",
    "CANCEL_TOO_MUCH": "more than what is left",
    "CANCEL_BUSY": "another cancel of this payment has no result yet",
    "CANCEL_TAX_FREE": "more tax-free than what is left of it",
    "CANCEL_TOO_LATE": "the pay method's deadline has passed: card and phone a year, transfer 180 days",
    "CANCEL_PARTIAL_TODAY": "a transfer goes back on its own day only as a whole",
    "CANCEL_NEEDS_ACCOUNT": "the money goes back to a bank account, and none was given",
    "ACCOUNT": "this virtual account cannot do that",
    "BANK_CLOSED": "banks rest from 23:30 to 00:35 KST",
    "NOT_SUPPORTED": "Hecto's channels cannot do this",
    "CONFLICT": "the same Idempotency-Key with another request",
    "NOT_FOUND": "no such thing; the sentence says what",
    "RECEIPT_METHOD": "cash receipts are for transfers and virtual accounts",
    "RECEIPT_NOT_PAID": "nothing is paid, or all went back",
    "RECEIPT_ALREADY": "a cash receipt stands",
    "RECEIPT_NONE": "no cash receipt that could be cancelled",
    "RECEIPT_BUSY": "another question about this cash receipt has no result yet",
    "RECEIPT_TOO_LATE": "cash receipts are cancelled within their calendar year",
    "RECEIPT_NOT_FOUND": "no cash receipt was issued",
    "PREPARED_ALREADY": "this merchant_uid is registered",
    "PREPARED_NOT_FOUND": "nothing is registered for this merchant_uid",
    "PREPARED_DIFFERS": "the window's amount or currency is not the registered one",
    "CARD_NUMBER": "not a card number",
    "CHANNEL_OTHER": "a billing key is charged on its own channel only",
    "CUSTOMER_NOT_FOUND": "no such customer_uid",
    "BUYER_UNKNOWN": "no billing key for this customer_uid",
    "CUSTOMER_NO_KEY": "no billing key and no card data to make one",
    "KEY_ISSUE": "the billing key was not issued; begins with PortOne's words",
    "KEY_DELETE": "the billing key was not deleted",
    "SCHEDULE_EXISTS": "this merchant_uid is scheduled",
    "SCHEDULE_NOT_FOUND": "no such schedule",
    "SCHEDULE_STATE": "a schedule in this state cannot do that",
    "SCHEDULE_TIME": "schedule_at lies in the past",
    "UNSCHEDULE_NOTHING": "no schedule that could be revoked",
}
KOREAN = """# 오류 목록

행동(결제·취소 등)이 거절되면 HTTP 200과 `code` 1(규칙) 또는 -1(카드·결제대행사), 조회에 없으면 404, 인증 실패는
401입니다.
본문은 언제나 `{code, message, response}`입니다. 시험이 이 쪽을 만들고 확인합니다.
----
| 이름 | HTTP | code | message |
----
## 결제창의 `error_code`

위 이름 가운데 아래 코드가 있는 것은 그 코드로, 나머지는 `F400`으로 전달됩니다. 결제대행사가 거절하면 그 코드
그대로입니다.
----
## 헥토파이낸셜 코드

메시지에는 언제나 `[코드]`가 함께 있습니다. 아래 목록의 코드는 돈이 움직이지 않았다는 증거로 보고, 목록에 없는 코드와
응답
없음은 거절로 보지 않고 거래 조회로 확인합니다.
"""
IN_ENGLISH = """# Errors

Actions that are turned down answer HTTP 200 with `code` 1 (a rule) or -1 (the card or the PG), look-ups that find
nothing 404, authentication 401. The body is always `{code, message, response}`. A test writes and checks this page.
----
| Name | HTTP | code | Meaning | message |
----
## `error_code` in the window

Of the names above these have a code of their own, the others are `F400`. A refusal of the PG keeps the PG's code.
----
## Hecto's codes

Messages always carry `[code]`. The codes below count as proof that no money moved; any other code, and no answer at
all, is never taken for a refusal but found out by asking.
"""


class Named(dict[str, Any]):
    """Facts that stand for themselves: `{left}` for left."""

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"


def template(why: Why, text: Any) -> str:
    """The sentence of a table's entry with its facts as `{name}`."""
    return text if isinstance(text, str) else str(text(Named(FACTS.get(why, {}))))


def page(language: str) -> str:
    """The catalogue."""
    intro, head, window, hectos = (KOREAN if language == "ko" else IN_ENGLISH).split("----\n")
    lines = [intro, head.strip(), "|---" * (head.count("|") - 1) + "|"]
    for why, (status, code, text) in answers._TABLE.items():
        meaning = "" if language == "ko" else f" {ENGLISH[why.name]} |"
        lines.append(f"| `{why.name}` | {status} | {code} |{meaning} {template(why, text)} |")
    lines += ["", window]
    named = [(code, f"`{why.name}`") for why, code in sdk._CODES.items()]
    own = [(v, k) for k, v in vars(checkout).items() if k.endswith("_CODE") and v.startswith(("F", "0"))]
    own_words = {v: getattr(checkout, k.removesuffix("_CODE")) for v, k in own}
    known = {code for code, _ in named}
    lines += [f"- `{code}` {what}" for code, what in named]
    lines += [f"- `{code}` {words}" for code, words in sorted(own_words.items()) if code not in known]
    lines += ["", hectos]
    lines += [f"- `{code}` {TEXTS[code]}" if code in TEXTS else f"- `{code}`" for code in sorted(codes.DECLINED)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_page_is_what_the_tables_say(language: str) -> None:
    assert (ROOT / f"docs/errors.{language}.md").read_text("utf-8") == page(language)


def test_every_reason_has_its_answer_and_its_meaning() -> None:
    assert set(answers._TABLE) == set(Why)
    assert set(ENGLISH) == {why.name for why in Why}


def test_a_refusal_is_told_as_the_table_says() -> None:
    told = answers.refused(Refused(Why.CANCEL_TOO_LATE, pay_method="trans", until="20260630"))
    assert told.status_code == 200
    assert "실시간 계좌이체 결제의 취소 가능 기간이 지났습니다. (2026-06-30까지)".encode() in told.content


if __name__ == "__main__":
    for language in ("ko", "en"):
        (ROOT / f"docs/errors.{language}.md").write_text(page(language), "utf-8")
