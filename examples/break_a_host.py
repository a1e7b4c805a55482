"""How do I make a host fail, and see what a client sees?

imagestore-sim lab --ping-interval 1    # in another terminal
python examples/break_a_host.py http://127.0.0.1:8080
"""

import asyncio
import sys

from imagestore_sim.testing import Client


async def main(url: str) -> None:
    async with Client(url) as client:
        await client.log_in()
        host = f"{url}/lab/v1/hosts/imagestore-1"

        await client.request("POST", f"{host}/faults", {"kind": "refuse", "for": "5s"})  # it heals by itself
        storage = await client.wait_for_status("imagestore-1", "Disconnected", within=30)
        print("broken:", storage["status"])

        storage = await client.wait_for_status("imagestore-1", "Connected", within=60)
        print("healed:", storage["status"])


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"))
