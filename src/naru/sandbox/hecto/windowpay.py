"""What a window does when the buyer goes ahead: card, transfer, account, phone."""

from collections.abc import Callable, Mapping

from naru.sandbox.hecto import bankpay, cardpay, cards, codes, mobilepay, trades, vbank, windows
from naru.sandbox.hecto.room import Room
from naru.sandbox.hecto.trades import Ask, Refuse, Trade
from naru.sandbox.hecto.windows import Window, success

FAKE_CODE = "123456"
"""What the authentication message "says"; shown on the page."""
DECLINES: Mapping[str, tuple[str, ...]] = {
    "CA": ("CA31", "CA50", "CA59", "CA82"),
    "RA": ("RA05", "RA10"),
    "VA": (),
    "MP": ("MP05", "MP23"),
}


def decide(room: Room, window: Window, chosen: dict[str, str]) -> tuple[Window, list[int]]:
    """Lets the method's rules decide, once, in one transaction. The notis that are owed come back.

    `chosen` is what the buyer entered; card data leave it at once and go no further.
    """
    merchant = room.merchants.get(window.mid)
    assert merchant is not None
    with room.book.write():
        fresh = windows.find(room, window.token)
        assert fresh is not None
        if fresh.state != "open":
            return fresh, []
        ask = windows.ask_for(room, merchant, window.message, window.method, window.form)
        try:
            trades.check_new_number(ask)
            result = RULES[window.method](ask, window, chosen)
        except Refuse as refused:
            if refused.code not in ("ST50", "5002"):
                detail = {"pmtprdNm": ask.get("pmtprdNm"), "reason": refused.text}
                trades.enter(ask, "pay", window.amount, detail, state="failed", code=refused.code)
            result = windows.failure(window, refused.code, refused.text)
        return windows.end(room, window, "done", result), ask.notis


def by_card(ask: Ask, window: Window, chosen: dict[str, str]) -> dict[str, str]:
    """An authenticated payment at a card company, or one by card data where the MID is of that kind."""
    if ask.merchant.card == "window":
        _refuse_if_declined("CA", chosen)
        issuer = window.form.get("cardGb") or chosen.get("issuer", "")
        if issuer not in codes.ISSUERS:
            raise Refuse("ST09", "카드사를 선택해 주세요.")
        verdict = cards.Verdict(codes.OK, "", cards.sample(issuer), issuer, "approve")
    else:
        for name in ("cardNo", "vldDtMon", "vldDtYear", "idntNo", "cardPwd"):
            ask.values[name] = "".join(ch for ch in chosen.pop(name, "") if ch.isdecimal() and ch.isascii())
        verdict = cardpay.judge(ask, cardpay.take_card(ask))
    months = window.form.get("instmtMon", "") if window.form.get("direct") else chosen.get("instmtMon", "")
    cardpay.check_instalment(months, window.amount)
    ask.values["instmtMon"] = months or "00"
    detail = cardpay.order_detail(ask)
    told = {"fnNm": codes.ISSUERS[verdict.issuer], "fnCd": verdict.issuer}
    if ask.merchant.split:
        detail |= {"issuer": verdict.issuer, "cardNo": verdict.masked}
        return success(window, authenticated(ask, window, detail).trd_no, "0061", ask.now, **told)
    if ask.merchant.billing_keys:
        detail["billKey"] = cardpay.make_key(ask, verdict)
    trade = cardpay.approve(ask, verdict, detail, opened=_opened(window))
    return success(
        window,
        trade.trd_no,
        "0021",
        ask.now,
        **told,
        authNo=trade.detail["apprNo"],
        intMon=ask.values["instmtMon"],
        cardTrdAmt=str(trade.amount),
        billKey=detail.get("billKey", ""),
    )


def by_transfer(ask: Ask, window: Window, chosen: dict[str, str]) -> dict[str, str]:
    """A transfer from the buyer's account."""
    bank = chosen.get("bank", "")
    if bank not in codes.BANKS:
        raise Refuse("ST09", "은행을 선택해 주세요.")
    trades.check_bank_hours(ask.now)
    _refuse_if_declined("RA", chosen)
    if chosen.get("otp") != FAKE_CODE:
        raise Refuse("RA10", "인증번호가 일치하지 않습니다.")
    if chosen.get("account") != "enough":
        raise Refuse("RA05")
    told = {"fnNm": codes.BANKS[bank], "fnCd": bank}
    detail = {
        **cardpay.order_detail(ask),
        "bankCd": bank,
        "acntPrintNm": ask.get("custAcntSumry") or ask.get("mchtName"),
    }
    if ask.merchant.split:
        return success(window, authenticated(ask, window, detail).trd_no, "0061", ask.now, **told)
    trade = bankpay.approve(ask, detail, opened=_opened(window))
    return success(window, trade.trd_no, "0021", ask.now, **told)


def by_phone(ask: Ask, window: Window, chosen: dict[str, str]) -> dict[str, str]:
    """A small payment on the buyer's phone bill; a monthly one brings a key."""
    telco, phone = chosen.get("telco", ""), chosen.get("phone", "")
    if telco not in codes.TELCOS or not (phone.isdecimal() and phone.isascii() and 10 <= len(phone) <= 11):
        raise Refuse("ST09", "통신사와 휴대폰 번호를 확인해 주세요.")
    _refuse_if_declined("MP", chosen)
    if chosen.get("otp") != FAKE_CODE:
        raise Refuse("MP60")
    told = {"fnNm": codes.TELCOS[telco], "fnCd": telco}
    detail = {**cardpay.order_detail(ask), "telecomCd": telco, "phoneNo": phone}
    if ask.merchant.split or window.form.get("linkMethod") == "HBRD":
        return success(window, authenticated(ask, window, detail).trd_no, "0061", ask.now, **told)
    if ask.merchant.monthly and window.form.get("autoPayType") == "M":
        detail["billKey"] = mobilepay.make_key(ask, detail)
    trade = mobilepay.approve(ask, detail, "B0", opened=_opened(window))
    return success(window, trade.trd_no, "0021", ask.now, **told, billKey=detail.get("billKey", ""))


def by_account(ask: Ask, window: Window, chosen: dict[str, str]) -> dict[str, str]:
    """A rotating virtual account: 0051, waiting for its deposit."""
    account, trade = vbank.by_window(ask, chosen.get("bank", ""), chosen.get("depositor", "")[:10], _opened(window))
    return success(
        window,
        trade.trd_no,
        "0051",
        ask.now,
        vtlAcntNo=account.number,
        expireDt=account.expires,
        fnNm=codes.VBANK_BANKS[account.bank],
        fnCd=account.bank,
    )


def authenticated(ask: Ask, window: Window, detail: dict[str, str]) -> Trade:
    """The first half of a split payment: known under a number of its own, nothing paid yet."""
    number = trades.number("SOFP", window.method, window.mid, window.opened_ms, window.id)
    detail = {**detail, **trades.check_tax(ask, window.amount)}
    return trades.enter(ask, "auth", window.amount, detail, state="open", opened=(window.id, number))


def _opened(window: Window) -> tuple[int, str]:
    """A window's payment has the number and the time of the window's opening."""
    return window.id, trades.number("STFP", window.method, window.mid, window.opened_ms, window.id)


def _refuse_if_declined(method: str, chosen: dict[str, str]) -> None:
    """The authentication step's 거절 button, with the reason that was picked."""
    match chosen.get("outcome"):
        case "approve":
            return
        case "decline":
            code = chosen.get("code", "")
            raise Refuse(code if code in DECLINES[method] else DECLINES[method][0])
        case _:
            raise Refuse("ST09")


RULES: dict[str, Callable[[Ask, Window, dict[str, str]], dict[str, str]]] = {
    "CA": by_card,
    "RA": by_transfer,
    "VA": by_account,
    "MP": by_phone,
}
