"""Preconditions (RFC 9110, section 13) and idempotency keys: header fields, as `persistence` takes them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

# Naive and in UTC, like the times of rows: arithmetic with aware times takes four times as long.
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_MICROSECOND: Final = timedelta(microseconds=1)
_TAG: Final = re.compile('(W/)?"([^"]*)"')


def entity_tag(updated_at: datetime) -> str:
    """The strong entity tag (RFC 9110, section 8.8.3) of a task with this `updated_at`, naive and in UTC."""
    return f'"{(updated_at - _EPOCH) // _MICROSECOND:x}"'


def expected_versions(if_match: str | None) -> list[datetime] | None:
    """The versions (`updated_at`, aware) that an `If-Match` lists; None if it admits any version.

    A tag that is weak or malformed matches nothing (RFC 9110, section 13.1.1).
    """
    if if_match is None or if_match == "*":
        return None
    found = (_version(tag) for weak, tag in _TAG.findall(if_match) if not weak)
    return [version for version in found if version is not None]


def _version(tag: str) -> datetime | None:
    try:
        moment = _EPOCH + int(tag, 16) * _MICROSECOND
    except (ValueError, OverflowError):
        return None
    # Python parses several spellings of a number, but a strong comparison is of octets.
    return moment.replace(tzinfo=UTC) if entity_tag(moment) == f'"{tag}"' else None


def read_idempotency_key(idempotency_key: str | None) -> str | None:
    """The key itself, from a bare value or a String of RFC 9651, section 3.3.3; None if there is none."""
    if idempotency_key is not None and idempotency_key.startswith('"'):
        return re.sub(r"\\(.)", r"\1", idempotency_key[1:-1])
    return idempotency_key
