"""The console's list of unknown results: an account issue that only a person can settle."""

from __future__ import annotations

from tests.console.conftest import Console, text_of

from naru.domain.values import MINUTE
from naru.pan import CardSecret
from naru.service import setup
from naru.service.console_access import Role

BASE = f"/console/{setup.DEV_IMP_CODE}"
STUCK = "더 물을 방법이 없습니다"


async def stuck(console: Console) -> str:
    """An escrow issue of which no news came. Its imp_uid."""
    console.gateway.faults = ["lost_after"] * 9
    done = await console.shop.account(10_000, escrow_password=CardSecret("1234"), buyer_email="a@b.kr")
    console.gateway.faults = []
    await console.shop.pass_time(15 * MINUTE)
    return done.settled.payment.imp_uid


async def test_an_operator_enters_hectos_number_and_the_list_is_empty(console: Console) -> None:
    imp_uid = await stuck(console)
    person = await console.user("op@x.kr", Role.OPERATOR)
    listed = await person.get(f"{BASE}/problems")
    assert STUCK in text_of(listed)
    assert f'action="{BASE}/problems/issues/{imp_uid}/issued"' in listed.text
    wrong = await person.post(f"{BASE}/problems/issues/{imp_uid}/issued", trd_no="?")
    assert "trdNo 파라메터가 올바르지 않습니다" in text_of(wrong)
    account = console.gateway.bank.accounts[imp_uid]
    answer = await person.post(f"{BASE}/problems/issues/{imp_uid}/issued", trd_no=account.tid)
    assert "계좌를 말소합니다" in text_of(answer)
    assert STUCK not in text_of(answer)
    await console.shop.pass_time(MINUTE)
    assert account.state == "revoked"
    assert (await console.changes()).count("account_issued") == 1
    assert "가상계좌 발급 확인" in text_of(await (await console.user("o@x.kr", Role.OWNER)).get(f"{BASE}/changes"))


async def test_an_operator_says_that_it_never_happened(console: Console) -> None:
    imp_uid = await stuck(console)
    person = await console.user("op@x.kr", Role.OPERATOR)
    await person.get(f"{BASE}/problems")
    answer = await person.post(f"{BASE}/problems/issues/{imp_uid}/never")
    assert "발급되지 않은 것으로 기록했습니다" in text_of(answer)
    assert (await console.shop.shown(imp_uid)).status == "failed"
    assert (await console.changes()).count("account_never_issued") == 1


async def test_a_reader_sees_it_and_has_no_form(console: Console) -> None:
    imp_uid = await stuck(console)
    reader = await console.user("r@x.kr", Role.READER)
    listed = await reader.get(f"{BASE}/problems")
    assert (STUCK in text_of(listed), "/issues/" in listed.text) == (True, False)
    refused = await reader.post(f"{BASE}/problems/issues/{imp_uid}/never")
    assert refused.status_code == 403
    assert (await console.shop.payment(imp_uid)).attempts[0].is_open
