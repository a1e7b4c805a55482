"""Runs the clients, whatever they are written in."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path


async def execute(*command: str, cwd: Path, seconds: float, **environment: str) -> tuple[int, str]:
    """Run a command to its end, within `seconds`: its status, and all that it said. Raises TimeoutError."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env=os.environ | environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, output.decode()
