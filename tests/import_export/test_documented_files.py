"""NDJSON and CSV in the document: files, with examples that the service takes and writes as they stand."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from server.formats import RECORD_FORMATS
from server.formats.records import Page
from tests.import_export.files import JSON, MEDIA_TYPES, MEMBERS, everything, result, send
from tests.support.api import TasksApi
from tests.support.document import OPERATIONS, resolved

Content = dict[str, Any]


def contents() -> Iterator[Content]:
    """The contents with files, of requests and responses."""
    for _, operation in OPERATIONS.values():
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in (resolved(body).get("content", {}) for body in bodies):
            if content.keys() & (set(MEDIA_TYPES.values()) - {JSON}):
                yield content


def import_examples() -> Iterator[Any]:
    operation = resolved(OPERATIONS["importMyTasks"][1])
    for media_type, media in operation["requestBody"]["content"].items():
        for name, example in media["examples"].items():
            yield pytest.param(media_type, example["value"], id=f"{media_type} {name}")


def test_a_file_is_binary_and_has_an_array_beside_it() -> None:
    found = list(contents())
    assert len(found) == 4
    for content in found:
        assert set(content) == set(MEDIA_TYPES.values())
        # Some generators know the first type only.
        assert next(iter(content)) == JSON
        for media_type, media in content.items():
            schema = media["schema"]
            assert (schema["type"], schema.get("format")) == (
                ("array", None) if media_type == JSON else ("string", "binary")
            )
            assert all(
                isinstance(example["value"], list if media_type == JSON else str)
                for example in media["examples"].values()
            )


def test_an_import_takes_as_many_items_as_the_document_says() -> None:
    schema = resolved(OPERATIONS["importMyTasks"][1])["requestBody"]["content"][JSON]["schema"]
    assert schema["maxItems"] == 50_000


@pytest.mark.parametrize(("media_type", "value"), list(import_examples()))
def test_an_example_of_an_import_is_accepted_as_it_stands(api: TasksApi, media_type: str, value: Any) -> None:
    content = value if isinstance(value, str) else json.dumps(value)
    assert result(send(api, content.encode(), media_type)) == (2, 0)
    assert [task["title"] for task in everything(api)] == ["Buy groceries", "Call the dentist"]


def test_the_examples_of_an_export_are_what_the_service_writes() -> None:
    content = resolved(OPERATIONS["exportMyTasks"][1])["responses"]["200"]["content"]
    tasks = content[JSON]["examples"]["some"]["value"]
    for media_type in MEDIA_TYPES.values():
        record_format = RECORD_FORMATS[media_type]
        written = record_format.write(Page(tasks), MEMBERS, first=True) + record_format.end
        example = content[media_type]["examples"]["some"]["value"]
        assert (json.loads(written) if media_type == JSON else written.decode()) == example
