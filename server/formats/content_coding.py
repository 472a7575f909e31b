"""Content codings of responses (RFC 9110, section 8.4): zstd and gzip, as `Accept-Encoding` asks."""

import asyncio
import re
import sys
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Protocol

from server.request_context import Headers

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SMALLEST_BYTES: Final = 8_192
"""Content of fewer bytes is sent as it is: compressing it would cost more than sending it."""

PIECE_BYTES: Final = 65_536
"""Compressed at once. gzip takes about half a millisecond for it, in which no other request runs."""

_ACCEPT_ENCODING: Final = b"accept-encoding"
VARY: Final = (b"vary", b"Accept-Encoding")


class Compressor(Protocol):
    """The compressor of one response."""

    def compress(self, data: bytes | memoryview, /) -> bytes:
        """Compress a part of the content, and return what is ready to be sent."""

    def flush(self) -> bytes:
        """Return the end of the compressed content."""


class Parts(Protocol):
    """Content that is generated while it is sent."""

    async def next_part(self) -> bytes | None:
        """Return the next part; None after the last."""


# Level 1 of each, because the time of a level 2 buys less than 5 % of the size. A window of 128 KiB bounds the memory
# of a stream to about half a megabyte, and costs 2 % of the size.
_ZSTD: Final[Mapping[int, int]] = {
    zstd.CompressionParameter.compression_level: 1,
    zstd.CompressionParameter.window_log: 17,
}

CODINGS: Final[Mapping[str, Callable[[], Compressor]]] = {
    "zstd": partial(zstd.ZstdCompressor, options=_ZSTD),
    "gzip": partial(zlib.compressobj, 1, zlib.DEFLATED, 16 + zlib.MAX_WBITS),
}
"""The codings, the preferred one first, and what makes a compressor."""

THOROUGH: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "zstd": partial(zstd.compress, level=9),
    "gzip": partial(zlib.compress, level=6, wbits=16 + zlib.MAX_WBITS),
}
"""What compresses content once that is sent often: about 80 ms for the 1.9 MB of Swagger UI."""

# RFC 9110, section 12.4.2.
_WEIGHT: Final = re.compile(r"[ \t]*q=([01](?:\.[0-9]{0,3})?)[ \t]*", re.IGNORECASE)
_TAG_OF_CODING: Final = re.compile(rf'\.(?:{"|".join(CODINGS)})(?=")')


def choose(fields: Mapping[bytes, bytes]) -> str | None:
    """The coding that a request prefers (RFC 9110, section 12.5.3); None for content without a coding.

    Of codings with the same weight, it is the first of `CODINGS`. What is not a coding with a weight is ignored.
    """
    field = fields.get(_ACCEPT_ENCODING)
    if field is None:
        return None
    weights = _weights(field.decode("latin-1").lower())
    rest = weights.get("*", 0.0)
    wanted = {coding: weights.get(coding, rest) for coding in CODINGS}
    best = max(wanted, key=wanted.__getitem__)
    return best if wanted[best] > 0 and wanted[best] >= weights.get("identity", 0.0) else None


def _weights(field: str) -> dict[str, float]:
    weights = {}
    for element in field.split(","):
        coding, separator, weight = element.partition(";")
        found = _WEIGHT.fullmatch(weight)
        if found or not separator:
            name = coding.strip(" \t")
            # RFC 9110, section 8.4.1.3.
            weights["gzip" if name == "x-gzip" else name] = min(float(found[1]), 1.0) if found else 1.0
    return weights


def tag_of(tag: bytes, coding: str | None) -> bytes:
    """The entity tag of content in this coding: each coding has another (RFC 9110, section 8.8.3)."""
    return tag if coding is None else b'%s.%s"' % (tag[:-1], coding.encode())


def without_codings(tags: str) -> str:
    """A list of entity tags with those of the content without a coding.

    A client may send back in `If-Match` the tag that it got with compressed content. It names the same version.
    """
    return _TAG_OF_CODING.sub("", tags) if "." in tags else tags


def describe(headers: Headers, coding: str | None, length: int | None) -> Headers:
    """The header fields of content that depends on `Accept-Encoding`, in this coding and with this length if known."""
    described = [
        (name, tag_of(value, coding) if name == b"etag" else value)
        for name, value in headers
        if name != b"content-length"
    ]
    if coding is not None:
        described.append((b"content-encoding", coding.encode()))
    if length is not None:
        described.append((b"content-length", b"%d" % length))
    return [*described, VARY]


def described(headers: Headers, content: bytes, fields: Mapping[bytes, bytes]) -> Headers:
    """The header fields that `encode` would return, without the length of the content."""
    return describe(headers, choose(fields), None) if len(content) >= SMALLEST_BYTES else headers


async def compress(content: bytes, coding: str) -> bytes:
    """Compress content. Other requests run after each `PIECE_BYTES` of it."""
    compressor = CODINGS[coding]()
    pieces = []
    view = memoryview(content)
    for begin in range(0, len(content), PIECE_BYTES):
        if begin:
            await asyncio.sleep(0)
        pieces.append(compressor.compress(view[begin : begin + PIECE_BYTES]))
    pieces.append(compressor.flush())
    return b"".join(pieces)


class CompressedStream:
    """The parts of a stream in a coding."""

    def __init__(self, stream: Parts, coding: str) -> None:
        self._stream = stream
        self._compressor = CODINGS[coding]()
        self._is_over = False

    async def next_part(self) -> bytes | None:
        """The next part; None after the last. It is empty while the compressor keeps what it got."""
        if self._is_over:
            return None
        part = await self._stream.next_part()
        if part is None:
            self._is_over = True
            return self._compressor.flush()
        return self.compress(part)

    def compress(self, part: bytes) -> bytes:
        """The first part in the coding, which the stream has generated already."""
        return self._compressor.compress(part)


async def encode(headers: Headers, content: bytes, fields: Mapping[bytes, bytes]) -> tuple[Headers, bytes]:
    """The header fields and the content of a response, in the coding that the header fields of its request prefer.

    Content of less than `SMALLEST_BYTES` is returned as it is.
    """
    if len(content) < SMALLEST_BYTES:
        return headers, content
    coding = choose(fields)
    if coding is not None:
        content = await compress(content, coding)
    return describe(headers, coding, len(content)), content
