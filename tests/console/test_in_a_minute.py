"""What a new user does without documents: break a host, see it in the API's answer, heal it, save the story."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Page, expect

from console.accessibility import serious_violations
from console.browser_pages import Look, OpenPage, picture
from imagestore_sim.scenario.format.reader import parse_scenario
from imagestore_sim.scenario.play.results import Verdict
from imagestore_sim.scenario.replay import play_virtually
from imagestore_sim.testing.lab_thread import LabThread

pytestmark = [pytest.mark.browser, pytest.mark.alone]
NAME = "imagestore-1"
DAYS: list[Look] = [(1024, "light"), (1920, "dark"), (360, "dark")]
MOST_SECONDS = 60.0


@pytest.mark.parametrize("seen", DAYS, ids=[f"{width}-{theme}" for width, theme in DAYS])
def test_a_host_is_broken_healed_and_the_story_saved(open_page: OpenPage, fresh_lab: LabThread, seen: Look) -> None:
    page = open_page(fresh_lab.lab.url, width=seen[0], theme=seen[1])
    began = time.monotonic()

    def step(number: int, what: str) -> None:
        picture(page, f"minute-{seen[0]}-{seen[1]}-{number}-{what}")

    expect(page.get_by_role("link", name=NAME)).to_be_visible()
    step(1, "fleet")
    break_host(page)
    step(2, "broken")
    see_it_in_the_answer(page)
    step(3, "answer")
    heal_host(page)
    step(4, "healed")
    text = save_story(page)
    step(5, "saved")
    took = time.monotonic() - began
    assert serious_violations(page) == []
    print(f"the clicks took {took:.1f} s")
    assert took < MOST_SECONDS
    with ThreadPoolExecutor(1) as other:  # the browser's driver has a loop in this thread
        assert other.submit(play_virtually, parse_scenario(text)).result().verdict is Verdict.HELD


def break_host(page: Page) -> None:
    page.get_by_role("link", name=NAME).click()
    drawer = page.locator("#drawer")
    drawer.get_by_role("button", name="refuse").click()
    drawer.get_by_role("button", name=f"Break {NAME}").click()
    expect(drawer.locator(".lead .status")).to_have_text("✕ Disconnected")


def see_it_in_the_answer(page: Page) -> None:
    page.goto(page.url.partition("#")[0].rstrip("/") + "/docs")
    expect(page.get_by_role("heading", name="Where to begin")).to_be_visible()
    if (page.viewport_size or {"width": 0})["width"] < 800:
        page.get_by_role("button", name="APIs").click()
    page.get_by_role("searchbox").first.fill("query imagestore")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("QueryImageStoreBackupStorage")
    page.get_by_role("button", name="Send", exact=True).click()
    answer = page.get_by_role("region", name="Answer", exact=True)
    expect(answer).to_contain_text('"status": "Disconnected"')
    answer.get_by_text('"Disconnected"').first.scroll_into_view_if_needed()


def heal_host(page: Page) -> None:
    page.goto(page.url.partition("/docs")[0] + "/")
    page.get_by_role("link", name=NAME).click()
    drawer = page.locator("#drawer")
    drawer.get_by_role("button", name="Heal refuse").click()
    expect(drawer.locator(".lead .status")).to_have_text("● Connected")


def save_story(page: Page) -> str:
    page.keyboard.press("Escape")
    page.get_by_role("navigation", name="Views").get_by_role("link", name="Timeline").click()
    page.get_by_role("button", name="Save as scenario …").click()
    page.get_by_label("Title").fill("The SSH port is closed")
    page.get_by_role("button", name="Write the scenario").click()
    return page.get_by_label("The scenario").text_content() or ""
