"""Delivering webhooks: V1's body and times, Standard Webhooks headers beside, one row per try."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver
from standardwebhooks import Webhook

from naru import logs
from naru.domain.channel import Store
from naru.domain.values import DAY, MINUTE, SECOND, Instant
from naru.jobs.outside import ForbiddenTarget, PublicResolver, is_literal, is_public
from naru.service.context import Context
from naru.store import mail, payments, stores

log = logs.logger("webhook")

FIRST_TIMEOUT = aiohttp.ClientTimeout(total=40, sock_connect=10, sock_read=30)
AGAIN_TIMEOUT = aiohttp.ClientTimeout(total=15)
LEASE_MS = 60 * SECOND
STEADY_TRIES = 5
"""Re-sends one minute apart (PortOne's), before they grow apart."""
GIVE_UP_MS = DAY
EXCERPT = 2000
_AGAIN_ON = frozenset({408, 425, 429})


class Sender:
    """Posts webhooks. Open it inside a running event loop."""

    def __init__(self, *, allow_private: bool, resolver: AbstractResolver | None = None) -> None:
        self.allow_private = allow_private
        self._names = resolver
        self._session: aiohttp.ClientSession | None = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            resolver = self._names if self.allow_private else PublicResolver(self._names)
            connector = aiohttp.TCPConnector(limit=100, limit_per_host=20, keepalive_timeout=3, resolver=resolver)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def ask(self, url: str, body: bytes, seconds: float) -> tuple[int | None, str | None]:
        """Ask the shop something at once: HTTP status and the beginning of its answer, None where there is none."""
        headers = {"Content-Type": "application/json", "User-Agent": "Naru-Confirm/1"}
        status, _, text = await self.post(url, body, headers, aiohttp.ClientTimeout(total=seconds))
        return status, text

    async def post(
        self, url: str, body: bytes, headers: dict[str, str], limits: aiohttp.ClientTimeout
    ) -> tuple[int | None, str | None, str | None]:
        """Returns (HTTP status or None, error or None, excerpt of the answer or None)."""
        try:
            host = urlsplit(url).hostname or ""  # a ValueError for what only looks like an address
            if not self.allow_private and is_literal(host) and not is_public(host):
                raise ForbiddenTarget(f"{host} is in a private network")
            async with self._open().post(
                url, data=body, headers=headers, timeout=limits, allow_redirects=False
            ) as answer:
                text = (await answer.content.read(EXCERPT)).decode("utf-8", "replace")
                return answer.status, None, text
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as e:
            # aiohttp wraps what the resolver says into "cannot connect": the operator needs the reason.
            reason = e.__cause__ if isinstance(e.__cause__, ForbiddenTarget) else e
            return None, f"{type(reason).__name__}: {reason}"[:300], None


def next_try(policy: str, created_at: int, tries: int, now: int, status: int | None) -> Instant | None:
    """When to send again after try number *tries* failed; None: give up (PortOne's rules).

    A 4xx is the shop's answer and is not asked again, but for those that mean "later".
    """
    if policy == "off":
        return None
    if status is not None and 400 <= status < 500 and status not in _AGAIN_ON:
        return None
    if tries <= STEADY_TRIES:
        return Instant(now + MINUTE)
    if policy == "portone":
        return None
    pause = min(MINUTE * 2 ** (tries - STEADY_TRIES), 4 * 60 * MINUTE)
    pause = int(pause * random.uniform(0.9, 1.1))  # noqa: S311 - jitter
    at = now + pause
    return Instant(at) if at <= created_at + GIVE_UP_MS else None


def message_id(job: Any) -> str:
    """Standard Webhooks' message id: the same over all tries."""
    return "msg_" + hashlib.sha256(job.key.encode()).hexdigest()[:32]


def render(body: dict[str, str], content_type: str) -> tuple[bytes, str]:
    """V1's body in the store's content type. The header is exactly this: plugins compare it."""
    if content_type.startswith("application/x-www-form-urlencoded"):
        return urlencode(body).encode(), "application/x-www-form-urlencoded"
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(), "application/json"


SAMPLE = {"imp_uid": "imp_1234567890", "merchant_uid": "order_id_8237352", "status": "paid"}
"""What PortOne's own test call sends."""


async def probe(cx: Context, sender: Sender, store: Store, url: str) -> tuple[int | None, str | None, int]:
    """호출 테스트: post the sample body, signed like any webhook. Returns (status, error, milliseconds)."""
    body, content_type = render(SAMPLE, store.webhook_type)
    secrets = await cx.db.glance(stores.webhook_secrets, store.id, cx.vault, cx.clock())
    headers = _headers(f"msg_test_{cx.digits(12)}", content_type, body, secrets, cx.clock())
    clock = time.monotonic()
    status, error, _text = await sender.post(url, body, headers, AGAIN_TIMEOUT)
    return status, error, round((time.monotonic() - clock) * 1000)


@lru_cache(maxsize=64)
def _signer(secret: str) -> Webhook:
    return Webhook(secret)


def _headers(message: str, content_type: str, body: bytes, secrets: list[str], at: Instant) -> dict[str, str]:
    signed_at = datetime.fromtimestamp(at // 1000, UTC)
    return {
        "Content-Type": content_type,
        "User-Agent": "Naru-Webhook/1",
        "webhook-id": message,
        "webhook-timestamp": str(at // 1000),
        # While a secret is being rotated both sign; a receiver accepts any of the list (Standard Webhooks).
        "webhook-signature": " ".join(_signer(s).sign(message, signed_at, body.decode()) for s in secrets),
    }


async def deliver(cx: Context, sender: Sender, job: Any) -> None:
    """Send one owed webhook once, write the try down, and say whether it is done, later or dead."""
    payload = json.loads(job.payload)
    tried: int = payload.get("tried", 0)  # before the operator had it sent again: its tries are counted anew
    store = await cx.store(job.store_id)
    secrets = await cx.webhook_secrets(job.store_id)
    body, content_type = render(payload["body"], store.webhook_type)
    started = cx.clock()
    headers = _headers(message_id(job), content_type, body, secrets, started)
    clock = time.monotonic()
    status, error, text = await sender.post(
        payload["url"], body, headers, FIRST_TIMEOUT if job.tries - tried <= 1 else AGAIN_TIMEOUT
    )
    took = round((time.monotonic() - clock) * 1000)
    cx.crash("delivered")
    now = cx.clock()
    good = status is not None and 200 <= status < 300
    again = None if good else next_try(store.webhook_retry, job.created_at, job.tries - tried, now, status)
    problem = "" if good else error or f"HTTP {status}"

    def conclude() -> Any:
        yield from mail.delivered(
            job_id=job.id, store_id=job.store_id, imp_uid=job.imp_uid, url=payload["url"], try_no=job.tries,
            started_at=started, took_ms=took, status=status, error=error, request=body.decode(),
            response=logs.scrub(text) if text else None,
        )  # fmt: skip
        if good:
            yield from mail.finish(job.id, job.tries, now=now)
            yield from payments.mark_heard(job.imp_uid, now)
            if payload["body"].get("cancellation_id"):
                yield from payments.mark_seen(job.imp_uid)
            return
        mine = yield from mail.postpone(job.id, job.tries, run_at=again, error=problem, now=now)
        if mine and again is None:
            key = f"webhook:{job.id}" + (f":{tried}" if tried else "")
            yield from mail.raise_alarm(
                key, "dead_webhook", f"웹훅을 전달하지 못했습니다: {payload['url']} ({problem})",
                store_id=job.store_id, imp_uid=job.imp_uid, now=now,
            )  # fmt: skip

    await cx.db.write(conclude)
    if good:
        log.info("webhook.delivered", imp_uid=job.imp_uid, status=status, ms=took, tries=job.tries)
    elif again is None:
        log.error("webhook.dead", imp_uid=job.imp_uid, url=payload["url"], problem=problem, tries=job.tries)
    else:
        log.warning("webhook.postponed", imp_uid=job.imp_uid, url=payload["url"], problem=problem, tries=job.tries)


async def deliver_all(cx: Context, sender: Sender, jobs: list[Any]) -> None:
    """Send several webhooks side by side."""
    await asyncio.gather(*(deliver(cx, sender, job) for job in jobs))
