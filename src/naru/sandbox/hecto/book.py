"""The sandbox's own book: one SQLite file, one connection, one thread.

Every answer is decided inside one `write()` block and sent after it. WAL with `synchronous=NORMAL`
survives `kill -9`; a power cut may take the last moments, which a sandbox can bear. Nothing here
knows a card number: only masked numbers arrive.
"""

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import apsw
import msgspec

Value = str | int | float | None | bytes

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trades (
    id INTEGER PRIMARY KEY,
    trd_no TEXT NOT NULL UNIQUE,
    mid TEXT NOT NULL,
    method TEXT NOT NULL,           -- CA RA VA MP
    kind TEXT NOT NULL,             -- pay auth account deposit cancel key key_delete change revoke
    state TEXT NOT NULL,            -- done failed open closed
    mcht_trd_no TEXT NOT NULL,
    day TEXT NOT NULL,              -- KST yyyyMMdd of our clock: order numbers are unique within it
    at_ms INTEGER NOT NULL,
    appears_ms INTEGER NOT NULL,    -- until then the trade is still being processed
    amount INTEGER NOT NULL CHECK (amount >= 0),
    org_id INTEGER REFERENCES trades (id),
    seq INTEGER NOT NULL DEFAULT 0, -- cnclOrd of a cancel
    code TEXT NOT NULL,             -- outRsltCd that was answered
    detail TEXT NOT NULL            -- JSON: what answers, notis and lists repeat
);
CREATE INDEX IF NOT EXISTS trades_order ON trades (mcht_trd_no, mid, day);
CREATE INDEX IF NOT EXISTS trades_origin ON trades (org_id) WHERE org_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS trades_day ON trades (mid, at_ms);
CREATE TABLE IF NOT EXISTS bill_keys (
    bill_key TEXT PRIMARY KEY,
    mid TEXT NOT NULL,
    masked TEXT NOT NULL,
    issuer TEXT NOT NULL,
    fate TEXT NOT NULL,             -- name of the test card's behaviour
    state TEXT NOT NULL,            -- active deleted
    at_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS accounts (
    id INTEGER PRIMARY KEY REFERENCES trades (id),
    mid TEXT NOT NULL,
    bank TEXT NOT NULL,
    number TEXT NOT NULL,
    kind TEXT NOT NULL,             -- acntType 1 2 3
    state TEXT NOT NULL,            -- open paid revoked
    amount INTEGER NOT NULL,
    expires_ms INTEGER              -- NULL: never
);
CREATE INDEX IF NOT EXISTS accounts_number ON accounts (number);
CREATE TABLE IF NOT EXISTS deposits (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    mid TEXT NOT NULL,
    bank TEXT NOT NULL,
    number TEXT NOT NULL,
    amount INTEGER NOT NULL,
    depositor TEXT NOT NULL,
    trd_no TEXT NOT NULL,           -- empty when the bank refused
    outcome TEXT NOT NULL,          -- accepted refused reversed
    reason TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS windows (
    id INTEGER PRIMARY KEY,
    token TEXT NOT NULL UNIQUE,
    mid TEXT NOT NULL,
    method TEXT NOT NULL,
    opened_ms INTEGER NOT NULL,
    state TEXT NOT NULL,            -- open done closed
    form TEXT NOT NULL,             -- JSON: the request's plain values, no card data
    result TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS notis (
    id INTEGER PRIMARY KEY,
    trd_no TEXT NOT NULL,
    mid TEXT NOT NULL,
    message TEXT NOT NULL,          -- M20a …
    url TEXT NOT NULL,
    form TEXT NOT NULL,             -- JSON: plain values
    state TEXT NOT NULL,            -- waiting done gave_up lost
    tries INTEGER NOT NULL DEFAULT 0,
    made_ms INTEGER NOT NULL,
    next_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS notis_due ON notis (next_ms) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS notis_trade ON notis (trd_no);
CREATE TABLE IF NOT EXISTS noti_attempts (
    noti_id INTEGER NOT NULL REFERENCES notis (id),
    at_ms INTEGER NOT NULL,
    status INTEGER NOT NULL,        -- 0: no answer
    answer TEXT NOT NULL,
    note TEXT NOT NULL              -- what was done to it on purpose
);
CREATE INDEX IF NOT EXISTS noti_attempts_noti ON noti_attempts (noti_id);
CREATE TABLE IF NOT EXISTS complaints (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    mid TEXT NOT NULL,
    message TEXT NOT NULL,
    mcht_trd_no TEXT NOT NULL,
    code TEXT NOT NULL,
    field TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS receipts (
    id INTEGER PRIMARY KEY,
    mid TEXT NOT NULL,
    trans_no TEXT NOT NULL,
    assort TEXT NOT NULL,           -- 0 registered, 1 cancelled
    auth_no TEXT NOT NULL,
    org_id INTEGER REFERENCES receipts (id),
    amount INTEGER NOT NULL,        -- total, VAT and service charge included
    day TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    form TEXT NOT NULL,
    UNIQUE (mid, trans_no)
);
CREATE INDEX IF NOT EXISTS receipts_auth ON receipts (mid, auth_no);
CREATE TABLE IF NOT EXISTS merchants (mid TEXT PRIMARY KEY, like_mid TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS switches (
    mid TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (mid, name)
) WITHOUT ROWID;
"""
_VERSION = 1
_TABLES = (
    "noti_attempts", "notis", "windows", "deposits", "accounts", "bill_keys", "complaints", "receipts", "trades",
    "switches", "merchants",
)  # fmt: skip


class Book:
    """The file and the one transaction shape. Not for more than one thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._connection = apsw.Connection(str(path), statementcachesize=200)
        self._connection.set_busy_timeout(5_000)
        # apsw's types name what only newer Pythons have; rows are typed by row() and rows().
        self._cursor: Any = cast("Any", self._connection.cursor())
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "wal_autocheckpoint = 4000"):
            self._cursor.execute(f"PRAGMA {pragma}").fetchall()
        version = self.row("PRAGMA user_version")
        if version is not None and version[0] not in (0, _VERSION):
            # A sandbox's book is not worth a migration: another layout begins a new one.
            for table in (*_TABLES, "meta"):
                self._cursor.execute(f"DROP TABLE IF EXISTS {table}")
        self._cursor.execute(_SCHEMA)
        self._cursor.execute(f"PRAGMA user_version = {_VERSION}")
        self._depth = 0
        highest = self.row(
            "SELECT max((SELECT coalesce(max(id), 0) FROM trades), (SELECT coalesce(max(id), 0) FROM windows))"
        )
        assert highest is not None
        self._number = int(str(highest[0]))

    def close(self) -> None:
        self._connection.close()

    @contextlib.contextmanager
    def write(self) -> Generator[None]:
        """One transaction; inside another one, a part of it."""
        if self._depth:
            yield
            return
        self._depth = 1
        self._cursor.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._cursor.execute("COMMIT")
        except BaseException:
            if not self._connection.get_autocommit():
                self._cursor.execute("ROLLBACK")
            raise
        finally:
            self._depth = 0

    def run(self, sql: str, *values: Value) -> None:
        """Changes something; only inside `write()`."""
        assert self._depth, "a change outside of a transaction"
        self._cursor.execute(sql, values)

    def last_id(self) -> int:
        """The row id of the last insert."""
        return self._connection.last_insert_rowid()

    def changes(self) -> int:
        return self._connection.changes()

    def row(self, sql: str, *values: Value) -> tuple[Value, ...] | None:
        return self._cursor.execute(sql, values).fetchone()

    def rows(self, sql: str, *values: Value) -> list[tuple[Value, ...]]:
        return self._cursor.execute(sql, values).fetchall()

    def next_number(self) -> int:
        """Numbers trades and windows together; a gap is nothing to worry about."""
        self._number += 1
        return self._number

    def note(self, name: str, default: str = "") -> str:
        """A remembered value."""
        found = self.row("SELECT value FROM meta WHERE name = ?", name)
        return str(found[0]) if found else default

    def set_note(self, name: str, value: str) -> None:
        self.run("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", name, value)

    def wipe(self) -> None:
        """Forgets everything but the clock. Numbers go on, so that none is used twice."""
        with self.write():
            for table in _TABLES:
                self.run(f"DELETE FROM {table}")  # noqa: S608


def pack(detail: dict[str, str]) -> str:
    return msgspec.json.encode(detail).decode()


_read = msgspec.json.Decoder(dict[str, str])


def unpack(text: Value) -> dict[str, str]:
    return _read.decode(str(text))
