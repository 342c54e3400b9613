"""`naru account`: what an operator types about an account issue that nobody can settle."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from naru.domain.values import MINUTE
from naru.pan import CardSecret
from naru.store.db import open_database
from tests.acceptance.nursery import nursery
from tests.acceptance.servers import Servers
from tests.shop import open_shop

NUMBERS = ("2022004000005", "2022004000006")


async def _issue_two_that_get_stuck(url: str) -> list[tuple[str, str]]:
    """Escrow issues whose every answer and noti is lost: imp_uid, and the number that Hecto gave it."""
    shop = await open_shop(await open_database(url))
    found: list[tuple[str, str]] = []
    for number in NUMBERS:
        shop.gateway.faults = ["lost_after"] * 9
        secret = CardSecret("1234")
        done = await shop.account(number=number, escrow_password=secret, buyer_email="a@b.kr")
        imp_uid = done.settled.payment.imp_uid
        found.append((imp_uid, shop.gateway.bank.accounts[imp_uid].tid))
    shop.gateway.faults = []
    await shop.pass_time(15 * MINUTE)
    await shop.cx.db.close()
    return found


def test_an_operator_settles_what_only_hectos_staff_knows(migrated_sqlite: Path, tmp_path: Path) -> None:
    shutil.copyfile(migrated_sqlite, tmp_path / "naru.db")
    servers = Servers(tmp_path / "data", f"sqlite:///{tmp_path / 'naru.db'}")
    servers.prepare()
    (servers.data_dir / "master.key").write_text((b"k" * 32).hex())
    (one, tid), (other, _) = asyncio.run(_issue_two_that_get_stuck(servers.database_url))

    def naru(*arguments: str, code: int = 0) -> str:
        ended, said = nursery().run(["account", *arguments, "--data-dir", str(servers.data_dir)])
        assert ended == code, said
        return said

    listed = naru("unknown").splitlines()
    assert [line.split()[0] for line in listed] == [one, other]
    assert all("담당자 확인 필요" in line and "nxva_fix" in line for line in listed)
    assert "trdNo" in naru("issued", one, "no", code=1)
    assert "말소합니다" in naru("issued", one, tid)
    assert "Recorded as never issued" in naru("never", other)
    assert naru("unknown") == ""
