"""A header field cannot hold the event loop; `tests/hostile/test_request_costs.py` measures many more."""

import pytest

from server.pipeline.content_negotiation import accepts
from tests.hostile.costs import Case, dear
from tests.support.document import FIELD_BYTES, SHORT_FIELD_BYTES
from tests.support.raw_http import ask, problem, request
from tests.support.service import Service


@pytest.mark.parametrize("space", [" ", "\t", " ;", "/", '"', '\\"'], ids=repr)
@pytest.mark.parametrize("length", [SHORT_FIELD_BYTES, FIELD_BYTES, 32_000])
@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_accept_costs_no_more_than_20_ms(service: Service, path: str, length: int, space: str) -> None:
    """The field that held the loop for 1.5 s was `application/json`, 32,000 spaces and an `x`."""
    text = f"application/json{space * length}"[: length - 1] + "x"
    assert dear(service, [Case("Accept", request("GET", path, [("Accept", text)]))]) == (1, {})


# The length of a field


def status(service: Service, *fields: tuple[str, str]) -> int:
    answer = ask(service, request("GET", "/health", fields))
    if answer.status_code != 200:
        problem(service, answer, "header-fields-too-large")
    return answer.status_code


LENGTHS = {
    "any field": ("X-Any", FIELD_BYTES),
    "Cookie": ("Cookie", FIELD_BYTES),
    "Authorization": ("Authorization", FIELD_BYTES),
    "Accept": ("Accept", SHORT_FIELD_BYTES),
    "Accept-Encoding": ("Accept-Encoding", SHORT_FIELD_BYTES),
    "Content-Type": ("CONTENT-TYPE", SHORT_FIELD_BYTES),
}


@pytest.mark.parametrize(("name", "most"), LENGTHS.values(), ids=LENGTHS)
def test_a_field_may_be_so_long_and_no_longer(service: Service, name: str, most: int) -> None:
    start = "*/*, "
    assert status(service, (name, start.ljust(most, "a"))) == 200
    assert status(service, (name, start.ljust(most + 1, "a"))) == 431


@pytest.mark.parametrize(("name", "most"), LENGTHS.values(), ids=LENGTHS)
def test_the_lines_of_a_field_count_together(service: Service, name: str, most: int) -> None:
    half = "*/*, ".ljust(most // 2, "a")
    assert status(service, (name, half[:-2]), (name, half)) == 200
    assert status(service, (name, half), (name, half)) == 431


# Accept


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (", ,", True),
        ("*/*;q=0.000", False),
        ("application/json ; q=0.5", True),
        ("APPLICATION/*;Q=0", False),
        ("application/*, application/json;q=0", False),
        ("application/*;q=0, application/json", True),
        ("application/json;q=0, application/json;charset=utf-8", True),
        ('text/html;a="b, application/json"', False),
        ('text/html;a="\\", application/json;b="', False),
        ('text/html;a="b\\\\", application/json', True),
        ('text/html;a="b, application/json', False),
        ("application/json;q=1.1", False),
        ("application/json;q=-1", False),
        ("application/json;q=nan", False),
        ("application/json;q=1e-9", False),
        ("application/json;q=", False),
        ("application/json;q", False),
        ("application/json;q=.2", True),
        ("application/json;q=0.0001", True),
        ("application/json;version=1;q=0", False),
        ("application/jsonx", False),
        ("*/json", False),
        ("*", False),
        ("application", False),
        ("text/*, application/xml;q=1, */*;q=0.1", True),
    ],
)
def test_the_most_specific_media_range_decides(field: str, expected: bool) -> None:  # noqa: FBT001
    assert accepts(field, "application/json") is expected
