"""Tasks on lines: newline-delimited JSON, and comma-separated values (RFC 4180). Reading and writing of both."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from server.exchange import MOMENTS
from server.guard import parse_json
from server.problems import Problem

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One line that was read: its number from 1, and its value or else what is wrong with it."""

    number: int
    value: Any = None
    error: str | None = None


Reader = Callable[[bytes, Mapping[str, Any]], Iterator[Line]]
"""Reads content, given the schema of what is on a line. Never raises."""

Writer = Callable[[Sequence[str]], Callable[[Iterable[Row]], bytes]]
"""Makes a function that writes pages of rows, one after the other, given the names of their members."""


def _read_ndjson(content: bytes, _schema: Mapping[str, Any]) -> Iterator[Line]:
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip(b" \t\r"):
            try:
                yield Line(number, parse_json(line))
            except Problem as problem:
                yield Line(number, error=problem.detail)


def _write_ndjson(_names: Sequence[str]) -> Callable[[Iterable[Row]], bytes]:
    return lambda rows: b"".join(orjson.dumps(row, option=MOMENTS | orjson.OPT_APPEND_NEWLINE) for row in rows)


def _read_csv(content: bytes, schema: Mapping[str, Any]) -> Iterator[Line]:
    try:
        # Spreadsheets begin a file in UTF-8 with a byte order mark.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as undecodable:
        yield Line(content.count(b"\n", 0, undecodable.start) + 1, error="is not UTF-8")
        return
    records = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 1
    names: list[str] | None = None
    try:
        for record in records:
            if names is None:
                names = record
                if error := _wrong_names(names, schema):
                    yield Line(number, error=error)
                    return
            elif record:
                yield _line_of(number, names, record, schema)
            number = records.line_num + 1
    except csv.Error:
        yield Line(number, error="is not comma-separated values as RFC 4180 writes them")


def _wrong_names(names: list[str], schema: Mapping[str, Any]) -> str | None:
    known = schema["properties"]
    if len(set(names)) < len(names):
        return "names a column twice"
    if not set(schema["required"]) <= set(names) <= set(known):
        return f"must name columns of {', '.join(known)}, and {', '.join(schema['required'])} among them"
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
