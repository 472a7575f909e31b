"""The Postman collection of a release: newman sends every request of it to a running service."""

import json
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from docs.release import CONVERT, other_forms
from tests.clients import tools
from tests.support.document import DOCUMENT, OPERATIONS
from tests.support.service import Service, token

ON_ONE_TASK = ("get{}Task", "update{}Task", "patch{}Task", "delete{}Task", "toggle{}Task", "toggle{}TaskCompletion")


def test_every_request_has_a_documented_answer(
    service: Service, new_user: Callable[[str], str], tmp_path: Path
) -> None:
    """The document deletes all completed tasks before it asks for one, so that some answers are 404."""
    if not (CONVERT.parent / "node_modules").exists():
        tools.missing("The converters are not installed: run `make check-generators`.")
    user = new_user("postman")
    (tmp_path / "collection.json").write_text(json.dumps(other_forms(DOCUMENT)["postman"]))
    values = {"baseUrl": service.url, "bearerToken": token(user), "user_id": user}
    options = [option for name, value in values.items() for option in ("--env-var", f"{name}={value}")]
    report = ("--reporters", "json", "--reporter-json-export", "report.json")
    tools.run(tools.npm_program("newman"), "run", "collection.json", *options, *report, directory=tmp_path)
    executions = json.loads((tmp_path / "report.json").read_text())["run"]["executions"]
    ids = {operation["summary"]: operation_id for operation_id, (_, operation) in OPERATIONS.items()}
    statuses = {ids[execution["item"]["name"]]: execution["response"]["code"] for execution in executions}
    gone = {name.format(whose) for name in ON_ONE_TASK for whose in ("", "My")}
    assert {name for name, status in statuses.items() if status == HTTPStatus.NOT_FOUND} == gone
    assert {name for name, status in statuses.items() if status < HTTPStatus.BAD_REQUEST} == OPERATIONS.keys() - gone
