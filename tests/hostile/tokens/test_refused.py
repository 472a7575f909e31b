"""Hostile tokens: each gets the one 401, and the log gives the reason without any of its text."""

import json
from collections.abc import Callable

import pytest

from tests.hostile.tokens.claims import BINDINGS, COOKIES, PAYLOADS, QUERIES, REQUESTS, Lines
from tests.hostile.tokens.injections import INJECTIONS
from tests.hostile.tokens.signatures import CONFUSED, SIGNATURES
from tests.hostile.tokens.signers import SIGNERS
from tests.hostile.tokens.target import PATH, Target, accepts, each, head, same, words_of
from tests.hostile.tokens.texts import NONE, OTHER_FORMS, TEXTS
from tests.support.document import FIELD_BYTES
from tests.support.figures import Figures
from tests.support.raw_http import ask
from tests.support.servers.issuer import (
    hs256,
    seal,
)

# Tokens that are refused.


@each(TEXTS | OTHER_FORMS)
def test_what_is_no_token_of_ours_is_refused(figures: Figures, target: Target, make: Callable[[], str]) -> None:
    target.assert_token_refused(make())
    figures("Hostile tokens", 1, 1)


@each(NONE)
def test_a_token_without_an_algorithm_is_refused(figures: Figures, target: Target, make: Callable[[], str]) -> None:
    target.assert_token_refused(make())
    figures("Hostile tokens", 1, 1)


@each(CONFUSED)
def test_a_key_is_good_for_its_own_algorithm_only(figures: Figures, target: Target, make: Callable[[], str]) -> None:
    target.assert_token_refused(make())
    figures("Hostile tokens", 1, 1)


@each(SIGNATURES)
def test_a_signature_that_is_not_true_is_refused(figures: Figures, target: Target, make: Callable[[], str]) -> None:
    reason = target.assert_token_refused(make())
    expected = {"signature", "malformed", "not a signed token in compact form"}
    assert reason in expected | ({"no key is configured for this kind of algorithm"} if not target.issuer else set())
    figures("Hostile tokens", 1, 1)


@each(INJECTIONS)
def test_a_token_does_not_say_what_verifies_it(figures: Figures, target: Target, make: Callable[[str], str]) -> None:
    target.assert_token_refused(make(target.canary.url))
    assert target.canary.visitors() == 0
    figures("Hostile tokens", 1, 1)


@each(PAYLOADS)
def test_a_well_signed_token_is_refused_for_what_it_says(
    figures: Figures, target: Target, make: Callable[[], bytes]
) -> None:
    for algorithm in target.algorithms:
        header, signature = SIGNERS[algorithm]
        reason = target.assert_token_refused(seal(header, make(), signature))
        assert all(word not in reason for word in ("signature", "audience", "issuer", "claim aud", "claim iss"))
    figures("Hostile tokens", len(target.algorithms), len(target.algorithms))


@each(COOKIES)
def test_a_session_cookie_is_no_access_token(figures: Figures, target: Target, make: Callable[[], bytes]) -> None:
    for algorithm in target.algorithms:
        header, signature = SIGNERS[algorithm]
        assert "signature" not in target.assert_token_refused(seal(header, make(), signature))
    figures("Hostile tokens", len(target.algorithms), len(target.algorithms))


@each(BINDINGS)
def test_an_audience_and_an_issuer_bind_every_token(
    figures: Figures, with_keys: Target, make: Callable[[], bytes]
) -> None:
    for header, signature in SIGNERS.values():
        reason = with_keys.assert_token_refused(seal(header, make(), signature))
        assert any(word in reason for word in ("audience", "issuer", "claim aud", "claim iss"))
    figures("Hostile tokens", len(SIGNERS), len(SIGNERS))


@each(REQUESTS)
def test_a_good_token_in_the_wrong_place_is_none(
    figures: Figures, target: Target, make: Callable[[bytes], Lines]
) -> None:
    token = hs256()
    assert accepts(target, token)
    target.assert_refused(make(token.encode()), words_of(token))
    figures("Hostile tokens", 1, 1)


@pytest.mark.parametrize("parameter", QUERIES)
def test_a_good_token_in_the_query_is_none(figures: Figures, target: Target, parameter: str) -> None:
    token = hs256()
    target.assert_refused([], words_of(token), target=f"{PATH}?{parameter}={token}")
    target.assert_refused([], words_of(token), target=f"{PATH}?{parameter}=Bearer%20{token}")
    figures("Hostile tokens", 2, 2)


def test_a_good_token_in_a_form_is_none(target: Target) -> None:
    """RFC 6750, section 2.2, which advises against it."""
    body = f"access_token={hs256()}".encode()
    lines = [b"Content-Type: application/x-www-form-urlencoded", b"Content-Length: %d" % len(body)]
    answer = ask(target.service, head(lines, method="POST"), body)
    assert same(answer) == same(target.refusals.missing)


def test_a_token_beyond_what_headers_may_hold_is_not_looked_at(target: Target) -> None:
    for size in (FIELD_BYTES, 33_000, 60 * 1024):
        target.assert_too_long(b"Bearer " + b"a" * size)


def test_every_secured_operation_refuses_alike(figures: Figures, target: Target) -> None:
    """The refusals above are those of one operation; the others' differ in the path alone."""
    document = target.service.client().get("/openapi.json").json()
    count = 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in ("parameters", "summary", "description", "servers") or operation.get("security") == []:
                continue
            named = path.replace("{user_id}", "ada").replace("{task_id}", "0198a5d0-0000-7000-8000-000000000000")
            before = target.relay.seen
            answer = ask(target.service, head([b"Authorization: Bearer e30.e30.e30"], named, method.upper()))
            members = json.loads(target.refusals.token.content) | {"instance": named}
            assert (answer.status_code, json.loads(answer.content)) == (401, members)
            assert answer.headers["www-authenticate"] == target.refusals.token.headers["www-authenticate"]
            assert target.relay.seen == before
            count += 1
    assert count > 10
    figures("Secured operations without a good token", count, count)
