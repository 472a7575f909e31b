"""Methods and header fields of the document, for components that list them, such as CORS."""

from collections.abc import Iterator, Mapping
from typing import Any

from server.contract.document import operations, resolved


def methods(document: Mapping[str, Any]) -> list[str]:
    """Return the supported methods in upper case, including OPTIONS, and HEAD if there is a GET."""
    named = {method.upper() for _, method, _ in operations(document)}
    return sorted({*named, "OPTIONS", *(("HEAD",) if "GET" in named else ())})


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
