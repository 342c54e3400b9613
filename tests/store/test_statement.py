"""Statements refuse what the raw drivers would silently do otherwise than SQLAlchemy."""

from __future__ import annotations

import pytest
from sqlalchemy import Boolean, Column, DateTime, Integer, MetaData, Numeric, Table, Text, bindparam, select, text
from sqlalchemy.types import TypeDecorator
from tests.store import shelf

from naru.store.statement import MOST_EXPANSIONS, Statement, insert


class Decorated(TypeDecorator[str]):
    impl = Text
    cache_ok = True


def test_every_value_must_be_given_and_no_other() -> None:
    with pytest.raises(TypeError, match=r"missing \['amount'\], unknown \['amuont'\]"):
        shelf.ADD_LINE(till="t", note="n", amuont=1)
    with pytest.raises(TypeError, match=r"missing \['n'\]"):
        shelf.ADD_TILL.many([{"name": "a", "n": 1}, {"name": "b"}])
    shelf.ADD_LINE(till="t", note="n", amount=1)  # `blob` has a value of its own
    shelf.ADD_LINE(till="t", note="n", amount=1, blob=b"")


@pytest.mark.parametrize("kind", [Boolean(), DateTime(), Numeric(), Decorated()])
def test_types_that_need_conversion_are_refused(kind: object) -> None:
    table = Table("t", MetaData(), Column("c", kind))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="do not convert"):
        Statement(insert(table).values(c=bindparam("c")))(c=1)


def test_python_side_defaults_are_refused() -> None:
    table = Table("t", MetaData(), Column("a", Integer, default=1), Column("b", Integer))
    with pytest.raises(TypeError, match="defaults are not run"):
        Statement(insert(table).values(b=bindparam("b")))(b=1)


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_a_bare_insert_leaves_to_the_database_what_it_fills_itself(dialect: str) -> None:
    table = Table(
        "t",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("a", Text),
        Column("b", Text, server_default="x"),
    )
    form = Statement(insert(table)).form(dialect)
    assert form.names == {"a"}
    assert form.bind({"a": "1"})[1] == ("1",)


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_few_texts_serve_lists_of_all_lengths(dialect: str) -> None:
    form = shelf.NOTES_OF.form(dialect)
    texts = {form.bind({"amounts": list(range(n))})[0] for n in range(1, 1_025)}
    assert len(texts) == 11
    assert form.bind({"amounts": [7, 8, 9]})[1] == (7, 8, 9, 9)


def test_the_cache_of_lengths_is_bounded() -> None:
    two = Statement(
        select(shelf.tills).where(
            shelf.tills.c.n.in_(bindparam("a", expanding=True)), shelf.tills.c.n.in_(bindparam("b", expanding=True))
        )
    )
    form = two.form("sqlite")
    for a in range(14):
        for b in range(14):
            form.bind({"a": [1] * 2**a, "b": [1] * 2**b})
    assert len(form._expansions) == MOST_EXPANSIONS


def test_plain_text_is_allowed() -> None:
    bound = Statement(text("SELECT :a + 1").bindparams(bindparam("a", type_=Integer)))(a=1)
    assert bound.statement.form("sqlite").bind(bound.params) == ("SELECT ? + 1", (1,))


def test_a_statement_shows_no_values() -> None:
    assert "hunter2" not in repr(shelf.ADD_TILL(name="hunter2", n=1))
