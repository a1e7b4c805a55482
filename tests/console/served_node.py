"""A management node alone (`serve`), as its own process, for tests that block."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STOP_SECONDS = 60


@contextmanager
def served_node(folder: Path, *options: str) -> Iterator[str]:
    """Run `imagestore-sim serve` with a database in `folder`, and yield its URL once it is ready."""
    command = [sys.executable, "-m", "imagestore_sim", "serve", "--port", "0", "--log-level", "error", *options]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            words = process.stdout.readline().split()
            assert words[:1] == ["ready"], words
            yield words[1]
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)
