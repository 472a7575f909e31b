"""Exhaustive tests: `make test` runs a seeded sample of them (`--sample SEED`), `make torture` all (`--exhaustive`).

With both options, what the sample leaves out is run.

Exhaustive are the functions in `tests/hostile`, the modules in `tests/faults`, and each function or module that has the
mark `exhaustive(cases)`, where `cases` is the size of its sample. A test that goes through a corpus by itself asks the
fixture `sampled` for its part. Without either option, all tests run.

The sample depends on the seed and on the names of the tests only, so that it is the same on every worker and machine.
"""

import random
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import pytest

CASES_OF_A_FUNCTION = 8
SCENARIOS_OF_A_MODULE = 1
SHARE_OF_A_CORPUS = 0.05
_LEAST_OF_A_CORPUS = 8
_MOST_OF_A_CORPUS = 300

_HOSTILE = Path("tests", "hostile")
_FAULTS = Path("tests", "faults")
_Case = TypeVar("_Case")


class Sampled(Protocol):
    """The fixture `sampled`."""

    def __call__(self, cases: Iterable[_Case]) -> list[_Case]:
        """Return all cases, or with `--sample` a seeded part of them, in their order."""


class _Group(NamedTuple):
    """Exhaustive tests that are sampled together, and how many of them a sample has."""

    name: str
    cases: int


def part(cases: Iterable[_Case], size: int, key: str) -> list[_Case]:
    """Return `size` of the cases, in their order; the same ones for the same key."""
    found = list(cases)
    chosen = random.Random(key).sample(range(len(found)), min(size, len(found)))  # noqa: S311  a choice, not a secret
    return [found[place] for place in sorted(chosen)]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sample", type=int, metavar="SEED", help="run a sample of the exhaustive tests, chosen by SEED")
    parser.addoption("--exhaustive", action="store_true", help="run the exhaustive tests only, and all of them")


def pytest_report_header(config: pytest.Config) -> str | None:
    seed = config.getoption("--sample")
    if seed is None:
        return None
    return f"sample {seed} of the exhaustive tests: --sample SEED chooses another, `make torture` runs all of them"


def _group(item: pytest.Item) -> _Group | None:
    """Return the group of an exhaustive test."""
    path = item.path.relative_to(item.config.rootpath)
    function = item.nodeid.partition("[")[0]
    for node, mark in item.iter_markers_with_node("exhaustive"):
        return _Group(str(path) if isinstance(node, pytest.Module) else function, mark.args[0])
    if path.is_relative_to(_FAULTS):
        return _Group(str(path), SCENARIOS_OF_A_MODULE)
    return _Group(function, CASES_OF_A_FUNCTION) if path.is_relative_to(_HOSTILE) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seed, only_exhaustive = config.getoption("--sample"), config.getoption("--exhaustive")
    if seed is None and not only_exhaustive:
        return
    groups: dict[_Group, list[pytest.Item]] = {}
    kept: set[pytest.Item] = set()
    for item in items:
        if (group := _group(item)) is not None:
            groups.setdefault(group, []).append(item)
        elif not only_exhaustive:
            kept.add(item)
    for group, members in groups.items():
        sample = members if seed is None else part(members, group.cases, f"{seed} {group.name}")
        if seed is not None and only_exhaustive:
            # A test in the sample that goes through a corpus had only a part of that.
            kept |= {item for item in members if item not in sample or "sampled" in getattr(item, "fixturenames", ())}
        else:
            kept |= set(sample)
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


@pytest.fixture
def sampled(request: pytest.FixtureRequest) -> Sampled:
    """All cases of a corpus, or with `--sample` alone a seeded part of them."""
    seed = None if request.config.getoption("--exhaustive") else request.config.getoption("--sample")

    def choose(cases: Iterable[_Case]) -> list[_Case]:
        found = list(cases)
        if seed is None:
            return found
        share = round(len(found) * SHARE_OF_A_CORPUS)
        size = min(max(_LEAST_OF_A_CORPUS, share), _MOST_OF_A_CORPUS)
        return part(found, size, f"{seed} {request.node.nodeid}")

    return choose
