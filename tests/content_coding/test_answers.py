"""The content codings of answers (RFC 9110, section 8.4): which is chosen, and what the header fields say."""

import pytest

from server.formats.content_coding import SMALLEST_BYTES
from tests.content_coding.conftest import TASKS
from tests.content_coding.decoding import decoded, fetch, value
from tests.support.raw_http import RawConnection, ask, bearer_field, request
from tests.support.service import Service
from tests.support.types import NewUser

LIST = "/api/tasks"
EXPORT = "/api/tasks/export"


@pytest.mark.parametrize(
    ("accept_encoding", "coding"),
    [
        (None, None),
        ("", None),
        ("gzip", "gzip"),
        ("GZip", "gzip"),
        ("x-gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate", "gzip"),
        ("zstd;q=0.5, gzip;q=0.8", "gzip"),
        ("zstd;q=0, gzip", "gzip"),
        ("zstd;q=0.001", "zstd"),
        ("gzip;q=0", None),
        ("br, deflate", None),
        ("*", "zstd"),
        ("*;q=0.1, zstd;q=0", "gzip"),
        ("*;q=0", None),
        ("identity", None),
        ("identity;q=1, gzip;q=0.5", None),
        ("identity;q=0.5, gzip;q=1.0", "gzip"),
        ("gzip ;\tQ=0.7 , br", "gzip"),
        ("gzip;q=2", None),
        ("gzip;q=x, ;;, =, zstd;level=3", None),
    ],
)
@pytest.mark.parametrize("target", [LIST, EXPORT])
def test_the_request_chooses_the_coding(
    service: Service, owner: str, target: str, accept_encoding: str | None, coding: str | None
) -> None:
    plain, answer = (fetch(service, owner, target, accepted) for accepted in (None, accept_encoding))
    assert answer.status_code == 200
    assert answer.headers.get("content-encoding") == coding
    assert decoded(answer) == plain.content
    assert (
        "Accept-Encoding"
        in answer.headers.get_list("vary", split_commas=True)
        == plain.headers.get_list("vary", split_commas=True)
    )
    if coding is not None:
        assert len(answer.content) < len(plain.content) / 2


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_the_length_is_that_of_the_content_sent(service: Service, owner: str, coding: str) -> None:
    answer = fetch(service, owner, LIST, coding)
    assert answer.headers.get_list("content-length") == [str(len(answer.content))]
    assert len(value(answer)) == TASKS


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_head_has_the_header_fields_of_get(service: Service, owner: str, coding: str) -> None:
    names = ("etag", "content-length", "content-encoding", "content-type", "vary")
    for target in (LIST, EXPORT):
        fields = [bearer_field(owner), ("Accept-Encoding", coding)]
        with RawConnection(service) as raw:
            raw.send(request("HEAD", target, fields))
            head = raw.read(head=True)
            raw.send(request("GET", target, fields))
            page = raw.read()
        assert [head.headers.get_list(name) for name in names] == [page.headers.get_list(name) for name in names]
        assert head.headers["content-encoding"] == coding


def test_small_content_has_no_coding(service: Service, new_user: NewUser) -> None:
    """The limit is 8 KiB, to the byte. The length of a description makes the last byte."""
    subject = new_user("small")
    client = service.as_user(subject)
    for _ in range(8):
        client.post(LIST, json={"title": "a", "description": "b" * 700}).raise_for_status()
    last = client.post(LIST, json={"title": "a"}).json()
    path = f"{LIST}/{last['id']}"
    client.put(path, json={"description": "b"}).raise_for_status()
    missing = SMALLEST_BYTES - len(fetch(service, subject, LIST).content)
    assert 0 < missing < 900
    client.put(path, json={"description": "b" * missing}).raise_for_status()
    below = fetch(service, subject, LIST, "gzip")
    assert (len(below.content), below.headers.get("content-encoding")) == (SMALLEST_BYTES - 1, None)
    assert "Accept-Encoding" not in below.headers.get_list("vary", split_commas=True)
    client.put(path, json={"description": "b" * (missing + 1)}).raise_for_status()
    assert fetch(service, subject, LIST, "gzip").headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("coding", ["gzip", "zstd", None])
def test_a_large_problem_has_a_coding_too(service: Service, owner: str, coding: str | None) -> None:
    body = b'{"titel":1}\n' * 400
    fields = [bearer_field(owner), ("Content-Type", "application/x-ndjson"), ("Content-Length", str(len(body)))]
    accepted = [("Accept-Encoding", coding)] if coding else []
    answer = ask(service, request("POST", "/api/tasks/import", [*fields, *accepted]), body)
    assert (answer.status_code, answer.headers.get("content-encoding")) == (422, coding)
    assert len(value(answer)["errors"]) == 400
    assert "Accept-Encoding" in answer.headers.get_list("vary", split_commas=True)
    assert answer.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize("format", ["ndjson", "csv"])
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_an_export_of_many_pages_has_one_end(
    service: Service,
    new_user: NewUser,
    coding: str,
    format: str,  # noqa: A002  the parameter's name
) -> None:
    """A decoder reads the whole stream: that of `gzip` checks the length and the checksum at its end."""
    subject = new_user("exporter")
    records = b'{"title":"a","description":"%s"}\n' % (b"b" * 900) * 1_000
    client = service.as_user(subject)
    client.post(
        "/api/tasks/import", content=records, headers={"content-type": "application/x-ndjson"}
    ).raise_for_status()
    target = f"{EXPORT}?format={format}"
    plain, answer = fetch(service, subject, target), fetch(service, subject, target, coding)
    assert answer.headers["content-encoding"] == coding
    assert decoded(answer) == plain.content
    assert len(plain.content) > 900_000
