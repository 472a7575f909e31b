"""JSON texts that must be read, and those that may be read or refused."""

from collections.abc import Iterable, Iterator

from tests.hostile.corpora.shared import WHOLE, Texts


def valid_values() -> Texts:
    """Every kind of value that a text may have, wherever one is expected."""
    numbers = [
        "0",
        "-0",
        "-0.0",
        "0.0",
        "0e0",
        "0E0",
        "0e+1",
        "0E-1",
        "1",
        "-1",
        "10",
        "1.0",
        "1.50",
        "1e1",
        "1E1",
        "1e+1",
    ]
    numbers += ["1e-1", "1E+01", "1e00", "1e400", "-1e400", "1e-400", "0.1e-400", "1E99999", "1e-99999", "123456789012"]
    numbers += ["9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775809"]
    numbers += [
        "18446744073709551616",
        "0." + "1" * 500,
        "1" * 300,
        "-" + "9" * 300,
        "1." + "0" * 500,
        "0." + "0" * 500 + "1",
    ]
    for text in numbers:
        yield f"number {text[:30]}", text.encode()
    for text in (
        "true",
        "false",
        "null",
        "[]",
        "{}",
        "[[]]",
        "[{}]",
        '{"":0}',
        '{"a":{}}',
        "[null]",
        "[1,2]",
        '[""]',
        '""',
    ):
        yield f"value {text}", text.encode()
    for text in (" [ ] ", "\t{\n}\r", "\r\n[\t1 ,\n2\r]\n", '{ "a" : 1 , "b" : 2 }', '{"a":1,"A":2}', '{"a":1,"a ":2}'):
        yield f"white space {text!r}", text.encode()
    # Not the same names, for nothing is normalised.
    for text in (
        '{"\u00e9":1,"e\u0301":2}',
        '{"\ufb01":1,"fi":2}',
        '{"\\u00e9":1,"e\\u0301":2}',
        '{"a\\u0000":1,"a":2}',
    ):
        yield f"names {text}", text.encode()
    for name in ("\\u0000", "\\n", "__proto__", "constructor", "$ref", "\u202e", "\U0010ffff", "a" * 10_000):
        yield f"name {name[:20]}", f'{{"{name}":1}}'.encode()
    for name, spelling, _ in valid_strings():
        yield f"string {name}", spelling
    for depth in (2, 10, 62):
        yield f"arrays {depth} deep", b"[" * depth + b"]" * depth
        yield f"objects {depth} deep", b'{"a":' * depth + b"1" + b"}" * depth
    yield "many items", b"[" + b"1," * 20_000 + b"1]"
    yield "many members", b"{" + b",".join(b'"%d":0' % number for number in range(4_000)) + b"}"


def valid_strings() -> Iterator[tuple[str, bytes, str]]:
    """Spellings of strings, with their values."""
    for letter, character in zip('"\\/bfnrt', '"\\/\b\f\n\r\t', strict=True):
        yield f"\\{letter}", f'"\\{letter}x"'.encode(), f"{character}x"
    for code in (
        *range(0x21),
        0x22,
        0x2F,
        0x5C,
        *range(0x7E, 0xA2),
        0xAD,
        0xD7FF,
        0xE000,
        0xFDD0,
        0xFEFF,
        0xFFFD,
        0xFFFE,
        0xFFFF,
    ):
        yield f"\\u{code:04x}", f'"\\u{code:04x}x"'.encode(), f"{chr(code)}x"
        yield f"\\u{code:04X}", f'"x\\u{code:04X}"'.encode(), f"x{chr(code)}"
        if code >= 0x20 and chr(code) not in '"\\':
            yield f"raw U+{code:04X}", f'"x{chr(code)}"'.encode(), f"x{chr(code)}"
    for code in (0x10000, 0x1D11E, 0x1F600, 0x1FFFE, 0x1FFFF, 0x2FFFF, 0xE0001, 0xF0000, 0xFFFFD, 0x100000, 0x10FFFF):
        high, low = 0xD800 + ((code - 0x10000) >> 10), 0xDC00 + ((code - 0x10000) & 0x3FF)
        yield f"pair \\u{high:04x}\\u{low:04x}", f'"\\u{high:04x}\\u{low:04X}x"'.encode(), f"{chr(code)}x"
        yield f"raw U+{code:X}", f'"{chr(code)}x"'.encode(), f"{chr(code)}x"
    for spelling, text in {
        "\\\\u0041": "\\u0041",
        "\\\\\\u0041": "\\A",
        "\\u005cu0041": "\\u0041",
        "\\u005C\\u005c": "\\\\",
        "\\u0065\\u0301": "e\u0301",
        "\\ud83d\\ude00\\ud83d\\ude00": "\U0001f600" * 2,
        "\\\\ud83d": "\\ud83d",
        "\\u0022\\u007d": '"}',
        "a\\/b": "a/b",
        "\\u2028\u2029": "\u2028\u2029",
    }.items():
        yield spelling, f'"{spelling}"'.encode(), text


def valid() -> Texts:
    """Whole texts that must be read, whatever the contract says of them."""
    for name, value in valid_values():
        yield name, value
        yield f"{name} as the title", b'{"title":' + value + b"}"
        yield f"{name} beside the title", b'{"title":"a","b":' + value + b"}"
    yield "everything", WHOLE
    for spaces in (b" ", b"\t", b"\n", b"\r", b" \t\r\n" * 100):
        yield f"{spaces[:4]!r} everywhere", spaces.join([b"", b"{", b'"title"', b":", b'"a"', b"}", b""])


def either() -> Texts:
    """Texts with numbers that a reader need not accept (RFC 8259, section 9)."""
    for digits in (4_000, 4_299, 4_300, 4_301, 5_000, 60_000):
        for name, value in {
            f"{digits} digits": b"1" * digits,
            f"minus and {digits} digits": b"-" + b"9" * digits,
            f"{digits} digits behind the point": b"0." + b"1" * digits,
            f"{digits} zeros behind a one": b"1" + b"0" * digits,
            f"an exponent of {digits} digits": b"1e" + b"9" * digits,
            f"a negative exponent of {digits} digits": b"1e-" + b"9" * digits,
        }.items():
            yield name, value
            yield f"{name} as the title", b'{"title":' + value + b"}"


def mutants(bytes_put: Iterable[int]) -> Texts:
    """A short valid text with each of its bytes replaced, doubled or left out, and others put in between."""
    text = b'{"title":"\\u0041\xc3\xa9","completed":false}'
    for place in range(len(text)):
        yield f"without byte {place}", text[:place] + text[place + 1 :]
        yield f"byte {place} twice", text[:place] + text[place : place + 1] + text[place:]
        for byte in bytes_put:
            yield f"byte {place} is {byte:02x}", text[:place] + bytes([byte]) + text[place + 1 :]
            yield f"{byte:02x} before byte {place}", text[:place] + bytes([byte]) + text[place:]
