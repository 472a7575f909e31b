"""The document, what is served of it, and what the service does where it and the code do not fit together."""

import json
import re
import secrets
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import jwt
import pytest
import yaml
from click.testing import CliRunner, Result
from pydantic import SecretStr
from starlette.types import ASGIApp

from handlers.types import Answer, Context
from server.app import HANDLERS, create_app
from server.auth.tokens import issue_token
from server.cli import main
from server.contract.document import ContractError, load_document, operations
from server.contract.schemas import Validator
from server.pipeline.resolver import HandlerResolver
from server.problems import KINDS
from server.settings import Settings, load_settings
from tests.support.document import AUTHORED, DOCUMENT, LONG_TEXT, OPERATIONS, parameters, places, resolved
from tests.support.raw_http import problem, violations
from tests.support.service import MEASURED, ROOT, SECRET, Service, running_service

PUBLIC = {"getHealth", "getReadiness"}
PROBLEM_SCHEMAS = {
    "ImportFailed": "ImportProblem",
    "ValidationFailed": "ValidationProblem",
    "RequestRefused": "RefusalProblem",
}

every_operation = pytest.mark.parametrize("operation_id", OPERATIONS)


# The document


def test_operation_ids_are_unique() -> None:
    assert len(OPERATIONS) == len(list(operations(DOCUMENT))) == 29


@every_operation
def test_an_operation_is_described(operation_id: str) -> None:
    _, operation = OPERATIONS[operation_id]
    assert re.fullmatch("[a-z]+([A-Z][a-z]*)*", operation_id)
    assert len(operation["tags"]) == 1
    assert set(operation["tags"]) <= {tag["name"] for tag in DOCUMENT["tags"]}
    assert operation["summary"]
    assert operation["description"]


def test_summaries_tell_operations_apart() -> None:
    assert len({operation["summary"] for _, operation in OPERATIONS.values()}) == len(OPERATIONS)


@every_operation
def test_every_error_is_a_shared_response(operation_id: str) -> None:
    _, operation = OPERATIONS[operation_id]
    errors = {status: response for status, response in operation["responses"].items() if status >= "4"}
    for response in errors.values():
        name = response["$ref"].removeprefix("#/components/responses/")
        shared = DOCUMENT["components"]["responses"][name]
        (schema,) = (media["schema"] for media in shared["content"].values())
        assert list(shared["content"]) == ["application/problem+json"]
        expected = PROBLEM_SCHEMAS.get(name, "Problem")
        assert schema["$ref"] == f"#/components/schemas/{expected}"


@every_operation
def test_an_operation_lists_the_errors_that_it_can_answer_with(operation_id: str) -> None:
    path, operation = OPERATIONS[operation_id]
    # `default` is 406, 408, 413, 414 and 431, which depend on nothing that an operation says.
    expected = {"400", "422", "429", "500", "503", "default"}
    if operation_id not in PUBLIC:
        expected |= {"401"}
    if "{user_id}" in path:
        expected |= {"403"}
    if "{task_id}" in path:
        expected |= {"404"}
    if "requestBody" in operation:
        expected |= {"413", "415"}
    parameters = {parameter["$ref"].rpartition("/")[2] for parameter in operation.get("parameters", ())}
    if "IfMatch" in parameters:
        expected |= {"412"}
    if "IdempotencyKey" in parameters:
        expected |= {"409"}
    assert {status for status in operation["responses"] if status >= "4"} == expected


@every_operation
def test_an_operation_is_secured_or_listed_as_public(operation_id: str) -> None:
    _, operation = OPERATIONS[operation_id]
    secured = operation.get("security", DOCUMENT["security"]) == [{"bearerAuth": []}]
    assert secured or (operation_id in PUBLIC and operation["security"] == [])


@every_operation
def test_links_lead_to_operations_with_what_these_need(operation_id: str) -> None:
    _, operation = OPERATIONS[operation_id]
    for response in resolved(operation["responses"]).values():
        for link in response.get("links", {}).values():
            assert link["operationId"] in OPERATIONS
            needed = {parameter["name"] for parameter in parameters(link["operationId"]) if parameter["required"]}
            given = link.get("parameters", {})
            assert set(given) == needed
            members = response["content"]["application/json"]["schema"]["properties"]
            for expression in given.values():
                assert expression.removeprefix("$response.body#/") in members


def test_a_task_that_was_created_leads_to_everything_that_can_be_done_with_it() -> None:
    for operation_id, others in {
        "createTask": ("getTask", "updateTask", "toggleTask", "deleteTask"),
        "createMyTask": ("getMyTask", "updateMyTask", "toggleMyTask", "deleteMyTask"),
    }.items():
        links = resolved(OPERATIONS[operation_id][1]["responses"]["201"])["links"]
        assert {link["operationId"] for link in links.values()} >= set(others)


def test_every_example_is_valid() -> None:
    checked = 0
    for where, place in places(resolved(DOCUMENT)):
        if "schema" not in place or where.endswith("/properties"):
            continue
        validator = Validator(place["schema"])
        values = [example["value"] for example in place.get("examples", {}).values()]
        values += [place["example"]] if "example" in place else []
        for value in values:
            assert validator.violations(value, "pointer") == [], where
            checked += 1
    assert checked > len(OPERATIONS)


def test_every_shared_example_is_used() -> None:
    used = {place["$ref"] for _, place in places(DOCUMENT) if "$ref" in place}
    for kind in ("parameters", "requestBodies", "headers", "responses", "schemas", "examples"):
        assert {f"#/components/{kind}/{name}" for name in DOCUMENT["components"][kind]} <= used


@every_operation
def test_an_operation_shows_what_is_sent_and_answered(operation_id: str) -> None:
    operation = resolved(OPERATIONS[operation_id][1])
    contents = [operation.get("requestBody", {}), *operation["responses"].values()]
    for media in (media for item in contents for media in item.get("content", {}).values()):
        assert media["examples"]
    for parameter in operation.get("parameters", []):
        assert "examples" in parameter or parameter["name"] == "cursor"


def test_every_object_is_closed_and_every_value_bounded() -> None:
    for where, schema in places(DOCUMENT["components"]["schemas"]):
        match schema.get("type"):
            case "object":
                assert schema["additionalProperties"] is False, where
            case "array":
                assert "maxItems" in schema, where
            case "string" if "enum" not in schema:
                assert "maxLength" in schema, where
                # NUL, which PostgreSQL cannot keep, is ruled out by the pattern or by the format.
                assert "format" in schema or not Validator(schema).is_valid("a\0"), where
            case "integer":
                assert {"minimum", "maximum", "format"} <= set(schema), where


def test_problem_codes_are_those_of_the_service() -> None:
    codes = [kind.code for kind in KINDS]
    assert DOCUMENT["components"]["schemas"]["ProblemCode"]["enum"] == codes
    table = re.findall(r"^\| (\d{3}) \| `([a-z-]+)` \|", DOCUMENT["info"]["description"], re.MULTILINE)
    assert table == [(str(kind.status), kind.code) for kind in KINDS]


def test_the_document_has_the_version_of_the_package() -> None:
    assert DOCUMENT["info"]["version"] == version("tasks-api")


# What is served of it


def test_the_document_is_served_as_it_was_written(service: Service) -> None:
    client = service.client()
    as_json, as_yaml = client.get("/openapi.json"), client.get("/openapi.yaml")
    assert (as_json.headers["content-type"], as_json.json()) == ("application/json", DOCUMENT)
    assert as_yaml.headers["content-type"] == "application/yaml"
    assert as_yaml.content == AUTHORED.read_bytes()


@pytest.fixture(scope="module")
def adapted(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service behind a prefix, with longer limits."""
    directory = tmp_path_factory.mktemp("adapted")
    with running_service(
        directory, NEON_DB_URL=database_url, ROOT_PATH="/prefix/", OPENAPI_OVERLAYS=str(LONG_TEXT)
    ) as running:
        yield running


def test_behind_a_prefix_the_document_and_every_address_name_it(adapted: Service) -> None:
    client = adapted.as_user("prefixed")
    for served in (client.get("/openapi.json").json(), yaml.safe_load(client.get("/openapi.yaml").content)):
        assert [server["url"] for server in served["servers"]] == ["/prefix"]
    for title in "ab":
        created = client.post("/api/tasks", json={"title": title})
    assert created.headers["location"] == f"/prefix/api/tasks/{created.json()['id']}"
    assert client.get("/api/tasks?limit=1").headers["link"].startswith("</prefix/api/tasks?")
    members = problem(adapted, client.get("/nowhere"), "not-found")
    assert members["instance"] == "/prefix/nowhere"


def test_an_overlay_changes_the_limits_that_are_served_and_enforced(adapted: Service) -> None:
    client = adapted.as_user("talkative")
    for served in (client.get("/openapi.json").json(), yaml.safe_load(client.get("/openapi.yaml").content)):
        schemas = served["components"]["schemas"]
        assert (schemas["TaskTitle"]["maxLength"], schemas["TaskDescription"]["maxLength"]) == (255, 5000)
    longest = {"title": "a" * 255, "description": "b" * 5000}
    created = client.post("/api/tasks", json=longest)
    assert created.status_code == 201
    assert created.json() | longest == created.json()
    refused = client.post("/api/tasks", json={"title": "a" * 256, "description": "b" * 5001})
    assert violations(adapted, refused) == [
        ("/description", "must be at most 5000 characters long"),
        ("/title", "must be at most 255 characters long"),
    ]


def test_a_title_that_was_accepted_stays_readable_when_the_limits_are_lowered(
    service: Service, adapted: Service
) -> None:
    created = adapted.as_user("shortened").post("/api/tasks", json={"title": "a" * 255}).json()
    client = service.as_user("shortened")
    assert client.get("/api/tasks").json() == [created]
    assert client.patch(f"/api/tasks/{created['id']}/toggle").json()["completed"] is True
    assert client.put(f"/api/tasks/{created['id']}", json={"title": "a" * 201}).status_code == 422


# Where the document and the code do not fit together


def overlay(path: Path, *actions: Mapping[str, Any]) -> str:
    """Write an overlay with these actions to the path."""
    header = {"overlay": "1.0.0", "info": {"title": "Of a test", "version": "1.0.0"}}
    path.write_text(yaml.safe_dump({**header, "actions": [dict(action) for action in actions]}))
    return str(path)


def app_with(tmp_path: Path, *actions: Mapping[str, Any], **settings: Any) -> ASGIApp:
    path = overlay(tmp_path / "overlay.yaml", *actions)
    return create_app(Settings(better_auth_secret=SECRET, openapi_overlays=(path,), log_level="error", **settings))


def update(target: str, change: Mapping[str, Any]) -> dict[str, Any]:
    return {"target": target, "update": dict(change)}


GET_HEALTH = "$.paths['/health'].get"
SOME_SCHEMA = {"schema": {"type": "string"}}


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
            [{"target": "$.security", "remove": True}],
            "getUser is public, so it has no token to compare ['user_id'] with",
            id="no security",
        ),
        pytest.param(
            [update("$.components.parameters.PathUserId", {"x-token-claim": "email"})],
            "x-token-claim of user_id must be sub",
            id="parameter compared with another claim",
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
            "createMyTask: the request body is not enforced: it must be required, and JSON or lines",
            id="optional body",
        ),
        pytest.param(
            [update("$.components.requestBodies.NewTask.content", {"text/plain": SOME_SCHEMA})],
            "createMyTask: the request body is not enforced: it must be required, and JSON or lines",
            id="body of another type",
        ),
        pytest.param(
            [update("$.components.responses.ServiceAlive.content", {"text/plain": SOME_SCHEMA})],
            "getHealth: a success is neither application/json nor lines",
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
)


@pytest.fixture(scope="module")
def breaching(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose document is not what its handlers do."""
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
    ],
)
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


# Settings and the command


TasksApi = Callable[..., Result]


@pytest.fixture
def tasks_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TasksApi:
    """Run the command in this process, in a directory of its own. Nobody can listen on the default address."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **environment: str | None) -> Result:
        defaults = {"BETTER_AUTH_SECRET": SECRET, "HOST": "203.0.113.1"}
        return CliRunner().invoke(main, arguments, env={**defaults, **environment})

    return run


def serve(directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "server", "serve"],
        cwd=directory,
        env={"PYTHONPATH": str(ROOT), "HOST": "203.0.113.1", **MEASURED, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


GUESSABLE = (
    "better-auth-secret-12345678901234567890",
    "changeme-changeme-changeme-changeme!",
    "Change_this_to_something_long_and_random",
    "secret-secret-secret-secret-secret-1",
    "supersecretsupersecretsupersecret123",
    "your-secret-key-of-at-least-32-characters",
    "x" * 40,
    "0123456789abcdef" * 2,
    "12341234123412341234123412341234567",
)


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        pytest.param(
            {"BETTER_AUTH_SECRET": "short"},
            "BETTER_AUTH_SECRET: must be at least 32 bytes long (try: openssl rand -base64 32)",
            id="short secret",
        ),
        pytest.param(
            {"ENVIRONMENT": "production", "BETTER_AUTH_SECRET": None},
            "in production, set BETTER_AUTH_SECRET (at least 32 bytes), BETTER_AUTH_URL or JWKS_URL",
            id="production without a secret",
        ),
        *(
            pytest.param(
                {"ENVIRONMENT": "production", "BETTER_AUTH_SECRET": secret},
                "BETTER_AUTH_SECRET: in production, must be neither an example nor a pattern "
                "(try: openssl rand -base64 32)",
                id=f"the secret {secret[:20]}",
            )
            for secret in GUESSABLE
        ),
        *(
            pytest.param(
                {"ENVIRONMENT": "production", "CORS_ORIGINS": origins},
                "CORS_ORIGINS: in production, must name the origins instead of `*`",
                id=f"{origins} in production",
            )
            for origins in ("*", "https://app.example.com,*")
        ),
        pytest.param(
            {"ENVIRONMENT": "production", "LOG_LEVEL": "DEBUG"},
            "LOG_LEVEL: in production, must not be `debug`, which may write down what is nobody's business",
            id="debug in production",
        ),
        pytest.param(
            {"ENVIRONMENT": "prod"}, "ENVIRONMENT: Input should be 'development' or 'production'", id="environment"
        ),
        pytest.param({"PORT": "65536"}, "PORT: Input should be less than or equal to 65535", id="port too high"),
        pytest.param(
            {"PORT": "http"},
            "PORT: Input should be a valid integer, unable to parse string as an integer",
            id="port that is no number",
        ),
        *(
            pytest.param(
                {"CORS_ORIGINS": f"http://localhost,{origin}"},
                f"CORS_ORIGINS: {origin!r} is not an origin such as http://localhost:3000",
                id=f"origin {origin}",
            )
            for origin in ("localhost:3000", "http://localhost/app", "ftp://localhost", "null", "http://")
        ),
        *(
            pytest.param(
                {name: address},
                # An alias is reported by the name of the setting.
                f"{name.replace('NEON_DB', 'DATABASE')}: must start with postgresql:// or postgres://",
                id=f"{name} {address[:8]}",
            )
            for name in ("DATABASE_URL", "NEON_DB_URL", "MIGRATIONS_DATABASE_URL")
            for address in ("mysql://root:its-password@host/tasks", "its-password")
        ),
        pytest.param(
            {"BETTER_AUTH_URL": "todo.example"},
            "BETTER_AUTH_URL: must be an origin such as https://app.example.com, without a path",
            id="front end",
        ),
        pytest.param({"JWKS_URL": "todo.example"}, "JWKS_URL: must start with http:// or https://", id="key set"),
        pytest.param({"ROOT_PATH": "prefix"}, "ROOT_PATH: must start with /", id="prefix"),
        pytest.param(
            {"LOG_LEVEL": "loud"}, "LOG_LEVEL: Input should be 'debug', 'info', 'warning' or 'error'", id="log level"
        ),
        pytest.param({"WORKERS": "0"}, "WORKERS: Input should be greater than or equal to 1", id="workers"),
        pytest.param(
            {"MAX_BODY_BYTES": "1"}, "MAX_BODY_BYTES: Input should be greater than or equal to 1024", id="body limit"
        ),
        pytest.param(
            {"OPENAPI_OVERLAYS": "missing.yaml"},
            "the overlay missing.yaml cannot be read: [Errno 2] No such file or directory: 'missing.yaml'",
            id="overlay",
        ),
    ],
)
def test_an_environment_that_cannot_be_served_in_stops_the_start_with_one_sentence(
    environment: dict[str, str | None], sentence: str, tasks_api: TasksApi
) -> None:
    result = tasks_api("serve", **environment)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: {sentence}\n"
    assert "its-password" not in result.stderr


def test_everything_that_is_wrong_with_the_environment_is_told_at_once(tasks_api: TasksApi) -> None:
    result = tasks_api("serve", PORT="no", ROOT_PATH="no", BETTER_AUTH_SECRET="no")  # noqa: S106
    assert [line.removeprefix("Error: ").partition(":")[0] for line in result.stderr.splitlines()] == [
        "BETTER_AUTH_SECRET",
        "PORT",
        "ROOT_PATH",
    ]


def test_everything_that_production_refuses_is_told_at_once(tasks_api: TasksApi) -> None:
    result = tasks_api(
        "serve", ENVIRONMENT="production", BETTER_AUTH_SECRET=GUESSABLE[0], CORS_ORIGINS="*", LOG_LEVEL="debug"
    )
    assert [line.removeprefix("Error: ").partition(":")[0] for line in result.stderr.splitlines()] == [
        "BETTER_AUTH_SECRET",
        "CORS_ORIGINS",
        "LOG_LEVEL",
    ]


@pytest.mark.parametrize("secret", GUESSABLE)
def test_development_takes_a_secret_that_is_an_example(secret: str) -> None:
    assert Settings(_env_file=None, better_auth_secret=SecretStr(secret)).secret() == secret


def test_production_takes_whatever_is_random(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    for make in (secrets.token_urlsafe, secrets.token_hex):
        for _ in range(1000):
            secret = make(32)
            assert Settings(_env_file=None, better_auth_secret=SecretStr(secret)).secret() == secret


def test_the_process_ends_with_one_sentence_and_no_stack(tmp_path: Path) -> None:
    ended = serve(tmp_path, BETTER_AUTH_SECRET="a-secret-that-is-too-short")  # noqa: S106
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "Error: BETTER_AUTH_SECRET: must be at least 32 bytes long (try: openssl rand -base64 32)\n"


def test_the_process_ends_where_its_data_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    ended = serve(tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert len(ended.stderr.splitlines()) == 1
    assert "'data'" in ended.stderr


def test_a_secret_that_is_a_key_of_another_kind_stops_the_start(tasks_api: TasksApi) -> None:
    result = tasks_api("serve", BETTER_AUTH_SECRET=json.dumps({"kty": "oct", "k": "a" * 43, "alg": "HS256"}))
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: BETTER_AUTH_SECRET: the secret is an asymmetric key or a JWK\n",
    )


def test_the_address_of_the_database_has_two_names_and_two_forms(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEON_DB_URL", "postgres://host/neon")
    address = load_settings().database_url
    assert address is not None
    assert address.get_secret_value() == "postgres://host/neon"
    assert "neon" not in repr(load_settings())
    monkeypatch.setenv("DATABASE_URL", "postgresql://host/first")
    address = load_settings().database_url
    assert address is not None
    assert address.get_secret_value() == "postgresql://host/first"


def test_a_database_with_the_short_scheme_is_found(database_url: str, tmp_path: Path) -> None:
    address = database_url.replace("postgresql://", "postgres://", 1)
    assert address.startswith("postgres://")
    with running_service(tmp_path, DATABASE_URL=address) as running:
        assert running.as_user("short-scheme").get("/api/tasks").json() == []


def test_in_development_a_secret_is_made_once_and_kept_for_its_owner_only(tmp_path: Path, tasks_api: TasksApi) -> None:
    data = tmp_path / "below" / "data"
    tokens = [
        tasks_api("token", subject, BETTER_AUTH_SECRET=None, DATA_DIR=str(data)).stdout.strip()
        for subject in ("ada", "bob")
    ]
    secret = data / "secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert len(secret.read_bytes()) >= 32
    key = secret.read_text().strip()
    assert [jwt.decode(token, key, algorithms=["HS256"])["sub"] for token in tokens] == ["ada", "bob"]


def test_the_printed_token_works(service: Service, tasks_api: TasksApi) -> None:
    result = tasks_api("token", "ada lovelace", "--email", "ada@example.com", "--name", "Ada", "--expires", "120")
    assert result.exit_code == 0
    client = service.client(authorization=f"Bearer {result.stdout.strip()}")
    info = client.post("/api/auth/verify").json()
    remaining = datetime.fromisoformat(info.pop("expires_at")) - datetime.now(UTC)
    assert timedelta(seconds=60) < remaining <= timedelta(seconds=120)
    assert info == {"user_id": "ada lovelace", "email": "ada@example.com", "name": "Ada"}


def test_the_printed_token_has_the_audience_and_the_issuer_that_are_asked_for(tasks_api: TasksApi) -> None:
    printed = tasks_api("token", "ada", BETTER_AUTH_URL="https://todo.example").stdout.strip()
    claims = jwt.decode(printed, SECRET, algorithms=["HS256"], audience="https://todo.example")
    assert claims["iss"] == "https://todo.example"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param([""], "a subject is 1-255 characters without NUL", id="empty"),
        pytest.param(["a" * 256], "a subject is 1-255 characters without NUL", id="long"),
        pytest.param(["ada", "--expires", "0"], "0 is not in the range", id="expired"),
        pytest.param(["ada", "--expires", "99999999999999"], "99999999999999 is not in the range", id="for ever"),
    ],
)
def test_a_token_that_would_be_refused_is_not_printed(arguments: list[str], sentence: str, tasks_api: TasksApi) -> None:
    result = tasks_api("token", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr


def test_in_production_no_token_is_printed(tasks_api: TasksApi) -> None:
    result = tasks_api("token", "ada", ENVIRONMENT="production")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: tokens are made in development only; in production your identity provider issues them\n"
    )


def test_the_contract_is_printed_as_it_is_served(tasks_api: TasksApi) -> None:
    assert tasks_api("contract", "print").stdout_bytes == AUTHORED.read_bytes()
    assert json.loads(tasks_api("contract", "print", "--json").stdout) == DOCUMENT
    expected = load_document([str(LONG_TEXT)])
    assert expected != DOCUMENT
    assert yaml.safe_load(tasks_api("contract", "print", OPENAPI_OVERLAYS=str(LONG_TEXT)).stdout) == expected
    printed = tasks_api("contract", "print", "--json", OPENAPI_OVERLAYS=str(LONG_TEXT)).stdout
    assert json.loads(printed) == expected


def test_the_command_knows_its_version(tasks_api: TasksApi) -> None:
    assert tasks_api("--version").stdout.strip().endswith(DOCUMENT["info"]["version"])


def test_tokens_of_the_tests_are_those_of_the_command(tasks_api: TasksApi) -> None:
    made = issue_token(SECRET, "ada", expires_in=timedelta(seconds=60))
    printed = tasks_api("token", "ada", "--expires", "60").stdout.strip()
    first, second = (jwt.decode(item, SECRET, algorithms=["HS256"]) for item in (made, printed))
    assert set(first) == set(second) == {"sub", "iat", "exp"}


def test_origins_are_compared_as_browsers_write_them() -> None:
    settings = Settings.model_validate(
        {"cors_origins": "HTTPS://App.Example.com:443/, http://localhost:80, http://a:81"}
    )
    assert settings.cors_origins == ("https://app.example.com", "http://localhost", "http://a:81")
