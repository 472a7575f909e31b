"""The answer to every SQLSTATE class, in the documentation, in the code, and from the service."""

import re
from collections.abc import Iterator

import httpx2
import psycopg
import pytest

from persistence.migrations import runner
from persistence.postgres.sqlstate import REPEATED_CODES, UNAVAILABLE_CLASSES, Answer, answer
from tests.faults.probes import assert_unavailable
from tests.support.servers.postgres import fresh_database
from tests.support.service import ROOT, Service, running_service

# A task whose title is an SQLSTATE ends with it; with "twice" after it, the first two attempts do.
_TRIGGER = """
CREATE SEQUENCE attempts;
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.title ~ '^SQLSTATE ' AND (NEW.title !~ ' twice$' OR nextval('attempts') % 3 > 0) THEN
        RAISE EXCEPTION 'raised by a trigger' USING ERRCODE = substr(NEW.title, 10, 5);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fail BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION fail();
"""
_ROW = re.compile(r"^\| (`\w\w`(?:, `\w\w`)*) \| ([^|]+) \| (\d+) \| ([^|]*)\|$", re.MULTILINE)
_DOCUMENTED = {
    name: (meaning.strip(), int(status))
    for names, meaning, status, _ in _ROW.findall((ROOT / "docs" / "operations.md").read_text())
    for name in re.findall(r"\w\w", names)
}
# PostgreSQL's catalogue, as psycopg knows it. 23503 and 55P03 have separate answers.
_ERRORS = [
    error for error in vars(psycopg.errors).values() if isinstance(error, type) and issubclass(error, psycopg.Error)
]
_CODES = sorted({error.sqlstate for error in _ERRORS if error.sqlstate} - {*REPEATED_CODES, "55P03"})
_FIRST_CODES = {code[:2]: code for code in reversed(_CODES)}


@pytest.fixture(scope="module")
def service(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose database ends a statement with the SQLSTATE that the title of a new task names."""
    with fresh_database(database_url) as url:
        runner.upgrade(url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_TRIGGER)
        with running_service(tmp_path_factory.mktemp("service"), DATABASE_URL=url) as running:
            yield running


def _create(service: Service, title: str) -> httpx2.Response:
    return service.as_user("ada").post("/api/ada/tasks", json={"title": title})


def test_every_class_of_postgresql_is_documented() -> None:
    """As PostgreSQL names it, with the answer that the code gives."""
    assert sorted(_DOCUMENTED) == sorted(_FIRST_CODES)
    documented = {name: meaning for name, (meaning, status) in _DOCUMENTED.items() if status == 503}
    assert documented == UNAVAILABLE_CLASSES


def test_every_code_has_the_answer_of_its_class() -> None:
    statuses = {Answer.UNAVAILABLE: 503, Answer.DEFECT: 500}
    wrong = [code for code in _CODES if statuses[answer(code)] != _DOCUMENTED[code[:2]][1]]
    assert wrong == []


@pytest.mark.parametrize("code", [*_FIRST_CODES.values(), "53ZZ9", "ZZ001"])
def test_the_service_answers_a_class_as_documented(code: str, service: Service) -> None:
    """Also codes that psycopg does not know: they are answered by their class, and without one, with a 500."""
    refused = _create(service, f"SQLSTATE {code}")
    if _DOCUMENTED.get(code[:2], ("", 500))[1] == 503:
        assert_unavailable(refused)
        assert f"({code}): raised by a trigger" in service.read_log()
    else:
        assert (refused.status_code, refused.json()["code"]) == (500, "internal-error")
        assert re.search(f"unexpected_error.*{code}", service.read_log())


@pytest.mark.parametrize("code", REPEATED_CODES)
def test_a_statement_that_was_rolled_back_is_repeated(code: str, service: Service) -> None:
    """The third attempt is the last. A sequence counts them, because it is not rolled back."""
    created = _create(service, f"SQLSTATE {code} twice")
    assert created.status_code == 201
    assert_unavailable(_create(service, f"SQLSTATE {code}"))
    titles = [task["title"] for task in service.as_user("ada").get("/api/ada/tasks").json()]
    assert titles.count(f"SQLSTATE {code} twice") == 1
    documented = (ROOT / "docs" / "operations.md").read_text()
    assert re.search(rf"`{code}` {REPEATED_CODES[code]}.*: repeated, then 503", documented)
