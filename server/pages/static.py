"""Content that does not change while the process runs: tagged and compressed once, at start."""

from typing import Final

from starlette.types import Receive, Scope, Send

from server.formats.content_coding import THOROUGH, VARY, choose, tag_of
from server.formats.entity_tags import entity_tag, is_listed
from server.request_context import Headers, current_request

# A browser asks each time whether it has the current content, and mostly gets a 304: a new release is seen at once.
_CACHED: Final = (b"cache-control", b"no-cache")


class _Representation:
    """The content in one coding."""

    def __init__(self, content: bytes, coding: str | None, tag: bytes, vary: Headers, of_content: Headers) -> None:
        """`tag` is that of the content without a coding."""
        self.content = content
        self.tag = tag_of(tag, coding)
        self.headers = [*vary, (b"etag", self.tag)]
        """The header fields of a 304; a 200 has those of the content as well."""
        self.of_content = [*of_content, (b"content-length", b"%d" % len(content))]
        if coding is not None:
            self.of_content.append((b"content-encoding", coding.encode()))


class StaticPage:
    """An ASGI application that answers with the same content, in the coding that the request prefers."""

    def __init__(self, content: bytes, media_type: str) -> None:
        """`media_type` is that of the content, without a charset: text is UTF-8."""
        tag, charset = entity_tag(content), "; charset=utf-8" if media_type.startswith("text/") else ""
        shared: Headers = [(b"content-type", (media_type + charset).encode())]
        compressed = {coding: compress(content) for coding, compress in THOROUGH.items()}
        # An image, for example, is compressed already.
        useful = {coding: one for coding, one in compressed.items() if len(one) < len(content)}
        vary: Headers = [_CACHED, VARY] if useful else [_CACHED]
        self._identity = _Representation(content, None, tag, vary, shared)
        self._encoded = {coding: _Representation(one, coding, tag, vary, shared) for coding, one in useful.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  the form of ASGI
        """Send the content, or 304 to a client that has it (RFC 9110, section 13.1.2)."""
        fields = current_request(scope).fields
        found = self._encoded.get(choose(fields) or "", self._identity)
        known = fields.get(b"if-none-match")
        if known is not None and is_listed(found.tag, known):
            await send({"type": "http.response.start", "status": 304, "headers": found.headers})
            await send({"type": "http.response.body", "body": b""})
        else:
            headers = [*found.headers, *found.of_content]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": found.content})
