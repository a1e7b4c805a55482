"""What a new user does without a document: break a host, see it in the API, heal it, save the story."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import expect

from console.browser_pages import Look, OpenPage, Theme, picture
from imagestore_sim.testing.lab_thread import LabThread

pytestmark = [pytest.mark.browser, pytest.mark.alone]
LOOKS: list[Look] = [(1280, "light"), (1280, "dark"), (360, "light")]
NAME = "imagestore-2"


@pytest.mark.parametrize(("width", "theme"), LOOKS, ids=[f"{width}-{theme}" for width, theme in LOOKS])
def test_a_host_is_broken_seen_healed_and_saved_within_a_minute(
    fresh_lab: LabThread, open_page: OpenPage, width: int, theme: Theme
) -> None:
    begun = time.monotonic()
    page = open_page(fresh_lab.lab.url, width=width, theme=theme)

    def step(name: str) -> None:
        picture(page, f"minute-{width}-{theme}-{name}")

    page.get_by_text(NAME, exact=True).first.click()
    drawer = page.locator("#drawer")
    drawer.get_by_role("button", name="refuse").click()
    step("1-form")
    drawer.get_by_role("button", name=f"Break {NAME}").click()
    expect(drawer.locator(".lead .status")).to_have_text("✕ Disconnected")
    step("2-broken")

    page.goto(f"{fresh_lab.lab.url}/docs#/zstack/APIQueryImageStoreBackupStorageMsg")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("region", name="Answer", exact=True)).to_contain_text('"status": "Disconnected"')
    page.get_by_role("region", name="Answer", exact=True).scroll_into_view_if_needed()
    step("3-answer")

    page.get_by_role("link", name=re.compile("Console|imagestore-sim")).first.click()
    page.get_by_role("button", name="Heal all").click()
    expect(page.get_by_text("All faults are healed")).to_be_visible()
    expect(page.get_by_role("group", name="Storages by status").locator("b")).to_have_text(["3", "0", "0"])
    step("4-healed")

    page.get_by_role("link", name="Timeline").click()
    page.get_by_role("button", name="Save as scenario …").click()
    page.get_by_label("Title").fill("A host refuses")
    page.get_by_role("button", name="Write the scenario").click()
    expect(page.get_by_label("The scenario")).to_contain_text(f"fault: {{host: {NAME}, kind: refuse}}")
    step("5-saved")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "a-host-refuses.yaml"
    took = time.monotonic() - begun
    print(f"{width} {theme}: {took:.1f} s")
    assert took < 60
