"""The requests in a browser: live, filtered, one with what it caused, and what can be copied of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from console.accessibility import serious_violations
from console.browser_pages import Look, OpenPage, picture
from imagestore_sim.testing.lab_thread import LabThread

pytestmark = pytest.mark.browser
SECRET = "correct-horse-battery"


def row(page: Page, text: str | re.Pattern[str]) -> Any:
    return page.get_by_role("table", name="Requests").locator("tbody tr").filter(has_text=text)


def call(page: Page, method: str, path: str, body: object = None) -> Any:
    """Call the node from outside the page, as a program does."""
    base = page.url.split("/#")[0].rstrip("/")
    session = page.request.post(f"{base}/lab/v1/sessions", data={"account": "admin"}).json()["sessionUuid"]
    assert session not in page.content()
    headers = {"Authorization": f"OAuth {session}", "User-Agent": "a-program/1.0"}
    return page.request.fetch(f"{base}{path}", method=method, data=body, headers=headers)


def add_storage(page: Page) -> None:
    storage = {"name": "gold", "hostname": "new-1", "url": "/zs", "username": "root", "password": SECRET}
    added = call(page, "POST", "/zstack/v1/backup-storage/image-store", {"params": storage})
    path = added.json()["location"].partition("/zstack/v1")[2]
    while call(page, "GET", f"/zstack/v1{path}").status == 202:
        pass
    call(page, "GET", "/zstack/v1/nosuch")


def test_requests_come_as_they_are_answered(open_page: OpenPage, fresh_lab: LabThread, look: Look) -> None:
    page = open_page(f"{fresh_lab.lab.url}/#/requests", width=look[0], theme=look[1])
    expect(page.get_by_role("heading", name="Requests")).to_be_visible()
    add_storage(page)
    added = row(page, re.compile("POST.*image-store"))
    expect(added).to_contain_text("202")
    expect(row(page, "/zstack/v1/nosuch")).to_contain_text("404")
    picture(page, f"requests-{look[0]}-{look[1]}")
    assert serious_violations(page) == []
    added.click()
    details = page.get_by_role("complementary", name="Details")
    expect(details).to_contain_text("Done")
    expect(details).to_contain_text("/backup-storage/added")
    expect(details).to_contain_text("auth")
    picture(page, f"request-{look[0]}-{look[1]}")
    assert serious_violations(page) == []
    expect(page.locator("body")).not_to_contain_text(SECRET)


def test_what_can_be_copied_holds_no_secret(open_page: OpenPage, fresh_lab: LabThread) -> None:
    page = open_page(f"{fresh_lab.lab.url}/#/requests")
    add_storage(page)
    row(page, re.compile("POST.*image-store")).click()
    code, details = page.get_by_label("To copy"), page.get_by_role("complementary", name="Details")
    expect(code).to_contain_text('imagestore_lab.requests.assert_received(\n        method="POST"')
    expect(code).to_contain_text('api="AddImageStoreBackupStorage"')
    expect(code).to_contain_text('body={"params": {"name": "gold"')
    details.get_by_role("button", name="Assert with curl").click()
    expect(code).to_contain_text("/lab/v1/requests/wait")
    details.get_by_role("button", name="Scenario step").click()
    expect(code).to_contain_text("- client:\n    method: POST\n    path: /backup-storage/image-store")
    expect(code).to_contain_text('"password":"password"')
    details.get_by_role("button", name="Repeat with curl").click()
    expect(code).to_contain_text("Authorization: OAuth $SESSION")
    expect(code).not_to_contain_text(SECRET)
    assert "OAuth ***" in (page.get_by_role("complementary", name="Details").text_content() or "")


def test_filters_are_in_the_url(open_page: OpenPage, fresh_lab: LabThread) -> None:
    page = open_page(f"{fresh_lab.lab.url}/#/requests?status=4xx")
    add_storage(page)
    expect(row(page, "/zstack/v1/nosuch")).to_have_count(1)
    expect(row(page, "image-store")).to_have_count(0)
    page.get_by_label("Answer").select_option("any answer")
    page.get_by_label("Filter by api").fill("AddImageStore*")
    page.keyboard.press("Enter")
    expect(row(page, re.compile("POST.*image-store"))).to_have_count(1)
    expect(row(page, "nosuch")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"api=AddImageStore"))
    page.get_by_label("Filter by api").fill("")
    page.keyboard.press("Enter")
    page.get_by_label("Requests that contain").fill("nosuch")
    expect(row(page, "nosuch")).to_have_count(1)
    expect(page.locator("main").get_by_role("status")).to_contain_text("1 request, 1 failed")
    page.get_by_label("Requests that contain").fill("nothing at all")
    expect(page.get_by_role("heading", name="No request is like that")).to_be_visible()
    page.get_by_role("button", name="Show all requests").click()
    expect(row(page, "image-store").first).to_be_visible()


def test_keys_alone_open_and_close_the_details(open_page: OpenPage, fresh_lab: LabThread) -> None:
    page = open_page(f"{fresh_lab.lab.url}/#/requests?q=nosuch")
    add_storage(page)
    link = row(page, "nosuch").get_by_role("link")
    link.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary", name="Details")).to_contain_text("/zstack/v1/nosuch")
    page.keyboard.press("Escape")
    expect(page.get_by_role("complementary", name="Details")).to_be_hidden()
    expect(page).to_have_url(re.compile(r"#/requests\?q=nosuch"))


def test_a_pause_holds_the_table_and_all_can_be_forgotten(open_page: OpenPage, fresh_lab: LabThread) -> None:
    page = open_page(f"{fresh_lab.lab.url}/#/requests?path=*nosuch*")
    expect(page.get_by_role("heading", name="No request is like that")).to_be_visible()
    page.get_by_role("button", name="Live").click()
    call(page, "GET", "/zstack/v1/nosuch")
    expect(row(page, "nosuch")).to_have_count(0)
    page.get_by_role("button", name="Live").click()
    expect(row(page, "nosuch")).to_have_count(1)
    page.get_by_role("button", name="Forget all …").click()
    page.get_by_role("dialog").get_by_role("button", name="Forget all").click()
    expect(row(page, "nosuch")).to_have_count(0)
    expect(page.get_by_text("All requests are forgotten")).to_be_visible()


def test_a_phone_shows_the_whole_path_of_a_request(open_page: OpenPage, fresh_lab: LabThread) -> None:
    page = open_page(f"{fresh_lab.lab.url}/#/requests?path=*nosuch*", width=360)
    call(page, "GET", "/zstack/v1/backup-storage/image-store/nosuch")
    path = row(page, "nosuch").locator(".path")
    expect(path).to_be_visible()
    assert path.evaluate("it => it.scrollWidth <= it.clientWidth")
    holder = page.locator(".table-holder")
    assert holder.evaluate("it => it.scrollWidth <= it.clientWidth"), "the end of the path is beyond the screen"


def test_a_request_that_met_a_fault_names_it(open_page: OpenPage, fresh_lab: LabThread) -> None:
    page = open_page(f"{fresh_lab.lab.url}/#/requests?fault=*")
    fault = {"kind": "api_error", "when": {"api": "QueryZone", "first": 1}}
    page.request.post(f"{fresh_lab.lab.url}/lab/v1/node/faults", data=fault)
    page.request.get(f"{fresh_lab.lab.url}/zstack/v1/zones")
    met = row(page, "/zones")
    expect(met).to_contain_text("fault")
    met.click()
    expect(page.get_by_role("complementary", name="Details")).to_contain_text("api_error-1")


def test_the_queries_of_the_page_itself_are_shown_on_demand(open_page: OpenPage, fresh_lab: LabThread) -> None:
    page = open_page(f"{fresh_lab.lab.url}/#/requests")
    call(page, "GET", "/zstack/v1/nosuch")
    expect(row(page, "nosuch")).to_have_count(1)
    expect(row(page, "QueryBackupStorage")).to_have_count(0)
    page.get_by_role("button", name="Own queries").click()
    expect(row(page, "QueryBackupStorage").first).to_be_visible()
    expect(page).to_have_url(re.compile("own=1"))
