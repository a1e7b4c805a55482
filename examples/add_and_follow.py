"""How do I add an ImageStore and follow its job to the end, whether it succeeds or fails?

imagestore-sim lab                      # in another terminal
python examples/add_and_follow.py http://127.0.0.1:8080
"""

import asyncio
import sys

from imagestore_sim.testing import CallFailed, Client


async def main(url: str) -> None:
    async with Client(url) as client:
        await client.log_in()
        params = {"name": "gold", "hostname": "172.24.189.211", "username": "root", "password": "password"}

        # The client polls the job that the answer names, until it ends.
        added = await client.call("POST", "/backup-storage/image-store", {"params": params | {"url": "/zs/gold"}})
        print("added:", added["inventory"]["name"], added["inventory"]["status"])

        try:  # ZStack refuses a second storage on the same host
            await client.call("POST", "/backup-storage/image-store", {"params": params | {"url": "/zs/silver"}})
        except CallFailed as failure:
            print("refused:", failure.code)

        await client.call("DELETE", f"/backup-storage/{added['inventory']['uuid']}")
        print("deleted:", await client.query("/backup-storage", "name=gold"))


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"))
