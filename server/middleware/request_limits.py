"""Checks of the transport, ahead of any meaning: sizes, `Host`, the path's and the body's encoding, strict JSON."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.contract.fields import FieldLimits
from server.problems import CONTENT_TOO_LARGE, HEADERS_TOO_LARGE, MALFORMED_REQUEST, URI_TOO_LONG, Problem
from server.request_context import TARGET_BYTES, current_request

HEADER_BYTES = 32_768
"""The most that all header names and values may take together."""

HEADER_FIELDS = 100
"""The most header fields; browsers and proxies send about thirty."""

BYTES_PER_SECOND: Final = 32_768
"""A client that sends or takes less is a slow one, and uses its seconds up."""


class RequestLimitsMiddleware:
    """Refuses requests that are too large or malformed, before any other stage reads them."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_bytes: int,
        larger_bodies: Sequence[tuple[re.Pattern[bytes], int]],
        fields: FieldLimits,
    ) -> None:
        self.app = app
        self.max_body_bytes = max_body_bytes
        self.larger_bodies = larger_bodies
        self.fields = fields
        self.never_too_long = fields.lowest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the head now, and the body's size as it arrives."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if len(scope["raw_path"]) + len(scope["query_string"]) > TARGET_BYTES:
            raise Problem(URI_TOO_LONG)
        if len(scope["headers"]) > HEADER_FIELDS:
            raise Problem(HEADERS_TOO_LARGE, "The request has more header fields than the service accepts.")
        size = sum([len(name) + len(value) for name, value in scope["headers"]])
        if size > HEADER_BYTES:
            raise Problem(HEADERS_TOO_LARGE)
        request = current_request(scope)
        if size > self.never_too_long and max(map(len, request.fields.values())) > self.never_too_long:
            _check_lengths(request.fields, self.fields)
        _check_head(scope["http_version"], request.fields)
        length = request.fields.get(b"content-length")
        if length is not None and _exceeds(length, self.max_body_bytes) and _exceeds(length, self._most(scope)):
            raise Problem(CONTENT_TOO_LARGE)
        request.receive = self._limited(receive, scope)
        await self.app(scope, request.receive, send)

    def _most(self, scope: Scope) -> int:
        """The longest body that the path takes."""
        path = scope["raw_path"]
        return max([self.max_body_bytes, *(most for pattern, most in self.larger_bodies if pattern.fullmatch(path))])

    def _limited(self, receive: Receive, scope: Scope) -> Receive:
        """Count what arrives: a chunked body does not say its length beforehand."""
        seen = 0

        async def limited_receive() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.max_body_bytes and seen > self._most(scope):
                raise Problem(CONTENT_TOO_LARGE)
            return message

        return limited_receive


def _check_lengths(fields: Mapping[bytes, bytes], limits: FieldLimits) -> None:
    """Raise `Problem` (431) for a field that is too long, so that the time to parse any field is bounded."""
    for name, value in fields.items():
        limit = limits.by_name.get(name)
        if limit is not None and len(value) > limit:
            raise Problem(HEADERS_TOO_LARGE, f"{name.decode().title()} is longer than {limit:,} bytes.")
        if limit is None and len(value) > limits.default:
            raise Problem(HEADERS_TOO_LARGE, f"A header field is longer than {limits.default:,} bytes.")


def _check_head(version: str, fields: Mapping[bytes, bytes]) -> None:
    """Refuse what the parser takes, and others may read differently: then nobody knows where the next request starts.

    A coding beside `chunked` is not undone here, and HTTP/1.0 knows none (RFC 9112, section 6.1). Nor does it know
    `Host`, and load balancers still check health with it (section 3.2). Raises `Problem` (400).
    """
    if version not in ("1.1", "1.0"):
        raise Problem(MALFORMED_REQUEST, "The request is not HTTP/1.1.", headers=_CLOSE)
    coding = fields.get(b"transfer-encoding")
    if coding is not None and (version == "1.0" or coding.strip().lower() != b"chunked"):
        raise Problem(MALFORMED_REQUEST, "The only supported transfer coding is chunked, in HTTP/1.1.", headers=_CLOSE)
    # Two of them are a list by now, and no host has a comma in it.
    host = fields.get(b"host")
    if not _HOST.fullmatch(host) if host is not None else version == "1.1":
        raise Problem(
            MALFORMED_REQUEST, "The request must have exactly one Host header with a valid value.", headers=_CLOSE
        )


_CLOSE: Final = {"connection": "close"}

# RFC 3986, section 3.2.2, with a port; the address in brackets in outline only, and names without a comma.
_HOST: Final = re.compile(rb"(?:\[[0-9A-Za-z:.]+\]|(?:[0-9A-Za-z._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})+)(?::[0-9]*)?[ \t]*")


def _exceeds(length: bytes, most: int) -> bool:
    """True if a `Content-Length` is beyond `most`. One of thousands of digits is not converted."""
    length = length.rstrip(b" \t")
    if not length.isdigit():
        raise Problem(MALFORMED_REQUEST, "Content-Length is not a number.")
    length = length.lstrip(b"0")
    return len(length) > len(str(most)) or int(length or b"0") > most
