"""Many cases in one test: each is tried, and those that failed are named."""

import csv
import io
import itertools
import json
from collections.abc import Callable

import pytest

from tests.hostile.corpora.shared import Texts
from tests.hostile.operations import (
    WITH_JSON,
    WITH_LINES,
    Caller,
    Operation,
)
from tests.support.raw_http import RawAnswer, problem, violations
from tests.support.sampling import Sampled
from tests.support.service import Service
from tests.support.types import Json

LARGEST = 65_536

Check = Callable[[RawAnswer], object]

json_operations = pytest.mark.parametrize("operation", WITH_JSON, ids=lambda operation: operation.name)
line_operations = pytest.mark.parametrize("operation", WITH_LINES, ids=lambda operation: operation.name)
text_operations = pytest.mark.parametrize(
    "operation", [each for each in WITH_JSON if each.strings], ids=lambda operation: operation.name
)


class Tally:
    """The number of cases that were tried, and those that failed."""

    def __init__(self, part_of: Sampled) -> None:
        self.part_of = part_of
        """Chooses the cases of a corpus that are tried: all of them, unless a sample is asked for."""
        self.tried = 0
        self.failed: list[str] = []

    def add(self, name: str, check: Check, answer: RawAnswer) -> None:
        """Check an answer; a case that fails does not keep others from being tried."""
        self.tried += 1
        try:
            check(answer)
        except (AssertionError, ValueError, KeyError) as error:
            self.failed.append(f"{name}: {answer.status_code} {answer.content[:200]!r} {str(error)[:200]}")


# JSON


def is_malformed(service: Service) -> Check:
    def check(answer: RawAnswer) -> None:
        assert problem(service, answer, "malformed-request")["detail"].startswith("The body ")
        assert len(answer.content) < 600

    return check


def is_read(service: Service) -> Check:
    """The body was read as JSON, even if it broke the contract."""

    def check(answer: RawAnswer) -> None:
        if answer.status_code not in (200, 201):
            violations(service, answer)

    return check


def some(texts: Texts, operation: Operation) -> Texts:
    """All of them for one address of an operation, and a fifth for the other, which leads to the same stages."""
    return itertools.islice(texts, 0, None, 1 if "{user_id}" in operation.template else 5)


def is_what_was_sent(stored: Json, sent: Json) -> Check:
    def check(_: RawAnswer) -> None:
        assert {name: stored[name] for name in sent} == sent

    return check


def is_kept(service: Service, caller: Caller, operation: Operation, member: str, text: str) -> Check:
    """A text that the contract allows is stored and returned unchanged by code point; any other is refused."""

    def check(answer: RawAnswer) -> None:
        if not operation.takes(member, text):
            assert {where for where, _ in violations(service, answer)} == {f"/{member}"}
            return
        assert answer.status_code in (200, 201)
        stored = json.loads(answer.content)
        assert stored[member] == text
        assert json.loads(caller.send("GET", f"/api/tasks/{stored['id']}").content) == stored

    return check


def as_lines(tasks: list[tuple[str, str]]) -> bytes:
    return b"".join(json.dumps({"title": title, "description": text}).encode() + b"\n" for title, text in tasks)


def as_csv(tasks: list[tuple[str, str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([("title", "description"), *tasks])
    return text.getvalue().encode()


def with_spelling(operation: Operation, member: str, spelling: bytes) -> bytes:
    body = json.dumps(operation.valid(**{member: 0})).encode()
    return body.replace(b'"%b": 0' % member.encode(), b'"%b": %b' % (member.encode(), spelling))
