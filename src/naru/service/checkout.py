"""Payments in the PG's window: everything is checked before it opens, and settled before anybody is answered.

The page that begins a payment makes a random `request_id`. It names the payment (the same request sent twice,
by a reload or a repeated post, finds the same payment) and is what the page shows later to learn the outcome.
What the browser brings back from the window only makes us look: a verified noti or an inquiry decides.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from naru import logs
from naru.domain.channel import Channel, Environment, Store, Use, choose
from naru.domain.outcome import Declined, Done, Finding, Outcome, Unknown
from naru.domain.payment import Account, Attempt, Op, Payment, State, Status, Told, Void, show
from naru.domain.refusal import Refused, Why
from naru.domain.values import MINUTE, AttemptId, ImpUid, Instant, MerchantUid, won
from naru.domain.vbank import check_due, check_open
from naru.service.context import LEASE_MS, Context
from naru.service.ports import REHEARSAL, Approval, Landing, Question, WindowForm, WindowPayment
from naru.service.prepare import demand_registered
from naru.service.reconcile import LOOK_MS
from naru.service.settle import give_up, settle_now
from naru.service.webhooks import KIND as WEBHOOK
from naru.store import mail, payments, stores
from naru.store.db import Tx
from naru.store.payments import Stored

log = logs.logger("checkout")

COMPANY = "default_company"
COMPANY_EN = "default_company_en"
"""Store switches: the shop's Korean and English name for pages written before the guide required them."""

METHODS = ("card", "trans", "vbank", "phone")
GAVE_UP = "[결제포기] 사용자가 결제를 취소하셨습니다"
"""PortOne's words to the letter: shops compare them."""
GAVE_UP_CODE = "0009"
CHECKING_CODE = "F1010"
CHECKING = "결제 결과를 확인하고 있습니다. 잠시 후 주문 내역에서 확인해 주세요."
EXPIRED_CODE = "F1011"
EXPIRED = "결제창이 열린 지 15분이 지나 닫혔습니다. 다시 시도해 주세요."
NOT_CONFIRMED_CODE = "F1012"
NOT_CONFIRMED = "고객사 요청에 의해 결제를 중단합니다. (상세사유 : {})"
NO_REASON = "알 수 없음"
CONFIRM_S = 10.0
"""How long the shop may take to confirm; later is a refusal."""
PAID_ALREADY_CODE = "F1002"
PAID_ALREADY = "이미 결제가 이루어진 거래건입니다."

QUOTA_FROM = 50_000
"""Instalments begin at this amount (KRW)."""
SAME_FORM_MS = 10 * MINUTE
"""A reloaded popup may open the same window again while the PG would still take it (page life 10 minutes)."""
WEBHOOK_FIRST_S = 10.0
"""How long a store that wants its webhook first lets the buyer wait for it."""
REQUEST_ID = re.compile(r"[0-9a-f]{32}\Z")
_REDIRECT = re.compile(r"([A-Za-z][0-9A-Za-z+.-]*):[^\s\x00-\x1f\x7f]+\Z")
_NO_REDIRECT = frozenset({"javascript", "data", "vbscript", "file", "about", "blob", "view-source"})
NUMBERS = 4
"""How many payment numbers a request id may stand for, should one be taken (one in 10¹² at a million payments)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowOrder:
    """A payment as a shop's page asks for it. Amounts in KRW."""

    imp_code: str
    request_id: str
    device: str
    """pc | mobile"""
    origin: str
    """The only origin that hears the result; ``null`` when messages cannot be addressed to the page."""
    merchant_uid: str
    amount: int
    pay_method: str = "card"
    name: str | None = None
    tax_free: int = 0
    vat_amount: int | None = None
    currency: str | None = None
    buyer_name: str | None = None
    buyer_email: str | None = None
    buyer_tel: str | None = None
    buyer_addr: str | None = None
    buyer_postcode: str | None = None
    company: str | None = None
    company_en: str | None = None
    channel_key: str | None = None
    pg: str | None = None
    customer_uid: str | None = None
    custom_data: str | None = None
    notice_urls: list[str] | None = None
    confirm_url: str | None = None
    redirect_url: str | None = None
    quota: int | None = None
    card: str | None = None
    direct: bool = False
    app_scheme: str | None = None
    vbank_due: Instant | None = None
    """Until when a virtual account may be paid into; absent: the PG's default."""
    user_agent: str | None = None
    remote: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a window payment stands, in the words of the shop's callback."""

    stored: Stored
    success: bool
    final: bool
    """Whether the page may be told; False while the window is open."""
    code: str | None = None
    message: str | None = None

    @property
    def window(self) -> Mapping[str, Any]:
        """What only the window flow keeps of the payment."""
        return json.loads(self.stored.row.extra)["window"]  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Opened:
    """An opened window: the payment and the form that the buyer's browser posts, or why there is none any more."""

    verdict: Verdict
    form: WindowForm | None


# ---------------------------------------------------------------- the rules before a window opens


def in_browser(channel: Channel, all_channels: list[Channel]) -> bool:
    """Whether a browser may pay on this channel.

    Sandbox and test keys are public, so test money buys nothing: in a store that has a live channel a
    page may use another one only where the operator allows it.
    """
    if channel.environment is Environment.LIVE or channel.allows("browser"):
        return True
    return not any(c.environment is Environment.LIVE and not c.disabled for c in all_channels)


def pick_channel(channels: list[Channel], order: WindowOrder) -> Channel:
    """The channel of a window payment. Raises Refused."""
    if order.channel_key or "." in (order.pg or ""):
        channel = choose(channels, key=order.channel_key, pg=order.pg, can="window", method=order.pay_method)
        if not in_browser(channel, channels):
            raise Refused(Why.TEST_MONEY, channel=channel.name)
        return channel
    return choose(
        [c for c in channels if in_browser(c, channels)], key=None, pg=order.pg, can="window", method=order.pay_method
    )


def check_redirect(url: str | None) -> None:
    """An address that a browser may be sent to: a whole one, and no script. Raises Refused."""
    if not url:
        return
    found = _REDIRECT.match(url)
    if found is None or found[1].lower() in _NO_REDIRECT or len(url) > 2000:
        raise Refused(Why.PARAMETER, name="m_redirect_url", problem="전체 주소(https://… 또는 앱 스킴)여야 합니다")


def check_order(order: WindowOrder) -> None:
    """The rules that need no database. Raises Refused naming the parameter."""

    def need(name: str, value: object, why: str | None = None) -> None:
        if value in (None, ""):
            raise Refused(Why.PARAMETER, name=name, **({"note": why} if why else {}))

    if order.pay_method not in METHODS:
        raise Refused(Why.PARAMETER, name="pay_method", problem=f"{', '.join(METHODS)} 중 하나여야 합니다")
    if order.amount <= 0:
        raise Refused(Why.PARAMETER, name="amount", problem="0보다 커야 합니다")
    if order.currency not in (None, "KRW"):
        raise Refused(Why.PARAMETER, name="currency", problem="KRW만 지원합니다")
    if not 0 <= order.tax_free <= order.amount:
        raise Refused(Why.PARAMETER, name="tax_free", problem="0 이상 결제금액 이하여야 합니다")
    if order.vat_amount is not None and not 0 <= order.vat_amount <= order.amount - order.tax_free:
        raise Refused(Why.PARAMETER, name="vat_amount", problem="0 이상 과세금액 이하여야 합니다")
    need("buyer_tel", order.buyer_tel)
    if order.pay_method == "phone":
        need("name", order.name, "휴대폰 결제의 필수 항목입니다")
        need("company_en", order.company_en, "휴대폰 결제의 필수 항목입니다")
    if order.pay_method in ("phone", "vbank"):
        need("company", order.company, "휴대폰·가상계좌 결제의 필수 항목입니다")
    if order.customer_uid:
        raise Refused(
            Why.NOT_SUPPORTED,
            what="customer_uid 파라메터는 헥토파이낸셜 결제창에서 쓸 수 없습니다. "
            "빌링키는 POST /subscribe/payments/onetime 또는 /subscribe/customers/{customer_uid}로 발급해 주세요.",
        )
    check_redirect(order.redirect_url)
    if order.quota is not None and not (order.quota == 0 or 2 <= order.quota <= 36):
        raise Refused(Why.PARAMETER, name="card_quota", problem="0 또는 2~36이어야 합니다")


def complete(order: WindowOrder, store: Store) -> WindowOrder:
    """The order with the company names that the store set for pages that send none.

    The guide requires them for phone and account payments; without a setting a page that lacks them is refused.
    """
    return replace(
        order, company=order.company or store.text(COMPANY), company_en=order.company_en or store.text(COMPANY_EN)
    )


async def _prepare(cx: Context, order: WindowOrder) -> tuple[Store, Channel]:
    """Everything that can be refused without writing. Raises Refused."""
    store = await cx.db.glance(stores.store_by_code, order.imp_code)
    if store is None:
        raise Refused(Why.STORE_UNKNOWN)
    channels = await cx.channels(store.id)
    if not any(c.use is Use.WINDOW and not c.disabled for c in channels):
        raise Refused(Why.STORE_UNKNOWN)
    order = complete(order, store)
    check_order(order)
    channel = pick_channel(channels, order)
    if order.confirm_url and not re.match(r"https?://[^\s/]+", order.confirm_url):
        raise Refused(Why.PARAMETER, name="confirm_url", problem="http:// 또는 https:// 주소여야 합니다")
    if order.confirm_url and not channel.allows("split"):
        raise Refused(
            Why.PARAMETER, name="confirm_url",
            problem=f"'{channel.name}' 채널은 인증-승인 분리 계약이 아니어서 컨펌 프로세스를 쓸 수 없습니다",
        )  # fmt: skip
    if order.pay_method == "vbank":
        check_open(cx.clock())
        check_due(order.vbank_due, Account.ROTATING, cx.clock())
    cx.gateway.window(channel, _payment(cx, order, REHEARSAL, "0" * 32, cx.clock()))
    return store, channel


async def check(cx: Context, order: WindowOrder) -> None:
    """What would be refused is refused now; nothing is written. Raises Refused."""
    store, _ = await _prepare(cx, order)
    await cx.db.read(_check_order_state, store.id, order)


def _check_order_state(store_id: int, order: WindowOrder) -> Tx[None]:
    state = yield from payments.order(store_id, order.merchant_uid)
    yield from _check_state(store_id, state, order)


def _check_state(store_id: int, state: payments.Order, order: WindowOrder) -> Tx[None]:
    if state.paid_by is not None:
        raise Refused(Why.ALREADY_PAID, merchant_uid=order.merchant_uid)
    if state.busy_by is not None:
        raise Refused(Why.BEING_CHECKED, merchant_uid=order.merchant_uid)
    yield from demand_registered(store_id, order.merchant_uid, order.amount, order.currency or "KRW")


# ---------------------------------------------------------------- ask


def numbers_of(request_id: str) -> list[ImpUid]:
    """The payment numbers that a request id may stand for, in the order in which they are tried."""
    made: list[ImpUid] = []
    for n in range(NUMBERS):
        digest = hashlib.sha256(f"window payment {n} of {request_id}".encode()).digest()
        made.append(ImpUid(f"imp_{int.from_bytes(digest[:8], 'big') % 10**12:012d}"))
    return made


def _is(stored: Stored, request_id: str) -> bool:
    window = json.loads(stored.row.extra).get("window")
    return window is not None and hmac.compare_digest(str(window["request"]), request_id)


def _of_request(request_id: str) -> Tx[Stored | None]:
    for number in numbers_of(request_id):
        stored = yield from payments.load(number)
        if stored is None:
            return None
        if _is(stored, request_id):
            return stored
    return None


def _ask(order: WindowOrder, channel: Channel, landing: str, now: Instant) -> Tx[Stored]:
    """Commit the payment and its attempt, or find the one that this very request made before."""
    state = yield from payments.lock_order(channel.store_id, order.merchant_uid)
    free: ImpUid | None = None
    for number in numbers_of(order.request_id):
        stored = yield from payments.load(number)
        if stored is None:
            free = number
            break
        if _is(stored, order.request_id):
            return stored
    if free is None:
        raise Refused(Why.PARAMETER, name="request_id", problem="다시 시도해 주세요")
    yield from _check_state(channel.store_id, state, order)
    account = Account.ROTATING if order.pay_method == "vbank" else Account.NO
    op = Op.ISSUE if account else Op.PAY
    attempt = Attempt(id=AttemptId(free), op=op, amount=won(order.amount), state=State.ASKED, asked_at=now)
    p = Payment(
        imp_uid=free,
        store_id=channel.store_id,
        channel_id=channel.id,
        merchant_uid=MerchantUid(order.merchant_uid),
        pay_method=order.pay_method,
        amount=won(order.amount),
        tax_free=won(order.tax_free),
        started_at=now,
        by_api=False,
        account=account,
        attempts=(attempt,),
    )
    window = {
        "request": order.request_id,
        "landing": landing,
        "origin": order.origin,
        "redirect": order.redirect_url,
        "confirm": order.confirm_url,
        "company": order.company,
        "company_en": order.company_en,
        "quota": order.quota,
        "card": order.card,
        "direct": order.direct,
        "app_scheme": order.app_scheme,
        "due": order.vbank_due,
        "remote": order.remote,
    }
    yield from payments.add_payment(
        {
            "imp_uid": free,
            "store_id": channel.store_id,
            "channel_id": channel.id,
            "merchant_uid": order.merchant_uid,
            "pay_method": order.pay_method,
            "route": order.device,
            "pg_id": channel.mid,
            "sandbox": int(channel.is_test),
            "name": order.name or order.merchant_uid,
            "amount": order.amount,
            "tax_free": order.tax_free,
            "vat_amount": order.vat_amount,
            **payments.said_by_shop(order),
            "account": account.value,
            "extra": json.dumps({"window": window}, ensure_ascii=False),
            "started_at": now,
        }
    )
    yield from payments.add_attempt(p, attempt, check_at=now + LOOK_MS)
    stored = yield from payments.load(free)
    assert stored is not None
    return stored


def _payment(cx: Context, order: WindowOrder, imp_uid: ImpUid, landing: str, opened_at: Instant) -> WindowPayment:
    return WindowPayment(
        attempt_id=AttemptId(imp_uid),
        pay_method=order.pay_method,
        amount=won(order.amount),
        tax_free=won(order.tax_free),
        vat_amount=None if order.vat_amount is None else won(order.vat_amount),
        name=order.name or order.merchant_uid,
        buyer_name=order.buyer_name,
        buyer_email=order.buyer_email,
        buyer_tel=order.buyer_tel,
        customer_id=order.merchant_uid,
        opened_at=opened_at,
        # The secret in the path is what lets the page that the buyer lands on show the payment's data.
        return_url=f"{cx.public_url}/settle_payments/next/{imp_uid}/{landing}",
        cancel_url=f"{cx.public_url}/settle_payments/cancel/{imp_uid}/{landing}",
        company=order.company,
        company_en=order.company_en,
        quota=order.quota,
        card=order.card,
        direct=order.direct,
        app_scheme=order.app_scheme,
        account_due=order.vbank_due,
        remote=order.remote,
    )


async def open_window(cx: Context, order: WindowOrder) -> Opened:
    """Store the payment ``ready`` with its attempt and say how its window opens.

    The same request again gives the same window while it can be opened, its result afterwards.
    Raises Refused; then nothing has happened.
    """
    if not REQUEST_ID.match(order.request_id):
        raise Refused(Why.PARAMETER, name="request_id", problem="iamport.js가 만든 값이 아닙니다")
    known = await cx.db.read(_of_request, order.request_id)
    if known is None:
        store, channel = await _prepare(cx, order)
        order = complete(order, store)
        known = await cx.db.write(_ask, order, channel, secrets.token_hex(16), cx.clock())
        log.info("attempt.asked", attempt=known.payment.imp_uid, imp_uid=known.payment.imp_uid, op="pay")
    p = known.payment
    verdict = judge(known)
    if verdict.final or cx.clock() - p.started_at > SAME_FORM_MS:
        return Opened(verdict, None)
    channel = await cx.channel(p.store_id, p.channel_id)
    order = complete(order, await cx.store(p.store_id))
    payment = _payment(cx, order, p.imp_uid, verdict.window["landing"], p.started_at)
    return Opened(verdict, cx.gateway.window(channel, payment))


# ---------------------------------------------------------------- what became of it


def judge(stored: Stored) -> Verdict:
    """The payment in the words of the callback: success only for *paid* (or an account that was issued)."""
    p = stored.payment
    shown = show(p)
    attempt = p.pay_attempt
    assert attempt is not None
    match shown.status:
        case Status.PAID | Status.CANCELLED:
            return Verdict(stored, success=True, final=True)
        case Status.READY if stored.row.vbank_num:
            return Verdict(stored, success=True, final=True)
        case Status.READY if attempt.state is State.CLOSED:
            return Verdict(stored, False, True, EXPIRED_CODE, EXPIRED)
        case Status.READY:
            return Verdict(stored, False, False, CHECKING_CODE, CHECKING)
        case Status.FAILED if p.void is Void.DUPLICATE:
            return Verdict(stored, False, True, PAID_ALREADY_CODE, PAID_ALREADY)
        case Status.FAILED:
            return Verdict(stored, False, True, attempt.pg_code or "F500", shown.fail_reason or "결제하지 못했습니다.")


async def _load(cx: Context, imp_uid: str) -> Stored:
    stored = await cx.db.read(payments.load, imp_uid)
    assert stored is not None
    return stored


async def _inquire(cx: Context, p: Payment, left_s: float) -> Finding | None:
    """Ask the PG about the payment; None when it took too long."""
    attempt = p.pay_attempt
    assert attempt is not None
    channel = await cx.channel(p.store_id, p.channel_id)
    question = Question(cx.inquiry_id(p.imp_uid), attempt.id, p.pay_method, attempt.amount, attempt.asked_at, None)
    try:
        return (await asyncio.wait_for(cx.gateway.inquire(channel, question), max(left_s, 0.001))).finding
    except TimeoutError:
        return None


async def _find_out(cx: Context, imp_uid: str, patience_s: float) -> tuple[Stored, Finding | None]:
    """Wait for the noti and ask the PG, in turns, until the result is known or *patience_s* seconds are over.

    Good news is settled at once. Returns the payment as it stands, with the PG's last word on it.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_s
    pause = cx.patience_s * 4  # the noti is usually just ahead of the browser, and tells more than an inquiry
    found: Finding | None = None
    while True:
        stored = await _load(cx, imp_uid)
        if judge(stored).final:
            return stored, found
        left = deadline - loop.time()
        if left <= 0:
            return stored, found
        await cx.turn(imp_uid, min(pause, left))
        pause = min(pause * 2, 2.0)
        stored = await _load(cx, imp_uid)
        if judge(stored).final:
            return stored, found
        found = await _inquire(cx, stored.payment, deadline - loop.time())
        if isinstance(found, Done):
            await cx.to_the_end(settle_now(cx, imp_uid, found))
            return await _load(cx, imp_uid), found
        if isinstance(found, Declined):
            return stored, found


async def _fail(cx: Context, imp_uid: str, code: str, message: str, *, proven: bool) -> Stored:
    await cx.to_the_end(cx.db.write(give_up, imp_uid, code, message, cx.clock(), proven=proven))
    cx.happened(imp_uid)
    cx.wake()
    return await _load(cx, imp_uid)


async def landed(cx: Context, imp_uid: str, secret: str, landing: Landing | None, *, closed: bool) -> Verdict | None:
    """The buyer's browser is back from the window. Settles before it answers. None: not this payment's secret.

    *landing* is what the browser brought (None on a reload); *closed*: it came to the address for the X.
    A claimed success that nobody confirms in time stays open: a noti or the settle job will tell, and
    the shop hears that it is being checked, not that it failed.
    """
    stored = await cx.db.read(payments.load, imp_uid)
    if stored is None:
        return None
    window = json.loads(stored.row.extra).get("window")
    if not window or not hmac.compare_digest(window["landing"], secret):
        log.warning("landing.refused", imp_uid=imp_uid)
        return None
    claim = landing.claim if landing is not None else ""
    log.info("window.landed", imp_uid=imp_uid, claim=claim, code=landing.code if landing else None)
    if not judge(stored).final:
        if landing is not None and claim == "authenticated":
            await cx.to_the_end(_approve(cx, imp_uid, landing.pg_tid))
        hopeful = claim in ("paid", "issued", "authenticated")
        stored, found = await _find_out(cx, imp_uid, cx.budget_s * 0.7 if hopeful else cx.patience_s * 20)
        if not judge(stored).final and landing is not None:
            if isinstance(found, Declined) and hopeful:
                stored = await _fail(cx, imp_uid, found.code, found.message, proven=True)
            elif (claim == "failed" or closed) and not _is_being_approved(stored):
                code, message = reason_of(landing, closed=closed)
                stored = await _fail(cx, imp_uid, code, message, proven=isinstance(found, Declined))
    return await _finish(cx, judge(stored))


# ---------------------------------------------------------------- split contracts: confirm, then approve


def _begin_approval(imp_uid: str, auth_tid: str, now: Instant) -> Tx[Stored | None]:
    """Commit that the approval is about to be asked for. None: it was begun before, or there is nothing to approve."""
    stored = yield from payments.load(imp_uid, lock=True)
    assert stored is not None
    attempt = stored.payment.pay_attempt
    extra = json.loads(stored.row.extra)
    window = extra["window"]
    assert attempt is not None
    if not attempt.is_open or attempt.told is Told.FAILED or window.get("auth"):
        return None
    window |= {"auth": auth_tid, "auth_at": now}
    yield from payments.set_extra(imp_uid, extra)
    yield from payments.check_anew(attempt.id, now + LEASE_MS)  # as soon as for any other question
    return stored


def _is_being_approved(stored: Stored) -> bool:
    """Whether the approval of what the buyer authenticated was asked for, and its result is open."""
    attempt = stored.payment.pay_attempt
    return attempt is not None and attempt.is_open and bool(json.loads(stored.row.extra)["window"].get("auth"))


async def _approve(cx: Context, imp_uid: str, auth_tid: str) -> None:
    """The buyer was authenticated on a split contract: the shop may still say no, then the PG approves.

    However often the browser comes back, the shop and the PG are asked once.
    """
    stored = await cx.db.read(payments.load, imp_uid)
    assert stored is not None
    p = stored.payment
    channel = await cx.channel(p.store_id, p.channel_id)
    if not channel.allows("split") or not auth_tid:
        return
    stored = await cx.db.write(_begin_approval, imp_uid, auth_tid, cx.clock())
    if stored is None:
        return
    confirm_url = json.loads(stored.row.extra)["window"].get("confirm")
    if confirm_url and (reason := await _shop_refuses(cx, confirm_url, stored.row)) is not None:
        await _fail(cx, imp_uid, NOT_CONFIRMED_CODE, NOT_CONFIRMED.format(reason), proven=True)
        return
    cx.crash("asked")
    outcome: Outcome = await cx.gateway.approve(
        channel, Approval(AttemptId(imp_uid), p.pay_method, p.amount, stored.row.name, auth_tid)
    )
    cx.crash("answered")
    if isinstance(outcome, Unknown) and not outcome.mismatch:
        found = await _inquire(cx, p, 5.0)
        # Only good news is believed this early: "no such trade" may mean "still travelling".
        if isinstance(found, Done):
            outcome = found
    await settle_now(cx, imp_uid, outcome)


async def _shop_refuses(cx: Context, url: str, row: Any) -> str | None:
    """The confirm process: HTTP 200 within ten seconds approves; else the shop's reason (PortOne V1)."""
    body = {"imp_uid": row.imp_uid, "merchant_uid": row.merchant_uid, "amount": row.amount}
    status, text = await cx.ask_shop(url, json.dumps(body, ensure_ascii=False).encode(), CONFIRM_S)
    log.info("window.confirmed", imp_uid=row.imp_uid, status=status)
    if status == 200:
        return None
    try:
        told = json.loads(text or "")
    except ValueError:
        told = None
    reason: object = cast("dict[str, object]", told).get("reason") if isinstance(told, dict) else None
    if not isinstance(reason, str):
        return NO_REASON
    return re.sub(r"[\x00-\x1f<>]", " ", reason).strip()[:200] or NO_REASON


def reason_of(landing: Landing, *, closed: bool) -> tuple[str, str]:
    """Why the buyer came back without a payment: the window's own words, or PortOne's for one who gave up."""
    if landing.code == GAVE_UP_CODE or (closed and not landing.code):
        return GAVE_UP_CODE, GAVE_UP
    return landing.code or "F500", landing.message or "결제하지 못했습니다."


async def outcome(cx: Context, request_id: str, *, closing: bool) -> Verdict | None:
    """What the page that began the payment may know. None: no such request.

    *closing*: the buyer closed the window. They may have paid first, so the PG is asked, twice with a
    pause, before the payment counts as given up.
    """
    if not REQUEST_ID.match(request_id):
        return None
    stored = await cx.db.read(_of_request, request_id)
    if stored is None:
        return None
    if closing and not judge(stored).final:
        imp_uid = stored.payment.imp_uid
        approving = _is_being_approved(stored)
        stored, found = await _find_out(cx, imp_uid, cx.budget_s * 0.7 if approving else cx.patience_s * 30)
        if not judge(stored).final:
            if approving or _is_being_approved(stored):
                # Nobody gave up: the buyer was authenticated, and it is we who asked for the money.
                return replace(judge(stored), final=True)
            stored = await _fail(cx, imp_uid, GAVE_UP_CODE, GAVE_UP, proven=isinstance(found, Declined))
    verdict = judge(stored)
    return await _finish(cx, verdict) if verdict.final else verdict


async def _finish(cx: Context, verdict: Verdict) -> Verdict:
    """A store that wants its webhook first has the buyer wait for it, within limits."""
    p = verdict.stored.payment
    if not verdict.success or not (await cx.store(p.store_id)).on("webhook_first"):
        return verdict
    loop = asyncio.get_running_loop()
    deadline = loop.time() + min(WEBHOOK_FIRST_S, cx.budget_s)
    while await cx.db.glance(_webhooks_waiting, p.imp_uid) and loop.time() < deadline:
        await cx.turn(p.imp_uid, min(cx.patience_s * 2, 0.2))
    return verdict


def _webhooks_waiting(imp_uid: str) -> Tx[bool]:
    """Whether a webhook of this payment has not been tried once."""
    jobs = yield from mail.jobs_of(imp_uid)
    tried = {d.job_id for d in (yield from mail.deliveries_of(imp_uid))}
    return any(j.kind == WEBHOOK and j.state == "open" and j.id not in tried for j in jobs)


async def look_soon(cx: Context, imp_uid: str) -> None:
    """Somebody came back without the secret: have the settle job look, and say nothing."""
    row = await cx.db.glance(payments.attempt_row, imp_uid)
    if row is not None and row.check_at is not None and row.op in (Op.PAY, Op.ISSUE) and row.told != Told.FAILED:
        await cx.db.write(payments.check_again, row.id, cx.clock())
        cx.wake()


# ---------------------------------------------------------------- what the SDK may know of a store


async def channel_list(cx: Context, imp_code: str) -> list[dict[str, Any]]:
    """The store's channels as iamport.js reads them, the default one first. Empty: no such store, or no channel."""
    store = await cx.db.glance(stores.store_by_code, imp_code)
    if store is None:
        return []
    channels = await cx.channels(store.id)
    shown = [c for c in channels if not c.disabled and in_browser(c, channels)]
    shown.sort(key=lambda c: (not (c.is_default and c.use is Use.WINDOW), c.position, c.id))
    return [
        {
            "store_id": store.imp_code,
            "pg_provider": "settle",
            "pg_id": c.mid,
            "type": "payment" if c.use is Use.WINDOW else "api_payment",
            "sandbox": c.is_test,
            "channel_key": c.key,
        }
        for c in shown
    ]
