"""Pages, the document and the files of Swagger UI: entity tags, content codings, 304; and the files' version."""

import asyncio
import gzip
import json
import re
from pathlib import Path

import pytest

from server.pages import static
from tests.content_coding.decoding import DECODERS
from tests.support.raw_http import RawAnswer, RawConnection, ask, request
from tests.support.service import ROOT, Service, running_service

SWAGGER_UI = ROOT / "server" / "pages" / "swagger_ui"
TEXTS = [
    "/",
    "/docs",
    "/docs/start.js",
    "/docs/page.css",
    "/docs/swagger-ui.css",
    "/docs/swagger-ui-bundle.js",
    "/pages.css",
    "/guide",
    "/problems",
    "/openapi.json",
    "/openapi.yaml",
]
IMAGES = ["/favicon.ico", "/docs/favicon-32x32.png"]
CODINGS = [None, "gzip", "zstd"]
STRONG = re.compile(r'"[!#-~]+"')


def fetch(service: Service, path: str, coding: str | None, *fields: tuple[str, str], method: str = "GET") -> RawAnswer:
    accepted = [("Accept-Encoding", coding)] if coding else []
    with RawConnection(service) as raw:
        raw.send(request(method, path, [*accepted, *fields]))
        return raw.read(head=method == "HEAD")


@pytest.mark.parametrize("path", TEXTS)
def test_text_is_compressed_as_the_client_asks(service: Service, path: str) -> None:
    plain = fetch(service, path, None)
    for coding in CODINGS:
        page, head = fetch(service, path, coding), fetch(service, path, coding, method="HEAD")
        assert page.headers.get("content-encoding") == coding
        assert DECODERS[coding](page.content) == plain.content
        assert page.headers["content-length"] == str(len(page.content))
        assert "Accept-Encoding" in page.headers.get_list("vary", split_commas=True)
        assert page.headers["cache-control"] == "no-cache"
        names = ("etag", "content-length", "content-encoding", "content-type", "vary")
        assert [head.headers.get_list(name) for name in names] == [page.headers.get_list(name) for name in names]
        assert coding is None or len(page.content) < len(plain.content)


def test_the_largest_file_is_a_quarter_of_its_size(service: Service) -> None:
    for coding in ("gzip", "zstd"):
        page = fetch(service, "/docs/swagger-ui-bundle.js", coding)
        assert len(page.content) < len(DECODERS[coding](page.content)) * 0.28


@pytest.mark.parametrize("path", IMAGES)
def test_an_image_is_not_compressed_again(service: Service, path: str) -> None:
    page = fetch(service, path, "gzip, zstd")
    assert page.content.startswith(b"\x89PNG")
    assert "content-encoding" not in page.headers
    assert "Accept-Encoding" not in page.headers.get_list("vary", split_commas=True)


@pytest.mark.parametrize("path", [*TEXTS, *IMAGES])
def test_who_has_a_page_gets_a_304(service: Service, path: str) -> None:
    tags = {}
    for coding in CODINGS:
        page = fetch(service, path, coding)
        tag = tags[coding] = page.headers["etag"]
        assert STRONG.fullmatch(tag)
        for value in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            for method in ("GET", "HEAD"):
                answer = fetch(service, path, coding, ("If-None-Match", value), method=method)
                assert (answer.status_code, answer.content) == (304, b"")
                assert answer.headers["etag"] == tag
                assert answer.headers.get_list("vary", split_commas=True) == page.headers.get_list(
                    "vary", split_commas=True
                )
                assert answer.headers["cache-control"] == page.headers["cache-control"]
                assert not {"content-type", "content-length", "content-encoding"} & answer.headers.keys()
        again = fetch(service, path, coding, ("If-None-Match", '"x"'))
        assert (again.status_code, again.content) == (200, page.content)
    assert len(set(tags.values())) == (1 if path in IMAGES else 3)


def test_pages_have_different_tags(service: Service) -> None:
    tags = [fetch(service, path, None).headers["etag"] for path in TEXTS]
    assert len(set(tags)) == len(TEXTS)


def test_swagger_ui_is_the_version_that_is_pinned() -> None:
    """`make swagger-ui` copies the files of the package that the lock file pins."""
    pinned = json.loads((SWAGGER_UI / "package.json").read_text())["dependencies"]["swagger-ui-dist"]
    locked = json.loads((SWAGGER_UI / "package-lock.json").read_text())["packages"]["node_modules/swagger-ui-dist"]
    bundle = (SWAGGER_UI / "swagger-ui-bundle.js").read_text()
    assert re.findall(r'PACKAGE_VERSION:"([^"]+)"', bundle) == [pinned] == [locked["version"]]
    assert tuple(map(int, pinned.split("."))) >= (5, 35, 0)
    assert "resolved" not in locked


def test_the_demo_token_is_that_of_the_demo_user(service: Service) -> None:
    answer = service.client().get("/docs/demo-token")
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json()
    assert made["user_id"] == "demo"
    verified = service.client(authorization=f"Bearer {made['token']}").post("/api/auth/verify")
    assert verified.json()["user_id"] == "demo"


def test_production_has_no_demo_token(database_url: str, tmp_path: Path) -> None:
    with running_service(tmp_path, DATABASE_URL=database_url, ENVIRONMENT="production") as production:
        assert ask(production, request("GET", "/docs/demo-token")).status_code == 404
        assert b"demo-token" not in ask(production, request("GET", "/docs")).content
    page = (ROOT / "server" / "pages" / "templates" / "docs.html").read_text()
    assert "demo" not in page


def test_requests_at_once_compress_a_page_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a start, when nothing is compressed yet: each would take a thread for 50 ms."""
    compressed: list[bytes] = []

    def compress(content: bytes) -> bytes:
        compressed.append(content)
        return gzip.compress(content)

    monkeypatch.setattr(static, "THOROUGH", {"gzip": compress})
    page = static.StaticPage(b"a" * 1_000_000, "text/plain")

    async def ask_at_once() -> list[object]:
        return await asyncio.gather(*(page._choose("gzip") for _ in range(20)))  # noqa: SLF001  without HTTP

    assert len(set(map(id, asyncio.run(ask_at_once())))) == 1
    assert len(compressed) == 1
