"""SQLAlchemy Core statements, compiled once for each database and run on the raw drivers.

A statement is written once at module level and called with its values; the result is yielded to the
database by a transaction body (see `naru.store.db`)::

    FIND = Statement(select(payments).where(payments.c.imp_uid == bindparam("imp_uid")))


    def find(imp_uid: str) -> Tx[Payment]:
        rows = yield FIND(imp_uid=imp_uid)

Between Core and the driver nothing converts values: SQLAlchemy's type processors and Python-side
defaults would be skipped silently, so a statement that needs one is refused when it is compiled.
For `ON CONFLICT` use `insert` from here: PostgreSQL's form compiles for SQLite too, not the other way round.
"""

from collections import namedtuple
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from sqlalchemy import types
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import asyncpg, insert
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import Insert
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.schema import Column, Table

from naru.store.errors import Violation

__all__ = ["Bound", "Row", "Statement", "Tx", "Value", "insert"]

Value: TypeAlias = int | float | str | bytes | None
Params: TypeAlias = Mapping[str, Any]

MOST_EXPANSIONS: Final = 64
"""How many lengths of `IN` lists are kept per statement and database; the oldest goes first."""
LONGEST_LIST: Final = 16_384
"""Longest `IN` list; SQLite takes 32,766 parameters in one statement, PostgreSQL 32,767."""

_DIALECTS: Final[dict[str, Dialect]] = {
    "sqlite": sqlite.dialect(paramstyle="qmark"),
    "postgresql": asyncpg.dialect(),
}

# What a raw driver stores and returns as Core would: everything else needs a processor that does not run.
_PLAIN: Final = (types.Integer, types.String, types.LargeBinary, types.Float, types.NullType)
_NOT_PLAIN: Final = (types.Enum, types.Boolean)


class Row(tuple[Any, ...]):
    """One row: values by position, or by the name of the column (`row.amount`)."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


T = TypeVar("T")


class Bound:
    """A statement with its values, to be yielded by a transaction body."""

    __slots__ = ("guards", "params", "rows", "statement")

    def __init__(
        self, statement: "Statement", params: Params, rows: Sequence[Params] | None = None, *, guards: bool = False
    ) -> None:
        self.statement = statement
        self.params = params
        self.rows = rows
        """Given where the statement runs once for each of them."""
        self.guards = guards

    def guarded(self) -> "Bound":
        """The same under a savepoint of its own: the body may catch its `Violation` and go on.

        Without this a violation that the body swallows still undoes the whole transaction, on both
        databases alike. `ON CONFLICT DO NOTHING RETURNING …` costs less where it says what is meant.
        """
        return Bound(self.statement, self.params, self.rows, guards=True)

    def __repr__(self) -> str:
        return f"<Bound {self.statement!r}>"  # no values: a row may hold a secret


Tx: TypeAlias = Generator[Bound, list[Row], T]
"""A transaction body under way: yields `Bound` statements, receives their rows, returns a `T`."""


def throw_into(tx: Tx[Any], bound: Bound, error: BaseException) -> Bound:
    """Tell a body that what it yielded has failed. Returns what it yields next, where it may go on.

    A body may always clean up or raise something else. Only a guarded violation leaves the transaction
    usable: from anything else a body cannot go on, and if it tries, the error is raised all the same.
    """
    if bound.guards and isinstance(error, Violation):
        return tx.throw(error)
    with suppress(StopIteration):
        tx.throw(error)
    raise error


class Statement:
    """A Core statement with `bindparam()`s; call it with a value for each of them."""

    __slots__ = ("_clause", "_forms", "_names", "_optional")

    def __init__(self, clause: ClauseElement) -> None:
        self._clause = clause
        self._forms: dict[str, Form] = {}
        self._names: frozenset[str] | None = None
        self._optional: frozenset[str] = frozenset()

    def __call__(self, **params: Any) -> Bound:
        """Raises TypeError when a value is missing or nobody asked for it."""
        if params.keys() != self._names:  # pyright: ignore[reportUnnecessaryComparison] - key views equal sets
            self._check(params)
        return Bound(self, params)

    def many(self, rows: Iterable[Params]) -> Bound:
        """The same statement for each of `rows`, in one step; what they return is put together."""
        listed = list(rows)
        for params in listed:
            if params.keys() != self._names:  # pyright: ignore[reportUnnecessaryComparison] - key views equal sets
                self._check(params)
        return Bound(self, {}, listed)

    def form(self, dialect: str) -> "Form":
        """This statement in the words of `dialect` ("sqlite" or "postgresql")."""
        form = self._forms.get(dialect)
        if form is None:
            form = self._forms[dialect] = Form(self._clause, dialect)
        return form

    @property
    def table(self) -> "Table[Any] | None":
        """The table that this statement changes, where it changes one."""
        return getattr(self._clause, "table", None)

    def _check(self, params: Params) -> None:
        if self._names is None:
            form = self.form("sqlite")
            self._names, self._optional = form.names, form.optional
        missing = self._names - params.keys()
        unknown = params.keys() - self._names - self._optional
        if missing or unknown:
            raise TypeError(f"{self!r}: missing {sorted(missing)}, unknown {sorted(unknown)}")

    def __repr__(self) -> str:
        text = " ".join(str(self._clause).split())
        return f"<Statement {text if len(text) <= 120 else text[:117] + '...'}>"


class Form:
    """One statement compiled for one dialect."""

    __slots__ = (
        "_compiled",
        "_constants",
        "_expanding",
        "_expansions",
        "_pick",
        "locks",
        "make",
        "names",
        "optional",
        "returns",
        "sql",
    )

    def __init__(self, clause: ClauseElement, dialect: str) -> None:
        columns = list(getattr(clause, "exported_columns", ()))
        options: dict[str, Any] = {}
        if isinstance(clause, Insert):
            if not columns:
                clause = clause.inline()  # else PostgreSQL's form returns the key unasked
            options["column_keys"] = _columns_of_bare_insert(clause)
        compiled = clause.compile(dialect=_DIALECTS[dialect], **options)
        self.sql: Final = str(compiled)
        self.returns: Final = bool(columns)
        self.locks: Final = getattr(clause, "_for_update_arg", None) is not None
        self.make: Final = _row_maker([column.key for column in columns])
        self._expansions: dict[tuple[int, ...], tuple[str, Callable[[Params], tuple[Any, ...]]]] = {}
        if not isinstance(compiled, SQLCompiler):  # DDL has no parameters
            self._compiled, self._constants, self._expanding = None, {}, ()
            self.names = self.optional = frozenset[str]()
            self._pick = _picker([])
            return
        _refuse_what_drivers_skip(compiled, columns)
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        constants = {name: value for name, value in compiled.params.items() if not binds[name].required}
        self._compiled = compiled
        self._constants: Mapping[str, Any] = constants
        self._expanding = tuple(name for name, bind in binds.items() if bind.expanding)
        self.names = frozenset(name for name, bind in binds.items() if bind.required)
        self.optional = frozenset(name for name, bind in binds.items() if not bind.required and not bind.unique)
        self._pick = _picker(compiled.positiontup or [])

    def bind(self, params: Params) -> tuple[str, tuple[Any, ...]]:
        """The SQL text and its positional values."""
        if self._constants:
            params = {**self._constants, **params}
        if self._expanding:
            return self._expand(dict(params))
        return self.sql, self._pick(params)

    def bind_each(self, rows: Iterable[Params]) -> list[tuple[Any, ...]]:
        """The positional values of each of `rows`, all for `sql`."""
        if self._expanding:
            raise TypeError("a statement with IN lists cannot run for many rows at once")
        return [self.bind(params)[1] for params in rows]

    def _expand(self, params: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
        lengths: list[int] = []
        for name in self._expanding:
            values = _padded(params[name])
            if len(values) > LONGEST_LIST:
                raise ValueError(f"{name}: {len(values)} values, at most {LONGEST_LIST}")
            params[name] = values
            lengths.append(len(values))
        key = tuple(lengths)
        found = self._expansions.get(key)
        if found is None:
            assert self._compiled is not None
            state = self._compiled.construct_expanded_state(params, escape_names=False)
            if len(self._expansions) >= MOST_EXPANSIONS:
                self._expansions.pop(next(iter(self._expansions)), None)
            order = {n: (name, i) for name, ns in state.parameter_expansion.items() for i, n in enumerate(ns)}
            places: list[tuple[str, int | None]] = [order.get(name, (name, None)) for name in state.positiontup or []]
            found = self._expansions[key] = state.statement, partial(_pick_expanded, places)
        sql, pick = found
        return sql, pick(params)


def _columns_of_bare_insert(clause: Insert) -> list[str] | None:
    """For `insert(table)` without values: the columns to be given, all but those that the database fills."""
    if any(getattr(clause, given) for given in ("_values", "_multi_values", "select")):
        return None
    table: Table[Any] = clause.table  # pyright: ignore[reportAssignmentType]
    own = table.autoincrement_column
    return [c.key for c in table.columns if c is not own and c.server_default is None and c.computed is None]


def _refuse_what_drivers_skip(compiled: SQLCompiler, columns: Sequence[Column[Any]]) -> None:
    for bind in compiled.bind_names:
        if bind.literal_execute:
            raise TypeError(f"{bind.key}: literal_execute is not supported")
        kinds = bind.type.types if isinstance(bind.type, types.TupleType) else [bind.type]
        for kind in kinds:
            if not isinstance(kind, _PLAIN) or isinstance(kind, _NOT_PLAIN):
                raise TypeError(f"{bind.key}: the raw drivers do not convert {kind!r}")
    for column in columns:
        # A truth value that the database computes is fine: 1 and True are equal.
        kind = column.type
        if not isinstance(kind, (*_PLAIN, types.Boolean)) or isinstance(kind, types.Enum):
            raise TypeError(f"{column.key}: the raw drivers do not convert {kind!r}")
    skipped = [*compiled.insert_prefetch, *compiled.update_prefetch]
    if skipped:
        raise TypeError(f"Python-side defaults are not run: {[column.key for column in skipped]}")


def _padded(values: Iterable[Any]) -> list[Any]:
    """Repeats the last value up to a power of two: same meaning within IN, far fewer texts to prepare."""
    listed = list(values)
    if len(listed) > 2:
        listed += [listed[-1]] * ((1 << (len(listed) - 1).bit_length()) - len(listed))
    return listed


def _pick_expanded(places: list[tuple[str, int | None]], params: Params) -> tuple[Any, ...]:
    flat = {
        name: [part for value in params[name] for part in value]
        for name, i in places
        if i == 0 and params[name] and isinstance(params[name][0], tuple)
    }
    return tuple([params[name] if i is None else (flat.get(name) or params[name])[i] for name, i in places])


def _picker(names: Sequence[str]) -> Callable[[Params], tuple[Any, ...]]:
    match names:
        case []:
            return lambda params: ()
        case [name]:
            return lambda params: (params[name],)
        case _:
            return itemgetter(*names)


def _row_maker(names: Sequence[str]) -> Callable[[Iterable[Any]], Row]:
    if not names:
        return Row
    fields = namedtuple("Row", names, rename=True)  # pyright: ignore[reportUntypedNamedTuple]
    made: Any = type("Row", (fields, Row), {"__slots__": ()})
    # Past the namedtuple's own `__new__`, which wants its fields one by one.
    return partial(getattr(tuple, "__new__"), made)  # noqa: B009 - untyped
