"""The OpenAPI document: loading it, overlays, and looking things up in it."""

import copy
import functools
import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import structlog
import yaml

_log = structlog.get_logger()

JSON: Final = "application/json"
"""The media type of every body that is no error."""

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
"""The members of a Path Item that are operations (OpenAPI 3.0.3, section 4.7.9)."""


class ContractError(Exception):
    """The document, or what serves it, is not what the service can enforce. It refuses to start."""


def load_document(overlays: Iterable[str] = (), *, root_path: str = "") -> dict[str, Any]:
    """The authored document, adapted by the given files of OpenAPI Overlay 1.0 and to where the service is shown.

    Raises `ContractError` for an overlay that cannot be read.
    """
    document = copy.deepcopy(_authored())
    for path in overlays:
        _apply_overlay(document, path)
    if root_path:
        document["servers"][0]["url"] = root_path
        document["externalDocs"]["url"] = root_path + document["externalDocs"]["url"]
    return document


@functools.cache
def _authored() -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(authored_yaml(), Loader=_LOADER)  # noqa: S506  it is the safe one
    return document


def authored_yaml() -> bytes:
    """The document as it was written."""
    return files("openapi").joinpath("openapi.yaml").read_bytes()


def to_yaml(document: Mapping[str, Any]) -> bytes:
    """The document as YAML: byte for byte as it was written, if nothing has adapted it."""
    if document == _authored():
        return authored_yaml()
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True).encode()


# libyaml's loader is ten times as fast, but not every build of PyYAML has it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _apply_overlay(document: dict[str, Any], path: str) -> None:
    from oas_patch.overlay import apply_overlay  # noqa: PLC0415  costs half a second, which few need

    try:
        overlay = yaml.safe_load(Path(path).read_bytes())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ContractError(f"the overlay {path} cannot be read: {error}") from error
    if not isinstance(overlay, dict) or not str(overlay.get("overlay")).startswith("1."):
        raise ContractError(f"{path} is not an OpenAPI Overlay 1.x")
    before = copy.deepcopy(document)
    try:
        apply_overlay(document, overlay)
    except Exception as error:  # the library names none of those that a broken action can cause
        raise ContractError(f"the overlay {path} cannot be applied: {error}") from error
    if document == before:
        # The specification allows it, but whoever wrote the overlay meant it to do something.
        _log.warning("contract.overlay_without_effect", path=path)


def operations(document: Mapping[str, Any]) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
    """Every operation with its path template and its method in lower case, in the order of the document."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def operations_with(document: Mapping[str, Any], extension: str, value: str) -> frozenset[str]:
    """The ids of the operations that have this value of an extension.

    Raises `ContractError` for another value, which nothing would enforce.
    """
    found = {item["operationId"]: item[extension] for _, _, item in operations(document) if extension in item}
    for operation_id, given in found.items():
        if given != value:
            raise ContractError(f"{extension} of {operation_id} must be {value}")
    return frozenset(found)


def resolved(document: Mapping[str, Any], item: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a Reference Object of the document stands for; anything else as it is (OpenAPI 3.0.3, section 4.7.23)."""
    if "$ref" not in item:
        return item
    for step in item["$ref"].split("/")[1:]:
        document = document[step]
    return document


def larger_bodies(document: Mapping[str, Any]) -> list[tuple[re.Pattern[bytes], int]]:
    """The paths whose bodies may be longer than others, by the document's `x-max-bytes`, and how long in bytes."""
    bodies = (
        (path, resolved(document, operation.get("requestBody", {}))) for path, _, operation in operations(document)
    )
    return [(compile_path(path), body["x-max-bytes"]) for path, body in bodies if "x-max-bytes" in body]


def compile_path(template: str) -> re.Pattern[bytes]:
    """A path template as an expression for the path as it was sent. A parameter is one segment, and not empty."""
    pattern = "".join(
        f"(?P<{part[1:-1]}>[^/]+)" if part.startswith("{") else re.escape(part)
        for part in re.split(r"(\{[^}]*\})", template)
    )
    return re.compile(pattern.encode())
