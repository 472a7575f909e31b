"""The header fields that tell a browser what it must not do, for answers of every kind.

After OWASP's REST security cheat sheet and ASVS 5.0, V3.4. `observability` and the protocol add them.
"""

from typing import Final

from server.request_context import Headers

_POLICY: Final = b"content-security-policy"
# Nothing in an answer is to be run, loaded or shown in a frame.
_NOTHING: Final = (_POLICY, b"default-src 'none'; frame-ancestors 'none'")
# Swagger UI writes styles into the page and draws its icons from data: addresses. Its pages may stand in a frame
# of the host that shows a Space (Hugging Face), and of no other.
_OF_PAGES: Final = (
    _POLICY,
    (
        b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        b"connect-src 'self'; base-uri 'none'; form-action 'none'; "
        b"frame-ancestors 'self' https://huggingface.co https://*.hf.space"
    ),
)
# For a page in a window of its own; the page around a frame decides for that.
_ALONE: Final = (b"cross-origin-opener-policy", b"same-origin")
# A browser takes it from a TLS connection only.
_ALWAYS_TLS: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


def security_headers(*, production: bool) -> Headers:
    """What every answer carries."""
    return [
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-resource-policy", b"same-origin"),
        _NOTHING,
        *([_ALWAYS_TLS] if production else []),
    ]


def permit_page(headers: Headers) -> None:
    """Permit, in the header fields of an answer, what a page needs."""
    headers[headers.index(_NOTHING)] = _OF_PAGES
    headers.append(_ALONE)
