"""The API explorer at `/docs`, in a real browser: every flow of it, against a lab."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Locator, Page, expect

from console.browser_pages import Look, OpenPage, picture
from imagestore_sim.testing.lab_thread import LabThread, running_lab

pytestmark = pytest.mark.browser
ZONES, ADD = "zstack/APIQueryZoneMsg", "zstack/APIAddImageStoreBackupStorageMsg"
STORAGES = "zstack/APIQueryImageStoreBackupStorageMsg"
KEY_ID, SECRET = "vvSZpmj4cnB53qUDmm6E", "8heumeFTvIeZxkTGfEYvVi9qVVPd9ffQNDALSPPb"


@pytest.fixture(scope="module")
def explored() -> Iterator[LabThread]:
    """Return a lab that the tests of the module share."""
    with running_lab(hosts=3, ping_interval=3600) as running:
        yield running


def url(lab: LabThread, place: str = "") -> str:
    return f"{lab.lab.url}/docs" + (f"#/{place}" if place else "")


def send(page: Page) -> None:
    page.get_by_role("button", name="Send", exact=True).click()


def summary(page: Page) -> Locator:
    return page.locator(".answer .summary")


def answer(page: Page) -> dict[str, Any]:
    """Return the JSON that is shown in the end."""
    shown: dict[str, Any] = json.loads(page.get_by_role("region", name="Answer", exact=True).inner_text())
    return shown


def field(page: Page, name: str) -> Locator:
    return page.locator(".try").get_by_label(name, exact=True)


def choices(page: Page, control: Locator) -> list[str]:
    """Return what an input offers once it has the focus."""
    control.focus()
    options = page.locator(f"datalist#{control.get_attribute('list')} option")
    expect(options.first).to_be_attached()
    return [str(option.get_attribute("value")) for option in options.all()]


def post(lab: LabThread, path: str, body: object, session: str = "") -> dict[str, str]:
    """Call the node as another client would."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"OAuth {session}"} if session else {})
    with urlopen(Request(lab.lab.url + path, json.dumps(body).encode(), headers, method="POST")) as answer:
        found: dict[str, str] = json.load(answer)
        return found


def test_an_api_is_found_by_typing(explored: LabThread, open_page: OpenPage) -> None:
    page = open_page(url(explored))
    expect(page.get_by_role("heading", name="API explorer")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("reconnect imagestore")
    expect(page.get_by_role("status").filter(has_text="found")).to_contain_text("2 found")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("ReconnectImageStoreBackupStorage")
    assert page.url.endswith("#/zstack/APIReconnectImageStoreBackupStorageMsg")
    assert page.title().startswith("ReconnectImageStoreBackupStorage")


def test_the_list_is_walked_with_the_arrow_keys(explored: LabThread, open_page: OpenPage) -> None:
    page = open_page(url(explored))
    page.get_by_role("searchbox").fill("availableCapacity")  # a field that some queries can test
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    chosen = page.locator("#navigation a:focus").get_attribute("href") or ""
    page.keyboard.press("Enter")
    expect(page.locator(".operation")).to_be_visible()
    assert page.url.endswith(chosen)
    page.locator("#navigation a[aria-current=page]").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("searchbox")).to_have_value("")


def test_a_page_has_what_the_original_has(explored: LabThread, open_page: OpenPage) -> None:
    page = open_page(url(explored, STORAGES), width=1920)
    facts = page.locator(".operation")
    for text in ("GET", "Synchronous", "Auth required", "/zstack/v1/backup-storage/image-store"):
        expect(facts.get_by_text(text).first).to_be_visible()
    for heading in ("Try it out", "Request inputs", "Responses", "Endpoint", "Operation ID", "Permalink",
                    "Request example", "Response example"):  # fmt: skip
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    tree = page.locator(".tree").first
    expect(tree.get_by_text("List<ImageStoreBackupStorageInventory>")).to_be_visible()
    for name, kind in (("totalCapacity", "Long"), ("createDate", "Timestamp")):
        expect(tree.locator("li li").filter(has=page.get_by_text(name, exact=True)).locator(".type")).to_have_text(kind)
    expect(page.locator(".facts").get_by_text(f"{explored.lab.url}/docs#/{STORAGES}")).to_be_visible()


def test_a_query_is_built_and_answered(explored: LabThread, open_page: OpenPage) -> None:
    page = open_page(url(explored, STORAGES))
    name = page.get_by_label("Condition: field")
    assert {"name", "availableCapacity", "zone.name"} <= set(choices(page, name))
    name.fill("name")
    assert choices(page, page.get_by_label("Condition: value")) == ["imagestore-1", "imagestore-2", "imagestore-3"]
    page.get_by_label("Condition: operator").select_option("?=")
    page.get_by_label("Condition: value").fill("imagestore-1,imagestore-3")
    field(page, "sort").select_option("name")
    page.get_by_label("Direction").select_option("-")
    field(page, "fields").fill("name")
    field(page, "replyWithCount").select_option("true")
    page.keyboard.press("Control+Enter")
    expect(summary(page)).to_contain_text("200")
    found = answer(page)
    assert [row["name"] for row in found["inventories"]] == ["imagestore-3", "imagestore-1"]
    assert found["total"] == 2
    expect(page).to_have_url(re.compile("replyWithCount=true"))
    page.reload()  # the URL has the inputs
    expect(page.get_by_label("Condition: value")).to_have_value("imagestore-1,imagestore-3")
    expect(field(page, "fields")).to_have_value("name")
    expect(page.get_by_label("Direction")).to_have_value("-")


def test_an_operator_within_a_value_is_warned_of(explored: LabThread, open_page: OpenPage) -> None:
    page = open_page(url(explored, ZONES + "?q=name%3Da"))
    page.get_by_label("Condition: value").fill("a>=b")
    expect(page.get_by_text("ZStack would read this as name=a >= b")).to_be_visible()
    page.get_by_label("Condition: operator").select_option("not null")
    expect(page.get_by_label("Condition: value")).to_be_hidden()
    page.get_by_role("button", name="Remove the condition").click()
    expect(page).to_have_url(re.compile("APIQueryZoneMsg$"))


def test_a_job_is_followed_to_its_end(explored: LabThread, open_page: OpenPage) -> None:
    page = open_page(url(explored, ADD))
    for name, value in {
        "hostname": "job-host",
        "username": "root",
        "password": "top secret",
        "url": "/zs",
        "name": "job",
    }.items():
        field(page, name).fill(value)
    send(page)
    expect(summary(page)).to_contain_text("200")
    steps = page.locator(".steps > li")
    expect(steps.first).to_contain_text("202")
    expect(steps.last).to_contain_text(re.compile(r"200.*poll /zstack/v1/api-jobs/[0-9a-f]{32}"))
    steps.last.locator("summary").click()
    expect(steps.last.get_by_role("row").filter(has_text="content-type")).to_contain_text("application/json")
    assert answer(page)["inventory"]["status"] == "Connected"
    expect(page.locator(".answer .fidelity")).to_contain_text("Unlike ZStack")
    assert "secret" not in page.url
    assert "$PASSWORD" in page.get_by_role("region", name="Code").inner_text()
    assert "top secret" not in page.content()


def test_what_is_missing_is_said_before_a_call(explored: LabThread, open_page: OpenPage) -> None:
    page = open_page(url(explored, ADD))
    field(page, "hostname").fill("a-host")
    send(page)
    expect(page.get_by_text("username is required")).to_be_visible()
    expect(field(page, "username")).to_be_focused()
    expect(field(page, "username")).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".answer")).to_be_hidden()


def test_an_error_of_zstack_is_shown_as_it_is(explored: LabThread, open_page: OpenPage) -> None:
    page = open_page(url(explored, "zstack/APIUpdateZoneMsg?uuid=" + "0" * 32), expected=(503,))
    send(page)
    expect(summary(page)).to_contain_text("503")
    expect(page.get_by_role("region", name="Answer", exact=True)).to_contain_text("SYS.1003")


def test_inputs_offer_the_records_that_exist(explored: LabThread, open_page: OpenPage) -> None:
    page = open_page(url(explored, "zstack/APIAttachBackupStorageToZoneMsg"))
    assert len(choices(page, field(page, "zoneUuid"))) == 1
    storages = choices(page, field(page, "backupStorageUuid"))
    assert len(storages) >= 3
    page.goto(url(explored, "zstack/APIDeleteBackupStorageMsg"))  # no rule names the type: its path does
    assert set(choices(page, field(page, "uuid"))) == set(storages)
    page.goto(url(explored, "lab/getHostsName"))
    assert "imagestore-2" in choices(page, field(page, "name"))


def test_an_example_is_filled_in_and_can_be_sent(explored: LabThread, open_page: OpenPage) -> None:
    page = open_page(url(explored, "zstack/APIReconnectImageStoreBackupStorageMsg"))
    page.get_by_role("button", name="Fill in an example").click()
    expect(field(page, "uuid")).to_have_value(re.compile("^[0-9a-f]{32}$"))
    send(page)
    expect(summary(page)).to_contain_text("200")
    page.get_by_role("button", name="Clear").click()
    expect(field(page, "uuid")).to_have_value("")


def test_a_fault_of_the_lab_is_set_and_seen(explored: LabThread, open_page: OpenPage) -> None:
    page = open_page(url(explored, "lab/postHostsNameFaults?kind=fill"))
    page.get_by_label("kind", exact=True).select_option("read_only")
    field(page, "name").fill("imagestore-3")
    field(page, "for").fill("60")
    expect(page).to_have_url(re.compile(r"\?kind=read_only&name=imagestore-3&for=60$"))
    send(page)
    expect(summary(page)).to_contain_text("201")
    page.goto(url(explored, "lab/postHostsNameHeal?name=imagestore-3"))
    send(page)
    expect(summary(page)).to_contain_text("200")


def test_the_fault_that_an_answer_met_is_shown(explored: LabThread, open_page: OpenPage) -> None:
    post(explored, "/lab/v1/node/faults", {"kind": "api_error", "count": 1})
    page = open_page(url(explored, ZONES), expected=(500, 503))
    send(page)
    expect(page.locator(".steps .chip.fault")).to_contain_text("api_error")


def test_the_caller_is_chosen(explored: LabThread, open_page: OpenPage) -> None:
    page = open_page(url(explored, ZONES), expected=(403, 503))
    identity = page.locator(".identity")
    expect(identity).to_contain_text("As admin")
    page.get_by_role("button", name="Log in …").click()
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("dialog").get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong account name or password")
    page.get_by_label("Password").fill("password")
    page.get_by_role("dialog").get_by_role("button", name="Log in").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    send(page)
    expect(summary(page)).to_contain_text("200")
    page.get_by_role("button", name="As admin").click()
    expect(page.get_by_role("button", name="As admin")).to_be_hidden()


def test_an_access_key_signs_in_the_browser(explored: LabThread, open_page: OpenPage) -> None:
    session = post(explored, "/lab/v1/sessions", {"account": "admin"})["sessionUuid"]
    admin = "36c27e8ff05c4780bf6d2fa65700f22e"
    key = {"accountUuid": admin, "userUuid": admin, "AccessKeyID": KEY_ID, "AccessKeySecret": SECRET}
    post(explored, "/zstack/v1/accesskeys", {"params": key}, session)
    page = open_page(url(explored, "zstack/APICreateZoneMsg?name=signed"), expected=(403,))
    for secret, status in (("not the secret", "403"), (SECRET, "200")):
        page.get_by_role("button", name="Access key …").click()
        page.get_by_label("Access key ID").fill(KEY_ID)
        page.get_by_label("Secret").fill(secret)
        page.get_by_role("button", name="Use it").click()
        expect(page.locator(".identity")).to_contain_text(f"As {KEY_ID}, signed with the access key")
        send(page)
        expect(summary(page)).to_contain_text(status)
    assert SECRET not in page.content() + page.url


def test_a_password_is_sent_as_its_hash(explored: LabThread, open_page: OpenPage) -> None:
    page = open_page(url(explored, "zstack/APILogInByAccountMsg?accountName=admin"))
    expect(page.locator(".identity")).to_contain_text("Needs no session")
    field(page, "password").fill("password")
    send(page)
    expect(summary(page)).to_contain_text("200")


def test_the_call_is_copied_in_five_languages(explored: LabThread, open_page: OpenPage) -> None:
    page = open_page(
        url(explored, ZONES + "?q=name~%3D%25a%25"), settings={"permissions": ["clipboard-read", "clipboard-write"]}
    )
    code = page.get_by_role("region", name="Code")
    page.get_by_role("tab", name="curl").focus()
    for language, part in {"curl": "--data-urlencode 'q=name~=%a%'", "Go": 'query.Add("q", "name~=%a%")',
                           "Java": "new QueryZoneAction()", "Python": '("q", "name~=%a%")',
                           "zstack-cli": "QueryZone 'name~=%a%'"}.items():  # fmt: skip
        expect(page.get_by_role("tab", name=language)).to_have_attribute("aria-selected", "true")
        expect(code).to_contain_text(part)
        page.keyboard.press("ArrowRight")
    page.get_by_role("tabpanel").get_by_role("button", name="Copy").click()
    expect(page.get_by_role("tabpanel").get_by_role("button", name="Copied")).to_be_visible()
    assert "--data-urlencode 'q=name~=%a%'" in page.evaluate("navigator.clipboard.readText()")


def test_a_stream_is_read_until_it_is_stopped(explored: LabThread, open_page: OpenPage) -> None:
    page = open_page(url(explored, "lab/getEvents"))
    send(page)
    expect(summary(page)).to_contain_text("the answer goes on until it is stopped")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(summary(page)).to_have_text("Stopped.")
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_enabled()


def test_a_node_that_changes_nothing_says_so(explored: LabThread, open_page: OpenPage) -> None:
    page = open_page(url(explored))
    about = page.request.get(f"{explored.lab.url}/lab/v1/about").json() | {"mayChange": False}
    page.route("**/lab/v1/about", lambda route: route.fulfill(json=about))
    page.add_init_script("sessionStorage.clear()")  # the page that knew the real answer may have logged in
    page.goto(url(explored, ZONES))
    page.reload()  # the address has changed behind the # only
    expect(page.locator(".identity")).to_contain_text("No one is logged in.")
    expect(page.get_by_role("button", name="As admin")).to_be_disabled()
    page.goto(url(explored, "lab/postReset"))
    expect(page.locator(".identity")).to_contain_text("Start it with --lab-api")


def test_a_state_that_does_not_exist_leads_on(explored: LabThread, open_page: OpenPage) -> None:
    page = open_page(url(explored, "zstack/APINoSuchMsg"))
    expect(page.get_by_role("alert")).to_contain_text("There is no API APINoSuchMsg here")
    page.get_by_role("link", name="QueryZone").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("QueryZone")
    page.go_back()
    expect(page.get_by_role("alert")).to_be_visible()


def test_the_pages_look_right_everywhere(explored: LabThread, open_page: OpenPage, look: Look) -> None:
    width, theme = look
    page = open_page(url(explored), width=width, theme=theme)
    expect(page.get_by_role("heading", name="Where to begin")).to_be_visible()
    check(page, f"explorer-{width}-{theme}")
    if width == 360:
        page.get_by_role("button", name="APIs").click()
        expect(page.get_by_role("searchbox")).to_be_focused()
        check(page, f"explorer-list-{width}-{theme}")
    page.goto(url(explored, STORAGES + "?q=status%3DConnected&limit=2"))
    send(page)
    expect(summary(page)).to_contain_text("200")
    check(page, f"explorer-query-{width}-{theme}")
    page.goto(url(explored, "lab/postHostsNameFaults?kind=fill&name=imagestore-1"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("postHostsNameFaults")
    check(page, f"explorer-fault-{width}-{theme}")


def check(page: Page, name: str) -> None:
    """Keep a picture of a page. Fail if axe finds something, or if it is wider than the window."""
    picture(page, name)
    violations = Axe().run(page).response["violations"]
    found = [f"{rule['id']}: {node['html'][:200]}" for rule in violations for node in rule["nodes"]]
    assert found == [], name
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= page.evaluate("innerWidth"), name
