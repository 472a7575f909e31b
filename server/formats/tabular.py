"""Tabular formats: newline-delimited JSON, and comma-separated values (RFC 4180)."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from server.formats.strict_json import parse_json
from server.problems import Problem
from server.request_context import ORJSON_OPTIONS

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a body: the number of its first line, from 1, and its value, or else the violation."""

    line: int
    value: Any = None
    error: str | None = None


RECORD_BYTES: Final = 65_536
"""The maximum size of a record, in CSV in characters. Parsing one record cannot yield to the event loop."""

Reader = Callable[[bytes, Mapping[str, Any]], Iterator[Record | None]]
"""Reads content, given the schema of a record. Yields None for a blank line. Never raises."""

Writer = Callable[[Sequence[str]], Callable[[Iterable[Row]], bytes]]
"""Returns a function that writes successive pages of rows, given the names of their members."""

_TOO_LONG: Final = f"must be at most {RECORD_BYTES} bytes long"


def _read_ndjson(content: bytes, _schema: Mapping[str, Any]) -> Iterator[Record | None]:
    for number, line in enumerate(io.BytesIO(content), 1):
        if len(line) > RECORD_BYTES:
            yield Record(number, error=_TOO_LONG)
        elif not line.strip(b" \t\r\n"):
            yield None
        else:
            yield _json_record(number, line.rstrip(b"\r\n"))


def _json_record(number: int, line: bytes) -> Record:
    try:
        return Record(number, parse_json(line))
    except Problem as problem:
        # The detail is about the whole body and its lines.
        detail = problem.detail.removeprefix("The body ").removesuffix(".")
        return Record(number, error=re.sub(r" at line \d+ column", " at column", detail))


def _write_ndjson(_names: Sequence[str]) -> Callable[[Iterable[Row]], bytes]:
    return lambda rows: b"".join(orjson.dumps(row, option=ORJSON_OPTIONS | orjson.OPT_APPEND_NEWLINE) for row in rows)


class _RecordTooLong(Exception):
    """A record of CSV exceeds `RECORD_BYTES`, most likely because a quote is not closed."""


class _CsvLines:
    """The lines of CSV for its reader. Raises `_RecordTooLong` beyond `RECORD_BYTES` in one record."""

    def __init__(self, content: bytes) -> None:
        # Spreadsheets write a byte order mark.
        self._lines = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")
        self.length = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.length += len(line)
            if self.length > RECORD_BYTES:
                raise _RecordTooLong
            yield line


def _read_csv(content: bytes, schema: Mapping[str, Any]) -> Iterator[Record | None]:
    try:
        content.decode()
    except UnicodeDecodeError as undecodable:
        yield Record(content.count(b"\n", 0, undecodable.start) + 1, error="is not UTF-8")
        return
    source = _CsvLines(content)
    records = csv.reader(source, strict=True)
    number = 1
    names: list[str] | None = None
    try:
        for record in records:
            if names is None:
                names = record
                if error := _wrong_names(names, schema):
                    yield Record(number, error=error)
                    return
            else:
                yield _csv_record(number, names, record, schema) if record else None
            number = records.line_num + 1
            source.length = 0
    except csv.Error:
        yield Record(number, error="is not valid CSV (RFC 4180)")
    except _RecordTooLong:
        yield Record(number, error=_TOO_LONG)


def _wrong_names(names: list[str], schema: Mapping[str, Any]) -> str | None:
    known = schema["properties"]
    if len(set(names)) < len(names):
        return "has two columns of the same name"
    if not set(schema["required"]) <= set(names) <= set(known):
        return f"must name columns from {', '.join(known)}, including {', '.join(schema['required'])}"
    return None


def _csv_record(number: int, names: list[str], record: list[str], schema: Mapping[str, Any]) -> Record:
    if len(record) != len(names):
        return Record(number, error=f"must have {len(names)} fields")
    members = zip(names, record, strict=True)
    # An empty field is an absent member.
    return Record(number, {name: _value(text, schema["properties"][name]) for name, text in members if text})


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
        # Booleans and timestamps as in JSON.
        values = (orjson.loads(orjson.dumps(row, option=ORJSON_OPTIONS)) for row in rows)
        writer.writerows([_field(row[name]) for name in names] for row in values)
        return text.getvalue().encode()

    return write


def _field(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


@dataclass(frozen=True, slots=True)
class Format:
    """The reader and the writer of a media type."""

    read: Reader
    write: Writer


FORMATS: Final[Mapping[str, Format]] = {
    "application/x-ndjson": Format(_read_ndjson, _write_ndjson),
    "text/csv": Format(_read_csv, _write_csv),
}
"""The tabular media types."""
