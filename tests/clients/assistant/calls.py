"""Make calls through the vendor's MCP server, each read from a line of the standard input: an API, and its parameters.

    python calls.py SERVER URL

Prints `said: ` and what the tool execute_api answered, one line of JSON for each.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def execute(session: ClientSession, line: str) -> str:
    """Return the answer to the call of a line, such as `QueryZone {}`."""
    api, _, parameters = line.partition(" ")
    arguments = {"api_name": api, "parameters": json.loads(parameters)}
    result = await session.call_tool("execute_api", arguments)
    return json.dumps(json.loads("\n".join(getattr(part, "text", "") for part in result.content)))


async def main(server: str, url: str) -> None:
    """Start the MCP server for the node at `url`, and make the calls until the input ends."""
    environment = {
        **os.environ,
        "ZSTACK_API_URL": url,
        "ZSTACK_ACCOUNT": "admin",
        "ZSTACK_PASSWORD": "password",
        "ZSTACK_ALLOW_ALL_API": "true",
    }
    parameters = StdioServerParameters(command=server, env=environment)
    async with stdio_client(parameters) as streams, ClientSession(*streams) as session:
        await session.initialize()
        print("said: ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(f"said: {await execute(session, line)}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
