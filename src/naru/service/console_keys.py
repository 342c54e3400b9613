"""API keys, the webhook signing secret, the store's switches: changed in the console, written down in its log."""

from __future__ import annotations

import ipaddress
import json
import secrets
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from naru.domain.channel import Store
from naru.domain.values import DAY, HOUR, SECOND
from naru.service import checkout, setup
from naru.service.access import sha256_hex
from naru.service.console_access import SignInError as Problem
from naru.service.context import Context
from naru.store import mail, people, stores
from naru.store.db import Tx
from naru.store.people import Actor
from naru.store.stores import ApiKey

OVERLAPS: Final = {"0": 0, "1h": HOUR, "24h": DAY, "7d": 7 * DAY}
"""How long a secret that is replaced stays good beside the new one."""
SWITCHES: Final = ("include_sandbox", "webhook_first", "vbank_due_optional")
TEXT_SWITCHES: Final = (checkout.COMPANY, checkout.COMPANY_EN)
POLICIES: Final = ("naru", "portone", "off")
CONTENT_TYPES: Final = ("application/json", "application/x-www-form-urlencoded")
MOST_NETWORKS: Final = 50


@dataclass(frozen=True, slots=True)
class NewKey:
    """An API key with its secret, shown this once."""

    imp_key: str
    imp_secret: str


async def add_key(cx: Context, actor: Actor, store_id: int) -> NewKey:
    """One more API key."""
    new = NewKey(cx.digits(16), secrets.token_urlsafe(60))

    def work() -> Tx[None]:
        yield from stores.add_api_key(store_id, new.imp_key, sha256_hex(new.imp_secret), cx.clock())
        yield from people.note_change(actor, "key_added", new.imp_key, cx.clock(), store_id=store_id)

    await cx.db.write(work)
    return new


async def _key_of(cx: Context, store_id: int, key_id: int) -> ApiKey:
    keys = await cx.db.read(stores.api_keys_of, store_id)
    found = next((k for k in keys if k.id == key_id), None)
    if found is None or found.revoked:
        raise Problem("keys.unknown")
    return found


async def rotate(cx: Context, actor: Actor, store_id: int, key_id: int, stamp: str, overlap: str) -> NewKey:
    """Replace a key's secret; the old one stays good for *overlap*. At once means its tokens end too.

    *stamp* names the secret that the page showed as current, so that a form sent twice rotates once.
    """
    key = await _key_of(cx, store_id, key_id)
    lasts = OVERLAPS.get(overlap)
    if lasts is None or stamp != stamp_of(key):
        raise Problem("keys.changed")
    now = cx.clock()
    secret = secrets.token_urlsafe(60)
    next_second = (now // SECOND + 1) * SECOND  # tokens carry whole seconds: none of this one is to be good

    def work() -> Tx[None]:
        done = yield from stores.rotate_key(
            key,
            sha256_hex(secret),
            old_until=now + lasts if lasts else None,
            tokens_from=None if lasts else next_second,
        )
        if not done:
            raise Problem("keys.changed")
        yield from people.note_change(
            actor, "key_rotated", key.imp_key, now, store_id=store_id, detail={"overlap": overlap}
        )

    await cx.db.write(work)
    cx.forget()
    return NewKey(key.imp_key, secret)


def stamp_of(key: ApiKey) -> str:
    """Names a key's current secret without telling anything about it."""
    return sha256_hex(key.secret_sha256)[:16]


async def revoke(cx: Context, actor: Actor, store_id: int, key_id: int) -> None:
    """A key is good no more, and neither are its tokens. Raises Problem for the store's last one."""
    keys = await cx.db.read(stores.api_keys_of, store_id)
    if not any(not k.revoked and k.id != key_id for k in keys):
        raise Problem("keys.last")
    key = await _key_of(cx, store_id, key_id)

    def work() -> Tx[None]:
        yield from stores.revoke_key(key.id, cx.clock())
        yield from people.note_change(actor, "key_revoked", key.imp_key, cx.clock(), store_id=store_id)

    await cx.db.write(work)
    cx.forget()


def parse_networks(text: str) -> list[str]:
    """Addresses and CIDR networks, one a line. Raises Problem naming the bad one."""
    found: list[str] = []
    for word in text.replace(",", " ").split():
        try:
            network = str(ipaddress.ip_network(word, strict=False))
        except ValueError:
            raise Problem("keys.bad_network", text=word[:60]) from None
        if network not in found:
            found.append(network)
    if len(found) > MOST_NETWORKS:
        raise Problem("keys.many_networks", most=MOST_NETWORKS)
    return found


async def set_networks(cx: Context, actor: Actor, store_id: int, text: str) -> None:
    """From where the API may be called; nothing: from anywhere."""
    networks = parse_networks(text)

    def work() -> Tx[None]:
        yield from stores.set_allowed_ips(store_id, networks)
        yield from people.note_change(
            actor, "networks", "-", cx.clock(), store_id=store_id, detail={"networks": networks}
        )

    await cx.db.write(work)
    cx.forget()


async def set_switches(cx: Context, actor: Actor, store: Store, on: set[str], texts: dict[str, str]) -> None:
    """The store's switches: where the guides leave a choice. Raises Problem for a name that Hecto would not take."""
    korean, english = texts.get(checkout.COMPANY, ""), texts.get(checkout.COMPANY_EN, "")
    if any(not c.isprintable() for c in korean + english):
        raise Problem("keys.bad_company")
    if not english.isascii():
        raise Problem("keys.bad_company_en")
    others = {k: v for k, v in store.switches.items() if k not in SWITCHES and k not in TEXT_SWITCHES}
    new: dict[str, object] = {**others, **{s: True for s in SWITCHES if s in on}}
    new |= {k: texts[k] for k in TEXT_SWITCHES if texts.get(k)}

    def work() -> Tx[None]:
        yield from stores.set_switches(store.id, json.dumps(new, ensure_ascii=False))
        yield from people.note_change(actor, "switches", "-", cx.clock(), store_id=store.id, detail=dict(new))

    await cx.db.write(work)
    cx.forget()


async def set_name(cx: Context, actor: Actor, store_id: int, name: str) -> None:
    """The store's name."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= 100:
        raise Problem("keys.bad_name")

    def work() -> Tx[None]:
        yield from stores.set_store_name(store_id, name)
        yield from people.note_change(actor, "store_name", name, cx.clock(), store_id=store_id)

    await cx.db.write(work)
    cx.forget()


# webhooks


def check_address(text: str) -> str | None:
    """A webhook address, or None for an empty one. Raises Problem."""
    if not text:
        return None
    parts = urlsplit(text)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or len(text) > 1000
        or any(c.isspace() for c in text)
    ):
        raise Problem("webhooks.bad_address", text=text[:80])
    if parts.username or parts.password:
        raise Problem("webhooks.no_password")
    return text


async def set_webhook(
    cx: Context, actor: Actor, store_id: int, *, url: str, url_test: str, content_type: str, policy: str
) -> None:
    """Addresses, content type, retry policy."""
    live, test = check_address(url), check_address(url_test)
    if content_type not in CONTENT_TYPES or policy not in POLICIES:
        raise Problem("webhooks.bad_choice")

    def work() -> Tx[None]:
        yield from stores.set_webhook(store_id, live, test, content_type)
        yield from stores.set_webhook_retry(store_id, policy)
        detail = {"url": live or "", "url_test": test or "", "type": content_type, "retry": policy}
        yield from people.note_change(actor, "webhook", "-", cx.clock(), store_id=store_id, detail=detail)

    await cx.db.write(work)
    cx.forget()


async def rotate_webhook_secret(cx: Context, actor: Actor, store_id: int, stamp: str, overlap: str) -> str:
    """A new signing secret, shown this once; the old one signs beside it for *overlap*."""
    lasts = OVERLAPS.get(overlap)
    secret = setup.new_webhook_secret()
    now = cx.clock()

    def work() -> Tx[None]:
        current = yield from stores.webhook_secret(store_id, cx.vault)
        if lasts is None or stamp != sha256_hex(current)[:16]:
            raise Problem("keys.changed")
        yield from stores.set_webhook_secret(store_id, secret, now + lasts if lasts else None, cx.vault)
        yield from people.note_change(actor, "webhook_secret", "-", now, store_id=store_id, detail={"overlap": overlap})

    await cx.db.write(work)
    return secret


async def webhook_stamp(cx: Context, store_id: int) -> str:
    """Names the current signing secret without telling anything about it."""
    return sha256_hex(await cx.db.read(stores.webhook_secret, store_id, cx.vault))[:16]


async def resend(cx: Context, actor: Actor, store: Store, jobs: list[int]) -> int:
    """Owe these webhooks again, to the address each was for; those kept silent go to the store's address.

    Each is tried as often as a new one: six times, and as long as its event is not a day old. Returns how many.
    """
    now = cx.clock()

    def work() -> Tx[int]:
        done = 0
        for job_id in jobs:
            job = yield from mail.webhook_job(job_id, store.id)
            if job is None:
                continue
            payload = json.loads(job.payload)
            if not payload.get("url"):
                url = store.webhook_url or store.webhook_url_test
                if not url:
                    continue
                payload["url"] = url
            yield from mail.reopen(job_id, now, json.dumps(payload | {"tried": job.tries}))
            yield from people.note_change(
                actor, "webhook_resent", job.imp_uid or "-", now, store_id=store.id, detail={"job": job_id}
            )
            done += 1
        return done

    done = await cx.db.write(work)
    cx.wake()
    return done
