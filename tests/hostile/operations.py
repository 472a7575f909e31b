"""All operations of the contract, so that every new one is tested like the others."""

import functools
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import quote, urlencode

import jsonschema_rs

from server.contract.document import operations
from server.contract.schemas import to_json_schema
from tests.support.conformance import described_responses
from tests.support.document import DOCUMENT, resolved
from tests.support.raw_http import RawAnswer, RawConnection, request
from tests.support.service import Service, token

JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
ANY_ID = "01a1f83c-da9b-7d52-9c0e-3f6a1b8d2e47"

Schema = Mapping[str, Any]
Fields = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Operation:
    """An operation of the contract, its references followed."""

    name: str
    method: str
    template: str
    parameters: list[dict[str, Any]] = field(repr=False)
    bodies: Mapping[str, Schema] = field(repr=False)
    """Media type to schema; for a body of lines, the schema of one line."""
    statuses: frozenset[int] = field(repr=False)
    is_secured: bool

    def target(self, *, user_id: str, task_id: str = ANY_ID, **query: str) -> str:
        path = self.template.format(user_id=quote(user_id, safe=""), task_id=quote(task_id, safe=""))
        given = {**self.required_query, **query}
        return f"{path}?{urlencode(given, quote_via=quote)}" if given else path

    @property
    def required_query(self) -> dict[str, str]:
        return {each["name"]: example(each["schema"]) for each in self.parameters if needs(each, "query")}

    @property
    def names(self) -> set[str]:
        """The names of the parameters."""
        return {each["name"] for each in self.parameters}

    @property
    def strings(self) -> list[str]:
        """The members of the body that are text."""
        return [name for name, schema in self._members.items() if schema.get("type") == "string"]

    @property
    def a_member(self) -> str:
        return next(iter(self._members))

    @property
    def _members(self) -> dict[str, Schema]:
        members: dict[str, Schema] = next(iter(self.bodies.values()))["properties"]
        return {name: schema for name, schema in members.items() if not schema.get("readOnly")}

    def limit(self, member: str) -> int:
        limit: int = self._members[member]["maxLength"]
        return limit

    def valid(self, **members: Any) -> dict[str, Any]:
        """A body, with these members."""
        schema = next(iter(self.bodies.values()))
        names = schema.get("required") or [self.a_member]
        return {name: example(self._members[name]) for name in names} | members

    def content(self, media_type: str) -> str:
        """The content of a request with a valid body, in any media type but CSV."""
        body = self.valid()
        return json.dumps([body] if media_type.lower().startswith(JSON) and NDJSON in self.bodies else body) + "\n"

    def takes(self, member: str, value: Any) -> bool:
        """Return True if the contract lets the member of the body have this value."""
        return _validator(json.dumps(to_json_schema(self._members[member]))).is_valid(value)


def needs(parameter: Mapping[str, Any], place: str) -> bool:
    required: bool = parameter["in"] == place and parameter["required"]
    return required


@functools.cache
def _validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(json.loads(schema), validate_formats=True)


def example(schema: Schema) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    return {"string": "a", "boolean": True, "integer": 1}[schema["type"]]


def _body_schema(content: Mapping[str, Any]) -> Schema:
    """The schema of a body, or of each record in it."""
    schema: Schema = content[JSON]["schema"] if content else {}
    items: Schema = schema.get("items", schema)
    return items


def _all() -> Iterator[Operation]:
    for path, method, item in operations(DOCUMENT):
        operation = resolved(item)
        content = operation.get("requestBody", {}).get("content", {})
        yield Operation(
            operation["operationId"],
            method.upper(),
            path,
            resolved(DOCUMENT["paths"][path].get("parameters", [])) + operation.get("parameters", []),
            dict.fromkeys(content, _body_schema(content)),
            frozenset(described_responses(DOCUMENT, item)),
            operation.get("security") != [],
        )


OPERATIONS = list(_all())
SECURED = [operation for operation in OPERATIONS if operation.is_secured]
WITH_JSON = [operation for operation in OPERATIONS if operation.bodies.keys() == {JSON}]
WITH_LINES = [operation for operation in OPERATIONS if NDJSON in operation.bodies]


class Caller:
    """A user with one connection, which is opened again when the service has closed it."""

    def __init__(self, service: Service, subject: str) -> None:
        self.service = service
        self.subject = subject
        self._raw = RawConnection(service)
        self._token = ("Authorization", f"Bearer {token(subject)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._raw.__exit__()

    def send(self, method: str, target: str, fields: Fields = (), body: bytes | None = None) -> RawAnswer:
        """Send the request unchanged, with a token."""
        length = [] if body is None else [("Content-Length", str(len(body)))]
        self._raw.send(request(method, target, [self._token, *fields, *length]) + (body or b""))
        answer = self._raw.read(head=method == "HEAD")
        if answer.headers.get("connection") == "close":
            self._raw.__exit__()
            self._raw = RawConnection(self.service)
        return answer

    def ask(
        self, operation: Operation, body: bytes, content_type: str | None = None, *, task_id: str = ANY_ID
    ) -> RawAnswer:
        """Send an operation with this body."""
        media_type = next(iter(operation.bodies)) if content_type is None else content_type
        target = operation.target(user_id=self.subject, task_id=task_id)
        return self.send(operation.method, target, [("Content-Type", media_type)], body)

    def create(self, title: str = "a") -> dict[str, Any]:
        answer = self.send("POST", "/api/tasks", [("Content-Type", JSON)], json.dumps({"title": title}).encode())
        assert answer.status_code == 201
        task: dict[str, Any] = json.loads(answer.content)
        return task


def numbered(names: Iterable[str]) -> Iterator[str]:
    """The names, made distinct where they are the same."""
    seen: dict[str, itertools.count[int]] = {}
    for name in names:
        number = next(seen.setdefault(name, itertools.count(1)))
        yield name if number == 1 else f"{name} ({number})"
