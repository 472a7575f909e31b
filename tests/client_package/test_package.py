"""What the package consists of: generated code that is current, types, sizes, and a README whose examples work."""

import gzip
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client_package.conftest import PACKAGE, Stage, copied_package
from tests.clients.tools import run
from tests.support.document import AUTHORED, DOCUMENT, OPERATIONS
from tests.support.service import token

ONE = 4000
EVERYTHING = 8000
"""The most bytes of an application's code that the client may add, minified and compressed with gzip."""

STRICTEST = (
    *("strict", "exactOptionalPropertyTypes", "noUncheckedIndexedAccess", "noPropertyAccessFromIndexSignature"),
    *("noImplicitOverride", "verbatimModuleSyntax", "isolatedModules", "noEmit"),
)

EXAMPLES = re.findall(r"^```ts\n(.*?)^```$", (PACKAGE / "README.md").read_text(), re.MULTILINE | re.DOTALL)
FUNCTIONS = re.findall(r"^export (?:async )?function\*? (\w+)", (PACKAGE / "src/tasks.ts").read_text(), re.MULTILINE)


def _files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_generated_code_is_current(consumer: Path, tmp_path: Path) -> None:
    """`make client` generates it again. `consumer` makes sure that the tools are installed."""
    assert consumer.exists()
    (tmp_path / "openapi").mkdir()
    shutil.copy(AUTHORED, tmp_path / "openapi")
    copy = copied_package(tmp_path / "clients/typescript")
    shutil.rmtree(copy / "src/generated")
    run("npm", "run", "--silent", "generate", directory=copy)
    assert _files(copy / "src/generated") == _files(PACKAGE / "src/generated")


def test_the_tarball_has_code_and_no_dependency(consumer: Path) -> None:
    installed = consumer / "node_modules/tasks-api-client"
    assert {path.name for path in installed.iterdir()} == {"LICENSE", "README.md", "dist", "package.json"}
    package = json.loads((installed / "package.json").read_text())
    assert [name for name in package if "ependencies" in name] == ["devDependencies"]
    assert package["version"] in (PACKAGE.parents[1] / "openapi/openapi.yaml").read_text().split("description")[0]
    assert {path.suffix for path in (installed / "dist").rglob("*") if path.is_file()} == {".js", ".ts"}


def test_the_types_pass_strict_checks(consumer: Path) -> None:
    """Also those that the tests use, and that errors narrow by their code."""
    run(str(consumer / "node_modules/typescript/bin/tsc"), "--project", ".", directory=consumer)


def test_every_code_of_the_document_is_tested() -> None:
    """The type of `FAILURES` demands every code that the client knows, and this that it knows all."""
    members = [schema.get("properties", {}) for schema in DOCUMENT["components"]["schemas"].values()]
    codes = {code for properties in members for code in properties.get("code", {}).get("enum", ())}
    tested = set(re.findall(r'^  "?([a-z-]+)"?: async', (PACKAGE / "tests/errors.test.ts").read_text(), re.MULTILINE))
    assert len(codes) >= 17
    assert codes - tested == set()


@pytest.mark.parametrize("resolution", ["nodenext", "bundler"])
def test_the_types_suit_the_strictest_settings(resolution: str, consumer: Path) -> None:
    """Those of an application, which checks the declarations of its packages too."""
    module = "nodenext" if resolution == "nodenext" else "esnext"
    options = dict.fromkeys(STRICTEST, True) | {"target": "es2022", "lib": ["es2022", "dom"], "types": []}
    options |= {"module": module, "moduleResolution": resolution, "skipLibCheck": False}
    config = consumer / f"tsconfig.{resolution}.json"
    config.write_text(json.dumps({"compilerOptions": options, "files": ["strict.ts"]}))
    run(str(consumer / "node_modules/typescript/bin/tsc"), "--project", config.name, directory=consumer)


def test_an_editor_describes_every_function_and_method(consumer: Path) -> None:
    found = json.loads(run("node", "editor.mjs", directory=consumer))
    assert found["undescribed"] == []
    assert found["functions"] >= 40


def _size(consumer: Path, program: str) -> int:
    source = consumer / "size.js"
    source.write_text(program)
    bundle = ("--bundle", "--minify", "--format=esm", "--log-level=warning", "--outfile=size.min.js")
    run(str(consumer / "node_modules/esbuild/bin/esbuild"), source.name, *bundle, directory=consumer)
    return len(gzip.compress((consumer / "size.min.js").read_bytes(), 9))


def test_one_function_is_small(consumer: Path) -> None:
    """A bundler leaves the others out."""
    program = 'import {{ createClient, {0} }} from "tasks-api-client"; console.log(createClient, {0});'
    sizes = {name: _size(consumer, program.format(name)) for name in FUNCTIONS}
    assert len(sizes) >= 16
    assert {name: size for name, size in sizes.items() if size > ONE} == {}


def test_everything_is_small(consumer: Path) -> None:
    """The functions, the classes of errors and every generated operation."""
    program = (
        'import * as all from "tasks-api-client"; import * as operations from "tasks-api-client/operations";'
        "console.log(all, operations);"
    )
    size = _size(consumer, program)
    bundle = (consumer / "size.min.js").read_text()
    assert [name for name in OPERATIONS if not re.search(rf"\b{name}\b", bundle)] == []
    assert size <= EVERYTHING


def test_the_examples_of_the_readme_work(consumer: Path, stage: Stage, new_user: Callable[[str], str]) -> None:
    """Together they are one program. A comment after `console.log(...)` is what it prints."""
    program = "".join(EXAMPLES).replace("https://tasks.example.com", stage.service)
    (consumer / "session.ts").write_text(
        f'export async function signedInToken(): Promise<string> {{ return "{token(new_user("readme"))}"; }}\n'
    )
    (consumer / "readme.ts").write_text(program)
    run(str(consumer / "node_modules/typescript/bin/tsc"), "--project", ".", directory=consumer)
    bundle = ("--bundle", "--platform=node", "--format=esm", "--log-level=warning", "--outfile=readme.mjs")
    run(str(consumer / "node_modules/esbuild/bin/esbuild"), "readme.ts", *bundle, directory=consumer)
    printed = run("node", "readme.mjs", directory=consumer).splitlines()
    assert printed == re.findall(r"console\.log\(.*\); // (.*)$", program, re.MULTILINE)
    assert len(printed) >= 5
