"""A gateway that keeps a book in memory and misbehaves on request. It implements the port, nothing less."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from naru.clock import Clock
from naru.domain.channel import Channel
from naru.domain.deadlines import RefundTo
from naru.domain.outcome import Declined, Details, Done, Finding, NoSuchTrade, NotSent, Outcome, Sealed, Unknown
from naru.domain.refusal import Refused, Why
from naru.domain.values import MINUTE, AttemptId, Won, kst_date, won
from naru.service.ports import (
    Approval,
    Cancel,
    CardPayment,
    CashReceipt,
    ChangeAccount,
    DepositQuestion,
    Found,
    IssueAccount,
    KeyRequest,
    Landing,
    Letter,
    Line,
    Notice,
    Question,
    ReceiptQuestion,
    RevokeAccount,
    SlipQuestion,
    Unreadable,
    WindowForm,
    WindowPayment,
)
from tests.bank import Bank


@dataclass
class Trade:
    """A trade as the other side knows it."""

    tid: str
    attempt_id: str
    amount: int
    cancels: dict[str, int] = field(default_factory=dict)
    rounds: int = 0
    key: str = ""
    """The billing key that the payment brought."""
    at: int | None = None
    """When it happened (UTC ms); None: on whichever day is asked about."""
    mid: str = ""
    """Whose list it is on; empty: on everybody's."""

    @property
    def cancelled(self) -> int:
        """All that went back."""
        return sum(self.cancels.values())


def auth_no(number: str) -> str:
    """The tax office's approval number of a receipt."""
    return f"A{zlib.crc32(number.encode()) % 10**8:08d}"


class FakeGateway:
    """The other side. *faults* is a queue of names, one per money-moving call: ``lost_before``, ``lost_after``,
    ``unsent``, ``decline``, ``decline_after`` (it says no and does it), ``wrong_amount``, ``late`` (it travels for
    more than a minute, is denied once, and is done then), or empty for none."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.trades: dict[str, Trade] = {}
        self.faults: list[str] = []
        self.complaints: list[str] = []
        self.calls: list[str] = []
        self.called = asyncio.Event()
        self.inquired = asyncio.Event()
        self.blind = False
        """Inquiries go unanswered."""
        self.gate: asyncio.Event | None = None
        """Set, pay calls wait for it."""
        self.on_paid: Callable[[Trade], None] = lambda _t: None
        self.receipts: dict[str, CashReceipt] = {}
        """Cash receipts by our number, cancels of them too."""
        self.refunds: list[RefundTo] = []
        """Accounts that money went to."""
        self.windows: dict[str, WindowPayment] = {}
        self.refused: set[str] = set()
        """Attempts of which an inquiry says that a payment was tried and failed."""
        self.keyless: set[str] = set()
        """MIDs whose payments bring no billing key."""
        self.billing_keys: dict[str, str] = {}
        """Keys that exist, and their MIDs."""
        self.pays: list[CardPayment] = []
        self.judge: Callable[[CardPayment], str] = lambda _p: ""
        """Which fault a payment meets when the queue is empty."""
        self.bank = Bank(clock, self._fault, self.complaints.append, self._enter)
        self._late: dict[str, tuple[int, Callable[[], object]]] = {}
        """What still travels, and is done once an inquiry has denied it: when it was sent, and the deed."""
        self._days: dict[tuple[str, str], list[str]] = {}
        self._sorted = 0
        """How many of the trades are in `_days`: to read all for every day's list would be most of a year's work."""

    def _enter(self, tid: str, attempt_id: str, amount: int) -> None:
        self.trades[attempt_id] = Trade(tid, attempt_id, amount, at=self.clock())

    def _fault(self) -> str:
        return self.faults.pop(0) if self.faults else ""

    async def pay(self, channel: Channel, payment: CardPayment) -> Outcome:
        """Charge."""
        self.calls.append(f"pay {payment.attempt_id}")
        self.pays.append(payment)
        self.called.set()
        fault = self._fault() or self.judge(payment)
        if self.gate is not None:
            await self.gate.wait()
        match fault:
            case "unsent":
                return NotSent("연결 실패")
            case "lost_before":
                return Unknown("응답 없음")
            case "late":
                self._travels(payment.attempt_id, lambda: self._approve(channel, payment))
                return Unknown("응답 없음")
            case "decline":
                return Declined("CA31", "한도초과")
            case "dead_card":
                return Declined("CA50", "거래정지 카드")
            case _:
                pass
        if payment.billing_key is not None and self.billing_keys.get(payment.billing_key.reveal()) != channel.mid:
            return Declined("ST06", "등록되지 않은 빌링키")
        if payment.attempt_id in self.trades:
            self.complaints.append(f"duplicate order number {payment.attempt_id}")
            return Unknown("중복", "ST50")
        trade = self._approve(channel, payment)
        if payment.card is not None and channel.mid not in self.keyless:
            trade.key = self._new_key(channel, payment.attempt_id)
        self.on_paid(trade)
        if fault == "lost_after":
            return Unknown("응답 없음")
        if fault == "wrong_amount":
            return Unknown("금액 불일치", mismatch=True)
        if fault == "decline_after":
            return Declined("CA31", "한도초과")
        return Done(
            trade.tid, won(payment.amount), self.clock(),
            Details(apply_num="30001234", card_name="신한카드", card_code="366", card_number="411111******1111"),
            billing_key=Sealed(trade.key) if trade.key and fault != "no_key" else None,
        )  # fmt: skip

    def _approve(self, channel: Channel, payment: CardPayment) -> Trade:
        number = payment.attempt_id
        trade = Trade(f"T{number}", number, payment.amount, at=self.clock(), mid=channel.mid)
        self.trades[number] = trade
        return trade

    def _travels(self, number: str, deed: Callable[[], object]) -> None:
        self._late[number] = self.clock(), deed

    def _arrives(self, imp_uid: str) -> None:
        """Somebody was told that there is nothing of this: what has travelled for a minute comes now."""
        for number, (sent_at, deed) in list(self._late.items()):
            if number.startswith(imp_uid) and self.clock() - sent_at >= MINUTE:
                del self._late[number]
                deed()

    async def issue_key(self, channel: Channel, request: KeyRequest) -> Outcome:
        """A key without a payment."""
        self.calls.append(f"issue {request.attempt_id}")
        match self._fault():
            case "unsent":
                return NotSent("연결 실패")
            case "lost_before" | "lost_after":
                return Unknown("응답 없음")
            case "decline":
                return Declined("CA20", "유효기간 오류")
            case "no_key":
                return Done("T" + request.attempt_id, Won(0), self.clock())
            case _:
                pass
        key = self._new_key(channel, request.attempt_id)
        details = Details(card_name="신한카드", card_code="366", card_number="411111******1111")
        return Done("T" + request.attempt_id, Won(0), self.clock(), details, billing_key=Sealed(key))

    def _new_key(self, channel: Channel, number: str) -> str:
        key = f"SBILL_{number}"
        self.billing_keys[key] = channel.mid
        return key

    async def delete_key(self, channel: Channel, attempt_id: AttemptId, key: Sealed) -> Outcome:
        """Forget a key."""
        del channel
        self.calls.append(f"delete {attempt_id}")
        fault = self._fault()
        match fault:
            case "unsent":
                return NotSent("연결 실패")
            case "lost_before":
                return Unknown("응답 없음")
            case "decline":
                return Declined("ST68", "서비스 중지")
            case _:
                pass
        self.billing_keys.pop(key.reveal(), None)
        return Unknown("응답 없음") if fault == "lost_after" else Done("", Won(0), self.clock())

    def _of(self, tid: str) -> Trade | None:
        return next((t for t in self.trades.values() if t.tid == tid), None)

    async def cancel(self, channel: Channel, cancel: Cancel) -> Outcome:
        """Take back."""
        del channel
        self.calls.append(f"cancel {cancel.attempt_id}")
        fault = self._fault()
        trade = self._of(cancel.org_tid)
        match fault:
            case "unsent":
                return NotSent("연결 실패")
            case "lost_before":
                return Unknown("응답 없음")
            case "late" if trade is not None:
                self._travels(cancel.attempt_id, lambda: self._give_back(trade, cancel))
                return Unknown("응답 없음")
            case "decline":
                return Declined("CA83", "취소 불가")
            case _:
                pass
        if trade is None:
            self.complaints.append(f"cancel of nothing {cancel.org_tid}")
            return Declined("CA10", "거래 없음")
        if cancel.round != trade.rounds + 1:
            self.complaints.append(f"round {cancel.round} after {trade.rounds}")
            return Declined("ST56", "취소 순번 오류")
        if cancel.amount + trade.cancelled > trade.amount:
            self.complaints.append(f"over-cancel {cancel.attempt_id}")
            return Declined("ST57", "취소 금액 초과")
        self._give_back(trade, cancel)
        if fault == "lost_after":
            return Unknown("응답 없음")
        if fault == "decline_after":
            return Declined("CA83", "취소 불가")
        return Done(f"C{cancel.attempt_id}", cancel.amount, self.clock(), balance=won(trade.amount - trade.cancelled))

    def _give_back(self, trade: Trade, cancel: Cancel) -> None:
        trade.cancels[cancel.attempt_id] = cancel.amount
        if cancel.refund:
            self.refunds.append(cancel.refund)
        trade.rounds += 1

    async def issue_account(self, channel: Channel, issue: IssueAccount, *, again: bool = False) -> Outcome:
        """Issue an account."""
        self.calls.append(f"issue {issue.attempt_id}")
        return self.bank.issue(channel, issue, again)

    async def change_account(self, channel: Channel, change: ChangeAccount, *, again: bool = False) -> Outcome:
        """Change one."""
        del channel
        self.calls.append(f"change {change.attempt_id}")
        return self.bank.change(change, again)

    async def revoke_account(self, channel: Channel, revoke: RevokeAccount, *, again: bool = False) -> Outcome:
        """End one."""
        del channel
        self.calls.append(f"revoke {revoke.attempt_id}")
        return self.bank.revoke(revoke, again)

    async def inquire(self, channel: Channel, question: Question) -> Found:
        """What became of a trade."""
        del channel
        self.calls.append(f"inquire {question.attempt_id}")
        self.inquired.set()
        if self.blind:
            return Found(Unknown("응답 없음"))
        trade = self.trades.get(question.attempt_id)
        total = won(trade.cancelled if trade else 0)
        self._arrives(question.attempt_id)  # after what is answered now
        if trade is None and question.attempt_id in self.refused:
            return Found(Declined("0009", "결제에 실패한 거래입니다"))
        if trade is None:
            return Found(NoSuchTrade())
        deposit = question.pay_method == "vbank"
        if deposit and trade.amount != question.amount:
            return Found(NoSuchTrade())
        at = self.clock() if deposit else question.asked_at
        return Found(Done(trade.tid, Won(trade.amount), at, also_cancelled=total, deposit=deposit), total)

    def window(self, channel: Channel, payment: WindowPayment) -> WindowForm:
        """Opens nothing: a test plays the buyer with `buyer_pays`."""
        del channel
        if payment.amount < 1000:
            raise Refused(Why.PARAMETER, name="amount", problem="1,000원 이상이어야 합니다")
        self.windows[payment.attempt_id] = payment
        return WindowForm("http://pg.test/window", {"number": payment.attempt_id})

    def read_landing(self, body: bytes, content_type: str) -> Landing:
        """``claim code message`` in plain text."""
        del content_type
        claim, code, message = [*body.decode().split(" ", 2), "", ""][:3]
        return Landing(claim, code, message)

    def buyer_pays(self, attempt_id: str, amount: int | None = None) -> Trade:
        """The buyer pays in the window; the noti is the test's to deliver."""
        trade = Trade(f"T{attempt_id}", attempt_id, amount or self.windows[attempt_id].amount, at=self.clock())
        self.trades[attempt_id] = trade
        return trade

    async def approve(self, channel: Channel, approval: Approval) -> Outcome:
        """Approve what was authenticated."""
        del channel
        self.calls.append(f"approve {approval.attempt_id}")
        fault = self._fault()
        if fault == "decline":
            return Declined("ST30", "인증 유효 시간이 지났습니다")
        if fault == "lost_before":
            return Unknown("응답 없음")
        if approval.attempt_id in self.trades:
            self.complaints.append(f"approved twice {approval.attempt_id}")
        trade = Trade(f"T{approval.attempt_id}", approval.attempt_id, approval.amount, at=self.clock())
        self.trades[approval.attempt_id] = trade
        if fault == "lost_after":
            return Unknown("응답 없음")
        return Done(trade.tid, approval.amount, self.clock())

    def slip_form(self, channel: Channel, question: SlipQuestion) -> WindowForm:
        """The other side's slip."""
        return WindowForm("http://pg.test/slip", {"mid": channel.mid, "tid": question.pg_tid})

    async def issue_receipt(self, channel: Channel, receipt: CashReceipt) -> Outcome:
        """Register."""
        return self._register(channel, receipt, "issue")

    async def cancel_receipt(self, channel: Channel, receipt: CashReceipt) -> Outcome:
        """Take back."""
        issued = [r for r in self.receipts.values() if auth_no(r.id) == receipt.org_auth_no]
        if not issued:
            self.complaints.append(f"cancel of no receipt {receipt.org_auth_no}")
        return self._register(channel, receipt, "cancel")

    def _register(self, channel: Channel, receipt: CashReceipt, what: str) -> Outcome:
        del channel
        self.calls.append(f"receipt {what} {receipt.id}")
        match self._fault():
            case "unsent":
                return NotSent("연결 실패")
            case "lost_before":
                return Unknown("응답 없음")
            case "decline":
                return Declined("1010", "번호 오류")
            case "lost_after":
                self.receipts[receipt.id] = receipt
                return Unknown("응답 없음")
            case _:
                pass
        if receipt.id in self.receipts:
            self.complaints.append(f"receipt number twice {receipt.id}")
        self.receipts[receipt.id] = receipt
        return Done(auth_no(receipt.id), receipt.parts.total, self.clock())

    async def ask_receipt(self, channel: Channel, question: ReceiptQuestion) -> Finding:
        """What became of a receipt."""
        del channel
        self.calls.append(f"receipt ask {question.id}")
        if self.blind:
            return Unknown("응답 없음")
        if question.id not in self.receipts:
            return NoSuchTrade()
        return Done(auth_no(question.id), question.amount, self.clock())

    async def statement(self, channel: Channel, day: str, *, payouts: bool) -> list[Line] | str:
        """A day's trades as the other side lists them; nothing is paid out here."""
        found: list[Line] = []
        for trade in [] if payouts else self._of_day(day, channel.mid):
            found.append(Line(trade.tid, AttemptId(trade.attempt_id), False, self.clock(), won(trade.amount)))
            found += [
                Line(f"C{number}", AttemptId(trade.attempt_id), True, self.clock(), won(amount), trade.tid)
                for number, amount in trade.cancels.items()
            ]
        return found

    def _of_day(self, day: str, mid: str) -> list[Trade]:
        for trade in list(self.trades.values())[self._sorted :]:
            place = "" if trade.at is None else kst_date(trade.at), trade.mid
            self._days.setdefault(place, []).append(trade.attempt_id)
        self._sorted = len(self.trades)
        return [self.trades[n] for d in ("", day) for m in ("", mid) for n in self._days.get((d, m), ())]

    def open_letter(self, body: bytes, content_type: str) -> Letter:
        """Tests hand notices over directly."""
        del body, content_type
        return Letter(None, None)

    def read_notice(self, letter: Letter, channels: list[Channel]) -> Notice | Unreadable:
        """Tests hand notices over directly."""
        del letter, channels
        return Unreadable("unreadable", "")

    def read_precheck(self, letter: Letter, channels: list[Channel]) -> DepositQuestion | Unreadable:
        """Tests ask the use case."""
        del letter, channels
        return Unreadable("unreadable", "")

    def answer_precheck(self, content_type: str, code: str, words: str) -> tuple[bytes, str]:
        """The code alone."""
        del words
        return code.encode(), content_type

    def redact(self, body: bytes) -> bytes:
        """Nothing to hide here."""
        return body

    def approve_notice(self, attempt_id: AttemptId, mid: str) -> Notice:
        """The noti of an approval."""
        trade = self.trades[attempt_id]
        return Notice(
            "approve", mid, "card", trade.tid, attempt_id, won(trade.amount), self.clock(),
            billing_key=Sealed(trade.key) if trade.key else None,
        )  # fmt: skip
