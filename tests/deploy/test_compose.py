"""compose.yaml: valid, without a default password, and true of the service."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.configuration.variables import COMPOSE_SECRETS, names_of
from server.contract.document import load_document
from server.settings import Settings
from tests.deploy.compose import TEXT, VARIABLE, Mappings, compose, names, program, required
from tests.operations.command import RunCommand
from tests.support.service import ROOT, SECRET

SETTINGS = {name.upper() for name in names_of(Settings)}
OTHER_VARIABLES = re.compile("PYTHONPATH|OTEL_[A-Z_]+")
"""Those that Python and OpenTelemetry read."""
FILE = compose({name: f"value-of-{name.lower()}-that-is-long-enough" for name in required()})
SERVICES: dict[str, Mappings] = FILE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "tasks-api"}
PROFILES = [[], ["dev"], ["scale"], ["observe"], ["dev", "scale", "observe"]]

every_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def validated(path: Path) -> int:
    command = [
        str(Path(sys.executable).with_name("check-jsonschema")),
        "--builtin-schema",
        "vendor.compose-spec",
        str(path),
    ]
    return subprocess.run(command, capture_output=True, check=False).returncode  # noqa: S603


def make_env(directory: Path) -> subprocess.CompletedProcess[str]:
    command = ["make", "--silent", f"--makefile={ROOT / 'Makefile'}", "env"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)  # noqa: S603


def read_env(directory: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in (directory / ".env").read_text().splitlines())


def test_it_has_the_schema_of_the_specification() -> None:
    assert validated(ROOT / "compose.yaml") == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda services: services["api"].update(read_onyl=True),
        lambda services: services["api"]["depends_on"]["redis"].update(condition="service_is_healthy"),
        lambda services: services["redis"]["healthcheck"].update(interval=[5]),
    ],
    ids=["unknown", "condition", "type"],
)
def test_a_mistake_in_the_file_is_found(change: Callable[[Mappings], None], tmp_path: Path) -> None:
    broken = yaml.safe_load(TEXT)
    change(broken["services"])
    path = tmp_path / "compose.yaml"
    path.write_text(yaml.safe_dump(broken))
    assert validated(path) == 1


@pytest.fixture(scope="module")
def docker_compose() -> list[str]:
    """Docker Compose, which needs no engine to read a file."""
    command = program()
    if command is None:
        if "CI" in os.environ:
            pytest.fail("Docker Compose is not installed")
        pytest.skip("Docker Compose is not installed")
    return command


@pytest.mark.parametrize("profiles", PROFILES, ids=" ".join)
def test_docker_compose_reads_it(profiles: list[str], docker_compose: list[str], tmp_path: Path) -> None:
    make_env(tmp_path)
    command = [*docker_compose, "--file", str(ROOT / "compose.yaml"), "--env-file", str(tmp_path / ".env")]
    command += [f"--profile={profile}" for profile in profiles]
    ran = subprocess.run([*command, "config"], capture_output=True, text=True, check=False)  # noqa: S603
    assert (ran.returncode, ran.stderr) == (0, "")
    read = yaml.safe_load(ran.stdout)["services"]
    assert set(read) == {
        name
        for name, service in SERVICES.items()
        if set(service.get("profiles", profiles)) & {*profiles} or not service.get("profiles")
    }
    values = {**read_env(tmp_path)}
    own = compose(values)["services"]
    assert {name: service.get("environment") for name, service in read.items()} == {
        name: own[name].get("environment") for name in read
    }


def test_docker_compose_names_what_is_missing(docker_compose: list[str], tmp_path: Path) -> None:
    command = [*docker_compose, "--file", str(ROOT / "compose.yaml"), "--env-file", os.devnull, "config"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603
    assert ran.returncode != 0
    assert 'run "make env"' in ran.stderr


@pytest.mark.parametrize("variable", sorted(required()))
def test_no_password_has_a_default(variable: str) -> None:
    """Without .env the file is refused, and nothing in it looks like a password."""
    environment = dict.fromkeys(required() - {variable}, "x")
    with pytest.raises(KeyError, match=variable):
        compose(environment)


def test_every_password_is_a_variable() -> None:
    assert required() == COMPOSE_SECRETS | {"BETTER_AUTH_SECRET", "METRICS_TOKEN"}
    filled = VARIABLE.sub("$", TEXT)
    assert re.findall(r"://[^/$\s]*:[^/$\s]+@", filled) == []
    assert re.findall(r"(?:PASSWORD|SECRET|TOKEN|_AUTH|requirepass):? +(?!\$)\S+", filled) == []


def test_make_env_writes_a_secret_for_each(tmp_path: Path) -> None:
    assert make_env(tmp_path).returncode == 0
    written = read_env(tmp_path)
    assert set(written) == required()
    assert len({*written.values()}) == len(written)
    assert {len(value) for value in written.values()} == {43}
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600


def test_make_env_changes_no_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("RATE_LIMIT=off\n")
    refused = make_env(tmp_path)
    assert refused.returncode != 0
    assert ".env is there already, and is not changed." in refused.stderr
    assert read_env(tmp_path) == {"RATE_LIMIT": "off"}


def test_the_service_takes_the_file_of_make_env(tasks_api: RunCommand) -> None:
    """In production too, where an unknown variable in .env ends the start, and a weak secret does."""
    make_env(Path.cwd())
    with Path(".env").open("a") as file:
        file.write("COMPOSE_PROFILES=observe\n")
    result = tasks_api("check", ENVIRONMENT="production", DATABASE_URL="postgresql://127.0.0.1:1/none")
    assert "no setting has this name" not in result.output
    assert "ok       mode: production" in result.output


def test_every_variable_is_a_setting_or_a_secret() -> None:
    others = {name for name in names() if OTHER_VARIABLES.fullmatch(name)}
    assert names() - SETTINGS - others == COMPOSE_SECRETS


@pytest.mark.parametrize("service", OURS.values(), ids=OURS)
def test_variables_of_the_service_are_settings(service: Mappings) -> None:
    assert [name for name in set(service["environment"]) - SETTINGS if not OTHER_VARIABLES.fullmatch(name)] == []


@pytest.mark.parametrize("service", OURS.values(), ids=OURS)
def test_values_of_the_service_are_valid(service: Mappings, tasks_api: RunCommand) -> None:
    environment = {name: str(value) for name, value in service["environment"].items() if name != "PYTHONPATH"}
    environment["BETTER_AUTH_SECRET"] = SECRET
    nowhere = {name: re.sub(r"@[a-z-]+:\d+", "@127.0.0.1:1", value) for name, value in environment.items()}
    result = tasks_api("check", **nowhere)
    assert "error    settings" not in result.output
    assert f"mode: {environment['ENVIRONMENT']}" in result.output


@every_service
def test_an_image_is_pinned_to_a_version(service: Mappings) -> None:
    """Ours are built from a Dockerfile that pins its base by digest."""
    if "build" in service:
        build = service["build"]
        folder = ROOT / (build if isinstance(build, str) else build["context"])
        assert re.search(r"@sha256:[0-9a-f]{64} AS pinned$", (folder / "Dockerfile").read_text(), re.MULTILINE)
        assert service["pull_policy"] == "build"
    else:
        assert re.fullmatch(r"docker\.io/[a-z0-9/-]+:v?\d+\.\d+(\.\d+)?(-alpine)?", service["image"])


def test_an_image_has_one_version() -> None:
    images = {service["image"] for service in SERVICES.values()}
    assert len(images) == len({image.rpartition(":")[0] or image for image in images})
    assert any(image.startswith("docker.io/library/postgres:18.") for image in images)


@every_service
def test_a_service_waits_for_what_it_needs(service: Mappings) -> None:
    """For the health of what runs, and for the end of what ends."""
    for name, dependency in service.get("depends_on", {}).items():
        ends = SERVICES[name]["restart"] == "no"
        assert dependency["condition"] == ("service_completed_successfully" if ends else "service_healthy"), name
        assert {*SERVICES[name].get("profiles", [])} <= {*service.get("profiles", [])}


@every_service
def test_what_runs_has_a_health_check(service: Mappings) -> None:
    check = service["healthcheck"]
    # The image of the collector has no program that could check it.
    has_none = service["restart"] == "no" or "opentelemetry-collector" in service["image"]
    assert check == {"disable": True} if has_none else check["test"][0] in ("CMD", "CMD-SHELL")


def test_ports_are_published_to_this_machine_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert {port.split(":")[0] for port in published} == {"127.0.0.1"}
    assert len({port.split(":")[1] for port in published}) == len(published) >= 3


def test_ports_are_those_that_the_programs_listen_on() -> None:
    assert {port.rpartition(":")[2] for service in OURS.values() for port in service.get("ports", [])} == {
        str(Settings.model_fields["port"].default)
    }
    listening = re.findall(r"bind :(\d+)", (ROOT / "deploy/compose/haproxy.cfg").read_text())
    assert [port.rpartition(":")[2] for port in SERVICES["proxy"]["ports"]] == listening
    assert f"http://127.0.0.1:{listening[0]}/health/ready" in SERVICES["proxy"]["healthcheck"]["test"]
    assert "/health/ready" in load_document()["paths"]
    ini = (ROOT / "deploy/compose/pgbouncer/pgbouncer.ini").read_text()
    port = re.findall(r"^listen_port = (\d+)$", ini, re.MULTILINE)[0]
    assert f"--port={port}" in SERVICES["pgbouncer"]["healthcheck"]["test"]
    assert f"@pgbouncer:{port}/" in SERVICES["api"]["environment"]["DATABASE_URL"]


def test_hosts_that_are_named_are_services() -> None:
    hosts = set(re.findall(r"@([a-z-]+):\d+/", TEXT))
    hosts |= set(re.findall(r"'([a-z0-9-]+)', 5432", (ROOT / "deploy/compose/citus-nodes.sql").read_text()))
    hosts |= set(re.findall(r" host=([a-z-]+)", (ROOT / "deploy/compose/pgbouncer/pgbouncer.ini").read_text()))
    hosts |= set(re.findall(r"server-template \S+ \d+ ([a-z-]+):", (ROOT / "deploy/compose/haproxy.cfg").read_text()))
    assert {"postgres", "pgbouncer", "redis", "citus-worker-2", "replica"} <= hosts <= set(SERVICES)


def test_files_of_the_profile_observe_name_its_services() -> None:
    """Prometheus finds the service, its rules and its token; Grafana finds Prometheus; the service the collector."""
    folder = ROOT / "deploy" / "observability"
    prometheus = yaml.safe_load((folder / "prometheus.yaml").read_text())
    places = {config["target"] for config in SERVICES["prometheus"]["configs"]}
    assert {f"/etc/prometheus/{file}" for file in prometheus["rule_files"]} < places
    (job,) = prometheus["scrape_configs"]
    assert [found["names"] for found in job["dns_sd_configs"]] == [["api"], ["replica"]]
    assert {found["port"] for found in job["dns_sd_configs"]} == {Settings.model_fields["port"].default}
    (secret,) = SERVICES["prometheus"]["secrets"]
    assert job["authorization"]["credentials_file"] == f"/run/secrets/{secret}"
    assert FILE["secrets"] == {secret: {"environment": "METRICS_TOKEN"}}
    (source,) = yaml.safe_load((folder / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:" + SERVICES["prometheus"]["ports"][0].rpartition(":")[2]
    (provider,) = yaml.safe_load((folder / "grafana/provisioning/dashboards/dashboards.yaml").read_text())["providers"]
    assert provider["options"]["path"] in {volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]}
    collector = yaml.safe_load((folder / "otel-collector.yaml").read_text())
    port = collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"].rpartition(":")[2]
    assert f"http://otel-collector:{port} is that of the profile" in TEXT


def test_replicas_and_places_of_the_proxy_are_as_many() -> None:
    (places,) = re.findall(r"server-template \S+ (\d+) ", (ROOT / "deploy/compose/haproxy.cfg").read_text())
    assert SERVICES["replica"]["deploy"]["replicas"] == int(places) == 3


def test_files_that_are_mounted_exist() -> None:
    files = [config["file"] for config in FILE["configs"].values() if "file" in config]
    files += [source for service in SERVICES.values() for source in bound(service)]
    assert files
    assert [file for file in files if not (ROOT / file).exists()] == []
    used = [config["source"] for service in SERVICES.values() for config in service.get("configs", [])]
    assert {*used} == {*FILE["configs"]}


def bound(service: Mappings) -> list[str]:
    """The files and folders of the checkout that a service sees."""
    return [volume.split(":")[0] for volume in service.get("volumes", []) if volume.startswith(".")]


@every_service
def test_what_is_made_of_a_variable_can_be_written(service: Mappings) -> None:
    """Docker Compose copies such files into the container, and fails where the root is read-only."""
    made = [config["source"] for config in service.get("configs", []) if "content" in FILE["configs"][config["source"]]]
    assert not (service.get("read_only") and (made or service.get("secrets")))


@pytest.mark.parametrize("service", OURS.values(), ids=OURS)
def test_the_service_has_no_more_rights_than_it_needs(service: Mappings) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    seconds = Settings.model_fields["shutdown_seconds"].default
    assert int(service["stop_grace_period"].removesuffix("s")) >= seconds + 5


def test_the_source_is_mounted_for_development() -> None:
    dev = SERVICES["dev"]
    assert dev["volumes"] == [".:/src:ro"]
    assert (dev["environment"]["PYTHONPATH"], dev["environment"]["ENVIRONMENT"]) == ("/src", "development")
    assert dev["command"] == ["serve", "--reload"]


def test_only_migrations_know_the_superuser() -> None:
    url = "MIGRATIONS_DATABASE_URL"
    assert {name for name, service in OURS.items() if url in service["environment"]} == {"migrate", "citus-migrate"}
    assert {name for name, service in OURS.items() if "postgres_password" in str(service)} == {
        "migrate",
        "citus-migrate",
    }
    assert {service["environment"]["MIGRATE_ON_START"] for service in OURS.values()} == {"false"}


def test_pools_together_leave_connections_free() -> None:
    """PostgreSQL allows 97 by default, with 3 for the superuser."""
    replicas: Any = SERVICES["replica"]
    size = Settings.model_fields["database_pool_size"].default
    assert replicas["deploy"]["replicas"] * size <= 90
    ini = (ROOT / "deploy/compose/pgbouncer/pgbouncer.ini").read_text()
    assert int(re.findall(r"default_pool_size = (\d+)", ini)[0]) <= 90
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"] == FILE["name"]
