"""Backups: taken while somebody writes, private, without the key; restored, the shop pays on."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest
from tests.cluster import Cluster
from tests.conftest import Open
from tests.shop import Shop, open_shop

from naru.service import doctor
from naru.store import backup, migrate, stores
from naru.store.db import Tx, open_database
from naru.store.vault import Vault, WrongMasterKey

VAULT = Vault(b"k" * 32)


@pytest.fixture
def elsewhere(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Where to restore to: nothing is there yet."""
    if dialect == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'naru.db'}"
    cluster: Cluster = request.getfixturevalue("cluster")
    cluster.sql("DROP DATABASE IF EXISTS elsewhere WITH (FORCE)", "CREATE DATABASE elsewhere TEMPLATE template0")
    return cluster.url("elsewhere")


async def pay_on(shop: Shop, imp_uid: str) -> None:
    """What came back is right, and new payments, cancels and letters find their places."""
    await shop.cancel(imp_uid, 400)
    new = (await shop.pay(merchant_uid="after")).settled.payment.imp_uid
    assert (await shop.shown(new)).status == "paid"
    await shop.runner.drain()
    shop.clock.advance(10 * 60_000)
    assert await doctor.examine(shop.cx) == []


async def test_a_backup_taken_under_load_is_whole_and_the_shop_pays_on_from_it(
    database_url: str, open_db: Open, elsewhere: str, tmp_path: Path
) -> None:
    shop = await open_shop(await open_db(database_url))
    first = (await shop.pay(1000, merchant_uid="before")).settled.payment.imp_uid
    paying = asyncio.gather(*(shop.pay(merchant_uid=f"during-{n}") for n in range(20)))
    copy = tmp_path / "copy"
    size = await backup.backup(database_url, copy)
    await paying
    assert size == copy.stat().st_size > 0
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert (b"k" * 32) not in copy.read_bytes()

    assert await backup.restore(elsewhere, copy, VAULT) is None
    restored = await open_shop(await open_db(elsewhere))
    restored.cx.gateway = restored.gateway = shop.gateway  # the other side has forgotten nothing
    restored.clock.at = shop.clock.at
    row = await restored.shown(first)
    assert (row.status, row.amount, row.merchant_uid) == ("paid", 1000, "before")
    await pay_on(restored, first)


async def test_a_backup_needs_its_master_key(database_url: str, open_db: Open, elsewhere: str, tmp_path: Path) -> None:
    await open_shop(await open_db(database_url))
    await backup.backup(database_url, tmp_path / "copy")
    with pytest.raises(WrongMasterKey):
        await backup.restore(elsewhere, tmp_path / "copy", Vault(b"x" * 32))
    if elsewhere.startswith("sqlite"):
        assert not migrate.sqlite_path(elsewhere).exists()
    else:
        other = await open_database(elsewhere)
        assert await other.read(how_many_stores) == 0
        await other.close()


def how_many_stores() -> Tx[int]:
    return len((yield from stores.all_stores()))


async def test_a_backup_never_writes_over_a_file(database_url: str, open_db: Open, tmp_path: Path) -> None:
    await open_shop(await open_db(database_url))
    (tmp_path / "copy").write_text("precious")
    with pytest.raises(backup.BadBackup):
        await backup.backup(database_url, tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "precious"


async def test_restore_never_writes_over_a_database(database_url: str, open_db: Open, tmp_path: Path) -> None:
    shop = await open_shop(await open_db(database_url))
    await backup.backup(database_url, tmp_path / "copy")
    imp_uid = (await shop.pay()).settled.payment.imp_uid
    with pytest.raises(backup.BadBackup):
        await backup.restore(database_url, tmp_path / "copy", VAULT)
    assert (await shop.shown(imp_uid)).status == "paid"


async def test_a_file_that_is_no_backup_is_refused(elsewhere: str, tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(b"not a backup at all" * 100)
    with pytest.raises(backup.BadBackup):
        await backup.restore(elsewhere, tmp_path / "copy", VAULT)


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_replacing_needs_the_server_to_be_stopped_and_keeps_the_old_file(
    database_url: str, open_db: Open, tmp_path: Path
) -> None:
    db = await open_db(database_url)
    shop = await open_shop(db)
    imp_uid = (await shop.pay()).settled.payment.imp_uid
    await backup.backup(database_url, tmp_path / "copy")
    later = (await shop.pay()).settled.payment.imp_uid
    with pytest.raises(backup.BadBackup, match="Stop the server"):
        await backup.restore(database_url, tmp_path / "copy", VAULT, replace=True)
    await db.close()
    aside = await backup.restore(database_url, tmp_path / "copy", VAULT, replace=True)
    assert aside is not None
    back = await open_shop(await open_db(database_url))
    assert (await back.shown(imp_uid)).status == "paid"
    old = await open_shop(await open_db(f"sqlite:///{aside}"))
    assert (await old.shown(later)).status == "paid"
