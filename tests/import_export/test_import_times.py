"""The times of imported tasks: their order, and the service's clock."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.contract.document import ContractError
from server.contract.schemas import Validator
from server.problems import Violation
from tests.import_export.files import CSV, NDJSON, everything, lines, result, send, wrong
from tests.support.api import TasksApi
from tests.support.raw_http import violations
from tests.support.service import Service
from tests.support.types import Json

ORDER = "/updated_at must not be before created_at"
AHEAD = "must be at most 60 seconds later than the service's clock"
both_formats = pytest.mark.parametrize("media_type", [NDJSON, CSV])


def written(rows: list[Json], media_type: str) -> bytes:
    """The rows as a file, in which the first row is on the second line: behind names, or behind another row."""
    if media_type == NDJSON:
        return lines([{"title": "first"}, *rows])
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["title", "created_at", "updated_at"])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def in_seconds(seconds: float) -> str:
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.isoformat().replace("+00:00", "Z")


@both_formats
@pytest.mark.parametrize(
    ("created", "updated"),
    [
        ("2026-01-02T00:00:00Z", "2026-01-01T23:59:59.999999Z"),
        ("2026-01-01T00:00:00.000001Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.45Z"),
        ("2026-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00.5+00:00", "2026-01-01T00:00:00Z"),
    ],
)
def test_an_update_before_the_creation_is_refused(api: TasksApi, media_type: str, created: str, updated: str) -> None:
    rows = [{"title": "a", "created_at": created, "updated_at": updated}]
    assert wrong(send(api, written(rows, media_type), media_type)) == {2: ORDER}
    assert everything(api) == []


@both_formats
@pytest.mark.parametrize("member", ["created_at", "updated_at"])
@pytest.mark.parametrize("text", ["2099-12-31T23:59:59.999999Z", None], ids=["2099", "two minutes"])
def test_a_time_more_than_a_minute_ahead_is_refused(
    api: TasksApi, media_type: str, member: str, text: str | None
) -> None:
    rows = [{"title": "a", member: text or in_seconds(120)}]
    assert wrong(send(api, written(rows, media_type), media_type)) == {2: f"/{member} {AHEAD}"}
    assert everything(api) == []


@both_formats
def test_a_clock_that_is_half_a_minute_ahead_is_accepted(api: TasksApi, media_type: str) -> None:
    ahead = in_seconds(30)
    rows = [{"title": "a", "created_at": ahead, "updated_at": ahead}]
    assert result(send(api, written(rows, media_type), media_type))[1] == 0
    task = next(task for task in everything(api) if task["title"] == "a")
    assert task["created_at"] == task["updated_at"] == ahead


def test_all_rules_of_a_record_are_reported_together(api: TasksApi) -> None:
    row = {"title": "", "created_at": in_seconds(3600), "updated_at": "2026-01-01T00:00:00Z"}
    (error,) = wrong(send(api, lines([row]))).values()
    assert set(error.split("; ")) == {
        f"/created_at {AHEAD}",
        ORDER,
        "/title must be at least 1 character long",
    }


def test_what_is_no_time_is_reported_as_such_only(api: TasksApi) -> None:
    row = {"title": "a", "created_at": "2099-02-30T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    (error,) = wrong(send(api, lines([row]))).values()
    assert error.startswith("/created_at must be in the format date-time")
    assert ";" not in error


@both_formats
def test_a_creation_is_not_set_after_the_only_given_update(api: TasksApi, media_type: str) -> None:
    updated = "2001-02-03T04:05:06Z"
    result(send(api, written([{"title": "a", "updated_at": updated}], media_type), media_type))
    task = next(task for task in everything(api) if task["title"] == "a")
    assert (task["created_at"], task["updated_at"]) == (updated, updated)


def test_a_creation_is_not_set_ahead_of_the_import(api: TasksApi) -> None:
    ahead = in_seconds(30)
    result(send(api, lines([{"title": "a", "updated_at": ahead}])))
    (task,) = everything(api)
    assert task["updated_at"] == ahead
    assert task["created_at"] < in_seconds(0) < ahead


TIME = {"type": "string", "format": "date-time"}


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({**TIME, "x-max-seconds-ahead": 60}, id="no object"),
        pytest.param({"properties": {"a": {**TIME, "x-max-seconds-ahead": "60"}}}, id="no number"),
        pytest.param({"properties": {"a": {"type": "string", "x-max-seconds-ahead": 60}}}, id="no time"),
        pytest.param({"properties": {"a": TIME}, "x-not-before": {"a": "b"}}, id="no such member"),
        pytest.param({"properties": {"a": {"properties": {"b": TIME}, "x-not-before": {"b": "b"}}}}, id="deeper"),
    ],
)
def test_a_rule_that_is_not_enforced_stops_the_start(schema: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match="are enforced for the times of an object only"):
        Validator(schema)


def test_values_without_times_break_no_rule() -> None:
    members = {"a": {**TIME, "x-max-seconds-ahead": 60}, "b": {**TIME, "x-max-seconds-ahead": 60}}
    validator = Validator({"properties": members, "x-not-before": {"a": "b"}})
    for text in ('"2099-01-01T00:00:00Z"', "null", "[]", "{}", '{"c": "2099-01-01T00:00:00Z"}'):
        assert validator.is_valid(json.loads(text))
    assert not validator.is_valid({"a": "2099-01-01T00:00:00Z"})


def test_the_rules_hold_for_the_objects_of_an_array() -> None:
    validator = Validator({"items": {"properties": {"a": TIME, "b": TIME}, "x-not-before": {"a": "b"}}})
    wrong_order = {"a": "2026-01-01T00:00:00Z", "b": "2026-01-02T00:00:00Z"}
    assert validator.is_valid([{}, {"a": wrong_order["a"], "b": wrong_order["a"]}])
    found = validator.violations([{}, wrong_order], "pointer", "/tasks")
    assert found == [Violation("pointer", "/tasks/1/a", "must not be before b")]


def test_the_records_of_an_array_have_the_same_rules(service: Service, api: TasksApi) -> None:
    """Their violations are named by JSON Pointer."""
    rows = [
        {"title": "a"},
        {"title": "b", "created_at": "2026-01-02T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"},
        {"title": "c", "updated_at": in_seconds(120)},
    ]
    answer = api.client.post(f"{api.tasks}/import", json=rows)
    assert violations(service, answer) == [
        ("/1/updated_at", "must not be before created_at"),
        ("/2/updated_at", AHEAD),
    ]
    assert everything(api) == []
