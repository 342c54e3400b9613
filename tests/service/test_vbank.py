"""Virtual accounts over the API: issue, change, revoke, deposits and refunds, as the guide says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import pytest

from naru.domain.outcome import Details
from naru.domain.payment import Account, Op, State, Told
from naru.domain.refusal import Refused, Why
from naru.domain.values import DAY, HOUR, MINUTE, Instant, Won, from_kst, kst_midnight, kst_stamp, won
from naru.domain.vbank import Precheck
from naru.pan import CardSecret
from naru.service import deposits, notices, vbank
from naru.service.ports import DepositQuestion, Notice
from naru.store import payments, stores
from tests.shop import Shop

REFUND: dict[str, Any] = {"refund_holder": "홍길동", "refund_bank": "004", "refund_account": "12345678901234"}
FIXED = "2022004000001"
OTHER = "2022011000007"
UNLIMITED = "2022011000056"


async def issued(shop: Shop, amount: int = 10_000, number: str = FIXED, **more: Any) -> str:
    return (await shop.account(amount, number=number, **more)).settled.payment.imp_uid


async def unlimited(shop: Shop, number: str = UNLIMITED, **more: Any) -> str:
    return (await shop.account(channel="nxva_fix2", number=number, **more)).settled.payment.imp_uid


async def pay_in(shop: Shop, number: str, amount: int) -> Notice:
    """Somebody pays in and the noti arrives."""
    notice = shop.gateway.bank.deposit(number, amount)
    assert notice is not None
    assert (await shop.hear(notice)).ok
    return notice


# ---------------------------------------------------------------- issue


async def test_a_fixed_account_is_ready_with_everything_a_payer_needs(shop: Shop) -> None:
    shop.clock.at = from_kst("20260901100000")
    imp_uid = await issued(shop, 50_000, merchant_uid="order-1", buyer_name="홍길동")
    row = await shop.shown(imp_uid)
    assert (row.status, row.amount, row.pay_method, row.route) == ("ready", 50_000, "vbank", "api")
    assert (row.vbank_code, row.vbank_name, row.vbank_num) == ("004", "KB국민은행", FIXED)
    assert (row.vbank_holder, row.vbank_issued_at) == ("나루상점", shop.clock.at)
    assert kst_stamp(row.vbank_due) == "20260911235959"
    assert row.pg_tid == f"T{imp_uid}"
    assert await shop.webhooks(imp_uid) == [f"{imp_uid}:issued#0"]
    await shop.runner.drain()
    assert b'"status":"ready"' in shop.sender.sent[0][1].replace(b" ", b"")


async def test_a_rotating_account_gets_a_number_from_the_bank(shop: Shop) -> None:
    done = await shop.account(7_000, channel="portone1", bank="011")
    row = await shop.shown(done.settled.payment.imp_uid)
    assert (row.status, row.vbank_code, row.account) == ("ready", "011", "1")
    assert row.vbank_num == shop.gateway.bank.accounts[row.imp_uid].number


async def test_a_given_due_date_is_used(shop: Shop) -> None:
    due = Instant(shop.clock.at + 2 * DAY)
    imp_uid = await issued(shop, due=due)
    assert (await shop.shown(imp_uid)).vbank_due == due


async def test_an_unlimited_account_is_issued_over_nothing_and_for_ever(shop: Shop) -> None:
    imp_uid = await unlimited(shop, amount=99_999)
    row = await shop.shown(imp_uid)
    assert (row.amount, row.vbank_due, row.account, row.status) == (0, None, "3", "ready")
    assert shop.gateway.bank.accounts[imp_uid].amount == 0


@pytest.mark.parametrize(
    ("channel", "more", "why", "name"),
    [
        ("nxva_fix", {"number": "2022004000099"}, Why.PARAMETER, "vbank_num"),
        ("nxva_fix", {"number": FIXED, "bank": "011"}, Why.PARAMETER, "vbank_code"),
        ("nxva_fix", {"number": FIXED, "amount": 0}, Why.PARAMETER, "amount"),
        ("nxva_fix", {"number": FIXED, "tax_free": 10_001}, Why.PARAMETER, "tax_free"),
        ("nxva_fix", {"number": FIXED, "tax_free": 6_000, "vat_amount": 4_001}, Why.PARAMETER, "vat_amount"),
        ("nxva_fix", {"number": FIXED, "due": Instant(1)}, Why.PARAMETER, "vbank_due"),
        ("nxva_fix", {"number": FIXED, "escrow_password": CardSecret("1234")}, Why.PARAMETER, "buyer_email"),
        ("nxva_fix", {"bank": "004"}, Why.NO_CHANNEL, None),
        ("portone1", {"bank": "007"}, Why.PARAMETER, "vbank_code"),
        ("portone1", {"bank": None}, Why.PARAMETER, "vbank_code"),
        ("portone1", {"number": FIXED}, Why.NO_CHANNEL, None),
        ("nxva_fix2", {"number": UNLIMITED, "tax_free": 1}, Why.PARAMETER, "tax_free"),
        ("nxva_fix2", {"number": UNLIMITED, "vat_amount": 1}, Why.PARAMETER, "vat_amount"),
        ("nxva_fix2", {"number": UNLIMITED, "escrow_password": CardSecret("1")}, Why.PARAMETER, "escrow_password"),
        ("nxva_fix2", {"number": FIXED}, Why.PARAMETER, "vbank_num"),
    ],
)
async def test_what_the_contract_does_not_allow_is_refused_by_name(
    shop: Shop, channel: str, more: dict[str, Any], why: Why, name: str | None
) -> None:
    with pytest.raises(Refused) as refused:
        await shop.account(channel=channel, **more)
    assert (refused.value.why, refused.value.facts.get("name")) == (why, name)
    assert shop.gateway.calls == []


async def test_a_due_date_is_at_most_a_year_away_to_the_second(shop: Shop) -> None:
    shop.clock.at = from_kst("20260901100000")
    with pytest.raises(Refused) as refused:
        await issued(shop, due=from_kst("20270902000000"))
    assert refused.value.facts["name"] == "vbank_due"
    await issued(shop, due=from_kst("20270901235959"))
    await unlimited(shop, due=from_kst("20991231235959"))


async def test_a_paid_order_gets_no_account(shop: Shop) -> None:
    await shop.pay(merchant_uid="m")
    with pytest.raises(Refused) as refused:
        await issued(shop, merchant_uid="m")
    assert refused.value.why is Why.ALREADY_PAID


async def test_open_accounts_block_neither_each_other_nor_a_card(shop: Shop) -> None:
    await issued(shop, merchant_uid="m")
    await issued(shop, merchant_uid="m", number=OTHER)
    paid = await shop.pay(merchant_uid="m")
    assert (await shop.shown(paid.settled.payment.imp_uid)).status == "paid"


async def test_a_declined_issue_is_a_failed_payment_without_a_webhook(shop: Shop) -> None:
    shop.gateway.faults = ["decline"]
    done = await shop.account(number=FIXED)
    row = await shop.shown(done.settled.payment.imp_uid)
    assert (row.status, row.fail_reason) == ("failed", "거절")
    assert await shop.webhooks(row.imp_uid) == []
    await issued(shop)  # the number is free


async def test_a_number_in_use_is_refused_until_it_is_free(shop: Shop) -> None:
    first = await issued(shop)
    with pytest.raises(Refused) as refused:
        await issued(shop)
    assert (refused.value.facts["name"], first in str(refused.value.facts["problem"])) == ("vbank_num", True)
    await pay_in(shop, FIXED, 10_000)
    second = await issued(shop)  # one deposit per issue: it can be issued again
    await vbank.revoke(shop.cx, 1, second)
    third = await issued(shop)
    shop.clock.advance(11 * DAY)
    await issued(shop)  # and again when it has expired
    assert (await shop.shown(third)).status == "ready"
    assert shop.gateway.complaints == []


async def test_two_requests_for_one_number_get_it_once(shop: Shop) -> None:
    results = await asyncio.gather(*(issued(shop) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(r, str) for r in results) == 1
    assert shop.gateway.complaints == []


# ---------------------------------------------------------------- an issue whose answer did not come


async def test_the_noti_settles_an_issue_whose_answer_was_lost(shop: Shop) -> None:
    shop.gateway.faults = ["lost_after"]
    task = asyncio.create_task(shop.account(number=FIXED))
    while not shop.gateway.bank.accounts:
        await shop.cx.turn("nothing", 0.001)
    attempt_id = next(iter(shop.gateway.bank.accounts))
    assert (await shop.hear(shop.gateway.bank.issued_notice(attempt_id))).word == "applied"
    done = await task
    assert done.settled.attempt.state is State.DONE
    assert (await shop.shown(attempt_id)).status == "ready"
    assert shop.gateway.calls == [f"issue {attempt_id}"]


async def test_an_answer_and_its_noti_in_any_order_and_twice_are_one_issue(shop: Shop) -> None:
    imp_uid = await issued(shop)
    notice = shop.gateway.bank.issued_notice(imp_uid)
    before = await shop.payment(imp_uid)
    assert [(await shop.hear(notice)).word for _ in range(2)] == ["again", "again"]
    assert await shop.payment(imp_uid) == before
    assert await shop.webhooks(imp_uid) == [f"{imp_uid}:issued#0"]


@pytest.mark.parametrize("fault", ["lost_after", "lost_before"])
async def test_an_issue_told_as_failed_is_revoked_when_it_turns_out_issued(shop: Shop, fault: str) -> None:
    shop.gateway.faults = [fault]
    done = await shop.account(number=FIXED)
    imp_uid = done.settled.payment.imp_uid
    assert (done.settled.attempt.told, done.settled.attempt.state) == (Told.FAILED, State.UNKNOWN)
    assert (await shop.shown(imp_uid)).status == "failed"
    await shop.pass_time(3 * MINUTE)  # the identical message, and then the revocation
    assert shop.gateway.bank.accounts[imp_uid].state == "revoked"
    assert (await shop.shown(imp_uid)).status == "failed"
    assert await shop.webhooks(imp_uid) == []
    assert shop.gateway.complaints == []


async def test_a_number_with_an_unknown_issue_is_revoked_and_issued_again(shop: Shop) -> None:
    shop.gateway.faults = ["lost_after"]
    first = (await shop.account(number=FIXED)).settled.payment.imp_uid
    second = await issued(shop)
    assert shop.gateway.bank.accounts[first].state == "revoked"
    assert [(await shop.shown(i)).status for i in (first, second)] == ["failed", "ready"]
    assert shop.gateway.complaints == []


async def test_an_escrow_issue_cannot_be_said_again_and_waits_for_its_noti(shop: Shop) -> None:
    shop.gateway.faults = ["lost_after"]
    secret = CardSecret("1234")
    done = await shop.account(number=FIXED, escrow_password=secret, buyer_email="a@b.c")
    imp_uid = done.settled.payment.imp_uid
    await shop.pass_time(15 * MINUTE)
    assert shop.gateway.calls == [f"issue {imp_uid}"]
    assert await shop.alarms() == ["unknown"]
    await shop.hear(shop.gateway.bank.issued_notice(imp_uid))
    await shop.pass_time(MINUTE)
    assert shop.gateway.bank.accounts[imp_uid].state == "revoked"


async def test_an_unlimited_issue_is_settled_by_the_identical_message(shop: Shop) -> None:
    shop.cx.budget_s = 5
    shop.gateway.faults = ["lost_after"]
    imp_uid = await unlimited(shop)
    assert shop.gateway.calls == [f"issue {imp_uid}"] * 2
    assert (await shop.shown(imp_uid)).status == "ready"


async def test_a_repeated_issue_called_a_duplicate_waits_for_its_noti(shop: Shop) -> None:
    shop.gateway.bank.answers_again = False
    shop.gateway.faults = ["lost_after"]
    imp_uid = (await shop.account(number=FIXED)).settled.payment.imp_uid
    await shop.pass_time(MINUTE)
    assert (await shop.payment(imp_uid)).attempts[0].state is State.PENDING
    await shop.hear(shop.gateway.bank.issued_notice(imp_uid))
    await shop.pass_time(MINUTE)
    assert shop.gateway.bank.accounts[imp_uid].state == "revoked"


async def test_a_deposit_into_an_account_told_as_failed_is_the_shops_money(shop: Shop) -> None:
    shop.gateway.faults = ["lost_after"]
    imp_uid = (await shop.account(number=FIXED)).settled.payment.imp_uid
    await pay_in(shop, FIXED, 10_000)
    await shop.pass_time(HOUR)
    row = await shop.shown(imp_uid)
    assert (row.status, row.paid_at is not None) == ("paid", True)
    assert await shop.alarms() == ["late_deposit"]
    assert await shop.webhooks(imp_uid) == [f"deposit:nxva_fix:T{imp_uid}:deposit#0"]


# ---------------------------------------------------------------- change


async def test_amount_and_due_date_change_before_the_deposit(shop: Shop) -> None:
    imp_uid = await issued(shop)
    due = Instant(shop.clock.at + 3 * DAY)
    await vbank.change(shop.cx, 1, imp_uid, amount=12_000, due=due)
    row = await shop.shown(imp_uid)
    assert (row.amount, row.vbank_due, row.status) == (12_000, due, "ready")
    assert shop.gateway.bank.deposit(FIXED, 10_000) is None
    await pay_in(shop, FIXED, 12_000)
    assert (await shop.shown(imp_uid)).status == "paid"
    assert await shop.webhooks(imp_uid) == [f"{imp_uid}:issued#0", f"deposit:nxva_fix:T{imp_uid}:deposit#0"]


async def test_the_due_date_is_required_unless_the_store_reads_the_schema_loosely(shop: Shop) -> None:
    imp_uid = await issued(shop)
    with pytest.raises(Refused) as refused:
        await vbank.change(shop.cx, 1, imp_uid, amount=11_000, due=None)
    assert (refused.value.facts["name"], refused.value.facts["status"]) == ("vbank_due", 400)
    store = await shop.cx.store(1)
    shop.cx._known["store", 1].value = replace(store, switches={vbank.LOOSE_CHANGE: True})  # type: ignore[arg-type]
    before = (await shop.shown(imp_uid)).vbank_due
    await vbank.change(shop.cx, 1, imp_uid, amount=11_000, due=None)
    row = await shop.shown(imp_uid)
    assert (row.amount, row.vbank_due) == (11_000, before)


async def test_an_unlimited_account_changes_its_due_date_and_never_its_amount(shop: Shop) -> None:
    imp_uid = await unlimited(shop)
    due = Instant(shop.clock.at + 900 * DAY)
    await vbank.change(shop.cx, 1, imp_uid, amount=5_000, due=due)
    row = await shop.shown(imp_uid)
    assert (row.amount, row.vbank_due) == (0, due)


@pytest.mark.parametrize("tax_free", [10_000, 3_000])
async def test_tax_free_and_mixed_accounts_are_not_changed(shop: Shop, tax_free: int) -> None:
    imp_uid = await issued(shop, tax_free=tax_free)
    with pytest.raises(Refused) as refused:
        await vbank.change(shop.cx, 1, imp_uid, amount=None, due=Instant(shop.clock.at + DAY))
    assert refused.value.why is Why.ACCOUNT
    assert "면세, 복합과세" in str(refused.value.facts["problem"])


async def test_an_expired_a_paid_and_a_revoked_account_is_not_changed(shop: Shop) -> None:
    expired, paid, revoked = await issued(shop), await issued(shop, number=OTHER), await unlimited(shop)
    await pay_in(shop, OTHER, 10_000)
    await vbank.revoke(shop.cx, 1, revoked)
    shop.clock.advance(11 * DAY)
    for imp_uid in (expired, paid, revoked):
        before = await shop.payment(imp_uid)
        with pytest.raises(Refused) as refused:
            await vbank.change(shop.cx, 1, imp_uid, amount=None, due=Instant(shop.clock.at + DAY))
        assert refused.value.why is Why.ACCOUNT
        assert await shop.payment(imp_uid) == before


@pytest.mark.parametrize("fault", ["lost_after", "lost_before"])
async def test_an_unknown_change_is_settled_by_the_identical_message(shop: Shop, fault: str) -> None:
    imp_uid = await issued(shop)
    shop.gateway.faults = [fault]
    done = await vbank.change(shop.cx, 1, imp_uid, amount=12_000, due=Instant(shop.clock.at + DAY))
    assert (done.settled.attempt.state, done.settled.attempt.told) == (State.UNKNOWN, Told.CHECKING)
    assert (await shop.shown(imp_uid)).amount == 10_000
    with pytest.raises(Refused):
        await vbank.revoke(shop.cx, 1, imp_uid)  # one question at a time
    await shop.pass_time(2 * MINUTE)
    assert (await shop.shown(imp_uid)).amount == 12_000
    changes = set(shop.gateway.bank.accounts[imp_uid].changes)
    assert changes == {f"{imp_uid}M001"}


async def test_a_deposit_tells_which_amount_held_while_a_change_is_open(shop: Shop) -> None:
    for fault, paid in (("lost_after", 12_000), ("lost_before", 10_000)):
        imp_uid = await issued(shop)
        shop.gateway.faults = [fault]
        await vbank.change(shop.cx, 1, imp_uid, amount=12_000, due=Instant(shop.clock.at + DAY))
        await pay_in(shop, FIXED, paid)
        row = await shop.shown(imp_uid)
        assert (row.status, row.amount) == ("paid", paid)
        await shop.pass_time(2 * MINUTE)
        assert (await shop.shown(imp_uid)).amount == paid


async def test_on_a_later_day_a_change_is_said_again_under_a_number_of_that_day(shop: Shop) -> None:
    shop.clock.at = from_kst("20260901231500")
    imp_uid = await issued(shop)
    shop.gateway.faults = ["lost_before"] * 3
    await vbank.change(shop.cx, 1, imp_uid, amount=12_000, due=Instant(shop.clock.at + 5 * DAY))
    shop.gateway.faults = ["lost_before"] * 100
    await shop.pass_time(80 * MINUTE)
    calls = len(shop.gateway.calls)
    assert kst_stamp(shop.clock.at) == "20260902003500"
    shop.gateway.faults = []
    await shop.pass_time(HOUR)
    assert shop.gateway.calls[calls:] == [f"change {imp_uid}M001R20260902"]
    assert (await shop.shown(imp_uid)).amount == 12_000


# ---------------------------------------------------------------- revoke


async def test_a_revoked_account_is_a_failed_payment_and_nobody_is_told(shop: Shop) -> None:
    imp_uid = await issued(shop)
    await vbank.revoke(shop.cx, 1, imp_uid)
    row = await shop.shown(imp_uid)
    assert (row.status, row.failed_at, row.fail_reason) == ("failed", shop.clock.at, "가상계좌가 말소되었습니다.")
    assert await shop.webhooks(imp_uid) == [f"{imp_uid}:issued#0"]
    with pytest.raises(Refused) as refused:
        await vbank.revoke(shop.cx, 1, imp_uid)
    assert refused.value.why is Why.ACCOUNT


async def test_a_paid_account_is_not_revoked(shop: Shop) -> None:
    imp_uid = await issued(shop)
    await pay_in(shop, FIXED, 10_000)
    with pytest.raises(Refused) as refused:
        await vbank.revoke(shop.cx, 1, imp_uid)
    assert refused.value.facts["problem"] == "이미 입금된 가상계좌입니다."


async def test_a_refused_revocation_finds_the_deposit_whose_noti_is_late(shop: Shop) -> None:
    imp_uid = await issued(shop)
    notice = shop.gateway.bank.deposit(FIXED, 10_000)
    done = await vbank.revoke(shop.cx, 1, imp_uid)
    assert done is not None
    assert done.settled.attempt.state is State.DECLINED
    row = await shop.shown(imp_uid)
    assert (row.status, row.paid_at) == ("paid", shop.clock.at)
    assert (await shop.hear(notice)).word == "again"
    assert (await shop.payment(imp_uid)).received == 10_000


@pytest.mark.parametrize("fault", ["lost_after", "lost_before"])
async def test_an_unknown_revocation_is_settled_by_the_identical_message(shop: Shop, fault: str) -> None:
    imp_uid = await issued(shop)
    shop.gateway.faults = [fault]
    done = await vbank.revoke(shop.cx, 1, imp_uid)
    assert done is not None
    assert done.settled.attempt.told is Told.CHECKING
    assert (await shop.shown(imp_uid)).status == "ready"
    await shop.pass_time(2 * MINUTE)
    assert (await shop.shown(imp_uid)).status == "failed"
    # Told "being checked" and done since: the same request is answered with it, and then it is known.
    assert await vbank.revoke(shop.cx, 1, imp_uid) is None
    with pytest.raises(Refused):
        await vbank.revoke(shop.cx, 1, imp_uid)
    assert shop.gateway.complaints == []


async def test_the_noti_of_a_revocation_settles_it_and_one_nobody_asked_for_is_recorded(shop: Shop) -> None:
    asked, desk = await issued(shop), await issued(shop, number=OTHER)
    shop.gateway.faults = ["lost_after"]
    await vbank.revoke(shop.cx, 1, asked)
    for imp_uid in (asked, desk):
        notice = shop.gateway.bank.revoked_notice(imp_uid)
        assert [(await shop.hear(notice)).word for _ in range(2)] == ["applied", "again"]
        assert (await shop.shown(imp_uid)).status == "failed"
    calls = list(shop.gateway.calls)
    await shop.pass_time(HOUR)
    assert shop.gateway.calls == calls


# ---------------------------------------------------------------- deposits


async def test_a_deposit_pays_and_tells(shop: Shop) -> None:
    imp_uid = await issued(shop)
    shop.clock.advance(HOUR)
    await pay_in(shop, FIXED, 10_000)
    row = await shop.shown(imp_uid)
    assert (row.status, row.paid_at) == ("paid", shop.clock.at)
    assert await shop.webhooks(imp_uid) == [f"{imp_uid}:issued#0", f"deposit:nxva_fix:T{imp_uid}:deposit#0"]


async def test_a_deposit_noti_counts_once_however_often_it_comes(shop: Shop) -> None:
    imp_uid = await issued(shop)
    notice = shop.gateway.bank.deposit(FIXED, 10_000)
    verdicts = await asyncio.gather(*(shop.hear(notice) for _ in range(5)))
    assert sorted(v.word for v in verdicts) == ["again"] * 4 + ["applied"]
    assert (await shop.payment(imp_uid)).received == 10_000


async def test_a_deposit_heard_before_its_issue_proves_the_issue(shop: Shop) -> None:
    shop.gateway.faults = ["lost_after"]
    shop.cx.budget_s = 0.01
    done = await shop.account(number=FIXED)
    imp_uid = done.settled.payment.imp_uid
    await pay_in(shop, FIXED, 10_000)
    assert (await shop.payment(imp_uid)).attempts[0].state is State.DONE
    assert (await shop.hear(shop.gateway.bank.issued_notice(imp_uid))).word == "again"


async def test_a_deposit_of_another_amount_is_recorded_and_pays_nothing(shop: Shop) -> None:
    imp_uid = await issued(shop)
    notice = shop.gateway.bank.deposit(FIXED, 9_000, anything=True)
    assert (await shop.hear(notice)).word == "noted"
    p, row = await shop.payment(imp_uid), await shop.shown(imp_uid)
    assert (row.status, row.paid_at, p.received) == ("ready", None, 9_000)
    assert await shop.alarms() == ["deposit_mismatch"]
    assert await shop.webhooks(imp_uid) == [f"{imp_uid}:issued#0"]
    await shop.cancel(imp_uid, **REFUND)  # it can go back
    assert (await shop.shown(imp_uid)).status == "cancelled"
    assert (await shop.payment(imp_uid)).left == 0


async def test_a_second_deposit_for_a_paid_order_is_recorded_with_an_alarm(shop: Shop) -> None:
    first = await issued(shop, merchant_uid="m")
    second = await issued(shop, merchant_uid="m", number=OTHER)
    await pay_in(shop, FIXED, 10_000)
    assert await shop.alarms() == []
    assert (await shop.hear(shop.gateway.bank.deposit(OTHER, 10_000))).word == "noted"
    assert await shop.alarms() == ["second_deposit"]
    assert [(await shop.shown(i)).status for i in (first, second)] == ["paid", "paid"]
    await shop.cancel(second, **REFUND)
    assert (await shop.shown(second)).cancel_amount == 10_000


async def test_a_deposit_into_a_revoked_account_is_kept_and_calls_a_person(shop: Shop) -> None:
    imp_uid = await issued(shop)
    notice = shop.gateway.bank.deposit(FIXED, 10_000)
    shop.gateway.bank.accounts[imp_uid].state = "open"
    await vbank.revoke(shop.cx, 1, imp_uid)
    assert (await shop.shown(imp_uid)).status == "failed"
    await shop.hear(notice)
    assert (await shop.shown(imp_uid)).status == "paid"
    assert await shop.alarms() == ["late_deposit"]


async def test_a_deposit_for_nobody_stays_visible_and_is_asked_for_again(shop: Shop) -> None:
    stray = Notice("deposit", "nxva_fix", "vbank", "Tx", "imps_000000000000", won(1), shop.clock())
    verdict = await shop.hear(stray)
    assert (verdict.word, verdict.ok) == ("unmatched", False)
    assert await shop.alarms() == ["stray_deposit"]


async def test_a_deposit_noti_with_another_account_number_changes_nothing(shop: Shop) -> None:
    imp_uid = await issued(shop)
    notice = shop.gateway.bank.deposit(FIXED, 10_000)
    assert notice is not None
    before = await shop.payment(imp_uid)
    wrong = replace(notice, details=Details(account_number=OTHER))
    assert (await shop.hear(wrong)).word == "mismatch"
    assert await shop.payment(imp_uid) == before
    assert await shop.alarms() == ["mismatch"]


async def test_a_noti_sealed_for_other_channels_finds_nothing(shop: Shop) -> None:
    imp_uid = await issued(shop)
    notice = shop.gateway.bank.deposit(FIXED, 10_000)
    assert notice is not None
    assert (await notices.apply(shop.cx, notice, {99})).word == "unmatched"
    assert (await shop.shown(imp_uid)).status == "ready"


@pytest.mark.parametrize("heard_first", ["deposit", "reversal"])
async def test_a_reversed_deposit_is_cancelled_in_any_order(shop: Shop, heard_first: str) -> None:
    imp_uid = await issued(shop)
    deposit = shop.gateway.bank.deposit(FIXED, 10_000)
    assert deposit is not None
    reversal = replace(deposit, kind="reversal")
    for notice in (deposit, reversal) if heard_first == "deposit" else (reversal, deposit):
        assert (await shop.hear(notice)).ok
    row = await shop.shown(imp_uid)
    assert (row.status, row.cancel_amount, row.cancel_reason) == ("cancelled", 10_000, "은행의 입금 자동취소")
    assert [(await shop.hear(n)).word for n in (deposit, reversal)] == ["again", "again"]
    tid = f"nxva_fix:T{imp_uid}"
    assert sorted(await shop.webhooks(imp_uid)) == sorted(
        [f"{imp_uid}:issued#0", f"deposit:{tid}:deposit#0", f"reversal:deposit:{tid}:reversal#0"]
    )
    with pytest.raises(Refused) as refused:
        await shop.cancel(imp_uid, **REFUND)
    assert refused.value.why is Why.CANCEL_ALL_BACK


async def test_a_deposit_whose_noti_never_came_is_found_by_looking(shop: Shop) -> None:
    imp_uid = await issued(shop)
    await shop.pass_time(30 * MINUTE)
    shop.gateway.bank.deposit(FIXED, 10_000)
    await shop.pass_time(20 * HOUR)
    row = await shop.shown(imp_uid)
    assert row.status == "paid"
    assert await shop.webhooks(imp_uid) == [f"{imp_uid}:issued#0", f"deposit:nxva_fix:T{imp_uid}:deposit#0"]
    calls = list(shop.gateway.calls)
    await shop.pass_time(30 * DAY)
    assert shop.gateway.calls == calls


async def test_looking_ends_a_while_after_the_due_date_and_the_payment_stays_ready(shop: Shop) -> None:
    imp_uid = await issued(shop, due=Instant(shop.clock.at + DAY))
    await shop.pass_time(DAY + HOUR)
    asked = shop.gateway.calls.count(f"inquire {imp_uid}")
    assert asked == 3  # after an hour, twelve hours later, and after the due date
    await shop.pass_time(10 * DAY)
    assert shop.gateway.calls.count(f"inquire {imp_uid}") == asked
    row = await shop.shown(imp_uid)
    assert (row.status, await shop.webhooks(imp_uid)) == ("ready", [f"{imp_uid}:issued#0"])


# ---------------------------------------------------------------- refunds


async def test_a_paid_account_is_refunded_in_parts_to_an_account_that_is_not_kept(shop: Shop) -> None:
    imp_uid = await issued(shop)
    await pay_in(shop, FIXED, 10_000)
    with pytest.raises(Refused) as refused:
        await shop.cancel(imp_uid, 3_000)
    assert refused.value.why is Why.CANCEL_NEEDS_ACCOUNT
    await shop.cancel(imp_uid, 3_000, checksum=10_000, reason="변심", **REFUND)
    row = await shop.shown(imp_uid)
    assert (row.status, row.cancel_amount, row.cancel_reason) == ("cancelled", 3_000, "변심")
    await shop.cancel(imp_uid, checksum=7_000, **REFUND)
    assert shop.gateway.trades[imp_uid].cancels == {f"{imp_uid}C001": 3_000, f"{imp_uid}C002": 7_000}
    assert {r.account for r in shop.gateway.refunds} == {"12345678901234"}
    stored = await shop.cx.db.read(payments.load, imp_uid)
    assert stored is not None
    kept = [a.extra + a.request for a in stored.attempt_rows.values()]
    assert not any("1234567890" in text for text in kept)
    assert any("**********1234" in text for text in kept)


async def test_an_unpaid_account_has_nothing_to_cancel(shop: Shop) -> None:
    imp_uid = await issued(shop)
    with pytest.raises(Refused) as refused:
        await shop.cancel(imp_uid, **REFUND)
    assert refused.value.why is Why.CANCEL_NOTHING


@pytest.mark.parametrize(("fault", "back"), [("lost_after", 4_000), ("lost_before", 0)])
async def test_an_unknown_refund_is_settled_by_asking(shop: Shop, fault: str, back: int) -> None:
    imp_uid = await issued(shop)
    await pay_in(shop, FIXED, 10_000)
    shop.gateway.faults, shop.gateway.blind = [fault], True
    await shop.cancel(imp_uid, 4_000, **REFUND)
    shop.gateway.blind = False
    await shop.pass_time(5 * MINUTE)
    assert (await shop.shown(imp_uid)).cancel_amount == back


async def test_the_noti_of_a_refund_settles_it_once(shop: Shop) -> None:
    imp_uid = await issued(shop)
    await pay_in(shop, FIXED, 10_000)
    shop.gateway.faults, shop.gateway.blind = ["lost_after"], True
    await shop.cancel(imp_uid, 4_000, **REFUND)
    tid = f"T{imp_uid}"
    notice = Notice("refund", "nxva_fix", "vbank", "CX", imp_uid, won(4_000), shop.clock(), org_tid=tid)
    assert [(await shop.hear(notice)).word for _ in range(2)] == ["applied", "again"]
    assert (await shop.shown(imp_uid)).cancel_amount == 4_000
    desk = replace(notice, pg_tid="CY", amount=won(1_000))
    assert [(await shop.hear(desk)).word for _ in range(2)] == ["applied", "again"]
    row = await shop.shown(imp_uid)
    assert (row.cancel_amount, row.cancel_reason) == (5_000, "결제대행사에서 직접 환불")


async def test_a_refund_found_by_asking_is_not_counted_again_by_its_noti(shop: Shop) -> None:
    imp_uid = await issued(shop)
    await pay_in(shop, FIXED, 10_000)
    shop.gateway.faults, shop.gateway.blind = ["lost_after"], True
    await shop.cancel(imp_uid, 4_000, **REFUND)
    shop.gateway.blind = False
    await shop.pass_time(5 * MINUTE)
    tid = f"T{imp_uid}"
    notice = Notice("refund", "nxva_fix", "vbank", "CX", imp_uid, won(4_000), shop.clock(), org_tid=tid)
    assert (await shop.hear(notice)).word == "again"
    assert (await shop.shown(imp_uid)).cancel_amount == 4_000
    shop.gateway.trades[imp_uid].cancels["desk"] = 4_000
    assert (await shop.hear(replace(notice, pg_tid="CY"))).word == "applied"
    assert (await shop.shown(imp_uid)).cancel_amount == 8_000


async def test_a_refunds_noti_waits_while_the_next_refund_is_open(shop: Shop) -> None:
    """The first was found by asking and has no number yet: the noti may be of either, or of a third."""
    imp_uid = await issued(shop)
    await pay_in(shop, FIXED, 10_000)
    shop.gateway.faults, shop.gateway.blind = ["lost_after", "lost_after"], True
    await shop.cancel(imp_uid, 4_000, **REFUND)
    shop.gateway.blind = False
    await shop.pass_time(5 * MINUTE)
    shop.gateway.blind = True
    await shop.cancel(imp_uid, 1_000, **REFUND)
    tid = f"T{imp_uid}"
    notice = Notice("refund", "nxva_fix", "vbank", "CX", imp_uid, won(4_000), shop.clock(), org_tid=tid)
    assert not (await shop.hear(notice)).ok
    assert (await shop.shown(imp_uid)).cancel_amount == 4_000
    shop.gateway.blind = False
    await shop.pass_time(5 * MINUTE)
    assert (await shop.hear(notice)).word == "again"
    assert (await shop.hear(replace(notice, pg_tid="CY", amount=won(1_000)))).word == "again"
    assert (await shop.shown(imp_uid)).cancel_amount == 5_000


# ---------------------------------------------------------------- fixed-unlimited


async def test_deposits_come_in_for_ever_and_each_is_told(shop: Shop) -> None:
    imp_uid = await unlimited(shop)
    for amount in (1_000, 2_500, 7):
        shop.clock.advance(DAY)
        await pay_in(shop, UNLIMITED, amount)
    p, row = await shop.payment(imp_uid), await shop.shown(imp_uid)
    assert [e.amount for e in p.entries] == [1_000, 2_500, 7]
    assert (row.status, row.amount, p.left) == ("paid", 0, 3_507)
    assert len(await shop.webhooks(imp_uid)) == 4


async def test_a_refund_names_its_deposit_or_the_only_one_that_has_enough(shop: Shop) -> None:
    imp_uid = await unlimited(shop)
    first = await pay_in(shop, UNLIMITED, 1_000)
    second = await pay_in(shop, UNLIMITED, 5_000)
    with pytest.raises(Refused) as refused:
        await shop.cancel(imp_uid, 500, **REFUND)
    assert refused.value.facts["name"] == "pg_tid"
    assert f"{first.pg_tid} 1000원" in str(refused.value.facts["problem"])
    assert f"{second.pg_tid} 5000원" in str(refused.value.facts["problem"])
    with pytest.raises(Refused) as refused:
        await shop.cancel(imp_uid, 6_001, **REFUND)
    assert refused.value.why is Why.CANCEL_TOO_MUCH
    await shop.cancel(imp_uid, 3_000, checksum=6_000, **REFUND)  # only the second has as much
    await shop.cancel(imp_uid, 400, checksum=3_000, pg_tid=first.pg_tid, **REFUND)
    await shop.cancel(imp_uid, 600, pg_tid=first.pg_tid, **REFUND)
    assert shop.gateway.trades[first.pg_tid].cancelled == 1_000
    with pytest.raises(Refused) as refused:
        await shop.cancel(imp_uid, 1, pg_tid=first.pg_tid, **REFUND)
    assert refused.value.facts["name"] == "pg_tid"
    await shop.cancel(imp_uid, **REFUND)
    with pytest.raises(Refused) as refused:
        await shop.cancel(imp_uid, **REFUND)
    assert refused.value.why is Why.CANCEL_ALL_BACK
    assert shop.gateway.complaints == []


async def test_cancelled_stays_cancelled_whatever_comes_in(shop: Shop) -> None:
    imp_uid = await unlimited(shop)
    await pay_in(shop, UNLIMITED, 1_000)
    await shop.cancel(imp_uid, **REFUND)
    assert (await shop.shown(imp_uid)).status == "cancelled"
    notice = await pay_in(shop, UNLIMITED, 2_000)
    p, row = await shop.payment(imp_uid), await shop.shown(imp_uid)
    assert (row.status, row.cancel_amount, p.left) == ("cancelled", 1_000, 2_000)
    assert f"deposit:nxva_fix2:{notice.pg_tid}:deposit#0" in await shop.webhooks(imp_uid)
    await shop.cancel(imp_uid, **REFUND)  # what came later can go back as well
    assert (await shop.payment(imp_uid)).left == 0


async def test_an_unlimited_account_is_revoked_at_any_time_and_is_cancelled_then(shop: Shop) -> None:
    empty, full = await unlimited(shop), await unlimited(shop, number="2022004000060")
    await pay_in(shop, "2022004000060", 1_000)
    for imp_uid in (empty, full):
        await vbank.revoke(shop.cx, 1, imp_uid, reason="해지")
        row = await shop.shown(imp_uid)
        assert (row.status, row.cancel_amount, row.cancel_reason) == ("cancelled", 0, "해지")
        assert row.cancelled_at == shop.clock.at
    await shop.cancel(full, **REFUND)
    assert (await shop.shown(full)).cancel_amount == 1_000
    with pytest.raises(Refused) as refused:
        await shop.cancel(empty, **REFUND)
    assert refused.value.why is Why.CANCEL_NOTHING
    refunded = await unlimited(shop, number="2022004000061")
    await pay_in(shop, "2022004000061", 1_000)
    await shop.cancel(refunded, **REFUND)
    await vbank.revoke(shop.cx, 1, refunded)


async def test_a_deposit_goes_to_whoever_had_the_account_at_that_time(shop: Shop) -> None:
    first = await unlimited(shop)
    early = shop.gateway.bank.deposit(UNLIMITED, 1_000)
    shop.clock.advance(MINUTE)
    await vbank.revoke(shop.cx, 1, first)
    shop.clock.advance(MINUTE)
    second = await unlimited(shop)
    shop.clock.advance(MINUTE)
    late = shop.gateway.bank.deposit(UNLIMITED, 2_000)
    for notice in (late, early):
        assert (await shop.hear(notice)).ok
    assert [(await shop.payment(i)).received for i in (first, second)] == [1_000, 2_000]
    assert [(await shop.shown(i)).status for i in (first, second)] == ["cancelled", "paid"]


async def test_the_refund_of_an_unlimited_deposit_is_settled_by_its_noti_never_by_guessing(shop: Shop) -> None:
    imp_uid = await unlimited(shop)
    deposit = await pay_in(shop, UNLIMITED, 1_000)
    shop.gateway.faults = ["lost_after"]
    await shop.cancel(imp_uid, **REFUND)
    await shop.pass_time(30 * MINUTE)
    p = await shop.payment(imp_uid)
    assert p.open_cancel is not None
    assert p.open_cancel.state is State.UNKNOWN
    assert await shop.alarms() == ["unknown"]
    notice = Notice("refund", "nxva_fix2", "vbank", "CX", "0000000", won(1_000), shop.clock(), org_tid=deposit.pg_tid)
    assert (await shop.hear(notice)).word == "applied"
    row = await shop.shown(imp_uid)
    assert (row.status, row.cancel_amount) == ("cancelled", 1_000)


async def test_a_reversal_of_an_unlimited_deposit_waits_for_its_deposit(shop: Shop) -> None:
    imp_uid = await unlimited(shop)
    deposit = shop.gateway.bank.deposit(UNLIMITED, 1_000)
    assert deposit is not None
    reversal = replace(deposit, kind="reversal")
    assert not (await shop.hear(reversal)).ok
    assert (await shop.payment(imp_uid)).entries == ()
    assert (await shop.hear(deposit)).ok
    assert (await shop.hear(reversal)).word == "applied"
    assert (await shop.shown(imp_uid)).status == "cancelled"
    assert (await shop.payment(imp_uid)).left == 0


@dataclass(frozen=True)
class Line:
    """A line of the PG's list of a day."""

    trd_no: str
    attempt_id: str
    cancelled: bool
    at: Instant
    amount: Won
    org_tid: str = ""


async def listed(shop: Shop, mid: str, *lines: Line) -> int:
    channel = next(c for c in await shop.cx.channels(1) if c.mid == mid)
    return await deposits.absorb_listed(shop.cx, channel, lines, kst_midnight(shop.clock()))


async def test_the_days_list_brings_deposits_and_refunds_whose_notis_never_came(shop: Shop) -> None:
    shop.clock.at = from_kst("20260901120000")
    fixed, open_ended = await issued(shop), await unlimited(shop)
    came = [shop.gateway.bank.deposit(FIXED, 10_000), shop.gateway.bank.deposit(UNLIMITED, 500)]
    lines = [Line(n.pg_tid, n.attempt_id, cancelled=False, at=n.at, amount=n.amount) for n in came if n is not None]
    assert await listed(shop, "nxva_fix", lines[0]) == 1
    assert await listed(shop, "nxva_fix2", lines[1]) == 1
    shop.gateway.faults = ["lost_after"]
    await shop.cancel(open_ended, **REFUND)
    back = Line("CX", "0000000", cancelled=True, at=shop.clock(), amount=won(500), org_tid=lines[1].trd_no)
    for expected in (1, 0):
        assert await listed(shop, "nxva_fix2", lines[1], back) == expected
    assert [(await shop.shown(i)).status for i in (fixed, open_ended)] == ["paid", "cancelled"]
    assert (await shop.payment(open_ended)).left == 0


async def test_an_unlimited_refund_that_is_not_on_the_days_list_did_not_happen(shop: Shop) -> None:
    shop.clock.at = from_kst("20260901120000")
    imp_uid = await unlimited(shop)
    notice = await pay_in(shop, UNLIMITED, 500)
    shop.gateway.faults = ["lost_before"]
    await shop.cancel(imp_uid, **REFUND)
    line = Line(notice.pg_tid, "0000000", cancelled=False, at=notice.at, amount=notice.amount)
    assert await listed(shop, "nxva_fix2", line) == 0
    assert (await shop.payment(imp_uid)).open_cancel is not None  # the day is not over
    began = kst_midnight(shop.clock())
    shop.clock.advance(DAY)
    channel = next(c for c in await shop.cx.channels(1) if c.mid == "nxva_fix2")
    await deposits.absorb_listed(shop.cx, channel, [line], began)
    p = await shop.payment(imp_uid)
    assert (p.open_cancel, p.left) == (None, 500)
    await shop.cancel(imp_uid, **REFUND)
    assert shop.gateway.complaints == []


async def test_a_listed_deposit_that_may_be_anybodys_calls_a_person(shop: Shop) -> None:
    accounts = [await unlimited(shop), await unlimited(shop, number="2022004000060")]
    stray = Line("D9", "0000000", cancelled=False, at=shop.clock(), amount=won(500))
    assert await listed(shop, "nxva_fix2", stray) == 0
    assert await shop.alarms() == ["stray_deposit"]
    assert [(await shop.payment(i)).entries for i in accounts] == [(), ()]


# ---------------------------------------------------------------- bank hours


@pytest.mark.parametrize(("time", "open_"), [("232959", True), ("233000", False), ("003459", False), ("003500", True)])
async def test_banks_are_closed_around_midnight(shop: Shop, time: str, open_: bool) -> None:
    day = "20260902" if time < "12" else "20260901"
    shop.clock.at = from_kst("20260901120000")
    imp_uid, paid = await issued(shop), await issued(shop, number=OTHER)
    await pay_in(shop, OTHER, 10_000)
    shop.clock.at = from_kst(day + time)
    calls = list(shop.gateway.calls)
    due = Instant(shop.clock.at + DAY)
    for work in (
        lambda: issued(shop, number="2022004000009"),
        lambda: vbank.change(shop.cx, 1, imp_uid, amount=None, due=due),
        lambda: vbank.revoke(shop.cx, 1, imp_uid),
        lambda: shop.cancel(paid, **REFUND),
    ):
        if open_:
            await work()
        else:
            with pytest.raises(Refused) as refused:
                await work()
            assert refused.value.why is Why.BANK_CLOSED
    assert open_ or shop.gateway.calls == calls


# ---------------------------------------------------------------- the bank's question before


def question(number: str, amount: int, *, kind: Account = Account.FIXED, **more: str) -> DepositQuestion:
    return DepositQuestion("nxva_fix", kind, "004", number, won(amount), more.get("tid", ""), more.get("order", ""))


async def ask(shop: Shop, number: str, amount: int, mid: str = "nxva_fix") -> Precheck:
    asked = replace(question(number, amount), mid=mid)
    ids = {c.id for c in await shop.cx.channels(1)}
    return (await shop.cx.db.read(deposits._precheck, asked, ids, shop.clock()))[1]


async def test_the_bank_hears_whether_a_deposit_may_come_in(shop: Shop) -> None:
    imp_uid = await issued(shop, merchant_uid="m")
    twin = await issued(shop, merchant_uid="m", number=OTHER)
    open_ended = await unlimited(shop)
    assert await ask(shop, FIXED, 10_000) is Precheck.GOOD
    assert await ask(shop, FIXED, 9_999) is Precheck.AMOUNT
    assert await ask(shop, "2022004000009", 10_000) is Precheck.NO_ACCOUNT
    assert await ask(shop, UNLIMITED, 1, "nxva_fix2") is Precheck.GOOD
    shop.gateway.faults = ["lost_before"]
    await vbank.change(shop.cx, 1, imp_uid, amount=9_999, due=Instant(shop.clock.at + DAY))
    assert [await ask(shop, FIXED, a) for a in (10_000, 9_999)] == [Precheck.GOOD] * 2
    await pay_in(shop, FIXED, 10_000)
    assert await ask(shop, FIXED, 10_000) is Precheck.OTHER
    assert await ask(shop, OTHER, 10_000) is Precheck.OTHER  # its order is paid: no second deposit
    await vbank.revoke(shop.cx, 1, twin)
    await vbank.revoke(shop.cx, 1, open_ended)
    assert await ask(shop, OTHER, 10_000) is Precheck.NO_ACCOUNT
    assert await ask(shop, UNLIMITED, 1, "nxva_fix2") is Precheck.NO_ACCOUNT


async def test_a_deposit_after_the_due_date_is_refused_to_the_second(shop: Shop) -> None:
    due = Instant(shop.clock.at + DAY)
    await issued(shop, due=due)
    shop.clock.at = due
    assert await ask(shop, FIXED, 10_000) is Precheck.GOOD
    shop.clock.at = due + 1
    assert await ask(shop, FIXED, 10_000) is Precheck.EXPIRED


async def test_a_number_that_has_a_new_holder_at_once_keeps_its_deposits_apart(shop: Shop) -> None:
    """Revoked and issued again within the seconds that clocks may be apart; the notis come late, and twice."""
    first = await unlimited(shop)
    told = shop.gateway.bank.deposit(UNLIMITED, 1_000)
    late = shop.gateway.bank.deposit(UNLIMITED, 2_000)
    await shop.hear(told)
    shop.clock.advance(1_000)
    await vbank.revoke(shop.cx, 1, first)
    second = await unlimited(shop)
    for notice in (told, late, late, shop.gateway.bank.deposit(UNLIMITED, 4_000)):
        await shop.hear(notice)
    assert [(await shop.payment(x)).received for x in (first, second)] == [3_000, 4_000]


# ---------------------------------------------------------------- the notice address


async def test_a_channel_whose_notice_address_was_never_called_is_reported_until_it_is(shop: Shop) -> None:
    await unlimited(shop)
    await shop.pass_time(23 * HOUR)
    assert await shop.alarms() == []
    await shop.pass_time(2 * HOUR)
    assert await shop.alarms() == ["notice_never"]
    assert [s.channel_key for s in await deposits.silent_channels(shop.cx)] == ["channel-key-dev-vbank-unlimited"]
    channel = next(c for c in await shop.cx.channels(1) if c.mid == "nxva_fix2")
    await shop.cx.db.write(deposits.address_called, [channel], shop.clock())
    assert (await shop.alarms(), await deposits.silent_channels(shop.cx)) == ([], [])
    await shop.pass_time(2 * HOUR)
    assert await shop.alarms() == []
    assert (await shop.cx.db.read(stores.channels_by_mid, "nxva_fix2", shop.cx.vault))[0].id == channel.id


# ---------------------------------------------------------------- deaths


@pytest.mark.parametrize("point", ["asked", "answered"])
async def test_a_death_around_the_call_of_an_issue_is_settled_and_told(shop: Shop, point: str) -> None:
    class Died(BaseException):
        pass

    def die(where: str) -> None:
        if where == point:
            raise Died

    shop.cx.crash = die
    with pytest.raises(Died):
        await shop.account(number=FIXED)
    shop.cx.crash = lambda _where: None
    imp_uid = next(f"imps_{d}" for d in reversed(shop.made) if len(d) == 12)
    await shop.pass_time(3 * MINUTE)
    assert (await shop.shown(imp_uid)).status == "ready"
    assert await shop.webhooks(imp_uid) == [f"{imp_uid}:issued#0"]
    assert shop.gateway.complaints == []


@pytest.mark.parametrize("point", ["asked", "answered"])
@pytest.mark.parametrize("op", [Op.CHANGE, Op.REVOKE])
async def test_a_death_around_a_change_or_revocation_is_settled(shop: Shop, point: str, op: Op) -> None:
    class Died(BaseException):
        pass

    imp_uid = await issued(shop)

    def die(where: str) -> None:
        if where == point:
            raise Died

    shop.cx.crash = die
    change = vbank.change(shop.cx, 1, imp_uid, amount=12_000, due=Instant(shop.clock.at + DAY))
    revoke = vbank.revoke(shop.cx, 1, imp_uid)
    doomed, other = (change, revoke) if op is Op.CHANGE else (revoke, change)
    other.close()
    with pytest.raises(Died):
        await doomed
    shop.cx.crash = lambda _where: None
    await shop.pass_time(3 * MINUTE)
    row = await shop.shown(imp_uid)
    assert (row.amount, row.status) == ((12_000, "ready") if op is Op.CHANGE else (10_000, "failed"))


async def test_nothing_is_repeated_while_banks_are_closed(shop: Shop) -> None:
    shop.clock.at = from_kst("20260901232955")
    shop.gateway.faults = ["lost_before"]
    imp_uid = (await shop.account(number=FIXED)).settled.payment.imp_uid
    await shop.pass_time(HOUR)
    assert shop.gateway.calls == [f"issue {imp_uid}"]
    assert (await shop.payment(imp_uid)).attempts[0].state is State.UNKNOWN
