"""A small schema of its own, so that the engine's tests need none of ours."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    func,
    select,
    update,
)
from sqlalchemy.schema import CreateIndex, CreateTable

from naru.store.db import Database, Tx, open_database
from naru.store.statement import Statement, insert

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
tills = Table("tills", metadata, Column("name", Text, primary_key=True), Column("n", BigInteger, nullable=False))
lines = Table(
    "lines",
    metadata,
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
    Column("till", Text, ForeignKey("tills.name", deferrable=True, initially="DEFERRED"), nullable=False),
    Column("note", Text),
    Column("amount", BigInteger, nullable=False),
    Column("blob", LargeBinary),
    UniqueConstraint("till", "note"),
    CheckConstraint("amount > 0", name="amount_positive"),
)
Index("ux_lines_blob", lines.c.blob, unique=True)

ADD_TILL = Statement(insert(tills))
ADD_LINE = Statement(
    insert(lines).values(
        till=bindparam("till"), note=bindparam("note"), amount=bindparam("amount"), blob=bindparam("blob", None)
    )
)
ADD_LINE_ONCE = Statement(
    insert(lines)
    .values(till=bindparam("till"), note=bindparam("note"), amount=bindparam("amount"))
    .on_conflict_do_nothing()
    .returning(lines.c.id)
)
TILL = Statement(select(tills.c.n).where(tills.c.name == bindparam("name")))
TILL_LOCKED = Statement(select(tills.c.n).where(tills.c.name == bindparam("name")).with_for_update())
SET_TILL = Statement(update(tills).where(tills.c.name == bindparam("of")).values(n=bindparam("to")))
NOTES = Statement(select(lines.c.note).order_by(lines.c.id))
NOTES_OF = Statement(
    select(lines.c.note).where(lines.c.amount.in_(bindparam("amounts", expanding=True))).order_by(lines.c.id)
)
SUM = Statement(select(func.sum(lines.c.amount).label("total"), func.count().label("count")).select_from(lines))


async def make(db: Database) -> Database:
    def body() -> Tx[None]:
        for table in metadata.sorted_tables:
            yield Statement(CreateTable(table))()
            for index in table.indexes:
                yield Statement(CreateIndex(index))()
        yield ADD_TILL(name="front", n=0)

    await db.write(body)
    return db


def add_till(name: str, n: int = 0) -> Tx[None]:
    yield ADD_TILL(name=name, n=n)


def set_till(name: str, n: int) -> Tx[None]:
    yield SET_TILL(of=name, to=n)


def add_one(name: str = "front") -> Tx[int]:
    rows = yield TILL_LOCKED(name=name)
    n: int = rows[0].n + 1
    yield SET_TILL(of=name, to=n)
    return n


def count(name: str = "front") -> Tx[int]:
    rows = yield TILL(name=name)
    return rows[0].n


def add_line(note: str, amount: int = 1, till: str = "front") -> Tx[None]:
    yield ADD_LINE(till=till, note=note, amount=amount)


def notes() -> Tx[list[str]]:
    rows = yield NOTES()
    return [row.note for row in rows]


async def write_and_say(url: str, tasks: int, **options: Any) -> None:
    """Write for ever and print each note once it is durable: the test kills this process."""
    db = await open_database(url, check_schema=False, **options)

    async def one(task: int) -> None:
        for i in range(1_000_000):
            await db.write(add_line, f"{task}-{i}")
            sys.stdout.write(f"{task}-{i}\n")
            sys.stdout.flush()

    await asyncio.gather(*(one(task) for task in range(tasks)))


if __name__ == "__main__":
    asyncio.run(write_and_say(sys.argv[1], 8, **json.loads(sys.argv[2])))
