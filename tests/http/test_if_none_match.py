"""Conditional reads: `If-None-Match` (RFC 9110, section 13.1.2), for tasks, lists and profiles."""

import httpx2
import pytest

from tests.http.test_if_match import STRONG
from tests.support.api import SORTS, TasksApi, tag
from tests.support.raw_http import problem
from tests.support.service import Service
from tests.support.types import Owner

# If-None-Match


def lists(api: TasksApi) -> list[str]:
    """Every list that there is, and its second page."""
    return [
        f"{api.tasks}?status={status}&sort={sort}&limit={limit}"
        for status in ("all", "pending", "completed", "trashed")
        for sort in SORTS
        for limit in (1, 1000)
    ]


def assert_unchanged(client: httpx2.Client, path: str, known: httpx2.Response, value: str) -> None:
    for method in ("GET", "HEAD"):
        answer = client.request(method, path, headers={"If-None-Match": value})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == known.headers["etag"]
        for name in ("cache-control", "vary"):
            assert answer.headers.get_list(name) == known.headers.get_list(name)
        assert answer.headers["x-request-id"]
        assert not {"content-type", "content-length", "transfer-encoding"} & set(answer.headers)


@pytest.mark.parametrize("what", ["a task", "a list", "the second page", "a profile"])
def test_who_has_it_is_not_sent_it_again(api: TasksApi, what: str) -> None:
    task = api.create()
    api.create()
    client = api.client
    first_page = client.get(api.tasks, params={"limit": 1})
    path: str = {
        "a task": api.path(task),
        "a list": api.tasks,
        "the second page": first_page.links["next"]["url"],
        "a profile": f"/api/{api.subject}",
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


def test_a_304_keeps_the_connection_in_step(api: TasksApi) -> None:
    task = api.create()
    own = tag(api, task)
    for _ in range(5):
        assert api.client.get(api.path(task), headers={"If-None-Match": own}).status_code == 304
        assert api.client.get(api.path(task)).json() == task


def test_several_fields_are_one_list(api: TasksApi) -> None:
    task = api.create()
    fields = [("If-None-Match", '"x"'), ("If-None-Match", tag(api, task)), ("If-None-Match", 'W/"y"')]
    assert api.client.get(api.path(task), headers=fields).status_code == 304


def test_every_list_has_a_tag_that_holds_until_it_changes(api: TasksApi) -> None:
    tasks = [api.create(title=title) for title in "abcd"]
    api.client.put(api.path(tasks[1]), json={"completed": True}).raise_for_status()
    api.client.delete(api.path(tasks[2])).raise_for_status()
    for path in lists(api):
        known = api.client.get(path)
        assert_unchanged(api.client, path, known, known.headers["etag"])


def tags_of_lists(api: TasksApi) -> dict[str, str]:
    return {path: api.client.get(path).headers["etag"] for path in lists(api)}


def test_the_tag_of_a_list_changes_with_its_tasks_only(api: TasksApi) -> None:
    tasks = [api.create(title=title) for title in "ab"]
    done = api.create(title="c", completed=True)
    trashed = api.create(title="d")
    api.client.delete(api.path(trashed)).raise_for_status()
    for task, seen_in in ((tasks[0], "pending"), (tasks[1], "pending"), (done, "completed")):
        before = tags_of_lists(api)
        api.client.put(api.path(task), json={"description": f"of {task['title']}"}).raise_for_status()
        after = tags_of_lists(api)
        for path in before:
            if "limit=1000" in path:
                holds_it = f"status={seen_in}" in path or "status=all" in path
                assert (before[path] != after[path]) == holds_it, path


def test_the_tag_of_a_list_changes_with_its_next_page(api: TasksApi) -> None:
    task = api.create(title="a")
    path = f"{api.tasks}?limit=1"
    alone = api.client.get(path)
    api.create(title="b")
    followed = api.client.get(path, headers={"If-None-Match": alone.headers["etag"]})
    assert (followed.status_code, followed.json()) == (200, [task])
    assert "link" in followed.headers
    assert "link" not in alone.headers


def test_the_tag_of_a_list_is_as_before_when_it_is_as_before(api: TasksApi) -> None:
    api.create()
    before = api.client.get(api.tasks).headers["etag"]
    extra = api.create()
    assert api.client.get(api.tasks).headers["etag"] != before
    api.client.delete(api.path(extra)).raise_for_status()
    assert api.client.get(api.tasks).headers["etag"] == before


def test_the_tag_of_a_profile_changes_with_counts_and_claims(service: Service, ada: Owner) -> None:
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


def test_a_missing_task_is_a_404_whoever_has_had_it(service: Service, api: TasksApi) -> None:
    task = api.create()
    own = tag(api, task)
    api.client.delete(api.path(task)).raise_for_status()
    for value in (own, "*"):
        answer = api.client.get(api.path(task), headers={"If-None-Match": value})
        problem(service, answer, "task-not-found")
        assert "etag" not in answer.headers


def test_a_tag_of_one_user_opens_nothing_to_another(service: Service, api: TasksApi, bob: Owner) -> None:
    task = api.create()
    fields = {"If-None-Match": tag(api, task)}
    problem(service, bob[1].get(f"/api/tasks/{task['id']}", headers=fields), "task-not-found")
    answer = bob[1].get("/api/tasks", headers={"If-None-Match": api.client.get(api.tasks).headers["etag"]})
    assert (answer.status_code, answer.json()) == (200, [])
