"""Lists of methods, header fields and lengths that the service takes from the document, or that agree with it."""

import ast
import copy
from typing import Any

import pytest

from persistence.schema import MAX_EMAIL, MAX_KEY, MAX_NAME, MAX_USER_ID
from server.contract.document import load_document
from server.contract.fields import methods, request_fields, response_fields
from server.contract.parameters import compile_parameter
from server.contract.schemas import Format
from server.problems import Violation
from tests.support.document import resolved
from tests.support.service import ROOT, Service

DOCUMENT = load_document()
ORIGIN = "http://localhost:3000"


def members(fields: str) -> set[str]:
    """The members of a header field that is a list."""
    return {member.strip().lower() for member in fields.split(",")}


def test_a_preflight_permits_what_the_document_names(service: Service) -> None:
    headers = {"origin": ORIGIN, "access-control-request-method": "PUT"}
    answer = service.client().options("/api/tasks", headers=headers)
    assert members(answer.headers["access-control-allow-methods"]) == {
        "get",
        "head",
        "post",
        "put",
        "patch",
        "delete",
        "options",
    }
    assert members(answer.headers["access-control-allow-headers"]) >= {
        "authorization",
        "content-type",
        "if-match",
        "if-none-match",
        "idempotency-key",
        "x-request-id",
    }


def test_a_page_may_read_every_documented_header_field(service: Service) -> None:
    answer = service.client().get("/health", headers={"origin": ORIGIN})
    described = resolved(DOCUMENT["components"]["responses"]).values()
    assert members(answer.headers["access-control-expose-headers"]) == {
        name.lower() for response in described for name in response["headers"]
    }


def test_a_header_field_that_is_added_to_the_document_is_listed() -> None:
    document = copy.deepcopy(DOCUMENT)
    health = document["paths"]["/health"]["get"]
    health["parameters"] = [{"name": "Prefer", "in": "header", "schema": {"type": "string"}}]
    document["components"]["responses"]["ServiceAlive"]["headers"]["Warning"] = {"schema": {"type": "string"}}
    document["paths"]["/health"]["trace"] = health
    assert set(request_fields(document)) - set(request_fields(DOCUMENT)) == {"Prefer"}
    assert set(response_fields(document)) - set(response_fields(DOCUMENT)) == {"Warning"}
    assert set(methods(document)) - set(methods(DOCUMENT)) == {"TRACE"}


@pytest.mark.parametrize(
    ("schema", "longest"),
    [("UserId", MAX_USER_ID), ("UserEmail", MAX_EMAIL), ("UserName", MAX_NAME)],
)
def test_tokens_and_tables_have_the_lengths_of_the_document(schema: str, longest: int) -> None:
    assert DOCUMENT["components"]["schemas"][schema]["maxLength"] == longest


def test_an_idempotency_key_has_the_length_of_the_document() -> None:
    key = compile_parameter(DOCUMENT["components"]["parameters"]["IdempotencyKey"])
    for text, is_valid in {"k" * MAX_KEY: True, "k" * (MAX_KEY + 1): False}.items():
        found: list[Violation] = []
        key.read(text, found)
        assert (found == []) == is_valid


def test_a_format_of_the_application_is_parsed_and_described() -> None:
    parameter: dict[str, Any] = {"name": "day", "in": "query", "schema": {"type": "string", "format": "weekday"}}
    weekday = Format({"Monday": 1, "Tuesday": 2}.get, "the English name of a day of the week")
    found: list[Violation] = []
    compile_parameter(parameter, {"weekday": weekday}).read("May", found)
    assert found == [Violation("parameter", "day", "must be the English name of a day of the week")]
    assert compile_parameter(parameter, {"weekday": weekday}).read("Monday", []) == 1


def test_the_contract_package_knows_no_resource() -> None:
    """The package imports only itself, the violations and libraries."""
    for module in (ROOT / "server" / "contract").glob("*.py"):
        imported = {node.module for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.ImportFrom)}
        ours = {name for name in imported if name and name.split(".")[0] in ("server", "handlers", "persistence")}
        assert {name for name in ours if not name.startswith("server.contract")} <= {"server.problems"}, module
        assert "cursor" not in module.read_text().lower(), module
