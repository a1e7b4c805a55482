"""`imagestore-sim lab -E`: variables by which clients find a lab that goes on in the background."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import typer

from imagestore_sim.cli.exits import InputError
from imagestore_sim.cli.ready import wait_until_ready

if TYPE_CHECKING:
    from imagestore_sim.settings import Settings

SHELLS: Mapping[str, str] = {
    **dict.fromkeys(("sh", "bash", "zsh", "dash", "ksh"), "sh"),
    "fish": "fish",
    **dict.fromkeys(("powershell", "pwsh"), "powershell"),
}
"""The words that each shell takes."""
ABOUT_SECONDS = 3.0
READY_SECONDS = 60.0
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
USES: Mapping[str, str] = {
    "sh": 'eval "$(imagestore-sim lab -E)"',
    "fish": "imagestore-sim lab -E | source",
    "powershell": "imagestore-sim lab -E | Invoke-Expression",
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


def variables(url: str, *, token: str | None, process: int | None) -> dict[str, str]:
    """Return the variables that the kits, Terraform's provider and the vendor's MCP server read."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return {
        "IMAGESTORE_LAB_URL": url,
        **({} if token is None else {"IMAGESTORE_LAB_TOKEN": token, "IMAGESTORE_SIM_LAB_TOKEN": token}),
        **({} if process is None else {"IMAGESTORE_LAB_PID": str(process)}),
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
    typer.echo(f"# {USES[shell]}")


def running_lab(settings: Settings) -> str | None:
    """Return the URL of the lab that answers where one with these settings would listen, once it is ready.

    None if nothing answers there as a node does. Raise InputError for a node that has no simulated hosts or refuses to
    answer, and for a lab that does not become ready.
    """
    from imagestore_sim.settings import token_of

    if settings.port == 0:
        return None
    host = EVERYWHERE.get(settings.host, settings.host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
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

    def wait_until_ready(self) -> str:
        """Return the URL that the copy prints when it is ready. If it fails, and has said why, end with its status."""
        import signal

        try:
            with self._lines:
                word, _, url = self._lines.readline().strip().partition(" ")
        except KeyboardInterrupt:
            os.kill(self.process, signal.SIGTERM)
            raise
        if word == "ready":
            return url
        _, status = os.waitpid(self.process, 0)
        raise typer.Exit(os.waitstatus_to_exitcode(status) or 2)


def leave_terminal() -> None:
    """Close standard output and standard error: whatever reads them would wait for this process to end."""
    for number in (1, 2):
        _redirect(os.open(os.devnull, os.O_RDWR), number)


def _redirect(opened: int, number: int) -> None:
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)
