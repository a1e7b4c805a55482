"""Talk with a client program that makes the calls it is asked for, while the lab's node fails, and read the journal."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from imagestore_sim.testing import Client
from node_faults import heal, set_fault
from processes import child

Json = dict[str, Any]
MARK = "said: "
START_SECONDS, ANSWER_SECONDS = 60.0, 90.0


class Conversation:
    """A client program: it reads a call from each line, and prints a line that says what it made of the answer."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def call(self, line: str) -> str:
        """Ask for a call, and return what the program reports. Raise TimeoutError."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        return await self.hear(ANSWER_SECONDS)

    async def hear(self, seconds: float) -> str:
        """Return what the program says next. Raise TimeoutError after `seconds`, and AssertionError if it has ended."""
        assert self._process.stdout is not None
        printed = []
        while line := (await asyncio.wait_for(self._process.stdout.readline(), seconds)).decode():
            if line.startswith(MARK):
                return line.removeprefix(MARK).rstrip()
            printed.append(line)
        raise AssertionError(f"the client has ended: {''.join(printed)[-2000:]}")


@asynccontextmanager
async def conversing(*command: str, cwd: Path, **environment: str) -> AsyncIterator[Conversation]:
    """Start a client program, and yield it once it has said `ready`. Kill it at the end of the block."""
    pipe = asyncio.subprocess.PIPE
    options: Json = {"stdin": pipe, "stdout": pipe, "stderr": asyncio.subprocess.STDOUT, "limit": 2**20}
    async with child(*command, cwd=cwd, env=os.environ | environment, **options) as process:
        conversation = Conversation(process)
        assert await conversation.hear(START_SECONDS) == "ready"
        yield conversation


@asynccontextmanager
async def failing(node: Client, kind: str, **parameters: object) -> AsyncIterator[str]:
    """Set a fault for the block, yield its id, and expect that it has met a request by the end."""
    identity = await set_fault(node, kind, **parameters)
    try:
        yield identity
    finally:
        healed = await heal(node, identity)
    assert healed["hits"] > 0, f"no request has met {identity}"


class Journal:
    """The requests that a node has got since an instant."""

    def __init__(self, node: Client, since: int) -> None:
        self._node = node
        self._since = since

    @classmethod
    async def begin(cls, node: Client) -> Journal:
        """Return a journal that begins now."""
        rows = (await node.request("GET", f"{node.url}/lab/v1/requests")).body["requests"]
        return cls(node, rows[-1]["number"] if rows else 0)

    async def statuses(self, api: str) -> Sequence[int]:
        """Return the status that each request for an API was answered with; 0 is a request without an answer."""
        matcher = {"since": self._since, "api": api}
        found = await self._node.request("POST", f"{self._node.url}/lab/v1/requests/find", matcher)
        return [row["status"] for row in found.body["requests"]]

    async def wait_for(self, api: str, count: int) -> None:
        """Wait until so many requests for an API were answered, also those whose client has left."""
        matcher = {"since": self._since, "api": api, "count": count, "within": "30s"}
        answer = await self._node.request("POST", f"{self._node.url}/lab/v1/requests/wait", matcher)
        assert answer.status == 200, answer.text


async def count_storages(node: Client, hostname: str) -> int:
    """Return how many storages of a host there are."""
    return len(await node.query("/backup-storage/image-store", f"hostname={hostname}"))
