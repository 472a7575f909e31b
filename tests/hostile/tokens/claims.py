"""Well-signed claims that are refused, and good tokens in the wrong place."""

import json
import time
import zlib
from base64 import b64encode
from collections.abc import Callable
from functools import partial

from tests.support.servers.issuer import (
    COOKIE,
    FRONT_END,
    claims,
    claims_text,
)

# Claims that are refused although their signature is good.

_NOT_TIMES: dict[str, str] = {
    "true": "true",
    "false": "false",
    "null": "null",
    "a list": "[4102444800]",
    "an empty list": "[]",
    "an object": "{}",
    "text": '"4102444800"',
    "text, small": '"1"',
    "empty text": '""',
    "other digits": '"٤١٠٢٤٤٤٨٠٠"',
    "a date": '"2100-01-01T00:00:00Z"',
    "1e400": "1e400",
    "-1e400": "-1e400",
    "1e308": "1e308",
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "NaN as text": '"NaN"',
    "Infinity as text": '"Infinity"',
    "hexadecimal": "0xF4865700",
    "octal": "0o36441653400",
    "with a zero before": "04102444800",
    "with a plus": "+4102444800",
    "with an underscore": "4_102_444_800",
    "with a dot at its end": "4102444800.",
    "with a dot at its start": ".4102444800",
    "of 4,000 digits": "9" * 4_000,
    "of 5,000 digits": "9" * 5_000,
}

_NOT_SUBJECTS: dict[str, str] = {
    "missing": "",
    "null": "null",
    "true": "true",
    "zero": "0",
    "a number": "5",
    "a fraction": "1.5",
    "a list": '["ada"]',
    "an empty list": "[]",
    "an object": '{"id":"ada"}',
    "empty": '""',
    "NUL": r'"\u0000"',
    "with NUL at its end": r'"ada\u0000"',
    "with NUL inside": r'"a\u0000da"',
    "256 characters": f'"{"a" * 256}"',
    "256 wide characters": '"' + "Ж" * 256 + '"',
    "7,000 characters": f'"{"a" * 5_500}"',
    "a lone surrogate": r'"\ud800"',
    "a lone low surrogate": r'"\udc00"',
    "surrogates exchanged": r'"\udc00\ud800"',
    "an escape that is none": r'"\q"',
    "a raw control character": '"a\tda"',
    "not closed": '"ada',
}

PAYLOADS: dict[str, Callable[[], bytes]] = {
    **{
        f"{claim} {name}": partial(claims_text, **{claim: text})
        for claim in ("exp", "nbf", "iat")
        for name, text in _NOT_TIMES.items()
    },
    **{f"sub {name}": partial(claims_text, sub=text) for name, text in _NOT_SUBJECTS.items()},
    "not JSON": lambda: b"sub",
    "nothing": lambda: b" ",
    "a list": lambda: json.dumps([claims()]).encode(),
    "a string": lambda: b'"ada"',
    "a string of JSON": lambda: json.dumps(claims_text().decode()).encode(),
    "null": lambda: b"null",
    "a number": lambda: b"5",
    "empty": lambda: b"{}",
    "nested deeply": lambda: claims_text('"x":' + "[" * 4000 + "]" * 1000),
    "nested deeply and complete": lambda: claims_text('"x":' + "[" * 1500 + "]" * 1500),
    "objects nested deeply": lambda: claims_text('"x":' + '{"x":' * 900 + "1" + "}" * 900),
    "not UTF-8": lambda: claims_text().replace(b"ada", b"ad\xff"),
    "an overlong NUL": lambda: claims_text().replace(b"ada", b"ada\xc0\x80"),
    "an overlong quote": lambda: claims_text().replace(b'"ada"', b'\xc0\xa2ada"'),
    "a surrogate in UTF-8": lambda: claims_text().replace(b"ada", b"\xed\xa0\x80"),
    "beyond Unicode": lambda: claims_text().replace(b"ada", b"\xf4\x90\x80\x80"),
    "in UTF-16": lambda: claims_text().decode().encode("utf-16"),
    "in UTF-16, little-endian": lambda: claims_text().decode().encode("utf-16-le"),
    "in UTF-16, big-endian": lambda: claims_text().decode().encode("utf-16-be"),
    "in UTF-32": lambda: claims_text().decode().encode("utf-32"),
    "in UTF-32, little-endian": lambda: claims_text().decode().encode("utf-32-le"),
    "in UTF-7": lambda: claims_text().decode().encode("utf-7").replace(b'"ada"', b"+ACI-ada+ACI-"),
    "a byte order mark before": lambda: b"\xef\xbb\xbf" + claims_text(),
    "NUL before": lambda: b"\0" + claims_text(),
    "NUL after": lambda: claims_text() + b"\0",
    "a no-break space before": lambda: b"\xc2\xa0" + claims_text(),
    "cut": lambda: claims_text()[:-1],
    "with more after it": lambda: claims_text() + b"{}",
    "with a comment": lambda: claims_text().replace(b"{", b"{/**/"),
    "with a comma too many": lambda: claims_text()[:-1] + b",}",
    "in single quotes": lambda: claims_text().replace(b'"', b"'"),
    "packed": lambda: zlib.compress(claims_text()),
    "sub twice": lambda: claims_text('"sub":"eve"'),
    "sub twice, the same": lambda: claims_text('"sub":"ada"'),
    "sub twice, escaped": lambda: claims_text(r'"\u0073ub":"eve"'),
    "exp twice": lambda: claims_text('"exp":4102444800'),
    "aud twice": lambda: claims_text(f'"aud":"{FRONT_END}"'),
    "a claim inside twice": lambda: claims_text('"user":{"id":1,"id":2}'),
    "NaN": lambda: claims_text('"x":NaN'),
    "Infinity": lambda: claims_text('"x":-Infinity'),
    "a lone surrogate in a claim": lambda: claims_text(r'"email":"\ud800"'),
    "a lone surrogate in a name": lambda: claims_text(r'"\ud800":1'),
    "exp missing": lambda: claims_text(exp=""),
    "exp past": lambda: claims_text(exp=str(time.time() - 31)),
    "exp long past": lambda: claims_text(exp="1"),
    "exp zero": lambda: claims_text(exp="0"),
    "exp minus zero": lambda: claims_text(exp="-0"),
    "exp minus zero, a fraction": lambda: claims_text(exp="-0.0"),
    "exp negative": lambda: claims_text(exp="-1"),
    "exp very negative": lambda: claims_text(exp="-" + "9" * 400),
    "exp in the year 10000": lambda: claims_text(exp="253402300800"),
    "exp in milliseconds": lambda: claims_text(exp=str(int(time.time() + 900) * 1000)),
    "exp that rounds into the year 10000": lambda: claims_text(exp="253402300799.9999999"),
    "exp in a name of other letters": lambda: claims_text('"Exp":4102444800', exp=""),
    "nbf in the future": lambda: claims_text(nbf=str(time.time() + 60)),
    "nbf in milliseconds": lambda: claims_text(nbf=str(int(time.time()) * 1000)),
    "iat in the future": lambda: claims_text(iat=str(time.time() + 60)),
    "iat in milliseconds": lambda: claims_text(iat=str(int(time.time()) * 1000)),
    "jti a number": lambda: claims_text(jti="5"),
    "jti a list": lambda: claims_text(jti="[]"),
}

COOKIES: dict[str, Callable[[], bytes]] = {
    "session cookie": lambda: claims_text(aud=f'"{COOKIE}"'),
    "session cookie in a list": lambda: claims_text(aud=f'["{FRONT_END}","{COOKIE}"]'),
    "another cookie of the front end": lambda: claims_text(aud='"better-auth:"'),
}
"""Tokens that Better Auth signs with the same secret for its own use."""

_NOT_NAMES: dict[str, str] = {
    "missing": "",
    "null": "null",
    "true": "true",
    "a number": "5",
    "an empty list": "[]",
    "an object": "{}",
    "empty": '""',
    "another": '"https://other.example"',
    "nearly the same": f'"{FRONT_END}/"',
    "with another after it": f'"{FRONT_END}.evil.example"',
    "in other letters": f'"{FRONT_END.upper()}"',
    "a prefix": f'"{FRONT_END[:-1]}"',
    "with NUL": f'"{FRONT_END}\\u0000"',
    "with a space": f'"{FRONT_END} "',
    "in a list in a list": f'[["{FRONT_END}"]]',
    "an object with it": f'{{"{FRONT_END}":1}}',
    "two in one text": f'"{FRONT_END},https://other.example"',
    "a list of others": '["https://other.example","x"]',
    "a list with a number": f'["{FRONT_END}",5]',
    "a list with null": f'[null,"{FRONT_END}"]',
    "a pattern": '"*"',
}

BINDINGS: dict[str, Callable[[], bytes]] = {
    **{f"aud {name}": partial(claims_text, aud=text) for name, text in _NOT_NAMES.items()},
    **{f"iss {name}": partial(claims_text, iss=text) for name, text in _NOT_NAMES.items()},
    "iss a list": lambda: claims_text(iss=f'["{FRONT_END}"]'),
    "aud and iss exchanged with the rest": lambda: claims_text(aud='"ada"', iss='"ada"'),
}
"""Claims that matter if an audience and an issuer are configured."""

# Requests with a good token in a wrong place, or with a second one.

Lines = list[bytes]


def _basic(token: bytes) -> bytes:
    return b64encode(b"ada:" + token)


def _bearer(*fields: bytes) -> Lines:
    return [b"Authorization: " + field for field in fields]


REQUESTS: dict[str, Callable[[bytes], Lines]] = {
    "no header": lambda _: [],
    "an empty header": lambda _: [b"Authorization:"],
    "a blank header": lambda _: [b"Authorization:   "],
    "the scheme alone": lambda _: _bearer(b"Bearer"),
    "the scheme and a space": lambda _: _bearer(b"Bearer "),
    "no scheme": _bearer,
    "Basic": lambda token: _bearer(b"Basic " + token),
    "Basic with it as the password": lambda token: _bearer(b"Basic " + _basic(token)),
    "Digest": lambda token: _bearer(b"Digest " + token),
    "DPoP": lambda token: _bearer(b"DPoP " + token),
    "OAuth": lambda token: _bearer(b"OAuth " + token),
    "Token": lambda token: _bearer(b"Token " + token),
    "JWT": lambda token: _bearer(b"JWT " + token),
    "Negotiate": lambda token: _bearer(b"Negotiate " + token),
    "Bearers": lambda token: _bearer(b"Bearers " + token),
    "earer": lambda token: _bearer(b"earer " + token),
    "the scheme in full width": lambda token: _bearer("Ｂearer ".encode() + token),  # noqa: RUF001 - it looks alike
    "a colon after the scheme": lambda token: _bearer(b"Bearer: " + token),
    "a colon and no space": lambda token: _bearer(b"Bearer:" + token),
    "an equals sign": lambda token: _bearer(b"Bearer=" + token),
    "nothing between": lambda token: _bearer(b"Bearer" + token),
    "a tab between": lambda token: _bearer(b"Bearer\t" + token),
    "a tab after the space": lambda token: _bearer(b"Bearer \t" + token),
    "a no-break space between": lambda token: _bearer(b"Bearer\xa0" + token),
    "a plus between": lambda token: _bearer(b"Bearer+" + token),
    "a percent-encoded space": lambda token: _bearer(b"Bearer%20" + token),
    "the scheme twice": lambda token: _bearer(b"Bearer Bearer " + token),
    "the scheme twice in a row": lambda token: _bearer(b"BearerBearer " + token),
    "another scheme before": lambda token: _bearer(b"Basic Bearer " + token),
    "a tab at the end": lambda token: _bearer(b"Bearer " + token + b"\t"),
    "the token twice": lambda token: _bearer(b"Bearer " + token + b" " + token),
    "a list of tokens": lambda token: _bearer(b"Bearer " + token + b"," + token),
    "a list of credentials": lambda token: _bearer(b"Bearer " + token + b", Bearer " + token),
    "a list with nothing": lambda token: _bearer(b"Bearer " + token + b","),
    "a list that begins with nothing": lambda token: _bearer(b", Bearer " + token),
    "a semicolon after": lambda token: _bearer(b"Bearer " + token + b";"),
    "a parameter after": lambda token: _bearer(b"Bearer " + token + b' realm="tasks-api"'),
    "as a parameter": lambda token: _bearer(b'Bearer token="' + token + b'"'),
    "in quotes": lambda token: _bearer(b'Bearer "' + token + b'"'),
    "a comment after": lambda token: _bearer(b"Bearer " + token + b" (mine)"),
    "a form feed after": lambda token: _bearer(b"Bearer " + token + b"\xc2\x85"),
    "two good ones": lambda token: _bearer(b"Bearer " + token, b"Bearer " + token),
    "a good and a bad one": lambda token: _bearer(b"Bearer " + token, b"Bearer e30.e30.e30"),
    "a bad and a good one": lambda token: _bearer(b"Bearer e30.e30.e30", b"Bearer " + token),
    "a good and an empty one": lambda token: _bearer(b"Bearer " + token, b""),
    "an empty and a good one": lambda token: _bearer(b"", b"Bearer " + token),
    "a good one and Basic": lambda token: _bearer(b"Bearer " + token, b"Basic YTpi"),
    "Basic and a good one": lambda token: _bearer(b"Basic YTpi", b"Bearer " + token),
    "two, named in other letters": lambda token: [b"authorization: Bearer x", b"AUTHORIZATION: Bearer " + token],
    "ten good ones": lambda token: _bearer(*[b"Bearer " + token] * 10),
    "in a cookie": lambda token: [b"Cookie: token=" + token],
    "in the cookie of the session": lambda token: [b"Cookie: better-auth.session_token=" + token],
    "in the cookie of the session's cache": lambda token: [b"Cookie: __Secure-better-auth.session_data=" + token],
    "in a cookie called authorization": lambda token: [b"Cookie: Authorization=Bearer " + token],
    "for the proxy": lambda token: [b"Proxy-Authorization: Bearer " + token],
    "in X-Authorization": lambda token: [b"X-Authorization: Bearer " + token],
    "in X-Forwarded-Authorization": lambda token: [b"X-Forwarded-Authorization: Bearer " + token],
    "in X-Access-Token": lambda token: [b"X-Access-Token: " + token],
    "in X-Api-Key": lambda token: [b"X-Api-Key: " + token],
    "in a name with a low line": lambda token: [b"HTTP_AUTHORIZATION: Bearer " + token],
    "in WWW-Authenticate": lambda token: [b"WWW-Authenticate: Bearer " + token],
    "a user that a proxy might name": lambda _: [b"X-Forwarded-User: ada", b"X-Remote-User: ada", b"Remote-User: ada"],
    "the original address": lambda _: [b"X-Original-URL: /health", b"X-Rewrite-URL: /health"],
}

QUERIES = ("access_token", "token", "jwt", "authorization", "Authorization", "auth", "bearer", "id_token")
"""Parameters from which other software reads a token (RFC 6750, section 2.3 has the first, and advises against it)."""
