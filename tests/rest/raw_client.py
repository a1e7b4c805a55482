"""A client that sends requests over a real socket, byte by byte, to a node with fixed records."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from imagestore_sim.clock import RealClock
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings

RECORDS = Path(__file__).with_name("bootstrap.yaml")
ZONE = "a1000000000040008000000000000001"
STORAGE = "b1000000000040008000000000000001"
ACCOUNT = "d1000000000040008000000000000001"
USER = "e1000000000040008000000000000001"
UNKNOWN = "f1000000000040008000000000000001"
STORAGES = "/zstack/v1/backup-storage/image-store"
ZONES = "/zstack/v1/zones"
SECONDS = 240.0  # on a busy machine
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response as it came."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Json:
        """Return the JSON object in the body."""
        body: Json = json.loads(self.text)
        return body

    @property
    def error(self) -> Json:
        """Return the error in the body. Fail if the body has anything else."""
        assert list(self.json) == ["error"], self.text
        error: Json = self.json["error"]
        return error


class ShiftedClock(RealClock):
    """The machine's time plus `ahead` seconds. Sleeps of up to two seconds return at once."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0.0
        self.waits: list[float] = []

    def time(self) -> float:
        return super().time() + self.ahead

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await super().sleep(seconds if seconds > 2 else 0)


class RawClient:
    """Sends requests to a node, by default with the session of admin."""

    def __init__(self, node: ManagementNode, clock: ShiftedClock) -> None:
        self.node = node
        self.clock = clock
        self.address = urlsplit(node.url).netloc
        self.session = ""

    async def send(
        self, method: str, target: str, body: object = None, *, anonymous: bool = False, **headers: str
    ) -> Response:
        """Send one request on a new connection. Header names have `_` for `-`."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        lines = {"Host": self.address, "Connection": "close"}
        if data:
            lines |= {"Content-Length": str(len(data)), "Content-Type": "application/json; charset=utf-8"}
        if not anonymous:
            lines["Authorization"] = f"OAuth {self.session}"
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        raw = await self.exchange(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + data)
        head, _, text = raw.decode().partition("\r\n\r\n")
        status, *rest = head.split("\r\n")
        parsed = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
        return Response(int(status.split(" ")[1]), parsed, text)

    async def exchange(self, request: bytes) -> bytes:
        """Send bytes, and return everything that the node answers until it closes the connection."""
        host, _, port = self.address.rpartition(":")
        reader, writer = await asyncio.open_connection(unquote(host).strip("[]"), int(port))
        try:
            writer.write(request)
            return await asyncio.wait_for(reader.read(), SECONDS)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def log_in(self, name: str = "admin", password: str = "password") -> Json:
        """Log in, and return the session."""
        body = {"logInByAccount": {"accountName": name, "password": sha512(password)}}
        answer = await self.send("PUT", "/zstack/v1/accounts/login", body, anonymous=True)
        inventory: Json = answer.json["inventory"]
        return inventory

    async def follow(self, accepted: Response, **headers: str) -> Response:
        """Poll the job of an accepted call until it ends, and return its result."""
        assert accepted.status == 202, accepted.text
        path = urlsplit(accepted.json["location"]).path
        while True:
            polled = await self.send("GET", path, anonymous=True, **headers)
            if polled.status != 202:
                return polled
            await asyncio.sleep(0.01)

    async def call(self, method: str, target: str, body: object = None, **headers: str) -> Response:
        """Send a call, follow its job if it has one, and return the final answer."""
        answer = await self.send(method, target, body, anonymous=False, **headers)
        return await self.follow(answer) if answer.status == 202 else answer

    async def make_zone(self, **parameters: object) -> Json:
        """Create a zone, and return it."""
        answer = await self.call("POST", ZONES, {"params": {"name": "made", **parameters}})
        assert answer.status == 200, answer.text
        inventory: Json = answer.json["inventory"]
        return inventory


@asynccontextmanager
async def open_raw_client(folder: Path, *, strict: bool = False, ahead: float = 0.0) -> AsyncIterator[RawClient]:
    """Run a node with a database in `folder` and a clock that is `ahead` seconds, and yield a client of it."""
    clock = ShiftedClock()
    clock.ahead = ahead
    settings = Settings(port=0, database=str(folder / "node.db"), bootstrap=RECORDS, strict=strict)
    node = ManagementNode(settings, clock=clock)
    await node.start()
    try:
        raw_client = RawClient(node, clock)
        raw_client.session = (await raw_client.log_in())["uuid"]
        yield raw_client
    finally:
        await node.stop()


def sha512(text: str) -> str:
    """Return a password as clients send it."""
    return hashlib.sha512(text.encode()).hexdigest()
