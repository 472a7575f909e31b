"""JSON (RFC 8259), parsed in the one way that no two parsers read differently (RFC 7493)."""

from typing import Any

import jiter

from server.problems import MALFORMED_REQUEST, Problem

DEPTH = 64
"""How deep arrays and objects may nest in a body."""


def parse_json(body: bytes) -> Any:
    """The value of an RFC 8259 text, read the one way that nobody can read differently.

    UTF-8 without a byte order mark; no duplicate names, no NaN or Infinity, no lone surrogates (RFC 7493), and
    nothing nested deeper than `DEPTH`. Raises `Problem` (400) saying what and where.
    """
    try:
        value = jiter.from_json(body, catch_duplicate_keys=True, allow_inf_nan=False, cache_mode="none")
    except ValueError as error:
        raise Problem(MALFORMED_REQUEST, f"The body is not valid JSON: {_reason(str(error))}.") from None
    if _is_deeper(value, DEPTH):
        raise Problem(MALFORMED_REQUEST, f"The body nests deeper than {DEPTH} levels.")
    return value


def _reason(message: str) -> str:
    """The parser's words without what it quotes from the body: a name may be as long as the body."""
    if message.startswith("Detected duplicate key"):
        return "duplicate member name" + message[message.rindex(" at line ") :]
    return message[:200]


def _is_deeper(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        return levels == 0 or any(_is_deeper(member, levels - 1) for member in value.values())
    if isinstance(value, list):
        return levels == 0 or any(_is_deeper(item, levels - 1) for item in value)
    return False
