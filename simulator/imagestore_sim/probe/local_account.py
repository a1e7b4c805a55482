"""The account that a process runs as, for asyncssh, which asks for its name and its home before each login.

A container may run as any user id, which has neither: OpenShift chooses one, and so does `docker run --user 12345`.
"""

from __future__ import annotations

import getpass
import os
from pathlib import Path

NOWHERE = "/"


def name_the_account() -> None:
    """Give the account of this process a name and a home, in the environment, where the machine knows none."""
    try:
        getpass.getuser()
    except (KeyError, OSError):  # Python 3.13 raises the latter
        os.environ["LOGNAME"] = str(os.getuid())
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = NOWHERE
