"""Statements: SQLAlchemy's expressions, turned into PostgreSQL's text once."""

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
"""One row: column name to value; moments are naive and in UTC."""

_DIALECT: Dialect = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Statement:
    """An SQL text and its parameters, which PostgreSQL numbers: `$1` is the first of `parameters`."""

    text: bytes
    name: bytes
    """What a prepared statement of this text is called, on every connection."""
    parameters: tuple[str, ...]
    formats: tuple[PyFormat, ...]
    """How psycopg writes each parameter."""
    wire_formats: tuple[pq.Format, ...]
    """How PostgreSQL is told that it was written."""

    def values(self, parameters: Mapping[str, Any]) -> list[Any]:
        """The parameters in their order."""
        return [parameters[name] for name in self.parameters]


def compile_statement(expression: ClauseElement) -> Statement:
    """Turn a SQLAlchemy Core expression into a statement. Done at every call it would cost more than the query."""
    compiled = expression.compile(dialect=_DIALECT)
    assert isinstance(compiled, SQLCompiler)  # noqa: S101  what every dialect makes of a statement
    text = str(compiled).encode()
    names = tuple(compiled.positiontup or ())
    formats = tuple(_format(compiled.binds[name]) for name in names)
    wire_formats = tuple(PyFormat.as_pq(format_) for format_ in formats)
    return Statement(text, b"tasks_api_" + hashlib.sha256(text).hexdigest()[:16].encode(), names, formats, wire_formats)


def _format(parameter: BindParameter[Any]) -> PyFormat:
    # psycopg writes an integer in as many bytes as it needs, and a binary one has to have the width of its type. The
    # ids of requests are text, and PostgreSQL reads that faster than Python makes a UUID of it. A binary array names
    # the type of its items, which psycopg does not know where all of them are null.
    return PyFormat.TEXT if isinstance(parameter.type, Integer | Uuid | ARRAY) else PyFormat.BINARY
