"""A noti that repeats the answer is taken in with one write; one that differs is looked at like any other."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import bindparam, select
from tests.live import Live

from naru.connectors.hecto import messages
from naru.connectors.hecto.crypto import Keys
from naru.connectors.hecto.gateway import sandbox_keys
from naru.service import settle
from naru.store.db import Tx
from naru.store.statement import Statement
from naru.store.tables import alarms, attempts, entries, inbox, payments

PLACES = {
    "payment": Statement(select(payments).where(payments.c.imp_uid == bindparam("imp_uid"))),
    "attempts": Statement(select(attempts).where(attempts.c.imp_uid == bindparam("imp_uid"))),
    "entries": Statement(select(entries).where(entries.c.imp_uid == bindparam("imp_uid"))),
    "alarms": Statement(select(alarms.c.kind).where(alarms.c.imp_uid == bindparam("imp_uid"))),
}
LETTERS = Statement(
    select(inbox.c.verdict, inbox.c.note, inbox.c.mid, inbox.c.trd_no, inbox.c.handled_at, inbox.c.body).where(
        inbox.c.mcht_trd_no == bindparam("number")
    )
)


def rows(naru: Live, imp_uid: str) -> dict[str, list[Any]]:
    def read() -> Tx[dict[str, list[Any]]]:
        found: dict[str, list[Any]] = {}
        for name, statement in PLACES.items():
            found[name] = yield statement(imp_uid=imp_uid)
        return found

    return naru.inside(naru.parts.db.read(read))


def letters(naru: Live, imp_uid: str) -> list[Any]:
    def read() -> Tx[list[Any]]:
        return (yield LETTERS(number=imp_uid))

    return naru.inside(naru.parts.db.read(read))


def tell(naru: Live, paid: Mapping[str, Any], keys: tuple[str, str] | None = None, **changed: str) -> bytes:
    """Hecto's noti of a payment, as it would be but for what is *changed*."""
    values = {
        "outStatCd": "0021", "trdNo": paid["pg_tid"], "method": "CA", "bizType": "B0", "mchtId": paid["pg_id"],
        "mchtTrdNo": paid["imp_uid"], "trdDtm": "20260922120000", "trdAmt": str(paid["amount"]), "pmtprdNm": "a",
        "mchtCustNm": "a", "cardApprNo": paid["apply_num"],
    }  # fmt: skip
    form = messages.build_form(messages.NOTI_CARD, values | changed, Keys(*(keys or sandbox_keys())))
    return naru.send("POST", "/settle_payments/notice", urlencode(form).encode()).body


@pytest.fixture
def paid(naru: Live) -> dict[str, Any]:
    naru.fault("noti_lost", times=1)
    made = naru.paid(amount=3000)
    until = time.monotonic() + 10
    while rows(naru, made["imp_uid"])["payment"][0].heard_at is None:  # its webhook is written down last
        assert time.monotonic() < until
        time.sleep(0.01)
    return made


@pytest.fixture
def settlings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The attempts that are settled under lock from now on."""
    seen: list[str] = []
    settled = settle.settle

    def counted(attempt_id: str, *args: Any, **more: Any) -> Any:
        seen.append(attempt_id)
        return settled(attempt_id, *args, **more)

    monkeypatch.setattr(settle, "settle", counted)
    return seen


def test_a_repetition_is_kept_with_its_verdict_in_one_write(
    naru: Live, paid: dict[str, Any], settlings: list[str]
) -> None:
    imp_uid = paid["imp_uid"]
    before, writes = rows(naru, imp_uid), naru.parts.db.stats.writes
    assert imp_uid in naru.parts.cx.paid_just_now
    assert tell(naru, paid) == b"OK"
    assert rows(naru, imp_uid) == before
    (letter,) = letters(naru, imp_uid)
    assert (letter.verdict, letter.note, letter.mid, letter.trd_no) == ("again", None, paid["pg_id"], paid["pg_tid"])
    assert letter.handled_at is not None
    assert paid["imp_uid"].encode() in letter.body
    assert naru.parts.db.stats.writes - writes == 1
    assert settlings == []
    assert imp_uid not in naru.parts.cx.paid_just_now, "it is remembered for its noti and no longer"

    assert tell(naru, paid) == b"OK"
    assert rows(naru, imp_uid) == before, "and a third time it is looked at like any other, with the same end"
    assert [x.verdict for x in letters(naru, imp_uid)] == ["again", "again"]


def test_another_amount_is_no_repetition(naru: Live, paid: dict[str, Any], settlings: list[str]) -> None:
    before = rows(naru, paid["imp_uid"])
    assert tell(naru, paid, trdAmt="2999") == b"FAIL"
    after = rows(naru, paid["imp_uid"])
    assert {k: v for k, v in after.items() if k != "alarms"} == {k: v for k, v in before.items() if k != "alarms"}
    assert [a.kind for a in after["alarms"]] == ["mismatch"]
    assert [x.verdict for x in letters(naru, paid["imp_uid"])] == ["mismatch"]
    assert settlings == [paid["imp_uid"]]


def test_news_in_a_repetition_is_written_down(naru: Live, paid: dict[str, Any], settlings: list[str]) -> None:
    assert paid["card_quota"] == 0
    assert tell(naru, paid, instmtMon="03") == b"OK"
    assert naru.get(f"/payments/{paid['imp_uid']}").response["card_quota"] == 3
    assert settlings == [paid["imp_uid"]]


def test_a_repetition_under_another_key_is_a_forgery(naru: Live, paid: dict[str, Any]) -> None:
    before = rows(naru, paid["imp_uid"])
    assert tell(naru, paid, keys=("another key", sandbox_keys()[1])) == b"FAIL"
    assert rows(naru, paid["imp_uid"]) == before
    assert [x.verdict for x in letters(naru, paid["imp_uid"])] == ["forged"]


def test_a_repetition_in_the_name_of_another_merchant_changes_nothing(naru: Live, paid: dict[str, Any]) -> None:
    before = rows(naru, paid["imp_uid"])
    assert paid["pg_id"] != "portone1"
    assert tell(naru, paid, mchtId="portone1") == b"FAIL"
    assert rows(naru, paid["imp_uid"]) == before
    assert [x.verdict for x in letters(naru, paid["imp_uid"])] == ["unmatched"]
