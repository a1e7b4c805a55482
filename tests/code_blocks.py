"""The code in documents, and a shell that runs it as a reader would."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from pathlib import Path

from processes import child

BOUND_SECONDS = 60.0


def code_blocks(text: str, language: str) -> list[str]:
    """Return the code blocks of a language in the text of a document."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


async def shell(
    script: str, *, cwd: Path, environment: Mapping[str, str] | None = None, seconds: float = BOUND_SECONDS
) -> tuple[int, str]:
    """Run a script in bash; return its exit status and what it printed, errors included.

    Raise TimeoutError after `seconds`, and kill it.
    """
    options = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT, "start_new_session": True}
    async with child("bash", "-ec", script, cwd=cwd, env=os.environ | dict(environment or {}), **options) as process:
        output, _ = await asyncio.wait_for(process.communicate(), seconds)
    assert process.returncode is not None
    return process.returncode, output.decode()
