"""docs/deployment.md: its variables are settings, its files exist, and it names every manifest."""

import re

import kubernetes_validate

from server.configuration.variables import COMPOSE_SECRETS
from server.settings import Settings
from tests.deploy.test_kubernetes import ALL, FILES, RELEASES
from tests.support.service import ROOT

GUIDE = (ROOT / "docs" / "deployment.md").read_text()
# Those of other programs.
OTHER_VARIABLES = {"SSL_CERT_FILE", "CHANGE", "OTEL_EXPORTER_OTLP_ENDPOINT", *COMPOSE_SECRETS}


def test_variables_of_the_guide_are_settings() -> None:
    named = set(re.findall(r"\b[A-Z]{2,}(?:_[A-Z]+)+\b|^[A-Z_]+(?==)", GUIDE, re.MULTILINE))
    assert {"DATABASE_URL", "WORKERS", "SHUTDOWN_SECONDS"} <= named
    assert {name.lower() for name in named - OTHER_VARIABLES} <= set(Settings.model_fields)


def test_files_of_the_guide_exist() -> None:
    named = re.findall(r"(?<![\w.])deploy/[\w./-]+", GUIDE)
    assert [path for path in named if not (ROOT / path.rstrip("./")).exists()] == []


def test_every_manifest_is_explained() -> None:
    rows = set(re.findall(r"^\| \[([\w.-]+\.yaml)\]", GUIDE, re.MULTILINE))
    assert rows == {*FILES, "kustomization.yaml"}


def test_numbers_of_the_guide_are_those_of_the_manifests() -> None:
    scale = ALL["HorizontalPodAutoscaler/tasks-api"]["spec"]
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    assert f"{words[scale['minReplicas']]} to {words[scale['maxReplicas']]} pods" in GUIDE
    assert f"Kubernetes {RELEASES[0]} or newer" in GUIDE
    newest = ".".join(kubernetes_validate.latest_version().split(".")[:2])
    assert f"the schemas of Kubernetes {RELEASES[0]} and {newest}" in GUIDE


def test_sections_that_are_linked_exist() -> None:
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", GUIDE, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([\w-]+)\)", GUIDE)) <= headings
