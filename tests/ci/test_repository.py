"""The forms for issues and pull requests, and SECURITY.md."""

import re
from pathlib import Path

import pytest
import yaml

from server.cli import main
from tests.support.service import ROOT

GITHUB = ROOT / ".github"
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
# GitHub Docs, "Syntax for GitHub's form schema": the members of `attributes` of each type.
ATTRIBUTES = {
    "markdown": {"value"},
    "input": {"label", "description", "placeholder", "value"},
    "textarea": {"label", "description", "placeholder", "value", "render"},
    "dropdown": {"label", "description", "multiple", "options", "default"},
    "checkboxes": {"label", "description", "options"},
}
TEXTS = [*FORMS, GITHUB / "PULL_REQUEST_TEMPLATE.md", ROOT / "SECURITY.md"]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_is_one_that_github_shows(path: Path) -> None:
    form = yaml.safe_load(path.read_text())
    assert {"name", "description", "body"} <= set(form) <= {"name", "description", "body", "labels", "title"}
    questions = [part for part in form["body"] if part["type"] != "markdown"]
    assert len({part["id"] for part in questions}) == len({part["attributes"]["label"] for part in questions}) > 0
    for part in form["body"]:
        assert set(part) <= {"type", "id", "attributes", "validations"}
        assert set(part["attributes"]) <= ATTRIBUTES[part["type"]]
        assert set(part.get("validations", ())) <= {"required"}


def test_an_issue_has_a_form() -> None:
    assert len(FORMS) == 2
    assert yaml.safe_load((GITHUB / "ISSUE_TEMPLATE" / "config.yml").read_text()) == {"blank_issues_enabled": False}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_commands_and_files_that_are_named_exist(path: Path) -> None:
    text = path.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)`", text)) <= targets
    named = set(re.findall(r"(?<![\w/])(?:docs/)?[\w-]+\.md\b", text))
    assert [name for name in named if not (ROOT / name).is_file()] == []
    options = set(re.findall(r"`tasks-api (--\w+)`", text))
    assert options <= {name for parameter in main.params for name in parameter.opts}


def test_security_md_says_how_to_report() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)
    assert headings[:2] == ["Reporting a vulnerability", "Supported versions"]
