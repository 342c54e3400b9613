"""The fold: what is shown depends on the set of facts, never on the order in which news came."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naru.domain.outcome import Declined, Done, NotSent, Outcome, Pending, Unknown
from naru.domain.payment import (
    Account,
    Applied,
    Attempt,
    Entry,
    EntryKind,
    Op,
    Payment,
    Purpose,
    State,
    Status,
    Told,
    Void,
    absorb_cancelled,
    apply_cancel,
    apply_pay,
    ask_cancel,
    ask_net_cancel,
    show,
    sub_id,
    tell,
)
from naru.domain.refusal import Refused, Why
from naru.domain.values import AttemptId, ImpUid, Instant, MerchantUid, Won, won

NOW = Instant(1_790_000_000_000)
UID = ImpUid("imps_000000000001")


def asked(amount: int = 1000) -> Payment:
    attempt = Attempt(AttemptId(UID), Op.PAY, won(amount), State.ASKED, NOW)
    return Payment(UID, 1, 1, MerchantUid("m"), "card", won(amount), Won(0), NOW, True, attempts=(attempt,))


def done(amount: int = 1000, tid: str = "T1") -> Done:
    return Done(tid, won(amount), NOW)


def paid(amount: int = 1000) -> Payment:
    return apply_pay(asked(amount), UID, done(amount), NOW, paid_by_other=False).payment


def with_cancel(p: Payment, amount: int | None = None) -> tuple[Payment, Attempt]:
    number = 1 + sum(a.op is Op.CANCEL for a in p.attempts)
    attempt = ask_cancel(
        p, sub_id(UID, "C", number), amount=amount, checksum=None, tax_free=None, org_tid="T1", purpose=Purpose.SHOP,
        reason=None, request="", webhook=False, now=NOW,
    )  # fmt: skip
    return p.with_attempt(attempt), attempt


NEWS: list[Outcome] = [done(), done(), Unknown("?"), Pending("ST38", "…"), Declined("CA31", "no"), NotSent("no")]


@given(st.lists(st.sampled_from(NEWS), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_once_done_is_among_the_news_their_order_and_number_do_not_matter(news: list[Outcome], rnd: object) -> None:
    news = [*news, done()]
    shuffled = list(news)
    rnd.shuffle(shuffled)  # type: ignore[attr-defined]
    for order in (news, shuffled):
        p = asked()
        for outcome in order:
            p = apply_pay(p, UID, outcome, NOW, paid_by_other=False).payment
        assert show(p).status is Status.PAID
        assert (p.received, len(p.entries)) == (1000, 1)


@given(st.lists(st.sampled_from(NEWS[2:]), max_size=5))
def test_without_done_nothing_came_in(news: list[Outcome]) -> None:
    p = asked()
    for outcome in news:
        p = apply_pay(p, UID, outcome, NOW, paid_by_other=False).payment
    assert p.received == 0
    assert show(p).status in (Status.READY, Status.FAILED)


def test_the_first_final_answer_stands_until_done_overrules_it() -> None:
    p = apply_pay(asked(), UID, Declined("CA31", "no"), NOW, paid_by_other=False).payment
    p = apply_pay(p, UID, Unknown("?"), NOW, paid_by_other=False).payment
    assert p.attempts[0].state is State.DECLINED
    p = apply_pay(p, UID, done(), NOW, paid_by_other=False).payment
    assert (p.attempts[0].state, show(p).status) == (State.DONE, Status.PAID)


def test_what_was_told_failed_stays_failed_and_is_to_be_taken_back() -> None:
    p = apply_pay(asked(), UID, Unknown("?"), NOW, paid_by_other=False).payment
    p = tell(p, UID, "확인 중", NOW)
    p = apply_pay(p, UID, done(), NOW, paid_by_other=False).payment
    assert (p.void, show(p).status, show(p).cancel_amount) == (Void.TOLD_FAILED, Status.FAILED, 0)
    net = ask_net_cancel(p, sub_id(UID, "C", 1), NOW)
    assert net is not None
    assert (net.amount, net.round, net.org_tid) == (1000, 1, "T1")
    with pytest.raises(Refused) as refused:
        with_cancel(p)
    assert refused.value.why is Why.CANCEL_NOTHING


def test_a_second_approval_of_a_paid_order_is_never_shown() -> None:
    applied = apply_pay(asked(), UID, done(), NOW, paid_by_other=True)
    assert applied.alarm is not None
    assert (applied.payment.void, show(applied.payment).status) == (Void.DUPLICATE, Status.FAILED)


@pytest.mark.parametrize("amount", [999, 1001])
def test_another_amount_pays_nothing(amount: int) -> None:
    applied = apply_pay(asked(), UID, done(amount), NOW, paid_by_other=False)
    assert applied.alarm is not None
    assert (applied.payment.received, applied.payment.attempts[0].state) == (0, State.UNKNOWN)


@given(st.lists(st.integers(1, 700), min_size=1, max_size=6))
def test_cancels_never_sum_to_more_than_came_in(amounts: list[int]) -> None:
    p = paid()
    for n, amount in enumerate(amounts):
        try:
            p, attempt = with_cancel(p, amount)
        except Refused as refused:
            expected = Why.CANCEL_ALL_BACK if p.left == 0 else Why.CANCEL_TOO_MUCH
            assert refused.why is expected
            continue
        p = apply_cancel(p, attempt.id, Done(f"C{n}", attempt.amount, NOW), NOW).payment
        assert attempt.round == sum(e.org_tid == "T1" for e in p.entries)
    assert 0 <= p.returned <= p.received


def test_a_cancel_told_twice_counts_once() -> None:
    p, attempt = with_cancel(paid(), 300)
    for _ in range(3):
        p = apply_cancel(p, attempt.id, Done("C1", won(300), NOW), NOW).payment
    assert p.left == 700


def test_a_cancel_that_turns_up_late_is_not_counted_beside_what_was_found() -> None:
    p, attempt = with_cancel(paid())
    p = apply_cancel(p, attempt.id, NotSent("no such trade"), NOW).payment
    p = absorb_cancelled(p, "T1", 1000, NOW, Purpose.CONSOLE).payment
    applied = apply_cancel(p, attempt.id, Done("C1", won(1000), NOW), NOW)
    assert applied.alarm is not None
    assert applied.payment.left == 0


def test_the_same_finding_twice_is_one_entry_and_a_smaller_total_calls_a_person() -> None:
    p = absorb_cancelled(paid(), "T1", 400, NOW, Purpose.NIGHT).payment
    assert absorb_cancelled(p, "T1", 400, NOW, Purpose.NIGHT).payment == p
    assert absorb_cancelled(p, "T1", 300, NOW, Purpose.NIGHT).alarm is not None
    assert absorb_cancelled(p, "T1", 1001, NOW, Purpose.NIGHT).alarm is not None


def test_finding_what_is_known_is_no_news() -> None:
    p, attempt = with_cancel(paid(), 300)
    p = apply_cancel(p, attempt.id, Done("C1", won(300), NOW), NOW).payment
    assert absorb_cancelled(p, "T1", 300, NOW, Purpose.CONSOLE) == Applied(p)


def test_a_deposit_gives_back_no_more_than_itself() -> None:
    """Of several deposits into one account each has its own balance."""
    p = replace(paid(), pay_method="vbank", account=Account.UNLIMITED)
    p = p.with_entry(Entry("D2", EntryKind.DEPOSIT, won(500), "T2", NOW))
    for amount, left in ((501, 500), (1500, 500)):
        with pytest.raises(Refused) as refused:
            ask_cancel(
                p, AttemptId("X"), amount=amount, checksum=None, tax_free=None, org_tid="T2", purpose=Purpose.SHOP,
                reason=None, request="", webhook=False, now=NOW,
            )  # fmt: skip
        assert (refused.value.why, refused.value.facts["left"]) == (Why.CANCEL_TOO_MUCH, left)


def test_a_balance_that_the_pg_sees_differently_calls_a_person() -> None:
    p, attempt = with_cancel(paid(), 300)
    applied = apply_cancel(p, attempt.id, Done("C1", won(300), NOW, balance=won(699)), NOW)
    assert applied.alarm is not None
    assert applied.payment.left == 700


def test_a_negative_balance_stops_the_program() -> None:
    p, attempt = with_cancel(paid(), 300)
    p = apply_cancel(p, attempt.id, Done("C1", won(300), NOW), NOW).payment
    broken = replace(p, entries=tuple(replace(e, amount=won(5000)) if e.org_tid else e for e in p.entries))
    with pytest.raises(ValueError, match="not an amount"):
        _ = broken.left


def test_only_one_cancel_is_open_at_a_time() -> None:
    p, _ = with_cancel(paid(), 300)
    with pytest.raises(Refused) as refused:
        with_cancel(p, 300)
    assert refused.value.why is Why.CANCEL_BUSY


@given(st.permutations(range(4)))
def test_status_does_not_depend_on_how_entries_are_stored(order: list[int]) -> None:
    p = paid()
    for n in range(3):
        p, attempt = with_cancel(p, 100)
        p = apply_cancel(p, attempt.id, Done(f"C{n}", won(100), Instant(NOW + n)), NOW).payment
    entries = tuple(p.entries[i] for i in order)
    assert show(replace(p, entries=entries)) == show(p)
    assert show(p).cancel_amount == 300
    assert [a.told for a in itertools.islice(p.attempts, 1)] == [Told.NOTHING]
