"""Tokens whose text or header is wrong, signed with the true secret where there is a signature."""

import hashlib
import hmac
import json
import re
import zlib
from base64 import b64encode
from functools import partial

from server.auth.errors import MAX_TOKEN_BYTES
from tests.hostile.tokens.signers import Make, _signed, _unsigned, hmac_of
from tests.support.servers.issuer import (
    SECRET,
    claims,
    claims_text,
    forge,
    hs256,
    segment,
)

# Texts that are no token, or have a foreign header. The true secret signs wherever there is a signature.

TEXTS: dict[str, Make] = {
    "dots": lambda: "..",
    "two parts": lambda: hs256().rpartition(".")[0],
    "four parts": lambda: hs256() + ".e30",
    "five parts, encrypted": lambda: "e30.e30.e30.e30.e30",
    "no signature": lambda: hs256().rpartition(".")[0] + ".",
    "detached payload": lambda: re.sub(r"\..*\.", "..", hs256()),
    "padded signature": lambda: hs256() + "=",
    "padded header": lambda: hs256().replace(".", "=.", 1),
    "impossible length": lambda: "a" + hs256(),
    "standard base64": lambda: hs256().rpartition(".")[0] + "." + "+/" * 21 + "A",
    "other bits in the last character": lambda: hs256()[:-1] + chr(ord(hs256()[-1]) ^ 1),
    "not ASCII": lambda: hs256() + "é",
    "too long": lambda: hs256(pad="a" * MAX_TOKEN_BYTES),
    "header not JSON": lambda: hs256(b"alg"),
    "header not UTF-8": lambda: hs256(b'{"alg":"HS256","kid":"\xff"}'),
    "header in UTF-16": lambda: hs256('{"alg":"HS256"}'.encode("utf-16")),
    "header in UTF-16 without a mark": lambda: hs256('{"alg":"HS256"}'.encode("utf-16-le")),
    "header in UTF-32": lambda: hs256('{"alg":"HS256"}'.encode("utf-32")),
    "header with a byte order mark": lambda: hs256(b'\xef\xbb\xbf{"alg":"HS256"}'),
    "header a list": lambda: hs256([{"alg": "HS256"}]),
    "header a string": lambda: hs256("HS256"),
    "header null": lambda: hs256(b"null"),
    "header empty": lambda: hs256({}),
    "header with a comment": lambda: hs256(b'{"alg":"HS256"/**/}'),
    "header with a comma too many": lambda: hs256(b'{"alg":"HS256",}'),
    "header in single quotes": lambda: hs256(b"{'alg':'HS256'}"),
    "header with more after it": lambda: hs256(b'{"alg":"HS256"}{"alg":"none"}'),
    "header nested deeply": lambda: hs256(b'{"alg":' * 900),
    "header with alg twice": lambda: hs256(b'{"alg":"none","alg":"HS256"}'),
    "header with alg twice, escaped": lambda: hs256(rb'{"\u0061lg":"none","alg":"HS256"}'),
    "header with kid twice": lambda: hs256(b'{"alg":"HS256","kid":"a","kid":"b"}'),
    "header with NaN": lambda: hs256(b'{"alg":"HS256","x":NaN}'),
    "header with a lone surrogate": lambda: hs256(rb'{"alg":"HS256","x":"\ud800"}'),
    "alg in lower case": lambda: hs256({"alg": "hs256"}),
    "alg in white space": lambda: hs256({"alg": " HS256 "}),
    "alg with NUL": lambda: hs256({"alg": "HS256\0"}),
    "alg in full width": lambda: hs256({"alg": "ＨＳ２５６"}),  # noqa: RUF001 - they look alike, which is the point
    "alg HS512": lambda: hs256({"alg": "HS512"}),
    "alg HS384": lambda: hs256({"alg": "HS384"}),
    "alg HS512 with a signature to match": lambda: _signed({"alg": "HS512"}, hmac_of(SECRET.encode(), "sha512")),
    "alg HS384 with a signature to match": lambda: _signed({"alg": "HS384"}, hmac_of(SECRET.encode(), "sha384")),
    "alg HS1": lambda: _signed({"alg": "HS1"}, hmac_of(SECRET.encode(), "sha1")),
    "alg ES256K": lambda: hs256({"alg": "ES256K"}),
    "alg A256KW": lambda: hs256({"alg": "A256KW"}),
    "alg dir": lambda: hs256({"alg": "dir", "enc": "A256GCM"}),
    "alg a list": lambda: hs256({"alg": ["HS256"]}),
    "alg an object": lambda: hs256({"alg": {"HS256": 1}}),
    "alg a number": lambda: hs256({"alg": 256}),
    "alg true": lambda: hs256({"alg": True}),
    "alg in the payload only": lambda: hs256({"typ": "JWT"}, alg="HS256"),
    "Alg": lambda: hs256({"Alg": "HS256"}),
    "alg of an issuer, the signature that of another": lambda: hs256({"alg": "EdDSA", "kid": "ed"}),
    "crit with b64": lambda: hs256({"alg": "HS256", "crit": ["b64"], "b64": True}),
    "crit with b64 false": lambda: hs256({"alg": "HS256", "crit": ["b64"], "b64": False}),
    "crit with exp": lambda: hs256({"alg": "HS256", "crit": ["exp"], "exp": 1}),
    "crit with what nobody knows": lambda: hs256({"alg": "HS256", "crit": ["urn:x"], "urn:x": 1}),
    "crit a string": lambda: hs256({"alg": "HS256", "crit": "b64"}),
    "crit empty": lambda: hs256({"alg": "HS256", "crit": []}),
    "crit null": lambda: hs256({"alg": "HS256", "crit": None}),
    "crit false": lambda: hs256({"alg": "HS256", "crit": False}),
    "b64 false": lambda: hs256({"alg": "HS256", "b64": False}),
    "typ of another token": lambda: hs256({"alg": "HS256", "typ": "dpop+jwt"}),
    "typ of a logout token": lambda: hs256({"alg": "HS256", "typ": "logout+jwt"}),
    "typ of an encrypted one": lambda: hs256({"alg": "HS256", "typ": "JWE"}),
    "typ twice prefixed": lambda: hs256({"alg": "HS256", "typ": "application/application/jwt"}),
    "typ with a parameter": lambda: hs256({"alg": "HS256", "typ": "JWT; a=b"}),
    "typ with the Kelvin sign": lambda: hs256({"alg": "HS256", "typ": "at+jwt\N{KELVIN SIGN}"}),
    "typ empty": lambda: hs256({"alg": "HS256", "typ": ""}),
    "typ null": lambda: hs256({"alg": "HS256", "typ": None}),
    "typ a list": lambda: hs256({"alg": "HS256", "typ": ["JWT"]}),
    "kid a number": lambda: hs256({"alg": "HS256", "kid": 1}),
    "kid an object": lambda: hs256({"alg": "HS256", "kid": {}}),
    "kid a list": lambda: hs256({"alg": "HS256", "kid": ["ed"]}),
    "kid true": lambda: hs256({"alg": "HS256", "kid": True}),
    "kid null": lambda: hs256({"alg": "HS256", "kid": None}),
    "signed with another secret": lambda: forge({"alg": "HS256"}, claims(), b"another secret" * 4),
    "signed with nothing": lambda: forge({"alg": "HS256"}, claims(), b""),
    "signed with NUL": lambda: forge({"alg": "HS256"}, claims(), b"\0"),
    "signed with the secret and a line break": lambda: forge({"alg": "HS256"}, claims(), SECRET.encode() + b"\n"),
    "signed with the secret in base64": lambda: forge({"alg": "HS256"}, claims(), b64encode(SECRET.encode())),
    "signed with the digest of the secret": lambda: forge(
        {"alg": "HS256"}, claims(), hashlib.sha256(SECRET.encode()).digest()
    ),
    "signed with the name of the setting": lambda: forge({"alg": "HS256"}, claims(), b"BETTER_AUTH_SECRET"),
    "signature a plain digest": lambda: _signed({"alg": "HS256"}, lambda text: hashlib.sha256(text).digest()),
    "signature of the decoded text": lambda: ".".join(
        [
            segment({"alg": "HS256"}),
            segment(claims_text()),
            segment(hmac.digest(SECRET.encode(), b'{"alg": "HS256"}.' + claims_text(), "sha256")),
        ]
    ),
    "signature cut": lambda: hs256()[:-4],
    "payload of another token": lambda: ".".join(
        [hs256().split(".")[0], segment(claims(sub="eve")), hs256().split(".")[2]]
    ),
}

UNSENDABLE: dict[str, Make] = {
    "empty": lambda: "",
    "line break at the end": lambda: hs256() + "\n",
    "space before": lambda: " " + hs256(),
    "lone surrogate": lambda: hs256() + "\ud800",
    "NUL": lambda: hs256() + "\0",
}
"""Texts that never reach the verifier as part of a header field: HTTP forbids them."""


def without_dots(text: str, *, by: str) -> str:
    return text.replace(".", by)


OTHER_FORMS: dict[str, Make] = {
    "the header alone": lambda: hs256().split(".")[0],
    "the payload alone": lambda: hs256().split(".")[1],
    "the header and a dot": lambda: hs256().split(".")[0] + ".",
    "the header and two dots": lambda: hs256().split(".")[0] + "..",
    "without its header": lambda: hs256().partition(".")[2],
    "without its payload": lambda: "..".join(hs256().split(".")[::2]),
    "a dot before": lambda: "." + hs256(),
    "a dot after": lambda: hs256() + ".",
    "twice": lambda: f"{hs256()}.{hs256()}",
    "half of it": lambda: hs256()[: len(hs256()) // 2],
    "the first character missing": lambda: hs256()[1:],
    "backwards": lambda: hs256()[::-1],
    "in upper case": lambda: hs256().upper(),
    "parts exchanged": lambda: ".".join(hs256().split(".")[i] for i in (1, 0, 2)),
    "padded payload": lambda: "{}.{}=.{}".format(*hs256().split(".")),
    "padded everywhere": lambda: ".".join(part + "=" * (-len(part) % 4) for part in hs256(pad="a").split(".")),
    "standard alphabet in the payload": lambda: hs256(pad="Ж~~??>>").replace("_", "/").replace("-", "+") + "+",
    "spaces around the dots": lambda: without_dots(hs256(), by=" . "),
    "a space inside": lambda: hs256()[:20] + " " + hs256()[20:],
    "a tab inside": lambda: hs256()[:20] + "\t" + hs256()[20:],
    "percent-encoded dots": lambda: without_dots(hs256(), by="%2E"),
    "percent-encoded characters": lambda: "%65" + hs256()[1:],
    "a percent-encoded line break": lambda: hs256() + "%0A",
    "full-width dots": lambda: without_dots(hs256(), by="．"),  # noqa: RUF001 - they look alike, which is the point
    "a zero-width space": lambda: hs256() + "\u200b",
    "a byte order mark before": lambda: "\ufeff" + hs256(),
    "in quotes": lambda: f'"{hs256()}"',
    "in angle brackets": lambda: f"<{hs256()}>",
    "in base64 once more": lambda: segment(hs256().encode()),
    "a query beside it": lambda: hs256() + "?a=b",
    "a fragment beside it": lambda: hs256() + "#a",
    "nested": lambda: forge({"alg": "HS256", "cty": "JWT"}, hs256().encode()),
    "nested, as a string": lambda: forge({"alg": "HS256", "cty": "JWT"}, hs256()),
    "encrypted with the secret": lambda: ".".join(
        [segment({"alg": "dir", "enc": "A256GCM", "cty": "JWT"}), "", "A" * 16, segment(b"x" * 100), "A" * 22]
    ),
    "encrypted with a password": lambda: ".".join(
        [
            segment({"alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "p2c": 2_000_000_000, "p2s": "AAAA"}),
            "A" * 54,
            "A" * 16,
            "A" * 99,
            "A" * 22,
        ]
    ),
    "packed": lambda: forge({"alg": "HS256", "zip": "DEF"}, zlib.compress(claims_text())[2:-4]),
    "packed a thousandfold": lambda: forge({"alg": "HS256", "zip": "DEF"}, zlib.compress(b" " * 4_000_000)[2:-4]),
    "JSON serialisation, flattened": lambda: json.dumps(
        dict(zip(("protected", "payload", "signature"), hs256().split("."), strict=True))
    ),
    "JSON serialisation, general": lambda: json.dumps(
        {
            "payload": hs256().split(".")[1],
            "signatures": [{"protected": hs256().split(".")[0], "signature": hs256().split(".")[2]}],
        }
    ),
    "selective disclosure": lambda: hs256() + "~WyJhIiwiYiIsImMiXQ~",
    "PASETO": lambda: "v4.public." + segment(claims_text() + b"\0" * 64),
    "a cookie of the front end": lambda: "AbCdEf0123456789AbCdEf0123456789.c2lnbmF0dXJlIG9mIGEgY29va2ll%3D",
    "the secret itself": lambda: SECRET,
    "undefined": lambda: "undefined",
    "null": lambda: "null",
    "[object Object]": lambda: "[object Object]",
    "a header that shells read": lambda: "() { :; }; sleep 9",
    "a look-up": lambda: "${jndi:ldap://127.0.0.1/a}",
    "a template": lambda: "{{7*7}}.{{7*7}}.{{7*7}}",
    "SQL": lambda: "' OR '1'='1",
    "8,193 bytes": lambda: "a" * (MAX_TOKEN_BYTES - 3) + ".a.a",
    "8,193 bytes in one part": lambda: "a" * (MAX_TOKEN_BYTES + 1),
    "8,192 dots": lambda: "." * MAX_TOKEN_BYTES,
    "16 KiB, well signed": lambda: hs256(pad="a" * 12_000),
    "30 KiB, well signed": lambda: hs256(pad="a" * 22_500),
    "8 KiB of header": lambda: hs256({"alg": "HS256", "x": "a" * 5_800}, sub=None),
    "8 KiB of signature": lambda: hs256() + "A" * 7_500,
}

SPELLINGS_OF_NONE: dict[str, object] = {
    "none": "none",
    "None": "None",
    "NONE": "NONE",
    "nOnE": "nOnE",
    "noNe": "noNe",
    "none and a space": "none ",
    "a space and none": " none",
    "none and a tab": "none\t",
    "none and a line break": "none\n",
    "none and NUL": "none\0",
    "none with another o": "n\u043ene",
    "none in full width": "ｎｏｎｅ",  # noqa: RUF001 - they look alike, which is the point
    "none and a zero-width space": "none\u200b",
    "none in a list": ["none"],
    "an empty list": [],
    "an empty object": {},
    "the empty string": "",
    "null": None,
    "null, as text": "null",
    "false": False,
    "zero": 0,
    "plain": "plain",
}

NONE: dict[str, Make] = {
    **{
        f"alg {name}, {how}": partial(_unsigned, alg, how)
        for name, alg in SPELLINGS_OF_NONE.items()
        for how in ("an empty signature", "no signature", "a true one", "any")
    },
    "no alg, an empty signature": lambda: f"{segment({'typ': 'JWT'})}.{segment(claims())}.",
    "no alg, a true signature": lambda: hs256({"typ": "JWT"}),
}
