"""The metrics of requests and statements, and the state of the process. `/metrics` shows them.

Those of the rate limits and of the log are beside what they count.
"""

import functools
import platform
from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

from persistence.postgres.database import Attempt, Outcome
from persistence.postgres.pool import PoolState
from persistence.retention import Purged
from server.observability import exemplars

# A series with the time of its creation for every other one, which no dashboard uses.
disable_created_metrics()  # type: ignore[no-untyped-call]

_REQUEST_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_STATEMENT_BUCKETS: Final = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)

_DEFECT: Final = "internal-error"
"""The code of the problem of which every occurrence has to be noticed."""

NO_OPERATION: Final = "none"
"""The label of requests for pages and for paths that do not exist."""

REQUESTS: Final = Counter("http_requests", "Requests answered.", ["method", "operation", "status"])
ERRORS: Final = Counter("http_request_errors", "Problems answered, by their code.", ["operation", "code"])
DURATION: Final = Histogram(
    "http_request_duration_seconds", "Time to answer a request.", ["operation"], buckets=_REQUEST_BUCKETS
)
IN_PROGRESS: Final = Gauge(
    "http_requests_in_progress", "Requests that are processed now.", ["operation"], multiprocess_mode="livesum"
)
CONNECTIONS: Final = Gauge("http_connections", "Connections of clients that are open.", multiprocess_mode="livesum")
REPLAYS: Final = Counter("idempotent_replays", "Responses repeated for an idempotency key.", ["operation"])
TOKEN_REFUSALS: Final = Counter("token_refusals", "Tokens refused with 401, by the reason in the log.", ["reason"])

STATEMENT_DURATION: Final = Histogram(
    "database_statement_duration_seconds",
    "Time of an attempt to run a statement, with the wait for a connection.",
    ["statement"],
    buckets=_STATEMENT_BUCKETS,
)
STATEMENT_FAILURES: Final = Counter("database_statement_failures", "Statements that failed.", ["statement"])
STATEMENT_RETRIES: Final = Counter(
    "database_statement_retries", "Statements that PostgreSQL rolled back and that were run again.", ["statement"]
)
POOL_SIZE: Final = Gauge("database_pool_size", "Connections that the pools may have.", multiprocess_mode="livesum")
POOL_CONNECTIONS: Final = Gauge(
    "database_pool_connections", "Connections checked out of the pools.", ["state"], multiprocess_mode="livesum"
)
POOL_WAITING: Final = Gauge(
    "database_pool_waiting", "Statements that wait for a connection.", multiprocess_mode="livesum"
)
DATABASE_AWAY: Final = Gauge(
    "database_away", "1 while no connection to the database can be made, else 0.", multiprocess_mode="livemax"
)

EVENT_LOOP_LAG: Final = Gauge(
    "event_loop_lag_seconds", "The worst delay of the event loop in the last 10 s.", multiprocess_mode="livemax"
)
MIGRATIONS_PENDING: Final = Gauge(
    "migrations_pending", "1 while a process tries to apply the migrations, else 0.", multiprocess_mode="livemax"
)
MIGRATION_FAILURES: Final = Counter("migration_failures", "Attempts to apply the migrations that failed.")
PURGED: Final = Counter("purge_removed_rows", "Rows removed because they had expired.", ["table"])
PURGE_FAILURES: Final = Counter("purge_failures", "Purges that failed.")
PURGED_AT: Final = Gauge(
    "purge_last_success_timestamp_seconds",
    "The time of the last purge, in seconds since 1970.",
    multiprocess_mode="max",
)
BUILD: Final = Gauge(
    "build_info", "The release, and the version of Python.", ["version", "python"], multiprocess_mode="max"
)

# The look-up of a set of labels in prometheus_client costs more than the count.
_requests = functools.cache(REQUESTS.labels)
_errors = functools.cache(ERRORS.labels)
_duration = functools.cache(DURATION.labels)
_replays = functools.cache(REPLAYS.labels)
_statement_duration = functools.cache(STATEMENT_DURATION.labels)
_in_progress = functools.cache(IN_PROGRESS.labels)


def describe_build(version: str, operations: Iterable[str]) -> None:
    """Say which release runs, and make series before they count: Prometheus sees no growth from nothing to one."""
    BUILD.labels(version, platform.python_version()).set(1)
    for operation in operations:
        ERRORS.labels(operation, _DEFECT)
    for table in ("tasks", "idempotency_keys"):
        PURGED.labels(table)
    for state in ("in_use", "idle"):
        POOL_CONNECTIONS.labels(state)


def count_request(method: str, operation: str, status: int, seconds: float, trace: dict[str, str] | None) -> None:
    """Count a completed request; `trace` names its trace where that is recorded."""
    _requests(method, operation, status).inc()
    _duration(operation).observe(seconds, trace)
    if trace is not None:
        exemplars.keep(_REQUEST_BUCKETS, operation, seconds, trace)


def count_error(operation: str, code: str) -> None:
    """Count a problem."""
    _errors(operation, code).inc()


def count_replay(operation: str) -> None:
    """Count a response that repeats an earlier one."""
    _replays(operation).inc()


def count_statements(attempts: Iterable[Attempt]) -> None:
    """Count the statements of a request or of a task in the background."""
    for attempt in attempts:
        _statement_duration(attempt.label).observe(attempt.seconds)
        if attempt.outcome is Outcome.FAILED:
            STATEMENT_FAILURES.labels(attempt.label).inc()
        elif attempt.outcome is Outcome.REPEATED:
            STATEMENT_RETRIES.labels(attempt.label).inc()


def count_purge(purged: Purged) -> None:
    """Count a purge that has ended."""
    PURGED.labels("tasks").inc(purged.tasks)
    PURGED.labels("idempotency_keys").inc(purged.keys)
    PURGED_AT.set_to_current_time()


def show_pool(state: PoolState) -> None:
    """Show the state of the connections to the database."""
    POOL_SIZE.set(state.size)
    POOL_CONNECTIONS.labels("in_use").set(state.in_use)
    POOL_CONNECTIONS.labels("idle").set(state.idle)
    POOL_WAITING.set(state.waiting)
    DATABASE_AWAY.set(state.is_away)


def show_in_progress(numbers: Mapping[str, int], *, seen: set[str]) -> None:
    """Show the number of requests in progress of each operation. `seen` has the operations that were ever shown."""
    seen.update(numbers)
    for operation in seen:
        _in_progress(operation).set(numbers.get(operation, 0))
