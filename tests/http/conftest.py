"""A user, and a connection that is read byte by byte."""

import uuid
from collections.abc import Iterator

import pytest

from tests.support.raw_http import RawConnection
from tests.support.service import Service
from tests.support.types import Owner


@pytest.fixture(scope="module")
def member(service: Service) -> Owner:
    """A user who sends all refused requests of this module."""
    subject = f"member-{uuid.uuid4().hex}"
    return subject, service.as_user(subject)


@pytest.fixture
def raw(service: Service) -> Iterator[RawConnection]:
    with RawConnection(service) as connection:
        yield connection
