"""How do I measure the capacity of a path over SSH from my own program?

imagestore-sim host --port 2222         # in another terminal
python examples/probe_a_host.py 127.0.0.1 2222
"""

import asyncio
import sys

from imagestore_sim.clock import RealClock
from imagestore_sim.probe import ProbeFailure, Prober, Target


async def main(host: str, port: int) -> None:
    prober = Prober(RealClock())
    try:
        found = await prober.probe(Target(host, port, "root", "/", "password"))
    finally:
        await prober.close()
    if isinstance(found, ProbeFailure):
        print("failed:", found.reason, found.message)
    else:
        print("bytes:", found.total, "available:", found.available, "by", found.method)


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1", int((sys.argv[2:] or ["2222"])[0])))
