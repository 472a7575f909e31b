"""`tasks-api serve`."""

import asyncio
import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import click
import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from persistence.users import Owner
from server.app import create_app
from server.auth.development_tokens import DEMO_USER
from server.commands.errors import OperatorError, ended_in_order, explained
from server.commands.listener import bound, once_listening
from server.commands.reload import Reload
from server.commands.token import made_token
from server.configuration.start_log import log_start
from server.http_protocol import ProblemProtocol
from server.lifespan import database_address
from server.logging import output
from server.middleware.security_headers import security_headers
from server.process_environment import allow_files
from server.settings import Settings, load_settings
from server.transport.connection_limits import ConnectionMonitor, Limits

_log = structlog.get_logger()

_KEEP_ALIVE_SECONDS = 75
# Many workers that start at once on few cores take longer than uvicorn's five seconds for it, and would be killed and
# started for ever. One that has ended is noticed at once all the same.
_WORKER_SECONDS = 30
_OWN_FILES = 256


class _ServeCommand(click.Command):
    """A command whose help lists the variables of all settings, too."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        with formatter.section("Variables (docs/settings.md describes them; an option above has precedence)"):
            formatter.write_dl([(name.upper(), _summary(name)) for name in Settings.model_fields])


def _summary(name: str) -> str:
    """The first sentence about the setting."""
    return (Settings.model_fields[name].description or "").replace("`", "").partition(". ")[0].rstrip(".")


def _help(name: str) -> str:
    return f"{_summary(name)}.  [variable: {name.upper()}; default: {Settings.model_fields[name].default}]"


@click.command(cls=_ServeCommand)
@click.option("--host", help=_help("host"))
@click.option("--port", type=click.IntRange(0, 65535), help=_help("port"))
@click.option("--workers", type=click.IntRange(1, 64), help=_help("workers"))
@click.option("--reload/--no-reload", default=None, help=_help("reload"))
def serve(**options: Any) -> None:
    """Run the service."""
    # Worker processes read them there.
    os.environ.update({name.upper(): str(value) for name, value in options.items() if value is not None})
    # uvicorn ends the process by the signal that it got, once it has stopped.
    with explained(), ended_in_order(), contextlib.ExitStack() as stack:
        settings = load_settings()
        settings.check_embedded_database()
        secret = settings.secret()
        # All that is wrong is reported here, once, and not by each worker.
        app = create_app(settings, address=lambda _: contextlib.nullcontext(url))
        listener = stack.enter_context(bound(settings))
        log_start(settings)
        greet = _greeting(settings, listener.getsockname()[1])
        url = stack.enter_context(database_address(settings))
        if _has_workers(settings):
            _share_with_workers(url, secret, stack)
        with once_listening(listener, greet):
            _run(settings, app, listener)


def _has_workers(settings: Settings) -> bool:
    """True if other processes than this one handle the requests."""
    return settings.workers > 1 or settings.reload


def _run(settings: Settings, app: ASGIApp, listener: socket.socket) -> None:
    """Handle requests until the process is told to stop."""
    config = uvicorn.Config(
        "server.app:create_app" if _has_workers(settings) else app,
        factory=_has_workers(settings),
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
    server = uvicorn.Server(config)
    if settings.reload:
        Reload(config, server.run, [listener]).run()
        return
    if settings.workers > 1:
        Multiprocess(config, sockets=[listener]).run()
        return
    server.run(sockets=[listener])
    if not server.started:
        sys.exit(OperatorError.exit_code)


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
        connections=max(1, min(settings.max_connections, allow_files() - _OWN_FILES)),
    )
    return ConnectionMonitor(limits, security_headers(production=settings.is_production))


def _share_with_workers(url: str, secret: str | None, stack: contextlib.ExitStack) -> None:
    """Tell the workers where to find what all of them use."""
    os.environ["DATABASE_URL"] = url
    if secret is not None:
        os.environ["BETTER_AUTH_SECRET"] = secret
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = stack.enter_context(tempfile.TemporaryDirectory())


def _greeting(settings: Settings, port: int) -> Callable[[], None]:
    """A function that says that the service runs; in development also how to try it."""
    local = settings.host in ("127.0.0.1", "::1", "0.0.0.0", "::")  # nosec B104  # noqa: S104  it compares
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{'localhost' if local and not settings.is_production else host}:{port}"
    lines = ""
    if not settings.is_production:
        user, made = DEMO_USER, made_token(settings, Owner(DEMO_USER))
        page = "docs" if settings.docs_enabled else "guide"
        lines = f"Documentation: {address}/{page}\nToken of the user {user!r}, for an hour:\n\n{made}\n\n"

    def greet() -> None:
        _log.info("service.running", address=address)
        output.write(lines)
        output.flush()

    return greet
