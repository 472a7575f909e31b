"""The alert rules, the dashboard and the runbook fit each other and the metrics of the service."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.observability.rules import DASHBOARD, FOLDER, RULES, expressions, metrics_of
from tests.support.servers.programs import needed
from tests.support.service import ROOT, Service, running_service

WITH_REDIS: dict[str, Any] = {"RATE_LIMIT": "100000/minute", "REDIS_URL": "redis://127.0.0.1:1/0"}
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


@pytest.fixture(scope="module")
def shown(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[set[str]]:
    """The names of the series of a service that uses all that it can use; no Redis answers."""
    directory = tmp_path_factory.mktemp("shown")
    with running_service(directory, DATABASE_URL=database_url, **WITH_REDIS) as service:
        yield {"up", *names(service)}


def names(service: Service) -> Iterator[str]:
    """Also those that have no sample yet, because what they count has not happened."""
    for family in text_string_to_metric_families(service.metrics()):
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        yield from (f"{family.name}{suffix}" for suffix in suffixes)


@pytest.mark.parametrize("of", expressions())
def test_every_metric_of_a_query_exists(of: str, shown: set[str]) -> None:
    named = metrics_of(expressions()[of])
    assert named
    assert named - shown == set()


def test_the_names_of_metrics_are_found_in_queries() -> None:
    query = 'sum by (le, reason) (rate(a_bucket{job="x", b=~"c"}[5m])) / max without (d) (e_total) > bool 1 and f'
    assert metrics_of(query) == {"a_bucket", "e_total", "f"}


def test_the_dashboard_shows_every_metric_of_the_guide() -> None:
    section = OPERATIONS.partition("\n## Metrics\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    described = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    used = {re.sub("_(bucket|count|sum)$", "", name) for query in expressions().values() for name in metrics_of(query)}
    assert described - used == set()


def test_every_alert_has_an_entry_in_the_runbook() -> None:
    section = OPERATIONS.partition("\n## Dashboard and alerts\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \| (.+) \|$", section, re.MULTILINE)
    assert [row[0] for row in rows] == [rule["alert"] for rule in RULES]
    assert all(len(cell) > 20 for row in rows for cell in row[1:])


def test_every_panel_has_its_own_id_and_place() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [
        (place["x"] + column, place["y"] + line)
        for place in (panel["gridPos"] for panel in panels)
        for column in range(place["w"])
        for line in range(place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(column for column, _ in taken) < 24


def test_the_dashboard_uses_the_data_source_that_is_provisioned() -> None:
    provisioned = yaml.safe_load((FOLDER / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    (uid,) = {source["uid"] for source in provisioned["datasources"]}
    used = {target["datasource"]["uid"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())}
    assert used == {uid}


def promtool(*arguments: str, directory: Path) -> str:
    done = subprocess.run(  # noqa: S603
        [needed("promtool"), *arguments], cwd=directory, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_accepts_the_rules_and_the_configuration(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    assert f"SUCCESS: {len(RULES)} rules found" in promtool("check", "rules", "alerts.yaml", directory=tmp_path)
    # The secret is a file of the container.
    configuration = (tmp_path / "prometheus.yaml").read_text()
    (tmp_path / "token").write_text("x")
    (tmp_path / "prometheus.yaml").write_text(configuration.replace("/run/secrets/metrics_token", "token"))
    assert "is valid" in promtool("check", "config", "prometheus.yaml", directory=tmp_path)


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "alerts.yaml", tmp_path)
    shutil.copy(Path(__file__).with_name("alerts.test.yaml"), tmp_path)
    promtool("test", "rules", "alerts.test.yaml", directory=tmp_path)
