"""JSON bodies: strict JSON is read, anything else is refused."""

import json
from typing import Any

from tests.hostile.cases import Tally, is_malformed, is_read, is_what_was_sent, json_operations, some
from tests.hostile.corpora import invalid_json, valid_json
from tests.hostile.operations import (
    WITH_JSON,
    Caller,
    Operation,
)
from tests.support.raw_http import RawAnswer, problem
from tests.support.service import Service
from tests.support.types import Json


@json_operations
def test_what_is_no_strict_json_is_malformed(
    service: Service, caller: Caller, task_id: str, operation: Operation, tally: Tally
) -> None:
    before = caller.send("GET", "/api/tasks").content
    check = is_malformed(service)
    for name, body in tally.part_of(some(invalid_json.invalid(), operation)):
        tally.add(name, check, caller.ask(operation, body, task_id=task_id))
    assert caller.send("GET", "/api/tasks").content == before


@json_operations
def test_what_is_json_is_read(
    service: Service, caller: Caller, task_id: str, operation: Operation, tally: Tally
) -> None:
    check = is_read(service)
    for name, body in tally.part_of(some(valid_json.valid(), operation)):
        tally.add(name, check, caller.ask(operation, body, task_id=task_id))


@json_operations
def test_numbers_of_any_length_are_no_defect(
    service: Service, caller: Caller, task_id: str, operation: Operation, tally: Tally
) -> None:
    def check(answer: RawAnswer) -> None:
        problem(service, answer, "validation-failed" if answer.status_code == 422 else "malformed-request")
        assert len(answer.content) < 600

    for name, body in tally.part_of(some(valid_json.either(), operation)):
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


def test_another_strict_parser_agrees_about_mutated_texts(service: Service, caller: Caller, tally: Tally) -> None:
    """Texts with one byte changed, each read by `json` with hooks that make it strict."""
    operation = next(each for each in WITH_JSON if each.method == "POST")
    check_malformed, check_read = is_malformed(service), is_read(service)
    for name, body in tally.part_of(valid_json.mutants(b'\x00\n\x0b "\\/{}[]:,0-+.eEtfnu\x7f\x80\xc0\xff')):
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
