"""Each generator of TypeScript makes a client that compiles, and that a program uses with its types."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients import tools
from tests.support.document import AUTHORED
from tests.support.service import Service, token

PROGRAMS = {
    "hey-api": "hey-api",
    "hey-api-zod": "hey-api",
    "hey-api-valibot": "hey-api",
    "hey-api-tanstack-query": "hey-api-tanstack-query",
    "openapi-fetch": "openapi-fetch",
    "orval-fetch": "orval-fetch",
    "orval-react-query": "orval-react-query",
    "orval-zod": "orval-zod",
    "openapi-generator": "openapi-generator",
}
"""The folder of the program that uses a client, by the folder of the client's configuration."""


def _generate(project: Path) -> None:
    """Run a generator as a user does: with the configuration in its folder, or with its default options."""
    if project.name.startswith("hey-api"):
        tools.run(tools.npm_program("openapi-ts"), directory=project)
    elif project.name.startswith("orval"):
        tools.run(tools.npm_program("orval"), directory=project)
    elif project.name == "openapi-fetch":
        output = "generated/schema.ts"
        tools.run(tools.npm_program("openapi-typescript"), str(AUTHORED), "--output", output, directory=project)
    else:
        generate = ("generate", "--generator-name", "typescript-fetch", "--output", "generated")
        tools.run(tools.openapi_generator(), *generate, "--input-spec", str(AUTHORED), directory=project)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_client_compiles_and_works(
    name: str, service: Service, new_user: Callable[[str], str], tmp_path: Path
) -> None:
    """It creates, lists two pages, updates, toggles, deletes, restores, exports and imports tasks, and reads errors."""
    compiler = tools.npm_program("tsc")
    project = tools.TYPESCRIPT / name
    shutil.rmtree(project / "generated", ignore_errors=True)
    _generate(project)
    tools.run(compiler, "--project", ".", directory=project)
    source = tools.TYPESCRIPT / PROGRAMS[name] / "drive.ts"
    program = tmp_path / "drive.mjs"
    bundle = ("--bundle", "--platform=node", "--format=esm", "--tsconfig=tsconfig.json", "--log-level=warning")
    tools.run(tools.npm_program("esbuild"), str(source), *bundle, f"--outfile={program}", directory=project)
    user = new_user(name)
    settings = {"TASKS_URL": service.url, "TASKS_USER": user, "TASKS_TOKEN": token(user)}
    tools.run("node", str(program), directory=tmp_path, **settings)
