"""Documents that cannot be enforced stop the start; answers that break the document are kept back."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest

from handlers.types import Answer, Context
from server.app import HANDLERS
from server.contract.document import ContractError, load_document
from server.pipeline.resolver import HandlerResolver
from server.problems import KINDS
from tests.contract.overlays import app_with, overlay, update
from tests.support.document import DOCUMENT
from tests.support.raw_http import problem
from tests.support.service import Service, running_service

GET_HEALTH = "$.paths['/health'].get"
SOME_SCHEMA = {"schema": {"type": "string"}}


@pytest.mark.exhaustive(8)
@pytest.mark.parametrize(
    ("actions", "sentence"),
    [
        pytest.param(
            [update(GET_HEALTH, {"operationId": "getWealth"})],
            "the operation getWealth has no handler: handlers/health.py has no get_wealth",
            id="unknown operationId",
        ),
        pytest.param(
            [update(GET_HEALTH, {"operationId": "getReadiness"})],
            "two operations have the operationId getReadiness",
            id="operationId used twice",
        ),
        pytest.param(
            [{"target": f"{GET_HEALTH}.operationId", "remove": True}],
            "GET /health has no operationId",
            id="no operationId",
        ),
        pytest.param(
            [{"target": "$.paths['/health']", "remove": True}],
            "the handler health.get_health belongs to no operation of the contract",
            id="handler without an operation",
        ),
        pytest.param(
            [update(GET_HEALTH, {"parameters": [{"name": "verbose", "in": "query", **SOME_SCHEMA}]})],
            "the operation getHealth and its handler health.get_health differ in their parameters: verbose",
            id="parameter that the handler does not take",
        ),
        pytest.param(
            [update("$.components.parameters.PathTaskId", {"name": "id"})],
            "the operation getMyTask and its handler tasks.get_task differ in their parameters: id, task_id",
            id="parameter by another name",
        ),
        pytest.param(
            [update(GET_HEALTH, {"requestBody": {"content": {"application/json": SOME_SCHEMA}}})],
            "the operation getHealth and its handler health.get_health differ in their parameters: body",
            id="body that the handler does not take",
        ),
        pytest.param([update(GET_HEALTH, {"tags": ["Users"]})], "getHealth must have exactly one tag", id="two tags"),
        pytest.param(
            [{"target": f"{GET_HEALTH}.tags", "remove": True}], "getHealth must have exactly one tag", id="no tag"
        ),
        pytest.param(
            [{"target": f"{GET_HEALTH}.tags", "remove": True}, update(GET_HEALTH, {"tags": ["Wealth"]})],
            "the tag Wealth of the operation getHealth has no module",
            id="unknown tag",
        ),
        pytest.param(
            [update(GET_HEALTH, {"x-rate-limit": "none"})],
            "x-rate-limit of getHealth must be probes",
            id="unknown rate limit",
        ),
        pytest.param(
            [{"target": "$['x-max-field-bytes'].default", "remove": True}],
            "x-max-field-bytes must have a default",
            id="no limit of header fields",
        ),
        pytest.param(
            [update("$['x-max-field-bytes']", {"Accept": 0})],
            "x-max-field-bytes must have positive integers",
            id="limit of a header field that is none",
        ),
        pytest.param(
            [update("$.components.schemas.TaskFormat", {"x-media-types": {"csv": "text/plain"}})],
            "exportMyTasks: x-media-types must name the media types of the response",
            id="media type that the response does not have",
        ),
        pytest.param(
            [update("$.components.schemas.TaskFormat", {"enum": ["tsv"]})],
            "exportMyTasks: x-media-types must name the values of enum",
            id="format without a media type",
        ),
        pytest.param(
            [
                {"target": "$.components.responses.TaskExport.content['text/csv'].schema", "remove": True},
                update("$.components.responses.TaskExport.content['text/csv']", SOME_SCHEMA),
            ],
            "exportMyTasks: media types other than JSON must be binary, beside an array in JSON",
            id="format with its own schema",
        ),
        pytest.param(
            [{"target": "$.components.responses.TaskExport.content['application/json']", "remove": True}],
            "exportMyTasks: media types other than JSON must be binary, beside an array in JSON",
            id="response with files only",
        ),
        pytest.param(
            [update("$.components.requestBodies.NewTask.content", {"text/csv": SOME_SCHEMA})],
            "createMyTask: media types other than JSON must be binary, beside an array in JSON",
            id="body with an object and a file",
        ),
        pytest.param(
            [update(GET_HEALTH, {"security": [{}]})],
            "getHealth asks for a security that is not enforced",
            id="optional security",
        ),
        pytest.param(
            [
                update("$.components.securitySchemes", {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}),
                update(GET_HEALTH, {"security": [{"key": []}]}),
            ],
            "getHealth asks for a security that is not enforced",
            id="unknown security",
        ),
        pytest.param(
            [update("$.paths['/api/{user_id}'].get", {"security": []})],
            "getUser is public, so it has no token to compare ['user_id'] with",
            id="no security",
        ),
        pytest.param(
            [update("$.components.parameters.PathUserId", {"x-token-claim": "email"})],
            "x-token-claim of user_id must be sub",
            id="parameter compared with another claim",
        ),
        pytest.param(
            [update("$.components.schemas.SameUserId", {"x-token-claim": "email"})],
            "createMyTask: x-token-claim of user_id must be sub",
            id="member compared with another claim",
        ),
        pytest.param(
            [update("$.components.schemas.SameTaskId", {"x-path-parameter": "id"})],
            "updateMyTask: x-path-parameter names id, which the path does not have",
            id="member compared with no parameter",
        ),
        pytest.param(
            [update("$.components.schemas.SameTaskId", {"readOnly": False})],
            "updateMyTask: the member id must be readOnly to be compared",
            id="compared member that is not readOnly",
        ),
        pytest.param(
            [update("$.paths['/api/tasks'].post", {"security": []})],
            "createMyTask: the operation is public, so it has no token to compare user_id with",
            id="member compared without a token",
        ),
        pytest.param(
            [update("$.components.parameters.Limit", {"in": "cookie"})],
            "listMyTasks: the parameter limit (integer in cookie) is of a kind that is not enforced",
            id="parameter in a cookie",
        ),
        pytest.param(
            [update("$.components.parameters.Limit.schema", {"type": "number"})],
            "listMyTasks: the parameter limit (number in query) is of a kind that is not enforced",
            id="parameter of another type",
        ),
        pytest.param(
            [update("$.components.requestBodies.NewTask", {"required": False})],
            "createMyTask: the request body is not enforced: it must be required, and JSON, NDJSON or CSV",
            id="optional body",
        ),
        pytest.param(
            [update("$.components.requestBodies.NewTask.content", {"text/plain": SOME_SCHEMA})],
            "createMyTask: the request body is not enforced: it must be required, and JSON, NDJSON or CSV",
            id="body of another type",
        ),
        pytest.param(
            [update("$.components.schemas.TaskCreate.properties.completed", {"default": False})],
            "createMyTask: a default in a request body is not enforced: completed",
            id="default in a body",
        ),
        pytest.param(
            [update("$.components.responses.ServiceAlive.content", {"text/plain": SOME_SCHEMA})],
            "getHealth: a success is neither JSON, NDJSON nor CSV",
            id="success of another type",
        ),
        pytest.param(
            [update(GET_HEALTH, {"responses": 5})],
            "the contract is not OpenAPI 3.0: 5 is not of type 'object' (at $.paths['/health'].get.responses)",
            id="no OpenAPI",
        ),
        pytest.param(
            [update("$.components.schemas.TaskTitle", {"pattern": "("})],
            'createMyTask: a schema in the contract is invalid: "(" is not a "regex"',
            id="pattern that is none",
        ),
    ],
)
def test_a_document_that_cannot_be_enforced_stops_the_start(
    tmp_path: Path, actions: list[dict[str, Any]], sentence: str
) -> None:
    with pytest.raises(ContractError) as refusal:
        app_with(tmp_path, *actions)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param(None, "the overlay {} cannot be read: ", id="missing"),
        pytest.param("overlay: [", "the overlay {} cannot be read: ", id="no YAML"),
        pytest.param("hello", "{} is not an OpenAPI Overlay 1.x", id="words"),
        pytest.param("", "{} is not an OpenAPI Overlay 1.x", id="empty"),
        pytest.param("openapi: 3.0.3", "{} is not an OpenAPI Overlay 1.x", id="no overlay"),
        pytest.param("overlay: 2.0.0\nactions: []", "{} is not an OpenAPI Overlay 1.x", id="another version"),
        pytest.param("overlay: 1.0.0\nactions: 5", "the overlay {} cannot be applied: ", id="actions that are none"),
        pytest.param("overlay: 1.0.0\nactions: [{}]", "the overlay {} cannot be applied: ", id="no target"),
        pytest.param(
            "overlay: 1.0.0\nactions: [{target: '$.paths[[[', remove: true}]",
            "the overlay {} cannot be applied: ",
            id="target that is none",
        ),
    ],
)
def test_an_overlay_that_is_none_stops_the_start(tmp_path: Path, text: str | None, sentence: str) -> None:
    path = tmp_path / "overlay.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ContractError) as refusal:
        load_document([str(path)])
    assert str(refusal.value).startswith(sentence.format(path))


def test_what_is_no_handler_may_stand_beside_the_handlers() -> None:
    module = ModuleType("handlers.health")

    async def get_health(context: Context) -> Answer:  # noqa: ARG001
        return Answer(200, {"status": "ok"})

    async def _helper() -> None: ...

    get_health.__module__ = _helper.__module__ = module.__name__
    vars(module).update(get_health=get_health, get_readiness=get_health, _helper=_helper, LIMIT=5, synchronous=len)
    HandlerResolver(DOCUMENT, {**HANDLERS, "Health": module})
    vars(module).update(get_wealth=get_health)
    with pytest.raises(
        ContractError, match=r"^the handler health\.get_wealth belongs to no operation of the contract$"
    ):
        HandlerResolver(DOCUMENT, {**HANDLERS, "Health": module})


BREACHES = (
    {"target": f"{GET_HEALTH}.responses['200']", "remove": True},
    update("$.components.schemas.UserName", {"nullable": False}),
    update("$.components.responses.ListedTasks.headers", {"X-Total": {"required": True, **SOME_SCHEMA}}),
    update("$.components.headers.Location.schema", {"pattern": "^https:"}),
    {"target": "$.components.responses.ToggledTask.content", "remove": True},
    {"target": "$.components.schemas.ExportedTasks.items", "remove": True},
    update(
        "$.components.schemas.ExportedTasks",
        {"items": {"type": "object", "properties": {"id": {"type": "string"}, "created_at": {"maxLength": 5}}}},
    ),
)


@pytest.fixture(scope="module")
def breaching(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose document does not describe its handlers."""
    directory = tmp_path_factory.mktemp("breaching")
    path = overlay(directory / "breaches.yaml", *BREACHES)
    with running_service(directory, DATABASE_URL=database_url, OPENAPI_OVERLAYS=path) as running:
        yield running


@pytest.mark.parametrize(
    ("method", "path", "reason"),
    [
        pytest.param("GET", "/health", "the status 200 is not described", id="status"),
        pytest.param("GET", "/api/breaching", "/name must be a string", id="body"),
        pytest.param("GET", "/api/breaching/tasks", "the headers [b'x-total'] are missing", id="missing header"),
        pytest.param("POST", "/api/tasks", "the header location is not as described", id="header"),
        pytest.param("PATCH", "/api/tasks/{}/toggle", "there is a body", id="body where there is none"),
        pytest.param("GET", "/api/tasks/export", "/0/created_at must be at most 5", id="record"),
        pytest.param("GET", "/api/tasks/export?format=csv", "/0/created_at must be at most 5", id="record of CSV"),
        pytest.param("GET", "/api/tasks/export?format=json", "/0/created_at must be at most 5", id="item of an array"),
    ],
)
@pytest.mark.slow
def test_an_answer_that_breaks_the_contract_is_kept_back(
    service: Service, breaching: Service, method: str, path: str, reason: str
) -> None:
    task = service.as_user("breaching").post("/api/tasks", json={"title": "a"}).json()
    body = {"json": {"title": "a"}} if method == "POST" else {}
    client = breaching.as_user("breaching")
    answer = client.request(method, path.format(task["id"]), headers={"x-request-id": f"breach-{method}"}, **body)  # type: ignore[arg-type]
    members = problem(service, answer, "internal-error")
    assert members["detail"] == next(kind.detail for kind in KINDS if kind.code == "internal-error")
    lines = [line for line in breaching.log.read_text().splitlines() if "contract.response_violation" in line]
    assert any(reason in line for line in lines)


@pytest.mark.anyio
async def test_the_check_of_answers_can_be_turned_off(tmp_path: Path) -> None:
    app = app_with(tmp_path, *BREACHES, validate_responses=False)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://tasks.test") as client:
        answer = await client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
