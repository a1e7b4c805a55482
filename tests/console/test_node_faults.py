"""The faults of the management plane: chosen, set, met, followed and healed, in a browser."""

from __future__ import annotations

import json
import re
import urllib.request
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from console.accessibility import serious_violations
from console.browser_pages import Look, OpenPage, lab_call, picture
from imagestore_sim.testing.lab_thread import LabThread

pytestmark = pytest.mark.browser


def call(lab: LabThread, method: str, path: str, body: object = None) -> Any:
    return lab_call(lab.lab.url, method, path, body)


def open_view(lab: LabThread, open_page: OpenPage, kind: str = "", **options: Any) -> Page:
    page = open_page(f"{lab.lab.url}/#/node-faults{f'?kind={kind}' if kind else ''}", **options)
    expect(page.get_by_role("link", name="latency")).to_be_visible()
    return page


def test_a_fault_is_chosen_set_met_and_healed(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page = open_view(fresh_lab, open_page)
    expect(page.get_by_text("None is set: the node answers as ZStack does.")).to_be_visible()
    page.get_by_label("Filter kinds").fill("another HTTP status")
    page.get_by_role("link", name="status", exact=True).click()
    expect(page).to_have_url(re.compile("kind=status"))
    page.get_by_label("code", exact=True).fill("204")
    page.get_by_label("path", exact=True).fill("/v1/zones*")
    page.get_by_label("first", exact=True).fill("2")
    page.get_by_label("for", exact=True).fill("5m")
    page.get_by_role("button", name="Set status").click()
    expect(page.locator(".toast", has_text="status-1 is set")).to_be_visible()
    now = page.get_by_role("region", name="Set now")
    row = now.get_by_role("row", name=re.compile("status"))
    expect(row).to_contain_text("path /v1/zones*, first 2")
    expect(row).to_contain_text(re.compile(r"2 hits, 4 min \d+ s left"))
    with urllib.request.urlopen(f"{fresh_lab.lab.url}/zstack/v1/zones", timeout=30) as answer:
        assert answer.status == 204
    expect(row).to_contain_text("1 hit, ")
    expect(row.get_by_role("link", name="Requests that met status-1")).to_have_attribute(
        "href", "#/requests?fault=status-1"
    )
    row.get_by_role("link", name="Requests that met status-1").click()
    expect(page.locator("#main")).to_contain_text("/v1/zones")
    page.go_back()
    page.get_by_role("button", name="Heal status-1").click()
    expect(page.locator(".toast", has_text="status-1 is healed after 1 hit")).to_be_visible()
    healed = page.get_by_role("region", name="Healed").get_by_role("row", name=re.compile("status"))
    expect(healed).to_contain_text("✓ by hand")
    expect(now).to_contain_text("None is set")


def test_several_are_healed_at_once(fresh_lab: LabThread, open_page: OpenPage) -> None:
    for body in ({"kind": "not_ready", "when": {"api": "Add*"}}, {"kind": "hook_lost"}):
        call(fresh_lab, "POST", "/node/faults", body)
    page = open_view(fresh_lab, open_page)
    expect(page.get_by_role("button", name=re.compile("^Heal ..*-"))).to_have_count(2)
    page.get_by_role("button", name="Heal all", exact=True).first.click()
    expect(page.get_by_text("None is set")).to_be_visible()
    assert call(fresh_lab, "GET", "/node/faults")["faults"] == []


def test_counts_that_cannot_be_read_are_not_shown_as_zero(fresh_lab: LabThread, open_page: OpenPage) -> None:
    call(fresh_lab, "POST", "/node/faults", {"kind": "api_error", "when": {"api": "Query*"}})
    page = open_page(fresh_lab.lab.url, width=1280, expected=(404, 503))
    expect(page.get_by_text("3 hosts, 1 fault")).to_be_visible()
    numbers = page.get_by_role("group", name="Storages by status").locator("b")
    expect(numbers).to_have_text(["?", "?", "?"])
    page.get_by_role("button", name="Heal all", exact=True).first.click()
    expect(numbers).to_have_text(["3", "0", "0"])


def test_what_the_server_refuses_is_said_beside_its_field(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page = open_view(fresh_lab, open_page, "api_error", expected=(400,))
    api = page.get_by_label("api", exact=True)
    api.fill("QeuryZone")
    page.get_by_role("button", name="Set api_error").click()
    expect(api).to_have_accessible_description(re.compile("no API is called 'QeuryZone'; did you mean QueryZone?"))
    api.fill("QueryZone")
    page.get_by_label("nth", exact=True).fill("1")
    page.get_by_label("every", exact=True).fill("2")
    page.get_by_role("button", name="Set api_error").click()
    expect(page.locator("form > .problem")).to_contain_text("has nth and every; at most one of")
    page.get_by_label("every", exact=True).fill("0")
    page.get_by_role("button", name="Set api_error").click()
    expect(page.get_by_label("every", exact=True)).to_be_focused()


def test_the_example_of_every_kind_can_be_set(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page = open_view(fresh_lab, open_page)
    kinds = call(fresh_lab, "GET", "/faults")["nodeFaults"]
    for kind in kinds:
        page.get_by_role("link", name=kind["kind"], exact=True).click()
        form = page.locator("form")
        expect(form).to_have_attribute("aria-label", f"{kind['kind']}: parameters")
        form.get_by_role("button", name="Example").click()
        form.get_by_role("button", name="curl").click()
        shown = page.get_by_role("dialog").locator("pre").text_content() or ""
        sent = json.loads(shown.partition("-d '")[2].rstrip("'"))
        page.keyboard.press("Escape")
        assert call(fresh_lab, "POST", "/node/faults", sent)["kind"] == kind["kind"]
        call(fresh_lab, "DELETE", "/node/faults")


def test_it_looks_right_everywhere(fresh_lab: LabThread, open_page: OpenPage, look: Look) -> None:
    width, theme = look
    example = {"kind": "latency", "delay": "21s", "when": {"api": "QueryImage*", "every": 5}, "for": "5m"}
    call(fresh_lab, "POST", "/node/faults", example)
    identity = call(fresh_lab, "POST", "/node/faults", {"kind": "job_slow"})["id"]
    call(fresh_lab, "DELETE", f"/node/faults/{identity}")
    page = open_view(fresh_lab, open_page, "latency", width=width, theme=theme)
    expect(page.get_by_role("region", name="Set now")).to_contain_text("delay 21s")
    picture(page, f"node-faults-{width}-{theme}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert serious_violations(page) == []
