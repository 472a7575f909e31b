"""Exported and imported content: NDJSON, CSV and JSON arrays."""

import csv
import io
import json
from collections.abc import Iterable

import httpx2

from tests.support.api import TasksApi
from tests.support.service import Service
from tests.support.types import Json
from tests.support.waiting import until

NDJSON = "application/x-ndjson"
CSV = "text/csv"
JSON = "application/json"
MEDIA_TYPES = {"ndjson": NDJSON, "csv": CSV, "json": JSON}
MEMBERS = ["id", "user_id", "title", "description", "completed", "created_at", "updated_at"]
MOST_BYTES = 10 * 1024 * 1024
MOST_LINES = 50_000
RECORD_BYTES = 65_536
WAIT_SECONDS = 20
# Texts that are hard for a format of lines.
TITLES = [
    "Buy milk",
    'two "cartons"',
    '"',
    "a,b;c\td",
    "two\nlines",
    "two\r\nlines",
    "a\rb",
    "\nfirst",
    "last\n",
    " spaces ",
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "null",
    "true",
    "\\n",
    "\N{GRINNING FACE} \u00e9 e\u0301 \u05d0 \u2028 \u2029 \u0085 \ufeff!",
    "\ufefffirst",
    "x" * 200,
    "\x01\x1f\x7f!",
]


def send(api: TasksApi, content: bytes | Iterable[bytes], media_type: str = NDJSON) -> httpx2.Response:
    return api.client.post(f"{api.tasks}/import", content=content, headers={"content-type": media_type})


def result(answer: httpx2.Response) -> tuple[int, int]:
    """Return the number of tasks that were imported and of those that existed already."""
    assert answer.status_code == 200, answer.text[:1000]
    counts = answer.json()
    return counts["imported"], counts["unchanged"]


def export(api: TasksApi, format: str = "ndjson", status: str = "all") -> bytes:  # noqa: A002
    answer = api.client.get(f"{api.tasks}/export", params={"format": format, "status": status})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == MEDIA_TYPES[format]
    assert answer.headers["content-disposition"] == f'attachment; filename="tasks.{format}"'
    return answer.content


def wrong(answer: httpx2.Response) -> dict[int, str]:
    """The lines that are wrong, with the reasons."""
    assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed"), answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    return {error["line"]: error["detail"] for error in answer.json()["errors"]}


def lines(rows: Iterable[Json]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def everything(api: TasksApi) -> list[Json]:
    found: list[Json] = []
    path: str | None = api.tasks
    while path is not None:
        answer = api.client.get(path)
        found += answer.json()
        path = answer.links.get("next", {}).get("url")
    return found


def read(content: bytes, format: str) -> list[Json]:  # noqa: A002
    """The tasks in an export, as JSON has them."""
    if format == "ndjson":
        return [json.loads(line) for line in content.split(b"\n")[:-1]]
    if format == "json":
        items: list[Json] = json.loads(content)
        return items
    records = csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True)
    assert records.fieldnames == MEMBERS
    return [
        {
            **record,
            "description": record["description"] or None,
            "completed": {"true": True, "false": False}[record["completed"]],
        }
        for record in records
    ]


def logged(service: Service, text: str) -> str:
    """Wait until the log has the text, and return the log."""
    until(lambda: text in service.read_log(), WAIT_SECONDS)
    return service.read_log()
