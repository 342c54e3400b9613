"""What an operator does at the console: cancels, channels, keys, webhooks, and the words of it all."""

from __future__ import annotations

import re
from pathlib import Path

from tests.console.conftest import Console, Person, text_of

import naru.console
from naru.console import words
from naru.domain.refusal import Refused, Why
from naru.service import access, setup
from naru.service.console_access import Role
from naru.store import console as views
from naru.store import stores

BASE = f"/console/{setup.DEV_IMP_CODE}"
SENT = re.compile(r'name="nonce" value="([^"]+)"')


async def _cancel_form(person: Person, imp_uid: str) -> str:
    found = SENT.search((await person.get(f"{BASE}/payments/{imp_uid}")).text)
    assert found
    return found[1]


async def test_a_cancel_sent_twice_cancels_once(console: Console) -> None:
    imp_uid = (await console.shop.pay(1000)).settled.payment.imp_uid
    person = await console.user("op@x.kr", Role.OPERATOR)
    nonce = await _cancel_form(person, imp_uid)
    for _ in range(2):
        await person.post(f"{BASE}/payments/{imp_uid}/cancel", amount="300", left="1000", nonce=nonce, reason="변심")
    payment = await console.shop.payment(imp_uid)
    assert (payment.left, console.gateway.trades[imp_uid].cancelled) == (700, 300)
    assert (await console.changes()).count("cancel") == 1


async def test_a_cancel_cannot_give_back_more_than_is_left(console: Console) -> None:
    imp_uid = (await console.shop.pay(1000)).settled.payment.imp_uid
    person = await console.user("op@x.kr", Role.OPERATOR)
    nonce = await _cancel_form(person, imp_uid)
    await console.shop.cancel(imp_uid, 600)
    for amount, left in (
        ("1001", "1001"),
        ("500", "1000"),
        ("401", "400"),
        ("-1", "400"),
        ("0", "400"),
        ("4e2", "400"),
    ):
        await person.post(f"{BASE}/payments/{imp_uid}/cancel", amount=amount, left=left, nonce=nonce)
        assert (await console.shop.payment(imp_uid)).left == 400, amount
    assert console.gateway.trades[imp_uid].cancelled == 600


async def test_an_unknown_cancel_waits_among_the_problems(console: Console) -> None:
    imp_uid = (await console.shop.pay(1000)).settled.payment.imp_uid
    person = await console.user("op@x.kr", Role.OPERATOR)
    nonce = await _cancel_form(person, imp_uid)
    console.gateway.faults = ["lost_after"]
    console.gateway.blind = True
    answer = await person.post(f"{BASE}/payments/{imp_uid}/cancel", amount="300", left="1000", nonce=nonce)
    assert "취소 결과를 확인하고 있습니다" in text_of(answer)
    listed = await person.get(f"{BASE}/problems")
    assert f"{imp_uid}C001" in listed.text
    console.gateway.blind = False
    console.clock.advance(60_000)
    await person.post(f"{BASE}/problems/check/{imp_uid}C001")
    assert (await console.shop.payment(imp_uid)).left == 700
    assert f"{imp_uid}C001" not in (await person.get(f"{BASE}/problems")).text


CHANNEL = {
    "environment": "live", "use": "window", "mid": "imp_1234", "name": "실연동 결제창 1_-", "hash_key": "ST-1234567890",
    "aes_key": "k" * 32, "merchant_name": "나루", "merchant_name_en": "Naru", "taxation": "mixed",
    "flags": ["split", "refund"],
}  # fmt: skip


async def test_a_live_channel_is_added_and_its_keys_are_sealed(console: Console) -> None:
    person = await console.user("o@x.kr", Role.OWNER)
    answer = await person.post(f"{BASE}/channels/new", **CHANNEL)
    assert answer.status_code == 200
    assert "채널을 추가했습니다" in text_of(answer)
    channels = await console.parts.db.read(stores.channels_of, 1, console.parts.cx.vault)
    made = next(c for c in channels if c.mid == "imp_1234")
    assert (made.environment.value, made.use.value, made.taxation, made.hash_key.reveal()) == (
        "live", "window", "mixed", "ST-1234567890",
    )  # fmt: skip
    assert {k for k, v in made.flags.items() if v} == {"split", "refund"}
    assert not made.is_default  # the store has a default window channel already
    assert "k" * 32 not in answer.text


async def test_a_channel_with_a_mistake_is_not_added_and_says_which(console: Console) -> None:
    person = await console.user("o@x.kr", Role.OWNER)
    for wrong, said in (
        ({"name": "콜론: 안 됨"}, "숫자, 공백, 글자, _, - 만"),
        ({"name": ""}, "숫자, 공백, 글자, _, - 만"),
        ({"mid": "portone1"}, "공개된 테스트 MID는 실연동에 쓸 수 없습니다"),
        ({"mid": "열두자"}, "12자 이하의 영문"),
        ({"hash_key": "", "aes_key": ""}, "정확히 32자여야 합니다"),
        ({"aes_key": "k" * 31}, "정확히 32자여야 합니다"),
        ({"hash_key": setup.SANDBOX_HASH_KEY}, "공개된 테스트 키는 실연동에 쓸 수 없습니다"),
        ({"merchant_name_en": "나루"}, "영문, 숫자, 기호"),
        ({"use": "api"}, "수기결제 계약 종류를 고르거나"),
    ):
        answer = await person.post(f"{BASE}/channels/new", **{**CHANNEL, **wrong})
        assert answer.status_code == 422, wrong
        assert said in text_of(answer), wrong
        assert "k" * 31 not in answer.text
    assert len(await console.parts.db.read(stores.channels_of, 1, console.parts.cx.vault)) == 6
    assert "channel_added" not in await console.changes()


async def test_a_channel_out_of_use_takes_no_payment_and_still_cancels(console: Console) -> None:
    imp_uid = (await console.shop.pay(1000)).settled.payment.imp_uid
    person = await console.user("o@x.kr", Role.OWNER)
    for key in ("channel-key-dev-keyin", "channel-key-dev-keyin-auth"):
        await person.post(f"{BASE}/channels/{key}/disable", off="1")
    try:
        await console.shop.pay(1000)
    except Refused as refusal:
        assert refusal.why is Why.NO_CHANNEL
    else:
        raise AssertionError("a payment without a channel")
    await console.shop.cancel(imp_uid)
    assert (await console.shop.payment(imp_uid)).left == 0


async def test_a_replaced_secret_overlaps_and_at_once_means_at_once(console: Console) -> None:
    cx, person = console.parts.cx, await console.user("o@x.kr", Role.OWNER)
    token = await access.get_token(cx, setup.DEV_IMP_KEY, setup.DEV_IMP_SECRET)

    async def rotate(overlap: str, stamp: str | None = None) -> str | None:
        page = (await person.get(f"{BASE}/keys")).text
        found = re.search(r'name="stamp" value="([0-9a-f]+)"', page)
        assert found
        answer = await person.post(f"{BASE}/keys/1/rotate", overlap=overlap, stamp=stamp or found[1])
        shown = re.search(r"<dt>imp_secret</dt><dd>.*?<code>([^<]+)</code>", answer.text, re.S)
        return shown[1] if shown else None

    stale = re.search(r'name="stamp" value="([0-9a-f]+)"', (await person.get(f"{BASE}/keys")).text)
    assert stale
    second = await rotate("1h")
    assert second is not None
    for secret in (setup.DEV_IMP_SECRET, second):
        await access.get_token(cx, setup.DEV_IMP_KEY, secret)
    assert await rotate("1h", stale[1]) is None  # the form was sent twice: nothing changes
    console.clock.advance(3_600_000)
    await access.get_token(cx, setup.DEV_IMP_KEY, second)
    token = await access.get_token(cx, setup.DEV_IMP_KEY, second)
    third = await rotate("0")
    for secret in (setup.DEV_IMP_SECRET, second):
        try:
            await access.get_token(cx, setup.DEV_IMP_KEY, secret)
        except Refused as refusal:
            assert refusal.why is Why.KEY_WRONG
        else:
            raise AssertionError("an old secret still works")
    try:
        await access.authenticate(cx, token.text, "127.0.0.1")
    except Refused as refusal:
        assert refusal.why is Why.UNAUTHORIZED
    else:
        raise AssertionError("a token of the old secret still works")
    fresh = await access.get_token(cx, setup.DEV_IMP_KEY, third)
    assert (await access.authenticate(cx, fresh.text, "127.0.0.1")).store_id == 1


async def test_the_api_is_reached_from_allowed_networks_only(console: Console) -> None:
    cx, person = console.parts.cx, await console.user("o@x.kr", Role.OWNER)
    answer = await person.post(f"{BASE}/keys/networks", networks="10.0.0.0/8, not-an-address")
    assert "not-an-address" in text_of(answer)
    assert (await cx.store(1)).allowed_ips == ()
    await person.post(f"{BASE}/keys/networks", networks="10.0.0.0/8\n203.0.113.7")
    token = (await access.get_token(cx, setup.DEV_IMP_KEY, setup.DEV_IMP_SECRET)).text
    assert (await access.authenticate(cx, token, "10.1.2.3")).store_id == 1
    try:
        await access.authenticate(cx, token, "203.0.113.8")
    except Refused as refusal:
        assert refusal.why is Why.IP_BLOCKED
    else:
        raise AssertionError("called from elsewhere")


async def test_a_given_up_webhook_is_sent_again(console: Console) -> None:
    imp_uid = (await console.shop.pay(1000)).settled.payment.imp_uid
    person = await console.user("op@x.kr", Role.OPERATOR)
    console.parts.sender.post = console.shop.sender.post  # type: ignore[method-assign]
    console.shop.sender.statuses = [400]
    await console.parts.runner.drain()
    assert [r.state for r in await console.parts.db.read(views.webhooks_page, 1, "dead", 1 << 62, 9)] == ["dead"]
    await person.post(f"{BASE}/webhooks/resend", dead="1")
    await console.parts.runner.drain()
    whole = await console.parts.db.read(views.whole, 1, imp_uid)
    assert whole is not None
    assert [j.state for j in whole.jobs] == ["done"]
    assert [d.status for d in whole.deliveries] == [200, 400]
    assert whole.row.heard_at == console.clock.at


async def test_both_secrets_sign_while_one_is_replaced(console: Console) -> None:
    person = await console.user("o@x.kr", Role.OWNER)
    page = (await person.get(f"{BASE}/webhooks/settings")).text
    found = re.search(r'name="stamp" value="([0-9a-f]+)"', page)
    assert found
    await person.post(f"{BASE}/webhooks/secret", stamp=found[1], overlap="24h")
    console.parts.sender.post = console.shop.sender.post  # type: ignore[method-assign]
    await console.shop.pay(1000)
    await console.parts.runner.drain()
    assert len(console.shop.sender.sent[-1][2]["webhook-signature"].split(" ")) == 2
    console.clock.advance(86_400_000)
    await console.shop.pay(1000)
    await console.parts.runner.drain()
    assert len(console.shop.sender.sent[-1][2]["webhook-signature"].split(" ")) == 1


def test_every_word_is_there_in_both_languages() -> None:
    catalogue = words.catalogue()
    blanks = re.compile(r"(?<!\{)\{(\w+)\}(?!\})")
    for key, (korean, english) in catalogue.items():
        assert korean.strip(), key
        assert english.strip(), key
        assert set(blanks.findall(korean)) == set(blanks.findall(english)), key
    here = Path(naru.console.__file__).parent
    used: set[str] = set()
    for file in (*here.glob("templates/*.html"), *here.glob("*.py"), *here.parent.glob("service/console_*.py")):
        text = file.read_text("utf-8")
        used |= set(re.findall(r"\bt\(['\"]([a-z0-9_]+\.[a-z0-9_]+)['\"]", text))
        used |= set(re.findall(r"(?:SignInError|Problem)\(\"([a-z_]+\.[a-z_]+)\"", text))
    assert len(used) > 300
    prefixes = {key for key in used if key.endswith("_")}  # completed by a value: t("recon.reason_" ~ x.reason)
    assert used - set(catalogue) - prefixes == set()
    assert [p for p in prefixes if not any(key.startswith(p) for key in catalogue)] == []


async def test_every_page_opens_in_both_languages(console_anywhere: Console) -> None:
    console = console_anywhere
    imp_uid = (await console.shop.pay(1000)).settled.payment.imp_uid
    person = await console.user("o@x.kr", admin=True)
    for language in words.LANGUAGES:
        person.client.cookies.set("naru_lang", language)
        for path in ("", "/volume", "/payments", "/payments/total", f"/payments/{imp_uid}", "/problems", "/channels",
                     "/channels/new", "/channels/new?environment=live&use=window",
                     "/channels/new?environment=test&use=api&mid=nxca_ks_gu", "/channels/channel-key-dev-vbank",
                     "/channels/channel-key-dev-vbank/edit", "/webhooks", "/webhooks/settings", "/webhooks/1", "/keys",
                     "/people", "/changes", "/sandbox", "/billing?q=x",
                     "/vbanks?q=1&before=9999999999999", "/reconciliation",
                     "/webhooks?state=dead", "/payments?q=x&status=partial&method=card&environment=test&base=request",
                     "/payments?q=x&field=depositor", "/payments/export.csv", "/calls"):  # fmt: skip
            answer = await person.get(BASE + path)
            assert answer.status_code == 200, (path, text_of(answer)[-300:])
            assert path.endswith(".csv") or f'<html lang="{language}">' in answer.text
        for path in ("/console/stores", "/console/users", "/console/inbox", "/console/account"):
            assert (await person.get(path)).status_code == 200, path
