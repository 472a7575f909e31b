"""The problems in the document are those of the service: the same codes, words and statuses, where they can occur."""

from collections.abc import Iterator
from typing import Any

import pytest

from server.contract.document import load_document, operations, resolved
from server.problems import KINDS, PAGE, VALIDATION_FAILED, Kind, Problem, Violation, validation_failed
from tests.support.problems import OUTSIDE_OPERATIONS

DOCUMENT = load_document()
RESPONSES: dict[str, Any] = DOCUMENT["components"]["responses"]
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


def examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every example of a problem, with the name of its response."""
    for name, response in RESPONSES.items():
        media = response.get("content", {}).get("application/problem+json", {})
        for example in media.get("examples", {}).values():
            yield name, example["value"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_examples_have_the_words_of_the_service(kind: Kind) -> None:
    """Whole values are compared, except the path and the violations, which belong to the example."""
    found = [example for _, example in examples() if example["code"] == kind.code]
    assert bool(found) == (kind.code not in OUTSIDE_OPERATIONS)
    for example in found:
        assert {name: value for name, value in example.items() if name not in ("instance", "errors")} == {
            "type": f"{PAGE}#{kind.code}",
            "title": kind.title,
            "status": kind.status,
            "detail": kind.detail,
            "code": kind.code,
        }


def test_examples_stand_at_the_statuses_they_name() -> None:
    documented: dict[str, set[str]] = {}
    for _, _, operation in operations(DOCUMENT):
        for status, response in operation["responses"].items():
            documented.setdefault(response["$ref"].rpartition("/")[2], set()).add(status)
    for name, example in examples():
        refusals = SCHEMAS["RefusalProblem"]["properties"]["status"]["enum"]
        assert documented[name] == ({"default"} if name == "RequestRefused" else {str(example["status"])})
        assert name != "RequestRefused" or example["status"] in refusals


def test_the_default_response_shows_all_of_its_problems() -> None:
    shown = [(example["status"], example["code"]) for name, example in examples() if name == "RequestRefused"]
    members = SCHEMAS["RefusalProblem"]["properties"]
    assert [status for status, _ in shown] == members["status"]["enum"]
    assert [code for _, code in shown] == members["code"]["enum"]
    assert {(kind.status, kind.code) for kind in KINDS} >= set(shown)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.retry_after is not None], ids=lambda kind: kind.code)
def test_a_problem_to_retry_is_documented_with_retry_after(kind: Kind) -> None:
    """No other problem has the header field."""
    for name, example in examples():
        has_header = "Retry-After" in RESPONSES[name].get("headers", {})
        assert example["code"] != kind.code or has_header
    assert {example["code"] for name, example in examples() if "Retry-After" in RESPONSES[name].get("headers", {})} == {
        kind.code for kind in KINDS if kind.retry_after is not None
    }


def test_every_success_and_error_is_a_named_component() -> None:
    for _, _, operation in operations(DOCUMENT):
        for response in operation["responses"].values():
            assert list(response) == ["$ref"]
            assert resolved(DOCUMENT, response)["description"]


def test_errors_have_the_lengths_of_the_document() -> None:
    """One of each, as long as a client could make it, still satisfies the schema."""
    members = Problem(
        VALIDATION_FAILED, "a" * 1024, violations=[Violation("pointer", "/" + "p" * 5000, "d" * 5000)]
    ).as_json("/" + "%C3%A4" * 500)
    assert len(members["instance"]) == SCHEMAS["ProblemInstance"]["maxLength"] - 1
    (violation,) = members["errors"]
    assert len(violation["pointer"]) == SCHEMAS["BodyViolation"]["properties"]["pointer"]["maxLength"]
    assert len(violation["detail"]) == SCHEMAS["ProblemDetail"]["maxLength"]
    most = SCHEMAS["ValidationProblem"]["properties"]["errors"]["maxItems"]
    violations = [Violation("line", number, "is required") for number in range(2 * most)]
    assert len(validation_failed(violations).as_json("/")["errors"]) == most
