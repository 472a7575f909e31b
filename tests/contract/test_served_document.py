"""The document as it is served, with a prefix and with overlays."""

from collections.abc import Iterator

import pytest
import yaml

from tests.support.document import AUTHORED, DOCUMENT, LONG_TEXT
from tests.support.raw_http import problem, violations
from tests.support.service import Service, running_service

pytestmark = pytest.mark.slow

# The served document


def test_the_document_is_served_as_it_was_written(service: Service) -> None:
    client = service.client()
    as_json, as_yaml = client.get("/openapi.json"), client.get("/openapi.yaml")
    assert (as_json.headers["content-type"], as_json.json()) == ("application/json", DOCUMENT)
    assert as_yaml.headers["content-type"] == "application/yaml"
    assert as_yaml.content == AUTHORED.read_bytes()


@pytest.fixture(scope="module")
def adapted(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service behind a prefix, with longer limits."""
    directory = tmp_path_factory.mktemp("adapted")
    with running_service(
        directory, NEON_DB_URL=database_url, ROOT_PATH="/prefix/", OPENAPI_OVERLAYS=str(LONG_TEXT)
    ) as running:
        yield running


def test_behind_a_prefix_the_document_and_every_address_name_it(adapted: Service) -> None:
    client = adapted.as_user("prefixed")
    for served in (client.get("/openapi.json").json(), yaml.safe_load(client.get("/openapi.yaml").content)):
        assert [server["url"] for server in served["servers"]] == ["/prefix"]
        assert served["externalDocs"]["url"] == "/prefix/guide"
    for title in "ab":
        created = client.post("/api/tasks", json={"title": title})
    assert created.headers["location"] == f"/prefix/api/tasks/{created.json()['id']}"
    assert client.get("/api/tasks?limit=1").headers["link"].startswith("</prefix/api/tasks?")
    members = problem(adapted, client.get("/nowhere"), "not-found")
    assert members["instance"] == "/prefix/nowhere"


def test_an_overlay_changes_the_served_and_enforced_limits(adapted: Service) -> None:
    client = adapted.as_user("talkative")
    for served in (client.get("/openapi.json").json(), yaml.safe_load(client.get("/openapi.yaml").content)):
        schemas = served["components"]["schemas"]
        assert (schemas["TaskTitle"]["maxLength"], schemas["TaskDescription"]["maxLength"]) == (255, 5000)
    longest = {"title": "a" * 255, "description": "b" * 5000}
    created = client.post("/api/tasks", json=longest)
    assert created.status_code == 201
    assert created.json() | longest == created.json()
    refused = client.post("/api/tasks", json={"title": "a" * 256, "description": "b" * 5001})
    assert violations(adapted, refused) == [
        ("/description", "must be at most 5000 characters long"),
        ("/title", "must be at most 255 characters long"),
    ]


def test_a_title_stays_readable_when_the_limits_are_lowered(service: Service, adapted: Service) -> None:
    created = adapted.as_user("shortened").post("/api/tasks", json={"title": "a" * 255}).json()
    client = service.as_user("shortened")
    assert client.get("/api/tasks").json() == [created]
    assert client.patch(f"/api/tasks/{created['id']}/toggle").json()["completed"] is True
    assert client.put(f"/api/tasks/{created['id']}", json={"title": "a" * 201}).status_code == 422
