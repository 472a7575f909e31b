"""The statements of the README are true."""

import re
import shutil
from pathlib import Path

import click
import pytest
from pydantic import SecretStr

from docs.generate import PAGES
from persistence import migrations
from server.cli import main
from server.settings import Settings
from tests.docs.first_session import FENCED, assert_first_session
from tests.support.service import ROOT, running_service

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
ENV_EXAMPLE = (ROOT / ".env.example").read_text()
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def commands(text: str) -> str:
    """Return all code of the text, a line for each piece."""
    inline = re.findall(r"`([^`\n]+)`", FENCED.sub("", text))
    return "\n".join([*(match[2] for match in FENCED.finditer(text)), *inline])


@pytest.mark.skipif(shutil.which("bash") is None or shutil.which("curl") is None, reason="it needs bash and curl")
def test_the_first_session_prints_what_the_readme_shows(tmp_path: Path) -> None:
    """The service runs as `make run` leaves it: no database and no secret given, `.venv` in its directory."""
    with running_service(tmp_path, BETTER_AUTH_SECRET="") as service:
        assert_first_session(service.url, tmp_path)


def test_the_shown_start_names_the_newest_revision() -> None:
    assert f"revision='{migrations.head()}'" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("path", PAGES)
def test_a_generated_page_is_not_stale(path: str) -> None:
    """`make docs` writes it anew."""
    assert (ROOT / path).read_text() == PAGES[path]()


def test_neon_db_url_is_another_name_of_database_url_which_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEON_DB_URL", "postgresql://neon/db")
    assert Settings(_env_file=None).database_url == SecretStr("postgresql://neon/db")
    monkeypatch.setenv("DATABASE_URL", "postgresql://own/db")
    assert Settings(_env_file=None).database_url == SecretStr("postgresql://own/db")


def test_the_example_of_an_env_file_can_be_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every example line enabled, the settings are the defaults."""
    for name in (*(name.upper() for name in Settings.model_fields), "NEON_DB_URL"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / ".env"
    file.write_text(re.sub(r"^#(?=[A-Z_]+=)", "", ENV_EXAMPLE, flags=re.MULTILINE))
    assert Settings(_env_file=file) == Settings(_env_file=None)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file(document: Path) -> None:
    text = FENCED.sub("", document.read_text())
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    assert [target for target in targets if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_make_command_exists(document: Path) -> None:
    named = set(re.findall(r"^(?:[A-Z_]+=\S+ )*make ([a-z-]+)", commands(document.read_text()), re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named - targets == set()


def test_the_table_of_commands_is_that_of_tasks_api() -> None:
    named = re.findall(r"^\| `tasks-api ([a-z ]+?)(?: [A-Z]+)?` \|", OPERATIONS, re.MULTILINE)
    assert sorted(named) == sorted(_paths(main))


def _paths(group: click.Group) -> list[str]:
    """Every command below the group, as it is typed."""
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            found += [f"{name} {below}" for below in _paths(command)]
        else:
            found.append(name)
    return found
