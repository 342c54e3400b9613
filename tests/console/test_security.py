"""Who may do what in the console, and what no stranger can make it do."""

from __future__ import annotations

import pytest
from tests.console.conftest import PASSWORD, Console, text_of

from naru.console.payments import safe_cell
from naru.console.visit import ROUTES, own_path
from naru.domain.values import HOUR, MINUTE
from naru.service import console_access as access
from naru.service import setup
from naru.service.console_access import Role
from naru.store import people, stores
from naru.store.people import Actor

CODE = setup.DEV_IMP_CODE
HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'{{7*7}}"


def _routes(method: str) -> list[tuple[str, str, str]]:
    """(path with samples filled in, scope, role needed) of every route of a method."""
    found: list[tuple[str, str, str]] = []
    for route in ROUTES:
        if method in route.http_methods:
            for path in route.paths:
                filled = path
                for part in path.split("/"):
                    if part.startswith("{"):
                        name = part.strip("{}").partition(":")[0]
                        sample = {"code": CODE, "key": "1"}.get(name, "1")
                        filled = filled.replace(part, sample)
                found.append((filled, route.opt["scope"], route.opt["need"]))
    assert found
    return found


async def test_every_form_needs_its_token_and_says_nothing_else(console: Console) -> None:
    owner = await console.user("owner@x.kr", admin=True)
    other = await console.user("other@x.kr", Role.OWNER)
    before = await console.changes()
    for path, scope, _need in _routes("POST"):
        if scope == "open":
            continue
        for token in ("", "0" * 40, other.csrf):
            answer = await owner.client.post(path, data={"_csrf": token})
            assert answer.status_code == 403, (path, token)
    assert await console.changes() == before


async def test_a_form_of_another_site_is_refused(console: Console) -> None:
    owner = await console.user("owner@x.kr", admin=True)
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        answer = await owner.client.post(f"/console/{CODE}/keys/add", data={"_csrf": owner.csrf}, headers=headers)
        assert answer.status_code == 403
    assert "key_added" not in await console.changes()


async def test_nobody_sees_anything_without_signing_in(console: Console) -> None:
    stranger = console.stranger()
    for method in ("GET", "POST"):
        for path, scope, _need in _routes(method):
            if scope == "open":
                continue
            answer = await stranger.client.request(method, path)
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/console/login?next="), path


async def test_another_store_looks_like_none(console: Console) -> None:
    mine = await setup.make_store(console.parts.cx, "다른 상점")
    paid = (await console.shop.pay(1000)).settled.payment.imp_uid
    person = await console.user("me@x.kr", Role.OWNER, mine.store_id)
    for method in ("GET", "POST"):
        for path, scope, _need in _routes(method):
            if scope != "store":
                continue
            answer = await person.client.request(
                method, path, data={"_csrf": person.csrf} if method == "POST" else None
            )
            assert answer.status_code == 404, path
    # Nor through one's own store.
    answer = await person.get(f"/console/{mine.imp_code}/payments/{paid}")
    assert answer.status_code == 404
    answer = await person.post(f"/console/{mine.imp_code}/payments/{paid}/cancel", amount="1000", left="1000")
    assert answer.status_code == 404
    answer = await person.get(f"/console/{mine.imp_code}/channels/channel-key-dev-window")
    assert answer.status_code == 404
    assert (await console.shop.payment(paid)).left == 1000


@pytest.mark.parametrize(("role", "refused"), [(Role.READER, ("operator", "owner")), (Role.OPERATOR, ("owner",))])
async def test_a_role_reaches_as_far_as_it_says(console: Console, role: Role, refused: tuple[str, ...]) -> None:
    person = await console.user("p@x.kr", role)
    before = await console.changes()
    for method in ("GET", "POST"):
        for path, scope, need in _routes(method):
            if scope == "admin" or (scope == "store" and need in refused):
                answer = await person.client.request(
                    method, path, data={"_csrf": person.csrf} if method == "POST" else None
                )
                assert answer.status_code == (404 if scope == "admin" else 403), path
    assert await console.changes() == before


async def test_a_sign_in_makes_a_new_session_whatever_was_there(console: Console) -> None:
    await console.user("me@x.kr", Role.READER)
    person = console.stranger()
    planted = "planted-by-somebody-else-000000000000000000"
    person.client.cookies.set("naru_session", planted)
    await person.sign_in("me@x.kr")
    mine = [c.value for c in person.client.cookies.jar if c.name == "naru_session" and c.value != planted]
    assert len(mine) == 1
    assert await access.session(console.parts.cx, planted) is None
    assert await access.session(console.parts.cx, mine[0]) is not None


async def test_a_session_ends_by_itself_and_by_signing_out(console: Console) -> None:
    person = await console.user("me@x.kr", Role.READER)
    console.clock.advance(access.IDLE_MS - MINUTE)
    assert (await person.client.get("/console/account")).status_code == 200
    console.clock.advance(access.IDLE_MS + 1)
    assert (await person.client.get("/console/account")).status_code == 303
    other = await console.user("you@x.kr", Role.READER)
    cookie = other.client.cookies["naru_session"]
    await other.post("/console/logout")
    assert await access.session(console.parts.cx, cookie) is None


async def test_guessing_passwords_is_stopped_and_tells_nothing(console: Console) -> None:
    await console.user("me@x.kr", Role.READER)
    said: set[str] = set()
    for email in ("me@x.kr", "nobody@x.kr"):
        person = console.stranger()
        answer = await person.sign_in(email, "wrong password")
        assert answer.status_code == 422
        said.add(text_of(answer))
    assert len(said) == 1
    person = console.stranger()
    for _ in range(5):
        await person.sign_in("me@x.kr", "wrong password")
    assert (await person.sign_in("me@x.kr", PASSWORD)).status_code == 429
    console.clock.advance(HOUR)
    assert (await person.sign_in("me@x.kr", PASSWORD)).status_code == 200


async def test_a_new_password_ends_every_other_session(console: Console) -> None:
    first = await console.user("me@x.kr", Role.READER)
    second = console.stranger()
    await second.sign_in("me@x.kr")
    await first.get("/console/account")
    await first.post("/console/account/password", old=PASSWORD, new="another long sentence")
    assert (await first.client.get("/console/account")).status_code == 200
    assert (await second.client.get("/console/account")).status_code == 303


async def test_a_one_time_address_works_once(console: Console) -> None:
    address = await access.first_address(console.parts.cx)
    assert address is not None
    token = address.partition("token=")[2]
    await access.join(console.parts.cx, token, email_text="a@x.kr", name="", password=PASSWORD, remote="", agent="")
    with pytest.raises(access.SignInError, match=r"join\.over"):
        await access.join(console.parts.cx, token, email_text="b@x.kr", name="", password=PASSWORD, remote="", agent="")
    assert await access.first_address(console.parts.cx) is None
    late = await access.invite(console.parts.cx, Actor(None, "t", "-"), email="c@x.kr", admin=True)
    console.clock.advance(access.INVITE_MS)
    with pytest.raises(access.SignInError, match=r"join\.over"):
        await access.join(
            console.parts.cx,
            late.partition("token=")[2],
            email_text="",
            name="",
            password=PASSWORD,
            remote="",
            agent="",
        )
    assert await console.parts.db.read(people.count_users) == 1


async def test_what_buyers_write_is_text_wherever_it_is_shown(console: Console) -> None:
    charged = await console.shop.pay(
        1000, HOSTILE[:40], buyer_name=HOSTILE, buyer_email=HOSTILE, buyer_tel=HOSTILE, buyer_addr=HOSTILE,
        buyer_postcode=HOSTILE, custom_data=HOSTILE, user_agent=HOSTILE,
    )  # fmt: skip
    paid = charged.settled.payment.imp_uid
    await console.shop.cancel(paid, 300, reason=HOSTILE)
    person = await console.user("o@x.kr", admin=True)
    base = f"/console/{CODE}"
    for path in (base, f"{base}/payments", f"{base}/payments/{paid}", f"{base}/webhooks", f"{base}/problems",
                 f"{base}/payments?q={HOSTILE}&field=buyer_name"):  # fmt: skip
        answer = await person.get(path)
        assert answer.status_code == 200
        for mark in ("<script>alert", "<img src=x", "49</"):
            assert mark not in answer.text, (path, mark)
    assert "&lt;script&gt;alert(1)" in (await person.get(f"{base}/payments/{paid}")).text


async def test_a_search_is_words_and_not_sql(console: Console) -> None:
    await console.shop.pay(1000, "order-100%")
    await console.shop.pay(1000, "order-1000")
    person = await console.user("o@x.kr", Role.READER)

    async def hits(text: str, field: str = "merchant_uid") -> int:
        page = await person.get(f"/console/{CODE}/payments", params={"q": text, "field": field})
        assert page.status_code == 200
        return page.text.count("/payments/imps_")

    assert await hits("order-10") == 2
    assert await hits("0%") == 1
    assert await hits("order_100") == 0
    for text in ("' OR 1=1 --", "\\", "%' UNION SELECT * FROM users --", "x\x00"):
        assert await hits(text) == 0
    assert await hits("order", "imp_uid; DROP TABLE payments") == 2  # an unknown field means the usual ones


async def test_no_cell_of_the_csv_is_a_formula(console: Console) -> None:
    await console.shop.pay(1000, "=cmd|' /C calc'!A1", buyer_name="+1+1", buyer_email="@SUM(1)", buyer_tel="-2")
    person = await console.user("o@x.kr", Role.READER)
    answer = await person.get(f"/console/{CODE}/payments/export.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    line = answer.content.decode("utf-8-sig").splitlines()[1]
    for cell in ("=cmd|' /C calc'!A1", "+1+1", "@SUM(1)", "-2"):
        assert f",'{cell}" in line or f"\"'{cell}" in line, cell
    assert safe_cell("\t=1") == "'\t=1"
    assert "export" in await console.changes()


async def test_every_answer_carries_the_headers(console: Console) -> None:
    person = await console.user("o@x.kr", Role.READER)
    for path in ("/console/account", f"/console/{CODE}", f"/console/{CODE}/payments/export.csv", "/console/nowhere/x"):
        headers = (await person.client.get(path)).headers
        assert "script-src 'self'" in headers["content-security-policy"], path
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
    cookie = (await console.stranger().client.get("/console/login")).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


def test_a_sign_in_leads_nowhere_outside() -> None:
    for target in ("https://evil.example/", "//evil.example", "/\\evil.example", "/payments", "/console//evil.example"):
        assert own_path(target) == "/console"
    assert own_path("/console/imp00000000/payments?q=1") == "/console/imp00000000/payments?q=1"


async def test_no_secret_is_shown_after_it_was_made(console: Console) -> None:
    person = await console.user("o@x.kr", admin=True)
    secret = await console.parts.db.read(stores.webhook_secret, 1, console.parts.cx.vault)
    for path in (
        "keys",
        "webhooks/settings",
        "channels/channel-key-dev-window",
        "channels/channel-key-dev-window/edit",
    ):
        page = (await person.get(f"/console/{CODE}/{path}")).text
        for hidden in (secret, setup.DEV_IMP_SECRET, setup.SANDBOX_AES_KEY, setup.SANDBOX_HASH_KEY):
            assert hidden not in page, path
