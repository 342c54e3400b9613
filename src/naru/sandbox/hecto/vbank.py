"""Virtual accounts: issue (rotating, fixed, fixed-unlimited), change, revoke, refund.

acntType: 1 rotating (we pick a number), 2 fixed (a number from the MID's pool, one deposit per
issuance), 3 fixed-unlimited (from the pool, any amount, any number of times, amount 0).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from naru.connectors.hecto import messages
from naru.sandbox.hecto import cardpay, clock, codes, trades
from naru.sandbox.hecto.book import Book, Value
from naru.sandbox.hecto.notis import queue
from naru.sandbox.hecto.trades import Ask, CancelCodes, Refuse, Trade

REFUSALS = CancelCodes(unknown="ST06", already="ST39")
DEFAULT_DAYS, MAX_DAYS = 10, 365


@dataclass(frozen=True, slots=True)
class Account:
    id: int  # of its issuance in the trades
    mid: str
    bank: str
    number: str
    kind: str
    state: str  # open, paid, revoked
    amount: int
    expires_ms: int | None

    def alive(self, now: int) -> bool:
        """Open and not expired: a deposit can come in."""
        return self.state == "open" and (self.expires_ms is None or now <= self.expires_ms)

    @property
    def expires(self) -> str:
        return "" if self.expires_ms is None else clock.stamp(self.expires_ms)


_COLUMNS = "id, mid, bank, number, kind, state, amount, expires_ms"


def find(book: Book, where: str, *values: Value) -> Account | None:
    """The newest account that fits."""
    found = find_all(book, where, *values, limit=1)
    return found[0] if found else None


def find_all(book: Book, where: str, *values: Value, limit: int = 200) -> list[Account]:
    """Newest first."""
    rows: list[Any] = book.rows(
        f"SELECT {_COLUMNS} FROM accounts WHERE {where} ORDER BY id DESC LIMIT ?",  # noqa: S608
        *values,
        limit,
    )
    return [Account(*row) for row in rows]


# --- the same message once more ------------------------------------------------------------------


def _said(ask: Ask) -> str:
    """What a message says, but for its secrets, as a digest."""
    left_out = ("pktHash", "escrPwd", "csrcRegNo")
    said = sorted((name, value) for name, value in ask.values.items() if name not in left_out)
    return hashlib.sha256(repr(said).encode()).hexdigest()[:32]


def said_before(ask: Ask) -> Trade | None:
    """The trade of an identical message of today: the same number, time and content. Its answer is given again."""
    trade = trades.find(
        ask.book,
        "mcht_trd_no = ? AND mid = ? AND day = ? AND kind IN ('account', 'change', 'revoke')",
        ask.get("mchtTrdNo"), ask.merchant.mid, clock.day_of(ask.now),
    )  # fmt: skip
    return trade if trade is not None and trade.detail.get("said") == _said(ask) else None


# --- issue ---------------------------------------------------------------------------------------


def issue(ask: Ask) -> dict[str, str]:
    """M13 and M14. The API answers 0021; the noti says 0051."""
    said = _said(ask)
    if (before := said_before(ask)) is not None:
        known = find(ask.book, "id = ?", before.id)
        assert known is not None
        return _issued(known, before.trd_no, before.detail["issued"])
    trades.check_new_number(ask)
    kind = ask.get("acntType") or "1"
    if kind not in ask.merchant.account_types:
        raise Refuse("ST69", field="acntType", complain=True)
    trades.check_bank_hours(ask.now)
    bank = ask.get("bankCd")
    if bank not in codes.VBANK_BANKS:
        raise Refuse("ST09", "가상계좌를 발급하지 않는 은행입니다.", field="bankCd", complain=True)
    amount = ask.won("trdAmt")
    if kind == "3":
        if amount != 0:
            raise Refuse("ST09", "고정식 무제한 가상계좌의 금액은 0입니다.", field="trdAmt", complain=True)
        tax: dict[str, str] = {}
    else:
        if amount < 1:
            raise Refuse("ST09", "거래금액이 올바르지 않습니다.", field="trdAmt", complain=True)
        tax = trades.check_tax(ask, amount)
        _check_escrow(ask)
        _check_cash_receipt(ask)
    expires = expiry(ask, "expireDate", kind)
    number = new_number(ask.book, bank) if kind == "1" else _pool_number(ask, bank, kind)
    detail = {
        "pmtprdNm": ask.get("prdtNm"),
        "mchtName": ask.get("sellerNm"),
        "mchtCustNm": ask.get("ordNm"),
        "dpstrNm": ask.get("dpstrNm"),
        "email": ask.get("email"),
        "mchtCustId": ask.get("mchtCustId"),
        "mchtParam": ask.get("mchtParam"),
        "notiUrl": ask.get("notiUrl"),
        "escrow": "Y" if ask.get("escrAgrYn") == "Y" else "",
        "cashReceipt": "Y" if ask.get("csrcIssReqYn") == "Y" else "",
        "said": said,
        **tax,
    }
    account, trade = enter(ask, kind, bank, number, amount, expires, detail)
    return _issued(account, trade.trd_no, str(amount))


def _issued(account: Account, trd_no: str, amount: str) -> dict[str, str]:
    return {
        "trdNo": trd_no,
        "bankCd": account.bank,
        "vAcntNo": account.number,
        "expireDate": account.expires,
        "trdAmt": amount,
        "acntType": account.kind,
    }


def by_window(ask: Ask, bank: str, depositor: str, opened: tuple[int, str]) -> tuple[Account, Trade]:
    """A rotating account, issued in a payment window."""
    if bank not in codes.VBANK_BANKS:
        raise Refuse("ST09", "은행을 선택해 주세요.")
    trades.check_bank_hours(ask.now)
    tax = trades.check_tax(ask, ask.won("trdAmt"))
    detail = {**cardpay.order_detail(ask), **tax, "dpstrNm": depositor or ask.get("mchtCustNm")}
    number = new_number(ask.book, bank)
    return enter(ask, "1", bank, number, ask.won("trdAmt"), expiry(ask, "expireDt", "1"), detail, opened=opened)


def enter(
    ask: Ask,
    kind: str,
    bank: str,
    number: str,
    amount: int,
    expires_ms: int | None,
    detail: dict[str, str],
    *,
    opened: tuple[int, str] | None = None,
) -> tuple[Account, Trade]:
    """Enters the account and, but for fixed-unlimited ones, owes its A0 noti."""
    detail = {**detail, "bankCd": bank, "vAcntNo": number, "acntType": kind, "issued": str(amount)}
    trade = trades.enter(ask, "account", amount, detail, state="open", opened=opened)
    account = Account(trade.id, trade.mid, bank, number, kind, "open", amount, expires_ms)
    ask.book.run(
        f"INSERT INTO accounts ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?)",  # noqa: S608
        *(account.id, account.mid, bank, number, kind, "open", amount, expires_ms),
    )
    if kind != "3":
        form = {**noti_form(ask, trade, account), "outStatCd": "0051", "bizType": "A0", "acntType": ""}
        queue(ask, messages.NOTI_VBANK, trade, noti_url(ask, trade), form)
    return account, trade


def expiry(ask: Ask, name: str, kind: str) -> int | None:
    """The deadline: empty is ten days on, fixed-unlimited accounts need none. ST09 for a past one
    and for one more than 365 days away."""
    text = ask.get(name)
    day = clock.day_start(ask.now)
    if not text:
        return None if kind == "3" else day + (DEFAULT_DAYS + 1) * clock.DAY - clock.SECOND
    at = clock.parse_stamp(text)
    latest = day + (MAX_DAYS + 1) * clock.DAY
    if at is None or at <= ask.now or (kind != "3" and at >= latest):
        raise Refuse("ST09", "입금 기한이 올바르지 않습니다.", field=name, complain=True)
    return at


def new_number(book: Book, bank: str) -> str:
    """A number nobody has, 14 digits as on Hecto's test hosts."""
    return f"79{bank}{book.next_number() % 1_000_000_000:09}"


def _pool_number(ask: Ask, bank: str, kind: str) -> str:
    number = ask.get("vAcntNo")
    if not number:
        raise Refuse("ST09", codes.missing("vAcntNo")[1], field="vAcntNo", complain=True)
    if not any(pool.has(bank, number) for pool in ask.merchant.pools):
        raise Refuse("ST44", field="vAcntNo", complain=True)
    last = find(ask.book, "number = ? AND mid = ?", number, ask.merchant.mid)
    if last is not None and (last.state == "open" if kind == "3" else last.alive(ask.now)):
        raise Refuse("ST08", field="vAcntNo")
    return number


def _check_escrow(ask: Ask) -> None:
    """Escrow needs its three fields. The password is looked at and forgotten."""
    given = {name: ask.values.pop(name, "") for name in ("escrPwd", "rfdDpstrNm")}
    if ask.get("escrAgrYn") not in ("Y", "N"):
        raise Refuse("ST09", field="escrAgrYn", complain=True)
    if ask.get("escrAgrYn") == "Y":
        for name, value in {**given, "email": ask.get("email")}.items():
            if not value:
                raise Refuse("ST09", codes.missing(name)[1], field=name, complain=True)


def _check_cash_receipt(ask: Ask) -> None:
    identity = ask.values.pop("csrcRegNo", "")
    if ask.get("csrcIssReqYn") not in ("Y", "N"):
        raise Refuse("ST09", field="csrcIssReqYn", complain=True)
    if ask.get("csrcIssReqYn") == "Y":
        if ask.get("cashRcptPrposDivCd") not in ("0", "1"):
            raise Refuse("ST09", field="cashRcptPrposDivCd", complain=True)
        if ask.get("csrcRegNoDivCd") not in ("1", "2", "3", "4") or not identity:
            raise Refuse("ST09", field="csrcRegNo", complain=True)


# --- change and revoke ---------------------------------------------------------------------------


def change(ask: Ask) -> dict[str, str]:
    """M15: deadline and amount of an account that is found by bank and number. No noti."""
    said = _said(ask)
    if (before := said_before(ask)) is not None:
        return _changed(ask, before.trd_no)
    trades.check_new_number(ask)
    account = find(
        ask.book, "mid = ? AND bank = ? AND number = ?", ask.merchant.mid, ask.get("bankCd"), ask.get("vAcntNo")
    )
    if account is None or account.state == "revoked" or account.kind != ask.get("acntType"):
        raise Refuse("ST06", field="vAcntNo", complain=True)
    if account.state == "paid":
        raise Refuse("0004")
    if not account.alive(ask.now):
        raise Refuse("ST26", "입금 기한이 지난 가상계좌는 변경할 수 없습니다.")
    amount = ask.won("trdAmt")
    if (amount == 0) != (account.kind == "3"):
        raise Refuse("ST09", field="trdAmt", complain=True)
    expires = expiry(ask, "expireDate", account.kind)
    ask.book.run("UPDATE accounts SET amount = ?, expires_ms = ? WHERE id = ?", amount, expires, account.id)
    ask.book.run(
        "UPDATE trades SET amount = ?, detail = json_set(detail, '$.issued', ?) WHERE id = ?",
        amount,
        str(amount),
        account.id,
    )
    detail = {"vAcntNo": account.number, "bankCd": account.bank, "expireDate": ask.get("expireDate"), "said": said}
    origin = trades.find(ask.book, "id = ?", account.id)
    done = trades.enter(ask, "change", amount, detail, origin=origin)
    return _changed(ask, done.trd_no)


def _changed(ask: Ask, trd_no: str) -> dict[str, str]:
    names = ("bankCd", "vAcntNo", "expireDate", "trdAmt", "acntType")
    return {"trdNo": trd_no, **{name: ask.get(name) for name in names}}


def revoke(ask: Ask) -> dict[str, str]:
    """M16: before a deposit; a fixed-unlimited account at any time within a year of its issue."""
    said = _said(ask)
    if (before := said_before(ask)) is not None:
        return {"trdNo": before.trd_no, "orgTrdNo": ask.get("orgTrdNo"), "vAcntNo": ask.get("vAcntNo")}
    trades.check_new_number(ask)
    trade = trades.find(ask.book, "trd_no = ? AND kind = 'account'", ask.get("orgTrdNo"))
    account = find(ask.book, "id = ?", trade.id) if trade else None
    if trade is None or account is None or trade.mid != ask.merchant.mid or account.number != ask.get("vAcntNo"):
        raise Refuse("ST06", field="orgTrdNo", complain=True)
    if account.state == "revoked":
        raise Refuse("ST25")
    if account.state == "paid":
        raise Refuse("0004")
    if account.kind == "3" and not trades.within_a_year(trade, ask.now):
        raise Refuse("ST46")
    close(ask.book, trade, account)
    detail = {"vAcntNo": account.number, "bankCd": account.bank, "said": said}
    done = trades.enter(ask, "revoke", 0, detail, origin=trade)
    if account.kind != "3" and ask.merchant.vbank_cancel_noti:
        form = {
            **noti_form(ask, trade, account),
            **trades.cancel_noti(ask, trade, done),
            "bizType": "A2",
            "trdAmt": str(account.amount),  # S1 leaves it out although it is sealed; sent and sealed here
            "cnclType": "",
        }
        queue(ask, messages.NOTI_VBANK, done, noti_url(ask, trade), form)
    return {"trdNo": done.trd_no, "orgTrdNo": trade.trd_no, "vAcntNo": account.number}


def close(book: Book, trade: Trade, account: Account) -> None:
    """No deposit can come in any more."""
    book.run("UPDATE accounts SET state = 'revoked' WHERE id = ?", account.id)
    if trade.state == "open":
        trades.change_state(book, trade, "closed")


# --- refund --------------------------------------------------------------------------------------


def refund(ask: Ask) -> dict[str, str]:
    """M17: of an issuance that was paid (types 1, 2) or of one deposit (type 3), also in parts."""
    trades.check_new_number(ask)
    if not ask.merchant.refund_service:
        raise Refuse("0005")
    original = trades.find_original(ask, ("account", "deposit"), REFUSALS)
    trades.check_bank_hours(ask.now)
    if not trades.within_a_year(original, ask.now):
        raise Refuse("ST46")
    trades.check_refund_account(ask)
    if _taken_back(ask, original):
        raise Refuse(REFUSALS.already)  # without a complaint: nobody need have told the merchant
    left = trades.check_cancel(ask, original, REFUSALS)
    amount = ask.won("cnclAmt")
    if amount != original.amount and not ask.merchant.partial_cancel:
        raise Refuse("ST54")
    done = trades.enter_cancel(ask, original)
    if ask.merchant.vbank_cancel_noti:
        account = find(ask.book, "id = ?", original.org_id or original.id)
        assert account is not None
        form = {
            **noti_form(ask, original, account),
            **trades.cancel_noti(ask, original, done),
            "bizType": "C0",
        }
        if account.kind == "3":
            # The deposit has no order number of its own to repeat: 0000000 is everybody's.
            form["mchtTrdNo"] = done.mcht_trd_no
        queue(ask, messages.NOTI_VBANK, done, noti_url(ask, original), form)
    return {
        "trdNo": done.trd_no,
        "orgTrdNo": original.trd_no,
        "cnclAmt": str(amount),
        "blcAmt": str(original.amount - left.cancelled - amount),
    }


def _taken_back(ask: Ask, deposit: Trade) -> bool:
    """Whether the bank took this deposit back by itself (0121/B2)."""
    sql = "SELECT 1 FROM trades WHERE org_id = ? AND kind = 'cancel' AND json_extract(detail, '$.reversal') = 'Y'"
    return ask.book.row(sql, deposit.id) is not None


# --- notis ---------------------------------------------------------------------------------------


def noti_url(ask: Ask, trade: Trade) -> str:
    """The issuance's own address, else the one registered for the MID."""
    return trade.detail.get("notiUrl") or ask.merchant.vbank_noti_url


def noti_form(ask: Ask, trade: Trade, account: Account) -> Mapping[str, str]:
    return {
        **trades.noti_head(ask, trade),
        "bankCd": account.bank,
        "bankNm": codes.VBANK_BANKS[account.bank],
        "acntType": account.kind,
        "vAcntNo": account.number,
        "expireDt": account.expires,
        "AcntPrintNm": (trade.detail.get("dpstrNm", "") or ask.merchant.name)[:12],
        "dpstrNm": trade.detail.get("mchtCustNm", "") or trade.detail.get("dpstrNm", ""),
    }
