"""The guide names what there is: every fault, every test card, every switch that it promises."""

from pathlib import Path

import pytest
from tests.sandbox.client import Hecto

from naru.sandbox.hecto import cards, faults, merchants

GUIDE = Path(__file__).parents[2] / "docs" / "guide"


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_fault_and_every_card_is_in_the_guide(language: str) -> None:
    text = (GUIDE / f"sandbox.{language}.md").read_text("utf-8")
    for name in faults.NAMES:
        assert f"| `{name}` |" in text
    for card in cards.TEST_CARDS:
        spaced = " ".join(card.number[at : at + 4] for at in range(0, 16, 4))
        row = next(line for line in text.splitlines() if spaced in line)
        assert card.code in row
    for secret in (merchants.PUBLIC_KEYS.hash_key, merchants.PUBLIC_KEYS.aes_key):
        assert secret in text


def test_the_guides_own_requests_work(hecto: Hecto) -> None:
    assert hecto.post("/_sandbox/merchants", {"mid": "imp_shop1", "like": "portone1"})["mid"] == "imp_shop1"
    assert hecto.post("/_sandbox/faults", {"name": "answer_lost", "message": "M05", "times": 1})["times"] == 1
    unknown = {"account": "2022011000056", "amount": 12345, "depositor": "김철수"}
    assert hecto.post("/_sandbox/deposits", unknown)["outcome"] == "refused"
