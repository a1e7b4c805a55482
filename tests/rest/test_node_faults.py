"""Faults of the management plane, as a client meets them over a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from imagestore_sim.lab import Lab
from imagestore_sim.testing import Client

SECONDS = 20.0
"""Real seconds that an answer may take on a busy machine."""
STORAGES = "/zstack/v1/backup-storage"
pytestmark = pytest.mark.imagestore_lab(hosts=0)


async def set_fault(client: Client, kind: str, **parameters: object) -> str:
    answer = await client.request("POST", f"{client.url}/lab/v1/node/faults", {"kind": kind, **parameters})
    assert answer.status == 201, answer.text
    identity: str = answer.body["id"]
    return identity


async def shown(client: Client, identity: str) -> dict[str, Any]:
    body: dict[str, Any] = (await client.request("GET", f"{client.url}/lab/v1/node/faults/{identity}")).body
    return body


async def heal(client: Client, identity: str) -> dict[str, Any]:
    body: dict[str, Any] = (await client.request("DELETE", f"{client.url}/lab/v1/node/faults/{identity}")).body
    return body


async def requests(client: Client, path: str) -> list[dict[str, Any]]:
    found = await client.request("GET", f"{client.url}/lab/v1/requests", query=[("path", path)])
    rows: list[dict[str, Any]] = found.body["requests"]
    return rows


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


@pytest.mark.parametrize("end", ["heal", "leave", "time"])
async def test_silence_lasts_until_the_fault_heals_or_the_client_leaves(
    imagestore_client: Client, imagestore_lab: Lab, end: str
) -> None:
    lasts = {"for": "300ms"} if end == "time" else {}
    fault = await set_fault(imagestore_client, "answer_lost", how="silence", count=1, **lasts)
    socket = await Socket.open(imagestore_client)
    socket.send("GET", STORAGES)
    assert await socket.is_silent()
    if end == "heal":
        await heal(imagestore_client, fault)
    elif end == "leave":
        socket.writer.write_eof()
    assert await socket.rest() == b""
    socket.close()
    assert (await imagestore_client.request("GET", "/backup-storage")).status == 200


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


async def test_a_body_ends_before_the_length_that_its_head_promises(imagestore_client: Client) -> None:
    await set_fault(imagestore_client, "truncated", keep="50%")
    socket = await Socket.open(imagestore_client)
    socket.send("GET", STORAGES)
    status, headers = await socket.head()
    body = await socket.rest()
    socket.close()
    assert (status, len(body)) == (200, int(headers["content-length"]) // 2)
    assert headers["x-lab-fault"] == "truncated-1"
