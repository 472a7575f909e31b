"""An issuer of tokens: real keys, a real JWKS server on the loopback interface, and functions that forge tokens."""

import contextlib
import hmac
import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio
import jwt
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256K1,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePrivateKey,
)
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key

from tests.support.servers.threaded import serving

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey
Jwk = dict[str, Any]
Change = dict[str, Any]

SECRET = "F-4NRQb8-641ybU94ItQwguqoCY5c89SY6sW2yy5bfs"  # noqa: S105 - of these tests only
FRONT_END = "https://todo.example"
COOKIE = "better-auth:session-cache"
MARKER = "only-the-client-knows-this"

ED25519 = Ed25519PrivateKey.generate()
OTHER_ED25519 = Ed25519PrivateKey.generate()
P256 = generate_ec_key(SECP256R1())
P384 = generate_ec_key(SECP384R1())
P521 = generate_ec_key(SECP521R1())
K256 = generate_ec_key(SECP256K1())
RSA = generate_rsa_key(65537, 2048)
SHORT_RSA = generate_rsa_key(65537, 1024)  # noqa: S505 - to be refused


_OF_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512", "secp256k1": "ES256K"}


def algorithm_of(key: PrivateKey) -> str:
    if isinstance(key, Ed25519PrivateKey):
        return "EdDSA"
    return _OF_CURVES[key.curve.name] if isinstance(key, EllipticCurvePrivateKey) else "RS256"


def jwk(key: PrivateKey, kid: str | None = "k1", **members: object) -> Jwk:
    """Return the public half, as an issuer publishes it; a member given as None is left out."""
    public = jwt.get_algorithm_by_name(algorithm_of(key)).to_jwk(key.public_key(), as_dict=True)
    chosen = {"kid": kid, "alg": algorithm_of(key), "use": "sig"} | members
    return {"kty": public["kty"]} | public | {name: v for name, v in chosen.items() if v is not None}


def private_jwk(key: PrivateKey, kid: str = "k1") -> Jwk:
    private = jwt.get_algorithm_by_name(algorithm_of(key)).to_jwk(key, as_dict=True)
    return {**private, "kid": kid, "key_ops": ["verify"]}


def claims(**changes: object) -> Change:
    """Return the claims of a token that is good everywhere; a claim given as None is left out."""
    good = {"sub": "ada", "exp": int(time.time()) + 900, "aud": FRONT_END, "iss": FRONT_END, "note": MARKER}
    return {name: value for name, value in (good | changes).items() if value is not None}


def sign(key: PrivateKey, kid: str | None = "k1", algorithm: str | None = None, **changes: object) -> str:
    """Sign with an issuer's key, as Better Auth does: no `typ`."""
    headers: dict[str, Any] = {"typ": None} if kid is None else {"typ": None, "kid": kid}
    return jwt.encode(claims(**changes), key, algorithm or algorithm_of(key), headers=headers)


def segment(part: object) -> str:
    """Encode raw bytes as they are and anything else as JSON."""
    octets = part if isinstance(part, bytes) else json.dumps(part).encode()
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def seal(header: object, payload: object, signature: Callable[[bytes], bytes]) -> str:
    """Make a token from arbitrary parts."""
    signed = f"{segment(header)}.{segment(payload)}"
    return f"{signed}.{segment(signature(signed.encode()))}"


def forge(header: object, payload: object, key: bytes = SECRET.encode()) -> str:
    """Make a token from arbitrary parts, with a valid HS256 signature."""
    return seal(header, payload, lambda signed: hmac.digest(key, signed, "sha256"))


def hs256(header: object = None, **changes: object) -> str:
    return forge({"alg": "HS256"} if header is None else header, claims(**changes))


def claims_text(more: str = "", **changes: str) -> bytes:
    """The claims of a good token as JSON text, so that they can be what no JSON library writes.

    A claim given as "" is left out; `more` is put after the last.
    """
    texts = {name: json.dumps(value) for name, value in claims().items()} | changes
    members = [f'"{name}":{text}' for name, text in texts.items() if text]
    return f"{{{','.join([*members, more] if more else members)}}}".encode()


def raw_claims(more: str) -> str:
    """Sign claims that are given as text, after those of a good token."""
    return forge({"alg": "HS256"}, claims_text(more))


class Issuer:
    """A JWKS over HTTP whose misbehaviour is set from the test."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/api/auth/jwks"
        self.fetches = 0
        self.paths: set[str] = set()
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b""
        self.dripping = False
        self.answering = threading.Event()
        self.answering.set()

    def publish(self, *keys: object) -> None:
        self.body = json.dumps({"keys": keys}).encode()

    async def asked(self, times: int = 1) -> None:
        with anyio.fail_after(10):
            # Counted by the thread of the server, which cannot set an event of the loop.
            while self.fetches < times:  # noqa: ASYNC110
                await anyio.sleep(0.001)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.fetches += 1
        self.paths.add(request.path)
        self.answering.wait()
        request.send_response(self.status)
        for name, value in ({"Content-Length": str(len(self.body))} | self.headers).items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(self.body)
        while self.dripping:
            request.wfile.write(b" ")
            time.sleep(0.02)


def handler_of(issuer: Callable[[], Issuer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # A client that has given up is part of the tests.
            try:
                issuer().answer(self)
            except ConnectionError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextlib.contextmanager
def running_issuer() -> Iterator[Issuer]:
    """An issuer that listens, and publishes one key."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(lambda: served))
    served = Issuer(server.server_port)
    served.publish(jwk(ED25519))
    with serving(server):
        try:
            yield served
        finally:
            served.answering.set()
