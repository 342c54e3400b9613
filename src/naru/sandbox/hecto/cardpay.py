"""Card payments over the API: card data, billing keys, cancels, approval after split authentication."""

from dataclasses import replace

from naru.connectors.hecto import messages
from naru.sandbox.hecto import cards, clock, codes, trades
from naru.sandbox.hecto.notis import queue
from naru.sandbox.hecto.trades import Ask, CancelCodes, Refuse, Trade

REFUSALS = CancelCodes(unknown="CA10", already="CA12")
_MIN_WON, _MAX_WON = 1_000, 99_999_999  # CA42 below the first and from the second on
_INSTALMENT_FROM_WON = 50_000


def pay_by_number(ask: Ask) -> dict[str, str]:
    """M05. Card data leaves `ask.values` here and goes no further."""
    card = take_card(ask)
    month, year = card.month, card.year
    verdict = judge(ask, card)
    detail = order_detail(ask)
    if ask.merchant.billing_keys:
        detail["billKey"] = make_key(ask, verdict)
    trade = approve(ask, verdict, detail)
    answer = _paid(trade)
    if "billKey" in detail:
        answer |= {"vldDtMon": month, "vldDtYear": year, "cardNo": _x(verdict.masked)}
    return answer


def pay_by_key(ask: Ask) -> dict[str, str]:
    """M07."""
    found = ask.book.row(
        "SELECT masked, issuer, fate FROM bill_keys WHERE bill_key = ? AND mid = ? AND state = 'active'",
        ask.get("billKey"),
        ask.merchant.mid,
    )
    trades.check_new_number(ask)
    if not found:
        raise Refuse("ST06", field="billKey")
    shown, issuer, fate = (str(value) for value in found)
    check_amount(ask)
    code = cards.outcome(fate, ask.now, ask.book)
    if code != codes.OK:
        raise Refuse(code)
    verdict = cards.Verdict(code, "", shown, issuer, fate)
    trade = approve(ask, verdict, {**order_detail(ask), "billKey": ask.get("billKey")})
    return {**_paid(trade), "cardNo": _x(shown)}


def issue_key(ask: Ask) -> dict[str, str]:
    """M06: authentication for 0 won; nothing is approved."""
    card = take_card(ask)
    if not ask.merchant.key_only:
        raise Refuse("ST69")
    if ask.get("keyRegYn") not in ("Y", "N"):
        raise Refuse("ST09", field="keyRegYn", complain=True)
    verdict = judge(ask, card)
    detail = {"cardNo": verdict.masked, "issuer": verdict.issuer}
    if ask.get("keyRegYn") == "Y":
        detail["billKey"] = make_key(ask, verdict)
    trade = trades.enter(ask, "key", 0, detail)
    return {
        "trdNo": trade.trd_no,
        "cardNo": _x(verdict.masked),
        "issrId": verdict.issuer,
        "cardNm": codes.ISSUERS[verdict.issuer],
        "cardKind": _product(verdict.issuer),
        "billKey": detail.get("billKey", ""),
    }


def delete_key(ask: Ask) -> dict[str, str]:
    """M08."""
    trades.check_new_number(ask)
    ask.book.run(
        "UPDATE bill_keys SET state = 'deleted' WHERE bill_key = ? AND mid = ? AND state = 'active'",
        ask.get("billKey"),
        ask.merchant.mid,
    )
    if not ask.book.changes():
        raise Refuse("ST06", field="billKey")
    trade = trades.enter(ask, "key_delete", 0, {"billKey": ask.get("billKey")})
    return {"trdNo": trade.trd_no, "billKey": ask.get("billKey")}


def cancel(ask: Ask) -> dict[str, str]:
    """M09, full and partial: there is no flag, less than the balance is partial."""
    trades.check_new_number(ask)
    original = trades.find_original(ask, ("pay",), REFUSALS)
    if not trades.within_a_year(original, ask.now):
        raise Refuse("ST46")
    left = trades.check_cancel(ask, original, REFUSALS)
    amount = ask.won("cnclAmt")
    if amount < original.amount:
        if not ask.merchant.partial_cancel:
            raise Refuse("ST54")
        if original.detail.get("fate") == "prepaid":
            raise Refuse("CA88")
        if amount < 100 and amount != original.amount - left.cancelled:
            raise Refuse("ST45", "부분취소는 100원 이상부터 가능합니다.")
    done = enter_cancel(ask, original)
    return {
        "trdNo": done.trd_no,
        "orgTrdNo": original.trd_no,
        "cnclAmt": str(amount),
        "cardCnclAmt": str(amount),
        "pntCnclAmt": "0",
        "blcAmt": str(original.amount - left.cancelled - amount),
    }


def approve_split(ask: Ask) -> dict[str, str]:
    """M22: the authentication's order number and amount, once, while it is fresh."""
    auth = trades.find_authentication(ask)
    detail = dict(auth.detail)
    fate = detail.pop("fate", "approve")
    verdict = cards.Verdict(codes.OK, "", detail.get("cardNo", ""), detail.get("issuer", "SHN"), fate)
    code = cards.outcome(fate, ask.now, ask.book)
    if code != codes.OK:
        raise Refuse(code)
    trades.change_state(ask.book, auth, "closed")
    trade = approve(ask, verdict, detail, checked=True)
    return {
        "trdNo": trade.trd_no,
        "trdAmt": str(trade.amount),
        "mchtParam": detail.get("mchtParam", ""),
        "apprNo": trade.detail["apprNo"],
        "intMon": detail.get("instmtMon", "00"),
        "fnNm": codes.ISSUERS[verdict.issuer],
        "fnCd": verdict.issuer,
        "cardTrdAmt": str(trade.amount),
        "dcTrdAmt": "0",
        "dcYn": "N",
        "ninstmtTypeCd": "N",
        "cardNo": verdict.masked,
    }


# --- parts that the card window uses as well -----------------------------------------------------


def take_card(ask: Ask) -> cards.Card:
    """The card credentials, removed from the request's values."""
    take = ask.values.pop
    card = cards.Card(
        take("cardNo", ""), take("vldDtMon", ""), take("vldDtYear", ""), take("idntNo", ""), take("cardPwd", "")
    )
    kind = ask.merchant.card
    if kind not in ("keyin", "keyin_auth"):
        raise Refuse("ST69")
    if kind == "keyin_auth" and not (card.identity and card.password):
        name = "cardPwd" if card.identity else "idntNo"
        raise Refuse("ST09", codes.missing(name)[1], field=name, complain=True)
    if kind == "keyin":
        card = replace(card, identity="", password="")
    return card


def judge(ask: Ask, card: cards.Card) -> cards.Verdict:
    """Everything that may refuse a payment by card data, the card last."""
    trades.check_new_number(ask)
    if ask.message is not messages.CARD_KEY_ISSUE:
        check_amount(ask)
    asks_identity = ask.merchant.card == "keyin_auth"
    verdict = cards.judge(card, ask_identity=asks_identity, now=ask.now, book=ask.book)
    if verdict.code != codes.OK:
        raise Refuse(verdict.code, verdict.text)
    return verdict


def check_amount(ask: Ask) -> None:
    amount = ask.won("trdAmt")
    if not _MIN_WON <= amount < _MAX_WON:
        raise Refuse("CA42")
    if ask.get("crcCd") not in ("", "KRW"):
        raise Refuse("ST09", field="crcCd", complain=True)
    check_instalment(ask.get("instmtMon"), amount)


def check_instalment(months: str, amount: int) -> None:
    """00, or 02 to 36 months from 50,000 won on."""
    if months in ("", "00"):
        return
    if len(months) != 2 or not 2 <= int(months) <= 36 or amount < _INSTALMENT_FROM_WON:
        raise Refuse("CA21")


def order_detail(ask: Ask) -> dict[str, str]:
    """What answers, notis and lists repeat of a request. Names are those of the card API."""
    kept = ("mchtCustNm", "mchtCustId", "email", "instmtMon", "crcCd", "notiUrl", "mchtParam", "mchtName")
    return {"pmtprdNm": ask.get("pmtprdNm"), **{name: ask.get(name) for name in kept}}


def make_key(ask: Ask, verdict: cards.Verdict) -> str:
    """A new billing key in Hecto's shape, 40 characters."""
    at = clock.stamp(ask.now)
    serial = ask.book.next_number()
    key = f"SBILL_PGCA{ask.merchant.mid:0<10}{at[:4]}{serial % 1_000_000:06}{at[4:]}"
    ask.book.run(
        "INSERT INTO bill_keys (bill_key, mid, masked, issuer, fate, state, at_ms) VALUES (?,?,?,?,?,'active',?)",
        key,
        ask.merchant.mid,
        verdict.masked,
        verdict.issuer,
        verdict.fate,
        ask.now,
    )
    return key


def approve(
    ask: Ask,
    verdict: cards.Verdict,
    detail: dict[str, str],
    *,
    checked: bool = False,
    opened: tuple[int, str] | None = None,
) -> Trade:
    """Enters the payment and owes its noti."""
    amount = ask.won("trdAmt")
    tax = {} if checked else trades.check_tax(ask, amount)
    serial = opened[0] if opened else ask.book.next_number()
    detail = {
        **detail,
        **tax,
        "issuer": verdict.issuer,
        "cardNo": verdict.masked,
        "apprNo": f"3{serial % 10_000_000:07}",
        "fate": "" if verdict.fate == "approve" else verdict.fate,
    }
    trade = trades.enter(ask, "pay", amount, detail, opened=opened)
    if detail.get("notiUrl"):
        queue(ask, messages.NOTI_CARD, trade, detail["notiUrl"], {**_noti(ask, trade), "bizType": "B0"})
    return trade


def enter_cancel(ask: Ask, original: Trade) -> Trade:
    """Enters a cancel that passed the rules, and owes its noti where that is switched on."""
    done = trades.enter_cancel(ask, original)
    url = original.detail.get("notiUrl", "")
    if ask.merchant.cancel_noti and url:
        form = {**_noti(ask, original), **trades.cancel_noti(ask, original, done), "bizType": "C0"}
        queue(ask, messages.NOTI_CARD, done, url, form)
    return done


def _paid(trade: Trade) -> dict[str, str]:
    detail = trade.detail
    return {
        "trdNo": trade.trd_no,
        "trdAmt": str(trade.amount),
        "billKey": detail.get("billKey", ""),
        "issrId": detail["issuer"],
        "cardNm": codes.ISSUERS[detail["issuer"]],
        "cardKind": _product(detail["issuer"]),
        "ninstmtTypeCd": "N",
        "instmtMon": detail.get("instmtMon", "00"),
        "apprNo": detail["apprNo"],
    }


def _noti(ask: Ask, trade: Trade) -> dict[str, str]:
    detail = trade.detail
    return {
        **trades.noti_head(ask, trade),
        "svcAmt": detail.get("svcAmt", ""),
        "billKey": detail.get("billKey", ""),
        "cardCd": detail["issuer"],
        "cardNm": _product(detail["issuer"]),
        "cardNo": detail.get("cardNo", ""),
        "cardApprNo": detail["apprNo"],
        "instmtMon": detail.get("instmtMon", "00"),
        "vat": detail.get("vatAmt", ""),
        "taxAmt": detail.get("taxAmt", ""),
        "taxFreeAmt": detail.get("taxFreeAmt", ""),
        "acqrCd": codes.ACQUIRERS.get(detail["issuer"], ""),
    }


def _product(issuer: str) -> str:
    return codes.ISSUERS[issuer] + "개인"


def _x(masked: str) -> str:
    """The API masks with x, notis with *."""
    return masked.replace("*", "x")
