"""Health, which needs no token."""

import httpx2

from tests.support.service import Service


def test_the_service_is_alive_and_ready(service: Service) -> None:
    client = service.client()
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/health/ready").json() == {"status": "ready"}


def test_a_user_can_keep_a_task(ada: tuple[str, httpx2.Client]) -> None:
    subject, client = ada
    created = client.post(f"/api/{subject}/tasks", json={"title": "Buy milk"})
    assert created.status_code == httpx2.codes.CREATED
    assert client.get(created.headers["location"]).json() == created.json()
