"""Virtual accounts whose news got lost for good: what still finds them, against the sandbox, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.api.windows import CHOICES, FORM, fields_of, request_pay
from tests.live import Live, live, send

from naru.domain.values import DAY, HOUR, MINUTE, kst_date, kst_midnight
from naru.store import mail, statements

ORDER = "m-1"
NUMBER = "2022011000061"


@pytest.fixture
def naru(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Live]:
    """A gateway of the test's own, at ten in the morning."""
    with live(migrated_sqlite, tmp_path / "live") as running:
        yield running
        assert running.complaints == []


def leave_after_issuing(naru: Live, amount: int = 9_000) -> dict[str, str]:
    """The buyer has an account issued in the window and never comes back. What the window told them."""
    _, page = request_pay(naru, pay_method="vbank", company="나루", amount=amount, merchant_uid=ORDER)
    action, fields = fields_of(page)
    opened = send(naru.sandbox, "POST", action.removeprefix(naru.sandbox), urlencode(fields).encode(), FORM)
    window = opened.headers["location"].removeprefix(naru.sandbox)
    send(naru.sandbox, "POST", f"{window}/pay", urlencode(CHOICES["vbank"]).encode(), FORM)
    naru.sandbox_post("/_sandbox/drain")
    return naru.sandbox_get("/_sandbox/deposits")["accounts"][0]


def pay_in(naru: Live, number: str, amount: int) -> dict[str, Any]:
    got = naru.sandbox_post("/_sandbox/deposits", {"account": number, "amount": amount, "depositor": "김철수"})
    naru.sandbox_post("/_sandbox/drain")
    return got


def shown(naru: Live) -> dict[str, Any]:
    return naru.get(f"/payments/find/{ORDER}").response


def statuses(naru: Live) -> list[str]:
    return [h.fields["status"] for h in naru.shop.hooks]


def next_morning(naru: Live) -> str:
    """Until the lists of the day have been read; that day."""
    now = naru.parts.cx.clock()
    naru.pass_time(kst_midnight(now) + DAY + 7 * HOUR - now)
    return kst_date(now)


def lines(naru: Live, day: str, mid: str) -> list[tuple[str, str, int]]:
    """What the comparison of a channel's day came to: verdict, the PG's number, KRW."""
    cx = naru.parts.cx
    channel = next(c for c in naru.inside(cx.channels(1)) if c.mid == mid)
    days = naru.inside(cx.db.read(statements.days, 1, day, day))
    [one] = [d for d in days if d.channel_id == channel.id and d.kind == "trades"]
    return [(r.verdict, r.trd_no, r.amount) for r in naru.inside(cx.db.read(statements.lines, one.id, 50))]


def alarms(naru: Live) -> list[str]:
    return [a.kind for a in naru.inside(naru.parts.cx.db.read(mail.open_alarms))]


def test_an_account_of_the_window_is_heard_of_by_its_noti_though_the_buyer_left(naru: Live) -> None:
    naru.fault("noti_lost", message="M20d", attempts=1)
    account = leave_after_issuing(naru)
    assert shown(naru)["vbank_num"] is None
    naru.pass_time(20 * MINUTE)  # the window's time is up; Hecto has sent the noti again
    naru.sandbox_post("/_sandbox/drain")
    p = shown(naru)
    assert (p["status"], p["vbank_num"], p["vbank_code"]) == ("ready", account["account"], "004")
    naru.pass_time(MINUTE)
    assert statuses(naru) == ["ready"]


def test_the_banks_question_finds_an_account_of_which_nobody_told_us(naru: Live) -> None:
    naru.sandbox_post("/_sandbox/merchants/portone1", {"precheck": "N"})
    naru.fault("noti_lost", message="M20d")
    account = leave_after_issuing(naru)
    naru.pass_time(HOUR)
    assert (shown(naru)["status"], shown(naru)["vbank_num"]) == ("ready", None)
    assert pay_in(naru, account["account"], 8_999)["outcome"] == "refused"  # by the bank itself
    assert pay_in(naru, account["account"], 9_000)["outcome"] == "accepted"
    p = shown(naru)
    assert (p["status"], p["amount"], p["vbank_num"]) == ("paid", 9_000, account["account"])
    assert (p["vbank_code"], p["vbank_name"], p["vbank_issued_at"] > 0) == ("004", "KB국민은행", True)
    naru.pass_time(MINUTE)
    assert sorted(statuses(naru)) == ["paid", "ready"]


def test_a_question_about_an_issue_that_was_told_as_failed_revokes_it(naru: Live) -> None:
    naru.sandbox_post("/_sandbox/merchants/portone1", {"precheck": "N"})
    naru.fault("noti_lost", message="M20d")
    envelope, page = request_pay(naru, pay_method="vbank", company="나루", amount=9_000, merchant_uid=ORDER)
    action, fields = fields_of(page)
    opened = send(naru.sandbox, "POST", action.removeprefix(naru.sandbox), urlencode(fields).encode(), FORM)
    window = opened.headers["location"].removeprefix(naru.sandbox)
    send(naru.sandbox, "POST", f"{window}/pay", urlencode(CHOICES["vbank"]).encode(), FORM)
    naru.sandbox_post("/_sandbox/drain")
    closing = naru.send("GET", f"/sdk/outcome?request={envelope['request_id']}&closing=1").json["response"]
    assert (closing["success"], shown(naru)["status"]) == (False, "failed")
    account = naru.sandbox_get("/_sandbox/deposits")["accounts"][0]
    assert pay_in(naru, account["account"], 9_000)["outcome"] == "refused"
    naru.pass_time(MINUTE)
    assert naru.sandbox_get("/_sandbox/deposits")["accounts"][0]["state"] == "revoked"
    assert (shown(naru)["status"], statuses(naru)) == ("failed", [])


def test_a_deposit_into_such_an_account_pays_by_its_noti_alone(naru: Live) -> None:
    naru.fault("noti_lost", message="M20d")
    account = leave_after_issuing(naru)
    naru.pass_time(HOUR)
    assert pay_in(naru, account["account"], 9_000)["outcome"] == "accepted"
    assert (shown(naru)["status"], shown(naru)["vbank_num"]) == ("paid", account["account"])


def test_a_payment_of_which_no_noti_ever_came_is_found_in_the_morning(naru: Live) -> None:
    naru.fault("noti_lost", message="M20d", times=2)
    account = leave_after_issuing(naru)
    naru.pass_time(HOUR)
    took = pay_in(naru, account["account"], 9_000)
    assert shown(naru)["status"] == "ready"
    day = next_morning(naru)
    p = shown(naru)
    assert (p["status"], p["amount"], p["pg_tid"]) == ("paid", 9_000, took["trdNo"])
    assert lines(naru, day, "portone1") == [("matched", took["trdNo"], 9_000)]
    naru.pass_time(MINUTE)
    assert statuses(naru)[-1] == "paid"


def test_deposits_and_refunds_of_an_unlimited_account_are_found_in_the_morning(naru: Live) -> None:
    """The first deposit is known, the second's noti is lost, the answer and the noti of a refund too."""
    given = {
        "merchant_uid": ORDER, "vbank_num": NUMBER, "vbank_holder": "나루", "fixed_unlimited_vbank": True,
        "pg": "settle.nxva_fix2",
    }  # fmt: skip
    assert naru.post("/vbanks", given).code == 0
    one = pay_in(naru, NUMBER, 5_000)
    naru.fault("noti_lost", message="M20e")
    two = pay_in(naru, NUMBER, 3_000)
    assert [d["amount"] for d in shown(naru)["deposit_history"]] == [5_000]
    naru.fault("noti_lost", message="M20d")
    naru.fault("half_body", message="M17")
    back = {"merchant_uid": ORDER, "amount": 1_000, "checksum": 5_000, "pg_tid": one["trdNo"]}
    refund = {**back, "refund_holder": "김철수", "refund_bank": "004", "refund_account": "12345678901234"}
    assert naru.post("/payments/cancel", refund).code != 0
    assert shown(naru)["cancel_amount"] == 0

    day = next_morning(naru)
    p = shown(naru)
    assert [(d["pg_tid"], d["amount"]) for d in p["deposit_history"]] == [(one["trdNo"], 5_000), (two["trdNo"], 3_000)]
    assert (p["status"], p["cancel_amount"]) == ("cancelled", 1_000)
    assert [verdict for verdict, _, _ in lines(naru, day, "nxva_fix2")] == ["matched"] * 3
    assert "statement" not in alarms(naru)
    naru.pass_time(MINUTE)
    assert statuses(naru).count("cancelled") >= 1
    assert len(statuses(naru)) == 4  # the issue, two deposits, the refund


def test_a_reversal_is_the_same_line_on_both_sides(naru: Live) -> None:
    naru.sandbox_post("/_sandbox/merchants/nxva_fix2", {"reversal_noti": True})
    given = {
        "merchant_uid": ORDER, "vbank_num": NUMBER, "vbank_holder": "나루", "fixed_unlimited_vbank": True,
        "pg": "settle.nxva_fix2",
    }  # fmt: skip
    assert naru.post("/vbanks", given).code == 0
    took = pay_in(naru, NUMBER, 5_000)
    naru.sandbox_post(f"/_sandbox/deposits/{took['id']}/reverse")
    naru.sandbox_post("/_sandbox/drain")
    day = next_morning(naru)
    assert [(v, won) for v, _, won in lines(naru, day, "nxva_fix2")] == [("matched", 5_000)] * 2
    assert alarms(naru) == ["reversal"]


@pytest.mark.parametrize("unlimited", [False, True], ids=["an ordinary account", "an unlimited account"])
def test_a_deposit_that_was_taken_back_without_a_word_is_found_in_the_morning(naru: Live, unlimited: bool) -> None:
    """Hecto tells of it on request only. The shop hears `cancelled`, a person is called, the list agrees."""
    mid, number = ("nxva_fix2", "2022004000056") if unlimited else ("nxva_fix", "2022004000001")
    order = naru.order()
    given = {
        "merchant_uid": order, "amount": 0 if unlimited else 9_000, "vbank_num": number, "vbank_holder": "나루",
        "pg": f"settle.{mid}", "fixed_unlimited_vbank": unlimited,
    }  # fmt: skip
    assert naru.post("/vbanks", given).code == 0
    assert pay_in(naru, number, 9_000)["trdNo"]
    naru.sandbox_post("/_sandbox/drain")
    took = naru.sandbox_get("/_sandbox/deposits")["deposits"][0]
    naru.sandbox_post(f"/_sandbox/deposits/{took['id']}/reverse")
    naru.sandbox_post("/_sandbox/drain")
    assert naru.get(f"/payments/find/{order}").response["status"] == "paid"
    day = next_morning(naru)
    p = naru.get(f"/payments/find/{order}").response
    assert (p["status"], p["cancel_amount"]) == ("cancelled", 9_000)
    assert [verdict for verdict, _, _ in lines(naru, day, mid)] == ["matched", "matched"]
    assert alarms(naru) == ["found_refund"]
    told = [h.fields["status"] for h in naru.shop.hooks if h.fields["merchant_uid"] == order]
    assert told == ["ready", "paid", "cancelled"]


def test_several_accounts_on_a_channel_call_a_person(naru: Live) -> None:
    """Hecto's list does not tell account numbers."""
    for n, number in enumerate((NUMBER, "2022011000062")):
        given = {
            "merchant_uid": f"m-{n}", "vbank_num": number, "vbank_holder": "나루", "fixed_unlimited_vbank": True,
            "pg": "settle.nxva_fix2",
        }  # fmt: skip
        assert naru.post("/vbanks", given).code == 0
    naru.fault("noti_lost", message="M20e")
    took = pay_in(naru, NUMBER, 5_000)
    next_morning(naru)
    told = [a for a in naru.inside(naru.parts.cx.db.read(mail.open_alarms)) if a.kind == "stray_deposit"]
    assert [took["trdNo"] in a.text for a in told] == [True]
    assert [naru.get(f"/payments/find/m-{n}").response["deposit_history"] for n in (0, 1)] == [[], []]
