"""Channels as the console manages them: the guide's fields and rules, order, defaults, keys."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from naru.domain.channel import Channel, Credentials, Environment, Use
from naru.domain.refusal import Refused, Why
from naru.service import setup
from naru.service.context import Context
from naru.store import people, stores
from naru.store.db import Tx
from naru.store.people import Actor

METHODS: Final = ("card", "trans", "vbank", "phone")
WINDOW_FLAGS: Final = ("split", "partial_cancel", "refund", "escrow", "vbank_api", "browser")
API_FLAGS: Final = (
    "standalone_key", "partial_cancel", "refund", "vbank_api", "rotating_account", "fixed_account",
    "unlimited_account", "escrow",
)  # fmt: skip
TAXATIONS: Final = ("", "taxable", "free", "mixed")
DEPOSIT_NOTICE_MAILS: Final = ("settle_pgdev@hecto.co.kr", "settle_pgdev@settlebank.co.kr")
"""The help centre names the first, the guide the second; both are shown."""
_MID = re.compile(r"[0-9A-Za-z_]{1,12}\Z")
_HASH_KEY = re.compile(r"[!-~]{10,100}\Z")
_AES_KEY = re.compile(r"[!-~]{32}\Z")
_ACCOUNT = re.compile(r"(\d{3})[:\s]\s*([\d-]{8,20})\Z")


@dataclass(frozen=True, slots=True)
class Preset:
    """A published test MID and what it is contracted for."""

    mid: str
    use: Use
    credentials: Credentials = Credentials.NONE
    flags: tuple[str, ...] = ("partial_cancel", "refund")
    environments: tuple[Environment, ...] = (Environment.SANDBOX, Environment.TEST)
    accounts: tuple[tuple[str, int, int], ...] = ()


PRESETS: Final = (
    # portone1 has no published keys: it exists in the sandbox only.
    Preset("portone1", Use.WINDOW, environments=(Environment.SANDBOX,)),
    Preset("nxca_jt_il", Use.WINDOW),
    Preset("nxca_jt_hd", Use.WINDOW, flags=("split", "partial_cancel", "refund")),
    Preset("nx_mid_il", Use.WINDOW),
    Preset("nxhp_sb_il", Use.WINDOW, flags=()),
    Preset("nxca_jt_bi", Use.API, Credentials.CARD),
    Preset(
        "nxca_ks_gu", Use.API, Credentials.CARD_BIRTH_PASSWORD, flags=("partial_cancel", "refund", "standalone_key")
    ),
    Preset(
        "nxva_fix", Use.API, flags=("vbank_api", "fixed_account", "refund", "partial_cancel", "escrow"),
        accounts=(("004", 2022004000001, 2022004000050), ("011", 2022011000001, 2022011000050)),
    ),
    Preset(
        "nxva_fix2", Use.API, flags=("vbank_api", "unlimited_account", "refund", "partial_cancel"),
        accounts=(("004", 2022004000056, 2022004000100), ("011", 2022011000056, 2022011000100)),
    ),
)  # fmt: skip


def presets(environment: Environment, use: Use) -> list[Preset]:
    """The published MIDs of an environment and a use; live has none."""
    return [p for p in PRESETS if p.use is use and environment in p.environments]


def preset_accounts(preset: Preset) -> list[str]:
    """The account numbers that work with a published MID."""
    return [f"{bank}:{n}" for bank, first, last in preset.accounts for n in range(first, last + 1)]


def flags_of(use: Use) -> tuple[str, ...]:
    """The contract flags that mean something for a use."""
    return WINDOW_FLAGS if use is Use.WINDOW else API_FLAGS


@dataclass(slots=True)
class Draft:
    """A channel as typed in."""

    environment: Environment
    use: Use
    mid: str = ""
    name: str = ""
    credentials: Credentials = Credentials.NONE
    hash_key: str = ""
    aes_key: str = ""
    taxation: str = ""
    flags: set[str] = field(default_factory=set[str])
    accounts: str = ""
    merchant_name: str = ""
    merchant_name_en: str = ""


class ChannelProblems(Exception):
    """What is wrong with a draft: per field a key of the console's catalogue."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(dict(problems))
        self.problems = problems


def parse_accounts(text: str) -> list[str]:
    """Assigned account numbers, one a line, ``bank number``. Raises ValueError with the bad line."""
    found: list[str] = []
    for line in text.replace(",", "\n").splitlines():
        line = line.strip()
        if not line:
            continue
        match = _ACCOUNT.match(line)
        if match is None:
            raise ValueError(line)
        account = f"{match[1]}:{match[2].replace('-', '')}"
        if account not in found:
            found.append(account)
    return found


def _check_keys(draft: Draft, problems: dict[str, str], *, required: bool) -> None:
    given = bool(draft.hash_key or draft.aes_key)
    if not given and not required:
        return
    if not _HASH_KEY.match(draft.hash_key):
        problems["hash_key"] = "channels.bad_hash_key"
    if not _AES_KEY.match(draft.aes_key):
        problems["aes_key"] = "channels.bad_aes_key"
    if draft.environment is Environment.LIVE:
        if draft.hash_key == setup.SANDBOX_HASH_KEY:
            problems["hash_key"] = "channels.published_key"
        if draft.aes_key == setup.SANDBOX_AES_KEY:
            problems["aes_key"] = "channels.published_key"


def _check_rest(draft: Draft, problems: dict[str, str]) -> list[str]:
    if not setup.CHANNEL_NAME.match(draft.name):
        problems["name"] = "channels.bad_name"
    if draft.taxation not in TAXATIONS:
        problems["taxation"] = "channels.bad_taxation"
    if not 1 <= len(draft.merchant_name) <= 50:
        problems["merchant_name"] = "channels.bad_merchant_name"
    if not re.fullmatch(r"[ -~]{1,50}", draft.merchant_name_en):
        problems["merchant_name_en"] = "channels.bad_merchant_name_en"
    if draft.use is Use.API and draft.credentials is Credentials.NONE and "vbank_api" not in draft.flags:
        problems["credentials"] = "channels.no_use"
    if "standalone_key" in draft.flags and draft.credentials is not Credentials.CARD_BIRTH_PASSWORD:
        problems["flags"] = "channels.standalone_needs_all"
    try:
        accounts = parse_accounts(draft.accounts)
    except ValueError:
        problems["accounts"] = "channels.bad_accounts"
        return []
    if draft.flags & {"fixed_account", "unlimited_account"} and not accounts:
        problems["accounts"] = "channels.no_accounts"
    return accounts


def _described(draft: Draft, accounts: list[str]) -> dict[str, object]:
    return {
        "name": draft.name, "mid": draft.mid, "environment": draft.environment.value, "use": draft.use.value,
        "credentials": draft.credentials.value, "flags": sorted(draft.flags), "accounts": len(accounts),
        "taxation": draft.taxation,
    }  # fmt: skip


async def add(cx: Context, actor: Actor, store_id: int, draft: Draft) -> str:
    """Add a channel and return its key. The first of its use becomes the default. Raises ChannelProblems."""
    problems: dict[str, str] = {}
    if not _MID.match(draft.mid):
        problems["mid"] = "channels.bad_mid"
    published = any(p.mid == draft.mid for p in presets(draft.environment, draft.use))
    if draft.environment is Environment.LIVE and any(p.mid == draft.mid for p in PRESETS):
        problems["mid"] = "channels.test_mid_live"
    _check_keys(draft, problems, required=draft.environment is Environment.LIVE or not published)
    accounts = _check_rest(draft, problems)
    existing = await cx.db.read(stores.channels_of, store_id, cx.vault)
    if any(c.mid == draft.mid and c.environment is draft.environment and c.use is draft.use for c in existing):
        problems.setdefault("mid", "channels.mid_taken")
    if problems:
        raise ChannelProblems(problems)
    first = not any(c.use is draft.use and not c.disabled for c in existing)
    key = await setup.add_channel(
        cx, store_id=store_id, name=draft.name, environment=draft.environment, mid=draft.mid, use=draft.use,
        hash_key=draft.hash_key or None, aes_key=draft.aes_key or None, credentials=draft.credentials,
        flags=dict.fromkeys(sorted(draft.flags), True), accounts=accounts, merchant_name=draft.merchant_name,
        merchant_name_en=draft.merchant_name_en, default=first,
    )  # fmt: skip

    def rest() -> Tx[None]:
        channels = yield from stores.channels_of(store_id, cx.vault)
        channel = next(c for c in channels if c.key == key)
        yield from _write(channel, draft, accounts)
        yield from people.note_change(
            actor, "channel_added", key, cx.clock(), store_id=store_id, detail=_described(draft, accounts)
        )

    await cx.db.write(rest)
    cx.forget()
    return key


def _write(channel: Channel, draft: Draft, accounts: list[str]) -> Tx[None]:
    # What is no contract flag (a default per pay method) stays as it is.
    kept = {k: v for k, v in channel.flags.items() if k not in flags_of(channel.use)}
    yield from stores.change_channel(
        channel.id, name=draft.name, credentials=draft.credentials.value,
        flags=json.dumps({**kept, **dict.fromkeys(sorted(draft.flags), True)}), accounts=json.dumps(accounts),
        merchant_name=draft.merchant_name, merchant_name_en=draft.merchant_name_en, taxation=draft.taxation,
    )  # fmt: skip


async def change(cx: Context, actor: Actor, channel: Channel, draft: Draft) -> None:
    """Change a channel; empty keys stay as they are. Raises ChannelProblems."""
    problems: dict[str, str] = {}
    _check_keys(draft, problems, required=False)
    accounts = _check_rest(draft, problems)
    if problems:
        raise ChannelProblems(problems)
    new_keys = bool(draft.hash_key)

    def work() -> Tx[None]:
        yield from _write(channel, draft, accounts)
        if new_keys:
            yield from stores.set_channel_keys(channel, draft.hash_key, draft.aes_key, cx.vault)
        detail = _described(draft, accounts) | {"new_keys": new_keys}
        yield from people.note_change(
            actor, "channel_changed", channel.key, cx.clock(), store_id=channel.store_id, detail=detail
        )

    await cx.db.write(work)
    cx.forget()


async def set_default(cx: Context, actor: Actor, channel: Channel) -> None:
    """Make a channel the default of its use. Raises Refused for one that is out of use."""
    if channel.disabled:
        raise Refused(Why.NO_CHANNEL, can=channel.use.value, channel=channel.name)

    def work() -> Tx[None]:
        yield from stores.make_default(channel.id, channel.store_id, channel.use)
        yield from people.note_change(
            actor, "channel_default", channel.key, cx.clock(), store_id=channel.store_id, detail={}
        )

    await cx.db.write(work)
    cx.forget()


async def set_method_defaults(cx: Context, actor: Actor, channel: Channel, methods: set[str]) -> None:
    """For which pay methods this window channel is the default; others give the same method up."""

    def work() -> Tx[None]:
        channels = yield from stores.channels_of(channel.store_id, cx.vault)
        for c in channels:
            if c.use is not Use.WINDOW:
                continue
            flags = {k: v for k, v in c.flags.items() if k not in {f"default_{m}" for m in methods}}
            if c.id == channel.id:
                flags = {k: v for k, v in flags.items() if not k.startswith("default_")}
                flags |= {f"default_{m}": True for m in METHODS if m in methods}
            if flags != dict(c.flags):
                yield from stores.set_channel_flags(c.id, json.dumps(flags))
        yield from people.note_change(
            actor, "channel_methods", channel.key, cx.clock(), store_id=channel.store_id,
            detail={"methods": sorted(methods)},
        )  # fmt: skip

    await cx.db.write(work)
    cx.forget()


async def move(cx: Context, actor: Actor, channel: Channel, up: bool) -> None:
    """Swap a channel with the one before or after it."""

    def work() -> Tx[None]:
        channels = yield from stores.channels_of(channel.store_id, cx.vault)
        ids = [c.id for c in channels]
        at = ids.index(channel.id)
        to = at - 1 if up else at + 1
        if 0 <= to < len(ids):
            ids[at], ids[to] = ids[to], ids[at]
        yield from stores.order_channels(ids)
        yield from people.note_change(
            actor, "channel_moved", channel.key, cx.clock(), store_id=channel.store_id, detail={"to": to + 1}
        )

    await cx.db.write(work)
    cx.forget()


async def set_disabled(cx: Context, actor: Actor, channel: Channel, disabled: bool) -> None:
    """Take a channel out of use for new payments, or back. Cancels of its payments go on working."""

    def work() -> Tx[None]:
        yield from stores.set_channel_disabled(channel.id, cx.clock() if disabled else None)
        yield from people.note_change(
            actor, "channel_disabled" if disabled else "channel_enabled", channel.key, cx.clock(),
            store_id=channel.store_id, detail={},
        )  # fmt: skip

    await cx.db.write(work)
    cx.forget()
