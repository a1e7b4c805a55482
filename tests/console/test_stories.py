"""The library of stories: searched, read, and played on the lab while one watches."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from console.accessibility import serious_violations
from console.browser_pages import Look, OpenPage, lab_call, picture
from console.served_node import served_node
from imagestore_sim.scenario.library import names
from imagestore_sim.testing.lab_thread import LabThread

pytestmark = pytest.mark.browser

SHORT = "address-behind-a-vip"
PLAY_MS = 60_000
COUNT = len(names())


def expect_library(page: Page) -> None:
    """Wait until the stories are there: the first to ask waits for all their files to be read."""
    expect(page.locator(".head [role=status]")).to_contain_text(f"of {COUNT}", timeout=PLAY_MS)


def expect_no_sideways_scroll(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


def test_the_library_is_shown_with_pictures(browser_lab: LabThread, open_page: OpenPage, look: Look) -> None:
    width, theme = look
    page = open_page(f"{browser_lab.lab.url}/#/stories", width=width, theme=theme)
    expect_library(page)
    expect(page.get_by_role("link", name="The disk fills up, the host is extended")).to_be_attached()
    first = page.locator(".story-card img").first
    expect(first).to_be_visible()
    page.wait_for_function("document.querySelector('.story-card img').naturalWidth > 0")
    expect_no_sideways_scroll(page)
    assert serious_violations(page) == []
    picture(page, f"stories-{width}-{theme}")


def test_stories_are_found_by_words_and_by_what_they_break(browser_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(f"{browser_lab.lab.url}/#/stories")
    counted = page.locator(".head [role=status]")
    expect_library(page)
    page.get_by_label("Search the stories").fill("disk extended")
    expect(page.locator(".story-card")).to_contain_text(["extended"])
    assert "q=disk" in page.url
    page.get_by_label("Search the stories").fill("no such word")
    page.get_by_role("button", name="Show all stories").click()
    page.get_by_label("What they break").select_option("host_key_changed")
    expect(counted).not_to_have_text(f"{COUNT} of {COUNT} stories")
    assert page.locator(".story-card").count() < 10
    page.reload()
    expect(page.get_by_label("What they break")).to_have_value("host_key_changed")
    page.get_by_label("What they break").select_option("")
    page.get_by_label("playable here").check()
    expect(page.locator(".story-card", has_text="not on a running lab")).to_have_count(0)


def test_a_story_is_played_with_verdicts_as_they_happen(fresh_lab: LabThread, open_page: OpenPage, look: Look) -> None:
    width, theme = look
    page = open_page(f"{fresh_lab.lab.url}/#/stories/{SHORT}", width=width, theme=theme, expected=(503,))
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=PLAY_MS)
    expect(page.get_by_text("put aside in memory")).to_be_visible()
    assert serious_violations(page) == []
    page.get_by_role("button", name="Play on this lab").click()
    expect(page.locator(".story-steps .chip", has_text="held").first).to_be_visible(timeout=PLAY_MS)
    expect(page.get_by_label("What happens").get_by_text("ended")).to_be_visible(timeout=PLAY_MS)
    expect(page.get_by_label("What happens").locator(".row .chip").first).to_have_text("✓ held")
    expect(page.get_by_role("link", name="Report")).to_be_visible()
    expect(page.get_by_role("button", name="Play on this lab")).to_be_enabled()
    expect_no_sideways_scroll(page)
    assert serious_violations(page) == []
    page.get_by_role("heading", name="What happens").scroll_into_view_if_needed()
    picture(page, f"story-played-{width}-{theme}")
    page.goto(f"{fresh_lab.lab.url}/#/storages")
    expect(page.get_by_text("imagestore-3", exact=True).first).to_be_visible()


def test_a_play_is_stopped_and_the_lab_is_as_before(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(f"{fresh_lab.lab.url}/#/stories/disk-fills-up", expected=(503,))
    page.get_by_label("step the clock").uncheck(timeout=PLAY_MS)
    page.get_by_role("button", name="Play on this lab").click()
    expect(page.get_by_label("What happens").get_by_text("playing", exact=True)).to_be_visible(timeout=PLAY_MS)
    expect(page.locator(".story-steps tr").nth(1).locator(".chip")).to_have_text("✓ held", timeout=PLAY_MS)
    expect(page.get_by_role("button", name="Play on this lab")).to_be_disabled()
    picture(page, "story-playing")
    other = open_page(f"{fresh_lab.lab.url}/#/stories")
    expect(other.get_by_text("Being played now")).to_be_visible(timeout=PLAY_MS)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_label("What happens").get_by_text("stopped", exact=True)).to_be_visible(timeout=PLAY_MS)
    storages = lab_call(fresh_lab.lab.url, "GET", "/hosts")["hosts"]
    assert [one["name"] for one in storages] == ["imagestore-1", "imagestore-2", "imagestore-3"]
    assert all(one["faults"] == [] for one in storages)


def test_a_story_that_needs_more_than_a_running_lab_says_so(browser_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(f"{browser_lab.lab.url}/#/stories/node-restarted-in-the-outage")
    expect(page.get_by_text("It cannot be played on this node.")).to_contain_text("restart_node", timeout=PLAY_MS)
    expect(page.get_by_role("button", name="Play on this lab")).to_be_hidden()
    expect(page.get_by_text("imagestore-sim replay node-restarted-in-the-outage")).to_be_visible()


def test_an_unknown_story_leads_back_to_all(browser_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(f"{browser_lab.lab.url}/#/stories/nowhere", expected=(404,))
    expect(page.get_by_text("there is no such story")).to_be_visible(timeout=PLAY_MS)
    page.get_by_role("link", name="All stories").click()
    expect(page.get_by_role("heading", name="Stories")).to_be_visible()


def test_a_node_of_real_hosts_shows_stories_and_plays_none(tmp_path: Path, open_page: OpenPage) -> None:
    with served_node(tmp_path, "--lab-api") as url:
        page = open_page(f"{url}/#/stories")
        expect(page.get_by_text("No story can be played here")).to_contain_text("imagestore-sim lab", timeout=PLAY_MS)
        picture(page, "stories-serve")
