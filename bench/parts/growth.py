"""`python -m bench growth`: what a request costs in a small and in a large table, for a small and a large user."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import httpx2
from tqdm import tqdm

from bench.database import BenchmarkDatabase, benchmark_database
from bench.markdown import Target, number, table
from bench.measure import Bench
from bench.operations import Operation, named, task_id, user_id
from bench.processes import bound_to, cores
from bench.results import Part
from bench.servers import SERVICE, Server, running
from bench.tokens import issue
from persistence import tasks
from persistence.postgres.database import Database
from persistence.postgres.statement import Statement
from persistence.users import Owner

_USERS: Final = {21: 90, 10_000: 91}
"""How many tasks a user has, and the user's number. One more than a page, so that every page has a next one."""

_SMALL: Final = 10_000
_TASKS_OF_EACH: Final = 1_000
_PAGE: Final = 20
_LEAP: Final = 1_000
_LEAPS: Final = 5
_SORTS: Final = ("created", "title", "updated")
_SINGLES: Final = ("get", "create", "toggle")
_NAMES: Final = (*(f"{sort}_{place}" for sort in _SORTS for place in ("first", "later")), *_SINGLES)
_MOST_RATIO: Final = 1.2
_PACED_RATE: Final = 300.0
_EXPLANATIONS: Final = 30
_BLOCKS: Final = 5

_Call = Callable[[Database], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class _Case:
    """An operation, and how it reaches the database."""

    operation: Operation
    call: _Call


@dataclass(frozen=True, slots=True)
class _Place:
    """A case with a user who has so many tasks, in a table where others have so many."""

    rows: int
    count: int
    case: _Case
    bench: Bench
    database: BenchmarkDatabase


def measure(seconds: float, large: int) -> dict[str, Any]:
    """Everything in a table where others have ten thousand tasks, and in one where they have `large`."""
    for_server, for_others = cores()
    with bound_to(for_others), benchmark_database() as small_one, small_one.another("large") as large_one:
        databases = {_SMALL: small_one, large: large_one}
        fill_seconds = {str(rows): _fill(database, rows) for rows, database in databases.items()}
        with _benches(databases, for_server) as benches:
            places = [place for rows, bench in benches.items() for place in _places(rows, *bench)]
            samples = [sample for name in tqdm(_NAMES) for sample in _samples(_of(places, name), seconds)]
    return {"seconds": seconds, "tables": [_SMALL, large], "fill_seconds": fill_seconds, "samples": samples}


def _fill(database: BenchmarkDatabase, rows: int) -> float:
    """Seconds that it took."""
    started = time.monotonic()
    database.empty()
    for count, user in _USERS.items():
        database.fill(user, count)
    database.fill_crowd(rows // _TASKS_OF_EACH, _TASKS_OF_EACH)
    return round(time.monotonic() - started, 1)


@contextlib.contextmanager
def _benches(
    databases: Mapping[int, BenchmarkDatabase], for_server: frozenset[int]
) -> Iterator[dict[int, tuple[Server, Bench, BenchmarkDatabase]]]:
    """A service for each database. They run at once, so that blocks of both can follow each other."""
    with contextlib.ExitStack() as stack:
        benches = {}
        for rows, database in databases.items():
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            server = stack.enter_context(running(SERVICE, database.url, scratch, cores=for_server))
            benches[rows] = (server, Bench(server, database), database)
        yield benches


def _places(rows: int, server: Server, bench: Bench, database: BenchmarkDatabase) -> Iterator[_Place]:
    for count, user in _USERS.items():
        for case in [*_pages(server.base_url, user, count), *_singles(user, count)]:
            yield _Place(rows, count, case, bench, database)


def _of(places: Sequence[_Place], name: str) -> list[_Place]:
    return [place for place in places if place.case.operation.name == name]


def _samples(places: Sequence[_Place], seconds: float) -> list[dict[str, Any]]:
    """One operation in all its places, in turns."""
    capacities = [place.bench.capacity(place.case.operation) for place in places]
    rounds = [
        [_saturated(place, capacity * seconds) for place, capacity in zip(places, capacities, strict=True)]
        for _ in range(_BLOCKS)
    ]
    blocks_of_places = zip(*rounds, strict=True)
    return [_sample(place, list(blocks), seconds) for place, blocks in zip(places, blocks_of_places, strict=True)]


def _saturated(place: _Place, requests: float) -> dict[str, Any]:
    return place.bench.saturate(place.case.operation, round(requests)).sample()


def _sample(place: _Place, blocks: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    operation = place.case.operation
    statement, parameters = _asked(place.case.call)
    explained = place.database.explain(statement.text, statement.values(parameters), _EXPLANATIONS)
    return {
        "table": place.rows,
        "tasks_of_user": place.count,
        "operation": operation.name,
        "title": operation.title,
        "saturated": blocks,
        "paced": place.bench.pace(operation, round(_PACED_RATE * seconds), _PACED_RATE).sample(),
        "execution_ms": explained.milliseconds,
        "plan": explained.plan,
    }


def _pages(base_url: str, user: int, count: int) -> Iterator[_Case]:
    """The first page of 20 in each order, and one in the middle where there is one."""
    for sort in _SORTS:
        yield _page(user, count, sort, None)
        if count > _LEAP * _LEAPS:
            yield _page(user, count, sort, _cursor(base_url, user_id(user), sort))


def _page(user: int, count: int, sort: str, cursor: str | None) -> _Case:
    place, query = ("first", "") if cursor is None else ("later", f"&cursor={cursor}")
    path = f"/api/{user_id(user)}/tasks?sort={sort}&limit={_PAGE}{query}"
    call = partial(_list, user_id=user_id(user), sort=sort, cursor=cursor)
    return _Case(Operation(f"{sort}_{place}", f"Page by {sort}, {place}", "GET", user, count, path), call)


async def _list(database: Database, *, user_id: str, sort: str, cursor: str | None) -> object:
    return await tasks.page(database, user_id, tasks.PageRequest("all", sort, _PAGE, cursor))


def _cursor(base_url: str, user: str, sort: str) -> str:
    """Where the next page begins after some leaps."""
    headers = {"Authorization": f"Bearer {issue(user)}"}
    address = f"/api/{user}/tasks?sort={sort}&limit={_LEAP}"
    with httpx2.Client(base_url=base_url, headers=headers, trust_env=False) as client:
        for _ in range(_LEAPS):
            address = client.get(address).links["next"]["url"]
    return str(httpx2.URL(address).params["cursor"])


def _singles(user: int, count: int) -> Iterator[_Case]:
    owner, one = user_id(user), str(task_id(user, 0))
    calls: dict[str, _Call] = {
        "get": lambda database: tasks.get(database, owner, one),
        "create": lambda database: tasks.create(database, Owner(owner), tasks.NewTask("Buy milk")),
        "toggle": lambda database: tasks.toggle(database, owner, one),
    }
    for name, call in calls.items():
        yield _Case(named(name).of(user, count), call)


class _Asked(Exception):
    """What was asked of the database."""

    def __init__(self, statement: Statement, parameters: Mapping[str, Any]) -> None:
        super().__init__(statement, parameters)
        self.statement, self.parameters = statement, parameters


class _Witness(Database):
    """A database that says what it is asked, instead of answering."""

    async def fetch_all(
        self,
        statement: Statement,
        parameters: Mapping[str, Any],
        *,
        many: bool = False,  # noqa: ARG002
    ) -> list[dict[str, Any]]:
        raise _Asked(statement, parameters)


def _asked(call: _Call) -> tuple[Statement, Mapping[str, Any]]:
    """The statement that a call runs, with its parameters."""
    try:
        asyncio.run(call(_Witness()))  # type: ignore[arg-type]
    except _Asked as asked:
        return asked.statement, asked.parameters
    raise AssertionError("a call that asks nothing of the database")


class _Costs:
    """The samples by table, tasks of the user and operation."""

    def __init__(self, part: Part) -> None:
        self.small, self.large = part["tables"]
        self._samples = {(s["table"], s["tasks_of_user"], s["operation"]): s for s in part["samples"]}
        # Only the user with many tasks has all operations.
        self.titles = {s["operation"]: s["title"] for s in part["samples"] if s["tasks_of_user"] == max(_USERS)}

    def sample(self, rows: int, count: int, operation: str) -> dict[str, Any] | None:
        return self._samples.get((rows, count, operation))

    def cost(self, rows: int, count: int, operation: str) -> float | None:
        """CPU time of the service and of PostgreSQL for a request, in microseconds."""
        sample = self.sample(rows, count, operation)
        return _cpu(sample, "cpu_us") + _cpu(sample, "database_cpu_us") if sample else None

    def of_table(self, operation: str) -> list[float]:
        """How many times the cost in the small table it is in the large one, for each user."""
        pairs = [(self.cost(self.small, count, operation), self.cost(self.large, count, operation)) for count in _USERS]
        return [large / small for small, large in pairs if small and large]

    def of_user(self, operation: str) -> list[float]:
        """How many times the cost for the small user it is for the large one, in each table.

        Only the large one has later pages.
        """
        few, many = _USERS
        pairs = [
            (self.cost(rows, few, operation), self.cost(rows, many, operation)) for rows in (self.small, self.large)
        ]
        return [large / small for small, large in pairs if small and large]


def _cpu(sample: dict[str, Any], key: str) -> float:
    return float(median(block[key] for block in sample["saturated"]))


def targets(part: Part) -> list[Target]:
    """What it says of the aims."""
    costs = _Costs(part)
    pages = [operation for operation in costs.titles if operation not in _SINGLES]
    return [
        _target(
            f"Cost of a page among {number(costs.large)} tasks, relative to {number(costs.small)}",
            costs.of_table,
            pages,
        ),
        _target("Cost of a page for a user with 10,000 tasks, relative to 21", costs.of_user, pages),
    ]


def _target(aim: str, ratios: Callable[[str], list[float]], pages: Sequence[str]) -> Target:
    found = [ratio for page in pages for ratio in ratios(page)]
    measured = f"{min(found):.2f} to {max(found):.2f}"
    return Target(aim, f"at most {number(_MOST_RATIO)}", measured, max(found) <= _MOST_RATIO)


def sections(part: Part) -> list[str]:
    """The tables and plans under their heading."""
    costs = _Costs(part)
    rows = [[title, *_cells(costs, operation)] for operation, title in costs.titles.items()]
    header = ["", *(f"{number(rows)} / {number(count)}" for rows, count in _corners(costs)), "table", "user"]
    seconds = part["fill_seconds"][str(costs.large)]
    return [
        f"""## Growth

Each cell: CPU of the service + CPU of PostgreSQL for a request in microseconds; p50 at {number(_PACED_RATE)} requests
per second in milliseconds; execution time in the database in milliseconds (`EXPLAIN ANALYZE`). The columns: tasks in
the table beside the user's / tasks of the user. The last two: how many times the cost (both CPU times) grows with the
table and with the user, of whom only one has later pages. To fill the large table took {number(seconds)} s.

{table(header, rows)}

{_plans(costs)}"""
    ]


def _corners(costs: _Costs) -> list[tuple[int, int]]:
    return [(rows, count) for rows in (costs.small, costs.large) for count in _USERS]


def _cells(costs: _Costs, operation: str) -> list[str]:
    cells = [_cell(costs.sample(rows, count, operation)) for rows, count in _corners(costs)]
    ratios = (costs.of_table(operation), costs.of_user(operation))
    return [*cells, *(", ".join(f"{ratio:.2f}" for ratio in each) or "-" for each in ratios)]


def _cell(sample: dict[str, Any] | None) -> str:
    if sample is None:
        return "-"
    cpu = f"{number(_cpu(sample, 'cpu_us'))} + {number(_cpu(sample, 'database_cpu_us'))}"
    return f"{cpu}; {number(sample['paced']['p50_ms'])}; {number(sample['execution_ms'])}"


def _plans(costs: _Costs) -> str:
    blocks = (
        f"{title}, {number(rows)} / {number(count)}\n\n```text\n{sample['plan']}\n```"
        for operation, title in costs.titles.items()
        for rows, count in (_corners(costs)[0], _corners(costs)[-1])
        if (sample := costs.sample(rows, count, operation))
    )
    return "<details><summary>Query plans</summary>\n\n" + "\n\n".join(blocks) + "\n\n</details>"
