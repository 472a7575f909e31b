"""A service that is sent hostile tokens, and everything that watches it."""

import contextlib
import json
import socket
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.hostile.tokens.claims import Lines
from tests.hostile.tokens.signers import SIGNERS, good
from tests.support.document import FIELD_BYTES
from tests.support.raw_http import RawAnswer, ask, problem
from tests.support.servers.issuer import (
    FRONT_END,
    SECRET,
    Issuer,
    hs256,
)
from tests.support.service import Service, running_service

PATH = "/api/ada/tasks"
# Fields that may differ between two refusals: request id, date, and remaining requests.
_OF_ONE_ANSWER = {"x-request-id", "date", "server-timing", "ratelimit", "ratelimit-policy"}
_REFUSED = '"security.token_refused"'
_UNDECIDED = '"unavailable"'
# About ten times the cost of the dearest token here, and a hundredth of the cost of a token that needs a bound.
_CPU_SECONDS = 0.01
_ROUNDS = 10
_SECONDS = 5


class Relay:
    """A relay between the service and its database that counts every byte that the service sends."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        # An embedded server listens on a socket of the file system, which is named in the query.
        self._directory = dict(pair.split("=", 1) for pair in parts.query.split("&")).get("host", "")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"postgresql://{parts.netloc.partition('@')[0]}@127.0.0.1:{self._port}{parts.path}"
        self.connections = 0
        self.bytes = 0
        self._ended = False
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def _port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def seen(self) -> tuple[int, int]:
        """Connections, and bytes sent on them."""
        return self.connections, self.bytes

    def close(self) -> None:
        self._ended = True
        for one in (*self._open, self._listener):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while not self._ended:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{self._directory}/.s.PGSQL.5432")
            self._open += [client, server]
            threading.Thread(target=self._pass, args=(client, server), kwargs={"counted": True}, daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client), kwargs={"counted": False}, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, *, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while octets := source.recv(65536):
                self.bytes += len(octets) if counted else 0
                target.sendall(octets)
            target.shutdown(socket.SHUT_WR)


class Canary:
    """An address that tokens name. A connection to it shows that the service has followed a token."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self._listener.settimeout(0)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def visitors(self) -> int:
        """Return the number of connections since the last call."""
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self._listener.accept()[0].close()
                count += 1
        return count

    def close(self) -> None:
        self._listener.close()


@dataclass(frozen=True)
class Refusals:
    """The answers to a token that is refused, to a request without one, and to a token that has only expired."""

    token: RawAnswer
    missing: RawAnswer
    expired: RawAnswer

    def to(self, reason: str) -> RawAnswer:
        """Return the answer for a reason in the log."""
        if reason == "expired":
            return self.expired
        return self.missing if reason in {"no Authorization header", "not a bearer token"} else self.token


@dataclass
class Target:
    """A service under attack, and everything that watches it."""

    service: Service
    relay: Relay
    canary: Canary
    algorithms: tuple[str, ...]
    issuer: Issuer | None
    refusals: Refusals
    read: int = 0

    def new_log(self) -> str:
        """Return the log since the last call. Refusals are written before their answers."""
        with self.service.log.open() as log:
            log.seek(self.read)
            text = log.read()
            self.read = log.tell()
        return text

    def assert_refused(self, lines: Lines, secrets: list[str], *, target: str = PATH) -> str:
        """Send a request with these header lines and check the answer, the database and the log for the 401.

        A token whose key is unknown may get a 503 instead. Returns the reason that the log gives.
        """
        before = self.relay.seen
        self.new_log()
        start = time.monotonic()
        answer = ask(self.service, head(lines, target))
        assert time.monotonic() - start < _SECONDS
        assert self.relay.seen == before
        text = self.new_log()
        assert [secret for secret in secrets if len(secret) > 7 and secret in text] == []
        (line,) = [line for line in text.splitlines() if (_REFUSED in line or _UNDECIDED in line) and "reason" in line]
        assert answer.headers["x-request-id"] in line
        reason: str = json.loads(line)["reason"]
        if _UNDECIDED in line:
            problem(self.service, answer, "service-unavailable")
            assert self.issuer is not None
            assert reason.startswith("the token's key is not in the key set, next attempt in ")
        else:
            assert same(answer) == same(self.refusals.to(reason))
        return reason

    def assert_token_refused(self, token: str) -> str:
        """The same for a token in the `Authorization` field."""
        field = b"Bearer " + token.encode()
        if len(field) > FIELD_BYTES:
            self.assert_too_long(field)
            return "too long"
        return self.assert_refused([b"Authorization: " + field], words_of(token))

    def assert_too_long(self, field: bytes) -> None:
        """Send a request with this `Authorization`, which must be refused before a token is looked at."""
        before = self.relay.seen
        self.new_log()
        problem(self.service, ask(self.service, head([b"Authorization: " + field])), "header-fields-too-large")
        assert _REFUSED not in self.new_log()
        assert self.relay.seen == before


def head(lines: Lines, target: str = PATH, method: str = "GET") -> bytes:
    """A request, byte by byte."""
    return b"\r\n".join([f"{method} {target} HTTP/1.1".encode(), b"Host: tasks.test", *lines, b"", b""])


def same(answer: RawAnswer) -> tuple[int, list[tuple[str, str]], bytes]:
    """All of an answer that must be the same for every refusal."""
    fields = [(name, value) for name, value in answer.headers.items() if name not in _OF_ONE_ANSWER]
    return answer.status_code, sorted(fields), answer.content


def words_of(token: str) -> list[str]:
    """Return the texts of a token that must not be repeated: the whole, its parts, and their contents."""
    words = [token, *token.split(".")]
    for part in token.split(".")[:2]:
        with contextlib.suppress(ValueError):
            words.append(urlsafe_b64decode(part.encode("ascii") + b"===").decode("utf-8", "replace"))
    return [*words, "only-the-client", "todo.example", "better-auth", "eve", "4102444800"]


@contextlib.contextmanager
def attacked(database_url: str, directory: Path, issuer: Issuer | None) -> Iterator[Target]:
    """A service whose connections to the database are counted, once it is idle."""
    settings: dict[str, Any] = {"BETTER_AUTH_SECRET": SECRET, "ENVIRONMENT": "production"}
    if issuer is not None:
        settings |= {"JWKS_URL": issuer.url, "JWT_AUDIENCE": FRONT_END, "JWT_ISSUER": FRONT_END}
    relay, canary = Relay(database_url), Canary()
    try:
        with running_service(directory, DATABASE_URL=relay.url, **settings) as running:
            refusal = ask(running, head([b"Authorization: Bearer e30.e30.e30"]))
            problem(running, refusal, "unauthenticated")
            missing, expired = (
                ask(running, head([])),
                ask(running, head([f"Authorization: Bearer {hs256(exp=1)}".encode()])),
            )
            problem(running, missing, "unauthenticated")
            problem(running, expired, "token-expired")
            algorithms = tuple(SIGNERS) if issuer is not None else ("HS256",)
            target = Target(running, relay, canary, algorithms, issuer, Refusals(refusal, missing, expired))
            # Work that the start left over: statements are prepared and keys are fetched.
            for algorithm in algorithms:
                assert accepts(target, good(algorithm))
            yield target
    finally:
        relay.close()
        canary.close()


def accepts(target: Target, token: str) -> bool:
    return ask(target.service, head([f"Authorization: Bearer {token}".encode()])).status_code == 200


def each(table: Mapping[str, object]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in table.items()])
