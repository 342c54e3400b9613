"""What strangers write stays text on every page, and a number from another store opens nothing."""

from __future__ import annotations

from tests.console.conftest import Console, text_of
from tests.service.test_billing import keys
from tests.service.test_schedules import book, customer, item, row
from tests.service.test_statements import SOMEBODY

from naru.domain.values import DAY, Instant, kst_date
from naru.service import setup, statements
from naru.service.console_access import Role
from naru.service.ports import Exchanged
from naru.store import console as views
from naru.store import mail, people
from naru.store import statements as books

BASE = f"/console/{setup.DEV_IMP_CODE}"
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>"
SHORT = "<script>alert(1)</script>"


async def test_nothing_that_strangers_write_is_markup_anywhere(console_anywhere: Console) -> None:
    console = console_anywhere
    shop = console.shop
    # A bank's depositor, a shop's answer, Hecto's words, a noti that nobody signed, an order's name.
    account = (await shop.account(0, channel="nxva_fix2")).settled.payment.imp_uid
    notice = shop.gateway.bank.deposit((await shop.shown(account)).vbank_num, 5000, name=HOSTILE)
    await shop.hear(notice)
    paid = (await shop.pay(1000, SHORT)).settled.payment.imp_uid
    await customer(shop, SHORT)
    await shop.cx.db.write(
        mail.raise_alarm, "k", "unknown", HOSTILE, store_id=1, imp_uid=paid, now=console.clock.at
    )  # fmt: skip
    stranger = console.stranger()
    await stranger.client.post(
        "/settle_payments/notice", data={"mchtId": SHORT, "trdNo": HOSTILE, "mchtTrdNo": paid, "trdAmt": "1"}
    )
    console.parts.exchanges.note(
        Exchanged(
            at=Instant(console.clock.at), took_ms=1, store_id=1, channel_id=1, message="M05", name="x", number=paid,
            address=f"http://{SHORT}", result="answered", reason=HOSTILE, code=SHORT[:16], sent={SHORT: HOSTILE},
            got={"outRsltMsg": HOSTILE},
        )
    )  # fmt: skip
    console.parts.sender.post = shop.sender.post  # type: ignore[method-assign]
    shop.sender.statuses = [400]
    await console.parts.runner.drain()
    person = await console.user("o@x.kr", admin=True)
    pages = (
        "", "/volume", "/payments", "/payments/total", "/problems", "/webhooks", "/billing", "/vbanks", "/changes",
        "/calls", f"/billing?q={SHORT}", f"/vbanks?q={SHORT}", f"/payments?since={SHORT}", f"/webhooks?state={SHORT}",
        f"/payments/{paid}", f"/payments/{account}", "/webhooks/1",
    )  # fmt: skip
    installation = ("/console/inbox", f"/console/inbox?verdict={SHORT}", "/console/users", "/console/stores")
    paths = [*(BASE + page for page in pages), *installation]
    for path in paths:
        answer = await person.get(path)
        assert answer.status_code == 200, path
        for mark in ("<script>alert", "<img src=x"):
            assert mark not in answer.text, (path, mark)
    assert "&lt;script&gt;alert(1)" in (await person.get(f"{BASE}/payments/{paid}")).text
    assert "&lt;img src=x" in (await person.get(f"{BASE}/payments/{account}")).text
    part = await person.get(f"{BASE}/volume", headers={"HX-Request": "true"})
    assert (part.status_code, "<html" in part.text) == (200, False)
    assert "6,000 원" in text_of(part)


async def test_numbers_of_another_store_open_nothing_through_ones_own(console_anywhere: Console) -> None:
    console = console_anywhere
    shop, cx, db = console.shop, console.parts.cx, console.parts.db
    paid = (await shop.pay(1000)).settled.payment.imp_uid
    await customer(shop)
    await book(shop, item(shop, "theirs", DAY))
    key = (await keys(shop))[0].id
    await statements.order(cx, SOMEBODY, 1, kst_date(console.clock.at))
    shop.gateway.trades[paid].amount = 999
    await console.parts.runner.drain()
    day = kst_date(console.clock.at)
    statement = next(r for r in await db.read(books.days, 1, day, day) if r.kind == "trades" and r.n)
    line = (await db.read(books.lines, statement.id, 10))[0]
    alarm = (await db.read(views.alarms_page, 1, True, 1 << 62, 1))[0]
    await console.user("theirs@x.kr", Role.READER)
    theirs = (await db.read(people.members, 1))[0].id
    mine = await setup.make_store(cx, "다른 상점")
    me = await console.user("me@x.kr", Role.OWNER, mine.store_id)
    base = f"/console/{mine.imp_code}"
    for path in (f"/payments/{paid}", "/webhooks/1", f"/reconciliation/{statement.id}"):
        assert (await me.get(base + path)).status_code == 404, path
    before = await console.changes()
    for path, fields in (
        (f"/payments/{paid}/cancel", {"amount": "1", "left": "1000"}),
        (f"/payments/{paid}/webhooks/1", {}),
        (f"/payments/{paid}/receipts", {"identifier_type": "phone", "identifier": "01012345678", "kind": "person"}),
        (f"/payments/{paid}/receipts/cancel", {}),
        ("/billing/schedules", {"merchant_uid": "theirs", "what": "revoke"}),
        ("/billing/schedules", {"merchant_uid": "theirs", "what": "retry"}),
        (f"/billing/keys/{key}", {}),
        (f"/reconciliation/{statement.id}/{line.id}", {"text": "x"}),
        (f"/problems/alarms/{alarm.id}", {}),
        (f"/problems/check/{paid}", {}),
        ("/webhooks/resend", {"job": "1"}),
        ("/keys/1/revoke", {}),
        ("/keys/1/rotate", {"stamp": "x", "overlap": "0"}),
        (f"/people/{theirs}/role", {"role": "owner"}),
        ("/channels/channel-key-dev-window/disable", {"off": "1"}),
        ("/channels/channel-key-dev-window/edit", {"name": "x"}),
    ):
        await me.post(base + path, **fields)
        assert await console.changes() == before, path
    assert (await shop.payment(paid)).left == 1000
    assert (await row(shop, "theirs")).status == "scheduled"
    assert (await keys(shop))[0].state == "live"
    assert [m.role for m in await db.read(people.members, 1)] == ["reader"]
    assert [a.id for a in await db.read(views.alarms_page, 1, True, 1 << 62, 9) if a.id == alarm.id] == [alarm.id]
    assert (await db.read(books.lines, statement.id, 10))[0].explained is None
