"""The console as a whole: the bar, what it changes, and what it shows of a node that allows less."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from console.browser_pages import WAIT_MS, Look, OpenPage, lab_call, picture
from console.served_node import served_node
from imagestore_sim.testing.lab_thread import LabThread, running_lab

pytestmark = pytest.mark.browser


def break_host(lab: LabThread) -> None:
    lab_call(lab.lab.url, "POST", "/hosts/imagestore-2/faults", {"kind": "refuse"})


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    ends = time.monotonic() + WAIT_MS / 1000
    while not condition():
        assert time.monotonic() < ends, "it does not come true"
        time.sleep(0.1)


def expect_counts(page: Page, *expected: str) -> None:
    expect(page.get_by_role("group", name="Storages by status").locator("b")).to_have_text(list(expected))


def test_the_bar_says_what_the_lab_is(fresh_lab: LabThread, open_page: OpenPage, look: Look) -> None:
    width, theme = look
    page = open_page(fresh_lab.lab.url, width=width, theme=theme)
    expect(page.get_by_text("imagestore-2", exact=True).first).to_be_visible()
    assert page.url.endswith("/#/storages")
    expect_counts(page, "3", "0", "0")
    expect(page.get_by_text("3 hosts, 0 faults")).to_be_visible()
    expect(page.locator("#bar").get_by_text("Ready")).to_be_visible()
    expect(page.get_by_text("admin", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    picture(page, f"console-{width}-{theme}")


def test_a_host_that_stops_is_seen_and_everything_can_be_healed(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(fresh_lab.lab.url)
    expect_counts(page, "3", "0", "0")
    break_host(fresh_lab)
    expect_counts(page, "2", "0", "1")
    row = page.get_by_role("row").filter(has_text="imagestore-2")
    expect(row).to_contain_text("Disconnected")
    expect(row).to_contain_text("refused")
    expect(page.get_by_text("3 hosts, 1 fault")).to_be_visible()
    picture(page, "console-broken")
    page.get_by_role("button", name="Heal all").click()
    expect(page.get_by_text("All faults are healed")).to_be_visible()
    expect_counts(page, "3", "0", "0")
    expect(page.get_by_role("button", name="Heal all")).to_be_disabled()
    page.get_by_role("button", name="curl").first.click()
    expect(page.locator("dialog pre")).to_contain_text(f"{fresh_lab.lab.url}/lab/v1/heal -H")


def test_the_clock_is_paused_stepped_and_sped_up(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(fresh_lab.lab.url)
    clock = page.get_by_role("group", name="Clock of the lab")
    clock.get_by_role("button", name="Pause the clock").click()
    expect(page.get_by_text("The clock is paused")).to_be_visible()
    expect(clock.get_by_role("button", name="Let the clock run")).to_be_visible()
    before = clock.locator("time").inner_text()
    clock.get_by_role("button", name="Let time pass at once").click()
    expect(page.get_by_role("menuitem")).to_have_text(["1 s", "10 s", "1 min", "10 min", "1 h", "1 d"])
    picture(page, "console-step-menu")
    page.get_by_role("menuitem", name="10 s", exact=True).click()
    expect(page.get_by_text("10 s have passed")).to_be_visible()
    assert clock.locator("time").inner_text() != before
    clock.get_by_role("button", name="Let the clock run").click()
    clock.get_by_role("combobox").select_option("60")
    expect(page.get_by_text("The clock runs at 60")).to_be_visible()
    assert lab_call(fresh_lab.lab.url, "GET", "/clock")["speed"] == 60


def test_a_reset_asks_first_and_the_page_survives_it(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(fresh_lab.lab.url)
    expect_counts(page, "3", "0", "0")
    break_host(fresh_lab)
    expect_counts(page, "2", "0", "1")
    page.get_by_role("button", name="Reset …").click()
    expect(page.get_by_role("dialog", name="Reset the lab?")).to_be_visible()
    picture(page, "console-reset")
    page.get_by_role("button", name="Cancel").click()
    expect_counts(page, "2", "0", "1")
    page.get_by_role("button", name="Reset …").click()
    page.get_by_role("button", name="Reset", exact=True).click()
    expect(page.get_by_text("The lab is as it was at its start")).to_be_visible()
    expect_counts(page, "3", "0", "0")
    expect(page.get_by_text("3 hosts, 0 faults")).to_be_visible()
    break_host(fresh_lab)  # what happens after the reset arrives as before
    expect_counts(page, "2", "0", "1")


def test_a_reset_or_a_snapshot_by_someone_else_is_followed(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(fresh_lab.lab.url)
    expect_counts(page, "3", "0", "0")
    break_host(fresh_lab)
    expect_counts(page, "2", "0", "1")
    lab_call(fresh_lab.lab.url, "POST", "/reset?wait=true", {})
    expect_counts(page, "3", "0", "0")
    records = "zones: [{name: z, isDefault: true}]\nbackupStorages: [{name: other, hostname: other, url: /x}]"
    lab_call(fresh_lab.lab.url, "PUT", "/snapshot?wait=true", records)
    expect_counts(page, "1", "0", "0")
    expect(page.get_by_text("other", exact=True).first).to_be_visible()


def test_a_tab_behind_another_one_gives_its_connection_up_and_catches_up_when_it_is_seen(
    fresh_lab: LabThread, open_page: OpenPage
) -> None:
    page = open_page(f"{fresh_lab.lab.url}/#/requests")
    expect_counts(page, "3", "0", "0")
    expect(page.locator("#bar").get_by_text("Live")).to_be_visible()
    page.clock.install()
    hide = "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
    hide += " document.dispatchEvent(new Event('visibilitychange')); }"
    page.evaluate(hide, True)
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/lab/v1/events")):
        page.clock.fast_forward(31_000)
    break_host(fresh_lab)
    until(lambda: lab_call(fresh_lab.lab.url, "GET", "/storages/imagestore-2")["status"] == "Disconnected")
    expect_counts(page, "3", "0", "0")
    page.evaluate(hide, False)
    expect_counts(page, "2", "0", "1")
    expect(page.locator("#bar").get_by_text("Live")).to_be_visible()


def test_a_closed_lab_says_how_to_allow_changes(open_page: OpenPage) -> None:
    with running_lab(hosts=1, lab_api=False) as closed:
        page = open_page(closed.lab.url)
        notice = page.locator("#notice")
        expect(notice).to_contain_text("--lab-api")
        expect(page.get_by_role("button", name="Reset …")).to_be_hidden()
        expect(page.get_by_role("button", name="Pause the clock")).to_be_hidden()
        picture(page, "console-closed")
        notice.get_by_role("button", name="Log in …").click()
        page.get_by_label("Password").fill("password")
        page.get_by_role("button", name="Log in", exact=True).click()
        expect(page.get_by_text("imagestore-1", exact=True).first).to_be_visible()
        expect(notice).to_contain_text("only shows")


def test_a_lab_with_a_token_asks_for_it(open_page: OpenPage) -> None:
    with running_lab(hosts=1, lab_token="correct-horse") as guarded:
        page = open_page(guarded.lab.url, expected=(401,))
        notice = page.locator("#notice")
        notice.get_by_role("button", name="Enter the token …").click()
        page.get_by_role("textbox", name="Token").fill("wrong")
        page.get_by_role("button", name="Use it").click()
        expect(page.get_by_role("alert").filter(has_text="needs its token")).to_be_visible()
        page.get_by_role("textbox", name="Token").fill("correct-horse")
        page.get_by_role("button", name="Use it").click()
        expect(page.get_by_text("imagestore-1", exact=True).first).to_be_visible()
        expect(notice).to_be_hidden()
        expect(page.get_by_text("Live")).to_be_visible()
        page.get_by_role("button", name="Pause the clock").click()
        page.get_by_role("button", name="curl").first.click()
        expect(page.locator("dialog pre")).to_contain_text("Bearer $IMAGESTORE_SIM_LAB_TOKEN")
        assert "correct-horse" not in page.content()


def test_a_node_alone_has_the_same_page(open_page: OpenPage, tmp_path: Path) -> None:
    records = tmp_path / "records.yaml"
    records.write_text(
        "zones: [{name: z, isDefault: true}]\n"
        "backupStorages: [{name: real, hostname: 192.0.2.1, url: /x, totalCapacity: 1000, availableCapacity: 400,"
        " status: Connected, tracked: false}]\n"
    )
    with served_node(tmp_path, "--bootstrap", str(records)) as url:
        page = open_page(url, expected=(503,))
        notice = page.locator("#notice")
        expect(notice).to_contain_text("Log in to see the storages")
        notice.get_by_role("button", name="Log in …").click()
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Log in", exact=True).click()
        expect(page.get_by_role("alert").filter(has_text="wrong account name or password")).to_be_visible()
        page.get_by_label("Password").fill("password")
        page.get_by_role("button", name="Log in", exact=True).click()
        expect(page.get_by_text("real", exact=True).first).to_be_visible()
        expect(notice).to_contain_text("--lab-api")
        expect(page.get_by_text("0 faults")).to_be_visible()
        expect(page.get_by_role("button", name="Heal all")).to_be_hidden()
        assert "password" not in page.locator("#main").inner_text()
        picture(page, "console-serve")


def test_what_was_copied_holds_no_secret(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(fresh_lab.lab.url)
    expect_counts(page, "3", "0", "0")
    session = page.evaluate("JSON.parse(sessionStorage.getItem('imagestore-sim login')).uuid")
    page.get_by_role("button", name="Reset …").click()
    page.get_by_role("button", name="Reset", exact=True).click()
    page.get_by_role("button", name="curl").first.click()
    assert re.fullmatch("[0-9a-f]{32}", session)
    assert session not in page.content()
