"""The fleet: its rows, its filter in ZStack's syntax, its order, and its use without a mouse."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from console.browser_pages import OpenPage, lab_call, picture
from imagestore_sim.testing.lab_thread import LabThread, running_lab

pytestmark = pytest.mark.browser


def names(page: Page) -> list[str]:
    """Return the names of the rows, from the top."""
    rows = page.locator(".fleet-body .fleet-row:visible")
    found = rows.evaluate_all("rows => rows.map(row => [row.ariaRowIndex, row.querySelector('a').textContent])")
    return [name for _, name in sorted((int(index), name) for index, name in found)]


def expect_names(page: Page, *expected: str) -> None:
    expect(page.locator(".fleet-body .fleet-row:visible")).to_have_count(len(expected))
    assert names(page) == list(expected)


def test_conditions_are_completed_sent_and_shown(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(fresh_lab.lab.url)
    box = page.get_by_role("combobox", name="Filter by conditions")
    box.click()
    expect(page.get_by_role("option", name="availableCapacity")).to_be_visible()
    box.press_sequentially("nam")
    box.press("ArrowDown")
    box.press("Enter")
    expect(box).to_have_value("name")
    expect(page.get_by_role("option", name="~=", exact=False).first).to_be_visible()
    picture(page, "fleet-filter")
    box.press_sequentially("~=%-2")
    box.press("Enter")
    expect_names(page, "imagestore-2")
    expect(page.get_by_text("GET /zstack/v1/backup-storage?q=name~=%-2")).to_be_visible()
    assert page.url.endswith("#/storages?q=name%7E%3D%25-2")
    page.reload()
    expect_names(page, "imagestore-2")
    page.get_by_role("button", name="Remove the condition name~=%-2").click()
    expect_names(page, "imagestore-1", "imagestore-2", "imagestore-3")
    box.fill("store-3")
    box.press("Enter")
    expect_names(page, "imagestore-3")
    assert page.url.endswith("q=name%7E%3D%25store-3%25")


def test_an_error_of_zstack_is_shown_as_it_is(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(f"{fresh_lab.lab.url}/#/storages?q=nosuch%3D1", expected=(400, 503))
    expect(page.get_by_role("alert").filter(has_text="nosuch")).to_be_visible()
    expect(page.locator(".fleet-body .fleet-row:visible")).to_have_count(0)


def test_a_long_word_of_an_error_is_not_cut_on_a_phone(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(f"{fresh_lab.lab.url}/#/storages?q=nosuch%3D1", width=360, expected=(400, 503))
    problem = page.get_by_role("alert").filter(has_text="org.zstack.header.storage.backup.BackupStorageInventory")
    expect(problem).to_be_visible()
    assert problem.evaluate("it => it.scrollWidth <= it.clientWidth")


def test_the_focus_of_a_heading_is_seen_whole(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(fresh_lab.lab.url)
    expect_names(page, "imagestore-1", "imagestore-2", "imagestore-3")
    for heading in page.get_by_role("columnheader").all():  # what clips its content clips the outline around it
        assert heading.evaluate("it => getComputedStyle(it).overflow") == "visible"


def test_a_filter_follows_what_changes(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(fresh_lab.lab.url)
    page.get_by_title("Disconnected: show only these").click()
    expect(page.locator(".fleet-body .fleet-row:visible")).to_have_count(0)
    lab_call(fresh_lab.lab.url, "POST", "/hosts/imagestore-3/stop")
    expect_names(page, "imagestore-3")
    expect(page.get_by_role("row").filter(has_text="imagestore-3")).to_contain_text("stopped")


def test_columns_sort_as_zstack_does(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(fresh_lab.lab.url)
    expect_names(page, "imagestore-1", "imagestore-2", "imagestore-3")
    header = page.get_by_role("columnheader", name="Used")
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "ascending")
    expect_names(page, "imagestore-2", "imagestore-1", "imagestore-3")
    assert "sort=%2BavailableCapacity" in page.url
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "descending")
    expect_names(page, "imagestore-3", "imagestore-1", "imagestore-2")


def test_the_keyboard_is_enough(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(fresh_lab.lab.url)
    expect_names(page, "imagestore-1", "imagestore-2", "imagestore-3")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    grid = page.get_by_role("grid", name="Backup storages")
    for _ in range(12):
        if grid.evaluate("grid => grid === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(grid).to_be_focused()
    page.keyboard.press("ArrowDown")
    active = page.locator(f"#{grid.get_attribute('aria-activedescendant')}")
    expect(active).to_contain_text("imagestore-2")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/#/storages/00000002[0-9a-f]{24}$"))


def test_an_empty_fleet_says_how_to_fill_it(open_page: OpenPage) -> None:
    with running_lab(hosts=0) as empty:
        page = open_page(empty.lab.url)
        expect(page.get_by_role("heading", name="No backup storage yet")).to_be_visible()
        expect(page.locator("pre")).to_contain_text("/zstack/v1/backup-storage/image-store")
        assert '"password":"password"' not in page.locator("pre").inner_text()
        picture(page, "fleet-empty")
        page.get_by_role("button", name="Add imagestore-1").click()
        expect_names(page, "imagestore-1")
