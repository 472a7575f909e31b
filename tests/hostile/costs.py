"""Requests that could take more than linear time to parse: header fields and parameters filled with 40 patterns."""

import functools
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from server.contract.document import operations, resolved
from tests.support.document import FIELD_BYTES, SHORT_FIELD_BYTES
from tests.support.raw_http import RawConnection, bearer_field, request
from tests.support.service import Service

FILLERS = (
    *(" ", "\t", " \t", ",", ", ", ";", "; ", ",;", "a", "0", "9", "é", "\xff", '"', '\\"', "\\", "'", "=", "a="),
    *("a;", "a,", "a/b,", "a/b;q=0,", "*/*,", ";q=", "q=0.", "/", "*", "%", "%41", "%ff", ".", "-", ":", "127.0.0.1,"),
    *("[", 'W/"a",', '"a", ', "a=b&", "~1"),
)
"""Each is repeated until the text is long enough."""

LENGTH = 30_000
MOST_SECONDS = 0.020
"""The most CPU seconds for one request."""

USER = "a-user-of-costs"
TASK = "01a1f83c-da9b-7d52-9c0e-3f6a1b8d2e47"

# The beginning of a well-formed value, by field.
FIELDS: Mapping[str, str] = {
    "Accept": "application/json",
    "Accept-Charset": "utf-8",
    "Accept-Encoding": "gzip",
    "Accept-Language": "en",
    "Access-Control-Request-Headers": "content-type",
    "Access-Control-Request-Method": "POST",
    "Authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.",
    "Baggage": "a=b",
    "Connection": "keep-alive",
    "Content-Encoding": "identity",
    "Content-Length": "0",
    "Content-Type": "application/json",
    "Cookie": "a=b",
    "Expect": "100-continue",
    "Forwarded": "for=127.0.0.1",
    "Host": "tasks.test",
    "Idempotency-Key": '"a"',
    "If-Match": '"a"',
    "If-Modified-Since": "Sat, 21 Nov 2026 12:00:00 GMT",
    "If-None-Match": 'W/"a"',
    "Keep-Alive": "timeout=5",
    "Origin": "http://localhost:3000",
    "Range": "bytes=0-1",
    "Referer": "http://localhost:3000/",
    "TE": "trailers",
    "Trailer": "X-Checksum",
    "Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "Transfer-Encoding": "chunked",
    "Upgrade": "h2c",
    "User-Agent": "curl/8.0",
    "Via": "1.1 proxy",
    "X-Forwarded-For": "127.0.0.1",
    "X-Forwarded-Host": "tasks.test",
    "X-Forwarded-Proto": "https",
    "X-Http-Method-Override": "PUT",
    "X-Request-Id": "a",
    "X-Unknown": "a",
}
"""Every field that the service or a library of it reads, and some that nothing reads."""

_JSON = ("Content-Type", "application/json")
# The requests in which a field is read: without a token, and by an operation that has a use for it.
_READERS: Mapping[str, tuple[str, str]] = {
    "Accept": ("GET", "/api/tasks/export"),
    "Access-Control-Request-Headers": ("OPTIONS", "/api/tasks"),
    "Access-Control-Request-Method": ("OPTIONS", "/api/tasks"),
    "Content-Encoding": ("POST", "/api/tasks/import"),
    "Content-Length": ("POST", "/api/tasks"),
    "Content-Type": ("POST", "/api/tasks/import"),
    "Idempotency-Key": ("POST", "/api/tasks"),
    "If-Match": ("PUT", f"/api/tasks/{TASK}"),
    "Transfer-Encoding": ("POST", "/api/tasks"),
}


@dataclass(frozen=True)
class Case:
    """One request: its name, its bytes, and the parameter or field that is filled."""

    name: str
    sent: bytes


def cpu_seconds(service: Service) -> float:
    """Return the CPU time that the process of the service has used, in nanoseconds' resolution.

    It is the clock of clock_getcpuclockid(3), which a load on the machine does not move.
    """
    return time.clock_gettime(~service.process.pid << 3 | 2)


def cost(service: Service, sent: bytes) -> float:
    """Send a request on a new connection. Returns the CPU seconds until the answer was there."""
    before = cpu_seconds(service)
    with RawConnection(service) as raw:
        raw.send(sent)
        status = raw.read(head=True).status_code
    after = cpu_seconds(service)
    assert status < 500
    return after - before


def dear(service: Service, cases: Iterable[Case]) -> tuple[int, dict[str, float]]:
    """Send all requests. Returns their number, and the costs of those that were too dear three times in a row.

    A single slow one may be due to garbage collection, or to the log lines of other requests.
    """
    count = 0
    found = {}
    for case in cases:
        count += 1
        if cost(service, case.sent) > MOST_SECONDS:
            least = min(cost(service, case.sent) for _ in range(2))
            if least > MOST_SECONDS:
                found[case.name] = least
    return count, found


def filled(filler: str, length: int) -> str:
    return (filler * length)[:length]


def texts(start: str, filler: str, length: int) -> Iterable[str]:
    """Return the filler alone, and a well-formed start that is followed by the filler and a wrong end."""
    return filled(filler, length), start + filled(filler, length - len(start) - 1) + "x"


def field_cases() -> Iterator[Case]:
    """Each field with each filler, at 30 kB without a token, and with one at the two lengths that are still parsed."""
    for name, start in FIELDS.items():
        method, path = _READERS.get(name, ("GET", "/api/tasks"))
        for length in (LENGTH, FIELD_BYTES, SHORT_FIELD_BYTES):
            for filler in FILLERS:
                for number, text in enumerate(texts(start, filler, length)):
                    label = f"{name}: {length} of {filler!r}, {number}"
                    if length == LENGTH:
                        yield Case(label, field_request("GET", "/health", name, text))
                    else:
                        yield Case(label, field_request(method, path, name, text, secured=True))
    for filler in FILLERS:
        if filler.isalnum() and filler.isascii():
            yield Case(f"name of {filler!r}", request("GET", "/health", [(filled(filler, LENGTH), "a")]))


@functools.cache
def _authorization() -> tuple[str, str]:
    """The field with a token. Thousands of cases share it, because signing one for each takes seconds."""
    return bearer_field(USER, seconds=7_200)


def field_request(method: str, path: str, name: str, text: str, *, secured: bool = False) -> bytes:
    """Return a request with this field, and with the fields that let the service come to read it."""
    fields = {name: text}
    if secured:
        fields = dict([_authorization()]) | fields
    if name.startswith("Access-Control"):
        fields = {"Origin": FIELDS["Origin"], "Access-Control-Request-Method": "PUT", **fields}
    if method in ("POST", "PUT") and name not in ("Content-Length", "Transfer-Encoding"):
        fields = {"Content-Length": "0", **dict([_JSON]), **fields}
    return request(method, path, fields.items(), host=None if name == "Host" else "tasks.test")


def parameter_cases(document: Mapping[str, Any]) -> Iterator[Case]:
    """Each query and path parameter of each operation with each filler, at 30 kB and at the longest parsed length."""
    for path, method, operation in operations(document):
        items = [*document["paths"][path].get("parameters", ()), *operation.get("parameters", ())]
        parameters = [resolved(document, item) for item in items]
        names = [(item["name"], item["in"]) for item in parameters if item["in"] in ("path", "query")]
        for name, place in dict.fromkeys([*names, ("unknown", "query"), ("", "query")]):
            for length in (LENGTH, 7_900):
                for filler in FILLERS:
                    for spelt in spellings(filler, length):
                        target = _target(path, name, place, spelt)
                        label = f"{method} {path} {name!r} in {place}: {length} of {filler!r} as {spelt[:8]!r}"
                        yield Case(label, request(method.upper(), target, [_authorization()]))


@functools.cache
def spellings(filler: str, length: int) -> list[str]:
    """Return the text percent-encoded, and as it is if a request line can hold it."""
    text = filled(filler, length)
    encoded = quote(text, safe="", encoding="latin-1")[: length // 3 * 3]
    plain = text.isascii() and text.isprintable() and not set(text) & set(" #")
    return [encoded, text] if plain and text != encoded else [encoded]


def _target(path: str, name: str, place: str, text: str) -> str:
    values = {"user_id": USER, "task_id": TASK, **({name: text} if place == "path" else {})}
    for each, value in values.items():
        path = path.replace("{" + each + "}", value)
    return path if place == "path" else f"{path}?{name}={text}" if name else f"{path}?{text}"
