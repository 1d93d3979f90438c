"""/mcp: the Model Context Protocol, spoken by its official library.

Each request is answered by itself, without a session on the server (the protocol's "stateless"
mode): a client can go on after a restart. The library is loaded with the first request, since it is
as large as the rest of the server.
"""

from collections.abc import Awaitable, Callable
from importlib import metadata
from typing import Any

import anyio
import msgspec
from litestar import asgi
from litestar.types import Receive, Scope, Send

from app.auth.guards import agent as agent_guard
from app.mcp.tools import Agent, offered
from app.services.services import Services
from storage.errors import Refusal

INSTRUCTIONS = (
    "Recordings that this server has transcribed. Search them, or list and read them; say at which "
    "time something was said."
)
VERSION = metadata.version("whisperbox")
Handle = Callable[[Any, Any, Any], Awaitable[None]]


@asgi("/mcp", guards=[agent_guard], copy_scope=False)
async def mcp(scope: Scope, receive: Receive, send: Send) -> None:
    services: Services = scope["litestar_app"].state.services
    agent = Agent(scope["state"]["view"], scope["state"].get("caller"))
    handle = await anyio.to_thread.run_sync(_handler, services, agent)
    await handle(scope, receive, send)


def _handler(services: Services, agent: Agent) -> Handle:
    """What answers one request; in a thread, because the first import takes seconds."""
    import mcp_types as types
    from mcp.server.lowlevel import Server
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    tools = offered(agent)

    async def listed(_: object, __: object) -> types.ListToolsResult:
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=tool.name,
                    title=tool.title,
                    description=tool.about,
                    input_schema=tool.schema,
                    annotations=types.ToolAnnotations(
                        read_only_hint=not tool.writes, destructive_hint=False
                    ),
                )
                for tool in tools.values()
            ]
        )

    async def called(_: object, call: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            if call.name not in tools:
                raise Refusal(f"there is no tool '{call.name}', or this token may not use it")
            found = await tools[call.name](services, agent, dict(call.arguments or {}))
        except Refusal as refusal:
            return types.CallToolResult(
                content=[types.TextContent(type="text", text=refusal.message)], is_error=True
            )
        text = found.get("transcript") or msgspec.json.encode(found).decode()
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=text)], structured_content=found
        )

    server: Any = Server(
        "whisperbox", version=VERSION, instructions=INSTRUCTIONS,
        on_list_tools=listed, on_call_tool=called,
    )  # fmt: skip

    async def handle(scope: Any, receive: Any, send: Any) -> None:
        # An instance serves as long as its task group, which is this one request.
        manager = StreamableHTTPSessionManager(server, stateless=True, json_response=True)
        async with manager.run():
            await manager.handle_request(scope, receive, send)

    return handle
