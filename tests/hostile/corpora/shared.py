"""Places for a JSON value in a body."""

import re
from collections.abc import Iterator

Texts = Iterator[tuple[str, bytes]]

WHOLE = (
    rb' { "title" : "a\u00e9\ud83d\ude00\n'
    + "é\N{GRINNING FACE}".encode()
    + rb'" , "description":null,"completed":true } '
)
"""A valid text with everything in it that a text can be cut in."""

PLAIN = b'{"title":"a"}'


def _split(table: str) -> list[str]:
    """The texts of a table, which are separated by three spaces."""
    return re.split(r" {3}|\n *", table.strip())
