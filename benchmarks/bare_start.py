"""The smallest program that does what a lab does until it is ready, by the same libraries. Prints `ready URL`.

It reads an option, starts three SSH servers and logs in to each, writes three rows to a SQLite file, and listens.
`start.py` compares a lab with it; a lab imports less of the libraries.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated

import asyncssh
import typer
import uvloop
from aiohttp import web
from pydantic import BaseModel
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

HOSTS = ("host-1", "host-2", "host-3")
USER, PASSWORD = "root", "password"
ROWS = Table(
    "row", MetaData(), Column("name", String(255), primary_key=True), Column("size", Integer), Column("status", String)
)


class Row(BaseModel):
    """A row, as it is checked."""

    name: str
    size: int
    status: str = "Connecting"


class Server(asyncssh.SSHServer):
    """Lets one user in."""

    def begin_auth(self, username: str) -> bool:
        """Ask for a password."""
        return True

    def password_auth_supported(self) -> bool:
        """Take passwords."""
        return True

    def validate_password(self, username: str, password: str) -> bool:
        """Return whether it is the password."""
        return (username, password) == (USER, PASSWORD)


async def measure(port: int) -> int:
    """Return the size of the file system of a server, in bytes, by one login."""
    async with (
        asyncssh.connect(
            "127.0.0.1", port, username=USER, password=PASSWORD, known_hosts=None, config=None, client_keys=None
        ) as connection,
        connection.start_sftp_client() as sftp,
    ):
        found = await sftp.statvfs("/")
    return int(found.blocks * found.frsize)


async def connect(engine: AsyncEngine, name: str, port: int) -> None:
    """Write what a server has to its row."""
    size = await measure(port)
    async with engine.begin() as connection:
        await connection.execute(update(ROWS).where(ROWS.c.name == name).values(size=size, status="Connected"))


async def serve(port: int, folder: Path) -> None:
    """Serve until the process is stopped."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    servers = [
        await asyncssh.listen("127.0.0.1", 0, server_factory=Server, server_host_keys=[key], sftp_factory=True)
        for _ in HOSTS
    ]
    engine = create_async_engine(f"sqlite+aiosqlite:///{folder / 'bare.db'}")

    async def answer(request: web.Request) -> web.Response:
        async with engine.connect() as connection:
            rows = await connection.execute(select(ROWS))
        return web.json_response([dict(row) for row in rows.mappings()])

    async with engine.begin() as connection:
        await connection.run_sync(ROWS.metadata.create_all)
        await connection.execute(insert(ROWS), [Row(name=name, size=0).model_dump() for name in HOSTS])
    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    ports = [one.get_port() for one in servers]
    await asyncio.gather(*(connect(engine, *one) for one in zip(HOSTS, ports, strict=True)))
    print(f"ready http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


def main(port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free one.")] = 8080) -> None:
    """Start."""
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(serve(port, Path(folder)))


if __name__ == "__main__":
    typer.run(main)
