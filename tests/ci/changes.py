"""Changes of the document that break clients, with what `make breaking` says, and others that break nothing."""

import copy
import json
from collections.abc import Callable
from typing import Any

Change = Callable[[dict[str, Any]], object]

SCHEMAS = "#/components/schemas"
TASK_SCHEMA = f"{SCHEMAS}/Task"
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


def in_content(response: str, new: dict[str, Any]) -> Change:
    """Set the schema of every media type of a response."""
    return lambda d: [media.update(schema=new) for media in d["components"]["responses"][response]["content"].values()]


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
        lambda d: schema(d, "Health", "properties", "status")["enum"].append("gone"),
        "Health/status in responses: gone is new",
    ),
    "bound of a response": (set_to("StoredTitle", maxLength=99_999), "StoredTitle in responses: maxLength is 99999"),
    "alternative of a response": (
        in_content("CreatedTask", {"oneOf": [{"$ref": TASK_SCHEMA}, {"$ref": f"{SCHEMAS}/TaskCounts"}]}),
        "in responses: the alternative TaskCounts is new",
    ),
    "alternative that is no problem": (
        lambda d: schema(d, "Violation")["oneOf"].append({"type": "string"}),
        "Violation in errors: the alternative 2 is new",
    ),
    "member of a problem": (
        lambda d: schema(d, "ValidationProblem")["required"].remove("errors"),
        "ValidationProblem in errors: the member errors may be absent",
    ),
    "another type of the same form": (
        lambda d: (
            schema(d).update(Item=copy.deepcopy(schema(d, "Task"))),
            schema(d, "TaskList").update(items={"$ref": f"{SCHEMAS}/Item"}),
        ),
        "Task in responses: generated code has the type Item in its place",
    ),
    "moved parameter": (lambda d: parameter(d, "limit").update({"in": "header"}), "limit of query is gone"),
    "explode": (lambda d: parameter(d, "sort").update(explode=False), "sort of query has another style"),
    "format of a request": (lambda d: parameter(d, "limit")["schema"].pop("format"), "format is gone, was int32"),
    "format of a response": (set_to("StoredTitle", format="uuid"), "StoredTitle in responses: format is uuid"),
    "exclusive bound": (
        lambda d: parameter(d, "limit")["schema"].update(exclusiveMaximum=True),
        "exclusiveMaximum is True, was none",
    ),
    "discriminator": (
        set_to("TaskUpdate", discriminator={"propertyName": "title"}),
        "TaskUpdate in requests: discriminator is",
    ),
    "part of allOf": (
        lambda d: schema(d, "TaskUpdate").update(allOf=[{"type": "object", "required": ["title"]}]),
        "TaskUpdate in requests: the member title is required",
    ),
    "readOnly": (
        set_to("TaskCreate", "properties", "completed", readOnly=True),
        "TaskCreate/completed in requests: readOnly is True, was none",
    ),
    "tag": (lambda d: operation(d, "get", TASKS).update(tags=["Things"]), "the tag is Things, was"),
    "server": (lambda d: d.update(servers=[{"url": "/v2"}]), "the server / is gone"),
    "scope": (
        lambda d: operation(d, "get", TASKS).update(security=[{"bearerAuth": ["tasks:read"]}]),
        "bearerAuth is no longer enough",
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
    "new code of a problem": lambda d: schema(d, "TaskNotFoundProblem", "properties", "code")["enum"].append("purged"),
    "answers to conditional requests": lambda d: operation(d, "get", "/health")["responses"].update(
        {"304": {"description": "Not modified."}}
    ),
    "new problem": lambda d: (
        schema(d).update(PurgedProblem=schema(d, "TaskNotFoundProblem")),
        in_content(
            "TaskNotFound",
            {"oneOf": [{"$ref": f"{SCHEMAS}/TaskNotFoundProblem"}, {"$ref": f"{SCHEMAS}/PurgedProblem"}]},
        )(d),
    ),
    "error that is gone": lambda d: operation(d, "delete", TASK)["responses"].pop("412"),
    "defaults written out": lambda d: (
        parameter(d, "limit").update(style="form", explode=True),
        schema(d, "TaskDescription").update(minLength=0),
    ),
    "schema with a name": lambda d: (
        schema(d).update(Limit=parameter(d, "limit")["schema"]),
        parameter(d, "limit").update(schema={"$ref": f"{SCHEMAS}/Limit"}),
    ),
    "the same as allOf": lambda d: schema(d).update(
        TaskCreate={"allOf": [{"$ref": f"{SCHEMAS}/Created"}]}, Created=schema(d, "TaskCreate")
    ),
    "alternative of a request": lambda d: d["components"]["requestBodies"]["NewTask"]["content"].update(
        {"application/json": {"schema": {"oneOf": [{"$ref": f"{SCHEMAS}/{n}"} for n in ("TaskCreate", "TaskCounts")]}}}
    ),
    "more members of a request": lambda d: schema(d, "TaskCreate").pop("additionalProperties"),
    "more members of a response": lambda d: schema(d, "Task").pop("additionalProperties"),
    "required member that is ignored": lambda d: (
        schema(d, "TaskCreate", "properties").update(version={"type": "integer", "readOnly": True}),
        schema(d, "TaskCreate")["required"].append("version"),
    ),
    "new media types": lambda d: (
        d["components"]["requestBodies"]["TaskImport"]["content"].update({"text/plain": {"schema": {}}}),
        d["components"]["responses"]["ListedTasks"]["content"].update({"text/csv": {"schema": {}}}),
    ),
    "larger header fields": lambda d: d["x-max-field-bytes"].update(Accept=100_000),
    "other way to authenticate": lambda d: d["security"].append({"key": []}),
    "further server": lambda d: d["servers"].append({"url": "https://tasks.example.com"}),
    "open to all": lambda d: operation(d, "get", TASKS).update(security=[]),
}

MAPS: dict[str, tuple[Any, Any, str]] = {
    "request": (True, {"type": "string"}, "TaskCreate/additionalProperties in requests: the type"),
    "response": ({"type": "string"}, True, "Task/additionalProperties in responses: the type"),
    "closed": (True, False, "TaskCreate in requests: other members are no longer allowed"),
}
