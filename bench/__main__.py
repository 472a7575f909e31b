"""`python -m bench`."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from bench import BenchmarkError, report
from bench.contenders import CONTENDERS
from bench.operations import OPERATIONS
from bench.parts import Options
from bench.parts.compression import compression
from bench.parts.database import database
from bench.parts.growth import growth
from bench.parts.observability import observability
from bench.parts.profiling import profile, record
from bench.parts.service import comparison, connections, startup, users, validation, workers
from bench.parts.tokens import tokens
from bench.results import check_regression, keep, read
from bench.servers import ROOT

_FUNCTIONS = (
    *(comparison, validation, observability, compression, tokens, startup),
    *(users, connections, workers, growth, database, profile),
)
_PARTS = {function.__name__: function for function in _FUNCTIONS}
_PATH = click.Path(path_type=Path)
_DOCS = click.option("--docs", type=_PATH, default=ROOT / "docs", help="The directory of performance.md.")


class _Group(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (BenchmarkError, FileNotFoundError, subprocess.TimeoutExpired) as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Group, context_settings={"show_default": True})
def main() -> None:
    """Measure the service, the baselines and the peers. See bench/README.md."""


@main.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(_PARTS)))
@click.option("--rounds", type=click.IntRange(min=1), default=3, help="The repetitions.")
@click.option("--seconds", type=float, default=1.5, help="The length of a block of requests.")
@click.option("--tasks", type=click.IntRange(min=10_000), default=5_000_000, help="The large table of `growth`.")
@click.option("--contender", type=click.Choice(list(CONTENDERS)), multiple=True, help="One of the `comparison`.")
@click.option("--operation", type=click.Choice(list(OPERATIONS)), multiple=True, help="One of the `comparison`.")
@click.option("--accept", is_flag=True, help="Keep a `comparison` by which the service has become more expensive.")
@_DOCS
def measure(parts: tuple[str, ...], docs: Path, *, accept: bool, **options: Any) -> None:
    """Measure PARTS of the results, by default all, and write the pages."""
    failed = []
    for name in parts or _PARTS:
        click.echo(f"{name}:")
        part = _PARTS[name](Options(**options))
        if name == "comparison" and not accept and name in (stored := read(docs / report.RESULTS)):
            check_regression(stored[name], part)
        keep(docs / report.RESULTS, name, part, sys.argv[1:])
        report.write(docs)
        failed += [f"{name}: {sample}" for sample in part.samples if sample.get("errors")]
    if failed:
        raise BenchmarkError("\n".join(["Requests failed.", *failed]))


@main.command("profile")
@click.argument("operation", type=click.Choice(list(OPERATIONS)))
@click.option("--seconds", type=click.IntRange(min=1), default=10, help="The duration.")
@click.option("--output", type=_PATH, help="The file.  [default: profile-OPERATION.svg]")
def profile_command(operation: str, seconds: int, output: Path | None) -> None:
    """Draw a flame graph of the service under OPERATION."""
    record(OPERATIONS[operation], seconds, output or Path(f"profile-{operation}.svg"))


@main.command("report")
@click.option("--check", is_flag=True, help="Write nothing; fail when a page differs from the results.")
@_DOCS
def report_command(*, check: bool, docs: Path) -> None:
    """Write the pages from the results."""
    if not check:
        report.write(docs)
    elif pages := report.stale(docs):
        raise BenchmarkError(f"`make bench-report` would change {', '.join(pages)}.")


if __name__ == "__main__":
    main(prog_name="python -m bench")
