"""`make bench` fails when the service costs over 10 % more than stored, relative to the baseline of the same run."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench import BenchmarkError
from bench.results import Part, check_regression, read

_STORED = read(Path(__file__).parents[2] / "docs" / "benchmarks" / "results.json")["comparison"]


def _scaled(factor: float, *contenders: str) -> Part:
    """The stored comparison with more CPU time of these contenders."""
    samples = [
        {**sample, "cpu_us": sample["cpu_us"] * factor}
        if sample["contender"] in contenders and "cpu_us" in sample
        else sample
        for sample in _STORED.samples
    ]
    return replace(_STORED, samples=samples)


def test_a_service_that_costs_more_fails() -> None:
    with pytest.raises(BenchmarkError, match=r"1\.12 times as much"):
        check_regression(_STORED, _scaled(1.12, "service"))


@pytest.mark.parametrize(
    "found",
    [_STORED, _scaled(1.08, "service"), _scaled(0.5, "service"), _scaled(1.5, "service", "baseline")],
    ids=["same", "a little more", "less", "slower machine"],
)
def test_what_is_not_a_regression_passes(found: Part) -> None:
    check_regression(_STORED, found)


def test_only_operations_of_both_are_compared() -> None:
    one = replace(_STORED, about={**_STORED.about, "operations": {"get": "GET one task"}})
    with pytest.raises(BenchmarkError) as error:
        check_regression(_STORED, replace(one, samples=_scaled(1.2, "service").samples))
    assert str(error.value).count(", now ") == 1
    check_regression(replace(_STORED, about={**_STORED.about, "operations": {}}), _scaled(2, "service"))
