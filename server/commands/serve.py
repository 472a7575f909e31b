"""`tasks-api serve`."""

import asyncio
import contextlib
import os
import socket
import sys
import tempfile
from functools import partial
from typing import cast

import click
import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from server.app import create_app
from server.commands.errors import OperatorError, ended_in_order, explained
from server.commands.token import demo_token
from server.http_protocol import ProblemProtocol
from server.lifespan import database_address
from server.logging import output
from server.middleware.security_headers import security_headers
from server.process_environment import allow_files
from server.settings import Settings, load_settings
from server.transport.connection_limits import ConnectionMonitor, Limits

_KEEP_ALIVE_SECONDS = 75
# Many workers that start at once on few cores take longer than uvicorn's five seconds for it, and would be killed and
# started for ever. One that has ended is noticed at once all the same.
_WORKER_SECONDS = 30
_OWN_FILES = 256
_SEND_BUFFER_BYTES = 262_144


@click.command()
def serve() -> None:
    """Run the service."""
    # uvicorn ends the process by the signal that it got, once it has stopped.
    with explained(), ended_in_order(), contextlib.ExitStack() as stack:
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
            raise OperatorError(f"HOST, PORT: {reason}") from error


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
    return ConnectionMonitor(limits, security_headers(production=settings.environment == "production"))


def _share_with_workers(url: str, secret: str | None, stack: contextlib.ExitStack) -> None:
    """Tell the workers where to find what all of them use."""
    os.environ["DATABASE_URL"] = url
    if secret is not None:
        os.environ["BETTER_AUTH_SECRET"] = secret
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = stack.enter_context(tempfile.TemporaryDirectory())


def _greet(settings: Settings, port: int) -> None:
    local = settings.host in ("127.0.0.1", "::1", "0.0.0.0", "::")  # nosec B104  # noqa: S104  it compares
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{'localhost' if local else host}:{port}"
    output.write(f"Documentation: {address}/docs\n")
    user, made = demo_token(settings)
    output.write(f"Token of the user {user!r}, for an hour:\n\n{made}\n\n")
    output.flush()
