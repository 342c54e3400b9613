"""Account issues that only a person can settle, because Hecto has no inquiry for them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from naru.domain.payment import Purpose, State
from naru.domain.refusal import Refused
from naru.domain.values import DAY, MINUTE
from naru.pan import CardSecret
from naru.service import by_hand
from naru.store import people
from naru.store.people import Actor
from tests.shop import Shop

SOMEBODY = Actor(None, "담당자", "127.0.0.1")
FIXED = "2022004000005"
ESCROW: dict[str, Any] = {"escrow_password": CardSecret("1234"), "buyer_email": "a@b.kr"}


async def stuck(shop: Shop, fault: str = "lost_after", **more: Any) -> str:
    """An escrow issue whose answer and noti are lost: it cannot be said again. Its imp_uid."""
    shop.gateway.faults = [fault] * 9
    done = await shop.account(10_000, **{"number": FIXED, **ESCROW, **more})
    shop.gateway.faults = []
    await shop.pass_time(15 * MINUTE)
    imp_uid = done.settled.payment.imp_uid
    assert (await shop.payment(imp_uid)).attempts[0].is_open
    return imp_uid


async def audit(shop: Shop) -> list[tuple[str, str, str, object]]:
    rows = await shop.cx.db.read(people.changes, 1, 1 << 62, 10)
    return [(r.who, r.action, r.target, json.loads(r.detail)) for r in rows]


async def test_what_waits_for_a_person_is_listed_with_what_to_ask_about(shop: Shop) -> None:
    imp_uid = await stuck(shop)
    [waiting] = await by_hand.waiting(shop.cx)
    assert (waiting.imp_uid, waiting.mid, waiting.amount, waiting.number) == (imp_uid, "nxva_fix", 10_000, FIXED)
    assert waiting.by_hand
    assert "unknown" in await shop.alarms()


async def test_an_issue_that_naru_can_still_ask_about_is_not_for_a_person(shop: Shop) -> None:
    shop.gateway.faults = ["lost_before"] * 9
    await shop.account(10_000, number=FIXED)
    assert [w.by_hand for w in await by_hand.waiting(shop.cx)] == [False]
    shop.clock.advance(DAY)
    assert [w.by_hand for w in await by_hand.waiting(shop.cx)] == [True]  # order numbers are good for their day


async def test_a_number_from_hecto_settles_it_and_what_was_told_failed_is_revoked(shop: Shop) -> None:
    imp_uid = await stuck(shop)
    assert (await shop.shown(imp_uid)).status == "failed"
    account = shop.gateway.bank.accounts[imp_uid]
    assert await by_hand.issued(shop.cx, SOMEBODY, 1, imp_uid, trd_no=account.tid) is True
    await shop.pass_time(MINUTE)
    p = await shop.payment(imp_uid)
    assert [(a.op.value, a.state) for a in p.attempts] == [("issue", State.DONE), ("revoke", State.DONE)]
    assert p.attempts[1].purpose is Purpose.NET
    assert account.state == "revoked"
    assert ((await shop.shown(imp_uid)).status, await shop.webhooks(imp_uid)) == ("failed", [])
    assert await audit(shop) == [("담당자", "account_issued", imp_uid, {"trdNo": account.tid, "account": FIXED})]
    assert "unknown" not in await shop.alarms()
    assert await by_hand.waiting(shop.cx) == []


async def test_one_that_never_happened_frees_its_number(shop: Shop) -> None:
    imp_uid = await stuck(shop, "lost_before")
    await by_hand.never_issued(shop.cx, SOMEBODY, 1, imp_uid)
    p = await shop.payment(imp_uid)
    assert (p.attempts[0].state, (await shop.shown(imp_uid)).status) == (State.NOT_SENT, "failed")
    assert await audit(shop) == [("담당자", "account_never_issued", imp_uid, {})]
    assert "unknown" not in await shop.alarms()
    again = (await shop.account(10_000, number=FIXED)).settled.payment.imp_uid
    assert (await shop.shown(again)).status == "ready"


async def test_a_deposit_proves_a_person_wrong(shop: Shop) -> None:
    imp_uid = await stuck(shop)
    await by_hand.never_issued(shop.cx, SOMEBODY, 1, imp_uid)
    await shop.hear(shop.gateway.bank.deposit(FIXED, 10_000))
    assert (await shop.payment(imp_uid)).received == 10_000
    assert "late_deposit" in await shop.alarms()


async def test_a_rotating_account_needs_its_bank_and_number_too(shop: Shop) -> None:
    imp_uid = await stuck(shop, channel="portone1", number=None, bank="011")
    account = shop.gateway.bank.accounts[imp_uid]
    with pytest.raises(Refused) as refused:
        await by_hand.issued(shop.cx, SOMEBODY, 1, imp_uid, trd_no=account.tid)
    assert refused.value.facts["name"] == "account"
    await by_hand.issued(shop.cx, SOMEBODY, 1, imp_uid, trd_no=account.tid, number="9000-0000000001")
    row = await shop.shown(imp_uid)
    assert (row.vbank_num, row.vbank_code, row.pg_tid) == ("90000000000001", "011", account.tid)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"trd_no": "x" * 9}, "trdNo"),
        ({"trd_no": "x" * 41}, "trdNo"),
        ({"trd_no": "한글은 거래번호가 아님"}, "trdNo"),
        ({"trd_no": "T123456789", "number": "2022004000006"}, "account"),
        ({"trd_no": "T123456789", "bank": "999"}, "bank"),
    ],
)
async def test_what_cannot_be_right_changes_nothing(shop: Shop, given: dict[str, str], name: str) -> None:
    imp_uid = await stuck(shop)
    before = await shop.payment(imp_uid)
    with pytest.raises(Refused) as refused:
        await by_hand.issued(shop.cx, SOMEBODY, 1, imp_uid, **given)
    assert refused.value.facts["name"] == name
    assert (await shop.payment(imp_uid), await audit(shop)) == (before, [])


async def test_only_an_open_issue_of_this_store_that_nobody_works_on(shop: Shop) -> None:
    good = (await shop.account(10_000, number="2022004000006")).settled.payment.imp_uid
    shop.gateway.faults = ["lost_before"] * 9
    young = (await shop.account(10_000, number="2022004000007", **ESCROW)).settled.payment.imp_uid
    shop.gateway.faults = []
    with pytest.raises(Refused):
        await by_hand.never_issued(shop.cx, SOMEBODY, 1, young)
    stuck_uid = await stuck(shop)
    paid = (await shop.pay()).settled.payment.imp_uid
    for store_id, imp_uid in ((1, good), (2, stuck_uid), (1, paid), (1, "imps_000000000000")):
        with pytest.raises(Refused):
            await by_hand.never_issued(shop.cx, SOMEBODY, store_id, imp_uid)
        with pytest.raises(Refused):
            await by_hand.issued(shop.cx, SOMEBODY, store_id, imp_uid, trd_no="T1234567890")
    tid = (await shop.shown(good)).pg_tid
    with pytest.raises(Refused):
        await by_hand.issued(shop.cx, SOMEBODY, 1, stuck_uid, trd_no=tid)  # another payment's number
    assert await audit(shop) == []
