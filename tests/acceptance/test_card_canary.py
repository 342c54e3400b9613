"""A card number at every endpoint, in processes that die and in one whose database breaks: found nowhere afterwards.

(`tests/api/test_card_canary.py` does everything that a living process does with one.)
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import apsw
import asyncpg
import pytest

from naru.store import migrate
from tests.acceptance.servers import Servers, call
from tests.cluster import Cluster, run_async
from tests.live import send

NUMBER, SHOWN = "5105105105105100", "5105-1051-0510-5100"
BIRTH, EXPIRY = "4938271605", "2071-07"  # a business number and a month that stand nowhere else
NEEDLES = [NUMBER, SHOWN, SHOWN.replace("-", " "), SHOWN.replace("-", "%20"), BIRTH, EXPIRY, EXPIRY.replace("-", "")]
CARD: dict[str, Any] = {"card_number": SHOWN, "expiry": EXPIRY, "birth": BIRTH, "pwd_2digit": "97"}
AUTH = "channel-key-dev-keyin-auth"
ENDPOINTS = (
    "/users/getToken", "/subscribe/payments/onetime", "/subscribe/payments/again", "/subscribe/payments/schedule",
    "/subscribe/payments/unschedule", "/subscribe/customers/canary", "/payments/cancel", "/payments/prepare", "/vbanks",
    "/receipts/imp_1", "/receipts/external/x", "/sdk/open", "/settle_payments/notice", "/settle_payments/next/a/b",
    "/settle_payments/precheck_vbank", "/nowhere",
)  # fmt: skip


@pytest.fixture
def log_level() -> str:
    return "debug"


def post(base: str, path: str, body: Any, headers: dict[str, str]) -> str:
    """POST JSON; whatever comes back."""
    answer = send(base, "POST", path, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
    return answer.body.decode("utf-8", "replace")


def spoil(url: str) -> None:
    """Take a table away under a running gateway: its next payment is a crash with everything in its frames."""
    statement = "ALTER TABLE attempts RENAME TO gone"
    if url.startswith("sqlite"):
        connection: Any = apsw.Connection(str(migrate.sqlite_path(url)))
        connection.set_busy_timeout(5000)
        connection.execute(statement)
        connection.close()
        return

    async def run() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(statement)
        await connection.close()

    run_async(run())


def test_a_card_is_found_nowhere_after_crashes(
    servers: Servers, database_url: str, dialect: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    answers: list[str] = []
    for point in ("asked", "answered", "settling"):
        servers.start_gateway(crash_at=point)
        with contextlib.suppress(OSError):
            answers.append(str(servers.pay(f"order-{point}", customer_uid="canary", channel_key=AUTH, **CARD)))
        assert servers.died()
    servers.start_gateway()
    headers = servers.token()
    for path in ENDPOINTS:
        for body in (CARD | {"merchant_uid": "m", "amount": 1000, "channel_key": AUTH}, [CARD], CARD["card_number"]):
            answers.append(post(servers.url, path, body, headers))
        answers.append(post(servers.url, f"{path}?card_number={NUMBER}", {}, headers))
    servers.advance(200_000)
    spoil(database_url)
    status, said = call(
        f"{servers.url}/subscribe/payments/onetime",
        {"merchant_uid": "crash", "amount": 1000, "name": "x", "channel_key": AUTH, **CARD}, headers=headers,
    )  # fmt: skip
    assert status in (500, 503)
    answers.append(str(said))
    servers.stop()
    places = {f"answer {n}": a.encode() for n, a in enumerate(answers)}
    roots = [tmp_path]
    if dialect == "postgresql":
        cluster: Cluster = request.getfixturevalue("cluster")
        cluster.sql("CHECKPOINT")
        roots += [cluster.dir / "data" / "base", cluster.dir / "data" / "pg_wal"]
    for root in roots:
        places |= {str(f): f.read_bytes() for f in root.rglob("*") if f.is_file()}
    assert "Traceback" in (servers.data_dir / "gateway.log").read_text()
    assert [(needle, where) for where, text in places.items() for needle in NEEDLES if needle.encode() in text] == []
