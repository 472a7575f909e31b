"""`--sample SEED`: run a seeded part of the exhaustive tests. Without the option, everything runs.

- Of each test function in `tests/hostile`, a few cases.
- Of each module in `tests/faults`, a few scenarios.
- Of the corpora that a test goes through by itself, a share: `for case in sampled(cases)`.

The part depends on the seed and on the name of the test only, so that it is the same on every worker and machine.
"""

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

CASES_OF_A_FUNCTION = 8
SCENARIOS_OF_A_MODULE = 2
SHARE_OF_A_CORPUS = 0.05
_LEAST = 8

_HOSTILE = Path("tests", "hostile")
_FAULTS = Path("tests", "faults")
_Case = TypeVar("_Case")


class Sampled(Protocol):
    """The fixture `sampled`."""

    def __call__(self, cases: Iterable[_Case]) -> list[_Case]:
        """Return all cases, or with `--sample` a seeded part of them, in their order."""


def part(cases: Iterable[_Case], size: int, key: str) -> list[_Case]:
    """Return `size` of the cases, in their order; the same ones for the same key."""
    found = list(cases)
    chosen = random.Random(key).sample(range(len(found)), min(size, len(found)))  # noqa: S311  a choice, not a secret
    return [found[place] for place in sorted(chosen)]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--sample", type=int, metavar="SEED", help="run a part of tests/hostile and tests/faults, chosen by SEED"
    )


def pytest_report_header(config: pytest.Config) -> str | None:
    seed = config.getoption("--sample")
    if seed is None:
        return None
    return f"sample {seed} of tests/hostile and tests/faults: --sample SEED chooses another, `make torture` runs all"


def _group(item: pytest.Item, root: Path) -> tuple[str, int] | None:
    """Return the name of the group that an item is chosen from and how many are chosen, if any are left out."""
    path = item.path.relative_to(root)
    if path.is_relative_to(_FAULTS):
        return str(path), SCENARIOS_OF_A_MODULE
    if path.is_relative_to(_HOSTILE):
        return item.nodeid.partition("[")[0], CASES_OF_A_FUNCTION
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seed = config.getoption("--sample")
    if seed is None:
        return
    groups: dict[tuple[str, int], list[pytest.Item]] = {}
    for item in items:
        if (group := _group(item, config.rootpath)) is not None:
            groups.setdefault(group, []).append(item)
    kept = {item for (name, size), group in groups.items() for item in part(group, size, f"{seed} {name}")}
    left_out = [item for group in groups.values() for item in group if item not in kept]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@pytest.fixture
def sampled(request: pytest.FixtureRequest) -> Sampled:
    """All cases of a corpus, or with `--sample` a seeded part of them."""
    seed = request.config.getoption("--sample")

    def choose(cases: Iterable[_Case]) -> list[_Case]:
        found = list(cases)
        if seed is None:
            return found
        return part(found, max(_LEAST, round(len(found) * SHARE_OF_A_CORPUS)), f"{seed} {request.node.nodeid}")

    return choose
