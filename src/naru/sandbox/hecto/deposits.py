"""The bank's side of virtual accounts: somebody pays in, the bank asks, accepts, or takes it back."""

from dataclasses import dataclass, replace
from urllib.parse import urljoin

import structlog

from naru.connectors.hecto import messages
from naru.sandbox.hecto import clock, codes, trades, vbank
from naru.sandbox.hecto.book import Value
from naru.sandbox.hecto.notis import queue
from naru.sandbox.hecto.room import Room
from naru.sandbox.hecto.trades import Ask, Refuse, Trade
from naru.sandbox.hecto.vbank import Account

log = structlog.get_logger()
UNLIMITED_ORDER = "0000000"  # the order number in every noti about a fixed-unlimited account
_PRECHECK_REFUSALS = {
    "0001": "없는 계좌입니다. (수취조회)",
    "0002": "입금 기한이 지났습니다. (수취조회)",
    "0003": "입금 금액이 다릅니다. (수취조회)",
    "0004": "입금할 수 없는 매체입니다. (수취조회)",
}


@dataclass(frozen=True, slots=True)
class PayIn:
    """What somebody does at a bank."""

    number: str
    amount: int
    depositor: str
    bank: str = ""
    mid: str = ""
    exact: bool = True  # the bank compares the amount (types 1, 2); Hecto's simulator does not
    media: str = "06"


@dataclass(frozen=True, slots=True)
class Outcome:
    id: int
    accepted: bool
    reason: str
    trd_no: str


class Turned(Exception):
    """The bank refuses the deposit."""


async def pay_in(room: Room, what: PayIn) -> Outcome:
    """The whole of it: the bank's checks, the merchant's pre-check, the entry with its noti."""
    try:
        account = _account(room, what)
        await _precheck(room, account, what)
        accepted = _accept(room, what)
    except Turned as turned:
        return _remember(room, what, "", "refused", str(turned))
    room.sender.wake()
    return accepted


def _account(room: Room, what: PayIn) -> Account:
    """The account if it takes this deposit now. Raises Turned."""
    now = room.clock.now()
    try:
        trades.check_bank_hours(now)
    except Refuse as refused:
        raise Turned(refused.text) from None
    account = vbank.find(
        room.book,
        "number = ? AND (? = '' OR bank = ?) AND (? = '' OR mid = ?)",
        *(what.number, what.bank, what.bank, what.mid, what.mid),
    )
    if account is None:
        raise Turned("없는 계좌입니다.")
    if account.state == "revoked":
        raise Turned("해지된 계좌입니다.")
    if account.state == "paid":
        raise Turned("이미 입금된 계좌입니다.")
    if not account.alive(now):
        raise Turned("입금 기한이 지났습니다.")
    if not 1 <= what.amount < 10**12:  # trdAmt has twelve digits
        raise Turned("입금 금액이 올바르지 않습니다.")
    if what.exact and account.kind != "3" and what.amount != account.amount:
        raise Turned(f"입금 금액이 다릅니다. ({account.amount:,}원)")
    return account


def _accept(room: Room, what: PayIn) -> Outcome:
    with room.book.write():
        account = _account(room, what)  # once more: the pre-check took its time
        merchant = room.merchants.get(account.mid)
        issued = trades.find(room.book, "id = ?", account.id)
        assert merchant is not None
        assert issued is not None
        order = UNLIMITED_ORDER if account.kind == "3" else issued.mcht_trd_no
        values = {"method": "VA", "mchtTrdNo": order, "trdAmt": str(what.amount)}
        ask = Ask(room.book, merchant, messages.VBANK_ISSUE, values, room.clock.now())
        if account.kind == "3":
            detail = {"vAcntNo": account.number, "bankCd": account.bank, "acntType": "3", "dpstrNm": what.depositor}
            trade = trades.enter(ask, "deposit", what.amount, detail, origin=issued)
            message = messages.NOTI_VBANK_UNLIMITED
        else:
            trade = _paid(room, issued, what)
            room.book.run("UPDATE accounts SET state = 'paid' WHERE id = ?", account.id)
            message = messages.NOTI_VBANK
        form = {**vbank.noti_form(ask, trade, account), "bizType": "B1", "dpstrNm": what.depositor}
        if issued.detail.get("cashReceipt"):
            form["csrcIssNo"] = f"TS{trade.id % 10_000_000:07}"
        _queue(ask, message, trade, issued, form)
        return _remember(room, replace(what, mid=account.mid, bank=account.bank), trade.trd_no, "accepted", "")


def _paid(room: Room, issued: Trade, what: PayIn) -> Trade:
    """A rotating or fixed account: its issuance becomes the payment, of what really came in."""
    now = room.clock.now()
    room.book.run(
        """UPDATE trades SET state = 'done', amount = ?, at_ms = ?, appears_ms = min(appears_ms, ?),
                  detail = json_set(detail, '$.depositor', ?, '$.paidAt', ?) WHERE id = ?""",
        what.amount,
        now,
        now,  # money in an account shows that it is there, whatever an inquiry was told
        what.depositor,
        clock.stamp(now),
        issued.id,
    )
    return replace(issued, state="done", amount=what.amount, at_ms=now)


def _queue(ask: Ask, message: messages.Message, trade: Trade, issued: Trade, form: dict[str, str]) -> None:
    known = {name: value for name, value in form.items() if name in message.request_names}
    queue(ask, message, trade, vbank.noti_url(ask, issued), known)


def reverse(room: Room, deposit_id: int) -> Outcome:
    """The bank takes a deposit back by itself (0121/B2). The account is closed if it was for one
    deposit. Raises ValueError when there is nothing to take back."""
    row = room.book.row("SELECT trd_no, outcome FROM deposits WHERE id = ?", deposit_id)
    if row is None or row[1] != "accepted":
        raise ValueError("입금된 내역이 아닙니다.")
    with room.book.write():
        trade = trades.find(room.book, "trd_no = ?", row[0])
        assert trade is not None
        now = room.clock.now()
        if trades.left_of(room.book, trade, now).cancelled:
            raise ValueError("이미 환불한 입금은 자동 취소할 수 없습니다.")
        account = vbank.find(room.book, "id = ?", trade.org_id or trade.id)
        issued = trades.find(room.book, "id = ?", account.id) if account else None
        merchant = room.merchants.get(trade.mid)
        assert account is not None
        assert issued is not None
        assert merchant is not None
        ask = Ask(room.book, merchant, messages.VBANK_ISSUE, {"method": "VA", "mchtTrdNo": trade.mcht_trd_no}, now)
        trades.enter(ask, "cancel", trade.amount, {"reversal": "Y", "orgTrdDt": trade.day}, origin=trade, seq=1)
        if account.kind != "3":
            vbank.close(room.book, trade, account)
        if merchant.reversal_noti:
            message = messages.NOTI_VBANK_UNLIMITED if account.kind == "3" else messages.NOTI_VBANK
            form = {**vbank.noti_form(ask, trade, account), "outStatCd": "0121", "bizType": "B2"}
            _queue(ask, message, trade, issued, form)
        room.book.run("UPDATE deposits SET outcome = 'reversed' WHERE id = ?", deposit_id)
    room.sender.wake()
    return Outcome(deposit_id, accepted=False, reason="자동 취소되었습니다.", trd_no=trade.trd_no)


async def _precheck(room: Room, account: Account, what: PayIn) -> None:
    """Asks the merchant whether the money may come in (M19), once or twice. Raises Turned."""
    merchant = room.merchants.get(account.mid)
    issued = trades.find(room.book, "id = ?", account.id)
    assert merchant is not None
    assert issued is not None
    twice = account.bank in codes.PRECHECK_TWICE
    kinds = {"off": "", "N": "N", "P": "P" if twice else "N", "NP": "NP" if twice else "N"}[merchant.precheck]
    url = merchant.precheck_url or urljoin(merchant.vbank_noti_url, "precheck_vbank")
    for kind in kinds:
        form = {
            "mchtId": account.mid,
            "trdNo": "" if account.kind == "3" else issued.trd_no,
            "mchtTrdNo": UNLIMITED_ORDER if account.kind == "3" else issued.mcht_trd_no,
            "trdDtm": clock.stamp(room.clock.now()),
            "trdAmt": str(what.amount),
            "bankCd": account.bank,
            "acntType": account.kind,
            "vAcntNo": account.number,
            "mediaType": what.media,
            "rcptType": kind,
        }
        code, text = await room.sender.ask_precheck(merchant, url, {k: v for k, v in form.items() if v})
        if code != "0000":
            reason = text or _PRECHECK_REFUSALS.get(code, "상점이 입금을 거절했습니다. (수취조회)")
            raise Turned(f"{reason} [{code or '응답 없음'}]")


def _remember(room: Room, what: PayIn, trd_no: str, outcome: str, reason: str) -> Outcome:
    with room.book.write():
        room.book.run(
            """INSERT INTO deposits (at_ms, mid, bank, number, amount, depositor, trd_no, outcome, reason)
               VALUES (?,?,?,?,?,?,?,?,?)""",
            room.clock.now(),
            what.mid,
            what.bank,
            what.number[:20],
            min(what.amount, 10**12),
            what.depositor[:30],
            trd_no,
            outcome,
            reason,
        )
        found = room.book.last_id()
    log.info("deposit.decided", outcome=outcome, trd_no=trd_no)
    return Outcome(found, outcome == "accepted", reason, trd_no)


def one_shown(room: Room, deposit_id: int) -> dict[str, object] | None:
    """A deposit by its id, as somebody at the bank has just tried it."""
    return next(iter(_shown(room, "id = ?", deposit_id, limit=1)), None)


def shown(room: Room, number: str = "", limit: int = 50) -> list[dict[str, object]]:
    """Deposits, newest first."""
    return _shown(room, "? = '' OR number = ?", number, number, limit=limit)


def _shown(room: Room, where: str, *values: Value, limit: int) -> list[dict[str, object]]:
    rows = room.book.rows(
        f"""SELECT id, at_ms, mid, bank, number, amount, depositor, trd_no, outcome, reason FROM deposits
            WHERE {where} ORDER BY id DESC LIMIT ?""",  # noqa: S608
        *values,
        limit,
    )
    names = ("id", "at_ms", "mid", "bank", "account", "amount", "depositor", "trdNo", "outcome", "reason")
    return [{**dict(zip(names, row, strict=True)), "at": clock.shown(int(str(row[1])))} for row in rows]


def accounts_shown(room: Room, limit: int = 30) -> list[dict[str, object]]:
    """Accounts, newest first, with what can happen to them."""
    now = room.clock.now()
    return [
        {
            "mid": a.mid,
            "bank": a.bank,
            "bankNm": codes.VBANK_BANKS[a.bank],
            "account": a.number,
            "acntType": a.kind,
            "amount": a.amount,
            "expires": clock.shown(a.expires_ms) if a.expires_ms is not None else "",
            "state": "expired" if a.state == "open" and not a.alive(now) else a.state,
        }
        for a in vbank.find_all(room.book, "1 = 1", limit=limit)
    ]
