"""The playground's routes: in development only, and of no use to another site."""

from __future__ import annotations

import json

from tests.live import Live

from naru.api.playground import FIELDS, WORDS
from naru.app import handlers
from naru.settings import Settings


def test_the_page_in_both_languages_under_its_policy(naru: Live) -> None:
    for language, title in (("ko", "결제 시험장"), ("en", "Playground")):
        page = naru.send("GET", f"/playground?lang={language}")
        assert page.status == 200
        text = page.body.decode()
        assert f"<h1>{title}</h1>" in text
        assert "unsafe" not in page.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert all(f'data-path="{f.path}"' in text for f in FIELDS)
        assert "built-in" not in text
    assert WORDS["ko"].keys() == WORDS["en"].keys()


def test_what_is_seen_is_read_by_no_other_site(naru: Live) -> None:
    paid = naru.paid()
    seen = naru.send("GET", f"/playground/seen?merchant_uid={paid['merchant_uid']}")
    assert seen.response["payment"] == naru.get(f"/payments/{paid['imp_uid']}").response
    assert "access-control-allow-origin" not in seen.headers
    assert naru.send("GET", "/playground/seen?merchant_uid=nobody").response == {"payment": None, "webhooks": []}


def test_a_deposit_is_asked_for_by_the_page_only(naru: Live) -> None:
    body = json.dumps({"merchant_uid": naru.paid()["merchant_uid"]}).encode()
    form = naru.send("POST", "/playground/deposit", body, {"Content-Type": "text/plain"})
    assert form.status == 400
    none = naru.send("POST", "/playground/deposit", body, {"Content-Type": "application/json"})
    assert none.status == 404, "a card payment has no account"


def test_it_does_not_exist_outside_development() -> None:
    paths = {p for development in (False, True) for p in _paths(development=development) if "playground" in p}
    assert paths == {
        "/playground",
        "/playground/app.js",
        "/playground/style.css",
        "/playground/seen",
        "/playground/deposit",
    }
    assert not any("playground" in p for p in _paths(development=False))


def _paths(*, development: bool) -> set[str]:
    settings = Settings(
        database_url="sqlite:///x", master_key=b"k" * 32, public_url="http://naru.test", development=development
    )
    return {p for h in handlers(settings) for p in getattr(h, "paths", ())}
