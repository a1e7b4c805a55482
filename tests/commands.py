"""Run client programs, in any language, as subprocesses."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from processes import child


async def execute(*command: str, cwd: Path, seconds: float, **environment: str) -> tuple[int, str]:
    """Return the exit status and the output (with stderr) of a command. Raise TimeoutError after `seconds`."""
    async with child(
        *command,
        cwd=cwd,
        env=os.environ | environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    ) as process:
        output, _ = await asyncio.wait_for(process.communicate(), seconds)
    assert process.returncode is not None
    return process.returncode, output.decode()
