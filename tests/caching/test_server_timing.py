"""`Server-Timing`: the service's own time and that of the database."""

import re
from concurrent.futures import ThreadPoolExecutor

import httpx2
import psycopg

from tests.faults.probes import waiting_for_locks
from tests.support.service import Service
from tests.support.types import Owner
from tests.support.waiting import until

TIMING = re.compile(r"app;dur=([0-9]+\.[0-9]{2}), db;dur=([0-9]+\.[0-9]{2})", re.ASCII)
HELD_MILLISECONDS = 300


def timing(answer: httpx2.Response) -> tuple[float, float]:
    """Return the milliseconds of the service and of the database."""
    (field,) = answer.headers.get_list("server-timing")
    match = TIMING.fullmatch(field)
    assert match is not None, field
    return float(match[1]), float(match[2])


def test_every_answer_has_a_server_timing(service: Service, ada: Owner) -> None:
    """A success, a problem, a page, a preflight; only what asks the database has taken time there."""
    _, client = ada
    asked = [client.get("/api/tasks"), client.get("/api/me"), client.post("/api/tasks", json={"title": "a"})]
    for answer in asked:
        own, database = timing(answer)
        assert own > 0
        assert database > 0
    for answer in (client.get("/api/tasks?limit=0"), service.client().get("/docs"), client.options("/api/tasks")):
        own, database = timing(answer)
        assert own >= 0
        assert database == 0


def test_the_wait_for_a_lock_is_time_of_the_database(ada: Owner, database_url: str) -> None:
    """And not of the service. The next request on the connection starts anew."""
    _, client = ada
    task = client.post("/api/tasks", json={"title": "a"}).json()
    with psycopg.connect(database_url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SELECT FROM tasks WHERE id = %s FOR UPDATE", [task["id"]])
        sent = pool.submit(client.put, f"/api/tasks/{task['id']}", json={"title": "b"})
        until(lambda: waiting_for_locks(other.info.dsn) >= 1)
        other.execute("SELECT pg_sleep(%s / 1000.0)", [HELD_MILLISECONDS])
        other.rollback()
        own, database = timing(sent.result(20))
    assert database >= HELD_MILLISECONDS
    assert own < HELD_MILLISECONDS
    assert timing(client.get(f"/api/tasks/{task['id']}"))[1] < HELD_MILLISECONDS
