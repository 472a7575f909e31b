"""JSON texts that must be refused (RFC 8259), and texts that only look like JSON."""

import codecs
import gzip

from tests.hostile.corpora.shared import PLAIN, WHOLE, Texts, _split

NO_NUMBERS = [
    *_split(r"""
    +1   +0   ++1   --1   -   +   -+1   01   -01   00   007   -00   01.5   00.5   1.   -1.   0.   .5   -.5   +.5   .
    -.   1.e1   1.E+1   .e1   1e   1E   1e+   1e-   1E+   0e   0e+   1.5e   e1   E1   1eE1   1ee1   1e1e1   1e+-1
    1e1.5   1e.5   1e 1   1 e1   1 .5   1. 5   - 1   1.2.3   1..2   1_000   _1   1_   1 000   1'000   0x1
    0X1   0x   -0x1   0xg   0b1   0o7   1h   1a   1n   1L   1f   1d   1u   $1   1%   1/2   1+1   #1   Infinity
    -Infinity   +Infinity   infinity   INFINITY   Inf   -Inf   inf   -inf   1e+Infinity   NaN   -NaN   nan   NAN
    -nan   NaN1   1.#INF   1.#QNAN
    """),
    "\u0661",
    "\uff11",
    "\xbd",
    "\u221e",
    "\u22121",
    "1\u0660",
    "1e\u0661",
    "\u4e00",
    "\xb2",
    "1\u0307",
]

NO_LITERALS = [
    *_split(r"""
    True   TRUE   tRUE   truE   tru   t   truee   true1   t rue   true true   False   FALSE   fals   falsee   Null
    NULL   nul   n   nulll   null0   nil   None   none   undefined   void   yes   no   on   off   a   title   $   _
    -a   @   ?   *   &a   !a
    """),
    "tr\tue",
    "\u0442rue",
    "null\u0301",
    "true\u200b",
]

NO_STRINGS = [
    *_split(r"""
    "   "a   "a\   "a\"   "\"   "a\\\"   a"   ""a   a""   "a"b   "a" "b"   "a""b"   'a'   ''   'a"   "a'   `a`
    u"a"   b"a"   r"a"   @"a"   "a"+"b"   /a/   \u0061   \n   \"a\"   "a"\   "\u"   "\u0"   "\u00"   "\u000"
    "\u000g"   "\ug000"   "\u00g0"   "\u-001"   "\u+001"   "\u 001"   "\u0 01"   "\u{41}"   "\u{1F600}"
    "\U00000041"   "\U0041"   "\u00\u0041"   "\x41"   "\X41"   "\101"   "\0"   "\00"   "\1"   "\a"   "\v"   "\e"
    "\'"   "\`"   "\ "   "\N{DIGIT ONE}"   "\cA"   "\&"   "\u0x41"   "\u\"   "\uD83D\"   "\ud83d\u"   "\ud83d\ude0"
    """),
    '"""a"""',
    "\u201ca\u201d",
    "\xaba\xbb",
    "\uff02a\uff02",
    '"a\\\nb"',
    '"\\u\uff10041"',
    '"\\u004\u0661"',
    '"\\u\u0660\u0660\u0664\u0661"',
    '"\\\xe9"',
    '"\\\U0001f600"',
]

LONE_SURROGATES = [
    *_split(r"""
    \ud800   \uDBFF   \udc00   \uDFFF   \ud83d\ud83d   \ude00\ud83d   \ude00\ude00   \ud83da   a\ud83d
    \ud83d\u0041   \ud83d\n   \ud83d \ude00   \ud83d\\ude00   \ud83d\ude00\ud83d   \ud83d\ud83d\ude00
    \ud83d\ude00\ude00   \ude00\ud83d\ude00   \uD83D\uFFFF   \ud83d\ue000   \udbff\udbff   \ud83d\u0000
    \ud800\udbff   \ud7ff\udc00   x\uDC00y
    """),
    "\\ud83d\xe9",
    "\\ud83d\U0001f600",
]

NO_STRUCTURES = [
    *_split(r"""
    [1,]   [,1]   [,]   [1,,2]   [1 2]   [1;2]   [1:2]   [1,2   1]   [   ]   []]   [[]   [}   [1}   [)   ["a"   [1,
    ["a",   [true   [nul   [...]   [1...3]   [*]   (1)   ()   <a>   <>   [1]1   [1],   {   }   {]   {)   {,}   {:}
    {"a"}   {"a":}   {"a",}   {"a":1   {"a":   {"a"   {"a   {:1}   {"a":1,}   {,"a":1}   {"a":1,,"b":2}
    {"a":1 "b":2}   {"a":1;"b":2}   {"a"::1}   {"a" 1}   {"a"=1}   {"a"=>1}   {"a":1:2}   {"a":"b" "c"}   {"a":1}}
    {"a":1},   {"a":1}1   {"a":1}{}   {a:1}   {'a':1}   {1:1}   {null:1}   {true:1}   {[]:1}   {{}:1}   {-1:1}
    {"a" b:1}   {{"a":1}}   {"a"}:1   {"a":1]   {"a":[}   {"a":[1}   [{"a":1]   [{]}   {...}   {..., "a":1}
    {"a":1,...}   {"a"?:1}   :   ,   ;   ::   ,,   [:]   ["a":1]   {"a","b"}   "a":1   {}{}   [][]   {}[]   1 2
    null null   /**/   //   #   [/**/   [1]/*   [1]/* */   [1]//   [1]//a   [1] # a   /* a */[1]   {"a":/* b */1}
    {"a"/**/:1}   {/**/}   [1,/**/2]   <!-- a -->[1]   [1]<!-- a -->   [1]--   ;[1]   callback({})   ({})
    while(1);{}   for(;;);{}   var a={}   a={}   {}//   return {}   new Date()   [1,2,3,]   {"a":{"b":}}   ["",
    ["a\   ["\u00   [1,"   {"a":"   {"a":t   [-   [1e   [1.
    """),
    "[1,\n",
    "// a\n[1]",
    "# a\n[1]",
    "%a\n[1]",
    ")]}',\n{}",
]
NO_SPACES = [
    *(
        "\x00\x01\x07\x08\x0b\x0c\x0e\x1b\x1c\x1d\x1e\x1f\x7f\x85\xa0\xad\u1680\u180e\u2000\u2003\u2007\u2009\u200b\u200c\u200d"
    ),
    *("\u200e\u2028\u2029\u202f\u205f\u2060\u3000\ufeff\ufffd\ufffe\U000e0020"),
]
SAME_NAMES = [
    ('"title"', '"title"'),
    ('"title"', '"\\u0074itle"'),
    ('"title"', '"t\\u0069tle"'),
    ('"\\u0074itle"', '"titl\\u0065"'),
    ('"title"', '"\\u0074\\u0069\\u0074\\u006c\\u0065"'),
    ('"\\u006C"', '"\\u006c"'),
    ('""', '""'),
    ('"/"', '"\\/"'),
    ('"\\u000a"', '"\\n"'),
    ('"\\""', '"\\u0022"'),
    ('"\\\\"', '"\\u005c"'),
    ('"\u00e9"', '"\\u00e9"'),
    ('"\u00e9"', '"\u00e9"'),
    ('"\U0001f600"', '"\\ud83d\\ude00"'),
    ('"\\uD83D\\uDE00"', '"\\ud83d\\ude00"'),
    ('"\\u0000"', '"\\u0000"'),
    ('"__proto__"', '"__proto__"'),
]

NO_SEQUENCES = {
    "overlong": "c080 c0af c0a2 c1bf c181 e08080 e080af e081a1 e09fbf f0808080 f08080af f08fbfbf f08282ac f8808080af",
    "surrogates": "eda080 edafbf edb080 edbfbf eda0bdedb880 edb880eda0bd eda080eda080",
    "beyond Unicode": "f4908080 f5808080 f7bfbfbf f888808080 fbbfbfbfbf fc8480808080 fdbfbfbfbfbf",
    "none": "fe ff fefeffff fffe feff fc80808080af",
    "wrong continuation": "c328 a0a1 e228a1 e28228 f0288cbc f09028bc f0288c28 c3c3 e2e2e2",
}
NO_ENCODINGS = {
    "caf\u00e9": ("latin-1", "cp1252", "iso-8859-15", "cp437", "mac-roman"),
    "\u0442\u0435\u0441\u0442": ("koi8-r", "cp1251", "iso-8859-5"),
    "\u4e2d\u6587": ("shift-jis", "euc-jp", "gb18030", "big5", "euc-kr"),
}


def no_utf_8() -> Texts:
    """Byte sequences that are no UTF-8 (RFC 3629, section 4)."""
    for byte in (*range(0x80, 0xC2), *range(0xF5, 0x100)):
        yield f"byte {byte:02x}", bytes([byte])
    for name, sequences in NO_SEQUENCES.items():
        for sequence in sequences.split():
            yield f"{name} {sequence}", bytes.fromhex(sequence)
    for encoded in (character.encode() for character in "\u00e9\u20ac\ufffd\U0001f600\U0010ffff"):
        for length in range(1, len(encoded)):
            yield f"{length} of {encoded.hex()}", encoded[:length]
            yield f"{length} of {encoded.hex()} and a letter", encoded[:length] + b"a"
            yield f"{length} of {encoded.hex()} and another", encoded[:length] + encoded
        yield f"{encoded.hex()} and a byte more", encoded + b"\x80"
    for text, encodings in NO_ENCODINGS.items():
        for encoding in encodings:
            yield f"in {encoding}", text.encode(encoding)


def invalid_values() -> Texts:
    """Texts that are no JSON value, at each place of a value."""
    for kind, texts in {
        "number": NO_NUMBERS,
        "literal": NO_LITERALS,
        "string": NO_STRINGS,
        "structure": NO_STRUCTURES,
        "surrogate": [f'"{text}"' for text in LONE_SURROGATES],
    }.items():
        for text in texts:
            yield f"{kind} {text}", text.encode()
    for byte in range(256):
        if byte not in b'"\\/bfnrtu':
            yield f"escape of {byte:02x}", b'"\\%c"' % byte
    for byte in range(0x20):
        yield f"raw {byte:02x}", b'"a%cb"' % byte
    for name, sequence in no_utf_8():
        yield f"UTF-8: {name}", b'"a' + sequence + b'"'
    for one, other in SAME_NAMES:
        yield f"twice {one} {other}", f"{{{one}:1,{other}:2}}".encode()
        yield f"twice {one} {other} with another between", f'{{{one}:1,"b":[],{other}:1}}'.encode()


def invalid() -> Texts:
    """Whole texts that must be refused."""
    for name, value in invalid_values():
        yield name, value
        yield f"{name} as the title", b'{"title":' + value + b"}"
    for name, sequence in no_utf_8():
        yield f"UTF-8: {name} in a name", b'{"title":"a","' + sequence + b'":1}'
        yield f"UTF-8: {name} between", b'{"title":' + sequence + b'"a"}'
    for text in LONE_SURROGATES:
        yield f"{text} in a name", f'{{"title":"a","{text}":1}}'.encode()
    for space in (character.encode() for character in NO_SPACES):
        for where, text in {
            "before": space + PLAIN,
            "behind": PLAIN + space,
            "inside": b"{" + space + b'"title":"a"}',
            "before a value": b'{"title":' + space + b'"a"}',
        }.items():
            yield f"{space!r} {where}", text
    yield from _cut(WHOLE.rstrip())
    yield from _nested_too_deep()
    yield from _in_other_encodings()
    yield from _in_other_formats()
    for spaces in (
        b"",
        b" ",
        b"\t",
        b"\n",
        b"\r\n",
        b" " * 1_000,
        b"\x00",
        b"\x00" * 100,
        b"\x0b",
        b"\x0c",
        b"\x1c",
        b"\xa0",
    ):
        yield f"{len(spaces)} of {spaces[:1]!r}", spaces


def _cut(text: bytes) -> Texts:
    for length in range(len(text)):
        yield f"cut at byte {length}", text[:length]
        if text[:length].strip():
            yield f"from byte {length} on", text[length:]
    for tail in (b"x", b"}", b"]", b",", b'"', b"\x00", b"1", b"null", b"{}", b" x", b"\n{}", b"\xff", b"\xef\xbb\xbf"):
        yield f"with {tail!r} behind", text + tail


def _nested_too_deep() -> Texts:
    for depth in (65, 66, 100, 128, 200, 201, 255, 256, 500, 990, 1_000, 2_000, 5_000, 10_000):
        yield f"arrays {depth} deep", b"[" * depth + b"]" * depth
        yield f"arrays {depth} deep with a value", b"[" * depth + b"1" + b"]" * depth
        yield f"objects {depth} deep", b'{"a":' * depth + b"1" + b"}" * depth
        yield f"both {depth} deep", b'[{"a":' * (depth // 2 + 1) + b"1" + b"}]" * (depth // 2 + 1)
        yield f"under the title {depth} deep", b'{"title":' + b"[" * depth + b"]" * depth + b"}"
        yield f"beside the title {depth} deep", b'{"title":"a","b":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
    for count in (1, 64, 65, 1_000, 60_000):
        yield f"{count} opening brackets", b"[" * count
        yield f"{count} closing brackets", b"]" * count
    for count in (1, 64, 65, 1_000, 10_000):
        yield f"{count} opening braces", b'{"a":' * count
        yield f"{count} of both opening", b'[{"":' * count
        yield f"{count} arrays, one of them open", b"[" * count + b"]" * (count - 1)


def _in_other_encodings() -> Texts:
    text = PLAIN.decode()
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        for sample in (text, "{}", '"a"', "1", "[]"):
            yield f"{sample} in {encoding}", sample.encode(encoding)
    for name in ("BOM_UTF16_LE", "BOM_UTF16_BE", "BOM_UTF32_LE", "BOM_UTF32_BE"):
        encoding = name.removeprefix("BOM_").lower().replace("utf", "utf-").replace("_", "-")
        mark: bytes = getattr(codecs, name)
        yield f"in {encoding} with a mark", mark + text.encode(encoding)
        yield f"in UTF-8 with a mark of {encoding}", mark + text.encode()
    mark = codecs.BOM_UTF8
    yield "mark", mark + PLAIN
    yield "two marks", mark * 2 + PLAIN
    yield "half a mark", mark[:2] + PLAIN
    yield "mark alone", mark
    yield "mark behind a space", b" " + mark + PLAIN
    for encoding in ("cp500", "cp037", "cp1140"):
        yield f"in {encoding}", text.encode(encoding)
    yield "in UTF-7", b"+AHsAIg-title+ACI:+ACI-a+ACIAfQ-"
    yield "in ISO-2022-JP", b"\x1b$B" + PLAIN + b"\x1b(B"
    yield "percent-encoded", b"%7B%22title%22%3A%22a%22%7D"
    yield "in HTML's entities", b"{&quot;title&quot;:&quot;a&quot;}"
    yield "in base64", b"eyJ0aXRsZSI6ImEifQ=="
    yield "in hexadecimal", PLAIN.hex().encode()
    yield "in rot13", b'{"gvgyr":a}'


def _in_other_formats() -> Texts:
    yield "gzip", gzip.compress(PLAIN)
    yield "CBOR", b"\xa1\x65title\x61a"
    yield "MessagePack", b"\x81\xa5title\xa1a"
    yield "BSON", b"\x16\x00\x00\x00\x02title\x00\x02\x00\x00\x00a\x00\x00"
    yield "Smile", b":)\n\x00\xfa\x84title@a\xfb"
    yield "UBJSON", b"{i\x05titleSi\x01a}"
    yield "a JSON text sequence", b"\x1e" + PLAIN + b"\n"
    yield "two lines", PLAIN + b"\n" + PLAIN
    yield "with a length", b"13:" + PLAIN + b","
    yield "a form", b"title=a"
    yield "YAML", b"title: a\n"
    yield "a YAML document", b"---\n" + PLAIN
    yield "TOML", b'title = "a"\n'
    yield "XML", b'<?xml version="1.0"?><task><title>a</title></task>'
    yield "XML with an entity", b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><title>&b;</title>'
    yield "HTML", b"<script>alert(1)</script>"
    yield "multipart", b'--a\r\nContent-Disposition: form-data; name="title"\r\n\r\na\r\n--a--\r\n'
    yield "a pickle", b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x05title\x94\x8c\x01a\x94s."
    yield "JSON5", b"{title: 'a', /* b */}"
    yield "a template", b'{{"title":"a"}}'
    yield "Protocol Buffers", b"\x0a\x01a"
