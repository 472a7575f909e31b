"""The SQLSTATE classes of PostgreSQL, and what an error of each means for a request.

PostgreSQL's manual lists the codes in Appendix A. `docs/operations.md` has the same table for operators, and a test
holds the two together.
"""

from enum import Enum
from typing import Final

import psycopg


class Answer(Enum):
    """The meaning of an error for its request."""

    REPEATED = "repeated, then 503"
    """The statement was rolled back and is run again, three times at most. Then the database is unavailable."""
    UNAVAILABLE = "503"
    """The database cannot serve now, or not as it is set up. The same request can succeed later."""
    DEFECT = "500"
    """The service sent a statement or a value that PostgreSQL does not take. The same request would fail again."""


UNAVAILABLE_CLASSES: Final = {
    "08": "connection exception",
    "0A": "feature not supported",
    "25": "invalid transaction state",
    "26": "invalid SQL statement name",
    "28": "invalid authorization specification",
    "3D": "invalid catalog name",
    "3F": "invalid schema name",
    "40": "transaction rollback",
    "42": "syntax error or access rule violation",
    "53": "insufficient resources",
    "54": "program limit exceeded",
    "55": "object not in prerequisite state",
    "57": "operator intervention",
    "58": "system error",
    "72": "snapshot failure",
    "F0": "configuration file error",
    "HV": "foreign data wrapper error",
}
"""The classes whose errors are about the database and not about the request. Every other class is a defect."""

REPEATED_CODES: Final = {
    # PostgreSQL asks for a repeat of these two (chapter "Serialization Failure Handling").
    "40001": "serialization failure",
    "40P01": "deadlock detected",
    # The user was deleted while a statement inserted a row of that user. The repeat inserts the user again.
    "23503": "foreign key violation",
    # What a server says that did not expect its own state: a table changed under the statement, or, with Citus, the
    # nodes of a shard did.
    "XX000": "internal error",
}


def answer(sqlstate: str | None) -> Answer:
    """The meaning of an error with this SQLSTATE. Without one, the server did not send the error."""
    if sqlstate in REPEATED_CODES:
        return Answer.REPEATED
    if sqlstate is not None and sqlstate[:2] in UNAVAILABLE_CLASSES:
        return Answer.UNAVAILABLE
    return Answer.DEFECT


def is_outage(error: Exception) -> bool:
    """True if the database cannot serve: it said so, the connection was lost, or a time-out expired."""
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        return answer(error.sqlstate) is Answer.UNAVAILABLE
    # A lost connection and `psycopg_pool.PoolTimeout` are an OperationalError without an SQLSTATE.
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | TimeoutError)


def describe(error: Exception) -> str:
    """The error in one line for the log. The server's primary message names objects; only its detail quotes rows."""
    name = type(error).__name__
    if not isinstance(error, psycopg.Error) or error.sqlstate is None:
        # What libpq itself says spans lines, and may quote an address.
        return name
    return f"{name} ({error.sqlstate}): {' '.join(str(error).split())}"
