"""The sample of `make test`: seeded, the same everywhere, and together the whole."""

import subprocess
import sys
from collections import Counter

import pytest

from tests.support.sampling import SCENARIOS_OF_A_MODULE, part
from tests.support.service import ROOT

CASES = range(100)


def test_a_part_depends_on_its_key_only() -> None:
    first, again, other = (part(CASES, 10, key) for key in ("1 a", "1 a", "2 a"))
    assert first == again != other
    assert first == sorted(set(first))
    assert len(first) == 10


def test_a_part_of_few_cases_is_all_of_them() -> None:
    assert part(range(3), 10, "1 a") == [0, 1, 2]


def test_every_case_is_in_the_part_of_some_seed() -> None:
    assert {case for seed in range(100) for case in part(CASES, 10, str(seed))} == set(CASES)


def collected(*options: str) -> list[str]:
    """Return the ids of the tests that a run would have."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *options]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S603
    return [line for line in output.splitlines() if "::" in line]


@pytest.mark.slow
def test_a_sample_is_a_part_of_the_exhaustive_tests() -> None:
    """The rest of a module that has exhaustive tests runs in every sample, and not with `--exhaustive`."""
    paths = ("tests/faults/test_clock.py", "tests/backup/test_addresses.py", "tests/docs/test_licences.py")
    exhaustive, one = (set(collected(*paths, *option)) for option in (["--exhaustive"], ["--sample=1"]))
    assert {name.partition("::")[0] for name in exhaustive} == set(paths)
    sizes = Counter(name.partition("::")[0] for name in one & exhaustive)
    assert sizes == {paths[0]: SCENARIOS_OF_A_MODULE, paths[1]: 2}
    assert {name.partition("::")[0] for name in one - exhaustive} == {paths[2]}
    assert set(collected(*paths, "--exhaustive", "--sample=1")) == exhaustive - one
