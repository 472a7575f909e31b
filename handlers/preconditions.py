"""Entity tags of tasks (RFC 9110, section 8.8.3) and idempotency keys: header fields in the words of `persistence`."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_TAG: Final = re.compile('(W/)?"([^"]*)"')


def entity_tag(updated_at: datetime) -> str:
    """The strong entity tag of a task that was last changed at this moment, which is naive and in UTC."""
    return f'"{(updated_at.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND:x}"'


def versions_of(if_match: str | None) -> list[datetime] | None:
    """The moments of the entity tags in an `If-Match`, aware; None where any version will do.

    A tag that is weak, or none of ours, matches nothing (RFC 9110, section 13.1.1).
    """
    if if_match is None or if_match == "*":
        return None
    found = (_moment(tag) for weak, tag in _TAG.findall(if_match) if not weak)
    return [moment for moment in found if moment is not None]


def _moment(tag: str) -> datetime | None:
    try:
        moment = _EPOCH + int(tag, 16) * _MICROSECOND
    except (ValueError, OverflowError):
        return None
    # Python reads more than one spelling of a number, and a strong comparison takes one.
    return moment if entity_tag(moment) == f'"{tag}"' else None


def key_of(idempotency_key: str) -> str:
    """The key, whether it is bare or a String (RFC 9651, section 3.3.3)."""
    if idempotency_key.startswith('"'):
        return re.sub(r"\\(.)", r"\1", idempotency_key[1:-1])
    return idempotency_key
