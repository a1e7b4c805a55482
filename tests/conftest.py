"""How the tests run: which fixtures there are, on how many workers, and what the garbage collector leaves out."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Generator
from pathlib import Path

import pytest

MODULE_MARKERS = re.compile(r"^pytestmark = (?:\[\n.*?^\]|.*?$)", re.MULTILINE | re.DOTALL)
"""The statement that gives markers to every test of a module."""
MARKER = re.compile(r"pytest\.mark\.(\w+)")
CONJUNCTION = re.compile(r"(?:not )?\w+(?: and (?:not )?\w+)*")
REFUSED = re.compile(r"\bnot (\w+)")


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures where tests run; importing them takes a second, for which all workers would wait.

    Keep the garbage collector from all that is imported and collected: it would take a quarter of a run.
    """
    gc.disable()
    hands_out = bool(config.getoption("numprocesses", None)) and not hasattr(config, "workerinput")
    if not hands_out:
        config.pluginmanager.import_plugin("shared_fixtures")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignore a module whose `pytestmark` has a marker that `-m` refuses: no test of it would run.

    A quarter of the modules are such in a default run, and each worker would import them all.
    """
    expression = config.option.markexpr
    if collection_path.suffix != ".py" or not CONJUNCTION.fullmatch(expression):
        return None
    given = MODULE_MARKERS.search(collection_path.read_text())
    markers = MARKER.findall(given[0]) if given else []
    return True if set(markers) & set(REFUSED.findall(expression)) else None


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Run two workers on a core: a test waits for a third of its time, for a thread, a socket or a time-out."""
    cores = yield
    return cores if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else 2 * cores


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave all that is there now to no collection; afterwards the collector runs a tenth as often as by default."""
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10 * gc.get_threshold()[0], *gc.get_threshold()[1:])
        gc.enable()
