"""The parts of uvicorn 0.54 that server/http_protocol.py uses and that no documentation promises.

pyproject.toml pins the minor version. When a new one is taken, these tests name what would break.
"""

import asyncio
import inspect
import re

import httptools
import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from server.http_protocol import ProblemProtocol
from server.transport.framed_protocol import FramedProtocol

ATTRIBUTES = (
    "connections",
    "cycle",
    "flow",
    "headers",
    "loop",
    "parser",
    "pipeline",
    "scope",
    "tasks",
    "timeout_keep_alive",
    "transport",
    "url",
)
METHODS = {
    "_start_asgi_task": ["self", "cycle", "app"],
    "connection_lost": ["self", "exc"],
    "connection_made": ["self", "transport"],
    "data_received": ["self", "data"],
    "eof_received": ["self"],
    "on_body": ["self", "body"],
    "on_headers_complete": ["self"],
    "on_message_begin": ["self"],
    "on_message_complete": ["self"],
    "on_response_complete": ["self"],
    "resume_writing": ["self"],
    "send_400_response": ["self", "msg"],
    "shutdown": ["self"],
}
CYCLE_ATTRIBUTES = (
    "body",
    "disconnected",
    "keep_alive",
    "more_body",
    "response_complete",
    "response_started",
    "scope",
)


async def _protocol() -> HttpToolsProtocol:
    config = uvicorn.Config(lambda: None, lifespan="off")
    config.load()
    protocol = HttpToolsProtocol(config, ServerState(), {}, asyncio.get_running_loop())
    protocol.on_message_begin()
    return protocol


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_the_protocol_has_the_attribute(name: str) -> None:
    async def has() -> bool:
        return hasattr(await _protocol(), name)

    assert asyncio.run(has())


@pytest.mark.parametrize("name", METHODS)
def test_the_overridden_method_exists(name: str) -> None:
    assert list(inspect.signature(getattr(HttpToolsProtocol, name)).parameters) == METHODS[name]
    assert name in {*vars(ProblemProtocol), *vars(FramedProtocol)}


@pytest.mark.parametrize("name", CYCLE_ATTRIBUTES)
def test_the_cycle_has_the_attribute(name: str) -> None:
    assert name in inspect.getsource(RequestResponseCycle.__init__)


@pytest.mark.parametrize("name", ["read_paused", "write_paused"])
def test_flow_control_has_the_attribute(name: str) -> None:
    assert name in inspect.getsource(FlowControl.__init__)


def test_the_start_of_a_request_is_what_we_override() -> None:
    """`_start_asgi_task` does nothing but make the task, in a new context where the configuration says so."""
    source = inspect.getsource(HttpToolsProtocol._start_asgi_task)  # noqa: SLF001  the method is the subject
    assert source.count("create_task") == 3
    assert "reset_contextvars" in source


def test_the_cycle_uses_little_of_its_transport() -> None:
    """The last answer to a client that goes on sending has a stand-in for one, `_GentlyClosed`."""
    used = set(re.findall(r"self\.transport\.(\w+)", inspect.getsource(RequestResponseCycle)))
    assert used == {"close", "is_closing", "write"}


def test_the_parser_tells_of_an_upgrade() -> None:
    assert hasattr(httptools.HttpRequestParser, "should_upgrade")
