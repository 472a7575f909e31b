"""The report: README.md and a chart, from what was measured."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import chart, comparison, connections, startup, workers
from bench.markdown import Target
from bench.parts import growth
from bench.parts import service as users
from bench.parts import tokens as layers
from bench.results import Part

_INTRODUCTION: Final = """# Benchmarks

The service as it is shipped, everything on that a production deployment has on, beside servers of the same API on other
stacks and beside the floor: the same driver and statements behind a bare ASGI application that checks nothing. `python
-m bench` wrote this page from [results.json](results.json); [bench/README.md](../../bench/README.md) says how it
measures."""


@dataclass(frozen=True, slots=True)
class _Chapter:
    """How a part of the results is told."""

    targets: Callable[[Part], list[Target]]
    sections: Callable[[Part], list[str]]


_CHAPTERS: Final = {
    "run": _Chapter(comparison.targets, comparison.sections),
    "layers": _Chapter(layers.targets, layers.sections),
    "startup": _Chapter(startup.targets, startup.sections),
    "users": _Chapter(users.targets, users.sections),
    "connections": _Chapter(connections.targets, connections.sections),
    "workers": _Chapter(workers.targets, workers.sections),
    "growth": _Chapter(growth.targets, growth.sections),
}


def write(directory: Path, results: Mapping[str, Part]) -> None:
    """Write the report of all parts that were measured."""
    if "run" in results:
        chart.draw(results["run"], directory)
    (directory / "README.md").write_text("\n\n".join(_paragraphs(results)) + "\n")


def _paragraphs(results: Mapping[str, Part]) -> Iterator[str]:
    parts = {name: results[name] for name in _CHAPTERS if name in results}
    yield _INTRODUCTION
    yield _targets([target for name, part in parts.items() for target in _CHAPTERS[name].targets(part)])
    for name, part in parts.items():
        yield from filter(None, _CHAPTERS[name].sections(part))
    yield "## How it was measured"
    yield from _provenance(list(parts.values()))


def _targets(targets: list[Target]) -> str:
    rows = (f"| {t.aim} | {t.wanted} | {t.measured} | {'yes' if t.reached else '**no**'} |" for t in targets)
    return "\n".join(["## Targets", "", "| Aim | Wanted | Measured | Reached |", "|---|---|---|---|", *rows])


def _provenance(parts: Sequence[Part]) -> Iterator[str]:
    """The commands, together where machine and versions were the same."""
    grounds: dict[str, list[str]] = {}
    for part in parts:
        made = f"* `{part['command']}`, {part['date'][:10]}, commit {part['commit'] or 'unknown'}"
        grounds.setdefault(_ground(part), []).append(made)
    for ground, commands in grounds.items():
        yield ground
        yield "\n".join(commands)


def _ground(part: Part) -> str:
    machine = part["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in part["versions"].items())
    return f"On {machine['processor']} with {machine['cores']} cores, {machine['system']}, with {versions}:"
