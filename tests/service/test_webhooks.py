"""Webhooks are owed until delivered, or given up by a policy that is written down."""

from __future__ import annotations

import json
from typing import Any

import pytest
from standardwebhooks import Webhook

from naru.domain.values import DAY, HOUR, MINUTE
from naru.jobs.deliver import next_try, render
from naru.jobs.outside import is_public
from naru.service import console_keys, setup
from naru.store import mail, stores
from naru.store.people import Actor
from tests.shop import Shop


async def tries(shop: Shop, imp_uid: str) -> list[tuple[int, int | None]]:
    return [(d.try_no, d.status) for d in await shop.cx.db.read(mail.deliveries_of, imp_uid)]


async def test_a_refused_connection_and_a_5xx_are_sent_again_a_minute_later(shop: Shop) -> None:
    shop.sender.statuses = [None, 503, 200]
    imp_uid = (await shop.pay()).settled.payment.imp_uid
    await shop.runner.drain()
    assert await tries(shop, imp_uid) == [(1, None)]
    await shop.pass_time(MINUTE - 1)
    assert len(await tries(shop, imp_uid)) == 1
    await shop.pass_time(1)
    await shop.pass_time(MINUTE)
    assert await tries(shop, imp_uid) == [(1, None), (2, 503), (3, 200)]
    [job] = await shop.cx.db.read(mail.jobs_of, imp_uid)
    assert (job.state, job.run_at) == ("done", None)


async def test_a_4xx_is_the_shops_answer_and_a_dead_webhook_calls_a_person(shop: Shop) -> None:
    shop.sender.statuses = [404]
    imp_uid = (await shop.pay()).settled.payment.imp_uid
    await shop.pass_time(DAY)
    assert await tries(shop, imp_uid) == [(1, 404)]
    assert await shop.alarms() == ["dead_webhook"]
    [job] = await shop.cx.db.read(mail.jobs_of, imp_uid)
    assert (job.state, job.last_error) == ("dead", "HTTP 404")


async def test_it_is_given_up_after_a_day(shop: Shop) -> None:
    shop.sender.statuses = [500] * 1000
    imp_uid = (await shop.pay()).settled.payment.imp_uid
    await shop.pass_time(25 * HOUR)
    [job] = await shop.cx.db.read(mail.jobs_of, imp_uid)
    assert job.state == "dead"
    made = await tries(shop, imp_uid)
    assert [d.started_at for d in (await shop.cx.db.read(mail.deliveries_of, imp_uid))][-1] <= job.created_at + DAY
    assert 8 <= len(made) <= 20


async def send_again(shop: Shop, imp_uid: str) -> Any:
    """An operator has a payment's one webhook sent again; the job as it was."""
    [job] = await shop.cx.db.read(mail.jobs_of, imp_uid)
    store = await shop.cx.store(shop.store_id)
    assert await console_keys.resend(shop.cx, Actor(None, "test", "-"), store, [job.id]) == 1
    return job


async def test_what_the_operator_sends_again_is_tried_anew_and_not_for_ever(shop: Shop) -> None:
    """Six tries a minute apart, also for an event that is days old; then it is given up again, and a person hears."""
    shop.sender.statuses = [500] * 1000
    imp_uid = (await shop.pay()).settled.payment.imp_uid
    await shop.pass_time(3 * DAY)
    before = len(await tries(shop, imp_uid))
    assert await shop.alarms() == ["dead_webhook"]
    await send_again(shop, imp_uid)
    await shop.pass_time(3 * DAY)
    made = await tries(shop, imp_uid)
    assert [number for number, _ in made] == list(range(1, before + 7))
    [job] = await shop.cx.db.read(mail.jobs_of, imp_uid)
    assert job.state == "dead"
    assert await shop.alarms() == ["dead_webhook"] * 2
    shop.sender.statuses = [500, 200]
    await send_again(shop, imp_uid)
    await shop.pass_time(MINUTE)
    [job] = await shop.cx.db.read(mail.jobs_of, imp_uid)
    assert (job.state, job.tries) == ("done", before + 8)


async def test_who_was_sending_when_it_was_sent_again_does_not_conclude_the_other_try(shop: Shop) -> None:
    """A slow first try and the operator's: what became of the one says nothing about the other."""
    imp_uid = (await shop.pay()).settled.payment.imp_uid
    db, now = shop.cx.db, shop.clock()
    [slow] = await db.write(mail.claim, ("webhook",), now, now + MINUTE, 9)
    await send_again(shop, imp_uid)
    [again] = await db.write(mail.claim, ("webhook",), now, now + MINUTE, 9)
    assert not await db.write(mail.postpone, slow.id, slow.tries, run_at=None, error="HTTP 400", now=now)
    assert await db.write(mail.finish, again.id, again.tries, now=now)
    [job] = await db.read(mail.jobs_of, imp_uid)
    assert (job.state, job.tries) == ("done", 2)


def test_the_retry_policies() -> None:
    assert next_try("naru", 0, 1, 1000, 500) == 1000 + MINUTE
    assert next_try("naru", 0, 5, 1000, None) == 1000 + MINUTE
    later = next_try("naru", 0, 6, 1000, None)
    assert later is not None
    assert 1000 + 1.8 * MINUTE <= later <= 1000 + 2.2 * MINUTE
    assert next_try("portone", 0, 5, 0, 500) == MINUTE
    assert next_try("portone", 0, 6, 0, 500) is None
    assert next_try("off", 0, 1, 0, 500) is None
    assert next_try("naru", 0, 1, 0, 400) is None
    assert next_try("naru", 0, 1, 0, 429) == MINUTE


async def test_notice_urls_replace_the_stores_address_each_with_its_own_job(shop: Shop) -> None:
    urls = ["http://a.test/hook", "http://b.test/hook"]
    await shop.pay(notice_urls=urls)
    await shop.runner.drain()
    assert sorted(url for url, _b, _h in shop.sender.sent) == urls


async def test_the_signature_is_standard_webhooks_and_its_id_stays_over_tries(shop: Shop) -> None:
    shop.sender.statuses = [500]
    await shop.pay()
    await shop.pass_time(MINUTE)
    (_, first, headers), (_, _second, again) = shop.sender.sent
    assert headers["webhook-id"] == again["webhook-id"]
    assert headers["webhook-timestamp"] != again["webhook-timestamp"]
    secret = await shop.cx.db.read(stores.webhook_secret, shop.store_id, shop.cx.vault)
    encoder = Webhook(secret)
    from datetime import UTC, datetime

    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert encoder.sign(headers["webhook-id"], at, first.decode()) == headers["webhook-signature"]


@pytest.mark.parametrize(
    ("content_type", "body", "header"),
    [
        ("application/json", b'{"imp_uid":"i","status":"paid"}', "application/json"),
        ("application/x-www-form-urlencoded", b"imp_uid=i&status=paid", "application/x-www-form-urlencoded"),
    ],
)
def test_both_content_types_with_the_exact_header(content_type: str, body: bytes, header: str) -> None:
    assert render({"imp_uid": "i", "status": "paid"}, content_type) == (body, header)


async def test_a_payment_without_an_address_has_a_row_that_says_so(shop: Shop) -> None:
    await shop.cx.db.write(stores.set_webhook, shop.store_id, None, None, "application/json")
    imp_uid = (await shop.pay()).settled.payment.imp_uid
    [job] = await shop.cx.db.read(mail.jobs_of, imp_uid)
    assert (job.state, json.loads(job.payload)["silent"]) == ("silent", "no address")
    await shop.runner.drain()
    assert shop.sender.sent == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("127.0.0.1", False), ("10.0.0.1", False), ("169.254.169.254", False), ("::1", False),
        ("::ffff:127.0.0.1", False), ("fe80::1%eth0", False), ("100.64.0.1", False), ("0.0.0.0", False),
        ("224.0.0.1", False), ("2001:4860:4860::8888", True), ("192.168.0.1", False),
    ],
)  # fmt: skip
def test_private_networks_are_told_from_the_internet(address: str, public: bool) -> None:
    assert is_public(address) is public


async def test_a_master_key_of_another_database_is_noticed(shop: Shop) -> None:
    from naru.store.vault import Vault, WrongMasterKey

    shop.cx.vault = Vault(b"x" * 32)
    with pytest.raises(WrongMasterKey):
        await setup.check_master_key(shop.cx)
    shop.cx.vault = Vault(b"k" * 32)
