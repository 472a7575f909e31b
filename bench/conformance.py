"""The conformance check: a contender whose responses differ from those of the service is not measured."""

import base64
import json
import os
import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import httpx2

from bench import BenchmarkError
from bench.database import BenchmarkDatabase
from bench.operations import issue, user_id

_OWNER, _OTHER = 10, 11
_TASKS, _TOGGLES = 5, 10
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?)(?:Z|\+00:00)")
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FULL: Final = {"title": 'Éclairs, "fresh" \\ 9 \N{EURO SIGN}', "description": "1\n2 \N{BEER MUG}", "completed": True}
_LONG: Final = {"title": "\N{MUSICAL SYMBOL G CLEF}" * 200, "description": None}
_PUTS: Final = (_FULL, {"title": "After"}, {"completed": False}, {"description": "new"}, {"description": None}, _LONG)
_INVALID: Final = tuple({"title": title} for title in ("", " \t ", "x" * 201))
_QUERIES: Final = (
    *(f"?limit={limit}" for limit in (0, 1, 7, 1000, 1001)),
    *(f"?status={status}{limit}" for status in ("all", "pending", "completed") for limit in ("", "&limit=1")),
)

_Response = tuple[str, int, str]
Transcript = list[_Response]
"""Requests, statuses, and the contents of successes. Ids and times are replaced by numbers."""


def transcript(base_url: str, database: BenchmarkDatabase) -> Transcript:
    """Send about a hundred requests of two users: every operation, right and wrong."""
    for user in (_OWNER, _OTHER):
        database.fill(user, _TASKS)
    with httpx2.Client(base_url=base_url, timeout=30, trust_env=False) as client:
        responses = list(_Dialogue(client).responses())
    ids: dict[str, int] = {}
    times = sorted({time for _, _, text in responses for time in _TIME.findall(text)})

    def replace(text: str) -> str:
        text = _ID.sub(lambda found: f"<id {ids.setdefault(found[0], len(ids))}>", text)
        return _TIME.sub(lambda found: f"<time {times.index(found[1])}>", text)

    return [(replace(request), status, replace(text)) for request, status, text in responses]


def compare(title: str, found: Transcript, expected: Transcript) -> None:
    """Raise `BenchmarkError` at the first response that differs from the expected one."""
    for (request, *response), (_, *other) in zip(found, expected, strict=True):
        if response != other:
            same = max(0, len(os.path.commonprefix([str(response), str(other)])) - 50)  # noqa: RUF071
            texts = [str(one)[same : same + 200] for one in (response, other)]
            raise BenchmarkError(f"{title} responds to {request} with ...{texts[0]} instead of ...{texts[1]}")


class _Dialogue:
    def __init__(self, client: httpx2.Client) -> None:
        self._client = client
        self._owner, self._other = issue(user_id(_OWNER)), issue(user_id(_OTHER))

    def responses(self) -> Iterator[_Response]:
        """The responses of a transcript, with ids and times."""
        tasks, others = (f"/api/{user_id(user)}/tasks" for user in (_OWNER, _OTHER))
        created = self._send("POST", tasks, {"title": "Buy milk"})
        task = f"{tasks}/{json.loads(created[2])[0]['id']}"
        yield created
        for body in (_FULL, _LONG, {"completed": True}, *_INVALID):
            yield self._send("POST", tasks, body)
        for body in (*_PUTS, *_INVALID):
            yield self._send("PUT", task, body)
            yield self._send("GET", task)
        for _ in range(2):
            yield self._send("PATCH", task + "/complete")
        yield self._toggle_in_parallel(task + "/complete")
        yield from (self._send("GET", tasks + query) for query in _QUERIES)
        for token in (*self._invalid_tokens(), self._other):
            yield from self._all_operations(tasks, task, token)
        # Another user's task, a missing one and, for its owner, a deleted one are all not found.
        for path in (task.replace(tasks, others), f"{others}/{uuid.UUID(int=1)}"):
            yield from self._all_operations(others, path, self._other)
        yield from self._all_operations(tasks, task, self._owner)

    def _send(self, method: str, path: str, body: object = None, token: str | None = None) -> _Response:
        headers = {} if token == "" else {"authorization": f"Bearer {token or self._owner}"}
        response = self._client.request(method, path, json=body, headers=headers)
        text = ""
        if response.is_success and response.content:
            type_, location = response.headers["content-type"].partition(";")[0], response.headers.get("location")
            text = json.dumps([response.json(), type_, location], sort_keys=True)
        return f"{method} {path} {str(body)[:80]}", response.status_code, text

    def _all_operations(self, tasks: str, task: str, token: str) -> Iterator[_Response]:
        yield from (self._send(method, task, token=token) for method in ("GET", "DELETE", "GET"))
        yield self._send("PUT", task, {"title": "x"}, token)
        yield self._send("PATCH", task + "/complete", token=token)
        yield self._send("GET", tasks, token=token)
        yield self._send("POST", tasks, {"title": "x"}, token)

    def _toggle_in_parallel(self, path: str) -> _Response:
        """An even number of toggles: half of the responses say `true`, in whatever order."""
        with ThreadPoolExecutor(_TOGGLES) as pool:
            responses = pool.map(lambda _: self._send("PATCH", path), range(_TOGGLES))
            return "parallel toggles", 200, str(sum('"completed": true' in text for _, _, text in responses))

    def _invalid_tokens(self) -> list[str]:
        """No token, one that is malformed, one with another's signature, and two with the algorithm `none`."""
        header, claims, signature = self._owner.split(".")
        none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
        forged = f"{header}.{claims}.{self._other.split('.')[2]}"
        return ["", "nonsense", forged, f"{none}.{claims}.", f"{none}.{claims}.{signature}"]
