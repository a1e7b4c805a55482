"""Pages in a real browser, each watched for errors and for requests that leave the node."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
Theme = Literal["light", "dark"]
Look = tuple[int, Theme]
WIDTHS = {360: 740, 1024: 768, 1920: 1080}
"""Widths of a phone, a tablet and a large screen, each with the height of its window."""
THEMES: tuple[Theme, ...] = ("light", "dark")
LOOKS: list[Look] = [(width, theme) for width in WIDTHS for theme in THEMES]
WAIT_MS = 30_000  # on a busy machine
OpenPage: TypeAlias = "Callable[..., Page]"


def lab_call(url: str, method: str, path: str, body: object = None) -> Any:
    """Call the lab's API of a node, and return the JSON of the answer. A body that is a text is YAML."""
    data = None if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    asked = urllib.request.Request(f"{url}/lab/v1{path}", data, headers, method=method)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return json.loads(answer.read())


def find_browser() -> str | None:
    """Return the path of a Chromium, None if there is none."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


@contextmanager
def watched_pages(browser: Browser, test: str) -> Iterator[OpenPage]:
    """Provide a function that opens a page, and close its pages at the end. Fail if something was wrong with one."""
    wrong: list[str] = []
    pages: list[Page] = []

    def open_it(
        url: str,
        *,
        width: int = 1024,
        theme: Theme = "light",
        expected: tuple[int, ...] = (),
        reduced_motion: Literal["reduce", "no-preference"] = "reduce",
        settings: dict[str, Any] | None = None,
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": WIDTHS.get(width, 900)},
            color_scheme=theme,
            reduced_motion=reduced_motion,
            **(settings or {}),
        )
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        _watch(page, urlsplit(url).netloc, expected, wrong)
        pages.append(page)
        page.goto(url)
        return page

    try:
        yield open_it
    finally:
        for number, page in enumerate(pages):
            if wrong and not page.is_closed():
                picture(page, f"failure-{test}-{number}")
            page.context.close()
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def _watch(page: Page, node: str, expected: tuple[int, ...], wrong: list[str]) -> None:
    def on_console(message: ConsoleMessage) -> None:
        refused = message.text.startswith("Failed to load resource")  # `on_response` looks at its status
        if message.type in ("error", "warning") and not refused:
            wrong.append(f"console: {message.text}")

    def on_request(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.netloc != node:
            wrong.append(f"a request to another server: {request.url}")

    def on_response(response: Response) -> None:
        busy = response.url.endswith("/readyz")  # which is 503 while a loaded machine keeps the node waiting
        if response.status >= 400 and response.status not in expected and not busy:
            wrong.append(f"{response.request.method} {response.url}: {response.status}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: wrong.append(f"an exception: {error}"))
    page.on("request", on_request)
    page.on("response", on_response)


def picture(page: Page, name: str) -> None:
    """Keep a screenshot of a page as `build/screenshots/NAME.png`."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
