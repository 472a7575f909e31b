"""What a service shows at `/metrics`, read by Prometheus' own parser of the library."""

from collections.abc import Callable

from prometheus_client.parser import text_string_to_metric_families

from tests.support.service import Service
from tests.support.waiting import until

Metrics = dict[str, float]
"""The value of each series, by its name and its labels as `name{label="value",...}`, in the order of their names."""


def series(name: str, **labels: str) -> str:
    written = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{name}{{{written}}}" if written else name


def scrape(service: Service) -> Metrics:
    return {
        series(sample.name, **sample.labels): sample.value
        for family in text_string_to_metric_families(service.metrics())
        for sample in family.samples
    }


def growth(service: Service, act: Callable[[], object]) -> Metrics:
    """What `act` adds to the counters of the service."""
    before = scrape(service)
    act()
    after = scrape(service)
    return {name: value - before.get(name, 0.0) for name, value in after.items() if value != before.get(name, 0.0)}


def wait_for(service: Service, name: str, value: float, seconds: float = 10) -> None:
    """Wait until the series has the value. Gauges of another process are at most a second old."""
    until(lambda: scrape(service).get(name) == value, seconds)
