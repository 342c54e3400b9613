"""Trades of every method and the rules they share: order numbers, tax parts, cancels.

Independent of the gateway on purpose: a mistake there must show here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from naru.connectors.hecto.messages import Message
from naru.sandbox.hecto import clock, codes
from naru.sandbox.hecto.book import Book, Value, pack, unpack
from naru.sandbox.hecto.merchants import Merchant

AUTH_LIFE_MS = 10 * clock.MINUTE
"""An authentication is approved within this time, or not at all."""
NEVER = 2**62
"""When a trade appears that shows itself only after an inquiry was told it does not exist."""


class Refuse(Exception):
    """What was asked is not done. `complain` when a correct client would not have asked."""

    def __init__(
        self,
        code: str,
        text: str = "",
        *,
        field: str = "",
        complain: bool = False,
        data: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.text = text or codes.TEXTS[code]
        self.field = field
        self.complain = complain
        self.data = data


@dataclass(frozen=True, slots=True)
class Trade:
    id: int
    trd_no: str
    mid: str
    method: str
    kind: str
    state: str
    mcht_trd_no: str
    day: str
    at_ms: int
    appears_ms: int
    amount: int
    org_id: int | None
    seq: int
    code: str
    detail: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Ask:
    """One request being decided: who asks, what for, when, and what faults add to it."""

    book: Book
    merchant: Merchant
    message: Message
    values: dict[str, str]
    now: int
    appears_ms: int = 0  # a trade made now is visible from then on; 0: at once
    notis: list[int] = field(default_factory=list)  # ids of the notis that this request owes

    @property
    def seen_ms(self) -> int:
        return self.appears_ms or self.now

    def get(self, name: str) -> str:
        return self.values.get(name, "")

    def won(self, name: str) -> int:
        return int(self.values.get(name) or "0")


_COLUMNS = (
    "id, trd_no, mid, method, kind, state, mcht_trd_no, day, at_ms, appears_ms, amount, org_id, seq, code, detail"
)


def _trade(row: tuple[Value, ...]) -> Trade:
    *head, detail = cast("list[Any]", list(row))
    return Trade(*head, detail=unpack(detail))


def find(book: Book, where: str, *values: Value) -> Trade | None:
    row = book.row(f"SELECT {_COLUMNS} FROM trades WHERE {where}", *values)  # noqa: S608
    return _trade(row) if row else None


def find_all(book: Book, where: str, *values: Value) -> list[Trade]:
    return [_trade(row) for row in book.rows(f"SELECT {_COLUMNS} FROM trades WHERE {where}", *values)]  # noqa: S608


def number(prefix: str, method: str, mid: str, at_ms: int, serial: int) -> str:
    """A trdNo in Hecto's shape, 40 characters."""
    return f"{prefix}_PG{method}{mid:0<10}0{clock.stamp(at_ms)[2:]}M{serial % 10_000_000:07}"


def enter(
    ask: Ask,
    kind: str,
    amount: int,
    detail: Mapping[str, str],
    *,
    state: str = "done",
    code: str = codes.OK,
    origin: Trade | None = None,
    seq: int = 0,
    prefix: str = "STFP",
    opened: tuple[int, str] | None = None,
) -> Trade:
    """Writes a trade into the book. `opened` is number and trdNo of the window it comes from."""
    if opened:
        serial, trd_no = opened
    else:
        serial = ask.book.next_number()
        trd_no = number(prefix, ask.get("method"), ask.merchant.mid, ask.now, serial)
    trade = Trade(
        serial,
        trd_no,
        ask.merchant.mid,
        ask.get("method"),
        kind,
        state,
        ask.get("mchtTrdNo"),
        clock.day_of(ask.now),
        ask.now,
        ask.seen_ms,
        amount,
        origin.id if origin else None,
        seq,
        code,
        {k: v for k, v in detail.items() if v},
    )
    ask.book.run(
        f"INSERT INTO trades ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",  # noqa: S608
        trade.id,
        trade.trd_no,
        trade.mid,
        trade.method,
        trade.kind,
        trade.state,
        trade.mcht_trd_no,
        trade.day,
        trade.at_ms,
        trade.appears_ms,
        trade.amount,
        trade.org_id,
        trade.seq,
        trade.code,
        pack(trade.detail),
    )
    return trade


def change_state(book: Book, trade: Trade, state: str) -> Trade:
    book.run("UPDATE trades SET state = ? WHERE id = ?", state, trade.id)
    return replace(trade, state=state)


# --- rules ---------------------------------------------------------------------------------------


def check_new_number(ask: Ask) -> None:
    """ST50 if this order number already succeeded or waits today (KST)."""
    order = ask.get("mchtTrdNo")
    if not order.isascii():
        raise Refuse("ST09", "주문번호에 한글을 사용할 수 없습니다.", field="mchtTrdNo", complain=True)
    used = ask.book.row(
        "SELECT 1 FROM trades WHERE mcht_trd_no = ? AND mid = ? AND day = ? AND state <> 'failed'",
        order,
        ask.merchant.mid,
        clock.day_of(ask.now),
    )
    if used:
        raise Refuse("ST50", field="mchtTrdNo", complain=True)


def check_tax(ask: Ask, amount: int) -> dict[str, str]:
    """The tax parts as sent, or ST55. With G they are required and add up; with N or Y they must
    add up if they are sent at all."""
    names = ("taxAmt", "vatAmt", "taxFreeAmt", "svcAmt")
    sent = {name: ask.values[name] for name in names if name in ask.values}
    kind = ask.get("taxTypeCd")
    if kind not in ("", "N", "Y", "G"):
        raise Refuse("ST09", field="taxTypeCd", complain=True)
    if kind == "G" and not {"taxAmt", "vatAmt", "taxFreeAmt"} <= sent.keys():
        raise Refuse("ST55", field="taxAmt", complain=True)
    parts = sum(int(v) for v in sent.values())
    only_service = sent.keys() <= {"svcAmt"}
    if sent and not only_service and parts != amount:
        raise Refuse("ST55", field="taxAmt", complain=True)
    if kind == "Y" and int(sent.get("taxFreeAmt", amount)) != amount:
        raise Refuse("ST55", field="taxFreeAmt", complain=True)
    return {"taxTypeCd": kind, **sent}


@dataclass(frozen=True, slots=True)
class Left:
    """What has been cancelled of a trade: in the book, and as an inquiry may tell by now."""

    cancelled: int
    shown: int
    last_seq: int
    processing: bool


def left_of(book: Book, trade: Trade, now: int) -> Left:
    row = book.row(
        """SELECT coalesce(sum(amount), 0), coalesce(sum(amount) FILTER (WHERE appears_ms <= ?1), 0),
                  coalesce(max(seq), 0), coalesce(max(appears_ms), 0) > ?1
           FROM trades WHERE org_id = ?2 AND kind = 'cancel' AND state = 'done'""",
        now,
        trade.id,
    )
    assert row is not None
    cancelled, shown, seq, processing = (int(str(value)) for value in row)
    return Left(cancelled, shown, seq, bool(processing))


@dataclass(frozen=True, slots=True)
class CancelCodes:
    """Which codes a method answers cancels with."""

    unknown: str
    already: str


def find_original(ask: Ask, kinds: tuple[str, ...], refusals: CancelCodes) -> Trade:
    """The trade that orgTrdNo names, of this MID and method, or the method's "not found"."""
    trade = find(ask.book, "trd_no = ?", ask.get("orgTrdNo"))
    known = (
        trade is not None
        and trade.mid == ask.merchant.mid
        and trade.method == ask.get("method")
        and trade.kind in kinds
        and trade.state == "done"
        and trade.appears_ms <= ask.now
    )
    if not known:
        raise Refuse(refusals.unknown, field="orgTrdNo", complain=trade is None or trade.appears_ms <= ask.now)
    assert trade is not None
    return trade


def check_cancel(ask: Ask, original: Trade, refusals: CancelCodes) -> Left:
    """The rules of money of every cancel and refund: balance, sequence, tax parts."""
    if ask.get("crcCd") != original.detail.get("crcCd", "KRW"):
        raise Refuse("ST26", field="crcCd", complain=True)
    amount = ask.won("cnclAmt")
    left = left_of(ask.book, original, ask.now)
    if left.cancelled >= original.amount:
        raise Refuse(refusals.already, field="orgTrdNo", complain=True)
    if left.processing:
        raise Refuse("ST38")
    if amount < 1:
        raise Refuse("ST26", field="cnclAmt", complain=True)
    if amount > original.amount - left.cancelled:
        raise Refuse("ST57", field="cnclAmt", complain=True)
    if not re.fullmatch(r"\d{3}", ask.get("cnclOrd")) or int(ask.get("cnclOrd")) != left.last_seq + 1:
        raise Refuse("ST56", field="cnclOrd", complain=True)
    parts = check_tax(ask, amount)
    _check_cancel_tax(ask, original, parts, amount)
    return left


def _check_cancel_tax(ask: Ask, original: Trade, parts: Mapping[str, str], amount: int) -> None:
    """A mixed-tax payment is cancelled in parts by its parts, none of them beyond what was paid."""
    if original.detail.get("taxTypeCd") != "G":
        return
    if "taxFreeAmt" not in parts:
        if amount < original.amount:
            raise Refuse("ST55", field="taxFreeAmt", complain=True)
        return
    for name in ("taxAmt", "vatAmt", "taxFreeAmt"):
        row = ask.book.row(
            """SELECT coalesce(sum(CAST(json_extract(detail, '$.' || ?) AS INTEGER)), 0) FROM trades
               WHERE org_id = ? AND kind = 'cancel' AND state = 'done'""",
            name,
            original.id,
        )
        assert row is not None
        if int(str(row[0])) + int(parts[name]) > int(original.detail.get(name, "0")):
            raise Refuse("ST55", field=name, complain=True)


def find_authentication(ask: Ask) -> Trade:
    """The open authentication that a split approval names, with its amount and order number."""
    auth = find(ask.book, "trd_no = ? AND kind = 'auth'", ask.get("authTrdNo"))
    if auth is None or auth.mid != ask.merchant.mid or auth.method != ask.get("method"):
        raise Refuse("ST13", field="authTrdNo", complain=True)
    if auth.mcht_trd_no != ask.get("mchtTrdNo"):
        raise Refuse("ST13", field="mchtTrdNo", complain=True)
    if auth.state == "closed":
        raise Refuse("ST03", field="authTrdNo", complain=True)
    if auth.amount != ask.won("trdAmt"):
        raise Refuse("ST58", "승인 금액이 인증 금액과 다릅니다.", field="trdAmt", complain=True)
    if ask.now >= auth.at_ms + AUTH_LIFE_MS:
        raise Refuse("ST30")
    return auth


def check_refund_account(ask: Ask) -> None:
    """The bank exists, the number is one, and the holder's name fits: 불일치 never does (ST24)."""
    if ask.get("refundBankCd") not in codes.BANKS:
        raise Refuse("ST09", field="refundBankCd", complain=True)
    if len(ask.get("refundAcntNo")) < 8:
        raise Refuse("ST09", field="refundAcntNo", complain=True)
    if "불일치" in ask.get("refundDpstrNm"):
        raise Refuse("ST24")


def enter_cancel(ask: Ask, original: Trade, **more: str) -> Trade:
    """Enters a cancel or refund that passed the rules."""
    parts = {name: ask.get(name) for name in ("taxAmt", "vatAmt", "taxFreeAmt", "svcAmt")}
    detail = {**parts, "cnclRsn": ask.get("cnclRsn"), "orgTrdDt": original.day, **more}
    return enter(ask, "cancel", ask.won("cnclAmt"), detail, origin=original, seq=int(ask.get("cnclOrd")))


def noti_head(ask: Ask, trade: Trade) -> dict[str, str]:
    """The fields that every noti about a trade starts with."""
    detail = trade.detail
    return {
        "outStatCd": "0021",
        "trdNo": trade.trd_no,
        "mchtId": trade.mid,
        "mchtTrdNo": trade.mcht_trd_no,
        "mchtCustNm": detail.get("mchtCustNm", ""),
        "mchtName": detail.get("mchtName", "") or ask.merchant.name,
        "pmtprdNm": detail.get("pmtprdNm", ""),
        "trdDtm": clock.stamp(ask.now),
        "trdAmt": str(trade.amount),
        "email": detail.get("email", ""),
        "mchtCustId": detail.get("mchtCustId", ""),
        "mchtParam": detail.get("mchtParam", ""),
    }


def cancel_noti(ask: Ask, original: Trade, done: Trade) -> dict[str, str]:
    """What a cancel's noti says instead. Its order number is the original's (the only case that was
    ever seen), or the cancel's own where the merchant is set to that."""
    return {
        "trdNo": done.trd_no,
        "trdAmt": str(done.amount),
        "orgTrdNo": original.trd_no,
        "orgTrdDt": original.day,
        "cnclType": "00" if done.amount == original.amount else "10",
        "mchtTrdNo": original.mcht_trd_no if ask.merchant.noti_number == "original" else done.mcht_trd_no,
        "billKey": "",
    }


def check_bank_hours(now: int) -> None:
    """ST11 between 23:30 and 00:35 KST, when banks change their day."""
    minute = (now - clock.day_start(now)) // clock.MINUTE
    if minute >= 23 * 60 + 30 or minute < 35:
        raise Refuse("ST11")


def months_later(ms: int, months: int) -> int:
    """The KST midnight that many calendar months later on the same day of the month (or its last)."""
    day = clock.kst(clock.day_start(ms))
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return int(day.replace(year=year, month=month + 1, day=min(day.day, last)).timestamp() * 1000)
        except ValueError:
            continue
    raise AssertionError


def within_a_year(original: Trade, now: int) -> bool:
    return now < months_later(original.at_ms, 12) + clock.DAY


def listed(book: Book, *, mcht_trd_no: str, trd_no: str, mid: str, before: int, limit: int) -> list[Trade]:
    """Newest first; `before` is the id that the page before ended with, 0 for the first page."""
    where, values = ["1 = 1"], list[Value]()
    for column, value in (("mcht_trd_no", mcht_trd_no), ("trd_no", trd_no), ("mid", mid)):
        if value:
            where.append(f"{column} = ?")
            values.append(value)
    if before:
        where.append("id < ?")
        values.append(before)
    return find_all(book, " AND ".join(where) + " ORDER BY id DESC LIMIT ?", *values, limit)
