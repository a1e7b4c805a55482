"""The management nodes of a cluster in a browser: seen at a glance, killed, paused, and cut off from the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import delete, insert

from console.accessibility import serious_violations
from console.browser_pages import Look, OpenPage, lab_call, picture
from console.running_cluster import RunningCluster, running_cluster
from imagestore_sim.cluster import JOINING
from imagestore_sim.database.models import ManagementNodeRecord
from imagestore_sim.testing.lab_thread import LabThread

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    """Return a cluster whose nodes the tests leave alone; one that left before they begin has its card."""
    with running_cluster(tmp_path_factory.mktemp("cluster"), nodes=("a", "b", "c", "d")) as running:
        running.wait(running.cluster.stop, "d")
        yield running


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("list", name="Management nodes").get_by_role("listitem").filter(has_text=name)


def shown_in_bar(page: Page) -> Locator:
    return page.locator("#bar a.nodes-count")


def open_nodes(running: RunningCluster, open_page: OpenPage, **options: object) -> Page:
    page = open_page(f"{running.front.url}/#/nodes", **options)
    expect(card(page, running.label("a"))).to_be_visible()
    return page


def expect_fleet(page: Page, hosts: int) -> None:
    """Expect that the page is live: the stream of events runs, and storages are counted."""
    expect(page.locator("#bar").get_by_text("Live")).to_be_visible()
    expect(page.get_by_role("group", name="Storages by status").locator("b").first).to_have_text(str(hosts))


def test_it_looks_right_everywhere(shared_cluster: RunningCluster, open_page: OpenPage, look: Look) -> None:
    width, theme = look
    page = open_nodes(shared_cluster, open_page, width=width, theme=theme)
    expect(page.get_by_role("listitem").filter(has_text="Running")).to_have_count(3)
    expect(card(page, "Left")).to_have_count(1)
    expect(page.get_by_role("region", name="Joins and leaves").get_by_role("row")).to_have_count(6)
    page.wait_for_timeout(500)
    picture(page, f"nodes-{width}-{theme}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    assert serious_violations(page) == []


def test_the_narrowest_screen_has_room_for_every_view(shared_cluster: RunningCluster, open_page: OpenPage) -> None:
    page = open_nodes(shared_cluster, open_page, width=320)
    picture(page, "nodes-320")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    cut = "one => one.scrollWidth > one.clientWidth"
    links = page.get_by_role("navigation", name="Views").get_by_role("link").all()
    assert [one.inner_text() for one in links if one.evaluate(cut)] == []


def test_a_card_says_who_answers_since_when_a_node_beats_and_what_it_owns(
    shared_cluster: RunningCluster, open_page: OpenPage
) -> None:
    page = open_nodes(shared_cluster, open_page)
    for name in "abc":
        one = card(page, shared_cluster.label(name))
        expect(one).to_contain_text(re.compile(r"Running, beats since \d\d:\d\d:\d\d \(\d+"))
        expect(one).to_contain_text(re.compile(r"Heartbeat[0-3]\.\d s ago"))
        expect(one).to_contain_text(f"{shared_cluster.owned(name)} of 9")
        expect(one).to_contain_text(shared_cluster.uuid(name))
    expect(page.get_by_text("answers this page")).to_have_count(1)
    expect(card(page, shared_cluster.label("a"))).to_contain_text("answers this page")
    expect(page.locator("#main")).to_contain_text("3 nodes · mode quick: a heartbeat every 1 s")
    page.get_by_role("button", name="curl").click()
    expect(page.locator("dialog pre")).to_contain_text("/lab/v1/nodes")


def test_what_is_marked_on_a_card_stays_marked(shared_cluster: RunningCluster, open_page: OpenPage) -> None:
    page = open_nodes(shared_cluster, open_page)
    one = card(page, shared_cluster.label("b"))
    one.locator("code").dblclick()
    before = one.inner_text()
    expect(one).not_to_have_text(before, use_inner_text=True)
    assert page.evaluate("getSelection().toString().trim()") == shared_cluster.uuid("b")


def test_a_proxy_that_asks_the_nodes_by_turns_is_seen(shared_cluster: RunningCluster, open_page: OpenPage) -> None:
    page = open_nodes(shared_cluster, open_page, width=1920)
    shared_cluster.front.by_turns = True
    try:
        shared_cluster.wait(shared_cluster.front.close_connections)
        expect(page.get_by_text(re.compile(r"\d of the last \d answers"))).to_have_count(3)
        expect(shown_in_bar(page)).to_contain_text("3 nodes answer by turns")
        picture(page, "nodes-by-turns")
    finally:
        shared_cluster.front.by_turns = False


def test_a_name_of_a_node_is_a_text_and_one_that_starts_is_joining(
    shared_cluster: RunningCluster, open_page: OpenPage
) -> None:
    database = shared_cluster.cluster.nodes["a"].parts.store.database
    clock, uuid = shared_cluster.cluster.nodes["a"].foundation.clock, "e" * 32
    now = {"joinDate": clock.local(), "heartBeat": clock.local(), "beatAt": int(clock.time() * 1000)}
    row = {"uuid": uuid, "hostName": HOSTILE, "port": 1, "state": JOINING, "epoch": 10_000, **now}

    async def write(add: bool) -> None:
        async with database.transaction() as connection:
            node = ManagementNodeRecord
            await connection.execute(insert(node).values(row) if add else delete(node).where(node.uuid == uuid))

    shared_cluster.wait(write, True)
    try:
        page = open_nodes(shared_cluster, open_page)
        expect(card(page, HOSTILE)).to_contain_text("Joining")
        assert page.locator("#main img").count() == 0
    finally:
        shared_cluster.wait(write, False)


def test_a_node_that_is_killed_is_told_of_on_every_view(tmp_path: Path, open_page: OpenPage) -> None:
    with running_cluster(tmp_path, mode="quick") as running:
        page = open_page(running.front.url, width=1920)
        expect(shown_in_bar(page)).to_have_text(re.compile(rf"3 nodes.*{running.label('a')} answers"))
        killed, uuid = running.label("b"), running.uuid("b")
        running.wait(running.cluster.kill, "b")
        expect(page.get_by_role("alert").filter(has_text=f"Management node {killed} has left")).to_be_visible()
        expect(shown_in_bar(page)).to_have_text(re.compile(r"2 nodes✕ 1 left"))
        picture(page, "nodes-killed-fleet")
        shown_in_bar(page).focus()
        page.keyboard.press("Enter")
        left = card(page, killed)
        expect(left).to_contain_text(re.compile(r"Left at \d\d:\d\d:\d\d"))
        expect(left).to_contain_text(re.compile(r"the last one [2-9] s before that"))
        expect(left).to_contain_text(uuid)
        shares = page.get_by_role("listitem").filter(has_text="Running").all_inner_texts()
        assert sum(int(found[1]) for one in shares if (found := re.search(r"(\d+) of 9", one))) == 9
        latest = page.get_by_role("region", name="Joins and leaves").get_by_role("row").nth(1)
        expect(latest).to_have_text(re.compile(rf"{killed}✕ left [2-9] s after its last heartbeat"))
        picture(page, "nodes-killed")
        running.wait(running.cluster.start, "b")
        started = running.label("b")
        expect(page.get_by_role("status").filter(has_text=f"Management node {started} has joined")).to_be_visible()
        expect(card(page, started)).to_contain_text("Running")
        expect(shown_in_bar(page)).to_contain_text("3 nodes")


def test_the_page_goes_on_with_another_node_when_the_one_that_answers_is_killed(
    tmp_path: Path, open_page: OpenPage
) -> None:
    with running_cluster(tmp_path) as running:
        page = open_nodes(running, open_page, expected=(502, 503))
        killed = running.label("a")
        expect(card(page, killed)).to_contain_text("answers this page")
        expect_fleet(page, 9)
        running.wait(running.cluster.kill, "a")
        expect(card(page, killed)).to_contain_text("Left")
        expect(card(page, running.label("b"))).to_contain_text("answers this page")
        expect(page.get_by_role("alert").filter(has_text=f"{killed} has left")).to_be_visible()
        expect(page.locator("#notice")).to_be_empty()
        expect_fleet(page, 9)
        running.wait(running.cluster.stop, "c")  # the stream of events runs, now from the node that is left
        expect(page.get_by_role("listitem").filter(has_text="Left")).to_have_count(2)


def test_a_page_whose_node_is_killed_names_the_others_and_goes_on_when_an_answer_comes(
    tmp_path: Path, open_page: OpenPage
) -> None:
    with running_cluster(tmp_path) as running:
        running.front.order = ["a"]
        page = open_nodes(running, open_page)
        others = [running.label(name) for name in "bc"]
        expect(shown_in_bar(page)).to_contain_text("3 nodes")
        running.wait(running.cluster.kill, "a")
        notice = page.locator("#notice")
        expect(notice).to_contain_text("The node does not answer")
        for other in others:
            expect(notice).to_contain_text(other)
        expect(page.locator("#main")).to_contain_text(re.compile(r"✕ No answer\. What follows was so \d+ s ago\."))
        expect(page.get_by_text("answered this page")).to_be_visible()
        picture(page, "nodes-no-answer")
        running.front.order = ["b"]
        expect(notice).to_be_empty()
        expect(page.get_by_text("What follows was so")).to_be_hidden()
        expect(card(page, running.label("b"))).to_contain_text("answers this page")
        expect_fleet(page, 9)


def test_a_node_that_stands_still_is_not_shown_as_ready(tmp_path: Path, open_page: OpenPage) -> None:
    with running_cluster(tmp_path) as running:
        running.front.order = ["a"]
        page = open_nodes(running, open_page)
        running.wait(running.cluster.pause, "a")
        expect(page.locator("#notice")).to_contain_text("The node does not answer")
        expect(page.locator("#bar").get_by_text("No answer")).to_be_visible()
        picture(page, "nodes-paused")
        running.wait(running.cluster.resume, "a")
        expect(page.locator("#notice")).to_be_empty()
        expect(page.locator("#bar").get_by_text("Ready")).to_be_visible()
        expect(card(page, running.label("a"))).to_contain_text("Running")
        expect(page.get_by_role("region", name="Joins and leaves")).to_contain_text("✕ left")
        expect_fleet(page, 9)


def test_storages_that_no_node_has_taken_yet_are_told_of(tmp_path: Path, open_page: OpenPage) -> None:
    with running_cluster(tmp_path, nodes=("a", "b")) as running:
        page = open_nodes(running, open_page)
        lost = running.owned("b")
        takeover = running.cluster.nodes["a"].storages.takeover
        assert takeover is not None
        running.wait(takeover._one_at_a_time.acquire)  # as a slow store would hold it up
        running.wait(running.cluster.stop, "b")
        note = page.get_by_text(re.compile(rf"{lost} storages? (has|have) no owner yet among these nodes"))
        expect(note).to_be_visible()
        running.wait(takeover._one_at_a_time.release)
        expect(note).to_be_hidden()
        expect(card(page, running.label("a"))).to_contain_text("9 of 9 (100%)")


def test_the_requests_are_those_of_one_node_and_go_on_after_it_was_away(tmp_path: Path, open_page: OpenPage) -> None:
    with running_cluster(tmp_path, nodes=("a", "b")) as running:
        running.front.order = ["a"]
        page = open_page(f"{running.front.url}/#/requests")
        expect(page.locator("#main")).to_contain_text(f"Requests of {running.label('a')} alone")
        running.front.order = []
        running.wait(running.front.close_connections)
        expect(page.get_by_role("alert").filter(has_text="does not answer; this page asks again")).to_be_visible()
        running.front.order = ["a"]
        lab_call(running.url("a"), "POST", "/sessions", {})
        page.request.get(f"{running.url('a')}/zstack/v1/zones", headers={"User-Agent": "after-it"})
        expect(page.get_by_role("row").filter(has_text="after-it")).to_be_visible()


def test_a_node_that_was_started_at_another_address_has_lost_none(tmp_path: Path, open_page: OpenPage) -> None:
    with running_cluster(tmp_path, nodes=("a",)) as running:
        running.wait(running.cluster.stop, "a")
        running.wait(running.cluster.start, "b")
        running.front.order = ["b"]
        page = open_page(f"{running.front.url}/#/nodes")
        expect(card(page, running.label("b"))).to_contain_text("9 of 9 (100%)")
        expect(page.get_by_role("region", name="Joins and leaves").get_by_role("row")).to_have_count(4)
        expect(page.get_by_role("list", name="Management nodes").get_by_role("listitem")).to_have_count(1)
        expect(shown_in_bar(page)).to_be_hidden()


def test_a_node_that_is_alone_has_no_page_of_nodes(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(f"{fresh_lab.lab.url}/#/nodes")
    expect(page.get_by_role("heading", name="This node is alone")).to_be_visible()
    expect_fleet(page, 3)
    expect(page.get_by_role("navigation", name="Views").get_by_role("link", name="Nodes")).to_have_count(0)
    expect(shown_in_bar(page)).to_be_hidden()
    page.goto(f"{fresh_lab.lab.url}/#/requests")
    expect(page.get_by_role("heading", name="Requests")).to_be_visible()
    expect(page.get_by_text("alone")).to_be_hidden()
