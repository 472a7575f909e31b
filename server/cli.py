"""`tasks-api`, the command."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import cast

import click
import orjson
import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from persistence import migrations
from persistence.admin import backup
from persistence.errors import BackupError, DatabaseUnavailable
from persistence.postgres.database import Database
from persistence.retention import Purged
from persistence.retention import purge as purge_database
from server.app import create_app
from server.auth.tokens import issue_token
from server.contract.document import ContractError, load_document, to_yaml
from server.http_protocol import ProblemProtocol
from server.lifespan import database_address
from server.logging import configure_logging, output
from server.middleware.security_headers import security_headers
from server.process_environment import allow_files, open_standard_streams
from server.settings import Settings, SettingsError, load_settings
from server.transport.connection_limits import ConnectionMonitor, Limits

_DEMO_USER = "demo"
_KEEP_ALIVE_SECONDS = 75
# Many workers that start at once on few cores take longer than uvicorn's five seconds for it, and would be killed and
# started for ever. One that has ended is noticed at once all the same.
_WORKER_SECONDS = 30
_FILES_OF_OUR_OWN = 256
_SEND_BUFFER_BYTES = 262_144
_YEAR_SECONDS = 366 * 24 * 3600
_DOT_SEGMENT = "clients and proxies remove the segment {!r} from a path (RFC 3986, section 5.2.4)"
_REASONS_AGAINST_A_PATH = {
    ".": _DOT_SEGMENT.format("."),
    "..": _DOT_SEGMENT.format(".."),
    "tasks": "/api/tasks is the list of tasks, not the profile of the user 'tasks'",
}
"""The user ids for which `/api/{user_id}` is not an address that every client can use."""


class _OperatorError(click.ClickException):
    """An error for the operator, in one sentence and without a stack trace."""

    exit_code = 2


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (SettingsError, ContractError, migrations.MigrationError, BackupError, OSError) as error:
        raise _OperatorError(str(error)) from None


@click.group()
@click.version_option(package_name="tasks-api")
def main() -> None:
    """The Tasks API. Settings come from the environment; docs/settings.md lists them."""
    open_standard_streams()


@main.command()
def serve() -> None:
    """Run the service."""
    # uvicorn ends the process by the signal that it got, once it has stopped.
    with _explained(), _ended_in_order(), contextlib.ExitStack() as stack:
        settings = load_settings()
        secret = settings.secret()
        # All that is wrong is reported here, once, and not by each worker.
        app = create_app(settings, address=lambda _: contextlib.nullcontext(url))
        _check_port(settings)
        url = stack.enter_context(database_address(settings))
        if settings.workers > 1:
            _share_with_workers(url, secret, stack)
        _run(settings, app)


def _check_port(settings: Settings) -> None:
    """See that the port can be listened on, before anything is started. Where it cannot, uvicorn would end at once."""
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            reason = f"cannot listen on {settings.host}, port {settings.port}: {error.strerror}"
            raise _OperatorError(f"HOST, PORT: {reason}") from error


def _run(settings: Settings, app: ASGIApp) -> None:
    """Listen, then print the address: a port that is in use ends the command here."""
    config = uvicorn.Config(
        app if settings.workers == 1 else "server.app:create_app",
        factory=settings.workers > 1,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_worker_healthcheck=_WORKER_SECONDS,
        http=cast("type[asyncio.Protocol]", partial(ProblemProtocol, monitor=_monitor(settings))),
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        # A stage of the application reads them, once their length is known to be bounded.
        proxy_headers=False,
    )
    listener = config.bind_socket()
    # Accepted connections inherit this. Without it the kernel buffers up to 4 MB of a response that nobody reads.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    if settings.environment == "development":
        _greet(settings, listener.getsockname()[1])
    server = uvicorn.Server(config)
    if settings.workers > 1:
        Multiprocess(config, sockets=[listener]).run()
        return
    server.run(sockets=[listener])
    if not server.started:
        sys.exit(_OperatorError.exit_code)


def _monitor(settings: Settings) -> ConnectionMonitor:
    seconds = float(settings.shutdown_seconds)
    if settings.workers > 1:
        # The supervisor takes up to half a second to pass the signal on, and some time to end after its workers.
        seconds -= min(1, seconds / 4)
    limits = Limits(
        head_seconds=settings.header_timeout_seconds,
        body_seconds=settings.body_timeout_seconds,
        request_seconds=settings.request_timeout_seconds,
        shutdown_seconds=seconds,
        connections=max(1, min(settings.max_connections, allow_files() - _FILES_OF_OUR_OWN)),
    )
    return ConnectionMonitor(limits, security_headers(production=settings.environment == "production"))


def _share_with_workers(url: str, secret: str | None, stack: contextlib.ExitStack) -> None:
    """Tell the workers where to find what all of them use."""
    os.environ["DATABASE_URL"] = url
    if secret is not None:
        os.environ["BETTER_AUTH_SECRET"] = secret
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = stack.enter_context(tempfile.TemporaryDirectory())


def _greet(settings: Settings, port: int) -> None:
    local = settings.host in ("127.0.0.1", "::1", "0.0.0.0", "::")  # noqa: S104
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{'localhost' if local else host}:{port}"
    output.write(f"Documentation: {address}/docs\n")
    output.write(f"Token of the user {_DEMO_USER!r}, for an hour:\n\n{_token(settings, _DEMO_USER)}\n\n")
    output.flush()


@main.command()
@click.option("--down-to", "revision", help="Go back to this revision instead; `base` is an empty database.")
def migrate(revision: str | None) -> None:
    """Apply the migrations to MIGRATIONS_DATABASE_URL (or DATABASE_URL)."""
    with _explained():
        settings = load_settings()
        configure_logging(level=settings.log_level, json=settings.environment == "production")
        with _direct_address(settings) as url:
            if revision is None:
                migrations.upgrade(url)
            else:
                migrations.downgrade(url, revision)
    click.echo(f"The database is at revision {revision or migrations.head()}.")


@contextlib.contextmanager
def _direct_address(settings: Settings) -> Iterator[str]:
    """The URL of the database itself, if DATABASE_URL is that of a pooler."""
    if settings.migrations_database_url is not None:
        yield settings.migrations_database_url.get_secret_value()
        return
    with database_address(settings) as url:
        yield url


_FILE = click.argument("file", type=click.Path(path_type=Path))


@main.command("backup")
@_FILE
@click.option("--replace", is_flag=True, help="Replace FILE if there is one.")
def make_backup(file: Path, *, replace: bool) -> None:
    """Write all data of MIGRATIONS_DATABASE_URL (or DATABASE_URL) to FILE.

    The service may run meanwhile. FILE is there once it is complete and was read back.
    """
    with _explained(), _ended_in_order():
        settings = load_settings()
        configure_logging(level=settings.log_level, json=settings.environment == "production")
        with _direct_address(settings) as url:
            made = backup.backup(url, file, replace=replace)
    click.echo(f"{file} holds {_summary(made)}, and was read back.")


@main.command()
@_FILE
@click.option("--replace", is_flag=True, help="Replace what the database holds.")
def restore(file: Path, *, replace: bool) -> None:
    """Load the data of FILE into MIGRATIONS_DATABASE_URL (or DATABASE_URL), atomically.

    The database must hold none. The service may run; its requests wait, or get a 503.
    """
    with _explained(), _ended_in_order():
        settings = load_settings()
        configure_logging(level=settings.log_level, json=settings.environment == "production")
        with _direct_address(settings) as url:
            restored = backup.restore(url, file, replace=replace)
    compared = f"{_summary(restored)} from {file}, compared"
    click.echo(f"The database holds {compared}, and is at revision {migrations.head()}.")


def _summary(manifest: backup.Manifest) -> str:
    """The contents of the backup in words."""
    counts = ", ".join(f"{contents.rows} {table}" for table, contents in manifest.tables.items())
    return f"{counts} (revision {manifest.revision})"


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let SIGTERM raise an exception, so that the command cleans up."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@main.command()
def purge() -> None:
    """Remove tasks that have been in the trash for TRASH_RETENTION_DAYS, and expired idempotency keys.

    The service does so by itself, every hour. Any number of these may run at once.
    """
    with _explained():
        settings = load_settings()
        configure_logging(level=settings.log_level, json=settings.environment == "production")
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
        raise _OperatorError(message) from error
    finally:
        await database.close()


@main.command()
@click.argument("user")
@click.option("--email", help="The e-mail address of the user.")
@click.option("--name", help="The name of the user.")
@click.option(
    "--expires",
    type=click.IntRange(min=1, max=_YEAR_SECONDS),
    default=3600,
    show_default=True,
    help="For how many seconds it is valid; JWT_MAX_AGE at most, where that is set.",
)
def token(user: str, email: str | None, name: str | None, expires: int) -> None:
    """Print a token for USER, in development only.

    A note on standard error says which addresses USER has if the id cannot stand in a path.
    """
    with _explained():
        settings = load_settings()
        if settings.environment != "development":
            raise _OperatorError(
                "tokens are made in development only; in production your identity provider issues them"
            )
        try:
            click.echo(_token(settings, user, email=email, name=name, expires=expires))
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="USER") from None
        if reason := _REASONS_AGAINST_A_PATH.get(user):
            prefix = settings.root_path
            click.echo(f"Use {prefix}/api/me and {prefix}/api/tasks for this user: {reason}.", err=True)


def _token(
    settings: Settings, user: str, *, email: str | None = None, name: str | None = None, expires: int = 3600
) -> str:
    secret = settings.secret()
    if secret is None:
        raise AssertionError("development has a secret")
    return issue_token(
        secret,
        user,
        email=email,
        name=name,
        # The service would refuse one that is valid for longer.
        expires_in=timedelta(seconds=min(expires, settings.jwt_max_age or expires)),
        audience=settings.audience,
        issuer=settings.issuer,
    )


@main.group()
def contract() -> None:
    """The OpenAPI document."""


@contract.command("print")
@click.option("--json", "as_json", is_flag=True, help="As JSON instead of YAML.")
def print_contract(*, as_json: bool) -> None:
    """Print the document as it is served, adapted by OPENAPI_OVERLAYS and ROOT_PATH."""
    with _explained():
        settings = load_settings()
        document = load_document(settings.openapi_overlays, root_path=settings.root_path)
    if as_json:
        click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo(to_yaml(document), nl=False)
