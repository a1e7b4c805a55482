"""Commits of a MariaDB whose answer is lost, and whose outcome a node cannot find out for a while."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import insert, select

from fixed_data import B1, DATA
from hook_receiver import open_receiver
from imagestore_sim.clock import RealClock
from imagestore_sim.database import Database, OutcomeUnknown, StoreUnavailable
from imagestore_sim.database.mariadb import transactions
from imagestore_sim.database.models import Zone
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from imagestore_sim.tasks import cancel_and_wait
from imagestore_sim.testing import Client
from imagestore_sim.testing.client import Answer, Json
from mariadb_server import VAULT_KEY, MariaDbServer

pytestmark = [pytest.mark.mariadb, pytest.mark.plain_loop]

BOUND = 60.0
DATES = {"createDate": datetime(2017, 11, 14, 22, 20, 57), "lastOpDate": datetime(2017, 11, 14, 22, 20, 57)}
COMMIT = b"\x03COMMIT"
"""The end of a packet, as the driver sends it."""
SOON = 0.5
"""Seconds for which a node asks whether a transaction was committed; 10 outside of tests."""
OUTCOMES = pytest.mark.parametrize("stored", [True, False], ids=["stored", "undone"])
JOB = "0123456789abcdef0123456789abcdef"


class Way:
    """The way to a server: it loses one commit, or its answer, and is broken from then on until it is mended."""

    def __init__(self, server: MariaDbServer) -> None:
        self.broken = asyncio.Event()
        self._server = server
        self._text: bytes | None = None
        self._stored = False
        self._breaks = True
        self._writers: set[asyncio.StreamWriter] = set()

    def lose(self, text: str, *, stored: bool, breaks: bool = True) -> None:
        """Lose the next commit of a transaction with `text` in a statement; its answer alone, if it is `stored`."""
        self._text, self._stored, self._breaks = text.encode(), stored, breaks

    def mend(self) -> None:
        """Let connections through again."""
        self.broken.clear()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry a connection of the node."""
        if self.broken.is_set():
            writer.close()
            return
        answers, statements = await asyncio.open_connection("127.0.0.1", self._server.port)
        self._writers |= {writer, statements}
        carrying = asyncio.create_task(self._carry_answers(answers, writer))
        seen = b""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                seen += data
                if self._text is not None and self._text in seen and data.endswith(COMMIT):
                    self._text = None
                    await cancel_and_wait(carrying)
                    if self._stored:
                        statements.write(data)
                        await answers.read(1)
                    self._break()
                    break
                seen = b"" if data.endswith(COMMIT) else seen
                statements.write(data)
        carrying.cancel()
        statements.close()
        writer.close()

    def _break(self) -> None:
        if self._breaks:
            self.broken.set()
        for one in self._writers:
            one.transport.abort()
        self._writers.clear()

    async def _carry_answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()


@asynccontextmanager
async def _way(server: MariaDbServer) -> AsyncIterator[tuple[Way, str]]:
    """Provide a way to an empty database, and the URL of that."""
    url = server.new_database(f"t{uuid4().hex[:12]}")
    way = Way(server)
    listening = await asyncio.start_server(way.carry, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield way, url.replace(f":{server.port}/", f":{port}/")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "LOCK_SECONDS", SOON)


async def _add(database: Database, name: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(insert(Zone).values(uuid=name, name=name, state="Enabled", type="zstack", **DATES))


async def _names(database: Database) -> list[str]:
    return [name for (name,) in await database.read(select(Zone.name).order_by(Zone.name))]


@OUTCOMES
async def test_a_later_change_is_seen_whatever_became_of_the_lost_one(
    mariadb_server: MariaDbServer, *, stored: bool
) -> None:
    async with _way(mariadb_server) as (way, url):
        database = await Database.open(url)
        other = await Database.open(mariadb_server.url(url.rpartition("/")[2]))
        await _add(database, "a")
        way.lose("INSERT INTO `ZoneVO`", stored=stored)
        with pytest.raises(OutcomeUnknown, match="whether it was stored is not known"):
            await _add(database, "lost")
        seen = await other.current_revision()
        way.mend()
        async with asyncio.timeout(BOUND):
            await database.health.until_it_works()
        way.lose("INSERT INTO `ZoneVO`", stored=False, breaks=False)
        with pytest.raises(StoreUnavailable, match="the connection to the database server is lost"):
            await _add(database, "undone")  # it must not be taken for stored since the first one was
        await _add(database, "b")
        assert await other.current_revision() > seen
        assert await _names(other) == ["a", "b", *(["lost"] if stored else [])]
        await other.close()
        await database.close()


@asynccontextmanager
async def _node(server: MariaDbServer, folder: Path) -> AsyncIterator[tuple[Way, ManagementNode, Client]]:
    async with _way(server) as (way, url):
        records = folder / "records.yaml"
        records.write_text(DATA)
        node = ManagementNode(Settings(port=0, database=url, vault_key=VAULT_KEY, bootstrap=records))
        await node.start()
        try:
            async with Client(node.url) as client:
                await client.log_in()
                yield way, node, client
        finally:
            way.mend()
            await node.stop()


async def _works(node: ManagementNode) -> None:
    async with asyncio.timeout(BOUND):
        await node.parts.store.database.health.until_it_works()


async def _add_zone(client: Client, **headers: str) -> Answer:
    return await client.request("POST", "/zones", {"params": {"name": "new"}}, headers={"X-Job-UUID": JOB, **headers})


async def _ended(client: Client) -> Answer:
    """Return the answer of a poll once the job does not run any more."""
    async with asyncio.timeout(BOUND):
        while (answer := await client.request("GET", f"/api-jobs/{JOB}")).status == 202:
            await asyncio.sleep(0.05)
    return answer


@OUTCOMES
async def test_a_job_that_was_not_begun_since_its_row_was_in_doubt_leaves_none(
    mariadb_server: MariaDbServer, tmp_path: Path, *, stored: bool
) -> None:
    async with _node(mariadb_server, tmp_path) as (way, node, client):
        way.lose("INSERT INTO `RestAPIVO`", stored=stored)
        refused = await _add_zone(client)
        assert (refused.status, "not known" in refused.text) == (503, True)
        again = await _add_zone(client)
        assert again.status == 503
        way.mend()
        await _works(node)
        assert (await _ended(client)).status == 404
        assert (await _add_zone(client)).status == 202
        assert (await _ended(client)).status == 200
        assert len(await client.query("/zones", "name=new")) == 1


@OUTCOMES
async def test_a_job_whose_result_was_in_doubt_ends_with_it_and_its_web_hook_is_called(
    mariadb_server: MariaDbServer, tmp_path: Path, *, stored: bool
) -> None:
    async with _node(mariadb_server, tmp_path) as (way, node, client), open_receiver(_Real()) as hook:
        way.lose("INSERT INTO `ZoneVO`", stored=stored)
        assert (await _add_zone(client, **{"X-Web-Hook": hook.url})).status == 202
        await asyncio.wait_for(way.broken.wait(), BOUND)
        await asyncio.sleep(2 * SOON)
        way.mend()
        await _works(node)
        assert (await _ended(client)).status == (200 if stored else 503)
        assert len(await client.query("/zones", "name=new")) == int(stored)
        async with asyncio.timeout(BOUND):
            while not hook.bodies:
                await asyncio.sleep(0.05)
        assert [("inventory" in one, "error" in one) for one in hook.bodies] == [(stored, not stored)]


@OUTCOMES
async def test_a_long_job_whose_result_was_in_doubt_ends_as_what_it_did(
    mariadb_server: MariaDbServer, tmp_path: Path, *, stored: bool
) -> None:
    image = {"name": "new", "url": "http://x/new.qcow2", "format": "qcow2", "backupStorageUuids": [B1]}
    async with _node(mariadb_server, tmp_path) as (way, node, client):
        way.lose("UPDATE `LongJobVO`", stored=stored)
        job = {"params": {"jobName": "APIAddImageMsg", "jobData": json.dumps(image)}}
        uuid = (await client.call("POST", "/longjobs", job))["inventory"]["uuid"]
        await asyncio.wait_for(way.broken.wait(), BOUND)
        await asyncio.sleep(2 * SOON)
        way.mend()
        await _works(node)
        ended: Json = {}
        async with asyncio.timeout(BOUND):
            while (ended := (await client.query(f"/longjobs/{uuid}"))[0])["state"] == "Running":
                await asyncio.sleep(0.05)
        images = await client.query("/images", "name=new")
        assert (ended["state"], [one["status"] for one in images]) == ("Succeeded", ["Ready"])


class _Real:
    clock = RealClock()
