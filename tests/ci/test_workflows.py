"""The workflows of .github: what linters do not know about this repository."""

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.fuzz import chosen
from tests.support.service import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEXTS = {path.stem: path.read_text() for path in WORKFLOWS}
# `on` is a boolean in YAML 1.1.
PARSED = {name: yaml.load(text, Loader=yaml.BaseLoader) for name, text in TEXTS.items()}  # noqa: S506  only strings
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
JOBS = {f"{name}.{job}": body for name, workflow in PARSED.items() for job, body in workflow["jobs"].items()}
PINNED = re.compile(r"uses: ([\w./-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)$")

every_job = pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)


def commands(job: dict[str, Any]) -> Iterator[str]:
    for step in job.get("steps", ()):
        yield from step.get("run", "").splitlines()


def scheduled(target: str) -> list[str]:
    """Return the schedules of the workflows that call a make target."""
    return [
        schedule["cron"]
        for workflow in PARSED.values()
        for job in workflow["jobs"].values()
        for command in commands(job)
        for schedule in workflow["on"].get("schedule", ())
        if re.search(rf"\bmake {target}(?![\w-])", command)
    ]


def test_every_action_is_pinned_by_digest_and_version() -> None:
    """An action has one digest in all workflows, and its comment says which version that is."""
    pins = defaultdict(set)
    for text in TEXTS.values():
        for line in re.findall(r"uses: [^$].*", text):
            match = PINNED.fullmatch(line)
            assert match is not None, line
            pins[match[1]].add(match.groups()[1:])
    assert {action: len(versions) for action, versions in pins.items()} == dict.fromkeys(pins, 1)
    assert "actions/checkout" in pins


def test_no_workflow_has_permissions_but_its_jobs() -> None:
    assert {name: workflow["permissions"] for name, workflow in PARSED.items()} == {name: {} for name in PARSED}
    assert [name for name, job in JOBS.items() if "permissions" not in job] == []


def test_only_a_release_may_write() -> None:
    writers = {name.partition(".")[0] for name, job in JOBS.items() if "write" in job["permissions"].values()}
    assert writers == {"release"}
    assert set(PARSED["release"]["on"]) == {"push"}
    assert set(PARSED["release"]["on"]["push"]) == {"tags"}


@every_job
def test_a_job_calls_make_targets_that_exist(job: dict[str, Any]) -> None:
    called = {target for command in commands(job) for target in re.findall(r"\bmake ([a-z-]+)", command)}
    assert called - TARGETS == set()


@every_job
def test_a_job_names_files_that_exist(job: dict[str, Any]) -> None:
    """In its commands, and as reusable workflows."""
    named = [file for command in commands(job) for file in re.findall(r"(?<![\w/])\.ci/\w+", command)]
    named += re.findall(r"\$/(.*)", job.get("uses", ""))
    assert [file for file in named if not (ROOT / file).is_file()] == []


@every_job
def test_a_job_ends(job: dict[str, Any]) -> None:
    assert "uses" in job or int(job["timeout-minutes"]) <= 180


@pytest.mark.parametrize("target", ["check", "fuzz", "fuzz-stock", "audit", "torture", "release"])
def test_every_check_is_run_by_some_workflow(target: str) -> None:
    assert any(re.search(rf"\bmake {target}(?![\w-])", command) for job in JOBS.values() for command in commands(job))


def test_the_table_of_workflows_is_complete() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text().split("\n## Workflows and releases\n")[1]
    rows = dict(re.findall(r"^\| `(\w+)\.yml` \| (.*?) \|", table, re.MULTILINE))
    assert set(rows) == set(PARSED)
    for name, row in rows.items():
        steps = [command for job in PARSED[name]["jobs"].values() for command in commands(job)]
        steps += [
            f"make {job['uses'].rpartition('/')[2][:-4]}" for job in PARSED[name]["jobs"].values() if "uses" in job
        ]
        called = {target for step in steps for target in re.findall(r"\bmake ([a-z-]+)", step)}
        assert set(re.findall(r"`make ([a-z-]+)", row)) == called, name


def test_the_fuzzer_runs_every_night_and_torture_weekly() -> None:
    (nightly,) = scheduled("fuzz")
    assert re.fullmatch(r"\d+ \d+ \* \* \*", nightly)
    (weekly,) = scheduled("torture")
    assert re.fullmatch(r"\d+ \d+ \* \* \d", weekly)


def test_a_release_waits_for_the_checks_of_every_change() -> None:
    assert JOBS["release.check"]["uses"] == "$/.github/workflows/check.yml"
    assert {"check", "image"} == set(JOBS["release.release"]["needs"])
    assert JOBS["release.image"]["needs"] == "check"


def test_dependabot_knows_every_lock() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    known: dict[str, set[str]] = defaultdict(set)
    for update in updates:
        known[update["package-ecosystem"]] |= set(update.get("directories", [update.get("directory")]))
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607
    files = [Path("/", name) for name in tracked.stdout.splitlines()]
    assert known["npm"] == {str(file.parent) for file in files if file.name == "package-lock.json"}
    assert known["pip"] == {"/requirements", "/tests/clients/python"}
    assert known["github-actions"] == {"/"}
    images = {str(file.parent) for file in files if file.name.startswith("Dockerfile")}
    assert known["docker"] == images
    assert known["docker-compose"] == {str(file.parent) for file in files if file.name == "compose.yaml"}


def test_a_random_seed_is_a_new_one() -> None:
    first, second = chosen("random"), chosen("random")
    assert first != second
    assert first.isdecimal()
    assert chosen("7") == "7"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("runs-on: ubuntu-24.04", "runs-on: ubuntu-99.04"),
        ("contents: read", "contents: reed"),
        ("persist-credentials: false", "fetch-depth: 1"),
        ("@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7"),
        ("permissions: {}", "permissions: write-all"),
        ("make check SEEDS=1", "echo ${{ github.head_ref }}"),
    ],
    ids=["runner", "permission", "credentials", "pin", "permissions", "injection"],
)
def test_the_linters_find_what_is_planted(before: str, after: str, tmp_path: Path) -> None:
    assert before in TEXTS["check"]
    broken = tmp_path / ".github" / "workflows" / "check.yml"
    broken.parent.mkdir(parents=True)
    broken.write_text(TEXTS["check"].replace(before, after))
    binaries = Path(sys.executable).parent
    found = [
        subprocess.run([binaries / command[0], *command[1:], broken], capture_output=True, check=False).returncode  # noqa: S603
        for command in (["actionlint"], ["zizmor", "--offline", "--persona", "pedantic"])
    ]
    assert any(found)


def test_the_script_of_ci_runs_all_of_make_check() -> None:
    """In another order and partly at the same time, to take less of it."""
    (targets,) = re.findall(r"^check: (.+?) ##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    script = (ROOT / ".ci" / "run").read_text().replace("\\\n", " ")
    commands = [line.split() for line in script.splitlines() if line.startswith("make ") and "node_modules" not in line]
    run = [word for _, *words in commands for word in words if re.fullmatch("[a-z][a-z-]+", word)]
    assert sorted(run) == sorted(targets.split())


@pytest.mark.slow
def test_pytest_takes_the_options_of_the_weekly_tests() -> None:
    """It would not know those of this project if it took a value for a folder of tests."""
    command = ("make", "--dry-run", "--assume-old", ".venv/dev", "torture", "FIGURES=docs/reliability.md")
    recipe = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S603
    (line,) = [line for line in recipe.splitlines() if "--figures" in line]
    options = [word for word in line.split() if word.startswith("--exhaustive") or "reliability.md" in word]
    subprocess.run([sys.executable, "-m", "pytest", *options, "--markers"], cwd=ROOT, capture_output=True, check=True)  # noqa: S603
