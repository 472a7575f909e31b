"""Caching and cross-origin requests as a real browser does them, where there is one."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from selenium.webdriver import Chrome

from tests.support.servers.threaded import serving
from tests.support.service import Service, running_service, token

pytestmark = pytest.mark.exhaustive(1)

FETCH = """
    const [path, options, done] = arguments;
    fetch(path, options).then(async (answer) => done({
        status: answer.status, text: await answer.text(), headers: Object.fromEntries(answer.headers),
    }), (error) => done({error: String(error)}));
"""


@pytest.fixture(scope="module")
def other_origin() -> Iterator[str]:
    """The origin of a front end: a server of an empty page."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.fixture(scope="module")
def shared(database_url: str, other_origin: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that the front end of the other origin may call."""
    directory = tmp_path_factory.mktemp("shared")
    with running_service(directory, DATABASE_URL=database_url, CORS_ORIGINS=other_origin) as running:
        yield running


def fetch(browser: Chrome, url: str, subject: str, **options: Any) -> dict[str, Any]:
    """Fetch in the page that is open, with a token."""
    headers = {"Authorization": f"Bearer {TOKENS.setdefault(subject, token(subject))}", **options.pop("headers", {})}
    answer: dict[str, Any] = browser.execute_async_script(FETCH, url, {"headers": headers, **options})
    return answer


TOKENS: dict[str, str] = {}


def statuses(service: Service, operation: str, subject: str) -> list[int]:
    """Return the statuses of the operation's requests in the log."""
    lines = [line for line in service.read_log().splitlines() if f"operation='{operation}'" in line and subject in line]
    return [int(line.partition("status=")[2].split()[0]) for line in lines]


@pytest.mark.parametrize("page", ["of the service", "of another origin"])
def test_a_browser_revalidates_what_it_has(
    shared: Service, other_origin: str, chromium: Chrome, page: str, new_user: Any
) -> None:
    """It sends `If-None-Match` itself, and the script sees the content of the first response."""
    subject = new_user("ada")
    client = shared.as_user(subject)
    client.post("/api/tasks", json={"title": "Buy milk"}).raise_for_status()
    chromium.get(f"{shared.url}/problems" if page == "of the service" else other_origin)
    url = f"{shared.url}/api/tasks"
    first, second = (fetch(chromium, url, subject) for _ in range(2))
    assert (first["status"], second["status"], second["text"]) == (200, 200, first["text"])
    assert second["headers"]["etag"] == first["headers"]["etag"]
    assert statuses(shared, "listMyTasks", subject) == [200, 304]
    client.post("/api/tasks", json={"title": "Mow the lawn"}).raise_for_status()
    assert "Mow the lawn" in fetch(chromium, url, subject)["text"]
    assert statuses(shared, "listMyTasks", subject) == [200, 304, 200]


def test_a_browser_gives_nobody_the_response_of_another_user(
    shared: Service, other_origin: str, chromium: Chrome, new_user: Any
) -> None:
    """Who has another token gets another response; a profile is not stored at all."""
    ada, bob = new_user("ada"), new_user("bob")
    shared.as_user(ada).post("/api/tasks", json={"title": "Ada's"}).raise_for_status()
    chromium.get(other_origin)
    url = f"{shared.url}/api/tasks"
    assert "Ada's" in fetch(chromium, url, ada)["text"]
    assert fetch(chromium, url, bob)["text"] == "[]"
    assert [fetch(chromium, f"{shared.url}/api/me", ada)["status"] for _ in range(2)] == [200, 200]
    assert statuses(shared, "getMe", ada) == [200, 200]


def test_a_front_end_may_send_cookies_and_trace_requests(
    shared: Service, other_origin: str, chromium: Chrome, new_user: Any
) -> None:
    """And read every documented header field."""
    subject = new_user("ada")
    chromium.get(other_origin)
    fields = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "a=b",
        "baggage": "a=b",
        "sentry-trace": "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        "X-Requested-With": "XMLHttpRequest",
        "Prefer": "return=minimal",
        "Cache-Control": "no-cache",
        "If-Modified-Since": "Sat, 21 Nov 2026 00:00:00 GMT",
        "X-Request-ID": "from-the-page",
    }
    export = fetch(chromium, f"{shared.url}/api/tasks/export", subject, credentials="include", headers=fields)
    assert export["headers"].keys() >= {"content-disposition", "server-timing", "x-request-id"}
    assert export["headers"]["x-request-id"] == "from-the-page"
    creating = {
        "method": "POST",
        "credentials": "include",
        "headers": {**fields, "Content-Type": "application/json", "Idempotency-Key": "k"},
        "body": '{"title":"Buy milk"}',
    }
    first, second = (fetch(chromium, f"{shared.url}/api/tasks", subject, **creating) for _ in range(2))
    assert (first["status"], second["status"], second["headers"]["idempotent-replayed"]) == (201, 201, "true")
    assert {"etag", "location"} <= first["headers"].keys()
    refused = fetch(chromium, f"{shared.url}/api/tasks", subject, credentials="include", headers={"Authorization": "x"})
    assert refused["status"] == 401
    assert "www-authenticate" in refused["headers"]
