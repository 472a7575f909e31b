"""Tabular formats: newline-delimited JSON, and comma-separated values (RFC 4180)."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from server.formats.records import RECORD_BYTES, RECORD_TOO_LONG, Page, Record, RecordFormat
from server.formats.strict_json import parse_json
from server.problems import Problem


class Ndjson(RecordFormat):
    """Newline-delimited JSON: a JSON text on each line."""

    def read(self, content: bytes, schema: Mapping[str, Any]) -> Iterator[Record | None]:  # noqa: ARG002  the base's
        """Read the lines. A blank one is None."""
        for number, line in enumerate(io.BytesIO(content), 1):
            if len(line) > RECORD_BYTES:
                yield Record(number, error=RECORD_TOO_LONG)
            elif not line.strip(b" \t\r\n"):
                yield None
            else:
                yield _json_record(number, line.rstrip(b"\r\n"))

    def write(self, page: Page, names: Sequence[str], *, first: bool) -> bytes:  # noqa: ARG002  the base's
        """Write a line for each record."""
        return b"\n".join([*page.texts, b""])


class Csv(RecordFormat):
    """Comma-separated values with a header row (RFC 4180), in UTF-8. An empty field is an absent member."""

    def read(self, content: bytes, schema: Mapping[str, Any]) -> Iterator[Record | None]:
        """Read the rows after the header row. A blank line is None."""
        return _read_csv(content, schema)

    def write(self, page: Page, names: Sequence[str], *, first: bool) -> bytes:
        """Write a row for each record, the header row before the first. Booleans and timestamps are as in JSON."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        if first:
            writer.writerow(names)
        writer.writerows([_field(value[name]) for name in names] for value in page.values)
        return text.getvalue().encode()


def _json_record(number: int, line: bytes) -> Record:
    try:
        return Record(number, parse_json(line))
    except Problem as problem:
        # The detail is about the whole body and its lines.
        detail = problem.detail.removeprefix("The body ").removesuffix(".")
        return Record(number, error=re.sub(r" at line \d+ column", " at column", detail))


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
        yield Record(number, error=RECORD_TOO_LONG)


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


def _field(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
