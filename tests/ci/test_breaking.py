"""`make breaking`: every kind of change that breaks clients is found, and no other."""

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from docs.breaking.__main__ import ROOT, BaseError, earlier_document, last_release, main, may_break
from docs.breaking.operations import document_breaks
from server.contract.document import load_document

Change = Callable[[dict[str, Any]], object]

TASKS, TASK = "/api/tasks", "/api/tasks/{task_id}"


def schema(document: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return a schema of the components, or one below it."""
    found = document["components"]["schemas"]
    for name in names:
        found = found[name]
    assert isinstance(found, dict)
    return found


def operation(document: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    found = document["paths"][path][method]
    assert isinstance(found, dict)
    return found


def parameter(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the first parameter of this name."""
    return next(found for found in document["components"]["parameters"].values() if found["name"] == name)


def added_parameter(*, required: bool) -> Change:
    new = {"name": "colour", "in": "query", "required": required, "schema": {"type": "string"}}
    return lambda d: operation(d, "get", TASKS)["parameters"].append(new)


def set_to(*names: str, **members: Any) -> Change:
    """Set keywords of a schema."""
    return lambda d: schema(d, *names).update(members)


BREAKS: dict[str, tuple[Change, str]] = {
    "path": (lambda d: d["paths"].pop(TASK), "GET /api/tasks/{task_id} is gone"),
    "operation": (lambda d: d["paths"][TASK].pop("patch"), "PATCH /api/tasks/{task_id} is gone"),
    "operationId": (lambda d: operation(d, "get", TASKS).update(operationId="tasks"), "the operationId is tasks"),
    "schema name": (
        lambda d: d.update(json.loads(json.dumps(d).replace("ExportedTasks", "Exported"))),
        "the schema ExportedTasks is gone: generated types have other names",
    ),
    "new required parameter": (added_parameter(required=True), "the parameter colour of query is required"),
    "parameter required": (
        lambda d: parameter(d, "cursor").update(required=True),
        "the parameter cursor of query is req",
    ),
    "parameter removed": (lambda d: operation(d, "get", TASKS)["parameters"].pop(), "is gone"),
    "parameter style": (lambda d: parameter(d, "sort").update(style="pipeDelimited"), "has another style"),
    "upper bound": (lambda d: parameter(d, "limit")["schema"].update(maximum=10), "maximum is 10, was 1000"),
    "lower bound": (lambda d: parameter(d, "limit")["schema"].update(minimum=2), "minimum is 2, was 1"),
    "default": (lambda d: parameter(d, "limit")["schema"].update(default=10), "the default is 10, was 1000"),
    "value of a request": (lambda d: schema(d, "TaskSort")["enum"].remove("-title"), "-title is no longer allowed"),
    "generated name of a value": (
        lambda d: schema(d, "TaskSort")["x-enum-varnames"].reverse(),
        "generated code has the name",
    ),
    "maxLength": (set_to("TaskTitle", maxLength=100), "TaskTitle in requests: maxLength is 100, was 200"),
    "minLength": (set_to("TaskTitle", minLength=2), "TaskTitle in requests: minLength is 2, was 1"),
    "new pattern": (set_to("TaskTitle", pattern="^[a-z]$"), "TaskTitle in requests: pattern is"),
    "new format": (set_to("TaskTitle", format="uri"), "TaskTitle in requests: format is uri, was none"),
    "type of a request": (
        set_to("TaskCreate", "properties", "completed", type="integer"),
        "TaskCreate/completed in requests: the type boolean is no longer allowed",
    ),
    "null of a request": (
        lambda d: schema(d, "TaskDescription").update(nullable=False),
        "TaskDescription in requests: the type null is no longer allowed",
    ),
    "required member": (
        lambda d: schema(d, "TaskCreate")["required"].append("completed"),
        "TaskCreate in requests: the member completed is required",
    ),
    "member of a request": (
        lambda d: schema(d, "TaskCreate", "properties").pop("description"),
        "TaskCreate in requests: the member description is gone",
    ),
    "minProperties": (set_to("TaskUpdate", minProperties=2), "TaskUpdate in requests: minProperties is 2, was"),
    "array of a request": (
        lambda d: schema(d, "ImportRecordList").update(maxItems=5),
        "ImportRecordList in requests: maxItems is 5, was",
    ),
    "nested member of a request": (
        set_to("ImportTimestamp", maxLength=5),
        "ImportTimestamp in requests: maxLength is 5",
    ),
    "body required": (
        lambda d: operation(d, "get", TASKS).update(requestBody={"required": True, "content": {}}),
        "the body is required",
    ),
    "body removed": (lambda d: operation(d, "put", TASK).pop("requestBody"), "the body is gone"),
    "media type of a request": (
        lambda d: d["components"]["requestBodies"]["TaskImport"]["content"].pop("text/csv"),
        "the body has no media type text/csv any more",
    ),
    "size of a body": (
        lambda d: d["components"]["requestBodies"]["TaskImport"].update({"x-max-bytes": 10}),
        "the body: x-max-bytes is 10, was 10485760",
    ),
    "size of header fields": (
        lambda d: d["x-max-field-bytes"].update(Accept=100),
        "the document: x-max-field-bytes Accept is 100, was 1024",
    ),
    "status": (lambda d: operation(d, "delete", TASK)["responses"].pop("204"), "the response 204 is gone"),
    "new success": (
        lambda d: operation(d, "delete", TASK)["responses"].update({"202": {"description": "Later."}}),
        "the response 202 is new",
    ),
    "media type of a response": (
        lambda d: d["components"]["responses"]["ListedTasks"]["content"].clear(),
        "the response 200 has no media type application/json any more",
    ),
    "header field": (
        lambda d: d["components"]["responses"]["CreatedTask"]["headers"].pop("Location"),
        "the response 201 has no header field Location any more",
    ),
    "member of a response": (
        lambda d: schema(d, "Task", "properties").pop("completed"),
        "Task in responses: the member completed is gone",
    ),
    "optional in a response": (
        lambda d: schema(d, "Task")["required"].remove("completed"),
        "Task in responses: the member completed may be absent",
    ),
    "null of a response": (set_to("Timestamp", nullable=True), "Timestamp in responses: the type null is new"),
    "type of a response": (set_to("TaskCounts", "properties", "total", type="string"), "the type string is new"),
    "value of a response": (
        lambda d: schema(d, "TaskNotFoundProblem", "properties", "code")["enum"].append("gone"),
        "TaskNotFoundProblem/code in responses: gone is new",
    ),
    "bound of a response": (set_to("StoredTitle", maxLength=99_999), "StoredTitle in responses: maxLength is 99999"),
    "alternative of a response": (
        lambda d: next(s for s in d["components"]["schemas"].values() if "oneOf" in s)["oneOf"].append(
            {"type": "string"}
        ),
        "of oneOf is new",
    ),
    "token demanded": (
        lambda d: operation(d, "get", "/health").pop("security"),
        "no security scheme is no longer enough",
    ),
    "other token": (
        lambda d: next(iter(d["components"]["securitySchemes"].values())).update(scheme="basic"),
        "has another scheme",
    ),
}

HARMLESS: dict[str, Change] = {
    "text": lambda d: schema(d, "Task").update(description="A thing to do.", example={}),
    "new operation": lambda d: d["paths"].update({"/api/new": {"get": operation(d, "get", "/health")}}),
    "deprecation": lambda d: operation(d, "get", TASKS).update(deprecated=True),
    "new optional parameter": added_parameter(required=False),
    "wider request": lambda d: schema(d, "TaskTitle").update(maxLength=500, minLength=0),
    "fewer rules of a request": lambda d: schema(d, "TaskTitle").pop("pattern"),
    "new value of a request": lambda d: (
        schema(d, "TaskSort")["enum"].append("completed"),
        schema(d, "TaskSort")["x-enum-varnames"].append("COMPLETED"),
    ),
    "new optional member": lambda d: schema(d, "TaskCreate", "properties").update(priority={"type": "integer"}),
    "new member of a response": lambda d: (
        schema(d, "Task", "properties").update(priority={"type": "integer"}),
        schema(d, "Task")["required"].append("priority"),
    ),
    "narrower response": lambda d: schema(d, "StoredTitle").update(maxLength=10),
    "new error": lambda d: operation(d, "get", TASKS)["responses"].update({"418": {"description": "A teapot."}}),
    "new header field": lambda d: d["components"]["responses"]["ListedTasks"]["headers"].update(
        Age={"schema": {"type": "integer"}}
    ),
    "open to all": lambda d: operation(d, "get", TASKS).update(security=[]),
}


def breaks_of(change: Change) -> dict[str, list[str]]:
    before = load_document()
    after = copy.deepcopy(before)
    change(after)
    assert after != before
    return document_breaks(before, after)


@pytest.mark.parametrize(("change", "sentence"), BREAKS.values(), ids=BREAKS)
def test_a_planted_break_is_found(change: Change, sentence: str) -> None:
    assert [found for found in breaks_of(change) if sentence in found] != []


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_a_harmless_change_breaks_nothing(change: Change) -> None:
    assert breaks_of(change) == {}


def test_the_operations_of_a_break_are_named() -> None:
    breaks = breaks_of(set_to("TaskTitle", maxLength=100))
    assert breaks["TaskTitle in requests: maxLength is 100, was 200"][0] == "POST /api/tasks"


@pytest.mark.parametrize(
    ("before", "after", "may"),
    [("0.1.0", "0.1.9", False), ("0.1.0", "0.2.0", True), ("1.2.3", "1.3.0", False), ("1.2.3", "2.0.0", True)],
)
def test_the_version_says_whether_clients_may_break(before: str, after: str, *, may: bool) -> None:
    assert may_break(before, after) is may


def git(directory: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=directory, capture_output=True, check=True)  # noqa: S603, S607


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A repository with a release whose titles could be longer, and a commit after it."""
    (tmp_path / "openapi").mkdir()
    text = (ROOT / "openapi/openapi.yaml").read_text()
    (tmp_path / "openapi/openapi.yaml").write_text(text.replace("maxLength: 200\n", "maxLength: 300\n"))
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "Release")
    git(tmp_path, "tag", "v0.1.0")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "Later")
    return tmp_path


def test_a_break_since_the_last_release_fails(released: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert last_release(released) == "v0.1.0"
    assert main(root=released) == 1
    said = capsys.readouterr().out
    assert "TaskTitle in requests: maxLength is 200, was 300 (POST /api/tasks, " in said
    assert said.endswith("it must be 0.2.0 or higher.\n")


def test_a_release_is_compared_with_the_one_before(released: Path) -> None:
    git(released, "tag", "v0.2.0")
    assert last_release(released) == "v0.1.0"


def test_the_stored_file_of_a_release_will_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(str(ROOT / "openapi/openapi.yaml")) == 0
    assert capsys.readouterr().out.startswith("Nothing breaks for clients of ")


def test_without_a_release_nothing_breaks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(tmp_path, "init", "--quiet")
    assert main(root=tmp_path) == 0
    assert capsys.readouterr().out.startswith("There is no release yet")


def test_a_base_that_is_nothing_is_named() -> None:
    with pytest.raises(BaseError, match=r"^nowhere is neither a file nor a commit with a document"):
        earlier_document("nowhere", ROOT)
