"""Names in the document, from which clients make the names of their types and functions."""

import itertools

import pytest

from server.contract.document import load_document, operations

DOCUMENT = load_document()
KINDS = ("schemas", "parameters", "requestBodies", "responses", "headers", "examples")
COMPONENTS = {name for kind in KINDS for name in DOCUMENT["components"][kind]}
OPERATION_IDS = {operation["operationId"] for _, _, operation in operations(DOCUMENT)}


def differ_by_one_letter(one: str, other: str) -> bool:
    """Return True if one name becomes the other when one letter is added or replaced."""
    short, long = sorted((one, other), key=len)
    if len(short) == len(long):
        return sum(a != b for a, b in zip(short, long, strict=True)) == 1
    return any(long[:at] + long[at + 1 :] == short for at in range(len(long)))


@pytest.mark.parametrize("names", [COMPONENTS, OPERATION_IDS], ids=["components", "operationIds"])
def test_no_two_names_differ_by_one_letter(names: set[str]) -> None:
    alike = [pair for pair in itertools.combinations(sorted(names), 2) if differ_by_one_letter(*pair)]
    assert alike == []


@pytest.mark.parametrize(
    ("one", "other"),
    [("TaskUpdate", "TasksUpdate"), ("TaskCount", "TaskCounts"), ("getMe", "setMe")],
)
def test_names_that_differ_by_one_letter_are_recognised(one: str, other: str) -> None:
    assert differ_by_one_letter(one, other)
    assert not differ_by_one_letter(one, one)


def test_each_path_family_has_one_tag() -> None:
    tags = {path: operation["tags"] for path, _, operation in operations(DOCUMENT)}
    assert {tag for path, (tag,) in tags.items() if path.startswith("/api/tasks")} == {"My tasks"}
    assert {tag for path, (tag,) in tags.items() if path.startswith("/api/{user_id}/tasks")} == {"Tasks"}


def test_the_operations_of_both_families_have_the_same_names() -> None:
    mine, named = (
        {operation["operationId"] for _, _, operation in operations(DOCUMENT) if operation["tags"] == [tag]}
        for tag in ("My tasks", "Tasks")
    )
    assert {operation_id.replace("My", "", 1) for operation_id in mine} == named
    assert len(named) == 13
