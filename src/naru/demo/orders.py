"""The demo shop's own order book: what the shop was told, and what it found out itself."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec

KST = timezone(timedelta(hours=9))

KEPT_ORDERS = 500
KEPT_EVENTS = 50


def now() -> str:
    """The shop's own wall clock; it decides nothing."""
    return datetime.now(KST).isoformat(timespec="seconds")


class Event(msgspec.Struct):
    """One thing that reached the shop, word for word."""

    at: str
    how: str
    """`callback`, `redirect` or `webhook`."""
    body: dict[str, Any]


class Order(msgspec.Struct):
    """An order; amounts in won. `payment` is the gateway's own answer, the only thing that the shop believes."""

    merchant_uid: str
    goods: str
    name: str
    quantity: int
    amount: int
    created_at: str
    browser: list[Event] = msgspec.field(default_factory=list[Event])
    webhooks: list[Event] = msgspec.field(default_factory=list[Event])
    payment: dict[str, Any] | None = None
    looked_up_at: str | None = None
    trouble: str | None = None
    """Why the last look-up or cancel did not work."""
    version: int = 0
    """Grows with every change, so that an open page can notice."""

    @property
    def state(self) -> str:
        """`open`, `paid`, `waiting` (account issued), `partly`, `cancelled`, `failed` or `wrong`.

        The rule that every shop needs: status and amount as the gateway says, never as the browser says.
        """
        payment = self.payment
        if payment is None:
            return "failed" if any(event.body.get("imp_uid") is None for event in self.browser[-1:]) else "open"
        if payment["merchant_uid"] != self.merchant_uid or payment["amount"] != self.amount:
            return "wrong"
        match payment["status"]:
            case "paid":
                return "paid"
            case "ready":
                return "waiting" if payment["vbank_num"] else "open"
            case "cancelled":
                return "cancelled" if payment["cancel_amount"] >= payment["amount"] else "partly"
            case _:
                return "failed"

    @property
    def left(self) -> int:
        """Won that can still be given back."""
        payment = self.payment
        return payment["amount"] - payment["cancel_amount"] if payment and self.state in {"paid", "partly"} else 0

    @property
    def fail_reason(self) -> str | None:
        """What to tell the buyer, from the gateway if it knows the payment, else from the browser."""
        if self.payment is not None:
            return self.payment["fail_reason"]
        return self.browser[-1].body.get("error_msg") if self.browser else None

    def believe(self, payment: dict[str, Any]) -> None:
        """Takes in a looked-up payment; an unsuccessful try never replaces one that moved money."""
        known = self.payment
        if known is not None and known["imp_uid"] != payment["imp_uid"] and known["status"] in {"paid", "cancelled"}:
            return
        self.payment = payment
        self.trouble = None


class OrderBook:
    """Orders by number, in one JSON file that is rewritten at every change; enough for a demo."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._orders: dict[str, Order] = {}
        if path is not None and path.exists():
            orders = msgspec.json.decode(path.read_bytes(), type=list[Order])
            self._orders = {order.merchant_uid: order for order in orders}

    def begin(self, goods: str, name: str, quantity: int, amount: int) -> Order:
        """A new order, numbered by the shop."""
        at = now()
        number = f"hp{at[2:4]}{at[5:7]}{at[8:10]}-{secrets.token_hex(4)}"
        order = Order(number, goods, name, quantity, amount, at)
        self._orders[number] = order
        while len(self._orders) > KEPT_ORDERS:
            del self._orders[next(iter(self._orders))]
        self.save(order)
        return order

    def find(self, merchant_uid: str) -> Order | None:
        return self._orders.get(merchant_uid)

    def newest_first(self) -> list[Order]:
        return list(reversed(self._orders.values()))

    def save(self, order: Order) -> None:
        order.version += 1
        del order.browser[:-KEPT_EVENTS], order.webhooks[:-KEPT_EVENTS]
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(list(self._orders.values())))
        fresh.replace(self._path)
