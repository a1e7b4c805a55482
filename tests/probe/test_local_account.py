"""A process whose user id has no account: it probes as any other does."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, pwd
for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "HOME"):
    os.environ.pop(name, None)
def getpwuid(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = getpwuid
from imagestore_sim.testing import Lab
with Lab(hosts=1) as lab:
    print(lab.wait_for_status("imagestore-1", "Connected").status)
"""


@pytest.mark.processes
def test_a_user_id_without_an_account_has_its_storages_connected() -> None:
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "Connected\n"), done.stderr
