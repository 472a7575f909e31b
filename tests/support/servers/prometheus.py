"""A real Prometheus, with the configuration of deploy/observability."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import yaml

from tests.support.servers.programs import needed
from tests.support.service import METRICS_TOKEN, ROOT, Service, free_port
from tests.support.waiting import until

FOLDER = ROOT / "deploy" / "observability"


class Prometheus:
    """Its HTTP API."""

    def __init__(self, url: str) -> None:
        self.client = httpx2.Client(base_url=f"{url}/api/v1", trust_env=False, timeout=10)

    def ask(self, path: str, **parameters: str) -> Any:
        answer = self.client.get(path, params=parameters)
        assert answer.status_code == httpx2.codes.OK, answer.text
        return answer.json()["data"]

    def value(self, query: str) -> float | None:
        """The value of a query with one result at most."""
        result = self.ask("/query", query=query)["result"]
        return float(result[0]["value"][1]) if result else None


@contextlib.contextmanager
def scraping(service: Service, directory: Path) -> Iterator[Prometheus]:
    """Prometheus, which scrapes the service every second. Only addresses, paths and intervals differ from the file."""
    program = needed("prometheus")
    port = free_port()
    configuration = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    configuration["rule_files"] = [str(FOLDER / "alerts.yaml")]
    (job,) = configuration["scrape_configs"]
    del job["dns_sd_configs"]
    job["static_configs"] = [{"targets": [service.url.removeprefix("http://")]}]
    job["authorization"]["credentials_file"] = "token"
    (directory / "token").write_text(METRICS_TOKEN)
    (directory / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    options = [
        "--config.file=prometheus.yaml",
        "--storage.tsdb.path=data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
    ]
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            [program, *options], cwd=directory, stdout=log, stderr=subprocess.STDOUT
        )
    prometheus = Prometheus(f"http://127.0.0.1:{port}")

    def is_ready() -> bool:
        with contextlib.suppress(httpx2.TransportError):
            return httpx2.get(f"http://127.0.0.1:{port}/-/ready", trust_env=False).status_code == httpx2.codes.OK
        return False

    try:
        with prometheus.client:
            until(is_ready, 30)
            yield prometheus
    finally:
        process.terminate()
        process.wait(30)
