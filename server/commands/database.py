"""The commands for the operator of the database: migrate, distribute, backup, restore and purge."""

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from persistence import migrations
from persistence.admin import backup, distribution
from persistence.admin.sessions import service_sessions
from persistence.errors import DatabaseUnavailable
from persistence.migrations import runner
from persistence.postgres.database import Database
from persistence.retention import Purged
from persistence.retention import purge as purge_database
from server.commands.errors import OperatorError, ended_in_order, explained
from server.lifespan import database_address
from server.logging import configure_logging
from server.settings import Settings, load_settings


@click.command()
@click.option("--down-to", "revision", help="Go back to this revision instead; `base` is an empty database.")
@click.option("--yes", is_flag=True, help="Do not ask before --down-to.")
def migrate(revision: str | None, *, yes: bool) -> None:
    """Apply the migrations to MIGRATIONS_DATABASE_URL (or DATABASE_URL).

    --down-to removes what later revisions have added, with its data. It asks first, and the service must not run.
    """
    with explained():
        settings = load_settings()
        configure_logging(level=settings.log_level, json=settings.is_production)
        with _direct_address(settings) as url:
            if revision is None:
                runner.upgrade(url)
            else:
                _refuse_while_in_use(url)
                _ask(revision, yes=yes)
                runner.downgrade(url, revision)
    click.echo(f"The database is at revision {revision or migrations.head()}.")


def _refuse_while_in_use(url: str) -> None:
    sessions = service_sessions(url)
    if sessions:
        raise OperatorError(
            f"the service uses this database ({len(sessions)} connections from {', '.join(sorted(set(sessions)))}): "
            "stop it first. A pooler keeps the connections of a stopped service for some minutes; in PgBouncer "
            "RECONNECT ends them"
        )


def _ask(revision: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise OperatorError("--down-to removes data: nobody can be asked here, so confirm it with --yes")
    click.confirm(f"Remove what was added after the revision {revision}, with its data?", abort=True)


@contextlib.contextmanager
def configured_address() -> Iterator[str]:
    """The URL for migrations, by the settings of the environment. Alembic's own command uses it (alembic.ini)."""
    with _direct_address(load_settings()) as url:
        yield url


@contextlib.contextmanager
def _direct_address(settings: Settings) -> Iterator[str]:
    """The URL of the database itself, if DATABASE_URL is that of a pooler."""
    if settings.migrations_database_url is not None:
        yield settings.migrations_database_url.get_secret_value()
        return
    with database_address(settings) as url:
        yield url


@click.command()
def distribute() -> None:
    """Distribute the tables of MIGRATIONS_DATABASE_URL (or DATABASE_URL), the coordinator of Citus, by user.

    The service may run meanwhile. Run it again after a node was added.
    """
    with explained():
        settings = load_settings()
        configure_logging(level=settings.log_level, json=settings.is_production)
        with _direct_address(settings) as url:
            distributed = distribution.distribute(url)
    click.echo(f"Distributed {', '.join(distributed)}." if distributed else "The tables are distributed already.")


_FILE = click.argument("file", type=click.Path(path_type=Path))


@click.command("backup")
@_FILE
@click.option("--replace", is_flag=True, help="Replace FILE if there is one.")
def make_backup(file: Path, *, replace: bool) -> None:
    """Write all data of MIGRATIONS_DATABASE_URL (or DATABASE_URL) to FILE.

    The service may run meanwhile. FILE is there once it is complete and was read back.
    """
    with explained(), ended_in_order():
        settings = load_settings()
        configure_logging(level=settings.log_level, json=settings.is_production)
        with _direct_address(settings) as url:
            made = backup.backup(url, file, replace=replace)
    click.echo(f"{file} holds {_summary(made)}, and was read back.")


@click.command()
@_FILE
@click.option("--replace", is_flag=True, help="Replace what the database holds.")
def restore(file: Path, *, replace: bool) -> None:
    """Load the data of FILE into MIGRATIONS_DATABASE_URL (or DATABASE_URL), atomically.

    The database must hold none. The service may run; its requests wait, or get a 503.
    """
    with explained(), ended_in_order():
        settings = load_settings()
        configure_logging(level=settings.log_level, json=settings.is_production)
        with _direct_address(settings) as url:
            restored = backup.restore(url, file, replace=replace)
    compared = f"{_summary(restored)} from {file}, compared"
    click.echo(f"The database holds {compared}, and is at revision {migrations.head()}.")


def _summary(manifest: backup.Manifest) -> str:
    """The contents of the backup in words."""
    counts = ", ".join(f"{contents.rows} {table}" for table, contents in manifest.tables.items())
    return f"{counts} (revision {manifest.revision})"


@click.command()
def purge() -> None:
    """Remove tasks that have been in the trash for TRASH_RETENTION_DAYS, and expired idempotency keys.

    The service does so by itself, every hour. Any number of these may run at once.
    """
    with explained():
        settings = load_settings()
        configure_logging(level=settings.log_level, json=settings.is_production)
        with database_address(settings) as url:
            purged = asyncio.run(_purged(url, settings.trash_retention_days))
    click.echo(f"Removed {purged.tasks} tasks and {purged.keys} idempotency keys.")


async def _purged(url: str, retention_days: int) -> Purged:
    database = Database(size=1)
    await database.open(url)
    try:
        return await purge_database(database, retention_days=retention_days)
    except DatabaseUnavailable as error:
        message = f"the database cannot be reached, or its migrations are not applied ({error})"
        raise OperatorError(message) from error
    finally:
        await database.close()
