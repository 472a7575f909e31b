"""The check of the load itself: it finds the losses and duplicates that it looks for."""

import pytest

from tests.faults.load import Ledger, Promise, Version

_KEPT = {"1": Version("k1 0", completed=False), "2": Version("k2 4", completed=True)}


@pytest.fixture
def ledger() -> Ledger:
    """Of a client that was told of two tasks and of the deletion of a third, and does not know about a fourth."""
    known = {task: Promise(version.title[:2], {version}) for task, version in _KEPT.items()}
    unsure = Promise("k4", {Version("k4 0", completed=False), Version("k4 9", completed=False), None})
    return Ledger({**known, "3": Promise("k3", {None}), "4": unsure})


@pytest.mark.parametrize(
    "found",
    [{}, {"4": Version("k4 0", completed=False)}, {"4": Version("k4 9", completed=False)}],
    ids=["deleted", "as before", "as asked for"],
)
def test_what_is_as_acknowledged_is_neither_lost_nor_twice_there(ledger: Ledger, found: dict[str, Version]) -> None:
    assert (ledger.lost(_KEPT | found), ledger.duplicates(_KEPT | found)) == ([], [])


@pytest.mark.parametrize(
    ("task", "found"),
    [
        ("1", {"2": _KEPT["2"]}),
        ("2", _KEPT | {"2": Version("k2 3", completed=True)}),
        ("2", _KEPT | {"2": Version("k2 4", completed=False)}),
        ("3", _KEPT | {"3": Version("k3 0", completed=False)}),
        ("4", _KEPT | {"4": Version("k4 7", completed=False)}),
    ],
    ids=["a create", "an update", "a toggle", "a delete", "neither as before nor as asked for"],
)
def test_a_lost_write_is_found(ledger: Ledger, task: str, found: dict[str, Version]) -> None:
    (lost,) = ledger.lost(found)
    assert lost.startswith(f"{task} is ")
    assert ledger.duplicates(found) == []


def test_a_response_that_contradicts_an_earlier_one_is_a_loss(ledger: Ledger) -> None:
    ledger.contradictions.append("the title is an old one")
    assert ledger.lost(_KEPT) == ["the title is an old one"]


@pytest.mark.parametrize("key", ["k1", "k3", "k5"], ids=["of a task", "of a deleted task", "never acknowledged"])
def test_a_second_task_of_one_key_is_found(ledger: Ledger, key: str) -> None:
    found = {**_KEPT, "8": Version(f"{key} 0", completed=False)}
    if key == "k5":
        found["9"] = Version("k5 0", completed=False)
    assert ledger.duplicates(found) == [key]
    assert ledger.lost(found) == []
