"""Fixtures for tests in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from console.browser_pages import LOOKS, WAIT_MS, OpenPage, find_browser, watched_pages
from imagestore_sim.cli.stories import StoriesOnDemand
from imagestore_sim.scenario.recording.by_hand import ScenarioWriter
from imagestore_sim.testing.lab_thread import LabThread, running_lab

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that takes `look` each width in each theme."""
    if "look" in metafunc.fixturenames:
        metafunc.parametrize("look", LOOKS, ids=[f"{width}-{theme}" for width, theme in LOOKS])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a browser; skip the test where there is none."""
    program = find_browser()
    if program is None:
        pytest.skip("needs Chromium (Debian: chromium)")
    # Not above: it takes long, and tests without a browser are collected with this module, too.
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        expect.set_options(timeout=WAIT_MS)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[OpenPage]:
    """Return a function that opens a page of a node: `open_page(url, width=…, theme=…)`.

    The test fails if a page logs an error or a warning, or asks anything of another server. `expected` are the HTTP
    statuses from 400 on that the test causes.
    """
    with watched_pages(browser, request.node.name) as open_it:
        yield open_it


@pytest.fixture(scope="module")
def browser_lab() -> Iterator[LabThread]:
    """Return a lab with three hosts that the tests of a module share; its pings come each second."""
    stories = StoriesOnDemand(lambda: running.lab.url, None, has_hosts=True)
    with running_lab(hosts=3, story_writer=ScenarioWriter(), stories=stories.open) as running:
        yield running
        running.wait(stories.close)


@pytest.fixture
def fresh_lab(browser_lab: LabThread) -> LabThread:
    """Return that lab as it is at its start, for a test that changes it."""
    browser_lab.wait(browser_lab.lab.node.changes.reset, wait=True)
    return browser_lab
