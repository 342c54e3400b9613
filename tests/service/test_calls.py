"""The request log's book, on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from naru.domain.values import DAY
from naru.service import calls as service
from naru.service.calls import Call
from naru.store import calls
from tests.shop import Shop


def call(shop: Shop, path: str = "/users/pg", **more: Any) -> Call:
    values: dict[str, Any] = {
        "at": shop.clock(), "method": "GET", "path": path, "operation": path, "status": 200, "code": 0, "message": None,
        "took_us": 900, "imp_uid": None, "merchant_uid": None, "params": "[]", "facts": {}, "store_id": shop.store_id,
    }  # fmt: skip
    return Call(**(values | more))


async def listed(shop: Shop, text: str = "", *, bad: bool = False, before: int = 1 << 62) -> list[str]:
    rows = await shop.cx.db.read(calls.page, (shop.store_id,), before, 100, bad=bad, text=text)
    return [r.path for r in rows]


async def test_a_search_takes_words_as_they_are(shop: Shop) -> None:
    await service.keep(
        shop.cx,
        [
            call(shop, "/a_b", imp_uid="imp_1"),
            call(shop, "/axb", status=404, code=-1, message="100% 없습니다", merchant_uid="order_1"),
            call(shop, "/other", code=1, message="\\"),
        ],
    )
    assert await listed(shop) == ["/other", "/axb", "/a_b"]
    assert await listed(shop, bad=True) == ["/other", "/axb"]
    assert await listed(shop, "a_b") == ["/a_b"]
    assert await listed(shop, "100%") == ["/axb"]
    assert await listed(shop, "\\") == ["/other"]
    assert await listed(shop, "imp_1") == ["/a_b"]
    assert await listed(shop, "order_1", bad=True) == ["/axb"]
    assert await listed(shop, "' OR 1=1 --") == []


async def test_a_change_says_where_its_webhooks_go(shop: Shop) -> None:
    imp_uid = (await shop.pay(1000)).settled.payment.imp_uid
    await service.keep(shop.cx, [call(shop, "/x", method="POST", imp_uid=imp_uid), call(shop, "/y", imp_uid=imp_uid)])
    looked, changed = await shop.cx.db.read(calls.page, (shop.store_id,), 1 << 62, 2, bad=False, text="")
    assert (changed.facts, looked.facts) == ('{"notice_url": ["http://shop.test/webhook"]}', "{}")


async def test_the_newest_are_kept_for_a_week(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_KEPT", 3)
    await service.keep(shop.cx, [call(shop, f"/{n}") for n in range(5)])
    await service.tidy(shop.cx, {shop.store_id})
    assert await listed(shop) == ["/4", "/3", "/2"]
    shop.clock.advance(7 * DAY + 1)
    await service.keep(shop.cx, [call(shop, "/new")])
    await service.tidy(shop.cx, set())
    assert await listed(shop) == ["/new"]
