"""Hooks that give Schemathesis the knowledge that is missing from the document."""

import csv
import io
import json
import uuid
from datetime import datetime
from typing import Any
from uuid import UUID

import schemathesis
from schemathesis import (
    Case,
    CheckContext,
    DeserializationContext,
    GenerationMode,
    HookContext,
    Response,
    SerializationContext,
)
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.openapi.checks import EnsureResourceAvailability, UseAfterFree

from persistence.cursor import SORTS, cursor_after
from tests.support.conformance import described_responses

_LAST_ID = UUID(int=0)
_MOMENT = datetime(2026, 1, 1)  # noqa: DTZ001  as `persistence` has its moments

_ALL = "all"
_deleted: set[str] = set()
_restored: set[str] = set()


@schemathesis.serializer("application/x-ndjson")
def write_ndjson(_context: SerializationContext, value: Any) -> bytes:
    """The items of an array, each on a line. A value that is deliberately no array is written on one line."""
    items = value if isinstance(value, list) else [value]
    return "".join(f"{json.dumps(item)}\n" for item in items).encode()


@schemathesis.serializer("text/csv")
def write_csv(_context: SerializationContext, value: Any) -> bytes:
    """The items of an array under the names of all their members; an empty field stands for no member."""
    items = [
        item if isinstance(item, dict) else {"item": item} for item in (value if isinstance(value, list) else [value])
    ]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(["title", *(name for item in items for name in item)])))
    writer.writeheader()
    writer.writerows([{name: _field(member) for name, member in item.items()} for item in items])
    return text.getvalue().encode("utf-8", "surrogatepass")


def _field(member: Any) -> str:
    return member if isinstance(member, str) else json.dumps(member)


@schemathesis.deserializer("application/x-ndjson")
def read_ndjson(_context: DeserializationContext, response: Response) -> list[Any]:
    """The values on the lines."""
    return [json.loads(line) for line in response.content.split(b"\n") if line]


@schemathesis.deserializer("text/csv")
def read_csv(_context: DeserializationContext, response: Response) -> list[Any]:
    """The records of an export, with the types that a field does not have."""
    records = csv.DictReader(io.StringIO(response.content.decode(), newline=""), strict=True)
    return [
        {**record, "description": record["description"] or None, "completed": json.loads(record["completed"])}
        for record in records
    ]


@schemathesis.check
def described_status(_context: CheckContext, response: Response, case: Case[Any]) -> None:
    """The status is described, also where Schemathesis takes a `default` response for a description of any status."""
    if case.method.upper() != case.operation.method.upper():
        return  # A 405 belongs to no operation.
    described = described_responses(case.operation.schema.raw_schema, case.operation.definition.raw)
    if response.status_code not in described:
        raise AssertionError(f"{case.operation.label} -> {response.status_code} is not described")


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], _kwargs: dict[str, Any]) -> None:
    """Give a request that is meant to be valid a cursor of its sort order and a new key."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if "cursor" in (case.query or {}):
        sort = case.query.get("sort", "created")
        if sort in SORTS:
            case.query["cursor"] = str(cursor_after(sort, b"m" if "title" in sort else _MOMENT, _LAST_ID))
    for name, value in (case.headers or {}).items():
        if name == "Idempotency-Key":
            case.headers[name] = str(uuid.uuid4())
        elif name.startswith("If-") and value == "0":
            # Values that Schemathesis tries besides the schema, quoted as necessary.
            case.headers[name] = '"0"'


@schemathesis.hook
def after_call(_context: HookContext, case: Case[Any], response: Response) -> None:
    """Remember which tasks were deleted, and which were restored."""
    task_id = str((case.path_parameters or {}).get("task_id", _ALL))
    if case.method == "DELETE" and response.status_code in (200, 204):
        _deleted.add(task_id)
    if case.operation.path.endswith("/restore") and response.status_code == 200:
        _restored.add(task_id)


@schemathesis.hook
def filter_failure(_context: HookContext, failure: Failure, case: Case[Any], _response: Response) -> bool:
    """Keep every failure but those of which Schemathesis cannot know better.

    It takes the two addresses of a task for two things. It does not know that all tasks can be deleted at once, that a
    deleted task can be restored, nor that a request makes the profile of a deleted user again. And a field of CSV has
    no type that could be wrong.
    """
    task_id = str((case.path_parameters or {}).get("task_id", _ALL))
    match failure:
        case EnsureResourceAvailability():
            return not _deleted & {task_id, _ALL}
        case UseAfterFree():
            return task_id not in _restored | {_ALL}
        case AcceptedNegativeData():
            return case.media_type != "text/csv"
        case _:
            return True
