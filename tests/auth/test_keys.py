"""Keys and algorithms: shared secrets, and the keys of a key set."""

import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import get_algorithm_by_name

from persistence.users import Owner
from server.auth.errors import InvalidToken
from server.auth.jwks import KeySet
from server.auth.tokens import issue_token
from tests.auth.verifiers import refusal, subject, uncached, verifier
from tests.support.servers.issuer import (
    ED25519,
    K256,
    OTHER_ED25519,
    P256,
    P384,
    P521,
    RSA,
    SECRET,
    SHORT_RSA,
    Issuer,
    Jwk,
    PrivateKey,
    algorithm_of,
    claims,
    forge,
    hs256,
    jwk,
    private_jwk,
    seal,
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


RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


@pytest.mark.parametrize(
    ("key", "members", "algorithm"),
    [
        pytest.param(ED25519, {}, "EdDSA", id="EdDSA"),
        pytest.param(ED25519, {"alg": None, "use": None}, "EdDSA", id="EdDSA, as older Better Auth has it"),
        pytest.param(P256, {}, "ES256", id="ES256"),
        pytest.param(P256, {"alg": None}, "ES256", id="ES256 by its curve"),
        pytest.param(P384, {}, "ES384", id="ES384"),
        pytest.param(P384, {"alg": None}, "ES384", id="ES384 by its curve"),
        pytest.param(P521, {}, "ES512", id="ES512"),
        pytest.param(P521, {"alg": None, "use": None}, "ES512", id="ES512 by its curve, as Better Auth has it"),
        pytest.param(RSA, {"alg": None}, "RS256", id="RS256 by default"),
        *(pytest.param(RSA, {"alg": algorithm}, algorithm, id=algorithm) for algorithm in RSA_ALGORITHMS),
    ],
)
async def test_a_published_key_verifies_its_algorithm(
    issuer: Issuer, key_set: KeySet, key: PrivateKey, members: Jwk, algorithm: str
) -> None:
    issuer.publish(jwk(OTHER_ED25519, "other"), jwk(key, **members))
    assert await subject(verifier(key_set), sign(key, algorithm=algorithm)) == "ada"


@pytest.mark.parametrize("of_token", [*RSA_ALGORITHMS, "ES256", "ES384", "ES512", "EdDSA"])
@pytest.mark.parametrize("of_key", [None, *RSA_ALGORITHMS])
async def test_a_key_verifies_no_other_algorithm(
    issuer: Issuer, key_set: KeySet, of_key: str | None, of_token: str
) -> None:
    """A valid signature by the key itself does not help (RFC 8725, section 3.1)."""
    issuer.publish(jwk(RSA, alg=of_key))
    signed = of_token if of_token in RSA_ALGORITHMS else "RS256"
    token = seal({"alg": of_token, "kid": "k1"}, claims(), lambda text: get_algorithm_by_name(signed).sign(text, RSA))
    if of_token == (of_key or "RS256"):
        assert await subject(verifier(key_set), token) == "ada"
    else:
        assert await refusal(verifier(key_set), token) == "the algorithm is not the one of the key"


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512"])
@pytest.mark.parametrize("key", [P256, P384, P521], ids=lambda key: key.curve.name)
async def test_an_algorithm_of_ecdsa_is_bound_to_its_curve(
    issuer: Issuer, key_set: KeySet, key: EllipticCurvePrivateKey, algorithm: str
) -> None:
    issuer.publish(jwk(key))
    own = algorithm_of(key)
    token = seal({"alg": algorithm, "kid": "k1"}, claims(), lambda text: get_algorithm_by_name(own).sign(text, key))
    if algorithm == own:
        assert await subject(verifier(key_set), token) == "ada"
    else:
        assert await refusal(verifier(key_set), token) == "the algorithm is not the one of the key"


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
    "RSA for ES512": jwk(RSA, alg="ES512"),
    "RSA for EdDSA": jwk(RSA, alg="EdDSA"),
    "RSA of nothing": {"kty": "RSA", "kid": "k1", "n": "", "e": ""},
    "P-384 for ES256": jwk(P384, alg="ES256"),
    "P-384 for ES512": jwk(P384, alg="ES512"),
    "P-256 for ES384": jwk(P256, alg="ES384"),
    "P-256 for ES512": jwk(P256, alg="ES512"),
    "P-256 for RS256": jwk(P256, alg="RS256"),
    "P-256 for PS512": jwk(P256, alg="PS512"),
    "P-521 for ES256": jwk(P521, alg="ES256"),
    "secp256k1": jwk(K256),
    "secp256k1 for ES256": jwk(K256, alg="ES256"),
    "Ed25519 for ES256": jwk(ED25519, alg="ES256"),
    "RSA of 1024 bits for PS512": jwk(SHORT_RSA, alg="PS512"),
    "a point that is not on the curve": {**jwk(P256), "y": jwk(P256)["x"]},
    "Ed448": get_algorithm_by_name("EdDSA").to_jwk(Ed448PrivateKey.generate().public_key(), as_dict=True),
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
    for key in (ED25519, P256, P384, P521, RSA, SHORT_RSA):
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
