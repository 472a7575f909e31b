"""Records: the items of an array that a body has in a format such as NDJSON or CSV, one after another."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final

import orjson

from server.formats.strict_json import ORJSON_OPTIONS

RECORD_BYTES: Final = 65_536
"""The maximum size of a record, in CSV in characters. Parsing one record cannot yield to the event loop."""

RECORD_TOO_LONG: Final = f"must be at most {RECORD_BYTES} bytes long"


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a request body: its place, and its value, or else the violation."""

    place: int | str
    """The number of its first line, from 1, or its JSON Pointer (RFC 6901)."""
    value: Any = None
    error: str | None = None


class Page:
    """Some records of a response body. Each is serialized once, and what is validated is what is sent."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self.texts = [orjson.dumps(row, option=ORJSON_OPTIONS) for row in rows]
        """The records as JSON texts."""

    @cached_property
    def values(self) -> list[Any]:
        """The JSON values of the texts."""
        values: list[Any] = orjson.loads(b"[%s]" % b",".join(self.texts))
        return values


class RecordFormat(ABC):
    """The reader and the writer of a media type whose content is a sequence of records."""

    end: ClassVar[bytes] = b""
    """The end of the content, after the last page."""

    @abstractmethod
    def read(self, content: bytes, schema: Mapping[str, Any]) -> Iterator[Record | None]:
        """Read the content, given the schema of a record. Yields None for a blank line.

        Raises `Problem` (400) for content that has no records because it is not of the media type.
        """

    @abstractmethod
    def write(self, page: Page, names: Sequence[str], *, first: bool) -> bytes:
        """Write a page of records with members of these names. Only the first page may be empty."""
