"""Stores, their API keys and channels: rows to values, secrets opened on the way."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select, update

from naru.domain.channel import Channel, Credentials, Environment, Store, Use
from naru.domain.outcome import Sealed
from naru.domain.values import Instant
from naru.store.db import Tx
from naru.store.statement import Statement, insert
from naru.store.tables import api_keys, channels, meta, stores
from naru.store.vault import Vault

_STORE_BY_ID = Statement(select(stores).where(stores.c.id == bindparam("id")))
_STORE_BY_CODE = Statement(select(stores).where(stores.c.imp_code == bindparam("imp_code")))
_ALL_STORES = Statement(select(stores).order_by(stores.c.id))
_KEY = Statement(select(api_keys).where(api_keys.c.imp_key == bindparam("imp_key")))
_KEY_LOCKED = Statement(select(api_keys).where(api_keys.c.imp_key == bindparam("imp_key")).with_for_update())
_KEY_BY_ID = Statement(select(api_keys).where(api_keys.c.id == bindparam("id")))
_KEYS_OF = Statement(select(api_keys).where(api_keys.c.store_id == bindparam("store_id")).order_by(api_keys.c.id))
_TOKEN = Statement(
    update(api_keys)
    .where(api_keys.c.id == bindparam("key_id"))
    .values(token_issued_at=bindparam("issued_at"), token_expires_at=bindparam("expires_at"))
)
_CHANNELS = Statement(
    select(channels).where(channels.c.store_id == bindparam("store_id")).order_by(channels.c.position, channels.c.id)
)
_CHANNEL = Statement(select(channels).where(channels.c.id == bindparam("id")))
_CHANNELS_BY_MID = Statement(select(channels).where(channels.c.mid == bindparam("mid")).order_by(channels.c.id))
_ALL_CHANNELS = Statement(select(channels).order_by(channels.c.store_id, channels.c.position, channels.c.id))
_NOTI_SEEN = Statement(
    update(channels).where(channels.c.id == bindparam("channel_id")).values(noti_seen_at=bindparam("at"))
)
_ADD_STORE = Statement(
    insert(stores)
    .values({c: bindparam(c) for c in ("imp_code", "name", "webhook_url", "webhook_secret", "switches", "created_at")})
    .returning(stores.c.id)
)
_SET_WEBHOOK = Statement(
    update(stores)
    .where(stores.c.id == bindparam("store_id"))
    .values(webhook_url=bindparam("url"), webhook_url_test=bindparam("url_test"), webhook_type=bindparam("type"))
)
_SET_SWITCHES = Statement(
    update(stores).where(stores.c.id == bindparam("store_id")).values(switches=bindparam("new_switches"))
)
_STORE_LOCKED = Statement(select(stores).where(stores.c.id == bindparam("id")).with_for_update())
_SET_DUNNING = Statement(
    update(stores).where(stores.c.id == bindparam("store_id")).values(dunning_hour=bindparam("hour"))
)
_SET_RETRY = Statement(
    update(stores).where(stores.c.id == bindparam("store_id")).values(webhook_retry=bindparam("policy"))
)
_SET_IPS = Statement(update(stores).where(stores.c.id == bindparam("store_id")).values(allowed_ips=bindparam("ips")))
_SET_STORE_NAME = Statement(
    update(stores).where(stores.c.id == bindparam("store_id")).values(name=bindparam("new_name"))
)
_SET_SECRET = Statement(
    update(stores)
    .where(stores.c.id == bindparam("store_id"))
    .values(
        webhook_secret=bindparam("sealed"), webhook_secret_old=bindparam("old"),
        webhook_secret_old_until=bindparam("old_until"),
    )
)  # fmt: skip
_ROTATE_KEY = Statement(
    update(api_keys)
    .where(api_keys.c.id == bindparam("key_id"), api_keys.c.secret_sha256 == bindparam("of_sha"))
    .values(
        secret_sha256=bindparam("new_sha"), old_secret_sha256=bindparam("old_sha"),
        old_secret_until=bindparam("old_until"), tokens_from=bindparam("from_at"), token_issued_at=bindparam("none"),
        token_expires_at=bindparam("none"),
    )
    .returning(api_keys.c.id)
)  # fmt: skip
_REVOKE_KEY = Statement(
    update(api_keys)
    .where(api_keys.c.id == bindparam("key_id"), api_keys.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("at"))
    .returning(api_keys.c.id)
)
_CHANGE_CHANNEL = Statement(
    update(channels)
    .where(channels.c.id == bindparam("channel_id"))
    .values(
        {
            c: bindparam(f"new_{c}")
            for c in ("name", "credentials", "flags", "accounts", "merchant_name", "merchant_name_en", "taxation")
        }
    )
)
_SET_CHANNEL_KEYS = Statement(
    update(channels)
    .where(channels.c.id == bindparam("channel_id"))
    .values(hash_key=bindparam("new_hash"), aes_key=bindparam("new_aes"))
)
_SET_FLAGS = Statement(
    update(channels).where(channels.c.id == bindparam("channel_id")).values(flags=bindparam("new_flags"))
)
_SET_POSITION = Statement(
    update(channels).where(channels.c.id == bindparam("channel_id")).values(position=bindparam("new_position"))
)
_SET_CHANNEL_DISABLED = Statement(
    update(channels).where(channels.c.id == bindparam("channel_id")).values(disabled_at=bindparam("at"))
)
_ADD_KEY = Statement(
    insert(api_keys)
    .values({c: bindparam(c) for c in ("store_id", "imp_key", "secret_sha256", "created_at")})
    .returning(api_keys.c.id)
)
_CHANNEL_COLUMNS = (
    "store_id", "channel_key", "name", "position", "environment", "mid", "use", "hash_key", "aes_key", "credentials",
    "flags", "accounts", "addresses", "merchant_name", "merchant_name_en", "is_default", "created_at",
)  # fmt: skip
_ADD_CHANNEL = Statement(insert(channels).values({c: bindparam(c) for c in _CHANNEL_COLUMNS}).returning(channels.c.id))
_SET_DEFAULT = Statement(
    update(channels)
    .where(channels.c.store_id == bindparam("of_store"), channels.c.use == bindparam("of_use"))
    .values(is_default=bindparam("value"))
)
_SET_DEFAULT_ONE = Statement(update(channels).where(channels.c.id == bindparam("channel_id")).values(is_default=1))
_META = Statement(select(meta.c.value).where(meta.c.key == bindparam("key")))
_SET_META = insert(meta).values(key=bindparam("key"), value=bindparam("value"))
_META_SET = Statement(
    _SET_META.on_conflict_do_update(index_elements=[meta.c.key], set_={"value": _SET_META.excluded.value})
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key with the hash of its secret and its current token's times (UTC ms)."""

    id: int
    store_id: int
    imp_key: str
    secret_sha256: str
    old_secret_sha256: str | None
    old_secret_until: Instant | None
    token_issued_at: Instant | None
    token_expires_at: Instant | None
    revoked: bool
    tokens_from: Instant | None = None
    """Tokens issued before this are refused."""
    created_at: Instant = Instant(0)  # noqa: RUF009


def _key(row: Any) -> ApiKey:
    return ApiKey(
        row.id, row.store_id, row.imp_key, row.secret_sha256, row.old_secret_sha256, row.old_secret_until,
        row.token_issued_at, row.token_expires_at, row.revoked_at is not None, row.tokens_from, row.created_at,
    )  # fmt: skip


def _store(row: Any) -> Store:
    return Store(
        id=row.id,
        imp_code=row.imp_code,
        name=row.name,
        webhook_url=row.webhook_url,
        webhook_url_test=row.webhook_url_test,
        webhook_type=row.webhook_type,
        webhook_retry=row.webhook_retry,
        switches=json.loads(row.switches),
        allowed_ips=tuple(row.allowed_ips.split()),
        dunning_hour=row.dunning_hour,
    )


def _place(row: Any, column: str) -> str:
    return f"channels.{column}:{row.channel_key}"


def _channel(row: Any, vault: Vault) -> Channel:
    return Channel(
        id=row.id,
        store_id=row.store_id,
        key=row.channel_key,
        name=row.name,
        position=row.position,
        environment=Environment(row.environment),
        mid=row.mid,
        use=Use(row.use),
        hash_key=Sealed(vault.open(row.hash_key, _place(row, "hash_key"))),
        aes_key=Sealed(vault.open(row.aes_key, _place(row, "aes_key"))),
        credentials=Credentials(row.credentials),
        flags=json.loads(row.flags),
        accounts=tuple(json.loads(row.accounts)),
        addresses=json.loads(row.addresses),
        merchant_name=row.merchant_name,
        merchant_name_en=row.merchant_name_en,
        is_default=bool(row.is_default),
        disabled=row.disabled_at is not None,
        taxation=row.taxation,
    )


def store(store_id: int) -> Tx[Store | None]:
    """The store of this id."""
    rows = yield _STORE_BY_ID(id=store_id)
    return _store(rows[0]) if rows else None


def store_by_code(imp_code: str) -> Tx[Store | None]:
    """The store of this imp code."""
    rows = yield _STORE_BY_CODE(imp_code=imp_code)
    return _store(rows[0]) if rows else None


def all_stores() -> Tx[list[Store]]:
    """Every store."""
    rows = yield _ALL_STORES()
    return [_store(r) for r in rows]


def webhook_secret(store_id: int, vault: Vault) -> Tx[str]:
    """The store's webhook signing secret, ``whsec_…``."""
    rows = yield _STORE_BY_ID(id=store_id)
    row = rows[0]
    return vault.open(row.webhook_secret, f"stores.webhook_secret:{row.imp_code}")


def webhook_secrets(store_id: int, vault: Vault, now: int) -> Tx[list[str]]:
    """The secrets that sign the store's webhooks now: the current one, and the one before while it overlaps."""
    rows = yield _STORE_BY_ID(id=store_id)
    row = rows[0]
    place = f"stores.webhook_secret:{row.imp_code}"
    secrets = [vault.open(row.webhook_secret, place)]
    if row.webhook_secret_old is not None and now < (row.webhook_secret_old_until or 0):
        secrets.append(vault.open(row.webhook_secret_old, place))
    return secrets


def webhook_overlap(store_id: int) -> Tx[int | None]:
    """Until when the webhook secret before the current one still signs (UTC ms)."""
    rows = yield _STORE_BY_ID(id=store_id)
    return rows[0].webhook_secret_old_until if rows[0].webhook_secret_old is not None else None


def set_webhook_secret(store_id: int, secret: str, old_until: int | None, vault: Vault) -> Tx[None]:
    """A new webhook signing secret; the one before signs beside it until *old_until*."""
    rows = yield _STORE_BY_ID(id=store_id)
    sealed = vault.seal(secret, f"stores.webhook_secret:{rows[0].imp_code}")
    old = rows[0].webhook_secret if old_until is not None else None
    yield _SET_SECRET(store_id=store_id, sealed=sealed, old=old, old_until=old_until)


def set_webhook_retry(store_id: int, policy: str) -> Tx[None]:
    """How the store's webhooks are sent again: naru, portone or off."""
    yield _SET_RETRY(store_id=store_id, policy=policy)


def set_switches(store_id: int, switches: str) -> Tx[None]:
    """The store's switches, JSON."""
    yield _SET_SWITCHES(store_id=store_id, new_switches=switches)


def set_allowed_ips(store_id: int, networks: list[str]) -> Tx[None]:
    """From where the store's API may be called; none: from anywhere."""
    yield _SET_IPS(store_id=store_id, ips=" ".join(networks))


def set_store_name(store_id: int, name: str) -> Tx[None]:
    """A new name."""
    yield _SET_STORE_NAME(store_id=store_id, new_name=name)


def add_store(
    imp_code: str, name: str, webhook_url: str | None, secret: str, switches: str, vault: Vault, now: int
) -> Tx[int]:
    """Add a store; its webhook signing secret is sealed. Returns its id."""
    rows = yield _ADD_STORE(
        imp_code=imp_code,
        name=name,
        webhook_url=webhook_url,
        webhook_secret=vault.seal(secret, f"stores.webhook_secret:{imp_code}"),
        switches=switches,
        created_at=now,
    )
    return rows[0].id  # type: ignore[no-any-return]


def set_webhook(store_id: int, url: str | None, url_test: str | None, content_type: str) -> Tx[None]:
    """Set the store's webhook addresses and content type."""
    yield _SET_WEBHOOK(store_id=store_id, url=url, url_test=url_test, type=content_type)


def set_dunning(store_id: int, hour: int | None) -> Tx[None]:
    """Set the KST hour at which failed schedules are charged again; None: never."""
    yield _SET_DUNNING(store_id=store_id, hour=hour)


def api_key(imp_key: str, *, lock: bool = False) -> Tx[ApiKey | None]:
    """The API key of this name."""
    rows = yield (_KEY_LOCKED if lock else _KEY)(imp_key=imp_key)
    return _key(rows[0]) if rows else None


def api_key_by_id(key_id: int) -> Tx[ApiKey | None]:
    """The API key of this id."""
    rows = yield _KEY_BY_ID(id=key_id)
    return _key(rows[0]) if rows else None


def api_keys_of(store_id: int) -> Tx[list[ApiKey]]:
    """The API keys of a store, oldest first."""
    rows = yield _KEYS_OF(store_id=store_id)
    return [_key(r) for r in rows]


def add_api_key(store_id: int, imp_key: str, secret_sha256: str, now: int) -> Tx[int]:
    """Add an API key; only its secret's hash is kept. Returns its id."""
    rows = yield _ADD_KEY(store_id=store_id, imp_key=imp_key, secret_sha256=secret_sha256, created_at=now)
    return rows[0].id  # type: ignore[no-any-return]


def set_token(key_id: int, issued_at: int, expires_at: int) -> Tx[None]:
    """Remember which token a key has now."""
    yield _TOKEN(key_id=key_id, issued_at=issued_at, expires_at=expires_at)


def rotate_key(key: ApiKey, secret_sha256: str, *, old_until: int | None, tokens_from: int | None) -> Tx[bool]:
    """A new secret; the old one is good until *old_until*. False when it was rotated meanwhile."""
    rows = yield _ROTATE_KEY(
        key_id=key.id, of_sha=key.secret_sha256, new_sha=secret_sha256,
        old_sha=key.secret_sha256 if old_until is not None else None, old_until=old_until, from_at=tokens_from,
        none=None,
    )  # fmt: skip
    return bool(rows)


def revoke_key(key_id: int, now: int) -> Tx[bool]:
    """An API key is good no more. False when it already was not."""
    rows = yield _REVOKE_KEY(key_id=key_id, at=now)
    return bool(rows)


def change_channel(
    channel_id: int, *, name: str, credentials: str, flags: str, accounts: str, merchant_name: str,
    merchant_name_en: str, taxation: str,
) -> Tx[None]:  # fmt: skip
    """Change what may change of a channel; environment, MID and use stay, because its payments keep it."""
    yield _CHANGE_CHANNEL(
        channel_id=channel_id, new_name=name, new_credentials=credentials, new_flags=flags, new_accounts=accounts,
        new_merchant_name=merchant_name, new_merchant_name_en=merchant_name_en, new_taxation=taxation,
    )  # fmt: skip


def set_channel_keys(channel: Channel, hash_key: str, aes_key: str, vault: Vault) -> Tx[None]:
    """Replace a channel's keys."""
    yield _SET_CHANNEL_KEYS(
        channel_id=channel.id,
        new_hash=vault.seal(hash_key, f"channels.hash_key:{channel.key}"),
        new_aes=vault.seal(aes_key, f"channels.aes_key:{channel.key}"),
    )


def set_channel_flags(channel_id: int, flags: str) -> Tx[None]:
    """The channel's flags, JSON."""
    yield _SET_FLAGS(channel_id=channel_id, new_flags=flags)


def order_channels(channel_ids: list[int]) -> Tx[None]:
    """Put a store's channels in this order."""
    yield _SET_POSITION.many([{"channel_id": c, "new_position": n} for n, c in enumerate(channel_ids, start=1)])


def set_channel_disabled(channel_id: int, at: int | None) -> Tx[None]:
    """Take a channel out of use for new payments, or back into it. Its old payments keep it."""
    yield _SET_CHANNEL_DISABLED(channel_id=channel_id, at=at)


def channels_of(store_id: int, vault: Vault) -> Tx[list[Channel]]:
    """The store's channels in order, disabled ones included."""
    rows = yield _CHANNELS(store_id=store_id)
    return [_channel(r, vault) for r in rows]


def channel(channel_id: int, vault: Vault) -> Tx[Channel]:
    """The channel of this id. Channels are never deleted, so it exists."""
    rows = yield _CHANNEL(id=channel_id)
    return _channel(rows[0], vault)


def channels_by_mid(mid: str, vault: Vault) -> Tx[list[Channel]]:
    """All channels under one MID, whichever store has them."""
    rows = yield _CHANNELS_BY_MID(mid=mid)
    return [_channel(r, vault) for r in rows]


def all_channels(vault: Vault) -> Tx[list[Channel]]:
    """Every channel of every store."""
    rows = yield _ALL_CHANNELS()
    return [_channel(r, vault) for r in rows]


def noti_seen(channel_id: int, at: int) -> Tx[None]:
    """Remember that Hecto reached us for this channel."""
    yield _NOTI_SEEN(channel_id=channel_id, at=at)


@dataclass(frozen=True, slots=True)
class NewChannel:
    """A channel to be added; keys in the clear."""

    store_id: int
    key: str
    name: str
    environment: Environment
    mid: str
    use: Use
    hash_key: str
    aes_key: str
    credentials: Credentials
    flags: dict[str, bool]
    accounts: list[str]
    addresses: dict[str, str]
    merchant_name: str
    merchant_name_en: str
    is_default: bool

    def __repr__(self) -> str:
        return f"NewChannel({self.key})"


def add_channel(new: NewChannel, vault: Vault, now: int) -> Tx[int]:
    """Add a channel at the end of the store's order. Returns its id. Raises Conflict when the key exists."""
    others = yield _CHANNELS(store_id=new.store_id)
    if new.is_default:
        yield _SET_DEFAULT(of_store=new.store_id, of_use=new.use.value, value=0)
    rows = yield _ADD_CHANNEL(
        store_id=new.store_id,
        channel_key=new.key,
        name=new.name,
        position=max((r.position for r in others), default=0) + 1,
        environment=new.environment.value,
        mid=new.mid,
        use=new.use.value,
        hash_key=vault.seal(new.hash_key, f"channels.hash_key:{new.key}"),
        aes_key=vault.seal(new.aes_key, f"channels.aes_key:{new.key}"),
        credentials=new.credentials.value,
        flags=json.dumps(new.flags),
        accounts=json.dumps(new.accounts),
        addresses=json.dumps(new.addresses),
        merchant_name=new.merchant_name,
        merchant_name_en=new.merchant_name_en,
        is_default=int(new.is_default),
        created_at=now,
    )
    return rows[0].id  # type: ignore[no-any-return]


def set_switch(store_id: int, name: str, on: bool) -> Tx[None]:
    """Turn one of a store's switches on or off (`webhook_first`, …)."""
    rows = yield _STORE_LOCKED(id=store_id)
    switches = json.loads(rows[0].switches)
    switches[name] = on
    yield _SET_SWITCHES(store_id=store_id, new_switches=json.dumps(switches))


def make_default(channel_id: int, store_id: int, use: Use) -> Tx[None]:
    """Make one channel the default of its use."""
    yield _SET_DEFAULT(of_store=store_id, of_use=use.value, value=0)
    yield _SET_DEFAULT_ONE(channel_id=channel_id)


def get_meta(key: str) -> Tx[str | None]:
    """A one-row fact."""
    rows = yield _META(key=key)
    return rows[0].value if rows else None


def set_meta(key: str, value: str) -> Tx[None]:
    """Set a one-row fact. Of two at a time the later one counts."""
    yield _META_SET(key=key, value=value)
