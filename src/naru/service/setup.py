"""Making stores, keys and channels: the development store with its published credentials, and real ones."""

from __future__ import annotations

import base64
import json
import re
import secrets
from dataclasses import dataclass

from naru.domain.channel import Channel, Credentials, Environment, Store, Use
from naru.domain.refusal import Refused, Why
from naru.service.access import sha256_hex
from naru.service.context import Context
from naru.store import stores
from naru.store.db import Tx
from naru.store.stores import NewChannel

DEV_IMP_CODE = "imp00000000"
DEV_IMP_KEY = "imp_apikey"
DEV_IMP_SECRET = "ekKoeW8RyKuT0zgaZsUtXXTLQ4AhPFW3ZGseDA6bkA5lamv9OqDMnxyeB9wqOsuO9W3Mx9YSJ4dTqJ3f"  # noqa: S105 - published
"""The public demo credentials that PortOne's client libraries test with; never in production."""
SANDBOX_HASH_KEY = "ST1009281328226982205"
SANDBOX_AES_KEY = "pgSettle30y739r82jtd709yOfZ2yK5K"
"""Hecto's published test keys: anybody can sign with them, so test money buys nothing."""
CHANNEL_NAME = re.compile(r"[0-9A-Za-z가-힣ㄱ-ㅎㅏ-ㅣ _-]{1,100}\Z")
CHECK_VALUE = "naru"


@dataclass(frozen=True, slots=True)
class NewStore:
    """A store just made; the secrets are shown once and not kept in the clear."""

    store_id: int
    imp_code: str
    imp_key: str
    imp_secret: str
    webhook_secret: str


def new_webhook_secret() -> str:
    """A Standard Webhooks secret."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _make_store(cx: Context, new: NewStore, name: str, webhook_url: str | None, switches: dict[str, bool]) -> Tx[int]:
    now = cx.clock()
    store_id = yield from stores.add_store(
        new.imp_code, name, webhook_url, new.webhook_secret, json.dumps(switches), cx.vault, now
    )
    yield from stores.add_api_key(store_id, new.imp_key, sha256_hex(new.imp_secret), now)
    return store_id


async def make_store(cx: Context, name: str, webhook_url: str | None = None) -> NewStore:
    """A store with fresh keys. Its secret and webhook secret can be read this once."""
    new = NewStore(
        0,
        "imp" + cx.digits(8),
        cx.digits(16),
        secrets.token_urlsafe(60),
        new_webhook_secret(),
    )
    store_id = await cx.db.write(_make_store, cx, new, name, webhook_url, {})
    return NewStore(store_id, new.imp_code, new.imp_key, new.imp_secret, new.webhook_secret)


async def check_master_key(cx: Context) -> None:
    """Make sure that this master key opens this database. Raises WrongMasterKey."""
    found = await cx.db.read(stores.get_meta, "master_key_check")
    if found is None:
        sealed = cx.vault.seal(CHECK_VALUE, "meta.master_key_check").hex()
        await cx.db.write(stores.set_meta, "master_key_check", sealed)
        return
    cx.vault.open(bytes.fromhex(found), "meta.master_key_check")


def _accounts(bank: str, first: int, last: int) -> list[str]:
    return [f"{bank}:{n}" for n in range(first, last + 1)]


def dev_channels(store_id: int) -> list[NewChannel]:
    """The development channels."""

    def channel(
        key: str, name: str, mid: str, use: Use, credentials: Credentials = Credentials.NONE, *,
        default: bool = False, accounts: list[str] | None = None, **flags: bool,
    ) -> NewChannel:  # fmt: skip
        return NewChannel(
            store_id=store_id,
            key=key,
            name=name,
            environment=Environment.SANDBOX,
            mid=mid,
            use=use,
            hash_key=SANDBOX_HASH_KEY,
            aes_key=SANDBOX_AES_KEY,
            credentials=credentials,
            flags={"partial_cancel": True, "refund": True, **flags},
            accounts=accounts or [],
            addresses={},
            merchant_name="나루 상점",
            merchant_name_en="Naru Shop",
            is_default=default,
        )

    fixed = _accounts("004", 2022004000001, 2022004000050) + _accounts("011", 2022011000001, 2022011000050)
    unlimited = _accounts("004", 2022004000056, 2022004000100) + _accounts("011", 2022011000056, 2022011000100)
    return [
        channel("channel-key-dev-window", "결제창 일반결제", "portone1", Use.WINDOW, default=True, vbank_api=True, rotating_account=True, escrow=True),
        channel("channel-key-dev-keyin", "API 수기결제 카유", "nxca_jt_bi", Use.API, Credentials.CARD, default=True),
        channel("channel-key-dev-keyin-auth", "API 수기결제 카유비생", "nxca_ks_gu", Use.API, Credentials.CARD_BIRTH_PASSWORD, standalone_key=True),
        channel("channel-key-dev-split", "결제창 인증-승인 분리", "nxca_jt_hd", Use.WINDOW, split=True),
        channel("channel-key-dev-vbank", "고정식 가상계좌", "nxva_fix", Use.API, accounts=fixed, vbank_api=True, fixed_account=True, escrow=True),
        channel("channel-key-dev-vbank-unlimited", "고정식 무제한 가상계좌", "nxva_fix2", Use.API, accounts=unlimited, vbank_api=True, unlimited_account=True),
    ]  # fmt: skip


def _ensure_dev(cx: Context, webhook_url: str) -> Tx[bool]:
    found = yield from stores.store_by_code(DEV_IMP_CODE)
    if found is not None:
        return False
    new = NewStore(0, DEV_IMP_CODE, DEV_IMP_KEY, DEV_IMP_SECRET, new_webhook_secret())
    store_id = yield from _make_store(cx, new, "나루 데모 상점", webhook_url, {})
    for channel in dev_channels(store_id):
        yield from stores.add_channel(channel, cx.vault, cx.clock())
    return True


async def ensure_dev_store(cx: Context, webhook_url: str) -> bool:
    """Make the development store if it is not there. Development only. True when it was made."""
    assert cx.development
    return await cx.db.write(_ensure_dev, cx, webhook_url)


def unsafe_for_production(all_stores: list[Store], channels: list[Channel]) -> list[str]:
    """Why this database must not be served in production: published credentials and keys (in Korean)."""
    problems = [
        f"공개된 개발용 상점({s.imp_code})이 있습니다. `naru init`으로 새 데이터베이스를 만드세요."
        for s in all_stores
        if s.imp_code == DEV_IMP_CODE
    ]
    problems += [
        f"실연동 채널 '{c.name}'({c.key})이 공개된 테스트 키를 쓰고 있습니다."
        for c in channels
        if c.environment is Environment.LIVE
        and (c.hash_key.reveal() == SANDBOX_HASH_KEY or c.aes_key.reveal() == SANDBOX_AES_KEY)
    ]
    return problems


async def add_channel(
    cx: Context, *, store_id: int, name: str, environment: Environment, mid: str, use: Use, hash_key: str | None,
    aes_key: str | None, credentials: Credentials = Credentials.NONE, flags: dict[str, bool] | None = None,
    accounts: list[str] | None = None, addresses: dict[str, str] | None = None, merchant_name: str = "상점",
    merchant_name_en: str = "Shop", default: bool = False, key: str | None = None,
) -> str:  # fmt: skip
    """Add a channel and return its key. Raises Refused (PARAMETER) naming what is wrong."""
    if not CHANNEL_NAME.match(name):
        raise Refused(Why.PARAMETER, name="name", problem="숫자, 공백, 글자, _, - 만 쓸 수 있습니다")
    if not re.fullmatch(r"[0-9A-Za-z_]{1,12}", mid):
        raise Refused(Why.PARAMETER, name="mid", problem="12자 이하의 영문, 숫자, _ 여야 합니다")
    if environment is Environment.LIVE:
        if not hash_key or not aes_key:
            raise Refused(Why.PARAMETER, name="hash_key, aes_key", problem="실연동에는 계약 키가 필요합니다")
        if hash_key == SANDBOX_HASH_KEY or aes_key == SANDBOX_AES_KEY:
            raise Refused(Why.PARAMETER, name="hash_key, aes_key", problem="공개된 테스트 키는 실연동에 쓸 수 없습니다")
    aes_key = aes_key or SANDBOX_AES_KEY
    if len(aes_key.encode()) != 32:
        raise Refused(Why.PARAMETER, name="aes_key", problem="32자여야 합니다")
    if use is Use.API and credentials is Credentials.NONE and not (flags or {}).get("vbank_api"):
        raise Refused(
            Why.PARAMETER, name="credentials", problem="API 채널은 수기결제 계약 종류나 가상계좌 계약이 필요합니다"
        )
    new = NewChannel(
        store_id=store_id,
        key=key or f"channel-key-{secrets.token_hex(16)}",
        name=name,
        environment=environment,
        mid=mid,
        use=use,
        hash_key=hash_key or SANDBOX_HASH_KEY,
        aes_key=aes_key,
        credentials=credentials,
        flags=flags or {},
        accounts=accounts or [],
        addresses=addresses or {},
        merchant_name=merchant_name,
        merchant_name_en=merchant_name_en,
        is_default=default,
    )
    await cx.db.write(stores.add_channel, new, cx.vault, cx.clock())
    cx.forget()
    return new.key
