"""Cursors of keyset pagination: the position of the last row of a page, opaque to clients."""

import base64
import binascii
import struct
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement

from persistence.collation import KEY_BYTES
from persistence.errors import InvalidCursor
from persistence.schema import tasks


@dataclass(frozen=True, slots=True)
class Order:
    """A column by which lists can be sorted, and its letter in a cursor."""

    column: ColumnElement[Any]
    letter: bytes


ORDERS: Final = {
    "created": Order(tasks.c.created_at, b"c"),
    "title": Order(tasks.c.title_key, b"t"),
    "updated": Order(tasks.c.updated_at, b"u"),
}

SORTS: Final = (*ORDERS, *(f"-{name}" for name in ORDERS))
"""The sort orders: the name of a column, with a leading `-` if it descends."""

# A cursor is the position of the last task of a page, in base64url without padding (RFC 4648, section 5): the letter of
# the sort order, in upper case if it descends; the value of the column (a timestamp as the microseconds since 1970 in a
# signed 64-bit integer, a title as its sort key); the 16 bytes of the task's id; and a CRC-32, without which a URL that
# was truncated or mistyped would return another page.
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  timestamps are naive and in UTC in this package
_MICROSECOND = timedelta(microseconds=1)
_TIMESTAMP = struct.Struct("!q")
_ID_BYTES = 16
_CHECKSUM_BYTES = 4


def _letter(sort: str) -> bytes:
    letter = ORDERS[sort.removeprefix("-")].letter
    return letter.upper() if sort.startswith("-") else letter


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position of the last task of a page."""

    letter: bytes
    """The sort order."""
    value: bytes
    """The value of the column by which the list is sorted."""
    last_id: UUID

    def __str__(self) -> str:
        """The text for clients, 1 to 2,048 characters long."""
        packed = self.letter + self.value + self.last_id.bytes
        return base64.urlsafe_b64encode(packed + _checksum(packed)).rstrip(b"=").decode()


def cursor_after(sort: str, position: datetime | bytes, last_id: UUID) -> Cursor:
    """The cursor for the tasks after the one at `position` with `last_id`."""
    value = _TIMESTAMP.pack((position - _EPOCH) // _MICROSECOND) if isinstance(position, datetime) else position
    return Cursor(_letter(sort), value, last_id)


def parse_cursor(text: str) -> Cursor | None:
    """The cursor that the text stands for, for any sort order; None for an invalid text (format `cursor`)."""
    try:
        read = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        packed, checksum = read[:-_CHECKSUM_BYTES], read[-_CHECKSUM_BYTES:]
        if checksum != _checksum(packed):
            return None
        return Cursor(packed[:1], packed[1:-_ID_BYTES], UUID(bytes=packed[-_ID_BYTES:]))
    except (ValueError, binascii.Error):
        return None


def _checksum(packed: bytes) -> bytes:
    return zlib.crc32(packed).to_bytes(_CHECKSUM_BYTES)


def position_parameters(sort: str, cursor: Cursor) -> dict[str, Any]:
    """The parameters `position` and `last_id` of a list statement. Raises `InvalidCursor` for another sort order."""
    if cursor.letter != _letter(sort):
        raise InvalidCursor
    try:
        by_title = ORDERS[sort.removeprefix("-")].column is tasks.c.title_key
        position = _title_key(cursor.value) if by_title else _timestamp(cursor.value)
    except (OverflowError, struct.error) as error:
        raise InvalidCursor from error
    return {"position": position, "last_id": cursor.last_id}


def _timestamp(value: bytes) -> datetime:
    (microseconds,) = _TIMESTAMP.unpack(value)
    since_epoch: timedelta = microseconds * _MICROSECOND
    return _EPOCH + since_epoch


def _title_key(value: bytes) -> bytes:
    if not 1 <= len(value) <= KEY_BYTES:
        raise InvalidCursor
    return value
