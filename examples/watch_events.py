"""How do I follow what happens on a node, as it happens?

imagestore-sim lab                      # in another terminal
python examples/watch_events.py http://127.0.0.1:8080
"""

import asyncio
import json
import sys

import aiohttp

SHOWN = 3


async def main(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/lab/v1/events?lastEventId=0") as stream:
        shown = 0
        async for line in stream.content:  # server-sent events: the data of each is one line of JSON
            if line.startswith(b"data:"):
                event = json.loads(line.removeprefix(b"data:"))
                print(event["path"], event["content"])
                shown += 1
                if shown == SHOWN:
                    return


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"))
