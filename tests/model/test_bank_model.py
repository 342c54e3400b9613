"""One account of each kind over real HTTP, between a shop and the sandbox's bank with its own book.

The shop issues, changes, revokes and refunds; people pay in what they like; the bank takes a deposit back; notis
come late, twice, in any order or never; answers get lost, our process dies, time passes, banks close.
After every step the API claims no won that the bank's book does not hold, and what it once said it does not
take back. When the faults stop and the morning's reconciliation is over, deposits minus refunds are the same
on both sides, account by account.
"""

from __future__ import annotations

import itertools
import os
import sys
import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from naru.clock import SystemClock
from naru.domain.channel import Environment, Use
from naru.domain.values import DAY, HOUR, MINUTE, SECOND, kst_midnight
from naru.domain.vbank import closed
from naru.service import doctor, setup
from naru.store import mail, stores
from tests.live import Answer, Hook, Live, listening, live, send

REFUND = {"refund_holder": "홍길동", "refund_bank": "004", "refund_account": "12345678901234"}
NUMBERS = {"fixed": "2022004000007", "unlimited": "2022011000077"}
LIKE = {"rotating": "nx_mid_il", "fixed": "nxva_fix", "unlimited": "nxva_fix2"}
KINDS = st.sampled_from(["unlimited", "fixed", "rotating"])
AMOUNTS = st.sampled_from([1_000, 2_000])
FAULTS = st.sampled_from(
    [""] * 14
    + ["request_lost", "reset_before", "reset_after", "answer_lost", "half_body", "http_500", "http_500 before",
       "unknown_code", "error_code", "wrong_hash", "wrong_amount", "noti_early"]
)  # fmt: skip
LOST_ANSWERS = st.sampled_from(["", "reset_after", "half_body", "http_500 twice", "half_body twice", "unknown_code"])
DEATHS = st.sampled_from([""] * 6 + ["asked", "answered"])
WHICH = st.integers(0, 9)
PROMPT = st.sampled_from([True, False])
TROUBLE: dict[str, Any] = {"fault": FAULTS | LOST_ANSWERS, "death": DEATHS, "prompt": PROMPT}
STEPS: dict[str, tuple[int, dict[str, st.SearchStrategy[Any]]]] = {
    "pay_in": (
        4, {"kind": KINDS, "off": st.sampled_from([0, 0, 0, -1, 1]), "simulator": st.booleans(), "prompt": PROMPT}
    ),
    "refund": (
        4,
        {"kind": KINDS, "share": st.sampled_from(["most", "1", "all", "most", "1", "too much"]),
         "stale": st.sampled_from([False] * 5 + [True]), **TROUBLE},
    ),
    "a_noti_arrives": (3, {"which": WHICH, "twice": st.booleans()}),
    "change": (2, {"kind": KINDS, "amount": AMOUNTS, "hours": st.sampled_from([48, 1]), **TROUBLE}),
    "issue": (2, {"kind": KINDS, "amount": AMOUNTS, "soon": st.booleans(), "same_order": st.booleans(), **TROUBLE}),
    "time_passes": (
        2, {"ms": st.sampled_from([MINUTE, 15 * MINUTE, 3 * HOUR, 11 * HOUR]), "fault": FAULTS, "prompt": PROMPT}
    ),
    "revoke": (2, {"kind": KINDS, **TROUBLE}),
    "the_bank_takes_a_deposit_back": (2, {"prompt": PROMPT}),
    "a_noti_comes_again": (1, {"which": WHICH}),
    "a_noti_is_lost": (2, {"which": WHICH}),
}  # fmt: skip
"""What may happen, how often, and how. (As rules of their own, Hypothesis would leave most of them out of an example.)
"""
ONE_OF_THEM = st.one_of(
    *[
        st.tuples(st.just(name), st.fixed_dictionaries(how))
        for name, (weight, how) in STEPS.items()
        for _ in range(weight)
    ]
)


class Died(BaseException):
    """The process is gone at a named point."""


@dataclass
class Postman:
    """Takes what the bank sends and brings it when the test says; the bank's question he asks at once."""

    url: str = ""
    gateway: str = ""
    prompt: bool = False
    held: list[Hook] = field(default_factory=list)
    heard: list[Hook] = field(default_factory=list)
    """What the gateway has answered OK to."""

    def bring(self, letter: Hook) -> None:
        """One delivery; what is not answered OK is kept for another try, as Hecto does."""
        got = self._pass_on(letter)
        (self.heard if (got.status, got.body) == (200, b"OK") else self.held).append(letter)

    def _pass_on(self, letter: Hook) -> Answer:
        return send(self.gateway, "POST", letter.path, letter.body, {"Content-Type": letter.content_type})

    def take(self, letter: Hook) -> tuple[int, bytes, str]:
        """What the bank hears."""
        if "precheck" in letter.path:
            got = self._pass_on(letter)
            return got.status, got.body, got.headers["content-type"]
        if self.prompt:
            self.bring(letter)
        else:
            self.held.append(letter)
        return 200, b"OK", "text/plain"


@contextmanager
def postman() -> Generator[Postman]:
    """A postman at work."""
    made = Postman()
    with listening(made.take) as made.url:
        yield made


@dataclass
class Held:
    """What one account holds: KRW in and out, by the numbers of the deposits and refunds."""

    kind: str = ""
    came: dict[str, int] = field(default_factory=dict)
    went: dict[str, int] = field(default_factory=dict)
    rounds: dict[str, list[int]] = field(default_factory=dict)
    amount: int = 0
    revoked: bool = False

    @property
    def left(self) -> int:
        return sum(self.came.values()) - sum(self.went.values())


class BankMachine(RuleBasedStateMachine):
    """The life of one rotating, one fixed and one unlimited account's holder."""

    naru: Live
    post: Postman
    examples: itertools.count[int]

    def __init__(self) -> None:
        super().__init__()
        self.number = next(self.examples)
        self.failed = False
        self.orders: list[str] = []
        self.mids: dict[str, str] = {}
        self.told_failed: set[str] = set()
        self.told_gone: set[str] = set()
        self.seen: dict[str, dict[str, Any]] = {}
        self.post.held.clear()
        self.post.heard.clear()
        self.naru.sandbox_post("/_sandbox/faults/clear")
        self.new_morning()
        for kind, like in LIKE.items():
            self.open_channel(kind, like)

    @initialize(
        kinds=st.sampled_from([(), ("unlimited",), ("fixed", "unlimited"), tuple(LIKE), tuple(LIKE)]), amount=AMOUNTS
    )
    def some_have_accounts(self, kinds: tuple[str, ...], amount: int) -> None:
        print(f"{self.number}: {kinds} {amount}")
        with self.watched():
            for kind in kinds:
                self.issue(kind, amount, fault="", death="", prompt=True, soon=False, same_order=False)

    @rule(step=ONE_OF_THEM)
    def something_happens(self, step: tuple[str, dict[str, Any]]) -> None:
        name, how = step
        print(f"{self.number}: {step}")
        with self.watched():
            getattr(self, name)(**how)

    @contextmanager
    def watched(self) -> Generator[None]:
        """After a failure the end is not looked at: it would only hide what failed first.

        It is printed, too: real time passes here, so that Hypothesis may not see it fail a second time.
        """
        self.failed = True
        try:
            yield
        except Exception:
            traceback.print_exc(file=sys.stdout)
            raise
        self.failed = False

    # ── the set-up ──

    def new_morning(self) -> None:
        clock = self.naru.parts.cx.clock
        assert isinstance(clock, SystemClock)
        self.naru.jump(kst_midnight(clock()) + DAY + 10 * HOUR - clock())

    def open_channel(self, kind: str, like: str) -> None:
        """Each example has MIDs and channels of its own, so that it cannot lean on another's."""
        mid = self.mids[kind] = f"{kind[0]}{self.number:05}"
        self.naru.sandbox_post("/_sandbox/merchants", {"mid": mid, "like": like})
        self.naru.sandbox_post(f"/_sandbox/merchants/{mid}", {"reversal_noti": True})
        number = NUMBERS.get(kind, "")
        self.naru.inside(
            setup.add_channel(
                self.naru.parts.cx, store_id=1, name=mid, environment=Environment.SANDBOX, mid=mid, use=Use.API,
                hash_key=None, aes_key=None, key=mid, accounts=[f"{number[4:7]}:{number}"] if number else [],
                flags={"partial_cancel": True, "refund": True, "vbank_api": True, f"{kind}_account": True},
            )
        )  # fmt: skip

    # ── both sides ──

    @property
    def now(self) -> int:
        return self.naru.parts.cx.clock()

    def bank(self) -> dict[str, Held]:
        """The bank's own book, by the order number of the issue."""
        mine = set(self.mids.values())
        rows = self.naru.sandbox_get("/_sandbox/transactions?limit=500")["transactions"]
        rows = [r for r in reversed(rows) if r["mid"] in mine]
        found: dict[str, Held] = {}
        order_of: dict[str, str] = {}
        for r in rows:
            if r["kind"] == "account":
                kind = r["detail"]["acntType"]
                found[r["mchtTrdNo"]] = Held(kind, amount=r["amount"])
                order_of[r["trdNo"]] = r["mchtTrdNo"]
                if r["state"] == "done":
                    found[r["mchtTrdNo"]].came[r["trdNo"]] = r["amount"]
            elif r["kind"] == "deposit":
                order_of[r["trdNo"]] = order_of[r["orgTrdNo"]]
                found[order_of[r["trdNo"]]].came[r["trdNo"]] = r["amount"]
            elif r["kind"] == "cancel":
                held = found[order_of[r["orgTrdNo"]]]
                held.went[r["trdNo"]] = r["amount"]
                held.rounds.setdefault(r["orgTrdNo"], []).append(r["cnclOrd"])
            elif r["kind"] == "revoke":
                found[order_of[r["orgTrdNo"]]].revoked = True
        return found

    def api(self) -> dict[str, dict[str, Any]]:
        """What the shop is told about its payments."""
        found: dict[str, dict[str, Any]] = {}
        for order in self.orders:
            answer = self.naru.get(f"/payments/findAll/{order}?limit=100")
            if answer.status == 200:
                found |= {p["imp_uid"]: p for p in answer.response["list"]}
        return found

    def came(self, p: dict[str, Any], bank: dict[str, Held]) -> int:
        """The deposits that the API tells of, in KRW."""
        if bank[p["imp_uid"]].kind == "3":
            return sum(d["amount"] for d in p["deposit_history"])
        return p["amount"] if p["paid_at"] else 0

    def alarms(self) -> list[Any]:
        return self.naru.inside(self.naru.parts.cx.db.read(mail.open_alarms))

    def ask(self, fault: str, death: str, prompt: bool, method: str, path: str, given: dict[str, Any]) -> Answer | None:
        """A call of the shop while the other side and our own process misbehave. None: no answer came."""

        def die(point: str) -> None:
            if point == death:
                raise Died

        self.misbehave(fault)
        self.naru.parts.cx.crash, self.post.prompt = die, prompt
        before = self.bank() if closed(self.now) else None
        try:
            answer = self.naru.call(method, path, given)
        finally:
            self.naru.parts.cx.crash, self.post.prompt = (lambda _point: None), False
            self.naru.sandbox_post("/_sandbox/faults/clear")
        self.naru.sandbox_post("/_sandbox/drain")
        if before is not None:
            assert answer.code != 0, "banks are closed"
            assert self.bank() == before
        died = answer.status == 500 and b"Internal Server Error" in answer.body
        assert died or answer.status != 500, answer.body
        return None if died else answer

    def misbehave(self, fault: str) -> None:
        """The next answer of the other side is like that (``before`` it has done anything), or the next two."""
        name, _, how = fault.partition(" ")
        if name:
            self.naru.fault(name, where=how if how == "before" else "", times=2 if how == "twice" else 1)

    def ours(self, kind: str) -> dict[str, Any] | None:
        """The shop's newest payment of a kind."""
        mine = [p for p in self.api().values() if p["pg_id"] == self.mids[kind]]
        return max(mine, key=lambda p: (p["started_at"], p["imp_uid"]), default=None)

    # ── the shop ──

    def issue(self, kind: str, amount: int, fault: str, death: str, prompt: bool, soon: bool, same_order: bool) -> None:
        if not (same_order and self.orders):
            self.orders.append(f"m{self.number}-{len(self.orders)}")
        # A number that is given back and out again within a second has two owners, as far as notis tell the time.
        self.naru.jump(SECOND)
        given = {
            "merchant_uid": self.orders[-1], "amount": amount, "vbank_holder": "나루", "channel_key": self.mids[kind],
            "fixed_unlimited_vbank": kind == "unlimited", "vbank_num": NUMBERS.get(kind),
            "vbank_code": "011" if kind == "rotating" else None,
            "vbank_due": self.now // 1000 + 2 * 3600 if soon and kind != "unlimited" else None,
        }  # fmt: skip
        known = set(self.api())
        answer = self.ask(fault, death, prompt, "POST", "/vbanks", {k: v for k, v in given.items() if v is not None})
        made = set(self.api()) - known
        if answer is None:
            return
        if answer.code == 0:
            assert made == {answer.response["imp_uid"]}
            assert made <= set(self.bank())
        else:
            self.told_failed |= made

    def change(self, kind: str, amount: int, hours: int, fault: str, death: str, prompt: bool) -> None:
        if (p := self.ours(kind)) is None:
            return
        due = self.now // 1000 + hours * 3600
        given = {"imp_uid": p["imp_uid"], "amount": amount, "vbank_due": due}
        answer = self.ask(fault, death, prompt, "PUT", "/vbanks", given)
        if answer is not None and answer.code == 0:
            told = answer.response
            assert told["vbank_date"] == due
            assert told["amount"] == (0 if kind == "unlimited" else amount) == self.bank()[p["imp_uid"]].amount

    def revoke(self, kind: str, fault: str, death: str, prompt: bool) -> None:
        if (p := self.ours(kind)) is None:
            return
        held = self.bank().get(p["imp_uid"], Held())
        answer = self.ask(fault, death, prompt, "DELETE", f"/vbanks/{p['imp_uid']}", {})
        if answer is not None and answer.code != 0 and not held.revoked and held != Held():
            gone = self.bank()[p["imp_uid"]].revoked
            assert not gone or "확인하고 있습니다" in (answer.message or ""), "what happened was told as refused"
        if answer is not None and answer.code == 0:
            assert self.bank()[p["imp_uid"]].revoked
            assert answer.response["status"] == ("cancelled" if kind == "unlimited" else "failed")
            self.told_gone.add(p["imp_uid"])

    def refund(self, kind: str, share: str, stale: bool, fault: str, death: str, prompt: bool) -> None:
        before = self.bank()
        mine = [p for k in (kind, *LIKE) if (p := self.ours(k)) is not None and p["imp_uid"] in before]
        paid = [p for p in mine if self.came(p, before) > p["cancel_amount"]]
        if not mine:
            return
        p = (paid or mine)[0]
        known = self.came(p, before) - p["cancel_amount"]
        amount = {"1": 1, "most": max(1, known - 1), "all": known, "too much": known + 1}[share]
        given = {
            "imp_uid": p["imp_uid"], "amount": amount, "checksum": known + (1 if stale else 0), **REFUND,
            **({"pg_tid": p["deposit_history"][0]["pg_tid"]} if p["deposit_history"] else {}),
        }  # fmt: skip
        answer = self.ask(fault, death, prompt, "POST", "/payments/cancel", given)
        after = self.bank()
        went = before[p["imp_uid"]].left - after[p["imp_uid"]].left
        if went and answer is not None and answer.code != 0:
            assert "확인하고 있습니다" in (answer.message or ""), "what happened was told as refused"
        if known == 0 and before[p["imp_uid"]].left:
            return  # money that paid nothing (not the amount, or after "failed"): it may go back
        if known == 0 or stale or share == "too much":
            assert went == 0, "a refund that had to be refused"
            assert answer is None or answer.code != 0
        elif answer is not None and answer.code == 0 and answer.response["cancel_amount"] > p["cancel_amount"]:
            assert sum(after[p["imp_uid"]].went.values()) >= answer.response["cancel_amount"]

    # ── people and the bank ──

    def pay_in(self, kind: str, off: int, simulator: bool, prompt: bool) -> None:
        p = self.ours(kind)
        number = (p or {}).get("vbank_num") or NUMBERS.get(kind)
        if number is None:
            return
        held = self.bank().get((p or {}).get("imp_uid", ""))
        amount = (held.amount if held and held.amount else 1_000) + off
        self.post.prompt = prompt
        try:
            given = {"account": number, "mid": self.mids[kind], "amount": amount, "exact": not simulator}
            got = self.naru.sandbox_post("/_sandbox/deposits", given)
            self.naru.sandbox_post("/_sandbox/drain")
        finally:
            self.post.prompt = False
        if p is not None and p["imp_uid"] in self.told_gone:
            assert got["outcome"] == "refused", "money into an account that was given back"

    def the_bank_takes_a_deposit_back(self, prompt: bool) -> None:
        mine = set(self.mids.values())
        rows = self.naru.sandbox_get("/_sandbox/deposits")["deposits"]
        took = next((r for r in rows if r["mid"] in mine and r["outcome"] == "accepted"), None)
        if took is None:
            return
        self.post.prompt = prompt
        try:
            send(self.naru.sandbox, "POST", f"/_sandbox/deposits/{took['id']}/reverse", b"{}")
            self.naru.sandbox_post("/_sandbox/drain")
        finally:
            self.post.prompt = False

    def a_noti_arrives(self, which: int, twice: bool) -> None:
        if not self.post.held:
            return
        letter = self.post.held.pop(which % len(self.post.held))
        self.post.bring(letter)
        if twice and letter in self.post.heard:
            self.post.bring(letter)

    def a_noti_is_lost(self, which: int) -> None:
        """For good, that of a deposit which the bank took back (Hecto sends it on request only) like any other."""
        moved = [x for x in self.post.held if x.fields["bizType"] in ("B1", "B2")]
        if losable := moved or self.post.held:
            letter = losable[which % len(losable)]
            self.post.held = [x for x in self.post.held if x is not letter]

    def a_noti_comes_again(self, which: int) -> None:
        if self.post.heard:
            self.post.bring(self.post.heard[which % len(self.post.heard)])

    def time_passes(self, ms: int, fault: str, prompt: bool) -> None:
        self.misbehave(fault)
        self.post.prompt = prompt
        try:
            self.naru.pass_time(ms)
        finally:
            self.post.prompt = False
            self.naru.sandbox_post("/_sandbox/faults/clear")
        self.naru.sandbox_post("/_sandbox/drain")

    # ── what always holds ──

    @invariant()
    def both_books_stand(self) -> None:
        with self.watched():
            self.the_api_claims_nothing_that_the_bank_does_not_hold()
            self.what_was_answered_ok_is_known()

    def the_api_claims_nothing_that_the_bank_does_not_hold(self) -> None:
        bank, api = self.bank(), self.api()
        assert self.naru.complaints == []
        for uid, p in api.items():
            old = self.seen.get(uid, p)
            self.seen[uid] = p
            for name in ("deposit_history", "cancel_history"):
                assert all(item in p[name] for item in old[name]), f"{name} forgot something"
            assert p["cancel_amount"] == sum(c["amount"] for c in p["cancel_history"])
            if old["status"] == "cancelled":
                assert p["status"] == "cancelled"
            if uid not in bank:
                assert (p["deposit_history"], p["cancel_history"], p["paid_at"]) == ([], [], 0)
                continue
            held = bank[uid]
            if held.kind == "3":
                assert p["amount"] == 0
                assert all(held.came.get(d["pg_tid"]) == d["amount"] for d in p["deposit_history"])
            else:
                assert p["deposit_history"] == []
                assert not p["paid_at"] or list(held.came.values()) == [p["amount"]]
            named = {**held.came, **held.went}  # a reversal carries its deposit's number
            assert all(named[c["pg_tid"]] == c["amount"] for c in p["cancel_history"] if c["pg_tid"])
            assert p["cancel_amount"] <= sum(held.went.values())
            assert all(rounds == list(range(1, len(rounds) + 1)) for rounds in held.rounds.values())
            assert self.came(p, bank) >= p["cancel_amount"] or self.wrong_amount_was_called_out(uid)

    def what_was_answered_ok_is_known(self) -> None:
        bank, api = self.bank(), self.api()
        for letter in self.post.heard:
            said = letter.fields
            if said["bizType"] == "B2":
                uid = next(u for u, h in bank.items() if said["trdNo"] in h.came)
                back = api[uid]["cancel_amount"]
                assert back >= bank[uid].came[said["trdNo"]] or self.wrong_amount_was_called_out(uid)
            if said["bizType"] != "B1":
                continue
            uid = next(u for u, h in bank.items() if said["trdNo"] in h.came)
            p = api[uid]
            if bank[uid].kind == "3":
                assert said["trdNo"] in {d["pg_tid"] for d in p["deposit_history"]}
            else:
                assert p["paid_at"] or self.wrong_amount_was_called_out(uid)

    def wrong_amount_was_called_out(self, uid: str) -> bool:
        """A reversal that is heard of before its deposit calls a person about both."""
        return any(a.kind in ("deposit_mismatch", "reversal") and a.imp_uid == uid for a in self.alarms())

    # ── in the end ──

    def teardown(self) -> None:
        self.naru.sandbox_post("/_sandbox/faults/clear")
        if not self.failed:
            print(f"{self.number}: the end")
            with self.watched():
                self.let_everything_end()
                self.both_books_agree()
        self.close_channels()

    def let_everything_end(self) -> None:
        """Every noti that is not lost arrives (again), and the morning comes with its lists."""
        for letter in [*self.post.held, *self.post.heard]:
            self.post.held = [x for x in self.post.held if x is not letter]
            self.post.bring(letter)
        self.what_was_answered_ok_is_known()
        self.post.prompt = True
        self.naru.pass_time(kst_midnight(self.now) + DAY + 7 * HOUR - self.now)
        for letter in list(self.post.held):
            self.post.held.remove(letter)
            self.post.bring(letter)
        self.naru.sandbox_post("/_sandbox/drain")
        self.naru.pass_time(15 * MINUTE)
        self.post.prompt = False
        assert self.post.held == []

    def both_books_agree(self) -> None:
        bank, api = self.bank(), self.api()
        assert set(bank) <= set(api)
        unlimited = [u for u, h in bank.items() if h.kind == "3"]
        for uid, held in bank.items():
            p = api[uid]
            came = self.came(p, bank)
            if held.kind != "3" and held.came and not p["paid_at"]:
                assert self.wrong_amount_was_called_out(uid)
                continue
            missing = set(held.came) - {d["pg_tid"] for d in p["deposit_history"]} if held.kind == "3" else set[str]()
            if missing and len(unlimited) > 1:
                # The list does not tell which of several accounts a deposit came into: a person is called by name.
                strays = [a.text for a in self.alarms() if a.kind == "stray_deposit"]
                assert all(any(tid in text for text in strays) for tid in missing)
                continue
            assert came - p["cancel_amount"] == held.left
            assert (came, p["cancel_amount"]) == (sum(held.came.values()), sum(held.went.values()))
            assert sum(h.fields["imp_uid"] == uid for h in self.naru.shop.hooks) >= len(held.came)
            if uid in self.told_failed and not held.came:
                assert held.revoked, "an account that the shop heard had not been issued"
        problems = [p for p in self.naru.inside(doctor.examine(self.naru.parts.cx)) if p.imp_uid in api]
        assert problems == []

    def close_channels(self) -> None:
        """Or every later morning reads their lists as well."""
        cx = self.naru.parts.cx
        for channel in self.naru.inside(cx.channels(1)):
            if channel.mid in self.mids.values():
                self.naru.inside(cx.db.write(stores.set_channel_disabled, channel.id, cx.clock()))
        cx.forget()


@pytest.fixture
def machine(migrated_sqlite: Path, database_url: str, tmp_path: Path) -> Iterator[type[BankMachine]]:
    with (
        postman() as post,
        live(
            migrated_sqlite, tmp_path / "live", database_url=database_url, public_url=post.url, run_jobs=False,
            pg_read_s=0.6, budget_s=2.0, log_level="critical",
        ) as naru,
    ):  # fmt: skip
        post.gateway = naru.url

        class Machine(BankMachine):
            pass

        drawn = itertools.count(1)
        naru.parts.cx.digits = lambda count: str(next(drawn)).zfill(count)[-count:]
        Machine.naru, Machine.post, Machine.examples = naru, post, itertools.count(1)
        yield Machine


@pytest.mark.slow
def test_deposits_less_refunds_are_what_the_bank_says(machine: type[BankMachine], dialect: str) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=int(os.environ.get("NARU_MODEL_EXAMPLES", "10")) if dialect == "sqlite" else 3,
            stateful_step_count=15,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes: allow it by hand
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )
