"""Requests that the document describes: one for each operation, each of its bodies and each of its media types."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from server.contract.document import operations
from tests.support.document import DOCUMENT, OPERATIONS, parameters, resolved

METHODS = {operation["operationId"]: method.upper() for _, method, operation in operations(DOCUMENT)}


@dataclass(frozen=True)
class DocumentedRequest:
    """A request as the document gives it, for the user and the task of the caller."""

    operation_id: str
    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    content: str = ""


def _example(described: dict[str, Any]) -> Any:
    return next(iter(described["examples"].values()))["value"]


def _bodies(operation_id: str) -> Iterator[tuple[dict[str, str], str]]:
    """Yield the header fields and the content of each example of a body."""
    body = resolved(OPERATIONS[operation_id][1].get("requestBody", {}))
    if not body:
        yield {}, ""
    for media_type, described in body.get("content", {}).items():
        for example in described["examples"].values():
            value = example["value"]
            # A body that is no JSON is documented as it is sent.
            yield {"content-type": media_type}, value if isinstance(value, str) else json.dumps(value)


def _media_types(operation_id: str) -> list[str]:
    """The media types of the response that an operation has when it succeeds."""
    responses = resolved(OPERATIONS[operation_id][1]["responses"])
    [success] = (response for status, response in responses.items() if status.startswith("2"))
    return list(success.get("content", {})) or ["*/*"]


def documented_requests(operation_id: str, user: str, task: Callable[[], str]) -> Iterator[DocumentedRequest]:
    """Yield a request for each body and each media type of the response; `task` makes the task of its path."""
    described = parameters(operation_id)
    query = "&".join(f"{p['name']}={_example(p)}" for p in described if p["in"] == "query" and p["required"])
    for content_type, content in _bodies(operation_id):
        for media_type in _media_types(operation_id):
            path = OPERATIONS[operation_id][0].replace("{user_id}", quote(user, safe=""))
            if "{task_id}" in path:
                path = path.replace("{task_id}", task())
            headers = {**content_type, "accept": f"{media_type}, application/problem+json"}
            target = f"{path}?{query}" if query else path
            yield DocumentedRequest(operation_id, METHODS[operation_id], target, headers, content)
