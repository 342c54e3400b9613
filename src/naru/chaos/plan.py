"""What a campaign does, drawn from its seed: orders, cancels, faults, deaths. The same seed draws the same plan."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

WIRE_FAULTS = (
    "request_lost", "reset_before", "reset_after", "answer_lost", "half_body", "euc_kr", "http_500", "unknown_code",
    "error_code", "wrong_amount", "wrong_ids", "wrong_hash", "late_processing", "noti_early", "delay",
)  # fmt: skip
NOTI_FAULTS = (
    "noti_lost",
    "noti_doubled",
    "noti_late",
    "noti_reordered",
    "noti_altered",
    "noti_forged",
    "noti_other_mid",
)
KINDS = ("card", "card", "card", "card", "window", "window", "account", "unlimited", "subscription")
"""``card``: over the API; ``window``: the buyer's browser; ``account`` and ``unlimited``: a fixed virtual account;
``subscription``: a billing key, a charge and schedules."""
METHODS = ("card", "card", "trans", "phone", "vbank")
BUYERS = ("approve", "approve", "approve", "approve", "approve", "decline", "close", "leave")
MESSAGES = (
    *("M05", "M05", "M05", "M09", "M09", "M09", "M21", "M21", "M01", "M02", "M03", "M04"),
    *("M06", "M07", "M07", "M10", "M11", "M13", "M13", "M14", "M16", "M17", "M17", "M27"),
)
"""What the faults are for: the messages that move money more often than the rest."""
CRASH_POINTS = ("asked", "answered", "settling", "delivered", "letter stored")
ROUND = 24
"""Orders of one round; they are made side by side."""
SHARES = ("all", "rest", "half", "third", "small")
PARTIAL_LEAST = 100
"""The least that is cancelled of a card payment unless it is the rest (KRW)."""


@dataclass(frozen=True, slots=True)
class CancelPlan:
    """A cancel that the shop wants once, however often it has to ask."""

    share: str
    style: str
    """``key``: with an Idempotency-Key, repeated when nothing is heard; ``checksum``: with what should be left,
    repeated; ``plain``: asked once and never repeated."""
    twins: int
    pause_s: float


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """An order that is to be paid once, however often it is asked for."""

    merchant_uid: str
    amount: int
    good_card: bool
    twins: int
    """How many requests race for it."""
    again: bool
    """The shop tries once more after it heard "failed"."""
    start_s: float
    cancels: tuple[CancelPlan, ...]
    kind: str = "card"
    method: str = "card"
    """In a window."""
    buyer: str = "approve"
    """What the buyer does in the window."""
    returns: bool = True
    """The buyer's browser comes back from the window."""
    number: int = 0
    """Which of the assigned account numbers."""
    deposits: tuple[float, ...] = ()
    """So long (s) before each deposit into the account."""
    revoke: bool = False
    """The shop gives the account up before the last deposit, or the first schedule."""
    schedules: tuple[int, ...] = ()
    """Charges booked so many seconds ahead."""


@dataclass(frozen=True, slots=True)
class Kill:
    """kill -9 of one process, so long after the round began; for gateway and worker perhaps at a named point."""

    victim: str
    after_s: float
    next_crash_at: str
    """What the process that takes its place is told: a crash point, or nothing."""


@dataclass(frozen=True, slots=True)
class Round:
    """Orders side by side, with what happens to them meanwhile."""

    orders: tuple[OrderPlan, ...]
    faults: tuple[dict[str, Any], ...]
    kills: tuple[Kill, ...]
    hook_statuses: tuple[int, ...]
    """What the shop answers to its next webhooks; 0: it hangs up."""
    then_ms: int
    """How much time passes before the next round."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole campaign."""

    seed: int
    rounds: tuple[Round, ...] = field(default_factory=tuple)

    @property
    def orders(self) -> int:
        """How many orders there are."""
        return sum(len(r.orders) for r in self.rounds)


def draw(seed: int, orders: int, victims: tuple[str, ...]) -> Plan:
    """Draw a campaign. *victims* are the processes there are."""
    dice = random.Random(seed)  # noqa: S311 - reproducible on purpose
    rounds: list[Round] = []
    made = 0
    while made < orders:
        count = min(ROUND, orders - made)
        rounds.append(_round(dice, made, count, victims))
        made += count
    return Plan(seed, tuple(rounds))


def _round(dice: random.Random, first: int, count: int, victims: tuple[str, ...]) -> Round:
    orders = tuple(_order(dice, first + i) for i in range(count))
    # A trade that appears after it was denied twice *and* whose noti never comes can only be found by the daily
    # reconciliation, so a round has the one or the other.
    late = dice.random() < 0.5
    faults = tuple(_fault(dice, late=late) for _ in range(dice.randint(0, count)))
    kills: list[Kill] = []
    for _ in range(dice.choice((0, 1, 1, 1, 2))):
        victim = dice.choice(victims)
        point = ""
        if victim != "sandbox" and victim != "database" and dice.random() < 0.5:
            point = f"{dice.choice(CRASH_POINTS)}:{dice.randint(1, 12)}"
        kills.append(Kill(victim, round(dice.uniform(0.1, 3.0), 2), point))
    statuses = tuple(dice.choice((200, 200, 500, 0, 429)) for _ in range(dice.randint(0, 8)))
    return Round(orders, faults, tuple(kills), statuses, dice.choice((0, 30_000, 180_000, 3_600_000)))


def _order(dice: random.Random, number: int) -> OrderPlan:
    cancels = tuple(
        CancelPlan(
            share=dice.choice(SHARES),
            style=dice.choice(("key", "checksum", "plain")),
            twins=dice.choice((1, 1, 1, 2)),
            pause_s=round(dice.uniform(0, 0.6), 2),
        )
        for _ in range(dice.choice((0, 0, 1, 1, 2, 3)))
    )
    kind = dice.choice(KINDS)
    return OrderPlan(
        merchant_uid=f"chaos-{number}",
        amount=dice.choice((1000, 1004, 3000, 12_345, 99_000)),
        good_card=dice.random() < 0.92,
        twins=dice.choice((1, 1, 1, 1, 2, 3)),
        again=dice.random() < 0.5,
        start_s=round(dice.uniform(0, 2.0), 2),
        cancels=cancels,
        kind=kind,
        method=dice.choice(METHODS),
        buyer=dice.choice(BUYERS),
        returns=dice.random() < 0.6,
        number=number,
        deposits=tuple(round(dice.uniform(0, 1.5), 2) for _ in range(dice.choice((0, 1, 1, 2, 3)))),
        revoke=dice.random() < 0.25,
        schedules=tuple(dice.choice((5, 30, 600, 7_200)) for _ in range(dice.choice((1, 1, 2)))),
    )


def _fault(dice: random.Random, *, late: bool) -> dict[str, Any]:
    if dice.random() < 0.3:
        name = dice.choice(NOTI_FAULTS)
        fault: dict[str, Any] = {"name": name}
        if name == "noti_lost":
            fault["attempts"] = dice.choice((1, 3) if late else (0, 1, 3))
        if name in ("noti_late", "noti_reordered"):
            fault["ms"] = dice.choice((200, 90_000))
        return fault
    name = dice.choice(WIRE_FAULTS)
    fault = {"name": name, "message": dice.choice(MESSAGES)}
    if name == "error_code":
        code = dice.choice(("CA31", "VTIM"))
        fault |= {"code": code, "where": "before" if code == "CA31" else dice.choice(("before", "after"))}
    if name in ("http_500", "unknown_code"):
        fault["where"] = dice.choice(("before", "after"))
    if name == "late_processing":
        ms = dice.choice((500, 45_000, 100_000) if late else (500, 45_000))
        fault |= {"after_inquiry": dice.random() < 0.5, "ms": ms}
    if name == "delay":
        fault |= {"ms": dice.choice((300, 2_500)), "where": dice.choice(("before", "after"))}
    return fault
