"""A fleet of ten thousand, of which a thousand change a second: the page keeps up with its frames."""

from __future__ import annotations

import asyncio
import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from console.browser_pages import OpenPage, picture
from imagestore_sim.backup_storage.events import CAPACITY_CHANGED, STATUS_CHANGED, Event
from imagestore_sim.lab import Lab
from imagestore_sim.testing.lab_thread import LabThread, running_lab

pytestmark = [pytest.mark.browser, pytest.mark.alone]
VIEWS = {"plain": "", "sorted": "?sort=%2Bstatus", "filtered": "?q=status%3DConnected"}
STORAGES = 10_000
CHANGES = 1000
"""Changes in a second."""
SECONDS = 8
TICK = 0.05
STATUSES = ("Connected", "Connecting", "Disconnected")
FRAMES = """seconds => new Promise(resolve => {
  const times = [];
  let last = performance.now();
  const end = last + 1000 * seconds;
  const frame = now => {
    times.push(now - last);
    last = now;
    if (now < end) requestAnimationFrame(frame); else resolve(times.slice(1));
  };
  requestAnimationFrame(frame);
})"""
SCROLL = """seconds => {
  const grid = document.querySelector('[role=grid]');
  const begun = performance.now();
  const step = now => {
    grid.scrollTop = (now - begun) * 20;
    if (now - begun < 1000 * seconds) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}"""


def bootstrap(file: Path) -> Path:
    """Write records of storages that are never probed."""
    storages = [
        {
            "uuid": f"{number:032x}", "name": f"store-{number:05}", "hostname": f"host-{number}", "url": "/x",
            "totalCapacity": 10**12, "availableCapacity": number * 10**8, "status": "Connected", "tracked": False,
        }
        for number in range(1, STORAGES + 1)
    ]  # fmt: skip
    file.write_text(json.dumps({"zones": [{"name": "z", "isDefault": True}], "backupStorages": storages}))
    return file


async def change(lab: Lab, seconds: float) -> None:
    """Publish changes of all storages in turn, as the life cycle does after each commit."""
    events, number = lab.node.events, 0
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while (passed := loop.time() - begun) < seconds:
        while number < passed * CHANGES:
            number += 1
            uuid = f"{number * 7919 % STORAGES + 1:032x}"
            content: dict[str, Any] = {"oldStatus": "Connected", "newStatus": STATUSES[number % 3]}
            path = STATUS_CHANGED
            if number % 2:
                content = {"totalCapacity": 10**12, "availableCapacity": number * 10**8 % 10**12}
                path = CAPACITY_CHANGED
            events.publish(Event(1_000_000 + number, lab.clock.time(), path, uuid, content))
        await asyncio.sleep(TICK)


def summary(times: list[float]) -> dict[str, float]:
    """Return the median, the 99th percentile and the longest of frames, in ms, and how many came in a second."""
    ordered = sorted(times)
    return {
        "median": round(statistics.median(ordered), 1),
        "p99": round(ordered[len(ordered) * 99 // 100], 1),
        "longest": round(ordered[-1], 1),
        "a second": round(1000 * len(ordered) / sum(ordered), 1),
    }


def ninth_tenth(times: list[float]) -> float:
    """Return the time that nine frames of ten do not exceed, in ms."""
    return sorted(times)[len(times) * 9 // 10]


@pytest.fixture(scope="module")
def large_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabThread]:
    """Return a node with ten thousand storages, none of which is probed."""
    records = bootstrap(tmp_path_factory.mktemp("large") / "records.json")
    with running_lab(hosts=0, bootstrap=records, ping_interval=3600) as running:
        yield running


@pytest.mark.parametrize("view", VIEWS)
def test_frames_stay_short_while_a_thousand_change_each_second(
    large_lab: LabThread, open_page: OpenPage, view: str
) -> None:
    page = open_page(f"{large_lab.lab.url}/#/storages{VIEWS[view]}", width=1920)
    expect(page.get_by_text("10,000").first).to_be_visible(timeout=30_000)
    expect(page.locator(".fleet > .head").get_by_role("status")).to_have_text("10,000")
    page.wait_for_timeout(1000)
    at_rest = page.evaluate(FRAMES, 1)
    changes = large_lab.submit(change_all, large_lab)
    changing = page.evaluate(FRAMES, SECONDS / 2)
    page.evaluate(SCROLL, SECONDS / 2)
    scrolling = page.evaluate(FRAMES, SECONDS / 2)
    changes.result()
    picture(page, f"fleet-ten-thousand-{view}")
    print({"view": view, "rest": summary(at_rest), "changes": summary(changing), "scrolls": summary(scrolling)})
    # On a machine whose frames are as slow at rest, the changes are not what slows them.
    assert statistics.median(changing) < max(34, 2 * statistics.median(at_rest))
    assert ninth_tenth(changing) < max(100, 4 * ninth_tenth(at_rest))


def test_the_last_of_ten_thousand_is_a_key_away(large_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(large_lab.lab.url)
    expect(page.get_by_text("10,000").first).to_be_visible(timeout=30_000)
    page.get_by_role("grid").focus()
    page.keyboard.press("End")
    expect(page.get_by_text("store-10000", exact=True)).to_be_visible()
    assert page.locator(".fleet-body .fleet-row").count() < 60
    page.keyboard.press("Home")
    expect(page.get_by_text("store-00001", exact=True)).to_be_visible()


async def change_all(lab: LabThread) -> None:
    await change(lab._running.result().lab, SECONDS + 1)
