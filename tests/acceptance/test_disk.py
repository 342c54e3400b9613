"""A disk that turns read-only while Naru runs, and comes back: from outside every write of the process fails."""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from naru.domain.values import MINUTE
from tests.acceptance.servers import Receiver, Servers, call

SLOW_MS = 1_000
ACCOUNT = "2022004000001"
REFUSED = "잠시 후 다시"

pytestmark = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux's prlimit")


@pytest.fixture
def servers(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Servers]:
    shutil.copyfile(migrated_sqlite, tmp_path / "naru.db")
    made = Servers(tmp_path / "data", f"sqlite:///{tmp_path / 'naru.db'}", log_level="info")
    made.prepare()
    made.start_sandbox()
    made.start_gateway()
    yield made
    made.stop()


@contextmanager
def read_only(pid: int) -> Generator[None]:
    """Nothing that the process writes into a file is taken, to SQLite the same as EROFS (SQLITE_IOERR_WRITE).

    A file system with files that are open for writing cannot be remounted read-only by hand; it turns by itself when
    its disk fails. How that looked is told in docs/reliability.
    """
    prlimit = getattr(resource, "prlimit")  # noqa: B009 - Linux only
    before = prlimit(pid, resource.RLIMIT_FSIZE)
    prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        prlimit(pid, resource.RLIMIT_FSIZE, before)


def test_a_disk_that_turns_read_only_loses_nothing_and_needs_no_restart(servers: Servers) -> None:
    """Nothing new is begun, look-ups answer, notis are refused; what was under way is found out when it is back."""
    assert servers.gateway is not None
    shop = Receiver()
    first = servers.pay("before", notice_url=shop.url)["response"]
    second = servers.pay("before, too", notice_url=shop.url)["response"]
    token = servers.token()

    def ask(path: str, body: object = None, method: str | None = None) -> tuple[int, str]:
        status, said = call(f"{servers.url}{path}", body, headers=token, method=method)
        return status, said.get("message") or said.get("status") or said["response"].get("status")

    account = {"merchant_uid": "deposit", "amount": 1_000, "vbank_num": ACCOUNT, "vbank_holder": "나루",
               "pg": "settle.nxva_fix", "notice_url": shop.url}  # fmt: skip
    assert ask("/vbanks", account)[0] == 200
    servers.fault("delay", "M05", ms=SLOW_MS, where="after")
    servers.fault("delay", "M09", ms=SLOW_MS, where="after")
    log = servers.data_dir / "gateway.log"
    with ThreadPoolExecutor(2) as shops:
        card = {"amount": 1_000, "name": "시험", "card_number": "4111-1111-1111-1111", "expiry": "2030-12",
                "notice_url": shop.url}  # fmt: skip
        paying = shops.submit(ask, "/subscribe/payments/onetime", card | {"merchant_uid": "under way"})
        cancelling = shops.submit(ask, "/payments/cancel", {"imp_uid": first["imp_uid"], "amount": 400})
        until = time.monotonic() + 10
        while call(f"{servers.sandbox_url}/_sandbox/faults")[1]["faults"]:
            assert time.monotonic() < until
            time.sleep(0.02)
        before = log.stat().st_size
        with read_only(servers.gateway.pid):
            for status, said in (paying.result(), cancelling.result()):
                assert (status, REFUSED in said) == (503, True)
            begun = len(servers.book())
            for path, body, method in (
                ("/subscribe/payments/onetime", card | {"merchant_uid": "meanwhile"}, "POST"),
                ("/payments/cancel", {"imp_uid": second["imp_uid"]}, "POST"),
                ("/vbanks", account | {"merchant_uid": "meanwhile, too", "vbank_num": "2022004000002"}, "POST"),
            ):
                status, said = ask(path, body, method)
                assert (status, REFUSED in said) == (503, True), path
            assert len(servers.book()) == begun
            assert servers.complaints() == []
            assert ask(f"/payments/{first['imp_uid']}") == (200, "paid")
            assert ask("/payments/find/under%20way") == (200, "ready")
            assert ask("/health")[0] == 503
            paid_in = {"account": ACCOUNT, "amount": 1_000, "depositor": "김철수"}
            assert call(f"{servers.sandbox_url}/_sandbox/deposits", paid_in)[1]["trdNo"]
            call(f"{servers.sandbox_url}/_sandbox/drain", {})
            refused = call(f"{servers.sandbox_url}/_sandbox/notis?limit=1")[1]["notis"][0]
            assert [a["answer"] for a in refused["attempts"]] == ["FAIL"]
        assert servers.gateway.poll() is None
        assert log.stat().st_size == before  # it could not say anything either
    assert ask("/health") == (200, "ok")
    assert ask("/subscribe/payments/onetime", card | {"merchant_uid": "meanwhile"}) == (200, "paid")
    servers.advance(20 * MINUTE)
    token.update(servers.token())
    orders = ("before", "before, too", "under way", "meanwhile", "deposit")
    found = {order: servers.find(order)["response"] for order in orders}
    assert {order: (p["status"], p["cancel_amount"]) for order, p in found.items()} == {
        "before": ("cancelled", 400), "before, too": ("paid", 0), "under way": ("paid", 0),
        "meanwhile": ("paid", 0), "deposit": ("paid", 0),
    }  # fmt: skip
    assert [p["amount"] for p in servers.book()] == [1_000] * len(orders)
    told = {(b["merchant_uid"], b["status"]) for b in shop.bodies()}
    assert told >= {("before", "cancelled"), ("under way", "paid"), ("meanwhile", "paid"), ("deposit", "paid")}
    assert servers.complaints() == []
    shop.close()
