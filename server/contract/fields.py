"""Methods and header fields of the document, for components that list them or limit them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from server.contract.document import ContractError, operations, resolved

_MAX_FIELD_BYTES: Final = "x-max-field-bytes"


def methods(document: Mapping[str, Any]) -> list[str]:
    """Return the supported methods in upper case, including OPTIONS, and HEAD if there is a GET."""
    named = {method.upper() for _, method, _ in operations(document)}
    return sorted({*named, "OPTIONS", *(("HEAD",) if "GET" in named else ())})


@dataclass(frozen=True, slots=True)
class FieldLimits:
    """The maximum number of bytes in the value of a header field."""

    by_name: Mapping[bytes, int]
    """The limits of some fields, by name in lower case."""
    default: int
    """The limit of any other field."""

    @property
    def lowest(self) -> int:
        """No field of at most this size is too long."""
        return min([self.default, *self.by_name.values()])


def field_limits(document: Mapping[str, Any]) -> FieldLimits:
    """Return the limits in `x-max-field-bytes`. Raises `ContractError` unless they are integers with a `default`."""
    limits = document.get(_MAX_FIELD_BYTES)
    if not isinstance(limits, dict) or "default" not in limits:
        raise ContractError(f"{_MAX_FIELD_BYTES} must have a default")
    if not all(type(limit) is int and limit > 0 for limit in limits.values()):
        raise ContractError(f"{_MAX_FIELD_BYTES} must have positive integers")
    by_name = {name.lower().encode(): limit for name, limit in limits.items() if name != "default"}
    return FieldLimits(by_name, limits["default"])


def request_fields(document: Mapping[str, Any]) -> list[str]:
    """Return the header fields that operations read: parameters, and those of a token and of a body."""
    return sorted(set(_request_fields(document)))


def _request_fields(document: Mapping[str, Any]) -> Iterator[str]:
    for path, _, operation in operations(document):
        parameters = [*document["paths"][path].get("parameters", ()), *operation.get("parameters", ())]
        for parameter in (resolved(document, item) for item in parameters):
            if parameter["in"] == "header":
                yield parameter["name"]
        if operation.get("security", document.get("security")):
            yield "Authorization"
        if "requestBody" in operation:
            yield "Content-Type"


def response_fields(document: Mapping[str, Any]) -> list[str]:
    """Return the header fields of all responses."""
    responses = (
        resolved(document, response)
        for _, _, operation in operations(document)
        for response in operation["responses"].values()
    )
    return sorted({name for response in responses for name in response.get("headers", ())})


def refused_fields(document: Mapping[str, Any]) -> frozenset[str]:
    """Return the header parameters that operations without them refuse (`x-refused-elsewhere`).

    Raises `ContractError` for the extension at a parameter that is not a header, or with a value other than true.
    """
    found = set()
    for parameter in document.get("components", {}).get("parameters", {}).values():
        if "x-refused-elsewhere" in parameter:
            if parameter["in"] != "header" or parameter["x-refused-elsewhere"] is not True:
                raise ContractError(f"x-refused-elsewhere of {parameter['name']} must be true, and it must be a header")
            found.add(parameter["name"])
    return frozenset(found)


def accept_patch(document: Mapping[str, Any], operation: Mapping[str, Any]) -> str | None:
    """Return the value of `Accept-Patch` (RFC 5789, section 3.1) for a PATCH operation; None if it takes no body."""
    body = resolved(document, operation.get("requestBody") or {})
    return ", ".join(body["content"]) if body else None
