"""`tasks-api mcp`, used by the official client, in front of a running service."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx2
import pytest
from mcp import MCPError
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from server.commands.mcp import TOOLS
from tests.assistants.other_services import serving
from tests.support.document import DOCUMENT
from tests.support.service import ROOT, TLS, Service, free_port, token
from tests.support.waiting import until

pytestmark = pytest.mark.exhaustive(5)

READING = {"list_tasks", "get_task"}
NOT_IDEMPOTENT = {"create_task", "toggle_task"}
DESTRUCTIVE = {"update_task", "toggle_task", "delete_task", "complete_all_tasks", "clear_tasks"}
TASK_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
COMMAND = (sys.executable, "-m", "server", "mcp")


def without(operation_id: str) -> dict[str, Any]:
    """Return the document without an operation."""
    paths = {
        path: {method: part for method, part in item.items() if operation_id not in str(part)}
        for path, item in DOCUMENT["paths"].items()
    }
    return DOCUMENT | {"paths": paths}


def stdio(url: str, *options: str, user: str | None = None, given: str = "") -> Client:
    """A client that starts the command for a service, with the token of this user, or with the one that is given."""
    environment = {"PATH": os.environ["PATH"], "TASKS_TOKEN": token(user) if user else given}
    arguments = [*COMMAND[1:], "--url", url, *options]
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
    return json.loads(text) if text[0] in "[{" else text


async def problem(client: Client, name: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool that refuses; return the problem document."""
    (text,) = await texts(client, name, arguments, is_error=True)
    told: dict[str, Any] = json.loads(text)
    return told


async def failed(client: Client, name: str, **arguments: Any) -> Any:
    """Call a tool that refuses; return the code of the problem."""
    return (await problem(client, name, **arguments))["code"]


async def test_an_assistant_keeps_tasks_over_stdio(service: Service, new_user: Callable[[str], str]) -> None:
    async with stdio(service.url, user=new_user("mcp")) as client:
        await session(client)


async def test_callers_over_http_have_their_own_tasks(address: str, new_user: Callable[[str], str]) -> None:
    """The token of each request goes on to the service, also that of another user in between."""
    async with over_http(address, new_user("ada")) as ada, over_http(address, new_user("bob")) as bob:
        await session(ada)
        assert await done(bob, "list_tasks") == []
        assert len(await done(ada, "list_tasks")) == 1


@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_without_a_token_the_service_refuses(transport: str, service: Service, address: str) -> None:
    async with stdio(service.url) if transport == "stdio" else over_http(address) as client:
        assert await failed(client, "list_tasks") == "unauthenticated"


async def test_tools_that_change_or_destroy_say_so(address: str) -> None:
    async with over_http(address) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert tools.keys() == TOOLS.keys()
    assert len(tools) <= 12
    hints = {name: tool.annotations for name, tool in tools.items() if tool.annotations is not None}
    assert {name for name, hint in hints.items() if hint.read_only_hint} == READING
    assert {name for name, hint in hints.items() if hint.destructive_hint} == DESTRUCTIVE
    assert {name for name, hint in hints.items() if not hint.idempotent_hint} == NOT_IDEMPOTENT
    create = tools["create_task"].input_schema
    assert create["properties"]["title"]["maxLength"] == 200
    assert "id" not in create["properties"]
    assert create["required"] == ["title"]


async def test_read_only_has_no_tool_that_changes(service: Service, new_user: Callable[[str], str]) -> None:
    async with stdio(service.url, "--read-only", user=new_user("mcp")) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == READING
        with pytest.raises(MCPError, match="There is no tool create_task"):
            await client.call_tool("create_task", {"title": "Sneaky"})
        assert await done(client, "list_tasks") == []


async def test_pages_are_followed_with_their_cursor(address: str, new_user: Callable[[str], str]) -> None:
    async with over_http(address, new_user("pages")) as client:
        for number in range(3):
            await done(client, "create_task", title=f"Task {number}")
        page, more = await texts(client, "list_tasks", {"limit": 2}, is_error=False)
        cursor = more.rpartition(" ")[2]
        (rest,) = await texts(client, "list_tasks", {"limit": 2, "cursor": cursor}, is_error=False)
        assert (page.count('"id"'), rest.count('"id"')) == (2, 1)


async def test_a_page_has_fifty_tasks(address: str, service: Service, new_user: Callable[[str], str]) -> None:
    """Assistants refuse the result of a tool that is too long to read."""
    user = new_user("many")
    records = [{"title": f"Task {number}"} for number in range(51)]
    assert service.as_user(user).post("/api/tasks/import", json=records).status_code == httpx2.codes.OK
    async with over_http(address, user) as client:
        page, _ = await texts(client, "list_tasks", {}, is_error=False)
        assert (len(json.loads(page)), len(await done(client, "list_tasks", limit=1000))) == (50, 51)


async def test_callers_at_the_same_time_are_not_mixed(address: str, new_user: Callable[[str], str]) -> None:
    async def own_tasks(user: str) -> set[str]:
        async with over_http(address, user) as client:
            await asyncio.gather(*(done(client, "create_task", title="Mine") for _ in range(10)))
            return {task["user_id"] for task in await done(client, "list_tasks")}

    users = [new_user("caller") for _ in range(4)]
    assert await asyncio.gather(*map(own_tasks, users)) == [{user} for user in users]


async def test_wrong_arguments_are_named_as_the_service_does(address: str, new_user: Callable[[str], str]) -> None:
    async with over_http(address, new_user("wrong")) as client:
        told = await problem(client, "create_task", title="x" * 5000, colour="red")
        toggled = await problem(client, "toggle_task", task_id="..")
    assert (told["code"], told["errors"]) == (
        "validation-failed",
        [
            {"pointer": "/title", "detail": "must be at most 200 characters long"},
            {"pointer": "/colour", "detail": "is not a known member"},
        ],
    )
    assert [error["pointer"] for error in toggled["errors"]] == ["/task_id"]


@pytest.mark.parametrize(
    ("given", "code"),
    [(None, "token-expired"), ("not.a.token\n", "unauthenticated"), ("ä€", "unauthenticated")],
    ids=["expired", "end of line", "not ASCII"],
)
async def test_a_token_that_is_refused_says_why(given: str | None, code: str, service: Service) -> None:
    async with stdio(service.url, given=given or token("late", seconds=-60)) as client:
        assert await failed(client, "list_tasks") == code


async def test_a_token_is_never_told(service: Service) -> None:
    """A header field cannot have the line break, which the assistant must not read with the rest of the token."""
    async with stdio(service.url, given="secret\r\nX-More: 1") as client:
        assert "secret" not in "".join(await texts(client, "list_tasks", {}, is_error=True))


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"Host": "evil.example"}, 421), ({"Origin": "https://evil.example"}, 403)],
    ids=["DNS rebinding", "page of another origin"],
)
def test_pages_of_a_browser_cannot_use_it(fields: dict[str, str], status: int, address: str) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_tasks", "arguments": {}}}
    headers = {"Accept": "application/json, text/event-stream"} | fields
    assert httpx2.post(address, json=call, headers=headers, trust_env=False).status_code == status


async def test_what_is_no_success_of_the_service_is_an_error() -> None:
    """Redirects to a page for signing in, and a service that is gone. Cookies are not kept for another caller."""
    with serving(DOCUMENT) as other:
        async with stdio(other.url, user="ada") as client:
            for _ in range(2):
                assert await texts(client, "get_task", {"task_id": TASK_ID}, is_error=True) == ["302"]
            other.close()
            (text,) = await texts(client, "get_task", {"task_id": TASK_ID}, is_error=True)
    assert text == "No answer from the service (ConnectError). A change may have been made."
    assert other.cookies == [None, None]


@pytest.mark.parametrize("task_id", ["..", "../me", "", f"{TASK_ID}?permanent=true"])
async def test_an_argument_never_leads_to_another_path(
    task_id: str, address: str, new_user: Callable[[str], str]
) -> None:
    async with over_http(address, new_user("paths")) as client:
        await done(client, "create_task", title="Kept")
        await texts(client, "delete_task", {"task_id": task_id}, is_error=True)
        assert len(await done(client, "list_tasks")) == 1


def refusal(url: str) -> str:
    """Return what the command says when it does not start."""
    ran = subprocess.run([*COMMAND, "--url", url], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1), ran.stderr
    return ran.stderr.removeprefix("Error: ")


@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}", "http://["])
def test_a_service_that_is_not_there_is_named(address: str) -> None:
    url = address.format(port=free_port())
    assert refusal(url).startswith(f"{url} has no document of the tools' operations: ")


@pytest.mark.parametrize(
    ("document", "said"),
    [(without("restoreMyTask"), "KeyError('restoreMyTask')"), ([], "TypeError")],
    ids=["another version", "not a document"],
)
def test_a_document_without_an_operation_is_refused(document: Any, said: str) -> None:
    with serving(document) as other:
        assert said in refusal(other.url)


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_an_interrupt_ends_it_in_order(transport: str, service: Service) -> None:
    """Standard input stays open, as at a terminal."""
    port = free_port()
    options = ["--http", str(port)] if transport == "http" else []
    process = subprocess.Popen(  # noqa: S603
        [*COMMAND, "--url", service.url, *options],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        try:
            if options:
                until(lambda: _listens(port))
            else:
                process.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
                process.stdin.flush()
                assert b'"id":1' in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
            assert b"Traceback" not in process.stderr.read()
        finally:
            process.kill()


def test_it_has_at_most_120_lines() -> None:
    """More of our own would be a reason to leave it out."""
    assert len((ROOT / "server/commands/mcp.py").read_text().splitlines()) <= 120


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["mcp", "--url", "http://localhost"], 1, "Error: it needs the extra mcp: "),
        (["--help"], 0, "Not installed: "),
    ],
    ids=["called", "listed"],
)
def test_without_the_extra_the_command_says_what_it_needs(arguments: list[str], status: int, said: str) -> None:
    """The images do not have it."""
    code = f"import sys; sys.modules['mcp_types'] = None; from server.cli import main; main({arguments})"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert (ran.returncode, said in ran.stdout + ran.stderr) == (status, True), ran.stdout + ran.stderr
