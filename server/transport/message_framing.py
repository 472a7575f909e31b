"""Message framing and strict request lines (RFC 9112, sections 2 to 7).

The parser, llhttp, is lenient about request lines, and httptools tells neither where it is nor what it has skipped.
Hence it is given one part of a message at a time: a request line with its fields, or a body. It decides what a message
means; a part that it sees another end of is an error.
"""

import re
from dataclasses import dataclass
from typing import Final

LINE_BYTES: Final = 65_536
"""The longest line around a chunk of a body: its size with extensions, or a trailer field."""

# RFC 9112, section 3.2, without a fragment and without user information. What a path or a query may hold is not looked
# at further, for browsers send some of what RFC 3986 wants percent-encoded.
_TARGET: Final = rb"""[!-"$-~]*"""
_AUTHORITY: Final = rb"""[!-"$-.0->A-\[\\\]^-~]+"""
_REQUEST_LINE: Final = re.compile(
    rb"(?:OPTIONS \*|CONNECT [!-~]+|[!#$%&'*+.^_`|~0-9A-Za-z-]+ (?:/|(?i:https?)://" + _AUTHORITY + rb"(?=[/? ]))"
    + _TARGET + rb") HTTP/[0-9]\.[0-9]\r\n"
)  # fmt: skip
_ABSOLUTE_FORM: Final = re.compile(rb"(?i:https?)://([^/?]+)(.*)")
# What is received at once may hold 40,000 chunks of a byte each. Looked at one by one, they took 80 ms.
_SMALL_CHUNKS: Final = re.compile(
    rb"(?:0*+(?:" + b"|".join(rb"%x(?:;[^\r\n]*+)?\r\n.{%d}\r\n" % (size, size) for size in range(1, 32)) + rb"))*+",
    re.DOTALL | re.IGNORECASE,
)


class FramingError(Exception):
    """The data is not HTTP/1.1. The message is for the client and quotes nothing."""


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a request."""

    authority: bytes | None
    """The host and port of an absolute form (RFC 9112, section 3.2.2)."""
    origin_form: bytes
    """The path and query, or `*` for the service itself."""


def parse_target(target: bytes) -> Target:
    """Read the target of a request line that `MessageFraming` has let through."""
    absolute = None if target.startswith(b"/") else _ABSOLUTE_FORM.fullmatch(target)
    if absolute is None:
        return Target(None, target)
    authority, rest = absolute.groups()
    return Target(authority, rest if rest.startswith(b"/") else b"/" + rest)


class MessageFraming:
    """Finds the end of each part of the messages of one connection.

    `end_of_part` is called with what has arrived, and says how much of it belongs to the current part. Once `has_ended`
    is set, `begin_message` or `begin_body` says what comes next.
    """

    def __init__(self) -> None:
        self._line = bytearray()
        """The received part of an incomplete line."""
        self.begin_message()

    def begin_message(self) -> None:
        """Expect a request line and header fields."""
        self._find_end = self._end_of_request_line
        self.has_ended = False
        self.in_head = True

    def begin_body(self, length: int | None) -> None:
        """Expect a body of so many bytes, or one in chunks."""
        self._left = length or 0
        self._in_trailers = False
        self._find_end = self._end_of_chunks if length is None else self._end_of_length
        self.has_ended = self.in_head = False

    def end_of_part(self, data: bytes, start: int) -> int:
        """Return the index behind the last byte of `data` that belongs to the part, looking from `start`.

        Raises `FramingError` for a request line that is not of RFC 9112's form.
        """
        return self._find_end(data, start)

    def _end_of_request_line(self, data: bytes, start: int) -> int:
        line, end = self._read_line(data, start)
        if line is None:
            return end
        if _REQUEST_LINE.fullmatch(line) is None:
            raise FramingError("The request line is not of the form METHOD TARGET HTTP/1.1, or its target is not.")
        self._seen = b"\r\n"
        self._find_end = self._end_of_fields
        return self._end_of_fields(data, end)

    def _end_of_fields(self, data: bytes, start: int) -> int:
        text = self._seen + data[start:]
        end = text.find(b"\r\n\r\n")
        if end < 0:
            self._seen = text[-3:]
            return len(data)
        self.has_ended = True
        return start + end + 4 - len(self._seen)

    def _end_of_length(self, data: bytes, start: int) -> int:
        end = min(start + self._left, len(data))
        self._left -= end - start
        self.has_ended = not self._left
        return end

    def _end_of_chunks(self, data: bytes, start: int) -> int:
        while start < len(data):
            if self._left:
                end = min(start + self._left, len(data))
                self._left -= end - start
                start = end
                continue
            if not self._line and not self._in_trailers:
                start = _SMALL_CHUNKS.match(data, start).end()  # type: ignore[union-attr]
            line, start = self._read_line(data, start)
            if line is None:
                break
            if not self._in_trailers:
                # A line end follows the data of a chunk, and the chunk of size 0 is the last (RFC 9112, section 7.1).
                size = _chunk_size(line)
                self._left = size and size + 2
                self._in_trailers = not size
            elif line == b"\r\n":
                self.has_ended = True
                break
        return start

    def _read_line(self, data: bytes, start: int) -> tuple[bytes | None, int]:
        """Return the line that ends here, if it does, and the index behind it."""
        end = data.find(b"\n", start) + 1
        if not end:
            self._line += data[start:]
            if len(self._line) > LINE_BYTES and not self.in_head:
                raise FramingError("A line around the chunks of the body is too long.")
            return None, len(data)
        line = bytes(self._line) + data[start:end] if self._line else data[start:end]
        self._line.clear()
        return line, end


def _chunk_size(line: bytes) -> int:
    """Return the size in a line ahead of a chunk. Raises `FramingError`; the parser is stricter about what it takes."""
    try:
        size = int(line.partition(b";")[0], 16)
    except ValueError:
        size = -1
    if size < 0:
        raise FramingError("A chunk of the body has no size.")
    return size
