"""How do I run a whole lab inside my own asyncio program?

python examples/lab_in_process.py
"""

import asyncio

from imagestore_sim.lab import Lab
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client


async def main() -> None:
    async with Lab(Settings(port=0, hosts=2, ping_interval=1)) as lab, Client(lab.url) as client:
        await client.log_in()
        print("storages:", [one["name"] for one in await client.query("/backup-storage", sort="+name")])

        await lab.network["imagestore-2"].stop()
        print("stopped:", (await lab.wait_for("imagestore-2", "Disconnected", within=10)).status)


asyncio.run(main())
