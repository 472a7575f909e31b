"""The manifests of deploy/kubernetes: valid for Kubernetes' API, and true of the service."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from server.contract.document import load_document
from server.settings import Settings
from tests.support.servers.postgres import fresh_database
from tests.support.service import ROOT, running_service
from tests.support.waiting import until

FOLDER = ROOT / "deploy" / "kubernetes"
# The first release with `preStop.sleep`, and the newest one whose schemas the validator has.
RELEASES = ("1.30", kubernetes_validate.latest_version())
MOST_CONNECTIONS = 97
"""PostgreSQL's `max_connections` less `superuser_reserved_connections`, as they are by default."""

Manifest = dict[str, Any]


def manifests(path: Path) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document is not None]


KUSTOMIZATION = manifests(FOLDER / "kustomization.yaml")[0]
FILES = {path.name: manifests(path) for path in sorted(FOLDER.glob("*.yaml")) if path.name != "kustomization.yaml"}
ALL = {f"{m['kind']}/{m['metadata']['name']}": m for found in FILES.values() for m in found}
DEPLOYMENT, JOB = ALL["Deployment/tasks-api"], ALL["Job/tasks-api-migrate"]
CONFIG: dict[str, str] = ALL["ConfigMap/tasks-api"]["data"]
PODS = {name: manifest["spec"]["template"] for name, manifest in ALL.items() if "template" in manifest.get("spec", {})}
CONTAINER = PODS["Deployment/tasks-api"]["spec"]["containers"][0]
PROBES = {name: probe for name, probe in CONTAINER.items() if name.endswith("Probe")}

every_pod = pytest.mark.parametrize("pod", PODS.values(), ids=PODS)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("manifest", ALL.values(), ids=ALL)
def test_a_manifest_has_the_schema_of_its_kind(manifest: Manifest, release: str) -> None:
    kubernetes_validate.validate(manifest, release, strict=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda spec: spec.update(replica=2),
        lambda spec: spec["template"]["spec"]["containers"][0]["readinessProbe"].update(periodSeconds="5s"),
        lambda spec: spec["template"]["spec"]["containers"][0]["securityContext"].update(readOnlyRootFileSystem=True),
    ],
    ids=["unknown", "type", "spelling"],
)
def test_a_mistake_in_a_manifest_is_found(change: Callable[[Manifest], None]) -> None:
    broken: Manifest = manifests(FOLDER / "deployment.yaml")[0]
    change(broken["spec"])
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, RELEASES[-1], strict=True)


def test_the_kustomization_lists_every_file_but_the_example() -> None:
    assert set(KUSTOMIZATION["resources"]) == set(FILES) - {"secret.example.yaml"}


def test_the_image_has_the_version_of_the_package() -> None:
    (image,) = KUSTOMIZATION["images"]
    assert image["newTag"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {pod["spec"]["containers"][0]["image"] for pod in PODS.values()} == {image["name"]}


def test_every_variable_is_a_setting() -> None:
    secrets = [name for manifest in ALL.values() for name in manifest.get("stringData", ())]
    assert secrets
    assert {name.lower() for name in (*CONFIG, *secrets)} <= set(Settings.model_fields)


def test_every_source_of_variables_exists() -> None:
    named = [
        f"{'ConfigMap' if 'configMapRef' in source else 'Secret'}/{next(iter(source.values()))['name']}"
        for pod in PODS.values()
        for source in pod["spec"]["containers"][0]["envFrom"]
    ]
    assert set(named) <= set(ALL)
    assert "Secret/tasks-api-migrations" not in str(DEPLOYMENT)


def test_the_example_of_a_secret_has_no_values() -> None:
    secrets = [manifest for manifest in ALL.values() if manifest["kind"] == "Secret"]
    assert {value for secret in secrets for value in secret["stringData"].values()} == {""}
    assert [manifest["kind"] for manifest in FILES["secret.example.yaml"]] == ["Secret", "Secret"]


@every_pod
def test_a_pod_has_no_more_rights_than_it_needs(pod: Manifest) -> None:
    """The Pod Security Standard `restricted`, and a read-only root."""
    spec = pod["spec"]
    (container,) = spec["containers"]
    assert ALL["Namespace/tasks-api"]["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]  # noqa: S108  in the container


@every_pod
def test_a_pod_has_requests_and_limits(pod: Manifest) -> None:
    resources = pod["spec"]["containers"][0]["resources"]
    assert set(resources["requests"]) == set(resources["limits"]) == {"cpu", "memory"}


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_a_probe_asks_a_path_of_the_document(probe: Manifest) -> None:
    assert probe["httpGet"]["path"] in load_document()["paths"]
    assert probe["httpGet"]["port"] == "http"


def test_only_readiness_depends_on_the_database() -> None:
    paths = {name: probe["httpGet"]["path"] for name, probe in PROBES.items()}
    assert paths == {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/health/ready"}


def test_the_port_is_the_same_everywhere() -> None:
    assert CONTAINER["ports"] == [{"name": "http", "containerPort": int(CONFIG["PORT"])}]
    assert [port["targetPort"] for port in ALL["Service/tasks-api"]["spec"]["ports"]] == ["http"]
    (rule,) = ALL["NetworkPolicy/tasks-api"]["spec"]["ingress"]
    assert rule["ports"] == [{"port": "http"}]


def test_everything_selects_the_pods_that_it_means() -> None:
    labels = PODS["Deployment/tasks-api"]["metadata"]["labels"]
    spread = PODS["Deployment/tasks-api"]["spec"]["topologySpreadConstraints"]
    selectors = [
        DEPLOYMENT["spec"]["selector"]["matchLabels"],
        ALL["Service/tasks-api"]["spec"]["selector"],
        ALL["PodDisruptionBudget/tasks-api"]["spec"]["selector"]["matchLabels"],
        ALL["NetworkPolicy/tasks-api"]["spec"]["podSelector"]["matchLabels"],
        *(constraint["labelSelector"]["matchLabels"] for constraint in spread),
    ]
    assert [selector for selector in selectors if selector != labels] == []
    assert ALL["HorizontalPodAutoscaler/tasks-api"]["spec"]["scaleTargetRef"]["name"] == "tasks-api"
    migration = ALL["NetworkPolicy/tasks-api-migrate"]["spec"]
    assert migration["podSelector"]["matchLabels"] == PODS["Job/tasks-api-migrate"]["metadata"]["labels"] != labels
    assert "ingress" not in migration


def test_a_pod_has_time_to_end_its_requests() -> None:
    pause = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
    seconds = int(CONFIG.get("SHUTDOWN_SECONDS", Settings.model_fields["shutdown_seconds"].default))
    assert PODS["Deployment/tasks-api"]["spec"]["terminationGracePeriodSeconds"] >= pause + seconds + 5


def test_all_pods_together_leave_connections_free() -> None:
    pods = ALL["HorizontalPodAutoscaler/tasks-api"]["spec"]["maxReplicas"]
    pods += DEPLOYMENT["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
    assert pods * int(CONFIG["DATABASE_POOL_SIZE"]) * int(CONFIG["WORKERS"]) <= MOST_CONNECTIONS


def test_what_has_to_be_changed_is_marked() -> None:
    marked = {path.name for path in FOLDER.glob("*.yaml") if re.search(r"# CHANGE\b", path.read_text())}
    assert marked == {"kustomization.yaml", "config.yaml", "network-policy.yaml"}


@pytest.mark.slow
def test_pods_are_ready_when_the_job_has_migrated(tmp_path: Path, database_url: str) -> None:
    """The service and the job, with their commands and settings from the manifests, but for the port."""
    settings = {name: value for name, value in CONFIG.items() if name != "PORT"}
    paths = [probe["httpGet"]["path"] for probe in PROBES.values()]
    with (
        fresh_database(database_url) as url,
        running_service(tmp_path, ready=False, output=None, DATABASE_URL=url, **settings) as service,
    ):
        client = service.client()
        assert [client.get(path).status_code for path in paths] == [200, 200, 503]
        job = PODS["Job/tasks-api-migrate"]["spec"]["containers"][0]
        subprocess.run(  # noqa: S603
            [Path(sys.executable).with_name(job["command"][0]), *job["command"][1:]],
            cwd=tmp_path,
            env={**CONFIG, "DATABASE_URL": "", "MIGRATIONS_DATABASE_URL": url, "PATH": os.environ["PATH"]},
            check=True,
        )
        until(lambda: client.get("/health/ready").status_code == 200)
        assert [client.get(path).status_code for path in paths] == [200, 200, 200]
    assert CONTAINER["command"] == ["tasks-api", "serve"]
