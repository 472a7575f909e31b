"""The rule of `make lint-contract` that compares the two addresses of each resource."""

import copy
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.document import DOCUMENT
from tests.support.service import ROOT

LINT = ROOT / "openapi" / "lint"
SPECTRAL = LINT / "node_modules" / ".bin" / "spectral"
Lint = Callable[[dict[str, Any]], list[str]]


@pytest.fixture
def lint(tmp_path: Path) -> Lint:
    """Return the messages of the rule for a document. In CI, Node.js and the linter must be installed."""
    if not SPECTRAL.exists() or shutil.which("node") is None:
        if os.environ.get("CI"):
            pytest.fail("run make lint-contract first")
        pytest.skip("run make lint-contract first")

    def run(document: dict[str, Any]) -> list[str]:
        path = tmp_path / "openapi.yaml"
        path.write_text(yaml.safe_dump(document))
        command = [str(SPECTRAL), "lint", "--quiet", "--format", "json", "--ruleset", ".spectral.yaml", str(path)]
        found = subprocess.run(  # noqa: S603  a fixed command
            command, cwd=LINT, capture_output=True, text=True, timeout=120, check=False
        )
        return [result["message"] for result in json.loads(found.stdout) if result["code"] == "path-families"]

    return run


@pytest.mark.exhaustive(0)
@pytest.mark.slow
def test_differences_of_a_pair_are_reported(lint: Lint) -> None:
    """One of each kind: a parameter, a response, a body, an operation, a path, at the tasks and at the profile."""
    document = copy.deepcopy(DOCUMENT)
    paths = document["paths"]
    paths["/api/tasks"]["get"]["parameters"].pop()
    del paths["/api/tasks/{task_id}/toggle"]["patch"]["responses"]["412"]
    paths["/api/tasks"]["post"]["requestBody"] = {"$ref": "#/components/requestBodies/TaskChanges"}
    paths["/api/me"]["get"]["deprecated"] = True
    del paths["/api/{user_id}"]["delete"]
    del paths["/api/{user_id}/tasks/export"]
    paths["/api/{user_id}/tasks/{task_id}"]["parameters"].append({"$ref": "#/components/parameters/Permanent"})
    assert sorted(lint(document)) == [
        "/api/tasks/export has no counterpart with a user_id.",
        "DELETE /api/{user_id} and /api/me: one of them is missing.",
        "DELETE /api/{user_id}/tasks/{task_id} and /api/tasks/{task_id} differ in parameters.",
        "GET /api/{user_id} and /api/me differ in deprecated.",
        "GET /api/{user_id}/tasks and /api/tasks differ in parameters.",
        "GET /api/{user_id}/tasks/{task_id} and /api/tasks/{task_id} differ in parameters.",
        "PATCH /api/{user_id}/tasks/{task_id} and /api/tasks/{task_id} differ in parameters.",
        "PATCH /api/{user_id}/tasks/{task_id}/toggle and /api/tasks/{task_id}/toggle differ in responses.",
        "POST /api/{user_id}/tasks and /api/tasks differ in requestBody.",
        "PUT /api/{user_id}/tasks/{task_id} and /api/tasks/{task_id} differ in parameters.",
    ]
