"""Requests nobody thought of, drawn from our own OpenAPI: never a 5xx, always words, and a refusal changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from tests.api.test_bad_input import read
from tests.live import Live

from naru.store import books

EACH = 12
"""Requests per operation."""
PLAIN = ("text/html", "text/plain")


def touched(naru: Live) -> list[str]:
    """Every payment there is."""
    return read(naru, lambda: books.touched_before("", 2**62, 10_000))


@pytest.mark.slow
def test_whatever_the_description_allows_is_answered_in_words(naru: Live) -> None:
    kept = naru.paid(amount=3000)
    schema: Any = schemathesis.openapi.from_dict(naru.send("GET", "/openapi.json").json)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 40
    done: list[int] = []
    for operation in operations:

        @seed(20_260_101)
        @settings(
            max_examples=EACH,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        )
        @given(case=operation.as_strategy())
        def asked(case: Any) -> None:
            before = touched(naru)
            answer = case.call(base_url=naru.url, headers={"Authorization": naru.token}, timeout=20)
            where = f"{case.method} {case.formatted_path}: {answer.status_code} {answer.text[:200]}"
            assert answer.status_code < 500, where
            done.append(answer.status_code)
            if answer.headers.get("content-type", [""])[0].startswith(PLAIN):
                return
            said = answer.json()
            if answer.status_code != 200 or said.get("code", 0) != 0:
                assert isinstance(said["message"], str), where
                assert said["message"].strip(), where
                assert said["response"] is None, where
                assert touched(naru) == before, where

        asked()
    assert len(done) >= len(operations)
    assert naru.get(f"/payments/{kept['imp_uid']}").response == kept
    assert naru.complaints == []
