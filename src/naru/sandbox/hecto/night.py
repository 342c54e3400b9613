"""Test mode's night: payments are cancelled by themselves and nobody is told (PortOne's channel guide:
between 23:00 and 23:50). Off unless the sandbox is started with it."""

import structlog

from naru.connectors.hecto import messages
from naru.sandbox.hecto import clock, trades
from naru.sandbox.hecto.room import Room
from naru.sandbox.hecto.trades import Ask

log = structlog.get_logger()
CANCEL_AT_MS = 23 * clock.HOUR + 10 * clock.MINUTE


def cancel_the_days_payments(room: Room, now: int) -> int:
    """Cancels what is left of every card, transfer and phone payment made before the last 23:10 KST;
    how many. No noti, no request: only an inquiry or the day's list tells."""
    at = clock.day_start(now) + CANCEL_AT_MS
    if now < at:
        at -= clock.DAY
    if room.book.note("night_cancelled") == str(at):
        return 0
    count = 0
    with room.book.write():
        for trade in trades.find_all(
            room.book,
            """kind = 'pay' AND state = 'done' AND at_ms < ? AND appears_ms <= ? AND amount >
               (SELECT coalesce(sum(c.amount), 0) FROM trades c WHERE c.org_id = trades.id AND c.kind = 'cancel')""",
            *(at, now),
        ):
            merchant = room.merchants.get(trade.mid)
            assert merchant is not None
            left = trades.left_of(room.book, trade, now)
            values = {"method": trade.method, "mchtTrdNo": trade.mcht_trd_no}
            night = Ask(room.book, merchant, messages.CARD_CANCEL, values, at)
            detail = {"cnclRsn": "테스트 결제 자동 취소", "orgTrdDt": trade.day}
            amount = trade.amount - left.cancelled
            trades.enter(night, "cancel", amount, detail, origin=trade, seq=left.last_seq + 1)
            count += 1
        room.book.set_note("night_cancelled", str(at))
    if count:
        log.info("night.cancelled", payments=count)
    return count
