"""Nodes that start at once: a process that has imported everything forks for each. They are killed as any process is.

Run as a program it reads lines of JSON, each a list of arguments or a process to kill, and writes one line for each.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class ForkedNode:
    """A node that runs in a process of its own."""

    pid: int
    url: str

    def kill(self) -> None:
        """End it as `kill -9` does."""
        os.kill(self.pid, signal.SIGKILL)


class Forks:
    """The process that forks."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def start(self, *arguments: str) -> ForkedNode:
        """Start a node, and return once it is ready."""
        pid, line = await self._ask(list(arguments))
        assert isinstance(line, str)
        assert line.startswith("ready "), line
        return ForkedNode(int(str(pid)), line.split()[1])

    async def wait(self, node: ForkedNode) -> None:
        """Wait for the end of a node."""
        await self._ask(node.pid)

    async def _ask(self, what: object) -> list[object]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        line = await asyncio.wait_for(self._process.stdout.readline(), START_SECONDS)
        answer: list[object] = json.loads(line)
        return answer


@asynccontextmanager
async def forks(cwd: Path) -> AsyncIterator[Forks]:
    """Run a process that forks nodes in a folder, until the block ends."""
    from processes import child  # not where this file runs as a program

    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    async with child(sys.executable, __file__, cwd=cwd, **pipes) as process:
        try:
            yield Forks(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await asyncio.wait_for(process.wait(), START_SECONDS)


def _serve() -> None:
    from imagestore_sim.database.schema import new_database

    new_database(())
    children: set[int] = set()
    for line in sys.stdin:
        what = json.loads(line)
        if isinstance(what, int):
            os.waitpid(what, 0)
            children.discard(what)
            print("[]", flush=True)
        else:
            read_end, write_end = os.pipe()
            pid = os.fork()
            if not pid:
                _become_node(what, write_end)
            os.close(write_end)
            children.add(pid)
            with os.fdopen(read_end) as output:
                print(json.dumps([pid, output.readline()]), flush=True)
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _become_node(arguments: list[str], output: int) -> None:
    from imagestore_sim.cli.app import app

    os.dup2(output, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["imagestore-sim", *arguments]
    status = 1
    try:
        app(arguments, standalone_mode=False)
        status = 0
    finally:
        os._exit(status)


if __name__ == "__main__":
    _serve()
