"""Tokens that prove nothing, each of which has let somebody in somewhere, or might.

Each is one step away from a good one, by the name of that step. They are made when they are used, so that the times
in them are right.
"""

import datetime as dt
import hashlib
import hmac
import json
import re
import time
import zlib
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from functools import partial

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.auth.errors import MAX_TOKEN_BYTES
from tests.support.issuer import (
    COOKIE,
    ED25519,
    FRONT_END,
    P256,
    RSA,
    SECRET,
    PrivateKey,
    algorithm_of,
    claims,
    claims_text,
    forge,
    hs256,
    jwk,
    seal,
    segment,
)

Make = Callable[[], str]
Signature = Callable[[bytes], bytes]

KEYS: dict[str, PrivateKey] = {"ed": ED25519, "ec": P256, "rsa": RSA}
"""What the issuer of these tests publishes, by `kid`."""

ATTACKER: dict[str, PrivateKey] = {
    "ed": Ed25519PrivateKey.generate(),
    "ec": generate_ec_key(SECP256R1()),
    "rsa": generate_rsa_key(65537, 2048),
}
"""Keys that nobody published."""


def true_signature(key: PrivateKey) -> Signature:
    """What the key says of a text, by its own algorithm."""
    algorithm = jwt.get_algorithm_by_name(algorithm_of(key))
    return lambda text: algorithm.sign(text, key)


def hmac_of(key: bytes, digest: str = "sha256") -> Signature:
    return lambda text: hmac.digest(key, text, digest)


SIGNERS: dict[str, tuple[dict[str, str], Signature]] = {
    "HS256": ({"alg": "HS256"}, hmac_of(SECRET.encode())),
    **{algorithm_of(key): ({"alg": algorithm_of(key), "kid": kid}, true_signature(key)) for kid, key in KEYS.items()},
}
"""What a good header and signature are, by algorithm."""


def _signed(header: object, signature: Signature) -> str:
    return seal(header, claims(), signature)


def good(algorithm: str) -> str:
    """A token that is accepted where its algorithm is."""
    return _signed(*SIGNERS[algorithm])


# What is no token, or has no header of ours. The true secret signs wherever there is a signature.

TEXTS: dict[str, Make] = {
    "dots": lambda: "..",
    "two parts": lambda: hs256().rpartition(".")[0],
    "four parts": lambda: hs256() + ".e30",
    "five parts, encrypted": lambda: "e30.e30.e30.e30.e30",
    "no signature": lambda: hs256().rpartition(".")[0] + ".",
    "detached payload": lambda: re.sub(r"\..*\.", "..", hs256()),
    "padded signature": lambda: hs256() + "=",
    "padded header": lambda: hs256().replace(".", "=.", 1),
    "impossible length": lambda: "a" + hs256(),
    "standard base64": lambda: hs256().rpartition(".")[0] + "." + "+/" * 21 + "A",
    "other bits in the last character": lambda: hs256()[:-1] + chr(ord(hs256()[-1]) ^ 1),
    "not ASCII": lambda: hs256() + "é",
    "too long": lambda: hs256(pad="a" * MAX_TOKEN_BYTES),
    "header not JSON": lambda: hs256(b"alg"),
    "header not UTF-8": lambda: hs256(b'{"alg":"HS256","kid":"\xff"}'),
    "header in UTF-16": lambda: hs256('{"alg":"HS256"}'.encode("utf-16")),
    "header in UTF-16 without a mark": lambda: hs256('{"alg":"HS256"}'.encode("utf-16-le")),
    "header in UTF-32": lambda: hs256('{"alg":"HS256"}'.encode("utf-32")),
    "header with a byte order mark": lambda: hs256(b'\xef\xbb\xbf{"alg":"HS256"}'),
    "header a list": lambda: hs256([{"alg": "HS256"}]),
    "header a string": lambda: hs256("HS256"),
    "header null": lambda: hs256(b"null"),
    "header empty": lambda: hs256({}),
    "header with a comment": lambda: hs256(b'{"alg":"HS256"/**/}'),
    "header with a comma too many": lambda: hs256(b'{"alg":"HS256",}'),
    "header in single quotes": lambda: hs256(b"{'alg':'HS256'}"),
    "header with more after it": lambda: hs256(b'{"alg":"HS256"}{"alg":"none"}'),
    "header nested deeply": lambda: hs256(b'{"alg":' * 900),
    "header with alg twice": lambda: hs256(b'{"alg":"none","alg":"HS256"}'),
    "header with alg twice, escaped": lambda: hs256(rb'{"\u0061lg":"none","alg":"HS256"}'),
    "header with kid twice": lambda: hs256(b'{"alg":"HS256","kid":"a","kid":"b"}'),
    "header with NaN": lambda: hs256(b'{"alg":"HS256","x":NaN}'),
    "header with a lone surrogate": lambda: hs256(rb'{"alg":"HS256","x":"\ud800"}'),
    "alg in lower case": lambda: hs256({"alg": "hs256"}),
    "alg in white space": lambda: hs256({"alg": " HS256 "}),
    "alg with NUL": lambda: hs256({"alg": "HS256\0"}),
    "alg in full width": lambda: hs256({"alg": "ＨＳ２５６"}),  # noqa: RUF001 - they look alike, which is the point
    "alg HS512": lambda: hs256({"alg": "HS512"}),
    "alg HS384": lambda: hs256({"alg": "HS384"}),
    "alg HS512 with a signature to match": lambda: _signed({"alg": "HS512"}, hmac_of(SECRET.encode(), "sha512")),
    "alg HS384 with a signature to match": lambda: _signed({"alg": "HS384"}, hmac_of(SECRET.encode(), "sha384")),
    "alg HS1": lambda: _signed({"alg": "HS1"}, hmac_of(SECRET.encode(), "sha1")),
    "alg ES256K": lambda: hs256({"alg": "ES256K"}),
    "alg A256KW": lambda: hs256({"alg": "A256KW"}),
    "alg dir": lambda: hs256({"alg": "dir", "enc": "A256GCM"}),
    "alg a list": lambda: hs256({"alg": ["HS256"]}),
    "alg an object": lambda: hs256({"alg": {"HS256": 1}}),
    "alg a number": lambda: hs256({"alg": 256}),
    "alg true": lambda: hs256({"alg": True}),
    "alg in the payload only": lambda: hs256({"typ": "JWT"}, alg="HS256"),
    "Alg": lambda: hs256({"Alg": "HS256"}),
    "alg of an issuer, the signature that of another": lambda: hs256({"alg": "EdDSA", "kid": "ed"}),
    "crit with b64": lambda: hs256({"alg": "HS256", "crit": ["b64"], "b64": True}),
    "crit with b64 false": lambda: hs256({"alg": "HS256", "crit": ["b64"], "b64": False}),
    "crit with exp": lambda: hs256({"alg": "HS256", "crit": ["exp"], "exp": 1}),
    "crit with what nobody knows": lambda: hs256({"alg": "HS256", "crit": ["urn:x"], "urn:x": 1}),
    "crit a string": lambda: hs256({"alg": "HS256", "crit": "b64"}),
    "crit empty": lambda: hs256({"alg": "HS256", "crit": []}),
    "crit null": lambda: hs256({"alg": "HS256", "crit": None}),
    "crit false": lambda: hs256({"alg": "HS256", "crit": False}),
    "b64 false": lambda: hs256({"alg": "HS256", "b64": False}),
    "typ of another token": lambda: hs256({"alg": "HS256", "typ": "dpop+jwt"}),
    "typ of a logout token": lambda: hs256({"alg": "HS256", "typ": "logout+jwt"}),
    "typ of an encrypted one": lambda: hs256({"alg": "HS256", "typ": "JWE"}),
    "typ twice prefixed": lambda: hs256({"alg": "HS256", "typ": "application/application/jwt"}),
    "typ with a parameter": lambda: hs256({"alg": "HS256", "typ": "JWT; a=b"}),
    "typ with the Kelvin sign": lambda: hs256({"alg": "HS256", "typ": "at+jwt\N{KELVIN SIGN}"}),
    "typ empty": lambda: hs256({"alg": "HS256", "typ": ""}),
    "typ null": lambda: hs256({"alg": "HS256", "typ": None}),
    "typ a list": lambda: hs256({"alg": "HS256", "typ": ["JWT"]}),
    "kid a number": lambda: hs256({"alg": "HS256", "kid": 1}),
    "kid an object": lambda: hs256({"alg": "HS256", "kid": {}}),
    "kid a list": lambda: hs256({"alg": "HS256", "kid": ["ed"]}),
    "kid true": lambda: hs256({"alg": "HS256", "kid": True}),
    "kid null": lambda: hs256({"alg": "HS256", "kid": None}),
    "signed with another secret": lambda: forge({"alg": "HS256"}, claims(), b"another secret" * 4),
    "signed with nothing": lambda: forge({"alg": "HS256"}, claims(), b""),
    "signed with NUL": lambda: forge({"alg": "HS256"}, claims(), b"\0"),
    "signed with the secret and a line break": lambda: forge({"alg": "HS256"}, claims(), SECRET.encode() + b"\n"),
    "signed with the secret in base64": lambda: forge({"alg": "HS256"}, claims(), b64encode(SECRET.encode())),
    "signed with the digest of the secret": lambda: forge(
        {"alg": "HS256"}, claims(), hashlib.sha256(SECRET.encode()).digest()
    ),
    "signed with the name of the setting": lambda: forge({"alg": "HS256"}, claims(), b"BETTER_AUTH_SECRET"),
    "signature a plain digest": lambda: _signed({"alg": "HS256"}, lambda text: hashlib.sha256(text).digest()),
    "signature of the decoded text": lambda: ".".join(
        [
            segment({"alg": "HS256"}),
            segment(claims_text()),
            segment(hmac.digest(SECRET.encode(), b'{"alg": "HS256"}.' + claims_text(), "sha256")),
        ]
    ),
    "signature cut": lambda: hs256()[:-4],
    "payload of another token": lambda: ".".join(
        [hs256().split(".")[0], segment(claims(sub="eve")), hs256().split(".")[2]]
    ),
}

UNSENDABLE: dict[str, Make] = {
    "empty": lambda: "",
    "line break at the end": lambda: hs256() + "\n",
    "space before": lambda: " " + hs256(),
    "lone surrogate": lambda: hs256() + "\ud800",
    "NUL": lambda: hs256() + "\0",
}
"""What never reaches the verifier as part of a header field: HTTP has other words for it."""


def without_dots(text: str, *, by: str) -> str:
    return text.replace(".", by)


OTHER_FORMS: dict[str, Make] = {
    "the header alone": lambda: hs256().split(".")[0],
    "the payload alone": lambda: hs256().split(".")[1],
    "the header and a dot": lambda: hs256().split(".")[0] + ".",
    "the header and two dots": lambda: hs256().split(".")[0] + "..",
    "without its header": lambda: hs256().partition(".")[2],
    "without its payload": lambda: "..".join(hs256().split(".")[::2]),
    "a dot before": lambda: "." + hs256(),
    "a dot after": lambda: hs256() + ".",
    "twice": lambda: f"{hs256()}.{hs256()}",
    "half of it": lambda: hs256()[: len(hs256()) // 2],
    "the first character missing": lambda: hs256()[1:],
    "backwards": lambda: hs256()[::-1],
    "in upper case": lambda: hs256().upper(),
    "parts exchanged": lambda: ".".join(hs256().split(".")[i] for i in (1, 0, 2)),
    "padded payload": lambda: "{}.{}=.{}".format(*hs256().split(".")),
    "padded everywhere": lambda: ".".join(part + "=" * (-len(part) % 4) for part in hs256(pad="a").split(".")),
    "standard alphabet in the payload": lambda: hs256(pad="Ж~~??>>").replace("_", "/").replace("-", "+") + "+",
    "spaces around the dots": lambda: without_dots(hs256(), by=" . "),
    "a space inside": lambda: hs256()[:20] + " " + hs256()[20:],
    "a tab inside": lambda: hs256()[:20] + "\t" + hs256()[20:],
    "percent-encoded dots": lambda: without_dots(hs256(), by="%2E"),
    "percent-encoded characters": lambda: "%65" + hs256()[1:],
    "a percent-encoded line break": lambda: hs256() + "%0A",
    "full-width dots": lambda: without_dots(hs256(), by="．"),  # noqa: RUF001 - they look alike, which is the point
    "a zero-width space": lambda: hs256() + "\u200b",
    "a byte order mark before": lambda: "\ufeff" + hs256(),
    "in quotes": lambda: f'"{hs256()}"',
    "in angle brackets": lambda: f"<{hs256()}>",
    "in base64 once more": lambda: segment(hs256().encode()),
    "a query beside it": lambda: hs256() + "?a=b",
    "a fragment beside it": lambda: hs256() + "#a",
    "nested": lambda: forge({"alg": "HS256", "cty": "JWT"}, hs256().encode()),
    "nested, as a string": lambda: forge({"alg": "HS256", "cty": "JWT"}, hs256()),
    "encrypted with the secret": lambda: ".".join(
        [segment({"alg": "dir", "enc": "A256GCM", "cty": "JWT"}), "", "A" * 16, segment(b"x" * 100), "A" * 22]
    ),
    "encrypted with a password": lambda: ".".join(
        [
            segment({"alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "p2c": 2_000_000_000, "p2s": "AAAA"}),
            "A" * 54,
            "A" * 16,
            "A" * 99,
            "A" * 22,
        ]
    ),
    "packed": lambda: forge({"alg": "HS256", "zip": "DEF"}, zlib.compress(claims_text())[2:-4]),
    "packed a thousandfold": lambda: forge({"alg": "HS256", "zip": "DEF"}, zlib.compress(b" " * 4_000_000)[2:-4]),
    "JSON serialisation, flattened": lambda: json.dumps(
        dict(zip(("protected", "payload", "signature"), hs256().split("."), strict=True))
    ),
    "JSON serialisation, general": lambda: json.dumps(
        {
            "payload": hs256().split(".")[1],
            "signatures": [{"protected": hs256().split(".")[0], "signature": hs256().split(".")[2]}],
        }
    ),
    "selective disclosure": lambda: hs256() + "~WyJhIiwiYiIsImMiXQ~",
    "PASETO": lambda: "v4.public." + segment(claims_text() + b"\0" * 64),
    "a cookie of the front end": lambda: "AbCdEf0123456789AbCdEf0123456789.c2lnbmF0dXJlIG9mIGEgY29va2ll%3D",
    "the secret itself": lambda: SECRET,
    "undefined": lambda: "undefined",
    "null": lambda: "null",
    "[object Object]": lambda: "[object Object]",
    "a header that shells read": lambda: "() { :; }; sleep 9",
    "a look-up": lambda: "${jndi:ldap://127.0.0.1/a}",
    "a template": lambda: "{{7*7}}.{{7*7}}.{{7*7}}",
    "SQL": lambda: "' OR '1'='1",
    "8,193 bytes": lambda: "a" * (MAX_TOKEN_BYTES - 3) + ".a.a",
    "8,193 bytes in one part": lambda: "a" * (MAX_TOKEN_BYTES + 1),
    "8,192 dots": lambda: "." * MAX_TOKEN_BYTES,
    "16 KiB, well signed": lambda: hs256(pad="a" * 12_000),
    "30 KiB, well signed": lambda: hs256(pad="a" * 22_500),
    "8 KiB of header": lambda: hs256({"alg": "HS256", "x": "a" * 5_800}, sub=None),
    "8 KiB of signature": lambda: hs256() + "A" * 7_500,
}

SPELLINGS_OF_NONE: dict[str, object] = {
    "none": "none",
    "None": "None",
    "NONE": "NONE",
    "nOnE": "nOnE",
    "noNe": "noNe",
    "none and a space": "none ",
    "a space and none": " none",
    "none and a tab": "none\t",
    "none and a line break": "none\n",
    "none and NUL": "none\0",
    "none with another o": "n\u043ene",
    "none in full width": "ｎｏｎｅ",  # noqa: RUF001 - they look alike, which is the point
    "none and a zero-width space": "none\u200b",
    "none in a list": ["none"],
    "an empty list": [],
    "an empty object": {},
    "the empty string": "",
    "null": None,
    "null, as text": "null",
    "false": False,
    "zero": 0,
    "plain": "plain",
}


def _unsigned(alg: object, how: str) -> str:
    head = f"{segment({'alg': alg})}.{segment(claims())}"
    endings = {
        "an empty signature": ".",
        "no signature": "",
        "a true one": hs256({"alg": alg})[len(head) :],
        "any": ".AAAA",
    }
    return head + endings[how]


NONE: dict[str, Make] = {
    **{
        f"alg {name}, {how}": partial(_unsigned, alg, how)
        for name, alg in SPELLINGS_OF_NONE.items()
        for how in ("an empty signature", "no signature", "a true one", "any")
    },
    "no alg, an empty signature": lambda: f"{segment({'typ': 'JWT'})}.{segment(claims())}.",
    "no alg, a true signature": lambda: hs256({"typ": "JWT"}),
}


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
"""Everything that a public key can be written as."""

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


# Signatures that are not, under the right header.

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


# Keys that the token brings along, or says where to find. `canary` is an address where nobody may ever look.


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


# Claims, well signed. Whoever signs them is trusted, and still they are not taken.

_NOT_TIMES: dict[str, str] = {
    "true": "true",
    "false": "false",
    "null": "null",
    "a list": "[4102444800]",
    "an empty list": "[]",
    "an object": "{}",
    "text": '"4102444800"',
    "text, small": '"1"',
    "empty text": '""',
    "other digits": '"٤١٠٢٤٤٤٨٠٠"',
    "a date": '"2100-01-01T00:00:00Z"',
    "1e400": "1e400",
    "-1e400": "-1e400",
    "1e308": "1e308",
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "NaN as text": '"NaN"',
    "Infinity as text": '"Infinity"',
    "hexadecimal": "0xF4865700",
    "octal": "0o36441653400",
    "with a zero before": "04102444800",
    "with a plus": "+4102444800",
    "with an underscore": "4_102_444_800",
    "with a dot at its end": "4102444800.",
    "with a dot at its start": ".4102444800",
    "of 4,000 digits": "9" * 4_000,
    "of 5,000 digits": "9" * 5_000,
}

_NOT_SUBJECTS: dict[str, str] = {
    "missing": "",
    "null": "null",
    "true": "true",
    "zero": "0",
    "a number": "5",
    "a fraction": "1.5",
    "a list": '["ada"]',
    "an empty list": "[]",
    "an object": '{"id":"ada"}',
    "empty": '""',
    "NUL": r'"\u0000"',
    "with NUL at its end": r'"ada\u0000"',
    "with NUL inside": r'"a\u0000da"',
    "256 characters": f'"{"a" * 256}"',
    "256 wide characters": '"' + "Ж" * 256 + '"',
    "7,000 characters": f'"{"a" * 5_500}"',
    "a lone surrogate": r'"\ud800"',
    "a lone low surrogate": r'"\udc00"',
    "surrogates exchanged": r'"\udc00\ud800"',
    "an escape that is none": r'"\q"',
    "a raw control character": '"a\tda"',
    "not closed": '"ada',
}

PAYLOADS: dict[str, Callable[[], bytes]] = {
    **{
        f"{claim} {name}": partial(claims_text, **{claim: text})
        for claim in ("exp", "nbf", "iat")
        for name, text in _NOT_TIMES.items()
    },
    **{f"sub {name}": partial(claims_text, sub=text) for name, text in _NOT_SUBJECTS.items()},
    "not JSON": lambda: b"sub",
    "nothing": lambda: b" ",
    "a list": lambda: json.dumps([claims()]).encode(),
    "a string": lambda: b'"ada"',
    "a string of JSON": lambda: json.dumps(claims_text().decode()).encode(),
    "null": lambda: b"null",
    "a number": lambda: b"5",
    "empty": lambda: b"{}",
    "nested deeply": lambda: claims_text('"x":' + "[" * 4000 + "]" * 1000),
    "nested deeply and complete": lambda: claims_text('"x":' + "[" * 1500 + "]" * 1500),
    "objects nested deeply": lambda: claims_text('"x":' + '{"x":' * 900 + "1" + "}" * 900),
    "not UTF-8": lambda: claims_text().replace(b"ada", b"ad\xff"),
    "an overlong NUL": lambda: claims_text().replace(b"ada", b"ada\xc0\x80"),
    "an overlong quote": lambda: claims_text().replace(b'"ada"', b'\xc0\xa2ada"'),
    "a surrogate in UTF-8": lambda: claims_text().replace(b"ada", b"\xed\xa0\x80"),
    "beyond Unicode": lambda: claims_text().replace(b"ada", b"\xf4\x90\x80\x80"),
    "in UTF-16": lambda: claims_text().decode().encode("utf-16"),
    "in UTF-16, little-endian": lambda: claims_text().decode().encode("utf-16-le"),
    "in UTF-16, big-endian": lambda: claims_text().decode().encode("utf-16-be"),
    "in UTF-32": lambda: claims_text().decode().encode("utf-32"),
    "in UTF-32, little-endian": lambda: claims_text().decode().encode("utf-32-le"),
    "in UTF-7": lambda: claims_text().decode().encode("utf-7").replace(b'"ada"', b"+ACI-ada+ACI-"),
    "a byte order mark before": lambda: b"\xef\xbb\xbf" + claims_text(),
    "NUL before": lambda: b"\0" + claims_text(),
    "NUL after": lambda: claims_text() + b"\0",
    "a no-break space before": lambda: b"\xc2\xa0" + claims_text(),
    "cut": lambda: claims_text()[:-1],
    "with more after it": lambda: claims_text() + b"{}",
    "with a comment": lambda: claims_text().replace(b"{", b"{/**/"),
    "with a comma too many": lambda: claims_text()[:-1] + b",}",
    "in single quotes": lambda: claims_text().replace(b'"', b"'"),
    "packed": lambda: zlib.compress(claims_text()),
    "sub twice": lambda: claims_text('"sub":"eve"'),
    "sub twice, the same": lambda: claims_text('"sub":"ada"'),
    "sub twice, escaped": lambda: claims_text(r'"\u0073ub":"eve"'),
    "exp twice": lambda: claims_text('"exp":4102444800'),
    "aud twice": lambda: claims_text(f'"aud":"{FRONT_END}"'),
    "a claim inside twice": lambda: claims_text('"user":{"id":1,"id":2}'),
    "NaN": lambda: claims_text('"x":NaN'),
    "Infinity": lambda: claims_text('"x":-Infinity'),
    "a lone surrogate in a claim": lambda: claims_text(r'"email":"\ud800"'),
    "a lone surrogate in a name": lambda: claims_text(r'"\ud800":1'),
    "exp missing": lambda: claims_text(exp=""),
    "exp past": lambda: claims_text(exp=str(time.time() - 31)),
    "exp long past": lambda: claims_text(exp="1"),
    "exp zero": lambda: claims_text(exp="0"),
    "exp minus zero": lambda: claims_text(exp="-0"),
    "exp minus zero, a fraction": lambda: claims_text(exp="-0.0"),
    "exp negative": lambda: claims_text(exp="-1"),
    "exp very negative": lambda: claims_text(exp="-" + "9" * 400),
    "exp in the year 10000": lambda: claims_text(exp="253402300800"),
    "exp in milliseconds": lambda: claims_text(exp=str(int(time.time() + 900) * 1000)),
    "exp that rounds into the year 10000": lambda: claims_text(exp="253402300799.9999999"),
    "exp in a name of other letters": lambda: claims_text('"Exp":4102444800', exp=""),
    "nbf in the future": lambda: claims_text(nbf=str(time.time() + 60)),
    "nbf in milliseconds": lambda: claims_text(nbf=str(int(time.time()) * 1000)),
    "iat in the future": lambda: claims_text(iat=str(time.time() + 60)),
    "iat in milliseconds": lambda: claims_text(iat=str(int(time.time()) * 1000)),
    "jti a number": lambda: claims_text(jti="5"),
    "jti a list": lambda: claims_text(jti="[]"),
}

COOKIES: dict[str, Callable[[], bytes]] = {
    "session cookie": lambda: claims_text(aud=f'"{COOKIE}"'),
    "session cookie in a list": lambda: claims_text(aud=f'["{FRONT_END}","{COOKIE}"]'),
    "another cookie of the front end": lambda: claims_text(aud='"better-auth:"'),
}
"""What Better Auth signs with the same secret, for itself."""

_NOT_NAMES: dict[str, str] = {
    "missing": "",
    "null": "null",
    "true": "true",
    "a number": "5",
    "an empty list": "[]",
    "an object": "{}",
    "empty": '""',
    "another": '"https://other.example"',
    "nearly the same": f'"{FRONT_END}/"',
    "with another after it": f'"{FRONT_END}.evil.example"',
    "in other letters": f'"{FRONT_END.upper()}"',
    "a prefix": f'"{FRONT_END[:-1]}"',
    "with NUL": f'"{FRONT_END}\\u0000"',
    "with a space": f'"{FRONT_END} "',
    "in a list in a list": f'[["{FRONT_END}"]]',
    "an object with it": f'{{"{FRONT_END}":1}}',
    "two in one text": f'"{FRONT_END},https://other.example"',
    "a list of others": '["https://other.example","x"]',
    "a list with a number": f'["{FRONT_END}",5]',
    "a list with null": f'[null,"{FRONT_END}"]',
    "a pattern": '"*"',
}

BINDINGS: dict[str, Callable[[], bytes]] = {
    **{f"aud {name}": partial(claims_text, aud=text) for name, text in _NOT_NAMES.items()},
    **{f"iss {name}": partial(claims_text, iss=text) for name, text in _NOT_NAMES.items()},
    "iss a list": lambda: claims_text(iss=f'["{FRONT_END}"]'),
    "aud and iss exchanged with the rest": lambda: claims_text(aud='"ada"', iss='"ada"'),
}
"""Claims that matter where an audience and an issuer are configured."""


# Requests around a good token, which is where it must not be, or not alone.

Lines = list[bytes]


def _basic(token: bytes) -> bytes:
    return b64encode(b"ada:" + token)


def _bearer(*fields: bytes) -> Lines:
    return [b"Authorization: " + field for field in fields]


REQUESTS: dict[str, Callable[[bytes], Lines]] = {
    "no header": lambda _: [],
    "an empty header": lambda _: [b"Authorization:"],
    "a blank header": lambda _: [b"Authorization:   "],
    "the scheme alone": lambda _: _bearer(b"Bearer"),
    "the scheme and a space": lambda _: _bearer(b"Bearer "),
    "no scheme": _bearer,
    "Basic": lambda token: _bearer(b"Basic " + token),
    "Basic with it as the password": lambda token: _bearer(b"Basic " + _basic(token)),
    "Digest": lambda token: _bearer(b"Digest " + token),
    "DPoP": lambda token: _bearer(b"DPoP " + token),
    "OAuth": lambda token: _bearer(b"OAuth " + token),
    "Token": lambda token: _bearer(b"Token " + token),
    "JWT": lambda token: _bearer(b"JWT " + token),
    "Negotiate": lambda token: _bearer(b"Negotiate " + token),
    "Bearers": lambda token: _bearer(b"Bearers " + token),
    "earer": lambda token: _bearer(b"earer " + token),
    "the scheme in full width": lambda token: _bearer("Ｂearer ".encode() + token),  # noqa: RUF001 - it looks alike
    "a colon after the scheme": lambda token: _bearer(b"Bearer: " + token),
    "a colon and no space": lambda token: _bearer(b"Bearer:" + token),
    "an equals sign": lambda token: _bearer(b"Bearer=" + token),
    "nothing between": lambda token: _bearer(b"Bearer" + token),
    "a tab between": lambda token: _bearer(b"Bearer\t" + token),
    "a tab after the space": lambda token: _bearer(b"Bearer \t" + token),
    "a no-break space between": lambda token: _bearer(b"Bearer\xa0" + token),
    "a plus between": lambda token: _bearer(b"Bearer+" + token),
    "a percent-encoded space": lambda token: _bearer(b"Bearer%20" + token),
    "the scheme twice": lambda token: _bearer(b"Bearer Bearer " + token),
    "the scheme twice in a row": lambda token: _bearer(b"BearerBearer " + token),
    "another scheme before": lambda token: _bearer(b"Basic Bearer " + token),
    "a tab at the end": lambda token: _bearer(b"Bearer " + token + b"\t"),
    "the token twice": lambda token: _bearer(b"Bearer " + token + b" " + token),
    "a list of tokens": lambda token: _bearer(b"Bearer " + token + b"," + token),
    "a list of credentials": lambda token: _bearer(b"Bearer " + token + b", Bearer " + token),
    "a list with nothing": lambda token: _bearer(b"Bearer " + token + b","),
    "a list that begins with nothing": lambda token: _bearer(b", Bearer " + token),
    "a semicolon after": lambda token: _bearer(b"Bearer " + token + b";"),
    "a parameter after": lambda token: _bearer(b"Bearer " + token + b' realm="tasks-api"'),
    "as a parameter": lambda token: _bearer(b'Bearer token="' + token + b'"'),
    "in quotes": lambda token: _bearer(b'Bearer "' + token + b'"'),
    "a comment after": lambda token: _bearer(b"Bearer " + token + b" (mine)"),
    "a form feed after": lambda token: _bearer(b"Bearer " + token + b"\xc2\x85"),
    "two good ones": lambda token: _bearer(b"Bearer " + token, b"Bearer " + token),
    "a good and a bad one": lambda token: _bearer(b"Bearer " + token, b"Bearer e30.e30.e30"),
    "a bad and a good one": lambda token: _bearer(b"Bearer e30.e30.e30", b"Bearer " + token),
    "a good and an empty one": lambda token: _bearer(b"Bearer " + token, b""),
    "an empty and a good one": lambda token: _bearer(b"", b"Bearer " + token),
    "a good one and Basic": lambda token: _bearer(b"Bearer " + token, b"Basic YTpi"),
    "Basic and a good one": lambda token: _bearer(b"Basic YTpi", b"Bearer " + token),
    "two, named in other letters": lambda token: [b"authorization: Bearer x", b"AUTHORIZATION: Bearer " + token],
    "ten good ones": lambda token: _bearer(*[b"Bearer " + token] * 10),
    "in a cookie": lambda token: [b"Cookie: token=" + token],
    "in the cookie of the session": lambda token: [b"Cookie: better-auth.session_token=" + token],
    "in the cookie of the session's cache": lambda token: [b"Cookie: __Secure-better-auth.session_data=" + token],
    "in a cookie called authorization": lambda token: [b"Cookie: Authorization=Bearer " + token],
    "for the proxy": lambda token: [b"Proxy-Authorization: Bearer " + token],
    "in X-Authorization": lambda token: [b"X-Authorization: Bearer " + token],
    "in X-Forwarded-Authorization": lambda token: [b"X-Forwarded-Authorization: Bearer " + token],
    "in X-Access-Token": lambda token: [b"X-Access-Token: " + token],
    "in X-Api-Key": lambda token: [b"X-Api-Key: " + token],
    "in a name with a low line": lambda token: [b"HTTP_AUTHORIZATION: Bearer " + token],
    "in WWW-Authenticate": lambda token: [b"WWW-Authenticate: Bearer " + token],
    "a user that a proxy might name": lambda _: [b"X-Forwarded-User: ada", b"X-Remote-User: ada", b"Remote-User: ada"],
    "the original address": lambda _: [b"X-Original-URL: /health", b"X-Rewrite-URL: /health"],
}

QUERIES = ("access_token", "token", "jwt", "authorization", "Authorization", "auth", "bearer", "id_token")
"""Parameters that others read a token from (RFC 6750, section 2.3 has the first, and advises against it)."""
