"""A Hugging Face Space: what the service does differently where `SPACE_HOST` is set."""

import html
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import yaml

from server.pages.notices import NO_KEYS
from tests.support.service import ROOT, Service, running_service

HOST = "ada-tasks.hf.space"
README = (ROOT / "deploy/space/README.md").read_text()


@pytest.fixture(scope="module")
def space(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A Space that its owner has not configured: no secret, and data without persistent storage."""
    with running_service(
        tmp_path_factory.mktemp("space"),
        ready=False,
        SPACE_HOST=HOST,
        ENVIRONMENT="production",
        DATABASE_URL=database_url,
        BETTER_AUTH_SECRET="",
    ) as running:
        yield running


def test_the_document_names_the_address_of_the_space(space: Service) -> None:
    document = space.client().get("/openapi.json").json()
    assert document["servers"][0]["url"] == f"https://{HOST}"


def test_pages_may_be_framed_by_hugging_face(space: Service) -> None:
    for path in ("/", "/docs", "/guide", "/problems"):
        policy = space.client().get(path).headers["content-security-policy"]
        assert policy.endswith("; frame-ancestors 'self' https://huggingface.co https://*.hf.space")
    assert "hf.space" not in space.client().get("/health").headers["content-security-policy"]


def test_a_missing_secret_is_told(space: Service) -> None:
    """On the first page and by readiness: a start that fails would show nothing of it."""
    assert html.escape(NO_KEYS) in space.client().get("/").text
    answer = space.client().get("/health/ready")
    assert (answer.status_code, answer.json()["detail"]) == (httpx2.codes.SERVICE_UNAVAILABLE, NO_KEYS)
    assert space.client(authorization="Bearer x.y.z").get("/api/tasks").status_code == httpx2.codes.UNAUTHORIZED


def test_data_that_will_be_lost_are_told(tmp_path: Path) -> None:
    with running_service(tmp_path, SPACE_HOST=HOST) as running:
        assert "All tasks are lost when this Space restarts" in running.client().get("/").text


def test_elsewhere_the_page_has_no_notice(service: Service) -> None:
    page = service.client().get("/").text
    assert page.count('class="notice"') == page.count('id="status" hidden') == 1


def test_the_readme_of_the_space_has_valid_front_matter() -> None:
    """The members that Hugging Face reads: huggingface.co/docs/hub/spaces-config-reference."""
    _, front_matter, body = README.split("---\n", 2)
    members = yaml.safe_load(front_matter)
    assert (members["sdk"], members["app_port"], members["license"]) == ("docker", 7860, "mit")
    assert len(members["short_description"]) <= 60
    assert f"EXPOSE {members['app_port']}\n" in (ROOT / "Dockerfile.spaces").read_text()
    assert body.startswith("\n# Tasks API\n")
