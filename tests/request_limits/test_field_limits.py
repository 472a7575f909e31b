"""The limits of header fields are those of the document."""

from pathlib import Path

import httpx2
import pytest

from server.middleware.request_limits import HEADER_BYTES, HEADER_FIELDS
from server.request_context import TARGET_BYTES
from tests.contract.overlays import app_with, update
from tests.support.document import DOCUMENT


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("Accept", "*/*".ljust(2_000), 200),
        ("Accept", "*/*".ljust(2_001), 431),
        ("X-Any", "a" * 3_000, 200),
        ("X-Any", "a" * 3_001, 431),
        ("Cookie", "a" * 100, 200),
        ("Cookie", "a" * 101, 431),
    ],
)
async def test_an_overlay_changes_the_limit_of_a_field(tmp_path: Path, field: str, value: str, status: int) -> None:
    limits = {"default": 3_000, "Accept": 2_000, "cookie": 100}
    app = app_with(tmp_path, update("$['x-max-field-bytes']", limits))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://tasks.test") as client:
        assert (await client.get("/health", headers={field: value})).status_code == status


def test_the_document_states_the_limits_of_the_whole_head() -> None:
    description = " ".join(DOCUMENT["components"]["responses"]["RequestRefused"]["description"].split())
    assert f"The path and query together have at most {TARGET_BYTES:,} bytes." in description
    assert f"together have at most {HEADER_BYTES:,} bytes in at most {HEADER_FIELDS} fields." in description
