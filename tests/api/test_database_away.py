"""PostgreSQL gone for longer than every limit of ours: said so, nothing begun, nothing lost, and everything after."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.api.test_every_fault import CARD, REFUND, Case, account, book, check_books, deposit
from tests.cluster import Cluster
from tests.live import Answer, Live, live

from naru.domain.values import MINUTE, SECOND

SLOW_MS = 1_500
ONETIME = ("POST", "/subscribe/payments/onetime")
GOOD = CARD | {"amount": 3_000, "name": "상품"}
QUICKLY_S = 6.0
"""Five seconds are the longest that a connection is sought for."""


@pytest.fixture(scope="module")
def naru(
    cluster: Cluster, migrated_postgres: str, migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    cluster.sql(f"CREATE DATABASE away TEMPLATE {migrated_postgres}")
    with live(migrated_sqlite, tmp_path_factory.mktemp("live"), database_url=cluster.url("away")) as running:
        yield running
    cluster.sql("DROP DATABASE away WITH (FORCE)")


def timed(naru: Live, method: str, path: str, given: dict[str, Any] | None = None) -> Answer:
    began = time.monotonic()
    answer = naru.call(method, path, given)
    assert time.monotonic() - began < QUICKLY_S, path
    return answer


def notis(naru: Live) -> dict[int, list[str]]:
    """What the sandbox was answered each time it told its news, by the noti's number."""
    found = naru.sandbox_get("/_sandbox/notis?limit=500")["notis"]
    return {n["id"]: [a["answer"] for a in n["attempts"]] for n in found}


def later(naru: Live, ms: int) -> None:
    """Time passes while nobody could be asked for a new token."""
    token = naru.token
    naru.jump(ms)
    naru._token = token


def test_a_minute_without_the_database_loses_and_doubles_nothing(naru: Live, cluster: Cluster) -> None:
    """Payments, a cancel and a deposit are under way when it goes; leases, pauses and the 60 seconds for which "no
    such trade" is not believed all run out before it is back."""
    kept = Case("before", naru.order())
    kept.imp_uid = naru.paid(merchant_uid=kept.merchant_uid)["imp_uid"]
    given_back = Case("cancel under way", naru.order())
    given_back.imp_uid = naru.paid(merchant_uid=given_back.merchant_uid)["imp_uid"]
    waiting, unpaid = account(naru, "deposit meanwhile"), account(naru, "no deposit")
    naru.sandbox_post("/_sandbox/drain")
    naru.shop.wait(4)  # two approvals, two accounts
    naru.shop.statuses = [500]
    owed = Case("webhook owed", naru.order())
    owed.imp_uid = naru.paid(merchant_uid=owed.merchant_uid)["imp_uid"]
    naru.shop.wait(5)
    under_way = [Case("payment under way", naru.order()) for _ in range(3)]
    meanwhile = [Case("meanwhile", naru.order()) for _ in range(3)]
    naru.fault("delay", message="M05", ms=SLOW_MS, where="after", times=len(under_way))
    naru.fault("delay", message="M09", ms=SLOW_MS, where="after")
    known, heard = set(book(naru)), set(notis(naru))
    told_before = len(naru.shop.hooks)

    with capture_logs() as said, ThreadPoolExecutor(8) as shops:
        paying = [shops.submit(naru.onetime, merchant_uid=case.merchant_uid) for case in under_way]
        paying.append(shops.submit(naru.post, "/payments/cancel", {"imp_uid": given_back.imp_uid, "amount": 1_000}))
        until = time.monotonic() + 10
        while naru.sandbox_get("/_sandbox/faults")["faults"]:
            assert time.monotonic() < until
            time.sleep(0.02)
        cluster.stop()
        try:
            assert deposit(naru, waiting)
            lost = [p.result() for p in paying]
            assert [(a.status, a.response) for a in lost] == [(503, None)] * len(lost)
            for _ in range(2):
                later(naru, 40 * SECOND)
                asked = [
                    *(shops.submit(timed, naru, *ONETIME, GOOD | {"merchant_uid": c.merchant_uid}) for c in meanwhile),
                    shops.submit(timed, naru, "GET", f"/payments/{kept.imp_uid}"),
                    shops.submit(timed, naru, "POST", "/payments/cancel", {"imp_uid": kept.imp_uid}),
                    shops.submit(timed, naru, "DELETE", f"/vbanks/{unpaid.imp_uid}"),
                    shops.submit(timed, naru, "GET", "/health"),
                ]
                answers = [a.result() for a in asked]
                assert [a.status for a in answers] == [503] * len(answers)
                assert [a.response for a in answers] == [None] * len(answers)
                assert ["잠시 후 다시" in (a.message or "") for a in answers] == [True] * len(answers)
                naru.sandbox_post("/_sandbox/drain")
            # Hecto did what it had been asked before, and nothing else.
            trades = book(naru)
            assert len(trades) == len(known) + len(under_way) + 1
            assert [trades[c.imp_uid].cancelled for c in (kept, given_back)] == [0, 1_000]
            # Those notis were refused, so they are owed.
            refused = [answers for noti, answers in notis(naru).items() if noti not in heard]
            assert len(refused) == len(under_way) + 1
            assert {tuple(answers) for answers in refused} == {("FAIL", "FAIL")}
        finally:
            cluster.start()
    assert len(naru.shop.hooks) == told_before
    loud = [e["event"] for e in said if e["log_level"] in ("error", "critical")]
    assert set(loud) <= {"database.unavailable", "jobs.unavailable", "notice.unavailable", "job.unavailable",
                         "check.unavailable"}  # fmt: skip
    assert len(loud) <= 12, loud  # one of each kind in a minute, however many met it
    assert not [e for e in said if e.get("exc_info")]

    until = time.monotonic() + 5
    while naru.send("GET", "/health").status != 200:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert naru.get(f"/payments/{kept.imp_uid}").response["status"] == "paid"
    for case in meanwhile:
        assert naru.onetime(merchant_uid=case.merchant_uid).code == 0
    naru.pass_time(20 * MINUTE)
    naru.sandbox_post("/_sandbox/drain")
    everyone = [kept, given_back, owed, waiting, *under_way, *meanwhile]
    found = {c.merchant_uid: naru.get(f"/payments/find/{c.merchant_uid}").response for c in everyone}
    assert {c.fault: found[c.merchant_uid]["status"] for c in everyone} == {
        "before": "paid", "cancel under way": "cancelled", "webhook owed": "paid", "deposit meanwhile": "paid",
        "payment under way": "paid", "meanwhile": "paid",
    }  # fmt: skip
    assert found[given_back.merchant_uid]["cancel_amount"] == 1_000
    told = {(h.fields["merchant_uid"], h.fields["status"]) for h in naru.shop.hooks[told_before:]}
    assert told >= {(c.merchant_uid, "paid") for c in (owed, waiting, *under_way, *meanwhile)}
    assert (given_back.merchant_uid, "cancelled") in told
    assert len(book(naru)) == len(known) + len(under_way) + len(meanwhile) + 1
    # Whoever tries an order again whose payment was lost to him hears that it is paid.
    assert naru.onetime(merchant_uid=under_way[0].merchant_uid).message == "이미 결제가 이루어진 거래건입니다."
    refunded = naru.post("/payments/cancel", {"imp_uid": waiting.imp_uid} | REFUND)
    assert refunded.code == 0
    check_books(naru, everyone)
