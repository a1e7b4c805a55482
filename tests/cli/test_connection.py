"""`lab -E`: variables for a shell, and a lab that goes on in the background."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from io import StringIO
from pathlib import Path

import pytest

from code_blocks import shell
from imagestore_sim.cli import connection
from processes import COMMAND, run, run_here, running
from rows import rows

LAB = f"{shlex.join(COMMAND)} lab -E"
END = f"{shlex.join(COMMAND)} lab -k"
AWKWARD = 'it\'s $HOME `x` \\ "y" #z'


@rows(
    ("name", "shell"),
    [("bash", "sh"), ("zsh", "sh"), ("dash", "sh"), ("xonsh", "sh"), ("fish", "fish"), ("pwsh", "powershell")],
)
def test_a_shell_has_its_words(name: str, shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_running_shell", lambda: name)
    assert connection.shell_of(None) == shell


@rows(
    ("shell", "line"),
    [
        ("sh", "export A='it'\\''s \\';"),
        ("fish", "set -gx A 'it\\'s \\\\';"),
        ("powershell", "$Env:A = 'it''s \\'"),
    ],
)
def test_values_are_quoted_as_each_shell_wants_it(shell: str, line: str) -> None:
    made = connection.SETTERS[shell].format(name="A", value=connection.QUOTED[shell]("it's \\"))
    assert made == line


@rows(
    ("arguments", "complaint"),
    [
        (["--env", "--shell", "csh"], "--shell: expected sh, bash, zsh, fish or powershell, but got 'csh'"),
        (["--shell", "sh"], "--shell: expected together with --env or --kill"),
        (["-E", "-k"], "--kill: is not used with --env"),
        (["-k"], "--kill: IMAGESTORE_LAB_PID is not set to the process of a lab, as `lab -E` prints it"),
    ],
)
def test_a_shell_that_is_not_known_is_one_line(arguments: list[str], complaint: str) -> None:
    finished = run_here("lab", *arguments)
    assert (finished.status, finished.output, finished.errors) == (2, "", f"imagestore-sim: {complaint}\n")


def test_a_process_that_runs_something_else_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        monkeypatch.setenv("IMAGESTORE_LAB_PID", str(other.pid))
        finished = run_here("lab", "--kill")
        assert other.poll() is None
        other.kill()
    expected = f"imagestore-sim: --kill: no process {other.pid} runs a lab (IMAGESTORE_LAB_PID)\n"
    assert (finished.status, finished.output, finished.errors) == (2, "", expected)


@rows(
    ("shell", "line"),
    [
        ("sh", "unset ZSTACK_HOST;\n"),
        ("fish", "set -e ZSTACK_HOST;\n"),
        ("powershell", "Remove-Item Env:ZSTACK_HOST -ErrorAction Ignore\n"),
    ],
)
def test_variables_are_unset_as_each_shell_wants_it(shell: str, line: str) -> None:
    with redirect_stdout(StringIO()) as printed:
        connection.print_no_variables(shell)
    assert line in printed.getvalue()


@pytest.mark.processes
@pytest.mark.parametrize("name", ["bash", "dash", "zsh", "fish"])
async def test_each_shell_reads_what_is_printed_for_it(name: str, tmp_path: Path) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"needs {name}")
    words = connection.shell_of(name)
    line = connection.SETTERS[words].format(name="FOUND", value=connection.QUOTED[words](AWKWARD))
    show = shlex.join([sys.executable, "-c", "import os; print(os.environ['FOUND'])"])
    (tmp_path / "script").write_text(f"{line}\n# {connection.USES[words]}\n{show}\n")
    assert await shell(f"{name} script", cwd=tmp_path) == (0, f"{AWKWARD}\n")


@contextmanager
def ended_by_pid(output: Path) -> Iterator[None]:
    """End the process whose number a script has written to a file, if it has come to that."""
    try:
        yield
    finally:
        if output.exists():
            with suppress(ProcessLookupError):
                os.kill(int(output.read_text()), signal.SIGTERM)


@pytest.mark.processes
async def test_a_lab_goes_on_in_the_background_until_it_is_ended(tmp_path: Path) -> None:
    script = f"""
        eval "$({LAB} --hosts 1 --port 0 --shell bash)"
        echo $IMAGESTORE_LAB_PID > pid
        {shlex.join(COMMAND)} ready --wait 60
        [ $IMAGESTORE_LAB_URL = http://$ZSTACK_HOST:$ZSTACK_PORT ]
        eval "$({LAB} --port $ZSTACK_PORT --shell bash | sed s/LAB_URL/SAME_URL/)"
        [ $IMAGESTORE_SAME_URL = $IMAGESTORE_LAB_URL ]
        [ -f "$IMAGESTORE_LAB_LOG" ]
        lab=$IMAGESTORE_LAB_PID log=$IMAGESTORE_LAB_LOG
        eval "$({END} --shell sh)"
        [ -z "$IMAGESTORE_LAB_PID$IMAGESTORE_LAB_URL$ZSTACK_HOST" ] && [ ! -e "$log" ] && echo ended
        IMAGESTORE_LAB_PID=$lab {END} || echo $?
    """
    with ended_by_pid(tmp_path / "pid"):
        status, output = await shell(script, cwd=tmp_path, seconds=180)
    assert status == 0, output
    assert output.startswith("ready http://127.0.0.1:")
    assert "\nended\nimagestore-sim: --kill: no process " in output
    assert output.endswith(" runs a lab (IMAGESTORE_LAB_PID)\n2\n")


@pytest.mark.processes
async def test_the_variables_of_a_lab_that_runs_have_its_token_and_no_process(tmp_path: Path) -> None:
    async with running("lab", "--hosts", "0", "--port", "0", "--lab-token", "secret", cwd=tmp_path) as lab:
        port = lab.url.rpartition(":")[2]
        refused = await run("lab", "-E", "--port", port)
        found = await run("lab", "-E", "--port", port, "--shell", "fish", IMAGESTORE_SIM_LAB_TOKEN="secret")
        assert await lab.stop() == 0
    assert (refused.status, refused.output, refused.errors.count("\n")) == (2, "", 1)
    assert refused.errors.startswith(f"imagestore-sim: {lab.url}: ")
    assert found.status == 0, found.errors
    assert f"set -gx IMAGESTORE_LAB_URL '{lab.url}';\n" in found.output
    assert "set -gx IMAGESTORE_LAB_TOKEN 'secret';\n" in found.output
    assert "IMAGESTORE_LAB_PID" not in found.output
    assert found.output.endswith("# imagestore-sim lab -E | source\n")


@pytest.mark.processes
async def test_a_lab_that_cannot_start_in_the_background_prints_one_line(tmp_path: Path) -> None:
    failed = await run("lab", "-E", "--port", "0", "--fault", "nope", cwd=tmp_path)
    assert (failed.status, failed.output, failed.errors.count("\n")) == (2, "", 1), failed.errors
    async with running("serve", "--port", "0", cwd=tmp_path) as node:
        port = node.url.rpartition(":")[2]
        refused = await run("lab", "-E", "--port", port, cwd=tmp_path)
        assert await node.stop() == 0
    assert (
        refused.errors
        == f"imagestore-sim: {node.url} is a node without simulated hosts; choose another port with --port\n"
    )
    assert (refused.status, refused.output) == (2, "")


@rows("given", ["0", "-1", "9" * 5000, "\u0661", "1 2"])
def test_what_is_no_process_is_not_ended(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGESTORE_LAB_PID", given)
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("0 would be all processes of the group"))
    finished = run_here("lab", "-k")
    assert (finished.status, finished.output) == (2, "")
    assert "IMAGESTORE_LAB_PID is not set to the process of a lab" in finished.errors


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_lab_that_is_interrupted_before_it_is_ready_leaves_nothing_in_the_background(number: int) -> None:
    arguments = [*COMMAND, "lab", "-E", "--port", "0", "--hosts", "500"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        while not (born := children.read_text().split()):
            time.sleep(0.01)
        lab = Path(f"/proc/{born[0]}/stat")
        time.sleep(0.2)
        parent.send_signal(number)
        output, errors = parent.communicate(timeout=60)
        until = time.monotonic() + 60
        while lab.exists() and lab.read_text().split()[2] != "Z" and time.monotonic() < until:
            time.sleep(0.05)
        assert not lab.exists() or lab.read_text().split()[2] == "Z"
    assert output == b"", errors
