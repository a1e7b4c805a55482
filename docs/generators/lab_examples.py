"""Write the examples of `/lab/v1/openapi.json`: one call of each route, really answered by a lab in virtual time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson

from imagestore_sim.cli.stories import StoriesOnDemand
from imagestore_sim.lab import Lab
from imagestore_sim.lab_api.openapi import operation_id
from imagestore_sim.scenario.recording.by_hand import ScenarioWriter
from imagestore_sim.settings import Settings
from imagestore_sim.testing.client import Client
from imagestore_sim.virtual_clock import run_virtually, virtual_clock

HOST = "localhost:8080"
LONGEST_LIST = 2
"""Elements of a list that an example shows."""
MOST_MEMBERS = 25
"""Members of an object with names that are no fields, such as the kinds of fault, that an example shows."""
LONGEST_TEXT = 1500
"""Characters of a text that an example shows; the whole lines in them, if it has several."""
PEM = "-----BEGIN CERTIFICATE-----\nMIIBaTCC...\n-----END CERTIFICATE-----\n"
STEADY: Mapping[str, Any] = {"certificateSha256": "D8:F9:43:D7:...", "authority": PEM, "picture": "<svg ...></svg>"}
"""Members that differ in each run, with what an example shows in their place."""
STEADY_TEXTS = (
    (re.compile(r"(?<=127\.0\.0\.1:)\d+"), "40022"),
    (re.compile(r"(?<=sealed: )\S+"), "gAAAAABrCwd4..."),
)
"""What differs in each run within a text."""
RECORDS = """\
zones:
  - {name: zone-2, description: the second}
backupStorages:
  - {name: imagestore-9, hostname: imagestore-9, username: root, password: password, url: /Cloud_bs}
"""
HOST_1 = {"name": "imagestore-1"}
STORED = {"uuid": "$storage"}
STORY = {"name": "one-lost-ping"}
PLAY = {**STORY, "id": "$id"}
MATCHER = {"api": "QueryImageStore*", "status": 200}


@dataclass(frozen=True, slots=True)
class Step:
    """A call of a route."""

    method: str
    path: str
    """Below `/lab/v1`, with its variables."""
    variables: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    """JSON, or a text as it is."""
    save: str = ""
    """A member of the answer which later variables use as `$name`."""
    seconds: float = 0
    """How long to wait before the call."""


STEPS: Sequence[Step] = (
    Step("GET", "/about"),
    Step("GET", "/nodes"),
    Step("POST", "/sessions", body={"account": "admin"}),
    Step("GET", "/hosts"),
    Step("GET", "/hosts/{name}", HOST_1),
    Step("POST", "/hosts", body={"name": "imagestore-8", "size": "2 TiB", "used": "40%"}),
    Step("PATCH", "/hosts/{name}", {"name": "imagestore-8"}, body={"used": "60%"}),
    Step("DELETE", "/hosts/{name}", {"name": "imagestore-8"}),
    Step("GET", "/hosts/{name}/agent", HOST_1),
    Step("POST", "/hosts/{name}/stop", HOST_1),
    Step("POST", "/hosts/{name}/start", HOST_1),
    Step("GET", "/faults"),
    Step("POST", "/hosts/{name}/faults", HOST_1, body={"kind": "latency", "delay": "200ms", "for": "5m"}, save="id"),
    Step("DELETE", "/hosts/{name}/faults/{id}", {**HOST_1, "id": "$id"}),
    Step("DELETE", "/hosts/{name}/faults", HOST_1),
    Step("POST", "/hosts/{name}/fill", HOST_1, body={"to": "90%"}),
    Step("POST", "/hosts/{name}/resize", HOST_1, body={"size": "20 TiB"}),
    Step("POST", "/hosts/{name}/heal", HOST_1, body={"kind": "fill"}),
    Step("POST", "/heal", body={}),
    Step(
        "POST",
        "/node/faults",
        body={"kind": "latency", "delay": "2s", "when": {"api": "AddImageStore*"}, "count": 1},
        save="id",
    ),
    Step("GET", "/node/faults"),
    Step("GET", "/node/faults/{id}", {"id": "$id"}),
    Step("DELETE", "/node/faults/{id}", {"id": "$id"}),
    Step("DELETE", "/node/faults"),
    Step("GET", "/clock"),
    Step("PUT", "/clock", body={"speed": None}),
    Step("POST", "/clock/step", body={"seconds": "2m"}),
    Step("GET", "/probes"),
    Step("GET", "/storages/{name}", {"name": "imagestore-1"}),
    Step("POST", "/storages/{uuid}/probe", STORED, body={}),
    Step("POST", "/storages/{uuid}/ping", STORED),
    Step("GET", "/storages/{uuid}/history", STORED, {"points": 10}),
    Step("PUT", "/image-sources", body={"sources": [{"url": "http://images.example/*", "size": "4 GiB"}]}),
    Step("POST", "/image-sources", body={"sources": [{"url": "*.iso", "size": "700 MiB", "rate": "10 MiB"}]}),
    Step("GET", "/image-sources"),
    Step("GET", "/requests", query={"api": "QueryImageStore*"}),
    Step("GET", "/requests/count", query={"status": "2xx"}),
    Step("GET", "/requests/wait", query={"api": "QueryImageStore*", "count": 1, "within": "5s"}),
    Step("GET", "/requests/next", query={"within": "1s"}),
    Step("GET", "/requests/{number}", {"number": "1"}),
    Step("POST", "/requests/find", body=MATCHER),
    Step("POST", "/requests/count", body=MATCHER),
    Step("POST", "/requests/wait", body={**MATCHER, "count": 1, "within": "5s"}),
    Step("POST", "/requests/near-misses", body={"expected": {**MATCHER, "query": {"q": ["name=gold"]}}}),
    Step("POST", "/requests/sequence", body={"expected": [MATCHER]}),
    Step("GET", "/timeline"),
    Step("POST", "/scenario", body={"title": "What was done by hand"}),
    Step("DELETE", "/requests"),
    Step("GET", "/stories"),
    Step("GET", "/stories/{name}", STORY),
    Step("POST", "/stories/{name}/plays", STORY, body={}, save="id"),
    Step("GET", "/stories/{name}/plays/{id}", PLAY),
    Step("GET", "/stories/{name}/plays/{id}/report", PLAY, seconds=900),
    Step("DELETE", "/stories/{name}/plays/{id}", PLAY),
    Step("GET", "/events", query={"lastEventId": 0}),
    Step("GET", "/snapshot"),
    Step("POST", "/snapshot", body=RECORDS),
    Step("PUT", "/snapshot", body=RECORDS),
    Step("POST", "/reset"),
)


def texts() -> str:
    """Return the file of examples, as JSON."""
    return orjson.dumps(run_virtually(_answered()), option=orjson.OPT_INDENT_2).decode() + "\n"


async def _answered() -> dict[str, Any]:
    clock = virtual_clock()
    stories = StoriesOnDemand(lambda: lab.url, None, has_hosts=True)
    async with (
        stories,
        Lab(Settings(port=0, hosts=2), clock=clock, story_writer=ScenarioWriter(), stories=stories.open) as lab,
        Client(lab.url, clock=clock, headers={"Host": HOST}) as client,
    ):
        await client.log_in()
        names = {"storage": (await client.query("/backup-storage/image-store"))[0]["uuid"]}
        found: dict[str, Any] = {}
        for step in STEPS:
            await clock.sleep(step.seconds)
            await _take(step, client, names, found)
    return dict(sorted(found.items()))


async def _take(step: Step, client: Client, names: dict[str, str], found: dict[str, Any]) -> None:
    """Make a call, and keep what it was answered. Raise ValueError for an error."""
    variables = {name: names[value[1:]] if value.startswith("$") else value for name, value in step.variables.items()}
    url = f"{client.url}/lab/v1{step.path.format(**variables)}"
    if step.path == "/events":
        status, text = 200, await _first_events(f"{url}?{urlencode(step.query)}")
    else:
        data = step.body.encode() if isinstance(step.body, str) else None
        body = None if isinstance(step.body, str) else step.body
        query = [(name, str(value)) for name, value in step.query.items()]
        answer = await client.request(step.method, url, body, query=query, data=data)
        status, text = answer.status, answer.text
    if status >= 400:
        raise ValueError(f"{step.method} {step.path} was answered {status} {text}")
    content = _content(text)
    if step.save:
        names[step.save] = content[step.save]
    found[operation_id(step.method, f"/lab/v1{step.path}")] = {
        "variables": variables,
        "query": dict(step.query),
        "body": step.body,
        "status": status,
        "answer": _cut(content),
    }


async def _first_events(url: str) -> str:
    """Return what a stream of events begins with: a comment, and an event."""
    async with aiohttp.ClientSession() as http, http.get(url, headers={"Host": HOST}) as response:
        return "".join([(await response.content.readuntil(b"\n\n")).decode() for _ in range(2)])


def _content(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _cut(content: Any) -> Any:
    """Return what was answered, no longer than an example needs, and the same in each run."""
    if isinstance(content, list):
        return [_cut(one) for one in content[:LONGEST_LIST]]
    if isinstance(content, str):
        return _cut_text(content)
    if not isinstance(content, dict):
        return content
    members = list(content.items())[:MOST_MEMBERS]
    return {name: STEADY.get(name, _cut(value)) if value is not None else None for name, value in members}


def _cut_text(text: str) -> str:
    for changing, steady in STEADY_TEXTS:
        text = changing.sub(steady, text)
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT].rpartition("\n")[0] + "\n"
