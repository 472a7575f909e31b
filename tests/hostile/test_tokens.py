"""Tokens that prove nothing, sent to running services: each gets the one 401 and costs next to nothing.

No statement reaches the database, nobody is called whom a token names, and the log says why without a word of it.
"""

import contextlib
import json
import socket
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psutil
import pytest

from server.middleware.request_limits import FIELD_BYTES
from tests.hostile.tokens import (
    BINDINGS,
    CONFUSED,
    COOKIES,
    INJECTIONS,
    KEYS,
    NONE,
    OTHER_FORMS,
    PAYLOADS,
    QUERIES,
    REQUESTS,
    SIGNATURES,
    SIGNERS,
    TEXTS,
    Lines,
    good,
)
from tests.support.figures import Figures
from tests.support.issuer import (
    FRONT_END,
    SECRET,
    Issuer,
    claims,
    claims_text,
    hs256,
    jwk,
    running_issuer,
    seal,
)
from tests.support.raw_http import RawAnswer, Wire, ask, problem
from tests.support.service import Service, running_service

PATH = "/api/ada/tasks"
# What may differ between two refusals: whose answer it is, when it was given, and how many more may be asked for.
_OF_ONE_ANSWER = {"x-request-id", "date", "ratelimit", "ratelimit-policy"}
_REFUSED = "security.token_refused"
# About ten times what the dearest costs here, and a hundredth of what any that needs a bound would.
_CPU_SECONDS = 0.01
_ROUNDS = 10
_SECONDS = 5


class Relay:
    """What stands between the service and its database, and sees every byte that the service sends."""

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
    """An address that tokens name. Whoever connects there has followed one."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self._listener.settimeout(0)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def visitors(self) -> int:
        """How many have come since it was last asked."""
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self._listener.accept()[0].close()
                count += 1
        return count

    def close(self) -> None:
        self._listener.close()


@dataclass
class Target:
    """A service under attack, and everything that watches it."""

    service: Service
    relay: Relay
    canary: Canary
    algorithms: tuple[str, ...]
    issuer: Issuer | None
    refusal: RawAnswer
    read: int = 0

    def new_log(self) -> str:
        """What the log has said since it was last read. Refusals are written before their answers."""
        with self.service.log.open() as log:
            log.seek(self.read)
            text = log.read()
            self.read = log.tell()
        return text

    def assert_refused(self, lines: Lines, secrets: list[str], *, target: str = PATH) -> str:
        """Send a request with these header lines and hold the answer, the database and the log against the one 401.

        Returns the reason that the log gives.
        """
        before = self.relay.seen
        self.new_log()
        start = time.monotonic()
        answer = ask(self.service, head(lines, target))
        assert time.monotonic() - start < _SECONDS
        assert same(answer) == same(self.refusal)
        assert self.relay.seen == before
        text = self.new_log()
        (line,) = [line for line in text.splitlines() if _REFUSED in line]
        assert answer.headers["x-request-id"] in line
        assert [secret for secret in secrets if len(secret) > 7 and secret in text] == []
        reason: str = json.loads(line)["reason"]
        return reason

    def assert_token_refused(self, token: str) -> str:
        """The same for a token in its proper place."""
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
    """All of an answer that must not tell one refusal from another."""
    fields = [(name, value) for name, value in answer.headers.items() if name not in _OF_ONE_ANSWER]
    return answer.status_code, sorted(fields), answer.content


def words_of(token: str) -> list[str]:
    """What of a token must not be repeated: its text, its parts, and what they say."""
    words = [token, *token.split(".")]
    for part in token.split(".")[:2]:
        with contextlib.suppress(ValueError):
            words.append(urlsafe_b64decode(part.encode("ascii") + b"===").decode("utf-8", "replace"))
    return [*words, "only-the-client", "todo.example", "better-auth", "eve", "4102444800"]


@contextlib.contextmanager
def attacked(database_url: str, directory: Path, issuer: Issuer | None) -> Iterator[Target]:
    """A service whose way to the database is watched, once it has come to rest."""
    settings: dict[str, Any] = {"BETTER_AUTH_SECRET": SECRET, "ENVIRONMENT": "production"}
    if issuer is not None:
        settings |= {"JWKS_URL": issuer.url, "JWT_AUDIENCE": FRONT_END, "JWT_ISSUER": FRONT_END}
    relay, canary = Relay(database_url), Canary()
    try:
        with running_service(directory, DATABASE_URL=relay.url, **settings) as running:
            refusal = ask(running, head([]))
            problem(running, refusal, "unauthenticated")
            algorithms = tuple(SIGNERS) if issuer is not None else ("HS256",)
            target = Target(running, relay, canary, algorithms, issuer, refusal)
            # What the start left to be done: statements are prepared and keys are fetched.
            for algorithm in algorithms:
                assert accepts(target, good(algorithm))
            yield target
    finally:
        relay.close()
        canary.close()


def accepts(target: Target, token: str) -> bool:
    return ask(target.service, head([f"Authorization: Bearer {token}".encode()])).status_code == 200


@pytest.fixture(scope="module")
def with_secret(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A service that has the shared secret and nothing else."""
    with attacked(database_url, tmp_path_factory.mktemp("secret"), None) as target:
        yield target


@pytest.fixture(scope="module")
def with_keys(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A service that has an issuer's keys, too, and an audience and an issuer's name to compare with."""
    with running_issuer() as issuer:
        issuer.publish(*(jwk(key, kid) for kid, key in KEYS.items()))
        with attacked(database_url, tmp_path_factory.mktemp("keys"), issuer) as target:
            yield target


@pytest.fixture(params=["with_secret", "with_keys"])
def target(request: pytest.FixtureRequest) -> Target:
    """Each of the two in turn."""
    found: Target = request.getfixturevalue(request.param)
    return found


def each(table: Mapping[str, object]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in table.items()])


# What is refused.


@each(TEXTS | OTHER_FORMS)
def test_what_is_no_token_of_ours_is_refused(figures: Figures, target: Target, make: Callable[[], str]) -> None:
    target.assert_token_refused(make())
    figures("Hostile tokens", 1, 1)


@each(NONE)
def test_a_token_without_an_algorithm_is_refused(figures: Figures, target: Target, make: Callable[[], str]) -> None:
    target.assert_token_refused(make())
    figures("Hostile tokens", 1, 1)


@each(CONFUSED)
def test_a_key_is_good_for_its_own_algorithm_only(figures: Figures, target: Target, make: Callable[[], str]) -> None:
    target.assert_token_refused(make())
    figures("Hostile tokens", 1, 1)


@each(SIGNATURES)
def test_a_signature_that_is_not_true_is_refused(figures: Figures, target: Target, make: Callable[[], str]) -> None:
    reason = target.assert_token_refused(make())
    expected = {"signature", "malformed", "not a signed token in compact form"}
    assert reason in expected | ({"no key is configured for this kind of algorithm"} if not target.issuer else set())
    figures("Hostile tokens", 1, 1)


@each(INJECTIONS)
def test_a_token_does_not_say_what_verifies_it(figures: Figures, target: Target, make: Callable[[str], str]) -> None:
    target.assert_token_refused(make(target.canary.url))
    assert target.canary.visitors() == 0
    figures("Hostile tokens", 1, 1)


@each(PAYLOADS)
def test_a_well_signed_token_is_refused_for_what_it_says(
    figures: Figures, target: Target, make: Callable[[], bytes]
) -> None:
    for algorithm in target.algorithms:
        header, signature = SIGNERS[algorithm]
        reason = target.assert_token_refused(seal(header, make(), signature))
        assert all(word not in reason for word in ("signature", "audience", "issuer", "claim aud", "claim iss"))
    figures("Hostile tokens", len(target.algorithms), len(target.algorithms))


@each(COOKIES)
def test_a_session_cookie_is_no_access_token(figures: Figures, target: Target, make: Callable[[], bytes]) -> None:
    for algorithm in target.algorithms:
        header, signature = SIGNERS[algorithm]
        assert "signature" not in target.assert_token_refused(seal(header, make(), signature))
    figures("Hostile tokens", len(target.algorithms), len(target.algorithms))


@each(BINDINGS)
def test_an_audience_and_an_issuer_bind_every_token(
    figures: Figures, with_keys: Target, make: Callable[[], bytes]
) -> None:
    for header, signature in SIGNERS.values():
        reason = with_keys.assert_token_refused(seal(header, make(), signature))
        assert any(word in reason for word in ("audience", "issuer", "claim aud", "claim iss"))
    figures("Hostile tokens", len(SIGNERS), len(SIGNERS))


@each(REQUESTS)
def test_a_good_token_in_the_wrong_place_is_none(
    figures: Figures, target: Target, make: Callable[[bytes], Lines]
) -> None:
    token = hs256()
    assert accepts(target, token)
    target.assert_refused(make(token.encode()), words_of(token))
    figures("Hostile tokens", 1, 1)


@pytest.mark.parametrize("parameter", QUERIES)
def test_a_good_token_in_the_query_is_none(figures: Figures, target: Target, parameter: str) -> None:
    token = hs256()
    target.assert_refused([], words_of(token), target=f"{PATH}?{parameter}={token}")
    target.assert_refused([], words_of(token), target=f"{PATH}?{parameter}=Bearer%20{token}")
    figures("Hostile tokens", 2, 2)


def test_a_good_token_in_a_form_is_none(target: Target) -> None:
    """RFC 6750, section 2.2, which nobody should use."""
    body = f"access_token={hs256()}".encode()
    lines = [b"Content-Type: application/x-www-form-urlencoded", b"Content-Length: %d" % len(body)]
    answer = ask(target.service, head(lines, method="POST"), body)
    assert same(answer) == same(target.refusal)


def test_a_token_beyond_what_headers_may_hold_is_not_looked_at(target: Target) -> None:
    for size in (FIELD_BYTES, 33_000, 60 * 1024):
        target.assert_too_long(b"Bearer " + b"a" * size)


def test_every_secured_operation_refuses_alike(figures: Figures, target: Target) -> None:
    """The refusals above are those of one operation; the others' differ in the path alone."""
    document = target.service.client().get("/openapi.json").json()
    count = 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in ("parameters", "summary", "description", "servers") or operation.get("security") == []:
                continue
            named = path.replace("{user_id}", "ada").replace("{task_id}", "0198a5d0-0000-7000-8000-000000000000")
            before = target.relay.seen
            answer = ask(target.service, head([b"Authorization: Bearer e30.e30.e30"], named, method.upper()))
            members = json.loads(target.refusal.content) | {"instance": named}
            assert (answer.status_code, json.loads(answer.content)) == (401, members)
            assert answer.headers["www-authenticate"] == target.refusal.headers["www-authenticate"]
            assert target.relay.seen == before
            count += 1
    assert count > 10
    figures("Secured operations without a good token", count, count)


# What they cost, and what they reach.


def tokens_of(target: Target) -> dict[str, str]:
    """Every token of these tables, by name."""
    made = {name: make() for table in (TEXTS, OTHER_FORMS, NONE, CONFUSED, SIGNATURES) for name, make in table.items()}
    made |= {name: make(target.canary.url) for name, make in INJECTIONS.items()}
    for algorithm in target.algorithms:
        header, signature = SIGNERS[algorithm]
        made |= {f"{algorithm}: {name}": seal(header, make(), signature) for name, make in PAYLOADS.items()}
    return made


def test_no_token_costs_more_than_a_moment(target: Target) -> None:
    process = psutil.Process(target.service.process.pid)

    def seconds() -> float:
        times = process.cpu_times()
        return times.user + times.system

    costs: dict[str, float] = {}
    tokens = tokens_of(target)
    with Wire(target.service) as wire:
        for name, token in tokens.items():
            field = b"Bearer " + token.encode()
            sent = head([b"Authorization: " + field])
            before = seconds()
            for _ in range(_ROUNDS):
                wire.send(sent)
                assert wire.read().status_code == (401 if len(field) <= FIELD_BYTES else 431), name
            costs[name] = (seconds() - before) / _ROUNDS
    worst = max(costs, key=lambda name: costs[name])
    assert costs[worst] < _CPU_SECONDS, worst
    assert sum(costs.values()) / len(costs) < _CPU_SECONDS / 5


def test_nobody_is_called_but_the_issuer_at_its_address(target: Target) -> None:
    """Each unknown `kid` asks for the keys once more, and yet they are fetched every ten seconds at most."""
    started = time.monotonic()
    before = target.issuer.fetches if target.issuer else 0
    for make in INJECTIONS.values():
        assert not accepts(target, make(target.canary.url))
    assert target.canary.visitors() == 0
    if target.issuer:
        assert target.issuer.paths == {urlsplit(target.issuer.url).path}
        assert target.issuer.fetches - before <= 1 + (time.monotonic() - started) / 10


def test_the_watchers_would_notice(target: Target) -> None:
    """What the tests above have not seen, they would have."""
    address = urlsplit(target.canary.url)
    socket.create_connection((str(address.hostname), address.port or 0)).close()
    assert target.canary.visitors() == 1
    before = target.relay.seen
    assert accepts(target, hs256())
    assert target.relay.seen > before


# What is at the edge, and accepted.


BORDERLINE_HEADERS: dict[str, dict[str, object] | bytes] = {
    "typ absent": {"alg": "HS256"},
    "typ in lower case": {"alg": "HS256", "typ": "jwt"},
    "typ of an access token": {"alg": "HS256", "typ": "at+jwt"},
    "typ in full": {"alg": "HS256", "typ": "APPLICATION/AT+JWT"},
    "a kid that nobody knows, with the secret": {"alg": "HS256", "kid": "nobody"},
    "a kid that is a path, with the secret": {"alg": "HS256", "kid": "../../../dev/null"},
    "the kid of a published key, with the secret": {"alg": "HS256", "kid": "rsa"},
    "a member that nobody knows": {"alg": "HS256", "x": {"y": [1, None]}},
    "b64 true": {"alg": "HS256", "b64": True},
    "cty": {"alg": "HS256", "cty": "JWT"},
    "zip": {"alg": "HS256", "zip": "DEF"},
    "jwk": {"alg": "HS256", "jwk": {"kty": "oct", "k": "AAAA"}},
    "white space": b' {\n"alg" :\t"HS256"}\r\n',
    "escapes": rb'{"\u0061lg":"\u0048S256"}',
}

BORDERLINE_CLAIMS: dict[str, Callable[[], bytes]] = {
    "exp a fraction": lambda: claims_text(exp=str(time.time() + 900.5)),
    "exp with an exponent": lambda: claims_text(exp="4.1024448e9"),
    "exp in the year 9999": lambda: claims_text(exp="253402300799"),
    "exp 20 s ago": lambda: claims_text(exp=str(time.time() - 20)),
    "nbf in 20 s": lambda: claims_text(nbf=str(time.time() + 20)),
    "nbf long ago": lambda: claims_text(nbf="-" + "9" * 400),
    "nbf a fraction": lambda: claims_text(nbf="0.5"),
    "nbf after exp, both within the leeway": lambda: claims_text(nbf=str(time.time() + 20), exp=str(time.time() - 20)),
    "iat in 20 s": lambda: claims_text(iat=str(time.time() + 20)),
    "iat negative": lambda: claims_text(iat="-1"),
    "iat after exp": lambda: claims_text(iat=str(time.time() + 10), exp=str(time.time() + 5)),
    "jti empty": lambda: claims_text(jti='""'),
    "aud a list with ours": lambda: claims_text(aud=f'["https://other.example","{FRONT_END}"]'),
    "aud a list with ours twice": lambda: claims_text(aud=f'["{FRONT_END}","{FRONT_END}"]'),
    "claims that nobody knows": lambda: claims_text('"admin":true,"role":"root","scope":"*"'),
    "an actor": lambda: claims_text('"act":{"sub":"eve"},"azp":"eve","client_id":"eve"'),
    "an e-mail that is none": lambda: claims_text('"email":{"a":[]},"name":5'),
    "a confirmation key": lambda: claims_text('"cnf":{"jkt":"AAAA"}'),
    "a name in other letters beside it": lambda: claims_text('"Sub":"eve","EXP":1'),
    "nested within bounds": lambda: claims_text('"x":' + "[" * 100 + "]" * 100),
    "white space": lambda: b"\n\t " + claims_text() + b"\r\n",
    "sub in escapes": lambda: claims_text(sub=r'"\u0061\u0064\u0061"'),
}

BORDERLINE_SUBJECTS: dict[str, str] = {
    "a space": " ",
    "a line break": "a\nb",
    "an escape": "\x1b[31m",
    "U+2028": "\u2028",
    "right to left": "\u202eada",
    "a zero-width space": "ada\u200b",
    "a path": "../ada",
    "a pattern": "%",
    "SQL": "' OR '1'='1",
    "an emoji": "\N{UNICORN FACE}",
    "not composed": "e\u0301",
    "U+FFFE": "\ufffe",
    "255 wide characters": "\N{UNICORN FACE}" * 255,
    "null": "null",
    "a number": "0",
}

BORDERLINE_REQUESTS: dict[str, Callable[[bytes], Lines]] = {
    "the scheme in lower case": lambda token: [b"Authorization: bearer " + token],
    "the scheme in upper case": lambda token: [b"Authorization: BEARER " + token],
    "the name in upper case": lambda token: [b"AUTHORIZATION: Bearer " + token],
    "several spaces": lambda token: [b"Authorization: Bearer    " + token],
    "spaces around the value": lambda token: [b"Authorization:   Bearer " + token + b"   "],
    "a tab before the value": lambda token: [b"Authorization:\tBearer " + token],
    "no space after the colon": lambda token: [b"Authorization:Bearer " + token],
    "another token in a cookie": lambda token: [b"Authorization: Bearer " + token, b"Cookie: token=e30.e30.e30"],
}


def whom(target: Target, token: str, lines: Lines | None = None) -> str:
    """Whom the service takes the token's holder for."""
    answer = ask(target.service, head(lines or [f"Authorization: Bearer {token}".encode()], "/api/auth/verify", "POST"))
    assert answer.status_code == 200, answer.content
    name: str = json.loads(answer.content)["user_id"]
    return name


@each(BORDERLINE_HEADERS)
def test_an_accepted_borderline_of_the_header(target: Target, make: object) -> None:
    assert whom(target, hs256(make)) == "ada"


@pytest.mark.parametrize("member", ["jku", "x5u", "x5c", "url"])
def test_an_accepted_borderline_with_an_address_is_not_followed(target: Target, member: str) -> None:
    for algorithm in target.algorithms:
        header, signature = SIGNERS[algorithm]
        assert whom(target, seal(header | {member: f"{target.canary.url}/jwks"}, claims(), signature)) == "ada"
    assert target.canary.visitors() == 0


@each(BORDERLINE_CLAIMS)
def test_an_accepted_borderline_of_the_claims(target: Target, make: Callable[[], bytes]) -> None:
    for algorithm in target.algorithms:
        header, signature = SIGNERS[algorithm]
        assert whom(target, seal(header, make(), signature)) == "ada"


@pytest.mark.parametrize("subject", [pytest.param(text, id=name) for name, text in BORDERLINE_SUBJECTS.items()])
def test_an_accepted_borderline_of_the_subject(target: Target, subject: str) -> None:
    """An opaque string: whatever is in it, it is taken as it stands."""
    assert whom(target, hs256(sub=subject)) == subject


@each(BORDERLINE_REQUESTS)
def test_an_accepted_borderline_of_the_request(target: Target, make: Callable[[bytes], Lines]) -> None:
    assert whom(target, "", make(hs256().encode())) == "ada"


def test_an_accepted_borderline_of_ecdsa(with_keys: Target) -> None:
    """Whoever has one signature has a second, (r, n - s), of the same token. A token's text identifies nothing here."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    header, signature = SIGNERS["ES256"]

    def other(text: bytes) -> bytes:
        r_and_s = signature(text)
        return r_and_s[:32] + (order - int.from_bytes(r_and_s[32:], "big")).to_bytes(32, "big")

    assert whom(with_keys, seal(header, claims(), other)) == "ada"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"aud": "https://other.example"}, id="another audience"),
        pytest.param({"aud": 5}, id="an audience that is none"),
        pytest.param({"iss": "https://other.example"}, id="another issuer"),
        pytest.param({"iss": None, "aud": None}, id="neither"),
    ],
)
def test_an_accepted_borderline_where_no_audience_and_issuer_are_configured(
    with_secret: Target, changes: dict[str, Any]
) -> None:
    assert whom(with_secret, hs256(**changes)) == "ada"


def test_a_good_token_is_still_accepted_in_the_end(target: Target) -> None:
    """After all of the above, in the same process."""
    assert target.service.process.poll() is None
    for algorithm in target.algorithms:
        assert accepts(target, good(algorithm))
    assert "unexpected_error" not in target.service.read_log()
    assert target.service.client().get("/health/ready").status_code == httpx2.codes.OK
