"""Every message that asks Hecto for something, and every noti, under every fault, over real HTTP.

One rule: when time has passed both books agree, nothing is open, and nobody was told something untrue.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.api.windows import CHOICES, FORM, buy, fields_of, request_pay
from tests.cluster import run_async
from tests.live import Answer, Live, live, send, until

from naru.app import open_parts
from naru.chaos.audit import Trade, sandbox_book
from naru.domain.channel import Environment, Use
from naru.domain.values import DAY, HOUR, MINUTE, SECOND, kst_date
from naru.sandbox.hecto import faults
from naru.service import console_channels, doctor
from naru.service.setup import SANDBOX_AES_KEY, SANDBOX_HASH_KEY
from naru.store import statements
from naru.store.people import Actor

READ_S = 0.6
"""How long the gateway waits for an answer here; twenty seconds in production."""
SLOW_MS = 700
PATIENCE_S = 0.02
"""The unit of the pauses in which the gateway looks whether a noti has come."""
LIMITS: dict[str, Any] = {"pg_connect_s": 0.5, "pg_read_s": READ_S, "budget_s": 1.2}
REFUND = {"refund_holder": "홍길동", "refund_bank": "04", "refund_account": "12345678901234"}
CARD = {"card_number": "4111-1111-1111-1111", "expiry": "2039-12", "birth": "820213", "pwd_2digit": "00"}
CHECKING = ("확인하고 있습니다", "확인 중")
FIXED = itertools.chain(range(2022004000001, 2022004000051), range(2022011000001, 2022011000051))
UNLIMITED = itertools.chain(range(2022004000056, 2022004000101), range(2022011000056, 2022011000101))

EXCHANGE: dict[str, list[dict[str, Any]]] = {
    **{name: [{}] for name in faults.EXCHANGE},
    "delay": [{"ms": SLOW_MS, "where": "after"}, {"ms": SLOW_MS, "where": "before"}, {"ms": 50}],
    "http_500": [{"where": "before"}, {"where": "after"}],
    "unknown_code": [{"where": "before"}, {"where": "after"}],
    "error_code": [{"code": "CA31"}, {"code": "VTIM", "where": "before"}, {"code": "VTIM", "where": "after"}],
    "late_processing": [{"ms": 45_000}, {"after_inquiry": True, "ms": 1_000}],
}
NEVER_REPEATED = ("M13", "M22", "M23", "M24")
"""Messages that are sent once, whatever comes back, within `LIMITS`: the next case's fault cannot meet them."""
PLAYS = [(name, options) for name, ways in EXCHANGE.items() for options in ways]


@pytest.fixture(scope="module")
def naru(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A gateway that does not wait long."""
    with live(migrated_sqlite, tmp_path_factory.mktemp("live"), **LIMITS) as running:
        running.parts.cx.patience_s = PATIENCE_S
        yield running


@pytest.fixture(autouse=True)
def in_the_morning(naru: Live) -> None:
    """Each test begins at ten: what came before may have ended while banks are closed."""
    naru.jump(DAY - (naru.now_s * 1000 - HOUR) % DAY)


@dataclass
class Case:
    """One order under one fault."""

    fault: str
    merchant_uid: str
    imp_uid: str = ""
    before: int = 0
    """What was kept before the fault (KRW)."""
    number: str = ""
    amount: int = 3_000
    customer_uid: str = ""
    told: Answer | None = None
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def sure(self) -> bool:
        """The caller was told yes or no, not that the result is being looked for."""
        return self.told is not None and not any(w in (self.told.message or "") for w in CHECKING)

    @property
    def yes(self) -> bool:
        return self.told is not None and self.told.code == 0


def find(naru: Live, case: Case) -> dict[str, Any] | None:
    """The order's payment as its shop sees it: the paid one where there are several."""
    answer = naru.get(f"/payments/find/{case.merchant_uid}")
    return answer.response if answer.code == 0 else None


def book(naru: Live) -> dict[str, Trade]:
    trades, complaints = run_async(sandbox_book(naru.sandbox))
    assert complaints == []
    return trades


def shown_left(p: dict[str, Any]) -> int:
    """What a shop believes to have been paid and not to have gone back."""
    if p["status"] not in ("paid", "cancelled"):
        return 0
    came = sum(d["amount"] for d in p["deposit_history"]) if p["vbank_num"] and not p["amount"] else p["amount"]
    return came - p["cancel_amount"]


def check_books(naru: Live, cases: list[Case]) -> None:
    """Both books agree about every order, the nightly check finds nothing."""
    trades = book(naru)
    for case in cases:
        p = find(naru, case)
        if p is None:
            continue
        trade = trades.get(p["imp_uid"])
        kept = trade.amount - trade.cancelled if trade else 0
        assert shown_left(p) == kept, (case.fault, p["status"], trade)

    async def problems() -> list[str]:
        parts = await open_parts(naru.settings)
        try:
            return [f"{p.kind} {p.imp_uid} {p.text}" for p in await doctor.examine(parts.cx)]
        finally:
            await parts.close()

    assert run_async(problems()) == []


def nothing_waits(naru: Live) -> None:
    """Every fault that was asked for has been played."""
    assert naru.sandbox_get("/_sandbox/faults")["faults"] == []


def play(
    naru: Live, message: str, cases: list[Case], plays: list[tuple[str, dict[str, Any]]],
    act: Callable[[Live, Case], Answer | None],
) -> None:  # fmt: skip
    """Each case meets its own fault. Who is kept waiting by it is left waiting while the next one begins."""
    with ThreadPoolExecutor(len(cases)) as callers:
        calls: list[Future[Answer | None]] = []
        for case, (fault, options) in zip(cases, plays, strict=True):
            naru.fault(fault, message=message, **options)
            calls.append(callers.submit(act, naru, case))
            if message in NEVER_REPEATED or fault == "answer_lost" or options.get("ms") == SLOW_MS:
                until(lambda: calls[-1].done() or not naru.sandbox_get("/_sandbox/faults")["faults"])
            else:
                wait(calls[-1:])
            nothing_waits(naru)
    for case, call in zip(cases, calls, strict=True):
        case.told = call.result()
    time.sleep(max(0, SLOW_MS / 1000 - READ_S))  # what was slow is done by now


# ---------------------------------------------------------------- exchanges


def card(naru: Live, fault: str) -> Case:
    case = Case(fault, naru.order())
    case.imp_uid = naru.paid(merchant_uid=case.merchant_uid)["imp_uid"]
    case.before = case.amount
    return case


def key(naru: Live, fault: str) -> Case:
    case = Case(fault, naru.order())
    case.customer_uid = f"key-{case.merchant_uid}"
    assert naru.post(f"/subscribe/customers/{case.customer_uid}", CARD).code == 0
    return case


def window(naru: Live, fault: str, method: str, **params: Any) -> Case:
    case = Case(fault, naru.order())
    case.imp_uid = buy(naru, method, merchant_uid=case.merchant_uid, company="나루", company_en="Naru", **params)[
        "imp_uid"
    ]
    case.before = case.amount
    return case


def account(naru: Live, fault: str) -> Case:
    case = Case(fault, naru.order(), number=str(next(FIXED)))
    answer = naru.post("/vbanks", issue_of(case))
    assert answer.code == 0, answer.message
    case.imp_uid = answer.response["imp_uid"]
    return case


def issue_of(case: Case, *, unlimited: bool = False) -> dict[str, Any]:
    given = {
        "merchant_uid": case.merchant_uid, "amount": case.amount, "vbank_num": case.number, "vbank_holder": "나루",
        "pg": "settle.nxva_fix",
    }  # fmt: skip
    if unlimited:
        given |= {"fixed_unlimited_vbank": True, "pg": "settle.nxva_fix2", "amount": 0}
    return given


def deposit(naru: Live, case: Case, amount: int | None = None) -> bool:
    """Somebody pays in; whether the bank let it in."""
    given = {"account": case.number, "amount": amount or case.amount, "depositor": "김철수"}
    return bool(naru.sandbox_post("/_sandbox/deposits", given)["trdNo"])


def paid_in(naru: Live, fault: str) -> Case:
    case = account(naru, fault)
    assert deposit(naru, case)
    case.before = case.amount
    return case


def unlimited(naru: Live, fault: str) -> Case:
    case = Case(fault, naru.order(), number=str(next(UNLIMITED)))
    answer = naru.post("/vbanks", issue_of(case, unlimited=True))
    assert answer.code == 0, answer.message
    case.imp_uid = answer.response["imp_uid"]
    assert deposit(naru, case)
    case.before = case.amount
    return case


def new(naru: Live, fault: str) -> Case:
    return Case(fault, naru.order())


def cancel_part(naru: Live, case: Case) -> Answer:
    return naru.post("/payments/cancel", {"imp_uid": case.imp_uid, "amount": 1_000})


def cancel_all(naru: Live, case: Case) -> Answer:
    return naru.post("/payments/cancel", {"imp_uid": case.imp_uid})


def refund_part(naru: Live, case: Case) -> Answer:
    return naru.post("/payments/cancel", {"imp_uid": case.imp_uid, "amount": 1_000} | REFUND)


def issue_key(naru: Live, case: Case) -> Answer:
    case.customer_uid = f"key-{case.merchant_uid}"
    return naru.post(f"/subscribe/customers/{case.customer_uid}", CARD)


def again(naru: Live, case: Case) -> Answer:
    given = {"customer_uid": case.customer_uid, "merchant_uid": case.merchant_uid, "amount": case.amount}
    return naru.post("/subscribe/payments/again", given)


def issue_fixed(naru: Live, case: Case) -> Answer:
    case.number = str(next(FIXED))
    return naru.post("/vbanks", issue_of(case))


def issue_unlimited(naru: Live, case: Case) -> Answer:
    case.number = str(next(UNLIMITED))
    return naru.post("/vbanks", issue_of(case, unlimited=True))


def change(naru: Live, case: Case) -> Answer:
    return naru.call("PUT", f"/vbanks/{case.imp_uid}", {"amount": 4_000, "vbank_due": naru.now_s + 5 * 86_400})


def charged(naru: Live, case: Case) -> None:
    """Paid is paid, refused is refused (and whatever was taken all the same went back)."""
    p = find(naru, case)
    assert case.told is not None
    if case.yes:
        assert p is not None
        assert (p["status"], p["imp_uid"]) == ("paid", case.told.response["imp_uid"]), case.fault
    elif case.sure:
        assert p is None or p["status"] == "failed", (case.fault, case.told.message)


def went_back(naru: Live, case: Case) -> None:
    p = find(naru, case)
    assert p is not None
    assert case.told is not None
    back = 1_000 if case.more.get("part", True) else case.amount
    if case.yes:
        assert p["cancel_amount"] == back, case.fault
    elif case.sure:
        assert p["cancel_amount"] == 0, (case.fault, case.told.message)
    else:
        assert p["cancel_amount"] in (0, back), case.fault


def went_back_whole(naru: Live, case: Case) -> None:
    case.more["part"] = False
    went_back(naru, case)


def key_works(naru: Live, case: Case) -> None:
    """A key that the shop was promised charges; one that it was refused does not exist."""
    there = naru.get(f"/subscribe/customers/{case.customer_uid}").code == 0
    assert there is case.yes, case.fault
    assert again(naru, case).code == (0 if case.yes else 1), case.fault


def key_is_gone(naru: Live, case: Case) -> None:
    there = naru.get(f"/subscribe/customers/{case.customer_uid}").code == 0
    assert there is (not case.yes), (case.fault, case.told)
    if there:
        answer = again(naru, case)
        assert (answer.code == 0) or "빌링키" in (answer.message or ""), (case.fault, answer.message)


def takes_deposits(naru: Live, case: Case) -> None:
    """An account that was issued takes a deposit and pays the order; one that was refused takes none."""
    assert case.told is not None
    assert deposit(naru, case) is case.yes, (case.fault, case.told.message)
    naru.sandbox_post("/_sandbox/drain")
    p = find(naru, case)
    assert (p is not None and p["status"] == "paid") is case.yes, case.fault


def takes_the_new_amount(naru: Live, case: Case) -> None:
    assert case.told is not None
    new_amount = case.told.status == 200
    if not new_amount and not case.sure:
        new_amount = (find(naru, case) or {})["amount"] == 4_000
    assert deposit(naru, case, 3_000 if new_amount else 4_000) is False, case.fault
    assert deposit(naru, case, 4_000 if new_amount else 3_000) is True, case.fault
    naru.sandbox_post("/_sandbox/drain")


def takes_nothing(naru: Live, case: Case) -> None:
    p = find(naru, case)
    assert p is not None
    assert case.told is not None
    revoked = case.told.status == 200 if case.sure else p["status"] == "failed"
    assert (p["status"] == "failed") is revoked, (case.fault, case.told.message)
    assert deposit(naru, case) is not revoked, case.fault
    naru.sandbox_post("/_sandbox/drain")


def a_month_later(naru: Live) -> None:
    naru.jump(32 * DAY)


@dataclass(frozen=True)
class Situation:
    """A message in its place: what comes before, what sends it, what must be true in the end."""

    message: str
    prepare: Callable[[Live, str], Case]
    act: Callable[[Live, Case], Answer]
    check: Callable[[Live, Case], None]
    between: Callable[[Live], None] | None = None
    wait_ms: int = 20 * MINUTE
    skip: tuple[str, ...] = ()


SITUATIONS = {
    "a card payment": Situation("M05", new, lambda n, c: n.onetime(merchant_uid=c.merchant_uid), charged),
    "a billing key": Situation("M06", new, issue_key, key_works),
    "a charge of a billing key": Situation("M07", key, again, charged),
    "the deletion of a billing key": Situation(
        "M08", key, lambda n, c: n.call("DELETE", f"/subscribe/customers/{c.customer_uid}"), key_is_gone
    ),
    "a cancel of a card payment": Situation("M09", card, cancel_part, went_back),
    "a cancel of a transfer": Situation("M10", lambda n, f: window(n, f, "trans"), cancel_all, went_back_whole),
    "a cancel of a phone payment": Situation(
        "M11", lambda n, f: window(n, f, "phone", digital=True), cancel_all, went_back_whole
    ),
    "a refund of a phone payment": Situation(
        "M12", lambda n, f: window(n, f, "phone", digital=True),
        lambda n, c: n.post("/payments/cancel", {"imp_uid": c.imp_uid} | REFUND), went_back_whole, a_month_later,
    ),
    "a fixed account": Situation("M13", new, issue_fixed, takes_deposits),
    "an unlimited account": Situation("M14", new, issue_unlimited, takes_deposits),
    "a change of an account": Situation("M15", account, change, takes_the_new_amount),
    "a revocation of an account": Situation(
        "M16", account, lambda n, c: n.call("DELETE", f"/vbanks/{c.imp_uid}"), takes_nothing
    ),
    "a refund of a deposit": Situation("M17", paid_in, refund_part, went_back),
    "a refund of an unlimited deposit": Situation("M17", unlimited, refund_part, went_back, wait_ms=30 * HOUR),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", SITUATIONS)
def test_every_answer_that_can_go_wrong(naru: Live, name: str) -> None:
    here = SITUATIONS[name]
    cases = [here.prepare(naru, f"{fault} {options}") for fault, options in PLAYS]
    naru.sandbox_post("/_sandbox/drain")
    if here.between:
        here.between(naru)
    play(naru, here.message, cases, PLAYS, here.act)
    for case in cases:
        assert case.told is not None
        assert case.told.status < 500, case.fault
    naru.pass_time(here.wait_ms)
    for case in cases:
        here.check(naru, case)
    naru.pass_time(5 * MINUTE)
    check_books(naru, cases)


# ---------------------------------------------------------------- inquiries


@pytest.mark.slow
@pytest.mark.parametrize("cancel", [False, True], ids=["of a payment", "of a cancel"])
def test_every_answer_to_an_inquiry_that_can_go_wrong(naru: Live, cancel: bool) -> None:
    """What was lost is asked about; the answer to the question is lost, wrong or nonsense too."""
    plays = [(name, options) for name, options in PLAYS if name != "late_processing"]
    cases: list[Case] = []
    for fault, options in plays:
        case = card(naru, f"{fault} {options}") if cancel else new(naru, f"{fault} {options}")
        naru.fault("reset_after", message="M09" if cancel else "M05")
        if not cancel:
            naru.fault("noti_lost", message="M20a")
        naru.fault(fault, message="M21", **options)
        case.told = cancel_part(naru, case) if cancel else naru.onetime(merchant_uid=case.merchant_uid)
        cases.append(case)
        naru.pass_time(2 * MINUTE)
        nothing_waits(naru)
    naru.pass_time(20 * MINUTE)
    for case in cases:
        (went_back if cancel else charged)(naru, case)
    check_books(naru, cases)


# ---------------------------------------------------------------- windows


def visit(naru: Live, method: str, case: Case, **params: Any) -> None:
    """A buyer who goes through the window, and may see it break on the way."""
    given: dict[str, Any] = {"merchant_uid": case.merchant_uid, "company": "나루", "company_en": "Naru", **params}
    with suppress(AssertionError, OSError, KeyError):  # KeyError: the callback says that it is being looked for
        if case.fault.startswith("answer_lost") and "channelKey" not in params:
            leave(naru, request_pay(naru, pay_method=method, **given)[1], method)  # waits for ever
        else:
            case.more |= buy(naru, method, **given)


@pytest.fixture(scope="module")
def own_contract(naru: Live) -> str:
    """The key of a channel as a merchant sets it up, with what a real contract says: authentication and approval
    apart for every method, notis of cancels under their own number in EUC-KR, and an answer that must be just OK."""
    mid = "own_splt"
    naru.sandbox_post("/_sandbox/merchants", {"mid": mid, "like": "portone1"})
    agreed = {"split": True, "cancel_noti": True, "noti_number": "request", "charset": "euc-kr", "strict_ok": True}
    naru.sandbox_post(f"/_sandbox/merchants/{mid}", agreed)
    draft = console_channels.Draft(
        environment=Environment.SANDBOX, use=Use.WINDOW, mid=mid, name="우리 계약", hash_key=SANDBOX_HASH_KEY,
        aes_key=SANDBOX_AES_KEY, flags={"split", "partial_cancel", "refund"}, merchant_name="나루",
        merchant_name_en="Naru",
    )  # fmt: skip
    return naru.inside(console_channels.add(naru.parts.cx, Actor(None, "test", "-"), 1, draft))


WINDOWS: dict[str, tuple[str, dict[str, Any]]] = {
    "M01": ("card", {}), "M02": ("trans", {}), "M03": ("vbank", {}), "M04": ("phone", {"digital": True}),
    "M22": ("card", {"channelKey": "channel-key-dev-split"}),
    "M23": ("trans", {"channelKey": "own"}), "M24": ("phone", {"channelKey": "own", "digital": True}),
}  # fmt: skip
IN_A_WINDOW = frozenset(
    {
        *("request_lost", "reset_before", "reset_after", "answer_lost", "delay", "half_body", "http_500"),
        *("unknown_code", "error_code", "wrong_amount", "wrong_ids"),
    }
)
"""What a page that a buyer sees can have of them."""


@pytest.mark.slow
@pytest.mark.parametrize("message", WINDOWS)
def test_every_window_that_can_break(naru: Live, own_contract: str, message: str) -> None:
    """The callback never says paid of what is not, nor failed of what is kept; a noti or an inquiry decides."""
    method, params = WINDOWS[message]
    if params.get("channelKey") == "own":
        params = params | {"channelKey": own_contract}
    plays = PLAYS if message == "M22" else [(name, EXCHANGE[name][0]) for name in sorted(IN_A_WINDOW)]
    cases = [new(naru, f"{fault} {options}") for fault, options in plays]
    if "channelKey" in params:
        play(naru, message, cases, plays, lambda naru, case: visit(naru, method, case, **params))
    else:  # a window has several steps, and the fault of the next buyer is not to meet this one's last
        for case, (fault, options) in zip(cases, plays, strict=True):
            naru.fault(fault, message=message, **options)
            visit(naru, method, case, **params)
            nothing_waits(naru)
    naru.pass_time(20 * MINUTE)
    for case in cases:
        p = find(naru, case)
        if p is None:
            continue
        wanted = ("ready", "paid") if method == "vbank" else ("paid",)
        if case.more.get("success"):
            assert p["status"] in wanted, case.fault
        elif case.more.get("error_code") not in (None, "F1010"):
            assert p["status"] == "failed", (case.fault, case.more)
    check_books(naru, cases)


# ---------------------------------------------------------------- notis

NOTIS: dict[str, list[dict[str, Any]]] = {
    **{name: [{}] for name in faults.NOTI},
    "noti_lost": [{"attempts": 1}, {"attempts": 3}, {}],
    "noti_late": [{"ms": 90_000}],
    "noti_reordered": [{"ms": 90_000}],
}
NOTI_PLAYS = [(name, options) for name, ways in NOTIS.items() for options in ways]


def by_window(method: str) -> Callable[[Live, Case], None]:
    """The buyer pays and never comes back: only the noti tells."""

    def pay(naru: Live, case: Case) -> None:
        more = {"company": "나루", "company_en": "Naru", "digital": True} if method == "phone" else {}
        _, page = request_pay(naru, pay_method=method, merchant_uid=case.merchant_uid, **more)
        leave(naru, page, method)

    return pay


def leave(naru: Live, page: Answer, method: str) -> None:
    """Pay in the window that *page* opens, and close the browser."""
    action, fields = fields_of(page)
    opened = send(naru.sandbox, "POST", action.removeprefix(naru.sandbox), urlencode(fields).encode(), FORM)
    token = opened.headers["location"].removeprefix(naru.sandbox)
    chosen = urlencode(CHOICES[method]).encode()
    assert send(naru.sandbox, "POST", f"{token}/pay", chosen, FORM, timeout_s=1).status == 303


def by_api(naru: Live, case: Case) -> None:
    naru.fault("reset_after", message="M05")
    case.told = naru.onetime(merchant_uid=case.merchant_uid)


def by_deposit(naru: Live, case: Case) -> None:
    assert deposit(naru, case)


def by_free_deposit(naru: Live, case: Case) -> None:
    assert issue_unlimited(naru, case).code == 0
    assert deposit(naru, case)


HEARD: dict[str, tuple[str, Callable[[Live, Case], None]]] = {
    "a card payment over the API": ("M20a", by_api),
    "a card payment in the window": ("M20a", by_window("card")),
    "a transfer": ("M20b", by_window("trans")),
    "a phone payment": ("M20c", by_window("phone")),
    "a deposit": ("M20d", by_deposit),
    "a deposit into an unlimited account": ("M20e", by_free_deposit),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HEARD)
def test_every_noti_that_can_go_wrong(naru: Live, name: str) -> None:
    """Counted once, whatever becomes of its noti; what was altered or forged changes nothing."""
    message, happen = HEARD[name]
    cases = [new(naru, f"{fault} {options}") for fault, options in NOTI_PLAYS]
    for case, (fault, options) in zip(cases, NOTI_PLAYS, strict=True):
        if name == "a deposit":
            assert issue_fixed(naru, case).code == 0
            naru.sandbox_post("/_sandbox/drain")
        naru.fault(fault, message=message, **options)
        happen(naru, case)
        naru.sandbox_post("/_sandbox/drain")
        if fault in ("noti_altered", "noti_forged", "noti_other_mid") and message != "M20a":
            p = find(naru, case)
            assert p is None or p["status"] == "ready", fault
        for _ in range(3):  # what is lost comes again a minute later, and may be lost again
            naru.pass_time(MINUTE + SECOND)
            naru.sandbox_post("/_sandbox/drain")
        nothing_waits(naru)
    naru.pass_time(30 * HOUR)
    lost_for_good = message == "M20e"  # the day's list does not say whose it is: a person is called
    for case in cases:
        if lost_for_good and case.fault == "noti_lost {}":
            continue
        p = find(naru, case)
        assert p is not None
        assert p["status"] == ("failed" if case.told and not case.yes else "paid"), case.fault
        if name.endswith("unlimited account"):
            assert [d["amount"] for d in p["deposit_history"]] == [3_000], case.fault
    check_books(naru, [c for c in cases if not (lost_for_good and c.fault == "noti_lost {}")])


# ---------------------------------------------------------------- lists


@pytest.mark.slow
def test_every_list_that_can_go_wrong(naru: Live) -> None:
    """A day's list that is lost or nonsense is read again; one that differs calls a person and changes nothing."""
    cases: list[Case] = []
    read_at: dict[str, int] = {}
    began = kst_date(naru.now_s * 1000)
    for fault in sorted(faults.EXCHANGE):
        case = card(naru, fault)
        assert cancel_part(naru, case).code == 0
        naru.fault(fault, message="M27", mid="nxca_jt_bi", **EXCHANGE[fault][0])
        naru.fault(fault, message="M28", mid="nxca_jt_bi", **EXCHANGE[fault][0])
        naru.pass_time(DAY)
        nothing_waits(naru)
        read_at[fault] = naru.now_s * 1000
        cases.append(case)
    for case in cases:
        p = find(naru, case)
        assert p is not None
        assert (p["status"], p["cancel_amount"]) == ("cancelled", 1_000), case.fault
    check_books(naru, cases)

    async def compared() -> list[Any]:
        parts = await open_parts(naru.settings)
        try:
            channels = {c.name: c.id for c in await parts.cx.channels(1)}
            days = await parts.db.read(statements.days, 1, began, "20991231")
            return [d for d in days if d.channel_id == channels["API 수기결제 카유"]]
        finally:
            await parts.close()

    days = run_async(compared())
    assert [(d.kind, d.day, d.note) for d in days if d.state != "done"] == []
    differed = {(d.kind, d.day) for d in days if d.only_there + d.only_here + d.different}
    nothing_listed = {(d.kind, d.day) for d in days if not d.n}  # nothing is paid out at weekends
    wrong = [read_at["wrong_amount"], read_at["wrong_ids"]]
    assert differed == {
        *(("trades", kst_date(at - DAY)) for at in wrong), *(("payouts", kst_date(at)) for at in wrong),
    } - nothing_listed  # fmt: skip
    assert sum(d.matched for d in days if d.kind == "payouts") > len(cases)  # all but the last few days'


# ---------------------------------------------------------------- cash receipts

TAX_DESK = {"M29a": "an issue", "M29b": "a cancel", "M29c": "an inquiry"}
BUYER = {"identifier": "01012345678", "identifier_type": "phone", "name": "판매", "amount": 1_000}


@pytest.mark.slow
@pytest.mark.parametrize("message", TAX_DESK, ids=TAX_DESK.values())
def test_every_cash_receipt_that_can_go_wrong(naru: Live, message: str) -> None:
    """A receipt exists at the tax desk exactly where we say so; nobody waits for ever to try again."""
    plays = PLAYS if message != "M29c" else [(name, EXCHANGE[name][0]) for name in EXCHANGE]
    before = max((r["id"] for r in naru.sandbox_get("/_sandbox/receipts")["receipts"]), default=0)
    cases = [new(naru, f"{fault} {options}") for fault, options in plays]

    def act(naru: Live, case: Case) -> Answer:
        path = f"/receipts/external/{case.merchant_uid}"
        if message == "M29b":
            assert naru.post(path, BUYER).code == 0
            return naru.call("DELETE", path)
        if message == "M29c":
            naru.fault("reset_after", message="M29a")
        return naru.post(path, BUYER)

    play(naru, message, cases, plays, act)
    naru.pass_time(20 * MINUTE)
    entered = [r for r in naru.sandbox_get("/_sandbox/receipts")["receipts"] if r["id"] > before]
    gone = {r["orgTransNo"] for r in entered if r["assort"] == "1"}
    there = {r["transNo"] for r in entered if r["assort"] == "0"} - gone
    ours: set[str] = set()
    for case in cases:
        answer = naru.get(f"/receipts/external/{case.merchant_uid}")
        stands = answer.code == 0 and not answer.response["cancelled_at"]
        if stands:
            ours.add(answer.response["receipt_tid"])
        if case.sure:
            assert stands is (case.yes is (message != "M29b")), (case.fault, case.told)
    assert ours == there
    for case in cases:
        path = f"/receipts/external/{case.merchant_uid}"
        assert naru.call("DELETE", path).status in (200, 400, 404), case.fault
        again = naru.post(path, BUYER)
        assert again.code == 0, (case.fault, again.message)


def test_a_cancel_that_only_an_inquiry_proved_is_found_on_the_payout_list(naru: Live) -> None:
    """It has no number of Hecto's, and the payout comes days later."""
    case = card(naru, "reset_after")
    naru.fault("reset_after", message="M09")
    cancel_part(naru, case)
    naru.pass_time(7 * DAY)
    assert naru.get(f"/payments/{case.imp_uid}").response["cancel_history"][0]["pg_tid"] is None

    async def lines() -> list[tuple[str, str, int]]:
        parts = await open_parts(naru.settings)
        try:
            days = await parts.db.read(statements.days, 1, "20200101", "20991231")
            return [(d.kind, d.day, d.only_there + d.only_here) for d in days if d.matched]
        finally:
            await parts.close()

    today = kst_date(naru.now_s * 1000 - 7 * DAY)
    listed = [(kind, wrong) for kind, day, wrong in run_async(lines()) if day >= today]
    assert {kind for kind, _ in listed} == {"trades", "payouts"}
    assert [wrong for _, wrong in listed] == [0] * len(listed)


# ---------------------------------------------------------------- the page


def test_the_sandboxs_page_offers_every_fault(naru: Live) -> None:
    page = send(naru.sandbox, "GET", "/").body.decode()
    assert [name for name in faults.NAMES if f'<option value="{name}">' not in page] == []
