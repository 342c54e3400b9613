"""Alarms reach a person: a log line at error and a metric always; a chat webhook and e-mail if the operator set them.

An alarm owes its job in the transaction that raises it, so that none is lost with a process.
"""

from __future__ import annotations

import asyncio
import json
import smtplib
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
from prometheus_client import Counter

from naru import logs
from naru.domain.values import DAY, HOUR, MINUTE, SECOND, Instant, kst_stamp
from naru.jobs.deliver import Sender
from naru.service.context import Context
from naru.store import mail

log = logs.logger("alarm")

LEASE_MS = 60 * SECOND
SEND_S = 10.0
GIVE_UP_MS = DAY
RAISED = Counter("naru_alarms_total", "Alarms raised, by kind", ["kind"])


@dataclass(frozen=True, slots=True)
class Bell:
    """Where alarms go. Empty: nowhere but the log, the metric and the console."""

    webhook: str = ""
    """An address that takes ``{"text": …}``: Slack, Mattermost, and with ``content`` Discord."""
    email: str = ""
    """Addresses, separated by commas."""
    smtp: str = ""
    """``smtp://[user:password@]host[:port]`` (STARTTLS where offered) or ``smtps://…``."""
    sender: str = ""
    """The From address; the first recipient's by default."""

    @property
    def rings(self) -> bool:
        """Whether anybody is called."""
        return bool(self.webhook or (self.email and self.smtp))


def mail_out(bell: Bell, subject: str, text: str) -> None:
    """Send one e-mail; blocks. Raises OSError and smtplib.SMTPException."""
    parts = urlsplit(bell.smtp)
    recipients = [a.strip() for a in bell.email.split(",") if a.strip()]
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = bell.sender or recipients[0]
    message["To"] = ", ".join(recipients)
    message.set_content(text)
    secure = parts.scheme == "smtps"
    make = smtplib.SMTP_SSL if secure else smtplib.SMTP
    with make(parts.hostname or "localhost", parts.port or (465 if secure else 25), timeout=SEND_S) as server:
        if not secure:
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls()
                server.ehlo()
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        server.send_message(message)


def _facts(cx: Context, alarm: dict[str, Any], at: int) -> dict[str, Any]:
    return {
        "kind": alarm["kind"],
        "text": alarm["text"],
        "imp_uid": alarm["imp_uid"],
        "at": kst_stamp(at),
        "console": f"{cx.public_url}/console/problems",
    }


class Crier:
    """Tells people about alarms."""

    def __init__(self, bell: Bell | None = None, *, send_mail: Callable[[Bell, str, str], None] = mail_out) -> None:
        self.bell = bell or Bell()
        self._mail = send_mail
        self._sender = Sender(allow_private=True)  # the operator's own address, from the environment

    async def close(self) -> None:
        """Close connections."""
        await self._sender.close()

    async def tell(self, facts: dict[str, Any]) -> list[str]:
        """Tell everybody who is to be told. Returns what went wrong."""
        subject = f"[나루] {facts['text']}"[:150]
        text = f"{facts['text']}\n\n종류: {facts['kind']}\n시각: {facts['at']} KST\n콘솔: {facts['console']}\n"
        problems: list[str] = []
        if self.bell.webhook:
            body = json.dumps({**facts, "text": f"{subject}\n{facts['console']}", "content": subject})
            status, error, _ = await self._sender.post(
                self.bell.webhook, body.encode(), {"Content-Type": "application/json"},
                aiohttp.ClientTimeout(total=SEND_S),
            )  # fmt: skip
            if status is None or not 200 <= status < 300:
                problems.append(f"webhook: {error or f'HTTP {status}'}")
        if self.bell.email and self.bell.smtp:
            try:
                await asyncio.to_thread(self._mail, self.bell, subject, text)
            except (OSError, smtplib.SMTPException) as e:
                problems.append(f"e-mail: {type(e).__name__}")  # its text may hold the server's words on our password
        return problems

    async def try_out(self, cx: Context) -> list[str]:
        """Send a test alarm. Returns what went wrong."""
        return await self.tell(_facts(cx, {"kind": "test", "text": "시험 알림입니다", "imp_uid": None}, cx.clock()))

    async def run(self, cx: Context, job: Any) -> None:
        """Work one alarm's job: log, count, tell; repeated for a day while nobody could be told."""
        alarm = json.loads(job.payload)
        facts = _facts(cx, alarm, job.created_at)
        if job.tries == 1:
            RAISED.labels(alarm["kind"]).inc()
            log.error("alarm.raised", kind=alarm["kind"], imp_uid=alarm["imp_uid"], text=alarm["text"])
        problems = await self.tell(facts)
        now = cx.clock()
        told_somebody = len(problems) < bool(self.bell.webhook) + bool(self.bell.email and self.bell.smtp)
        if not problems or told_somebody:
            await cx.db.write(mail.finish, job.id, job.tries, now=now)
            return
        again = Instant(now + min(MINUTE * 2 ** min(job.tries - 1, 10), HOUR))
        late = again > job.created_at + GIVE_UP_MS
        log.error("alarm.untold", problems=problems, tries=job.tries, kind=alarm["kind"])
        await cx.db.write(
            mail.postpone, job.id, job.tries, run_at=None if late else again, error="; ".join(problems), now=now
        )
