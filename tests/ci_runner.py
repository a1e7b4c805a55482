"""What GitHub's runner does with the steps of a job, as far as a machine without one can do it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

Step = Mapping[str, Any]
STEP_SECONDS = 400.0
EXPRESSION = re.compile(r"\$\{\{ *(.*?) *\}\}")
OUR_ACTION = "imagestore-sim/imagestore-sim@"


class GitHubRunner:
    """Runs the steps of a job and of our action, in the order of the file.

    `values` holds the results of expressions such as `vars.LAB_IMAGE`.
    """

    def __init__(self, root: Path, workspace: Path, values: Mapping[str, str]) -> None:
        self._root = root
        self._workspace = workspace
        self._temporary = workspace / "runner-temp"
        self._temporary.mkdir(exist_ok=True)
        self.values = dict(values)
        self.environment = {
            "RUNNER_TEMP": str(self._temporary),
            "GITHUB_ACTION_PATH": str(root),
            "RUNNER_TRACKING_ID": uuid.uuid4().hex,
        }

    @contextmanager
    def job(self) -> Iterator[None]:
        """End what the steps have left running, as the runner does at the end of a job."""
        try:
            yield
        finally:
            self._end_processes()

    async def run(self, steps: list[Step]) -> str:
        """Run steps, those of our action among them, and return what they print. Fail with a step that fails."""
        said = ""
        for step in steps:
            uses = str(step.get("uses", ""))
            if uses.startswith(OUR_ACTION):
                said += await self._run_action(step)
            elif not uses and self._is_wanted(step):
                said += await self._run_step(step)
        return said

    async def _run_action(self, step: Step) -> str:
        action = yaml.safe_load((self._root / "action.yml").read_text())
        given = step.get("with", {})
        assert given.keys() <= action["inputs"].keys()
        for name, about in action["inputs"].items():
            self.values[f"inputs.{name}"] = str(given.get(name, about["default"]))
        said = await self.run(action["runs"]["steps"])
        for name, about in action["outputs"].items():
            self.values[f"steps.{step.get('id')}.outputs.{name}"] = self._filled_in(about["value"])
        return said

    def _is_wanted(self, step: Step) -> bool:
        condition = str(step.get("if", "success()"))
        if condition in ("success()", "failure()"):
            return condition == "success()"
        name, _, wanted = condition.partition(" == ")
        return self.values[name] == wanted.strip("'")

    async def _run_step(self, step: Step) -> str:
        files = {name: self._temporary / uuid.uuid4().hex for name in ("GITHUB_ENV", "GITHUB_OUTPUT")}
        for file in files.values():
            file.touch()
        own = {name: self._filled_in(str(value)) for name, value in step.get("env", {}).items()}
        environment = self.environment | {name: str(file) for name, file in files.items()} | own
        status, said = await asyncio.to_thread(self._run_script, self._filled_in(step["run"]), environment)
        assert status == 0, said
        self.environment |= _pairs(files["GITHUB_ENV"])
        for name, value in _pairs(files["GITHUB_OUTPUT"]).items():
            self.values[f"steps.{step.get('id')}.outputs.{name}"] = value
        return said

    def _run_script(self, script: str, environment: Mapping[str, str]) -> tuple[int, str]:
        """Run a script to its end, which what it leaves running does not put off: all print into a file."""
        with tempfile.TemporaryFile() as printed:
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
                cwd=self._workspace,
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                timeout=STEP_SECONDS,
                check=False,
            )
            printed.seek(0)
            return done.returncode, printed.read().decode()

    def _filled_in(self, text: str) -> str:
        return EXPRESSION.sub(lambda found: self.values[found[1]], text)

    def _end_processes(self) -> None:
        mark = f"RUNNER_TRACKING_ID={self.environment['RUNNER_TRACKING_ID']}".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    os.kill(int(folder.name), signal.SIGTERM)
            except OSError:
                continue  # it has ended, or is another user's


def _pairs(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines())
