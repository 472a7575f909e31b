"""The end of a body in chunks: `MessageFraming` finds it where the parser does, or one of them refuses the body."""

import random
import time

import httptools
import pytest

from server.transport.message_framing import FramingError, MessageFraming
from tests.support.figures import Figures

SEED = 4
TRIED = 20_000
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
NEXT = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SIZES = (1, 2, 9, 10, 15, 16, 31, 32, 33, 255)
EXTENSIONS = (b"", b"", b";", b";a", b";a=b", b';a="b;c"', b"; a", b" ")
TRAILERS = (b"", b"X: a\r\n", b"X: 0\r\nY: \r\n")
READ_BYTES = 262_144
"""The most bytes that an event loop may hand over at once."""


class Parsed:
    """The events that the parser reports of a message."""

    has_ended = False

    def on_message_complete(self) -> None:
        self.has_ended = True


def chunks(chance: random.Random) -> bytes:
    """A body that may be well-formed."""
    body = b""
    for _ in range(chance.randrange(5)):
        size = chance.choice(SIZES)
        line = chance.choice([b"", b"0", b"000"]) + chance.choice([b"%x", b"%X"]) % size + chance.choice(EXTENSIONS)
        body += line + b"\r\n" + bytes(chance.choices(b"\r\n0a1;", k=size)) + b"\r\n"
    body += chance.choice([b"0", b"00", b"0;a"]) + b"\r\n" + chance.choice(TRAILERS) + b"\r\n"
    if chance.random() < 0.4:
        damaged = bytearray(body)
        damaged[chance.randrange(len(body))] = chance.choice(b"\r\n01;a ")
        return bytes(damaged)
    return body


def ends(sent: bytes, step: int) -> tuple[bool, bool] | None:
    """Feed both in steps of this size. Returns whether each has seen the end, or None if one refused the body."""
    framing, parsed = MessageFraming(), Parsed()
    parser = httptools.HttpRequestParser(parsed)
    parser.feed_data(HEAD)
    framing.begin_body(None)
    try:
        for at in range(0, len(sent), step):
            piece = sent[at : at + step]
            parser.feed_data(piece[: framing.end_of_part(piece, 0)])
            if framing.has_ended or parsed.has_ended:
                break
    except (FramingError, httptools.HttpParserError):
        return None
    return framing.has_ended, parsed.has_ended


@pytest.mark.parametrize("step", [1, 3, 1_000])
def test_both_see_the_same_end_of_chunks(figures: Figures, step: int) -> None:
    chance = random.Random(SEED)  # noqa: S311  nothing depends on it
    found = [ends(chunks(chance) + NEXT, step) for _ in range(TRIED)]
    assert set(found) == {None, (True, True), (False, False)}
    assert found.count((True, True)) > TRIED / 3
    figures("Bodies in odd chunks", TRIED, TRIED)


SMALL = [b"1\r\na\r\n", b"01\r\na\r\n", b"1;a\r\na\r\n", b"A\r\naaaaaaaaaa\r\n", b"1F;\r\n" + b"a" * 31 + b"\r\n"]


@pytest.mark.parametrize("chunk", SMALL, ids=repr)
def test_small_chunks_take_little_time(chunk: bytes) -> None:
    """Looked at one by one, those that arrive at once took 80 ms."""
    framing = MessageFraming()
    framing.begin_body(None)
    body = chunk * (READ_BYTES // len(chunk))
    start = time.process_time()
    assert framing.end_of_part(body, 0) == len(body)
    assert time.process_time() - start < 0.020
