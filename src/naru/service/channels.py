"""Proving a channel: a harmless signed inquiry shows whether MID and keys are right."""

from __future__ import annotations

from dataclasses import dataclass

from naru.domain.outcome import Declined, Done, NoSuchTrade, Pending, Unknown
from naru.domain.refusal import Refused, Why
from naru.domain.values import AttemptId, won
from naru.service.context import Context
from naru.service.ports import Question
from naru.store import stores


@dataclass(frozen=True, slots=True)
class Checked:
    """What the check found, in Korean."""

    good: bool
    text: str


async def check(cx: Context, channel_key: str) -> Checked:
    """Ask Hecto about a trade that does not exist: "no such trade" proves MID, hash key and address.

    Raises Refused (CHANNEL_UNKNOWN).
    """
    found = [c for c in await cx.db.read(stores.all_channels, cx.vault) if c.key == channel_key]
    if not found:
        raise Refused(Why.CHANNEL_UNKNOWN, channel_key=channel_key)
    channel = found[0]
    number = AttemptId(f"check{cx.digits(12)}")
    question = Question(AttemptId(f"{number}Q"), number, "card", won(1000), cx.clock(), None)
    finding = (await cx.gateway.inquire(channel, question)).finding
    match finding:
        case NoSuchTrade() | Done():
            return Checked(True, f"{channel.name}: 연결과 키를 확인했습니다.")
        case Declined() | Pending():
            return Checked(False, f"{channel.name}: 헥토파이낸셜이 거절했습니다. [{finding.code}] {finding.message}")
        case Unknown():
            code = f"[{finding.code}] " if finding.code else ""
            return Checked(False, f"{channel.name}: 확인하지 못했습니다. {code}{finding.message}")
