"""What pages of other origins may do with a lab in the same browser: nothing. And what the pages themselves forbid."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page, expect

from console.browser_pages import OpenPage, lab_call
from imagestore_sim.testing.lab_thread import LabThread

pytestmark = pytest.mark.browser
TRY = """async ([url, method]) => {
  try {
    const body = method === 'GET' ? null : '{}';
    const answer = await fetch(url, {method, headers: {'Content-Type': 'application/json'}, body});
    return await answer.text();
  } catch (error) {
    return error.name;
  }
}"""
FORM = """url => {
  const form = Object.assign(document.createElement('form'), {method: 'POST', action: url});
  document.body.append(form);
  form.submit();
}"""


class _Empty(BaseHTTPRequestHandler):
    """Answers every GET with an empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title><body>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the standard library
        pass


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """Return the URL of a page of another origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def foreign_page(browser: Browser, elsewhere: str) -> Iterator[Page]:
    """Return a page of another origin, whose errors are expected."""
    page = browser.new_page()
    page.goto(elsewhere)
    yield page
    page.close()


def test_a_page_of_another_origin_neither_reads_nor_changes_a_lab(fresh_lab: LabThread, foreign_page: Page) -> None:
    url = fresh_lab.lab.url
    before = fresh_lab.lab.clock.time()
    for method, path in (
        ("GET", "/"), ("GET", "/console/scripts/lib/api.js"), ("GET", "/lab/v1/about"), ("GET", "/lab/v1/hosts"),
        ("POST", "/lab/v1/sessions"), ("POST", "/lab/v1/reset"), ("PUT", "/lab/v1/clock"), ("GET", "/openapi.json"),
    ):  # fmt: skip
        assert foreign_page.evaluate(TRY, [f"{url}{path}", method]) == "TypeError", (method, path)
    foreign_page.evaluate(FORM, f"{url}/lab/v1/reset")
    expect(foreign_page.locator("body")).to_contain_text("another origin")
    assert fresh_lab.lab.clock.time() >= before


def test_the_console_is_in_no_frame_of_another_page(fresh_lab: LabThread, foreign_page: Page) -> None:
    frame = "url => document.body.append(Object.assign(document.createElement('iframe'), {src: url}))"
    foreign_page.evaluate(frame, fresh_lab.lab.url)
    foreign_page.wait_for_timeout(500)
    assert all("Fleet" not in one.content() for one in foreign_page.frames)


def test_a_link_from_elsewhere_opens_the_console(fresh_lab: LabThread, foreign_page: Page) -> None:
    foreign_page.evaluate("url => { location = url; }", fresh_lab.lab.url)
    expect(foreign_page.get_by_role("heading", name="Fleet")).to_be_visible()


def test_a_page_cannot_make_markup_of_a_text(fresh_lab: LabThread, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(fresh_lab.lab.url)
    write = "() => { try { document.body.innerHTML = '<b>x</b>'; } catch (error) { return error.name; } }"
    assert page.evaluate(write) == "TypeError"
    page.close()


def test_a_name_is_a_text(fresh_lab: LabThread, open_page: OpenPage) -> None:
    name = "<img src=x onerror=alert(1)>"
    records = f"zones: [{{name: z}}]\nbackupStorages: [{{name: {json.dumps(name)}, hostname: other, url: /x}}]"
    lab_call(fresh_lab.lab.url, "PUT", "/snapshot?wait=true", records)
    page = open_page(fresh_lab.lab.url)
    expect(page.get_by_text(name, exact=True).first).to_be_visible()
    assert page.locator(".fleet-body img").count() == 0
