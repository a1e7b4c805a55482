"""Faults of the management plane, as a client meets them over a socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from imagestore_sim.clock import RealClock
from imagestore_sim.lab import Lab
from imagestore_sim.testing import Client
from kept_lab import reset_fixtures
from node_faults import heal, requests, set_fault, shown

SECONDS = 60.0
"""Real seconds that an answer may take on a busy machine."""
STORAGES = "/zstack/v1/backup-storage"
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.imagestore_lab(hosts=0)]


imagestore_lab, imagestore_client = reset_fixtures()


class Socket:
    """A connection of its own, over which a test sends requests byte by byte."""

    def __init__(self, client: Client, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.client = client
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, client: Client) -> Socket:
        parts = urlsplit(client.url)
        return cls(client, *await asyncio.open_connection(parts.hostname, parts.port))

    def send(self, method: str, path: str, body: object = None) -> None:
        """Send a request, with the session of the client."""
        data = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: node", f"Authorization: OAuth {self.client.session_uuid}"]
        lines += [f"Content-Length: {len(data)}", "Content-Type: application/json", "", ""]
        self.writer.write("\r\n".join(lines).encode() + data)

    async def head(self) -> tuple[int, Mapping[str, str]]:
        """Return the status and the headers of the answer, with names in lower case."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), SECONDS)
        first, *lines = head.decode().strip().split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        return int(first.split(" ")[1]), {name.lower(): value for name, value in pairs}

    async def answer(self) -> tuple[int, Mapping[str, str], bytes]:
        """Return the status, the headers and the body of the answer."""
        status, headers = await self.head()
        size = int(headers["content-length"])
        return status, headers, await asyncio.wait_for(self.reader.readexactly(size), SECONDS)

    async def rest(self) -> bytes:
        """Return what comes until the connection is closed. Raise ConnectionResetError."""
        return await asyncio.wait_for(self.reader.read(), SECONDS)

    async def is_silent(self) -> bool:
        try:
            await asyncio.wait_for(self.reader.read(1), 0.1)
        except TimeoutError:
            return True
        return False

    def close(self) -> None:
        self.writer.close()


async def ask(client: Client, path: str = STORAGES) -> tuple[int, Mapping[str, str], bytes]:
    """Return the answer to a GET over a new connection."""
    socket = await Socket.open(client)
    socket.send("GET", path)
    try:
        return await socket.answer()
    finally:
        socket.close()


def storage(name: str) -> dict[str, object]:
    return {"params": {"name": name, "hostname": name, "username": "root", "password": "p", "sshPort": 22, "url": "/a"}}


async def test_an_answer_is_lost_by_a_reset_after_the_call_was_carried_out(imagestore_client: Client) -> None:
    fault = await set_fault(
        imagestore_client,
        "answer_lost",
        **{
            "point": "after",
            "how": "reset",
            "when": {"api": "APIAddImageStoreBackupStorageMsg", "first": 1},
            "for": "1m",
        },
    )
    socket = await Socket.open(imagestore_client)
    socket.send("POST", f"{STORAGES}/image-store", storage("gold"))
    with pytest.raises(ConnectionResetError):
        await socket.rest()
    socket.close()
    [row] = await requests(imagestore_client, f"{STORAGES}/image-store")
    assert (row["status"], row["faults"]) == (0, [fault])
    while (await imagestore_client.request("GET", f"/api-jobs/{row['job']}")).status != 200:
        await asyncio.sleep(0.01)  # real: the lab's clock is
    again = await imagestore_client.request("POST", "/backup-storage/image-store", storage("gold"))
    assert again.status == 202  # `first` is used up, and the job says that there is such a storage
    assert [one["name"] for one in (await imagestore_client.query("/backup-storage"))] == ["gold"]
    healed = await shown(imagestore_client, fault)
    assert (healed["matches"], healed["hits"], healed["left"], healed["healedBy"]) == (1, 1, 0, "count")


async def test_a_call_whose_answer_is_lost_before_it_does_not_happen(imagestore_client: Client) -> None:
    await set_fault(imagestore_client, "answer_lost", point="before", how="close", when={"api": "CreateZone", "nth": 1})
    socket = await Socket.open(imagestore_client)
    socket.send("POST", "/zstack/v1/zones", {"params": {"name": "z"}})
    assert await socket.rest() == b""
    socket.close()
    [row] = await requests(imagestore_client, "/zstack/v1/zones")
    assert (await imagestore_client.query("/zones", "name=z")) == []
    assert (row["status"], row["job"]) == (0, None)


async def test_silence_lasts_until_the_fault_heals_or_the_client_leaves(
    imagestore_client: Client, imagestore_lab: Lab
) -> None:
    for end in ("heal", "leave", "time"):
        lasts = {"for": "1h"} if end == "time" else {}
        fault = await set_fault(imagestore_client, "answer_lost", how="silence", count=1, **lasts)
        socket = await Socket.open(imagestore_client)
        socket.send("GET", STORAGES)
        assert await socket.is_silent()
        if end == "heal":
            await heal(imagestore_client, fault)
        elif end == "leave":
            socket.writer.write_eof()
        else:
            assert isinstance(imagestore_lab.clock, RealClock)
            await imagestore_lab.clock.step(3601)
        assert await socket.rest() == b""
        socket.close()
        assert (await imagestore_client.request("GET", "/backup-storage")).status == 200


async def test_a_fault_that_is_set_after_a_reset_heals_by_itself(imagestore_client: Client) -> None:
    assert (await imagestore_client.request("POST", f"{imagestore_client.url}/lab/v1/reset")).status == 200
    fault = await set_fault(imagestore_client, "api_error", **{"for": "0.1s"})
    async with asyncio.timeout(SECONDS):
        while (await shown(imagestore_client, fault))["healedBy"] != "time":
            await asyncio.sleep(0.02)  # real: the lab's clock is


@pytest.mark.spoils
async def test_a_node_stops_at_once_though_a_fault_holds_its_clients(
    imagestore_client: Client, imagestore_lab: Lab
) -> None:
    await set_fault(imagestore_client, "answer_lost", how="silence")
    socket = await Socket.open(imagestore_client)
    socket.send("GET", STORAGES)
    assert await socket.is_silent()
    await asyncio.wait_for(imagestore_lab.node.stop(), SECONDS)
    assert await socket.rest() == b""
    socket.close()


async def test_a_connection_is_reset_in_the_middle_of_the_answer(imagestore_client: Client) -> None:
    await set_fault(imagestore_client, "reset", size=40)
    socket = await Socket.open(imagestore_client)
    socket.send("GET", STORAGES)
    assert len(await socket.reader.readexactly(40)) == 40
    with pytest.raises(ConnectionResetError):
        await socket.rest()
    socket.close()


async def test_the_answer_to_a_head_is_reset_like_any_other(imagestore_client: Client) -> None:
    await set_fault(imagestore_client, "reset", size=0)
    socket = await Socket.open(imagestore_client)
    socket.send("HEAD", STORAGES)
    with pytest.raises(ConnectionResetError):
        await socket.rest()
    socket.close()


@pytest.mark.parametrize("code", [204, 304])
async def test_an_answer_that_cannot_have_a_body_leaves_the_connection_usable(
    imagestore_client: Client, code: int
) -> None:
    first = {"api": "QueryBackupStorage", "first": 1}
    await set_fault(imagestore_client, "status", code=code, body="hello", when=first)
    await set_fault(imagestore_client, "slow_body", over="10ms", when=first)
    socket = await Socket.open(imagestore_client)
    socket.send("GET", STORAGES)
    assert (await socket.head())[0] == code
    socket.send("GET", STORAGES)
    assert (await socket.answer())[0] == 200
    socket.close()


async def test_a_body_ends_before_the_length_that_its_head_promises(imagestore_client: Client) -> None:
    await set_fault(imagestore_client, "truncated", keep="50%")
    socket = await Socket.open(imagestore_client)
    socket.send("GET", STORAGES)
    status, headers = await socket.head()
    body = await socket.rest()
    socket.close()
    assert (status, len(body)) == (200, int(headers["content-length"]) // 2)
    assert headers["x-lab-fault"] == "truncated-1"


async def test_a_slow_body_comes_in_pieces(imagestore_client: Client) -> None:
    await set_fault(imagestore_client, "slow_body", over="300ms", pieces=3)
    socket = await Socket.open(imagestore_client)
    socket.send("GET", "/zstack/v1/accounts")
    began = asyncio.get_running_loop().time()
    _, headers = await socket.head()
    head_after = asyncio.get_running_loop().time() - began
    body = await asyncio.wait_for(socket.reader.readexactly(int(headers["content-length"])), SECONDS)
    assert json.loads(body)["inventories"]
    assert head_after < asyncio.get_running_loop().time() - began - 0.2
    socket.send("GET", STORAGES)  # the connection lives on
    assert (await socket.answer())[0] == 200
    socket.close()


async def test_healing_sends_what_a_slow_body_and_a_delay_hold_back(imagestore_client: Client) -> None:
    await set_fault(imagestore_client, "slow_body", when={"api": "QueryAccount"})
    await set_fault(imagestore_client, "latency", when={"api": "QueryZone", "first": 1})
    await set_fault(imagestore_client, "latency", point="before", when={"api": "CreateZone"})
    slow, late, later = [await Socket.open(imagestore_client) for _ in range(3)]
    slow.send("GET", "/zstack/v1/accounts")
    late.send("GET", "/zstack/v1/zones")
    later.send("POST", "/zstack/v1/zones", {"params": {"name": "z"}})
    _, headers = await slow.head()
    assert await late.is_silent()
    assert await later.is_silent()
    assert (await imagestore_client.request("POST", f"{imagestore_client.url}/lab/v1/heal")).status == 200
    assert (await late.answer())[0] == 200
    assert (await later.answer())[0] == 202
    assert len(await asyncio.wait_for(slow.reader.readexactly(int(headers["content-length"])), SECONDS))
    for socket in (slow, late, later):
        socket.close()


@pytest.mark.imagestore_lab(hosts=0, clock="virtual")
async def test_delays_pass_on_the_clock(imagestore_client: Client, imagestore_lab: Lab) -> None:
    for kind, parameter in (("latency", "delay"), ("slow_body", "over")):
        fault = await set_fault(imagestore_client, kind, **{parameter: "21s"})
        began = imagestore_lab.clock.monotonic()
        assert (await imagestore_client.request("GET", "/backup-storage")).status == 200
        assert 20.9 < imagestore_lab.clock.monotonic() - began < 22
        await heal(imagestore_client, fault)


@pytest.mark.imagestore_lab(hosts=0, clock="virtual")
async def test_delays_vary_by_the_seed_and_are_the_same_after_a_reset(
    imagestore_client: Client, imagestore_lab: Lab
) -> None:
    async def delays(distribution: str) -> list[float]:
        found = []
        await set_fault(imagestore_client, "latency", delay="10s", jitter="3s", distribution=distribution)
        for _ in range(5):
            began = imagestore_lab.clock.monotonic()
            await imagestore_client.request("GET", "/nosuch")
            found.append(round(imagestore_lab.clock.monotonic() - began, 1))
        await imagestore_client.request("POST", f"{imagestore_client.url}/lab/v1/reset")
        return found

    for distribution in ("uniform", "normal", "lognormal"):
        first = await delays(distribution)
        assert len(set(first)) > 1
        assert all(0 <= one <= 41 for one in first)
        assert await delays(distribution) == first


async def test_new_connections_are_not_accepted_until_the_fault_heals(imagestore_client: Client) -> None:
    before = await Socket.open(imagestore_client)
    before.send("GET", STORAGES)
    assert (await before.answer())[0] == 200
    fault = await set_fault(imagestore_client, "no_accept")
    after, gone = [await Socket.open(imagestore_client) for _ in range(2)]
    after.send("POST", "/zstack/v1/zones", {"params": {"name": "a"}})
    gone.send("POST", "/zstack/v1/zones", {"params": {"name": "b"}})
    gone.close()
    assert await after.is_silent()
    before.send("GET", STORAGES)
    assert (await before.answer())[0] == 200
    assert (await imagestore_client.request("GET", f"{imagestore_client.url}/readyz")).status == 200
    healed = await heal(imagestore_client, fault)
    assert (healed["hits"], healed["healedBy"]) == (2, "hand")
    status, headers, _ = await after.answer()
    assert (status, headers["x-lab-fault"]) == (202, fault)
    while len(await imagestore_client.query("/zones")) < 3:  # that of the lab, and both
        await asyncio.sleep(0.01)  # real: the lab's clock is
    for socket in (before, after):
        socket.close()


JSON = "application/json; charset=utf-8"
ANSWERS: tuple[tuple[dict[str, Any], int, str, str], ...] = (
    (
        {"kind": "status", "preset": "haproxy_503"},
        503,
        "text/html",
        "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n"
        "</body></html>\n",
    ),
    ({"kind": "status", "preset": "nginx_502"}, 502, "text/html", "<head><title>502 Bad Gateway</title></head>"),
    ({"kind": "status", "code": 429, "body": "slow down"}, 429, "text/plain; charset=utf-8", "slow down"),
    (
        {"kind": "api_error", "code": "SYS.1006", "details": "no"},
        503,
        JSON,
        '{"error":{"code":"SYS.1006","description":"An operation failed","details":"no","cost":"1ms"}}',
    ),
    (
        {"kind": "api_error", "code": "MY.1", "description": "d", "details": "no", "point": "after"},
        503,
        JSON,
        '{"error":{"code":"MY.1","description":"d","details":"no","cost":"1ms"}}',
    ),
    ({"kind": "malformed", "how": "empty"}, 200, JSON, ""),
    ({"kind": "malformed", "how": "text"}, 200, JSON, "the answer of a program"),
    ({"kind": "malformed", "how": "cut"}, 200, JSON, '{"inventories":[{"uuid":'),
    ({"kind": "missing_field", "field": "inventories.*.uuid"}, 200, JSON, '[{"name"'),
    ({"kind": "missing_field", "field": "inventories.*.no"}, 200, JSON, '[{"uuid"'),
)
"""A fault of queries of zones; the status and the Content-Type of the answer, and what is in its body."""


async def test_an_answer_is_another_than_the_node_s(imagestore_client: Client) -> None:
    for parameters, status, content, body in ANSWERS:
        fault = await set_fault(imagestore_client, **parameters, when={"api": "QueryZone"})
        found = await ask(imagestore_client, "/zstack/v1/zones")
        assert (found[0], found[1]["content-type"], found[1]["x-lab-fault"]) == (status, content, fault)
        text = found[2].decode()
        assert text == body if body == "" or text.startswith("<html><body>") else body in text
        *_, row = await requests(imagestore_client, "/zstack/v1/zones")
        assert (row["status"], row["faults"]) == (status, [fault])
        await heal(imagestore_client, fault)


async def test_an_answer_that_is_not_utf_8_is_the_bytes_of_one(imagestore_client: Client) -> None:
    await set_fault(imagestore_client, "malformed", how="not_utf8")
    assert (await ask(imagestore_client, "/zstack/v1/zones"))[2].startswith(b'\xff\xfe{"inventories"')


async def test_a_status_after_the_call_leaves_it_carried_out(imagestore_client: Client) -> None:
    await set_fault(imagestore_client, "status", point="after", when={"api": "CreateZone", "first": 1})
    await set_fault(imagestore_client, "status", when={"api": "CreateZone"})
    answers = [
        await imagestore_client.request("POST", "/zones", {"params": {"name": name}}) for name in ("first", "second")
    ]
    assert [one.status for one in answers] == [503, 503]
    rows = await requests(imagestore_client, "/zstack/v1/zones")
    assert [row["faults"] for row in rows] == [["status-1", "status-2"], ["status-2"]]


async def test_the_legacy_api_answers_an_error_in_its_own_form(imagestore_client: Client) -> None:
    await set_fault(imagestore_client, "api_error", code="SYS.1006", details="no", when={"api": "*Zone*"})
    session = {"uuid": imagestore_client.session_uuid}
    body = {"org.zstack.header.zone.APIQueryZoneMsg": {"conditions": [], "session": session}}
    answer = await imagestore_client.request("POST", f"{imagestore_client.url}/zstack/api", body)
    assert (answer.status, answer.headers["X-Lab-Fault"], answer.body["state"]) == (200, "api_error-1", "Done")
    [reply] = json.loads(answer.body["result"]).values()
    assert (reply["success"], reply["error"]["code"], reply["error"]["details"]) == (False, "SYS.1006", "no")


async def test_an_address_that_is_no_url_is_left_as_it_is_by_the_next_fault(imagestore_client: Client) -> None:
    for host in ("[", "192.0.2.2"):
        await set_fault(imagestore_client, "wrong_location", host=host)
    begun = await imagestore_client.request("POST", "/zones", {"params": {"name": "z"}})
    assert (begun.status, begun.body["location"].split("/")[2]) == (202, "[")


async def test_an_asynchronous_call_names_a_wrong_address_to_poll(imagestore_client: Client) -> None:
    for parameters, netloc, path in (
        ({}, "192.0.2.1:8080", None),
        ({"host": "vip"}, "vip", None),
        ({"path": "/x"}, "192.0.2.1:8080", "/x"),
    ):
        fault = await set_fault(imagestore_client, "wrong_location", when={"first": 1}, **parameters)
        assert (await imagestore_client.request("GET", "/zones")).headers.get("X-Lab-Fault") is None
        answer = await imagestore_client.request("POST", "/zones", {"params": {"name": "z"}})
        location = urlsplit(answer.body["location"])
        assert (location.netloc, answer.headers["X-Lab-Fault"]) == (netloc, fault)
        *_, row = await requests(imagestore_client, "/zstack/v1/zones")
        assert location.path == (path or f"/zstack/v1/api-jobs/{row['job']}")


@pytest.mark.parametrize(
    ("row", "names"), [("comes", ["a", "b", "b", "c", "d", "e"]), ("goes", ["a", "b", "d", "e"])]
)  # fmt: skip
async def test_pages_shift_while_a_client_reads_them(imagestore_client: Client, row: str, names: list[str]) -> None:
    for name in "abcde":
        await imagestore_client.call("POST", "/zones", {"params": {"name": name, "description": "paged"}})
    await set_fault(imagestore_client, "page_shift", row=row)
    found: list[str] = []
    for start in range(0, 6, 2):
        query = [("q", "description=paged"), ("sort", "+name"), ("limit", "2"), ("start", str(start))]
        answer = await imagestore_client.request("GET", "/zones", query=query)
        found += [one["name"] for one in answer.body["inventories"]]
    assert found == names


@pytest.mark.imagestore_lab(hosts=0, clock="virtual")
async def test_queries_lag_behind_what_is_stored(imagestore_client: Client, imagestore_lab: Lab) -> None:
    async def names() -> list[str]:
        return sorted(one["name"] for one in await imagestore_client.query("/zones", "description=new"))

    async def add(name: str) -> None:
        await imagestore_client.call("POST", "/zones", {"params": {"name": name, "description": "new"}})

    await add("a")
    fault = await set_fault(imagestore_client, "stale_reads", by="5s")
    await add("b")
    assert await names() == ["a"]
    await imagestore_lab.clock.sleep(3)
    await add("c")
    assert await names() == ["a"]
    await imagestore_lab.clock.sleep(3.5)
    assert await names() == ["a", "b"]
    await imagestore_lab.clock.sleep(3.5)
    assert await names() == ["a", "b", "c"]
    await add("d")
    assert await names() == ["a", "b", "c"]
    await heal(imagestore_client, fault)
    assert await names() == ["a", "b", "c", "d"]
    await set_fault(imagestore_client, "stale_reads", when={"api": "QueryZone", "first": 2})
    await add("e")
    assert [await names() for _ in range(3)] == [["a", "b", "c", "d"]] * 2 + [["a", "b", "c", "d", "e"]]
    async with asyncio.timeout(SECONDS):  # real: snapshots are closed by threads
        while len(imagestore_lab.node.foundation.node_faults.tasks):
            await asyncio.sleep(0.01)  # real: see above


@pytest.mark.imagestore_lab(hosts=0, clock="virtual")
async def test_virtual_time_passes_whatever_happens_to_connections(
    imagestore_client: Client, imagestore_lab: Lab
) -> None:
    for fault in (
        {"kind": "answer_lost", "how": "reset"},
        {"kind": "answer_lost", "how": "close"},
        {"kind": "answer_lost", "how": "silence", "for": "1m"},
        {"kind": "reset"},
        {"kind": "truncated"},
        {"kind": "no_accept", "for": "1m"},
    ):
        await set_fault(imagestore_client, **fault, when={"api": "QueryZone"})
        socket = await Socket.open(imagestore_client)
        socket.send("GET", "/zstack/v1/zones")
        with contextlib.suppress(ConnectionResetError):
            await socket.reader.read(1)
        socket.close()
        began = imagestore_lab.clock.monotonic()
        await imagestore_lab.clock.sleep(90)
        assert imagestore_lab.clock.monotonic() - began > 89.9
        await imagestore_client.request("DELETE", f"{imagestore_client.url}/lab/v1/node/faults")
