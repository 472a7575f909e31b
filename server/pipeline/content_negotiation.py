"""Proactive content negotiation: which media types a request's `Accept` allows (RFC 9110, section 12.5.1).

The time that it takes grows with the length of the field and no faster: what it is made of is split at characters.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from server.problems import NOT_ACCEPTABLE, Problem

# A quoted string is skipped, for its commas and semicolons separate nothing. One without an end reaches to the end:
# each character is looked at once.
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.DOTALL)
# RFC 9110, section 12.4.2, with any number of digits. Java's HttpURLConnection writes `.2`.
_WEIGHT: Final = re.compile(r"[01](?:\.[0-9]*)?|\.[0-9]+")
_WHITE_SPACE: Final = " \t"


def check_accept(field: bytes | None, media_type: str) -> None:
    """Raise `Problem` (406) if the `Accept` field excludes the media type, which is written in lower case."""
    if not field or field == b"*/*" or accepts(field.decode("latin-1"), media_type):
        return
    raise Problem(NOT_ACCEPTABLE, f"The response is available as {media_type} only.")


def choose_media_type(field: bytes | None, media_types: Sequence[str]) -> str:
    """Return the media type that an `Accept` field prefers, or the first of those that it prefers alike.

    A type that the field names is preferred to one that a range such as `*/*` matches. Raises `Problem` (406) if the
    field excludes all of them.
    """
    if not field or field == b"*/*" or not field.strip(b", \t"):
        return media_types[0]
    ranges = _media_ranges(field.decode("latin-1"))
    preferred = max(media_types, key=lambda media_type: _preference(ranges, media_type))
    if _preference(ranges, preferred)[0] > 0:
        return preferred
    raise Problem(NOT_ACCEPTABLE, f"The response is available as {one_of(media_types)} only.")


def one_of(media_types: Sequence[str]) -> str:
    """Return a list of media types in words."""
    return " or ".join(filter(None, (", ".join(media_types[:-1]), media_types[-1])))


def accepts(field: str, media_type: str) -> bool:
    """Return whether the field allows the media type: the most specific range that matches it decides.

    Parameters of a range other than its weight make no difference, because the types of the document have none that
    would (JSON: RFC 8259, section 11). What is not a media range, or has a weight that is not a number from 0 to 1, is
    ignored. A list without any element excludes nothing (RFC 9110, section 5.6.1.2).
    """
    if field == media_type or not field.strip(", \t"):
        return True
    return _preference(_media_ranges(field), media_type)[0] > 0


def _preference(ranges: Mapping[str, float], media_type: str) -> tuple[float, int]:
    """Return the weight of the most specific range that matches the media type, and how specific it is."""
    for specificity, media_range in ((2, media_type), (1, media_type.partition("/")[0] + "/*"), (0, "*/*")):
        if media_range in ranges:
            return ranges[media_range], specificity
    return 0, 0


def _media_ranges(field: str) -> dict[str, float]:
    """Return the media ranges in lower case with their weights.

    A range that is given several times, such as with different parameters, has the highest of its weights.
    """
    ranges: dict[str, float] = {}
    for element in _QUOTED.sub('""', field.lower()).split(","):
        media_range, *parameters = element.split(";")
        weight = _weight(parameters)
        if weight is not None:
            name = media_range.strip(_WHITE_SPACE)
            ranges[name] = max(ranges.get(name, 0), weight)
    return ranges


def _weight(parameters: list[str]) -> float | None:
    """Return the value of `q`, 1 if there is none, and nothing if it is not a number from 0 to 1."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip(_WHITE_SPACE) == "q":
            text = value.strip(_WHITE_SPACE)
            weight = float(text) if _WEIGHT.fullmatch(text) else 2
            return weight if weight <= 1 else None
    return 1
