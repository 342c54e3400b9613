"""Payments through the window without a browser: what iamport.js posts, what the buyer chooses, what comes back."""

from __future__ import annotations

import html
import json
import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

from tests.live import Answer, Live, send

from naru.service.setup import DEV_IMP_CODE

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CHOICES: dict[str, dict[str, str]] = {
    "card": {"issuer": "SHN", "instmtMon": "00", "outcome": "approve"},
    "trans": {"bank": "004", "account": "enough", "depositor": "홍길동", "otp": "123456", "outcome": "approve"},
    "vbank": {"bank": "004", "depositor": "홍길동", "outcome": "approve"},
    "phone": {"telco": "SKT", "phone": "01012345678", "otp": "123456", "outcome": "approve"},
}


def fields_of(page: Answer) -> tuple[str, dict[str, str]]:
    """The address and fields of the page's form."""
    text = page.body.decode()
    form = re.search(r"<form\b[^>]*>", text)
    assert form, text[:2000]
    action = re.search(r'action="([^"]*)"', form.group())
    assert action
    found: dict[str, str] = {}
    for tag in re.findall(r"<input\b[^>]*>", text):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and value:
            found[html.unescape(name.group(1))] = html.unescape(value.group(1))
    return html.unescape(action.group(1)), found


def request_pay(naru: Live, **params: Any) -> tuple[dict[str, Any], Answer]:
    """What iamport.js does for `IMP.request_pay(params)`: its envelope and the page it opens."""
    given: dict[str, Any] = {
        "merchant_uid": naru.order(), "amount": 3000, "name": "상품", "buyer_tel": "010-1234-5678",
    }  # fmt: skip
    envelope = {
        "request_id": secrets.token_hex(16), "imp_code": DEV_IMP_CODE, "device": "pc", "origin": "http://shop.test",
        "params": given | params,
    }  # fmt: skip
    body = urlencode({"request": json.dumps(envelope, ensure_ascii=False)}).encode()
    return envelope, naru.send("POST", "/sdk/window", body, FORM)


def buy(
    naru: Live, pay_method: str, choices: dict[str, str] | None = None, times: int = 1, **params: Any
) -> dict[str, Any]:
    """Pay in the window and come back (*times* at once); returns the outcome as the callback gets it, or the state."""
    envelope, page = request_pay(naru, pay_method=pay_method, **params)
    assert page.status == 200, page.body
    action, fields = fields_of(page)
    opened = send(naru.sandbox, "POST", action.removeprefix(naru.sandbox), urlencode(fields).encode(), FORM)
    assert opened.status == 303, opened.body.decode()
    token = opened.headers["location"].removeprefix(naru.sandbox)
    chosen = CHOICES[pay_method] | (choices or {})
    done = send(naru.sandbox, "POST", f"{token}/pay", urlencode(chosen).encode(), FORM)
    assert done.status == 303, done.body.decode()
    url, back = fields_of(send(naru.sandbox, "GET", done.headers["location"].removeprefix(naru.sandbox)))
    with ThreadPoolExecutor(times) as browsers:
        posts = [
            browsers.submit(naru.send, "POST", url.removeprefix(naru.url), urlencode(back).encode(), FORM)
            for _ in range(times)
        ]
    for landed in (post.result() for post in posts):
        assert landed.status in (200, 302, 303), landed.body
    said = naru.send("GET", f"/sdk/outcome?request={envelope['request_id']}").json
    return said["response"] if said["state"] == "done" else said
