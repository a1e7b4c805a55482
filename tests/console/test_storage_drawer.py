"""A backup storage in the drawer: seen, broken, healed, asked, changed and deleted, in a browser."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from console.accessibility import serious_violations
from console.browser_pages import Look, OpenPage, lab_call, picture
from console.served_node import served_node
from imagestore_sim.testing.lab_thread import LabThread, running_lab

pytestmark = pytest.mark.browser
NAME = "imagestore-1"


def call(lab: LabThread, method: str, path: str, body: object = None) -> Any:
    return lab_call(lab.lab.url, method, path, body)


def uuid_of(lab: LabThread) -> str:
    probes: list[dict[str, str]] = call(lab, "GET", "/probes")["probes"]
    return min(one["storageUuid"] for one in probes)


def open_drawer(lab: LabThread, open_page: OpenPage, query: str = "", **options: Any) -> tuple[Page, Locator]:
    page = open_page(f"{lab.lab.url}/#/storages/{uuid_of(lab)}{query}", **options)
    drawer = page.get_by_role("complementary", name="Backup storage").or_(page.locator("#drawer"))
    expect(drawer.get_by_role("heading", name=NAME)).to_be_visible()
    expect(drawer.get_by_label("Kind of fault").locator("option")).not_to_have_count(1)
    return page, drawer


def status_in(drawer: Locator) -> Locator:
    return drawer.locator(".lead .status")


def toast(page: Page, text: str) -> Locator:
    return page.locator(".toast", has_text=text)


def test_a_host_is_broken_pinged_and_healed(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page, drawer = open_drawer(fresh_lab, open_page)
    expect(status_in(drawer)).to_have_text("● Connected")
    drawer.get_by_role("button", name="refuse").click()
    expect(page).to_have_url(re.compile(r"kind=refuse"))
    drawer.get_by_label("for", exact=True).fill("2m")
    drawer.get_by_role("button", name=f"Break {NAME}").click()
    expect(toast(page, f"refuse is on {NAME}")).to_be_visible()
    chip = drawer.get_by_role("list", name="Faults of its host").get_by_role("listitem")
    expect(chip).to_contain_text(re.compile(r"refuse.*1 min \d+ s left"))
    expect(status_in(drawer)).to_have_text("✕ Disconnected")
    expect(drawer.get_by_role("img")).to_have_attribute(
        "aria-label", re.compile("now Disconnected, once Disconnected, 1 fault")
    )
    expect(drawer).to_contain_text("Start sshd on the host, or correct the SSH port.")
    drawer.get_by_role("button", name="Heal refuse").click()
    expect(drawer).to_contain_text("Nothing is wrong with its host")
    drawer.get_by_role("button", name="Reconnect").click()
    expect(toast(page, f"{NAME} is connected")).to_be_visible()
    expect(status_in(drawer)).to_have_text("● Connected")
    drawer.get_by_text("In words").click()
    expect(drawer.get_by_role("row", name=re.compile("refuse"))).to_be_visible()


def test_escape_closes_the_drawer_after_a_click_on_a_button_that_was_disabled_meanwhile(
    fresh_lab: LabThread, open_page: OpenPage
) -> None:
    page, drawer = open_drawer(fresh_lab, open_page, "?kind=refuse")
    drawer.get_by_role("button", name=f"Break {NAME}").click()
    expect(status_in(drawer)).to_have_text("✕ Disconnected")
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()


def test_every_action_shows_the_same_with_curl(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page, drawer = open_drawer(fresh_lab, open_page, "?kind=blackhole")
    drawer.locator("form").get_by_role("button", name="curl").click()
    shown = page.get_by_role("dialog").locator("pre")
    expect(shown).to_contain_text(f"/lab/v1/hosts/{NAME}/faults")
    expect(shown).to_contain_text('{"kind":"blackhole"}')
    page.keyboard.press("Escape")
    drawer.get_by_role("button", name="Probe now").click()
    toast(page, "available, in").get_by_role("button", name="curl").click()
    expect(shown).to_have_text(re.compile(rf"^curl -s -X POST \S+/lab/v1/storages/{uuid_of(fresh_lab)}/probe$"))


def test_what_the_server_refuses_is_said_beside_its_field(fresh_lab: LabThread, open_page: OpenPage) -> None:
    _, drawer = open_drawer(fresh_lab, open_page, "?kind=fill", expected=(400, 409))
    to = drawer.get_by_label("to", exact=True)
    to.fill("150%")
    drawer.get_by_role("button", name=f"Break {NAME}").click()
    expect(to).to_have_attribute("aria-invalid", "true")
    expect(to).to_have_accessible_description(re.compile("'150%' is more than 100%"))
    expect(to).to_be_focused()
    to.fill("50%")
    expect(to).not_to_have_attribute("aria-invalid", "true")
    path = drawer.get_by_label("path", exact=True)
    path.fill("/nowhere")
    drawer.get_by_role("button", name=f"Break {NAME}").click()
    expect(path).to_have_accessible_description(re.compile("No such file or directory"))
    drawer.get_by_label("Kind of fault").select_option("resize")
    drawer.get_by_role("button", name=f"Break {NAME}").click()
    expect(drawer.get_by_label("size (required)")).to_have_accessible_description(re.compile("Enter a value."))


def test_every_kind_has_a_form_whose_example_can_be_sent(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page, drawer = open_drawer(fresh_lab, open_page)
    select = drawer.get_by_label("Kind of fault")
    kinds = [one for one in select.locator("option").evaluate_all("all => all.map((one) => one.value)") if one]
    assert sorted(kinds) == sorted(one["kind"] for one in call(fresh_lab, "GET", "/faults")["faults"])
    for kind in kinds:
        select.select_option(kind)
        form = drawer.locator("form")
        expect(form).to_have_attribute("aria-label", f"{kind}: parameters")
        form.get_by_role("button", name="Example").click()
        form.get_by_role("button", name="curl").click()
        sent = page.get_by_role("dialog").locator("pre").text_content() or ""
        assert f'"kind":"{kind}"' in sent
        assert '"for":"1m"' in sent
        page.keyboard.press("Escape")


def test_the_host_is_shut_down_started_and_resized(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page, drawer = open_drawer(fresh_lab, open_page)
    drawer.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Shut its host down").click()
    expect(drawer).to_contain_text("■ is shut down")
    expect(status_in(drawer)).to_have_text("✕ Disconnected")
    drawer.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Start its host").click()
    expect(drawer).to_contain_text("● runs")
    drawer.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Resize its disk").click()
    drawer.get_by_label("size (required)").fill("9 TiB")
    drawer.get_by_role("button", name=f"Break {NAME}").click()
    expect(drawer.get_by_role("list", name="Faults of its host")).to_contain_text("resize size 9.00 TiB")
    expect(drawer).to_contain_text("of 9.00 TiB used")


def test_a_storage_is_disabled_and_deleted_and_the_page_says_that_it_is_gone(
    fresh_lab: LabThread, open_page: OpenPage
) -> None:
    uuid = uuid_of(fresh_lab)
    page, drawer = open_drawer(fresh_lab, open_page, expected=(404, 503))
    _, other = open_drawer(fresh_lab, open_page, expected=(404, 503))
    drawer.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Disable").click()
    expect(drawer.locator(".chip.wait")).to_have_text("⏸\ufe0e Disabled")
    drawer.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Delete the storage").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    drawer.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Delete the storage").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#drawer")).to_be_hidden()
    expect(other).to_contain_text(f"{NAME} is gone: it was deleted")
    call(fresh_lab, "POST", "/reset?wait=true")
    expect(other).not_to_contain_text("is gone")
    expect(status_in(other)).to_have_text("● Connected")
    assert uuid == uuid_of(fresh_lab)


def test_a_snapshot_without_the_storage_takes_it_from_the_page(fresh_lab: LabThread, open_page: OpenPage) -> None:
    _, drawer = open_drawer(fresh_lab, open_page, expected=(404, 503))
    with urllib.request.urlopen(f"{fresh_lab.lab.url}/lab/v1/snapshot", timeout=30) as answer:
        snapshot = answer.read().decode()
    lab_call(fresh_lab.lab.url, "PUT", "/snapshot", '{"zones": [{"name": "only"}]}')
    expect(drawer).to_contain_text(f"{NAME} is gone: it was deleted, or the records of the node were replaced.")
    lab_call(fresh_lab.lab.url, "PUT", "/snapshot?wait=true", snapshot)
    expect(drawer).not_to_contain_text("is gone")
    expect(status_in(drawer)).to_have_text("● Connected")


def test_a_storage_on_a_real_host_is_asked_but_not_broken(open_page: OpenPage, tmp_path: Path) -> None:
    (tmp_path / "records.yaml").write_text(
        "backupStorages: [{uuid: b1000000000000000000000000000001, name: real, hostname: '::1', sshPort: 1,"
        " username: root, password: secret, url: /zs}]"
    )
    with served_node(tmp_path, "--lab-api", "--bootstrap", "records.yaml") as url:
        page = open_page(f"{url}/#/storages/b1000000000000000000000000000001")
        drawer = page.locator("#drawer")
        expect(drawer).to_contain_text("Its host is not one of this lab")
        expect(drawer).to_contain_text("root@[::1]:1")
        expect(page.locator(".fleet-body .fleet-row", has_text="real")).to_contain_text("[::1]:1")
        drawer.get_by_role("button", name="Ping now").click()
        expect(page.locator(".toast", has_text="Pinged: Disconnected, refused")).to_be_visible()
        assert "secret" not in page.content()


def test_an_unknown_uuid_is_said_to_be_unknown(browser_lab: LabThread, open_page: OpenPage) -> None:
    page = open_page(f"{browser_lab.lab.url}/#/storages/{'0' * 32}", expected=(404,))
    expect(page.locator("#drawer")).to_contain_text("There is no backup storage with this uuid.")
    page.get_by_role("link", name="Back to the fleet").click()
    expect(page.locator("#drawer")).to_be_hidden()


def test_the_history_is_zoomed_by_mouse_keyboard_and_url(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page, drawer = open_drawer(fresh_lab, open_page)
    lanes = drawer.get_by_role("img")
    box = lanes.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 8, box["y"] + 40)
    expect(drawer.locator(".readout")).to_contain_text("●")
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 120, box["y"] + 40)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"since=[\d.]+&until=[\d.]+"))
    zoomed = page.url
    lanes.focus()
    page.keyboard.press("ArrowLeft")
    expect(page).not_to_have_url(zoomed)
    page.keyboard.press("End")
    expect(page).not_to_have_url(re.compile("since="))
    drawer.get_by_role("button", name="15 min").click()
    expect(page).to_have_url(re.compile("range=900"))
    expect(drawer.get_by_role("button", name="15 min")).to_have_attribute("aria-pressed", "true")


def test_it_is_used_by_the_keyboard_alone(fresh_lab: LabThread, open_page: OpenPage) -> None:
    page, drawer = open_drawer(fresh_lab, open_page)
    expect(page.get_by_role("button", name="Close the details")).to_be_focused()
    for _ in range(40):
        page.keyboard.press("Tab")
        if drawer.get_by_label("Kind of fault").evaluate("one => one === document.activeElement"):
            break
    page.keyboard.type("read_only")
    expect(drawer.get_by_role("button", name=f"Break {NAME}")).to_be_visible()
    drawer.get_by_role("button", name=f"Break {NAME}").press("Enter")
    heal = drawer.get_by_role("button", name="Heal read_only")
    heal.focus()
    page.wait_for_timeout(2500)  # the history was read again meanwhile
    expect(heal).to_be_focused()
    page.keyboard.press("Enter")
    expect(drawer).to_contain_text("Nothing is wrong with its host")
    page.keyboard.press("Escape")
    expect(page.locator("#drawer")).to_be_hidden()


def test_a_page_that_may_not_change_anything_says_so(
    open_page: OpenPage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with running_lab(hosts=1, lab_api=False) as closed:
        page, drawer = open_drawer(closed, open_page, "?kind=blackhole")
        expect(drawer.get_by_role("button", name=f"Break {NAME}")).to_be_disabled()
        expect(drawer).to_contain_text("start the node with --lab-api")
        expect(drawer.get_by_role("button", name="Probe now")).to_have_attribute("aria-disabled", "true")
        expect(drawer).to_contain_text("Log in to see its record")
        expect(page.get_by_role("button", name="Heal")).to_have_count(0)


def test_it_looks_right_everywhere(fresh_lab: LabThread, open_page: OpenPage, look: Look) -> None:
    width, theme = look
    for kind, more in (
        ("refuse", {"for": "3s"}),
        ("latency", {"delay": "150ms"}),
        ("fill", {"to": "60%", "for": "5m"}),
    ):
        call(fresh_lab, "POST", f"/hosts/{NAME}/faults", {"kind": kind, **more})
    page, drawer = open_drawer(fresh_lab, open_page, "?kind=max_startups", width=width, theme=theme)
    expect(drawer.get_by_role("list", name="Faults of its host")).to_contain_text("delay 150ms")
    expect(drawer.locator(".spell.Disconnected").first).to_be_attached()
    picture(page, f"storage-{width}-{theme}")
    drawer.locator("form").scroll_into_view_if_needed()
    picture(page, f"storage-form-{width}-{theme}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    body = page.locator("#drawer-body")
    assert body.evaluate("one => one.scrollWidth <= one.clientWidth")
    assert serious_violations(page) == []
