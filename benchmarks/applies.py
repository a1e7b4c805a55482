"""Measure an apply and a destroy of five resources, with and without the moment that a poll waits for its job.

    python benchmarks/applies.py [--rounds 5] [--json]

The client calls as Terraform's provider does over the Go SDK (docs/reference/clients.md): ten calls at once at most, a
first poll at once and the next ones two seconds apart, a query of each resource that was made. Each resource waits for
those that it names. ZStack answers a poll of a job that runs at once; a lab waits a tenth of a second for its end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

PARALLELISM = 10
POLL_SECONDS = 2.0
RUNNING = 202
"""The status of a call that goes on as a job, and of a poll of it."""
WAITS = {"as ZStack": "0.0", "as a lab": "0.1"}
"""How long a poll waits, in seconds."""
PROGRAM = (
    "import sys\nfrom imagestore_sim.rest import running_jobs\nrunning_jobs.LONGEST_SECONDS = float(sys.argv.pop(1))\n"
    "from imagestore_sim.cli.program import main\nmain()"
)
PASSWORD = "password"  # noqa: S105 - of a lab
STORAGES, IMAGES, ZONES = "/backup-storage", "/images", "/zones"
SMALL_IMAGES = {"sources": [{"url": "http://images/*", "size": "1 GiB", "actualSize": "1 MiB", "rate": "1 GiB"}]}
"""Images that are there at once: only the polls are to count."""
Json = dict[str, Any]


@dataclass
class Provider:
    """Makes and removes resources."""

    url: str
    http: aiohttp.ClientSession
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PARALLELISM))

    async def log_in(self) -> None:
        """Log in as the admin."""
        password = hashlib.sha512(PASSWORD.encode()).hexdigest()
        body = {"logInByAccount": {"accountName": "admin", "password": password}}
        answer = await self.call("PUT", "/accounts/login", body)
        self.http.headers["Authorization"] = f"OAuth {answer['inventory']['uuid']}"

    async def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Json:
        """Return what an API answers; poll where that takes a job."""
        async with self.free:
            status, answer = await self._request(method, f"{self.url}/zstack/v1{path}", body)
            location = str(answer.get("location"))
            while status == RUNNING:
                status, answer = await self._request("GET", location)
                await asyncio.sleep(POLL_SECONDS if status == RUNNING else 0)
        return answer

    async def _request(self, method: str, url: str, body: Mapping[str, object] | None = None) -> tuple[int, Json]:
        async with self.http.request(method, url, json=body) as response:
            answer = await response.json()
        if response.status not in (200, RUNNING):
            raise SystemExit(f"{method} {url}: {response.status} {answer}")
        return response.status, answer

    async def make(self, path: str, place: str, **parameters: object) -> str:
        """Make a resource, read it, and return its uuid."""
        made = (await self.call("POST", path, {"params": parameters}))["inventory"]
        [found] = (await self.call("GET", f"{place}/{made['uuid']}"))["inventories"]
        return str(found["uuid"])

    async def apply(self) -> tuple[str, list[str], list[str]]:
        """Make a zone, two storages in it, and an image on each."""
        zone = await self.make(ZONES, ZONES, name="zone")
        made = await asyncio.gather(*(self._storage_and_image(zone, name) for name in ("gold", "silver")))
        return zone, [storage for storage, _ in made], [image for _, image in made]

    async def _storage_and_image(self, zone: str, name: str) -> tuple[str, str]:
        storage = await self.make(
            f"{STORAGES}/image-store", STORAGES, name=name, hostname=name, username="root", password=PASSWORD, url="/zs"
        )
        await self.call("POST", f"/zones/{zone}{STORAGES}/{storage}", {"params": {}})
        image = await self.make(
            IMAGES, IMAGES, name=name, url=f"http://images/{name}.qcow2", format="qcow2", backupStorageUuids=[storage]
        )
        return storage, image

    async def destroy(self, zone: str, storages: list[str], images: list[str]) -> None:
        """Remove all of it, in the other order."""
        await asyncio.gather(*(self.call("DELETE", f"{IMAGES}/{one}") for one in images))
        await asyncio.gather(*(self.call("DELETE", f"{STORAGES}/{one}") for one in storages))
        await self.call("DELETE", f"{ZONES}/{zone}")


@contextlib.asynccontextmanager
async def lab(wait: str) -> AsyncIterator[str]:
    """Yield the URL of a lab in a process of its own."""
    arguments = ("-c", PROGRAM, wait, "lab", "--port", "0", "--hosts", "0", "--seed", "1")
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        line = (await process.stdout.readline()).decode()
        if not line.startswith("ready "):
            raise SystemExit(f"the lab is not ready: {line!r}")
        yield line.split()[1]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


async def measure(wait: str) -> tuple[float, float]:
    """Return how long an apply and a destroy take, in seconds."""
    async with lab(wait) as url, aiohttp.ClientSession() as http:
        provider = Provider(url, http)
        await provider.log_in()
        (await http.post(f"{url}/lab/v1/image-sources", json=SMALL_IMAGES)).raise_for_status()
        began = time.monotonic()
        made = await provider.apply()
        applied = time.monotonic()
        await provider.destroy(*made)
        return applied - began, time.monotonic() - applied


async def medians(rounds: int) -> dict[str, dict[str, float]]:
    """Return the medians of the rounds. Both kinds of poll take turns, so that they meet the same machine."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in WAITS}
    for _ in range(rounds):
        for name, wait in WAITS.items():
            found[name].append(await measure(wait))
    return {
        name: {
            what: round(statistics.median(one[index] for one in times), 2)
            for index, what in enumerate(("apply", "destroy"))
        }
        for name, times in found.items()
    }


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = asyncio.run(medians(options.rounds))
    if options.json:
        print(json.dumps(found))
        return
    for name, row in found.items():
        print(f"polls answered {name:10} apply {row['apply']:.2f} s  destroy {row['destroy']:.2f} s")


if __name__ == "__main__":
    main()
