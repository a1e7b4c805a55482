"""How do I test an outage of eight hours in a second? On the virtual clock: SSH, HTTP and SQLite stay real.

python examples/night_in_a_second.py
"""

import time

from imagestore_sim.lab import Lab
from imagestore_sim.settings import Settings
from imagestore_sim.virtual_clock import run_virtually, virtual_clock


async def main() -> None:
    clock = virtual_clock()
    async with Lab(Settings(port=0, hosts=1, ping_interval=60), clock=clock) as lab:
        evening = clock.time()
        await lab.network["imagestore-1"].stop()
        await clock.sleep(8 * 3600)
        await lab.network["imagestore-1"].start()
        await lab.wait_for("imagestore-1", "Connected", within=121)
        print(f"virtual hours: {(clock.time() - evening) / 3600:.1f}")


began = time.monotonic()
run_virtually(main())
print(f"real seconds: {time.monotonic() - began:.1f}")
