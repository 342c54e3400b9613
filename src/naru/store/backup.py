"""Copies of the whole database, taken while it serves, and back again.

SQLite: its own online backup, one file that opens like any other. PostgreSQL: every table as COPY writes
it, from one snapshot, in a zip beside a list of what it holds; no client tools are needed. The master key
is in neither: whoever finds a copy without it finds no secrets.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any, Final, cast

import apsw

from naru.store import migrate, postgres, stores, tables
from naru.store.db import Unavailable, open_database
from naru.store.vault import Vault

FORMAT: Final = 1


class BadBackup(Exception):
    """The copy cannot be made or used; the text says why, for the operator."""


def _private(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _flush(path: Path) -> None:
    for name in (path, path.parent):
        handle = os.open(name, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


async def backup(url: str, target: Path) -> int:
    """Copy the database behind *url* into the new file *target*. Returns its size in bytes.

    Consistent at one moment, while others read and write. Raises BadBackup, Unavailable.
    """
    if target.exists():
        raise BadBackup(f"{target}: 이미 있는 파일입니다. The file exists.")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    _private(partial)
    try:
        if url.startswith("sqlite:"):
            _copy_sqlite(migrate.sqlite_path(url), partial)
        else:
            await _copy_postgres(url, partial)
        _flush(partial)
        partial.rename(target)
        _flush(target)
    finally:
        partial.unlink(missing_ok=True)
    return target.stat().st_size


async def restore(url: str, source: Path, vault: Vault, *, replace: bool = False) -> Path | None:
    """Bring a copy back as the database behind *url*. Nothing may be serving it.

    A database that is there already is refused, or with *replace* (SQLite) moved aside; returns where to.
    The copy must be of this code's migrations and open with this master key: looked at before anything
    changes. Raises BadBackup, Unavailable, WrongMasterKey.
    """
    if not source.is_file():
        raise BadBackup(f"{source}: 파일이 없습니다. No such file.")
    if url.startswith("sqlite:"):
        return await _restore_sqlite(migrate.sqlite_path(url), source, vault, replace=replace)
    await _restore_postgres(url, source, vault)
    return None


async def _check_key(url: str, vault: Vault) -> None:
    database = await open_database(url, check_schema=False)
    try:
        sealed = await database.read(stores.get_meta, "master_key_check")
    finally:
        await database.close()
    if sealed is not None:
        vault.open(bytes.fromhex(sealed), "meta.master_key_check")


# ── SQLite ───────────────────────────────────────────────────────────────────


def _copy_sqlite(source: Path, target: Path) -> None:
    try:
        with_source = apsw.Connection(os.fspath(source), flags=apsw.SQLITE_OPEN_READWRITE)
        with_target = apsw.Connection(os.fspath(target), flags=apsw.SQLITE_OPEN_READWRITE)
    except apsw.Error as exc:
        raise Unavailable(f"{source}: {exc}") from exc
    try:
        with_source.set_busy_timeout(10_000)
        # One step: a snapshot as a reader of the log sees it, which holds up no writer.
        with with_target.backup("main", with_source, "main") as copying:
            copying.step(-1)
        cast("Any", with_target).pragma("journal_mode", "DELETE")
        _demand_whole(with_target, target)
    except apsw.Error as exc:
        raise Unavailable(f"{source}: {type(exc).__name__}: {exc}") from exc
    finally:
        with_target.close()
        with_source.close()


def _demand_whole(connection: apsw.Connection, path: Path) -> None:
    said = cast("Any", connection).execute("PRAGMA integrity_check(1)").get
    if said != "ok":
        raise BadBackup(f"{path}: {said}")


async def _restore_sqlite(target: Path, source: Path, vault: Vault, *, replace: bool) -> Path | None:
    beside = target.with_name(target.name + ".restored")
    for old in (beside, *_companions(beside)):
        old.unlink(missing_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    _private(beside)
    aside: Path | None = None
    try:
        try:
            beside.write_bytes(source.read_bytes())
            connection = apsw.Connection(os.fspath(beside), flags=apsw.SQLITE_OPEN_READWRITE)
            try:
                _demand_whole(connection, source)
            finally:
                connection.close()

            migrate.demand(migrate.revision_of_file(beside))
        except apsw.Error as exc:
            raise BadBackup(f"{source}: SQLite 백업이 아닙니다. Not a SQLite backup ({exc}).") from exc
        await _check_key(f"sqlite:///{beside.resolve()}", vault)
        if target.exists():
            if not replace:
                raise BadBackup(
                    f"{target}: 데이터베이스가 이미 있습니다. 서버를 멈추고 --replace를 쓰면 옆으로 옮겨 둡니다. "
                    "There is a database already; --replace moves it aside."
                )
            _demand_alone(target)
            aside = _next_free(target)
            for old in (target, *_companions(target)):
                if old.exists():
                    old.rename(aside.with_name(old.name.replace(target.name, aside.name, 1)))
        _flush(beside)
        beside.rename(target)
        _flush(target)
    finally:
        for old in (beside, *_companions(beside)):
            old.unlink(missing_ok=True)
    return aside


def _companions(path: Path) -> tuple[Path, Path]:
    """A log left beside another file of the same name would be played into it."""
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def _next_free(path: Path) -> Path:
    number = 1
    while (found := path.with_name(f"{path.name}.replaced-{number}")).exists():
        number += 1
    return found


def _demand_alone(path: Path) -> None:
    """Raises BadBackup while another process has the file open."""
    try:
        connection = apsw.Connection(os.fspath(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            # In exclusive mode the first access takes the whole log, which fails while anybody else has it.
            cast("Any", connection).pragma("locking_mode", "EXCLUSIVE")
            cast("Any", connection).execute("BEGIN IMMEDIATE; COMMIT")
        finally:
            connection.close()
    except (apsw.BusyError, apsw.LockedError) as exc:
        raise BadBackup(f"{path}: 다른 프로세스가 쓰고 있습니다. 서버를 먼저 멈추세요. Stop the server first.") from exc
    except apsw.Error:
        return  # a broken file is what one restores over


# ── PostgreSQL ───────────────────────────────────────────────────────────────


async def _connect(url: str) -> Any:
    try:
        return await postgres.connect(url, timeout=postgres.CONNECT_TIMEOUT_S)
    except postgres.FAILURES as exc:
        raise Unavailable(f"{type(exc).__name__}: {exc}") from exc


async def _copy_postgres(url: str, target: Path) -> None:
    connection = await _connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            revision = await connection.fetchval("SELECT version_num FROM alembic_version")
            columns: dict[str, list[str]] = {}
            with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
                for table in tables.metadata.sorted_tables:
                    columns[table.name] = [c.name for c in table.columns]
                    with archive.open(f"{table.name}.copy", "w", force_zip64=True) as out:

                        async def write(data: bytes, out: Any = out) -> None:
                            out.write(data)

                        await connection.copy_from_table(table.name, columns=columns[table.name], output=write)
                facts = {"format": FORMAT, "revision": revision, "tables": columns}
                archive.writestr("naru-backup.json", json.dumps(facts, indent=1))
    except postgres.FAILURES as exc:
        raise Unavailable(f"{type(exc).__name__}: {exc}") from exc
    finally:
        await connection.close()


async def _restore_postgres(url: str, source: Path, vault: Vault) -> None:
    try:
        archive = zipfile.ZipFile(source)
        facts = json.loads(archive.read("naru-backup.json"))
    except (zipfile.BadZipFile, KeyError, ValueError) as exc:
        raise BadBackup(f"{source}: PostgreSQL 백업이 아닙니다. Not a PostgreSQL backup.") from exc
    with archive:
        broken = archive.testzip()
        if broken or facts.get("format") != FORMAT:
            raise BadBackup(f"{source}: 손상되었습니다. Damaged ({broken or 'format'}).")
        migrate.demand(facts["revision"])
        migrate.migrate(url)
        connection = await _connect(url)
        try:
            async with connection.transaction():
                for name in facts["tables"]:
                    if await connection.fetchval(f'SELECT EXISTS (SELECT 1 FROM "{name}")'):  # noqa: S608 - our tables
                        raise BadBackup(
                            f"데이터베이스가 비어 있지 않습니다 ({name}). 새 데이터베이스를 만들어 지정하세요. "
                            "The database is not empty: create a new one."
                        )
                for name, columns in facts["tables"].items():
                    data = io.BytesIO(archive.read(f"{name}.copy"))
                    await connection.copy_to_table(name, columns=columns, source=data)
                await _number_on(connection)
                sealed = await connection.fetchval("SELECT value FROM meta WHERE key = 'master_key_check'")
                if sealed is not None:
                    vault.open(bytes.fromhex(sealed), "meta.master_key_check")
        except postgres.FAILURES as exc:
            raise Unavailable(f"{type(exc).__name__}: {exc}") from exc
        finally:
            await connection.close()


async def _number_on(connection: Any) -> None:
    """Rows made from now on are numbered after those that came back."""
    for table in tables.metadata.sorted_tables:
        for column in table.primary_key.columns:
            sequence = await connection.fetchval("SELECT pg_get_serial_sequence($1, $2)", table.name, column.name)
            if sequence:
                await connection.execute(
                    f'SELECT setval($1, coalesce(max("{column.name}"), 0) + 1, false) FROM "{table.name}"',  # noqa: S608
                    sequence,
                )
