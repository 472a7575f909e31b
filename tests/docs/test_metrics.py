"""The table of the metrics names those of the service, and no others."""

import re

from prometheus_client.parser import text_string_to_metric_families

from tests.support.service import ROOT, Service

TEXT = (ROOT / "docs" / "operations.md").read_text()


def described() -> set[str]:
    section = TEXT.partition("\n## Metrics\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return {name.removesuffix("_total") for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_the_table_of_metrics_is_complete(service: Service) -> None:
    """The metrics of the library itself, which all of its users have, are named by their prefixes only."""
    names = {family.name for family in text_string_to_metric_families(service.metrics())}
    own = {name for name in names if not name.startswith(("python_", "process_"))}
    # These two come with the setting REDIS_URL.
    assert own | {"rate_limit_redis_down", "rate_limit_redis_outages"} == described()
