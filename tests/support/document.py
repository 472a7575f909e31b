"""The OpenAPI document as it is authored, and functions that walk it."""

from collections.abc import Iterator
from typing import Any

import yaml

from server.contract.document import operations
from tests.support.service import ROOT

AUTHORED = ROOT / "openapi" / "openapi.yaml"
LONG_TEXT = ROOT / "openapi" / "overlays" / "long-text.yaml"
DOCUMENT: dict[str, Any] = yaml.safe_load(AUTHORED.read_bytes())
FIELD_BYTES: int = DOCUMENT["x-max-field-bytes"]["default"]
SHORT_FIELD_BYTES: int = DOCUMENT["x-max-field-bytes"]["Accept"]
OPERATIONS = {operation["operationId"]: (path, operation) for path, _, operation in operations(DOCUMENT)}
"""Path and operation object, by operationId."""


def resolved(value: Any) -> Any:
    """Return the value with every reference in it followed."""
    if isinstance(value, list):
        return [resolved(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        target: Any = DOCUMENT
        for step in value["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return resolved(target)
    return {name: resolved(member) for name, member in value.items()}


def parameters(operation_id: str) -> list[dict[str, Any]]:
    """Return the parameters of an operation and of its path item, with references followed."""
    path, operation = OPERATIONS[operation_id]
    found: list[dict[str, Any]] = resolved(
        DOCUMENT["paths"][path].get("parameters", []) + operation.get("parameters", [])
    )
    return found


def places(value: Any, where: str = "#") -> Iterator[tuple[str, Any]]:
    """Yield every object of the document with its JSON pointer."""
    if isinstance(value, list):
        value = dict(enumerate(value))
    elif isinstance(value, dict):
        yield where, value
    if isinstance(value, dict):
        for name, member in value.items():
            yield from places(member, f"{where}/{name}")
