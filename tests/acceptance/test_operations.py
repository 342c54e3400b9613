"""What happens to a machine: told to stop, stopped and continued, its database away, its disk read-only."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from naru.chaos.town import Town
from naru.domain.values import MINUTE
from tests.acceptance.servers import DEV_KEY, DEV_SECRET, Receiver, Servers, call, free_port
from tests.cluster import Cluster, run_async
from tests.live import until

SLOW_MS = 1_000


def test_who_is_told_to_stop_finishes_what_is_under_way(servers: Servers) -> None:
    """SIGTERM under load: every payment that was begun is answered with its result, then the process ends."""
    servers.start_gateway()
    many = 6
    servers.fault("delay", "M05", ms=SLOW_MS, times=many)
    servers.token()
    with ThreadPoolExecutor(many) as shops:
        paying = [shops.submit(servers.pay, f"order-{n}") for n in range(many)]
        until(lambda: not call(f"{servers.sandbox_url}/_sandbox/faults")[1]["faults"])
        assert servers.gateway is not None
        servers.gateway.send_signal(signal.SIGTERM)
        answers = [p.result() for p in paying]
    assert [a["code"] for a in answers] == [0] * many
    assert servers.gateway.wait(40) in (0, -signal.SIGTERM)
    with pytest.raises(OSError):  # noqa: PT011 - nobody listens any more
        servers.token()
    servers.start_gateway()
    assert {servers.find(f"order-{n}")["response"]["status"] for n in range(many)} == {"paid"}
    assert len(servers.book()) == many


# ── many processes on PostgreSQL ─────────────────────────────────────────────


@pytest.fixture(scope="module")
def town(cluster: Cluster, migrated_postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A sandbox, two gateways and a worker on one database."""
    cluster.sql(f"CREATE DATABASE town TEMPLATE {migrated_postgres}")
    made = Town(
        tmp_path_factory.mktemp("town"), cluster.url("town"), "127.0.0.1", port=free_port(), sandbox_port=free_port(),
        shop_port=free_port(), second_port=free_port(),
    )  # fmt: skip
    made.prepare()

    async def start() -> None:
        await made.start_all()

    run_async(start())
    yield made
    run_async(made.stop())
    cluster.sql("DROP DATABASE town WITH (FORCE)")


def ask(url: str, path: str, body: object = None) -> tuple[int, Any]:
    """A shop's request to one of the gateways."""
    _, said = call(f"{url}/users/getToken", {"imp_key": DEV_KEY, "imp_secret": DEV_SECRET})
    return call(f"{url}{path}", body, headers={"Authorization": said["response"]["access_token"]})


def order(merchant_uid: str, shop: Receiver) -> dict[str, object]:
    return {
        "merchant_uid": merchant_uid, "amount": 1_000, "name": "시험", "card_number": "4111-1111-1111-1111",
        "expiry": "2039-12", "notice_url": shop.url,
    }  # fmt: skip


def kept(town: Town) -> list[tuple[str, int]]:
    """What the sandbox's book says was paid and not given back."""
    found = call(f"{town.sandbox_url}/_sandbox/transactions?limit=500")[1]["transactions"]
    return [(t["mchtTrdNo"], t["balance"]) for t in found if t["kind"] == "pay" and t["state"] == "done"]


def test_who_was_stopped_for_longer_than_its_lease_does_nothing_twice(town: Town, shop: Receiver) -> None:
    """SIGSTOP while Hecto answers: another process settles the payment; who wakes up (SIGCONT) finds it settled."""
    first, second = town.gateways
    ask(first, "/payments/nobody")
    call(f"{town.sandbox_url}/_sandbox/faults", {"name": "delay", "message": "M05", "ms": SLOW_MS})
    with ThreadPoolExecutor(1) as buyer:
        paying = buyer.submit(ask, first, "/subscribe/payments/onetime", order("stopped", shop))
        until(lambda: not call(f"{town.sandbox_url}/_sandbox/faults")[1]["faults"])
        town.running["gateway"].send_signal(signal.SIGSTOP)
        try:
            status, _ = call(f"{second}/_dev/clock", {"advance_ms": 5 * MINUTE}, timeout=60)
            assert status == 200
            _, found = ask(second, "/payments/find/stopped")
            assert found["response"]["status"] == "paid"
        finally:
            town.running["gateway"].send_signal(signal.SIGCONT)
        status, said = paying.result()
    assert (status, said["code"]) == (200, 0)
    assert said["response"]["imp_uid"] == found["response"]["imp_uid"]
    assert kept(town) == [(found["response"]["imp_uid"], 1_000)]
    until(lambda: bool(shop.received))
    assert {r["headers"]["webhook-id"] for r in shop.received if r["body"]["merchant_uid"] == "stopped"} == {
        shop.received[0]["headers"]["webhook-id"]
    }
    _, back = ask(second, "/payments/cancel", {"imp_uid": found["response"]["imp_uid"]})
    assert back["response"]["cancel_amount"] == 1_000
    assert call(f"{town.sandbox_url}/_sandbox/complaints")[1]["complaints"] == []


def test_a_database_that_is_away_is_said_so_and_nothing_is_lost(town: Town, cluster: Cluster, shop: Receiver) -> None:
    """While it is away nothing is begun; what was owed before is delivered after."""
    first, second = town.gateways
    shop.status = 500
    _, before = ask(first, "/subscribe/payments/onetime", order("before", shop))
    assert before["code"] == 0
    until(lambda: any(b["merchant_uid"] == "before" for b in shop.bodies()))
    token = call(f"{first}/users/getToken", {"imp_key": DEV_KEY, "imp_secret": DEV_SECRET})[1]["response"]
    begun = len(kept(town))
    cluster.stop()
    try:
        for url in (first, second):
            header = {"Authorization": token["access_token"]}
            status, said = call(f"{url}/subscribe/payments/onetime", order("meanwhile", shop), headers=header)
            assert (status, said["response"]) == (503, None)
            assert "잠시 후 다시" in said["message"]
            assert call(f"{url}/health")[0] == 503
    finally:
        cluster.start()
    assert len(kept(town)) == begun
    shop.status = 200
    until(lambda: call(f"{first}/health")[0] == call(f"{second}/health")[0] == 200)
    _, after = ask(second, "/subscribe/payments/onetime", order("meanwhile", shop))
    assert after["code"] == 0
    tries = sum(b["merchant_uid"] == "before" for b in shop.bodies())
    call(f"{first}/_dev/clock", {"advance_ms": 2 * MINUTE}, timeout=60)
    until(lambda: sum(b["merchant_uid"] == "before" for b in shop.bodies()) > tries)
    assert len(kept(town)) == begun + 1


# ── the disk ─────────────────────────────────────────────────────────────────

READ_ONLY = textwrap.dedent("""
    import asyncio, os, sys
    from naru.store import sqlite
    from naru.store.db import Unavailable, open_database

    async def main(path, user):
        if user:
            os.setgid(int(user)), os.setuid(int(user))
        try:
            db = await open_database(f"sqlite:///{path}")
        except Unavailable as refused:
            print(f"refused: {refused}")
            return
        print("opened")
        await db.close()

    asyncio.run(main(sys.argv[1], sys.argv[2]))
""")


async def test_a_read_only_disk_is_refused_at_the_start_and_stays_as_it_was(
    migrated_sqlite: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    file = folder / "naru.db"
    shutil.copyfile(migrated_sqlite, file)
    file.chmod(0o444)
    folder.chmod(0o555)
    user = ""
    if os.geteuid() == 0:  # nothing is read-only for root
        user = str(pwd.getpwnam("nobody").pw_uid)
        for above in (tmp_path, *tmp_path.parents[:3]):
            above.chmod(above.stat().st_mode | 0o055)
    before = file.read_bytes()
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", READ_ONLY, str(file), user], capture_output=True, text=True, check=False
    )
    folder.chmod(0o755)
    assert done.stdout.startswith("refused: "), done.stdout + done.stderr
    assert "read" in done.stdout.lower()
    assert file.read_bytes() == before
    assert [f.name for f in folder.iterdir()] == ["naru.db"]
