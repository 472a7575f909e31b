"""Content that does not change while the process runs: tagged once, and compressed once for each coding."""

import asyncio
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
        """`media_type` is that of the content, without a charset: text is UTF-8. An image is not compressed again."""
        charset = "; charset=utf-8" if media_type.startswith("text/") else ""
        self._content_type: Headers = [(b"content-type", (media_type + charset).encode())]
        self._codings = {} if media_type.startswith("image/") else THOROUGH
        self._tag = entity_tag(content)
        self._vary: Headers = [_CACHED, VARY] if self._codings else [_CACHED]
        self._identity = self._representation(content, None)
        self._encoded: dict[str, _Representation] = {}
        self._compressing = asyncio.Lock()

    def _representation(self, content: bytes, coding: str | None) -> _Representation:
        return _Representation(content, coding, self._tag, self._vary, self._content_type)

    async def _choose(self, coding: str | None) -> _Representation:
        """Return the content in this coding. The first request for it compresses; those that come meanwhile wait."""
        if coding is None or coding not in self._codings:
            return self._identity
        if coding not in self._encoded:
            async with self._compressing:
                if coding not in self._encoded:
                    content = await asyncio.to_thread(self._codings[coding], self._identity.content)
                    self._encoded[coding] = self._representation(content, coding)
        return self._encoded[coding]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  the form of ASGI
        """Send the content, or 304 to a client that has it (RFC 9110, section 13.1.2)."""
        fields = current_request(scope).fields
        found = await self._choose(choose(fields))
        known = fields.get(b"if-none-match")
        if known is not None and is_listed(found.tag, known):
            await send({"type": "http.response.start", "status": 304, "headers": found.headers})
            await send({"type": "http.response.body", "body": b""})
        else:
            headers = [*found.headers, *found.of_content]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": found.content})
