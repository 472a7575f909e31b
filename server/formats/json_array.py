"""A JSON array of records, which is parsed and written item by item."""

import itertools
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from server.formats.records import RECORD_BYTES, RECORD_TOO_LONG, Page, Record, RecordFormat
from server.formats.strict_json import MAX_DEPTH, parse_json
from server.problems import MALFORMED_REQUEST, Problem


class JsonArray(RecordFormat):
    """A JSON array (RFC 8259). The place of an item is its JSON Pointer.

    Only one item at a time is parsed, so that memory and the wait of other requests do not grow with the array.
    """

    end: ClassVar[bytes] = b"]"

    def read(self, content: bytes, schema: Mapping[str, Any]) -> Iterator[Record | None]:  # noqa: ARG002  the base's
        """Parse the items. Yields None for white space that is as long as a record."""
        begin = yield from _after_white_space(content, 0)
        if content[begin : begin + 1] == b"[":
            yield from _items(content, begin + 1)
            return
        text = content[begin : begin + RECORD_BYTES + 1]
        if len(text) <= RECORD_BYTES or text[:1] not in (b"{", b'"'):
            parse_json(text)
        yield Record("", error="must be an array")

    def write(self, page: Page, names: Sequence[str], *, first: bool) -> bytes:  # noqa: ARG002  the base's
        """Write the items after those of the pages before, of which none was empty."""
        return (b"[" if first else b",") + b",".join(page.texts)


def _items(content: bytes, begin: int) -> Iterator[Record | None]:
    """Parse the items of an array, given the position after its bracket. Raises `Problem` (400)."""
    at = yield from _after_white_space(content, begin)
    if content[at : at + 1] != b"]":
        for number in itertools.count():
            end = _end_of_item(content, at)
            record = _parse_item(content[at:end], number, is_cut=at + RECORD_BYTES <= end < len(content))
            yield record
            if record.error is not None:
                return
            at = yield from _after_white_space(content, end)
            if content[at : at + 1] == b"]":
                break
            if content[at : at + 1] != b",":
                raise Problem(MALFORMED_REQUEST, f"The body is not valid JSON: no comma after item {number}.")
            at = yield from _after_white_space(content, at + 1)
    at = yield from _after_white_space(content, at + 1)
    if at < len(content):
        raise Problem(MALFORMED_REQUEST, "The body is not valid JSON: characters after the array.")


def _parse_item(text: bytes, number: int, *, is_cut: bool) -> Record:
    """Parse an item, of which only the first `RECORD_BYTES` are given if it is cut. Raises `Problem` (400)."""
    try:
        return Record(f"/{number}", parse_json(text))
    except Problem as problem:
        if is_cut and "EOF" in problem.detail:
            return Record(f"/{number}", error=RECORD_TOO_LONG)
        # The detail has a position in the item.
        detail = re.sub(r" at line \d+ column \d+", "", problem.detail).removesuffix(".")
        raise Problem(problem.kind, f"{detail} (item {number}).") from None


_NO_WHITE_SPACE: Final = re.compile(rb"[^ \t\r\n]")


def _after_white_space(content: bytes, at: int) -> Generator[None, None, int]:
    """Return the position of the next byte that is no white space of JSON, or of the end."""
    while at < len(content):
        found = _NO_WHITE_SPACE.search(content, at, at + RECORD_BYTES)
        if found is not None:
            return found.start()
        at += RECORD_BYTES
        yield None
    return len(content)


def _item_pattern() -> re.Pattern[bytes]:
    """Match an item, or what could be one: brackets are counted, but need not be of the same kind.

    All quantifiers are possessive, so a match reads each byte once.
    """
    string = rb'"(?:[^"\\]++|\\.)*+"'
    nested = rb"[\[{](?:[^\"\[\]{}]++|" + string + rb")*+[\]}]"
    for _ in range(MAX_DEPTH):
        nested = rb"[\[{](?:[^\"\[\]{}]++|" + string + rb"|" + nested + rb")*+[\]}]"
    return re.compile(nested + rb"|" + string + rb"|[^\"\[\]{}, \t\r\n]++", re.DOTALL)


_ITEM: Final = _item_pattern()


def _end_of_item(content: bytes, begin: int) -> int:
    """Return the position after an item. Where there is none or it is too long, the item is cut at `RECORD_BYTES`."""
    limit = min(begin + RECORD_BYTES, len(content))
    found = _ITEM.match(content, begin, limit)
    return limit if found is None else found.end()
