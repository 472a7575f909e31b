"""The pages outside the contract, as HTTP clients see them."""

import re
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest

from server.contract.document import load_document
from server.pages.problem_types import advice
from server.problems import KINDS
from tests.support.raw_http import RawConnection
from tests.support.service import Service, running_service

HTML_PAGES = ("/", "/docs", "/guide", "/problems")
DOCUMENT = load_document()


class Addresses(HTMLParser):
    """Collects the resources and links of a page, and the ids of its elements."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.ids: list[str] = []
        self.inline_scripts = 0

    def handle_starttag(self, tag: str, attrs: Iterable[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.inline_scripts += tag == "script" and "src" not in attributes
        self.inline_scripts += sum(name.startswith("on") for name in attributes)
        self.ids += [attributes["id"]] if "id" in attributes else []
        for name in ("src", "href"):
            if name in attributes:
                (self.linked if tag == "a" else self.loaded).append(attributes[name])


def addresses(service: Service, page: str) -> Addresses:
    parser = Addresses()
    parser.feed(service.client().get(page).text)
    return parser


@pytest.mark.parametrize("page", HTML_PAGES)
def test_a_page_needs_nothing_from_elsewhere(service: Service, page: str) -> None:
    client = service.client()
    found = addresses(service, page)
    assert found.inline_scripts == 0
    for address in found.loaded + found.linked:
        assert urlsplit(address)[:2] == ("", "")
        # Relative, so that it is right below the prefix of a proxy too.
        assert not address.startswith("/")
        assert client.get(urljoin(page, address)).status_code == 200


@pytest.mark.parametrize("page", [*HTML_PAGES, "/docs/start.js", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"])
def test_the_content_security_policy_of_a_page(service: Service, page: str) -> None:
    """A page loads from the service only, and only the service may frame it."""
    headers = service.client().get(page).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'self'"
    assert "x-frame-options" not in headers
    assert headers.get_list("content-security-policy") == [headers["content-security-policy"]]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"


def test_no_response_has_hsts_in_development(service: Service) -> None:
    for path in ("/", "/health", "/nowhere"):
        assert "strict-transport-security" not in service.client().get(path).headers


def test_every_response_has_hsts_in_production(database_url: str, tmp_path: Path) -> None:
    with running_service(tmp_path, DATABASE_URL=database_url, ENVIRONMENT="production") as production:
        answers = [production.client().get(path) for path in ("/", "/health", "/nowhere")]
        with RawConnection(production) as raw:
            raw.send(b"hello\r\n\r\n")
            fields = [*(answer.headers for answer in answers), raw.read().headers]
    assert [one["strict-transport-security"] for one in fields] == ["max-age=31536000; includeSubDomains"] * 4


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/start.js", "text/javascript; charset=utf-8"),
        ("/docs/swagger-ui.css", "text/css; charset=utf-8"),
        ("/docs/page.css", "text/css; charset=utf-8"),
        ("/pages.css", "text/css; charset=utf-8"),
        ("/favicon.ico", "image/png"),
        ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("/docs/favicon-32x32.png", "image/png"),
        ("/openapi.json", "application/json"),
        ("/openapi.yaml", "application/yaml"),
        ("/guide", "text/html; charset=utf-8"),
        ("/problems", "text/html; charset=utf-8"),
    ],
)
def test_a_page_is_served_with_its_type_and_to_head_too(service: Service, path: str, media_type: str) -> None:
    client = service.client(**{"accept-encoding": "identity"})
    page, head = client.get(path), client.head(path)
    assert (page.status_code, page.headers["content-type"]) == (200, media_type)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == page.headers["content-length"] == str(len(page.content))


def test_the_first_page_links_to_everything(service: Service) -> None:
    text = service.client().get("/").text
    assert DOCUMENT["info"]["title"] in text
    assert f"version {DOCUMENT['info']['version']}" in text
    linked = {urljoin("/", address) for address in addresses(service, "/").linked}
    assert linked == {
        "/docs",
        "/guide",
        "/openapi.json",
        "/openapi.yaml",
        "/problems",
        "/health",
        "/health/ready",
        "/metrics",
    }


def test_the_type_of_every_problem_leads_to_its_section(service: Service) -> None:
    """It says what the problem means, and what to do about it."""
    assert addresses(service, "/problems").ids == [kind.code for kind in KINDS]
    text = service.client().get("/problems").text
    _, *sections = text.split("<section ")
    for kind, section in zip(KINDS, sections, strict=True):
        assert section.startswith(f'id="{kind.code}">')
        assert f"<code>{kind.code}</code>" in section
        assert f">{kind.status}</span>" in section
        assert f"<strong>{kind.title}.</strong>" in section
        (what_to_do,) = re.findall(r"<strong>What to do:</strong> (.+?)</p>", section, re.DOTALL)
        assert len(what_to_do) > 30
    assert "`" not in text


def test_there_is_advice_about_each_problem() -> None:
    assert advice().keys() == {kind.code for kind in KINDS}


def test_header_fields_in_the_advice_are_those_of_the_document() -> None:
    named = set(re.findall(r"`((?:[A-Z][A-Za-z]*-)+[A-Za-z]+)`", "\n".join(advice().values())))
    parameters = {item["name"] for item in DOCUMENT["components"]["parameters"].values()}
    known = parameters | DOCUMENT["components"]["headers"].keys() | {"Content-Type", "Content-Encoding", "X-Request-ID"}
    assert {"Retry-After", "If-Match", "Idempotency-Key"} <= named <= known


def count(metrics: str, **labels: str) -> float:
    written = ",".join(f'{name}="{value}"' for name, value in labels.items())
    found = re.search(rf"^http_requests_total{{{re.escape(written)}}} (\S+)$", metrics, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_metrics_have_no_labels_that_a_client_makes_up(service: Service) -> None:
    """Requests are counted by operation, method and status."""
    client = service.client()
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    before = answer.text
    client.get("/api/someone/tasks")
    client.get("/made-up-path")
    client.request("PROPFIND", "/health")
    after = client.get("/metrics").text
    for labels in (
        {"method": "GET", "operation": "listTasks", "status": "401"},
        {"method": "GET", "operation": "none", "status": "404"},
        {"method": "other", "operation": "none", "status": "405"},
    ):
        assert count(after, **labels) - count(before, **labels) == 1
    assert 'http_request_duration_seconds_count{operation="listTasks"}' in after
    assert "made-up-path" not in after
    assert re.search(r"^http_connections [1-9]", after, re.MULTILINE)
    assert re.search(r"^event_loop_lag_seconds \d", after, re.MULTILINE)
    assert "PROPFIND" not in after
