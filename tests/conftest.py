"""How the tests run: which fixtures there are, on how many workers, and what the garbage collector leaves out."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures where tests run; importing them takes a second, for which all workers would wait."""
    hands_out = bool(config.getoption("numprocesses", None)) and not hasattr(config, "workerinput")
    if not hands_out:
        config.pluginmanager.import_plugin("shared_fixtures")


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Run three workers on two cores: a test waits for a third of its time, for a thread, a socket or a time-out."""
    cores = yield
    return cores if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else cores + cores // 2


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from all that is imported and collected: it would take a quarter of a run.

    Afterwards it runs a tenth as often as by default.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10 * gc.get_threshold()[0], *gc.get_threshold()[1:])
        gc.enable()
