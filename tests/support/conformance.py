"""The check that the contract describes an answer. It runs on every answer to a client of the tests."""

import csv
import functools
import io
import json
import re
from collections.abc import Mapping
from typing import Any

import httpx2
import jsonschema_rs

from server.contract.document import JSON, compile_path, operations, resolved
from server.contract.schemas import to_json_schema
from tests.support.problems import problem_schema

Described = Mapping[str, Any]
PROBLEM = "application/problem+json"
FILES = ("application/x-ndjson", "text/csv")


def _value(media_type: str, answer: httpx2.Response) -> Any:
    """Return the value that the schema of JSON describes: for lines, the array of them."""
    match media_type:
        case "application/x-ndjson":
            return [json.loads(line) for line in answer.content.split(b"\n") if line]
        case "text/csv":
            return [_typed(record) for record in csv.DictReader(io.StringIO(answer.text, newline=""), strict=True)]
        case _:
            return answer.json()


def _typed(record: dict[str, str]) -> dict[str, Any]:
    """A record of an export; its fields have no types."""
    return {**record, "description": record["description"] or None, "completed": json.loads(record["completed"])}


def described_responses(document: Described, operation: Described) -> dict[int, Described]:
    """The responses of an operation by status. That of `default` stands at the statuses which its schema lists."""
    found: dict[int, Described] = {}
    for status, reference in operation["responses"].items():
        response = resolved(document, reference)
        if status == "default":
            schema = resolved(document, response["content"][PROBLEM]["schema"])
            found |= {code: response for code in schema["properties"]["status"]["enum"] if code not in found}
        else:
            found[int(status)] = response
    return found


class Conformance:
    """Checks answers against the document that the service at `url` serves."""

    def __init__(self, url: str) -> None:
        self.url = url

    @functools.cached_property
    def document(self) -> Described:
        """The served document."""
        document: Described = httpx2.get(f"{self.url}/openapi.json", trust_env=False).raise_for_status().json()
        return document

    @functools.cached_property
    def _resources(self) -> list[tuple[re.Pattern[bytes], dict[str, Described]]]:
        """Return the operations at each path; paths without a parameter first."""
        found: dict[str, dict[str, Described]] = {}
        for path, method, operation in operations(self.document):
            found.setdefault(path, {})[method.upper()] = operation
        return [(compile_path(path), found[path]) for path in sorted(found, key=lambda path: "{" in path)]

    def check(self, answer: httpx2.Response) -> None:
        """Assert that the document describes the answer: status, media type, headers and body, for errors too."""
        answer.read()
        target = answer.request.extensions.get("target", answer.request.url.raw_path).partition(b"?")[0]
        resource = next((methods for pattern, methods in self._resources if pattern.fullmatch(target)), {})
        operation = resource.get("GET" if answer.request.method == "HEAD" else answer.request.method)
        if operation is not None:
            self._check_described(answer, operation)
        elif answer.is_error:
            self._check_problem(answer)

    def _check_described(self, answer: httpx2.Response, operation: Described) -> None:
        label = f"{operation['operationId']} -> {answer.status_code}"
        responses = described_responses(self.document, operation)
        assert answer.status_code in responses, f"{label} is not described: {answer.text[:500]}"
        response = responses[answer.status_code]
        for name, header in response.get("headers", {}).items():
            header = resolved(self.document, header)  # noqa: PLW2901  what the reference stands for
            assert name in answer.headers or not header.get("required"), f"{label} lacks {name}"
            if name in answer.headers:
                schema = header["schema"]
                value = answer.headers[name]
                self._validate(int(value) if schema.get("type") == "integer" else value, schema)
        if "content" not in response:
            assert answer.content == b"", label
            return
        media_type = answer.headers["content-type"]
        assert media_type in response["content"], label
        if answer.request.method != "HEAD":
            # A file has the records of the array that stands beside it.
            schema = response["content"][JSON if media_type in FILES else media_type]["schema"]
            self._validate(_value(media_type, answer), schema)

    def _check_problem(self, answer: httpx2.Response) -> None:
        """A request outside the contract, by path or by method, is answered with a problem too."""
        assert answer.headers["content-type"] == PROBLEM
        assert ("allow" in answer.headers) == (answer.status_code == 405)
        if answer.request.method != "HEAD":
            members = answer.json()
            self._validate(members, problem_schema(self.document["components"]["schemas"], members["code"]))

    @functools.cached_property
    def _components(self) -> Described:
        return {"schemas": {n: to_json_schema(s) for n, s in self.document["components"]["schemas"].items()}}

    def _validate(self, value: Any, schema: Described) -> None:
        key = repr(schema)
        if key not in self._compiled:
            whole = {**to_json_schema(schema), "components": self._components}
            self._compiled[key] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        self._compiled[key].validate(value)

    @functools.cached_property
    def _compiled(self) -> dict[str, jsonschema_rs.Draft202012Validator]:
        return {}
