"""What is sent as a body, and as a text in any place: read in one way or refused, and kept as it was sent.

Each test tries hundreds of cases on one connection and names those that failed.
"""

import bz2
import csv
import gzip
import io
import itertools
import json
import lzma
import re
import uuid
import zlib
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.hostile import json_texts
from tests.hostile.operations import (
    ANY_ID,
    CSV,
    JSON,
    NDJSON,
    OPERATIONS,
    WITH_JSON,
    WITH_LINES,
    Caller,
    Operation,
)
from tests.hostile.texts import NAUGHTY
from tests.support.figures import Figures
from tests.support.raw_http import RawAnswer, problem, violations
from tests.support.service import Service
from tests.support.types import Json

LARGEST = 65_536

Check = Callable[[RawAnswer], object]

json_operations = pytest.mark.parametrize("operation", WITH_JSON, ids=lambda operation: operation.name)
line_operations = pytest.mark.parametrize("operation", WITH_LINES, ids=lambda operation: operation.name)
text_operations = pytest.mark.parametrize(
    "operation", [each for each in WITH_JSON if each.strings], ids=lambda operation: operation.name
)


@pytest.fixture
def caller(service: Service) -> Iterator[Caller]:
    with Caller(service, f"hostile-{uuid.uuid4().hex}") as calling:
        yield calling


@pytest.fixture
def task_id(caller: Caller) -> str:
    """A task that may be changed."""
    created: str = caller.create()["id"]
    return created


class Tally:
    """What became of many cases."""

    def __init__(self) -> None:
        self.tried = 0
        self.failed: list[str] = []

    def add(self, name: str, check: Check, answer: RawAnswer) -> None:
        """Check an answer; a case that fails does not keep others from being tried."""
        self.tried += 1
        try:
            check(answer)
        except (AssertionError, ValueError, KeyError) as error:
            self.failed.append(f"{name}: {answer.status_code} {answer.content[:200]!r} {str(error)[:200]}")


@pytest.fixture
def tally(request: pytest.FixtureRequest, figures: Figures) -> Iterator[Tally]:
    """Says at the end which cases failed, and how many there were."""
    found = Tally()
    yield found
    group = "Hostile bodies: " + request.node.originalname.removeprefix("test_").replace("_", " ")
    assert not found.failed, f"{len(found.failed)} of {found.tried}:\n" + "\n".join(found.failed[:20])
    figures(group, found.tried, found.tried - len(found.failed))


# JSON


def is_malformed(service: Service) -> Check:
    def check(answer: RawAnswer) -> None:
        assert problem(service, answer, "malformed-request")["detail"].startswith("The body ")
        assert len(answer.content) < 600

    return check


def is_read(service: Service) -> Check:
    """What came was JSON, whether or not it was what the contract asks for."""

    def check(answer: RawAnswer) -> None:
        if answer.status_code not in (200, 201):
            violations(service, answer)

    return check


def some(texts: json_texts.Texts, operation: Operation) -> json_texts.Texts:
    """All of them for one address of an operation, and a fifth for the other, which leads to the same stages."""
    return itertools.islice(texts, 0, None, 1 if "{user_id}" in operation.template else 5)


@json_operations
def test_what_is_no_strict_json_is_malformed(
    service: Service, caller: Caller, task_id: str, operation: Operation, tally: Tally
) -> None:
    before = caller.send("GET", "/api/tasks").content
    check = is_malformed(service)
    for name, body in some(json_texts.invalid(), operation):
        tally.add(name, check, caller.ask(operation, body, task_id=task_id))
    assert caller.send("GET", "/api/tasks").content == before


@json_operations
def test_what_is_json_is_read(
    service: Service, caller: Caller, task_id: str, operation: Operation, tally: Tally
) -> None:
    check = is_read(service)
    for name, body in some(json_texts.valid(), operation):
        tally.add(name, check, caller.ask(operation, body, task_id=task_id))


@json_operations
def test_numbers_of_any_length_are_no_defect(
    service: Service, caller: Caller, task_id: str, operation: Operation, tally: Tally
) -> None:
    def check(answer: RawAnswer) -> None:
        problem(service, answer, "validation-failed" if answer.status_code == 422 else "malformed-request")
        assert len(answer.content) < 600

    for name, body in some(json_texts.either(), operation):
        tally.add(name, check, caller.ask(operation, body, task_id=task_id))


def strict_value(text: bytes) -> Any:
    """The value of a text as another reader finds it, which is as strict. Raises `ValueError`."""

    def unique(pairs: list[tuple[str, Any]]) -> Json:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a name is there twice")
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    value = json.loads(text.decode(), object_pairs_hook=unique, parse_constant=refuse)
    json.dumps(value, ensure_ascii=False).encode()  # no surrogate is left alone
    return value


def test_another_strict_reader_agrees_about_a_text_with_one_byte_changed(
    service: Service, caller: Caller, tally: Tally
) -> None:
    operation = next(each for each in WITH_JSON if each.method == "POST")
    check_malformed, check_read = is_malformed(service), is_read(service)
    for name, body in json_texts.mutants(b'\x00\n\x0b "\\/{}[]:,0-+.eEtfnu\x7f\x80\xc0\xff'):
        try:
            value = strict_value(body)
        except ValueError:
            check = check_malformed
        else:
            check = check_read
        answer = caller.ask(operation, body)
        tally.add(name, check, answer)
        if answer.status_code == 201:
            stored = json.loads(answer.content)
            tally.add(name, is_what_was_sent(stored, value), answer)


def is_what_was_sent(stored: Json, sent: Json) -> Check:
    def check(_: RawAnswer) -> None:
        assert {name: stored[name] for name in sent} == sent

    return check


@text_operations
def test_a_text_is_kept_as_it_was_spelt(
    service: Service, caller: Caller, task_id: str, operation: Operation, tally: Tally
) -> None:
    for member in operation.strings:
        for name, spelling, text in json_texts.valid_strings():
            answer = caller.ask(operation, with_spelling(operation, member, spelling), task_id=task_id)
            tally.add(f"{member} {name}", is_kept(service, caller, operation, member, text), answer)


def is_kept(service: Service, caller: Caller, operation: Operation, member: str, text: str) -> Check:
    """What the contract allows comes back code point for code point, and stays so; anything else is refused."""

    def check(answer: RawAnswer) -> None:
        if not operation.takes(member, text):
            assert {where for where, _ in violations(service, answer)} == {f"/{member}"}
            return
        assert answer.status_code in (200, 201)
        stored = json.loads(answer.content)
        assert stored[member] == text
        assert json.loads(caller.send("GET", f"/api/tasks/{stored['id']}").content) == stored

    return check


# Lines


@line_operations
def test_a_line_that_is_no_strict_json_keeps_all_lines_out(
    service: Service, caller: Caller, operation: Operation, tally: Tally
) -> None:
    def check(answer: RawAnswer) -> None:
        (error,) = problem(service, answer, "validation-failed")["errors"]
        assert error["line"] == 2

    for name, text in some(json_texts.invalid(), operation):
        if b"\n" not in text and text.strip(b" \t\r"):
            body = b'{"title":"first"}\n' + text + b'\n{"title":"last"}\n'
            tally.add(name, check, caller.ask(operation, body, NDJSON))
    assert json.loads(caller.send("GET", "/api/tasks").content) == []


@line_operations
def test_lines_in_another_encoding_are_kept_out(
    service: Service, caller: Caller, operation: Operation, tally: Tally
) -> None:
    def check(answer: RawAnswer) -> None:
        problem(service, answer, "validation-failed")

    for name, sequence in json_texts.no_utf_8():
        body = b"title,description\r\nfirst,\r\na" + sequence + b",b\r\nlast,\r\n"
        tally.add(f"CSV {name}", check, caller.ask(operation, body, CSV))
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "cp500"):
        for media_type, text in {CSV: "title\r\na\r\n", NDJSON: '{"title":"a"}\n'}.items():
            tally.add(f"{media_type} in {encoding}", check, caller.ask(operation, text.encode(encoding), media_type))
    for text in ('title\r\n"a', 'title\r\n"a"b\r\n', "title\r\na\x00\r\n", "title,title\r\na,b\r\n", "a\r\nb\r\n", "x"):
        tally.add(f"CSV {text!r}", check, caller.ask(operation, text.encode(), CSV))
    assert json.loads(caller.send("GET", "/api/tasks").content) == []


@line_operations
@pytest.mark.parametrize("media_type", [NDJSON, CSV])
def test_what_was_imported_is_exported_as_it_was(
    caller: Caller, operation: Operation, media_type: str, tally: Tally
) -> None:
    sent = [(title, text) for title in NAUGHTY if operation.takes("title", title) for text in (title, "a")]
    body = as_lines(sent) if media_type == NDJSON else as_csv(sent)

    def check(answer: RawAnswer) -> None:
        assert json.loads(answer.content) == {"imported": len(sent), "unchanged": 0}

    tally.add("import", check, caller.ask(operation, body, media_type))
    lines = [json.loads(line) for line in caller.send("GET", "/api/tasks/export").content.splitlines()]
    table = caller.send("GET", "/api/tasks/export?format=csv").content.decode()
    assert [(task["title"], task["description"]) for task in lines] == sent
    rows = list(csv.DictReader(io.StringIO(table, newline=""), strict=True))
    assert [(row["title"], row["description"]) for row in rows] == sent
    tally.tried += 2 * len(sent)


def as_lines(tasks: list[tuple[str, str]]) -> bytes:
    return b"".join(json.dumps({"title": title, "description": text}).encode() + b"\n" for title, text in tasks)


def as_csv(tasks: list[tuple[str, str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([("title", "description"), *tasks])
    return text.getvalue().encode()


# Lengths

CHARACTERS = {
    "ASCII": "a",
    "two bytes": "\u00e9",
    "three bytes": "\u4e2d",
    "astral": "\U0001f600",
    "the last": "\U0010ffff",
    "combining": "\u0301",
    "zero width": "\u200b",
    "that grows when normalised": "\ufdfa",
    "that grows in upper case": "\u0390",
    "an escape": "\n",
}


def spellings(text: str) -> Iterator[bytes]:
    """The text as it stands, as pairs of escapes, and as a mixture."""
    yield json.dumps(text, ensure_ascii=False).encode()
    units = text.encode("utf-16-be").hex()
    escaped = "".join("\\u" + units[place : place + 4] for place in range(0, len(units), 4))
    yield f'"{escaped}"'.encode()
    yield f'"{escaped.upper()}"'.replace("\\U", "\\u").encode()


@text_operations
def test_a_length_is_counted_in_characters_however_they_are_spelt(
    service: Service, caller: Caller, task_id: str, operation: Operation, tally: Tally
) -> None:
    for member in operation.strings:
        limit = operation.limit(member)
        for (name, character), length in itertools.product(
            CHARACTERS.items(), (limit - 1, limit, limit + 1, 2 * limit)
        ):
            text = "a" + character * (length - 1)
            for spelling in spellings(text):
                body = with_spelling(operation, member, spelling)
                if len(body) < LARGEST:
                    check = is_kept(service, caller, operation, member, text)
                    tally.add(f"{member} {name} {length}", check, caller.ask(operation, body, task_id=task_id))


def with_spelling(operation: Operation, member: str, spelling: bytes) -> bytes:
    body = json.dumps(operation.valid(**{member: 0})).encode()
    return body.replace(b'"%b": 0' % member.encode(), b'"%b": %b' % (member.encode(), spelling))


def test_the_contract_itself_counts_so(tally: Tally) -> None:
    """What `takes` says is what the test above relies on."""
    for operation in (each for each in WITH_JSON if each.strings):
        for member in operation.strings:
            for character in CHARACTERS.values():
                limit = operation.limit(member)
                found = [operation.takes(member, "a" + character * more) for more in (limit - 2, limit - 1, limit)]
                assert found == [True, True, False]
                tally.tried += 3


# Media types

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
    others = {JSON, NDJSON, CSV} - set(operation.bodies)
    for media_type in (*others, *OTHER_TYPES):
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

    titles = listed(caller)
    for content_type, is_taken in declared(operation):
        text = "title\r\n\u00e9\r\n" if content_type.lower().startswith(CSV) else json.dumps(operation.valid()) + "\n"
        answer = caller.ask(operation, in_charset(text, content_type), content_type, task_id=task_id)
        tally.add(content_type[:100], check_taken if is_taken else check_refused, answer)
        if not is_taken:
            continue
        titles = listed(caller)
    assert listed(caller) == titles


def listed(caller: Caller) -> list[str]:
    return [task["title"] for task in json.loads(caller.send("GET", "/api/tasks").content)]


def in_charset(text: str, content_type: str) -> bytes:
    """The text as somebody would read it who believes the content type."""
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
    body = json.dumps(operation.valid()).encode()
    given = [("Content-Type", next(iter(operation.bodies)))]
    for coding, encode in CODINGS.items():
        answer = caller.send(operation.method, target, [*given, ("Content-Encoding", coding)], encode(body))
        tally.add(coding, lambda answer: problem(service, answer, "unsupported-media-type"), answer)
    answer = caller.send(operation.method, target, [*given, ("Content-Encoding", "identity")], body)
    assert answer.status_code in (200, 201)


# Naughty strings


@text_operations
def test_any_text_in_any_member_is_kept_or_refused(
    service: Service, caller: Caller, task_id: str, operation: Operation, tally: Tally
) -> None:
    for member in operation.strings:
        for text in NAUGHTY[:: 1 if "{user_id}" in operation.template else 3]:
            for escaped in (True, False):
                body = json.dumps(operation.valid(**{member: text}), ensure_ascii=escaped).encode()
                answer = caller.ask(operation, body, task_id=task_id)
                tally.add(f"{member} {text[:50]!a}", is_kept(service, caller, operation, member, text), answer)


@pytest.mark.parametrize("sort", ["title", "-title", "created", "-updated"])
def test_any_title_is_listed_once_in_every_order(caller: Caller, sort: str, tally: Tally) -> None:
    operation = next(each for each in WITH_LINES)
    titles = [title for title in NAUGHTY if operation.takes("title", title)]
    assert caller.ask(operation, as_lines([(title, "a") for title in titles]), NDJSON).status_code == 200
    listed: list[str] = []
    target = f"/api/tasks?sort={sort}&limit=7"
    while target:
        answer = caller.send("GET", target)
        listed += [task["title"] for task in json.loads(answer.content)]
        target = answer.headers.get("link", "").removeprefix("<").removesuffix('>; rel="next"')
    assert sorted(listed) == sorted(titles)
    tally.tried += len(titles)


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.parameters], ids=lambda operation: operation.name
)
def test_any_text_in_any_parameter_is_understood_or_refused(
    service: Service, caller: Caller, operation: Operation, tally: Tally
) -> None:
    def check(answer: RawAnswer) -> None:
        assert answer.status_code in operation.statuses | {404}
        assert answer.status_code < 500
        if answer.status_code >= 400 and operation.method != "HEAD":
            problem(service, answer, json.loads(answer.content)["code"])
        assert re.fullmatch(rb"[^\x00-\x08\x0b-\x1f]*", answer.content.replace(b"\n", b""))

    media_type = next(iter(operation.bodies), None)
    fields = [("Content-Type", media_type)] if media_type else []
    body = json.dumps(operation.valid()).encode() if media_type else None
    for parameter in operation.parameters:
        name = parameter["name"]
        for text in NAUGHTY[:: 1 if "{user_id}" in operation.template else 3]:
            given: dict[str, Any] = {"user_id": caller.subject, "task_id": ANY_ID}
            extra: list[tuple[str, str]] = []
            if parameter["in"] == "header":
                if re.search("[\x00-\x08\n-\x1f\x7f]", text) or len(text) > 5_000:
                    continue
                extra = [(name, text.encode().decode("latin-1"))]
            elif not text and parameter["in"] == "path":
                continue
            elif len(quote(text)) < 8_000:
                given[name] = text
            tally.add(
                f"{name} {text[:50]!a}",
                check,
                caller.send(operation.method, operation.target(**given), [*fields, *extra], body),
            )


def test_any_text_names_a_user_or_is_refused(service: Service, tally: Tally) -> None:
    def check(answer: RawAnswer) -> None:
        if answer.status_code == 201:
            assert json.loads(answer.content)["user_id"] == subject
            assert json.loads(answer.content)["title"] == subject[:199] + "."
        else:
            problem(service, answer, json.loads(answer.content)["code"])

    for subject in (text for text in NAUGHTY if 1 <= len(text) <= 255 and "\0" not in text):
        path = quote(subject, safe="")
        body = json.dumps({"title": subject[:199] + "."}).encode()
        with Caller(service, subject) as named:
            tally.add(
                f"{subject[:50]!a}",
                check,
                named.send("POST", f"/api/{path}/tasks", [("Content-Type", JSON)], body),
            )
            named.send("DELETE", f"/api/{path}")
