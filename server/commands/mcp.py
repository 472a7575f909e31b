"""`tasks-api mcp`: an MCP server for assistants, which calls a running service. It needs the extra `tasks-api[mcp]`.

Its tools are operations of the service's own document, with their parameters and bodies as one object of arguments.
Source: Model Context Protocol, revision 2025-11-25, "Tools" and "Transports".
"""

import os
import signal
from collections.abc import Mapping
from typing import Any, Final

import anyio
import click
import httpx2
import mcp_types as types
import uvicorn
from connexion.json_schema import resolve_refs
from mcp import MCPError
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from server.contract.document import operations
from server.contract.read_only import writable
from server.contract.schemas import Validator, to_json_schema
from server.problems import validation_failed

TOOLS: Final = {
    "list_tasks": "listMyTasks", "get_task": "getMyTask", "create_task": "createMyTask",
    "update_task": "updateMyTask", "toggle_task": "toggleMyTask", "delete_task": "deleteMyTask",
    "restore_task": "restoreMyTask", "complete_all_tasks": "completeAllMyTasks", "clear_tasks": "clearMyTasks",
}  # fmt: skip
"""The operation of each tool."""
_PAGE: Final = {"limit": 50}  # The 1000 of the document are more than assistants take at once.


class Tool:
    """One operation as a tool."""

    def __init__(self, name: str, paths: Mapping[str, Any], path: str, method: str) -> None:
        operation = paths[path][method]
        every = (*paths[path].get("parameters", ()), *operation.get("parameters", ()))
        given = {one["name"]: one for one in every if one["in"] != "header"}
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        own = writable(body or {"type": "object", "additionalProperties": False, "properties": {}})
        members = {one: given[one]["schema"] | {"description": given[one]["description"]} for one in given}
        required = [*(one for one in given if given[one].get("required")), *own.get("required", ())]
        schema = {**own, "properties": members | own["properties"], "required": required}
        self._path, self._method, self._given, self._has_body = path, method, given, body is not None
        self._validator, self.hints = Validator(schema), types.ToolAnnotations(open_world_hint=False)
        self.hints.read_only_hint = method == "get"
        self.hints.destructive_hint = method not in ("get", "post")  # POST makes a task, or gets one back.
        self.hints.idempotent_hint = name not in ("create_task", "toggle_task")
        self.described = types.Tool(name=name, input_schema=to_json_schema(schema), annotations=self.hints)
        self.described.title, self.described.description = operation["summary"], operation["description"]

    async def call(self, client: httpx2.AsyncClient, token: str, arguments: dict[str, Any]) -> tuple[bool, list[str]]:
        """Return whether the request succeeded with the caller's token, and what the service says."""
        # The service validates, too; but `..` as a parameter would lead to another path.
        if wrong := self._validator.violations(arguments, "pointer"):
            return False, [validation_failed(wrong).render(self._path)[1].decode()]
        sent: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "body": {}}
        for name, value in (_PAGE | arguments if "limit" in self._given else arguments).items():
            sent[self._given.get(name, {"in": "body"})["in"]][name] = value
        url, body = self._path.format_map(sent["path"]), sent["body"] if self._has_body else None
        headers = {b"Authorization": token.encode("latin-1", "replace")} if token else {}
        client.cookies.clear()  # They were set for another caller.
        try:
            response = await client.request(self._method, url, params=sent["query"], json=body, headers=headers)
        except httpx2.RequestError as error:
            return False, [f"No answer from the service ({type(error).__name__}). A change may have been made."]
        said = [response.text or ("Done." if response.is_success else str(response.status_code))]
        if "next" in response.links:
            cursor = httpx2.URL(response.links["next"]["url"]).params["cursor"]
            said.append(f"There are more: ask again with the cursor {cursor}")
        return response.is_success, said


def make_server(document: Mapping[str, Any], client: httpx2.AsyncClient, token: str, *, read_only: bool) -> Server:
    """Return a server whose tools send the bearer token of the HTTP request, or else `token`, on to the service."""
    found = {operation["operationId"]: (path, method) for path, method, operation in operations(document)}
    made = {name: Tool(name, document["paths"], *found[operation_id]) for name, operation_id in TOOLS.items()}
    tools = {name: tool for name, tool in made.items() if tool.hints.read_only_hint or not read_only}

    async def list_tools(*_: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[tool.described for tool in tools.values()])

    async def call_tool(context: Any, asked: types.CallToolRequestParams) -> types.CallToolResult:
        if asked.name not in tools:
            raise MCPError(types.INVALID_PARAMS, f"There is no tool {asked.name}.")
        own = token if context.request is None else context.request.headers.get("authorization", "")
        is_done, said = await tools[asked.name].call(client, own, asked.arguments or {})
        return types.CallToolResult(content=[types.TextContent(text=text) for text in said], is_error=not is_done)

    return Server("tasks-api", version=document["info"]["version"], on_list_tools=list_tools, on_call_tool=call_tool)


@click.command()
@click.option("--url", envvar="TASKS_URL", default="http://localhost:8000", show_default=True, show_envvar=True)
@click.option("--http", type=click.IntRange(1, 65535), help="Serve HTTP at this port of 127.0.0.1 for several users.")
@click.option("--read-only", is_flag=True, help="Leave out the tools that change something.")
def mcp(url: str, http: int | None, *, read_only: bool) -> None:
    """Let assistants use the service at --url with the token in TASKS_TOKEN, by MCP on standard input and output."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))  # Nothing else ends a read of standard input.
    anyio.run(_serve, url, http, read_only)


async def _serve(url: str, port: int | None, read_only: bool) -> None:  # noqa: FBT001  anyio.run
    token = os.environ.get("TASKS_TOKEN", "").strip()
    async with httpx2.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
        try:
            document = resolve_refs((await client.get("/openapi.json")).raise_for_status().json())
            server = make_server(document, client, token and f"Bearer {token}", read_only=read_only)
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, LookupError, TypeError) as error:
            raise click.ClickException(f"{url} has no document of the tools' operations: {error!r}") from None
        if port is None:
            async with stdio_server() as (incoming, outgoing):
                await server.run(incoming, outgoing, server.create_initialization_options())
        else:
            app = server.streamable_http_app(stateless_http=True, json_response=True)
            await uvicorn.Server(uvicorn.Config(app, port=port, access_log=False)).serve()
