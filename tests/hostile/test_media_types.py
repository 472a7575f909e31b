"""Media types, charsets and content codings."""

import bz2
import gzip
import json
import lzma
import zlib
from collections.abc import Callable, Iterator

import pytest

from tests.hostile.cases import Tally
from tests.hostile.operations import (
    CSV,
    JSON,
    NDJSON,
    OPERATIONS,
    Caller,
    Operation,
)
from tests.support.raw_http import RawAnswer, problem
from tests.support.service import Service

# Media types

CONTENT_TYPE_BYTES = 1_024  # a longer one is refused for its length
PARAMETERS_TAKEN = [
    "",
    ";",
    " ",
    "; charset=utf-8",
    ";charset=UTF-8",
    '; charset="utf-8"',
    ' ;  Charset="Utf-8"  ',
    ";CHARSET=utf-8",
]
CHARSETS = [
    *(
        "utf-16",
        "utf-16le",
        "utf-16be",
        "utf-32",
        "utf-7",
        "utf-8-sig",
        "utf_8",
        "utf8",
        "UTF 8",
        "utf-8,utf-7",
        "unicode",
        "cesu-8",
    ),
    *(
        "latin1",
        "iso-8859-1",
        "windows-1252",
        "us-ascii",
        "ascii",
        "iso-2022-jp",
        "iso-2022-kr",
        "hz",
        "shift_jis",
        "gb18030",
        "big5",
    ),
    *(
        "ebcdic-cp-us",
        "cp500",
        "idna",
        "punycode",
        "rot13",
        "base64",
        "hex",
        "zlib",
        "raw_unicode_escape",
        "unicode_escape",
        "undefined",
    ),
    *("klingon", "", " ", "null", "../utf-8", "utf-8\x85", "a" * 1_000),
]
PARAMETERS_REFUSED = [
    *(f"; charset={charset}" for charset in CHARSETS),
    *(f'; charset="{charset}"' for charset in CHARSETS),
    *(
        "; charset=utf-8; charset=utf-7",
        "; charset=utf-7; charset=utf-8",
        "; charset=utf-8; charset=utf-16",
        "; charset",
        "; charset=;",
    ),
    *(
        "; version=1",
        "; charset=utf-8; version=1",
        "; q=1",
        "; boundary=a",
        "; charset*=utf-7''a",
        "; charset*0=utf; charset*1=-7",
    ),
    *(", application/json", ", text/plain", "; charset=utf-8, application/json", "; odata=verbose", "; profile=a"),
]
OTHER_TYPES = [
    *(
        "",
        "text/plain",
        "text/json",
        "text/x-json",
        "application/x-json",
        "application/jsonp",
        "application/json5",
        "application/jsonl",
    ),
    *(
        "application/problem+json",
        "application/vnd.api+json",
        "application/merge-patch+json",
        "application/json-patch+json",
        "x+json",
    ),
    *(
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=a",
        "multipart/mixed",
        "application/xml",
        "application/cbor",
    ),
    *(
        "application/octet-stream",
        "application/javascript",
        "*/*",
        "application/*",
        "json",
        "/json",
        "application/",
        "application",
        "/",
    ),
    *(
        "application / json",
        "application/json/",
        "application//json",
        "application\\json",
        "applicationjson",
        "xapplication/json",
    ),
    *(
        "application/jsonx",
        "text/csvx",
        "text/*",
        "application/x-ndjsonx",
        "null",
        "undefined",
        "text/html; application/json",
        "a" * 1_000,
    ),
    *("application/j\xc5\xbfon", "application/json\x85", "\xa0application/json"),
]


def declared(operation: Operation) -> Iterator[tuple[str, bool]]:
    """Content types, and whether the operation takes them."""
    for media_type in operation.bodies:
        for spelling in (media_type, media_type.upper(), media_type.title(), media_type.swapcase()):
            for parameters in PARAMETERS_TAKEN:
                yield spelling + parameters, True
            for parameters in PARAMETERS_REFUSED:
                yield spelling + parameters, False
    others = {JSON, NDJSON, CSV, *OTHER_TYPES} - set(operation.bodies)
    for media_type in sorted(others):
        for parameters in PARAMETERS_TAKEN:
            yield media_type + parameters, False


WITH_BODIES = [each for each in OPERATIONS if each.bodies]
body_operations = pytest.mark.parametrize("operation", WITH_BODIES, ids=lambda operation: operation.name)


@body_operations
def test_a_media_type_is_taken_in_utf_8_or_not_at_all(
    service: Service, caller: Caller, task_id: str, operation: Operation, tally: Tally
) -> None:
    def check_taken(answer: RawAnswer) -> None:
        assert answer.status_code in (200, 201)

    def check_refused(answer: RawAnswer) -> None:
        problem(service, answer, "unsupported-media-type")

    def check_too_long(answer: RawAnswer) -> None:
        problem(service, answer, "header-fields-too-large")

    titles = listed(caller)
    for content_type, is_taken in tally.part_of(declared(operation)):
        is_csv = content_type.lower().startswith(CSV)
        text = "title\r\n\u00e9\r\n" if is_csv else operation.content(content_type)
        answer = caller.ask(operation, in_charset(text, content_type), content_type, task_id=task_id)
        check = check_taken if is_taken else check_refused
        tally.add(content_type[:100], check_too_long if len(content_type) > CONTENT_TYPE_BYTES else check, answer)
        if not is_taken:
            continue
        titles = listed(caller)
    assert listed(caller) == titles


def listed(caller: Caller) -> list[str]:
    return [task["title"] for task in json.loads(caller.send("GET", "/api/tasks").content)]


def in_charset(text: str, content_type: str) -> bytes:
    """Encode the text in the charset that the content type names."""
    charset = content_type.rpartition("=")[2].strip('" ')
    try:
        return text.encode(charset)
    except (LookupError, ValueError, TypeError):
        return text.encode()


@body_operations
@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([], id="no type"),
        pytest.param(["{0}", "{0}"], id="twice the same"),
        pytest.param(["{0}", "{0}; charset=utf-7"], id="two charsets"),
        pytest.param(["{0}; charset=utf-7", "{0}"], id="two charsets, the other first"),
        pytest.param(["text/plain", "{0}"], id="two types"),
        pytest.param(["{0}", "text/plain"], id="two types, the other last"),
        pytest.param(["", "{0}"], id="an empty one first"),
    ],
)
def test_several_types_or_none_are_unsupported(
    service: Service, caller: Caller, task_id: str, operation: Operation, fields: list[str]
) -> None:
    target = operation.target(user_id=caller.subject, task_id=task_id)
    body = json.dumps(operation.valid()).encode()
    for media_type in operation.bodies:
        given = [("Content-Type", each.format(media_type)) for each in fields]
        problem(service, caller.send(operation.method, target, given, body), "unsupported-media-type")


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "zlib": zlib.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "br": bytes,
    "zstd": bytes,
    "compress": bytes,
    "aws-chunked": bytes,
    "GZIP": gzip.compress,
    "gzip, gzip": lambda body: gzip.compress(gzip.compress(body)),
    "identity, gzip": gzip.compress,
    "gzip, identity": gzip.compress,
    "identity, identity": bytes,
    "utf-8": bytes,
    "x": bytes,
    "*": bytes,
    "": bytes,
}


@body_operations
def test_a_content_coding_is_unsupported(
    service: Service, caller: Caller, task_id: str, operation: Operation, tally: Tally
) -> None:
    target = operation.target(user_id=caller.subject, task_id=task_id)
    media_type = next(iter(operation.bodies))
    body = operation.content(media_type).encode()
    given = [("Content-Type", media_type)]
    for coding, encode in CODINGS.items():
        answer = caller.send(operation.method, target, [*given, ("Content-Encoding", coding)], encode(body))
        tally.add(coding, lambda answer: problem(service, answer, "unsupported-media-type"), answer)
    answer = caller.send(operation.method, target, [*given, ("Content-Encoding", "identity")], body)
    assert answer.status_code in (200, 201)
