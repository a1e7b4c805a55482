"""The timeline in a browser: lanes, faults, ticks, keyboard and mouse, and a story that is saved from it."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from console.accessibility import serious_violations
from console.browser_pages import Look, OpenPage, picture
from imagestore_sim.scenario.format.reader import parse_scenario
from imagestore_sim.scenario.play.results import Verdict
from imagestore_sim.scenario.replay import play_virtually
from imagestore_sim.testing.lab_thread import LabThread

pytestmark = pytest.mark.browser


def lab(page: Page, method: str, path: str, body: object = None) -> Any:
    """Call the lab's API from outside the page, as a person with curl does."""
    base = page.url.split("/#")[0].rstrip("/")
    answer = page.request.fetch(f"{base}/lab/v1{path}", method=method, data=body)
    assert answer.ok, answer.text()
    return answer.json()


def lane(page: Page, name: str) -> Any:
    return page.get_by_role("listitem").filter(has=page.get_by_text(name, exact=True)).get_by_role("img")


def break_and_heal(page: Page) -> None:
    lab(page, "POST", "/hosts/imagestore-1/faults", {"kind": "refuse"})
    expect(lane(page, "imagestore-1")).to_have_attribute("aria-label", re.compile("Disconnected from .*faults: refuse"))
    lab(page, "POST", "/heal", {})
    expect(lane(page, "imagestore-1")).to_have_attribute("aria-label", re.compile(r"Connected from \S+;"))


def open_timeline(open_page: OpenPage, running: LabThread, **options: Any) -> Page:
    page = open_page(f"{running.lab.url}/#/timeline", **options)
    expect(lane(page, "imagestore-1")).to_have_attribute("aria-label", re.compile("Connected from"))
    return page


def test_a_story_is_seen_and_saved_in_each_look(open_page: OpenPage, fresh_lab: LabThread, look: Look) -> None:
    page = open_timeline(open_page, fresh_lab, width=look[0], theme=look[1])
    page.get_by_label("How much time is shown").select_option("30 s")
    lab(page, "POST", "/node/faults", {"kind": "api_error", "when": {"api": "QueryZone", "first": 1}})
    page.request.get(f"{fresh_lab.lab.url}/zstack/v1/zones")
    break_and_heal(page)
    page.get_by_role("button", name="Capacity").click()
    picture(page, f"timeline-{look[0]}-{look[1]}")
    assert serious_violations(page) == []
    page.get_by_role("button", name="Save as scenario …").click()
    page.get_by_label("Title").fill("A cable is pulled")
    picture(page, f"timeline-save-{look[0]}-{look[1]}")
    page.get_by_role("button", name="Write the scenario").click()
    text = page.get_by_label("The scenario").text_content() or ""
    picture(page, f"timeline-saved-{look[0]}-{look[1]}")
    assert serious_violations(page) == []
    if look == (1024, "light"):
        with ThreadPoolExecutor(1) as other:  # the browser's driver has a loop in this thread
            assert other.submit(play_virtually, parse_scenario(text)).result().verdict is Verdict.HELD
    assert "title: A cable is pulled" in text
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "a-cable-is-pulled.yaml"
    assert (download.value.path()).read_text() == text


def test_keys_move_zoom_and_mark(open_page: OpenPage, fresh_lab: LabThread) -> None:
    page = open_timeline(open_page, fresh_lab)
    live = page.get_by_role("button", name="Live")
    expect(live).to_have_attribute("aria-pressed", "true")
    chart = page.get_by_role("group", name="Timeline")
    chart.focus()
    page.keyboard.press("ArrowLeft")
    expect(live).to_have_attribute("aria-pressed", "false")
    expect(page).to_have_url(re.compile(r"from=[\d.]+&to=[\d.]+"))
    before = page.url
    page.keyboard.press("+")
    expect(page).not_to_have_url(before)
    page.keyboard.press("[")
    page.keyboard.press("s")
    marked = page.get_by_label(re.compile("The part that is marked"))
    expect(marked).to_be_checked()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    chart.focus()
    page.keyboard.press("End")
    expect(live).to_have_attribute("aria-pressed", "true")
    expect(page).to_have_url(re.compile("#/timeline$"))


def test_the_mouse_moves_marks_and_zooms(open_page: OpenPage, fresh_lab: LabThread) -> None:
    page = open_timeline(open_page, fresh_lab)
    box = page.locator(".lanes .track").first.bounding_box()
    assert box is not None
    x, y = box["x"], box["y"] + 10
    page.mouse.move(x + 100, y)
    page.mouse.down()
    page.mouse.move(x + 300, y, steps=4)
    page.mouse.up()
    expect(page.get_by_role("button", name="Live")).to_have_attribute("aria-pressed", "false")
    axis = page.locator(".axis").bounding_box()
    assert axis is not None
    page.mouse.move(x + 50, axis["y"] + 8)
    page.mouse.down()
    page.mouse.move(x + 200, axis["y"] + 8, steps=4)
    page.mouse.up()
    expect(page.locator(".axis .marked")).to_have_count(1)
    before = page.url
    page.mouse.wheel(0, -100)
    expect(page).not_to_have_url(before)


def test_a_state_of_the_timeline_has_a_url(open_page: OpenPage, fresh_lab: LabThread) -> None:
    page = open_timeline(open_page, fresh_lab)
    page.get_by_label("Only storages whose name or host contains").fill("store-2")
    expect(page.locator(".lanes .lane")).to_have_count(1)
    page.get_by_role("button", name="Capacity").click()
    again = open_page(page.url)
    expect(again.locator(".lanes .lane")).to_have_count(1)
    expect(again.get_by_role("button", name="Capacity")).to_have_attribute("aria-pressed", "true")
    again.get_by_role("button", name="Only changed").click()
    again.get_by_label("Only storages whose name or host contains").fill("no such")
    expect(again.get_by_role("heading", name="No storage is like that")).to_be_visible()


def test_a_story_is_checked_by_playing_it(open_page: OpenPage, fresh_lab: LabThread) -> None:
    page = open_timeline(open_page, fresh_lab)
    break_and_heal(page)
    page.get_by_role("button", name="Save as scenario …").click()
    page.get_by_label("Play it once").check()
    page.get_by_role("button", name="curl").first.click()
    expect(page.get_by_role("dialog", name="The same with curl")).to_contain_text("/lab/v1/scenario")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Write the scenario").click()
    expect(page.locator(".verdict")).to_contain_text("every expectation held", timeout=60_000)


def test_a_tick_leads_to_its_request(open_page: OpenPage, fresh_lab: LabThread) -> None:
    page = open_timeline(open_page, fresh_lab)
    page.request.post(f"{fresh_lab.lab.url}/zstack/v1/nosuch")
    expect(page.locator(".tick.failed")).to_have_count(1)
    page.get_by_role("button", name="Live").click()
    page.locator(".tick.failed .target").click()
    expect(page).to_have_url(re.compile(r"#/requests/\d+"))
    expect(page.get_by_role("complementary", name="Details")).to_contain_text("/zstack/v1/nosuch")
