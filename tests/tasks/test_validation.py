"""Task bodies that break the contract are refused with every violation; text is kept as it was sent."""

import json

import pytest

from tests.support.api import TasksApi
from tests.support.problems import invalid
from tests.support.types import Json

GRIN = "\N{GRINNING FACE}"

# Requests that the contract refuses

NOT_BLANK = "must contain more than white space and no NUL character"
UNKNOWN = "is not a known member"
REFUSED = [
    pytest.param({"title": None}, [("/title", "must be a string")], id="title-null"),
    pytest.param({"title": 1}, [("/title", "must be a string")], id="title-number"),
    pytest.param({"title": ["t"]}, [("/title", "must be a string")], id="title-array"),
    pytest.param({"title": "x" * 201}, [("/title", "must be at most 200 characters long")], id="title-201"),
    pytest.param({"title": GRIN * 201}, [("/title", "must be at most 200 characters long")], id="title-201-astral"),
    pytest.param({"title": " "}, [("/title", NOT_BLANK)], id="title-space"),
    pytest.param({"title": "\t\r\n"}, [("/title", NOT_BLANK)], id="title-tab-and-line-ends"),
    pytest.param({"title": "\x1b\x7f\x85"}, [("/title", NOT_BLANK)], id="title-control-characters"),
    pytest.param({"title": "\u00a0\u1680\u2003\u202f\u205f\u3000"}, [("/title", NOT_BLANK)], id="title-unicode-spaces"),
    pytest.param({"title": "\u00ad\u180e\u200d\u2060\u206f"}, [("/title", NOT_BLANK)], id="title-invisible-format"),
    pytest.param({"title": "\u200b\ufeff\u2028\u2029"}, [("/title", NOT_BLANK)], id="title-invisible-characters"),
    pytest.param({"title": "\0"}, [("/title", NOT_BLANK)], id="title-nul-only"),
    pytest.param({"title": "Buy\0milk"}, [("/title", NOT_BLANK)], id="title-with-nul"),
    pytest.param({"title": "Buy milk\0"}, [("/title", NOT_BLANK)], id="title-ending-in-nul"),
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
    pytest.param({"title": "t", "deleted_at": None}, [("/deleted_at", UNKNOWN)], id="member-of-no-task"),
    pytest.param(
        {"title": "t", "user_id": "bob"}, [("/user_id", "must be the user whom the token names")], id="user-id"
    ),
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
def test_a_body_that_breaks_the_contract_creates_nothing(
    api: TasksApi, body: Json, errors: list[tuple[str, str]]
) -> None:
    answer = api.client.post(api.tasks, content=json.dumps(body), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()) == (422, invalid(api.tasks, *errors))
    assert api.list() == []


@pytest.mark.parametrize(
    ("body", "errors"), [*REFUSED, pytest.param({}, [("", "must have at least 1 member")], id="no-members")]
)
def test_a_body_that_breaks_the_contract_changes_nothing(
    api: TasksApi, body: Json, errors: list[tuple[str, str]]
) -> None:
    task = api.create()
    path = api.path(task)
    answer = api.client.put(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()) == (422, invalid(path, *errors))
    assert api.fetch(task) == task


def test_an_empty_title_is_reported_once(api: TasksApi) -> None:
    """The pattern is not mentioned beside the least length."""
    answer = api.client.post(api.tasks, json={"title": ""})
    expected = invalid(api.tasks, ("/title", "must be at least 1 character long"))
    assert (answer.status_code, answer.json()) == (422, expected)


def test_everything_wrong_with_a_body_is_told_at_once(api: TasksApi) -> None:
    answer = api.client.post(api.tasks, json={"title": " ", "description": 5, "completed": "no", "a/b~c": 1})
    problem = answer.json()
    problem["errors"].sort(key=lambda error: error["pointer"])
    errors = [
        ("/a~1b~0c", UNKNOWN),
        ("/completed", "must be a boolean"),
        ("/description", "must be a string or null"),
        ("/title", NOT_BLANK),
    ]
    assert (answer.status_code, problem) == (422, invalid(api.tasks, *errors))


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_a_task_id_that_is_no_uuid_is_refused_as_a_parameter(api: TasksApi, method: str) -> None:
    path = f"{api.tasks}/1" + (f"/{api.toggle}" if method == "PATCH" else "")
    answer = api.client.request(method, path, json={"title": "t"} if method == "PUT" else None)
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
    pytest.param("\u2800", id="blank-braille-pattern"),
    pytest.param("\u3164", id="hangul-filler"),
    pytest.param("\ufe0f", id="variation-selector"),
    pytest.param("\u0301", id="combining-accent"),
    pytest.param("\U000e0041", id="tag-character"),
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
def test_a_title_and_a_description_come_back_as_they_were_sent(api: TasksApi, text: str) -> None:
    created = api.create(title=text, description=text)
    assert created == {**created, "title": text, "description": text}
    assert api.fetch(created) == created
    plain = api.create(title="t")
    updated = api.client.put(api.path(plain), json={"title": text, "description": text}).json()
    assert updated == {**plain, "title": text, "description": text, "updated_at": updated["updated_at"]}
    assert api.list() == [created, updated]


def test_a_description_takes_1000_code_points(api: TasksApi) -> None:
    assert api.create(description=GRIN * 1000)["description"] == GRIN * 1000


def test_an_escaped_surrogate_pair_is_one_character(api: TasksApi) -> None:
    answer = api.client.post(
        api.tasks, content=rb'{"title": "\ud83d\ude00"}', headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["title"]) == (201, GRIN)
