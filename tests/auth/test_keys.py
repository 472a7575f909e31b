"""Keys and algorithms: shared secrets, and the keys of a key set."""

import json
from datetime import timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from persistence.users import Owner
from server.auth.errors import InvalidToken
from server.auth.jwks import KeySet
from server.auth.tokens import issue_token
from tests.auth.verifiers import refusal, subject, uncached, verifier
from tests.support.servers.issuer import (
    ED25519,
    OTHER_ED25519,
    P256,
    P384,
    RSA,
    SECRET,
    SHORT_RSA,
    Issuer,
    Jwk,
    PrivateKey,
    claims,
    forge,
    hs256,
    jwk,
    private_jwk,
    segment,
    sign,
)

# Keys and algorithms.


@pytest.mark.parametrize("secret", ["", "a" * 31, "é" * 15], ids=["empty", "31 bytes", "30 bytes"])
async def test_a_short_secret_is_refused_at_construction(secret: str) -> None:
    with pytest.raises(ValueError, match="the secret is shorter than 32 bytes"):
        verifier(secret=secret)
    with pytest.raises(ValueError, match="shorter"):
        issue_token(secret, Owner("ada"), expires_in=timedelta(minutes=1))


async def test_32_bytes_are_long_enough() -> None:
    secret = "é" * 16
    assert await subject(verifier(secret=secret), forge({"alg": "HS256"}, claims(), secret.encode())) == "ada"


PEM = ED25519.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        pytest.param(PEM.decode(), "an asymmetric key or a JWK", id="a public key"),
        pytest.param(json.dumps(jwk(RSA)), "an asymmetric key or a JWK", id="a JWK"),
        pytest.param("a" * 40 + "\udcff", "not text", id="bytes that are not UTF-8"),
    ],
)
async def test_a_secret_that_is_none_is_refused_without_being_shown(secret: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^the secret is {reason}$") as refused:
        verifier(secret=secret)
    assert refused.value.__suppress_context__


async def test_a_verifier_without_any_key_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="needs a secret or a key set"):
        verifier(secret=None)


@pytest.mark.parametrize(
    ("key", "members", "algorithm"),
    [
        pytest.param(ED25519, {}, "EdDSA", id="EdDSA"),
        pytest.param(ED25519, {"alg": None, "use": None}, "EdDSA", id="EdDSA, as older Better Auth has it"),
        pytest.param(P256, {}, "ES256", id="ES256"),
        pytest.param(P256, {"alg": None}, "ES256", id="ES256 by its curve"),
        pytest.param(RSA, {}, "RS256", id="RS256"),
        pytest.param(RSA, {"alg": None}, "RS256", id="RS256 by default"),
        pytest.param(RSA, {"alg": "PS256"}, "PS256", id="PS256"),
    ],
)
async def test_a_published_key_verifies_its_algorithm(
    issuer: Issuer, key_set: KeySet, key: PrivateKey, members: Jwk, algorithm: str
) -> None:
    issuer.publish(jwk(OTHER_ED25519, "other"), jwk(key, **members))
    assert await subject(verifier(key_set), sign(key, algorithm=algorithm)) == "ada"


@pytest.mark.parametrize(
    ("members", "algorithm"),
    [
        pytest.param({}, "PS256", id="PS256 with a key for RS256"),
        pytest.param({"alg": None}, "PS256", id="PS256 with a key that says nothing"),
        pytest.param({"alg": "PS256"}, "RS256", id="RS256 with a key for PS256"),
        pytest.param({}, "RS512", id="RS512"),
    ],
)
async def test_a_key_verifies_no_other_algorithm(issuer: Issuer, key_set: KeySet, members: Jwk, algorithm: str) -> None:
    """A valid signature by the key itself does not help (RFC 8725, section 3.1)."""
    issuer.publish(jwk(RSA, **members))
    with pytest.raises(InvalidToken, match="alg"):
        await verifier(key_set).verify(sign(RSA, algorithm=algorithm))


@pytest.mark.parametrize(
    "public",
    [
        pytest.param(PEM, id="PEM"),
        pytest.param(PEM.strip(), id="PEM without its line break"),
        pytest.param(ED25519.public_key().public_bytes_raw(), id="raw"),
        pytest.param(ED25519.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), id="DER"),
        pytest.param(jwk(ED25519)["x"].encode(), id="as published"),
        pytest.param(json.dumps(jwk(ED25519)).encode(), id="the JWK"),
    ],
)
@pytest.mark.parametrize("secret", [None, SECRET], ids=["keys only", "keys and a secret"])
async def test_a_public_key_is_no_secret(key_set: KeySet, secret: str | None, public: bytes) -> None:
    """Algorithm confusion: HS256 with the public key, which is no secret, as its secret."""
    both = verifier(key_set, secret=secret)
    assert await subject(both, sign(ED25519)) == "ada"
    with pytest.raises(InvalidToken):
        await both.verify(forge({"alg": "HS256", "kid": "k1"}, claims(), public))


async def test_secret_and_key_set_work_side_by_side(key_set: KeySet) -> None:
    both = verifier(key_set, secret=SECRET)
    assert [await subject(both, token) for token in (hs256(sub="a"), sign(ED25519, sub="b"))] == ["a", "b"]


async def test_hs256_needs_no_key_set(issuer: Issuer, key_set: KeySet) -> None:
    issuer.status = 500
    assert await subject(verifier(key_set, secret=SECRET), hs256()) == "ada"
    assert issuer.fetches == 0


UNUSABLE: dict[str, object] = {
    "symmetric": {"kty": "oct", "kid": "k1", "k": segment(SECRET.encode())},
    "symmetric, for HS256": {"kty": "oct", "kid": "k1", "alg": "HS256", "k": segment(SECRET.encode())},
    "for encryption": jwk(ED25519, use="enc"),
    "for other operations": jwk(ED25519, use=None, key_ops=["encrypt"]),
    "operations that are none": jwk(ED25519, key_ops={"verify": 1}),
    "private": private_jwk(ED25519),
    "private RSA": private_jwk(RSA),
    "RSA of 1024 bits": jwk(SHORT_RSA),
    "RSA without its exponent": {**jwk(RSA), "e": None},
    "RSA for HS256": jwk(RSA, alg="HS256"),
    "RSA for RS512": jwk(RSA, alg="RS512"),
    "RSA for EdDSA": jwk(RSA, alg="EdDSA"),
    "RSA of nothing": {"kty": "RSA", "kid": "k1", "n": "", "e": ""},
    "P-384": {**jwk(P384), "alg": "ES384"},
    "P-384 for ES256": jwk(P384),
    "a point that is not on the curve": {**jwk(P256), "y": jwk(P256)["x"]},
    "Ed448": jwt.get_algorithm_by_name("EdDSA").to_jwk(Ed448PrivateKey.generate().public_key(), as_dict=True),
    "too short for Ed25519": {**jwk(ED25519), "x": "AAAA"},
    "coordinate a number": {**jwk(ED25519), "x": 5},
    "coordinate not base64": {**jwk(ED25519), "x": "A"},
    "alg a list": jwk(ED25519, alg=["EdDSA"]),
    "alg an object": jwk(ED25519, alg={"a": 1}),
    "alg none": jwk(ED25519, alg="none"),
    "no kty": {"kid": "k1"},
    "kty a list": {"kid": "k1", "kty": []},
    "kty unknown": {"kid": "k1", "kty": "AKP", "alg": "ML-DSA-44"},
    "null": None,
    "text": "k1",
    "list": [jwk(ED25519)],
    "empty": {},
}


# The weak key is intended: PyJWT warns when it signs with one.
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("member", [pytest.param(member, id=name) for name, member in UNUSABLE.items()])
async def test_an_unusable_key_is_passed_over(issuer: Issuer, key_set: KeySet, member: object) -> None:
    """It verifies nothing itself and does not disturb its neighbours."""
    issuer.publish(member, jwk(OTHER_ED25519, "k2"))
    keys = uncached(key_set)
    assert await subject(keys, sign(OTHER_ED25519, "k2")) == "ada"
    for key in (ED25519, P256, RSA, SHORT_RSA):
        assert await refusal(keys, sign(key)) == "no key of the set has this id"
    assert "no key is configured" in await refusal(keys, hs256({"alg": "HS256", "kid": "k1"}))


async def test_without_kid_the_only_key_is_meant(issuer: Issuer, key_set: KeySet) -> None:
    issuer.publish(jwk(ED25519), {"kty": "oct", "k": "AAAA"})
    assert await subject(verifier(key_set), sign(ED25519, kid=None)) == "ada"


async def test_without_kid_two_keys_are_too_many(issuer: Issuer, key_set: KeySet) -> None:
    issuer.publish(jwk(ED25519), jwk(P256, "k2"))
    assert await refusal(verifier(key_set), sign(ED25519, kid=None)) == "no key of the set has this id"


async def test_a_set_without_keys_is_an_answer(issuer: Issuer, key_set: KeySet) -> None:
    issuer.publish()
    assert await refusal(verifier(key_set), sign(ED25519)) == "no key of the set has this id"


async def test_a_signature_by_another_key_of_the_same_id_is_refused(key_set: KeySet) -> None:
    assert await refusal(verifier(key_set), sign(OTHER_ED25519)) == "signature"
