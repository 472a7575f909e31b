"""The OpenAPI document: loading, overlays and lookups."""

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
"""The media type of JSON bodies other than errors."""

JSON_TYPES: Final = frozenset((JSON, "application/merge-patch+json"))
"""The media types of request bodies that are one JSON text."""

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
"""The members of a Path Item that are operations (OpenAPI 3.0.3, section 4.7.9)."""


class ContractError(Exception):
    """The service cannot enforce the document, so it does not start."""


def load_document(overlays: Iterable[str] = (), *, root_path: str = "", host: str | None = None) -> dict[str, Any]:
    """Return the authored document with OpenAPI Overlays 1.x applied, and with the address of the service.

    Raises `ContractError` for an overlay that cannot be read.
    """
    document = copy.deepcopy(_authored())
    for path in overlays:
        _apply_overlay(document, path)
    if host is not None or root_path:
        document["servers"][0]["url"] = f"https://{host}{root_path}" if host else root_path
        document["externalDocs"]["url"] = root_path + document["externalDocs"]["url"]
    return document


@functools.cache
def _authored() -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(authored_yaml(), Loader=_LOADER)  # nosec B506  # noqa: S506  it is the safe one
    return document


def authored_yaml() -> bytes:
    """Return the authored file."""
    return files("openapi").joinpath("openapi.yaml").read_bytes()


def to_yaml(document: Mapping[str, Any]) -> bytes:
    """Return the document as YAML: the authored bytes if it is unchanged."""
    if document == _authored():
        return authored_yaml()
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True).encode()


# libyaml's loader is ten times as fast, but not every build of PyYAML has it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _apply_overlay(document: dict[str, Any], path: str) -> None:
    from oas_patch.overlay import apply_overlay  # noqa: PLC0415  takes half a second to import

    try:
        overlay = yaml.safe_load(Path(path).read_bytes())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ContractError(f"the overlay {path} cannot be read: {error}") from error
    if not isinstance(overlay, dict) or not str(overlay.get("overlay")).startswith("1."):
        raise ContractError(f"{path} is not an OpenAPI Overlay 1.x")
    before = copy.deepcopy(document)
    try:
        apply_overlay(document, overlay)
    except Exception as error:  # the library does not document its exceptions
        raise ContractError(f"the overlay {path} cannot be applied: {error}") from error
    if document == before:
        # The specification allows it, but the author of an overlay expects a change.
        _log.warning("contract.overlay_without_effect", path=path)


def operations(document: Mapping[str, Any]) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
    """Yield path template, method in lower case and operation, in the order of the document."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def operations_with(document: Mapping[str, Any], extension: str, value: str) -> frozenset[str]:
    """Return the ids of the operations with this value of an extension. Raises `ContractError` for any other value."""
    found = {item["operationId"]: item[extension] for _, _, item in operations(document) if extension in item}
    for operation_id, given in found.items():
        if given != value:
            raise ContractError(f"{extension} of {operation_id} must be {value}")
    return frozenset(found)


def resolved(document: Mapping[str, Any], item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the target of a Reference Object, and any other object unchanged (OpenAPI 3.0.3, section 4.7.23)."""
    if "$ref" not in item:
        return item
    for step in item["$ref"].split("/")[1:]:
        document = document[step]
    return document


def record_array(content: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema of the array that each media type of a content has in its own form; None for JSON only.

    Raises `ContractError` unless JSON has the array, and the other media types, which no schema describes, are files.
    """
    files_ = [media["schema"] for media_type, media in content.items() if media_type != JSON]
    if not files_:
        return None
    array: Mapping[str, Any] = content.get(JSON, {}).get("schema", {})
    if array.get("type") != "array" or any((file.get("type"), file.get("format")) != _FILE for file in files_):
        raise ContractError("media types other than JSON must be binary, beside an array in JSON")
    return array


_FILE: Final = ("string", "binary")
"""Type and format of a file (OpenAPI 3.0.3, section 4.7.14.2)."""


def larger_bodies(document: Mapping[str, Any]) -> list[tuple[re.Pattern[bytes], int]]:
    """Return the paths whose request bodies have an `x-max-bytes`, and its value."""
    bodies = (
        (path, resolved(document, operation.get("requestBody", {}))) for path, _, operation in operations(document)
    )
    return [(compile_path(path), body["x-max-bytes"]) for path, body in bodies if "x-max-bytes" in body]


def compile_path(template: str) -> re.Pattern[bytes]:
    """Compile a path template for percent-encoded paths. A parameter matches one segment that is not empty."""
    pattern = "".join(
        f"(?P<{part[1:-1]}>[^/]+)" if part.startswith("{") else re.escape(part)
        for part in re.split(r"(\{[^}]*\})", template)
    )
    return re.compile(pattern.encode())
