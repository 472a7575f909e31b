"""Entity tags: nobody overwrites what they have not seen, and nobody is sent again what they have."""

import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from tests.support.concurrency import at_once
from tests.support.raw_http import problem, violations
from tests.support.service import Service, token
from tests.support.types import Call, Json, Owner
from tests.tasks.test_tasks import Home, both_homes

Change = Callable[[Home, Json, Any], httpx2.Response]
"""A conditional change of a task: its home, the task, and the header fields."""

STRONG = re.compile(r'"[!#-~]+"')
NO_TAGS = 'must be "*" or entity tags in quotes, separated by commas'
SORTS = ["created", "-created", "title", "-title", "updated", "-updated"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(params=[0, 1], ids=["by-user-id", "by-token"])
def home(request: pytest.FixtureRequest, ada: Owner) -> Home:
    """Ada's tasks, under each address."""
    index: int = request.param
    return both_homes(*ada)[index]


CHANGES: dict[str, Change] = {
    "PUT": lambda home, task, fields: home.client.put(home.path(task), json={"title": "new"}, headers=fields),
    "PATCH": lambda home, task, fields: home.client.patch(f"{home.path(task)}/{home.toggle}", headers=fields),
    "DELETE": lambda home, task, fields: home.client.delete(home.path(task), headers=fields),
    "DELETE for good": lambda home, task, fields: home.client.delete(
        home.path(task), params={"permanent": True}, headers=fields
    ),
}


@pytest.fixture(params=CHANGES)
def change(request: pytest.FixtureRequest) -> Change:
    """Each way of changing one task."""
    return CHANGES[request.param]


def tag(home: Home, task: Json) -> str:
    found: str = home.client.get(home.path(task)).headers["etag"]
    return found


def if_match(*values: str) -> list[tuple[str, str]]:
    return [("If-Match", value) for value in values]


def untouched(home: Home, task: Json) -> bool:
    now: Json = home.client.get(home.path(task)).json()
    return now == task


# The tag


def test_every_answer_with_a_task_carries_the_tag_that_reading_it_gives(home: Home) -> None:
    made = home.client.post(home.tasks, json={"title": "Buy milk"})
    task = made.json()
    tags = [made.headers["etag"]]
    assert tags == [tag(home, task)]
    home_path = home.path(task)
    changes: list[Json] = [{"title": "Buy oat milk"}, {"description": "two cartons"}, {"completed": True}]
    for change in (*changes, None, None):
        answer = (
            home.client.patch(f"{home_path}/{home.toggle}")
            if change is None
            else home.client.put(home_path, json=change)
        )
        tags.append(answer.headers["etag"])
        assert tag(home, task) == tags[-1]
    home.client.delete(home_path).raise_for_status()
    restored = home.client.post(f"{home_path}/restore")
    tags.append(restored.headers["etag"])
    assert tag(home, task) == tags[-1]
    assert all(STRONG.fullmatch(each) for each in tags)
    assert len(set(tags)) == len(tags)


def test_what_changes_nothing_leaves_the_tag_alone(home: Home) -> None:
    task = home.create(description="a", completed=True)
    before = tag(home, task)
    same = {name: task[name] for name in ("title", "description", "completed")}
    for body in (same, {"title": task["title"]}, {"completed": True}):
        assert home.client.put(home.path(task), json=body).headers["etag"] == before
    assert home.client.post(f"{home.path(task)}/restore").headers["etag"] == before
    assert home.client.patch(home.tasks, json={"completed": True}).json() == {"count": 0}
    assert tag(home, task) == before


def test_the_tag_is_one_under_both_addresses(ada: Owner) -> None:
    one, other = both_homes(*ada)
    task = one.create()
    assert tag(one, task) == tag(other, task)
    assert other.client.put(other.path(task), json={"title": "x"}, headers=if_match(tag(one, task))).is_success


# If-Match


def test_a_change_of_the_version_at_hand_is_made(home: Home, change: Change) -> None:
    task = home.create()
    answer = change(home, task, if_match(tag(home, task)))
    assert answer.status_code in (200, 204)
    assert not untouched(home, task)


def test_a_change_of_any_version_is_made(home: Home, change: Change) -> None:
    task = home.create()
    assert change(home, task, if_match("*")).is_success
    assert not untouched(home, task)


def test_a_change_of_an_older_version_is_refused(service: Service, home: Home, change: Change) -> None:
    task = home.create()
    stale = tag(home, task)
    home.client.put(home.path(task), json={"title": "of somebody else"}).raise_for_status()
    now = home.fetch(task)
    assert problem(service, change(home, task, if_match(stale)), "precondition-failed")
    assert untouched(home, now)


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
def test_one_tag_of_a_list_is_enough(home: Home, change: Change, values: Callable[[str], list[str]]) -> None:
    task = home.create()
    assert change(home, task, if_match(*values(tag(home, task)))).is_success


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
    service: Service, home: Home, change: Change, value: Callable[[str], str]
) -> None:
    task = home.create()
    own = tag(home, task)
    while own == own.upper():
        task = home.create()
        own = tag(home, task)
    problem(service, change(home, task, if_match(value(own))), "precondition-failed")
    assert untouched(home, task)


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
def test_what_is_no_list_of_tags_is_refused(service: Service, home: Home, field: str, values: list[str]) -> None:
    task = home.create()
    fields = [(field, value) for value in values]
    asked = [home.client.get(home.path(task), headers=fields), home.client.get(home.tasks, headers=fields)]
    if field == "If-Match":
        asked = [change(home, task, fields) for change in CHANGES.values()]
    for answer in asked:
        found = violations(service, answer)
        assert {where for where, _ in found} == {field}
        assert len("".join(values)) > 4000 or found == [(field, NO_TAGS)]
    assert untouched(home, task)


def test_a_missing_task_is_a_404_whatever_version_is_meant(service: Service, home: Home, change: Change) -> None:
    gone = home.create()
    own = tag(home, gone)
    home.client.delete(home.path(gone), params={"permanent": True}).raise_for_status()
    for value in (own, '"x"', "*", f"W/{own}"):
        problem(service, change(home, gone, if_match(value)), "task-not-found")


def test_a_task_in_the_trash_is_a_404_but_for_its_removal(service: Service, home: Home) -> None:
    task = home.create()
    own = tag(home, task)
    home.client.delete(home.path(task)).raise_for_status()
    for name in ("PUT", "PATCH", "DELETE"):
        for value in (own, '"x"', "*"):
            problem(service, CHANGES[name](home, task, if_match(value)), "task-not-found")
    # The trash is where it is found, in the version that it was put there in.
    problem(service, CHANGES["DELETE for good"](home, task, if_match(own)), "precondition-failed")
    (trashed,) = home.client.get(home.tasks, params={"status": "trashed"}).json()
    now = f'"{(datetime.fromisoformat(trashed["updated_at"]) - EPOCH) // timedelta(microseconds=1):x}"'
    assert CHANGES["DELETE for good"](home, task, if_match(now)).status_code == 204


def test_somebody_elses_task_is_a_404_with_its_own_tag(
    service: Service, home: Home, bob: Owner, change: Change
) -> None:
    task = home.create()
    others = both_homes(*bob)[1]
    for value in (tag(home, task), "*", '"x"'):
        problem(service, change(others, task, if_match(value)), "task-not-found")
    assert untouched(home, task)


def test_what_is_wrong_with_the_request_is_told_before_the_version(service: Service, home: Home) -> None:
    task = home.create()
    answer = home.client.put(home.path(task), json={"title": "", "x": 1}, headers=if_match('"x"'))
    assert {where for where, _ in violations(service, answer)} == {"/title", "/x"}
    answer = home.client.put(home.path(task), json={"x": 1}, headers=if_match("x"))
    assert violations(service, answer) == [("/x", "is not a member that the contract knows"), ("If-Match", NO_TAGS)]


def test_a_change_to_the_same_values_needs_the_version_too(service: Service, home: Home) -> None:
    task = home.create()
    same = {"title": task["title"]}
    problem(service, home.client.put(home.path(task), json=same, headers=if_match('"x"')), "precondition-failed")
    answer = home.client.put(home.path(task), json=same, headers=if_match(tag(home, task)))
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
    home = both_homes(*ada)[1]
    winners: Counter[str] = Counter()
    for _ in range(8):
        task = home.create()
        own, path = tag(home, task), home.path(task)
        calls = [(token(subject), _conditional(each, path, own, number)) for number, each in enumerate(methods)]
        answers = at_once(service, calls)
        won = [number for number, answer in enumerate(answers) if answer.is_success]
        assert len(won) == 1
        method = methods[won[0]]
        winners[method] += 1
        # Who comes after a deletion finds nothing.
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
    home = both_homes(*ada)[1]
    task = home.create(title="0")
    path = home.path(task)

    def count_up(client: httpx2.Client) -> httpx2.Response:
        while True:
            found = client.get(path)
            more = {"title": str(int(found.json()["title"]) + 1)}
            answer = client.put(path, json=more, headers={"If-Match": found.headers["etag"]})
            if answer.status_code != 412:
                return answer

    answers = at_once(service, [(token(subject), count_up)] * 10)
    assert [answer.status_code for answer in answers] == [200] * 10
    # A change that got lost would be missing here.
    assert home.fetch(task)["title"] == "10"


# If-None-Match


def lists(home: Home) -> list[str]:
    """Every list that there is, and its second page."""
    return [
        f"{home.tasks}?status={status}&sort={sort}&limit={limit}"
        for status in ("all", "pending", "completed", "trashed")
        for sort in SORTS
        for limit in (1, 1000)
    ]


def assert_unchanged(client: httpx2.Client, path: str, known: httpx2.Response, value: str) -> None:
    for method in ("GET", "HEAD"):
        answer = client.request(method, path, headers={"If-None-Match": value})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == known.headers["etag"]
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-request-id"]
        assert not {"content-type", "content-length", "transfer-encoding"} & set(answer.headers)


@pytest.mark.parametrize("what", ["a task", "a list", "the second page", "a profile"])
def test_who_has_it_is_not_sent_it_again(home: Home, what: str) -> None:
    task = home.create()
    home.create()
    client = home.client
    first_page = client.get(home.tasks, params={"limit": 1})
    path: str = {
        "a task": home.path(task),
        "a list": home.tasks,
        "the second page": first_page.links["next"]["url"],
        "a profile": f"/api/{home.subject}",
    }[what]
    known = client.get(path)
    own = known.headers["etag"]
    assert STRONG.fullmatch(own)
    assert client.head(path).headers["etag"] == own
    for value in (own, f"W/{own}", f'"x", {own}', f'W/"x",W/{own}', "*"):
        assert_unchanged(client, path, known, value)
    for value in ('"x"', own.swapcase(), f'"{own[1:-1]}x"', f'"{own[2:-1]}"', '"*"'):
        answer = client.get(path, headers={"If-None-Match": value})
        assert (answer.status_code, answer.content) == (200, known.content)
        assert answer.headers["etag"] == own


def test_a_304_keeps_the_connection_in_step(home: Home) -> None:
    task = home.create()
    own = tag(home, task)
    for _ in range(5):
        assert home.client.get(home.path(task), headers={"If-None-Match": own}).status_code == 304
        assert home.client.get(home.path(task)).json() == task


def test_several_fields_are_one_list(home: Home) -> None:
    task = home.create()
    fields = [("If-None-Match", '"x"'), ("If-None-Match", tag(home, task)), ("If-None-Match", 'W/"y"')]
    assert home.client.get(home.path(task), headers=fields).status_code == 304


def test_every_list_has_a_tag_that_holds_until_it_changes(home: Home) -> None:
    tasks = [home.create(title=title) for title in "abcd"]
    home.client.put(home.path(tasks[1]), json={"completed": True}).raise_for_status()
    home.client.delete(home.path(tasks[2])).raise_for_status()
    for path in lists(home):
        known = home.client.get(path)
        assert_unchanged(home.client, path, known, known.headers["etag"])


def tags_of_lists(home: Home) -> dict[str, str]:
    return {path: home.client.get(path).headers["etag"] for path in lists(home)}


def test_the_tag_of_a_list_changes_with_any_task_in_it_and_with_no_other(home: Home) -> None:
    tasks = [home.create(title=title) for title in "ab"]
    done = home.create(title="c", completed=True)
    trashed = home.create(title="d")
    home.client.delete(home.path(trashed)).raise_for_status()
    for task, seen_in in ((tasks[0], "pending"), (tasks[1], "pending"), (done, "completed")):
        before = tags_of_lists(home)
        home.client.put(home.path(task), json={"description": f"of {task['title']}"}).raise_for_status()
        after = tags_of_lists(home)
        for path in before:
            if "limit=1000" in path:
                holds_it = f"status={seen_in}" in path or "status=all" in path
                assert (before[path] != after[path]) == holds_it, path


def test_the_tag_of_a_list_changes_with_its_next_page(home: Home) -> None:
    task = home.create(title="a")
    path = f"{home.tasks}?limit=1"
    alone = home.client.get(path)
    home.create(title="b")
    followed = home.client.get(path, headers={"If-None-Match": alone.headers["etag"]})
    assert (followed.status_code, followed.json()) == (200, [task])
    assert "link" in followed.headers
    assert "link" not in alone.headers


def test_the_tag_of_a_list_is_as_before_when_it_is_as_before(home: Home) -> None:
    home.create()
    before = home.client.get(home.tasks).headers["etag"]
    extra = home.create()
    assert home.client.get(home.tasks).headers["etag"] != before
    home.client.delete(home.path(extra)).raise_for_status()
    assert home.client.get(home.tasks).headers["etag"] == before


def test_the_tag_of_a_profile_changes_with_its_counts_and_its_claims(service: Service, ada: Owner) -> None:
    subject, client = ada
    path = f"/api/{subject}"
    tags = [client.get(path).headers["etag"]]
    task = client.post("/api/tasks", json={"title": "t"}).json()
    tags.append(client.get(path).headers["etag"])
    client.patch(f"/api/tasks/{task['id']}/toggle").raise_for_status()
    tags.append(client.get(path).headers["etag"])
    tags.append(service.as_user(subject, name="Ada").get(path).headers["etag"])
    assert len(set(tags)) == len(tags)
    assert client.get(path, headers={"If-None-Match": tags[-1]}).status_code == 304


def test_a_missing_task_is_a_404_whoever_has_had_it(service: Service, home: Home) -> None:
    task = home.create()
    own = tag(home, task)
    home.client.delete(home.path(task)).raise_for_status()
    for value in (own, "*"):
        answer = home.client.get(home.path(task), headers={"If-None-Match": value})
        problem(service, answer, "task-not-found")
        assert "etag" not in answer.headers


def test_a_tag_of_one_user_opens_nothing_to_another(service: Service, home: Home, bob: Owner) -> None:
    task = home.create()
    fields = {"If-None-Match": tag(home, task)}
    problem(service, bob[1].get(f"/api/tasks/{task['id']}", headers=fields), "task-not-found")
    answer = bob[1].get("/api/tasks", headers={"If-None-Match": home.client.get(home.tasks).headers["etag"]})
    assert (answer.status_code, answer.json()) == (200, [])
