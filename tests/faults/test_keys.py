"""The issuer's keys: gone, slow, huge, somewhere else, and new. Tokens of the shared secret go on meanwhile."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.faults.load import Load
from tests.faults.probes import RECOVERY_SECONDS, assert_nothing_unexpected, assert_unavailable
from tests.support.figures import Figures
from tests.support.servers.issuer import ED25519, OTHER_ED25519, Issuer, jwk, running_issuer, sign
from tests.support.service import Service, running_service
from tests.support.waiting import until


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as issuer:
        yield issuer


@pytest.fixture
def elsewhere() -> Iterator[Issuer]:
    """Another issuer, which no test has to ask."""
    with running_issuer() as issuer:
        yield issuer


def _signed(user: str) -> str:
    return f"Bearer {sign(ED25519, sub=user)}"


def _list(service: Service, user: str, authorization: str) -> httpx2.Response:
    return service.client(authorization=authorization).get(f"/api/{user}/tasks")


_OUTAGES: dict[str, Callable[[Issuer, Issuer], None]] = {
    "gone (503)": lambda issuer, _: _answer(issuer, status=503),
    "hanging": lambda issuer, _: issuer.answering.clear(),
    "dripping": lambda issuer, _: _answer(issuer, dripping=True, headers={"Content-Length": "100000"}),
    "huge": lambda issuer, _: _answer(issuer, body=b" " * 2_000_000 + issuer.body),
    "redirecting": lambda issuer, other: _answer(issuer, status=302, headers={"Location": other.url}),
}


def _answer(issuer: Issuer, **how: object) -> None:
    vars(issuer).update(how)


@pytest.mark.parametrize("how", _OUTAGES)
def test_keys_that_cannot_be_had_are_a_503_until_they_can(  # noqa: PLR0913, PLR0917 - the processes that take part
    how: str, issuer: Issuer, elsewhere: Issuer, database: str, tmp_path: Path, figures: Figures
) -> None:
    """No keys are known yet. Requests that need none of them are served under load as usual."""
    good = vars(issuer).copy()
    _OUTAGES[how](issuer, elsewhere)
    with running_service(tmp_path, DATABASE_URL=database, JWKS_URL=issuer.url) as service:
        load = Load(service)
        with load.running():
            start = time.monotonic()
            refused = [_list(service, user, _signed(user)) for user in ("eve", "bob")]
            assert time.monotonic() - start < 2 * 5 + 1
            load.goes_on()
        for answer in refused:
            assert_unavailable(answer)
        assert elsewhere.fetches == 0
        assert load.count(503) == 0
        vars(issuer).update(good)
        issuer.answering.set()
        recovery = until(lambda: _list(service, "eve", _signed("eve")).is_success, RECOVERY_SECONDS)
        load.record(figures, f"JWKS {how}", recovery_seconds=recovery)
        assert_nothing_unexpected(service)


def test_keys_that_are_known_outlive_their_issuer(
    issuer: Issuer, database: str, tmp_path: Path, figures: Figures
) -> None:
    with running_service(tmp_path, DATABASE_URL=database, JWKS_URL=issuer.url) as service:
        load = Load(service, _signed)
        with load.running():
            load.goes_on()
            issuer.status = 503
            # None of these was seen before, so none is remembered.
            statuses = [_list(service, f"eve-{n}", _signed(f"eve-{n}")).status_code for n in range(50)]
            load.goes_on()
        assert statuses == [200] * 50
        assert load.count(503) == 0
        load.record(figures, "JWKS gone while its keys are known")
        assert_nothing_unexpected(service)


def test_a_new_key_is_found_at_once(issuer: Issuer, database: str, tmp_path: Path, figures: Figures) -> None:
    """As the first token of the new key arrives; tokens of the old key are refused within a minute."""
    with running_service(tmp_path, DATABASE_URL=database, JWKS_URL=issuer.url) as service:
        assert _list(service, "eve", _signed("eve")).status_code == httpx2.codes.OK
        load = Load(service)
        with load.running():
            load.goes_on()
            issuer.publish(jwk(OTHER_ED25519, "k2"))
            rotated = [
                _list(service, f"bob-{n}", f"Bearer {sign(OTHER_ED25519, 'k2', sub=f'bob-{n}')}") for n in range(50)
            ]
            load.goes_on()
        assert [answer.status_code for answer in rotated] == [200] * 50
        assert issuer.fetches == 2
        # The set is fetched once more: the old key may be back.
        assert _list(service, "zoe", _signed("zoe")).status_code == httpx2.codes.UNAUTHORIZED
        assert issuer.fetches == 3
        load.record(figures, "JWKS rotated")
        assert_nothing_unexpected(service)
