"""Take docs/console.png, the README's picture of the console: a lab of four hosts, of which two have trouble."""

from __future__ import annotations

from playwright.sync_api import sync_playwright

from console.browser_pages import find_browser
from imagestore_sim.testing import Lab

WIDTH, HEIGHT = 1280, 700
WITHIN = 30
"""Seconds for the lab to see the trouble."""
SHOWN_MS = 30_000.0
SETTLED_MS = 2000.0
"""The next pings fill the rows."""


def picture() -> bytes:
    """Run a lab, break two hosts, and return a picture of its page. Raise RuntimeError without a browser."""
    program = find_browser()
    if program is None:
        raise RuntimeError("the picture of the console needs Chromium (Debian: chromium)")
    with (
        Lab(hosts=4, seed=1, ping_interval=1) as lab,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"]) as browser,
    ):
        lab.host("imagestore-2").break_("fill", to="97%")
        lab.host("imagestore-4").break_("refuse")
        lab.wait_for_status("imagestore-4", "Disconnected", within=WITHIN)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="dark")
        page.goto(lab.url)
        page.get_by_text("Disconnected").first.wait_for(timeout=SHOWN_MS)
        page.get_by_text("imagestore-4").first.click()
        page.get_by_role("heading", name="imagestore-4").wait_for(timeout=SHOWN_MS)
        page.wait_for_timeout(SETTLED_MS)
        return page.screenshot()
