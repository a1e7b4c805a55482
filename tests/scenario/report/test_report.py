"""The reports: a page that needs no other file, JUnit XML, and event logs as JSON lines."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import junitparser
import orjson
import pytest

from imagestore_sim.scenario.play.results import Lane, Result, StepResult, Verdict, Window
from imagestore_sim.scenario.report.thumbnail import thumbnail
from imagestore_sim.scenario.report.writer import html, junit, write_reports


@pytest.fixture
def result() -> Result:
    """One of each verdict, and texts that would break a page that does not escape them."""
    lane = Lane("gold", "h-1", [(0, "Connected"), (60, "Disconnected")], [(0, 2**40, 2**39), (30, 2**41, 0)])
    return Result(
        "scenarios/a.yaml",
        "A <b>bold</b> story & more",
        steps=[
            StepResult(1, "fault", "fault refuse on h-1", False, Verdict.HELD, 60, 60),
            StepResult(2, "expect", 'expect "gold"', True, Verdict.FAILED, 70, 70, "gold: <none>"),
            StepResult(3, "expect", "expect more", True),
        ],
        windows=[Window("h-1", "refuse", 60, 90)],
        lanes=[lane, Lane("never", "h-2")],
        log=[{"at": 60.0, "kind": "step", "number": 1, "text": "fault refuse on h-1"}],
        length=120,
        seconds=0.5,
    )


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "link", "br", "rect", "line", "path", "polygon", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            assert self.open.pop() == tag


def test_the_page_stands_alone_and_escapes_what_it_shows(result: Result) -> None:
    text = html([result, result])
    page = Page(text)
    assert page.open == []
    assert page.links == ["#a", "#a-2"]
    assert "http:" not in text
    assert "https:" not in text
    assert "A &lt;b&gt;bold&lt;/b&gt; story &amp; more" in text
    assert "<b>" not in text
    assert "prefers-color-scheme: dark" in text


def test_the_page_draws_statuses_windows_and_capacities(result: Result) -> None:
    text = html([result])
    assert re.search(r'class="connected" x="8.0" y="20" width="442', text)
    assert "Disconnected: 1m to 2m" in text
    assert "refuse: 1m to 1m30s" in text
    assert "0 B of 2 TiB available at the end" in text
    assert "never measured" in text


def test_the_index_shows_a_picture_of_each_story(result: Result) -> None:
    assert html([result, result]).count('class="thumbnail"') == 2
    assert 'class="thumbnail"' not in html([result])


def test_a_picture_has_a_line_for_each_storage_and_its_faults_behind() -> None:
    lanes = [
        Lane("gold", "h-1", [(0, "Connected"), (60, "Disconnected"), (90, "Connected")]),
        Lane("brief", "h-2", [(0, "Connected"), (30, "Connecting"), (30.001, "Connected")]),
        Lane("gone", "h-3", [(0, "Connected"), (60, "")]),
    ]
    windows = [Window("h-1", "refuse", 50, 80), Window("node", "down", 110)]
    drawn = thumbnail(Result("a.yaml", "x", windows=windows, lanes=lanes, length=120), alone=True)
    root = ElementTree.fromstring(drawn)
    paths = {one.get("class"): one.get("d") for one in root.iter("{http://www.w3.org/2000/svg}path")}
    assert paths == {
        "window": "M100 7h62M220 7h20M220 21h20M220 35h20",
        "connected": "M0 7h120M182 7h58M0 21h60M62 21h178M0 35h122",
        "connecting": "M60 21h2",
        "disconnected": "M120 7h62",
    }
    assert "prefers-color-scheme" in drawn
    many = Result("b.yaml", "x", lanes=[Lane(f"s-{n}", "h", [(0, "Connected")]) for n in range(100)], length=1)
    assert 'viewBox="0 0 240 56"' in thumbnail(many)
    assert thumbnail(Result("c.yaml", "never played")).endswith('aria-hidden="true"></svg>')


def test_the_reports_are_written_side_by_side(result: Result, tmp_path: Path) -> None:
    page = write_reports(tmp_path / "new" / "report", [result, result])
    folder = page.parent
    assert sorted(one.name for one in folder.iterdir()) == ["events", "index.html", "junit.xml"]
    assert sorted(one.name for one in (folder / "events").iterdir()) == ["a-2.jsonl", "a.jsonl"]
    lines = [orjson.loads(line) for line in (folder / "events" / "a.jsonl").read_bytes().splitlines()]
    assert [one["kind"] for one in lines] == ["scenario", "step"]


def test_a_junit_reader_finds_a_case_for_each_step(result: Result, tmp_path: Path) -> None:
    file = tmp_path / "junit.xml"
    junit([result]).write(str(file))
    xml = junitparser.JUnitXml.fromfile(str(file))
    assert (xml.tests, xml.failures, xml.errors, xml.time) == (3, 1, 1, 0.5)
    [suite] = list(xml)
    assert suite.time == 0.5
    cases = list(suite)
    assert cases[1].name == 'expect 2 at 1m10s: expect "gold"'
    assert cases[1].result[0].message == "gold: <none>"
    assert "expected: expect more" in str(cases[2].result[0].text)
