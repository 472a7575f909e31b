"""Hooks that give Schemathesis the knowledge that is missing from the document."""

import atexit
import csv
import io
import json
import sys
import uuid
from collections import Counter
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
from schemathesis.openapi.checks import EnsureResourceAvailability, RejectedPositiveData, UseAfterFree

from persistence.cursor import SORTS, cursor_after
from tests.support.conformance import described_responses

_LAST_ID = UUID(int=0)
_MOMENT = datetime(2026, 1, 1)  # noqa: DTZ001  as `persistence` has its moments

_ALL = "all"
_deleted: set[str] = set()
_restored: set[str] = set()
filtered: Counter[str] = Counter()
"""The failures that were not reported, by their class. Printed at the end of the process."""


FILES = ("application/x-ndjson", "text/csv")


@schemathesis.serializer(*FILES)
def write_file(_context: SerializationContext, value: Any) -> bytes:
    """A text as it stands."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


def _file_with(title: str, media_type: str) -> bytes:
    """A valid file with a task of this title, as far as a title may have its characters."""
    title = "".join(filter(str.isprintable, title))[:100] + "."
    if media_type == FILES[0]:
        return json.dumps({"title": title, "completed": True}).encode() + b"\n"
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["completed", "title"], ["", title]])
    return text.getvalue().encode()


@schemathesis.deserializer(*FILES)
def read_file(_context: DeserializationContext, response: Response) -> str:
    """The text of an export, which is all that its schema describes."""
    return response.content.decode()


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
    """Give a request that is meant to be valid a cursor of its sort order, a new key, a file with a record, or times.

    The times are in the order that `x-not-before` asks for.
    """
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if "cursor" in (case.query or {}):
        sort = case.query.get("sort", "created")
        if sort in SORTS:
            case.query["cursor"] = str(cursor_after(sort, b"m" if "title" in sort else _MOMENT, _LAST_ID))
    if case.media_type in FILES and case.meta.phase.name == "fuzzing":
        case.body = _file_with(str(case.body), case.media_type)
    for record in case.body if isinstance(case.body, list) else ():
        _order_times(record)
    for name, value in (case.headers or {}).items():
        if name == "Idempotency-Key":
            case.headers[name] = str(uuid.uuid4())
        elif name.startswith("If-") and value == "0":
            # Values that Schemathesis tries besides the schema, quoted as necessary.
            case.headers[name] = '"0"'


def _order_times(record: Any) -> None:
    """Give a record of an import times as `x-max-seconds-ahead` and `x-not-before` ask for."""
    for name, time in (("created_at", "2026-01-01T00:00:00Z"), ("updated_at", "2026-01-02T00:00:00+00:00")):
        if isinstance(record, dict) and isinstance(record.get(name), str):
            record[name] = time


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
    """Keep every failure but those of which Schemathesis cannot know better, and count these."""
    kept = _is_failure(failure, case)
    if not kept:
        filtered[type(failure).__name__] += 1
    return kept


def _is_failure(failure: Failure, case: Case[Any]) -> bool:
    """False for a failure of which Schemathesis cannot know better.

    It takes the two addresses of a task for two things. It does not know that all tasks can be deleted at once, that a
    deleted task can be restored, nor that a request makes the profile of a deleted user again. And the schema of a file
    does not say which files are valid.
    """
    task_id = str((case.path_parameters or {}).get("task_id", _ALL))
    match failure:
        case EnsureResourceAvailability():
            return not _deleted & {task_id, _ALL}
        case UseAfterFree():
            return task_id not in _restored | {_ALL}
        case AcceptedNegativeData():
            return case.media_type not in FILES
        case RejectedPositiveData():
            # `before_call` writes bytes where it makes a text a valid file.
            return case.media_type not in FILES or isinstance(case.body, bytes)
        case _:
            return True


@atexit.register
def print_filtered() -> None:
    """Print the numbers of failures that were not reported (docs/contract-testing.md)."""
    print("filtered failures:", dict(sorted(filtered.items())) or "none", file=sys.stderr)  # noqa: T201
