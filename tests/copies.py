"""Copies of a PostgreSQL database, each used by one test after another.

To make a copy takes a quarter of a second and most of what the server does; to empty it a fiftieth.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Generator
from contextlib import contextmanager

import asyncpg

from tests.cluster import Cluster, run_async

MOST_ROWS = 20_000
"""A copy that held more is made anew: deleted rows stay in its files."""
GONE_WITHIN_S = 0.5
"""How long those who used a copy may take to hang up; a copy that is still in use is made anew."""

_EMPTY = f"""
DO $$
DECLARE thing record; rows bigint; total bigint := 0;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR thing IN SELECT oid::regclass AS name FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
    LOOP
        EXECUTE format('DELETE FROM %s', thing.name);
        GET DIAGNOSTICS rows = ROW_COUNT;
        total := total + rows;
    END LOOP;
    FOR thing IN SELECT seqrelid::regclass AS name, seqstart FROM pg_sequence LOOP
        PERFORM setval(thing.name, thing.seqstart, false);
    END LOOP;
    IF total > {MOST_ROWS} THEN RAISE 'many rows'; END IF;
END $$
"""
_BARE = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
_OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
# Tables, columns, indexes, constraints and the migration: what a test may have changed and the next must not see.
_SHAPE = """
SELECT concat_ws('|',
    (SELECT string_agg(concat_ws(' ', c.relname, a.attname, a.atttypid, a.attnotnull), ',' ORDER BY c.relname, attnum)
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relnamespace = 'public'::regnamespace),
    (SELECT string_agg(conname || pg_get_constraintdef(oid), ',' ORDER BY conname) FROM pg_constraint
     WHERE connamespace = 'public'::regnamespace),
    (SELECT count(*) FROM pg_trigger), (SELECT count(*) FROM pg_proc),
    (SELECT string_agg(setconfig::text, ',') FROM pg_db_role_setting))
"""

_numbers = itertools.count()


class Copies:
    """Databases like *template*; *bare* ones have no table."""

    def __init__(self, cluster: Cluster, template: str, *, bare: bool = False) -> None:
        self._cluster = cluster
        self._template = template
        self._reset = _BARE if bare else _EMPTY
        self._free: list[str] = []
        self._shape = ""

    @contextmanager
    def lent(self) -> Generator[str]:
        """The address of a copy as it was made; afterwards it is emptied, or dropped when that cannot be done."""
        name = self._free.pop() if self._free else self._made()
        yield self._cluster.url(name)
        if run_async(self._emptied(name)):
            self._free.append(name)
        else:
            self._cluster.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _made(self) -> str:
        name = f"of_{self._template}_{next(_numbers)}"
        self._cluster.sql(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        self._shape = self._shape or run_async(self._shape_of(name))
        return name

    async def _shape_of(self, name: str) -> str:
        connection = await asyncpg.connect(self._cluster.url(name))
        try:
            return str(await connection.fetchval(_SHAPE))
        finally:
            await connection.close()

    async def _emptied(self, name: str) -> bool:
        clock = asyncio.get_running_loop().time
        until = clock() + GONE_WITHIN_S
        try:
            connection = await asyncpg.connect(self._cluster.url(name))
            try:
                while await connection.fetchval(_OTHERS):
                    if clock() > until:
                        return False
                    await asyncio.sleep(0.005)
                await connection.execute(self._reset)
                return str(await connection.fetchval(_SHAPE)) == self._shape
            finally:
                await connection.close()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            return False
