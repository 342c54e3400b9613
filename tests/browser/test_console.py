"""The console in Chromium: what everybody can use, at the desk and on the phone, in both languages.

One running server for all of it; see `town` for what is in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.town import PASSWORD, Town, town

from naru.service import setup

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

SIZES = {"desk": (1280, 800), "phone": (390, 844)}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def place(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(migrated_sqlite, tmp_path_factory.mktemp("town")) as made:
        yield made


@pytest.fixture(scope="module")
def axe() -> str:
    from axe_core_python.base import AXE_SCRIPT

    return AXE_SCRIPT


def enter(
    chromium: Browser, place: Town, who: str, *, size: str = "desk", language: str = "ko", script: bool = True
) -> BrowserContext:
    """A browser that is signed in as somebody (or, with an empty name, as nobody)."""
    width, height = SIZES[size]
    context = chromium.new_context(
        viewport={"width": width, "height": height}, java_script_enabled=script, locale="ko-KR"
    )
    context.set_default_timeout(15_000)
    context.add_cookies([{"name": "naru_lang", "value": language, "url": f"{place.naru.url}/console/"}])
    if who:
        context.add_cookies([{"name": "naru_session", "value": who, "url": place.naru.url}])
    return context


def pages_of(place: Town) -> list[str]:
    """Every page of the console, and the same page where it says something else."""
    shop, payments = f"/console/{setup.DEV_IMP_CODE}", place.payments
    empty = f"/console/{place.live_code}"
    bare = ("", "/payments", "/problems", "/billing", "/vbanks", "/webhooks", "/reconciliation")
    return [
        *(shop + path for path in (
            "", "/volume?days=180", "/payments", "/payments?q=nothing-like-it", "/payments/total", "/problems",
            "/channels",
            "/channels/new", "/channels/new?environment=live&use=window",
            "/channels/new?environment=test&use=api&mid=nxca_ks_gu", "/channels/channel-key-dev-window",
            "/channels/channel-key-dev-vbank", "/channels/channel-key-dev-keyin-auth/edit", "/billing", "/vbanks",
            "/webhooks", "/webhooks?state=dead", "/webhooks/settings", "/keys", "/people", "/changes",
            "/reconciliation", "/sandbox", "/calls",
        )),
        *(f"{shop}/payments/{payments[name]}" for name in ("rich", "partial", "unknown_cancel", "trans", "unlimited")),
        *(empty + path for path in bare),
        "/console/stores", "/console/users", "/console/inbox", "/console/account", "/console/nowhere",
    ]  # fmt: skip


def first_links(page: Page, place: Town) -> list[str]:
    """Pages that have numbers of their own: a webhook, a compared day that differs, a payout."""
    found: list[str] = []
    for path, pattern in (("/webhooks", "/webhooks/"), ("/reconciliation", "/reconciliation/")):
        page.goto(place.base + path)
        links = page.eval_on_selector_all("main td a", "all => all.map(a => a.getAttribute('href'))")
        mine = [x for x in links if pattern in x and x.rsplit("/", 1)[1].isdigit()]
        assert mine, path
        found += [mine[0], mine[-1]]
    return list(dict.fromkeys(found))


def problems_of(page: Page, axe: str) -> list[str]:
    """What axe has to say about the page that is open."""
    page.evaluate(axe)
    found: dict[str, Any] = page.evaluate(
        "rules => axe.run({runOnly: rules, resultTypes: ['violations'], preload: false})", RULES
    )
    return [f"{v['id']}: {v['nodes'][0]['html'][:160]}" for v in found["violations"]]


@pytest.mark.parametrize(("size", "language"), [("desk", "ko"), ("phone", "en")])
def test_every_page_is_accessible_and_fits(chromium: Browser, place: Town, axe: str, size: str, language: str) -> None:
    other = "en" if language == "ko" else "ko"
    context = enter(chromium, place, place.owner, size=size, language=language)
    page, wrong = context.new_page(), []
    page.set_content("<html><img src='x.png'></html>")
    assert any(p.startswith("image-alt") for p in problems_of(page, axe))  # axe does look
    errors: list[str] = []
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.on("console", lambda m: errors.append(m.text) if "Content Security Policy" in m.text else None)
    for path in [*pages_of(place), *first_links(page, place)]:
        answer = page.goto(place.naru.url + path)
        assert answer is not None
        assert answer.status == (404 if path.endswith("nowhere") else 200), path
        wrong += [f"{path} {p}" for p in problems_of(page, axe)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wrong.append(f"{path} scrolls sideways")
        assert page.locator("h1").count() == 1, path
    # The other language has words of other lengths; it is where room is scarce that they matter.
    context.add_cookies([{"name": "naru_lang", "value": other, "url": f"{place.naru.url}/console/"}])
    for path in pages_of(place) if size == "phone" else []:
        page.goto(place.naru.url + path, wait_until="domcontentloaded")
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wrong.append(f"{path} scrolls sideways in {other}")
    assert wrong == []
    assert errors == []
    context.close()
    stranger = enter(chromium, place, "", size=size, language=language)
    page = stranger.new_page()
    for path in ("/console/login", "/console/join?token=over"):
        page.goto(place.naru.url + path)
        assert problems_of(page, axe) == [], path
    stranger.close()


def press_until(page: Page, wanted: str, key: str = "Tab", most: int = 120) -> None:
    """Press a key until the focus is on what *wanted* (a selector) means, and is visible there."""
    for _ in range(most):
        page.keyboard.press(key)
        if page.evaluate("s => document.activeElement.matches(s)", wanted):
            box = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert box != "none" or page.evaluate("document.activeElement.type") in ("radio", "checkbox")
            return
    raise AssertionError(f"the focus never came to {wanted} on {page.url}")


def test_the_keyboard_alone_signs_in_sets_up_a_channel_and_cancels(chromium: Browser, place: Town) -> None:
    context = enter(chromium, place, "")
    page = context.new_page()
    page.on("dialog", lambda d: d.accept())
    page.goto(f"{place.naru.url}/console/{place.live_code}/channels")
    press_until(page, "[name=email]")
    page.keyboard.type("owner@naru.test")
    press_until(page, "[name=password]")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/channels")  # back to where one wanted to go
    press_until(page, "a[href='#main']")
    press_until(page, "a[href$='/channels/new']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/channels/new")
    press_until(page, "[name=environment]")
    press_until(page, "[name=use]")
    page.keyboard.press("ArrowDown")
    press_until(page, "main button.primary")
    page.keyboard.press("Enter")
    page.wait_for_url("**/channels/new?**")
    press_until(page, "main a[href*='mid=nxca_jt_bi']")
    page.keyboard.press("Enter")
    page.wait_for_url("**mid=nxca_jt_bi**")
    press_until(page, "[name=name]")
    page.keyboard.press("Control+A")
    page.keyboard.type("키보드로 만든 채널")
    page.keyboard.press("Enter")
    page.wait_for_selector(".flash.good")
    assert page.inner_text("h1").startswith("키보드로 만든 채널")

    imp_uid = place.payments["to_cancel"]
    page.goto(f"{place.base}/payments?q=order-to-cancel")
    press_until(page, f"a[href$='{imp_uid}']")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{imp_uid}")
    press_until(page, "[name=amount]")
    page.keyboard.press("Control+A")
    page.keyboard.type("10,000")
    press_until(page, "[name=reason]")
    page.keyboard.type("키보드로 취소")
    page.keyboard.press("Enter")
    page.wait_for_selector(".flash.good")
    payment = place.naru.get(f"/payments/{imp_uid}").response
    assert (payment["status"], payment["cancel_amount"], payment["cancel_reason"]) == (
        "cancelled", 10_000, "키보드로 취소",
    )  # fmt: skip
    context.close()


def test_without_javascript_all_that_matters_works(chromium: Browser, place: Town) -> None:
    context = enter(chromium, place, "", size="phone", script=False)
    page = context.new_page()
    page.goto(f"{place.naru.url}/console/login")
    page.fill("[name=email]", "owner@naru.test")
    page.fill("[name=password]", PASSWORD)
    page.click("main button.primary")
    page.goto(f"{place.base}/payments?q=order-to-cancel")
    page.click(f"a[href$='{place.payments['to_cancel']}']")
    page.fill("[name=amount]", "5000")
    page.click("#cancel button.danger")
    assert "5,000원" in page.inner_text(".flash.good")
    page.goto(f"{place.base}/payments")
    page.click("text=합계 보기")
    assert page.locator("dl.figures dd").count() == 4
    with page.expect_download() as download:
        page.goto(f"{place.base}/payments")
        page.click("text=CSV로 받기")
    assert download.value.suggested_filename.endswith(".csv")
    page.goto(f"{place.base}/webhooks?state=dead")
    page.check("[name=job] >> nth=0")
    page.click("button:has-text('고른 것 다시 보내기')")
    assert page.locator(".flash.good").count() == 1
    page.goto(f"{place.base}/keys")
    page.click("button:has-text('키 추가')")
    assert page.locator(".secret code").count() == 2
    page.goto(f"{place.base}/reconciliation")
    page.click("button:has-text('대사하기')")
    assert page.locator(".flash.good").count() == 1
    page.click("button:has-text('English')")
    page.wait_for_selector("html[lang=en]")
    page.click("button:has-text('Sign out')")
    page.goto(f"{place.base}/payments")
    assert "/console/login" in page.url
    context.close()


def test_a_reader_sees_and_cannot_press(chromium: Browser, place: Town) -> None:
    context = enter(chromium, place, place.reader)
    page = context.new_page()
    for path in (
        "/payments/" + place.payments["to_cancel"],
        "/problems",
        "/billing",
        "/webhooks",
        "/keys",
        "/channels",
    ):
        page.goto(place.base + path)
        pressed = page.eval_on_selector_all("main form[method=post] button", "all => all.map(b => b.innerText)")
        assert pressed == [], path
    context.close()
