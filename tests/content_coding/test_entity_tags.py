"""Entity tags of content with a coding (RFC 9110, section 8.8.3): each coding has its own, and all of them work."""

from dataclasses import replace
from urllib.parse import quote

import httpx2
import pytest

from server.formats.content_coding import SMALLEST_BYTES
from tests.content_coding.decoding import fetch
from tests.support.api import TasksApi, both_apis
from tests.support.raw_http import problem
from tests.support.service import Service
from tests.support.types import Json, NewUser

# JSON has six bytes for each of these characters.
LONG = {"title": "\x01" * 199 + "a", "description": "\x02" * 1000}
CODINGS = [None, "gzip", "zstd"]


def tags(service: Service, subject: str, target: str) -> list[str]:
    """Return the entity tag of each coding."""
    return [fetch(service, subject, target, coding).headers["etag"] for coding in CODINGS]


@pytest.fixture(params=[0, 1], ids=["by-user-id", "by-token"])
def api(request: pytest.FixtureRequest, service: Service, new_user: NewUser) -> TasksApi:
    """The tasks of a user whose id is long, too: one of them can be larger than what is compressed."""
    subject = new_user("long") + "\x03" * 200
    index: int = request.param
    found = both_apis(subject, service.as_user(subject))[index]
    return replace(found, tasks=quote(found.tasks))


def change(api: TasksApi, task: Json, body: Json, tag: str, coding: str) -> httpx2.Response:
    return api.client.put(api.path(task), json=body, headers={"If-Match": tag, "Accept-Encoding": coding})


def test_each_coding_has_a_strong_tag_of_its_own(service: Service, owner: str) -> None:
    found = tags(service, owner, "/api/tasks")
    assert len(set(found)) == 3
    assert all(tag.startswith('"') for tag in found)
    assert found == tags(service, owner, "/api/tasks")


def test_a_tag_gets_304_with_the_coding_it_came_with(service: Service, owner: str) -> None:
    """A client that changes its `Accept-Encoding` gets the content, because it has another representation."""
    found = dict(zip(CODINGS, tags(service, owner, "/api/tasks"), strict=True))
    for accepted in CODINGS:
        for coding, tag in found.items():
            answer = fetch(service, owner, "/api/tasks", accepted, If_None_Match=tag)
            assert answer.status_code == (304 if coding == accepted else 200)
            assert answer.headers["etag"] == found[accepted]
            assert "Accept-Encoding" in answer.headers.get_list("vary", split_commas=True)
            if answer.status_code == 304:
                assert answer.content == b""
                assert not {"content-encoding", "content-length", "content-type"} & set(answer.headers)


@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd"])
def test_every_tag_of_a_task_works_in_if_match(service: Service, api: TasksApi, coding: str) -> None:
    task = api.create(**LONG)
    plain = api.client.get(api.path(task), headers={"Accept-Encoding": "identity"})
    answer = api.client.get(api.path(task), headers={"Accept-Encoding": coding})
    assert len(plain.content) >= SMALLEST_BYTES
    assert (answer.headers["etag"] == plain.headers["etag"]) == (coding == "identity")
    assert answer.headers.get("content-encoding", "identity") == coding
    stale = answer.headers["etag"]
    changed = change(api, task, {"completed": True}, f'"x", {stale}', coding)
    assert (changed.status_code, changed.json()["completed"]) == (200, True)
    # The answer to the change has the tag of a GET with the same Accept-Encoding.
    assert (
        changed.headers["etag"]
        == api.client.get(api.path(task), headers={"Accept-Encoding": coding}).headers["etag"]
        != stale
    )
    problem(service, change(api, task, {"completed": False}, stale, coding), "precondition-failed")
    problem(
        service, change(api, task, {"completed": False}, f"W/{changed.headers['etag']}", coding), "precondition-failed"
    )
    assert change(api, task, {"title": "short"}, changed.headers["etag"], coding).is_success


@pytest.mark.parametrize("suffix", [".br", ".gzi", ".gzip.gzip", ".gzipx", ".GZIP", "gzip", ". gzip", "."])
def test_only_the_suffix_of_a_coding_is_one(api: TasksApi, suffix: str) -> None:
    task = api.create()
    tag = api.client.get(api.path(task)).headers["etag"]
    answer = change(api, task, {"title": "x"}, f'{tag[:-1]}{suffix}"', "gzip")
    assert answer.status_code == (422 if " " in suffix else 412)
    assert change(api, task, {"title": "x"}, f'{tag[:-1]}.gzip"', "gzip").is_success
