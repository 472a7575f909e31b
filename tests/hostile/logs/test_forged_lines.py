"""No client writes a line of the log, or moves text that was written before."""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.hostile.logs.service import _LEVELS, Told, token, told
from tests.support.figures import Figures
from tests.support.raw_http import RawConnection

pytestmark = pytest.mark.exhaustive(3)

# Lines that a client would forge.

# Characters that end a line for some readers, or move text that was written before.
BREAKS = {
    "LF": "\n",
    "CR": "\r",
    "CRLF": "\r\n",
    "NUL": "\0",
    "ESC": "\x1b[2K\x1b[1G",
    "BS": "\b" * 60,
    "VT": "\v",
    "FF": "\f",
    "FS": "\x1c",
    "DEL": "\x7f",
    "NEL": "\x85",
    "CSI": "\x9b2K",
    "U+2028": "\u2028",
    "U+2029": "\u2029",
    "RLO": "\u202e",
    "zero width": "\u200b",
    "tag": "\U000e0041",
}
FORGED = '{"event":"forged","level":"info"} 2026-11-21T00:00:00.000000Z [info     ] forged'
FIELDS = (
    *("X-Request-ID", "Authorization", "Forwarded", "X-Forwarded-For", "X-Real-IP", "Idempotency-Key", "If-Match"),
    *("If-None-Match", "User-Agent", "Content-Type", "Accept", "Origin", "Cookie", "Referer", "traceparent"),
)


def _raw(method: bytes, target: bytes, *lines: bytes, host: bytes = b"tasks.test") -> bytes:
    return b"\r\n".join(
        [method + b" " + target + b" HTTP/1.1", b"Host: " + host, *lines, b"Connection: close", b"", b""]
    )


def forgeries(mark: str, good: str) -> Iterable[bytes]:
    """Requests with the mark and a forged line in every place that a client can write to."""
    text = f"a{mark}{FORGED}".encode()
    escaped = quote(text).encode()
    for name in FIELDS:
        yield _raw(b"GET", b"/api/tasks", name.encode() + b": " + text)
        yield _raw(b"GET", b"/api/tasks", b"Authorization: Bearer " + good.encode(), name.encode() + b": " + text)
    yield _raw(b"GET", b"/api/tasks", host=text)
    yield _raw(b"GET", b"/api/" + text + b"/tasks")
    yield _raw(b"GET", b"/" + escaped, b"Authorization: Bearer " + good.encode())
    yield _raw(b"GET", b"/api/" + escaped + b"/tasks", b"Authorization: Bearer " + good.encode())
    yield _raw(b"GET", b"/api/tasks/" + escaped, b"Authorization: Bearer " + good.encode())
    yield _raw(b"GET", b"/api/tasks?" + escaped + b"=" + escaped, b"Authorization: Bearer " + good.encode())
    yield _raw(b"GET", b"/api/tasks?cursor=" + escaped, b"Authorization: Bearer " + good.encode())
    yield _raw(text.replace(b" ", b""), b"/api/tasks")
    yield _raw(b"GET", b"http://" + text.replace(b" ", b"") + b"/api/tasks")
    yield text
    yield b"GET / HTTP/9.9" + text + b"\r\n\r\n"
    # Without a space, too: with one, many formatters put quotation marks around the whole.
    for name in (f"a{mark}{FORGED}", f"a{mark}forged"):
        named = token(name) if "\0" not in name else good
        yield _raw(b"GET", b"/api/tasks", b"Authorization: Bearer " + named.encode())
        yield _raw(b"GET", b"/api/ada/tasks", b"Authorization: Bearer " + named.encode())
        yield _raw(b"GET", f"/api/{quote(name)}/tasks".encode(), b"Authorization: Bearer " + good.encode())
    body = json.dumps({"title": "a", f"b{mark}{FORGED}": 1}).encode()
    yield (
        _raw(
            b"POST",
            b"/api/tasks",
            b"Authorization: Bearer " + good.encode(),
            b"Content-Type: application/json",
            b"Content-Length: %d" % len(body),
        )
        + body
    )


@pytest.fixture(scope="module", params=["development", "production"])
def forged(
    request: pytest.FixtureRequest, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Told]:
    with told(
        tmp_path_factory.mktemp("forged"), (request.param, _LEVELS[request.param]), DATABASE_URL=database_url
    ) as service:
        yield service


@pytest.mark.parametrize("mark", [pytest.param(mark, id=name) for name, mark in BREAKS.items()])
def test_no_client_writes_a_line_of_its_own(figures: Figures, forged: Told, mark: str) -> None:
    attempts = list(forgeries(mark, token()))
    for sent in attempts:
        with RawConnection(forged.service) as raw, contextlib.suppress(ConnectionError):
            raw.send(sent)
            raw.stop()
            raw.rest()
    log = forged.log()
    forged.assert_lines_are_ours(log)
    assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u200b\U000e0041]", log) == []
    events = [json.loads(line)["event"] for line in log.splitlines()] if forged.production else []
    assert "forged" not in events
    # Otherwise no byte of the requests reached the log, and this would prove nothing.
    assert "security.path_user_mismatch" in log
    figures("Forged log lines", len(attempts), len(attempts))


def test_user_ids_are_logged_in_any_locale(database_url: str, tmp_path: Path) -> None:
    """A line that cannot be written would take the lines of other requests with it."""
    for environment in ("development", "production"):
        (tmp_path / environment).mkdir()
        with told(
            tmp_path / environment, (environment, "info"), DATABASE_URL=database_url, PYTHONIOENCODING="latin-1"
        ) as service:
            for subject in ("Ж", "\N{UNICORN FACE}", "ada"):
                service.ask("GET", "/api/tasks", headers={"Authorization": f"Bearer {token(subject)}"})
            lines = [line for line in service.log().splitlines() if "listMyTasks" in line]
            assert ["0416" in lines[0], "ada" in lines[2], len(lines)] == [True, True, 3]
