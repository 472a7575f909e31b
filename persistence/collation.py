"""The sort keys of titles: case-insensitive, accented letters beside their base letters, the same on every machine.

The collations of a database differ between libc and ICU versions, and some PostgreSQL builds have no ICU; an index on
such an order is silently corrupt after an upgrade. So the service computes a sort key, and the database compares bytes.
"""

import unicodedata

# A B-tree row holds at most 2,704 bytes, of which the owner's id may take 1,020 (255 characters of 4 bytes).
# Titles whose keys are equal are ordered by id.
KEY_BYTES = 1_500

# Letters that Unicode does not decompose, with the base letters beside which the Default Unicode Collation Element
# Table (UTS #10) sorts them.
_BASE_LETTERS = str.maketrans(
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
    """The sort key of a title: 1 to `KEY_BYTES` bytes.

    It has the letters without case and accents first, and then, to order `resume` and `résumé`, the letters with their
    accents. Compatibility decomposition and full case folding are Unicode's (UAX #15 NFKD,
    the Unicode Standard section 3.13), so `Ⅷ`, `VIII` and `viii` are equal.
    """
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", title).casefold())
    letters = "".join(char for char in folded if not unicodedata.combining(char)).translate(_BASE_LETTERS)
    # No title contains NUL, so NUL can end the letters: a title sorts before the titles that it is a prefix of.
    key = letters if letters == folded else f"{letters}\0{folded}"
    return key.encode()[:KEY_BYTES] or b"\0"
