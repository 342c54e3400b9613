"""Until when and in which way money can go back, by pay method. Days and months are KST.

Rules of Hecto (Hecto's specification): a card within a year; a transfer within 180 days, on its own
day only as a whole; a phone payment until the end of its calendar month, and after that as a refund
to a bank account for a year; a deposit into a virtual account for a year, always to a bank account.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from naru.domain.payment import Payment
from naru.domain.refusal import Refused, Why
from naru.domain.values import DAY, Instant, from_kst, kst_date, kst_midnight, kst_month

TRANSFER_DAYS: Final = 180


@dataclass(frozen=True, slots=True)
class RefundTo:
    """A bank account to refund to. Neither shown nor logged."""

    bank: str
    account: str
    holder: str

    def __repr__(self) -> str:
        return f"RefundTo({self.bank}, ***)"


def year_after(at: int) -> Instant:
    """When the last KST day ends that is within a year of *at*: the same date of the next year included."""
    day = kst_date(at)
    year, rest = int(day[:4]) + 1, day[4:]
    if rest == "0229":
        rest = "0228"
    return Instant(from_kst(f"{year}{rest}000000") + DAY)


def month_after(at: int) -> Instant:
    """When the KST calendar month of *at* ends."""
    first = dt.date(int(kst_month(at)[:4]), int(kst_month(at)[4:]), 1)
    following = (first + dt.timedelta(days=32)).replace(day=1)
    return Instant(from_kst(following.strftime("%Y%m%d") + "000000"))


def approved_at(p: Payment, org_tid: str) -> Instant | None:
    """When the money of this trade came in."""
    return next((e.at for e in p.entries if e.pg_tid == org_tid and not e.org_tid), None)


def demand_cancellable(p: Payment, org_tid: str, amount: int, now: Instant) -> None:
    """Let a cancel of *amount* (KRW) of a trade through while its pay method takes it back.

    Raises Refused (CANCEL_TOO_LATE, CANCEL_PARTIAL_TODAY).
    """
    at = approved_at(p, org_tid)
    if at is None:
        return
    match p.pay_method:
        case "card" | "phone" | "vbank":
            _until(year_after(at), now, p.pay_method)
        case "trans":
            _until(Instant(kst_midnight(at) + (TRANSFER_DAYS + 1) * DAY), now, p.pay_method)
            if kst_date(at) == kst_date(now) and amount != p.amount:
                raise Refused(Why.CANCEL_PARTIAL_TODAY)
        case _:
            return


def needs_account(p: Payment, org_tid: str, now: Instant) -> bool:
    """Whether the money cannot go back the way it came: deposits never, phone payments after their month."""
    if p.pay_method == "vbank":
        return True
    at = approved_at(p, org_tid)
    return p.pay_method == "phone" and at is not None and now >= month_after(at)


def _until(end: Instant, now: Instant, pay_method: str) -> None:
    if now >= end:
        raise Refused(Why.CANCEL_TOO_LATE, pay_method=pay_method, until=kst_date(end - 1))
