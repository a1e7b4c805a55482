"""A lab in a process of its own: the command `imagestore-sim lab`, or a container of its image."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from secrets import token_hex

from imagestore_sim.settings import Settings, token_of
from imagestore_sim.testing.words import LabError

READY_SECONDS = 120.0
CONTAINER_READY_SECONDS = 120.0
"""An engine may have to fetch the image."""
STOP_SECONDS = 10.0
ENDED_SECONDS = 1.0
"""How long after a call that failed the end of the lab may show."""
OF_SIGNAL = 128
"""Added by a shell to the number of the signal that ended a program."""
OPTION_VARIABLES = "IMAGESTORE_SIM_"
"""What the variables of the command's options begin with. The test chooses the options of its lab, and nothing else."""
LINES_KEPT = 20
PORT = 8080
INSIDE = ("lab", "--host", "0.0.0.0", "--port", str(PORT))  # noqa: S104 - in a container
TOKEN_VARIABLE = "IMAGESTORE_SIM_LAB_TOKEN"  # noqa: S105 - the name of a variable
DOCKER = "docker"
DOCKER_MISSING = "it starts images"
MISSING = (
    "install it (pip install, with the folder of its repository), name it by IMAGESTORE_SIM_COMMAND, or a running lab"
    " by IMAGESTORE_LAB_URL"
)
SILENT = ", and wrote nothing to its standard error"
OF_THE_KIT = frozenset(("host", "port", "lab_token"))
READY = "ready "
URL = "http"
SUPERVISE = """trap : INT TERM HUP
exec 3<&0
"$@" 3<&- </dev/null & lab=$!
exec 2>/dev/null
(trap : INT TERM HUP; read -r line <&3; kill -TERM $lab; sleep 5; kill -KILL $lab) >/dev/null 2>&1 & watch=$!
wait $lab
status=$?
while kill -0 $lab 2>/dev/null; do wait $lab; status=$?; done
kill -KILL $watch 2>/dev/null
exit $status
"""
"""A shell that runs a lab until its own input ends, which it does however the tests end, and ends as the lab does.

It outlives the signals that a terminal sends to all of its processes.
"""


class LabCommand:
    """A running lab. It ends with this process, however that ends."""

    def __init__(self, command: Sequence[str], settings: Settings, ready_within: float) -> None:
        """Start `command`, which runs a lab, and wait for its line `ready URL`. Raise LabError."""
        program = shutil.which(command[0])
        if program is None:
            raise LabError(f"{command[0]} is not there: {DOCKER_MISSING if command[0] == DOCKER else MISSING}")
        token = token_of(settings)
        self._name = " ".join(command[:2])
        self._stopped = False
        self._process = subprocess.Popen(  # noqa: S603 - the tests name the command
            ["/bin/sh", "-c", SUPERVISE, "sh", program, *command[1:]],
            env=_without_options(os.environ) | ({} if token is None else {TOKEN_VARIABLE: token}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        self._lines: queue.Queue[str | None] = queue.Queue(1)
        self._errors: deque[str] = deque(maxlen=LINES_KEPT)
        self._readers = [threading.Thread(target=one, daemon=True) for one in (self._read_output, self._read_errors)]
        for reader in self._readers:
            reader.start()
        self.url = self._ready(ready_within)

    def ending(self) -> str | None:
        """Return how the lab has ended, with the last lines of its standard error; None if it has not."""
        if self._stopped:
            return "the lab was stopped"
        try:
            status = self._process.wait(ENDED_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        return self._told(f"the lab has ended with {status_text(status)}")

    def stop(self) -> None:
        """Stop the lab, and wait for its end. May be called again."""
        self._stopped = True
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for reader in self._readers:
            reader.join(STOP_SECONDS)
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    def _ready(self, within: float) -> str:
        try:
            line = self._lines.get(timeout=within)
            if line is not None:
                return line.removeprefix(READY).strip()
            what = f"the lab ended with {status_text(self._process.wait(STOP_SECONDS))} before it was ready"
        except (queue.Empty, subprocess.TimeoutExpired):
            what = f"the lab was not ready within {within:g} s"
        except BaseException:  # such as Ctrl-C: no lab is left
            self.stop()
            raise
        self.stop()
        raise LabError(f"{self._name}: {self._told(what)}")

    def _told(self, what: str) -> str:
        """Return what happened, and what the lab wrote to its standard error at last."""
        self._readers[1].join(ENDED_SECONDS)
        return "\n".join([what, *self._errors]) if self._errors else f"{what}{SILENT}"

    def _read_output(self) -> None:
        """Pass on the line that says the lab is ready, then read on, so that it never blocks."""
        assert self._process.stdout is not None
        found = False
        for line in self._process.stdout:
            if not found and line.startswith(f"{READY}{URL}"):
                found = True
                self._lines.put(line)
        if not found:
            self._lines.put(None)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        self._errors.extend(line.rstrip() for line in self._process.stderr)


def status_text(status: int) -> str:
    """Return the exit status of a program in words, such as `status 137 (signal 9)`."""
    ended = status if status >= 0 else OF_SIGNAL - status
    of_signal = OF_SIGNAL < ended <= OF_SIGNAL + signal.NSIG
    return f"status {ended} (signal {ended - OF_SIGNAL})" if of_signal else f"status {ended}"


def _without_options(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if not name.startswith(OPTION_VARIABLES)}


def run_program(program: str, settings: Settings) -> LabCommand:
    """Start `PROGRAM lab` with the settings. Raise LabError."""
    return LabCommand([program, "lab", "--port", "0", *options_of(settings)], settings, READY_SECONDS)


def run_image(image: str, settings: Settings) -> LabCommand:
    """Start a container of the image by the command line of Docker, on a free port of 127.0.0.1. Raise LabError."""
    name = f"imagestore-lab-{token_hex(6)}"
    docker = [DOCKER, "run", "--rm", "--name", name, "--publish", f"127.0.0.1::{PORT}", "--env", TOKEN_VARIABLE]
    command = LabCommand([*docker, image, *INSIDE, *options_of(settings)], settings, CONTAINER_READY_SECONDS)
    try:
        command.url = f"http://{_published(name)}"
    except LabError:
        command.stop()
        raise
    return command


def _published(name: str) -> str:
    """Return the address at which a container's port is reached."""
    command = [shutil.which(DOCKER) or DOCKER, "port", name, f"{PORT}/tcp"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise LabError(f"docker port {name}: {done.stderr.strip()}")
    return done.stdout.split()[0]


def options_of(settings: Settings) -> list[str]:
    """Return settings as options of `imagestore-sim lab`: those that were given, but for what the kit sets itself."""
    given: Mapping[str, object] = {name: getattr(settings, name) for name in settings.model_fields_set - OF_THE_KIT}
    options: list[str] = []
    for name in sorted(given):
        options += _option(name, given[name], Settings.model_fields[name].default)
    return options


def _option(name: str, value: object, default: object) -> list[str]:
    option = f"--{name.replace('_', '-')}"
    if value == default:
        return []
    if isinstance(value, bool):
        return [option] if value else [f"--no-{option[2:]}"]
    values = value if isinstance(value, tuple) else (value,)
    return [text for one in values for text in (option, str(one))]
