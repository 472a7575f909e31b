"""Methods and header fields that the document names, for what has to list them, such as CORS."""

from collections.abc import Iterator, Mapping
from typing import Any

from server.contract.document import operations, resolved


def methods(document: Mapping[str, Any]) -> list[str]:
    """The methods that the service answers, in upper case: HEAD stands beside GET, and OPTIONS beside all."""
    named = {method.upper() for _, method, _ in operations(document)}
    return sorted({*named, "OPTIONS", *(("HEAD",) if "GET" in named else ())})


def request_fields(document: Mapping[str, Any]) -> list[str]:
    """The header fields that an operation reads: its parameters, and those of a token and a body."""
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
    """The header fields of the responses."""
    responses = (
        resolved(document, response)
        for _, _, operation in operations(document)
        for response in operation["responses"].values()
    )
    return sorted({name for response in responses for name in response.get("headers", ())})
