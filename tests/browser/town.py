"""A store with a past, for looking at the console: payments of every method and state, and everything that went wrong.

All of it was made over HTTP, by the gateway and its sandbox, as a shop and its buyers would have made it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.api.windows import buy, request_pay
from tests.cluster import run_async
from tests.live import Live, live, send

from naru.app import open_parts
from naru.domain.channel import Environment, Use
from naru.domain.values import DAY, HOUR, kst_date
from naru.domain.vbank import closed
from naru.service import console_access, setup, statements
from naru.service.console_access import Role
from naru.store.people import Actor

SOMEBODY = Actor(None, "owner@naru.test", "127.0.0.1")
PASSWORD = "a long enough sentence"
LONG_NAME = "아주아주긴상품이름" * 5
REFUND = {"refund_holder": "홍길동", "refund_bank": "004", "refund_account": "12345678901234"}


@dataclass
class Town:
    """The running server, its people's session cookies, and payments worth a look."""

    naru: Live
    owner: str
    """Session of an administrator who owns both stores."""
    reader: str
    live_code: str
    """A second store, with a live channel and no payment."""
    payments: dict[str, str]

    @property
    def base(self) -> str:
        """The first store's console."""
        return f"{self.naru.url}/console/{setup.DEV_IMP_CODE}"


async def _people(naru: Live) -> tuple[str, str, str]:
    """Sessions of an administrator and of a reader, and the imp code of a store with a live channel."""
    parts = await open_parts(naru.settings)
    cx = parts.cx

    async def session(email: str, role: Role | None, *, admin: bool = False) -> str:
        address = await console_access.invite(
            cx, SOMEBODY, email=email, admin=admin, store_id=1 if role else None, role=role
        )
        token = address.partition("token=")[2]
        made = await console_access.join(
            cx, token, email_text=email, name="김운영", password=PASSWORD, remote="127.0.0.1", agent="Chromium"
        )
        return made.token

    try:
        owner = await session("owner@naru.test", Role.OWNER, admin=True)
        reader = await session("reader@naru.test", Role.READER)
        await console_access.invite(cx, SOMEBODY, email="soon@naru.test", admin=False, store_id=1, role=Role.OPERATOR)
        new = await setup.make_store(cx, "실연동 상점")
        await setup.add_channel(
            cx, store_id=new.store_id, name="실연동 결제창", environment=Environment.LIVE, mid="imp_1234",
            use=Use.WINDOW, hash_key="ST-1234567890", aes_key="k" * 32, default=True,
            flags={"refund": True, "partial_cancel": True},
        )  # fmt: skip
        return owner, reader, new.imp_code
    finally:
        await parts.close()


async def _compare(naru: Live, day: str) -> None:
    parts = await open_parts(naru.settings)
    try:
        await statements.order(parts.cx, SOMEBODY, 1, day)
    finally:
        await parts.close()


def _cards(naru: Live, made: dict[str, str]) -> None:
    buyer = {
        "name": LONG_NAME, "buyer_name": "남궁길동", "buyer_tel": "010-1234-5678",
        "buyer_email": "very.long.address.of.a.buyer@example.co.kr",
        "buyer_addr": "서울특별시 성동구 왕십리로 115, 헤이그라운드 서울숲점 9층", "buyer_postcode": "04766",
        "custom_data": '{"coupon":"WELCOME","items":[{"sku":"A-1","n":2}]}',
    }  # fmt: skip
    made["rich"] = naru.paid(amount=1_234_500, **buyer)["imp_uid"]
    made["partial"] = naru.paid(amount=50_000, name="원두 1kg")["imp_uid"]
    naru.post("/payments/cancel", {"imp_uid": made["partial"], "amount": 12_000, "reason": "배송 지연"})
    made["cancelled"] = naru.paid(amount=8_900, name="머그컵")["imp_uid"]
    naru.post("/payments/cancel", {"imp_uid": made["cancelled"], "reason": "단순 변심", "enable_webhook": True})
    made["to_cancel"] = naru.paid(amount=30_000, name="찻잔 세트", merchant_uid="order-to-cancel")["imp_uid"]
    naru.onetime(card_number="1234-1234-1234-1234", name="거절된 결제")
    # Nobody knows what became of these.
    naru.fault("half_body", message="M05")
    naru.fault("half_body", message="M21", times=500)
    naru.fault("noti_lost")
    naru.onetime(name="응답이 끊긴 결제")
    naru.fault("half_body", message="M09")
    made["unknown_cancel"] = naru.paid(amount=21_000, name="취소 확인 중")["imp_uid"]
    naru.post("/payments/cancel", {"imp_uid": made["unknown_cancel"], "amount": 1_000})
    naru.fault("wrong_amount", message="M05")
    naru.onetime(name="금액이 다른 응답")


def _windows(naru: Live, made: dict[str, str]) -> None:
    phone: dict[str, Any] = {"company": "나루", "company_en": "Naru"}
    made["window"] = buy(naru, "card", name="결제창 카드", buyer_name="이영희")["imp_uid"]
    made["trans"] = buy(naru, "trans", name="계좌이체", amount=5_000)["imp_uid"]
    receipt = naru.post(f"/receipts/{made['trans']}", {"identifier": "010-1234-5678", "identifier_type": "phone"})
    assert receipt.code == 0, receipt.message
    made["phone"] = buy(naru, "phone", digital=True, name="휴대폰 결제", **phone)["imp_uid"]
    made["vbank"] = buy(naru, "vbank", name="가상계좌 입금 대기", **phone)["imp_uid"]
    request_pay(naru, pay_method="card", name="열어 둔 결제창")
    buy(naru, "card", {"outcome": "decline", "code": "0022"}, name="카드사 거절")


def _accounts(naru: Live, made: dict[str, str]) -> None:
    fixed = {
        "merchant_uid": naru.order(), "amount": 10_000, "vbank_num": "2022004000001", "vbank_holder": "나루",
        "pg": "settle.nxva_fix", "name": "정수기 렌탈",
    }  # fmt: skip
    made["fixed"] = naru.post("/vbanks", fixed).response["imp_uid"]
    naru.sandbox_post("/_sandbox/deposits", {"account": "2022004000001", "amount": 10_000, "depositor": "김철수"})
    unlimited = {
        "merchant_uid": naru.order(), "vbank_num": "2022004000056", "vbank_holder": "나루", "name": "충전 계좌",
        "fixed_unlimited_vbank": True, "channel_key": "channel-key-dev-vbank-unlimited",
    }  # fmt: skip
    made["unlimited"] = naru.post("/vbanks", unlimited).response["imp_uid"]
    for amount, name in ((3_000, "김철수"), (7_000, "박영수")):
        naru.sandbox_post("/_sandbox/deposits", {"account": "2022004000056", "amount": amount, "depositor": name})
    naru.sandbox_post("/_sandbox/drain")
    tid = naru.get(f"/payments/{made['unlimited']}").response["deposit_history"][0]["pg_tid"]
    naru.post("/payments/cancel", {"imp_uid": made["unlimited"], "amount": 1_000, "pg_tid": tid, **REFUND})


def _subscriptions(naru: Live, made: dict[str, str]) -> None:
    naru.post(
        "/subscribe/customers/subscriber-1",
        {"card_number": "4111-1111-1111-1111", "expiry": "2039-12", "birth": "820213", "pwd_2digit": "00",
         "customer_name": "정기구독자"},
    )  # fmt: skip
    naru.fault("error_code", message="M07", code="0022")
    for n, ahead in enumerate((60, 61, 600, 86_400, 86_400, 3 * 86_400, 40 * 86_400)):
        item = {"merchant_uid": f"plan-{n}", "schedule_at": naru.now_s + ahead, "amount": 9_900, "name": "월 구독"}
        answer = naru.post("/subscribe/payments/schedule", {"customer_uid": "subscriber-1", "schedules": [item]})
        assert answer.code == 0, answer.message
    naru.post("/subscribe/payments/unschedule", {"customer_uid": "subscriber-1", "merchant_uid": "plan-2"})


def _strangers(naru: Live, made: dict[str, str]) -> None:
    """Notis that nobody signed, or signed with another key."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    send(naru.url, "POST", "/settle_payments/notice", b"mchtId=portone1&trdNo=T1&trdAmt=1000", form)
    naru.fault("noti_forged")
    made["forged"] = naru.paid(name="위조된 결과통보")["imp_uid"]
    naru.sandbox_post("/_sandbox/drain")


@contextmanager
def town(template: Path, directory: Path) -> Generator[Town]:
    """A running server with all of it."""
    with live(template, directory) as naru:
        if closed(naru.parts.cx.clock()) or closed(naru.parts.cx.clock() + 2 * HOUR):
            naru.jump(4 * HOUR)
        made: dict[str, str] = {}
        naru.shop.statuses = [200, 200, 400, 500, 200, 400]  # what the shop says to its first webhooks
        _windows(naru, made)
        _accounts(naru, made)
        _subscriptions(naru, made)
        naru.sandbox_post("/_sandbox/drain")
        naru.pass_time(3 * DAY)
        owner, reader, live_code = run_async(_people(naru))
        _cards(naru, made)
        _strangers(naru, made)
        run_async(_compare(naru, kst_date(naru.parts.cx.clock())))
        yield Town(naru, owner, reader, live_code, made)
