"""Entity tags (RFC 9110, section 8.8.3): how one is made of content, and compared with those of a request."""

import base64
import hashlib
import re
from typing import Final

_OPAQUE_TAG: Final = re.compile(rb'"[^"]*"')


def entity_tag(*content: bytes) -> bytes:
    """A strong entity tag: a digest of all parts of the content."""
    digest = hashlib.blake2b(digest_size=15)
    for part in content:
        digest.update(part)
    return b'"%s"' % base64.urlsafe_b64encode(digest.digest())


def is_listed(tag: bytes, known: bytes) -> bool:
    """Whether an `If-None-Match` lists the tag. The comparison is weak: a `W/` makes no difference."""
    return known in (tag, b"*") or tag in _OPAQUE_TAG.findall(known)
