"""The console as a whole: it opens, shows the fleet, and follows what happens."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from console.browser_pages import Look, OpenPage, picture
from imagestore_sim.testing.lab_thread import LabThread

pytestmark = pytest.mark.browser


def test_the_page_shows_the_fleet(browser_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(browser_lab.lab.url)
    expect(page.get_by_role("link", name="imagestore-2")).to_be_visible()
    assert page.url.endswith("/#/storages")


def test_the_page_looks_the_same_everywhere(browser_lab: LabThread, open_page: OpenPage, look: Look) -> None:
    width, theme = look
    page = open_page(browser_lab.lab.url, width=width, theme=theme)
    expect(page.get_by_role("link", name="imagestore-2")).to_be_visible()
    picture(page, f"fleet-{width}-{theme}")
