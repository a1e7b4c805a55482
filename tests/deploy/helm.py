"""Helm, as a test runs it on the chart."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "deploy" / "helm" / "imagestore-sim"
EXAMPLES = ROOT / "deploy" / "helm" / "examples"
MODULE = "helm.sh/helm/v3/cmd/helm@v3.18.6"
OLDEST, NEWEST = "1.25", "1.37"
"""Versions of Kubernetes that the chart is for."""
BUILD_SECONDS, SECONDS = 420.0, 90.0
NO_MODULES = ("dial tcp", "no such host", "i/o timeout", "connection refused", "404 Not Found", "410 Gone")


class Helm:
    """The command, in a folder of its own."""

    def __init__(self, program: str, home: Path) -> None:
        self._program = program
        self._environment = os.environ | {f"HELM_{name}_HOME": str(home) for name in ("CACHE", "CONFIG", "DATA")}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end, and return what it prints."""
        return subprocess.run(
            [self._program, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def render(self, *options: str, values: str | None = None) -> list[dict[str, Any]]:
        """Return the objects of a release `r` in the namespace `lab`, with the values of an example."""
        finished = self.run(*_template(values), *options)
        assert finished.returncode == 0, finished.stderr
        return [one for one in yaml.safe_load_all(finished.stdout) if one is not None]

    def notes(self, folder: Path, *options: str) -> str:
        """Return what it prints once the release `r` is installed: a copy of the chart renders it as an object."""
        shutil.copytree(CHART, folder)
        notes = folder / "templates" / "NOTES.txt"
        (folder / "templates" / "_notes.tpl").write_text(
            f'{{{{- define "notes" -}}}}{notes.read_text()}{{{{- end -}}}}'
        )
        (folder / "templates" / "notes.yaml").write_text('notes: |\n{{ include "notes" . | indent 2 }}\n')
        notes.unlink()
        finished = self.run(*_template(None, folder), "--show-only", "templates/notes.yaml", *options)
        assert finished.returncode == 0, finished.stderr
        text: str = yaml.safe_load(finished.stdout)["notes"]
        return text

    def refusal(self, *options: str, values: str | None = None) -> str:
        """Return what it says to values that it refuses."""
        finished = self.run(*_template(values), *options)
        assert finished.returncode != 0, finished.stdout
        return finished.stderr


def _template(values: str | None, chart: Path = CHART) -> list[str]:
    given = [] if values is None else ["--values", str(EXAMPLES / f"{values}.yaml")]
    return ["template", "r", str(chart), "--namespace", "lab", "--kube-version", f"{NEWEST}.0", *given]


def find_helm(folder: Path) -> Helm:
    """Return the `helm` that is installed, or else one that Go builds. Skip the test if neither is to be had."""
    installed = shutil.which("helm")
    return Helm(installed or _built(folder), folder)


def _built(folder: Path) -> str:
    go = shutil.which("go")
    if go is None:
        pytest.skip("needs helm, or Go 1.24 or newer to build it")
    flags = ["-ldflags=-s -w"]
    environment = os.environ | {"GOBIN": str(folder), "GOFLAGS": "", "CGO_ENABLED": "0"}
    try:
        finished = subprocess.run(
            [go, "install", *flags, MODULE],
            env=environment,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"needs helm: to build {MODULE} takes longer than {BUILD_SECONDS:.0f} s on this machine")
    if finished.returncode and any(one in finished.stderr for one in NO_MODULES):
        pytest.skip(f"needs {MODULE} from a module proxy: {finished.stderr[-200:]}")
    assert finished.returncode == 0, finished.stderr
    return str(folder / "helm")


def one_of(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    """Return the object of a kind and name."""
    [found] = [one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


def containers(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the container of each pod by the name of what makes the pod."""
    specs = {
        one["metadata"]["name"]: one["spec"] if one["kind"] == "Pod" else one["spec"]["template"]["spec"]
        for one in objects
        if one["kind"] in ("Pod", "StatefulSet")
    }
    return {name: spec["containers"][0] for name, spec in specs.items()}


def variables(container: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of a container, each with a value that stands for that of its secret."""
    return {one["name"]: str(one.get("value", VALUES.get(one["name"], "r-0"))) for one in container.get("env", [])}


VALUES = {
    "IMAGESTORE_SIM_DATABASE": "mariadb://u:p@db/n",
    "IMAGESTORE_SIM_VAULT_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    "IMAGESTORE_SIM_LAB_TOKEN": "token",
}
