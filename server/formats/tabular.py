"""Tasks on lines: newline-delimited JSON, and comma-separated values (RFC 4180). Reading and writing of both."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from server.formats.strict_json import parse_json
from server.problems import Problem
from server.request_context import MOMENTS

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One line that was read: its number from 1, and its value or else what is wrong with it."""

    number: int
    value: Any = None
    error: str | None = None


LINE_BYTES: Final = 65_536
"""The longest line, and in CSV the most characters of a record: what is read at once holds up everybody else."""

Reader = Callable[[bytes, Mapping[str, Any]], Iterator[Line | None]]
"""Reads content, given the schema of what is on a line; a blank line is None. Never raises."""

Writer = Callable[[Sequence[str]], Callable[[Iterable[Row]], bytes]]
"""Makes a function that writes pages of rows, one after the other, given the names of their members."""

_TOO_LONG: Final = f"must be at most {LINE_BYTES} bytes long"


def _read_ndjson(content: bytes, _schema: Mapping[str, Any]) -> Iterator[Line | None]:
    for number, line in enumerate(io.BytesIO(content), 1):
        if len(line) > LINE_BYTES:
            yield Line(number, error=_TOO_LONG)
        elif not line.strip(b" \t\r\n"):
            yield None
        else:
            yield _json_line(number, line.rstrip(b"\r\n"))


def _json_line(number: int, line: bytes) -> Line:
    try:
        return Line(number, parse_json(line))
    except Problem as problem:
        # It speaks of the whole body, and of lines in it.
        detail = problem.detail.removeprefix("The body ").removesuffix(".")
        return Line(number, error=re.sub(r" at line \d+ column", " at column", detail))


def _write_ndjson(_names: Sequence[str]) -> Callable[[Iterable[Row]], bytes]:
    return lambda rows: b"".join(orjson.dumps(row, option=MOMENTS | orjson.OPT_APPEND_NEWLINE) for row in rows)


class _RecordTooLong(Exception):
    """A record of CSV goes on and on, most likely because a quote is not closed."""


class _Records:
    """The lines of CSV, for its reader, as long as those of one record are not too many."""

    def __init__(self, content: bytes) -> None:
        # Spreadsheets begin a file in UTF-8 with a byte order mark.
        self._lines = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")
        self.length = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.length += len(line)
            if self.length > LINE_BYTES:
                raise _RecordTooLong
            yield line


def _read_csv(content: bytes, schema: Mapping[str, Any]) -> Iterator[Line | None]:
    try:
        content.decode()
    except UnicodeDecodeError as undecodable:
        yield Line(content.count(b"\n", 0, undecodable.start) + 1, error="is not UTF-8")
        return
    source = _Records(content)
    records = csv.reader(source, strict=True)
    number = 1
    names: list[str] | None = None
    try:
        for record in records:
            if names is None:
                names = record
                if error := _wrong_names(names, schema):
                    yield Line(number, error=error)
                    return
            else:
                yield _line_of(number, names, record, schema) if record else None
            number = records.line_num + 1
            source.length = 0
    except csv.Error:
        yield Line(number, error="is not valid CSV (RFC 4180)")
    except _RecordTooLong:
        yield Line(number, error=_TOO_LONG)


def _wrong_names(names: list[str], schema: Mapping[str, Any]) -> str | None:
    known = schema["properties"]
    if len(set(names)) < len(names):
        return "has two columns of the same name"
    if not set(schema["required"]) <= set(names) <= set(known):
        return f"must name columns from {', '.join(known)}, including {', '.join(schema['required'])}"
    return None


def _line_of(number: int, names: list[str], record: list[str], schema: Mapping[str, Any]) -> Line:
    if len(record) != len(names):
        return Line(number, error=f"must have {len(names)} fields")
    members = zip(names, record, strict=True)
    # A field that is empty stands for no member.
    return Line(number, {name: _value(text, schema["properties"][name]) for name, text in members if text})


def _value(text: str, schema: Mapping[str, Any]) -> Any:
    # Spreadsheets write TRUE and FALSE.
    return {"true": True, "false": False}.get(text.lower(), text) if schema.get("type") == "boolean" else text


def _write_csv(names: Sequence[str]) -> Callable[[Iterable[Row]], bytes]:
    begun = False

    def write(rows: Iterable[Row]) -> bytes:
        nonlocal begun
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        if not begun:
            writer.writerow(names)
            begun = True
        # Booleans and moments as JSON has them.
        values = (orjson.loads(orjson.dumps(row, option=MOMENTS)) for row in rows)
        writer.writerows([_field(row[name]) for name in names] for row in values)
        return text.getvalue().encode()

    return write


def _field(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


@dataclass(frozen=True, slots=True)
class Format:
    """How lines are read and written."""

    read: Reader
    write: Writer


FORMATS: Final[Mapping[str, Format]] = {
    "application/x-ndjson": Format(_read_ndjson, _write_ndjson),
    "text/csv": Format(_read_csv, _write_csv),
}
"""The media types that consist of lines."""
