"""The limits of an import, and the cost of a long one for other clients."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Self

import httpx2
import pytest

from tests.import_export.files import (
    CSV,
    JSON,
    MOST_BYTES,
    MOST_LINES,
    NDJSON,
    WAIT_SECONDS,
    everything,
    lines,
    result,
    send,
)
from tests.support.api import TasksApi, bearer, both_apis
from tests.support.raw_http import problem
from tests.support.service import Service, token
from tests.support.types import Owner

pytestmark = pytest.mark.exhaustive(6)

# Limits


def padded(size: int, *, count: int = 1000) -> bytes:
    """Lines that take this many bytes, the last of them blank."""
    content = lines({"title": str(number), "description": "d" * 900} for number in range(count))
    while len(content) + 20_000 < size:
        content += b" " * 10_000 + b"\n"
    return content + b" " * (size - len(content))


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
@pytest.mark.parametrize("address", [0, 1], ids=["by-user-id", "by-token"])
def test_an_import_may_be_ten_mebibytes_long(service: Service, ada: Owner, address: int, *, chunked: bool) -> None:
    api = both_apis(*ada)[address]

    def content(size: int) -> bytes | Iterator[bytes]:
        whole = padded(size, count=10)
        return iter([whole[: size // 2], whole[size // 2 :]]) if chunked else whole

    assert result(send(api, content(MOST_BYTES))) == (10, 0)
    problem(service, send(api, content(MOST_BYTES + 1)), "content-too-large")
    assert len(everything(api)) == 10
    # A body that is no import may not be that long.
    answer = api.client.post(api.tasks, content=content(70_000), headers={"content-type": "application/json"})
    problem(service, answer, "content-too-large")


def test_an_import_may_have_fifty_thousand_lines(service: Service, here: TasksApi) -> None:
    assert result(send(here, b'{"title":"a"}\n\n' * MOST_LINES)) == (MOST_LINES, 0)
    assert here.client.get(f"/api/{here.subject}").json()["tasks"]["total"] == MOST_LINES
    for line in (b'{"title":"a"}\n', b"\x00\n"):
        answer = send(here, line * (MOST_LINES + 1))
        assert answer.status_code == 422
        assert answer.json()["errors"][0] == {"pointer": "", "detail": f"must have at most {MOST_LINES} records"}
    answer = send(here, b"title\n" + b"a\n" * (MOST_LINES + 1), CSV)
    assert answer.json()["errors"] == [{"pointer": "", "detail": f"must have at most {MOST_LINES} records"}]
    assert here.client.get(f"/api/{here.subject}").json()["tasks"]["total"] == MOST_LINES
    assert service.process.poll() is None


class Clock(threading.Thread):
    """A client that reads one task again and again, and records its longest wait."""

    def __init__(self, service: Service, api: TasksApi) -> None:
        super().__init__()
        self.worst = 0.0
        self._path = f"{service.url}{api.path(api.create())}"
        self._headers = bearer(token(api.subject))
        self._begun = threading.Event()
        self._stopping = threading.Event()

    def run(self) -> None:
        with httpx2.Client(headers=self._headers, timeout=WAIT_SECONDS, trust_env=False) as client:
            while not self._stopping.is_set():
                started_at = time.monotonic()
                assert client.get(self._path).status_code == 200
                self.worst = max(self.worst, time.monotonic() - started_at)
                self._begun.set()

    def __enter__(self) -> Self:
        self.start()
        assert self._begun.wait(WAIT_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.join()


def _good() -> bytes:
    row = {"description": "d" * 90, "created_at": "2026-01-01T00:00:00.123456Z", "updated_at": "2026-01-02T00:00:00Z"}
    content = lines({"id": str(uuid.uuid4()), "title": f"task number {number}", **row} for number in range(36_000))
    return content[:MOST_BYTES].rpartition(b"\n")[0]


def _array(items: list[bytes]) -> bytes:
    return b"[" + b",".join(items) + b"]"


@pytest.mark.parametrize(
    ("make", "media_type", "status"),
    [
        (_good, NDJSON, 200),
        (lambda: _array(_good().splitlines()), JSON, 200),
        (lambda: _array([b"[" + b"[]," * 21_000 + b"1]"] * 160), JSON, 422),
        (lambda: b"[" + b" " * (MOST_BYTES - 3) + b"1]", JSON, 422),
        (lambda: b"[" + b"1," * 5_000_000 + b"1]", JSON, 422),
        (lambda: _array([b"{" + b",".join(b'"%d":1' % number for number in range(7_000)) + b"}"] * 150), JSON, 422),
        (lambda: b"{" + b",".join(b'"%d":1' % number for number in range(900_000)) + b"}", JSON, 422),
        (lambda: b"title\n" + b"\n" * (MOST_BYTES - 6), CSV, 422),
        (lambda: b"[" + b"1," * 5_000_000 + b"1]", NDJSON, 422),
        (lambda: b"{" + b",".join(b'"%d":1' % number for number in range(900_000)) + b"}", NDJSON, 422),
        (lambda: (b"{" + b",".join(b'"%d":1' % number for number in range(7_000)) + b"}\n") * 150, NDJSON, 422),
        (lambda: b"title\n" + b"," * 10_000_000, CSV, 422),
        (lambda: b'{"x":1}\n' * MOST_LINES, NDJSON, 422),
    ],
    ids=[
        "tasks",
        "an array of tasks",
        "an array of arrays",
        "an array with white space",
        "an array of numbers",
        "an array of objects with many members",
        "an object instead of an array",
        "blank records",
        "a long array",
        "an object of many members",
        "many such",
        "many fields",
        "bad lines",
    ],
)
def test_others_are_served_during_a_long_import(  # noqa: PLR0913
    service: Service, here: TasksApi, there: TasksApi, *, make: Callable[[], bytes], media_type: str, status: int
) -> None:
    content = make()
    with Clock(service, there) as clock:
        answer = send(here, content, media_type)
        assert answer.status_code == status, answer.text[:500]
    # A task that is read alone takes some milliseconds; a loop that is held up by the whole import, seconds.
    assert clock.worst < 0.5
