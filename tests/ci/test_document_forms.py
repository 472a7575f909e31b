"""The other forms of the document in a release: OpenAPI 3.1, and a collection of requests for Postman."""

import copy
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docs.release import other_forms
from server.contract.schemas import to_json_schema
from tests.support.document import DOCUMENT, OPERATIONS, places
from tests.support.service import ROOT

REDOCLY = ROOT / "openapi/lint/node_modules/.bin/redocly"


@pytest.fixture(scope="module")
def forms(converters: None) -> dict[str, Any]:  # noqa: ARG001  they must be there
    return other_forms(DOCUMENT)


@pytest.fixture(scope="module")
def twin(forms: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = forms["openapi31"]
    return made


def without_annotations(schema: Any) -> Any:
    """Return a schema of the twin as `to_json_schema` writes one: without examples, and with `format: binary`."""
    if isinstance(schema, list):
        return [without_annotations(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: without_annotations(value) for name, value in schema.items() if name not in ("examples", "default")}
    if kept.pop("contentMediaType", None):
        kept["format"] = "binary"
    return kept


def test_the_twin_has_the_same_schemas_and_operations(twin: dict[str, Any]) -> None:
    """It says the same in the words of 3.1. The service enforces what `to_json_schema` makes of the document."""
    assert twin["openapi"].startswith("3.1.")
    assert {path: set(item) for path, item in twin["paths"].items()} == {
        path: set(item) for path, item in DOCUMENT["paths"].items()
    }
    schemas = DOCUMENT["components"]["schemas"]
    assert {name: without_annotations(schema) for name, schema in twin["components"]["schemas"].items()} == {
        name: to_json_schema(schema) for name, schema in schemas.items()
    }
    words = {word for _, part in places(twin["components"]["schemas"]) for word in part}
    assert words.isdisjoint({"nullable", "example"})


def test_the_twin_is_valid_openapi_3_1(twin: dict[str, Any], tmp_path: Path) -> None:
    """Redocly finds nothing but what it also finds, and docs/decisions.md explains, in the document itself."""
    if not REDOCLY.exists():
        reason = "Redocly is not installed: run `make lint-contract`."
        pytest.fail(reason) if "CI" in os.environ else pytest.skip(reason)
    assert redocly(twin, tmp_path).returncode == 0
    wrong = copy.deepcopy(twin)
    wrong["components"]["schemas"]["Task"]["type"] = "thing"
    assert redocly(wrong, tmp_path).returncode == 1


def redocly(document: dict[str, Any], directory: Path) -> subprocess.CompletedProcess[bytes]:
    file = directory / "openapi.json"
    file.write_text(json.dumps(document))
    options = ("--config", str(ROOT / "openapi/lint/redocly.yaml"), "--skip-rule", "no-ambiguous-paths")
    environment = os.environ | {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    return subprocess.run([REDOCLY, "lint", *options, str(file)], env=environment, capture_output=True, check=False)  # noqa: S603


def test_the_same_document_gives_the_same_collection(forms: dict[str, Any]) -> None:
    assert other_forms(DOCUMENT) == forms


def test_the_collection_has_every_operation(forms: dict[str, Any]) -> None:
    made = list(requests(forms["postman"]))
    described = {f"{operation['summary']} {path}" for path, operation in OPERATIONS.values()}
    assert {f"{name} /{_template(request)}" for name, request in made} == described
    assert len(made) == len(OPERATIONS)
    variables = {variable["key"] for variable in forms["postman"]["variable"]}
    assert variables == {"baseUrl", "bearerToken", "user_id", "task_id"}


def test_the_collection_has_whole_addresses(forms: dict[str, Any]) -> None:
    """Bruno puts `http://` before an address that it has to put together from its parts."""
    for name, request in requests(forms["postman"]):
        address, _, query = request["url"]["raw"].partition("?")
        assert address == f"{{{{baseUrl}}}}/{'/'.join(request['url']['path'])}", name
        sent = [f"{one['key']}={one['value']}" for one in request["url"]["query"] if not one.get("disabled")]
        assert query == "&".join(sent), name


def requests(folder: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every request of a collection with its name."""
    for item in folder["item"]:
        if "item" in item:
            yield from requests(item)
        else:
            yield item["name"], item["request"]


def _template(request: dict[str, Any]) -> str:
    steps = [f"{{{step[1:]}}}" if step.startswith(":") else step for step in request["url"]["path"]]
    return "/".join(steps)
