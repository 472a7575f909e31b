"""Tokens that verify and are refused: signed for a key of small order, or valid for too long."""

import math
import socket
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest

from server.auth.ed25519 import has_small_order
from server.auth.errors import InvalidToken
from server.auth.jwks import KeySet
from tests.auth.verifiers import verifier
from tests.support.servers.issuer import ED25519, Issuer, claims, hs256, jwk, running_issuer, seal, sign
from tests.support.service import Service, running_service, token

pytestmark = pytest.mark.slow

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_Point = tuple[int, int]


def _sum(one: _Point, other: _Point) -> _Point:
    """Add two points of the curve (RFC 8032, section 5.1.4, in affine coordinates)."""
    (x1, y1), (x2, y2) = one, other
    product = _D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, _P)
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, _P)
    return x % _P, y % _P


def _times(number: int, point: _Point) -> _Point:
    total = (0, 1)
    for bit in f"{number:b}":
        total = _sum(total, total)
        if bit == "1":
            total = _sum(total, point)
    return total


def _x(y: int) -> int | None:
    """The smaller x of the two that go with a y; None if there is none (RFC 8032, section 5.1.3)."""
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    root = pow(square, (_P + 3) // 8, _P)
    if root * root % _P != square:
        root = root * pow(2, (_P - 1) // 4, _P) % _P
    return min(root, -root % _P) if root * root % _P == square else None


def _small_points() -> set[_Point]:
    """The points that a multiple of the group's prime order leaves of others: all eight of small order."""
    order = 2**252 + 27742317777372353535851937790883648493
    points: set[_Point] = set()
    y = 2
    while len(points) < 8:
        x = _x(y)
        if x is not None:
            points.add(_times(order, (x, y)))
            points.add(_times(order, (-x % _P, y)))
        y += 1
    return points


def _encodings(point: _Point) -> Iterator[bytes]:
    """Both signs, and y as it is or beyond the prime where 255 bits have room for that."""
    for y in (point[1], point[1] + _P):
        for sign_bit in (0, 1):
            if y < 2**255:
                yield (y | sign_bit << 255).to_bytes(32, "little")


_SMALL = sorted({encoding for point in _small_points() for encoding in _encodings(point)})


def _key(encoding: bytes) -> dict[str, str]:
    x = urlsafe_b64encode(encoding).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "small", "x": x}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as served:
        yield served


def test_there_are_fourteen_encodings_of_small_order() -> None:
    """Five values of y, two of which also fit unreduced, each with both signs."""
    assert len(_SMALL) == 14
    assert all(map(has_small_order, _SMALL))
    assert not has_small_order(ED25519.public_key().public_bytes_raw())


@pytest.mark.anyio
@pytest.mark.parametrize("encoding", _SMALL, ids=bytes.hex)
async def test_a_key_of_small_order_is_refused_when_it_is_loaded(encoding: bytes, issuer: Issuer) -> None:
    """A token that its key would verify: R is the neutral element and S is 0, which holds for one message in eight.

    The other keys of the set are used.
    """
    issuer.publish(_key(encoding), jwk(ED25519))
    # No time passes, so the set is as new as each token, and none has to wait for another fetch.
    key_set = KeySet(issuer.url, clock=lambda: 0.0)
    tokens = verifier(key_set)
    forged = [
        seal({"alg": "EdDSA", "kid": "small"}, claims(n=n), lambda _: (1).to_bytes(32, "little") + bytes(32))
        for n in range(64)
    ]
    for each in forged:
        with pytest.raises(InvalidToken, match="no key of the set has this id"):
            await tokens.verify(each)
    assert (await tokens.verify(sign(ED25519))).id == "ada"
    await key_set.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize(("max_age", "away", "accepted"), [
    pytest.param(900, 900, True, id="as far as allowed"),
    pytest.param(900, 925, True, id="within the leeway"),
    pytest.param(900, 935, False, id="beyond the leeway"),
    pytest.param(900, 10**12, False, id="in other ages"),
    pytest.param(None, 10**9, True, id="off"),
])  # fmt: skip
async def test_a_token_may_not_be_valid_for_too_long(max_age: int | None, away: int, *, accepted: bool) -> None:
    tokens = verifier(max_age=math.inf if max_age is None else max_age)
    valid = hs256(exp=int(time.time()) + away)
    if accepted:
        assert (await tokens.verify(valid)).id == "ada"
    else:
        with pytest.raises(InvalidToken, match="exp is further away than JWT_MAX_AGE"):
            await tokens.verify(valid)


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[Service]:
    with running_service(tmp_path, DATABASE_URL=database_url, JWT_MAX_AGE="600") as running:
        yield running


def test_the_setting_bounds_the_validity_of_tokens(service: Service) -> None:
    for seconds, status in ((590, 200), (700, 401)):
        client = service.client(authorization=f"Bearer {token('ada', seconds=seconds)}")
        assert client.get("/api/ada/tasks").status_code == status
    assert "exp is further away than JWT_MAX_AGE" in service.read_log()


def test_an_export_ends_with_its_token(service: Service, database_url: str) -> None:
    """The token has expired, and is accepted for a second or two because clocks may differ; the client is slow."""
    user = f"eve-{time.time_ns()}"
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO users (id) VALUES (%s)", [user])
        connection.execute(
            "INSERT INTO tasks (user_id, id, title, title_key, description) SELECT %s, gen_random_uuid(), 'Task', "
            "'Task'::bytea, repeat('x', 1000) FROM generate_series(1, 30000)",
            [user],
        )
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname, address.port or 80), timeout=30) as connection:
        authorization = f"Authorization: Bearer {token(user, seconds=-27)}"
        request = f"GET /api/tasks/export?format=ndjson HTTP/1.1\r\nHost: {address.netloc}\r\n{authorization}\r\n\r\n"
        connection.sendall(request.encode())
        received = connection.recv(65536)
        assert received.startswith(b"HTTP/1.1 200 OK\r\n")
        end = time.monotonic() + 4
        while time.monotonic() < end and (more := connection.recv(16384)):
            received += more
            time.sleep(0.01)
        while more := connection.recv(1 << 20):
            received += more
    assert not received.endswith(b"0\r\n\r\n")
    assert received.count(b'"title"') < 30000
    log = service.read_log()
    assert "expired while its response was sent" in log
    assert "unexpected_error" not in log
    again = service.client(authorization=f"Bearer {token(user, seconds=600)}").get("/api/tasks/export?format=ndjson")
    assert (again.status_code, len(again.text.splitlines())) == (httpx2.codes.OK, 30000)
