"""Cash receipts at Hecto (M29): a form to a host of its own, without seal or encryption."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from naru.clock import Clock
from naru.connectors.hecto import codes, messages, text
from naru.connectors.hecto.client import Client, Lost, Reply, Unsent
from naru.domain.channel import Channel
from naru.domain.outcome import Declined, Done, Finding, NoSuchTrade, NotSent, Outcome, Unknown
from naru.domain.values import Instant, kst_stamp
from naru.service.ports import CashReceipt, ReceiptQuestion

Note = Callable[
    [messages.Message, str, str, Instant, Mapping[str, str], Reply | Unsent | Lost, Mapping[str, str]], None
]
"""Told of every exchange: message, address, number, when, what was sent, the reply, what it said."""


class TaxDesk:
    """Where a channel's cash receipts are registered. Nothing signs an answer, so ids are compared."""

    def __init__(self, client: Client, clock: Clock, base: str, note: Note) -> None:
        self._client = client
        self._clock = clock
        self._base = base
        self._note = note

    async def issue(self, channel: Channel, receipt: CashReceipt) -> Outcome:
        """M29a."""
        assert receipt.identifier is not None
        values = self._receipt(channel, receipt) | {
            "purpose": "1" if receipt.company else "0",
            "identityGb": codes.IDENTITY[receipt.identifier_type],
            "identity": receipt.identifier.reveal(),
            "ordNm": text.clean(receipt.buyer_name, 30),
        }
        return await self._register(messages.CASH_REGISTER, values, receipt)

    async def cancel(self, channel: Channel, receipt: CashReceipt) -> Outcome:
        """M29b: the whole of it; the buyer's identifier is not needed again."""
        assert receipt.org_at is not None
        values = self._receipt(channel, receipt) | {
            "authNo": receipt.org_auth_no,
            "orgTrDt": kst_stamp(receipt.org_at),
        }
        return await self._register(messages.CASH_CANCEL, values, receipt)

    @staticmethod
    def _receipt(channel: Channel, receipt: CashReceipt) -> dict[str, str]:
        parts = receipt.parts
        kind = "Y" if parts.tax_free == parts.total else "G" if parts.tax_free else "N"
        return {
            "mid": channel.mid,
            "transNo": receipt.id,
            "trDt": kst_stamp(receipt.at),
            "taxYn": kind,
            "amt": str(parts.supply + parts.tax_free),
            "vat": str(parts.vat),
            "svcAmt": "0",
        }

    async def _register(self, message: messages.Message, values: dict[str, str], receipt: CashReceipt) -> Outcome:
        answer = await self._exchange(message, values, receipt.id)
        if not isinstance(answer, dict):
            return answer
        code, words = answer.get("resultCd", ""), answer.get("resultMsg", "")
        if code == "0000" and answer.get("authNo"):
            return Done(pg_tid=answer["authNo"], amount=receipt.parts.total, at=self._clock())
        if code in codes.RECEIPT_DECLINED:
            return Declined(code, words or "거절되었습니다")
        return Unknown(words or "알 수 없는 응답입니다", code)

    async def ask(self, channel: Channel, question: ReceiptQuestion) -> Finding:
        """M29c."""
        values = {
            "mid": channel.mid,
            "trDt": kst_stamp(question.at),
            "assort": "1" if question.cancel else "0",
            "transNo": question.id,
        }
        answer = await self._exchange(messages.CASH_STATUS, values, question.id)
        if not isinstance(answer, dict):
            return Unknown(answer.message)
        code, words = answer.get("resultCd", ""), answer.get("resultMsg", "")
        if answer.get("transNo", question.id) != question.id:
            return Unknown("다른 현금영수증의 조회 응답입니다", code, mismatch=True)
        match code:
            case "0011" | "0021" if answer.get("authNo"):  # waiting for the tax office, or with it
                return Done(pg_tid=answer["authNo"], amount=question.amount, at=self._clock())
            case "0031":
                return Declined(code, words or "국세청에서 거절되었습니다")
            case "1113":
                return NoSuchTrade()
            case _:
                return Unknown(words or "알 수 없는 응답입니다", code)

    async def _exchange(
        self, message: messages.Message, values: Mapping[str, str], number: str
    ) -> dict[str, str] | NotSent | Unknown:
        form = messages.build_form(message, values, None)
        url = self._base + message.path
        asked_at = self._clock()
        reply = await self._client.post_form(url, form, message=message.id, attempt=number)
        got = _read(reply)
        self._note(message, url, number, asked_at, form, reply, got if isinstance(got, dict) else {})
        return got


def _read(reply: Reply | Unsent | Lost) -> dict[str, str] | NotSent | Unknown:
    match reply:
        case Unsent():
            return NotSent(f"헥토파이낸셜에 연결하지 못했습니다 ({reply.reason})")
        case Lost():
            return Unknown(f"헥토파이낸셜의 응답을 받지 못했습니다 ({reply.reason})")
        case Reply():
            try:
                answer = msgspec.json.decode(reply.body.decode(), type=dict[str, str | int | None])
            except (msgspec.DecodeError, UnicodeDecodeError):
                return Unknown("헥토파이낸셜의 응답을 읽을 수 없습니다")
            return {name: str(value) for name, value in answer.items() if value not in (None, "")}
