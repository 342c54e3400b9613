"""Stores and channels: who asks, and under which contract with the PG."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from naru.domain.outcome import Sealed
from naru.domain.refusal import Refused, Why


class Environment(enum.StrEnum):
    """Which hosts a channel speaks to. Only ``live`` moves real money for good."""

    SANDBOX = "sandbox"
    TEST = "test"
    LIVE = "live"


class Use(enum.StrEnum):
    """What a channel is for: the PG's window, or card data and accounts over the API."""

    WINDOW = "window"
    API = "api"


class Credentials(enum.StrEnum):
    """What a key-in contract asks for (카유 / 카유+생 / 카유비생)."""

    NONE = ""
    CARD = "card"
    CARD_BIRTH = "card_birth"
    CARD_BIRTH_PASSWORD = "card_birth_pwd"  # noqa: S105 - a kind of contract

    @property
    def wants_birth(self) -> bool:
        """Whether birth date or business number is part of the contract."""
        return self in (Credentials.CARD_BIRTH, Credentials.CARD_BIRTH_PASSWORD)

    @property
    def wants_password(self) -> bool:
        """Whether the first two password digits are part of the contract."""
        return self is Credentials.CARD_BIRTH_PASSWORD


@dataclass(frozen=True, slots=True)
class Channel:
    """One contract (MID) of a store."""

    id: int
    store_id: int
    key: str
    name: str
    position: int
    environment: Environment
    mid: str
    use: Use
    hash_key: Sealed
    aes_key: Sealed
    credentials: Credentials
    flags: Mapping[str, bool]
    """Contract flags: standalone_key, escrow, fixed_account, unlimited_account, rotating_account, refund,
    partial_cancel, split, vbank_api …"""
    accounts: tuple[str, ...]
    """Assigned virtual account numbers, ``bank:number``."""
    addresses: Mapping[str, str]
    """Base address per host role: window, api, recon, cash."""
    merchant_name: str
    merchant_name_en: str
    is_default: bool
    disabled: bool
    taxation: str = ""

    @property
    def is_test(self) -> bool:
        """V1's ``sandbox: true``: not live."""
        return self.environment is not Environment.LIVE

    @property
    def takes_cards_by_api(self) -> bool:
        """Whether card data can be charged over the API on this channel."""
        return self.use is Use.API and self.credentials is not Credentials.NONE

    def allows(self, flag: str) -> bool:
        """Whether the contract has this flag."""
        return self.flags.get(flag, False)


@dataclass(frozen=True, slots=True)
class Store:
    """A shop's account with us."""

    id: int
    imp_code: str
    name: str
    webhook_url: str | None
    webhook_url_test: str | None
    webhook_type: str
    webhook_retry: str
    switches: Mapping[str, bool | str] = field(default_factory=dict[str, bool | str])
    allowed_ips: tuple[str, ...] = ()
    dunning_hour: int | None = None
    """KST hour at which failed schedules are charged again, every day until one succeeds; None: never."""

    def on(self, switch: str) -> bool:
        """Whether a store switch is on."""
        return self.switches.get(switch) is True

    def text(self, switch: str) -> str | None:
        """What the store filled in for a switch that is a text; None for nothing."""
        value = self.switches.get(switch)
        return value if isinstance(value, str) and value else None


PROVIDER = "settle"


def choose(channels: list[Channel], *, key: str | None, pg: str | None, can: str, method: str = "") -> Channel:
    """The channel of a request. ``channel_key`` and ``pg=settle.MID`` are exact; otherwise the default
    if it can do this, else the first in order that can.

    *can* is ``card_api``, ``window``, ``cash_receipt`` (which every contract has), or the name of a
    contract flag. A request that names no channel prefers the one that is the default for its pay
    *method*: Hecto may issue a MID for each. Raises Refused.
    """
    usable = [c for c in sorted(channels, key=lambda c: (c.position, c.id)) if not c.disabled]

    def able(c: Channel) -> bool:
        match can:
            case "card_api":
                return c.takes_cards_by_api
            case "window":
                return c.use is Use.WINDOW
            case "cash_receipt":
                return True
            case _:
                return c.allows(can)

    if key:
        found = next((c for c in usable if c.key == key), None)
        if found is None:
            raise Refused(Why.CHANNEL_UNKNOWN, channel_key=key)
        if not able(found):
            raise Refused(Why.NO_CHANNEL, can=can, channel=found.name)
        return found
    provider, _, mid = (pg or "").partition(".")
    if mid and provider == PROVIDER:
        named = [c for c in usable if c.mid == mid]
        if not named:
            raise Refused(Why.CHANNEL_UNKNOWN, pg=pg)
        fits = [c for c in named if able(c)]
        if not fits:
            raise Refused(Why.NO_CHANNEL, can=can, channel=named[0].name)
        return fits[0]
    fits = [c for c in usable if able(c)]
    if not fits:
        raise Refused(Why.NO_CHANNEL, can=can)
    for_method = [c for c in fits if method and c.allows(f"default_{method}")]
    return next((c for c in [*for_method, *fits] if c in for_method or c.is_default), fits[0])
