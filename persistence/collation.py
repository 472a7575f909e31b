"""The order of titles: case-insensitive, accents next to their letters, the same on every machine.

A database's own collations differ between libc and ICU versions, and some PostgreSQL builds have no ICU at
all; an index on such an order is silently wrong after an upgrade. So the service works the key out itself and
the database only compares bytes.
"""

import unicodedata

# A B-tree row holds at most 2,704 bytes, of which the owner's id may take 1,020 (255 characters of 4 bytes).
# Titles that agree in all of these bytes are told apart by their id.
KEY_BYTES = 1_500

# Letters that read as variants of others although Unicode does not decompose them, with the letters that the
# Default Unicode Collation Element Table (UTS #10) puts them beside.
_BESIDE = str.maketrans(
    {
        "\N{LATIN SMALL LETTER O WITH STROKE}": "o",
        "\N{LATIN SMALL LETTER L WITH STROKE}": "l",
        "\N{LATIN SMALL LETTER D WITH STROKE}": "d",
        "\N{LATIN SMALL LETTER H WITH STROKE}": "h",
        "\N{LATIN SMALL LETTER T WITH STROKE}": "t",
        "\N{LATIN SMALL LETTER DOTLESS I}": "i",
        "\N{LATIN SMALL LETTER AE}": "ae",
        "\N{LATIN SMALL LIGATURE OE}": "oe",
        "\N{LATIN SMALL LETTER ENG}": "n",
    }
)


def title_key(title: str) -> bytes:
    """The bytes by which `title` is ordered, 1 to `KEY_BYTES` of them.

    First the letters without case and accents, then, to make the order of `resume` and `résumé` definite, the
    letters with their accents. Compatibility decomposition and full case folding are Unicode's (UAX #15 NFKD,
    the Unicode Standard section 3.13), so `Ⅷ`, `VIII` and `viii` are equal.
    """
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", title).casefold())
    letters = "".join(char for char in folded if not unicodedata.combining(char)).translate(_BESIDE)
    # NUL cannot stand in a title, so it ends the letters: a shorter title comes before its continuations.
    key = letters if letters == folded else f"{letters}\0{folded}"
    return key.encode()[:KEY_BYTES] or b"\0"
