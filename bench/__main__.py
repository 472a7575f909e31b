"""`python -m bench`, the command."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from bench import connections, report, results, startup, workers
from bench.comparison import failures
from bench.conformance import ConformanceError
from bench.contenders import CONTENDERS
from bench.errors import BenchmarkError
from bench.load import h2load_version
from bench.operations import OPERATIONS, named
from bench.parts import growth, profiling
from bench.parts import service as users
from bench.parts import tokens as layers
from bench.runner import Plan, present, run

_Named = TypeVar("_Named")
_Command = Callable[..., None]


class _Group(click.Group):
    """Commands whose errors are sentences."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (BenchmarkError, ConformanceError) as error:
            raise click.ClickException(str(error)) from None


class _Measurement(click.Command):
    """A command that needs h2load, and says so before it begins."""

    def invoke(self, ctx: click.Context) -> Any:
        h2load_version()
        return super().invoke(ctx)


@click.group(cls=_Group)
def main() -> None:
    """Measure the service, its peers and the floor. bench/README.md says how, and what the numbers mean."""


def _output(command: _Command) -> _Command:
    return click.option(
        "--output",
        type=click.Path(file_okay=False, path_type=Path),
        default=results.PATH,
        show_default="docs/benchmarks",
        help="The directory of results.json, README.md and the chart.",
    )(command)


def _rounds(default: int) -> Callable[[_Command], _Command]:
    help_ = "How often all is measured."
    return click.option("--rounds", type=click.IntRange(min=1), default=default, show_default=True, help=help_)


def _seconds(default: float) -> Callable[[_Command], _Command]:
    help_ = "About how long a block of requests lasts."
    return click.option("--seconds", type=click.FloatRange(min=0.1), default=default, show_default=True, help=help_)


@main.command("run", cls=_Measurement)
@_rounds(3)
@_seconds(1.5)
@click.option("--contenders", help="Which ones, separated by commas.  [default: all]")
@click.option("--operations", help="Which ones, separated by commas.  [default: all]")
@click.option("--bound/--free", default=True, show_default=True, help="Whether the contender has a core of its own.")
@_output
def run_command(  # noqa: PLR0913  one parameter for each option
    *, rounds: int, seconds: float, contenders: str | None, operations: str | None, bound: bool, output: Path
) -> None:
    """Measure all operations of all contenders."""
    able, left_out = present(_chosen(contenders, CONTENDERS))
    for reason in left_out:
        click.echo(reason, err=True)
    plan = Plan(able, _chosen(operations, OPERATIONS), rounds, seconds, bound)
    options = {"rounds": rounds, "seconds": seconds, "contenders": contenders, "operations": operations}
    found = run(plan)
    _keep(output, "run", options if bound else {**options, "free": ""}, {**found, "left_out": left_out})
    if failed := failures(found):
        raise BenchmarkError(f"{failed} requests failed; the report says whose.")


def _chosen(names: str | None, all_of_them: Sequence[_Named]) -> list[_Named]:
    """Those with the names, separated by commas, in the order of declaration."""
    known = {str(getattr(one, "name", "")): one for one in all_of_them}
    wanted = names.split(",") if names else list(known)
    if unknown := set(wanted) - set(known):
        raise click.BadParameter(f"{', '.join(sorted(unknown))}: there are {', '.join(known)}.")
    return [one for name, one in known.items() if name in wanted]


def _keep(output: Path, name: str, options: dict[str, Any], part: results.Part) -> None:
    command = [name, *(f"--{option} {value}".strip() for option, value in options.items() if value is not None)]
    report.write(output, results.merge(output, name, command, part))
    click.echo(f"Written to {output}.")


@main.command("layers", cls=_Measurement)
@_rounds(5)
@_seconds(1.5)
@_output
def layers_command(rounds: int, seconds: float, output: Path) -> None:
    """Measure what response validation and the verification of tokens cost."""
    _keep(output, "layers", {"rounds": rounds, "seconds": seconds}, layers.measure(rounds, seconds))


@main.command("startup", cls=_Measurement)
@click.option("--times", type=click.IntRange(min=1), default=10, show_default=True, help="How often it is started.")
@_output
def startup_command(times: int, output: Path) -> None:
    """Measure the time from the start to the first answer."""
    _keep(output, "startup", {"times": times}, startup.measure(times))


@main.command("users", cls=_Measurement)
@_seconds(10)
@_output
def users_command(seconds: float, output: Path) -> None:
    """Let a hundred users read and write at once."""
    _keep(output, "users", {"seconds": seconds}, users.measure(seconds))


@main.command("connections", cls=_Measurement)
@_seconds(10)
@_output
def connections_command(seconds: float, output: Path) -> None:
    """Hold a thousand connections open."""
    _keep(output, "connections", {"seconds": seconds}, connections.measure(seconds))


@main.command("workers", cls=_Measurement)
@_rounds(3)
@_seconds(2)
@_output
def workers_command(rounds: int, seconds: float, output: Path) -> None:
    """Compare two worker processes with one."""
    _keep(output, "workers", {"rounds": rounds, "seconds": seconds}, workers.measure(rounds, seconds))


@main.command("growth", cls=_Measurement)
@_seconds(1)
@click.option(
    "--tasks", type=click.IntRange(min=20_000), default=5_000_000, show_default=True, help="How many are many."
)
@_output
def growth_command(seconds: float, tasks: int, output: Path) -> None:
    """Compare a table of ten thousand tasks with one of millions, and a user with 21 of them with one with 10,000."""
    _keep(output, "growth", {"seconds": seconds, "tasks": tasks}, growth.measure(seconds, tasks))


@main.command("profile", cls=_Measurement)
@click.argument("operation", type=click.Choice([operation.name for operation in OPERATIONS]))
@click.option("--seconds", type=click.IntRange(min=1), default=10, show_default=True, help="For how long.")
def profile_command(operation: str, seconds: int) -> None:
    """Draw a flame graph of the service under OPERATION, into the working directory."""
    path = Path(f"profile-{operation}.svg")
    profiling.profile(named(operation), seconds, path)
    click.echo(f"Written to {path}.")


@main.command("report")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path), default=results.PATH)
def report_command(directory: Path) -> None:
    """Write README.md and the chart again from results.json in DIRECTORY, without measuring."""
    report.write(directory, results.read(directory))


if __name__ == "__main__":
    main(prog_name="python -m bench")
