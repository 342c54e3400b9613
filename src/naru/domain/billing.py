"""Billing keys and scheduled payments: their states, and what may be done in which.

PortOne V1 keeps one billing key per ``customer_uid``. A key that another one replaced stays alive at
Hecto until it is deleted there, so both stay visible.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from naru.domain.refusal import Refused, Why
from naru.domain.values import DAY, HOUR, Instant, kst_midnight


class KeyState(enum.StrEnum):
    """Where a billing key stands."""

    ASKED = "asked"  # asked of Hecto without a payment; the call may or may not have left
    REFUSED = "refused"
    LOST = "lost"  # no answer: a key that nobody knows may exist at Hecto
    LIVE = "live"
    DELETING = "deleting"  # not charged any more; Hecto is asked to delete it until it says so
    DELETED = "deleted"


class Usage(enum.StrEnum):
    """PortOne's words for how a payment used a billing key (``customer_uid_usage``)."""

    ISSUE = "issue"
    PAYMENT = "payment"
    SCHEDULED = "payment.scheduled"


class ScheduleStatus(enum.StrEnum):
    """PortOne's three words."""

    SCHEDULED = "scheduled"
    EXECUTED = "executed"
    REVOKED = "revoked"


DUNNING_HOURS: Final = range(1, 24)
"""Hours of the day (KST) at which failed schedules may be charged again: PortOne's 01-23."""
MOST_RETRIES: Final = 30
"""How many days in a row a failed schedule is charged again before a person must look."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """What rules about a scheduled payment decide on."""

    status: ScheduleStatus
    imp_uid: str | None
    """The payment that executes or executed it."""
    run_at: Instant | None
    """When it is charged next by itself."""
    failed: bool
    """Its last charge failed."""

    @property
    def under_way(self) -> bool:
        """Asked of Hecto, and the result is still to come."""
        return self.status is ScheduleStatus.SCHEDULED and self.imp_uid is not None

    @property
    def waits(self) -> bool:
        """Will be charged by itself, and may still be moved."""
        return self.status is ScheduleStatus.SCHEDULED and self.imp_uid is None

    @property
    def revocable(self) -> bool:
        """Waits for its time, or for its next try after a failure."""
        return self.waits or (self.status is ScheduleStatus.EXECUTED and self.failed and self.run_at is not None)

    @property
    def over(self) -> bool:
        """Failed or revoked: it can be booked or charged anew (PortOne's ``reschedule`` and ``retry``)."""
        return self.status is ScheduleStatus.REVOKED or (self.status is ScheduleStatus.EXECUTED and self.failed)


def check_move(schedule: Schedule, at: Instant, now: Instant) -> None:
    """Whether a schedule may be moved to *at*. Raises Refused (SCHEDULE_STATE, SCHEDULE_TIME)."""
    if not schedule.waits:
        raise Refused(Why.SCHEDULE_STATE, state=_shown(schedule), wanted="변경")
    check_time(at, now, status=400)


def check_again(schedule: Schedule, wanted: str) -> None:
    """Whether a schedule may be booked or charged anew. Raises Refused (SCHEDULE_STATE)."""
    if not schedule.over:
        raise Refused(Why.SCHEDULE_STATE, state=_shown(schedule), wanted=wanted)


def check_time(at: Instant, now: Instant, *, status: int = 200) -> None:
    """A schedule lies in the future. Raises Refused (SCHEDULE_TIME)."""
    if at <= now:
        raise Refused(Why.SCHEDULE_TIME, status=status, code=-1 if status != 200 else 1)


def _shown(schedule: Schedule) -> str:
    if schedule.under_way:
        return "결제 진행 중"
    return {
        ScheduleStatus.SCHEDULED: "예약",
        ScheduleStatus.EXECUTED: "결제 실패" if schedule.failed else "결제 완료",
        ScheduleStatus.REVOKED: "해지",
    }[schedule.status]


def next_retry(now: Instant, hour: int | None, retries: int) -> Instant | None:
    """When a schedule that failed at *now* is charged again: the next KST day at *hour*.

    None: the store does not want that, or it has failed often enough.
    """
    if hour is None or retries >= MOST_RETRIES:
        return None
    return Instant(kst_midnight(now) + DAY + hour * HOUR)
