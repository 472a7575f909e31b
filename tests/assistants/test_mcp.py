"""`tasks-api mcp`, used by the official client, in front of a running service."""

import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from server.commands.mcp import TOOLS
from tests.support.service import ROOT, TLS, Service, free_port, token
from tests.support.waiting import until

pytestmark = pytest.mark.exhaustive(5)

READING = {"list_tasks", "get_task"}
DESTRUCTIVE = {"update_task", "toggle_task", "delete_task", "complete_all_tasks", "clear_tasks"}
COMMAND = (sys.executable, "-m", "server", "mcp")


def stdio(service: Service, *options: str, user: str | None = None) -> Client:
    """A client that starts the command, with the token of this user."""
    environment = {"PATH": os.environ["PATH"]} | ({"TASKS_TOKEN": token(user)} if user else {})
    arguments = [*COMMAND[1:], "--url", service.url, *options]
    return Client(StdioServerParameters(command=COMMAND[0], args=arguments, env=environment, cwd=ROOT))


@pytest.fixture(scope="module")
def address(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the command as an HTTP server."""
    port = free_port()
    log = tmp_path_factory.mktemp("mcp") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            [*COMMAND, "--url", service.url, "--http", str(port)], cwd=ROOT, stdout=output, stderr=output
        )
    try:
        until(lambda: _listens(port))
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait(10)
    assert b"Traceback" not in log.read_bytes()


def _listens(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code == httpx2.codes.NOT_FOUND
    except httpx2.ConnectError:
        return False


@contextlib.asynccontextmanager
async def over_http(address: str, user: str | None = None) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token(user)}"} if user else {}
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False, verify=TLS, timeout=30) as http,
        Client(streamable_http_client(address, http_client=http)) as client,
    ):
        yield client


async def session(client: Client) -> None:
    """Make a task, change it, delete it and get it back."""
    task = await done(client, "create_task", title="Call the dentist", description="At nine")
    assert (task["title"], task["completed"]) == ("Call the dentist", False)
    task_id = task["id"]
    assert (await done(client, "update_task", task_id=task_id, title="Call her"))["title"] == "Call her"
    assert (await done(client, "toggle_task", task_id=task_id))["completed"] is True
    assert [one["id"] for one in await done(client, "list_tasks", status="completed")] == [task_id]
    assert await done(client, "delete_task", task_id=task_id, permanent=False) == "Done."
    assert await failed(client, "get_task", task_id=task_id) == "task-not-found"
    assert (await done(client, "restore_task", task_id=task_id))["description"] == "At nine"
    assert await done(client, "complete_all_tasks", completed=False) == {"count": 1}
    assert (await done(client, "get_task", task_id=task_id))["completed"] is False


async def texts(client: Client, name: str, arguments: dict[str, Any], *, is_error: bool) -> list[str]:
    result = await client.call_tool(name, arguments)
    said = [part.text for part in result.content if part.type == "text"]
    assert result.is_error is is_error, said
    return said


async def done(client: Client, name: str, **arguments: Any) -> Any:
    (text,) = await texts(client, name, arguments, is_error=False)
    return httpx2.Response(200, text=text).json() if text[0] in "[{" else text


async def failed(client: Client, name: str, **arguments: Any) -> str:
    """Call a tool that is refused by the service; return the code of the problem."""
    (text,) = await texts(client, name, arguments, is_error=True)
    code: str = httpx2.Response(200, text=text).json()["code"]
    return code


async def test_an_assistant_keeps_tasks_over_stdio(service: Service, new_user: Callable[[str], str]) -> None:
    async with stdio(service, user=new_user("mcp")) as client:
        await session(client)


async def test_callers_over_http_have_their_own_tasks(address: str, new_user: Callable[[str], str]) -> None:
    """The token of each request goes on to the service, also that of another user in between."""
    async with over_http(address, new_user("ada")) as ada, over_http(address, new_user("bob")) as bob:
        await session(ada)
        assert await done(bob, "list_tasks") == []
        assert len(await done(ada, "list_tasks")) == 1


@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_without_a_token_the_service_refuses(transport: str, service: Service, address: str) -> None:
    async with stdio(service) if transport == "stdio" else over_http(address) as client:
        assert await failed(client, "list_tasks") == "unauthenticated"


async def test_tools_that_change_or_destroy_say_so(address: str) -> None:
    async with over_http(address) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert tools.keys() == TOOLS.keys()
    assert len(tools) <= 12
    hints = {name: tool.annotations for name, tool in tools.items() if tool.annotations is not None}
    assert {name for name, hint in hints.items() if hint.read_only_hint} == READING
    assert {name for name, hint in hints.items() if hint.destructive_hint} == DESTRUCTIVE
    create = tools["create_task"].input_schema
    assert create["properties"]["title"]["maxLength"] == 200
    assert "id" not in create["properties"]
    assert create["required"] == ["title"]


async def test_read_only_has_no_tool_that_changes(service: Service, new_user: Callable[[str], str]) -> None:
    async with stdio(service, "--read-only", user=new_user("mcp")) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == READING
        await texts(client, "create_task", {"title": "Sneaky"}, is_error=True)
        assert await done(client, "list_tasks") == []


async def test_pages_are_followed_with_their_cursor(address: str, new_user: Callable[[str], str]) -> None:
    async with over_http(address, new_user("pages")) as client:
        for number in range(3):
            await done(client, "create_task", title=f"Task {number}")
        page, more = await texts(client, "list_tasks", {"limit": 2}, is_error=False)
        cursor = more.rpartition(" ")[2]
        (rest,) = await texts(client, "list_tasks", {"limit": 2, "cursor": cursor}, is_error=False)
        assert (page.count('"id"'), rest.count('"id"')) == (2, 1)


@pytest.mark.parametrize("task_id", ["..", "../me", "", "01890a5d-ac96-774b-bcce-b302099a8057?permanent=true"])
async def test_an_argument_never_leads_to_another_path(
    task_id: str, address: str, new_user: Callable[[str], str]
) -> None:
    async with over_http(address, new_user("paths")) as client:
        await done(client, "create_task", title="Kept")
        await texts(client, "delete_task", {"task_id": task_id}, is_error=True)
        assert len(await done(client, "list_tasks")) == 1


def test_a_service_that_is_not_there_is_named(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    ran = subprocess.run([*COMMAND, "--url", url], cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"Error: {url} has no document: ")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["mcp", "--url", "http://localhost"], 1, "Error: it needs: pip install 'tasks-api[mcp]'"),
        (["--help"], 0, "Not installed: "),
    ],
    ids=["called", "listed"],
)
def test_without_the_extra_the_command_says_what_it_needs(arguments: list[str], status: int, said: str) -> None:
    """The images do not have it."""
    code = f"import sys; sys.modules['mcp_types'] = None; from server.cli import main; main({arguments})"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert (ran.returncode, said in ran.stdout + ran.stderr) == (status, True), ran.stdout + ran.stderr
