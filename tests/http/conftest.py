"""A user, and a connection that is read byte by byte."""

import uuid
from collections.abc import Iterator

import pytest

from tests.support.raw_http import Wire
from tests.support.service import Service
from tests.support.types import Owner


@pytest.fixture(scope="module")
def member(service: Service) -> Owner:
    """A user whom the refused requests of this module share."""
    subject = f"member-{uuid.uuid4().hex}"
    return subject, service.as_user(subject)


@pytest.fixture
def wire(service: Service) -> Iterator[Wire]:
    with Wire(service) as connection:
        yield connection
