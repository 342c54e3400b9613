"""M21: what became of a payment, by order number, amount and day."""

from naru.sandbox.hecto import clock, codes, trades
from naru.sandbox.hecto.trades import NEVER, Ask, Refuse, Trade

_MAIN = ("pay", "account", "deposit")


def answer(ask: Ask, *, appear_after_denial_ms: int = clock.SECOND) -> dict[str, str]:
    """0000 paid, 0001 all of it cancelled, 0009 only failed attempts, ST06 nothing (yet).

    A virtual account that waits for its deposit is "nothing" (no code is documented for it).
    """
    if ask.get("method") not in ("CA", "RA", "VA", "MP"):
        raise Refuse("ST09", field="method", complain=True)
    found = _candidates(ask)
    trade = next((t for t in found if t.state == "done" and t.appears_ms <= ask.now), None)
    if trade is not None:
        # An account may have been paid another amount than it was issued for (simulator).
        if ask.get("trdAmt") not in (str(trade.amount), trade.detail.get("issued")):
            raise Refuse("ST06", "거래금액이 원거래와 다릅니다.", field="trdAmt", complain=True)
        left = trades.left_of(ask.book, trade, ask.now)
        gone = left.shown >= trade.amount
        due = ask.now + appear_after_denial_ms
        ask.book.run("UPDATE trades SET appears_ms = ? WHERE org_id = ? AND appears_ms = ?", due, trade.id, NEVER)
        return {
            "trdNo": trade.trd_no,
            "outStatCd": "0021",
            "outRsltCd": "0001" if gone else codes.OK,
            "outRsltMsg": "취소된 거래입니다." if gone else codes.OK_TEXT,
            "trdAmt": str(trade.amount),
            "cnclAmt": str(left.shown),
        }
    for hidden in found:
        if hidden.appears_ms == NEVER:
            # Processed right after it was said not to exist: what a real PG can do, too.
            due = ask.now + appear_after_denial_ms
            ask.book.run("UPDATE trades SET appears_ms = ? WHERE id = ?", due, hidden.id)
            ask.book.run("UPDATE notis SET next_ms = ? WHERE trd_no = ? AND next_ms = ?", due, hidden.trd_no, NEVER)
    failed = next((t for t in found if t.state == "failed"), None)
    if failed is not None and not any(t.state != "failed" for t in found):
        return {
            "trdNo": failed.trd_no,
            "outStatCd": "0031",
            "outRsltCd": "0009",
            "outRsltMsg": "결제에 실패한 거래입니다.",
            "trdAmt": str(failed.amount),
            "cnclAmt": "0",
        }
    raise Refuse("ST06")


def _candidates(ask: Ask) -> list[Trade]:
    """Trades under that order number on the day asked for, the one before or the one after."""
    asked = ask.get("orgTrdDt")
    if clock.parse_stamp(asked + "000000") is None or not "2000" <= asked[:4] <= "2999":
        raise Refuse("ST09", field="orgTrdDt", complain=True)
    found = trades.find_all(
        ask.book,
        "mcht_trd_no = ? AND mid = ? AND method = ? AND day BETWEEN ? AND ? ORDER BY id DESC",
        ask.get("orgMchtTrdNo"),
        ask.merchant.mid,
        ask.get("method"),
        clock.days_later(asked, -1),
        clock.days_later(asked, 1),
    )
    number = ask.get("orgTrdNo")
    return [t for t in found if t.kind in _MAIN and (not number or t.trd_no == number)]
