"""Names, types and examples of the document that generated clients need."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import pytest

from tests.support.document import DOCUMENT, OPERATIONS, places, resolved

SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
every_operation = pytest.mark.parametrize("operation_id", OPERATIONS)


def properties() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property of the schemas, with references followed."""
    for name, schema in SCHEMAS.items():
        for member, property_ in schema.get("properties", {}).items():
            yield f"{name}.{member}", resolved(property_)


def error_codes(operation_id: str) -> dict[str, set[str]]:
    """The problem codes of each response of an operation."""
    responses = resolved(OPERATIONS[operation_id][1]["responses"])
    contents = {
        status: response["content"]["application/problem+json"]["schema"]
        for status, response in responses.items()
        if status >= "4"
    }
    return {status: set(schema["properties"]["code"]["enum"]) for status, schema in contents.items()}


@every_operation
def test_a_problem_code_tells_the_responses_apart(operation_id: str) -> None:
    """A switch over `code` narrows the union of error types. 413 is also one of the statuses of `default`."""
    codes = error_codes(operation_id)
    codes["default"] -= codes.get("413", set())
    listed = [code for of_response in codes.values() for code in of_response]
    assert len(listed) == len(set(listed))


def test_request_bodies_have_no_defaults() -> None:
    """openapi-typescript makes a member with a default required, so that a request without it does not compile."""
    bodies = [resolved(operation["requestBody"]) for _, operation in OPERATIONS.values() if "requestBody" in operation]
    found = [where for body in bodies for where, schema in places(body) if "default" in schema]
    assert bodies
    assert found == []


def test_no_schema_has_the_name_of_a_class_of_pydantic() -> None:
    assert not SCHEMAS.keys() & {"BaseModel", "Field", "ValidationError"}
    assert "Violation" in SCHEMAS


def test_no_integer_becomes_a_bigint() -> None:
    integers = [schema for _, schema in places(DOCUMENT) if schema.get("type") == "integer"]
    assert {schema["format"] for schema in integers} == {"int32"}
    assert all(schema["maximum"] < 2**31 for schema in integers)


def test_sort_orders_have_names_for_constants() -> None:
    names = SCHEMAS["TaskSort"]["x-enum-varnames"]
    assert names == [
        value.upper().removeprefix("-") + "_DESCENDING" * value.startswith("-") for value in SCHEMAS["TaskSort"]["enum"]
    ]


def test_violations_of_every_problem_have_a_named_schema() -> None:
    for name in ("ValidationProblem", "ImportProblem"):
        assert list(SCHEMAS[name]["properties"]["errors"]["items"]) == ["$ref"]


def test_every_property_has_an_example() -> None:
    assert [where for where, schema in properties() if "example" not in schema] == []


@every_operation
def test_every_response_documents_the_request_id(operation_id: str) -> None:
    for response in resolved(OPERATIONS[operation_id][1]["responses"]).values():
        assert response["headers"]["X-Request-ID"]["required"]


PATTERNS = {schema["pattern"] for _, schema in places(DOCUMENT) if isinstance(schema.get("pattern"), str)}
SAMPLES = ["", *map(chr, range(0x3100)), *map(chr, range(0xFE00, 0x10000)), "\U000e0041", "a\0", "\0a", "\u2028a\n"]


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
def test_a_pattern_can_be_written_into_source_code(pattern: str) -> None:
    """hey-api writes what `\\u` stands for into TypeScript, where U+2028 ends a line. RE2 does not know `\\u`."""
    assert not re.search(r"\\(?!x[0-9A-F]{2}|[][*.\\])", pattern)
    assert not {unicodedata.category(character) for character in pattern} & {"Cc", "Cs", "Zl", "Zp"}
    assert "(?=" not in pattern
    assert "(?!" not in pattern
    assert "(?<" not in pattern


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
def test_a_pattern_means_the_same_to_rust_and_python(pattern: str) -> None:
    rust = jsonschema_rs.Draft202012Validator({"pattern": pattern})
    in_python = re.compile(re.sub(r"\$$", r"\\Z", pattern))
    assert [text for text in SAMPLES if rust.is_valid(text) != bool(in_python.search(text))] == []


def test_the_contact_has_an_absolute_address() -> None:
    """openapi-generator refuses a document whose contact has a relative one."""
    assert urlsplit(DOCUMENT["info"]["contact"]["url"]).scheme == "https"


@every_operation
def test_a_public_operation_says_why(operation_id: str) -> None:
    _, operation = OPERATIONS[operation_id]
    assert ("It is public because" in operation["description"]) == (operation.get("security") == [])
