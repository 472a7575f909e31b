"""`make audit`, against a vulnerability database on the loopback interface."""

import contextlib
import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.ci.audit import EXPLAINED, LOCK, main
from tests.support.servers.threaded import serving
from tests.support.service import ROOT, free_port

pytestmark = pytest.mark.slow

PLANTED = "PYSEC-2026-1"
TWO_PACKAGES = f"pyjwt==2.15.1 --hash=sha256:{'0' * 64}\npyyaml==6.0.3 --hash=sha256:{'0' * 64}\n"


@contextlib.contextmanager
def database(vulnerable: str) -> Iterator[tuple[str, set[str]]]:
    """Run a database that knows of a vulnerability in one package. Yields its URL and the packages asked for."""
    asked = set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = question["package"]["name"]
            asked.add(name)
            answer: dict[str, Any] = {}
            if name == vulnerable:
                answer = {"vulns": [{"id": PLANTED, "summary": "Planted.", "affected": []}]}
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002  the name in the base class
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}/v1/query", asked


@pytest.fixture
def audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    lock = tmp_path / "lock.txt"
    lock.write_text(TWO_PACKAGES)

    def run(url: str, **explained: str) -> tuple[int, str]:
        monkeypatch.setenv("OSV_URL", url)
        known = {key.replace("_", "-"): reason for key, reason in explained.items()}
        status = main(str(lock), known)
        return status, capfd.readouterr().out

    return run


def test_a_known_vulnerability_fails(audit: Callable[..., tuple[int, str]]) -> None:
    with database(vulnerable="pyjwt") as (url, asked):
        status, output = audit(url)
    assert status == 1
    assert PLANTED in output
    assert {"pyjwt", "pyyaml"} <= asked


def test_an_explained_vulnerability_does_not_fail(audit: Callable[..., tuple[int, str]]) -> None:
    with database(vulnerable="pyjwt") as (url, _):
        assert audit(url, PYSEC_2026_1="planted")[0] == 0


def test_a_database_out_of_reach_is_one_sentence(audit: Callable[..., tuple[int, str]]) -> None:
    status, output = audit(f"http://127.0.0.1:{free_port()}/v1/query")
    assert status == 0
    assert output.startswith("pip-audit was skipped, because 127.0.0.1 cannot be asked: ")
    assert output.count("\n") == 1


def test_the_lock_that_is_audited_holds_the_others() -> None:
    audited = set(LOCK.read_text().splitlines())
    for lock in ("runtime.txt", "dev.txt"):
        pins = {line for line in (ROOT / "requirements" / lock).read_text().splitlines() if "==" in line}
        assert {pin.split()[0] for pin in pins} <= {line.split()[0] for line in audited if line}, lock


def test_every_exception_has_a_reason() -> None:
    assert all(EXPLAINED.values())
