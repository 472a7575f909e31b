"""What the log must not say, whatever goes wrong, and the lines that nobody else may write into it."""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import psycopg
import pytest
import yaml

from server.auth.tokens import issue_token
from server.contract.document import operations
from tests.support.figures import Figures
from tests.support.issuer import ED25519, Issuer, running_issuer, sign
from tests.support.postgres import Postgres, fresh_database
from tests.support.raw_http import Wire
from tests.support.service import ROOT, Service, free_port, running_service

# Part of every title, description, e-mail, name, token and secret of these tests, and of no line.
MARK = "confidential5f0c"
SECRET = f"{MARK}-WqQE00ExWbXDkro5dS-IHQ5zhSrGXksH"
TITLE, DESCRIPTION = f"title {MARK}", f"description {MARK} \N{UNICORN FACE}"
ADA = "ada"
ANY_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
UNREACHABLE = f"redis://:{MARK}@127.0.0.1:1/0"

_DEVELOPMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z \[(debug|info|warning|error|critical) *\] ")
_GREETING = re.compile(r"Documentation: \S+\nToken of the user 'demo', for an hour:\n\n\S+\n\n")
_OF_EVERY_LINE = {"event", "level", "timestamp"}
_OF_A_LIBRARY = {"logger", "error", "frames", "sqlstate"}


def documented() -> dict[str, set[str]]:
    """The facts of each event, as the table in the documentation has them."""
    text = (ROOT / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| `([a-z_.]+)` \| [^|]* \|([^|]*)\|$", text, re.MULTILINE)
    return {event: set(re.findall(r"`(\w+)`", facts)) for event, facts in rows}


def token(subject: str = ADA, **changes: Any) -> str:
    options: dict[str, Any] = {"email": f"{MARK}@example.org", "name": f"Name {MARK}", **changes}
    return issue_token(SECRET, subject, **{"expires_in": timedelta(minutes=10), **options})


@dataclass
class Told:
    """A service whose log is looked at, and the tokens that it was shown."""

    service: Service
    production: bool
    tokens: list[str] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)
    asked: int = 0

    def ask(self, method: str, path: str, **options: Any) -> None:
        """Send a request. Only what the service logs of it matters here."""
        answer = self.client.request(method, path, **options)
        self.statuses.add(answer.status_code)
        self.asked += 1

    def __post_init__(self) -> None:
        # Not one of the service's: those hold answers against the document, which some of these break.
        self.client = self.service.clients.enter_context(
            httpx2.Client(base_url=self.service.url, trust_env=False, timeout=30, verify=False)
        )

    def log(self) -> str:
        """What it has written after it has said hello."""
        return _GREETING.sub("", self.service.read_log(), count=1)

    def assert_says_nothing(self) -> None:
        """Hold the whole log against what must not be in it, and each line against its form."""
        log = self.log()
        words = [MARK, *(part for text in self.tokens for part in text.split(".")[1:] if len(part) > 7)]
        assert [line for line in log.splitlines() if any(word in line for word in words)] == []
        self.assert_lines_are_ours(log)

    def assert_lines_are_ours(self, log: str) -> None:
        """Whatever ends a line for somebody, every line is one of ours."""
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


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    cluster = Postgres(tmp_path_factory.mktemp("cluster"), free_port())
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop("immediate")


@pytest.fixture
def database(cluster: Postgres) -> Iterator[str]:
    """A database of the test's own, whose address has a password in it."""
    cluster.start()
    with fresh_database(cluster.url()) as url:
        yield url.replace("postgres@", f"postgres:{MARK}@")
        cluster.start()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as issuer:
        yield issuer


# What is said at `info` is said at `debug`, too, and production refuses to run with that.
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
    """What is sent to every operation, whether it takes a body or not, with its media type."""
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
    """A constraint that no check knows of. Whoever breaks it is told the whole row by PostgreSQL."""
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
    """A column that is not there any more, as in the middle of a bad migration."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"ALTER TABLE tasks RENAME COLUMN {column} TO away".encode())
        yield
        connection.execute(f"ALTER TABLE tasks RENAME COLUMN away TO {column}".encode())


# What is private.


@pytest.mark.parametrize("mode", MODES)
def test_no_line_holds_what_is_private_whatever_is_asked(
    figures: Figures, mode: Mode, database: str, issuer: Issuer, tmp_path: Path
) -> None:
    """Every operation, well and badly asked; then with a table that refuses, with a column gone, and without keys."""
    jwks = issuer.url.replace("//", f"//{MARK}:{MARK}@") + f"?key={MARK}"
    with told(tmp_path, mode, DATABASE_URL=database, JWKS_URL=jwks) as service:
        ask_well(service)
        ask_everything(service)
        assert {200, 201, 204, 400, 401, 403, 404, 405, 406, 412, 415, 422} <= service.statuses
        assert not service.statuses & {500, 503}
        with unforeseen(database):
            ask_everything(service)
        assert 500 in service.statuses
        with renamed(database, "description"):
            ask_everything(service)
        assert 503 in service.statuses
        service.assert_says_nothing()
        figures("Requests that must leave nothing private in the log", service.asked, service.asked)


@pytest.mark.parametrize("mode", MODES)
def test_no_line_holds_what_is_private_when_the_database_goes(
    figures: Figures, mode: Mode, cluster: Postgres, database: str, tmp_path: Path
) -> None:
    with told(tmp_path, mode, DATABASE_URL=database) as service:
        ask_well(service)
        bearer = {"Authorization": f"Bearer {token()}"}

        def write(number: int) -> None:
            service.ask("POST", "/api/tasks", json={"title": f"{TITLE} {number}"}, headers=bearer)

        with psycopg.connect(database) as lock, ThreadPoolExecutor(8) as threads:
            lock.execute("LOCK TABLE tasks")
            under_way = [threads.submit(write, number) for number in range(8)]
            cluster.stop("immediate")
            for one in under_way:
                one.result()
            lock.close()
        for number in range(3):
            write(number)
        assert 503 in service.statuses
        cluster.start()
        service.assert_says_nothing()
        figures("Requests that must leave nothing private in the log", service.asked, service.asked)


def _break_with(body: bytes, **headers: str) -> Callable[[Issuer], None]:
    def outage(issuer: Issuer) -> None:
        issuer.body, issuer.headers = body, headers

    return outage


def _say_status(issuer: Issuer) -> None:
    issuer.status = 500


KEY_OUTAGES: dict[str, Callable[[Issuer], None]] = {
    "500": _say_status,
    "not JSON": _break_with(f"<html>{MARK}".encode()),
    "a member twice": _break_with(f'{{"{MARK}":1,"{MARK}":2}}'.encode()),
    "a list": _break_with(f'["{MARK}"]'.encode()),
    "no keys": _break_with(f'{{"{MARK}":1}}'.encode()),
    "a coding": _break_with(MARK.encode(), **{"Content-Encoding": "gzip"}),
    "a length that is none": _break_with(b"", **{"Content-Length": MARK}),
    "a header that is none": _break_with(b"", **{MARK: f"{MARK}\x00"}),
    "cut short": _break_with(MARK.encode(), **{"Content-Length": "99"}),
}


@pytest.mark.parametrize("outage", [pytest.param(outage, id=name) for name, outage in KEY_OUTAGES.items()])
def test_the_addresses_and_answers_of_an_issuer_are_not_repeated(
    outage: Callable[[Issuer], None], database_url: str, issuer: Issuer, tmp_path: Path
) -> None:
    outage(issuer)
    jwks = issuer.url.replace("//", f"//{MARK}:{MARK}@") + f"?key={MARK}"
    with told(tmp_path, ("production", "info"), DATABASE_URL=database_url, JWKS_URL=jwks) as service:
        text = sign(ED25519, email=MARK)
        service.tokens.append(text)
        service.ask("GET", "/api/tasks", headers={"Authorization": f"Bearer {text}"})
        assert service.statuses == {503}
        (line,) = [line for line in service.log().splitlines() if "security.jwks_fetch_failed" in line]
        assert json.loads(line)["url"] == issuer.url
        service.assert_says_nothing()


@pytest.mark.parametrize("mode", MODES)
def test_an_answer_that_breaks_the_contract_is_told_without_its_values(
    mode: Mode, database: str, tmp_path: Path
) -> None:
    header = {"overlay": "1.0.0", "info": {"title": "Of a test", "version": "1.0.0"}}
    strict = {"target": "$.components.schemas.StoredTitle", "update": {"maxLength": 1}}
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(yaml.safe_dump({**header, "actions": [strict]}))
    with told(tmp_path, mode, DATABASE_URL=database, OPENAPI_OVERLAYS=str(overlay)) as service:
        bearer = {"Authorization": f"Bearer {token()}"}
        service.ask("POST", "/api/tasks", json={"title": TITLE}, headers=bearer)
        service.ask("GET", "/api/tasks", headers=bearer)
        assert service.statuses == {500}
        assert service.log().count("contract.response_violation") == 2
        service.assert_says_nothing()


@pytest.mark.parametrize("mode", MODES)
def test_an_export_that_breaks_off_does_not_quote_the_row(mode: Mode, database: str, tmp_path: Path) -> None:
    """The answer has begun by then, so the server that runs the service has the last word of it."""
    with told(tmp_path, mode, DATABASE_URL=database) as service:
        bearer = {"Authorization": f"Bearer {token()}"}
        service.ask("POST", "/api/tasks", json={"title": TITLE}, headers=bearer)
        with psycopg.connect(database, autocommit=True) as connection:
            checks = connection.execute(
                "SELECT conname FROM pg_constraint WHERE conrelid = 'tasks'::regclass AND contype = 'c'"
            ).fetchall()
            for (name,) in checks:
                connection.execute(f"ALTER TABLE tasks DROP CONSTRAINT {name}".encode())
            connection.execute(
                "INSERT INTO tasks (user_id, id, title, title_key, completed, created_at, updated_at) "
                "SELECT user_id, gen_random_uuid(), title, title_key, false, created_at, updated_at "
                "FROM tasks, generate_series(1, 5000)"
            )
            connection.execute(
                "INSERT INTO tasks (user_id, id, title, title_key, completed, created_at, updated_at) "
                "SELECT user_id, gen_random_uuid(), title, title_key, false, '12345-06-07', updated_at "
                "FROM tasks LIMIT 1"
            )
        with pytest.raises(httpx2.RemoteProtocolError):
            service.ask("GET", "/api/tasks/export", headers=bearer)
        log = service.log()
        assert "DataError" in log
        assert "12345" not in log
        service.assert_says_nothing()


LIBRARIES = """
import asyncio, logging, sys
from server.logging import configure_logging
configure_logging(level="debug", json=sys.argv[1] == "production")
try:
    raise ValueError("{mark}\\n2026-11-21T00:00:00.000000Z [info     ] forged")
except ValueError as error:
    logging.getLogger("uvicorn.error").error("Exception in ASGI application\\n", exc_info=error)
    logging.getLogger("uvicorn.error").exception("once more")

async def main():
    async def fail():
        raise ValueError("{mark}\\n{mark}")
    task = asyncio.create_task(fail())
    await asyncio.wait({{task}})
    del task

asyncio.run(main())
logging.getLogger("any").warning("\\x1b[31mred\\u2028blue")
logging.getLogger("any").warning("")
"""


@pytest.mark.parametrize("environment", ["development", "production"])
def test_what_libraries_say_of_an_exception_is_its_kind_and_place(environment: str, tmp_path: Path) -> None:
    said = run([sys.executable, "-c", LIBRARIES.format(mark=MARK), environment], tmp_path)
    assert said.count("ValueError") == 3
    assert MARK not in said
    assert len(said.splitlines()) == 6
    assert "\x1b" not in said
    assert ("Exception in ASGI application" in said, "Task exception was never retrieved" in said) == (True, True)


def run(command: list[str], directory: Path, **environment: str) -> str:
    """All that a command says, on both its outputs."""
    ended = subprocess.run(  # noqa: S603
        command,
        cwd=directory,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.stdout + ended.stderr


# Secrets of the environment.


def _passwords(port: int) -> dict[str, str]:
    """Addresses with a password that is taken apart where one forgot to encode it, and some that lead nowhere."""
    return {
        "nobody listens": f"postgresql://ada:{MARK}@127.0.0.1:1/tasks",
        "an unknown host": f"postgresql://ada:{MARK}@nowhere.invalid/tasks",
        "another database": f"postgresql://postgres:{MARK}@127.0.0.1:{port}/nowhere",
        "another user": f"postgresql://nobody:{MARK}@127.0.0.1:{port}/postgres",
        "@ in the password": f"postgresql://ada:pass@{MARK}@127.0.0.1:{port}/postgres",
        "/ in the password": f"postgresql://ada:{MARK}/word@127.0.0.1:{port}/postgres",
        "/ after digits": f"postgresql://ada:5432/{MARK}@127.0.0.1:{port}/postgres",
        "@ and / in the password": f"postgresql://ada:a@b/{MARK}@127.0.0.1:{port}/postgres",
        "? in the password": f"postgresql://ada:pass?{MARK}@127.0.0.1:{port}/postgres",
        "? and @ in the password": f"postgresql://ada:pass?a@{MARK}@127.0.0.1:{port}/postgres",
        "# in the password": f"postgresql://ada:pass#{MARK}@127.0.0.1:{port}/postgres",
        "% in the password": f"postgresql://ada:%zz{MARK}@127.0.0.1:{port}/postgres",
        "a space in the password": f"postgresql://ada:pass {MARK}@127.0.0.1:{port}/postgres",
        ": in the password": f"postgresql://ada:pass:{MARK}@127.0.0.1:{port}/postgres",
        "the password as an option": f"postgresql://127.0.0.1:{port}/postgres?user=nobody&password={MARK}",
        "an option that is none": f"postgresql://127.0.0.1:{port}/postgres?pasword={MARK}",
        "an option of an option": f"postgresql://ada:{MARK}@127.0.0.1:{port}/postgres?sslmode=no",
        "another scheme": f"mysql://root:{MARK}@127.0.0.1/tasks",
        "the words of psql": f"host=127.0.0.1 password={MARK}",
    }


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL that asks for passwords, and knows none of ours."""
    directory = tmp_path_factory.mktemp("locked")
    postgres = Postgres(directory, free_port())
    rules = directory / "data/pg_hba.conf"
    rules.write_text("host all all 127.0.0.1/32 scram-sha-256\n")
    postgres.start()
    try:
        yield postgres
    finally:
        postgres.stop("immediate")


@pytest.mark.parametrize("name", _passwords(0))
@pytest.mark.parametrize("environment", ["development", "production"])
def test_a_password_is_not_logged_when_the_database_cannot_be_reached(
    figures: Figures, name: str, environment: str, locked: Postgres, tmp_path: Path
) -> None:
    """`migrate` says what the service's own attempts say, and ends."""
    said = run(
        [sys.executable, "-m", "server", "migrate"],
        tmp_path,
        DATABASE_URL=_passwords(locked.port)[name],
        BETTER_AUTH_SECRET=SECRET,
        ENVIRONMENT=environment,
    )
    assert said.startswith("Error: ")
    assert MARK not in said
    assert "Traceback" not in said
    figures("Secrets of the environment that must not be logged", 1, 1)


@pytest.mark.parametrize("mode", MODES)
def test_a_service_without_its_database_does_not_tell_the_password(
    mode: Mode, locked: Postgres, tmp_path: Path
) -> None:
    url = f"postgresql://postgres:{MARK}@127.0.0.1:{locked.port}/postgres"
    environment, level = mode
    settings: dict[str, Any] = {"ENVIRONMENT": environment, "LOG_LEVEL": level, "REDIS_URL": UNREACHABLE}
    with running_service(
        tmp_path, ready=False, DATABASE_URL=url, DATABASE_WAIT_SECONDS="1", BETTER_AUTH_SECRET=SECRET, **settings
    ) as service:
        watched = Told(service, environment == "production")
        watched.ask("GET", "/api/tasks", headers={"Authorization": f"Bearer {token()}"})
        watched.ask("GET", "/health/ready")
        assert watched.statuses == {503}
        assert "migrations.postponed" in watched.log()
        watched.assert_says_nothing()


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"BETTER_AUTH_SECRET": MARK}, id="a short secret"),
        pytest.param({"BETTER_AUTH_SECRET": json.dumps({"kty": "oct", "k": MARK * 3})}, id="a secret that is a JWK"),
        pytest.param({"BETTER_AUTH_SECRET": f"ssh-ed25519 {MARK * 4}"}, id="a secret that is a public key"),
        pytest.param({"JWKS_URL": f"ftp://ada:{MARK}@127.0.0.1/jwks"}, id="the keys at another kind of address"),
        pytest.param({"BETTER_AUTH_URL": f"https://ada:{MARK}@127.0.0.1/path"}, id="a front end with a path"),
        pytest.param({"MIGRATIONS_DATABASE_URL": f"postgresql://a:p@{MARK}@h/d"}, id="migrations go elsewhere"),
        pytest.param({"NEON_DB_URL": f"postgresql://a:p@{MARK}@h/d"}, id="by the other name"),
        pytest.param({"PORT": MARK}, id="a secret in the wrong place"),
        pytest.param({"LOG_LEVEL": MARK}, id="a secret in another wrong place"),
        pytest.param({"TRASH_RETENTION_DAYS": MARK}, id="a secret in a third wrong place"),
    ],
)
def test_settings_that_are_wrong_are_not_repeated(
    figures: Figures, environment: dict[str, str], tmp_path: Path
) -> None:
    said = run([sys.executable, "-m", "server", "serve"], tmp_path, **{"BETTER_AUTH_SECRET": SECRET, **environment})
    assert said.startswith("Error: ")
    assert MARK not in said
    assert "Traceback" not in said
    figures("Secrets of the environment that must not be logged", 1, 1)


def test_a_migration_that_fails_does_not_quote_rows(database: str, tmp_path: Path) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            f"""
            CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'refused' USING DETAIL = 'Failing row contains ({MARK})', HINT = '{MARK}'; END $$;
            CREATE EVENT TRIGGER refuse ON ddl_command_end EXECUTE FUNCTION refuse()
            """.encode()
        )
    said = run([sys.executable, "-m", "server", "migrate"], tmp_path, DATABASE_URL=database, BETTER_AUTH_SECRET=SECRET)
    assert said == "Error: refused\n"


def test_the_log_of_the_embedded_database_quotes_no_row(database_url: str, database_log: Path, tmp_path: Path) -> None:
    with fresh_database(database_url) as url, told(tmp_path, ("production", "info"), DATABASE_URL=url) as service:
        bearer = {"Authorization": f"Bearer {token()}"}
        with unforeseen(url):
            service.ask("POST", "/api/tasks", json={"title": TITLE}, headers=bearer)
            service.ask("POST", "/api/tasks", json={"title": TITLE}, headers=bearer | {"Idempotency-Key": MARK})
            typed = bearer | {"Content-Type": "application/x-ndjson"}
            line = json.dumps({"title": TITLE, "description": MARK, "created_at": "2026-01-01T00:00:00Z"})
            service.ask("POST", "/api/tasks/import", content=line, headers=typed)
        assert service.statuses == {500}
    log = database_log.read_text(errors="replace")
    assert "unforeseen_" in log
    assert [line for line in log.splitlines() if MARK in line or "DETAIL" in line] == []


# Lines that others would write.

# What ends a line for somebody, or moves what has been written already.
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
    # Without a space, too: with one, many a formatter puts quotation marks around the whole.
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
        with Wire(forged.service) as wire, contextlib.suppress(ConnectionError):
            wire.send(sent)
            wire.stop()
            wire.rest()
    log = forged.log()
    forged.assert_lines_are_ours(log)
    assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u200b\U000e0041]", log) == []
    events = [json.loads(line)["event"] for line in log.splitlines()] if forged.production else []
    assert "forged" not in events
    # Else nothing of what was sent came anywhere near the log, and this would prove nothing.
    assert "security.path_user_mismatch" in log
    figures("Forged log lines", len(attempts), len(attempts))


def test_users_of_any_script_are_told_where_the_locale_has_no_letters_for_them(
    database_url: str, tmp_path: Path
) -> None:
    """A line that cannot be written would take along those of the requests beside it."""
    for environment in ("development", "production"):
        (tmp_path / environment).mkdir()
        with told(
            tmp_path / environment, (environment, "info"), DATABASE_URL=database_url, PYTHONIOENCODING="latin-1"
        ) as service:
            for subject in ("Ж", "\N{UNICORN FACE}", "ada"):
                service.ask("GET", "/api/tasks", headers={"Authorization": f"Bearer {token(subject)}"})
            lines = [line for line in service.log().splitlines() if "listMyTasks" in line]
            assert ["0416" in lines[0], "ada" in lines[2], len(lines)] == [True, True, 3]


def test_the_documentation_knows_every_event() -> None:
    """Of those that the code names, in the place where it logs them."""
    sources = [
        path.read_text() for room in ("server", "handlers", "persistence") for path in (ROOT / room).rglob("*.py")
    ]
    named = {event for text in sources for event in re.findall(r'\b_log\.\w+\(\s*"([^"]+)"', text)} | {"request"}
    assert named == documented().keys()
