"""What Schemathesis cannot know from the document alone."""

from datetime import datetime
from typing import Any
from uuid import UUID

import schemathesis
from schemathesis import Case, GenerationMode, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import EnsureResourceAvailability

from persistence.tasks import SORTS, write_cursor

_LAST_ID = UUID(int=0)
_MOMENT = datetime(2026, 1, 1)  # noqa: DTZ001  as `persistence` has its moments

_deleted: set[str] = set()


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], _kwargs: dict[str, Any]) -> None:
    """Give a request that is meant to be valid a cursor that is: it belongs to the sort order that it came from."""
    if "cursor" not in (case.query or {}) or case.meta is None:
        return
    if case.meta.generation.mode is GenerationMode.POSITIVE:
        sort = case.query.get("sort", "created")
        if sort in SORTS:
            case.query["cursor"] = write_cursor(sort, b"m" if "title" in sort else _MOMENT, _LAST_ID)


@schemathesis.hook
def after_call(_context: HookContext, case: Case[Any], response: Response) -> None:
    """Remember which tasks were deleted."""
    if case.method == "DELETE" and response.status_code == 204:
        _deleted.add(str(case.path_parameters["task_id"]))


@schemathesis.hook
def filter_failure(_context: HookContext, failure: Failure, case: Case[Any], _response: Response) -> bool:
    """Keep every failure but one: a task that was deleted under one of its two addresses is gone under the other.

    Schemathesis takes `/api/{user_id}/tasks/{task_id}` and `/api/tasks/{task_id}` for two things.
    """
    gone = str((case.path_parameters or {}).get("task_id")) in _deleted
    return not (isinstance(failure, EnsureResourceAvailability) and gone)
