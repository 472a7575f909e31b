"""The claims of a verified token."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from handlers.principal import Principal
from server.auth.errors import InvalidToken
from tests.auth.verifiers import refusal, subject, verifier
from tests.support.servers.issuer import (
    COOKIE,
    FRONT_END,
    Change,
    hs256,
)

# The claims of a good token.


async def test_a_verified_token_names_its_principal() -> None:
    exp = int(time.time()) + 900
    token = hs256(sub="ada", email="ada@example.org", name="Ada L.", exp=exp)
    assert await verifier().verify(token) == Principal(
        id="ada", email="ada@example.org", name="Ada L.", expires_at=datetime.fromtimestamp(exp, UTC)
    )


async def test_expiry_is_aware_and_in_utc() -> None:
    principal = await verifier().verify(hs256(exp=4_102_444_800.5))
    assert principal.expires_at == datetime(2100, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    assert principal.expires_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("claim", "value", "seen"),
    [
        pytest.param("email", "a" * 320, "a" * 320, id="longest e-mail"),
        pytest.param("email", "a" * 321, None, id="e-mail too long"),
        pytest.param("email", "", None, id="empty e-mail"),
        pytest.param("email", "a\0b", None, id="NUL in the e-mail"),
        pytest.param("email", {"address": "a"}, None, id="e-mail an object"),
        pytest.param("name", "Ж" * 255, "Ж" * 255, id="longest name"),
        pytest.param("name", "n" * 256, None, id="name too long"),
        pytest.param("name", "\0", None, id="NUL in the name"),
        pytest.param("name", 7, None, id="name a number"),
        pytest.param("name", "🦄", "🦄", id="a surrogate pair is one character"),
    ],
)
async def test_an_unusable_email_or_name_is_left_out(claim: str, value: object, seen: str | None) -> None:
    """They are for display only, so that they never lead to a refusal."""
    assert getattr(await verifier().verify(hs256(**{claim: value})), claim) == seen


@pytest.mark.parametrize("name", ["a", "Ж" * 255, " ", "00000000-0000-0000-0000-000000000000"])
async def test_a_subject_is_any_string_of_1_to_255_characters(name: str) -> None:
    assert await subject(verifier(), hs256(sub=name)) == name


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/JWT"])
async def test_typ_may_say_that_it_is_a_token(typ: str) -> None:
    assert await subject(verifier(), hs256({"alg": "HS256", "typ": typ})) == "ada"


@pytest.mark.parametrize(
    "audience",
    [
        pytest.param("https://another.example", id="a string"),
        pytest.param(["a", "b"], id="a list"),
        pytest.param(5, id="not an audience at all"),
        pytest.param([], id="empty"),
    ],
)
async def test_the_audience_is_not_read_when_none_is_configured(audience: object) -> None:
    assert await subject(verifier(), hs256(aud=audience)) == "ada"


@pytest.mark.parametrize("audience", [FRONT_END, ["other", FRONT_END]], ids=["string", "list"])
async def test_the_configured_audience_and_issuer_are_found(audience: object) -> None:
    checked = verifier(audience=FRONT_END, issuer=FRONT_END)
    assert await subject(checked, hs256(aud=audience, iss=FRONT_END)) == "ada"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"aud": None}, "claim aud is missing", id="no audience"),
        pytest.param({"aud": "other"}, "another audience", id="another audience"),
        pytest.param({"aud": []}, "another audience", id="empty list"),
        pytest.param({"aud": [FRONT_END, 5]}, "another audience", id="a list with a number"),
        pytest.param({"aud": 5}, "another audience", id="a number"),
        pytest.param({"aud": {FRONT_END: 1}}, "another audience", id="an object"),
        pytest.param({"aud": FRONT_END + "/"}, "another audience", id="nearly the same"),
        pytest.param({"iss": None}, "claim iss is missing", id="no issuer"),
        pytest.param({"iss": "other"}, "another issuer", id="another issuer"),
        pytest.param({"iss": [FRONT_END]}, "another issuer", id="issuer a list"),
        pytest.param(
            {"aud": [FRONT_END, COOKIE]},
            "a session cookie is not an access token",
            id="also a session cookie",
        ),
    ],
)
async def test_configured_audience_and_issuer_bind_every_token(changes: Change, reason: str) -> None:
    checked = verifier(audience=FRONT_END, issuer=FRONT_END)
    token = hs256(**{"aud": FRONT_END, "iss": FRONT_END} | changes)
    assert await refusal(checked, token) == reason


async def test_a_session_cookie_passes_only_as_configured_audience() -> None:
    assert await subject(verifier(audience=COOKIE), hs256(aud=COOKIE)) == "ada"


@pytest.mark.parametrize(
    "times",
    [
        pytest.param({"exp": -20}, id="just expired"),
        pytest.param({"nbf": 20}, id="not valid yet, nearly"),
        pytest.param({"iat": 20}, id="issued by a clock that is ahead"),
    ],
)
async def test_clocks_may_differ_by_half_a_minute(times: dict[str, int]) -> None:
    near = {claim: time.time() + seconds for claim, seconds in times.items()}
    assert await subject(verifier(), hs256(**near)) == "ada"
    with pytest.raises(InvalidToken):
        await verifier(leeway=10).verify(hs256(**near))
