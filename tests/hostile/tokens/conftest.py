"""A service with the shared secret, and one with an issuer's keys as well."""

from collections.abc import Iterator

import pytest

from tests.hostile.tokens.signers import KEYS
from tests.hostile.tokens.target import Target, attacked
from tests.support.servers.issuer import (
    jwk,
    running_issuer,
)


@pytest.fixture(scope="module")
def with_secret(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A service that has the shared secret and nothing else."""
    with attacked(database_url, tmp_path_factory.mktemp("secret"), None) as target:
        yield target


@pytest.fixture(scope="module")
def with_keys(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A service that has an issuer's keys, too, and an audience and an issuer's name to compare with."""
    with running_issuer() as issuer:
        issuer.publish(*(jwk(key, kid) for kid, key in KEYS.items()))
        with attacked(database_url, tmp_path_factory.mktemp("keys"), issuer) as target:
            yield target


@pytest.fixture(params=["with_secret", "with_keys"])
def target(request: pytest.FixtureRequest) -> Target:
    """Both targets, one after the other."""
    found: Target = request.getfixturevalue(request.param)
    return found
