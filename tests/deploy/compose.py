"""compose.yaml as Docker Compose reads it: merged by YAML, with the variables of an environment put in."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any, Final

import yaml

from tests.support.service import ROOT

TEXT: Final = (ROOT / "compose.yaml").read_text()
VARIABLE: Final = re.compile(r"\$\{(?P<name>[A-Z_]+)(?:(?P<operator>:[-?])(?P<word>[^}]*))?\}")
"""A variable, and what stands for it where it is not set (compose-spec: "Interpolation")."""

Mappings = dict[str, Any]


def names(text: str = TEXT) -> set[str]:
    """The variables that a text needs or takes."""
    return {match["name"] for match in VARIABLE.finditer(text)}


def required() -> set[str]:
    """The variables without which Docker Compose refuses compose.yaml."""
    return {match["name"] for match in VARIABLE.finditer(TEXT) if match["operator"] == ":?"}


def compose(environment: Mapping[str, str]) -> Mappings:
    """The file with the variables of `environment`. Raises `KeyError` for a required one that is missing."""
    read: Mappings = _interpolated(yaml.safe_load(TEXT), environment)
    return read


def _interpolated(node: Any, environment: Mapping[str, str]) -> Any:
    """The node with variables put into its strings."""

    def value(match: re.Match[str]) -> str:
        if found := environment.get(match["name"]):
            return found
        if match["operator"] == ":-":
            return match["word"]
        raise KeyError(match["name"])

    if isinstance(node, dict):
        return {key: _interpolated(member, environment) for key, member in node.items()}
    if isinstance(node, list):
        return [_interpolated(item, environment) for item in node]
    return VARIABLE.sub(value, node) if isinstance(node, str) else node


def program() -> list[str] | None:
    """Docker Compose, if there is one: it needs no engine to read a file."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) is not None:
            ran = subprocess.run([*command, "version"], capture_output=True, check=False)  # noqa: S603
            if ran.returncode == 0:
                return command
    return None
