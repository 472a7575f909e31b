"""Entity tags and conditional changes: `If-Match` (RFC 9110, section 13.1.1)."""

import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from tests.support.api import TasksApi, both_apis, tag
from tests.support.concurrency import at_once
from tests.support.raw_http import problem, violations
from tests.support.service import Service, token
from tests.support.types import Call, Json, Owner

Change = Callable[[TasksApi, Json, Any], httpx2.Response]
"""A conditional change of a task: its api, the task, and the header fields."""

STRONG = re.compile(r'"[!#-~]+"')
NO_TAGS = 'must be "*" or entity tags in quotes, separated by commas'
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CHANGES: dict[str, Change] = {
    "PUT": lambda api, task, fields: api.client.put(api.path(task), json={"title": "new"}, headers=fields),
    "PATCH": lambda api, task, fields: api.client.patch(f"{api.path(task)}/{api.toggle}", headers=fields),
    "DELETE": lambda api, task, fields: api.client.delete(api.path(task), headers=fields),
    "DELETE for good": lambda api, task, fields: api.client.delete(
        api.path(task), params={"permanent": True}, headers=fields
    ),
}


@pytest.fixture(params=CHANGES)
def change(request: pytest.FixtureRequest) -> Change:
    """Each way of changing one task."""
    return CHANGES[request.param]


def if_match(*values: str) -> list[tuple[str, str]]:
    return [("If-Match", value) for value in values]


def untouched(api: TasksApi, task: Json) -> bool:
    now: Json = api.client.get(api.path(task)).json()
    return now == task


# The tag


def test_every_response_with_a_task_has_its_entity_tag(api: TasksApi) -> None:
    made = api.client.post(api.tasks, json={"title": "Buy milk"})
    task = made.json()
    tags = [made.headers["etag"]]
    assert tags == [tag(api, task)]
    path = api.path(task)
    changes: list[Json] = [{"title": "Buy oat milk"}, {"description": "two cartons"}, {"completed": True}]
    for change in (*changes, None, None):
        answer = api.client.patch(f"{path}/{api.toggle}") if change is None else api.client.put(path, json=change)
        tags.append(answer.headers["etag"])
        assert tag(api, task) == tags[-1]
    api.client.delete(path).raise_for_status()
    restored = api.client.post(f"{path}/restore")
    tags.append(restored.headers["etag"])
    assert tag(api, task) == tags[-1]
    assert all(STRONG.fullmatch(each) for each in tags)
    assert len(set(tags)) == len(tags)


def test_what_changes_nothing_leaves_the_tag_alone(api: TasksApi) -> None:
    task = api.create(description="a", completed=True)
    before = tag(api, task)
    same = {name: task[name] for name in ("title", "description", "completed")}
    for body in (same, {"title": task["title"]}, {"completed": True}):
        assert api.client.put(api.path(task), json=body).headers["etag"] == before
    assert api.client.post(f"{api.path(task)}/restore").headers["etag"] == before
    assert api.client.patch(api.tasks, json={"completed": True}).json() == {"count": 0}
    assert tag(api, task) == before


def test_the_tag_is_one_under_both_addresses(ada: Owner) -> None:
    one, other = both_apis(*ada)
    task = one.create()
    assert tag(one, task) == tag(other, task)
    assert other.client.put(other.path(task), json={"title": "x"}, headers=if_match(tag(one, task))).is_success


# If-Match


def test_a_change_of_the_version_at_hand_is_made(api: TasksApi, change: Change) -> None:
    task = api.create()
    answer = change(api, task, if_match(tag(api, task)))
    assert answer.status_code in (200, 204)
    assert not untouched(api, task)


def test_a_change_of_any_version_is_made(api: TasksApi, change: Change) -> None:
    task = api.create()
    assert change(api, task, if_match("*")).is_success
    assert not untouched(api, task)


def test_a_change_of_an_older_version_is_refused(service: Service, api: TasksApi, change: Change) -> None:
    task = api.create()
    stale = tag(api, task)
    api.client.put(api.path(task), json={"title": "of somebody else"}).raise_for_status()
    now = api.fetch(task)
    assert problem(service, change(api, task, if_match(stale)), "precondition-failed")
    assert untouched(api, now)


OTHER = '"a","b" , W/"c"'


@pytest.mark.parametrize(
    "values",
    [
        lambda own: [f'{own}, "x"'],
        lambda own: [f'"x",{own}'],
        lambda own: [f'"x"\t , {own} ,"y"'],
        lambda own: [OTHER, own],
        lambda own: [own, OTHER],
        lambda own: [f"W/{own}, {own}"],
        lambda own: ['"a,b"', own],
        lambda own: ['""', own],
    ],
    ids=[
        "first",
        "last",
        "in the middle",
        "in a second field",
        "in the first field",
        "weak and strong",
        "a comma",
        "empty",
    ],
)
def test_one_tag_of_a_list_is_enough(api: TasksApi, change: Change, values: Callable[[str], list[str]]) -> None:
    task = api.create()
    assert change(api, task, if_match(*values(tag(api, task)))).is_success


def _number(own: str) -> int:
    return int(own.strip('"'), 16)


@pytest.mark.parametrize(
    "value",
    [
        lambda own: f"W/{own}",
        lambda own: f'W/{own}, "x"',
        lambda own: own.upper(),
        lambda own: f'"0{own[1:]}',
        lambda own: f'"0x{own[1:]}',
        lambda own: f'"+{own[1:]}',
        lambda own: f'"-{own[1:]}',
        lambda own: f"{own[:3]}_{own[3:]}",
        lambda own: f'"{_number(own)}"',
        lambda own: f'"{_number(own) + 1:x}"',
        lambda own: f'"{_number(own) - 1:x}"',
        lambda _: '""',
        lambda _: '"x"',
        lambda _: '"*"',
        lambda _: f'"{"f" * 4000}"',
        lambda _: '"686c1b0e5ee8a3d1c52bb1a1"',
        lambda _: '"-ffffffffffffff"',
        lambda _: '"3afff44180"',
    ],
    ids=[
        "weak",
        "weak in a list",
        "upper case",
        "a leading zero",
        "a prefix",
        "a plus sign",
        "a minus sign",
        "an underscore",
        "decimal",
        "later",
        "earlier",
        "empty",
        "a word",
        "a star in quotes",
        "long",
        "a foreign one",
        "before the year 1",
        "short",
    ],
)
def test_what_is_not_the_tag_matches_nothing(
    service: Service, api: TasksApi, change: Change, value: Callable[[str], str]
) -> None:
    task = api.create()
    own = tag(api, task)
    while own == own.upper():
        task = api.create()
        own = tag(api, task)
    problem(service, change(api, task, if_match(value(own))), "precondition-failed")
    assert untouched(api, task)


@pytest.mark.parametrize(
    "values",
    [
        ["x"],
        [""],
        ['"x'],
        ['"x",'],
        [',"x"'],
        ['"x",,"y"'],
        ['"x" "y"'],
        ['"x", *'],
        ["*", "*"],
        ["*", '"x"'],
        ['w/"x"'],
        ['W/ "x"'],
        ['"a b"'],
        ['"x";q=1'],
        ['"' + "x" * 4095 + '"'],
    ],
    ids=lambda values: ", ".join(values)[:12] or "nothing",
)
@pytest.mark.parametrize("field", ["If-Match", "If-None-Match"])
def test_what_is_no_list_of_tags_is_refused(service: Service, api: TasksApi, field: str, values: list[str]) -> None:
    task = api.create()
    fields = [(field, value) for value in values]
    asked = [api.client.get(api.path(task), headers=fields), api.client.get(api.tasks, headers=fields)]
    if field == "If-Match":
        asked = [change(api, task, fields) for change in CHANGES.values()]
    for answer in asked:
        found = violations(service, answer)
        assert {where for where, _ in found} == {field}
        assert len("".join(values)) > 4000 or found == [(field, NO_TAGS)]
    assert untouched(api, task)


def test_a_missing_task_is_a_404_whatever_version_is_meant(service: Service, api: TasksApi, change: Change) -> None:
    gone = api.create()
    own = tag(api, gone)
    api.client.delete(api.path(gone), params={"permanent": True}).raise_for_status()
    for value in (own, '"x"', "*", f"W/{own}"):
        problem(service, change(api, gone, if_match(value)), "task-not-found")


def test_a_task_in_the_trash_is_a_404_but_for_its_removal(service: Service, api: TasksApi) -> None:
    task = api.create()
    own = tag(api, task)
    api.client.delete(api.path(task)).raise_for_status()
    for name in ("PUT", "PATCH", "DELETE"):
        for value in (own, '"x"', "*"):
            problem(service, CHANGES[name](api, task, if_match(value)), "task-not-found")
    # The trashed task is found in the trash, in the version that its deletion gave it.
    problem(service, CHANGES["DELETE for good"](api, task, if_match(own)), "precondition-failed")
    (trashed,) = api.client.get(api.tasks, params={"status": "trashed"}).json()
    now = f'"{(datetime.fromisoformat(trashed["updated_at"]) - EPOCH) // timedelta(microseconds=1):x}"'
    assert CHANGES["DELETE for good"](api, task, if_match(now)).status_code == 204


def test_somebody_elses_task_is_a_404_with_its_own_tag(
    service: Service, api: TasksApi, bob: Owner, change: Change
) -> None:
    task = api.create()
    others = both_apis(*bob)[1]
    for value in (tag(api, task), "*", '"x"'):
        problem(service, change(others, task, if_match(value)), "task-not-found")
    assert untouched(api, task)


def test_a_violation_is_reported_before_the_precondition(service: Service, api: TasksApi) -> None:
    task = api.create()
    answer = api.client.put(api.path(task), json={"title": "", "x": 1}, headers=if_match('"x"'))
    assert {where for where, _ in violations(service, answer)} == {"/title", "/x"}
    answer = api.client.put(api.path(task), json={"x": 1}, headers=if_match("x"))
    assert violations(service, answer) == [("/x", "is not a known member"), ("If-Match", NO_TAGS)]


def test_a_change_to_the_same_values_needs_the_version_too(service: Service, api: TasksApi) -> None:
    task = api.create()
    same = {"title": task["title"]}
    problem(service, api.client.put(api.path(task), json=same, headers=if_match('"x"')), "precondition-failed")
    answer = api.client.put(api.path(task), json=same, headers=if_match(tag(api, task)))
    assert (answer.status_code, answer.json()) == (200, task)


# Two editors


def _conditional(method: str, path: str, own: str, number: int) -> Call:
    fields = {"If-Match": own}
    match method:
        case "PUT":
            return lambda client: client.put(path, json={"title": f"editor {number}"}, headers=fields)
        case "PATCH":
            return lambda client: client.patch(f"{path}/toggle", headers=fields)
        case _:
            return lambda client: client.delete(path, headers=fields)


@pytest.mark.parametrize(
    "methods",
    [["PUT"] * 2, ["PATCH"] * 2, ["DELETE"] * 2, ["PUT", "PATCH", "DELETE"], ["PUT", "DELETE"] * 4, ["PUT"] * 12],
    ids=", ".join,
)
def test_of_editors_of_one_version_exactly_one_wins(service: Service, ada: Owner, methods: list[str]) -> None:
    subject, client = ada
    api = both_apis(*ada)[1]
    winners: Counter[str] = Counter()
    for _ in range(8):
        task = api.create()
        own, path = tag(api, task), api.path(task)
        calls = [(token(subject), _conditional(each, path, own, number)) for number, each in enumerate(methods)]
        answers = at_once(service, calls)
        won = [number for number, answer in enumerate(answers) if answer.is_success]
        assert len(won) == 1
        method = methods[won[0]]
        winners[method] += 1
        # A request after a deletion finds nothing.
        losers = {answer.status_code for answer in answers if not answer.is_success}
        assert losers == {404 if method == "DELETE" else 412}
        now = client.get(path)
        match method:
            case "PUT":
                assert now.json() == answers[won[0]].json() == {**now.json(), "title": f"editor {won[0]}"}
            case "PATCH":
                assert now.json() == answers[won[0]].json() == {**now.json(), "completed": True}
            case _:
                assert now.status_code == 404
    assert winners.total() == 8


def test_an_editor_who_reads_again_after_losing_gets_through(service: Service, ada: Owner) -> None:
    subject, _ = ada
    api = both_apis(*ada)[1]
    task = api.create(title="0")
    path = api.path(task)

    def count_up(client: httpx2.Client) -> httpx2.Response:
        while True:
            found = client.get(path)
            more = {"title": str(int(found.json()["title"]) + 1)}
            answer = client.put(path, json=more, headers={"If-Match": found.headers["etag"]})
            if answer.status_code != 412:
                return answer

    answers = at_once(service, [(token(subject), count_up)] * 10)
    assert [answer.status_code for answer in answers] == [200] * 10
    # A lost change would be missing here.
    assert api.fetch(task)["title"] == "10"
