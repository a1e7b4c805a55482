"""The scripts of the pages have types, in their comments: TypeScript's compiler checks them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

TYPESCRIPT = "typescript@5.9.3"
HERE = Path(__file__).parent
NO_REGISTRY = ("ENOTFOUND", "ECONNREFUSED", "EAI_AGAIN", "ETIMEDOUT", "E404", "network")


@pytest.mark.browser
def test_the_scripts_keep_to_their_types() -> None:
    if shutil.which("npm") is None:
        pytest.skip("needs Node with npm (Debian: npm)")
    command = ["npm", "exec", "--yes", f"--package={TYPESCRIPT}", "--", "tsc", "-p", str(HERE / "tsconfig.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    if done.returncode and "npm error" in done.stderr and any(one in done.stderr for one in NO_REGISTRY):
        pytest.skip("needs a package index for TypeScript's compiler")
    assert done.returncode == 0, done.stdout + done.stderr
