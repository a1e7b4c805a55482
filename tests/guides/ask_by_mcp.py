"""Start an MCP server as an assistant does, and print the names of the image stores that it finds.

    python ask_by_mcp.py SERVER

The server gets the environment of this program.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main() -> None:
    """Call one tool, and print what it finds."""
    server = StdioServerParameters(command=sys.argv[1], env=dict(os.environ))
    async with stdio_client(server) as streams, ClientSession(*streams) as session:
        await session.initialize()
        call = {"api_name": "QueryImageStoreBackupStorage", "parameters": {"sortBy": "name"}}
        [answer] = (await session.call_tool("execute_api", call)).content
        found = json.loads(getattr(answer, "text", ""))
        print(*[storage["name"] for storage in found["result"]["inventories"]])


asyncio.run(main())
