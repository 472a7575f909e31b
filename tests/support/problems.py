"""The members of problems (RFC 9457) that tests expect, written out rather than taken from the service's code."""

from collections.abc import Mapping
from typing import Any

import httpx2

from tests.support.types import Json

OUTSIDE_OPERATIONS = {"not-found", "method-not-allowed"}
"""The codes of requests that no operation answers."""


def problem_schema(schemas: Mapping[str, Any], code: str) -> dict[str, Any]:
    """Return the schema of the document's components that describes problems with this code.

    A code outside of the operations has no schema of its own; its problems have the members of all others.
    """
    described = "malformed-request" if code in OUTSIDE_OPERATIONS else code
    for schema in schemas.values():
        members = schema.get("properties", {})
        if described in members.get("code", {}).get("enum", ()):
            return {**schema, "properties": {**members, "code": {"enum": [code]}}}
    raise LookupError(code)


def problem_members(path: str, status: int, code: str, title: str, detail: str) -> Json:
    return {
        "type": f"/problems#{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": path,
        "code": code,
    }


def forbidden(path: str) -> Json:
    detail = "The user in the path is not the user whom the token names."
    return problem_members(path, 403, "forbidden", "Forbidden", detail)


def unauthenticated(path: str) -> Json:
    return problem_members(path, 401, "unauthenticated", "Unauthenticated", "A valid bearer token is required.")


def token_expired(path: str) -> Json:
    detail = "The bearer token has expired. Get a new one."
    return problem_members(path, 401, "token-expired", "Token expired", detail)


def task_not_found(path: str) -> Json:
    return problem_members(path, 404, "task-not-found", "Task not found", "The user has no task with this id.")


def invalid(path: str, *errors: tuple[str, str]) -> Json:
    """Return a 422 with these violations, each a JSON pointer into the body and a reason."""
    detail = "The request does not satisfy the contract; see `errors`."
    members = problem_members(path, 422, "validation-failed", "Validation failed", detail)
    return {**members, "errors": [{"pointer": pointer, "detail": reason} for pointer, reason in errors]}


def is_answered(answer: httpx2.Response, expected: Json) -> bool:
    """Return True if the answer is this problem, without its body if the method is HEAD."""
    assert answer.status_code == expected["status"]
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.content == b"" if answer.request.method == "HEAD" else answer.json() == expected
