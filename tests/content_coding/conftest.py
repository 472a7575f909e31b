"""A user whose tasks make a large response."""

import json
import uuid

import pytest

from tests.import_export.files import NDJSON
from tests.support.service import Service

TASKS = 400
"""Their list and their export have some 100 KB: more than is compressed, or written, at once."""


@pytest.fixture(scope="module")
def owner(service: Service) -> str:
    """The id of a user with `TASKS` tasks."""
    subject = f"owner-{uuid.uuid4().hex}"
    records = [{"title": f"Task {number}", "description": uuid.uuid4().hex} for number in range(TASKS)]
    answer = service.as_user(subject).post(
        "/api/tasks/import", content="\n".join(map(json.dumps, records)), headers={"content-type": NDJSON}
    )
    assert answer.json()["imported"] == TASKS
    return subject
