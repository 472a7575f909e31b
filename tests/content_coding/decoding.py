"""Decoders of the content codings, and answers as they are on the wire."""

import gzip
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.support.raw_http import RawAnswer, ask, bearer_field, request
from tests.support.service import Service

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DECODERS: Final[Mapping[str | None, Callable[[bytes], bytes]]] = {
    None: bytes,
    "gzip": gzip.decompress,
    "zstd": zstd.decompress,
}
"""By the value of `Content-Encoding`; each raises an error for content that is damaged or has no end."""


def fetch(service: Service, subject: str, target: str, accept_encoding: str | None = None, **fields: str) -> RawAnswer:
    """Return the answer to a GET with the content that was sent; a client library would decode it."""
    named = [(name.replace("_", "-"), value) for name, value in fields.items()]
    if accept_encoding is not None:
        named.append(("Accept-Encoding", accept_encoding))
    return ask(service, request("GET", target, [bearer_field(subject), *named]))


def decoded(answer: RawAnswer) -> bytes:
    """Return the content without its coding."""
    return DECODERS[answer.headers.get("content-encoding")](answer.content)


def value(answer: RawAnswer) -> Any:
    """Return the JSON value of the content."""
    return json.loads(decoded(answer))
