"""JSON (RFC 8259): a parser that accepts only what all parsers read alike (RFC 7493), and options of the serializer."""

from typing import Any, Final

import jiter
import orjson

from server.problems import MALFORMED_REQUEST, Problem

ORJSON_OPTIONS: Final = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
"""The options of orjson for timestamps, which are naive and in UTC in `persistence`."""

MAX_DEPTH = 64
"""The maximum nesting of arrays and objects in a body."""


def parse_json(body: bytes) -> Any:
    """Parse a JSON text.

    It must be UTF-8 without a byte order mark, duplicate names, NaN, Infinity or lone surrogates (RFC 7493), and
    nest at most `MAX_DEPTH` levels. Raises `Problem` (400) with the reason and the position.
    """
    try:
        value = jiter.from_json(body, catch_duplicate_keys=True, allow_inf_nan=False, cache_mode="none")
    except ValueError as error:
        raise Problem(MALFORMED_REQUEST, f"The body is not valid JSON: {_reason(str(error))}.") from None
    if _is_deeper(value, MAX_DEPTH):
        raise Problem(MALFORMED_REQUEST, f"The body nests deeper than {MAX_DEPTH} levels.")
    return value


def _reason(message: str) -> str:
    """The parser's message without names of the body, which may be long."""
    if message.startswith("Detected duplicate key"):
        return "duplicate member name" + message[message.rindex(" at line ") :]
    return message[:200]


def _is_deeper(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        return levels == 0 or any(_is_deeper(member, levels - 1) for member in value.values())
    if isinstance(value, list):
        return levels == 0 or any(_is_deeper(item, levels - 1) for item in value)
    return False
