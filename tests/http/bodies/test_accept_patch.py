"""The media types of a PATCH: `Accept-Patch` (RFC 5789) and 415."""

import httpx2
import pytest

from tests.support.api import ANY_ID, TasksApi
from tests.support.raw_http import problem
from tests.support.service import Service
from tests.support.types import Owner

OF_A_TASK = "application/merge-patch+json, application/json"


def test_options_names_the_media_types_of_a_patch(api: TasksApi) -> None:
    def options(path: str) -> httpx2.Response:
        answer = api.client.options(path)
        assert answer.status_code == 204
        return answer

    task = options(f"{api.tasks}/{ANY_ID}")
    assert task.headers["accept-patch"] == OF_A_TASK
    assert task.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"
    assert options(api.tasks).headers["accept-patch"] == "application/json"
    for path in (f"{api.tasks}/{ANY_ID}/toggle", f"{api.tasks}/export", "/health"):
        assert "accept-patch" not in options(path).headers


@pytest.mark.parametrize("media_type", ["application/json-patch+json", "text/plain", "application/merge-patch+json"])
def test_a_415_of_a_patch_names_the_media_types(service: Service, api: TasksApi, media_type: str) -> None:
    paths = {api.tasks: "application/json"}
    if media_type != "application/merge-patch+json":
        paths[f"{api.tasks}/{ANY_ID}"] = OF_A_TASK
    for path, expected in paths.items():
        answer = api.client.patch(path, content=b"{}", headers={"content-type": media_type})
        detail = f"The body must be {expected.replace(', ', ' or ')} in UTF-8, without a content coding."
        assert problem(service, answer, "unsupported-media-type")["detail"] == detail
        assert answer.headers["accept-patch"] == expected


def test_a_415_of_another_method_names_no_patch(service: Service, ada: Owner) -> None:
    for method, path in (("POST", "/api/tasks"), ("PUT", f"/api/tasks/{ANY_ID}")):
        answer = ada[1].request(method, path, content=b"{}", headers={"content-type": "application/merge-patch+json"})
        problem(service, answer, "unsupported-media-type")
        assert "accept-patch" not in answer.headers
