"""The time to verify a token, in the process."""

import asyncio
import json
import time

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from bench.load import Sample
from bench.operations import SECRET, issue, user_id
from bench.parts import Options
from bench.results import Part
from server.auth.jwks import KeySet
from server.auth.tokens import TokenVerifier, shared_key

_BATCHES = 9
_TOKENS = 300


def tokens(_options: Options) -> Part:
    """Microseconds to verify a token that is cached, one with HS256, and one with EdDSA."""
    return Part({}, asyncio.run(_samples()))


async def _samples() -> list[Sample]:
    key = Ed25519PrivateKey.generate()
    jwk = {**OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "bench", "alg": "EdDSA", "use": "sig"}
    body = json.dumps({"keys": [jwk]}).encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    symmetric = [issue(user_id(number)) for number in range(_TOKENS)]
    claims = [jwt.decode(token, options={"verify_signature": False}) for token in symmetric]
    asymmetric = [jwt.encode(one, key, algorithm="EdDSA", headers={"kid": "bench"}) for one in claims]
    batches = {"cached": symmetric[:1] * _TOKENS, "HS256": symmetric, "EdDSA": asymmetric}
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks"
        return [
            {"kind": kind, "round": number, "us": await _verify(batch, url)}
            for number in range(_BATCHES)
            for kind, batch in batches.items()
        ]


async def _verify(batch: list[str], url: str) -> float:
    """Microseconds for a token. The first one is not measured: it makes the verifier fetch the keys."""
    verifier = TokenVerifier(secrets=[shared_key(SECRET)], key_set=KeySet(url))
    await verifier.verify(batch[0])
    started = time.perf_counter()
    for token in batch[1:]:
        await verifier.verify(token)
    seconds = time.perf_counter() - started
    await verifier.aclose()
    return round(seconds * 1e6 / (len(batch) - 1), 2)
