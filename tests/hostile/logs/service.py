"""A service whose whole log is checked, and requests that are meant to go wrong."""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from persistence.users import Owner
from server.auth.tokens import issue_token
from server.contract.document import operations
from tests.support.servers.issuer import ED25519, sign
from tests.support.service import ROOT, Service, running_service

# Part of every title, description, e-mail, name, token and secret of these tests, and of no line.
MARK = "confidential5f0c"
SECRET = f"{MARK}-WqQE00ExWbXDkro5dS-IHQ5zhSrGXksH"
TITLE, DESCRIPTION = f"title {MARK}", f"description {MARK} \N{UNICORN FACE}"
ADA = "ada"
ANY_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
UNREACHABLE = f"redis://:{MARK}@127.0.0.1:1/0"

_DEVELOPMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z \[(debug|info|warning|error|critical) *\] ")
_GREETING = re.compile(r"Documentation: \S+\nToken of the user 'demo', for an hour:\n\n\S+\n\n")
_OF_EVERY_LINE = {"event", "level", "log_stream", "timestamp"}
_OF_A_LIBRARY = {"logger", "error", "frames", "sqlstate"}


def documented() -> dict[str, set[str]]:
    """The facts of each event, as the table in the documentation has them."""
    text = (ROOT / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| `([a-z_.]+)` \| [^|]* \|([^|]*)\|$", text, re.MULTILINE)
    return {event: set(re.findall(r"`(\w+)`", facts)) for event, facts in rows}


def token(subject: str = ADA, **changes: Any) -> str:
    user = Owner(subject, f"{MARK}@example.org", f"Name {MARK}")
    return issue_token(SECRET, user, **{"expires_in": timedelta(minutes=10), **changes})


@dataclass
class Told:
    """A service whose log is checked, and the tokens that were sent to it."""

    service: Service
    production: bool
    tokens: list[str] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)
    asked: int = 0

    def ask(self, method: str, path: str, **options: Any) -> None:
        """Send a request. Only the log lines of the service matter here."""
        answer = self.client.request(method, path, **options)
        self.statuses.add(answer.status_code)
        self.asked += 1

    def __post_init__(self) -> None:
        # Not one of the service's clients: those check answers against the document, which some of these break.
        self.client = self.service.clients.enter_context(
            httpx2.Client(base_url=self.service.url, trust_env=False, timeout=30, verify=False)
        )

    def log(self) -> str:
        """Return the log without the lines of the start."""
        return _GREETING.sub("", self.service.read_log(), count=1)

    def assert_says_nothing(self) -> None:
        """Check that the log has nothing confidential in it, and that each line has its form."""
        log = self.log()
        words = [MARK, *(part for text in self.tokens for part in text.split(".")[1:] if len(part) > 7)]
        assert [line for line in log.splitlines() if any(word in line for word in words)] == []
        self.assert_lines_are_ours(log)

    def assert_lines_are_ours(self, log: str) -> None:
        """Every line was written by the service, whatever characters some readers take for the end of a line."""
        lines = log.splitlines()
        assert lines == log.split("\n")[:-1]
        if not self.production:
            assert [line for line in lines if not _DEVELOPMENT.match(line)] == []
            return
        known = documented()
        for line in lines:
            members = json.loads(line)
            facts = known.get(members["event"], _OF_A_LIBRARY)
            assert members.keys() - facts <= _OF_EVERY_LINE | {"logger"}, line
            assert members.keys() >= _OF_EVERY_LINE, line


# The lines of `info` are written at `debug`, too, and production refuses to run with that.
_LEVELS = {"development": "debug", "production": "info"}
MODES = [pytest.param((environment, level), id=f"{environment}, {level}") for environment, level in _LEVELS.items()]
Mode = tuple[str, str]


@contextlib.contextmanager
def told(directory: Path, mode: Mode, **settings: str) -> Iterator[Told]:
    environment, level = mode
    all_settings: dict[str, Any] = {
        "BETTER_AUTH_SECRET": SECRET,
        "REDIS_URL": UNREACHABLE,
        # High enough never to be reached, so that Redis is asked and nothing else changes.
        **dict.fromkeys(
            ("RATE_LIMIT", "RATE_LIMIT_ANONYMOUS", "RATE_LIMIT_REFUSED_TOKENS", "RATE_LIMIT_PROBES"), "1000000/minute"
        ),
        "ENVIRONMENT": environment,
        "LOG_LEVEL": level,
        "DATABASE_WAIT_SECONDS": "1",
        **settings,
    }
    with running_service(directory, **all_settings) as service:
        yield Told(service, environment == "production")


def secured_operations(service: Service) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Method, path and description of every operation that needs a token. Those that end a user come last."""
    document = service.client().get("/openapi.json").json()
    found = [
        (method.upper(), path, item)
        for path, method, item in operations(document)
        if item.get("security", document["security"])
    ]
    return sorted(found, key=lambda each: each[2]["operationId"] in {"deleteUser", "deleteMe"})


def bodies() -> list[tuple[str, bytes]]:
    """The bodies that are sent to every operation, even to one without a body, with their media types."""
    good = {"title": TITLE, "description": DESCRIPTION}
    document = json.dumps(good)
    return [
        ("application/json", document.encode()),
        ("application/json", b'{"completed":true}'),
        ("application/json", json.dumps(good | {MARK: MARK}).encode()),
        ("application/json", json.dumps({"title": MARK * 100, "description": [MARK]}).encode()),
        ("application/json", document[:-1].encode()),
        ("application/json", f'{{"{MARK}":1,"{MARK}":2}}'.encode()),
        ("application/json", document.encode("utf-16")),
        ("application/json", f"[{'[' * 500}".encode()),
        ("application/json", f'{{"title":"{MARK}\\ud800"}}'.encode()),
        ("application/json", f'{{"title":"{MARK}\\u0000"}}'.encode()),
        (f"application/json; charset={MARK}", document.encode()),
        (MARK, document.encode()),
        ("application/x-ndjson", f"{document}\n{document}\n".encode()),
        ("application/x-ndjson", f'{document}\n{{"{MARK}":1}}\n{document[:-1]}\n"{MARK}"\n'.encode()),
        ("application/x-ndjson", f'{{"id":"{MARK}","title":"a"}}\n'.encode()),
        ("text/csv", f"title,description\r\n{TITLE},{MARK}\r\n".encode()),
        ("text/csv", f"title,{MARK}\r\n{TITLE},{MARK}\r\n".encode()),
        ("text/csv", f'title\r\n"{MARK}\r\n'.encode()),
    ]


def fields() -> list[dict[str, str]]:
    """Header fields that are sent to every operation beside its token."""
    return [
        {"If-Match": f'"{MARK}"'},
        {"If-Match": MARK},
        {"If-None-Match": f'"{MARK}"'},
        {"Idempotency-Key": MARK},
        {"Idempotency-Key": f'"{MARK}'},
        {"Idempotency-Key": f"{MARK} {MARK}"},
        {"X-Request-ID": f"{MARK} {MARK}"},
        {"Accept": MARK},
        {"Accept": f"text/{MARK}"},
        {"Accept-Encoding": MARK},
        {"Content-Encoding": MARK},
        {"Host": f"{MARK}.example"},
        {"Forwarded": f"for={MARK}"},
        {"X-Forwarded-For": MARK},
        {"User-Agent": MARK},
        {"Referer": f"https://{MARK}.example"},
        {"Cookie": f"session={MARK}"},
        {"Origin": f"https://{MARK}.example"},
        {"Expect": MARK},
        {"Range": MARK},
    ]


def ask_everything(told: Told) -> None:
    """Every operation that needs a token, in every way that is meant to go wrong somewhere, and some that are not."""
    good = token()
    told.tokens.append(good)
    bearer = {"Authorization": f"Bearer {good}"}
    for method, path, _ in secured_operations(told.service):
        target = path.replace("{user_id}", ADA).replace("{task_id}", ANY_ID)
        for media_type, body in bodies():
            told.ask(method, target, content=body, headers=bearer | {"Content-Type": media_type})
        for others in fields():
            told.ask(method, target, json={"title": TITLE}, headers=bearer | others)
        for query in (f"{MARK}={MARK}", f"cursor={MARK}", f"status={MARK}&sort={MARK}", f"format={MARK}", "%FF=%FF"):
            told.ask(method, f"{target}?{query}", headers=bearer)
        told.ask(method, path.replace("{user_id}", ADA).replace("{task_id}", MARK), headers=bearer)
        told.ask(method, path.replace("{user_id}", "bob").replace("{task_id}", ANY_ID), headers=bearer)
        told.ask(method, f"{target}/{MARK}", headers=bearer)
        for text in bad_tokens():
            told.tokens.append(text)
            told.ask(method, target, json={"title": TITLE}, headers={"Authorization": f"Bearer {text}"})
    told.ask("PUT", "/api/tasks", json={"title": TITLE}, headers=bearer)


def bad_tokens() -> list[str]:
    good = token()
    return [
        good[:-8] + "AAAAAAAA",
        good.rpartition(".")[0] + ".",
        token(expires_in=timedelta(seconds=-90)),
        token("a" * 255, audience=f"better-auth:{MARK}"),
        sign(ED25519, kid=MARK, email=MARK),
        f"{MARK}.{MARK}.{MARK}",
    ]


def ask_well(told: Told) -> None:
    """The life of a task, so that there are successes in the log, too."""
    good = token()
    told.tokens.append(good)
    bearer = {"Authorization": f"Bearer {good}"}
    created = told.client.post("/api/tasks", json={"title": TITLE, "description": DESCRIPTION}, headers=bearer)
    task = created.headers["location"]
    told.ask("PUT", task, json={"title": f"other {TITLE}"}, headers=bearer | {"If-Match": created.headers["etag"]})
    told.ask("PUT", task, json={"title": f"third {TITLE}"}, headers=bearer | {"If-Match": created.headers["etag"]})
    told.ask("PATCH", f"{task}/toggle", headers=bearer)
    for path in ("/api/tasks", "/api/tasks/export", "/api/tasks/export?format=csv", f"/api/{ADA}", task):
        told.ask("GET", path, headers=bearer)
    for key in (f'"{MARK}"', MARK):
        for title in (TITLE, TITLE, f"other {TITLE}"):
            told.ask("POST", "/api/tasks", json={"title": title}, headers=bearer | {"Idempotency-Key": key})
    told.ask("DELETE", task, headers=bearer)
    told.ask("POST", f"{task}/restore", headers=bearer)
    told.ask("POST", "/api/auth/verify", headers=bearer)


@contextlib.contextmanager
def unforeseen(database: str) -> Iterator[None]:
    """A constraint that no check knows of. PostgreSQL puts the whole row into the error message."""
    with psycopg.connect(database, autocommit=True) as connection:
        for table, column in (("tasks", "title"), ("users", "email")):
            connection.execute(
                f"ALTER TABLE {table} ADD CONSTRAINT unforeseen_{table} CHECK (length({column}) = 0) NOT VALID".encode()
            )
        yield
        for table in ("tasks", "users"):
            connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT unforeseen_{table}".encode())


@contextlib.contextmanager
def renamed(database: str, column: str) -> Iterator[None]:
    """A column that is missing, as in the middle of a bad migration."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"ALTER TABLE tasks RENAME COLUMN {column} TO away".encode())
        yield
        connection.execute(f"ALTER TABLE tasks RENAME COLUMN away TO {column}".encode())
