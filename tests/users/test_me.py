"""`/api/me` and `/api/tasks` work for every user id, also for those that cannot stand in a path."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urljoin

import httpx2
import pytest
from click.testing import CliRunner

from server.cli import main
from tests.hostile.operations import SECURED
from tests.support.raw_http import RawAnswer, ask, bearer_field, problem, request
from tests.support.service import SECRET, Service, token
from tests.support.types import NewUser, Owner

NO_TASKS = {"total": 0, "completed": 0, "pending": 0}
NAMES_OF_PATHS = ["tasks", "me", "auth", "verify", "health", "ready", "export", "import", "api", "docs", "null"]
DOT_SEGMENTS = [".", "..", "...", "%2e", "%2e%2e", "%2E%2E", ".%2e", "..;", "../..", "./me", "../tasks"]
PUNCTUATION = [
    "a/b",
    "/",
    "//",
    "100%",
    "%",
    "%00",
    "a b",
    " ",
    "+",
    "a?b",
    "#",
    "{user_id}",
    "\\",
    "..\\",
    ":",
    "\u200b",
]
USER_IDS = [*NAMES_OF_PATHS, *DOT_SEGMENTS, *PUNCTUATION]


@pytest.fixture
def emptied(service: Service, user_id: str) -> httpx2.Client:
    """A client of a user of whom the service keeps nothing."""
    client = service.as_user(user_id, email="ada@example.com")
    assert client.delete("/api/me").status_code == 204
    return client


class Recorder:
    """A client that remembers which operations were answered with a success."""

    def __init__(self, client: httpx2.Client) -> None:
        self.client = client
        self.succeeded: set[str] = set()

    def __call__(self, name: str, task_id: str = "", **options: Any) -> httpx2.Response:
        operation = next(each for each in SECURED if each.name == name)
        path = operation.template.format(task_id=task_id)
        answer = self.client.request(operation.method, path, **options)
        assert answer.is_success, (name, answer.status_code, answer.text)
        self.succeeded.add(name)
        return answer


@pytest.mark.parametrize("user_id", USER_IDS)
def test_every_operation_without_an_id_works(emptied: httpx2.Client, user_id: str) -> None:
    """The client normalises paths. `Location`, `Link` and `instance` lead where they should."""
    do = Recorder(emptied)
    assert do("verifyToken").json()["user_id"] == user_id
    profile = do("getMe").json()
    assert (profile["id"], profile["email"], profile["tasks"]) == (user_id, "ada@example.com", NO_TASKS)
    created = [do("createMyTask", json={"title": title}) for title in ("first", "second")]
    first, second = (answer.json() for answer in created)
    assert {first["user_id"], second["user_id"]} == {user_id}
    assert [answer.headers["location"] for answer in created] == [f"/api/tasks/{t['id']}" for t in (first, second)]
    assert emptied.get(created[0].headers["location"]).json() == do("getMyTask", first["id"]).json() == first
    page = do("listMyTasks", params={"limit": 1})
    assert (page.json(), emptied.get(page.links["next"]["url"]).json()) == ([first], [second])
    assert do("updateMyTask", first["id"], json={"title": "new"}).json()["title"] == "new"
    assert do("patchMyTask", first["id"], json={"title": "newer"}).json()["title"] == "newer"
    assert do("toggleMyTask", first["id"]).json()["completed"] is True
    assert do("toggleMyTaskCompletion", second["id"]).json()["completed"] is True
    do("toggleMyTask", second["id"])
    do("deleteMyTask", first["id"])
    missing = emptied.get(f"/api/tasks/{first['id']}")
    assert (missing.status_code, missing.json()["instance"]) == (404, f"/api/tasks/{first['id']}")
    do("restoreMyTask", first["id"])
    assert do("completeAllMyTasks", json={"completed": True}).json() == {"count": 1}
    exported = do("exportMyTasks").content
    assert do("clearMyTasks", params={"status": "completed", "permanent": True}).json() == {"count": 2}
    imported = do("importMyTasks", content=exported, headers={"content-type": "application/json"})
    assert imported.json() == {"imported": 2, "unchanged": 0}
    assert do("getMe").json()["tasks"] == {"total": 2, "completed": 2, "pending": 0}
    do("deleteMe")
    assert (do("getMe").json()["tasks"], do("listMyTasks").json()) == (NO_TASKS, [])
    assert do.succeeded == {each.name for each in SECURED if "{user_id}" not in each.template}


# The twin of /api/{user_id}


def without_ids(answer: httpx2.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    """All of the answer except its time and its request id."""
    varying = {"date", "server-timing", "x-request-id"}
    headers = [(name, value) for name, value in answer.headers.multi_items() if name not in varying]
    return answer.status_code, headers, answer.content


def test_the_profile_is_the_same_at_both_addresses(ada: Owner) -> None:
    subject, client = ada
    client.post("/api/tasks", json={"title": "Buy milk"})
    for method in ("GET", "HEAD", "OPTIONS"):
        assert without_ids(client.request(method, "/api/me")) == without_ids(client.request(method, f"/api/{subject}"))
    tag = {"if-none-match": client.get("/api/me").headers["etag"]}
    assert [client.get(path, headers=tag).status_code for path in ("/api/me", f"/api/{subject}")] == [304, 304]
    assert client.options("/api/me").headers["allow"] == "DELETE, GET, HEAD, OPTIONS"
    client.post("/api/tasks", json={"title": "Buy bread"})
    assert client.get("/api/me", headers=tag).status_code == 200


def test_a_deleted_account_leaves_nothing_of_its_own(ada: Owner, bob: Owner) -> None:
    """Tasks, the trash and idempotency keys are gone; another user's are not; a repetition is a success."""
    key = {"idempotency-key": "the-same"}
    (_, hers), (_, his) = ada, bob
    made = [client.post("/api/tasks", json={"title": "Buy milk"}, headers=key).json() for client in (hers, his)]
    trashed = hers.post("/api/tasks", json={"title": "Buy bread"}).json()
    hers.delete(f"/api/tasks/{trashed['id']}")
    assert [hers.delete("/api/me").status_code for _ in range(2)] == [204, 204]
    assert [hers.get("/api/tasks", params={"status": status}).json() for status in ("all", "trashed")] == [[], []]
    again = hers.post("/api/tasks", json={"title": "Buy milk"}, headers=key)
    assert "idempotent-replayed" not in again.headers
    assert again.json()["id"] != made[0]["id"]
    assert his.get("/api/tasks").json() == [made[1]]


def test_a_member_or_query_parameter_is_refused_as_elsewhere(ada: Owner) -> None:
    assert ada[1].get("/api/me?user_id=bob").status_code == 422
    assert ada[1].delete("/api/me?permanent=true").status_code == 422
    assert ada[1].put("/api/me", json={}).status_code == 405


def test_nobody_gets_the_profile_of_the_user_me(service: Service, new_user: NewUser) -> None:
    """`/api/me` is the caller's, `/api/me/tasks` belongs to the user `me` alone."""
    stranger = service.as_user(new_user("ada"))
    assert stranger.get("/api/me").json()["id"].startswith("ada-")
    assert stranger.get("/api/me/tasks").status_code == 403
    me = service.as_user("me")
    task = me.post("/api/me/tasks", json={"title": "of me"}).json()
    assert (task["user_id"], me.get("/api/me").json()["id"]) == ("me", "me")
    assert me.delete("/api/me").status_code == 204


def test_me_and_its_twin_are_described_alike() -> None:
    for mine, named in (("getMe", "getUser"), ("deleteMe", "deleteUser")):
        one, other = (next(each for each in SECURED if each.name == name) for name in (mine, named))
        assert (one.method, one.bodies, one.statuses) == (other.method, other.bodies, other.statuses - {403})
        assert one.parameters == [each for each in other.parameters if each["in"] != "path"]


# User ids that cannot stand in a path


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/tasks", 200),
        ("DELETE", "/api/tasks", 422),
        ("GET", "/api/tasks/tasks", 422),
        ("POST", "/api/tasks/tasks", 405),
        ("GET", "/api/tasks/tasks/export", 200),
        ("PATCH", "/api/tasks/tasks/toggle", 422),
        ("GET", "/api/tasks/tasks/{task_id}", 200),
        ("PATCH", "/api/tasks/tasks/{task_id}/complete", 200),
    ],
)
def test_what_paths_mean_for_the_user_tasks(service: Service, method: str, path: str, status: int) -> None:
    """A static segment wins. A deletion of the account by path is refused, because the list's needs a `status`."""
    client = service.as_user("tasks")
    task = client.post("/api/tasks", json={"title": "Buy milk"}).json()
    assert client.request(method, path.format(task_id=task["id"])).status_code == status
    assert client.get(f"/api/tasks/{task['id']}").status_code == 200
    client.delete("/api/me")


def authorized(service: Service, user_id: str, method: str, path: str, body: bytes = b"") -> RawAnswer:
    """Send a path as it stands, which other clients would normalise."""
    fields = [
        bearer_field(user_id),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
    ]
    return ask(service, request(method, path, fields) + body)


@pytest.mark.parametrize("user_id", [".", ".."])
@pytest.mark.parametrize("encode", [str, lambda text: quote(text, safe="").replace(".", "%2E")], ids=["as is", "%2E"])
def test_no_reference_has_a_dot_segment(service: Service, user_id: str, encode: Callable[[str], str]) -> None:
    """A client that resolves `Location` or `Link` removes dot segments, so that they must not be there."""
    path = f"/api/{encode(user_id)}/tasks"
    made = [authorized(service, user_id, "POST", path, json.dumps({"title": "x"}).encode()) for _ in range(2)]
    listed = authorized(service, user_id, "GET", f"{path}?limit=1")
    client = service.as_user(user_id)
    for answer in made:
        task = json.loads(answer.content)
        assert answer.headers["location"] == f"/api/tasks/{task['id']}"
        assert client.get(urljoin(service.url, answer.headers["location"])).json() == task
    (target,) = re.findall(r'^<([^>]*)>; rel="next"$', listed.headers["link"])
    assert target.startswith("/api/tasks?")
    assert client.get(target).json() == [json.loads(made[1].content)]
    assert client.delete("/api/me").status_code == 204


@pytest.mark.parametrize("user_id", [".", ".."])
def test_a_dot_segment_of_somebody_else_is_forbidden(service: Service, user_id: str) -> None:
    for path in (f"/api/{user_id}", f"/api/{user_id}/tasks"):
        members = problem(service, authorized(service, "ada", "GET", path), "forbidden")
        assert members["instance"] == path


@pytest.mark.skipif(shutil.which("curl") is None, reason="it needs curl")
@pytest.mark.parametrize("user_id", [".", "..", "tasks"])
def test_curl_reaches_such_users_at_me_and_tasks(service: Service, user_id: str) -> None:
    """Without `--path-as-is`, curl normalises: the address with the id leads elsewhere, the other two do not."""

    def curl(path: str, *options: str) -> tuple[str, int]:
        command = ["curl", "-sS", "-w", "\n%{http_code}", "-H", f"Authorization: Bearer {token(user_id)}", *options]
        output = subprocess.run([*command, service.url + path], capture_output=True, check=True, text=True).stdout  # noqa: S603
        body, _, status = output.rpartition("\n")
        return body, int(status)

    typed = ("-H", "Content-Type: application/json", "-d")
    body, status = curl("/api/tasks", *typed, '{"title": "Buy milk"}')
    assert (json.loads(body)["user_id"], status) == (user_id, 201)
    body, status = curl(f"/api/tasks/{json.loads(body)['id']}")
    assert (json.loads(body)["title"], status) == ("Buy milk", 200)
    body, status = curl("/api/me")
    assert (json.loads(body)["id"], json.loads(body)["tasks"]["total"], status) == (user_id, 1, 200)
    body, status = curl(f"/api/{user_id}")
    assert not (status == 200 and "email" in body)
    assert curl("/api/me", "-X", "DELETE") == ("", 204)
    body, status = curl("/api/tasks")
    assert (json.loads(body), status) == ([], 200)


# Messages for the operator


def note(user_id: str, **environment: str) -> str:
    """Return the note that `tasks-api token` writes to standard error; the token stands alone on standard output."""
    result = CliRunner().invoke(main, ["token", "--", user_id], env={"BETTER_AUTH_SECRET": SECRET, **environment})
    assert result.exit_code == 0, result.output
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", result.stdout, re.ASCII)
    return result.stderr


def test_the_command_names_the_addresses_of_such_users() -> None:
    dots = "clients and proxies remove the segment '..' from a path (RFC 3986, section 5.2.4)"
    assert note("..") == f"Use /api/me and /api/tasks for this user: {dots}.\n"
    assert note("tasks", ROOT_PATH="/todo").startswith("Use /todo/api/me and /todo/api/tasks for this user: /api/tasks")
    assert {user_id for user_id in USER_IDS if note(user_id)} == {".", "..", "tasks"}


def test_no_other_id_is_hidden_by_a_path_of_the_document() -> None:
    """A path `/api/x` hides the profile of the user `x`, except from that user."""
    static = {each.template for each in SECURED if re.fullmatch("/api/[^/{]+", each.template)}
    assert {path for path in static if note(path.removeprefix("/api/"))} == static - {"/api/me"}
