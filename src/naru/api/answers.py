"""What the V1 wire answers: the envelope, and one table from refusals to code, words and HTTP status.

Rule of thumb (PortOne V1): actions that are turned down answer 200 with ``code`` 1, or -1 where
the card or the PG said no; look-ups that find nothing are 404, authentication is 401, both -1.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import Any

import msgspec
from litestar import Response

from naru.domain.refusal import Refused, Why

JSON = "application/json; charset=UTF-8"
_encode = msgspec.json.Encoder().encode


class Answer(Response[bytes]):
    """A body that is JSON already. The framework's own way to make a response asks about much that these never have."""

    def __init__(self, body: bytes, status: int) -> None:  # pyright: ignore[reportMissingSuperCall]
        self.content = body
        self.status_code = status
        self.media_type = JSON
        self.background = None
        self.cookies = []
        self.encoding = "utf-8"
        self.headers = {}
        self.response_type_encoders = {}


def envelope(code: int, message: str | None, response: Any, status: int = 200) -> Response[bytes]:
    """``{code, message, response}``."""
    return Answer(_encode({"code": code, "message": message, "response": response}), status)


def ok(response: Any, status: int = 200) -> Response[bytes]:
    """A success."""
    return envelope(0, None, response, status)


def fail(message: str, *, code: int = -1, status: int = 200) -> Response[bytes]:
    """A failure that the PG or the rules decided."""
    return envelope(code, message, None, status)


Facts = dict[str, Any]
_CAN = {
    "card_api": ("비인증결제모듈 사용정보를 찾을 수 없습니다.", "API 수기결제 채널을 추가해 주세요"),
    "window": ("등록된 PG 설정 정보가 없습니다.", "결제창 채널을 추가해 주세요"),
}


def _parameter(f: Facts) -> str:
    problem = f.get("problem")
    if problem is None:
        return f"{f['name']} 파라메터가 누락되었습니다." + (f" ({f['note']})" if f.get("note") else "")
    return f"{f['name']} 파라메터가 올바르지 않습니다. ({problem})"


def _no_channel(f: Facts) -> str:
    literal, hint = _CAN.get(str(f.get("can")), ("계약이 필요합니다.", "채널의 계약 항목을 확인해 주세요"))
    where = f" '{f['channel']}' 채널은 이 용도로 쓸 수 없습니다." if f.get("channel") else ""
    return f"{literal}{where} (채널 관리에서 {hint})"


def _channel_unknown(f: Facts) -> str:
    what = f.get("channel_key") or f.get("pg") or f.get("channel_id")
    return f"등록된 PG 설정 정보가 없습니다. ({what}: 채널 관리에서 채널키와 MID를 확인해 주세요)"


def _credentials(f: Facts) -> str:
    return f"{', '.join(f['names'])} 파라메터가 누락되었습니다. ('{f['channel']}' 채널의 계약 항목입니다)"


def _prepared(f: Facts) -> str:
    if f["registered"] == f["asked"]:
        return f"사전등록된 통화({f['currency']})와 요청된 통화({f['asked_currency']})가 다릅니다."
    return f"사전등록된 금액({f['registered']}원)과 요청된 금액({f['asked']}원)이 다릅니다."


_METHOD_NAMES = {"card": "신용카드", "trans": "실시간 계좌이체", "vbank": "가상계좌", "phone": "휴대폰"}


_TO_ACCOUNT = {
    "phone": "휴대폰 결제는 결제한 달의 말일까지만 취소할 수 있고, 이후에는 계좌로 환불합니다.",
    "vbank": "가상계좌에 입금된 금액은 계좌로 환불합니다.",
}


def _day(yyyymmdd: str) -> str:
    return f"{yyyymmdd[:4]}-{yyyymmdd[4:6]}-{yyyymmdd[6:]}"


def _cancel_nothing(facts: Facts) -> str:
    hint = " (입금 전인 가상계좌는 DELETE /vbanks/{imp_uid}로 말소합니다)" if facts.get("unpaid_account") else ""
    return f"취소할 결제건이 존재하지 않습니다.{hint}"


_TABLE: dict[Why, tuple[int, int, str | Callable[[Facts], str]]] = {
    Why.UNAUTHORIZED: (401, -1, "Unauthorized"),
    Why.TOO_MANY: (429, -1, "요청이 너무 많습니다. 잠시 후 다시 시도해 주세요."),
    Why.KEY_MISSING: (400, -1, "imp_key, imp_secret 파라메터가 누락되었습니다."),
    Why.KEY_WRONG: (401, -1, "인증에 실패하였습니다. API키와 secret을 확인하세요."),
    Why.IP_BLOCKED: (403, -1, lambda f: f"허용되지 않은 IP 주소입니다. ({f['remote']})"),
    Why.PAYMENT_NOT_FOUND: (404, -1, "존재하지 않는 결제정보입니다."),
    Why.STATUS_UNKNOWN: (400, -1, "지원되지 않는 상태값입니다."),
    Why.PAGE_BEYOND: (404, -1, "요청하신 페이지가 존재하지 않습니다."),
    Why.PARAMETER: (200, 1, _parameter),
    Why.NO_CHANNEL: (200, 1, _no_channel),
    Why.CHANNEL_UNKNOWN: (200, 1, _channel_unknown),
    Why.STORE_UNKNOWN: (200, 1, "등록 된 PG 설정 정보를 찾을 수 없습니다."),
    Why.TEST_MONEY: (
        200,
        1,
        lambda f: (
            f"'{f['channel']}' 채널은 실연동이 아니어서 결제창을 열 수 없습니다. "
            "(채널 관리에서 테스트 결제창을 허용하거나 실연동 채널을 지정해 주세요)"
        ),
    ),
    Why.CREDENTIALS: (200, 1, _credentials),
    Why.ALREADY_PAID: (200, -1, "이미 결제가 이루어진 거래건입니다."),
    Why.BEING_CHECKED: (
        200,
        -1,
        lambda f: (
            f"merchant_uid {f['merchant_uid']}의 다른 결제 요청 결과를 확인하고 있습니다. 잠시 후 다시 시도해 주세요."
        ),
    ),
    Why.CANCEL_NOTHING: (200, 1, _cancel_nothing),
    Why.CANCEL_UID_MISSING: (200, 1, "imp_uid 또는 merchant_uid를 지정해주셔야합니다."),
    Why.CANCEL_ALL_BACK: (200, 1, "이미 전액취소된 주문입니다."),
    Why.CANCEL_CHECKSUM: (
        200,
        1,
        lambda f: f"취소 가능 잔액이 일치하지 않습니다. (checksum {f['checksum']}원, 잔액 {f['left']}원)",
    ),
    Why.CANCEL_TOO_MUCH: (
        200,
        1,
        lambda f: f"취소 요청 금액이 취소 가능 잔액보다 큽니다. (요청 {f['amount']}원, 잔액 {f['left']}원)",
    ),
    Why.CANCEL_BUSY: (200, 1, "진행 중인 다른 취소의 결과를 확인하고 있습니다. 잠시 후 다시 시도해 주세요."),
    Why.CANCEL_TAX_FREE: (200, 1, lambda f: f"취소할 면세금액이 올바르지 않습니다. (최대 {f['most']}원)"),
    Why.CANCEL_TOO_LATE: (
        200,
        1,
        lambda f: f"{_METHOD_NAMES[f['pay_method']]} 결제의 취소 가능 기간이 지났습니다. ({_day(f['until'])}까지)",
    ),
    Why.CANCEL_PARTIAL_TODAY: (
        200,
        1,
        "실시간 계좌이체는 결제 당일에는 전액취소만 가능합니다. 부분취소는 다음 날부터 할 수 있습니다.",
    ),
    Why.CANCEL_NEEDS_ACCOUNT: (
        200,
        1,
        lambda f: (
            f"{_TO_ACCOUNT[f['pay_method']]} 환불받을 계좌(refund_holder, refund_bank, refund_account)를 지정해 주세요."
        ),
    ),
    Why.ACCOUNT: (400, -1, lambda f: str(f["problem"])),
    Why.BANK_CLOSED: (200, 1, "은행 점검 시간(23:30~00:35)에는 가상계좌를 발급·변경·말소·환불할 수 없습니다."),
    Why.NOT_SUPPORTED: (200, 1, lambda f: str(f["what"])),
    Why.CONFLICT: (200, 1, "같은 Idempotency-Key로 다른 내용이 요청되었습니다."),
    Why.NOT_FOUND: (404, -1, lambda f: str(f["what"])),
    Why.RECEIPT_METHOD: (400, -1, "현금영수증은 실시간 계좌이체와 가상계좌 결제에만 발급할 수 있습니다."),
    Why.RECEIPT_NOT_PAID: (400, -1, "결제가 완료되지 않았거나 모두 취소되어 현금영수증을 발급할 수 없습니다."),
    Why.RECEIPT_ALREADY: (400, -1, "이미 현금영수증이 발급된 결제건입니다."),
    Why.RECEIPT_NONE: (400, -1, "취소할 현금영수증이 존재하지 않습니다."),
    Why.RECEIPT_BUSY: (400, -1, "현금영수증 처리 결과를 확인하고 있습니다. 잠시 후 다시 시도해 주세요."),
    Why.RECEIPT_TOO_LATE: (
        400,
        -1,
        lambda f: f"현금영수증은 발급한 해의 12월 31일까지만 취소할 수 있습니다. ({f['year']}년 발급)",
    ),
    Why.RECEIPT_NOT_FOUND: (404, -1, "발급된 현금영수증이 존재하지 않습니다."),
    Why.PREPARED_ALREADY: (200, 1, "결제정보 사전등록에 실패하였습니다(이미 등록된 merchant_uid입니다)."),
    Why.PREPARED_NOT_FOUND: (404, -1, "사전등록된 결제정보가 존재하지 않습니다."),
    Why.PREPARED_DIFFERS: (200, 1, _prepared),
    Why.CARD_NUMBER: (200, -1, "카드정보 인증에 실패하였습니다. 유효하지않은 카드번호를 입력하셨습니다."),
    Why.CHANNEL_OTHER: (
        200,
        1,
        lambda f: (
            f"빌링키는 발급된 채널('{f['channel']}')로만 결제할 수 있습니다. (channel_key, pg를 빼고 요청해 주세요)"
        ),
    ),
    Why.CUSTOMER_NOT_FOUND: (
        200,
        1,
        lambda f: f"요청하신 customer_uid({f['customer_uid']})로 등록된 정보를 찾을 수 없습니다.",
    ),
    Why.BUYER_UNKNOWN: (200, 1, "등록되지 않은 구매자입니다."),
    Why.CUSTOMER_NO_KEY: (200, 1, "등록된 고객정보가 없습니다."),
    Why.KEY_ISSUE: (200, -1, lambda f: str(f["reason"])),
    Why.KEY_DELETE: (200, -1, lambda f: f"빌링키 삭제에 실패하였습니다. {f['reason']}"),
    Why.SCHEDULE_EXISTS: (200, 1, lambda f: f"이미 예약된 merchant_uid입니다. ({f['merchant_uid']})"),
    Why.SCHEDULE_NOT_FOUND: (404, -1, "존재하지 않는 예약결제입니다."),
    Why.SCHEDULE_STATE: (400, -1, lambda f: f"{f['state']} 상태의 예약은 {f['wanted']}할 수 없습니다."),
    Why.SCHEDULE_TIME: (200, 1, "schedule_at은 현재 시각 이후여야 합니다."),
    Why.UNSCHEDULE_NOTHING: (200, 1, "취소할 예약결제 기록이 존재하지 않습니다."),
}


def words(refusal: Refused) -> str:
    """The Korean sentence of a refusal."""
    text = _TABLE[refusal.why][2]
    return text if isinstance(text, str) else text(refusal.facts)


@contextlib.contextmanager
def bad_requests() -> Generator[None]:
    """Refusals that actions tell with HTTP 200 are 400 in look-ups, lists and wherever PortOne's schema says so."""
    try:
        yield
    except Refused as refusal:
        raise Refused(refusal.why, **{"status": 400, "code": -1, **refusal.facts}) from None


def refused(refusal: Refused) -> Response[bytes]:
    """A refusal as V1 tells it. ``status`` and ``code`` among its facts override the table."""
    status, code, _ = _TABLE[refusal.why]
    answer = fail(
        words(refusal),
        code=int(str(refusal.facts.get("code", code))),
        status=int(str(refusal.facts.get("status", status))),
    )
    if status == 429:
        answer.headers["Retry-After"] = "60"
    if status == 401:
        # The misspelt header is PortOne's own; clients look for it.
        answer.headers["WWW-Authorize"] = "iamport"
        answer.headers["WWW-Authenticate"] = 'Bearer realm="naru"'
    return answer
