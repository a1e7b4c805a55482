"""The pages as they are served: headers, compression, size, and what a node answers beside them."""

from __future__ import annotations

import gzip
import re
from importlib import resources
from pathlib import Path

import aiohttp

from imagestore_sim.testing import Client
from rows import rows

PAGES = ("/", "/docs", "/console/styles/tokens.css", "/console/scripts/lib/dom.js", "/console/icon.svg")
STATIC = Path(str(resources.files("imagestore_sim.console"))) / "static"
FILES = [file for file in sorted(STATIC.rglob("*")) if file.is_file()]
CONSOLE = ("index.html", "icon.svg", "styles", "scripts/theme.js", "scripts/lib", "scripts/console",
           "scripts/docs/conditions.js")  # fmt: skip
MOST_BYTES = 150 * 1024
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", re.IGNORECASE)
ELSEWHERE = re.compile(
    r"https?://(?!www\.w3\.org/2000/svg)|import\(['\"]https?:|url\(['\"]?(?!data:)[a-z]+:", re.IGNORECASE
)


def test_the_console_is_small() -> None:
    files = [file for name in CONSOLE for file in [STATIC / name, *(STATIC / name).rglob("*")] if file.is_file()]
    sizes = {file.relative_to(STATIC): len(gzip.compress(file.read_bytes(), 9)) for file in files}
    largest = sorted(sizes.items(), key=lambda one: -one[1])[:8]
    assert sum(sizes.values()) <= MOST_BYTES, largest


async def test_the_pages_are_strict_and_can_be_kept(shared_client: Client) -> None:
    for path in PAGES:
        answer = await shared_client.request("GET", f"{shared_client.url}{path}")
        assert answer.status == 200, path
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        assert (answer.headers["X-Content-Type-Options"], answer.headers["Cache-Control"]) == ("nosniff", "no-cache")
        known = {"If-None-Match": answer.headers["ETag"]}
        again = await shared_client.request("GET", f"{shared_client.url}{path}", headers=known)
        assert (again.status, again.text, again.headers["ETag"]) == (304, "", answer.headers["ETag"])
        head = await shared_client.request("HEAD", f"{shared_client.url}{path}")
        assert (head.status, head.text) == (200, "")


async def test_a_page_is_compressed_for_those_who_take_it(shared_client: Client) -> None:
    url = f"{shared_client.url}/console/scripts/lib/state.js"
    plain = (STATIC / "scripts" / "lib" / "state.js").read_bytes()
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        for asked, coded in (("gzip", True), ("br, GZip;q=0.5", True), ("gzip;q=0", False), ("br", False), ("", False)):
            async with http.get(url, headers={"Accept-Encoding": asked}) as response:
                content = await response.read()
                assert (response.headers.get("Content-Encoding") == "gzip") is coded, asked
                assert len(content) < len(plain) / 2 if coded else content == plain


async def test_no_path_leads_to_another_file(shared_client: Client) -> None:
    for path in (
        "/console/nosuch.js",
        "/console/../pages.py",
        "/console/%2e%2e/pages.py",
        "/console//etc/passwd",
        "/console/",
    ):
        answer = await shared_client.request("GET", f"{shared_client.url}{path}")
        assert answer.status == 404, path
        assert "import" not in answer.text


async def test_only_a_get_is_a_page(shared_client: Client) -> None:
    for method in ("POST", "PUT", "DELETE"):
        answer = await shared_client.request(method, f"{shared_client.url}/", {})
        assert answer.status in (404, 405), method


@rows("file", [one for one in FILES if one.suffix in (".html", ".css", ".js")], ids=lambda one: one.name)
def test_a_file_has_nothing_inline_and_names_no_other_server(file: Path) -> None:
    text = file.read_text("utf-8")
    assert ELSEWHERE.findall(text) == []
    assert "innerHTML" not in text
    if file.suffix == ".html":
        assert INLINE.findall(text) == []


def test_what_a_file_loads_is_there() -> None:
    missing = []
    for file in FILES:
        text = file.read_text("utf-8")
        named = [STATIC / one for one in re.findall(r'(?:href|src)="/console/([^"]+)"', text)]
        named += [file.parent / one for one in re.findall(r"""(?:from|import\(|import) ?['"](\.[^'"]+)""", text)]
        named += [STATIC / "styles" / f"{one}.css" for one in re.findall(r"useStyles\('([\w-]+)'\)", text)]
        missing += [(str(file.relative_to(STATIC)), str(one)) for one in named if not one.is_file()]
    assert missing == []
