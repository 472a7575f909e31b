"""Tasks under both of their addresses, the profile of their owner, and what the service makes of a token."""

import itertools
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import httpx2
import pytest

from tests.support.service import Service, token
from tests.support.types import Json, Owner

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", re.ASCII)
GRIN = "\N{GRINNING FACE}"
NOBODY = {"email": None, "name": None}
NAMED = {"email": "ada@example.com", "name": "Ada Lovelace"}


@dataclass(frozen=True)
class Home:
    """The tasks of one user, under one of their two addresses."""

    subject: str
    client: httpx2.Client
    tasks: str
    toggle: str

    def path(self, task: Json) -> str:
        return f"{self.tasks}/{task['id']}"

    def create(self, **members: object) -> Json:
        answer = self.client.post(self.tasks, json={"title": "Buy milk", **members})
        assert answer.status_code == 201
        return self.read(answer)

    def fetch(self, task: Json) -> Json:
        answer = self.client.get(self.path(task))
        assert answer.status_code == 200
        return self.read(answer)

    def list(self) -> list[Json]:
        tasks: list[Json] = self.client.get(self.tasks).json()
        return tasks

    @staticmethod
    def read(answer: httpx2.Response) -> Json:
        assert answer.headers["content-type"] == "application/json"
        task: Json = answer.json()
        assert MOMENT.fullmatch(task["created_at"])
        assert MOMENT.fullmatch(task["updated_at"])
        return task


def both_homes(subject: str, client: httpx2.Client) -> list[Home]:
    return [
        Home(subject, client, f"/api/{subject}/tasks", "complete"),
        Home(subject, client, "/api/tasks", "toggle"),
    ]


@pytest.fixture(params=[0, 1], ids=["by-user-id", "by-token"])
def home(request: pytest.FixtureRequest, ada: Owner) -> Home:
    """Ada's tasks, under each address."""
    index: int = request.param
    return both_homes(*ada)[index]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def not_found(path: str) -> Json:
    return {
        "type": "/problems#task-not-found",
        "title": "Task not found",
        "status": 404,
        "detail": "The user has no task with this id.",
        "instance": path,
        "code": "task-not-found",
    }


def invalid(path: str, *errors: tuple[str, str]) -> Json:
    return {
        "type": "/problems#validation-failed",
        "title": "Validation failed",
        "status": 422,
        "detail": "The request does not satisfy the contract; see `errors`.",
        "instance": path,
        "code": "validation-failed",
        "errors": [{"pointer": pointer, "detail": detail} for pointer, detail in errors],
    }


# Create


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        pytest.param({"title": "t"}, {"title": "t", "description": None, "completed": False}, id="title-only"),
        pytest.param(
            {"title": "t", "description": None},
            {"title": "t", "description": None, "completed": False},
            id="null-description",
        ),
        pytest.param(
            {"title": "t", "description": ""},
            {"title": "t", "description": "", "completed": False},
            id="empty-description",
        ),
        pytest.param(
            {"title": "t", "completed": False},
            {"title": "t", "description": None, "completed": False},
            id="pending",
        ),
        pytest.param(
            {"title": "t", "description": "d", "completed": True},
            {"title": "t", "description": "d", "completed": True},
            id="everything",
        ),
    ],
)
def test_a_created_task_is_answered_whole_and_found_at_its_location(home: Home, body: Json, kept: Json) -> None:
    before = datetime.now(UTC)
    answer = home.client.post(home.tasks, json=body)
    after = datetime.now(UTC)
    task = home.read(answer)
    assert answer.status_code == 201
    assert task == {
        "id": task["id"],
        "user_id": home.subject,
        **kept,
        "created_at": task["created_at"],
        "updated_at": task["created_at"],
    }
    assert before <= moment(task["created_at"]) <= after
    assert answer.headers["location"] == f"{home.tasks}/{task['id']}"
    found = home.client.get(answer.headers["location"])
    assert (found.status_code, found.json()) == (200, task)


def test_a_task_is_the_same_under_both_addresses(ada: Owner) -> None:
    by_user_id, by_token = both_homes(*ada)
    first, second = by_user_id.create(title="first"), by_token.create(title="second")
    assert [by_token.fetch(first), by_user_id.fetch(second)] == [first, second]
    assert by_user_id.list() == by_token.list() == [first, second]


def test_the_service_makes_version_7_ids_of_the_moment_in_growing_order(home: Home) -> None:
    start = int(datetime.now(UTC).timestamp() * 1000)
    ids = [UUID(home.create()["id"]) for _ in range(20)]
    end = int(datetime.now(UTC).timestamp() * 1000)
    assert {(each.version, each.variant) for each in ids} == {(7, "specified in RFC 4122")}
    assert ids == sorted(set(ids))
    assert all(start <= int.from_bytes(each.bytes[:6]) <= end for each in ids)


def test_two_tasks_with_the_same_members_are_two_tasks(home: Home) -> None:
    first, second = home.create(), home.create()
    assert first["id"] != second["id"]
    assert home.list() == [first, second]


# Update

CHANGES: Json = {"title": "Buy oat milk", "description": "two cartons", "completed": True}
SUBSETS = [
    pytest.param(names, id="+".join(names)) for count in (1, 2, 3) for names in itertools.combinations(CHANGES, count)
]


@pytest.mark.parametrize("names", SUBSETS)
def test_an_update_sets_the_members_it_names_and_leaves_the_others(home: Home, names: tuple[str, ...]) -> None:
    task = home.create(description="one carton")
    changes = {name: CHANGES[name] for name in names}
    answer = home.client.put(home.path(task), json=changes)
    changed = home.read(answer)
    assert answer.status_code == 200
    assert changed == {**task, **changes, "updated_at": changed["updated_at"]}
    assert moment(changed["updated_at"]) > moment(task["updated_at"])
    assert home.fetch(task) == changed


@pytest.mark.parametrize("names", SUBSETS)
def test_an_update_that_changes_nothing_answers_200_and_leaves_updated_at(home: Home, names: tuple[str, ...]) -> None:
    task = home.create(description="one carton")
    answer = home.client.put(home.path(task), json={name: task[name] for name in names})
    assert (answer.status_code, answer.json()) == (200, task)
    assert home.fetch(task) == task


def test_one_changed_member_among_unchanged_ones_moves_updated_at(home: Home) -> None:
    task = home.create(description="one carton")
    changes = {"title": task["title"], "description": task["description"], "completed": True}
    changed = home.client.put(home.path(task), json=changes).json()
    assert changed == {**task, "completed": True, "updated_at": changed["updated_at"]}
    assert moment(changed["updated_at"]) > moment(task["updated_at"])


def test_null_clears_a_description_once(home: Home) -> None:
    task = home.create(description="one carton")
    cleared = home.client.put(home.path(task), json={"description": None}).json()
    assert cleared == {**task, "description": None, "updated_at": cleared["updated_at"]}
    assert moment(cleared["updated_at"]) > moment(task["updated_at"])
    assert home.client.put(home.path(task), json={"description": None}).json() == cleared


def test_an_empty_description_is_not_the_same_as_none(home: Home) -> None:
    task = home.create()
    emptied = home.client.put(home.path(task), json={"description": ""}).json()
    assert emptied == {**task, "description": "", "updated_at": emptied["updated_at"]}
    assert moment(emptied["updated_at"]) > moment(task["updated_at"])


def test_a_change_of_case_alone_is_a_change(home: Home) -> None:
    task = home.create(title="buy milk")
    changed = home.client.put(home.path(task), json={"title": "BUY MILK"}).json()
    assert changed == {**task, "title": "BUY MILK", "updated_at": changed["updated_at"]}
    assert moment(changed["updated_at"]) > moment(task["updated_at"])


# Toggle and delete


def test_a_toggle_flips_completed_and_nothing_else(home: Home) -> None:
    task = home.create(description="one carton")
    path = f"{home.path(task)}/{home.toggle}"
    first, second = home.client.patch(path), home.client.patch(path)
    done, reopened = home.read(first), home.read(second)
    assert [first.status_code, second.status_code] == [200, 200]
    assert done == {**task, "completed": True, "updated_at": done["updated_at"]}
    assert reopened == {**task, "completed": False, "updated_at": reopened["updated_at"]}
    assert moment(task["updated_at"]) < moment(done["updated_at"]) < moment(reopened["updated_at"])
    assert home.fetch(task) == reopened


def test_a_deleted_task_is_gone_from_everywhere(home: Home) -> None:
    gone, kept = home.create(title="gone"), home.create(title="kept")
    answer = home.client.delete(home.path(gone))
    assert (answer.status_code, answer.content) == (204, b"")
    for every in both_homes(home.subject, home.client):
        path = every.path(gone)
        for method, address, body in [
            ("GET", path, None),
            ("PUT", path, {"title": "back"}),
            ("PATCH", f"{path}/{every.toggle}", None),
            ("DELETE", path, None),
        ]:
            again = home.client.request(method, address, json=body)
            assert (again.status_code, again.json()) == (404, not_found(address))
        assert every.list() == [kept]
    assert home.client.get(f"/api/{home.subject}").json()["tasks"] == {"total": 1, "completed": 0, "pending": 1}


# What the contract refuses

VISIBLE = "must contain a visible character and no NUL character"
UNKNOWN = "is not a member that the contract knows"
REFUSED = [
    pytest.param({"title": None}, [("/title", "must be a string")], id="title-null"),
    pytest.param({"title": 1}, [("/title", "must be a string")], id="title-number"),
    pytest.param({"title": ["t"]}, [("/title", "must be a string")], id="title-array"),
    pytest.param({"title": "x" * 201}, [("/title", "must be at most 200 characters long")], id="title-201"),
    pytest.param({"title": GRIN * 201}, [("/title", "must be at most 200 characters long")], id="title-201-astral"),
    pytest.param({"title": " "}, [("/title", VISIBLE)], id="title-space"),
    pytest.param({"title": "\t\r\n"}, [("/title", VISIBLE)], id="title-tab-and-line-ends"),
    pytest.param({"title": "\x1b\x7f\x85"}, [("/title", VISIBLE)], id="title-control-characters"),
    pytest.param({"title": "\u00a0\u1680\u2003\u202f\u205f\u3000"}, [("/title", VISIBLE)], id="title-unicode-spaces"),
    pytest.param({"title": "\u00ad\u180e\u200d\u2060\u206f"}, [("/title", VISIBLE)], id="title-invisible-format"),
    pytest.param({"title": "\u200b\ufeff\u2028\u2029"}, [("/title", VISIBLE)], id="title-invisible-characters"),
    pytest.param({"title": "\0"}, [("/title", VISIBLE)], id="title-nul-only"),
    pytest.param({"title": "Buy\0milk"}, [("/title", VISIBLE)], id="title-with-nul"),
    pytest.param({"title": "Buy milk\0"}, [("/title", VISIBLE)], id="title-ending-in-nul"),
    pytest.param(
        {"title": "t", "description": 1}, [("/description", "must be a string or null")], id="description-number"
    ),
    pytest.param(
        {"title": "t", "description": "x" * 1001},
        [("/description", "must be at most 1000 characters long")],
        id="description-1001",
    ),
    pytest.param(
        {"title": "t", "description": GRIN * 1001},
        [("/description", "must be at most 1000 characters long")],
        id="description-1001-astral",
    ),
    pytest.param(
        {"title": "t", "description": "\0"}, [("/description", "must contain no NUL character")], id="description-nul"
    ),
    pytest.param({"title": "t", "completed": None}, [("/completed", "must be a boolean")], id="completed-null"),
    pytest.param({"title": "t", "completed": 1}, [("/completed", "must be a boolean")], id="completed-number"),
    pytest.param({"title": "t", "completed": "true"}, [("/completed", "must be a boolean")], id="completed-string"),
    pytest.param({"title": "t", "priority": 1}, [("/priority", UNKNOWN)], id="unknown-member"),
    pytest.param({"title": "t", "Title": "T"}, [("/Title", UNKNOWN)], id="member-in-another-case"),
    pytest.param({"title": "t", "id": "01a1f83c-da9b-7d52-9c0e-3f6a1b8d2e47"}, [("/id", UNKNOWN)], id="id"),
    pytest.param({"title": "t", "user_id": "bob"}, [("/user_id", UNKNOWN)], id="user-id"),
    pytest.param({"title": "t", "created_at": "2026-11-20T09:15:00Z"}, [("/created_at", UNKNOWN)], id="created-at"),
    pytest.param([], [("", "must be an object")], id="array"),
    pytest.param("t", [("", "must be an object")], id="string"),
    pytest.param(None, [("", "must be an object")], id="null"),
]


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        *REFUSED,
        pytest.param({}, [("/title", "is required")], id="no-members"),
        pytest.param({"description": "d"}, [("/title", "is required")], id="no-title"),
    ],
)
def test_a_body_that_breaks_the_contract_creates_nothing(home: Home, body: Json, errors: list[tuple[str, str]]) -> None:
    answer = home.client.post(home.tasks, content=json.dumps(body), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()) == (422, invalid(home.tasks, *errors))
    assert home.list() == []


@pytest.mark.parametrize(
    ("body", "errors"), [*REFUSED, pytest.param({}, [("", "must have at least 1 member")], id="no-members")]
)
def test_a_body_that_breaks_the_contract_changes_nothing(home: Home, body: Json, errors: list[tuple[str, str]]) -> None:
    task = home.create()
    path = home.path(task)
    answer = home.client.put(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()) == (422, invalid(path, *errors))
    assert home.fetch(task) == task


def test_an_empty_title_is_refused_for_its_length_and_for_its_looks(home: Home) -> None:
    answer = home.client.post(home.tasks, json={"title": ""})
    problem = answer.json()
    problem["errors"].sort(key=lambda error: error["detail"])
    errors = [("/title", "must be at least 1 character long"), ("/title", VISIBLE)]
    assert (answer.status_code, problem) == (422, invalid(home.tasks, *errors))


def test_everything_wrong_with_a_body_is_told_at_once(home: Home) -> None:
    answer = home.client.post(home.tasks, json={"title": " ", "description": 5, "completed": "no", "a/b~c": 1})
    problem = answer.json()
    problem["errors"].sort(key=lambda error: error["pointer"])
    errors = [
        ("/a~1b~0c", UNKNOWN),
        ("/completed", "must be a boolean"),
        ("/description", "must be a string or null"),
        ("/title", VISIBLE),
    ]
    assert (answer.status_code, problem) == (422, invalid(home.tasks, *errors))


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_a_task_id_that_is_no_uuid_is_refused_as_a_parameter(home: Home, method: str) -> None:
    path = f"{home.tasks}/1" + (f"/{home.toggle}" if method == "PATCH" else "")
    answer = home.client.request(method, path, json={"title": "t"} if method == "PUT" else None)
    detail = "must be a UUID such as 01a1f83c-da9b-7d52-9c0e-3f6a1b8d2e47"
    expected = {**invalid(path), "errors": [{"parameter": "task_id", "detail": detail}]}
    assert (answer.status_code, answer.json()) == (422, expected)


# Text

TEXTS = [
    pytest.param("x", id="one-letter"),
    pytest.param("x" * 200, id="200-letters"),
    pytest.param(GRIN, id="one-astral-character"),
    pytest.param(GRIN * 200, id="200-astral-characters"),
    pytest.param("e\u0301" * 100, id="200-code-points-that-read-as-100-letters"),
    pytest.param(" \t padded \n", id="white-space-around"),
    pytest.param("\u200b.", id="zero-width-space-and-a-dot"),
    pytest.param(
        "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL} \N{THUMBS UP SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-6}", id="emoji"
    ),
    pytest.param("لشراء الحليب", id="arabic"),
    pytest.param("לקנות חלב \u202eabc\u202c", id="hebrew-with-a-bidi-override"),
    pytest.param("Cafe\u0301", id="decomposed"),
    pytest.param("Caf\u00e9", id="composed"),
    pytest.param("Z" + "\u0335\u0321\u034f" * 60, id="stacked-combining-marks"),
    pytest.param("\N{LINEAR B SYLLABLE B008 A}\N{MATHEMATICAL BOLD SMALL X}\U0010fffd", id="astral"),
    pytest.param("\ufdfa" * 200, id="ligatures-that-decompose-to-18-characters-each"),
    pytest.param("\uffff\ufffe\ue000", id="noncharacters"),
    pytest.param("\x01\x1f\x7f visible", id="control-characters"),
    pytest.param("Robert'); DROP TABLE tasks;-- %s %(id)s {0}", id="punctuation-of-other-languages"),
    pytest.param('\\u0000 \\n "quoted" </script>', id="escapes-as-text"),
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_title_and_a_description_come_back_as_they_were_sent(home: Home, text: str) -> None:
    created = home.create(title=text, description=text)
    assert created == {**created, "title": text, "description": text}
    assert home.fetch(created) == created
    plain = home.create(title="t")
    updated = home.client.put(home.path(plain), json={"title": text, "description": text}).json()
    assert updated == {**plain, "title": text, "description": text, "updated_at": updated["updated_at"]}
    assert home.list() == [created, updated]


def test_a_description_takes_1000_code_points(home: Home) -> None:
    assert home.create(description=GRIN * 1000)["description"] == GRIN * 1000


def test_an_escaped_surrogate_pair_is_the_character_that_it_stands_for(home: Home) -> None:
    answer = home.client.post(
        home.tasks, content=rb'{"title": "\ud83d\ude00"}', headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["title"]) == (201, GRIN)


# Users


def profile(client: httpx2.Client, subject: str) -> Json:
    answer = client.get(f"/api/{subject}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    read: Json = answer.json()
    assert MOMENT.fullmatch(read["created_at"])
    return read


def test_a_user_is_known_from_the_first_request_on(ada: Owner) -> None:
    subject, client = ada
    before = datetime.now(UTC)
    first = profile(client, subject)
    assert first == {
        "id": subject,
        "email": None,
        "name": None,
        "created_at": first["created_at"],
        "tasks": {"total": 0, "completed": 0, "pending": 0},
    }
    assert before <= moment(first["created_at"]) <= datetime.now(UTC)
    assert profile(client, subject) == first


def test_a_user_is_made_with_the_first_task(service: Service, new_user: Callable[[str], str]) -> None:
    subject = new_user("grace")
    named = service.as_user(subject, **NAMED)
    task = named.post("/api/tasks", json={"title": "t"}).json()
    assert profile(service.as_user(subject), subject) == {
        "id": subject,
        **NAMED,
        "created_at": task["created_at"],
        "tasks": {"total": 1, "completed": 0, "pending": 1},
    }


def test_a_profile_counts_the_tasks_of_its_user_only(ada: Owner, bob: Owner) -> None:
    subject, client = ada
    bob[1].post("/api/tasks", json={"title": "of Bob"})
    tasks = [
        client.post("/api/tasks", json={"title": "t", "completed": number < 2}).json()["id"] for number in range(5)
    ]
    first = profile(client, subject)
    assert first["tasks"] == {"total": 5, "completed": 2, "pending": 3}
    client.patch(f"/api/tasks/{tasks[0]}/toggle")
    client.delete(f"/api/tasks/{tasks[4]}")
    assert profile(client, subject) == {**first, "tasks": {"total": 4, "completed": 1, "pending": 3}}


OTHER = {"email": "ada@lovelace.example", "name": "Countess of Lovelace"}
CLAIMS = [
    pytest.param(NOBODY, NAMED, NAMED, id="claims-that-come-later-are-added"),
    pytest.param(NAMED, OTHER, OTHER, id="claims-that-change-replace"),
    pytest.param(NAMED, NOBODY, NAMED, id="claims-that-are-absent-leave"),
    pytest.param(NAMED, {"name": "Ada"}, {**NAMED, "name": "Ada"}, id="only-the-name-changes"),
    pytest.param(NAMED, {"email": "a@b"}, {**NAMED, "email": "a@b"}, id="only-the-email-changes"),
    pytest.param(NAMED, NAMED, NAMED, id="the-same-claims-leave"),
    pytest.param(NAMED, {"email": "", "name": ""}, NAMED, id="empty-claims-leave"),
    pytest.param(NAMED, {"email": "a" * 321, "name": "a" * 256}, NAMED, id="claims-that-are-too-long-leave"),
    pytest.param(NAMED, {"email": "\0", "name": "a\0"}, NAMED, id="claims-with-nul-leave"),
    pytest.param(
        NAMED,
        {"email": "é" * 320, "name": "é" * 255},
        {"email": "é" * 320, "name": "é" * 255},
        id="claims-of-the-greatest-length-replace",
    ),
]


@pytest.mark.parametrize("sight", ["profile", "create"])
@pytest.mark.parametrize(("first", "later", "kept"), CLAIMS)
def test_the_row_of_a_user_follows_the_claims_of_their_tokens(  # noqa: PLR0913, PLR0917  the table's columns
    service: Service, new_user: Callable[[str], str], sight: str, first: Json, later: Json, kept: Json
) -> None:
    subject = new_user("ada")
    for claims in (first, later):
        client = service.as_user(subject, **claims)
        answer = client.get(f"/api/{subject}") if sight == "profile" else client.post("/api/tasks", json={"title": "t"})
        assert answer.is_success
    found = profile(service.as_user(subject), subject)
    total = 0 if sight == "profile" else 2
    assert found == {
        "id": subject,
        **kept,
        "created_at": found["created_at"],
        "tasks": {"total": total, "completed": 0, "pending": total},
    }


def test_a_change_of_claims_leaves_the_moment_when_the_user_was_made(
    service: Service, new_user: Callable[[str], str]
) -> None:
    subject = new_user("ada")
    first = profile(service.as_user(subject, **NAMED), subject)
    assert profile(service.as_user(subject, **OTHER), subject) == {**first, **OTHER}


# Tokens


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        pytest.param({}, NOBODY, id="only-a-subject"),
        pytest.param(NAMED, NAMED, id="named"),
        pytest.param({"email": "", "name": "a" * 256}, NOBODY, id="unusable-claims"),
    ],
)
def test_verify_tells_whose_token_it_is_and_until_when(
    service: Service, new_user: Callable[[str], str], claims: Json, told: Json
) -> None:
    subject = new_user("ada")
    text = token(subject, **claims)
    answer = service.client(authorization=f"Bearer {text}").post("/api/auth/verify")
    payload = text.split(".")[1]
    expires_at = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {
        "user_id": subject,
        **told,
        "expires_at": datetime.fromtimestamp(expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
