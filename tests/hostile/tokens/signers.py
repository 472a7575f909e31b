"""Keys and signatures, true ones and an attacker's."""

import hmac
from collections.abc import Callable

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key

from tests.support.servers.issuer import (
    ED25519,
    P256,
    RSA,
    SECRET,
    PrivateKey,
    algorithm_of,
    claims,
    hs256,
    seal,
    segment,
)

Make = Callable[[], str]
Signature = Callable[[bytes], bytes]

KEYS: dict[str, PrivateKey] = {"ed": ED25519, "ec": P256, "rsa": RSA}
"""The keys that the issuer of these tests publishes, by `kid`."""

ATTACKER: dict[str, PrivateKey] = {
    "ed": Ed25519PrivateKey.generate(),
    "ec": generate_ec_key(SECP256R1()),
    "rsa": generate_rsa_key(65537, 2048),
}
"""Keys that no issuer published."""


def true_signature(key: PrivateKey) -> Signature:
    """Return a function that signs a text with the key, by the key's algorithm."""
    algorithm = jwt.get_algorithm_by_name(algorithm_of(key))
    return lambda text: algorithm.sign(text, key)


def hmac_of(key: bytes, digest: str = "sha256") -> Signature:
    return lambda text: hmac.digest(key, text, digest)


SIGNERS: dict[str, tuple[dict[str, str], Signature]] = {
    "HS256": ({"alg": "HS256"}, hmac_of(SECRET.encode())),
    **{algorithm_of(key): ({"alg": algorithm_of(key), "kid": kid}, true_signature(key)) for kid, key in KEYS.items()},
}
"""A good header and signature function for each algorithm."""


def _signed(header: object, signature: Signature) -> str:
    return seal(header, claims(), signature)


def good(algorithm: str) -> str:
    """A token that is accepted if its algorithm is."""
    return _signed(*SIGNERS[algorithm])


def _unsigned(alg: object, how: str) -> str:
    head = f"{segment({'alg': alg})}.{segment(claims())}"
    endings = {
        "an empty signature": ".",
        "no signature": "",
        "a true one": hs256({"alg": alg})[len(head) :],
        "any": ".AAAA",
    }
    return head + endings[how]
