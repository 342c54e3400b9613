"""Payments on the phone bill: split approval, monthly rounds, cancel within the month, refund after it."""

from naru.connectors.hecto import messages
from naru.sandbox.hecto import clock, codes, trades
from naru.sandbox.hecto.book import pack, unpack
from naru.sandbox.hecto.notis import queue
from naru.sandbox.hecto.trades import Ask, CancelCodes, Refuse, Trade

REFUSALS = CancelCodes(unknown="MP03", already="MP82")
_ROUND_SLACK_DAYS = 3


def approve(
    ask: Ask,
    detail: dict[str, str],
    biz_type: str,
    *,
    checked: bool = False,
    opened: tuple[int, str] | None = None,
) -> Trade:
    """Enters the payment and owes its noti."""
    tax = {} if checked else trades.check_tax(ask, ask.won("trdAmt"))
    trade = trades.enter(ask, "pay", ask.won("trdAmt"), {**detail, **tax}, opened=opened)
    if detail.get("notiUrl"):
        queue(ask, messages.NOTI_MOBILE, trade, detail["notiUrl"], {**_noti(ask, trade), "bizType": biz_type})
    return trade


def approve_split(ask: Ask) -> dict[str, str]:
    """M24. Its own notiUrl counts: in the split mode the window carries none that is meant."""
    auth = trades.find_authentication(ask)
    if ask.get("crcCd") != "KRW":
        raise Refuse("ST09", field="crcCd", complain=True)
    detail = dict(auth.detail)
    for mine, theirs in (("telecomCd", "telCo"), ("phoneNo", "phoneNo")):
        if ask.get(theirs) and ask.get(theirs) != detail.get(mine):
            raise Refuse("ST13", field=theirs, complain=True)
    detail |= {name: ask.get(name) for name in ("notiUrl", "mchtParam", "email") if ask.get(name)}
    if ask.get("getBillKeyYn") == "Y":
        detail["billKey"] = make_key(ask, detail)
    trades.change_state(ask.book, auth, "closed")
    trade = approve(ask, detail, ask.get("bizType"), checked=True)
    return {
        "trdNo": trade.trd_no,
        "phoneNo": detail.get("phoneNo", ""),
        "telCo": detail.get("telecomCd", ""),
        "trdAmt": str(trade.amount),
        "getBillKeyYn": ask.get("getBillKeyYn"),
        "billKey": detail.get("billKey", ""),
    }


def make_key(ask: Ask, detail: dict[str, str]) -> str:
    """A monthly key. It remembers amount, product and the day of the last round."""
    serial = ask.book.next_number()
    key = f"MO{ask.merchant.mid:0<10}{clock.stamp(ask.now)}{serial % 100_000_000:08}"
    kept = {
        "amount": ask.get("trdAmt"),
        "product": detail.get("pmtprdNm", ""),
        "day": clock.day_of(ask.now),
        "telecomCd": detail.get("telecomCd", ""),
        "phoneNo": detail.get("phoneNo", ""),
        "notiUrl": detail.get("notiUrl", ""),
    }
    ask.book.run(
        "INSERT INTO bill_keys (bill_key, mid, masked, issuer, fate, state, at_ms) VALUES (?,?,'','',?,'active',?)",
        key,
        ask.merchant.mid,
        pack(kept),
        ask.now,
    )
    return key


def pay_monthly(ask: Ask) -> dict[str, str]:
    """M25: the first round's amount and product, a month after the last round, give or take three
    days. A round that is missed ends the key."""
    trades.check_new_number(ask)
    key = ask.get("billKey")
    row = ask.book.row(
        "SELECT fate FROM bill_keys WHERE bill_key = ? AND mid = ? AND state = 'active'", key, ask.merchant.mid
    )
    if row is None:
        raise Refuse("MP03", field="billKey")
    kept = unpack(row[0])
    if (ask.get("trdAmt"), ask.get("prdtNm")) != (kept["amount"], kept["product"]):
        raise Refuse("MP02", "금액과 상품명이 첫 회차와 같아야 합니다.", field="trdAmt", complain=True)
    last = clock.parse_stamp(kept["day"] + "000000")
    assert last is not None
    due = clock.day_of(trades.months_later(last, 1))
    today = clock.day_of(ask.now)
    if today > clock.days_later(due, _ROUND_SLACK_DAYS):
        ask.book.run("UPDATE bill_keys SET state = 'deleted' WHERE bill_key = ?", key)
        raise Refuse("MP45")
    if today < clock.days_later(due, -_ROUND_SLACK_DAYS):
        raise Refuse("MP34")
    ask.book.run("UPDATE bill_keys SET fate = ? WHERE bill_key = ?", pack({**kept, "day": today}), key)
    detail = {
        "pmtprdNm": ask.get("prdtNm"),
        "mchtCustNm": ask.get("ordNm"),
        "mchtCustId": ask.get("mUserId"),
        "email": ask.get("email"),
        "billKey": key,
        **{name: kept[name] for name in ("telecomCd", "phoneNo", "notiUrl") if name in kept},
    }
    trade = approve(ask, detail, "B1", checked=True)
    return {
        "trdNo": trade.trd_no,
        "telCo": kept.get("telecomCd", ""),
        "trdAmt": str(trade.amount),
        "billKey": key,
    }


def cancel(ask: Ask) -> dict[str, str]:
    """M11: until the end of the payment's calendar month; afterwards the answer says whether a
    refund (M12) is possible."""
    trades.check_new_number(ask)
    original = trades.find_original(ask, ("pay",), REFUSALS)
    if clock.day_of(ask.now)[:6] != clock.day_of(original.at_ms)[:6]:
        raise Refuse("MP81", data={"rfdPsblCd": "Y" if ask.merchant.refund_service else "N"})
    return _give_back(ask, original, "C0")


def refund(ask: Ask) -> dict[str, str]:
    """M12: from the first of the next month, to a bank account, for a year."""
    trades.check_new_number(ask)
    original = trades.find_original(ask, ("pay",), REFUSALS)
    if not ask.merchant.refund_service:
        raise Refuse("0005")
    if clock.day_of(ask.now)[:6] == clock.day_of(original.at_ms)[:6]:
        raise Refuse("ST45", "결제한 달에는 환불이 아니라 취소를 이용해야 합니다.", complain=True)
    if not trades.within_a_year(original, ask.now):
        raise Refuse("ST46")
    trades.check_refund_account(ask)
    return _give_back(ask, original, "C1")


def _give_back(ask: Ask, original: Trade, biz_type: str) -> dict[str, str]:
    left = trades.check_cancel(ask, original, REFUSALS)
    amount = ask.won("cnclAmt")
    if amount != original.amount and not ask.merchant.partial_cancel:
        raise Refuse("ST54")
    done = trades.enter_cancel(ask, original)
    url = original.detail.get("notiUrl", "")
    if ask.merchant.cancel_noti and url:
        form = {**_noti(ask, original), **trades.cancel_noti(ask, original, done), "bizType": biz_type}
        queue(ask, messages.NOTI_MOBILE, done, url, form)
    return {
        "trdNo": done.trd_no,
        "orgTrdNo": original.trd_no,
        "cnclAmt": str(amount),
        "blcAmt": str(original.amount - left.cancelled - amount),
    }


def _noti(ask: Ask, trade: Trade) -> dict[str, str]:
    detail = trade.detail
    return {
        **trades.noti_head(ask, trade),
        "billKey": detail.get("billKey", ""),
        "telecomCd": detail["telecomCd"],
        "telecomNm": codes.TELCOS[detail["telecomCd"]],
        "phoneNoEnc": detail.get("phoneNo", ""),
    }
