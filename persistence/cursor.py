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


def write_cursor(sort: str, position: datetime | bytes, last_id: UUID) -> str:
    """The cursor for the tasks after the one at `position` with `last_id`, 1 to 2,048 characters long."""
    value = _TIMESTAMP.pack((position - _EPOCH) // _MICROSECOND) if isinstance(position, datetime) else position
    packed = _letter(sort) + value + last_id.bytes
    return base64.urlsafe_b64encode(packed + _checksum(packed)).rstrip(b"=").decode()


def _checksum(packed: bytes) -> bytes:
    return zlib.crc32(packed).to_bytes(_CHECKSUM_BYTES)


def is_cursor(text: str) -> bool:
    """Whether this is whole, for whichever order: the contract's format `cursor`."""
    try:
        _unpack(text)
    except InvalidCursor:
        return False
    return True


def _unpack(cursor: str) -> tuple[bytes, bytes, UUID]:
    try:
        read = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        packed, check = read[:-_CHECKSUM_BYTES], read[-_CHECKSUM_BYTES:]
        if check != _checksum(packed):
            raise InvalidCursor
        return packed[:1], packed[1:-_ID_BYTES], UUID(bytes=packed[-_ID_BYTES:])
    except (ValueError, binascii.Error) as error:
        raise InvalidCursor from error


def read_cursor(sort: str, cursor: str) -> dict[str, Any]:
    """The parameters `position` and `last_id` of a list statement. Raises `InvalidCursor`."""
    letter, value, last_id = _unpack(cursor)
    if letter != _letter(sort):
        raise InvalidCursor
    try:
        by_title = ORDERS[sort.removeprefix("-")].column is tasks.c.title_key
        position = _read_key(value) if by_title else _EPOCH + _TIMESTAMP.unpack(value)[0] * _MICROSECOND
    except (OverflowError, struct.error) as error:
        raise InvalidCursor from error
    return {"position": position, "last_id": last_id}


def _read_key(value: bytes) -> bytes:
    if not 1 <= len(value) <= KEY_BYTES:
        raise InvalidCursor
    return value
