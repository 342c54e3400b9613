"""Cards are not ours: whatever is done with one, its number and secrets are found nowhere afterwards."""

from __future__ import annotations

import io
import logging
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster import Cluster
from tests.conftest import log_from
from tests.live import Answer, Live, live

from naru import logs

NUMBER = "5105105105105100"
SHOWN = "5105-1051-0510-5100"
BIRTH, EXPIRY = "770707", "2038-11"
CARD = {"card_number": SHOWN, "expiry": EXPIRY, "birth": BIRTH, "pwd_2digit": "97"}
AUTH = "channel-key-dev-keyin-auth"
NEEDLES = [NUMBER, SHOWN, SHOWN.replace("-", " "), BIRTH]


@pytest.fixture
def everything_logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Every log line of every part, as a production process writes it at its most talkative."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    logs.set_up(level="debug", as_json=True)
    root.setLevel(logging.DEBUG)
    yield written
    log_from()
    root.handlers[:] = handlers
    root.setLevel(level)


def pay_every_way(naru: Live) -> list[Answer]:
    """Pays, fails, mistypes, loses answers: every path that takes a card."""
    answers: list[Answer] = []

    def onetime(**given: Any) -> None:
        answers.append(naru.onetime(**(CARD | {"channel_key": AUTH} | given)))

    onetime()
    onetime(channel_key="channel-key-dev-keyin")
    onetime(customer_uid="canary")
    onetime(expiry="2019-01")
    onetime(expiry="11/38")
    onetime(pwd_2digit="9")
    onetime(birth=f"{BIRTH}1")
    onetime(amount="많이")
    onetime(cvc="321", bypass={"card": SHOWN})
    onetime(card_number=SHOWN + "5")
    for fault in ("reset_after", "wrong_hash", "half_body", "http_500", "unknown_code"):
        naru.fault(fault, message="M05")
        onetime(customer_uid="canary")
    naru.fault("error_code", message="M06", code="CA50")
    for _ in range(2):
        answers.append(naru.post("/subscribe/customers/canary", CARD))
    answers.append(naru.post("/subscribe/customers/canary", CARD | {"pg": "settle.nxca_jt_bi"}))
    item = {"merchant_uid": naru.order(), "schedule_at": naru.now_s + 3600, "amount": 1000}
    answers.append(
        naru.post(
            "/subscribe/payments/schedule", {"customer_uid": "c2", "schedules": [item], "checking_amount": 1000, **CARD}
        )
    )
    answers.append(
        naru.post(
            "/subscribe/payments/again",
            {"customer_uid": "canary", "merchant_uid": naru.order(), "amount": 1000, **CARD},
        )
    )
    form = "&".join(f"{k}={v}" for k, v in {**CARD, "merchant_uid": naru.order(), "amount": "1000"}.items())
    answers.append(naru.send("POST", "/subscribe/payments/onetime", form.encode(), {"Authorization": naru.token}))
    answers.append(naru.send("POST", "/subscribe/payments/onetime", form.encode() + b"&broken=%zz{", {}))
    answers.append(
        naru.send(
            "POST", "/subscribe/customers/canary", b'{"card_number":"' + NUMBER.encode(), {"Authorization": naru.token}
        )
    )
    answers.append(naru.get("/subscribe/customers/canary"))
    answers.append(naru.get("/payments/status/all"))
    answers.append(naru.call("DELETE", "/subscribe/customers/canary"))
    return answers


@pytest.fixture
def database_files(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], dict[str, bytes]]:
    """What the database keeps on the disk, write-ahead log included."""
    if dialect == "sqlite":
        return lambda: {f.name: f.read_bytes() for f in tmp_path.glob("naru.db*")}
    cluster: Cluster = request.getfixturevalue("cluster")

    def read() -> dict[str, bytes]:
        cluster.sql("CHECKPOINT")
        kept = [f for part in ("base", "pg_wal") for f in (cluster.dir / "data" / part).rglob("*") if f.is_file()]
        return {f"{f.parent.name}/{f.name}": f.read_bytes() for f in kept}

    return read


def test_a_card_leaves_no_trace(
    migrated_sqlite: Path, database_url: str, database_files: Callable[[], dict[str, bytes]], tmp_path: Path,
    everything_logged: io.StringIO,
) -> None:  # fmt: skip
    before = logs.scrubbed[0]
    with live(migrated_sqlite, tmp_path / "live", log_level="debug", database_url=database_url) as naru:
        answers = pay_every_way(naru)
        files = [f for f in (tmp_path / "live").rglob("*") if f.is_file()]
        assert "sandbox.db" in {f.name for f in files}
        until = time.monotonic() + 10
        # By name, in the request log and in the log of messages to the PG.
        while not all(any(n in text for text in database_files().values()) for n in (b'"card_number"', b'"cardNo"')):
            assert time.monotonic() < until
            time.sleep(0.1)
        raw = {f.name: f.read_bytes() for f in files} | database_files()
        ours = [text for name, text in raw.items() if not name.startswith("sandbox")]
        assert any(b"510510" in text for text in ours), "the masked number is kept, so this is the place to look"
        keys = [r["detail"]["billKey"] for r in naru.sandbox_get("/_sandbox/transactions?limit=500")["transactions"]
                if r["detail"].get("billKey")]  # fmt: skip
    raw |= {f"{f.name} after closing": f.read_bytes() for f in (tmp_path / "live").rglob("*") if f.is_file()}
    logged = everything_logged.getvalue()
    assert "request.finished" in logged
    assert "hecto.exchanged" in logged
    assert any(a.code == 0 for a in answers)
    assert any(a.code == -1 for a in answers)
    places = {"logs": logged.encode(), **{f"answer {n}": a.body for n, a in enumerate(answers)}, **raw}
    found = [(needle, place) for place, text in places.items() for needle in NEEDLES if needle.encode() in text]
    assert found == []
    assert logs.scrubbed[0] == before, "the last resort had to act"
    # Billing keys: Hecto's own book has them, nobody else in the clear.
    assert len(keys) > 3
    ours = {p: t for p, t in places.items() if not p.startswith("sandbox")}
    assert [(k, p) for p, t in ours.items() for k in keys if k.encode() in t] == []
