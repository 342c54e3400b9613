"""What people press: refunds that race, cash receipts, schedules, billing keys, the store's switches."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from tests.console.conftest import Console, Person, text_of
from tests.fakes import auth_no
from tests.service.test_billing import keys
from tests.service.test_checkout import wish
from tests.service.test_schedules import book, customer, item, row
from tests.windows import paid_in_window

from naru.domain.refusal import Refused, Why
from naru.domain.values import DAY, kst_stamp
from naru.service import checkout, setup
from naru.service.console_access import Role
from naru.store import people, receipts

BASE = f"/console/{setup.DEV_IMP_CODE}"
PHONE = {"identifier_type": "phone", "identifier": "010-1234-5678", "kind": "person"}


async def _form(person: Person, imp_uid: str) -> dict[str, str]:
    """The hidden fields of the cancel form as this tab shows them."""
    page = (await person.get(f"{BASE}/payments/{imp_uid}")).text
    form = page[page.index('/cancel"') :]
    return {name: re.search(rf'name="{name}" value="([^"]*)"', form)[1] for name in ("left", "nonce")}  # type: ignore[index]


async def _detail(console: Console, action: str) -> list[str]:
    changes = await console.parts.db.read(people.changes, None, 1 << 62, 1000)
    return [r.detail for r in changes if r.action == action]


async def test_two_tabs_that_race_give_back_once_what_was_there_once(console_anywhere: Console) -> None:
    console = console_anywhere
    imp_uid = (await console.shop.pay(1000)).settled.payment.imp_uid
    people_ = [await console.user(f"op{n}@x.kr", Role.OPERATOR) for n in range(2)]
    tabs = [await _form(p, imp_uid) for p in people_]
    answers = await asyncio.gather(
        *(
            p.post(f"{BASE}/payments/{imp_uid}/cancel", amount="700", **tab)
            for p, tab in zip(people_, tabs, strict=True)
        )
    )
    payment = await console.shop.payment(imp_uid)
    assert (payment.left, console.gateway.trades[imp_uid].cancelled) == (300, 700)
    assert sorted("취소했습니다" in text_of(a) for a in answers) == [False, True]
    assert console.gateway.complaints == []


async def test_a_refund_names_its_deposit_and_gives_back_no_more_than_it(console: Console) -> None:
    shop = console.shop
    imp_uid = (await shop.account(0, channel="nxva_fix2")).settled.payment.imp_uid
    number = (await shop.shown(imp_uid)).vbank_num
    for amount in (3000, 7000):
        await shop.hear(shop.gateway.bank.deposit(number, amount))
    person = await console.user("op@x.kr", Role.OPERATOR)
    page = (await person.get(f"{BASE}/payments/{imp_uid}")).text
    tids = re.findall(r'<option value="(D\d+)"', page[page.index("f-pg_tid") : page.index('id="receipts"')])
    assert len(tids) == 2
    assert 'value="3000" required' in page, "the first deposit is what is offered, not the sum"
    tab = await _form(person, imp_uid)
    to = {"refund_bank": "004", "refund_account": "123-456", "refund_holder": "홍길동"}
    for amount in ("3001", "10001"):
        await person.post(f"{BASE}/payments/{imp_uid}/cancel", amount=amount, pg_tid=tids[0], **tab, **to)
        assert (await shop.payment(imp_uid)).left == 10_000
    await person.post(f"{BASE}/payments/{imp_uid}/cancel", amount="3000", pg_tid=tids[0], **tab, **to)
    assert (await shop.payment(imp_uid)).left == 7_000
    assert "무제한 입금" in text_of(await person.get(f"{BASE}/payments"))
    assert "10,000 원" in text_of(await person.get(f"{BASE}/payments/total"))


async def test_a_cash_receipt_is_issued_and_taken_back(console: Console) -> None:
    imp_uid = await paid_in_window(console.shop, "trans", 1000)
    reader, person = await console.user("r@x.kr", Role.READER), await console.user("op@x.kr", Role.OPERATOR)
    at = f"{BASE}/payments/{imp_uid}/receipts"
    await reader.get(f"{BASE}/payments/{imp_uid}")
    assert (await reader.post(at, **PHONE)).status_code == 403
    for wrong in ({"identifier": "02-123-4567"}, {"identifier_type": "fax"}, {"kind": "nobody"}, {"identifier": ""}):
        await person.get(f"{BASE}/payments/{imp_uid}")
        await person.post(at, **{**PHONE, **wrong})
    assert console.gateway.receipts == {}
    said = text_of(await person.post(at, **PHONE))
    assert "현금영수증을 발급했습니다" in said
    number = f"{imp_uid}R001"
    assert auth_no(number) in said
    assert "010******78" in said
    said = text_of(await person.post(at, **PHONE))
    assert "이미" in said
    assert list(console.gateway.receipts) == [number]
    said = text_of(await person.post(f"{at}/cancel", pg_tid=""))
    assert "현금영수증을 취소했습니다" in said
    rows = await console.parts.db.read(receipts.of_payment, imp_uid)
    assert [(r.ask, r.state) for r in rows] == [("issue", "done"), ("cancel", "done")]
    assert await _detail(console, "receipt_issued") == [json.dumps({"receipt": number, "result": "done"})]
    assert "01012345678" not in str(await console.parts.db.read(people.changes, None, 1 << 62, 1000))
    card = (await console.shop.pay(1000)).settled.payment.imp_uid
    page = await person.get(f"{BASE}/payments/{card}")
    assert 'id="receipts"' not in page.text, "cards are receipts by themselves"
    assert f"/slips/{card}/" in page.text


async def test_a_refused_or_lost_receipt_says_so(console: Console) -> None:
    imp_uid = await paid_in_window(console.shop, "trans", 1000)
    person = await console.user("op@x.kr", Role.OPERATOR)
    at = f"{BASE}/payments/{imp_uid}/receipts"
    console.gateway.faults = ["decline"]
    assert "헥토파이낸셜이 거절했습니다" in text_of(await person.post(at, **PHONE))
    console.gateway.faults = ["unsent"]
    assert "아무 일도 일어나지 않았습니다" in text_of(await person.post(at, **PHONE))
    console.gateway.faults = ["lost_after"]
    console.gateway.blind = True
    assert "결과를 확인하고 있습니다" in text_of(await person.post(at, **PHONE))
    assert len(console.gateway.receipts) == 1


async def test_schedules_are_moved_revoked_and_charged_by_hand(console: Console) -> None:
    shop = console.shop
    await customer(shop)
    await book(shop, item(shop, "a", DAY), item(shop, "b", DAY))
    reader, person = await console.user("r@x.kr", Role.READER), await console.user("op@x.kr", Role.OPERATOR)
    at = f"{BASE}/billing/schedules"
    assert (await reader.post(at, merchant_uid="a", what="revoke")).status_code == 403
    day = kst_stamp(shop.clock.at + 3 * DAY)[:8]
    when = {"day": f"{day[:4]}-{day[4:6]}-{day[6:]}", "time": "10:30"}
    for wrong in ({"day": "2026-13-01"}, {"time": "25:00"}, {"day": "2020-01-01"}):
        await person.post(at, merchant_uid="a", what="move", **{**when, **wrong})
        assert (await row(shop, "a")).schedule_at == shop.clock.at + DAY, wrong
    await person.post(at, merchant_uid="a", what="move", **when)
    moved = (await row(shop, "a")).schedule_at
    assert kst_stamp(moved) == f"{day}103000"
    await person.post(at, merchant_uid="b", what="revoke")
    assert (await row(shop, "b")).status == "revoked"
    await person.post(at, merchant_uid="b", what="retry")
    assert ((await row(shop, "b")).status, (await row(shop, "b")).payment_status) == ("executed", "paid")
    assert len(shop.gateway.trades) == 1
    await person.post(at, merchant_uid="b", what="retry")
    assert len(shop.gateway.trades) == 1, "what is paid is not charged again"
    await person.post(at, merchant_uid="nobody", what="retry")
    assert [c for c in await console.changes() if c.startswith("schedule_")] == [
        "schedule_retry", "schedule_revoke", "schedule_move",
    ]  # fmt: skip
    page = await person.get(f"{BASE}/billing")
    assert 'class="today"' in page.text


async def test_a_billing_key_is_deleted_at_hecto(console: Console) -> None:
    shop = console.shop
    await customer(shop)
    key = (await keys(shop))[0]
    reader, person = await console.user("r@x.kr", Role.READER), await console.user("op@x.kr", Role.OPERATOR)
    assert (await reader.post(f"{BASE}/billing/keys/{key.id}")).status_code == 403
    assert len(shop.gateway.billing_keys) == 1
    assert "삭제" in text_of(await person.post(f"{BASE}/billing/keys/{key.id}"))
    assert shop.gateway.billing_keys == {}
    assert (await keys(shop))[0].state != "live"
    assert "key_deleted" in await console.changes()


async def test_a_page_without_company_uses_the_stores_name_once_there_is_one(console: Console) -> None:
    shop = console.shop
    person = await console.user("o@x.kr", Role.OWNER)
    given: dict[str, Any] = {"pay_method": "phone", "company": None, "company_en": None}
    with pytest.raises(Refused) as refused:
        await checkout.open_window(shop.cx, wish(**given))
    assert (refused.value.why, refused.value.facts["name"]) == (Why.PARAMETER, "company_en")
    for wrong in ({"default_company": "나루", "default_company_en": "나루"}, {"default_company": "나\u0001루"}):
        await person.post(f"{BASE}/keys/switches", **wrong)
        assert (await shop.cx.store(1)).switches == {}, wrong
    await person.post(
        f"{BASE}/keys/switches", default_company="나루상점", default_company_en="Naru Shop", switch="webhook_first",
        dunning_hour="9",
    )  # fmt: skip
    store = await shop.cx.store(1)
    assert (store.on("webhook_first"), store.on("default_company"), store.dunning_hour) == (True, False, 9)
    opened = await checkout.open_window(shop.cx, wish(**given))
    sent = shop.gateway.windows[opened.verdict.stored.payment.imp_uid]
    assert (sent.company, sent.company_en) == ("나루상점", "Naru Shop")
    own = await checkout.open_window(
        shop.cx, wish(merchant_uid="order-2", pay_method="phone", company="다른 이름", company_en="Other")
    )
    assert shop.gateway.windows[own.verdict.stored.payment.imp_uid].company == "다른 이름"
    page = await person.get(f"{BASE}/keys")
    assert 'value="Naru Shop"' in page.text
    await person.post(f"{BASE}/keys/switches")
    store = await shop.cx.store(1)
    assert (store.switches, store.dunning_hour) == ({}, None)
