"""The log of messages to the PG: all of them, in order, with nothing in them that nobody may keep."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.api.windows import buy
from tests.cluster import run_async
from tests.live import GOOD_CARD, Live

from naru.app import open_parts
from naru.connectors.hecto import messages, redact
from naru.domain.values import DAY, Instant
from naru.service.exchanges import MOST_WAITING, TIDY_MS, ExchangeLog
from naru.service.ports import Exchanged
from naru.store import exchanges
from naru.store.db import Database
from naru.store.errors import Unavailable

HIDDEN = ("cardNo", "vldDtMon", "vldDtYear", "idntNo", "cardPwd", "billKey", "mchtCustNm", "email", "identity")


def said(naru: Live, imp_uid: str) -> list[Any]:
    """What was said about a payment, once all of it is written."""

    async def read() -> list[Any]:
        await asyncio.sleep(1.2)  # twice as long as notes wait
        parts = await open_parts(naru.settings)
        try:
            return await parts.db.read(exchanges.of_payment, 1, imp_uid, 100)
        finally:
            await parts.close()

    return run_async(read())


def test_a_payment_shows_every_message_with_its_answer(naru: Live) -> None:
    paid = naru.paid(
        merchant_uid="log-1", buyer_name="남궁길동", birth="820213", pwd_2digit="77", buyer_email="a@b.kr",
        channel_key="channel-key-dev-keyin-auth",
    )  # fmt: skip
    naru.fault("half_body", message="M09")
    naru.post("/payments/cancel", {"imp_uid": paid["imp_uid"], "amount": 1000})
    rows = said(naru, paid["imp_uid"])
    pay, cancel, asked = rows[:3]
    assert [(r.message, r.result, r.code) for r in (pay, cancel, asked)] == [
        ("M05", "answered", "0000"), ("M09", "lost", ""), ("M21", "answered", "0000"),
    ]  # fmt: skip
    assert (pay.number, cancel.number) == (paid["imp_uid"], f"{paid['imp_uid']}C001")
    assert pay.address == f"{naru.sandbox}/spay/APICardActionPay.do"
    sent, got = json.loads(pay.sent), json.loads(pay.got)
    assert (sent["trdAmt"], sent["mchtId"], sent["bizType"]) == ("3000", "nxca_ks_gu", "B0")
    assert (got["trdNo"], got["trdAmt"], got["outStatCd"]) == (paid["pg_tid"], "3000", "0021")
    assert len(sent["pktHash"]) == 9
    assert {sent[n] for n in HIDDEN if n in sent} == {"***"}
    assert {n for n in HIDDEN if n in sent} >= {"cardNo", "vldDtMon", "vldDtYear", "idntNo", "cardPwd", "mchtCustNm"}
    assert (json.loads(cancel.sent)["cnclAmt"], json.loads(cancel.got)) == ("1000", {})
    whole = "".join(str(tuple(r)) for r in rows)
    for needle in (GOOD_CARD, GOOD_CARD.replace("-", ""), "820213", "남궁길동", "a@b.kr"):
        assert needle not in whole, needle


def test_windows_and_receipts_are_in_it_too(naru: Live) -> None:
    told = buy(naru, "trans", amount=5000, buyer_name="이영희")
    naru.post(f"/receipts/{told['imp_uid']}", {"identifier": "010-1234-5678", "identifier_type": "phone"})
    rows = said(naru, told["imp_uid"])
    assert {r.message for r in rows} >= {"M02", "M29a"}
    window = next(r for r in rows if r.message == "M02")
    assert (window.result, json.loads(window.sent)["trdAmt"]) == ("opened", "5000")
    receipt = next(r for r in rows if r.message == "M29a")
    assert (receipt.code, json.loads(receipt.sent)["identity"]) == ("0000", "***")
    whole = "".join(str(tuple(r)) for r in rows)
    for needle in ("이영희", "01012345678", "010-1234-5678"):
        assert needle not in whole


def test_a_field_that_nobody_knows_is_hidden() -> None:
    fields = {"mchtId": "m", "newField": "secret", "pktHash": "0123456789", "outRsltMsg": f"카드 {GOOD_CARD} 거절"}
    assert redact.kept(fields, fields) == {
        "mchtId": "m", "newField": "***", "pktHash": "01234567…", "outRsltMsg": "카드 411111******1111 거절",
    }  # fmt: skip
    known = {f.name for m in messages.BY_ID.values() for f in (*m.request, *m.answer)}
    assert known >= redact.SHOWN - {"mid", "transNo", "resultCd", "resultMsg"}, "no name is misspelt"
    # What travels as ciphertext stays hidden unless its plain text was handed over.
    assert redact.kept({"trdAmt": "c1pher"}, {}, redact.encrypted(messages.CARD_PAY)) == {"trdAmt": "***"}


def _note(at: int, number: str = "imps_000000000001") -> Exchanged:
    return Exchanged(
        at=Instant(at), took_ms=1, store_id=1, channel_id=1, message="M05", name="card_pay", address="http://x",
        number=number, result="answered", sent={"mchtId": "m"},
    )  # fmt: skip


async def test_old_messages_are_dropped_and_a_burst_is_not_noted(db: Database) -> None:
    log = ExchangeLog(db, keep_days=90)
    for n in range(MOST_WAITING + 5):
        log.note(_note(n))
    await log.flush()
    assert len(await db.read(exchanges.of_payment, 1, "imps_000000000001", 1 << 30)) == MOST_WAITING
    assert await db.read(exchanges.of_payment, 2, "imps_000000000001", 9) == [], "another store sees none"
    log.note(_note(91 * DAY))
    for _ in range(4):
        await log.flush()
        log.note(_note(91 * DAY))
    await log.close()
    kept = await db.read(exchanges.of_payment, 1, "imps_000000000001", 1 << 30)
    assert {r.at for r in kept} == {91 * DAY}
    off = ExchangeLog(db, keep_days=0)
    off.note(_note(91 * DAY, "imps_000000000002"))
    await off.close()
    assert await db.read(exchanges.of_payment, 1, "imps_000000000002", 9) == []


async def test_a_log_that_cannot_be_written_costs_nobody_anything(db: Database) -> None:
    class Full:
        async def write(self, *_: object) -> None:
            raise Unavailable("disk full")

    log = ExchangeLog(Full(), keep_days=90)  # type: ignore[arg-type]
    log.note(_note(1))
    await log.close()
    assert await db.read(exchanges.of_payment, 1, "imps_000000000001", 9) == []


async def test_what_was_said_while_the_database_was_away_is_written_once_when_it_is_back(db: Database) -> None:
    class Away:
        """Takes nothing for a while; once it takes the notes, and not the tidying after them."""

        answers = iter([False, False, True, False, True])

        async def write(self, *given: Any) -> Any:
            if not next(self.answers):
                raise Unavailable("away")
            return await db.write(*given)

    log = ExchangeLog(Away(), keep_days=90)  # type: ignore[arg-type]
    for at in (TIDY_MS + 1, TIDY_MS + 2):
        log.note(_note(at))
        await log.flush()
    for _ in range(3):
        await log.flush()
    kept = await db.read(exchanges.of_payment, 1, "imps_000000000001", 9)
    assert sorted(r.at for r in kept) == [TIDY_MS + 1, TIDY_MS + 2]


def test_no_days_means_the_setting_says_so(tmp_path: Path) -> None:
    from naru.settings import from_env

    env = {"NARU_MASTER_KEY": "00" * 32, "NARU_PUBLIC_URL": "http://x"}
    assert from_env(env, tmp_path).keep_messages_days == 90
    assert from_env({**env, "NARU_KEEP_MESSAGES_DAYS": "0"}, tmp_path).keep_messages_days == 0
