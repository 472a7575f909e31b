"""A user on one connection, a task to change, and a tally of cases."""

import uuid
from collections.abc import Iterator

import pytest

from tests.hostile.cases import Tally
from tests.hostile.operations import (
    Caller,
)
from tests.support.figures import Figures
from tests.support.sampling import Sampled
from tests.support.service import Service


@pytest.fixture
def caller(service: Service) -> Iterator[Caller]:
    with Caller(service, f"hostile-{uuid.uuid4().hex}") as calling:
        yield calling


@pytest.fixture
def task_id(caller: Caller) -> str:
    """A task that may be changed."""
    created: str = caller.create()["id"]
    return created


@pytest.fixture
def tally(request: pytest.FixtureRequest, figures: Figures, sampled: Sampled) -> Iterator[Tally]:
    """Reports at the end which cases failed, and the number of cases."""
    found = Tally(sampled)
    yield found
    group = "Hostile bodies: " + request.node.originalname.removeprefix("test_").replace("_", " ")
    assert not found.failed, f"{len(found.failed)} of {found.tried}:\n" + "\n".join(found.failed[:20])
    figures(group, found.tried, found.tried - len(found.failed))
