"""`tasks-api mcp`: an MCP server for assistants, which calls a running service. It needs the extra `tasks-api[mcp]`.

Its tools are operations of the service's own document, with their parameters and bodies as one object of arguments.
Source: Model Context Protocol, revision 2025-11-25, "Tools" and "Transports".
"""

from collections.abc import Mapping
from typing import Any, Final

import anyio
import click
import httpx2
import jsonschema_rs
import mcp_types as types
import uvicorn
from connexion.json_schema import resolve_refs
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from server.contract.document import operations
from server.contract.read_only import writable
from server.contract.schemas import to_json_schema

TOOLS: Final = {
    "list_tasks": "listMyTasks",
    "get_task": "getMyTask",
    "create_task": "createMyTask",
    "update_task": "updateMyTask",
    "toggle_task": "toggleMyTask",
    "delete_task": "deleteMyTask",
    "restore_task": "restoreMyTask",
    "complete_all_tasks": "completeAllMyTasks",
    "clear_tasks": "clearMyTasks",
}
"""The operation of each tool."""
_SECONDS: Final = 30.0


class Tool:
    """One operation as a tool."""

    def __init__(self, name: str, paths: Mapping[str, Any], path: str, method: str) -> None:
        operation = paths[path][method]
        parameters = [*paths[path].get("parameters", ()), *operation.get("parameters", ())]
        given = [parameter for parameter in parameters if parameter["in"] != "header"]
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        self._path, self._method = path, method
        self._query, self._in_path = (
            [one["name"] for one in given if one["in"] == place] for place in ("query", "path")
        )
        self._has_body = body is not None
        self.changes = method != "get"
        schema = to_json_schema(writable(body or {"type": "object", "additionalProperties": False, "properties": {}}))
        members = {one["name"]: to_json_schema(one["schema"]) | {"description": one["description"]} for one in given}
        schema["properties"] = members | schema["properties"]
        schema["required"] = [one["name"] for one in given if one.get("required")] + schema.get("required", [])
        self._schema = jsonschema_rs.Draft202012Validator(schema, validate_formats=True, ignore_unknown_formats=True)
        hints = types.ToolAnnotations(
            read_only_hint=not self.changes,
            # Only a new task, or one that is back from the trash, takes nothing away.
            destructive_hint=self.changes and method != "post",
            idempotent_hint=method in ("get", "put", "delete"),
            open_world_hint=False,
        )
        about = {"title": operation["summary"], "description": operation["description"]}
        self.described = types.Tool(name=name, input_schema=schema, annotations=hints, **about)

    async def call(self, client: httpx2.AsyncClient, token: str | None, given: dict[str, Any]) -> types.CallToolResult:
        """Send the request with the caller's token. Errors of the service are told as its problem documents are."""
        # The service validates, too; but `..` as a parameter would lead to another path.
        if wrong := [f"{error.instance_path}: {error.message}" for error in self._schema.iter_errors(given)]:
            return _failure("; ".join(wrong))
        path = self._path.format_map({name: given.pop(name) for name in self._in_path})
        query = {name: given.pop(name) for name in self._query if name in given}
        sent: dict[str, Any] = {"headers": {"Authorization": token}} if token else {}
        response = await client.request(
            self._method, path, params=query, json=given if self._has_body else None, **sent
        )
        content: list[types.ContentBlock] = [types.TextContent(text=response.text or "Done.")]
        if "next" in response.links:
            cursor = httpx2.URL(response.links["next"]["url"]).params["cursor"]
            content.append(types.TextContent(text=f"There are more: ask again with the cursor {cursor}"))
        return types.CallToolResult(content=content, is_error=response.is_error)


def make_server(
    document: Mapping[str, Any], client: httpx2.AsyncClient, token: str | None, *, read_only: bool
) -> Server:
    """Return a server whose tools send the bearer token of the HTTP request, or else `token`, on to the service."""
    found = {operation["operationId"]: (path, method) for path, method, operation in operations(document)}
    made = {name: Tool(name, document["paths"], *found[operation_id]) for name, operation_id in TOOLS.items()}
    tools = {name: tool for name, tool in made.items() if not (read_only and tool.changes)}

    async def list_tools(_: ServerRequestContext, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[tool.described for tool in tools.values()])

    async def call_tool(context: ServerRequestContext, asked: types.CallToolRequestParams) -> types.CallToolResult:
        if asked.name not in tools:
            return _failure(f"There is no tool {asked.name}.")
        sent = token if context.request is None else context.request.headers.get("authorization")
        try:
            return await tools[asked.name].call(client, sent, dict(asked.arguments or {}))
        except httpx2.TransportError as error:
            return _failure(f"The service cannot be reached: {error}")

    return Server("tasks-api", version=document["info"]["version"], on_list_tools=list_tools, on_call_tool=call_tool)


def _failure(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)], is_error=True)


@click.command()
@click.option("--url", envvar="TASKS_URL", default="http://localhost:8000", show_default=True, show_envvar=True)
@click.option("--token", envvar="TASKS_TOKEN", show_envvar=True, help="For stdio. Over HTTP each caller sends its own.")
@click.option("--http", type=click.IntRange(1, 65535), help="Serve streamable HTTP at /mcp on this port of 127.0.0.1.")
@click.option("--read-only", is_flag=True, help="Leave out the tools that change something.")
def mcp(url: str, token: str | None, http: int | None, *, read_only: bool) -> None:
    """Let assistants use the service at --url, by the Model Context Protocol on standard input and output."""
    anyio.run(_serve, url, token and f"Bearer {token}", http, read_only)


async def _serve(url: str, token: str | None, port: int | None, read_only: bool) -> None:  # noqa: FBT001  anyio.run
    async with httpx2.AsyncClient(base_url=url, timeout=_SECONDS, trust_env=False) as client:
        try:
            document = (await client.get("/openapi.json")).raise_for_status().json()
        except (httpx2.HTTPError, ValueError) as error:
            raise click.ClickException(f"{url} has no document: {error}") from None
        server = make_server(resolve_refs(document), client, token, read_only=read_only)
        if port is None:
            async with stdio_server() as (incoming, outgoing):
                await server.run(incoming, outgoing, server.create_initialization_options())
        else:
            app = server.streamable_http_app(stateless_http=True, json_response=True)
            await uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning")).serve()
