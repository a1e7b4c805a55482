"""How the tests run: which fixtures there are, on how many workers, who compiles what, and what is left uncollected."""

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
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Leave all that is there now to no collection; afterwards the collector runs a tenth as often as by default."""
    _take_turns(session.config)
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10 * gc.get_threshold()[0], *gc.get_threshold()[1:])
        gc.enable()


def _take_turns(config: pytest.Config) -> None:
    """Let each worker of xdist begin to collect in another folder.

    A module whose assertions nobody has rewritten yet takes ten times as long to import. Where all workers came to it
    at once, as in a fresh clone, each would rewrite it.
    """
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        places = [place for argument in config.args for place in _places(argument)]
        first = len(places) * int(worker["workerid"].removeprefix("gw")) // worker["workercount"]
        config.args[:] = places[first:] + places[:first]


def _places(argument: str) -> list[str]:
    """Return an argument of pytest; of a folder, the modules and folders in it."""
    if not Path(argument).is_dir():
        return [argument]
    inside = [one for one in sorted(Path(argument).iterdir()) if one.is_dir() or one.match("test_*.py")]
    return [str(one) for one in inside if one.name != "__pycache__"]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the modules in one order again: the workers of xdist refer to tests by number."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.path)
