"""The header fields that tell a browser what it must not do, for answers of every kind.

After OWASP's REST security cheat sheet and ASVS 5.0, V3.4. The access log and the HTTP protocol add them.
"""

from typing import Final

from server.request_context import Headers

_POLICY: Final = b"content-security-policy"
# Nothing of a response may be executed, loaded or framed.
_API_POLICY: Final = (_POLICY, b"default-src 'none'; frame-ancestors 'none'")
# Swagger UI uses inline styles and data: URLs for its icons.
_PAGE_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
# Hugging Face shows the pages of a Space in a frame.
_FRAMED_BY_HUGGING_FACE: Final = b" https://huggingface.co https://*.hf.space"
# For a page in its own window; in a frame the embedding page decides.
_OPENER_POLICY: Final = (b"cross-origin-opener-policy", b"same-origin")
# Browsers ignore it without TLS.
_ALWAYS_TLS: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


def security_headers(*, production: bool) -> Headers:
    """The header fields of every response."""
    return [
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-resource-policy", b"same-origin"),
        _API_POLICY,
        *([_ALWAYS_TLS] if production else []),
    ]


def permit_page(headers: Headers, *, in_space: bool) -> None:
    """Replace the policy in the header fields of a response by that of a page, `in_space` of Hugging Face or not."""
    policy = _PAGE_POLICY + _FRAMED_BY_HUGGING_FACE if in_space else _PAGE_POLICY
    headers[headers.index(_API_POLICY)] = (_POLICY, policy)
    headers.append(_OPENER_POLICY)
