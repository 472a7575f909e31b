"""The cost and the effect of the content codings on a page of 1,000 tasks, in the process."""

import asyncio
import random
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson

from bench.load import Sample
from bench.operations import user_id
from bench.parts import Options
from bench.results import Part
from bench.servers import ROOT
from server.formats.content_coding import CODINGS, PIECE_BYTES, compress, encode

_BATCHES = 9
_TIMES = 20
_TASKS = 1_000
_COMPLETED = 0.5


def compression(_options: Options) -> Part:
    """Bytes of the page in each coding, microseconds to make them, and the longest time that the event loop is held."""
    page = _page(_TASKS)
    fields: dict[str, Mapping[bytes, bytes]] = {"none": {}}
    fields |= {coding: {b"accept-encoding": coding.encode()} for coding in CODINGS}
    samples: list[Sample] = []
    for number in range(_BATCHES):
        for coding, asked in fields.items():
            samples.append({"kind": coding, "round": number, **asyncio.run(_measure(page, coding, asked))})
    return Part({"tasks": _TASKS, "piece_bytes": PIECE_BYTES}, samples)


def _page(tasks: int) -> bytes:
    """A page as the service sends it. Its ids and moments differ as those of a real list, and its texts are words."""
    chance = random.Random(0)  # nosec B311  # noqa: S311  the same page each time
    words = sorted(set(re.findall(r"[A-Za-z]+", (ROOT / "openapi" / "guide.md").read_text())))
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    page = []
    for _ in range(tasks):
        moment = begin + timedelta(microseconds=chance.randrange(10**13))
        page.append(
            {
                "id": str(UUID(int=chance.getrandbits(128), version=4)),
                "user_id": user_id(0),
                "title": " ".join(chance.choices(words, k=4)),
                "description": " ".join(chance.choices(words, k=7)),
                "completed": chance.random() < _COMPLETED,
                "created_at": moment,
                "updated_at": moment + timedelta(microseconds=chance.randrange(10**12)),
            }
        )
    return orjson.dumps(page, option=orjson.OPT_UTC_Z)


async def _measure(page: bytes, coding: str, fields: Mapping[bytes, bytes]) -> Sample:
    """Microseconds of CPU for a page, its bytes, and the longest piece in microseconds."""
    begun = time.process_time()
    for _ in range(_TIMES):
        _, content = await encode([], page, fields)
    us = (time.process_time() - begun) * 1e6 / _TIMES
    held = 0.0 if coding == "none" else await _held(page, coding)
    return {"us": round(us, 1), "bytes": len(content), "held_us": round(held, 1)}


async def _held(page: bytes, coding: str) -> float:
    """The longest time between two turns of another task while the page is compressed, in microseconds."""
    work = asyncio.create_task(compress(page, coding))
    longest = 0.0
    while not work.done():
        begun = time.perf_counter()
        await asyncio.sleep(0)
        longest = max(longest, time.perf_counter() - begun)
    return longest * 1e6
