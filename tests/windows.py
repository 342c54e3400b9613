"""Payments made in a window, for tests of what comes after: the other side approved, and we were told."""

from __future__ import annotations

from naru.domain.outcome import Details, Done
from naru.domain.payment import Attempt, Op, Payment, State
from naru.domain.values import AttemptId, Instant, MerchantUid, won
from naru.service.settle import settle_now
from naru.store import payments
from naru.store.db import Tx
from tests.fakes import Trade
from tests.shop import Shop

DETAILS = {
    "card": Details(apply_num="30001234", card_code="366", card_name="신한카드"),
    "trans": Details(bank_code="004", bank_name="KB국민은행"),
    "phone": Details(),
}


async def paid_in_window(shop: Shop, pay_method: str, amount: int = 1000, tax_free: int = 0) -> str:
    """A paid window payment; returns its imp_uid."""
    cx = shop.cx
    imp_uid = cx.new_imp_uid(by_api=False)
    channel = next(c for c in await cx.channels(shop.store_id) if c.mid == "portone1")

    def ask() -> Tx[None]:
        now = cx.clock()
        merchant_uid = f"window-{next(shop.numbers)}"
        attempt = Attempt(AttemptId(imp_uid), Op.PAY, won(amount), State.ASKED, now)
        p = Payment(
            imp_uid=imp_uid, store_id=shop.store_id, channel_id=channel.id, merchant_uid=MerchantUid(merchant_uid),
            pay_method=pay_method, amount=won(amount), tax_free=won(tax_free), started_at=Instant(now), by_api=False,
            attempts=(attempt,),
        )  # fmt: skip
        yield from payments.add_payment(
            {
                "imp_uid": imp_uid, "store_id": shop.store_id, "channel_id": channel.id, "merchant_uid": merchant_uid,
                "pay_method": pay_method, "route": "pc", "pg_id": channel.mid, "sandbox": 1, "name": "시험 상품",
                "amount": amount, "tax_free": tax_free, "buyer_name": "홍길동", "started_at": now,
            }
        )  # fmt: skip
        yield from payments.add_attempt(p, attempt, check_at=now + 60_000)

    await cx.db.write(ask)
    trade = Trade(f"T{imp_uid}", imp_uid, amount, at=shop.clock())
    shop.gateway.trades[imp_uid] = trade
    await settle_now(cx, imp_uid, Done(trade.tid, won(amount), cx.clock(), DETAILS[pay_method]))
    return imp_uid
