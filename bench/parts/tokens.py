"""`python -m bench layers`: what single layers of the service cost."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from bench.comparison import SERVICE as WITH
from bench.comparison import Comparison
from bench.markdown import Target, middle, number, spread, table
from bench.operations import named, user_id
from bench.results import Part
from bench.runner import Plan, run
from bench.servers import SERVICE
from bench.tokens import SECRET, issue
from server.auth.jwks import KeySet
from server.auth.tokens import TokenVerifier

_WITHOUT: Final = "unvalidated"
_OPERATIONS: Final = ("get", "list_20", "list_1000")
_MOST_VALIDATION: Final = 0.10
_MOST_US: Final = {"cached": 10.0, "HS256": 200.0}
_BATCHES: Final = 9
_TOKENS: Final = 300
_KEY_ID: Final = "bench"


def measure(rounds: int, seconds: float) -> dict[str, Any]:
    """The service with and without the validation of answers, and the verification of tokens."""
    without = replace(
        SERVICE,
        name=_WITHOUT,
        title="without response validation",
        environment={**SERVICE.environment, "VALIDATE_RESPONSES": "false"},
    )
    plan = Plan([SERVICE, without], [named(name) for name in _OPERATIONS], rounds, seconds)
    return {"validation": run(plan), "tokens_us": asyncio.run(_verification())}


async def _verification() -> dict[str, list[float]]:
    """Microseconds to verify a token, of each batch."""
    key = Ed25519PrivateKey.generate()
    with _key_set(key) as url:
        return {
            "cached": await _batches([issue(user_id(0))] * _TOKENS, None),
            "HS256": await _batches([issue(user_id(number)) for number in range(_TOKENS)], None),
            "EdDSA": await _batches([_signed(key, number) for number in range(_TOKENS)], url),
        }


def _signed(key: Ed25519PrivateKey, number: int) -> str:
    now = int(time.time())
    claims = {"sub": user_id(number), "iat": now, "exp": now + 3600}
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": _KEY_ID})


async def _batches(tokens: Sequence[str], key_set_url: str | None) -> list[float]:
    return [await _batch(tokens, key_set_url) for _ in range(_BATCHES)]


async def _batch(tokens: Sequence[str], key_set_url: str | None) -> float:
    """The mean time of one batch; its first token is verified beforehand, so that keys are there."""
    key_set = KeySet(key_set_url) if key_set_url else None
    verifier = TokenVerifier(secret=SECRET, key_set=key_set, audience=None, issuer=None)
    first, *others = tokens
    await verifier.verify(first)
    started = time.perf_counter()
    for token in others:
        await verifier.verify(token)
    ended = time.perf_counter()
    await verifier.aclose()
    return round((ended - started) * 1e6 / len(others), 2)


@contextlib.contextmanager
def _key_set(key: Ed25519PrivateKey) -> Iterator[str]:
    """The address of an issuer's key set."""
    public = {**OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": _KEY_ID, "alg": "EdDSA", "use": "sig"}
    body = json.dumps({"keys": [public]}).encode()

    class Issuer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Issuer) as issuer:
        threading.Thread(target=issuer.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{issuer.server_port}/"
        issuer.shutdown()


def _surcharge(found: Comparison, operation: str) -> float:
    """What part of the CPU per request without validation it takes on top."""
    return (found.cpu(WITH, operation) or 0) / (found.cpu(_WITHOUT, operation) or 1) - 1


def targets(part: Part) -> list[Target]:
    """What it says of the aims."""
    extra = _surcharge(Comparison(part["validation"]), "get")
    medians = {kind: middle(part["tokens_us"][kind]) or 0 for kind in _MOST_US}
    return [
        Target(
            "What response validation adds to GET one task",
            f"at most {_MOST_VALIDATION:.0%}",
            f"{extra:.1%}",
            extra <= _MOST_VALIDATION,
        ),
        *(
            Target(
                f"Verification of a token, {kind}",
                f"at most {number(_MOST_US[kind])} µs",
                f"{number(median)} µs",
                median <= _MOST_US[kind],
            )
            for kind, median in medians.items()
        ),
    ]


def sections(part: Part) -> list[str]:
    """The tables under their heading."""
    found = Comparison(part["validation"])
    rows = [
        [
            title,
            *(spread(found.values(name, operation, "saturated", "cpu_us")) for name in (_WITHOUT, WITH)),
            f"{_surcharge(found, operation):+.1%}",
        ]
        for operation, title in found.operations.items()
    ]
    tokens = [[kind, spread(values)] for kind, values in part["tokens_us"].items()]
    return [
        f"""## Layers

Response validation, CPU per request in microseconds:

{table(["", "without", "with", "more"], rows)}

Verification of a token, microseconds in the process:

{table(["", "µs"], tokens)}"""
    ]
