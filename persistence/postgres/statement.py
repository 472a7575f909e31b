"""Statements: SQLAlchemy Core expressions, compiled once to PostgreSQL's SQL."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import pq
from psycopg.adapt import PyFormat
from sqlalchemy import ARRAY, BindParameter, ClauseElement, Dialect, Integer, Uuid
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql.compiler import SQLCompiler

Row = dict[str, Any]
"""One row: column name to value. Timestamps are naive and in UTC."""

_DIALECT: Dialect = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Statement:
    """An SQL text and the names of its parameters: `$1` is the first of `parameters`."""

    text: bytes
    name: bytes
    """The name of the prepared statement, the same on every connection."""
    label: str
    """The name in metrics and traces. Variants of one statement share it."""
    parameters: tuple[str, ...]
    formats: tuple[PyFormat, ...]
    """The format in which psycopg writes each parameter."""
    parameter_formats: tuple[pq.Format, ...]
    """The same as PostgreSQL's protocol names it."""

    def values(self, parameters: Mapping[str, Any]) -> list[Any]:
        """The values of the parameters in their order."""
        return [parameters[name] for name in self.parameters]


def compile_statement(expression: ClauseElement, label: str) -> Statement:
    """Compile a SQLAlchemy Core expression. Done once, because it costs more than most queries."""
    compiled = expression.compile(dialect=_DIALECT)
    assert isinstance(compiled, SQLCompiler)  # nosec B101  # noqa: S101  the type that every dialect returns for a statement
    text = str(compiled).encode()
    names = tuple(compiled.positiontup or ())
    formats = tuple(_parameter_format(compiled.binds[name]) for name in names)
    parameter_formats = tuple(PyFormat.as_pq(format_) for format_ in formats)
    name = b"tasks_api_" + hashlib.sha256(text).hexdigest()[:16].encode()
    return Statement(text, name, label, names, formats, parameter_formats)


def _parameter_format(parameter: BindParameter[Any]) -> PyFormat:
    # psycopg writes a binary integer in as few bytes as its value needs, but PostgreSQL expects the width of the type.
    # Ids of requests are text, which PostgreSQL parses faster than Python makes a UUID. A binary array names the type
    # of its items, which psycopg does not know if all of them are null.
    return PyFormat.TEXT if isinstance(parameter.type, Integer | Uuid | ARRAY) else PyFormat.BINARY
