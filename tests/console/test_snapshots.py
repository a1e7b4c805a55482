"""Snapshots on the page: taken, loaded, compared and kept in a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from console.accessibility import serious_violations
from console.browser_pages import Look, OpenPage, lab_call, picture
from console.served_node import served_node
from console.test_stories import expect_no_sideways_scroll
from imagestore_sim.testing.lab_thread import LabThread, running_lab

pytestmark = pytest.mark.browser

LOOK = "it => ['color', 'borderColor', 'backgroundColor'].map((one) => getComputedStyle(it)[one])"
OTHER = "zones: [{name: z, isDefault: true}]\nbackupStorages: [{name: other, hostname: other, url: /x}]"


def test_a_snapshot_is_taken_and_loaded(fresh_lab: LabThread, open_page: OpenPage, look: Look) -> None:
    width, theme = look
    page = open_page(f"{fresh_lab.lab.url}/#/snapshots", width=width, theme=theme, expected=(503,))
    expect(page.get_by_text("No snapshot yet")).to_be_visible()
    page.get_by_label("Name of the snapshot").fill("before")
    page.get_by_role("button", name="Take a snapshot").click()
    card = page.locator(".snapshot-list li")
    expect(card).to_contain_text("3 backup storages")
    expect_no_sideways_scroll(page)
    assert serious_violations(page) == []
    picture(page, f"snapshots-{width}-{theme}")
    lab_call(fresh_lab.lab.url, "PUT", "/snapshot?wait=true", OTHER)
    card.get_by_role("button", name="Load …").click()
    page.get_by_role("button", name="Load", exact=True).click()
    expect(page.get_by_text("before is loaded")).to_be_visible()
    page.goto(f"{fresh_lab.lab.url}/#/storages")
    expect(page.get_by_text("imagestore-3", exact=True).first).to_be_visible()


def test_two_snapshots_are_compared_without_their_secrets(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(f"{fresh_lab.lab.url}/#/snapshots", expected=(503,))
    take = page.get_by_role("button", name="Take a snapshot")
    take.click()
    expect(page.locator(".snapshot-list li")).to_have_count(1)
    lab_call(fresh_lab.lab.url, "POST", "/snapshot?wait=true", OTHER)
    lab_call(fresh_lab.lab.url, "POST", "/hosts/imagestore-2/stop", {})
    page.wait_for_timeout(5000)  # some pings
    take.click()
    expect(page.locator(".snapshot-list li")).to_have_count(2)
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Compare two").click()
    dialog = page.get_by_role("dialog", name="What is different")
    expect(dialog.get_by_role("row", name="backup storages other + added")).to_be_visible()
    expect(dialog.get_by_role("row", name="imagestore-2")).to_contain_text("Connected → Disconnected")
    assert "sealed" not in dialog.inner_text()
    assert "password" not in dialog.inner_text()
    assert serious_violations(page) == []
    picture(page, "snapshots-compared")


def test_two_snapshots_that_are_alike_say_so(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(f"{fresh_lab.lab.url}/#/snapshots")
    for number in (1, 2):
        page.get_by_role("button", name="Take a snapshot").click()
        expect(page.locator(".snapshot-list li")).to_have_count(number)
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Compare two").click()
    expect(page.get_by_role("dialog", name="What is different")).to_contain_text("nothing is different")


def test_what_a_node_does_not_offer_looks_alike(open_page: OpenPage, tmp_path: Path) -> None:
    with served_node(tmp_path) as url:
        page = open_page(f"{url}/#/snapshots", expected=(401, 403))
        looks = []
        for name in ("Take a snapshot", "Open a file …", "Reset the lab …"):
            button = page.get_by_role("button", name=name)
            expect(button).to_be_disabled()
            looks.append(button.evaluate(LOOK))
        assert looks[0] == looks[1] == looks[2]


def test_a_snapshot_goes_into_a_file_and_back(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(f"{fresh_lab.lab.url}/#/snapshots")
    page.get_by_role("button", name="Take a snapshot").click()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download").click()
    file = downloading.value.path()
    assert downloading.value.suggested_filename.endswith(".yaml")
    assert file.read_text().startswith("zones:\n")
    page.reload()
    expect(page.get_by_text("No snapshot yet")).to_be_visible()
    page.locator("input[type=file]").set_input_files(file)
    expect(page.locator(".snapshot-list li")).to_contain_text("3 backup storages")


def test_a_lab_that_may_not_be_changed_takes_no_snapshot(open_page: OpenPage) -> None:
    with running_lab(hosts=1, lab_api=False) as closed:
        page = open_page(f"{closed.lab.url}/#/snapshots")
        expect(page.get_by_role("button", name="Take a snapshot")).to_be_disabled()
        expect(page.get_by_role("button", name="Reset the lab …")).to_be_disabled()
        expect(page.locator("#notice")).to_contain_text("--lab-api")
