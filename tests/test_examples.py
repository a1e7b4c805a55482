"""Each program in examples/ answers the question of its docstring: it runs, and prints what is expected."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from processes import run_program, running

pytestmark = pytest.mark.processes
EXAMPLES = Path(__file__).parent.parent / "examples"
PRINTS = {
    "query_storages": r"(imagestore-\d Connected \d+\n){3}",
    "add_and_follow": r"added: gold Connected\nrefused: SYS\.1006\ndeleted: \[\]\n",
    "break_a_host": r"broken: Disconnected\nhealed: Connected\n",
    "watch_events": r"(/\S+ \{.*\}\n){3}",
    "lab_in_process": r"storages: \['imagestore-1', 'imagestore-2'\]\nstopped: Disconnected\n",
    "night_in_a_second": r"virtual hours: 8\.\d\nreal seconds: \d+\.\d\n",
    "outage_with_unittest": r"",
    "probe_a_host": r"bytes: \d+ available: \d+ by \w+\n",
    "test_a_client": r"(?s).*\b1 passed\b.*",
    "test_what_was_sent": r"(?s).*\b1 passed\b.*",
}
OF_A_LAB = ("query_storages", "add_and_follow", "break_a_host", "watch_events")


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[str]:
    """Run a lab that pings each second; its URL."""
    async with running("lab", "--port", "0", "--ping-interval", "1", cwd=tmp_path) as process:
        yield process.url
        assert await process.stop() == 0


async def printed(name: str, *arguments: str, cwd: Path) -> None:
    """Run an example to its end, and compare what it prints."""
    program = ["-m", "pytest", "-p", "no:cacheprovider", "-q"] if name.startswith("test_") else []
    finished = await run_program(sys.executable, *program, str(EXAMPLES / f"{name}.py"), *arguments, cwd=cwd)
    assert finished.status == 0, finished.output + finished.errors
    assert re.fullmatch(PRINTS[name], finished.output), finished.output


@pytest.mark.parametrize("name", OF_A_LAB)
async def test_an_example_about_a_running_lab_prints_its_answer(name: str, lab: str, tmp_path: Path) -> None:
    await printed(name, lab, cwd=tmp_path)


@pytest.mark.parametrize(
    "name", ["lab_in_process", "night_in_a_second", "outage_with_unittest", "test_a_client", "test_what_was_sent"]
)
async def test_an_example_that_needs_nothing_prints_its_answer(name: str, tmp_path: Path) -> None:
    await printed(name, cwd=tmp_path)


async def test_the_example_about_a_host_prints_its_capacity(tmp_path: Path) -> None:
    async with running("host", "--port", "0", cwd=tmp_path) as host:
        address, _, port = host.url.removeprefix("ssh://").rpartition(":")
        await printed("probe_a_host", address, port, cwd=tmp_path)
        assert await host.stop() == 0


def test_every_example_asks_a_question_and_is_in_the_index() -> None:
    programs = sorted(EXAMPLES.glob("*.py"))
    assert {one.stem for one in programs} == set(PRINTS)
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for program in programs:
        question = (ast.get_docstring(ast.parse(program.read_text(encoding="utf-8"))) or "").splitlines()[0]
        assert f"| {question.partition('?')[0]}? | [{program.name}]({program.name}) |" in index
