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
    """A column by which lists can be ordered, and the letter that stands for it in a cursor."""

    column: ColumnElement[Any]
    letter: bytes


ORDERS: Final = {
    "created": Order(tasks.c.created_at, b"c"),
    "title": Order(tasks.c.title_key, b"t"),
    "updated": Order(tasks.c.updated_at, b"u"),
}

SORTS: Final = (*ORDERS, *(f"-{name}" for name in ORDERS))
"""The sort orders: the name of a column, after `-` where it descends."""

# A cursor is the place of the last task of a page: the letter of the order, in upper case where it descends; the
# value in its column (for a moment the microseconds since 1970 as a signed 64-bit integer, for a title its key); the
# task's id of 16 bytes; and the CRC-32 of all that, for an address that was cut or mistyped would otherwise give a page
# from somewhere else. base64url without padding (RFC 4648, section 5).
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  like every moment in this room, naive and in UTC
_MICROSECOND = timedelta(microseconds=1)
_MOMENT = struct.Struct("!q")
_ID_BYTES = 16
_SUM_BYTES = 4


def _letter(sort: str) -> bytes:
    letter = ORDERS[sort.removeprefix("-")].letter
    return letter.upper() if sort.startswith("-") else letter


def write_cursor(sort: str, position: datetime | bytes, last_id: UUID) -> str:
    """The cursor for the tasks after the one at `position` with `last_id`, 1 to 2,048 characters long."""
    value = _MOMENT.pack((position - _EPOCH) // _MICROSECOND) if isinstance(position, datetime) else position
    place = _letter(sort) + value + last_id.bytes
    return base64.urlsafe_b64encode(place + _sum(place)).rstrip(b"=").decode()


def _sum(place: bytes) -> bytes:
    return zlib.crc32(place).to_bytes(_SUM_BYTES)


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
        place, check = read[:-_SUM_BYTES], read[-_SUM_BYTES:]
        if check != _sum(place):
            raise InvalidCursor
        return place[:1], place[1:-_ID_BYTES], UUID(bytes=place[-_ID_BYTES:])
    except (ValueError, binascii.Error) as error:
        raise InvalidCursor from error


def read_cursor(sort: str, cursor: str) -> dict[str, Any]:
    """The parameters `position` and `last_id` of a list statement. Raises `InvalidCursor`."""
    letter, value, last_id = _unpack(cursor)
    if letter != _letter(sort):
        raise InvalidCursor
    try:
        by_title = ORDERS[sort.removeprefix("-")].column is tasks.c.title_key
        position = _read_key(value) if by_title else _EPOCH + _MOMENT.unpack(value)[0] * _MICROSECOND
    except (OverflowError, struct.error) as error:
        raise InvalidCursor from error
    return {"position": position, "last_id": last_id}


def _read_key(value: bytes) -> bytes:
    if not 1 <= len(value) <= KEY_BYTES:
        raise InvalidCursor
    return value
