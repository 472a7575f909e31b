"""No header field, no parameter and no text in a body holds the event loop for long, whatever is in it."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from server.contract.document import load_document, operations, resolved
from tests.hostile.costs import FIELDS, FILLERS, USER, Case, dear, field_cases, filled, parameter_cases
from tests.support.figures import Figures
from tests.support.raw_http import request
from tests.support.sampling import Sampled
from tests.support.service import Service, token

DOCUMENT = load_document()
SERVER = Path(__file__).parents[2] / "server"


def test_no_header_field_costs_more_than_20_ms(service: Service, figures: Figures, sampled: Sampled) -> None:
    cases = list(field_cases())
    assert len(cases) > len(FIELDS) * len(FILLERS) * 6
    count, found = dear(service, sampled(cases))
    assert found == {}
    figures("Time held: 20 ms of CPU at most, header fields of 30 kB in 40 patterns", count, count)


def test_no_parameter_costs_more_than_20_ms(service: Service, figures: Figures, sampled: Sampled) -> None:
    count, found = dear(service, sampled(parameter_cases(DOCUMENT)))
    assert found == {}
    figures("Time held: 20 ms of CPU at most, query and path parameters of 30 kB in 40 patterns", count, count)


@pytest.mark.parametrize("member", ["title", "description", "completed", "unknown"])
def test_no_member_of_a_body_costs_more_than_20_ms(
    service: Service, figures: Figures, sampled: Sampled, member: str
) -> None:
    def cases() -> Iterable[Case]:
        for filler in FILLERS:
            body = json.dumps({"title": "a", member: filled(filler, 30_000)}, ensure_ascii=False).encode()
            fields = {"Authorization": f"Bearer {token(USER)}", "Content-Type": "application/json"}
            head = request("POST", "/api/tasks", [*fields.items(), ("Content-Length", str(len(body)))])
            yield Case(f"{member} of {filler!r}", head + body)

    count, found = dear(service, sampled(cases()))
    assert found == {}
    figures("Time held: 20 ms of CPU at most, members of 30 kB in 40 patterns", count, count)


def test_every_field_that_is_read_is_measured() -> None:
    """The fields that the service's code names, and the parameters of the document."""
    sources = "\n".join(path.read_text() for path in SERVER.rglob("*.py"))
    named = {name.decode() for name in re.findall(rb'fields\.get\(\s*b"([a-z-]+)"', sources.encode())}
    parameters = [
        resolved(DOCUMENT, item) for _, _, operation in operations(DOCUMENT) for item in operation.get("parameters", ())
    ]
    named |= {item["name"].lower() for item in parameters if item["in"] == "header"}
    assert len(named) > 8
    assert named - {name.lower() for name in FIELDS} == set()
    assert len(set(FILLERS)) == 40
