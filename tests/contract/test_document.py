"""The document, the served part of it, and the behaviour of the service where it and the code do not fit together."""

import re
from importlib.metadata import version
from typing import Any

import pytest

from server.contract.document import operations
from server.contract.schemas import Validator
from server.problems import KINDS
from tests.support.document import DOCUMENT, OPERATIONS, parameters, places, resolved
from tests.support.problems import OUTSIDE_OPERATIONS

PUBLIC = {"getHealth", "getReadiness"}
PROBLEM_SCHEMAS = {
    "ImportFailed": "ImportProblem",
    "ValidationFailed": "ValidationProblem",
    "RequestRefused": "RefusalProblem",
}

every_operation = pytest.mark.parametrize("operation_id", OPERATIONS)


# The document


def test_operation_ids_are_unique() -> None:
    assert len(OPERATIONS) == len(list(operations(DOCUMENT))) == 33


@every_operation
def test_an_operation_is_described(operation_id: str) -> None:
    _, operation = OPERATIONS[operation_id]
    assert re.fullmatch("[a-z]+([A-Z][a-z]*)*", operation_id)
    assert len(operation["tags"]) == 1
    assert set(operation["tags"]) <= {tag["name"] for tag in DOCUMENT["tags"]}
    assert operation["summary"]
    assert operation["description"]


def test_summaries_tell_operations_apart() -> None:
    assert len({operation["summary"] for _, operation in OPERATIONS.values()}) == len(OPERATIONS)


@every_operation
def test_every_error_is_a_shared_response(operation_id: str) -> None:
    _, operation = OPERATIONS[operation_id]
    errors = {status: response for status, response in operation["responses"].items() if status >= "4"}
    for response in errors.values():
        name = response["$ref"].removeprefix("#/components/responses/")
        shared = DOCUMENT["components"]["responses"][name]
        (schema,) = (media["schema"] for media in shared["content"].values())
        assert list(shared["content"]) == ["application/problem+json"]
        expected = PROBLEM_SCHEMAS.get(name, f"{name}Problem")
        assert schema["$ref"] == f"#/components/schemas/{expected}"


@every_operation
def test_an_operation_lists_the_errors_that_it_can_answer_with(operation_id: str) -> None:
    path, operation = OPERATIONS[operation_id]
    # `default` is 406, 408, 413, 414 and 431, which do not depend on the operation.
    expected = {"400", "422", "429", "500", "503", "default"}
    if operation_id not in PUBLIC:
        expected |= {"401"}
    if "{user_id}" in path:
        expected |= {"403"}
    if "{task_id}" in path:
        expected |= {"404"}
    if "requestBody" in operation:
        expected |= {"413", "415"}
    parameters = {parameter["$ref"].rpartition("/")[2] for parameter in operation.get("parameters", ())}
    is_read = DOCUMENT["paths"][path].get("get") is operation or operation_id == "verifyToken"
    if not is_read:
        expected |= {"412"}
    if "IdempotencyKey" in parameters:
        expected |= {"409"}
    assert {status for status in operation["responses"] if status >= "4"} == expected


@every_operation
def test_an_operation_is_secured_or_listed_as_public(operation_id: str) -> None:
    _, operation = OPERATIONS[operation_id]
    secured = operation.get("security", DOCUMENT["security"]) == [{"bearerAuth": []}]
    assert secured or (operation_id in PUBLIC and operation["security"] == [])


def source_expressions(operation_id: str, response: dict[str, Any]) -> set[str]:
    """The runtime expressions (OpenAPI 3.0.3, section 4.7.20.4) that every such response of the operation has."""
    found = {f"$request.path.{item['name']}" for item in parameters(operation_id) if item["in"] == "path"}
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    step = "0/" if "items" in schema else ""
    return found | {f"$response.body#/{step}{name}" for name in schema.get("items", schema).get("properties", ())}


@every_operation
def test_links_lead_to_operations_with_what_these_need(operation_id: str) -> None:
    _, operation = OPERATIONS[operation_id]
    for response in resolved(operation["responses"]).values():
        for link in response.get("links", {}).values():
            assert link["operationId"] in OPERATIONS
            needed = {parameter["name"] for parameter in parameters(link["operationId"]) if parameter["required"]}
            given = link.get("parameters", {})
            assert set(given) == needed
            for expression in given.values():
                assert expression in source_expressions(operation_id, response)


@pytest.mark.parametrize(
    "operation_id",
    ["createTask", "getTask", "listTasks", "updateTask", "toggleTask", "restoreTask"],
)
def test_a_task_links_to_every_operation_on_it(operation_id: str) -> None:
    for given, infix in ((operation_id, ""), (operation_id.replace("Task", "MyTask"), "My")):
        responses = resolved(OPERATIONS[given][1]["responses"])
        links = next(response["links"] for status, response in responses.items() if status < "3")
        targets = {link["operationId"] for link in links.values()}
        assert targets >= {f"{verb}{infix}Task" for verb in ("get", "update", "toggle", "delete")}


def test_a_deleted_task_links_to_its_restoration() -> None:
    for operation_id in ("deleteTask", "deleteMyTask"):
        links = resolved(OPERATIONS[operation_id][1]["responses"]["204"])["links"]
        assert {link["operationId"] for link in links.values()} == {"restoreMyTask", "listMyTasks"}


def test_every_example_is_valid() -> None:
    checked = 0
    for where, place in places(resolved(DOCUMENT)):
        if "schema" not in place or where.endswith("/properties"):
            continue
        validator = Validator(place["schema"])
        values = [example["value"] for example in place.get("examples", {}).values()]
        values += [place["example"]] if "example" in place else []
        for value in values:
            assert validator.violations(value, "pointer") == [], where
            checked += 1
    assert checked > len(OPERATIONS)


def test_every_shared_example_is_used() -> None:
    used = {place["$ref"] for _, place in places(DOCUMENT) if "$ref" in place}
    for kind in ("parameters", "requestBodies", "headers", "responses", "schemas", "examples"):
        assert {f"#/components/{kind}/{name}" for name in DOCUMENT["components"][kind]} <= used


@every_operation
def test_an_operation_shows_what_is_sent_and_answered(operation_id: str) -> None:
    operation = resolved(OPERATIONS[operation_id][1])
    contents = [operation.get("requestBody", {}), *operation["responses"].values()]
    for media in (media for item in contents for media in item.get("content", {}).values()):
        assert media["examples"]
    for parameter in operation.get("parameters", []):
        # Swagger UI, fuzzers and mock servers would send that of an optional header field.
        assert "examples" in parameter or parameter["in"] == "header" or parameter["name"] == "cursor"


def test_every_object_is_closed_and_every_value_bounded() -> None:
    for where, schema in places(DOCUMENT["components"]["schemas"]):
        match schema.get("type"):
            case "object":
                assert schema["additionalProperties"] is False, where
            case "array":
                assert "maxItems" in schema, where
            case "string" if "enum" not in schema:
                assert "maxLength" in schema, where
                # NUL, which PostgreSQL cannot keep, is ruled out by the pattern or by the format.
                assert "format" in schema or not Validator(schema).is_valid("a\0"), where
            case "integer":
                assert {"minimum", "maximum", "format"} <= set(schema), where


def test_problem_codes_are_those_of_the_service() -> None:
    members = [schema.get("properties", {}) for schema in DOCUMENT["components"]["schemas"].values()]
    codes = {code for names in members if "errors" in names or "instance" in names for code in names["code"]["enum"]}
    assert codes == {kind.code for kind in KINDS} - OUTSIDE_OPERATIONS


def test_the_document_has_the_version_of_the_package() -> None:
    assert DOCUMENT["info"]["version"] == version("tasks-api")
