"""Confused keys, false signatures, and keys inside the token."""

import hashlib
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from functools import partial

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.hostile.tokens.signers import (
    ATTACKER,
    KEYS,
    SIGNERS,
    Make,
    Signature,
    _signed,
    good,
    hmac_of,
    true_signature,
)
from tests.support.servers.issuer import (
    ED25519,
    P256,
    RSA,
    SECRET,
    PrivateKey,
    algorithm_of,
    claims,
    jwk,
    seal,
    segment,
)

# A public key as the secret, and algorithms that are not the key's.


def _encodings(key: PrivateKey) -> dict[str, bytes]:
    public = key.public_key()
    spki = PublicFormat.SubjectPublicKeyInfo
    pem = public.public_bytes(Encoding.PEM, spki)
    der = public.public_bytes(Encoding.DER, spki)
    published = jwk(key)
    bare = {name: value for name, value in published.items() if name in ("kty", "crv", "x", "y", "n", "e")}
    number = published.get("x") or published["n"]
    return {
        "PEM": pem,
        "PEM without its line break": pem.rstrip(),
        "PEM with another line break": pem + b"\n",
        "PEM with CRLF": pem.replace(b"\n", b"\r\n"),
        "PEM in one line": b"".join(pem.splitlines()[1:-1]),
        "PEM with NUL": pem + b"\0",
        "PEM in base64": b64encode(pem),
        "DER": der,
        "DER in base64": b64encode(der),
        "the JWK": json.dumps(published).encode(),
        "the JWK, dense": json.dumps(published, separators=(",", ":")).encode(),
        "the bare JWK, in order": json.dumps(bare, separators=(",", ":"), sort_keys=True).encode(),
        "the thumbprint": hashlib.sha256(json.dumps(bare, separators=(",", ":"), sort_keys=True).encode()).digest(),
        "its number as published": number.encode(),
        "its number": jwt.utils.base64url_decode(number),
    }


PUBLIC: dict[str, bytes] = {
    f"{kid} as {form}": octets for kid, key in KEYS.items() for form, octets in _encodings(key).items()
} | {
    "ec as a point": P256.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
    "ec as a compressed point": P256.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint),
    "ed as OpenSSH": ED25519.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
    "rsa as PKCS1 PEM": RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1),
    "rsa as PKCS1 PEM without its line break": RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).rstrip(),
    "rsa as PKCS1 PEM with CRLF": RSA.public_key()
    .public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    .replace(b"\n", b"\r\n"),
    "rsa as PKCS1 DER": RSA.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1),
    "rsa as its modulus in hexadecimal": f"{RSA.public_key().public_numbers().n:x}".encode(),
    "the whole set": json.dumps({"keys": [jwk(key, kid) for kid, key in KEYS.items()]}).encode(),
}
"""All encodings of a public key."""

_ALGORITHMS = [
    *("EdDSA", "ES256", "RS256", "PS256", "HS256", "HS384", "HS512", "ES256K", "ES384", "ES512"),
    *("RS384", "RS512", "PS384", "PS512", "RS1", "Ed25519", "Ed448", "ML-DSA-44"),
]

CONFUSED: dict[str, Make] = {
    **{
        f"HS256 by {name}": partial(_signed, {"alg": "HS256", "kid": name.split()[0]}, hmac_of(octets))
        for name, octets in PUBLIC.items()
    },
    **{
        f"HS{size} by {kid} as PEM": partial(
            _signed, {"alg": f"HS{size}", "kid": kid}, hmac_of(PUBLIC[f"{kid} as PEM"], f"sha{size}")
        )
        for kid in KEYS
        for size in (384, 512)
    },
    **{
        f"{alg}, signed by {kid}": partial(_signed, {"alg": alg, "kid": kid}, true_signature(key))
        for kid, key in KEYS.items()
        for alg in _ALGORITHMS
        if alg != algorithm_of(key)
    },
    **{
        f"{algorithm_of(key)}, signed by {kid}, said to be {other}": partial(
            _signed, {"alg": algorithm_of(key), "kid": other}, true_signature(key)
        )
        for kid, key in KEYS.items()
        for other in (*KEYS, "k9")
        if other != kid
    },
    **{
        f"{algorithm_of(key)}, signed with the secret": partial(
            _signed, {"alg": algorithm_of(key), "kid": kid}, hmac_of(SECRET.encode())
        )
        for kid, key in KEYS.items()
    },
    **{
        f"{algorithm_of(key)}, signed by {kid}, without kid": partial(
            _signed, {"alg": algorithm_of(key)}, true_signature(key)
        )
        for kid, key in KEYS.items()
    },
    "PS256 by a key for RS256": lambda: seal(
        {"alg": "PS256", "kid": "rsa"},
        claims(),
        lambda text: RSA.sign(text, PSS(MGF1(hashes.SHA256()), PSS.DIGEST_LENGTH), hashes.SHA256()),
    ),
}

# Invalid signatures, under the right header.

_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_L = 2**252 + 27742317777372353535851937790883648493


def _spoilt(algorithm: str, spoil: Callable[[bytes], bytes]) -> str:
    header, signature = SIGNERS[algorithm]
    return _signed(header, lambda text: spoil(signature(text)))


def _exchanged(algorithm: str) -> str:
    header, _ = SIGNERS[algorithm]
    return f"{segment(header)}.{segment(claims(sub='eve'))}.{good(algorithm).rpartition('.')[2]}"


def _other_last_character(algorithm: str, bits: int) -> str:
    """The same signature with bits set that are not part of it (RFC 4648, section 3.5)."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = good(algorithm)
    return token[:-1] + alphabet[alphabet.index(token[-1]) + bits]


def _point_pair(r: int, s: int) -> Signature:
    return lambda _: r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _with_more_s(signature: bytes) -> bytes:
    """Ed25519 with S beyond the order, which a lax verifier takes (RFC 8032, section 5.1.7)."""
    return signature[:32] + (int.from_bytes(signature[32:], "little") + _L).to_bytes(32, "little")


def _as_der(text: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA  # noqa: PLC0415 - of this function alone

    return P256.sign(text, ECDSA(hashes.SHA256()))


def _with_more_r(text: bytes) -> bytes:
    r, s = decode_dss_signature(_as_der(text))
    return (r + _N).to_bytes(33, "big") + s.to_bytes(33, "big")


def _negative(text: bytes) -> bytes:
    r, s = decode_dss_signature(_as_der(text))
    return r.to_bytes(32, "big") + (2**256 - s).to_bytes(32, "big")


_SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "of one byte": lambda signature: signature[:1],
    "cut in half": lambda signature: signature[: len(signature) // 2],
    "without its last byte": lambda signature: signature[:-1],
    "without its first byte": lambda signature: signature[1:],
    "and NUL": lambda signature: signature + b"\0",
    "after NUL": lambda signature: b"\0" + signature,
    "twice": lambda signature: signature * 2,
    "backwards": lambda signature: signature[::-1],
    "all zeros": lambda signature: b"\0" * len(signature),
    "all ones": lambda signature: b"\xff" * len(signature),
    "its first bit another": lambda signature: bytes([signature[0] ^ 0x80]) + signature[1:],
    "its last bit another": lambda signature: signature[:-1] + bytes([signature[-1] ^ 1]),
    "a middle bit another": lambda signature: signature[:16] + bytes([signature[16] ^ 4]) + signature[17:],
    "in hexadecimal": lambda signature: signature.hex().encode(),
    "in base64 once more": urlsafe_b64encode,
}

_ES256 = {"alg": "ES256", "kid": "ec"}
_EDDSA = {"alg": "EdDSA", "kid": "ed"}
_RS256 = {"alg": "RS256", "kid": "rsa"}

SIGNATURES: dict[str, Make] = {
    **{
        f"{algorithm}, {name}": partial(_spoilt, algorithm, spoil)
        for algorithm in SIGNERS
        for name, spoil in _SPOILT.items()
    },
    **{f"{algorithm}, none": partial(_spoilt, algorithm, lambda _: b"") for algorithm in SIGNERS},
    **{f"{algorithm}, that of another token": partial(_exchanged, algorithm) for algorithm in SIGNERS},
    **{
        f"{algorithm_of(key)}, that of another key": partial(
            _signed, {"alg": algorithm_of(key), "kid": kid}, true_signature(ATTACKER[kid])
        )
        for kid, key in KEYS.items()
    },
    **{
        f"{algorithm}, other bits in its last character ({number})": partial(_other_last_character, algorithm, number)
        # The 256 bytes of RSA leave bits over, too, as do the 64 of the others and the 32 of a digest.
        for algorithm in SIGNERS
        for number in (1, 2, 3)
    },
    "ES256, r and s zero": lambda: _signed(_ES256, _point_pair(0, 0)),
    "ES256, r zero": lambda: _signed(_ES256, _point_pair(0, 1)),
    "ES256, s zero": lambda: _signed(_ES256, _point_pair(1, 0)),
    "ES256, r and s one": lambda: _signed(_ES256, _point_pair(1, 1)),
    "ES256, r and s the order": lambda: _signed(_ES256, _point_pair(_N, _N)),
    "ES256, r the order, s one": lambda: _signed(_ES256, _point_pair(_N, 1)),
    "ES256, r and s below the order": lambda: _signed(_ES256, _point_pair(_N - 1, _N - 1)),
    "ES256, r beyond the order": lambda: _signed(_ES256, _with_more_r),
    "ES256, s negative": lambda: _signed(_ES256, _negative),
    "ES256, in DER": lambda: _signed(_ES256, _as_der),
    "ES256, r and s zero in DER": lambda: _signed(_ES256, lambda _: bytes.fromhex("3006020100020100")),
    "EdDSA, S beyond the order": lambda: _spoilt("EdDSA", _with_more_s),
    "EdDSA, S zero and R the identity": lambda: _signed(_EDDSA, lambda _: b"\1" + b"\0" * 63),
    "EdDSA, S zero and R of order two": lambda: seal(
        _EDDSA, claims(), lambda _: bytes.fromhex("ec" + "ff" * 30 + "7f") + b"\0" * 32
    ),
    "EdDSA, S zero and R of order four": lambda: _signed(_EDDSA, lambda _: b"\0" * 64),
    "EdDSA, S zero and R written otherwise": lambda: seal(
        _EDDSA, claims(), lambda _: bytes.fromhex("ee" + "ff" * 30 + "7f") + b"\0" * 32
    ),
    "EdDSA, S the order": lambda: _signed(_EDDSA, lambda _: b"\1" + b"\0" * 31 + _L.to_bytes(32, "little")),
    "EdDSA, of a digest": lambda: _signed(_EDDSA, lambda text: ED25519.sign(hashlib.sha512(text).digest())),
    "RS256, zero": lambda: _signed(_RS256, lambda _: b"\0" * 256),
    "RS256, one": lambda: _signed(_RS256, lambda _: b"\0" * 255 + b"\1"),
    "RS256, the modulus": lambda: seal(
        _RS256, claims(), lambda _: RSA.public_key().public_numbers().n.to_bytes(256, "big")
    ),
    "RS256, below the modulus": lambda: seal(
        _RS256, claims(), lambda _: (RSA.public_key().public_numbers().n - 1).to_bytes(256, "big")
    ),
    "RS256, beyond the modulus": lambda: _spoilt(
        "RS256",
        lambda signature: (int.from_bytes(signature, "big") + RSA.public_key().public_numbers().n).to_bytes(257, "big"),
    ),
    "RS256, by PSS": lambda: seal(
        _RS256,
        claims(),
        lambda text: RSA.sign(text, PSS(MGF1(hashes.SHA256()), PSS.DIGEST_LENGTH), hashes.SHA256()),
    ),
    "RS256, with SHA-512": lambda: seal(_RS256, claims(), lambda text: RSA.sign(text, PKCS1v15(), hashes.SHA512())),
    "RS256, with SHA-1": lambda: seal(
        _RS256,
        claims(),
        lambda text: RSA.sign(text, PKCS1v15(), hashes.SHA1()),  # noqa: S303 - to be refused
    ),
}
