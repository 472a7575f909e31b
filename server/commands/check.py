"""`tasks-api check`: what the settings mean, and whether all that the service needs can be reached."""

import asyncio
import sys
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import NamedTuple

import click
import psycopg

from persistence import migrations, readiness
from persistence.errors import DatabaseUnavailable
from persistence.migrations import runner
from persistence.postgres.database import Database
from server.auth.configuration import token_verifier
from server.auth.jwks import KeySet
from server.commands.errors import explained
from server.configuration.database_url import describe
from server.configuration.start_log import hosts_in_plain_text
from server.contract.document import ContractError, load_document
from server.lifespan import database_address
from server.logging import configure_logging
from server.rate_limit.policies import read_rate
from server.settings import Settings, SettingsError, load_settings, mistaken_variables

_CONNECT_SECONDS = 5


class _State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class _Finding(NamedTuple):
    """One line of the report."""

    subject: str
    state: _State
    text: str


@click.command()
def check() -> None:
    """Say what the settings mean, and reach the database, the issuer and Redis.

    Prints one line for each, with what to do. The exit status is 0, or 1 if there is an error.
    """
    configure_logging(level="error", json=False)
    found = [_printed(finding) for finding in _settings_findings()]
    if _State.ERROR not in {finding.state for finding in found}:
        found += asyncio.run(_reached(load_settings()))
    sys.exit(_State.ERROR in {finding.state for finding in found})


def _printed(finding: _Finding) -> _Finding:
    click.echo(f"{finding.state:8} {finding.subject}: {finding.text}")
    return finding


def _settings_findings() -> list[_Finding]:
    try:
        settings = load_settings()
        token_verifier(settings)
        load_document(settings.openapi_overlays)
        settings.check_embedded_database()
    except (SettingsError, ContractError) as error:
        return [_Finding("settings", _State.ERROR, line) for line in str(error).splitlines()]
    rules = "the rules of production apply" if settings.is_production else "for trying things out; set ENVIRONMENT"
    return [
        _Finding("mode", _State.OK, f"{settings.environment}: {rules}"),
        *(_Finding("settings", _State.WARNING, str(variable)) for variable in mistaken_variables()),
        *(
            _Finding("database", _State.WARNING, f"{name} does not make sure of TLS to {', '.join(hosts)}: add sslmode")
            for name, hosts in hosts_in_plain_text(settings).items()
        ),
        _metrics(settings),
    ]


def _metrics(settings: Settings) -> _Finding:
    if not settings.metrics_enabled:
        return _Finding("metrics", _State.OK, "/metrics is turned off by METRICS_ENABLED")
    if settings.metrics_token is not None:
        return _Finding("metrics", _State.OK, "/metrics demands METRICS_TOKEN")
    if settings.is_production:
        return _Finding("metrics", _State.WARNING, "/metrics is not there; set METRICS_TOKEN to read it")
    return _Finding("metrics", _State.OK, "/metrics is open to everybody, as it is in development")


async def _reached(settings: Settings) -> list[_Finding]:
    return [_printed(finding) async for finding in _connections(settings)]


async def _connections(settings: Settings) -> AsyncIterator[_Finding]:
    try:
        with explained(), database_address(settings) as url:
            yield await _database(settings, url)
    except click.ClickException as error:
        yield _Finding("database", _State.ERROR, error.message)
    if settings.migrations_database_url is not None:
        yield await _migrations(settings.migrations_database_url.get_secret_value())
    yield await _issuer(settings)
    if settings.redis_url is not None:
        yield await _redis(settings, str(settings.redis_url.get_secret_value()))


async def _database(settings: Settings, url: str) -> _Finding:
    where = describe(url) if settings.database_url is not None else f"embedded in {settings.data_dir / 'postgres'}"
    try:
        version = await _version(url)
    except psycopg.Error as error:
        return _unreachable("DATABASE_URL", where, error)
    database = Database(size=1)
    await database.open(url)
    try:
        await readiness.check(database)
    except DatabaseUnavailable as error:
        todo = "`serve` will apply them" if settings.migrate_on_start else "run `tasks-api migrate`"
        state = _State.WARNING if settings.migrate_on_start else _State.ERROR
        return _Finding("database", state, f"{version}, {where}, is not ready ({error}): {todo}")
    finally:
        await database.close()
    text = f"{version}, {where}, has the schema of this release (revision {migrations.head()})"
    return _Finding("database", _State.OK, text)


async def _migrations(url: str) -> _Finding:
    try:
        return _Finding("migrations", _State.OK, f"{await _version(url)}, {describe(url)}, for migrations only")
    except psycopg.Error as error:
        return _unreachable("MIGRATIONS_DATABASE_URL", describe(url), error)


async def _version(url: str) -> str:
    connection = await psycopg.AsyncConnection.connect(url, connect_timeout=_CONNECT_SECONDS)
    async with connection:
        tls = "with" if connection.pgconn.ssl_in_use else "without"
        return f"PostgreSQL {connection.info.server_version // 10000} {tls} TLS"


def _unreachable(name: str, where: str, error: psycopg.Error) -> _Finding:
    text = f"{where} cannot be reached ({runner.reason(error)}): see {name}, and whether the database runs"
    return _Finding("migrations" if name.startswith("MIGRATIONS") else "database", _State.ERROR, text)


async def _issuer(settings: Settings) -> _Finding:
    if settings.key_set_url is None:
        secret = "BETTER_AUTH_SECRET" if settings.better_auth_secret else "the development secret"
        return _Finding("issuer", _State.OK, f"tokens are signed with {secret} (HS256); there is no key set")
    keys = KeySet(settings.key_set_url)
    try:
        count = await keys.usable_keys()
    except ConnectionError as error:
        text = f"no key set ({error}): see BETTER_AUTH_URL and JWKS_URL, and whether the front end runs"
        return _Finding("issuer", _State.ERROR, text)
    finally:
        await keys.aclose()
    if count == 0:
        text = "the key set has no usable key; Better Auth makes one with its first token"
        return _Finding("issuer", _State.WARNING, text)
    return _Finding("issuer", _State.OK, f"the key set has {count} usable keys")


async def _redis(settings: Settings, url: str) -> _Finding:
    # Takes a quarter of a second to import, and few need it.
    from server.rate_limit.redis import RedisCounter  # noqa: PLC0415

    rate = read_rate(settings.rate_limit)
    if rate is None:
        return _Finding("redis", _State.OK, "REDIS_URL is not used: RATE_LIMIT is off")
    counter = RedisCounter(url)
    try:
        if await counter.peek(rate, "") is not None:
            return _Finding("redis", _State.OK, "answers, and counts requests for all processes together")
    finally:
        await counter.aclose()
    text = "no answer: see REDIS_URL, and whether Redis runs; meanwhile each process counts separately"
    return _Finding("redis", _State.ERROR, text)
