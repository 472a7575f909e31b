"""One request for every kind of answer, and the methods of every path."""

import uuid

import pytest

from server.contract.document import load_document

DOCUMENT = load_document()
PAGES = ("/", "/docs", "/docs/swagger-ui.css", "/openapi.json", "/openapi.yaml", "/problems", "/metrics")

ORIGIN = "http://localhost:3000"


# Methods and paths


def filled(template: str, subject: str) -> str:
    return template.format(user_id=subject, task_id=uuid.uuid4())


def allowed(path: str) -> set[str]:
    methods = (
        {"GET"} if path in PAGES else {method.upper() for method in DOCUMENT["paths"][path] if method != "parameters"}
    )
    return methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())


# Request ids

KINDS_OF_ANSWERS = {
    "success": ("GET", "/health", {}),
    "page": ("GET", "/docs", {}),
    "options": ("OPTIONS", "/api/tasks", {}),
    "preflight": ("OPTIONS", "/api/tasks", {"origin": ORIGIN, "access-control-request-method": "POST"}),
    "401": ("GET", "/api/tasks", {}),
    "404": ("GET", "/nowhere", {}),
    "404 of a preflight": ("OPTIONS", "/nowhere", {"origin": ORIGIN, "access-control-request-method": "POST"}),
    "405": ("DELETE", "/health", {}),
    "406": ("GET", "/health", {"accept": "text/html"}),
    "413": ("POST", "/api/tasks", {"content-length": "1000000"}),
    "414": ("GET", "/" + "a" * 9_000, {}),
    "422": ("GET", "/health?a=b", {}),
    "431": ("GET", "/health", {"x-long": "a" * 40_000}),
}

answers_of_every_kind = pytest.mark.parametrize(
    ("method", "target", "headers"), KINDS_OF_ANSWERS.values(), ids=KINDS_OF_ANSWERS.keys()
)
