"""Bank transfers: payment, split approval, cancel on the day and refund afterwards."""

from naru.connectors.hecto import messages
from naru.sandbox.hecto import clock, codes, trades
from naru.sandbox.hecto.notis import queue
from naru.sandbox.hecto.trades import Ask, CancelCodes, Refuse, Trade

REFUSALS = CancelCodes(unknown="RA35", already="RA33")
_CANCEL_DAYS = 180


def approve(ask: Ask, detail: dict[str, str], *, checked: bool = False, opened: tuple[int, str] | None = None) -> Trade:
    """Enters the payment and owes its noti."""
    tax = {} if checked else trades.check_tax(ask, ask.won("trdAmt"))
    trade = trades.enter(ask, "pay", ask.won("trdAmt"), {**detail, **tax}, opened=opened)
    if detail.get("notiUrl"):
        queue(ask, messages.NOTI_BANK, trade, detail["notiUrl"], {**_noti(ask, trade), "bizType": "B0"})
    return trade


def approve_split(ask: Ask) -> dict[str, str]:
    """M23."""
    auth = trades.find_authentication(ask)
    trades.change_state(ask.book, auth, "closed")
    trade = approve(ask, dict(auth.detail), checked=True)
    detail = trade.detail
    return {
        "trdNo": trade.trd_no,
        "authTrdNo": auth.trd_no,
        "prdtNm": detail.get("pmtprdNm", ""),
        "ordNm": detail.get("mchtCustNm", ""),
        "sellerNm": detail.get("mchtName", ""),
        "dpstrNm": detail.get("acntPrintNm", ""),
        "mchtCustId": detail.get("mchtCustId", ""),
        "trdAmt": str(trade.amount),
        "fnCd": detail["bankCd"],
        "fnNm": codes.BANKS[detail["bankCd"]],
        "notiUrl": detail.get("notiUrl", ""),
        "mchtParam": detail.get("mchtParam", ""),
    }


def cancel(ask: Ask) -> dict[str, str]:
    """M10: all of it on the day, afterwards also in parts, for 180 days."""
    trades.check_new_number(ask)
    original = trades.find_original(ask, ("pay",), REFUSALS)
    trades.check_bank_hours(ask.now)
    today = clock.day_of(ask.now)
    if today > clock.days_later(original.day, _CANCEL_DAYS):
        raise Refuse("ST46")
    left = trades.check_cancel(ask, original, REFUSALS)
    amount = ask.won("cnclAmt")
    if amount != original.amount:
        if today == original.day:
            raise Refuse("ST58")
        if not ask.merchant.partial_cancel:
            raise Refuse("ST54")
    done = enter_cancel(ask, original)
    return {
        "trdNo": done.trd_no,
        "orgTrdNo": original.trd_no,
        "cnclAmt": str(amount),
        "blcAmt": str(original.amount - left.cancelled - amount),
    }


def enter_cancel(ask: Ask, original: Trade) -> Trade:
    done = trades.enter_cancel(ask, original)
    url = original.detail.get("notiUrl", "")
    if ask.merchant.cancel_noti and url:
        form = {**_noti(ask, original), **trades.cancel_noti(ask, original, done), "bizType": "C0"}
        queue(ask, messages.NOTI_BANK, done, url, form)
    return done


def _noti(ask: Ask, trade: Trade) -> dict[str, str]:
    detail = trade.detail
    return {
        **trades.noti_head(ask, trade),
        "bankCd": detail["bankCd"],
        "bankNm": codes.BANKS[detail["bankCd"]],
        "acntPrintNm": detail.get("acntPrintNm", ""),
    }
