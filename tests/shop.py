"""A shop for tests: the development store on a fresh database, a clock that stands still, the fake gateway.

Tests build what they need through use cases, not through SQL.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from naru.clock import ManualClock
from naru.domain.payment import Payment
from naru.jobs.deliver import Sender
from naru.jobs.worker import Runner
from naru.pan import Card, CardNumber, CardSecret
from naru.service import notices, setup, vbank
from naru.service.cancel import Cancelled, CancelOrder, cancel
from naru.service.context import Context, random_digits
from naru.service.keyin import CardOrder, Charged, pay_once
from naru.service.ports import Notice
from naru.service.verdict import Verdict
from naru.store import mail, payments, views
from naru.store.db import Database
from naru.store.vault import Vault
from tests.fakes import FakeGateway

GOOD_CARD = "4111-1111-1111-1111"


def card(number: str = GOOD_CARD, expiry: str = "203012", birth: str | None = None, pwd: str | None = None) -> Card:
    """A card."""
    parsed = CardNumber.parse(number)
    assert parsed is not None
    return Card(parsed, CardSecret(expiry), CardSecret(birth) if birth else None, CardSecret(pwd) if pwd else None)


class RecordingSender(Sender):
    """Webhooks arrive in a list. *statuses* are answered first, then 200."""

    def __init__(self) -> None:
        super().__init__(allow_private=True)
        self.sent: list[tuple[str, bytes, dict[str, str]]] = []
        self.statuses: list[int | None] = []

    async def post(
        self, url: str, body: bytes, headers: dict[str, str], limits: Any
    ) -> tuple[int | None, str | None, str | None]:
        """Take one in."""
        del limits
        self.sent.append((url, body, headers))
        status = self.statuses.pop(0) if self.statuses else 200
        return status, None if status else "ConnectionResetError", "ok"


@dataclass
class Shop:
    """Everything a test needs to play a shop."""

    cx: Context
    clock: ManualClock
    gateway: FakeGateway
    sender: RecordingSender
    runner: Runner
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    store_id: int = 1
    made: list[str] = field(default_factory=list)
    """The digits drawn for ids, newest last."""

    async def pay(self, amount: int = 1000, merchant_uid: str | None = None, **more: Any) -> Charged:
        """Pay by card over the API."""
        order = CardOrder(
            store_id=self.store_id, merchant_uid=merchant_uid or f"order-{next(self.numbers)}", amount=amount,
            name="시험 상품", **more,
        )  # fmt: skip
        return await pay_once(self.cx, order, card(), channel_key=None, pg=None)

    async def cancel(self, imp_uid: str, amount: int | None = None, **more: Any) -> Cancelled:
        """Cancel over the API."""
        return await cancel(self.cx, CancelOrder(store_id=self.store_id, imp_uid=imp_uid, amount=amount, **more))

    async def account(
        self, amount: int = 10_000, merchant_uid: str | None = None, *, channel: str = "nxva_fix", **more: Any
    ) -> vbank.Done:
        """Issue a virtual account over the API: by default the next fixed one of its channel."""
        found = next(c for c in await self.cx.channels(self.store_id) if c.mid == channel)
        if "number" not in more and "bank" not in more:
            more["number"] = found.accounts[next(self.numbers) % len(found.accounts)].partition(":")[2]
        order = vbank.AccountOrder(
            store_id=self.store_id, merchant_uid=merchant_uid or f"order-{next(self.numbers)}", amount=amount,
            holder="나루상점", name="시험 상품", unlimited=channel == "nxva_fix2", **more,
        )  # fmt: skip
        return await vbank.issue(self.cx, order, found)

    async def hear(self, notice: Notice | None) -> Verdict:
        """A verified noti arrives."""
        assert notice is not None
        ids = {c.id for c in await self.cx.channels(self.store_id) if c.mid == notice.mid}
        return await notices.apply(self.cx, notice, ids)

    async def payment(self, imp_uid: str) -> Payment:
        """The payment as the domain sees it."""
        stored = await self.cx.db.read(payments.load, imp_uid)
        assert stored is not None
        return stored.payment

    async def shown(self, imp_uid: str) -> Any:
        """The payment's row as the API shows it."""
        view = await self.cx.db.read(views.payment, self.store_id, imp_uid)
        assert view is not None
        return view.row

    async def webhooks(self, imp_uid: str) -> list[str]:
        """The names of the webhooks owed or sent for a payment, without those that are kept silent."""
        rows = await self.cx.db.read(mail.jobs_of, imp_uid)
        return [r.key for r in rows if r.kind == "webhook" and r.state != "silent"]

    async def alarms(self) -> list[str]:
        """The kinds of open alarms."""
        return [a.kind for a in await self.cx.db.read(mail.open_alarms)]

    async def pass_time(self, ms: int) -> None:
        """Let time pass and the jobs run at their due times."""
        target = self.clock.at + ms
        await self.runner.drain()
        while self.clock.at < target:
            due = await self.runner.next_due()
            self.clock.at = target if due is None else min(max(due, self.clock.at + 1), target)
            await self.runner.drain()


async def open_shop(db: Database) -> Shop:
    """Make the development store on a fresh database."""
    clock = ManualClock()
    gateway = FakeGateway(clock)
    cx = Context(
        db=db, vault=Vault(b"k" * 32), gateway=gateway, clock=clock, public_url="http://naru.test", development=True,
        budget_s=0.5, patience_s=0.01,
    )  # fmt: skip
    made: list[str] = []

    def digits(count: int) -> str:
        made.append(random_digits(count))
        return made[-1]

    cx.digits = digits
    sender = RecordingSender()
    runner = Runner(cx, sender)
    cx.wake = runner.wake
    await setup.check_master_key(cx)
    await setup.ensure_dev_store(cx, "http://shop.test/webhook")
    return Shop(cx, clock, gateway, sender, runner, made=made)
