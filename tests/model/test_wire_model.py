"""What a shop says means the same in every spelling: JSON, a form, PHP's form. Nothing it says is an error of ours."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naru.api import wire
from naru.domain.refusal import Refused, Why
from naru.domain.values import MAX_WON

NAMES = ("merchant_uid", "amount", "name", "buyer_name", "custom", "imp_uid")
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=20)
VALUES = st.one_of(TEXTS, st.integers(-(10**14), 10**14), st.booleans(), st.none())
FLAT = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6)
NESTED = st.recursive(
    st.one_of(VALUES, st.floats()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=12,
)


def spelled(value: Any) -> str:
    """A value as a form says it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


def as_form(values: dict[str, Any]) -> bytes:
    return urlencode({name: spelled(value) for name, value in values.items()}).encode()


def read(params: wire.Params, name: str, how: str) -> Any:
    """What a reader says of a parameter: its value, or why not."""
    try:
        return getattr(params, how)(name)
    except Refused as refused:
        assert refused.why is Why.PARAMETER
        assert refused.facts["name"] == name
        return "refused"


@given(FLAT)
def test_a_form_means_what_the_json_means(values: dict[str, Any]) -> None:
    said = wire.Params(wire.parse_body(json.dumps(values).encode()))
    form = wire.Params(wire.parse_body(as_form(values)))
    for name, value in values.items():
        assert said.has(name) is form.has(name)
        if not isinstance(value, bool):
            for how in ("integer", "amount", "when"):
                assert read(said, name, how) == read(form, name, how)
            assert read(said, name, "text") == read(form, name, "text")
        if isinstance(value, bool) or value in (None, "", 0, 1, "0", "1", "true", "false"):
            assert read(said, name, "boolean") == read(form, name, "boolean")


@given(st.text(max_size=30))
def test_a_number_is_never_guessed(text: str) -> None:
    """Digits, a sign, and zeros after a point; whatever else is refused and not read as some number."""
    got = read(wire.Params({"amount": text}), "amount", "integer")
    plain = text.strip()
    digits = plain.removeprefix("-").partition(".")[0]
    if text == "":
        assert got is None
    elif got != "refused":
        assert digits.isascii()
        assert digits.isdigit()
        assert got == int(digits) * (-1 if plain.startswith("-") else 1)
    won = read(wire.Params({"amount": text}), "amount", "amount")
    assert won in (None, "refused") or 0 <= won <= MAX_WON


@given(st.integers(0, MAX_WON))
def test_every_amount_is_read_in_each_of_its_spellings(amount: int) -> None:
    for said in (amount, str(amount), float(amount) if float(amount) == amount else amount, f"{amount}.0"):
        assert wire.Params({"amount": said}).amount("amount") == amount


@given(st.integers(-(10**14), -1))
def test_nothing_is_less_than_nothing(number: int) -> None:
    for said in (number, str(number), float(number)):
        assert read(wire.Params({"amount": said}), "amount", "amount") == "refused"
        assert read(wire.Params({"amount": said}), "amount", "when") == "refused"


@given(st.integers(0, 10**14))
def test_times_are_seconds_and_milliseconds_are_not_guessed(seconds: int) -> None:
    expected = seconds * 1000 if seconds <= 10**11 else "refused"
    for said in (seconds, str(seconds)):
        assert read(wire.Params({"at": said}), "at", "when") == expected


@given(st.lists(st.text("abcdefgh-_0123456789", min_size=1, max_size=12), max_size=8))
def test_a_list_in_each_of_its_spellings(items: list[str]) -> None:
    bare = "&".join(f"imp_uid[]={i}" for i in items)
    numbered = "&".join(f"imp_uid[{n}]={i}" for n, i in enumerate(items))
    backwards = "&".join(f"imp_uid[{n}]={i}" for n, i in reversed(list(enumerate(items))))
    commas = "imp_uid=" + ",".join(items)
    for form in (bare, numbered, backwards, commas):
        assert wire.Params(wire.parse_form(form)).texts("imp_uid") == items
    assert wire.Params(wire.parse_body(json.dumps({"imp_uid": items}).encode())).texts("imp_uid") == items


@given(
    st.lists(
        st.fixed_dictionaries(
            {"merchant_uid": TEXTS.filter(bool), "amount": st.integers(1, MAX_WON)}, optional={"name": TEXTS}
        ),
        min_size=1,
        max_size=12,
    )
)
def test_a_list_of_objects_in_php_s_spelling(items: list[dict[str, Any]]) -> None:
    form = urlencode({f"schedules[{n}][{k}]": spelled(v) for n, item in enumerate(items) for k, v in item.items()})
    by_form = wire.Params(wire.parse_body(form.encode())).objects("schedules")
    by_json = wire.Params(wire.parse_body(json.dumps({"schedules": items}).encode())).objects("schedules")
    for item, *params in zip(items, by_form, by_json, strict=True):
        for p in params:
            assert p.integer("amount") == item["amount"]
            assert p.text("merchant_uid") == item["merchant_uid"]
            assert p.text("name") == (item.get("name") or None)


@given(
    st.one_of(
        st.binary(max_size=200), NESTED.map(lambda v: json.dumps(v).encode()), st.text(max_size=80).map(str.encode)
    )
)
def test_any_body_is_some_fields_or_none(raw: bytes) -> None:
    found = wire.parse_body(raw)
    params = wire.Params(found)
    assert isinstance(found, dict)
    for name in list(found)[:10]:
        for how in ("text", "integer", "amount", "boolean", "texts", "when"):
            read(params, name, how)
        assert all(isinstance(p, wire.Params) for p in params.objects(name))
    assert wire.clean(found) == found


def test_a_nul_is_left_out_wherever_it_is() -> None:
    for raw in (b'{"a\\u0000": ["x\\u0000y", {"b": "\\u0000"}]}', b'{"a": ["xy", {"b": ""}]}'):
        assert wire.parse_body(raw) == {"a": ["xy", {"b": ""}]}
    assert wire.parse_form("a%00=x%00y") == {"a": "xy"}


@given(st.dictionaries(st.sampled_from(NAMES), NESTED, max_size=5))
def test_no_value_of_any_shape_is_an_error_of_ours(values: dict[str, Any]) -> None:
    params = wire.Params(values)
    for name in NAMES:
        for how in ("text", "need", "integer", "amount", "need_amount", "boolean", "texts", "when"):
            read(params, name, how)
    params.custom_data()
    try:
        params.notice_urls(lambda _url: None)
    except Refused as refused:
        assert refused.facts["name"] == "notice_url"


@pytest.mark.parametrize("text", ["1,000", "1e3", "0x10", "१२", "+5", "1 000", "NaN", "Infinity", "1.5", "--1", ""])
def test_what_only_looks_like_a_number(text: str) -> None:
    assert read(wire.Params({"amount": text}), "amount", "integer") == (None if text == "" else "refused")
