"""The explorer's modules that need no page, under Node: `explorer/*.test.mjs`, and what they share with the server."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from imagestore_sim.query.conditions import OPERATOR_TOKENS, parse_condition
from imagestore_sim.query.errors import QueryParameterError

pytestmark = pytest.mark.browser
HERE = Path(__file__).parent / "explorer"
NODE = ("node", "--experimental-detect-module")
CONDITIONS = [
    *(f"name{token}value" if token[0] in "!<>=~?" else f"name {token}" for token, _ in OPERATOR_TOKENS),
    "", "name", "=", "name=", "=value", "==name=value", "name==value", "a!=b=c", "a=b!=c", "name = value ",
    " name ~= a%", "a<=b>=c", "x>=5", "x>5", "x<5", "name!?=a,b", "name?=a,b", "name is null or", "not null",
    "a not null is null",
]  # fmt: skip


def run_node(*arguments: str, text: str = "") -> str:
    """Return what a program prints; skip without Node."""
    if shutil.which("node") is None:
        pytest.skip("needs Node (20.10 or newer)")
    done = subprocess.run([*NODE, *arguments], input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_modules_do_what_they_say() -> None:
    assert "# fail 0" in run_node("--test", "--test-reporter=tap", str(HERE / "modules.test.mjs"))


def test_a_condition_is_read_as_the_server_reads_it() -> None:
    read = json.loads(run_node(str(HERE / "read_conditions.mjs"), text=json.dumps(CONDITIONS)))
    assert dict(zip(CONDITIONS, read, strict=True)) == {text: _as_server(text) for text in CONDITIONS}


def _as_server(text: str) -> list[str] | None:
    try:
        condition = parse_condition(text)
    except QueryParameterError:
        return None
    token = next(token for token, operator in OPERATOR_TOKENS if operator is condition.operator)
    return [condition.name, token, condition.value]
