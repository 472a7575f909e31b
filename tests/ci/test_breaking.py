"""`make breaking`: every kind of change that breaks clients is found, and no other."""

import copy
import subprocess
from pathlib import Path
from typing import Any

import pytest

from docs.breaking.__main__ import ROOT, BaseError, earlier_document, last_release, main, may_break
from docs.breaking.operations import document_breaks
from server.contract.document import load_document, operations
from tests.ci.changes import BREAKS, HARMLESS, MAPS, SCHEMAS, TASK_SCHEMA, Change, schema, set_to


def breaks_of(change: Change) -> dict[str, list[str]]:
    before = load_document()
    after = copy.deepcopy(before)
    change(after)
    assert after != before
    return document_breaks(before, after)


@pytest.mark.parametrize(("change", "sentence"), BREAKS.values(), ids=BREAKS)
def test_a_planted_break_is_found(change: Change, sentence: str) -> None:
    assert [found for found in breaks_of(change) if sentence in found] != []


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_a_harmless_change_breaks_nothing(change: Change) -> None:
    assert breaks_of(change) == {}


@pytest.mark.parametrize(("was", "now", "sentence"), MAPS.values(), ids=MAPS)
def test_the_schema_of_other_members_is_compared(was: Any, now: Any, sentence: str) -> None:
    before, after = load_document(), load_document()
    for document, value in ((before, was), (after, now)):
        for name in ("Task", "TaskCreate"):
            schema(document, name)["additionalProperties"] = value
    assert [found for found in document_breaks(before, after) if found.startswith(sentence)] != []


def test_schemas_that_contain_themselves_are_compared() -> None:
    before = load_document()
    schema(before, "Task", "properties").update(parts={"type": "array", "items": {"$ref": TASK_SCHEMA}})
    after = copy.deepcopy(before)
    schema(after, "Task")["required"].remove("title")
    assert list(document_breaks(before, after)) == ["Task in responses: the member title may be absent"]


def test_what_allof_refers_to_is_compared() -> None:
    before = load_document()
    schema(before, "TaskTitle").update(allOf=[{"$ref": f"{SCHEMAS}/TaskDescription"}])
    after = copy.deepcopy(before)
    schema(after, "TaskDescription").update(multipleOf=3)
    assert "TaskTitle in requests: multipleOf is 3, was none" in document_breaks(before, after)


def test_codes_in_a_schema_of_their_own_may_be_new() -> None:
    before = load_document()
    schema(before, "TaskNotFoundProblem", "properties").update(code={"$ref": f"{SCHEMAS}/ProblemCode"})
    schema(before).update(ProblemCode={"type": "string", "enum": ["not-found"]})
    after = copy.deepcopy(before)
    schema(after, "ProblemCode")["enum"].append("purged")
    assert document_breaks(before, after) == {}


def test_a_response_for_other_errors_may_be_new() -> None:
    after = load_document()
    before = copy.deepcopy(after)
    assert [item["responses"].pop("default") for _, _, item in operations(before)] != []
    assert document_breaks(before, after) == {}


def test_the_operations_of_a_break_are_named() -> None:
    breaks = breaks_of(set_to("TaskTitle", maxLength=100))
    assert breaks["TaskTitle in requests: maxLength is 100, was 200"][0] == "POST /api/tasks"


@pytest.mark.parametrize(
    ("before", "after", "may"),
    [("0.1.0", "0.1.9", False), ("0.1.0", "0.2.0", True), ("1.2.3", "1.3.0", False), ("1.2.3", "2.0.0", True)],
)
def test_the_version_says_whether_clients_may_break(before: str, after: str, *, may: bool) -> None:
    assert may_break(before, after) is may


def git(directory: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=directory, capture_output=True, check=True)  # noqa: S603, S607


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A repository with a release whose titles could be longer, and a commit after it."""
    (tmp_path / "openapi").mkdir()
    text = (ROOT / "openapi/openapi.yaml").read_text()
    (tmp_path / "openapi/openapi.yaml").write_text(text.replace("maxLength: 200\n", "maxLength: 300\n"))
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "Release")
    git(tmp_path, "tag", "v0.1.0")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "Later")
    return tmp_path


def test_a_break_since_the_last_release_fails(released: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert last_release(released) == "v0.1.0"
    assert main(root=released) == 1
    said = capsys.readouterr().out
    assert "TaskTitle in requests: maxLength is 200, was 300 (POST /api/tasks, " in said
    assert said.endswith("it must be 0.2.0 or higher.\n")


def test_a_release_is_compared_with_the_one_before(released: Path) -> None:
    git(released, "tag", "v0.2.0")
    assert last_release(released) == "v0.1.0"


def test_the_stored_file_of_a_release_will_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(str(ROOT / "openapi/openapi.yaml")) == 0
    assert capsys.readouterr().out.startswith("Nothing breaks for clients of ")


def test_without_a_release_nothing_breaks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(tmp_path, "init", "--quiet")
    assert main(root=tmp_path) == 0
    assert capsys.readouterr().out.startswith("There is no release yet")


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("nowhere", "is neither a file nor a commit with a document"),
        ("--all", "is neither a file nor a commit with a document"),
        ("README.md", "has no OpenAPI document"),
        ("pyproject.toml", "has no OpenAPI document"),
        ("openapi/lint/package.json", "has no OpenAPI document"),
    ],
)
def test_a_base_that_has_no_document_is_named(base: str, said: str) -> None:
    with pytest.raises(BaseError, match=f"^{base} {said}|^{ROOT / base} {said}"):
        earlier_document(str(ROOT / base) if (ROOT / base).exists() else base, ROOT)


def test_a_base_in_another_openapi_is_refused(tmp_path: Path) -> None:
    """A release has a file in OpenAPI 3.1, too."""
    (tmp_path / "twin.json").write_text('{"openapi": "3.1.1", "paths": {}}')
    with pytest.raises(BaseError, match=r"is of OpenAPI 3\.1\.1, the document of OpenAPI 3\.0"):
        earlier_document(str(tmp_path / "twin.json"), ROOT)


def test_statuses_without_quotes_are_the_same(tmp_path: Path) -> None:
    """YAML reads them as numbers."""
    text = (ROOT / "openapi/openapi.yaml").read_text()
    (tmp_path / "openapi.yaml").write_text(text.replace("'200':", "200:"))
    assert document_breaks(earlier_document(str(tmp_path / "openapi.yaml"), ROOT), load_document()) == {}


def test_without_history_the_last_release_is_unknown(released: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """It must not look as if there was none: a shallow clone, and a directory without git."""
    shallow, archive = tmp_path_factory.mktemp("shallow"), tmp_path_factory.mktemp("archive")
    git(released, "clone", "--quiet", "--depth", "1", f"file://{released}", str(shallow))
    for root, reason in ((shallow, "the clone is shallow"), (archive, "not a git repository")):
        with pytest.raises(BaseError, match=rf"^The last release is unknown without the history of git\..* {reason}"):
            last_release(root)
