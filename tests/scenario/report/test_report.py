"""The reports: a page that needs no other file, JUnit XML, and event logs as JSON lines."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import junitparser
import orjson
import pytest

from imagestore_sim import __version__
from imagestore_sim.scenario.play.results import Lane, Request, Result, StepResult, Verdict, Window
from imagestore_sim.scenario.report.drawing import draw
from imagestore_sim.scenario.report.junit import junit
from imagestore_sim.scenario.report.page import Making, html
from imagestore_sim.scenario.report.thumbnail import thumbnail
from imagestore_sim.scenario.report.writer import write_reports

MAKING = Making(
    datetime(2026, 3, 1, 12, tzinfo=UTC), "imagestore-sim replay scenarios", lambda result: f"again {result.seed}"
)


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


def page_of(*results: Result) -> str:
    return html([(f"a-{number}", result) for number, result in enumerate(results)], MAKING)


def test_the_page_stands_alone_and_escapes_what_it_shows(result: Result) -> None:
    text = page_of(result, result)
    page = Page(text)
    assert page.open == []
    assert page.links == ["#a-0", "#a-1", "#a-0", "#a-1"]
    assert "http:" not in text
    assert "https:" not in text
    assert "<script" not in text
    assert "default-src 'none'" in text
    assert "A &lt;b&gt;bold&lt;/b&gt; story &amp; more" in text
    assert "<b>bold" not in text
    assert "prefers-color-scheme: dark" in text


def test_the_page_draws_statuses_windows_and_capacities(result: Result) -> None:
    text = page_of(result)
    assert re.search(r'class="connected" x="0.0%" width="50.0%"', text)
    assert "Disconnected: 1m to 2m" in text
    assert "refuse: 1m to 1m30s" in text
    assert "0 B of 2 TiB available at the end" in text
    assert "never measured" in text


def test_the_index_shows_a_picture_of_each_story(result: Result) -> None:
    assert page_of(result, result).count('class="thumbnail"') == 2
    assert 'class="thumbnail"' not in page_of(result)


def test_what_failed_comes_first_with_what_did_not_hold(result: Result) -> None:
    def run(title: str, *verdicts: Verdict) -> Result:
        return Result("b.yaml", title, steps=[StepResult(1, "expect", "x", True, one, 1, 1) for one in verdicts])

    results = (run("good", Verdict.HELD), run("odd", Verdict.UNKNOWN, Verdict.HELD), result, run("fine", Verdict.HELD))
    text = page_of(*results)
    assert re.findall(r"<h2><a [^>]*>([^<]*)", text)[1:] == ["odd", "good", "fine"]
    assert "<title>1 failed, 1 unknown, 2 held - imagestore-sim replay</title>" in text
    assert "step 2 at 1m10s: expect &#34;gold&#34;; seen: gold: &lt;none&gt;" in text
    assert "✕ failed" in text


def test_the_page_says_when_by_which_version_and_how_to_run_it_again(result: Result) -> None:
    result.seed = 77
    text = page_of(result)
    assert f"by imagestore-sim {__version__}" in text
    assert '<time datetime="2026-03-01T12:00:00+00:00">2026-03-01 12:00:00 UTC</time>' in text
    assert "<code>imagestore-sim replay scenarios</code>" in text
    assert "<code>again 77</code>" in text


def test_statuses_can_be_told_apart_without_colour(result: Result) -> None:
    text = page_of(result)
    assert re.search(r'class="connected" .* y="14" height="22"', text)
    assert re.search(r'class="disconnected" .* y="29" height="7"', text)
    assert "✕ Disconnected" in text
    assert 'aria-label="Connected: 0s to 1m; Disconnected: 1m to 2m"' in text


def test_lanes_that_look_alike_are_one_with_all_names() -> None:
    steady = [(0.0, "Connected")]
    lanes = [Lane(f"s-{number}", f"h-{number}", list(steady), [(0, 100, 50)]) for number in range(5)]
    lanes.append(Lane("other", "other", steady, [(0, 100, 40)]))
    lanes[4].statuses.append((50.0, "Disconnected"))
    drawn = draw(Result("a.yaml", "x", lanes=lanes, windows=[Window("h-3", "refuse", 10)], length=100))
    assert [one.names for one in drawn.lanes] == [
        ["s-0 on h-0", "s-1 on h-1", "s-2 on h-2"],
        ["s-3 on h-3"],
        ["s-4 on h-4"],
        ["other"],
    ]


def test_labels_of_faults_have_rows_of_their_own_and_do_not_overlap() -> None:
    windows = [Window("h", f"fault number {number} of many", 10.0 * number, 100) for number in range(9)]
    drawn = draw(Result("a.yaml", "x", lanes=[Lane("s", "h")], windows=windows, length=100))
    labels = drawn.lanes[0].windows.labels
    assert {one.row for one in labels} == {0, 1, 2}
    for row in range(3):
        spans = [(one.x, one.x + one.width) for one in labels if one.row == row]
        assert all(end <= begin for (_, end), (begin, _) in pairwise(spans)), spans
    assert len(drawn.faults) == 9


def test_one_is_counted_as_one(result: Result) -> None:
    result.requests = [Request(1, "GET", "/zstack/v1/zones", 200)]
    text = page_of(result)
    assert "<summary>1 request</summary>" in text
    assert "<summary>1 fault</summary>" in text
    result.requests *= 501
    assert "These are the first 500; the event log has all." in page_of(result)


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
        "disconnected": "M120 9.45h62",
    }
    widths = {one.get("class"): one.get("stroke-width") for one in root.iter("{http://www.w3.org/2000/svg}path")}
    assert (widths["connected"], widths["disconnected"]) == ("7", "2.1")
    assert "prefers-color-scheme" in drawn
    many = Result("b.yaml", "x", lanes=[Lane(f"s-{n}", "h", [(0, "Connected")]) for n in range(100)], length=1)
    assert 'viewBox="0 0 240 56"' in thumbnail(many)
    assert thumbnail(Result("c.yaml", "never played")).endswith('aria-hidden="true"></svg>')


def test_the_reports_are_written_side_by_side(result: Result, tmp_path: Path) -> None:
    page = write_reports(tmp_path / "new" / "report", [result, result], MAKING)
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
