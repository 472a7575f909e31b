"""Keys inside a token, or at an address that it names. The service must never connect to the canary's address."""

import datetime as dt
from base64 import b64encode
from collections.abc import Callable
from functools import partial

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from tests.hostile.tokens.signers import (
    ATTACKER,
    KEYS,
    true_signature,
)
from tests.support.servers.issuer import (
    FRONT_END,
    PrivateKey,
    algorithm_of,
    claims,
    forge,
    hs256,
    jwk,
    seal,
    segment,
)

# Keys inside a token, or at an address that it names. The service must never connect to `canary`.


def _certificate(key: PrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "todo.example")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, None if isinstance(key, Ed25519PrivateKey) else hashes.SHA256())
    )
    return b64encode(certificate.public_bytes(Encoding.DER)).decode()


def _by_attacker(name: str, /, **header: object) -> str:
    key = ATTACKER[name]
    return seal({"alg": algorithm_of(key), "kid": name} | header, claims(), true_signature(key))


_KIDS: dict[str, tuple[str, bytes]] = {
    "a device that is empty": ("/dev/null", b""),
    "a device that is empty, from below": ("../../../../../../dev/null", b""),
    "a file": ("../../../../../../etc/hostname", b""),
    "a file, as an address": ("file:///dev/null", b""),
    "a file of the kernel": ("/proc/sys/kernel/randomize_va_space", b"2\n"),
    "SQL": ("x' UNION SELECT 'key' -- ", b"key"),
    "SQL in double quotes": ('x" UNION SELECT "key" -- ', b"key"),
    "SQL that sleeps": ("x'; SELECT pg_sleep(30) -- ", b""),
    "a command": ("|sleep 30", b""),
    "a command in backquotes": ("`sleep 30`", b""),
    "a template": ("{{7*7}}", b"49"),
    "a name of Python's": ("__class__", b""),
    "a name of JavaScript's": ("__proto__", b""),
    "NUL": ("\0", b""),
    "a known one and NUL": ("ed\0", b""),
    "a line break": ("ed\r\nX-Admin: 1", b""),
    "empty": ("", b""),
    "seven thousand characters": ("k" * 5_000, b""),
    "the secret's name": ("BETTER_AUTH_SECRET", b"BETTER_AUTH_SECRET"),
    "other letters": ("ED", b""),
    "a space": (" ed", b""),
}


def _with_key(kid: str, _: str) -> str:
    return _by_attacker(kid, jwk=jwk(ATTACKER[kid], kid))


def _with_certificate(kid: str, _: str) -> str:
    return _by_attacker(kid, x5c=[_certificate(ATTACKER[kid])])


def _with_address(member: str, kid: str, canary: str) -> str:
    return _by_attacker(kid, **{member: f"{canary}/jwks"})


def _with_kid(kid: str, key: bytes, _: str) -> str:
    return forge({"alg": "HS256", "kid": kid}, claims(), key)


def _with_unknown_kid(kid: str, _: str) -> str:
    return _by_attacker("ed", kid=kid)


INJECTIONS: dict[str, Callable[[str], str]] = {
    **{f"jwk of the attacker, {kid}": partial(_with_key, kid) for kid in KEYS},
    **{f"x5c of the attacker, {kid}": partial(_with_certificate, kid) for kid in KEYS},
    **{
        f"{member} of the attacker, {kid}": partial(_with_address, member, kid)
        for member in ("jku", "x5u", "kid", "iss", "url", "jwk", "jwks_uri", "x5c")
        for kid in KEYS
    },
    **{f"kid is {name}, HS256": partial(_with_kid, kid, key) for name, (kid, key) in _KIDS.items()},
    **{f"kid is {name}, EdDSA": partial(_with_unknown_kid, kid) for name, (kid, _) in _KIDS.items()},
    "kid a lone surrogate": lambda _: hs256(rb'{"alg":"EdDSA","kid":"\ud800"}'),
    "kid a list of addresses": lambda canary: _by_attacker("ed", kid=[canary]),
    "kid an object": lambda canary: _by_attacker("ed", kid={"url": canary}),
    "jwk symmetric": lambda _: forge(
        {"alg": "HS256", "jwk": {"kty": "oct", "k": segment(b"k" * 32)}}, claims(), b"k" * 32
    ),
    "jwk private": lambda _: _by_attacker("ed", jwk={**jwk(ATTACKER["ed"]), "d": segment(b"d" * 32)}),
    "jku that begins as a known one": lambda canary: _by_attacker(
        "ed", jku=f"{FRONT_END}@{canary.removeprefix('http://')}"
    ),
    "jku by way of localhost": lambda canary: _by_attacker("ed", jku=canary.replace("127.0.0.1", "localhost")),
    "jku a file": lambda _: _by_attacker("ed", jku="file:///etc/passwd"),
    "jku of the cloud": lambda _: _by_attacker("ed", jku="http://169.254.169.254/latest/meta-data/"),
    "x5u a data address": lambda _: _by_attacker("ed", x5u="data:application/json,{}"),
    "x5t of a known key": lambda _: _by_attacker("ed", x5t=segment(b"t" * 20), **{"x5t#S256": segment(b"t" * 32)}),
    "the issuer an address": lambda canary: seal(
        {"alg": "EdDSA", "kid": "ed"}, claims(iss=canary), true_signature(ATTACKER["ed"])
    ),
    "the issuer an address, kid unknown": lambda canary: seal(
        {"alg": "EdDSA", "kid": "k9"}, claims(iss=canary), true_signature(ATTACKER["ed"])
    ),
}
