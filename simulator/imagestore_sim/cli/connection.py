"""`imagestore-sim lab -E`: variables by which clients find a lab that goes on in the background; `lab -k` ends it."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import typer

from imagestore_sim.cli.exits import InputError
from imagestore_sim.cli.ready import wait_until_ready
from imagestore_sim.host_names import host_and_port

if TYPE_CHECKING:
    from pathlib import Path

    from imagestore_sim.settings import Settings

SHELLS: Mapping[str, str] = {
    **dict.fromkeys(("sh", "bash", "zsh", "dash", "ksh"), "sh"),
    "fish": "fish",
    **dict.fromkeys(("powershell", "pwsh"), "powershell"),
}
"""The words that each shell takes."""
ABOUT_SECONDS = 3.0
READY_SECONDS = 60.0
ENDED_SECONDS = 10.0
PROCESS, LOG = "IMAGESTORE_LAB_PID", "IMAGESTORE_LAB_LOG"
PROCESS_NUMBER = re.compile("[1-9][0-9]{0,17}")
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to find a lab there, not to listen
"""Addresses to listen on that no client connects to, and those that it takes instead."""
SETTERS: Mapping[str, str] = {
    "sh": "export {name}={value};",
    "fish": "set -gx {name} {value};",
    "powershell": "$Env:{name} = {value}",
}
QUOTED: Mapping[str, Callable[[str], str]] = {
    "sh": lambda text: "'" + text.replace("'", "'\\''") + "'",
    "fish": lambda text: "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'",
    "powershell": lambda text: "'" + text.replace("'", "''") + "'",
}
UNSETTERS: Mapping[str, str] = {
    "sh": "unset {name};",
    "fish": "set -e {name};",
    "powershell": "Remove-Item Env:{name} -ErrorAction Ignore",
}
USES: Mapping[str, str] = {
    "sh": 'eval "$(imagestore-sim lab {option})"',
    "fish": "imagestore-sim lab {option} | source",
    "powershell": "imagestore-sim lab {option} | Invoke-Expression",
}


def shell_of(name: str | None) -> str:
    """Return whose words to print: those of a shell's name, or of the shell that this process runs in."""
    if name is not None and name not in SHELLS:
        raise InputError(f"--shell: expected sh, bash, zsh, fish or powershell, but got {name!r}")
    return SHELLS.get(name or _running_shell(), "sh")


def _running_shell() -> str:
    import shellingham

    try:
        name: str = shellingham.detect_shell()[0]
    except (shellingham.ShellDetectionFailure, OSError):
        return os.path.basename(os.environ.get("SHELL", "sh"))
    return name


def variables(url: str, *, token: str | None, process: int | None = None, log: str | None = None) -> dict[str, str]:
    """Return the variables that the kits, Terraform's provider and the vendor's MCP server read.

    `process` and `log` are of a lab that goes on in the background.
    """
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return {
        "IMAGESTORE_LAB_URL": url,
        **({} if token is None else {"IMAGESTORE_LAB_TOKEN": token, "IMAGESTORE_SIM_LAB_TOKEN": token}),
        **({} if process is None else {PROCESS: str(process)}),
        **({} if log is None else {LOG: log}),
        "ZSTACK_HOST": str(parts.hostname),
        "ZSTACK_PORT": str(parts.port),
        "ZSTACK_ACCOUNT_NAME": "admin",
        "ZSTACK_ACCOUNT_PASSWORD": "password",
        "ZSTACK_API_URL": url,
        "ZSTACK_ACCOUNT": "admin",
        "ZSTACK_PASSWORD": "password",
    }


def print_variables(shell: str, named: Mapping[str, str]) -> None:
    """Print variables for `eval` or its like; the last line says how, in a comment."""
    for name, value in named.items():
        typer.echo(SETTERS[shell].format(name=name, value=QUOTED[shell](value)))
    typer.echo(f"# {USES[shell].format(option='-E')}")


def print_no_variables(shell: str) -> None:
    """Print for `eval` or its like what unsets all that `print_variables` may have set."""
    for name in variables("http://HOST:0", token="", process=0, log=""):
        typer.echo(UNSETTERS[shell].format(name=name))
    typer.echo(f"# {USES[shell].format(option='-k')}")


def end_lab() -> None:
    """End the lab in the background that $IMAGESTORE_LAB_PID names, and wait for its end. Raise InputError."""
    given = os.environ.get(PROCESS, "")
    if not PROCESS_NUMBER.fullmatch(given):  # not 0, which names all processes of this group
        raise InputError(f"--kill: {PROCESS} is not set to the process of a lab, as `lab -E` prints it")
    process = int(given)
    if not _is_lab(process):
        raise InputError(f"--kill: no process {process} runs a lab ({PROCESS})")
    try:
        os.kill(process, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError:
        raise InputError(f"--kill: process {process} is another user's ({PROCESS})") from None
    until = time.monotonic() + ENDED_SECONDS  # real: another process
    while _is_lab(process):
        if time.monotonic() > until:  # real: another process
            raise InputError(f"--kill: process {process} has not ended within {ENDED_SECONDS:g} s")
        time.sleep(0.05)  # real: another process


def _is_lab(process: int) -> bool:
    """Return whether a process runs this program, as far as can be seen: numbers are used again."""
    try:
        os.kill(process, 0)
        with open(f"/proc/{process}/cmdline", "rb") as command:
            return b"imagestore" in command.read()  # of a process that has ended nothing is left
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True  # it may be another user's, or there is no /proc


def running_lab(settings: Settings) -> str | None:
    """Return the URL of the lab that answers where one with these settings would listen, once it is ready.

    None if nothing answers there as a node does. Raise InputError for a node that has no simulated hosts or refuses to
    answer, and for a lab that does not become ready.
    """
    from imagestore_sim.settings import token_of

    if settings.port == 0:
        return None
    host = EVERYWHERE.get(settings.host, settings.host)
    url = f"http://{host_and_port(host, settings.port)}"
    about = _about(host, settings.port, token_of(settings))
    if about is None:
        return None
    if "error" in about:
        raise InputError(f"{url}: {about['error']}")
    if not about["hasHosts"]:
        raise InputError(f"{url} is a node without simulated hosts; choose another port with --port")
    if problem := wait_until_ready(url, READY_SECONDS):
        raise InputError(problem)
    return url


def _about(host: str, port: int, token: str | None) -> dict[str, Any] | None:
    """Return what the node at a port says of itself, or an `error`; None if no node answers there."""
    import http.client
    import json

    connection = http.client.HTTPConnection(host, port, timeout=ABOUT_SECONDS)
    try:
        connection.request(
            "GET", "/lab/v1/about", headers={} if token is None else {"Authorization": f"Bearer {token}"}
        )
        answer = json.loads(connection.getresponse().read(65_536))
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return answer if isinstance(answer, dict) and answer.keys() & {"hasHosts", "error"} else None


class Background:
    """A process that goes on when this one has ended: a copy of it, from here on."""

    def __init__(self) -> None:
        """Begin it. In the copy `is_here` is true, and standard output leads to `wait_until_ready`."""
        reading, writing = os.pipe()
        self.process = os.fork()
        self.is_here = self.process == 0
        if self.is_here:
            os.close(reading)
            os.setsid()  # neither Ctrl-C nor the end of the terminal is meant for it
            _redirect(os.open(os.devnull, os.O_RDWR), 0)
            _redirect(writing, 1)
        else:
            os.close(writing)
            self._lines = os.fdopen(reading)

    def wait_until_ready(self) -> tuple[str, str]:
        """Return the URL and the log file that the copy prints when it is ready (`leave_terminal`).

        If it fails, and has said why, end with its status.
        """
        try:
            with self._lines:
                word, _, url = self._lines.readline().strip().partition(" ")
                log = self._lines.readline().strip()
        except KeyboardInterrupt:
            os.kill(self.process, signal.SIGTERM)
            raise
        if word == "ready":
            return url, log
        _, status = os.waitpid(self.process, 0)
        raise typer.Exit(os.waitstatus_to_exitcode(status) or 2)


def leave_terminal(log: Path) -> None:
    """Print the path of a log file, and write to it from now on.

    Whatever reads standard output or standard error would wait for this process to end.
    """
    opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    print(log, flush=True)
    os.dup2(opened, 1)
    _redirect(opened, 2)


def _redirect(opened: int, number: int) -> None:
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)
