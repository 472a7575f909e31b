"""Backups: all data in one file, verified when it is written and when it is restored.

A file is an archive of `pg_dump`, which `pg_restore` reads as it stands, followed by a manifest (what each table
holds) and a last line with the SHA-256 of all before it.
"""

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

import psycopg
from alembic.util import CommandError
from psycopg import sql
from psycopg.rows import TupleRow
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy.exc import SQLAlchemyError

from persistence import migrations
from persistence.admin import pg_tools
from persistence.errors import BackupError
from persistence.migrations import runner
from persistence.schema import metadata

TABLES: Final = tuple(table.name for table in metadata.sorted_tables)
"""The tables of a backup, each after the tables that it references."""

_LAST_LINE = re.compile(rb"tasks-api backup 1 (\d{8}) ([0-9a-f]{64})\n")
_LAST_LINE_BYTES = 93
_LONGEST_MANIFEST = 1 << 20
_BLOCK = 1 << 20
_CONNECT_TIMEOUT = 10
_LOCK_TIMEOUT = "5s"
_LOCK_ATTEMPTS = 10
_VERSIONS = "alembic_version"

# The text of a row depends on these settings.
_TEXT_SETTINGS: Final = {
    "client_encoding": "UTF8",
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}
# Without these a server may end a long or idle session. Some of them exist since PostgreSQL 17.
_TIMEOUTS_OFF: Final = dict.fromkeys(
    ("statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"), "0"
)
_SET: Final = """
    SELECT set_config(key, value, true) FROM json_each_text(%s::json)
    WHERE key IN (SELECT lower(name) FROM pg_settings)
"""
_QUALIFIED_NAME: Final = """
    SELECT format('%%I.%%I', nspname, relname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = to_regclass(%s)
"""
_COLUMNS: Final = """
    SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
    ORDER BY attname COLLATE "C"
"""
# The sum does not depend on the order of the rows. PostgreSQL's own hash functions may differ between versions.
_CONTENTS: Final = """
    SELECT count(*), coalesce(sum(('x' || encode(substr(digest, 1, 8), 'hex'))::bit(64)::bigint), 0)::text
    FROM (SELECT sha256(convert_to(ROW({columns})::text, 'UTF8')) AS digest FROM {table}) AS digests
"""

_Connection = psycopg.Connection[TupleRow]


class Contents(BaseModel):
    """The number of rows of a table and their checksum."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    rows: int
    columns: list[str]
    checksum: str
    """The sum, over all rows, of the first eight bytes of the SHA-256 of the row's columns as text."""


class Manifest(BaseModel):
    """The manifest of a backup."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    made_at: str
    revision: str
    """The revision of the schema."""
    postgresql: int
    """The major version of the `pg_dump` that made the archive."""
    tables: dict[str, Contents]


def backup(url: str, file: Path, *, replace: bool = False) -> Manifest:
    """Write a consistent snapshot of the database at `url` into `file`. Readers and writers do not wait.

    The file is there once it is complete and was read back, and not before. Raises `BackupError`, also where it
    exists and is not to be replaced.
    """
    with _explained():
        file = file.resolve()
        _refuse_existing(file, replace=replace)
        with _temporary_file(file) as part:
            manifest = _write(url, part)
            _read_back(part, manifest)
            part.flush()
            os.fsync(part.fileno())
            _give_name(Path(part.name), file, replace=replace)
    return manifest


def restore(url: str, file: Path, *, replace: bool = False) -> Manifest:
    """Load `file` into the database at `url` atomically, and migrate it to the newest revision.

    Nobody else uses the tables meanwhile. Raises `BackupError`, also where the database holds data and they are not
    to be replaced.
    """
    with _explained(), file.open("rb") as archive:
        manifest = _read(archive, file)
        program, _ = pg_tools.oldest_program("pg_restore", manifest.postgresql)
        with runner.exclusive(url) as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)  # nosec B101  # noqa: S101  the class that SQLAlchemy connects with
            _set(driver, _TEXT_SETTINGS | _TIMEOUTS_OFF)
            _clear(driver, runner.current(connection), replace=replace)
            runner.move(connection, manifest.revision)
            for table in _qualified_names(driver, TABLES):
                _load(driver, program, archive, table)
            if _contents(driver) != manifest.tables:
                raise BackupError(f"{file} does not restore to what its manifest says")
            runner.move(connection, migrations.head())
            driver.execute(_naming("ANALYZE {}", _qualified_names(driver, TABLES)))
    return manifest


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupError(": ".join(filter(None, (error.filename, error.strerror or str(error))))) from error
    except (psycopg.Error, SQLAlchemyError, CommandError) as error:
        raise BackupError(runner.reason(error)) from error


# The contents of the database.


def _set(connection: _Connection, settings: Mapping[str, str]) -> None:
    """Set those of the settings that the server knows, for this transaction."""
    connection.execute(_SET, [json.dumps(settings)])


def _qualified_names(connection: _Connection, tables: Iterable[str]) -> dict[str, str]:
    """The tables that exist, with their quoted and qualified names."""
    found = {table: connection.execute(_QUALIFIED_NAME, [table]).fetchone() for table in tables}
    return {table: row[0] for table, row in found.items() if row is not None}


def _naming(statement: str, places: Mapping[str, str]) -> sql.Composed:
    """The statement with the names of the tables."""
    return sql.SQL(statement).format(sql.SQL(", ").join(map(sql.SQL, places.values())))


def _contents(connection: _Connection) -> dict[str, Contents]:
    """The contents of each existing table. Reads every row in constant memory."""
    return {
        table: _table_contents(connection, table, place)
        for table, place in _qualified_names(connection, TABLES).items()
    }


def _table_contents(connection: _Connection, table: str, place: str) -> Contents:
    columns = [name for (name,) in connection.execute(_COLUMNS, [table])]
    query = sql.SQL(_CONTENTS).format(columns=sql.SQL(", ").join(map(sql.Identifier, columns)), table=sql.SQL(place))
    count, checksum = connection.execute(query).fetchone() or (0, "0")
    return Contents(rows=count, columns=columns, checksum=checksum)


# Backup.


def _refuse_existing(file: Path, *, replace: bool) -> None:
    if file.exists() and not (replace and file.is_file()):
        raise BackupError(f"{file} exists already" if file.is_file() else f"{file} is not a file")


@contextlib.contextmanager
def _temporary_file(file: Path) -> Iterator[IO[bytes]]:
    """A temporary file beside `file` that only its owner can read."""
    with tempfile.NamedTemporaryFile(prefix=f".{file.name}.", suffix=".part", dir=file.parent, delete=False) as part:
        try:
            yield part
        finally:
            Path(part.name).unlink(missing_ok=True)


def _write(url: str, part: IO[bytes]) -> Manifest:
    with psycopg.connect(
        url, connect_timeout=_CONNECT_TIMEOUT, prepare_threshold=None, application_name="tasks-api"
    ) as connection:
        program, version = pg_tools.oldest_program("pg_dump", connection.info.server_version // 10_000)
        places = _qualified_names(connection, (*TABLES, _VERSIONS))
        if _VERSIONS not in places:
            raise BackupError("the database has no tables of this service")
        connection.rollback()
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        # Before the first query, which takes the snapshot: a table that is truncated in between would appear empty.
        connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
        connection.execute(_naming("LOCK TABLE {} IN ACCESS SHARE MODE", places))
        _set(connection, _TEXT_SETTINGS | _TIMEOUTS_OFF)
        if _qualified_names(connection, (*TABLES, _VERSIONS)) != places:
            raise BackupError("the database was migrated at this moment; try again")
        (revision,) = connection.execute(f"SELECT version_num FROM {_VERSIONS}").fetchone() or (None,)  # nosec B608  # noqa: S608  its own name
        if revision is None or not migrations.known(revision):
            raise BackupError(f"the database is at revision {revision}, which this release does not know")
        (snapshot,) = connection.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
        digest = hashlib.sha256()
        for block in pg_tools.dump(program, url, places.values(), snapshot=snapshot):
            digest.update(block)
            part.write(block)
        manifest = Manifest(
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            revision=revision,
            postgresql=version,
            tables=_contents(connection),
        )
    told = b"\n" + manifest.model_dump_json().encode() + b"\n"
    digest.update(told)
    part.write(told + b"tasks-api backup 1 %08d %s\n" % (len(told), digest.hexdigest().encode()))
    return manifest


def _read_back(part: IO[bytes], manifest: Manifest) -> None:
    """Read every row of the archive back with `pg_restore`."""
    part.flush()
    _read(part, Path(part.name))
    program, _ = pg_tools.oldest_program("pg_restore", manifest.postgresql)
    for table, contents in manifest.tables.items():
        with pg_tools.rows(program, part, table) as (_, blocks):
            count = sum(block.count(b"\n") for block in blocks)
        if count != contents.rows:
            raise BackupError(f"the dump has {count} rows of the table {table}, and the database {contents.rows}")


def _give_name(part: Path, file: Path, *, replace: bool) -> None:
    if replace:
        part.replace(file)
    else:
        try:
            # Unlike a rename, it never replaces a file that was created meanwhile.
            file.hardlink_to(part)
        except FileExistsError:
            raise BackupError(f"{file} exists already") from None
        except OSError:
            # Some file systems have no links.
            _refuse_existing(file, replace=False)
            part.rename(file)
    with contextlib.suppress(PermissionError):
        # Windows cannot open directories.
        directory = os.open(file.parent, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)


# Restore.


def _read(archive: IO[bytes], file: Path) -> Manifest:
    """The manifest of a complete backup. Raises `BackupError`."""
    end = max(0, archive.seek(0, os.SEEK_END) - _LAST_LINE_BYTES)
    archive.seek(end)
    last_line = _LAST_LINE.fullmatch(archive.read())
    if last_line is None or not 0 < int(last_line[1]) <= min(end, _LONGEST_MANIFEST):
        raise BackupError(f"{file} is not a backup of this service, or not all of it")
    if _digest(archive, end) != last_line[2].decode():
        raise BackupError(f"{file} is damaged: it is not what was written")
    archive.seek(end - int(last_line[1]))
    try:
        manifest = Manifest.model_validate_json(archive.read(int(last_line[1])))
    except ValidationError:
        raise BackupError(f"{file} has a manifest that this release cannot read") from None
    if not migrations.known(manifest.revision):
        raise BackupError(f"{file} is of revision {manifest.revision}, which this release does not know")
    return manifest


def _digest(archive: IO[bytes], end: int) -> str:
    digest = hashlib.sha256()
    archive.seek(0)
    while block := archive.read(min(_BLOCK, end - archive.tell())):
        digest.update(block)
    return digest.hexdigest()


def _clear(connection: _Connection, revision: str | None, *, replace: bool) -> None:
    """Lock the tables and truncate them."""
    if revision is not None and not migrations.known(revision):
        raise BackupError(f"the database is at revision {revision}, which this release does not know")
    places = _qualified_names(connection, TABLES)
    if not places:
        return
    _lock(connection, places)
    held = [table for table, place in places.items() if _holds_rows(connection, place)]
    if held and not replace:
        raise BackupError(f"the database holds {' and '.join(held)} already")
    connection.execute(_naming("TRUNCATE TABLE {}", places))


def _lock(connection: _Connection, places: Mapping[str, str]) -> None:
    """Lock the tables. A running service locks them in another order, so a deadlock is retried."""
    for attempt in range(1, _LOCK_ATTEMPTS + 1):
        try:
            with connection.transaction():
                connection.execute(_naming("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", places))
        except psycopg.errors.DeadlockDetected:
            if attempt == _LOCK_ATTEMPTS:
                raise
        else:
            return


def _holds_rows(connection: _Connection, place: str) -> bool:
    return connection.execute(_naming("SELECT FROM {} LIMIT 1", {"": place})).fetchone() is not None


def _load(connection: _Connection, program: Path, archive: IO[bytes], table: str) -> None:
    with pg_tools.rows(program, archive, table) as (columns, blocks):
        target = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        with connection.cursor().copy(target) as copy:
            for block in blocks:
                copy.write(block)
