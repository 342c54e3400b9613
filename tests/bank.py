"""The account desk of the fake gateway: accounts, deposits and what the other side tells about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from naru.clock import Clock
from naru.domain.channel import Channel
from naru.domain.outcome import Declined, Details, Done, NotSent, Outcome, Pending, Unknown
from naru.domain.payment import Account
from naru.domain.values import DAY, SECOND, Instant, Won, kst_midnight, won
from naru.service.ports import ChangeAccount, IssueAccount, Notice, RevokeAccount

UNLIMITED_NUMBER = "0000000"


@dataclass
class BankAccount:
    """An account as the other side knows it."""

    tid: str
    attempt_id: str
    mid: str
    bank: str
    number: str
    kind: Account
    amount: int
    due: Instant | None
    state: str = "open"
    """open | paid | revoked"""
    changes: list[str] = field(default_factory=list)
    revocations: list[str] = field(default_factory=list)


@dataclass
class Bank:
    """Accounts of one PG. *enter_trade* makes a deposit a trade that inquiries and refunds find."""

    clock: Clock
    fault: Callable[[], str]
    complain: Callable[[str], None]
    enter_trade: Callable[[str, str, int], None]
    accounts: dict[str, BankAccount] = field(default_factory=dict)
    answers_again: bool = True
    """An identical message is answered as before; else it is a duplicate."""
    serial: int = 0
    prechecked: list[str] = field(default_factory=list)

    def active(self, number: str) -> BankAccount | None:
        """The account that this number is now."""
        mine = (a for a in self.accounts.values() if a.number == number and a.state == "open")
        return next((a for a in mine if a.due is None or self.clock() <= a.due), None)

    def _before(self, fault: str) -> Outcome | None:
        match fault:
            case "unsent":
                return NotSent("연결 실패")
            case "lost_before":
                return Unknown("응답 없음")
            case "decline":
                return Declined("ST44", "거절")
            case _:
                return None

    def issue(self, channel: Channel, issue: IssueAccount, again: bool) -> Outcome:
        """M13, M14."""
        fault = self.fault()
        if (answer := self._before(fault)) is not None:
            return Unknown("응답 없음") if again and isinstance(answer, NotSent) else answer
        known = self.accounts.get(issue.attempt_id)
        if known is not None:
            if not again:
                self.complain(f"duplicate order number {issue.attempt_id}")
            if not self.answers_again:
                return Pending("ST50", "발급된 것으로 보임")
        else:
            if issue.number and self.active(issue.number):
                self.complain(f"issued twice {issue.number}")
                return Unknown("사용 중", "ST08") if again else Declined("ST08", "사용 중인 계좌")
            self.serial += 1
            due = issue.due
            if due is None and issue.kind is not Account.UNLIMITED:
                due = Instant(kst_midnight(self.clock()) + 11 * DAY - SECOND)
            number = issue.number or f"9000{self.serial:010}"
            known = BankAccount(
                f"T{issue.attempt_id}", issue.attempt_id, channel.mid, issue.bank, number, issue.kind, issue.amount, due
            )
            self.accounts[issue.attempt_id] = known
        if fault == "lost_after":
            return Unknown("응답 없음")
        return Done(known.tid, won(known.amount), self.clock(), self.details(known))

    def details(self, account: BankAccount) -> Details:
        """What is told about an account."""
        return Details(
            account_bank=account.bank, account_bank_name="시험은행", account_number=account.number,
            account_due=account.due,
        )  # fmt: skip

    def change(self, change: ChangeAccount, again: bool) -> Outcome:
        """M15."""
        fault = self.fault()
        if (answer := self._before(fault)) is not None:
            return Unknown("응답 없음") if again and isinstance(answer, NotSent) else answer
        account = self.active(change.number)
        if account is None:
            return Declined("ST26", "변경할 수 없음")
        account.changes.append(change.attempt_id)
        account.amount, account.due = change.amount, change.due
        if fault == "lost_after":
            return Unknown("응답 없음")
        return Done("", change.amount, self.clock())

    def revoke(self, revoke: RevokeAccount, again: bool) -> Outcome:
        """M16."""
        fault = self.fault()
        if (answer := self._before(fault)) is not None:
            return Unknown("응답 없음") if again and isinstance(answer, NotSent) else answer
        account = next((a for a in self.accounts.values() if a.tid == revoke.org_tid), None)
        if account is None or account.number != revoke.number:
            self.complain(f"revocation of nothing {revoke.org_tid}")
            return Declined("ST06", "거래 없음")
        if account.state == "paid":
            return Declined("0004", "이미 입금된 가상계좌입니다")
        if account.state == "revoked":
            if not again:
                self.complain(f"revoked twice {revoke.number}")
            return Done("", Won(0), self.clock()) if again else Unknown("이미 취소됨", "ST25")
        account.state = "revoked"
        account.revocations.append(revoke.attempt_id)
        if fault == "lost_after":
            return Unknown("응답 없음")
        return Done("", Won(0), self.clock())

    # what people do

    def deposit(self, number: str, amount: int, *, anything: bool = False, name: str = "김철수") -> Notice | None:
        """Somebody pays in. None: the bank refused. *anything*: any amount, as the PG's simulator lets in."""
        account = self.active(number)
        if account is None or (account.kind is not Account.UNLIMITED and amount != account.amount and not anything):
            return None
        if account.kind is Account.UNLIMITED:
            self.serial += 1
            tid, order = f"D{self.serial:06}", UNLIMITED_NUMBER
            self.enter_trade(tid, tid, amount)
        else:
            tid, order = account.tid, account.attempt_id
            account.state = "paid"
            self.enter_trade(tid, order, amount)
        return Notice(
            "deposit", account.mid, "vbank", tid, order, won(amount), self.clock(),
            details=Details(
                depositor=name, account_number=account.number, account_bank=account.bank, account_due=account.due
            ),
        )  # fmt: skip

    def issued_notice(self, attempt_id: str) -> Notice:
        """The noti of an issue."""
        a = self.accounts[attempt_id]
        return Notice(
            "issued", a.mid, "vbank", a.tid, a.attempt_id, won(a.amount), self.clock(), details=self.details(a)
        )

    def revoked_notice(self, attempt_id: str) -> Notice:
        """The noti of a revocation."""
        a = self.accounts[attempt_id]
        return Notice("revoked", a.mid, "vbank", f"R{a.tid}", a.attempt_id, Won(0), self.clock(), org_tid=a.tid)
