"""Nothing confidential reaches the log, whatever goes wrong."""

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import psycopg
import pytest
import yaml

from tests.hostile.logs.service import (
    MARK,
    MODES,
    TITLE,
    Mode,
    ask_everything,
    ask_well,
    documented,
    renamed,
    token,
    told,
    unforeseen,
)
from tests.support.figures import Figures
from tests.support.servers.issuer import ED25519, Issuer, sign
from tests.support.servers.postgres import Postgres
from tests.support.service import ROOT

pytestmark = pytest.mark.exhaustive(2)

# Confidential values.


@pytest.mark.parametrize("mode", MODES)
def test_no_line_holds_what_is_private_whatever_is_asked(
    figures: Figures, mode: Mode, database: str, issuer: Issuer, tmp_path: Path
) -> None:
    """Every operation, well and badly asked; then with a table that refuses, with a column gone, and without keys."""
    jwks = issuer.url.replace("//", f"//{MARK}:{MARK}@") + f"?key={MARK}"
    with told(tmp_path, mode, DATABASE_URL=database, JWKS_URL=jwks) as service:
        started = len(service.log())
        ask_well(service)
        ask_everything(service)
        assert {200, 201, 204, 400, 401, 403, 404, 405, 406, 412, 415, 422} <= service.statuses
        assert 500 not in service.statuses
        # One token names a key that the issuer does not have, and keys are not fetched for each request.
        outages = [
            line
            for line in service.log()[started:].splitlines()
            if re.search(r"""(\] |event": ?")unavailable\b""", line)
        ]
        assert outages
        assert [line for line in outages if "the token's key is not in the key set" not in line] == []
        with unforeseen(database):
            ask_everything(service)
        assert 500 in service.statuses
        with renamed(database, "description"):
            ask_everything(service)
        assert "42703" in service.log()
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
def test_a_response_violation_is_logged_without_values(mode: Mode, database: str, tmp_path: Path) -> None:
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
    """The answer has begun by then, so uvicorn writes the last line."""
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


def test_the_documentation_knows_every_event() -> None:
    """Of those that the code names, in the place where it logs them."""
    sources = [
        path.read_text() for room in ("server", "handlers", "persistence") for path in (ROOT / room).rglob("*.py")
    ]
    named = {event for text in sources for event in re.findall(r'\b_log\.\w+\(\s*"([^"]+)"', text)} | {"request"}
    assert named == documented().keys()
