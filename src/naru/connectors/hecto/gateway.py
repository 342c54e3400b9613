"""The gateway port spoken in Hecto's messages: our words to theirs, their answers to our five."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

import msgspec

from naru import logs
from naru.clock import Clock
from naru.connectors.hecto import accounts, codes, messages, redact, text, window
from naru.connectors.hecto.client import Client, Lost, Reply, Unsent
from naru.connectors.hecto.crypto import Keys
from naru.connectors.hecto.taxdesk import TaxDesk
from naru.domain.channel import Channel, Environment
from naru.domain.outcome import (
    Declined,
    Details,
    Done,
    Finding,
    NoSuchTrade,
    NotSent,
    Outcome,
    Pending,
    Sealed,
    Unknown,
)
from naru.domain.values import AttemptId, Instant, Won, from_kst, kst_date, kst_time, won
from naru.pan import Card
from naru.service.ports import (
    REHEARSAL,
    Approval,
    Cancel,
    CardPayment,
    CashReceipt,
    ChangeAccount,
    DepositQuestion,
    Exchanged,
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

log = logs.logger("hecto")

MAX_LIST = 64 * 1024 * 1024
"""Longest list of a day's trades that is read, in bytes: some hundred thousand lines."""

HOSTS: dict[Environment, dict[str, str]] = {
    Environment.SANDBOX: {},
    Environment.TEST: {
        "window": "https://tbnpg.settlebank.co.kr",
        "api": "https://tbgw.settlebank.co.kr",
        "recon": "https://tb-nspay.settlebank.co.kr",
        "cash": "https://tcash.settlebank.co.kr",
    },
    Environment.LIVE: {
        "window": "https://npg.settlebank.co.kr",
        "api": "https://gw.settlebank.co.kr",
        "recon": "https://nspay.settlebank.co.kr",
        "cash": "https://cash.settlebank.co.kr",
    },
}
"""Base address per host role (Hecto's specification); a channel's own addresses win. The sandbox has one for all."""

_NUMBERS = frozenset(
    {b"vacntno", b"trdno", b"orgtrdno", b"mchttrdno", b"trddtm", b"orgtrddt", b"expiredt", b"pkthash", b"trdamt"}
)
"""Fields of a noti whose digits are accounts, trades and times."""


def keys_of(channel: Channel) -> Keys:
    """The channel's hash key and AES key."""
    return Keys(channel.hash_key.reveal(), channel.aes_key.reveal())


@dataclass(frozen=True, slots=True)
class Exchange:
    """An answer that is Hecto's and belongs to the question, or why there is none."""

    values: Mapping[str, str]
    outcome: Outcome | None
    """Set when the answer is no success, or there is none."""


class HectoGateway:
    """Hecto Financial as a gateway. One per process; open it inside a running event loop."""

    def __init__(
        self, client: Client, clock: Clock, *, public_url: str, sandbox_url: str,
        note: Callable[[Exchanged], None] = lambda _exchanged: None,
    ) -> None:  # fmt: skip
        self._client = client
        self._note = note
        self._clock = clock
        self._noti_url = f"{public_url}/settle_payments/notice"
        self._sandbox_url = sandbox_url

    def address(self, channel: Channel, role: str) -> str:
        """The base address of a host role for a channel."""
        own = channel.addresses.get(role)
        if own:
            return own.rstrip("/")
        if channel.environment is Environment.SANDBOX:
            return self._sandbox_url
        return HOSTS[channel.environment][role]

    # asking

    async def exchange(
        self,
        channel: Channel,
        message: messages.Message,
        number: str,
        values: Mapping[str, str],
        *,
        same: Mapping[str, str],
        other: tuple[str, ...] = (),
    ) -> Exchange:
        """Send one JSON message under our order *number* and judge the answer.

        *same* are fields of a success that must be what we asked; another value is a mismatch.
        *other*: fields whose encryption is undecided, to be sent the other way.
        """
        now = self._clock()
        keys = keys_of(channel)
        asked = {"mchtId": channel.mid, "mchtTrdNo": number, "trdDt": kst_date(now), "trdTm": kst_time(now), **values}
        body = messages.build_request(message, asked, keys, other=other)
        url = self.address(channel, message.host.value) + message.path
        reply = await self._client.post_json(url, body, message=message.id, attempt=number)
        match reply:
            case Unsent():
                got = Exchange({}, NotSent(f"헥토파이낸셜에 연결하지 못했습니다 ({reply.reason})"))
            case Lost():
                got = Exchange({}, Unknown(f"헥토파이낸셜의 응답을 받지 못했습니다 ({reply.reason})"))
            case Reply():
                got = self._judge(message, keys, asked, body["data"].get("pktHash", ""), reply.body, same)
        self._kept(channel, message, url, number, now, body, asked, reply, got.values)
        return got

    def _kept(
        self, channel: Channel, message: messages.Message, url: str, number: str, at: Instant,
        body: Mapping[str, Mapping[str, str]], asked: Mapping[str, str], reply: Reply | Unsent | Lost,
        values: Mapping[str, str],
    ) -> None:  # fmt: skip
        try:
            wire = {name: value for part in body.values() for name, value in part.items()}
            self._note(
                Exchanged(
                    at=at, took_ms=self._clock() - at, store_id=channel.store_id, channel_id=channel.id,
                    message=message.id, name=message.name, address=url, number=number,
                    result=_RESULTS[type(reply)] if not isinstance(reply, Reply) or values else "unreadable",
                    reason="" if isinstance(reply, Reply) else reply.reason,
                    code=values.get("outRsltCd", "") or values.get("resultCd", ""),
                    sent=redact.kept(wire, asked, redact.encrypted(message)), got=redact.kept(values, values),
                )
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - a note that cannot be made must not change what becomes of the money
            log.warning("message.not_noted", message=message.id, error=type(error).__name__)

    def _judge(
        self,
        message: messages.Message,
        keys: Keys,
        asked: Mapping[str, str],
        seal: str,
        raw: bytes,
        same: Mapping[str, str],
    ) -> Exchange:
        try:
            answer = messages.open_answer(message, msgspec.json.decode(_utf8(raw)), keys, seal)
        except (msgspec.DecodeError, UnicodeDecodeError, messages.BadMessage):
            return Exchange({}, Unknown("헥토파이낸셜의 응답을 읽을 수 없습니다"))
        values = answer.values
        code, words = values.get("outRsltCd", ""), values.get("outRsltMsg", "")
        if answer.sealed is messages.Sealed.WRONG or (answer.done and answer.sealed is messages.Sealed.NONE):
            return Exchange(values, Unknown("응답의 해쉬가 맞지 않습니다", code, mismatch=True))
        for name in ("mchtId", "mchtTrdNo"):
            if values.get(name, asked[name]) != asked[name]:
                return Exchange(values, Unknown(f"응답의 {name}이 요청과 다릅니다", code, mismatch=True))
        if not answer.done:
            return Exchange(values, refusal(code, words, values.get("outStatCd", "")))
        if answer.unreadable:
            return Exchange(values, Unknown(f"응답의 {', '.join(answer.unreadable)}을 해독할 수 없습니다", code))
        for name, wanted in same.items():
            if values.get(name) != wanted:
                return Exchange(values, Unknown(f"응답의 {name}이 요청과 다릅니다", code, mismatch=True))
        return Exchange(values, None)

    async def pay(self, channel: Channel, payment: CardPayment) -> Outcome:
        """M05 with card data, M07 with a billing key."""
        amount = str(payment.amount)
        values = {
            "pmtprdNm": text.clean(payment.name, 128, "상품"),
            "mchtCustNm": text.clean(payment.buyer_name, 30, "구매자"),
            "mchtCustId": text.identifier(payment.customer_id),
            "email": text.clean(payment.buyer_email, 60),
            "instmtMon": f"{payment.quota:02d}",
            "crcCd": "KRW",
            "trdAmt": amount,
            "notiUrl": self._noti_url,
            **text.tax(payment.amount, payment.tax_free, payment.vat_amount),
        }
        if payment.card is not None:
            message = messages.CARD_PAY
            values |= _credentials(payment.card)
        else:
            assert payment.billing_key is not None
            message = messages.CARD_KEY_PAY
            values["billKey"] = payment.billing_key.reveal()
        got = await self.exchange(channel, message, payment.attempt_id, values, same={"trdAmt": amount})
        if got.outcome is not None:
            return got.outcome
        return _paid(got.values, payment.amount, self._clock())

    async def issue_key(self, channel: Channel, request: KeyRequest) -> Outcome:
        """M06: a billing key for 0 won."""
        values = {
            **_credentials(request.card),
            "mchtCustNm": text.clean(request.customer_name, 30),
            "mchtCustId": text.identifier(request.customer_id),
            "keyRegYn": "Y",
        }
        got = await self.exchange(channel, messages.CARD_KEY_ISSUE, request.attempt_id, values, same={})
        return got.outcome or _paid(got.values, Won(0), self._clock())

    async def delete_key(self, channel: Channel, attempt_id: AttemptId, key: Sealed) -> Outcome:
        """M08. Hecto names no code for a key that is gone already; the sandbox and we take "no such thing" for it."""
        values = {"billKey": key.reveal()}
        got = await self.exchange(channel, messages.CARD_KEY_DELETE, attempt_id, values, same=values)
        if isinstance(got.outcome, Declined) and got.outcome.code in codes.NO_SUCH_KEY:
            return Done(pg_tid="", amount=Won(0), at=self._clock())
        return got.outcome or Done(pg_tid=got.values.get("trdNo", ""), amount=Won(0), at=self._clock())

    async def cancel(self, channel: Channel, cancel: Cancel) -> Outcome:
        """M09 card, M10 transfer, M11 phone: the same message under another method. M12 and M17: to an account."""
        message = _REFUNDS[cancel.pay_method] if cancel.refund else _CANCELS[cancel.pay_method]
        amount = str(cancel.amount)
        values = {
            "orgTrdNo": cancel.org_tid,
            "crcCd": "KRW",
            "cnclOrd": f"{cancel.round:03d}",
            "cnclAmt": amount,
            "cnclRsn": text.clean(cancel.reason, 255, "취소"),
            **text.tax(cancel.amount, cancel.tax_free, mixed=cancel.mixed_tax and cancel.tax_free != cancel.amount),
        }
        if cancel.refund:
            values["refundBankCd"] = cancel.refund.bank
            values["refundAcntNo"] = cancel.refund.account
            values["refundDpstrNm"] = text.clean(cancel.refund.holder, 50)
        got = await self.exchange(
            channel, message, cancel.attempt_id, values, same={"cnclAmt": amount, "orgTrdNo": cancel.org_tid}
        )
        if got.outcome is not None:
            return _with_hint(got.outcome, got.values.get("rfdPsblCd", ""))
        left = got.values.get("blcAmt", "")
        return Done(
            pg_tid=got.values.get("trdNo", ""),
            amount=cancel.amount,
            at=self._clock(),
            balance=won(int(left)) if left.isdigit() else None,
        )

    async def issue_account(self, channel: Channel, issue: IssueAccount, *, again: bool = False) -> Outcome:
        """M13, for an unlimited account M14."""
        message, values = accounts.issue(channel, issue, self._noti_url)
        other = ("email",) if channel.allows(accounts.EMAIL_PLAIN) else ()
        same = {"trdAmt": str(issue.amount), "acntType": issue.kind.value}
        got = await self.exchange(channel, message, issue.attempt_id, values, same=same, other=other)
        if got.outcome is not None:
            return accounts.issue_repeated(got.outcome) if again else got.outcome
        return accounts.issued(issue, got.values, self._clock())

    async def change_account(self, channel: Channel, change: ChangeAccount, *, again: bool = False) -> Outcome:
        """M15."""
        values = accounts.change(change)
        got = await self.exchange(
            channel, messages.VBANK_CHANGE, change.attempt_id, values, same={"trdAmt": str(change.amount)}
        )
        done = Done(pg_tid=got.values.get("trdNo", ""), amount=change.amount, at=self._clock())
        if got.outcome is not None:
            return accounts.repeated(got.outcome, done) if again else got.outcome
        return accounts.other_account(values, got.values, ("bankCd", "vAcntNo", "expireDate")) or done

    async def revoke_account(self, channel: Channel, revoke: RevokeAccount, *, again: bool = False) -> Outcome:
        """M16."""
        values = accounts.revoke(revoke)
        got = await self.exchange(channel, messages.VBANK_REVOKE, revoke.attempt_id, values, same={})
        done = Done(pg_tid=got.values.get("trdNo", ""), amount=Won(0), at=self._clock())
        if got.outcome is not None:
            return accounts.repeated(got.outcome, done) if again else got.outcome
        return accounts.other_account(values, got.values, ("vAcntNo", "orgTrdNo")) or done

    async def inquire(self, channel: Channel, question: Question) -> Found:
        """M21. It tells the trade's amount and the total that was cancelled, nothing about single cancels."""
        now = self._clock()
        keys = keys_of(channel)
        amount = str(question.amount)
        asked = {
            "mchtId": channel.mid,
            "mchtTrdNo": question.inquiry_id,
            "trdDt": kst_date(now),
            "trdTm": kst_time(now),
            "method": codes.METHOD[question.pay_method],
            "trdAmt": amount,
            "orgTrdDt": kst_date(question.asked_at),
            "orgMchtTrdNo": question.attempt_id,
        }
        if question.pg_tid:
            asked["orgTrdNo"] = question.pg_tid
        message = messages.INQUIRY
        body = messages.build_request(message, asked, keys)
        url = self.address(channel, message.host.value) + message.path
        reply = await self._client.post_json(url, body, message=message.id, attempt=question.attempt_id)
        answer = None
        if isinstance(reply, Reply):
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, messages.BadMessage):
                answer = messages.open_answer(
                    message, msgspec.json.decode(_utf8(reply.body)), keys, body["data"].get("pktHash", "")
                )
        values = answer.values if answer is not None else {}
        self._kept(channel, message, url, question.attempt_id, now, body, asked, reply, values)
        if not isinstance(reply, Reply):
            return Found(Unknown(f"거래 조회에 실패했습니다 ({reply.reason})"))
        if answer is None:
            return Found(Unknown("거래 조회 응답을 읽을 수 없습니다"))
        return self._found(answer, question, asked)

    def _found(self, answer: messages.Answer, question: Question, asked: Mapping[str, str]) -> Found:
        values = answer.values
        code, words = values.get("outRsltCd", ""), values.get("outRsltMsg", "")
        if answer.sealed is messages.Sealed.WRONG:
            return Found(Unknown("거래 조회 응답의 해쉬가 맞지 않습니다", code, mismatch=True))
        if values.get("mchtTrdNo", asked["mchtTrdNo"]) != asked["mchtTrdNo"]:
            return Found(Unknown("다른 거래 조회의 응답입니다", code, mismatch=True))
        if code in codes.NO_SUCH_TRADE:
            return Found(NoSuchTrade())
        if code in codes.PENDING:
            return Found(Pending(code, words))
        if code == "0009":
            return Found(Declined(code, words or "결제에 실패한 거래입니다"))
        if code not in ("0000", "0001") or values.get("outStatCd") not in ("0021", "0000"):
            return Found(Unknown(words or "거래 조회에 실패했습니다", code))
        if answer.sealed is messages.Sealed.NONE:
            return Found(Unknown("거래 조회 응답에 해쉬가 없습니다", code, mismatch=True))
        amount, cancelled = values.get("trdAmt", ""), values.get("cnclAmt", "") or "0"
        if amount != asked["trdAmt"] or not cancelled.isdigit() or not values.get("trdNo"):
            return Found(Unknown("조회된 거래의 금액이 요청과 다릅니다", code, mismatch=True))
        total = won(int(cancelled))
        if code == "0001" and total == 0:
            total = question.amount
        deposit = question.pay_method == "vbank"  # an account that only waits is "no such trade"
        at = self._clock() if deposit else question.asked_at
        done = Done(pg_tid=values["trdNo"], amount=question.amount, at=at, also_cancelled=total, deposit=deposit)
        return Found(done, total)

    # the buyer's browser

    def window(self, channel: Channel, payment: WindowPayment) -> WindowForm:
        """M01 to M04. Raises Refused (PARAMETER) for what Hecto would not take."""
        base = self.address(channel, messages.Host.WINDOW.value)
        made = window.build(channel, keys_of(channel), base, self._noti_url, payment)
        if payment.attempt_id != REHEARSAL:
            self._opened(channel, made, payment.attempt_id, {"trdAmt": str(payment.amount)})
        return made

    def _opened(self, channel: Channel, form: WindowForm, number: str, clear: Mapping[str, str]) -> None:
        try:
            message = next(m for m in messages.BY_ID.values() if m.path and form.url.endswith(m.path))
            sent = redact.kept(form.fields, clear, redact.encrypted(message))
            self._note(
                Exchanged(
                    at=self._clock(), took_ms=0, store_id=channel.store_id, channel_id=channel.id, message=message.id,
                    name=message.name, address=form.url, number=number, result="opened", sent=sent,
                )
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("message.not_noted", address=form.url, error=type(error).__name__)

    def read_landing(self, body: bytes, content_type: str) -> Landing:
        """What nextUrl and cancUrl receive; unsigned."""
        return window.read(body, content_type)

    async def approve(self, channel: Channel, approval: Approval) -> Outcome:
        """M22 card, M23 transfer, M24 phone: under the order number of the window itself."""
        amount = str(approval.amount)
        values = {"authTrdNo": approval.auth_tid, "trdAmt": amount}
        if approval.pay_method == "phone":
            values["prdtNm"] = text.clean(approval.name, 128, "상품")
            values["notiUrl"] = self._noti_url  # the window's does not count here (M24)
        message = _APPROVALS[approval.pay_method]
        got = await self.exchange(channel, message, approval.attempt_id, values, same={"trdAmt": amount})
        if got.outcome is not None:
            return got.outcome
        v = got.values
        if not v.get("trdNo"):
            return Unknown("응답에 거래번호가 없습니다", v.get("outRsltCd", ""))
        card_code, card_name = codes.issuer(v.get("fnCd"), v.get("fnNm"))
        bank_code, bank_name = codes.bank(v.get("fnCd"), v.get("fnNm"))
        by_card, by_bank = approval.pay_method == "card", approval.pay_method == "trans"
        months = v.get("intMon", "")
        return Done(
            pg_tid=v["trdNo"],
            amount=approval.amount,
            at=self._clock(),
            details=Details(
                apply_num=v.get("apprNo"),
                card_code=card_code if by_card else None,
                card_name=card_name if by_card else None,
                card_number=text.masked(v.get("cardNo")),
                card_quota=int(months) if months.isdigit() else None,
                bank_code=bank_code if by_bank else None,
                bank_name=bank_name if by_bank else None,
            ),
        )

    def slip_form(self, channel: Channel, question: SlipQuestion) -> WindowForm:
        """M26: a browser's POST, sealed."""
        message = messages.RECEIPT_PAGE
        values = {
            "mchtId": channel.mid,
            "method": codes.METHOD[question.pay_method],
            "trdDt": kst_date(question.at),
            "trdNo": question.pg_tid,
        }
        form = messages.build_form(message, values, keys_of(channel))
        return WindowForm(self.address(channel, message.host.value) + message.path, form)

    # cash receipts

    async def issue_receipt(self, channel: Channel, receipt: CashReceipt) -> Outcome:
        """M29a."""
        return await self._tax_desk(channel).issue(channel, receipt)

    async def cancel_receipt(self, channel: Channel, receipt: CashReceipt) -> Outcome:
        """M29b."""
        return await self._tax_desk(channel).cancel(channel, receipt)

    async def ask_receipt(self, channel: Channel, question: ReceiptQuestion) -> Finding:
        """M29c."""
        return await self._tax_desk(channel).ask(channel, question)

    def _tax_desk(self, channel: Channel) -> TaxDesk:
        def note(
            message: messages.Message, url: str, number: str, at: Instant, sent: Mapping[str, str],
            reply: Reply | Unsent | Lost, got: Mapping[str, str],
        ) -> None:  # fmt: skip
            self._kept(channel, message, url, number, at, {"data": sent}, sent, reply, got)

        return TaxDesk(self._client, self._clock, self.address(channel, messages.Host.CASH.value), note)

    # being told

    async def statement(self, channel: Channel, day: str, *, payouts: bool) -> list[Line] | str:
        """M27, or M28 for payouts. A text says why there is no list."""
        message = messages.SETTLEMENTS if payouts else messages.TRANSACTIONS
        form = {"mchtId": channel.mid, "mchtTy": "M", "method": "ALL", "crtrDt" if payouts else "trdDtSt": day}
        body = messages.build_form(message, form, keys_of(channel))
        url = self.address(channel, message.host.value) + message.path.replace("{mchtId}", channel.mid)
        reply = await self._client.post_form(url, body, most=MAX_LIST, message=message.id)
        if not isinstance(reply, Reply):
            return f"헥토파이낸셜의 목록을 받지 못했습니다 ({reply.reason})"
        try:
            columns = messages.SETTLEMENT_COLUMNS if payouts else messages.TRANSACTION_COLUMNS
            sheet = messages.read_sheet(reply.body.decode("utf-8"), columns)
            if sheet.code == "1001":  # no data
                return []
            if sheet.code != "0000":
                return f"[{sheet.code}] {sheet.text}"
            return [_statement_line(row, payouts) for row in sheet.rows]
        except (UnicodeDecodeError, messages.BadMessage, ValueError, KeyError):
            return "헥토파이낸셜의 목록을 읽을 수 없습니다"

    def open_letter(self, body: bytes, content_type: str) -> Letter:
        """Take a noti apart. Nothing is verified."""
        try:
            form = messages.read_form(body, content_type)
        except messages.BadMessage:
            return Letter(None, None)
        return Letter(form, form.get("mchtId", "").replace("\x00", "") or None)

    def read_notice(self, letter: Letter, channels: list[Channel]) -> Notice | Unreadable:
        """Read a noti and verify it with the keys of its MID's channels."""
        form = letter.fields
        if form is None:
            return Unreadable("unreadable", "형식을 읽을 수 없습니다")
        if any("\x00" in value for value in form.values()):
            return Unreadable("unreadable", "사용할 수 없는 문자가 있습니다")
        ids = {"mid": form.get("mchtId"), "trd_no": form.get("trdNo"), "mcht_trd_no": form.get("mchtTrdNo")}
        message = messages.find_noti(form)
        if message is None:
            return Unreadable("unreadable", "알 수 없는 종류의 통보입니다", **ids)
        if not channels:
            return Unreadable("unmatched", "등록되지 않은 MID입니다", **ids)
        opened = [(channel.id, messages.open_noti(message, form, keys_of(channel))) for channel in channels]
        sealed = [(number, noti) for number, noti in opened if noti.sealed]
        if not sealed:
            return Unreadable("forged", "해쉬가 맞지 않습니다", **ids)
        return _notice(sealed[0][1], ids, tuple(number for number, _ in sealed))

    def read_precheck(self, letter: Letter, channels: list[Channel]) -> DepositQuestion | Unreadable:
        """M19, verified with the keys of its MID's channels."""
        form = letter.fields
        if form is None:
            return Unreadable("unreadable", "형식을 읽을 수 없습니다")
        ids = {"mid": form.get("mchtId"), "trd_no": form.get("trdNo"), "mcht_trd_no": form.get("mchtTrdNo")}
        if messages.find_noti(form) is not messages.PRECHECK:
            return Unreadable("unreadable", "수취조회가 아닙니다", **ids)
        if not channels:
            return Unreadable("unmatched", "등록되지 않은 MID입니다", **ids)
        opened = [(c.id, messages.open_noti(messages.PRECHECK, form, keys_of(c))) for c in channels]
        sealed = [(number, noti.values) for number, noti in opened if noti.sealed]
        if not sealed:
            return Unreadable("forged", "해쉬가 맞지 않습니다", **ids)
        v = sealed[0][1]
        amount, number = accounts.won_of(v.get("trdAmt", "")), re.sub(r"\D", "", v.get("vAcntNo", ""))
        if amount is None or not number:
            return Unreadable("unreadable", "금액 또는 계좌번호를 읽을 수 없습니다", **ids)
        return DepositQuestion(
            mid=v["mchtId"], kind=accounts.account_kind(v.get("acntType")), bank=codes.bank(v.get("bankCd"), None)[0],
            number=number, amount=amount, pg_tid=v.get("trdNo", ""), attempt_id=v.get("mchtTrdNo", ""),
            sealed_for=tuple(channel for channel, _ in sealed),
        )  # fmt: skip

    def answer_precheck(self, content_type: str, code: str, words: str) -> tuple[bytes, str]:
        """The pre-check's answer."""
        return accounts.precheck_answer(content_type, code, words)

    def redact(self, body: bytes) -> bytes:
        """A noti's body without billing keys and card-like digits.

        Account numbers, trade numbers and times stay: one in ten of them would pass for a card number,
        and a letter without them could never be read again.
        """
        if b'"' in body:
            body = _SECRET_IN_JSON.sub(rb'\1"***"', body)
        return b"&".join([_redacted(part) for part in body.split(b"&")])


_SECRETS = frozenset(
    (b"expiry", b"birth", b"pwd_2digit", b"cvc", b"idntno", b"cardpwd", b"vlddtmon", b"vlddtyear", b"card_number")
)
"""No noti has these: whoever sends them here meant another address, and keeps nothing but the fact."""
_SECRET_IN_JSON = re.compile(rb'(?i)("(?:%s)"\s*:\s*)("[^"]*"?|[^",}\]\s]+)' % b"|".join(sorted(_SECRETS)))


_PLAIN = re.compile(rb"[0-9A-Za-z_]{0,64}")
_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_SHORTEST_CARD = b"0" * logs.SHORTEST_CARD


def _redacted(part: bytes) -> bytes:
    name, _, value = part.partition(b"=")
    known = name.strip().lower()
    if known in _SECRETS or (known == b"billkey" and value):
        return name + b"=***"
    clear = _clear(part)
    if not _many_digits(part) and not (clear is not part and _many_digits(clear)):
        return part
    if known in _NUMBERS and _PLAIN.fullmatch(value):
        return part
    masked = logs.scrub(part.decode("latin-1")).encode("latin-1")
    if not logs.card_like(_clear(masked).decode("latin-1")):
        return masked
    name = masked.partition(b"=")[0]  # quoted, it did not look like one
    return (b"***" if logs.card_like(_clear(name).decode("latin-1")) else name) + b"=***"


def _many_digits(text: bytes) -> bool:
    """Whether there is a run of digits as long as a card number, however it is broken up."""
    return len(text) >= len(_SHORTEST_CARD) and _SHORTEST_CARD in text.translate(_AS_ZEROS, b" -")


def _clear(quoted: bytes) -> bytes:
    return unquote_to_bytes(quoted.replace(b"+", b" ")) if b"%" in quoted or b"+" in quoted else quoted


_RESULTS: Mapping[type, str] = {Reply: "answered", Unsent: "unsent", Lost: "lost"}
_APPROVALS = {
    "card": messages.CARD_SPLIT_APPROVE,
    "trans": messages.BANK_SPLIT_APPROVE,
    "phone": messages.MOBILE_SPLIT_APPROVE,
}
_CANCELS = {"card": messages.CARD_CANCEL, "trans": messages.BANK_CANCEL, "phone": messages.MOBILE_CANCEL}
_REFUNDS = {"phone": messages.MOBILE_REFUND, "vbank": messages.VBANK_REFUND}
_REFUND_HINTS = {
    "Y": "환불 계좌(refund_holder, refund_bank, refund_account)를 지정하면 환불할 수 있습니다",
    "N": "환불 서비스에 등록되지 않은 상점입니다",
    "C": "환불할 수 있는 조건이 아닙니다",
}


def _with_hint(outcome: Outcome, refundable: str) -> Outcome:
    """A refused phone cancel may say whether a refund to an account would work (M11 rfdPsblCd)."""
    if isinstance(outcome, Declined) and refundable in _REFUND_HINTS:
        return Declined(outcome.code, f"{outcome.message} {_REFUND_HINTS[refundable]}")
    return outcome


def refusal(code: str, words: str, state: str) -> Outcome:
    """What a failure code proves. An unlisted one proves nothing."""
    if code in codes.PENDING:
        return Pending(code, words)
    if state == "0031" and code in codes.DECLINED:
        return Declined(code, words or "거절되었습니다")
    return Unknown(words or "알 수 없는 응답입니다", code)


def _utf8(raw: bytes) -> bytes:
    raw.decode("utf-8")  # msgspec checks strings only where it reads them
    return raw


def _credentials(card: Card) -> dict[str, str]:
    """The card's fields of M05 and M06; the ones that the contract does not use are not there."""
    expiry = card.expiry.reveal()
    values = {"cardNo": card.number.reveal(), "vldDtYear": expiry[2:4], "vldDtMon": expiry[4:6]}
    if card.birth:
        values["idntNo"] = card.birth.reveal()
    if card.password2:
        values["cardPwd"] = card.password2.reveal()
    return values


def _paid(values: Mapping[str, str], amount: Won, now: Instant) -> Outcome:
    if not values.get("trdNo"):
        return Unknown("응답에 거래번호가 없습니다", values.get("outRsltCd", ""))
    card_code, card_name = codes.issuer(values.get("issrId"), values.get("cardNm"))
    quota = values.get("instmtMon", "")
    key = values.get("billKey")
    return Done(
        pg_tid=values["trdNo"],
        amount=amount,
        at=now,
        details=Details(
            apply_num=values.get("apprNo"),
            card_code=card_code,
            card_name=card_name,
            card_number=text.masked(values.get("cardNo")),
            card_quota=int(quota) if quota.isdigit() else None,
        ),
        billing_key=Sealed(key) if key else None,
    )


_KINDS = {
    ("0021", "CA", "B0"): "approve", ("0021", "CA", "C0"): "cancel",
    ("0021", "RA", "B0"): "approve", ("0021", "RA", "C0"): "cancel",
    ("0021", "MP", "B0"): "approve", ("0021", "MP", "B2"): "approve", ("0021", "MP", "C0"): "cancel",
    ("0021", "MP", "C1"): "refund",
    ("0051", "VA", "A0"): "issued", ("0021", "VA", "B1"): "deposit", ("0021", "VA", "A2"): "revoked",
    ("0121", "VA", "B2"): "reversal", ("0021", "VA", "C0"): "refund",
}  # fmt: skip


def _notice(noti: messages.Noti, ids: Mapping[str, str | None], sealed_for: tuple[int, ...]) -> Notice | Unreadable:
    v = noti.values
    kind = _KINDS.get((v.get("outStatCd", ""), v.get("method", ""), v.get("bizType", "")))
    if kind is None:
        return Unreadable("unreadable", "알 수 없는 종류의 통보입니다", **ids)
    amount = v.get("trdAmt", "")
    try:
        at = from_kst(v.get("trdDtm", ""))
        due = from_kst(v["expireDt"]) if v.get("expireDt") else None
        value = won(int(amount)) if amount.isdigit() and amount.isascii() else None
    except ValueError:
        return Unreadable("unreadable", "시각 또는 금액을 읽을 수 없습니다", **ids)
    if value is None and kind != "revoked":
        return Unreadable("unreadable", "금액이 없습니다", **ids)
    card_code, card_name = codes.issuer(v.get("cardCd"), v.get("cardNm"))
    bank_code, bank_name = codes.bank(v.get("bankCd"), v.get("bankNm"))
    is_account = v["method"] == "VA"
    quota = v.get("instmtMon", "")
    key = v.get("billKey")
    return Notice(
        kind=kind,
        mid=v["mchtId"],
        pay_method=codes.PAY_METHOD[v["method"]],
        pg_tid=v.get("trdNo", ""),
        attempt_id=v.get("mchtTrdNo", ""),
        amount=value if value is not None else Won(0),
        at=at,
        org_tid=v.get("orgTrdNo", ""),
        details=Details(
            apply_num=v.get("cardApprNo"),
            card_code=card_code,
            card_name=card_name,
            card_number=text.masked(v.get("cardNo")),
            card_quota=int(quota) if quota.isdigit() else None,
            bank_code=None if is_account else bank_code,
            bank_name=None if is_account else bank_name,
            depositor=v.get("dpstrNm"),
            account_bank=bank_code if is_account else None,
            account_bank_name=bank_name if is_account else None,
            account_number=re.sub(r"\D", "", v.get("vAcntNo", "")) or None,
            account_holder=v.get("AcntPrintNm") if is_account else None,
            account_due=due,
            receipt_id=v.get("csrcIssNo"),
        ),
        billing_key=Sealed(key) if key else None,
        sealed_for=sealed_for,
    )


def sandbox_keys() -> tuple[str, str]:
    """Hecto's published test keys (hash, AES), which the sandbox uses for every MID."""
    return "ST1009281328226982205", "pgSettle30y739r82jtd709yOfZ2yK5K"


def _statement_line(row: Mapping[str, str], payouts: bool) -> Line:
    """One line of M27 or M28. Raises ValueError and KeyError for what is no such line."""
    cancelled = row["cancelled"] == "1"
    time_of_day = row.get("time") or "000000"
    return Line(
        trd_no=row["trdNo"],
        attempt_id=row["mchtTrdNo"],
        cancelled=cancelled,
        at=from_kst(row["date"] + time_of_day),
        amount=won(abs(int(row["amount"]))),
        org_tid=row.get("orgTrdNo", "") if cancelled else "",
        fee=int(row["fee"]) if payouts else None,
        fee_vat=int(row["feeVat"]) if payouts else None,
        payout=int(row["payout"]) if payouts else None,
        payout_day=row["payoutDate"] if payouts else None,
    )
