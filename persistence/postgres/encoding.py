"""The encodings of a database (PostgreSQL's manual, chapter "Character Set Support")."""

from typing import Final

_UNICODE: Final = "UTF8"


def refuse_encoding(encoding: str) -> str | None:
    """The reason why a database with this `server_encoding` cannot be used; None if it can hold all of Unicode.

    SQL_ASCII takes any bytes, but counts and compares them as bytes; every other encoding refuses most characters.
    """
    if encoding == _UNICODE:
        return None
    return f"the database has the encoding {encoding}, which cannot hold Unicode: create one with ENCODING 'UTF8'"
